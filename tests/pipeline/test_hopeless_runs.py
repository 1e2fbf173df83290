"""A run in which little can be learned: said before anything is spent, or once the number of rows is bought."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pipeline.admissions import RELEASED, run, spent, write

import privsynth
from privsynth.errors import LittleToLearn
from privsynth.generators.registry import load_generator
from privsynth.ledger.events import EPSILON_UNITS
from privsynth.ledger.ledger import Ledger
from privsynth.partitions.rows import PrivateRows
from privsynth.pipeline.spending_plan import make_plan
from privsynth.pipeline.usability.advice import Prospect, what_helps
from privsynth.pipeline.usability.outlook import TableSize
from privsynth.privacy.accounting import gdp_delta
from privsynth.privacy.budget import Bill, Budget, Spend, plan_spending
from privsynth.schema import Schema
from privsynth.workspace import privsynth_home

WIDTH = 20
FAST = ("--generator", "marginal", "--audit", "none", "--holdout-fraction", "0")
DELTA = 1e-6


def wide(n: int) -> str:
    """Return CSV text of many undeclared columns and few rows."""
    rng = np.random.default_rng(3)
    return pd.DataFrame({f"c{i}": rng.choice(list("abcde"), n) for i in range(WIDTH)}).to_csv(index=False)


@pytest.fixture
def table(tmp_path):
    return write(tmp_path, "small.csv", wide(250))


def job(table, out, *more, command="synthesize"):
    where = ("--out", out, *FAST) if command == "synthesize" else ()
    return run(command, table, "--unit", "row", "--epsilon", 1, *where, *more)


# --- before anything is spent -------------------------------------------------------------------------------------


def test_a_plan_for_too_few_rows_says_so_and_what_would_help(table, tmp_path):
    made = job(table, tmp_path / "out", "--expect-rows", 418, command="plan")
    assert made.exit_code == LittleToLearn.exit_code == 8
    assert "lost in noise" in made.stdout
    assert "little can be learned" in made.stderr
    assert "--epsilon" in made.stderr
    assert "--anyway" in made.stderr
    assert "Nothing was spent." in made.stderr
    told = json.loads(job(table, tmp_path / "out", "--expect-rows", 418, "--json", command="plan").stdout)
    assert told["refused"].startswith("little can be learned")
    assert {column["status"] for column in told["outlooks"][0]["columns"]} == {"lost"}
    assert job(table, tmp_path / "out", "--expect-rows", 418, "--anyway", command="plan").exit_code == 0


def test_a_plan_for_many_rows_or_for_none_in_particular_is_printed(table, tmp_path):
    many = job(table, tmp_path / "out", "--expect-rows", 40_000, "--json", command="plan")
    assert many.exit_code == 0
    assert json.loads(many.stdout)["refused"] is None
    assert job(table, tmp_path / "out", command="plan").exit_code == 0


@pytest.mark.parametrize("more", [("--expect-rows", 300), ("--schema", "s.yaml")], ids=["guessed", "declared"])
def test_a_run_that_is_hopeless_at_a_known_size_costs_nothing(table, tmp_path, more):
    write(tmp_path, "s.yaml", {"rows": 300, "unit": "row"})
    more = [tmp_path / one if one == "s.yaml" else one for one in more]
    made = job(table, tmp_path / "out", *more)
    assert made.exit_code == 8
    assert "Nothing was spent." in made.stderr
    assert made.stdout == ""
    assert not (tmp_path / "out").exists()
    assert spent() == {}
    assert Ledger(privsynth_home()).history("small") == []


def test_the_library_raises_and_takes_anyway(table, tmp_path):
    options = {"epsilon": 1, "unit": "row", "audit": "none", "generator": "marginal", "holdout_fraction": 0.0}
    with pytest.raises(privsynth.LittleToLearn, match="anyway=True"):
        privsynth.synthesize(table, out=tmp_path / "out", expect_rows=250, **options)
    made = privsynth.synthesize(table, out=tmp_path / "out", expect_rows=250, anyway=True, **options)
    assert set(made.usability.lost) >= {"c0", "c19"}
    assert "noise" in made.usability.columns_text()


# --- once the number of rows is bought ------------------------------------------------------------------------------


def test_a_run_that_turns_out_hopeless_is_charged_with_the_number_of_rows_alone(table, tmp_path):
    made = job(table, tmp_path / "out")
    assert made.exit_code == 8
    assert "Counting the rows cost epsilon" in made.stderr
    assert not (tmp_path / "out").exists()
    ledger = Ledger(privsynth_home())
    assert [event.kind for event in ledger.history("small")] == ["reserved", "bound", "drawn", "stopped"]
    account = ledger.account("small")
    assert 0 < account.spent_epsilon_units < 0.2 * EPSILON_UNITS
    assert account.to_json()["spent_delta"] == DELTA
    again = job(table, tmp_path / "out", "--anyway")
    assert again.exit_code in RELEASED, again.output
    assert "is resolved" not in again.stdout
    assert "noise (" in again.stdout
    assert "stopped early" in run("budget", "history", "small").stdout


def test_a_large_table_goes_on_and_says_what_is_worth_something(tmp_path):
    rng = np.random.default_rng(4)
    a = rng.choice(list("abc"), 6_000)
    frame = pd.DataFrame({"a": a, "b": np.where(rng.random(6_000) < 0.9, a, "z"), "c": rng.choice(["x", "y"], 6_000)})
    made = job(write(tmp_path, "large.csv", frame.to_csv(index=False)), tmp_path / "out", "--json")
    assert made.exit_code in RELEASED, made.output
    told = json.loads(made.stdout)["usability"]
    assert sorted(told["resolved"]) == ["a", "b", "c"]
    assert told["kept"] == ["a × b"]
    for folder in ("public", "officer"):
        report = json.loads((tmp_path / "out" / folder / "report.json").read_text())
        written = report["usability"]
        assert {key: one for key, one in told.items() if one} == {key: one for key, one in written.items() if one}
        page = (tmp_path / "out" / folder / "report.html").read_text()
        assert page.index('id="usability"') < page.index('id="checks"')
        assert "Of 3 columns 3 are resolved." in page


def test_whether_a_run_stops_follows_from_released_numbers(tmp_path):
    """Two tables of which the mechanisms say the same stop, or go on, alike."""
    from leaks.proof import Constant, FixedKey, plan_of

    from privsynth.pipeline.learning.learn import learn

    seen = []
    for n in (0, 30, 3_000):
        columns = {f"c{i}": pa.array(["a"] * n, pa.string()) for i in range(3)}
        types = dict.fromkeys(columns, pa.string())
        request = plan_of(
            Schema(), types, generator="marginal", unit="row", k=1, judge=seen.append, holdout_fraction=0.0
        )
        learn(PrivateRows.held(pa.table(columns)), request, Constant(), FixedKey())
    assert seen[0] == seen[1] == seen[2]


# --- what is charged ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 10.0])
def test_both_ends_of_a_run_that_may_stop_share_one_delta(epsilon):
    """The δ at which a stopped run's ε holds and that of a whole run add up to what is charged either way."""
    parts = {"rows": 0.005, "measurement": 0.945, "report": 0.05}
    plan = plan_spending(Budget(epsilon=epsilon, delta=DELTA), parts, open_domain=True, may_stop=True)
    bill = Bill(plan)
    price = plan.parts["rows"]
    bill.charge(Spend(label="n", part="rows", mechanism="g", noise_multiplier=price**-0.5, l2_sensitivity=1.0,
                      mu_squared=price))  # fmt: skip
    stopped = gdp_delta(price**0.5, bill.epsilon_if_stopped())
    whole = gdp_delta(sum(plan.parts.values()) ** 0.5, epsilon)
    assert stopped <= plan.stopping_delta * (1 + 1e-6)
    assert stopped + whole + plan.discovery_delta <= DELTA * (1 + 1e-9)
    assert bill.epsilon_if_stopped() < 0.2 * epsilon


def test_a_run_that_may_not_stop_sets_nothing_aside():
    parts = {"rows": 0.005, "measurement": 0.995}
    assert plan_spending(Budget(epsilon=1.0), parts, open_domain=False).stopping_delta == 0.0
    types = {"a": pa.string()}
    declared = Budget(epsilon=1.0, rows=500)
    assert make_plan(Schema(rows=500), types, declared, None, may_stop=True).stopping_delta == 0.0


# --- what would help ------------------------------------------------------------------------------------------------


def case(rows: float, *, unit="row", k=1, width=WIDTH, schema=None) -> Prospect:
    names = [f"c{i}" for i in range(width)] + ([] if unit == "row" else [unit])
    return Prospect(
        schema=schema or Schema(),
        types=dict.fromkeys(names, pa.string()),
        budget=Budget(epsilon=1.0, unit=unit, max_rows_per_unit=k),
        generator=load_generator("marginal"),
        scale=TableSize(rows=rows),
    )


def words(parts) -> str:
    return "".join(part if isinstance(part, str) else part.in_shell() for part in parts)


def test_what_would_help_would_help():
    hopeless = case(4_440, unit="who", k=40, width=15)
    assert hopeless.outlook().hopeless
    told = words(what_helps(hopeless))
    assert "--epsilon" in told
    assert "declare" in told
    assert not case(418, width=5).outlook().hopeless
    assert "columns or fewer" in words(what_helps(case(418)))


def test_a_table_that_nothing_helps_is_told_so():
    assert "many more rows" in words(what_helps(case(5, width=400)))

"""What `privsynth plan` guesses where units have several rows, beside what a run pays."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from pipeline.admissions import FAST, RELEASED, run, write

from privsynth.generators.marginal.clip_units import STEPS, expected_length
from privsynth.generators.marginal.expected import noise_in_rows
from privsynth.generators.registry import PublicFacts
from privsynth.pipeline.usability.outlook import TableSize, weighting
from privsynth.privacy.budget import Budget
from privsynth.privacy.unit_weights import weight_of_row

K = 20
GUESS = TableSize(rows=4_000.0)


def table(n_units: int = 400) -> pd.DataFrame:
    """Return units of 1 to K rows."""
    rng = np.random.default_rng(2)
    who = np.repeat(np.arange(n_units), rng.integers(1, K + 1, n_units))
    return pd.DataFrame({"who": who} | {f"c{i}": rng.choice(["a", "b", "c", "d"], len(who)) for i in range(6)})


def outlook(source, k: int, *more) -> dict:
    args = ("--unit", "who", "--max-rows-per-unit", k, "--epsilon", 1, "--expect-rows", 4_000, *more, "--json")
    return json.loads(run("plan", source, *args).stdout)["outlooks"][0]


def test_a_guess_lies_between_one_row_and_the_most(tmp_path):
    source = write(tmp_path, "t.csv", table().to_csv(index=False))
    one, many = outlook(source, 1), outlook(source, K)
    for figure in ("rarest", "pair_tvd"):
        assert one[figure] < many[figure]
    assert many["rarest"] < 0.75 * K * one["rarest"]
    said = run("plan", source, "--unit", "who", "--max-rows-per-unit", K, "--epsilon", 1).stdout
    assert "estimates for units of 10 rows" in said
    assert "Rows of a unit beyond 20 are not used." in said


def test_noise_is_guessed_within_a_factor_of_two_of_what_a_run_pays(tmp_path):
    source = write(tmp_path, "t.csv", table().to_csv(index=False))
    args = ("--unit", "who", "--max-rows-per-unit", K, "--epsilon", 3, "--out", tmp_path / "out", *FAST)
    assert run("synthesize", source, *args).exit_code in RELEASED
    bill = json.loads((tmp_path / "out" / "officer" / "run.json").read_text())["bill"]
    paid = [spend["l2_sensitivity"] / STEPS for spend in bill if spend["part"] == "one_way"]
    usual = GUESS.usual_rows(Budget(epsilon=3.0, unit="who", max_rows_per_unit=K))
    facts = PublicFacts(n_rows=4_000, sizes=(6,) * 6, max_rows_per_unit=K, rows_per_unit=usual)
    guess = noise_in_rows(facts, facts.sizes, np.full(6, 1 / 6))
    rows = np.arange(1, K + 1)  # of a unit, each as often
    weight = float((rows * weight_of_row(rows)).sum() / rows.sum())
    assert any(guess / 2 < bound / weight < guess * 2 for bound in paid)
    assert guess < K / 1.5


def test_a_report_says_what_share_of_the_rows_was_left_out(tmp_path):
    """Of units of 1 to 20 rows 8 are used at most; noise of the bought numbers of units moves the share a little."""
    rows = table(4_000)
    source = write(tmp_path, "t.csv", rows.to_csv(index=False))
    args = ("--unit", "who", "--max-rows-per-unit", 8, "--epsilon", 3, "--out", tmp_path / "out", *FAST)
    assert run("synthesize", source, *args).exit_code in RELEASED
    report = json.loads((tmp_path / "out" / "public" / "report.json").read_text())
    told = report["guarantee"]["left_out"]
    sizes = rows.groupby("who").size()
    assert told["units"] == pytest.approx((sizes > 8).mean(), abs=0.05)
    assert told["rows"] == pytest.approx((sizes - 8).clip(lower=0).sum() / sizes.sum(), abs=0.05)
    assert told["rows"] <= told["most_moved"] <= 1
    for side in ("public", "officer"):
        assert "rows are not used" in (tmp_path / "out" / side / "report.html").read_text()


def test_the_rows_of_a_unit_weigh_one_together_whether_or_not_their_number_is_declared():
    for rows in (None, 1_000):
        budget = Budget(epsilon=1.0, unit="who", max_rows_per_unit=K, rows=rows)
        assert GUESS.usual_rows(budget) == K / 2
        assert weighting(GUESS, budget).unit_weight == STEPS
    assert weighting(GUESS, Budget(epsilon=1.0)).unit_weight == 1
    assert noise_in_rows(PublicFacts(n_rows=10, sizes=(5,)), (5,), np.ones(1)) == 1.0


def test_the_length_of_a_unit_lies_between_rows_apart_and_rows_alike():
    assert expected_length(9, [1], [1.0]) == 9.0
    assert expected_length(9, [10**9], [1.0]) == pytest.approx(3.0)
    assert expected_length(1, [5, 7], [0.5, 0.5]) == pytest.approx(1.0)

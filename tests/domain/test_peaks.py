"""Which columns of digits hold codes, by the rows in peaks of their histograms."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from buying import in_training
from doubles import ExactMechanisms, RecordingMechanisms, ReplayMechanisms
from hypothesis import given
from hypothesis import strategies as st

from privsynth.domain.bounding import everyone
from privsynth.domain.column_kinds import FactsRequest, learn_facts
from privsynth.domain.numbers import peaks
from privsynth.domain.numbers.peaks import rows_in_peaks
from privsynth.privacy.unit_weights import Weighting
from privsynth.schema import Schema
from privsynth.table import Table

N = 10_000
# μ² of the votes of a run at ε = 1: two hundredths of what its figures share (μ = 0.237 at δ = 1e-6).
AT_ONE = 0.02 * 0.95 * 0.237**2


def texts(**columns: np.ndarray) -> Table:
    return Table(pa.table({name: pa.array([str(v) for v in values.tolist()]) for name, values in columns.items()}))


def kinds(table: Table, mechanisms=None, schema: Schema | None = None, mu_squared: float = AT_ONE) -> dict[str, str]:
    request = FactsRequest(schema=schema or Schema(), names=table.names, mu_squared=mu_squared)
    facts = learn_facts(everyone(table), request, Weighting(1), mechanisms or ExactMechanisms())
    return {name: fact.kind for name, fact in facts.items()}


def zipf(rng: np.random.Generator, values: list[str] | np.ndarray, power: float, n: int = N) -> np.ndarray:
    share = 1.0 / (2.0 + rng.permutation(len(values))) ** power
    return rng.choice(np.asarray(values), n, p=share / share.sum())


def icd9(rng: np.random.Generator) -> np.ndarray:
    """Return codes of which nine in ten are three digits, and too few begin with a letter to be seen."""
    found = [str(n) for n in rng.choice(np.arange(1, 1000), 480, replace=False)]
    found += [f"250.{n}" for n in range(1, 30)] + [f"V{n}" for n in range(10, 20)]
    return zipf(rng, found, 1.0)


def concepts(rng: np.random.Generator) -> np.ndarray:
    found = [rng.integers(10**5, 10**6, 300), rng.integers(10**6, 5 * 10**6, 500), rng.integers(10**7, 46 * 10**6, 700)]
    return zipf(rng, np.unique(np.concatenate(found)), 1.0)


def measured(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return columns of numbers: counted, rounded, priced, hardly repeated, in steps of an inch, mostly zero."""
    days = np.datetime64("2023-01-01") + rng.integers(0, 700, N)
    return {
        "age": rng.integers(18, 95, N),
        "visits": rng.geometric(0.3, N),
        "salary": rng.integers(15, 120, N) * 1000,
        "cents": rng.choice([999, 1299, 1999, 2499, 4950, 9900], N),
        "weight": rng.integers(20_000, 900_000, N),
        "height": np.rint(rng.normal(67, 4, N).round() * 2.54).astype(int),
        "gain": np.where(rng.random(N) < 0.92, 0, rng.choice(rng.integers(1000, 99_999, 100), N)),
        "term": rng.choice([6, 12, 18, 24, 36, 48, 60, 72, 84], N),
        "ymd": np.array([int(str(day).replace("-", "")) for day in days]),
        "seconds": rng.integers(1_600_000_000, 1_700_000_000, N),
    }


@pytest.mark.parametrize("codes", [icd9, concepts])
def test_codes_under_a_name_that_says_nothing(codes):
    """At ε = 1 in 10,000 rows among numbers, each of fifteen draws; a miss has a chance of 2 % at most."""
    missed = 0
    for seed in range(15):
        rng = np.random.default_rng(seed)
        numbers = {name: values for name, values in measured(rng).items() if name in ("age", "visits", "weight")}
        found = kinds(texts(x7=codes(rng), **numbers), RecordingMechanisms(seed))
        assert {found[name] for name in numbers} == {"integer"}
        missed += found["x7"] != "categorical"
    assert missed <= 3  # of 15 with a chance of 2 % each: more happen once in 5,000 runs


@pytest.mark.parametrize("mu_squared", [AT_ONE, 1e6])
def test_what_is_measured_stays_a_number(mu_squared):
    for seed in range(3):
        found = kinds(texts(**measured(np.random.default_rng(seed))), RecordingMechanisms(seed), mu_squared=mu_squared)
        assert set(found.values()) == {"integer"}, found


def test_few_rows_decide_nothing():
    """Noise of more than all rows: it is taken for peaks with probability 3e-6 a column."""
    rng = np.random.default_rng(1)
    columns = {f"x{i}": rng.integers(0, 1000, 50) for i in range(5)}
    for seed in range(40):
        assert "categorical" not in set(kinds(texts(**columns), RecordingMechanisms(seed), mu_squared=0.5).values())


@pytest.mark.parametrize(
    "declared",
    [
        {"columns": {"x": {"unit": "kg"}}},
        {"columns": {"x": {"kind": "integer"}}},
        {"rules": ["x >= y"]},
    ],
)
def test_what_the_schema_tells_to_be_a_number_is_not_asked_about(declared):
    rng = np.random.default_rng(2)
    table = texts(x=concepts(rng), y=rng.integers(0, 9, N))
    assert kinds(table)["x"] == "categorical"
    schema = Schema.model_validate(declared)
    assert kinds(table, schema=schema, mu_squared=1.0)["x"] == "integer"


def naive(held: dict[int, int], repeated: int, each: int) -> int:
    total = 0
    for v, n in held.items():
        above = max((held.get(u, 0) for u in range(v + 1, v + peaks.REACH + 1)), default=0)
        if v % 5 != 0 and not (abs(v) >= 1000 and abs(v) % 10 == 9):
            total += min(max(n - above - repeated, 0), each)
    return total


HISTOGRAMS = st.dictionaries(st.integers(990, 1030), st.integers(1, 40), min_size=1, max_size=30)


@given(HISTOGRAMS, st.integers(990, 1030), st.integers(1, 30), st.integers(0, 5), st.integers(1, 40))
def test_rows_move_the_figure_by_no_more_than_they_are(held, value, rows, repeated, each):
    def figure(n: dict[int, int]) -> int:
        values = np.array(sorted(n))
        found = rows_in_peaks(values, np.array([n[v] for v in sorted(n)]), repeated=repeated, each=each)
        assert found == naive(n, repeated, each)
        return found

    more = {**held, value: held.get(value, 0) + rows}
    assert abs(figure(more) - figure(held)) <= rows


@given(HISTOGRAMS, st.lists(st.integers(990, 1030), min_size=1, max_size=8), st.booleans())
def test_a_unit_moves_what_is_released_by_what_its_rows_weigh(held, extra, weighed):
    """With its rows anywhere, together or apart; where rows are units, one row."""
    lines = [v for v, n in held.items() for _ in range(n)]
    extra = extra if weighed else extra[:1]
    replay = None
    record = RecordingMechanisms()
    for mechanisms, values in ((record, lines), (None, [*lines, *extra])):
        unit = np.array([*range(len(lines)), *[len(lines)] * (len(values) - len(lines))])
        rows, weighting = in_training(texts(x=np.array(values)), unit), Weighting(8, 1e-6) if weighed else Weighting(1)
        if mechanisms is None:
            mechanisms = replay = ReplayMechanisms(record)
        request = FactsRequest(schema=Schema(), names=["x"], mu_squared=1.0)
        learn_facts(rows, request, weighting, mechanisms)
    assert replay is not None
    assert not replay.violations()

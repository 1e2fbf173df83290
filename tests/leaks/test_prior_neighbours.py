"""A release that starts from public rows: one unit more or less moves what the mechanisms are given by no more than was
declared; and with constant answers, what leaves follows from the header and the prior alone.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from leaks.compare import SCHEMAS, text_table
from leaks.proof import (
    Constant,
    FixedKey,
    Recording,
    Replaying,
    assert_within_sensitivity,
    everything_public,
    plan_of,
    small_generators,
)
from leaks.world import COLUMNS, K, ordinary_rows, random_row, texts

from privsynth.partitions.rows import PrivateRows
from privsynth.pipeline.learning.learn import learn
from privsynth.pipeline.learning.request import Request
from privsynth.pipeline.prior.known import KnownTable
from privsynth.pipeline.prior.load import load_prior
from privsynth.schema import Schema
from privsynth.table import Table

Lines = list[list[str]]


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    small_generators(monkeypatch)


def lines_of(n_units: int, seed: int) -> Lines:
    return [list(line) for line in texts(ordinary_rows(n_units, seed))]


def elsewhere(lines: Lines) -> Lines:
    """Return rows of another population: older, in wards that the others lack, costs of another currency."""
    at = {name: COLUMNS.index(name) for name in ("age", "ward", "cost")}
    moved = []
    for number, line in enumerate(lines):
        cells = {at["age"]: str(900 + number % 9), at["ward"]: "Station B", at["cost"]: str(10_000 + number)}
        moved.append([cells.get(place, cell) for place, cell in enumerate(line)])
    return moved


def request_with(lines: Lines, schema: str, folder, *, unit: str = "patient", epsilon: float = 300.0) -> Request:
    """Return a request that starts from public rows."""
    declared = Schema.model_validate(
        SCHEMAS[schema] if unit != "row" else {k: v for k, v in SCHEMAS[schema].items() if k == "columns"}
    )
    prior, _ = load_prior(text_table(lines).data.to_pandas(), declared, unit=unit, home=folder)
    request = plan_of(
        declared, {name: pa.string() for name in COLUMNS}, generator="marginal", unit=unit,
        k=1 if unit == "row" else K, epsilon=epsilon, holdout_fraction=0.1,
    )  # fmt: skip
    known = KnownTable.of(prior, declared, list(COLUMNS), unit)
    assert known.columns
    return replace(request, known=known)


def replay(one: Table, other: Table, request: Request) -> Replaying:
    record = Recording(5)
    first, _ = learn(PrivateRows.held(one.data), request, record, FixedKey())
    again = Replaying(record)
    second, _ = learn(PrivateRows.held(other.data), request, again, FixedKey())
    assert everything_public(first) == everything_public(second)
    assert_within_sensitivity(again.calls, record.calls, k=request.budget.max_rows_per_unit)
    moved = [m.public[1] for m, r in zip(again.calls, record.calls, strict=True) if repr(m.given) != repr(r.given)]
    assert any("the prior's values" in label for label in moved), "the check of the prior saw no difference"
    assert any("agreement of each pair" in label for label in moved), "the agreement saw no difference"
    return again


@pytest.mark.parametrize("unit", ["patient", "row"])
@pytest.mark.parametrize("schema", SCHEMAS)
@pytest.mark.parametrize("suits", [True, False])
def test_a_unit_that_comes(suits, schema, unit, tmp_path):
    lines = lines_of(150, 1)
    public = lines_of(80, 2) if suits else elsewhere(lines_of(80, 2))
    rng = np.random.default_rng(3)
    # Cells that the prior lacks, beside ordinary ones.
    extra = [list(line) for line in texts([random_row(rng, "P99999") for _ in range(1 if unit == "row" else K)])]
    extra[0][COLUMNS.index("ward")], extra[0][COLUMNS.index("cost")] = "a ward of her own", "1e15"
    request = request_with(public, schema, tmp_path, unit=unit)
    replay(text_table(lines), text_table([*extra, *lines]), request)


def test_with_constant_answers_all_follows_from_header_and_prior(tmp_path):
    request = request_with(lines_of(80, 2), "bare", tmp_path, epsilon=1.0)
    shown = [
        everything_public(learn(PrivateRows.held(text_table(lines).data), request, Constant(), FixedKey())[0])
        for lines in (lines_of(150, 1), elsewhere(lines_of(40, 7)), [])
    ]
    assert shown[0] == shown[1] == shown[2]
    others = request_with(lines_of(80, 5), "bare", tmp_path, epsilon=1.0)
    assert (
        everything_public(learn(PrivateRows.held(text_table(lines_of(150, 1)).data), others, Constant(), FixedKey())[0])
        != shown[0]
    )

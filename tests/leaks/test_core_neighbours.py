"""Record and replay on the private core: one unit more or less moves what the mechanisms are given by at most what was
declared, and with the same answers nothing that leaves is different.
"""

from __future__ import annotations

import numpy as np
import pytest
from leaks.compare import SCHEMAS, Lines, replayed, text_table
from leaks.proof import small_generators
from leaks.world import BARE, COLUMNS, DECLARED, FAR, LONG, K, Rows, ordinary_rows, parquet_table, random_row, texts

from privsynth.generators.registry import GENERATORS
from privsynth.table import Table

# Cells that stretch whatever is learned from a column.
ODD = [
    "1e400", "-1e308", "9" * 40, "NaN", "-inf", "0.1234567890123", "1,5", "1.234,5", "0001-01-01", "31/12/9999", "",
    None, "2016-12-31T23:59:60", "12/31/2024", "\u0663\u0664", "true", "007", LONG[:9_999], "ICU", "ER", "F", "yes",
]  # fmt: skip


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    small_generators(monkeypatch)


def ordinary_lines() -> Lines:
    return [list(line) for line in texts(ordinary_rows())]


def odd_lines(rng: np.random.Generator, unit: str, count: int, *, alike: bool) -> Lines:
    lines = [[unit, *(ODD[rng.integers(len(ODD))] for _ in COLUMNS[1:])] for _ in range(count)]
    return [lines[0]] * count if alike else lines


def lines_with_codes() -> tuple[Lines, Lines]:
    """Return lines with a code in `age`, and those of a person between two codes that many others have."""
    lines, age = ordinary_lines(), COLUMNS.index("age")
    for n, line in enumerate(lines):
        line[age] = ("1011", "1013", "4147", "8216")[n % 4]
    extra = [list(lines[n]) for n in range(K)]
    for line, code in zip(extra, ("1012", "1013", "1014"), strict=True):
        line[0], line[age] = "P99999", code
    return lines, extra


def inserted(rng: np.random.Generator, lines: Lines, extra: Lines) -> Lines:
    more = list(lines)
    for line in extra:
        more.insert(int(rng.integers(0, len(more) + 1)), line)
    return more


@pytest.mark.parametrize("holdout", [0.1, 0.0])
@pytest.mark.parametrize("schema", SCHEMAS)
@pytest.mark.parametrize(("seed", "count", "alike"), [(0, K, False), (1, K, True), (2, 10 * K, False)])
def test_a_unit_of_odd_rows_that_comes(seed, count, alike, schema, holdout):
    # With more rows than may be used, the draw must leave K of them, and the others' as they were.
    rng = np.random.default_rng([seed, 1])
    lines = ordinary_lines()
    more = inserted(rng, lines, odd_lines(rng, "P99999", count, alike=alike))
    replayed(text_table(lines), text_table(more), SCHEMAS[schema], holdout=holdout)


@pytest.mark.parametrize("schema", SCHEMAS)
@pytest.mark.parametrize("seed", range(2))
def test_an_ordinary_unit_that_leaves(seed, schema):
    lines = ordinary_lines()
    leaver = np.random.default_rng([seed, 2]).choice(sorted({str(line[0]) for line in lines}))
    fewer = [line for line in lines if line[0] != leaver]
    replayed(text_table(lines), text_table(fewer), SCHEMAS[schema])


@pytest.mark.parametrize("alike", [True, False])
@pytest.mark.parametrize("holdout", [0.1, 0.0])
@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_row_that_comes_where_each_row_is_a_unit(schema, holdout, alike):
    rng = np.random.default_rng(3)
    lines = ordinary_lines()
    extra = [lines[200]] if alike else odd_lines(rng, "P99999", 1, alike=False)
    # In front: whatever counts rows as they come would give all others another coin.
    replayed(text_table(lines), text_table([*extra, *lines]), SCHEMAS[schema], unit="row", k=1, holdout=holdout)


@pytest.mark.parametrize("unit", ["patient", "row"])
def test_a_person_whose_numbers_lie_between_codes(unit):
    """Where it is asked whether digits are codes: rows on a code, right above and right below one."""
    lines, extra = lines_with_codes()
    k = 1 if unit == "row" else K
    replay = replayed(text_table(lines), text_table([*extra[:k], *lines]), BARE, unit=unit, k=k, epsilon=8.0)
    assert any("rows in peaks" in str(call.public) for call in replay.calls)


@pytest.mark.slow
@pytest.mark.parametrize("unit", ["patient", "row"])
@pytest.mark.parametrize("seed", range(12))
def test_many_random_neighbours(seed, unit):
    rng = np.random.default_rng([seed, 4])
    lines = [list(line) for line in texts(ordinary_rows(int(rng.integers(20, 200)), seed))]
    k = 1 if unit == "row" else K
    if rng.random() < 0.5:
        extra = odd_lines(rng, "P99999", k, alike=bool(rng.random() < 0.5))
    else:
        extra = [list(line) for line in texts([random_row(rng, "P99999") for _ in range(k)])]
    holdout = float(rng.choice([0.0, 0.1, 0.3]))
    schema = SCHEMAS[str(rng.choice(list(SCHEMAS)))]
    replayed(text_table(lines), text_table(inserted(rng, lines, extra)), schema, unit=unit, k=k, holdout=holdout)


def typed(rows: Rows) -> Table:
    return Table(parquet_table(rows))


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_unit_of_odd_rows_in_typed_columns(schema):
    rows = ordinary_rows()
    odd = {
        "age": -(2**63), "lab": float("inf"), "cost": 1e308, "admitted": FAR, "discharged": None,
        "born": FAR.date(), "smoker": None, "ward": LONG,
    }  # fmt: skip
    extra = [{**rows[0], **odd, "patient": "P99999"}, {**rows[1], "lab": float("nan"), "patient": "P99999"}]
    replayed(typed(rows), typed([extra[0], *rows, extra[1]]), SCHEMAS[schema])


@pytest.mark.parametrize("generator", [n for n, info in GENERATORS.items() if info.private and n != "marginal"])
@pytest.mark.parametrize("alike", [True, False])
def test_the_other_generators(generator, alike):
    rng = np.random.default_rng(6)
    lines = ordinary_lines()
    extra = odd_lines(rng, "P99999", K, alike=alike)
    replay = replayed(text_table(lines), text_table([*lines, *extra]), DECLARED, generator=generator, epsilon=8.0)
    assert any(call.public[2] == "training" for call in replay.calls)

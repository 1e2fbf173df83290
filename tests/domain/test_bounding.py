"""Who is in: at most `max_rows_per_unit` rows of a unit, on one side, by coins that do not depend on the others."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privsynth.codecs.parse import as_categories, cell_words, known_cells
from privsynth.domain import bounding
from privsynth.domain.bounding import _occurrence
from privsynth.partitions.marks import HELD_OUT, POOL, SIDE, TRAINING, UNUSED, values
from privsynth.partitions.rows import PrivateRows
from privsynth.privacy.unit_weights import STEPS, count, row_weights
from privsynth.randomness import KeyedFunction
from privsynth.table import Table


def table(units: list[str | None], values: list[str | None]) -> Table:
    return Table(pa.table({"u": pa.array(units, pa.string()), "v": pa.array(values, pa.string())}))


def divide(rows: Table, **told) -> SimpleNamespace:
    """Return which rows are used and how, from the marks of a table in one part."""
    made = bounding.divide(PrivateRows.held(rows.data), **told)
    (part,) = made.load()
    side = values(part, SIDE)
    return SimpleNamespace(
        rows=made,
        train=np.flatnonzero(side == TRAINING),
        holdout=np.flatnonzero(side == HELD_OUT),
        dropped_rows=int((side == UNUSED).sum()),
        pool=values(part, POOL),
    )


def sides(rows: Table, keyed: KeyedFunction, *, unit: str = "u", max_rows_per_unit: int = 2) -> dict[str, tuple]:
    """Return value -> (used, held out) of each row; values are unique labels of rows."""
    made = divide(rows, unit=unit, max_rows_per_unit=max_rows_per_unit, holdout_fraction=0.25, keyed=keyed)
    labels = rows.column("v").to_pylist()
    train, holdout = set(made.train.tolist()), set(made.holdout.tolist())
    assert not train & holdout
    return {label: (i in train, i in holdout) for i, label in enumerate(labels)}


def test_a_unit_has_at_most_k_rows_and_one_side():
    units = [f"u{i % 60}" for i in range(300)]
    rows = table(units, [f"row {i}" for i in range(300)])
    made = divide(rows, unit="u", max_rows_per_unit=3, holdout_fraction=0.25, keyed=KeyedFunction())
    for name in set(units):
        mine = {i for i, u in enumerate(units) if u == name}
        train, holdout = mine & set(made.train.tolist()), mine & set(made.holdout.tolist())
        assert len(train) + len(holdout) == 3
        assert not (train and holdout)
    assert made.dropped_rows == 300 - 60 * 3
    assert repr(made.rows) == "PrivateRows(1 parts)"


def test_the_coins_of_a_unit_do_not_depend_on_who_else_is_there():
    keyed = KeyedFunction()
    units = [f"u{i % 40}" for i in range(200)]
    labels = [f"row {i}" for i in range(200)]
    whole = sides(table(units, labels), keyed)
    kept = [i for i, u in enumerate(units) if u != "u7"]
    without = sides(table([units[i] for i in kept], [labels[i] for i in kept]), keyed)
    assert without == {label: whole[label] for label in without}
    more = sides(table(["new"] * 9 + units, [f"new {i}" for i in range(9)] + labels), keyed)
    assert whole == {label: more[label] for label in whole}


def test_equal_rows_are_units_of_their_own_with_coins_of_their_own():
    keyed = KeyedFunction()
    equal = table(["x"] * 400, ["same"] * 400)
    made = divide(equal, unit="row", max_rows_per_unit=1, holdout_fraction=0.25, keyed=keyed)
    fewer = divide(
        table(["x"] * 399, ["same"] * 399), unit="row", max_rows_per_unit=1, holdout_fraction=0.25, keyed=keyed
    )
    assert len(made.train) + len(made.holdout) == 400
    # 400 fair coins of 1/4: six standard deviations.
    assert abs(len(made.holdout) - 100) < 6 * np.sqrt(400 * 0.25 * 0.75)
    assert abs(len(made.holdout) - len(fewer.holdout)) <= 1


def test_one_row_less_moves_no_other_row():
    keyed = KeyedFunction()
    labels = [f"row {i}" for i in range(100)]
    whole = sides(table(["x"] * 100, labels), keyed, unit="row", max_rows_per_unit=1)
    without = sides(table(["x"] * 99, labels[1:]), keyed, unit="row", max_rows_per_unit=1)
    assert without == {label: whole[label] for label in without}


@pytest.mark.parametrize("unit", ["u", "row"])
def test_rows_of_nobody_are_left_out(unit):
    made = divide(
        table([None, "", "a"], [None, " ", "x"]),
        unit=unit,
        max_rows_per_unit=2,
        holdout_fraction=0.0,
        keyed=KeyedFunction(),
    )
    assert made.train.tolist() == [2]
    assert made.dropped_rows == 2
    nothing = divide(table([], []), unit=unit, max_rows_per_unit=2, holdout_fraction=0.1, keyed=KeyedFunction())
    assert len(nothing.train) == len(nothing.holdout) == 0


def test_equal_words_are_counted_in_their_order():
    words = np.array([7, 3, 7, 2**64 - 1, 7, 3, 0], dtype=np.uint64)
    assert _occurrence(words).tolist() == [0, 0, 1, 0, 2, 1, 0]
    assert _occurrence(words[:0]).tolist() == []
    many = np.random.default_rng(0).integers(0, 90, 1_000).astype(np.uint64)
    naive = [int((many[:i] == word).sum()) for i, word in enumerate(many)]
    assert _occurrence(many).tolist() == naive


def test_typed_cells_have_words_of_their_own():
    big = 2**53
    cells = {
        "i": pa.array([big, big + 1, 0, None, -1], pa.int64()),
        "u": pa.array([2**64 - 1, 1, 0, None, 2], pa.uint64()),
        "f": pa.array([0.1, 0.2, 0.0, None, float("inf")], pa.float64()),
        "b": pa.array([True, False, None, None, None]),
        "t": pa.array([0, 1, None, None, None], pa.timestamp("us")),
    }
    for column in cells.values():
        words = cell_words(pa.chunked_array([column]))
        distinct = len(set(column.to_pylist()))
        assert len(set(words.tolist())) == distinct
        one_by_one = [cell_words(pa.chunked_array([column[i : i + 1]]))[0] for i in range(len(column))]
        assert words.tolist() == [int(word) for word in one_by_one]
    known = known_cells(pa.chunked_array([pa.array([1.0, None, float("nan"), float("inf")])]))
    assert known.tolist() == [True, False, False, True]
    assert known_cells(pa.chunked_array([pa.array(["x", "", " NA ", None])])).tolist() == [True, False, False, False]


CELLS = {
    pa.string(): ["7", " 7", "7 ", "7.0", "07", "", " ", "NA", " NaN", "null", None, "\u00a07", "0", "-0"],
    pa.int64(): [0, 7, -7, 2**53, 2**53 + 1, None],
    pa.float64(): [0.0, -0.0, 7.0, 7.5, float("nan"), None, float("inf"), -float("inf"), 2.0**53, 5e-324],
    pa.bool_(): [True, False, None],
    pa.date32(): [0, 1, None],
}


@pytest.mark.parametrize("kind", CELLS, ids=str)
def test_cells_have_one_word_where_they_tell_one_unit(kind):
    """Rows go to parts by the words of cells, and are one unit's by their categories: both must say the same."""
    column = pa.chunked_array([pa.array(CELLS[kind], kind)])
    words, codes = cell_words(column), as_categories(column).codes
    assert ((words[:, None] == words) == (codes[:, None] == codes)).all()


def test_without_a_holdout_every_row_of_somebody_is_used():
    rows = Table(pa.table({"a": pa.array([1.5, None, 2.5]), "b": pa.array(["x", "", None])}))
    made = divide(rows, unit="row", max_rows_per_unit=1, holdout_fraction=0.0, keyed=KeyedFunction())
    assert made.train.tolist() == [0, 2]
    assert len(made.holdout) == 0
    assert not made.pool.any()


@given(st.lists(st.integers(0, 40), min_size=1, max_size=300))
def test_the_rows_of_a_unit_weigh_one_together_and_never_more(units):
    unit = np.array(units)
    together = np.bincount(unit, weights=row_weights(unit))
    there = np.bincount(unit) > 0
    assert (together <= STEPS).all()
    assert (together[there] > STEPS * (1 - 1e-3)).all()
    assert len(set(zip(unit.tolist(), row_weights(unit).tolist(), strict=True))) == there.sum()


def test_weights_and_counts_are_counted_alike():
    at, weight = np.array([0, 2, 2, 1, 2]), np.array([5, 1, 2, 7, 4])
    assert count(at, 4, None).tolist() == [1, 1, 3, 0]
    assert count(at, 4, weight).tolist() == [5, 7, 7, 0]
    assert count(at, 4, weight).dtype == count(at[:0], 4, None).dtype == np.int64

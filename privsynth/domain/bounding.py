"""Which rows are used: at most `max_rows_per_unit` of each unit, drawn at random, less the holdout of the audit.

All draws come from a keyed function of the unit's id (or, where each row is a unit, of the row's content and its
occurrence among equal rows), under a key that the operating system makes for this run. A unit's draws therefore do not
depend on the other units: the neighbouring table without one unit has the same draws for all others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
import pyarrow as pa

from privsynth.codecs.parse import as_categories, cell_words, known_cells
from privsynth.partitions.marks import HELD_OUT, MARKS, ROW, TRAINING, UNUSED, Marks, cells
from privsynth.partitions.rows import PrivateRows, bucket_of
from privsynth.privacy.unit_weights import row_weights
from privsynth.randomness import KeyedFunction, uniform_from_words
from privsynth.table import Table

_ROW, _POOL, _SIDE = 1, 2, 3  # purposes of the keyed function: any distinct numbers
_NUMBERS = pa.schema([(ROW, pa.int64())])
_LOOKS = pa.schema([("known", pa.bool_()), ("words", pa.uint64())])
AT_ONCE = 1 << 24  # words among which equal ones are sought at once (own): a sort of 128 MB


@dataclass(frozen=True, repr=False)
class Partition:
    """Which rows train and which are held out. Private.

    Attributes:
      train: (t,) row indices, ascending.
      holdout: (h,) row indices, ascending; empty if there is no pool.
      unit: (n,) int64 unit of each row, −1 for rows without a unit.
      pool: (units,) booleans: the unit entered the pool, from which a fair coin sent it to training or holdout.
      dropped_rows: rows beyond their unit's `max_rows_per_unit`, without a unit, or all null; for the officer.
    """

    train: np.ndarray
    holdout: np.ndarray
    unit: np.ndarray
    pool: np.ndarray
    dropped_rows: int

    def rows_of_unit(self, rows: np.ndarray) -> np.ndarray:
        """Return (len(rows),) how many rows of the table the unit of each row has, used or not. Private."""
        of_unit: np.ndarray = np.bincount(self.unit[self.unit >= 0], minlength=1)[self.unit[rows]]
        return of_unit

    def marks(self) -> Marks:
        """Return what each row's division is, row by row. Private."""
        n, of_any = len(self.unit), np.maximum(self.unit, 0)
        side = np.full(n, UNUSED, dtype=np.int8)
        side[self.train], side[self.holdout] = TRAINING, HELD_OUT
        steps = np.zeros(n, dtype=np.int64)
        there = side != UNUSED
        steps[there] = row_weights(self.unit[there])
        known = self.unit >= 0
        of_unit = np.where(known, np.bincount(self.unit[known], minlength=1)[of_any], 0)
        pool = known & self.pool[of_any] if len(self.pool) else np.zeros(n, dtype=bool)
        return Marks(unit=self.unit, side=side, steps=steps, of_unit=of_unit, pool=pool)

    def __repr__(self) -> str:
        return "Partition()"


def divide(
    rows: PrivateRows, *, unit: str, max_rows_per_unit: int, holdout_fraction: float, keyed: KeyedFunction
) -> PrivateRows:
    """Return the rows with marks: which to learn from, which to hold out, and which to leave out.

    Where units are told apart by a column, all rows of one come to lie in one part. What is drawn is drawn here: the
    key goes to no worker.

    Guarantee: no unit has more than `max_rows_per_unit` rows that are used, all of them on one side; which ones is
      independent of every other unit, of the parts, and of the order of other units' rows.
    Args:
      unit: the unit column, or "row".
      holdout_fraction: f; each unit enters the pool with probability 2f, and a fair coin
        sends it to the holdout.
    """
    rows = rows.beside(_numbers(rows), _NUMBERS)
    if unit == "row":
        found = _partitions_of_rows(rows, holdout_fraction, keyed)
    else:
        rows = rows.exchange(partial(_words_of_cells, unit), [unit])
        parts = rows.load([unit])
        found = (partition_of_units(part.column(unit), max_rows_per_unit, holdout_fraction, keyed) for part in parts)
    return rows.beside((partition.marks().to_arrow() for partition in found), MARKS)


def marked(table: Table, partition: Partition) -> PrivateRows:
    """Return the rows of a table in memory as one part, with marks."""
    data = table.data
    for name, column in zip((more := partition.marks().to_arrow()).column_names, more.columns, strict=True):
        data = data.append_column(name, column)
    return PrivateRows.held(data.append_column(_NUMBERS.field(0), pa.array(np.arange(table.n_rows))))


def everyone(table: Table) -> PrivateRows:
    """Return the rows of a table in memory with marks by which each is a unit of its own, and in training."""
    n = table.n_rows
    nobody = np.zeros(0, dtype=np.int64)
    return marked(table, Partition(np.arange(n), nobody, np.arange(n), np.zeros(n, dtype=bool), 0))


def _numbers(rows: PrivateRows) -> Iterator[pa.Table]:
    """Yield for each part the numbers of its rows in the table."""
    first = 0
    for part in rows.load([rows.schema.names[0]]):
        yield pa.table([pa.array(np.arange(first, first + part.num_rows))], schema=_NUMBERS)
        first += part.num_rows


def partition_of_units(
    column: pa.ChunkedArray, max_rows_per_unit: int, holdout_fraction: float, keyed: KeyedFunction
) -> Partition:
    """Return which rows are used, where the cells of a column tell units apart (see `divide`)."""
    parsed = as_categories(column)
    codes = parsed.codes.astype(np.int64)
    words = keyed.hash_texts([value.encode("utf-8", "surrogatepass") for value in parsed.values])
    keep = draw_rows(codes, words, max_rows_per_unit, keyed)
    pool, out = draw_sides(words, np.zeros(len(words), dtype=np.uint64), holdout_fraction, keyed)
    return _partition(codes, keep, pool, out)


def _partitions_of_rows(rows: PrivateRows, holdout_fraction: float, keyed: KeyedFunction) -> Iterator[Partition]:
    """Yield for each part which rows are used, where each row is a unit.

    Units are told apart by what they hold, and by a number among equal rows. Which of them has which number says
    nothing, for they are equal.
    """
    looks = rows.derive(partial(_looks, holdout_fraction > 0), _LOOKS)
    words = [part.column("words").to_numpy() for part in looks.load(["words"])]
    numbers = occurrences(words) if holdout_fraction > 0 else [np.zeros_like(of_part) for of_part in words]
    for known, of_part, occurrence in zip(looks.load(["known"]), words, numbers, strict=True):
        pool, out = draw_sides(of_part, occurrence, holdout_fraction, keyed)
        yield _partition(np.arange(len(of_part)), known.column("known").to_numpy(), pool, out)


def _looks(words: bool, part: pa.Table) -> pa.Table:
    """Return for each row whether some cell is not null and, if wanted, what tells rows apart that hold other cells."""
    table = Table(cells(part))
    found = _row_words(table) if words else np.zeros(table.n_rows, dtype=np.uint64)
    return pa.table([pa.array(_known_rows(table)), pa.array(found)], schema=_LOOKS)


def _words_of_cells(column: str, part: pa.Table) -> np.ndarray:
    return cell_words(part.column(column))


def _partition(codes: np.ndarray, keep: np.ndarray, pool: np.ndarray, out: np.ndarray) -> Partition:
    held = np.zeros(len(codes), dtype=bool)
    if len(out):
        held = np.where(codes >= 0, out[np.maximum(codes, 0)], False)
    return Partition(
        train=np.flatnonzero(keep & ~held),
        holdout=np.flatnonzero(keep & held),
        unit=codes,
        pool=pool,
        dropped_rows=int((~keep).sum()),
    )


def draw_sides(
    words: np.ndarray, occurrence: np.ndarray, holdout_fraction: float, keyed: KeyedFunction
) -> tuple[np.ndarray, np.ndarray]:
    """Return (units,) booleans: the unit entered the pool, and it was held out.

    Guarantee: both are a keyed function of the unit's own words.
    Args:
      words, occurrence: (units,) uint64, what tells the units apart.
      holdout_fraction: see `divide`.
    """
    pool = uniform_from_words(keyed.words(words, occurrence, purpose=_POOL)) < 2 * holdout_fraction
    heads = (keyed.words(words, occurrence, purpose=_SIDE) & np.uint64(1)).astype(bool)
    return pool, pool & heads


def draw_rows(codes: np.ndarray, words: np.ndarray, max_rows_per_unit: int, keyed: KeyedFunction) -> np.ndarray:
    """Return (n,) booleans: the first `max_rows_per_unit` rows of each unit, its rows in random order.

    Guarantee: which rows of a unit they are is a keyed function of the unit's own words.
    Args:
      codes: (n,) unit of each row; rows of −1 are left out.
      words: (units,) uint64.
    """
    if not len(words):
        return np.zeros(len(codes), dtype=bool)
    rank = pd.Series(codes).groupby(codes, sort=False).cumcount().to_numpy().astype(np.uint64)
    order_word = keyed.words(words[np.maximum(codes, 0)], rank, purpose=_ROW)
    order = np.lexsort((order_word, codes))
    sorted_codes = codes[order]
    first = np.searchsorted(sorted_codes, sorted_codes, side="left")
    keep = np.zeros(len(codes), dtype=bool)
    keep[order] = (np.arange(len(codes)) - first) < max_rows_per_unit
    return keep & (codes >= 0)


def _known_rows(table: Table) -> np.ndarray:
    """Return (n,) booleans: some cell is not null.

    Leaving out rows of nulls makes 'replace a row by nulls' the same as removing it.
    """
    known = np.zeros(table.n_rows, dtype=bool)
    for name in table.names:
        if known.all():
            break
        known |= known_cells(table.column(name))
        table.let_go()  # keeps one column of a spill file in memory at a time
    return known


def words_of_rows(table: Table, holdout_fraction: float) -> tuple[np.ndarray, np.ndarray]:
    """Return (n,) uint64 what tells rows apart where each is a unit: what they hold, and a number among equal ones.

    Where nobody is held out, nothing is drawn by them, and both are zero.
    """
    if holdout_fraction == 0:
        nothing = np.zeros(table.n_rows, dtype=np.uint64)
        return nothing, nothing
    words = _row_words(table)
    return words, _occurrence(words)


def _row_words(table: Table) -> np.ndarray:
    """Return (n,) uint64, equal for equal rows. They need not be secret: the keyed function makes draws of them."""
    total = np.full(table.n_rows, 0x9E3779B97F4A7C15, dtype=np.uint64)
    for name in table.names:
        total = total * np.uint64(0xD6E8FEB86659FD93) + cell_words(table.column(name))
        total ^= total >> np.uint64(32)
        table.let_go()
    return total


def occurrences(words: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return for each part (n,) uint64: how many equal words come before each, in that part and in those before it."""
    buckets = -(-sum(map(len, words)) // AT_ONCE)
    if buckets <= 1:
        whole = _occurrence(np.concatenate(words))
        return np.split(whole, np.cumsum([len(of_part) for of_part in words])[:-1])
    found = [np.empty(len(of_part), dtype=np.uint64) for of_part in words]
    for bucket in range(buckets):  # equal words are in one bucket, so that each is looked at by itself
        at = [np.flatnonzero(bucket_of(of_part, buckets) == bucket) for of_part in words]
        numbers = _occurrence(np.concatenate([of_part[here] for of_part, here in zip(words, at, strict=True)]))
        for into, here, own in zip(found, at, np.split(numbers, np.cumsum([len(a) for a in at])[:-1]), strict=True):
            into[here] = own
    return found


def _occurrence(words: np.ndarray) -> np.ndarray:
    """Return (n,) uint64: how many equal words come before each."""
    order = np.argsort(words, kind="stable")
    first = np.ones(len(words), dtype=bool)  # of its run in the sorted words
    ordered = words[order]
    first[1:] = ordered[1:] != ordered[:-1]
    del ordered
    before = np.arange(len(words))
    before -= np.maximum.accumulate(np.where(first, before, 0))
    out = np.empty(len(words), dtype=np.uint64)
    out[order] = before
    return out

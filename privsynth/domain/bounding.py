"""Which rows are used: at most `max_rows_per_unit` of each unit, drawn at random, less the holdout of the audit.

All draws come from a keyed function of the unit's id (or, where each row is a unit, of the row's content and its
occurrence among equal rows), under a key that the operating system makes for this run. A unit's draws therefore do not
depend on the other units: the neighbouring table without one unit has the same draws for all others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from privsynth.codecs.parse import as_categories, cell_words, known_cells
from privsynth.randomness import KeyedFunction, uniform_from_words
from privsynth.table import Table

_ROW, _POOL, _SIDE = 1, 2, 3  # purposes of the keyed function: any distinct numbers


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

    def __repr__(self) -> str:
        return "Partition()"


def divide(
    table: Table, *, unit: str, max_rows_per_unit: int, holdout_fraction: float, keyed: KeyedFunction
) -> Partition:
    """Return the rows to learn from and the rows to hold out.

    Guarantee: no unit has more than `max_rows_per_unit` rows in the result, all of them on one side; which ones is
      independent of every other unit.
    Args:
      unit: the unit column, or "row".
      holdout_fraction: f; each unit enters the pool with probability 2f, and a fair coin
        sends it to the holdout.
    """
    if unit == "row":
        codes = np.arange(table.n_rows, dtype=np.int64)
        keep = _known_rows(table)
        words, occurrence = words_of_rows(table, holdout_fraction)
    else:
        parsed = as_categories(table.column(unit))
        codes = parsed.codes.astype(np.int64)
        words = keyed.hash_texts([value.encode("utf-8", "surrogatepass") for value in parsed.values])
        occurrence = np.zeros(len(words), dtype=np.uint64)
        keep = draw_rows(codes, words, max_rows_per_unit, keyed)
    pool, out = draw_sides(words, occurrence, holdout_fraction, keyed)
    held = np.zeros(table.n_rows, dtype=bool)
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

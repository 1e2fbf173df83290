"""Linking: which person each row of several tables belongs to, what comes before it, and which rows are used. Private.

Every function here maps a person's own rows to figures about them: the rows of another person never matter, as long as
keys are unique, as a database holds them. Where a file repeats a key, the first row with it counts, and rows that refer
to the key are those of that row's person; the guarantee then is for persons as they were linked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from privsynth.codecs.parse import Grid, as_categories
from privsynth.domain.bounding import Partition, draw_rows, draw_sides
from privsynth.randomness import KeyedFunction
from privsynth.schema.linked import LinkedSchema
from privsynth.table import Table


@dataclass(frozen=True, repr=False)
class LinkedRows:
    """How the rows of one table belong together. Private.

    Attributes:
      person: (n,) int64 the row's person, by the person's row in the root table; −1 for a row of nobody.
      parent: (n,) int64 its row in the parent table; −1 in the root and for a row of nobody.
      place: (n,) int64 how many rows of the same parent come before it.
      previous: (n,) int64 the last of them, or −1.
      since: (n,) steps of the order column from that row to this one; null for the first. None without an order.
    """

    person: np.ndarray
    parent: np.ndarray
    place: np.ndarray
    previous: np.ndarray
    since: Grid | None = None

    def __repr__(self) -> str:
        return "LinkedRows()"


def link_rows(
    tables: Mapping[str, Table], schema: LinkedSchema, order_of: Callable[[str], Grid | None]
) -> dict[str, LinkedRows]:
    """Return how the rows of each table belong together.

    Args:
      order_of: a table's name -> the values of its order column, None if it has none.
    """
    found: dict[str, LinkedRows] = {}
    for name in schema.modelled:
        declared, table = schema.tables[name], tables[name]
        if declared.parent is None:
            rows = np.arange(table.n_rows, dtype=np.int64)
            person = np.where(_first_of_key(table, declared.key), rows, -1)
            nobody = np.full(len(rows), -1, dtype=np.int64)
            found[name] = LinkedRows(person, nobody, np.zeros_like(rows), nobody)
            continue
        above = declared.parent.table
        key = schema.tables[above].key
        assert key is not None
        parent = _rows_of_keys(tables[above].column(key), table.column(declared.parent.column))
        person = np.where(parent >= 0, found[above].person[parent], -1)
        if declared.key is not None:
            person = np.where(_first_of_key(table, declared.key), person, -1)
        found[name] = _in_order(person, np.where(person >= 0, parent, -1), order_of(name))
    return found


def _first_of_key(table: Table, key: str | None) -> np.ndarray:
    """Return (n,) booleans: the row has a key, which no row before it has."""
    if key is None:
        return np.ones(table.n_rows, dtype=bool)
    codes = as_categories(table.column(key)).codes.astype(np.int64)
    first = np.zeros(table.n_rows, dtype=bool)
    first[np.unique(codes, return_index=True)[1]] = True
    return first & (codes >= 0)


def _rows_of_keys(keys: pa.ChunkedArray, wanted: pa.ChunkedArray) -> np.ndarray:
    """Return (n,) int64 the first row whose key is wanted, −1 if there is none."""
    held, asked = as_categories(keys), as_categories(wanted)
    first = np.full(len(held.values) + 1, -1, dtype=np.int64)
    codes = held.codes.astype(np.int64)
    places, rows = np.unique(codes, return_index=True)
    first[places[places >= 0]] = rows[places >= 0]
    at = {value: i for i, value in enumerate(held.values)}
    row_of = np.array([first[at[value]] if value in at else -1 for value in asked.values] + [-1], dtype=np.int64)
    rows_found: np.ndarray = row_of[asked.codes.astype(np.int64)]
    return rows_found


def _in_order(person: np.ndarray, parent: np.ndarray, order: Grid | None) -> LinkedRows:
    """Return rows with their places among those of the same parent: by the order, nulls last, then as they stand."""
    n = len(parent)
    if order is None:
        at = np.argsort(parent, kind="stable")
    else:
        at = np.lexsort((np.arange(n), order.steps, order.null, parent))
    same = np.zeros(n, dtype=bool)
    same[1:] = (parent[at][1:] == parent[at][:-1]) & (parent[at][1:] >= 0)
    starts = np.flatnonzero(~same)
    place = np.zeros(n, dtype=np.int64)
    place[at] = np.arange(n) - np.repeat(starts, np.diff(np.append(starts, n)))
    previous = np.full(n, -1, dtype=np.int64)
    previous[at[1:]] = np.where(same[1:], at[:-1], -1)
    if order is None:
        return LinkedRows(person, parent, place, previous)
    before = np.maximum(previous, 0)
    missing = (previous < 0) | order.null | order.null[before]
    since = Grid(np.where(missing, 0, order.steps - order.steps[before]), missing)
    return LinkedRows(person, parent, place, previous, since)


def number_of_children(parent: np.ndarray, n_parents: int) -> np.ndarray:
    """Return (n_parents,) how many rows each row of the parent table has. Private."""
    return np.bincount(parent[parent >= 0], minlength=n_parents)


@dataclass(frozen=True, repr=False)
class People:
    """Who is in training and who is held out. Private.

    Attributes:
      words: (rows of the root,) uint64, by which a person's draws are made.
      pool, held: (rows of the root,) booleans: the person entered the pool; is held out.
    """

    words: np.ndarray
    pool: np.ndarray
    held: np.ndarray

    @classmethod
    def draw(cls, keys: pa.ChunkedArray, holdout_fraction: float, keyed: KeyedFunction) -> People:
        """Return a draw for each person, a keyed function of the person's key alone."""
        parsed = as_categories(keys)
        of_value = keyed.hash_texts([value.encode("utf-8", "surrogatepass") for value in parsed.values])
        words = np.append(of_value, np.uint64(0))[parsed.codes.astype(np.int64)]
        pool, held = draw_sides(words, np.zeros(len(words), dtype=np.uint64), holdout_fraction, keyed)
        return cls(words, pool, held)

    def partition(self, rows: LinkedRows, max_rows: int, keyed: KeyedFunction) -> Partition:
        """Return which rows of a table are used: at most `max_rows` of each person, all on one side."""
        keep = draw_rows(rows.person, self.words, max_rows, keyed)
        held = np.where(rows.person >= 0, self.held[np.maximum(rows.person, 0)], False)
        return Partition(
            train=np.flatnonzero(keep & ~held),
            holdout=np.flatnonzero(keep & held),
            unit=rows.person,
            pool=self.pool,
            dropped_rows=int((~keep).sum()),
        )

    def __repr__(self) -> str:
        return "People()"

"""Linking: which person each row of several tables belongs to, what comes before it, and which rows are used. Private.

A person is a value of the root table's key. What is linked to a person is a function of the rows that can be reached
from the person's own row by keys, and of nothing else. So a key that a file repeats makes nobody's rows depend on
another person: within a person the first row with a key counts, and where several persons have rows of one key, the
rows that refer to it belong to each of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from privsynth.codecs.parse import Grid, as_categories
from privsynth.domain.bounding import Partition, draw_rows, draw_sides, words_of_rows
from privsynth.errors import SourceError
from privsynth.randomness import KeyedFunction
from privsynth.schema.linked import LinkedSchema
from privsynth.table import Table

# Linked rows of a table, beyond those that the table has (own): a placeholder such as 0 that thousands of persons have
# for a key would link each of them to thousands of rows, and fill the memory.
MAX_COPIES = 10_000_000


@dataclass(frozen=True, repr=False)
class LinkedRows:
    """The rows of one table that belong to persons, and how they belong together. Private.

    A row of nobody is not among them; one of several persons is there once for each. Other attributes count linked
    rows, of this table or of the one above.

    Attributes:
      row: (n,) int64 rows of the table, ascending.
      person: (n,) int64 the row's person, by the linked row of the root table.
      parent: (n,) int64 its linked row in the parent table; −1 in the root.
      place: (n,) int64 how many rows of the same parent come before it.
      previous: (n,) int64 the last of them, or −1.
      remaining: (n,) int64 rows of the same parent from this one on, itself included.
      order: (n,) values of the order column; None without an order, as the two that follow.
      since: (n,) steps of the order column from the row before to this one; null for the first.
      left: (n,) steps from the row before to the last row of the same parent; null for the first.
      refers: for each reference of the schema (n,) the linked row of the same person that it leads to, −1 for none; of
        one to another person's rows 0 where the row names any, −1 where it names none.
    """

    row: np.ndarray
    person: np.ndarray
    parent: np.ndarray
    place: np.ndarray
    previous: np.ndarray
    remaining: np.ndarray
    order: Grid | None = None
    since: Grid | None = None
    left: Grid | None = None
    refers: tuple[np.ndarray, ...] = ()

    def __repr__(self) -> str:
        return "LinkedRows()"


def link_rows(
    tables: Mapping[str, Table], schema: LinkedSchema, order_of: Callable[[str], Grid | None]
) -> dict[str, LinkedRows]:
    """Return how the rows of each table belong together.

    Guarantee: what is linked to a person is the same whoever else is in the root table.
    Args:
      order_of: a table's name -> the values by which its rows are put in order, None if there are none.
    Raises:
      SourceError: keys are repeated so often that the rows of all persons would fill the memory.
    """
    found: dict[str, LinkedRows] = {}
    for name in schema.modelled:
        declared, table = schema.tables[name], tables[name]
        if declared.parent is None:
            row = np.arange(table.n_rows, dtype=np.int64)
            if declared.key:
                row = row[_first_with_key(np.zeros_like(row), _codes(table, declared.key))]
            nobody = np.full(len(row), -1, dtype=np.int64)
            found[name] = LinkedRows(
                row, np.arange(len(row)), nobody, np.zeros_like(nobody), nobody, np.ones_like(nobody)
            )
            continue
        above = declared.parent.table
        held, asked = _same_codes(tables[above], schema.tables[above].key, table, declared.parent.columns)
        row, parent = _rows_below(held[found[above].row], found[above].person, asked, name)
        person = found[above].person[parent]
        if declared.key:
            first = _first_with_key(person, _codes(table, declared.key)[row])
            row, parent, person = row[first], parent[first], person[first]
        order = order_of(name)
        if order is not None:
            order = Grid(order.steps[row], order.null[row])
        found[name] = _in_order(row, person, parent, order, timed=declared.order is not None)
    return {name: replace(rows, refers=_references(name, tables, schema, found)) for name, rows in found.items()}


def _references(
    name: str, tables: Mapping[str, Table], schema: LinkedSchema, rows: Mapping[str, LinkedRows]
) -> tuple[np.ndarray, ...]:
    """Return for each reference of a table what `LinkedRows.refers` says."""
    found = []
    for reference in schema.tables[name].refers_to:
        own, other = rows[name], rows[reference.table]
        if reference.whose == "another":
            found.append(np.minimum(_codes(tables[name], reference.columns)[own.row], 0))
            continue
        key = schema.tables[reference.table].key
        held, asked = _same_codes(tables[reference.table], key, tables[name], reference.columns)
        found.append(_of_the_person(held[other.row], other.person, asked[own.row], own.person))
    return tuple(found)


def _of_the_person(held: np.ndarray, holder: np.ndarray, asked: np.ndarray, person: np.ndarray) -> np.ndarray:
    """Return (n,) the row of the same person that holds the key that a row asks for; −1 where there is none.

    Args:
      held, holder: (m,) keys and persons of the rows that are referred to; no person has a key twice.
      asked, person: (n,) keys and persons of the rows that refer, −1 for no key.
    """
    if not len(held) or not len(asked):
        return np.full(len(asked), -1, dtype=np.int64)
    keys = int(max(held.max(), asked.max())) + 1
    there = holder * keys + held
    order = np.argsort(there, kind="stable")
    wanted = person * keys + asked
    at = order[np.minimum(np.searchsorted(there, wanted, sorter=order), len(order) - 1)]
    return np.where((asked >= 0) & (there[at] == wanted), at, -1)


def _codes(table: Table, key: Sequence[str]) -> np.ndarray:
    """Return (n,) int64 equal for equal keys, −1 for none. Blanks around a key's parts are no part of it."""
    return _together([as_categories(table.column(part)).codes.astype(np.int64) for part in key])


def _same_codes(
    above: Table, key: Sequence[str], table: Table, columns: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the codes of the keys of two tables, equal for equal keys; −1 for a key without one of its parts.

    Args:
      key, columns: of the first and the second table, part by part.
    """
    parts = [_of_one_kind(above.column(mine), table.column(theirs)) for mine, theirs in zip(key, columns, strict=True)]
    codes = _together([np.concatenate(part) for part in parts])
    return codes[: above.n_rows], codes[above.n_rows :]


def _of_one_kind(held: pa.ChunkedArray, asked: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """Return the codes of two columns of one kind of key; −1 also for what only the second has."""
    one, other = as_categories(held), as_categories(asked)
    at = {value: i for i, value in enumerate(one.values)}
    of_value = np.array([*(at.get(value, -1) for value in other.values), -1], dtype=np.int64)
    codes: np.ndarray = of_value[other.codes.astype(np.int64)]
    return one.codes.astype(np.int64), codes


def _together(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Return (n,) codes of keys of several parts, equal for equal keys, −1 where a part is missing."""
    codes = parts[0]
    for part in parts[1:]:
        both = codes * (int(part.max(initial=-1)) + 1) + part
        codes = np.where((codes < 0) | (part < 0), -1, np.unique(both, return_inverse=True)[1].reshape(-1))
    return codes


def _first_with_key(person: np.ndarray, key: np.ndarray) -> np.ndarray:
    """Return (n,) booleans: the row has a key, which no row of the same person before it has."""
    first = np.zeros(len(key), dtype=bool)
    keys = int(key.max(initial=-1)) + 2
    first[np.unique(person * keys + key + 1, return_index=True)[1]] = True
    return first & (key >= 0)


def _rows_below(held: np.ndarray, person: np.ndarray, asked: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return (pairs,) rows and (pairs,) the linked rows above whose key they refer to; by rows, ascending.

    Args:
      held, person: (m,) key and person of the linked rows above.
      asked: (n,) the key that each row refers to, −1 for none.
      name: of the table, for the message.
    """
    holders = np.flatnonzero(_first_with_key(person, held))
    holders = holders[np.argsort(held[holders], kind="stable")]
    keys = int(max(held.max(initial=-1), asked.max(initial=-1))) + 1
    number = np.append(np.bincount(held[holders], minlength=keys), 0)  # the last for −1
    start = np.append(np.cumsum(number[:-1]) - number[:-1], 0)
    copies = number[asked]
    if int(copies.sum()) > len(asked) + MAX_COPIES:
        raise SourceError(
            f"so many persons have the same keys above '{name}' that its rows cannot be linked in memory; a value "
            "that stands for a missing key has to be empty"
        )
    row = np.repeat(np.arange(len(asked), dtype=np.int64), copies)
    nth = np.arange(len(row)) - np.repeat(np.cumsum(copies) - copies, copies)
    return row, holders[start[asked[row]] + nth]


def _in_order(
    row: np.ndarray, person: np.ndarray, parent: np.ndarray, order: Grid | None, *, timed: bool
) -> LinkedRows:
    """Return rows with their places among those of the same parent: by the order, nulls last, then as they stand.

    Args:
      timed: the order is a column that is modelled, and not only a number in the key.
    """
    n = len(parent)
    if order is None:
        at = np.argsort(parent, kind="stable")
    else:
        at = np.lexsort((np.arange(n), order.steps, order.null, parent))
    same = np.zeros(n, dtype=bool)
    same[1:] = parent[at][1:] == parent[at][:-1]
    starts = np.flatnonzero(~same)
    place = np.zeros(n, dtype=np.int64)
    place[at] = np.arange(n) - np.repeat(starts, np.diff(np.append(starts, n)))
    previous = np.full(n, -1, dtype=np.int64)
    previous[at[1:]] = np.where(same[1:], at[:-1], -1)
    remaining = np.bincount(parent, minlength=1)[parent] - place
    if order is None or not timed:
        return LinkedRows(row, person, parent, place, previous, remaining)
    before = np.maximum(previous, 0)
    missing = (previous < 0) | order.null | order.null[before]
    since = Grid(np.where(missing, 0, order.steps - order.steps[before]), missing)
    _, last = ends_of_children(parent, order, int(parent.max(initial=-1)) + 1)
    missing = (previous < 0) | order.null[before]
    left = Grid(np.where(missing, 0, last.steps[parent] - order.steps[before]), missing)
    return LinkedRows(row, person, parent, place, previous, remaining, order, since, left)


def ends_of_children(parent: np.ndarray, order: Grid, n_parents: int) -> tuple[Grid, Grid]:
    """Return (n_parents,) the first and the last value of the order column among each row's children. Private."""
    known = np.flatnonzero(~order.null)
    low, high = np.iinfo(np.int64).max, np.iinfo(np.int64).min
    first, last = np.full(n_parents, low), np.full(n_parents, high)
    np.minimum.at(first, parent[known], order.steps[known])
    np.maximum.at(last, parent[known], order.steps[known])
    null = first == low
    return Grid(np.where(null, 0, first), null), Grid(np.where(null, 0, last), null)


def number_of_children(parent: np.ndarray, n_parents: int) -> np.ndarray:
    """Return (n_parents,) how many rows each row of the parent table has. Private."""
    return np.bincount(parent, minlength=n_parents)


@dataclass(frozen=True, repr=False)
class People:
    """Who is in training and who is held out. Private.

    Attributes:
      words: (persons,) uint64, by which a person's draws are made.
      pool, held: (persons,) booleans: the person entered the pool; is held out.
    """

    words: np.ndarray
    pool: np.ndarray
    held: np.ndarray

    @classmethod
    def draw(cls, root: Table, key: Sequence[str], holdout_fraction: float, keyed: KeyedFunction) -> People:
        """Return a draw for each person.

        Guarantee: it is a keyed function of the person's key alone; where there is none, of what the row holds, and of
          its number among equal rows.
        Args:
          root: the linked rows of the root table, one for each person.
        """
        if not key:
            words, occurrence = words_of_rows(root, holdout_fraction)
        else:
            words = _words_of_keys(root, key, keyed)
            occurrence = np.zeros_like(words)
        pool, held = draw_sides(words, occurrence, holdout_fraction, keyed)
        return cls(words, pool, held)

    def partition(self, rows: LinkedRows, max_rows: int, keyed: KeyedFunction) -> Partition:
        """Return which linked rows are used: at most `max_rows` of each person, all on one side."""
        keep, held = draw_rows(rows.person, self.words, max_rows, keyed), self.held[rows.person]
        return Partition(
            train=np.flatnonzero(keep & ~held),
            holdout=np.flatnonzero(keep & held),
            unit=rows.person,
            pool=self.pool,
            dropped_rows=int((~keep).sum()),
        )

    def __repr__(self) -> str:
        return "People()"


def _words_of_keys(table: Table, key: Sequence[str], keyed: KeyedFunction) -> np.ndarray:
    """Return (n,) uint64 words of keys that are all there: a keyed function of the key's texts."""
    parsed = [as_categories(table.column(part)) for part in key]
    codes = np.stack([part.codes.astype(np.int64) for part in parsed])
    different, of_row = np.unique(codes, axis=1, return_inverse=True)
    texts = [tuple(part.values[at] for part, at in zip(parsed, one, strict=True)) for one in different.T.tolist()]
    spelled = [text[0] if len(text) == 1 else json.dumps(text) for text in texts]  # no two keys are spelled alike
    words = keyed.hash_texts([text.encode("utf-8", "surrogatepass") for text in spelled])
    found: np.ndarray = words[of_row.reshape(-1)]
    return found

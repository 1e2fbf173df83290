"""References beside the parent: to which row a row refers, told by steps back from the one that is usual.

To a row of the same person: rows that could be meant are put in line, and what is modelled is how many steps before the
usual one the row stands. The usual one is, in the table itself, the row before; in a table with times of the same kind,
the last row that is not later, without which only steps ahead lead anywhere, unless a reference may not be empty;
elsewhere the first row, and steps count forward from it. To another person's row: whether there is a reference is
modelled, and which row it is, is drawn with equal chances and without anybody's rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from privsynth.codecs.columns import NumberCodec, TimeCodec
from privsynth.randomness import sampling_rng
from privsynth.sampling.linked.drawn import DrawnTable
from privsynth.sampling.linked.model import LinkedModel, is_timed_reference, reference_column
from privsynth.schema.linked import LinkedSchema, Reference
from privsynth.schema.linked.keys import MAX_REFERENCES

FAR = 15  # steps back that are told apart; whoever refers farther back is taken to refer to that row (own)
AHEAD = 3  # steps ahead of the last row that is not later (own): a test that was taken before the admission
_STREAM = 2**31  # of the published seed, for rows of other persons; parts of a draw count from 0


@dataclass(frozen=True, repr=False)
class Placed:
    """Where the rows of one table are.

    Attributes:
      share: (n,) int64 what a row and the row that it refers to have in common: their person, or a row above both.
      parent, place: (n,) the row above, and how many rows of the same parent come before.
      time: (n,) float64 when it is, NaN where that is not known; None if rows of both tables have no times to compare.
    """

    share: np.ndarray
    parent: np.ndarray
    place: np.ndarray
    time: np.ndarray | None


class Aim:
    """The rows of another table, or of the same, in line, and the usual one for each row that refers to them.

    Args:
      own, other: the rows that refer, and those that are referred to.
      n_shares: how many different things rows can have in common.
      same: both are the same table, in which only earlier rows are referred to.
    """

    def __init__(self, own: Placed, other: Placed, n_shares: int, *, same: bool) -> None:
        keys = [other.place, other.parent, *([] if other.time is None else [other.time]), other.share]
        self._rows = np.lexsort(keys)
        number = np.bincount(other.share, minlength=n_shares)
        self._start = np.cumsum(number) - number
        self._share = own.share
        self._rank = np.empty(len(self._rows), dtype=np.int64)
        self._rank[self._rows] = np.arange(len(self._rows)) - self._start[other.share[self._rows]]
        self._sign, self.room = 1, number[own.share]
        if same:
            self.room = self._rank
            self._usual = self._rank - 1
        elif own.time is not None and other.time is not None:
            self._usual = _not_later(own, other) - self._start[own.share] - 1
        else:
            self._usual, self._sign = np.zeros(len(own.share), dtype=np.int64), -1

    def steps(self, target: np.ndarray) -> np.ndarray:
        """Return (n,) steps back to the row that each row refers to; those of a row that refers to none mean nothing.

        Args:
          target: (n,) rows of the other table.
        """
        if not len(self._rank):
            return np.zeros(len(target), dtype=np.int64)
        found: np.ndarray = self._sign * (self._usual - self._rank[np.maximum(target, 0)])
        return found

    def target(self, steps: np.ndarray, *, may_be_empty: bool = True) -> np.ndarray:
        """Return (n,) the row that stands so many steps back, or the nearest to it; −1 where there is none.

        Args:
          may_be_empty: where all rows are later, steps back lead to none of them, else to the first. Steps ahead lead
            to a later row in any case, as they do among real rows.
        """
        rank = np.clip(self._usual - self._sign * steps, 0, np.maximum(self.room - 1, 0))
        if not len(self._rows):
            return np.full(len(steps), -1, dtype=np.int64)
        at = np.minimum(self._start[self._share] + rank, len(self._rows) - 1)
        there = (self.room > 0) & ((self._usual >= 0) | (steps < 0) | (not may_be_empty))
        return np.where(there, self._rows[at], -1)


def _not_later(own: Placed, other: Placed) -> np.ndarray:
    """Return (n,) how many rows stand in the line of all before the first that is later; unknown times are latest."""
    assert own.time is not None
    assert other.time is not None
    n = len(other.share)
    asks = np.concatenate([np.zeros(n, dtype=bool), np.ones(len(own.share), dtype=bool)])
    order = np.lexsort([asks, np.concatenate([other.time, own.time]), np.concatenate([other.share, own.share])])
    before = np.cumsum(~asks[order])
    found = np.empty(len(order), dtype=np.int64)
    found[order] = before
    return found[n:]


def rows_above(
    schema: LinkedSchema, name: str, above: str, n_rows: int, parents: Mapping[str, np.ndarray]
) -> np.ndarray:
    """Return (n_rows,) the row of a table above, or of the table itself, that each row belongs to.

    Args:
      parents: table -> the row above each of its rows.
    """
    at = np.arange(n_rows, dtype=np.int64)
    while name != above:
        parent = schema.tables[name].parent
        assert parent is not None
        at, name = parents[name][at], parent.table
    return at


def targets(
    model: LinkedModel, name: str, reference: Reference, drawn: Mapping[str, DrawnTable], *, seed: int
) -> np.ndarray:
    """Return (n,) the drawn row that each row of a table refers to; −1 for none."""
    schema, table = model.schema, drawn[name]
    told = table.rows.columns[reference_column(schema, name, reference)]
    if reference.whose == "another":
        number = list(schema.tables[name].refers_to).index(reference)
        rng = sampling_rng(seed, _STREAM + MAX_REFERENCES * list(schema.tables).index(name) + number)
        found = _of_others(table.person, drawn[reference.table].person, rng, earlier=name == reference.table)
    else:
        aim = _aim(model, name, reference, drawn)
        own = [schema.tables[name].columns.get(column) for column in schema.tables[name].own_columns(reference)]
        may_be_empty = all(column is None or column.nullable for column in own)
        found = aim.target(told.values.astype(np.int64), may_be_empty=may_be_empty)
    return np.where(told.null, -1, found)


def _of_others(person: np.ndarray, others: np.ndarray, rng: np.random.Generator, *, earlier: bool) -> np.ndarray:
    """Return (n,) rows of other persons, each with the same chance; −1 where there are none.

    Args:
      others: persons of the rows that are referred to; those of one stand together.
      earlier: only rows of persons that come before, so that no references go in a circle.
    """
    order = np.argsort(others, kind="stable")
    start = np.searchsorted(others[order], person, side="left")
    end = np.searchsorted(others[order], person, side="right")
    room = start if earlier else len(others) - (end - start)
    at = np.floor(rng.random(len(person)) * room).astype(np.int64)
    at = np.where(at >= start, at + (end - start), at)
    if not len(order):
        return np.full(len(person), -1, dtype=np.int64)
    return np.where(room > 0, order[np.minimum(at, len(order) - 1)], -1)


def _aim(model: LinkedModel, name: str, reference: Reference, drawn: Mapping[str, DrawnTable]) -> Aim:
    schema, parents = model.schema, {table: one.parent for table, one in drawn.items()}
    above = schema.shared(name, reference)
    timed = is_timed_reference(schema, name, reference)
    unit = max(_moment(model, table)[1] for table in (name, reference.table)) if timed else 1.0

    def placed(table: str) -> Placed:
        rows = drawn[table]
        share = rows_above(schema, table, above, rows.n_rows, parents)
        place = np.arange(rows.n_rows)  # rows of one parent stand one after the other
        if not timed:
            return Placed(share, rows.parent, place, None)
        column = rows.rows.columns[schema.tables[table].order or ""]
        time = np.floor(column.values * (_moment(model, table)[0] / unit))
        return Placed(share, rows.parent, place, np.where(column.null, np.nan, time))

    same = name == reference.table
    return Aim(placed(name), placed(reference.table), drawn[above].n_rows, same=same)


def _moment(model: LinkedModel, table: str) -> tuple[float, float]:
    """Return what one drawn value of a table's order column is in numbers or seconds, and its grid step."""
    codec = model.codecs[table].by_name[model.schema.tables[table].order or ""]
    assert isinstance(codec, NumberCodec | TimeCodec)
    return (1.0 if isinstance(codec, TimeCodec) else codec.precision), float(codec.precision)

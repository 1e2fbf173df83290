"""Columns told from the row before: whether a value is the same, or how far it has moved; hidden columns, both.

A mixture of products tells two values apart by their codes alone, and needs a component for each value that persists. A
column that says "as before" persists in one: whoever has it gets the very value of the row before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from privsynth.codecs.columns import CategoryCodec, ColumnCodec, Drawn, NumberCodec, TimeCodec
from privsynth.codecs.decoded_rows import Decoded, DecodedRows
from privsynth.codecs.table import TableCodec
from privsynth.generators.registry import FittedGenerator
from privsynth.sampling.conditional import complete
from privsynth.schema.definition import TIME_KINDS, Column
from privsynth.schema.linked import LinkedSchema

LINES = ("integer", "numeric", *TIME_KINDS)  # kinds whose values have a distance
FOLLOWED = ("categorical", "boolean", *LINES)


def as_before_column(column: str) -> str:
    """Return the name of the column that says whether a value is that of the row before."""
    return f"{column} as before"


def change_column(column: str) -> str:
    """Return the name of the column of steps from the value in the row before."""
    return f"change of {column}"


def has_change(column: Column) -> bool:
    """Return whether steps of a column are known before its rows are read."""
    return column.kind in ("integer", "date") or (column.kind in LINES and column.precision is not None)


def followed_columns(schema: LinkedSchema, name: str) -> list[str]:
    """Return the columns of a table that are told from the row before, too; from public facts.

    Rows have an order, and more than one of a person is used. What follows from other columns of the row is left out.
    """
    declared = schema.tables[name]
    if declared.parent is None or declared.order is None or declared.max_children < 2:
        return []
    rules = schema.of_table(name).parsed_rules()
    made = {rule.computes[0] for rule in rules if rule.computes} | {rule.order[1] for rule in rules if rule.order}
    apart = {*schema.links(name), *declared.key, declared.order, *made}
    return [n for n, one in declared.columns.items() if n not in apart and one.kind in FOLLOWED and one.follows is None]


def hidden_changes(schema: LinkedSchema, name: str) -> dict[str, Column]:
    """Return the hidden columns of a table that are told from the row before, and what is declared of them."""
    found = {}
    for column in followed_columns(schema, name):
        found[as_before_column(column)] = Column(kind="boolean")
        if has_change(schema.tables[name].columns[column]):
            found[change_column(column)] = Column(kind="integer")
    return found


@dataclass(frozen=True)
class Followed:
    """A column of a model that is told from the row before.

    Attributes:
      column: its codec.
      hidden: the codec of the hidden column.
      own, at: the attributes of the one, and the attribute of the other.
    """

    column: ColumnCodec
    hidden: ColumnCodec
    own: list[int]
    at: int

    @property
    def never_null(self) -> bool:
        """Whether the hidden column says something wherever there is a row before."""
        return isinstance(self.hidden, CategoryCodec) or not getattr(self.column, "nullable", True)

    def carry(
        self, known: np.ndarray, before: np.ndarray, previous: DecodedRows, rng: np.random.Generator
    ) -> tuple[Decoded, np.ndarray]:
        """Set the column's codes where they follow from the row before, in place.

        Args:
          known: (attributes, n) codes, with those of the hidden column; −1 where they are to be drawn.
          before, previous: codes and values of the row before.
        Returns:
          The values that follow, null where none does; and (n,) booleans: the column's codes are known.
        """
        old = previous.columns[self.column.name]
        if isinstance(self.hidden, CategoryCodec):
            same = known[self.at] == 1
            for at in self.own:
                known[at] = np.where(same, before[at], known[at])
            return Decoded(old.values, ~same | old.null), same | self._other_of_two(known, before)
        assert isinstance(self.column, NumberCodec | TimeCodec)
        change = self.hidden.decode(known[self.at][None], Drawn({}, {}), rng)
        null = known[self.at] == self.hidden.attributes()[0].size - 1
        moved = ~null & ~old.null
        values = self.column.bounded(old.values.astype(np.int64) + change.values * self.column.step)
        codes = self.column.encode(self.column.parsed(Decoded(values, ~moved)), None)
        lost = null & ~old.null & self.column.nullable
        for at, found in zip(self.own, codes, strict=True):
            known[at] = np.where(moved | lost, found, known[at])
        return Decoded(values, ~moved), moved | lost

    def _other_of_two(self, known: np.ndarray, before: np.ndarray) -> np.ndarray:
        """Set the other value where a column of two values has changed, in place; return (n,) booleans, where."""
        codec = self.column
        if not isinstance(codec, CategoryCodec) or len(codec.drawn_texts) != 2 or codec.nullable:
            return np.zeros(known.shape[1], dtype=bool)
        (at,) = self.own
        other = (known[self.at] == 0) & (before[at] < 2)
        known[at] = np.where(other, 1 - before[at], known[at])
        return other

    def unlike(self, known: np.ndarray, rows: DecodedRows, previous: DecodedRows) -> np.ndarray:
        """Return (n,) booleans: the value is that of the row before, though it should be another."""
        if not isinstance(self.hidden, CategoryCodec):
            return np.zeros(known.shape[1], dtype=bool)
        old, new = previous.columns[self.column.name], rows.columns[self.column.name]
        equal = (old.null & new.null) | (~old.null & ~new.null & (old.values == new.values))
        return (known[self.at] == 0) & equal


class Changes:
    """What the rows of a table's model take over from the row before.

    Args:
      codec: of the table.
      before: attribute -> the one that says what it was in the row before.
    """

    def __init__(self, schema: LinkedSchema, name: str, codec: TableCodec, before: Mapping[int, int]) -> None:
        self._before, self._followed = before, list(_followed_of(schema, name, codec))
        self._nothing = {one.at: codec.attributes[one.at].size - 1 for one in self._followed}

    def leave_out(self, known: np.ndarray) -> None:
        """Say of first rows that there is none before them, in place.

        Args:
          known: (all attributes of the model, n) codes, −1 for those to be drawn.
        """
        for at, nothing in self._nothing.items():
            known[at] = nothing

    def carry(
        self,
        known: np.ndarray,
        before: np.ndarray,
        previous: DecodedRows,
        fitted: FittedGenerator,
        rng: np.random.Generator,
    ) -> dict[str, Decoded]:
        """Draw how rows follow from the row before, and set what that decides, in place.

        Where a value is known, what it was before says nothing more: a mixture has only so many components.

        Args:
          known: as in `leave_out`.
          before, previous: codes and values of the row before.
          fitted: the model.
        Returns:
          Column -> its values, null where they are still to be drawn.
        """
        if not self._followed:
            return {}
        evidence = {one.at: _not_the_last(self._nothing[one.at] + 1) for one in self._followed if one.never_null}
        drawn, values = complete(fitted, known, evidence, rng), {}
        for one in self._followed:
            known[one.at] = drawn[one.at]
            values[one.column.name], told = one.carry(known, before, previous, rng)
            for at in one.own:
                known[self._before[at]] = np.where(told, -1, known[self._before[at]])
        return values

    def unlike(self, known: np.ndarray, rows: DecodedRows, previous: DecodedRows) -> np.ndarray:
        """Return (n,) booleans: a value is as before that should be another."""
        wrong = np.zeros(rows.n_rows, dtype=bool)
        for one in self._followed:
            wrong |= one.unlike(known, rows, previous)
        return wrong


def _not_the_last(size: int) -> np.ndarray:
    return (np.arange(size) < size - 1).astype(np.float64)


def _followed_of(schema: LinkedSchema, name: str, codec: TableCodec) -> Iterator[Followed]:
    for column in followed_columns(schema, name):
        for hidden in (as_before_column(column), change_column(column)):
            if hidden in codec.by_name and column in codec.by_name:
                (at,) = codec.attributes_of(hidden)
                yield Followed(codec.by_name[column], codec.by_name[hidden], codec.attributes_of(column), at)

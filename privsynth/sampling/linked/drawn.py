"""What is drawn of linked tables, step by step, and the rules that hold in it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from privsynth.codecs.decoded_rows import DecodedRows
from privsynth.codecs.table import TableCodec
from privsynth.sampling.linked.model import LinkedModel, count_column
from privsynth.schema.rules import Rule


@dataclass(frozen=True, repr=False)
class DrawnTable:
    """Synthetic rows of one table.

    Attributes:
      rows: values, those of hidden columns too.
      codes: (attributes, n) codes.
      parent: (n,) the row above each, in its own table.
      person: (n,) the person of each.
    """

    rows: DecodedRows
    codes: np.ndarray
    parent: np.ndarray
    person: np.ndarray

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return self.rows.n_rows

    def children(self, child: str) -> np.ndarray:
        """Return (n,) how many rows of a child table each row has."""
        column = self.rows.columns[count_column(child)]
        return np.where(column.null, 0, np.maximum(column.values, 0)).astype(np.int64)


@dataclass(frozen=True, repr=False)
class Step:
    """Rows of one place.

    Attributes:
      parents: (n,) the row above each.
      kind: (1, n) class of the person by the number of rows; (0, n) where there are none.
      place: from 0.
      wanted: (n,) rows that the row above has in all.
      ends: (2, n) values of the order column in the first and the last of them; None without an order.
      before, previous: codes and values of the row before; None at the first place.
    """

    parents: np.ndarray
    kind: np.ndarray
    place: int
    wanted: np.ndarray
    ends: np.ndarray | None
    before: np.ndarray | None
    previous: DecodedRows | None

    def take(self, at: np.ndarray) -> Step:
        """Return some of the rows."""
        return Step(
            self.parents[at],
            self.kind[:, at],
            self.place,
            self.wanted[at],
            None if self.ends is None else self.ends[:, at],
            None if self.before is None else self.before[:, at],
            None if self.previous is None else self.previous.take(at),
        )

    def after(self, codes: np.ndarray, rows: DecodedRows) -> Step:
        """Return the next place, of those that have another row.

        Args:
          codes, rows: what was drawn at this place.
        """
        on = np.flatnonzero(self.wanted > self.place + 1)
        return replace(self.take(on), place=self.place + 1, before=codes[:, on], previous=rows.take(on))


def frame_of_rules(
    model: LinkedModel,
    name: str,
    rows: DecodedRows,
    above: DecodedRows | None,
    previous: DecodedRows | None,
    names: Collection[str],
) -> pd.DataFrame:
    """Return some columns of rows, by the names of rules: with `parent.column` and `previous.column`.

    Args:
      above, previous: the row above each row, and the row before it; None if there is none.
      names: the columns; those of a row that there is not are left out.
    """
    codec, parent = model.codecs[name], model.schema.tables[name].parent
    frame = codec.frame(rows, names=names)
    if above is not None and parent is not None:
        frame = frame.join(_prefixed(model.codecs[parent.table], above, "parent.", names))
    if previous is not None:
        frame = frame.join(_prefixed(codec, previous, "previous.", names))
    return frame


def _prefixed(codec: TableCodec, rows: DecodedRows, prefix: str, names: Collection[str]) -> pd.DataFrame:
    own = {name.removeprefix(prefix) for name in names if name.startswith(prefix)}
    return codec.frame(rows, names=own).add_prefix(prefix)


def rules_held(model: LinkedModel, name: str, drawn: Mapping[str, DrawnTable]) -> list[tuple[str, np.ndarray]]:
    """Return each rule of a table that can be told of its rows, and (n,) booleans: the row keeps it."""
    rules, table = rules_of(model, name), drawn[name]
    parent = model.schema.tables[name].parent
    above = None if parent is None else drawn[parent.table].rows.take(table.parent)
    before = np.maximum(np.arange(table.n_rows) - 1, 0)  # rows of one parent stand one after the other, in order
    first = table.parent != table.parent[before] if table.n_rows else np.zeros(0, dtype=bool)
    first[:1] = True
    names = {column for rule in rules for column in rule.columns}
    frame = frame_of_rules(model, name, table.rows, above, table.rows.take(before), names)
    held = []
    for rule in rules:
        of_previous = any(column.startswith("previous.") for column in rule.columns)
        held.append((rule.text, rule.holds(frame) | (first & of_previous)))
    return held


def is_of_other_row(column: str) -> bool:
    """Return whether a name in a rule is of a column of the row above or of the row before."""
    return column.startswith(("parent.", "previous."))


def rules_of(model: LinkedModel, name: str) -> Sequence[Rule]:
    """Return the rules of a table whose columns are all drawn."""
    schema = model.schema
    codecs = {"": model.models[name].codec, "previous.": model.models[name].codec}
    parent = schema.tables[name].parent
    if parent is not None:
        codecs["parent."] = model.models[parent.table].codec
    names = {prefix + c.name for prefix, codec in codecs.items() for c in codec.codecs if c.family != "invented"}
    rules = schema.rules_schema(name).parsed_rules()
    return [rule for rule in rules if set(rule.columns) <= names]

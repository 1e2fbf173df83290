"""`LinkedModel`: one model a table, each of a row given its person, its parent and the row before it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

import numpy as np

from privsynth.codecs.columns import Attribute, SurrogateCodec
from privsynth.codecs.encoded_table import RowsPerUnit
from privsynth.codecs.table import TableCodec
from privsynth.generators.registry import FittedGenerator
from privsynth.sampling.linked.by_place import FirstRows
from privsynth.sampling.linked.changes import hidden_changes
from privsynth.sampling.origin import Origin
from privsynth.schema.definition import TIME_KINDS
from privsynth.schema.linked import LinkedSchema, Reference
from privsynth.schema.source_format import SourceFormat

# Places among the rows of one parent: the first few are told apart, later ones by classes that double (own).
PLACES = (0, 1, 2, 4, 8, 16, 32, 64)

# Classes of the pace, the steps left a row: none, less than one, then each twice as wide, up to 2^30 steps (own).
PACES = 32

Source = Literal["above", "previous", "place", "pace"]


@dataclass(frozen=True)
class Given:
    """One attribute that is known when a row is drawn.

    Attributes:
      source: from a row above it, from the row before it, its place, or the steps left to the last row, a row.
      table: the table of the row above.
      at: the attribute's number there.
      attribute: what it is.
    """

    source: Source
    table: str
    at: int
    attribute: Attribute


@dataclass(frozen=True)
class TableModel:
    """A model of the rows of one table.

    Attributes:
      codec: codes to columns; `since` and the numbers of children are among them.
      fitted: of the codec's attributes, then those given, then (below the root) the class of the person's rows.
      rows_per_unit: how many rows persons with any have; None where one row of a person is used, as in the root.
      columns: of the written table, in the order of the source.
      keys: the parts of its own key that are surrogates, and what these look like.
      source_format: how the source's table is written.
      weights: of what rules forbid in some rows, in the others (see `kept_shares`); none if no share has to be kept.
    """

    codec: TableCodec
    fitted: FittedGenerator
    rows_per_unit: RowsPerUnit | None
    columns: tuple[str, ...]
    keys: Mapping[str, SurrogateCodec] = field(default_factory=dict)
    source_format: SourceFormat = field(default_factory=SourceFormat)
    weights: tuple[float, ...] = ()

    @property
    def visible(self) -> TableCodec:
        """The codec of the columns that are written, without those that hold keys."""
        return TableCodec(tuple(codec for codec in self.codec.codecs if codec.name in self.columns))


@dataclass(frozen=True)
class LinkedModel:
    """Models of all tables.

    Attributes:
      schema: how they are linked; public.
      models: name of each modelled table -> its model.
      n_persons: the released number of persons.
      dataset: name of the dataset it stands for.
      origin: the promise under which it was released; None outside a release.
    """

    schema: LinkedSchema
    models: Mapping[str, TableModel]
    n_persons: int
    dataset: str = ""
    origin: Origin | None = None

    @cached_property
    def codecs(self) -> dict[str, TableCodec]:
        """Name -> codec of each modelled table."""
        return {name: model.codec for name, model in self.models.items()}


def since_column(order: str) -> str:
    """Return the name of the column of steps since the row before."""
    return f"{order} since the last one"


def count_column(child: str) -> str:
    """Return the name of the column of a row's number of children."""
    return f"number of {child}"


def first_column(child: str, order: str) -> str:
    """Return the name of the column that says when the first of a row's children is."""
    return f"first {order} of {child}"


def span_column(child: str, order: str) -> str:
    """Return the name of the column of steps from the first of a row's children to the last."""
    return f"{order} of {child}, first to last"


def is_relative(schema: LinkedSchema, child: str) -> bool:
    """Return whether the first of a row's children is told from when the row itself is, in steps of the child."""
    table = schema.tables[child]
    if table.parent is None or table.order is None:
        return False
    above = schema.tables[table.parent.table]
    if above.order is None:
        return False
    kinds = table.columns[table.order].kind, above.columns[above.order].kind
    return (kinds[0] in TIME_KINDS) == (kinds[1] in TIME_KINDS)


def reference_column(schema: LinkedSchema, name: str, reference: Reference) -> str:
    """Return the name of the column that says which row a row refers to, or whether it refers to another person's."""
    own = ", ".join(schema.tables[name].own_columns(reference))
    return f"rows back to {own}" if reference.whose == "own" else f"{own} is given"


def is_timed_reference(schema: LinkedSchema, name: str, reference: Reference) -> bool:
    """Return whether the row that is referred to is told from when both rows are: another table's, in time."""
    own, other = schema.tables[name], schema.tables[reference.table]
    if name == reference.table or own.order is None or other.order is None:
        return False
    kinds = own.columns[own.order].kind, other.columns[other.order].kind
    return (kinds[0] in TIME_KINDS) == (kinds[1] in TIME_KINDS)


def timing_columns(schema: LinkedSchema, name: str) -> tuple[str, ...]:
    """Return the columns that say how many rows there are and when, which are modelled and not written."""
    found: list[str] = []
    for child in schema.children(name):
        found.append(count_column(child))
        if (order := schema.tables[child].order) is not None:
            found += [first_column(child, order), span_column(child, order)]
    if (order := schema.tables[name].order) is not None:
        found.append(since_column(order))
    return tuple(found)


def hidden_columns(schema: LinkedSchema, name: str) -> tuple[str, ...]:
    """Return the columns that are modelled with a table, and not written."""
    references = [reference_column(schema, name, one) for one in schema.tables[name].refers_to]
    return (*timing_columns(schema, name), *references, *hidden_changes(schema, name))


def given_attributes(schema: LinkedSchema, name: str, codecs: Mapping[str, TableCodec]) -> list[Given]:
    """Return what is known when a row of a table is drawn, in the order of the model's attributes."""
    found: list[Given] = []
    if schema.tables[name].parent is None:
        return found
    for above in schema.ancestors(name):
        found += [Given("above", above, at, one) for at, one in _told(schema, name, above, codecs[above])]
    for at, one in _lasting(schema, name, codecs[name]):
        found.append(Given("previous", name, at, replace(one, name=f"{one.name} before", can_be_null=True)))
    found.append(Given("place", name, 0, Attribute("place", len(PLACES) + 1, can_be_null=False, ordered=True)))
    if schema.tables[name].order is not None:
        found.append(Given("pace", name, 0, Attribute("pace", PACES + 1, can_be_null=True, ordered=True)))
    return found


def first_rows(
    schema: LinkedSchema, name: str, codec: TableCodec, given: list[Given], sizes: Sequence[int]
) -> FirstRows:
    """Return what a model of first rows has: what says nothing of the row before.

    Args:
      sizes: of all attributes of the model: the table's own, those given, and the class of the person's rows.
    """
    order, own = schema.tables[name].order, len(codec.attributes)
    relative = [*hidden_changes(schema, name), *([] if order is None else [since_column(order)])]
    later = {at for column in relative for at in codec.attributes_of(column)}
    later |= {own + i for i, one in enumerate(given) if one.source != "above"}
    place = next(own + i for i, one in enumerate(given) if one.source == "place")
    return FirstRows(tuple(sizes), tuple(at for at in range(len(sizes)) if at not in later), place)


def _lasting(schema: LinkedSchema, name: str, codec: TableCodec) -> Iterator[tuple[int, Attribute]]:
    """Yield what a row tells other rows: all but how it follows from the row before."""
    skipped = {at for column in hidden_changes(schema, name) for at in codec.attributes_of(column)}
    for at, one in enumerate(codec.attributes):
        if at not in skipped:
            yield at, one


def _told(schema: LinkedSchema, name: str, above: str, codec: TableCodec) -> Iterator[tuple[int, Attribute]]:
    """Yield what a row above tells; how many rows this table has for it is told by the class of the person's rows."""
    own = count_column(name)
    skipped = set(codec.attributes_of(own)) if own in codec.by_name and above == schema.root else set()
    for at, one in _lasting(schema, above, codec):
        if at not in skipped:
            yield at, replace(one, name=f"{above}.{one.name}")


def codes_above(
    schema: LinkedSchema,
    name: str,
    at: np.ndarray,
    codes: Mapping[str, np.ndarray],
    parents: Mapping[str, np.ndarray],
) -> dict[str, np.ndarray]:
    """Return table -> (attributes, n) codes of the row that is above each of some rows, however far above.

    Args:
      at: (n,) the rows' rows in the parent table.
      codes: table -> codes of all its rows.
      parents: table -> the row above each of its rows.
    """
    found = {}
    for table in reversed(schema.ancestors(name)):
        found[table] = codes[table][:, at]
        at = np.maximum(parents[table][at], 0)
    return found


def place_codes(place: np.ndarray) -> np.ndarray:
    """Return (n,) codes of places that count from 0."""
    codes: np.ndarray = np.searchsorted(PLACES, place, side="right") - 1
    return codes


def pace_codes(left: np.ndarray, remaining: np.ndarray, null: np.ndarray) -> np.ndarray:
    """Return (n,) codes of the steps that are left to the last row, for each row that remains.

    Args:
      left: (n,) steps from the row before to the last row.
      remaining: (n,) rows from this one on, itself included.
      null: (n,) booleans: there is no row before.
    """
    pace = np.maximum(left, 0) / np.maximum(remaining, 1)
    codes = np.where(pace < 1, 1, 2 + np.floor(np.log2(np.maximum(pace, 1.0)))).astype(np.int64)
    codes = np.where(pace == 0, 0, np.minimum(codes, PACES - 1))
    found: np.ndarray = np.where(null, PACES, codes)
    return found


@dataclass(frozen=True, repr=False)
class Known:
    """What is known of rows before they are drawn.

    Attributes:
      above: table -> (attributes, n) codes of each row's row above.
      previous: (attributes, n) codes of the row before, −1 where there is none; None if no row has one.
      place: (n,) places from 0.
      pace: (n,) codes of the pace; None where rows have no order.
    """

    above: Mapping[str, np.ndarray]
    previous: np.ndarray | None
    place: np.ndarray
    pace: np.ndarray | None

    def codes(self, given: list[Given]) -> np.ndarray:
        """Return (given, n) int32 codes."""
        out = np.empty((len(given), len(self.place)), dtype=np.int32)
        for i, one in enumerate(given):
            nothing = one.attribute.size - 1
            if one.source == "above":
                out[i] = self.above[one.table][one.at]
            elif one.source == "place":
                out[i] = place_codes(self.place)
            elif one.source == "pace":
                out[i] = nothing if self.pace is None else self.pace
            elif self.previous is None:
                out[i] = nothing
            else:
                out[i] = np.where(self.previous[one.at] < 0, nothing, self.previous[one.at])
        return out

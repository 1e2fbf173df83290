"""A table as it is modelled: without keys, with the number of each row's children, and when they are. Private rows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from privsynth.codecs.column_facts import CENT, MINUTE, ColumnFacts, declared_facts
from privsynth.codecs.parse import GRID_LIMIT, Grid, as_numbers, as_times
from privsynth.domain.linking import LinkedRows, ends_of_children, number_of_children
from privsynth.errors import SchemaError
from privsynth.pipeline.linked.changes import changes_of
from privsynth.sampling.linked.changes import hidden_changes
from privsynth.sampling.linked.model import (
    count_column,
    first_column,
    hidden_columns,
    is_relative,
    is_timed_reference,
    reference_column,
    since_column,
    span_column,
)
from privsynth.sampling.linked.references import AHEAD, FAR, Aim, Placed, rows_above
from privsynth.schema.definition import TIME_KINDS, Column, Schema
from privsynth.schema.linked import LinkedSchema, Reference
from privsynth.table import Table


def table_schema(linked: LinkedSchema, name: str) -> Schema:
    """Return the schema of a table as it is modelled, with its hidden columns.

    A rule by which the order column follows from others only holds when rows are drawn: the order is known before them.
    """
    own, declared = linked.of_table(name), linked.tables[name]
    keys = linked.surrogates(name)
    columns = {n: c for n, c in own.columns.items() if n not in keys}
    for child in linked.children(name):
        below = linked.tables[child]
        columns[count_column(child)] = Column(kind="integer", minimum=0, nullable=False)
        if below.order is not None:
            columns[first_column(child, below.order)] = _first_of_children(linked, child, below.order)
            columns[span_column(child, below.order)] = Column(kind="integer", minimum=0)
    if declared.order is not None:
        columns[declared.order] = _order_column(linked, name, declared.order)
        columns[since_column(declared.order)] = Column(kind="integer", minimum=0)
    for reference in declared.refers_to:
        ahead = AHEAD if is_timed_reference(linked, name, reference) else 0
        far = FAR if reference.whose == "own" else 0
        columns[reference_column(linked, name, reference)] = Column(kind="integer", minimum=-ahead, maximum=far)
    columns |= hidden_changes(linked, name)
    rules = [rule for rule in own.parsed_rules() if not (rule.order and rule.order[1] == declared.order)]
    return Schema(columns=columns, rules=tuple(rule.text for rule in rules))


def _first_of_children(linked: LinkedSchema, child: str, order: str) -> Column:
    if is_relative(linked, child):
        return Column(kind="integer")
    column = _order_column(linked, child, order)
    return Column(kind=column.kind, minimum=column.minimum, maximum=column.maximum, precision=column.precision)


def view_types(linked: LinkedSchema, name: str, physical: Mapping[str, pa.DataType]) -> dict[str, pa.DataType]:
    """Return column -> Arrow type of a table as it is modelled; a function of its header.

    Args:
      physical: the header's columns -> Arrow type.
    Raises:
      SchemaError: a column has a name that is needed for what is modelled beside the header's columns.
    """
    links = set(linked.links(name))
    for column in hidden_columns(linked, name):
        if column in physical:
            raise SchemaError(f"'{name}' has a column '{column}', a name that is needed beside its columns; rename it")
    found = {column: kind for column, kind in physical.items() if column not in links}
    found |= dict.fromkeys(hidden_columns(linked, name), pa.int64())
    found |= {c: pa.bool_() for c, one in hidden_changes(linked, name).items() if one.kind == "boolean"}
    for child in linked.children(name):
        if (order := linked.tables[child].order) is not None:
            found[first_column(child, order)] = _type_of_first(linked, child, order)
    return found


def _type_of_first(linked: LinkedSchema, child: str, order: str) -> pa.DataType:
    if is_relative(linked, child):
        return pa.int64()
    kinds = {"date": pa.date32(), "datetime": pa.timestamp("s"), "numeric": pa.float64()}
    return kinds.get(linked.tables[child].columns[order].kind or "", pa.int64())


def view_of(linked: LinkedSchema, name: str, table: Table, rows: Mapping[str, LinkedRows]) -> Table:
    """Return a table's linked rows as they are modelled.

    Args:
      table: its linked rows.
      rows: how the rows of all tables belong together.
    """
    links, found = set(linked.links(name)), {}
    for child in linked.children(name):
        below = rows[child]
        found[count_column(child)] = pa.array(number_of_children(below.parent, table.n_rows))
        order = linked.tables[child].order
        if order is not None and below.order is not None:
            first, last = ends_of_children(below.parent, below.order, table.n_rows)
            found[first_column(child, order)] = _first(linked, child, first, rows[name].order)
            found[span_column(child, order)] = pa.array(last.steps - first.steps, mask=first.null)
    own = rows[name]
    if (order := linked.tables[name].order) is not None and own.since is not None:
        found[since_column(order)] = pa.array(own.since.steps, mask=own.since.null)
    for reference, target in zip(linked.tables[name].refers_to, own.refers, strict=True):
        back = _steps_back(linked, name, reference, target, rows)
        found[reference_column(linked, name, reference)] = pa.array(back.steps, mask=back.null)
    found |= changes_of(linked, name, table, own.previous)
    data = table.data.select([column for column in table.names if column not in links])
    for column, values in found.items():
        data = data.append_column(column, pa.chunked_array([values]))
    return Table(data)


def _steps_back(
    linked: LinkedSchema, name: str, reference: Reference, target: np.ndarray, rows: Mapping[str, LinkedRows]
) -> Grid:
    """Return (n,) steps back to the rows that are referred to (see `privsynth.sampling.linked.references`).

    A reference of a table to itself that leads to no earlier row is none.

    Args:
      target: (n,) linked rows of the other table, −1 for none.
    """
    if reference.whose == "another":
        return Grid(np.zeros(len(target), dtype=np.int64), target < 0)
    above, timed = linked.shared(name, reference), is_timed_reference(linked, name, reference)
    parents = {table: one.parent for table, one in rows.items()}
    tables = (name, reference.table)
    unit = max(_facts_of_order(linked, table).precision for table in tables) if timed else 1.0

    def placed(table: str) -> Placed:
        one, time = rows[table], None
        share = rows_above(linked, table, above, len(one.row), parents)
        if timed and one.order is not None:
            time = np.floor(one.order.steps * (_facts_of_order(linked, table).precision / unit))
            time = np.where(one.order.null, np.nan, time)
        return Placed(share, one.parent, one.place, time)

    own, other = placed(name), placed(reference.table)
    steps = Aim(own, other, len(rows[above].row), same=name == reference.table).steps(target)
    null = target < 0
    if len(other.share):
        null = null | (other.share[np.maximum(target, 0)] != own.share)
    if name == reference.table:
        null = null | (steps < 0)
    return Grid(np.where(null, 0, np.clip(steps, -AHEAD if timed else 0, FAR)), null)


def _first(linked: LinkedSchema, child: str, first: Grid, own: Grid | None) -> pa.Array:
    """Return when the first of each row's children is: from the row itself, if it has an order, else by itself."""
    order, parent = linked.tables[child].order, linked.tables[child].parent
    assert order is not None
    assert parent is not None
    facts = _facts_of_order(linked, child)
    if is_relative(linked, child) and own is not None:
        above = _facts_of_order(linked, parent.table)
        null = first.null | own.null
        of_row = np.floor(own.steps * (above.precision / facts.precision))
        steps = first.steps - np.clip(of_row, -GRID_LIMIT, GRID_LIMIT).astype(np.int64)
        return pa.array(np.where(null, 0, steps), mask=null)
    kind = _type_of_first(linked, child, order)
    if facts.kind == "date":
        return pa.array(first.steps.astype(np.int32), pa.int32(), mask=first.null).cast(kind)
    if facts.kind == "datetime":
        return pa.array(first.steps * int(facts.precision), pa.int64(), mask=first.null).cast(kind)
    values = first.steps if facts.kind == "integer" else first.steps * facts.precision
    return pa.array(values, kind, mask=first.null)


def _order_column(linked: LinkedSchema, name: str, order: str) -> Column:
    """Return what is declared of an order column, with its grid: rows are put in order before anything is bought."""
    column = linked.tables[name].columns[order]
    grid = {"numeric": CENT, "datetime": MINUTE}.get(column.kind or "")
    if grid is None or column.precision is not None:
        return column
    return column.model_copy(update={"precision": grid})


def _facts_of_order(linked: LinkedSchema, name: str) -> ColumnFacts:
    order = linked.tables[name].order
    assert order is not None
    kind = pa.timestamp("s") if linked.tables[name].columns[order].kind in TIME_KINDS else pa.float64()
    return declared_facts(_order_column(linked, name, order), kind)


def order_values(table: Table, linked: LinkedSchema, name: str) -> Grid | None:
    """Return the values by which the rows of a table are ordered, cell by cell; None if they have no order. Private.

    Rows without an order that their key numbers stand by that number.
    """
    order, number = linked.tables[name].order, linked.number_part(name)
    if order is None:
        return None if number is None else as_numbers(table.column(number), precision=1.0)
    column, facts = table.column(order), _facts_of_order(linked, name)
    if facts.kind in ("numeric", "integer"):
        return as_numbers(column, precision=facts.precision, decimal=facts.decimal)
    return as_times(column, precision=facts.precision, format=facts.format)

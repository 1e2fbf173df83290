"""What the types of a source state of its columns, and how they complete a schema. Public, as a header is.

A Parquet file, a database's catalogue or a data frame's dtypes say that a column holds booleans, or that a value is
never missing, before there is any row. What a person declares goes first; what types state is then declared, too; and
only the rest is bought. Statistics that a container keeps of its rows (least and greatest values, counts, categories
in use) are no types, and are never read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from privsynth.schema.definition import Column, Schema

# Wide enough for every event that a person now alive, or one of the last century, can have, and for what is planned
# (own). No record lies later than next year, so that the clock of the machine says the rest.
THIS_YEAR = datetime.now(UTC).year
FIRST_DATE, LAST_DATE = "1900-01-01", f"{THIS_YEAR + 1}-12-31"
# Which kinds the cells can have where a type leaves more than one: whole numbers may be a measure or a code, numbers
# may be whole, times may be dates. None of them can be a text.
Family = Literal["integer", "number", "time"]


@dataclass(frozen=True, kw_only=True)
class StatedTypes:
    """What the types of a source state.

    Attributes:
      columns: column -> what is certain, in the words of a schema; absent where nothing is.
      families: column -> what kinds are possible, where the kind itself is left open.
    """

    columns: Mapping[str, Column] = field(default_factory=dict)
    families: Mapping[str, Family] = field(default_factory=dict)

    def complete(self, schema: Schema, names: Iterable[str]) -> tuple[Schema, frozenset[str]]:
        """Return the schema with what types state where it is silent, and the columns whose kind they state.

        Args:
          names: the header; a schema lists only what is known.
        """
        columns = {name: _completed(schema.column(name), self.columns.get(name, Column())) for name in names}
        typed = frozenset(name for name, column in columns.items() if column.kind != schema.column(name).kind)
        said = {name: column for name, column in columns.items() if name in schema.columns or column != Column()}
        missing = {name: column for name, column in schema.columns.items() if name not in columns}
        if {**said, **missing} == schema.columns:
            return schema, frozenset()
        # In the order of the schema, which reports and lists of roles follow, then in that of the table.
        order = [*schema.columns, *(name for name in said if name not in schema.columns)]
        return schema.model_copy(update={"columns": {name: {**said, **missing}[name] for name in order}}), typed


def _completed(declared: Column, stated: Column) -> Column:
    """Return what is declared of a column, and beyond that what its type states and does not contradict it."""
    found: dict[str, Any] = {}
    if declared.kind is None and declared.categories is None:
        keys = ("kind", "categories", "precision", "minimum", "maximum", "hierarchy", "format")
        found = {key: getattr(stated, key) for key in keys}
        found["roles"] = declared.roles or stated.roles
    elif declared.kind == stated.kind:
        if declared.format is None:
            found["format"] = stated.format
        if declared.precision is None:
            found["precision"] = stated.precision
        if declared.categories is None:
            found["categories"] = stated.categories
        if declared.hierarchy is None:
            found["hierarchy"] = stated.hierarchy
    if "nullable" not in declared.model_fields_set:
        found["nullable"] = stated.nullable
    told = {key: value for key, value in found.items() if value != getattr(declared, key) and value is not None}
    return declared.model_copy(update=told) if told else declared

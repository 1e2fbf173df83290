"""Keys of linked tables: which columns hold them, and what becomes of each part of a key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from privsynth.schema.definition import IDENTIFIER_KINDS, Column

MAX_REFERENCES = 50  # of a table (own): more than a fact table of a warehouse has
MAX_PARTS = 8  # columns of one key (own): SAP's longest usual ones have five or six

# What a part of a key is written as: the row above's part, the row's number under its parent, a fresh surrogate, or a
# column that is modelled like others.
PartKind = Literal["above", "number", "surrogate", "column"]


def _as_tuple(value: Any) -> Any:
    return () if value is None else (value,) if isinstance(value, str) else value


def _one_or_list(value: tuple[str, ...]) -> str | list[str]:
    return value[0] if len(value) == 1 else list(value)


KeyColumns = Annotated[
    tuple[str, ...], BeforeValidator(_as_tuple), PlainSerializer(_one_or_list), Field(max_length=MAX_PARTS)
]


class Pointer(BaseModel):
    """Columns of a table that hold the key of a row of another table, or of the same.

    Attributes:
      table: whose key it is.
      columns: those of this table, in the order of that table's key; `column` where it is one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    table: str
    columns: Annotated[tuple[str, ...], BeforeValidator(_as_tuple), Field(min_length=1, max_length=MAX_PARTS)]

    @model_validator(mode="before")
    @classmethod
    def _one_column(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and "column" in data and "columns" not in data:
            return {("columns" if name == "column" else name): value for name, value in data.items()}
        return data

    @model_serializer(mode="wrap")
    def _written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        data: dict[str, Any] = handler(self)
        if len(self.columns) > 1:
            return data
        return {("column" if name == "columns" else name): (value[0] if name == "columns" else value)
                for name, value in data.items()}  # fmt: skip


class Parent(Pointer):
    """Which table a table's rows belong to, and the columns of this table that hold the parent's key."""


class Reference(Pointer):
    """A further row that a row may refer to, beside the row above it.

    Attributes:
      whose: "own": a row of the same person, of another table or an earlier one of the same; anything else counts as no
        reference. "another": a row of another person, of which nothing is learned but whether there is one.
    """

    whose: Literal["own", "another"] = "own"


def part_kinds(key: tuple[str, ...], parent: Parent | None, columns: Mapping[str, Column]) -> dict[str, PartKind]:
    """Return column -> what it is written as, for each part of a table's key.

    Raises:
      ValueError: rows of a release could not be told apart by the key.
    """
    if len(set(key)) < len(key):
        raise ValueError(f"the key names the column '{_twice(key)}' twice")
    above = () if parent is None else parent.columns
    if key and set(key) <= set(above):
        raise ValueError(f"'{key[0]}' holds the parent's key, and can be neither key nor order")
    if len(key) == 1:
        return {key[0]: "surrogate"}
    found: dict[str, PartKind] = {}
    for part in key:
        kind = columns.get(part, Column()).kind
        if part in above:
            found[part] = "above"
        elif kind is None or kind in IDENTIFIER_KINDS:
            found[part] = "surrogate"
        elif kind == "integer" and parent is not None:
            found[part] = "number"
        elif kind == "categorical":
            found[part] = "column"
        else:
            raise ValueError(
                f"'{part}' is a part of a key and of kind {kind}; a part is an id, a categorical, or below a parent an "
                "integer, which numbers its rows. Leave out a key that no table refers to"
            )
    numbers = [part for part, kind in found.items() if kind == "number"]
    if len(numbers) > 1:
        raise ValueError(f"the key numbers rows by '{numbers[0]}' and by '{numbers[1]}'; declare one as categorical")
    if key and "surrogate" not in found.values() and not (numbers and set(above) <= set(key)):
        raise ValueError(
            "a key of several columns needs one that differs from row to row: an id, or the parent's whole key and an "
            "integer that numbers its rows. Leave out a key that no table refers to"
        )
    return found


def _twice(names: tuple[str, ...]) -> str:
    return next(name for at, name in enumerate(names) if name in names[:at])

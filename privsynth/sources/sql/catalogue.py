"""What a database's catalogue states of a table: kinds, nullability, keys, enumerations, check constraints.

Only definitions are read, which somebody wrote before there were rows. The statistics that a server keeps for its
planner (`pg_stats`, `sqlite_stat1`) come of rows and are never asked for.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from privsynth.schema.definition import NUMERIC_KINDS, Column
from privsynth.schema.source_format import SourceFormat
from privsynth.schema.stated_types import Family, StatedTypes
from privsynth.sources.arrow_types import decimal_column

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.engine import Inspector

MAX_CHECK = 20_000  # characters of a check constraint that is read (own): lists of some thousand values
UTC = "UTC"  # of SQL's `timestamp with time zone`, which keeps an instant and no zone

# Object identifiers of PostgreSQL (pg_type.dat), by which the columns of a query are typed.
_OIDS = {
    16: "BOOLEAN", 20: "BIGINT", 21: "SMALLINT", 23: "INTEGER", 700: "REAL", 701: "DOUBLE", 1082: "DATE",
    1114: "TIMESTAMP", 1184: "TIMESTAMPTZ", 1700: "NUMERIC", 2950: "UUID",
}  # fmt: skip
_WIDTHS = {"SMALLINT": "int16", "INTEGER": "int32", "BIGINT": "int64"}
MAX_DIGITS = 38  # of Arrow's decimals of 128 bits
_VALUE = r"(?:'(?:[^']|'')*'|[-+]?\d+)"
_TEXT = rf"{_VALUE}(?:::[a-z ]+)?"  # PostgreSQL adds the type of each
_LIST = rf"\s*{_TEXT}\s*(?:,\s*{_TEXT}\s*)*"
_COLUMN = r'\(*"?(?P<column>[^\s"()`]+)"?\)*(?:::[a-z ]+)?'
# The same list as it is written, in SQLite, and as PostgreSQL gives it back.
_IN = re.compile(rf"{_COLUMN} IN \((?P<list>{_LIST})\)\)*", re.IGNORECASE)
_ANY = re.compile(rf"{_COLUMN} = ANY \(\(*ARRAY\[(?P<list>{_LIST})\]\)*(?:::[a-z \[\]]+)?\)*", re.IGNORECASE)
_NUMBER = r"\(*'?(?P<number>[-+]?\d+(?:\.\d+)?)'?\)*(?:::[a-z ]+)?"
_BOUND = re.compile(rf"{_COLUMN} (?P<sign>>=|<=) {_NUMBER}\)*", re.IGNORECASE)
_BETWEEN = re.compile(
    rf"{_COLUMN} BETWEEN (?P<low>[-+]?\d+(?:\.\d+)?) AND (?P<high>[-+]?\d+(?:\.\d+)?)\)*", re.IGNORECASE
)


@dataclass(frozen=True, kw_only=True)
class Stated:
    """What a catalogue states: of the columns, and of how they are written."""

    types: StatedTypes
    format: SourceFormat


@dataclass(frozen=True, kw_only=True)
class _Definition:
    """The type of one column in plain words, where it has a width also as Arrow calls it, and what the table says."""

    type: str
    arrow: str = ""
    scale: int | None = None
    enum: tuple[str, ...] | None = None
    nullable: bool = True
    is_key: bool = False
    refers: bool = False


def of_query(description: Iterable[Any], backend: str) -> Stated:
    """Return what the result of a query states: types alone, and only where they are those of PostgreSQL.

    Args:
      description: of the cursor (DB-API 2.0).
    """
    found = {str(item[0]): _OIDS.get(item[1]) for item in description} if backend == "postgresql" else {}
    typed = {name: _Definition(type=kind, arrow=_WIDTHS.get(kind, "")) for name, kind in found.items() if kind}
    return _stated(typed, {}, strict=True)


def of_table(connection: Connection, table: str) -> Stated:
    """Return what the catalogue states of a table or a view; nothing, where it cannot be read.

    Guarantee: reads definitions only; a function of no row.
    """
    from sqlalchemy import exc, inspect

    schema, _, name = table.rpartition(".")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", exc.SAWarning)  # of types that SQLAlchemy does not know: they state nothing
            catalogue = inspect(connection)
            definitions = _definitions(catalogue, name, schema or None)
            checks = _checks(catalogue, name, schema or None)
    except (exc.SQLAlchemyError, NotImplementedError):
        definitions, checks = {}, {}
    # A type of SQLite is advice: a column of integers may hold texts.
    return _stated(definitions, checks, strict=connection.dialect.name != "sqlite")


def _definitions(catalogue: Inspector, name: str, schema: str | None) -> dict[str, _Definition]:
    key = catalogue.get_pk_constraint(name, schema).get("constrained_columns") or []
    refers = {
        column
        for constraint in catalogue.get_foreign_keys(name, schema)
        if len(constraint["constrained_columns"]) == 1
        for column in constraint["constrained_columns"]
    }
    return {
        str(column["name"]): _definition(
            column["type"],
            nullable=bool(column.get("nullable", True)) and column["name"] not in key,
            is_key=key == [column["name"]],
            refers=column["name"] in refers,
        )
        for column in catalogue.get_columns(name, schema)
    }


def _definition(kind: Any, **stated: Any) -> _Definition:
    from sqlalchemy import types
    from sqlalchemy.dialects import mssql, mysql

    names = (
        (types.Enum, "ENUM"), (types.Boolean, "BOOLEAN"), (types.Uuid, "UUID"), (types.Date, "DATE"),
        (types.Integer, "INTEGER"), (types.Float, "DOUBLE"), (types.Numeric, "NUMERIC"),
    )  # fmt: skip
    if isinstance(kind, types.Enum):
        return _Definition(type="ENUM", enum=tuple(kind.enums), **stated)
    if isinstance(kind, types.DateTime):
        zoned = kind.timezone or type(kind) in (mysql.TIMESTAMP, mssql.DATETIMEOFFSET)
        return _Definition(type="TIMESTAMPTZ" if zoned else "TIMESTAMP", **stated)
    scale = kind.scale if isinstance(kind, types.Numeric) and not isinstance(kind, types.Float) else None
    word = next((word for of, word in names if isinstance(kind, of)), "")
    return _Definition(type=word, arrow=_arrow(kind, word, scale), scale=scale, **stated)


def _arrow(kind: Any, word: str, scale: int | None) -> str:
    """Return the name of the Arrow type as wide as one of a database; "" where that need not be told."""
    from sqlalchemy import types

    if word == "NUMERIC" and scale is not None and 0 <= scale <= (kind.precision or 0) <= MAX_DIGITS:
        return f"decimal128({kind.precision}, {scale})"
    if word != "INTEGER":
        return ""
    width = next((n for n, of in ((16, types.SmallInteger), (64, types.BigInteger)) if isinstance(kind, of)), 32)
    # MySQL's unsigned numbers go twice as far.
    return f"int{min(64, 2 * width if getattr(kind, 'unsigned', False) else width)}"


def _checks(catalogue: Inspector, name: str, schema: str | None) -> dict[str, dict[str, Any]]:
    """Return column -> what check constraints that are simple say of it: `categories`, `minimum`, `maximum`."""
    try:
        constraints = catalogue.get_check_constraints(name, schema)
    except NotImplementedError:
        return {}
    found: dict[str, dict[str, Any]] = {}
    for constraint in constraints:
        for column, said in _said(str(constraint["sqltext"])):
            found.setdefault(column, {}).update(said)
    return found


def _said(text: str) -> list[tuple[str, dict[str, Any]]]:
    """Return what one check constraint says, where it is a list of values, or bounds joined by AND; else nothing."""
    text = " ".join(text.split())
    if len(text) > MAX_CHECK:
        return []
    if found := _IN.fullmatch(text) or _ANY.fullmatch(text):
        values = [_plain(value) for value in re.findall(_VALUE, found["list"])]
        return [(found["column"], {"categories": tuple(dict.fromkeys(values))})]
    if found := _BETWEEN.fullmatch(text):
        return [(found["column"], {"minimum": float(found["low"]), "maximum": float(found["high"])})]
    said = []
    for part in re.split(r" AND ", text, flags=re.IGNORECASE):
        found = _BOUND.fullmatch(part.strip())
        if found is None:
            return []
        bound = "minimum" if found["sign"] == ">=" else "maximum"
        said.append((found["column"], {bound: float(found["number"])}))
    return said


def _plain(value: str) -> str:
    return value[1:-1].replace("''", "'") if value.startswith("'") else value.removeprefix("+")


def _stated(definitions: Mapping[str, _Definition], checks: Mapping[str, dict[str, Any]], *, strict: bool) -> Stated:
    columns: dict[str, Column] = {}
    families: dict[str, Family] = {}
    for name, definition in definitions.items():
        column, family = _column(definition, checks.get(name, {}), strict=strict)
        if family is not None:
            families[name] = family
        if column != Column():
            columns[name] = column
    return Stated(
        types=StatedTypes(columns=columns, families=families),
        format=SourceFormat(
            whole_numbers=tuple(n for n, d in definitions.items() if strict and d.type.endswith(("INTEGER", "INT"))),
            time_zones={n: UTC for n, d in definitions.items() if strict and d.type == "TIMESTAMPTZ"},
            types={n: d.arrow for n, d in definitions.items() if strict and d.arrow},
        ),
    )


def _column(definition: _Definition, said: dict[str, Any], *, strict: bool) -> tuple[Column, Family | None]:
    """Return what one column's definition states.

    A key names something: it is no measure, though it be a number. An empty text is missing, so that NOT NULL says
    nothing of texts.
    """
    never: dict[str, Any] = {} if definition.nullable else {"nullable": False}
    if definition.is_key or (definition.type == "UUID" and not definition.refers):
        look = "{uuid}" if definition.type == "UUID" else None
        return Column(kind="id", roles=("identifier",), format=look, **never), None
    if definition.type == "BOOLEAN":
        return Column(kind="boolean", **never), None
    categories = definition.enum or said.get("categories")
    if categories is not None:
        named = tuple(value for value in categories if value.strip())
        never = never if len(named) == len(categories) else {}
        return (Column(kind="categorical", categories=named, **never) if named else Column()), None
    if definition.refers and definition.type not in ("DATE", "TIMESTAMP", "TIMESTAMPTZ"):
        return Column(kind="categorical"), None
    if not strict or not definition.type:
        return Column(), None
    column, family = _measure(definition, said)
    return column.model_copy(update=never), family


def _measure(definition: _Definition, said: dict[str, Any]) -> tuple[Column, Family | None]:
    """Return what the type of a number or a time states."""
    if definition.type == "DATE":
        return Column(kind="date"), None
    if definition.type == "TIMESTAMPTZ":
        return Column(kind="datetime"), None
    if definition.type == "TIMESTAMP":
        return Column(), "time"
    bounds = said if said.get("minimum", -math.inf) <= said.get("maximum", math.inf) else {}
    if definition.type == "NUMERIC" and definition.scale is not None:
        column, family = decimal_column(definition.scale)
    elif definition.type in ("NUMERIC", "DOUBLE", "REAL"):
        column, family = Column(kind="numeric"), None
    else:
        # Whole numbers that somebody wrote bounds for are a measure; of others, codes are written as well.
        column, family = (Column(kind="integer"), None) if bounds else (Column(), "integer")
    return (column.model_copy(update=bounds) if column.kind in NUMERIC_KINDS else column), family

"""How tables are defined in a database: types, keys, what is never missing, and comments that say what they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql

from privsynth.errors import OutputError
from privsynth.release.label import SYNTHETIC
from privsynth.release.tables import WrittenTable

MAX_NAME = 63  # bytes of a name in PostgreSQL, which cuts a longer one; MySQL has 64 characters
KEY_CHARS = 255  # of a key that is a text in MySQL (own), which indexes no text without a length: a format has 128
MAX_COMMENT = 1_024  # characters of a comment (own); MySQL has 2,048 a table
LABEL_TABLE = "_label"  # in SQLite, which has no comments; a release's folder has `_label.json`


def comment_of(facts: Mapping[str, str]) -> str:
    """Return what a comment says of synthetic rows."""
    rest = "; ".join(f"{name}={value}" for name, value in facts.items() if name not in ("label", "dataset"))
    return f"{SYNTHETIC} rows of {facts['dataset']}: {rest}"[:MAX_COMMENT]


def definitions(
    tables: Sequence[WrittenTable], facts: Mapping[str, str], schema: str | None, backend: str
) -> list[sa.Table]:
    """Return the tables as SQLAlchemy defines them, in the given order.

    Args:
      schema: in which they are to be; None for the only one.
      backend: "postgresql", "mysql", "mariadb" or "sqlite".
    Raises:
      OutputError: a name is too long.
    """
    metadata = sa.MetaData(schema=schema)
    found = []
    for table in tables:
        keys = {*table.key, *(column for link in table.links for column in link.columns)}
        columns = [
            sa.Column(
                _name(field.name, "column"),
                sql_type(field.type, backend, is_key=field.name in keys, is_uuid=field.name in table.uuids),
                nullable=field.nullable,
            )
            for field in table.schema
        ]
        constraints: list[Any] = [sa.PrimaryKeyConstraint(*table.key)] if table.key else []
        prefix = f"{schema}." if schema else ""
        constraints += [
            sa.ForeignKeyConstraint(link.columns, [f"{prefix}{link.parent}.{c}" for c in link.parent_columns])
            for link in table.links
        ]
        comment = "REFERENCE: a public table, unchanged" if table.is_reference else comment_of(facts)
        found.append(sa.Table(_name(table.name, "table"), metadata, *columns, *constraints, comment=comment))
    return found


def label_definition() -> sa.Table:
    """Return the table in which SQLite keeps what the others say of themselves in comments."""
    text = sa.Text()
    columns = sa.Column("name", text, primary_key=True), sa.Column("value", text, nullable=False)
    return sa.Table(LABEL_TABLE, sa.MetaData(), *columns)


def _name(name: str, what: str) -> str:
    if len(name.encode("utf-8")) > MAX_NAME:
        raise OutputError(
            f"the {what} '{name}' has a name of more than {MAX_NAME} bytes, which databases do not keep; write files "
            "instead"
        )
    return name


def sql_type(kind: pa.DataType, backend: str, *, is_key: bool = False, is_uuid: bool = False) -> Any:
    """Return the type of a database's column for one of Arrow."""
    of = pa.types
    if of.is_dictionary(kind):
        kind = kind.value_type
    if of.is_boolean(kind):
        return sa.Boolean()
    if of.is_integer(kind):
        bits = kind.bit_width * (2 if of.is_unsigned_integer(kind) else 1)
        if bits > 64:
            return sa.Numeric(20, 0)
        return sa.SmallInteger() if bits <= 16 else sa.Integer() if bits == 32 else sa.BigInteger()
    if of.is_floating(kind):
        return sa.REAL() if kind.bit_width < 64 and backend == "postgresql" else sa.Double()
    if of.is_decimal(kind):
        return sa.Numeric(kind.precision, kind.scale)
    if of.is_date(kind):
        return sa.Date()
    if of.is_timestamp(kind):
        return _timestamp(kind, backend)
    if of.is_time(kind):
        return mysql.TIME(fsp=6) if backend in ("mysql", "mariadb") else sa.Time()
    if of.is_duration(kind):
        return postgresql.INTERVAL() if backend == "postgresql" else sa.Double()
    if backend == "postgresql":
        return postgresql.UUID(as_uuid=False) if is_uuid else sa.Text()
    return sa.Text() if backend == "sqlite" or not is_key else sa.String(KEY_CHARS)


def _timestamp(kind: pa.DataType, backend: str) -> Any:
    if backend == "postgresql":
        return postgresql.TIMESTAMP(timezone=kind.tz is not None)
    return mysql.DATETIME(fsp=6) if backend in ("mysql", "mariadb") else sa.DateTime()

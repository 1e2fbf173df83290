"""Blocks of rows into tables that are there: by COPY into PostgreSQL, by INSERT of many rows elsewhere."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

if TYPE_CHECKING:
    from sqlalchemy import Connection, Table

INSERTED_ROWS = 5_000  # of one INSERT (own): some 1 MB, below the 16 MB that MariaDB takes in one statement


def load(connection: Connection, table: Table, block: pa.Table) -> None:
    """Put the rows of a block into a table, in the transaction of the connection."""
    copy = _COPIES.get(connection.dialect.driver)
    if copy is None:
        _insert(connection, table, block)
        return
    quoted = connection.dialect.identifier_preparer
    names = ", ".join(quoted.quote(column.name) for column in table.columns)
    options = pa_csv.WriteOptions(include_header=False)
    sink = io.BytesIO()
    columns = [_copied(block.column(at)) for at in range(block.num_columns)]
    pa_csv.write_csv(pa.table(columns, names=block.schema.names), sink, options)
    sink.seek(0)
    # In CSV an empty cell without quotes is missing, to COPY and to Arrow, which puts all texts into quotes.
    statement = f"COPY {quoted.format_table(table)} ({names}) FROM STDIN WITH (FORMAT csv)"
    with connection.connection.cursor() as cursor:  # type: ignore[attr-defined]  # DB-API, as all three drivers have it
        copy(cursor, statement, sink)


def _copied(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column in a type that Arrow spells in CSV as PostgreSQL reads it."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return column.cast(kind.value_type)
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        return column.cast(pa.timestamp(kind.unit, tz="UTC"))
    if pa.types.is_duration(kind):  # a number is an interval of so many seconds
        micros = column.cast(pa.duration("us"), safe=False).cast(pa.int64()).cast(pa.decimal128(19, 0))
        return pc.multiply(micros, pa.scalar(Decimal("0.000001")))
    return column


def _insert(connection: Connection, table: Table, block: pa.Table) -> None:
    backend = connection.dialect.name
    columns = [_plain(block.column(at), backend) for at in range(block.num_columns)]
    plain = pa.table(columns, names=block.schema.names)
    statement = table.insert()
    for batch in plain.to_batches(max_chunksize=INSERTED_ROWS):
        connection.execute(statement, batch.to_pylist())


def _plain(column: pa.ChunkedArray, backend: str) -> pa.ChunkedArray:
    """Return a column in types for which every driver has an object; times in UTC."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return column.cast(kind.value_type)
    if pa.types.is_timestamp(kind):
        return column.cast(pa.timestamp("us", tz=kind.tz), safe=False).cast(pa.timestamp("us"))
    if pa.types.is_duration(kind):
        micros = column.cast(pa.duration("us"), safe=False).cast(pa.int64()).cast(pa.float64(), safe=False)
        return pc.divide(micros, 1e6)
    if pa.types.is_time64(kind):
        return column.cast(pa.time64("us"), safe=False)
    if pa.types.is_decimal(kind) and backend == "sqlite":
        return column.cast(pa.float64(), safe=False)  # SQLite has no decimals
    return column


def _copy_psycopg(cursor: Any, statement: str, data: io.BytesIO) -> None:
    with cursor.copy(statement) as copy:
        copy.write(data.getbuffer())


_COPIES: Mapping[str, Callable[[Any, str, io.BytesIO], None]] = {
    "psycopg": _copy_psycopg,
    "psycopg2": lambda cursor, statement, data: cursor.copy_expert(statement, data),
    "pg8000": lambda cursor, statement, data: cursor.execute(statement, stream=data),
}

"""A table or a query of a database, through SQLAlchemy: streamed, read only, cells as text.

Messages name the kind of database, the host and the database; never the user, the password, the query or a cell. What a
driver says is not passed on, for it may quote any of these.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from privsynth.errors import ConfigError, Option, SourceError
from privsynth.sources.arrow_types import cell_text, text_batch, text_schema
from privsynth.sources.header_checks import check_names, chosen_positions, refuse_unreadable
from privsynth.sources.protocol import ANY_SCHEME, Adapter, SkippedCells, SourceOptions
from privsynth.sources.sql.catalogue import Stated, of_query, of_table
from privsynth.sources.sql.session import begin_reading, reading_engine, why_not_connected

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, CursorResult

SHOWN_TABLES = 20  # in a message (own)


class SqlSource:
    """One table or one SELECT of a database.

    Every call of `batches` runs the query in a transaction of its own, which is never committed.
    """

    names_are_public = True

    def __init__(self, url: URL, options: SourceOptions) -> None:
        self.label = _label(url)
        self._options = options
        self._engine = reading_engine(url, self.label)
        if options.table is None and options.query is None:
            raise ConfigError(
                f"{self.label} needs to know what to read; name a table with ",
                Option("table", python="SourceOptions(table=…)"),
                f", or give a query{self._tables()}",
            )
        if options.query is not None:
            _refuse_several(options.query)
        with self._result() as result:
            header = [str(name) for name in result.keys()]  # noqa: SIM118 - a result is no dict
            stated = of_query(getattr(result.cursor, "description", None) or (), self._engine.dialect.name)
        if options.table is not None:
            stated = self._catalogued(options.table)
        check_names(header, self.label, options)
        self._positions = chosen_positions(header, self.label, options)
        self.names = [header[position] for position in self._positions]
        self.arrow_schema = text_schema(self.names)
        self.source_format, self.stated_types = stated.format, stated.types

    def __repr__(self) -> str:
        return f"SqlSource({self.label}, {len(self.names)} columns)"

    @contextmanager
    def _result(self) -> Iterator[CursorResult[Any]]:
        """Run the query and yield its result; whatever the driver raises becomes one sentence."""
        from sqlalchemy import exc

        try:
            with self._connected() as connection:
                begin_reading(connection)
                streaming = connection.execution_options(stream_results=True, max_row_buffer=5_000)
                result = streaming.execute(_statement(self._options))
                if not result.returns_rows:
                    raise SourceError(f"the query for {self.label} returns no table; give one SELECT statement")
                yield result
        except (exc.SQLAlchemyError, sqlite3.Error) as error:
            raise SourceError(self._why(error)) from None

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        from sqlalchemy import exc

        try:
            connection = self._engine.connect()
        except (exc.SQLAlchemyError, sqlite3.Error) as error:
            raise SourceError(why_not_connected(error, self.label)) from None
        except TypeError:  # pg8000 reads the options of a URL when it connects
            raise SourceError(
                f"the options in the URL of {self.label} are not known to its driver; correct them"
            ) from None
        with connection:
            yield connection

    def _catalogued(self, table: str) -> Stated:
        """Return what the catalogue states of a table."""
        with self._connected() as connection:
            begin_reading(connection)
            return of_table(connection, table)

    def _tables(self) -> str:
        """Return the end of a sentence that lists the tables of the database; nothing if they cannot be listed."""
        from sqlalchemy import exc, inspect

        try:
            with self._connected() as connection:
                begin_reading(connection)
                looked = inspect(connection)
                names = sorted([*looked.get_table_names(), *looked.get_view_names()])
        except (exc.SQLAlchemyError, sqlite3.Error):
            return ""
        more = f" and {len(names) - SHOWN_TABLES} more" if len(names) > SHOWN_TABLES else ""
        return f"; it has {', '.join(names[:SHOWN_TABLES])}{more}" if names else ""

    def _why(self, error: Exception) -> str:
        what = f"the table {self._options.table}" if self._options.table else "the query"
        kind = type(error).__name__
        return (
            f"{what} cannot be read from {self.label} ({kind}); check that the database can be reached, that the "
            "user may read it, and the spelling"
        )

    def batches(self, skipped: SkippedCells) -> Iterator[pa.RecordBatch]:
        """Yield the rows as text columns."""
        with self._result() as result:
            for rows in result.partitions(self._options.rows_per_batch(len(self.names))):
                columns = list(zip(*rows, strict=True))
                texts = [[cell_text(cell, skipped) for cell in columns[position]] for position in self._positions]
                yield text_batch(texts, self.arrow_schema, skipped, self._options)


def _parsed(uri: str) -> URL:
    from sqlalchemy import exc, make_url

    try:
        return make_url(uri)
    except (exc.ArgumentError, ValueError):  # the message would repeat the URL, password included
        scheme = uri.partition("://")[0]
        raise SourceError(
            f"the {scheme} URL cannot be read; write {scheme}://user:password@host/database, with special characters "
            "of the password as %40 and the like"
        ) from None


def _label(url: URL) -> str:
    """Return kind, host, port and database; the other parts of a URL can all hold a secret."""
    port = f":{url.port}" if url.port else ""
    return f"{url.get_backend_name()}://{url.host or ''}{port}/{url.database or ''}"


def _refuse_several(query: str) -> None:
    """Raise `ConfigError` for more than one statement: a COMMIT between two would end the transaction that only reads.

    Where a text ends is told differently by each database, so that no semicolon is let through.
    """
    if ";" in query.strip().removesuffix(";"):
        raise ConfigError("the query must be one SELECT statement without semicolons; in a text write one as chr(59)")


def _statement(options: SourceOptions) -> Any:
    from sqlalchemy import literal_column, select, table, text

    if options.query is not None:
        # To SQLAlchemy `:name` is a parameter; in the user's query it is part of a text or a time.
        return text(re.sub(r"(?<![:\\]):(?=\w)", r"\\:", options.query.strip().removesuffix(";")))
    assert options.table is not None
    schema, _, name = options.table.rpartition(".")
    return select(literal_column("*")).select_from(table(name, schema=schema or None))


def open_database(origin: str | Path, options: SourceOptions) -> SqlSource:
    """Open a table or a query of a database by its URL, or of an SQLite database by the path of its file."""
    if isinstance(origin, str):
        return SqlSource(_parsed(origin), options)
    from sqlalchemy import URL

    refuse_unreadable(origin)
    return SqlSource(URL.create("sqlite", database=str(origin)), options)


SOURCE = Adapter(
    what="a database",
    open=open_database,
    suffixes=(".sqlite", ".sqlite3", ".db"),
    schemes=("sqlite", "postgresql", "mysql", ANY_SCHEME),  # any other with an installed SQLAlchemy dialect
    options=("table", "query"),
)

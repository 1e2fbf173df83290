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
from urllib.parse import quote

import pyarrow as pa

from privsynth.errors import ConfigError, SourceError
from privsynth.ingestion.cells import cell_text, text_batch, text_schema
from privsynth.ingestion.header import check_names, chosen_positions, refuse_unreadable
from privsynth.ingestion.protocol import SkippedCells, SourceOptions

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, CursorResult, Engine


class SqlSource:
    """One table or one SELECT of a database.

    Every call of `batches` runs the query in a transaction of its own, which is never committed.
    """

    names_are_public = True

    def __init__(self, uri: str, options: SourceOptions) -> None:
        url = _parsed(uri)
        self.label = _label(url)
        if options.table is None and options.query is None:
            raise ConfigError(f"{self.label} needs to know what to read; name a table, or give a query")
        self._options = options
        self._engine = _engine(url, self.label)
        with self._result() as result:
            header = [str(name) for name in result.keys()]  # noqa: SIM118 - a result is no dict
        check_names(header, self.label, options)
        self._positions = chosen_positions(header, self.label, options)
        self.names = [header[position] for position in self._positions]
        self.arrow_schema = text_schema(self.names)

    def __repr__(self) -> str:
        return f"SqlSource({self.label}, {len(self.names)} columns)"

    @contextmanager
    def _result(self) -> Iterator[CursorResult[Any]]:
        """Run the query and yield its result; whatever the driver raises becomes one sentence."""
        from sqlalchemy import exc

        try:
            with self._engine.connect() as connection:
                _make_read_only(connection)
                streaming = connection.execution_options(stream_results=True, max_row_buffer=5_000)
                result = streaming.execute(_statement(self._options))
                if not result.returns_rows:
                    raise SourceError(f"the query for {self.label} returns no table; give one SELECT statement")
                yield result
        except (exc.SQLAlchemyError, sqlite3.Error) as error:
            raise SourceError(self._why(error)) from None

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
    """Return kind, host and database; the other parts of a URL can all hold a secret."""
    return f"{url.get_backend_name()}://{url.host or ''}/{url.database or ''}"


def _engine(url: URL, label: str) -> Engine:
    from sqlalchemy import create_engine, exc, pool

    options: dict[str, Any] = {"poolclass": pool.NullPool, "hide_parameters": True}
    if url.drivername in ("sqlite", "sqlite+pysqlite"):
        if not url.database or url.database == ":memory:":
            raise SourceError("an SQLite database in memory has no tables; give the path: sqlite:///file.db")
        path = Path(url.database)
        refuse_unreadable(path)
        options["creator"] = lambda: _open_sqlite(path)
    try:
        return create_engine(url, **options)
    except exc.NoSuchModuleError:
        raise SourceError(
            f"there is no adapter for {url.drivername}://; check the spelling, or install its SQLAlchemy dialect"
        ) from None
    except ModuleNotFoundError as error:
        raise SourceError(f"{label} needs the Python package {error.name}; install it") from None
    except (exc.SQLAlchemyError, TypeError, ValueError):
        raise SourceError(f"the options in the URL of {label} are not known to its driver; correct them") from None


def _open_sqlite(path: Path) -> sqlite3.Connection:
    """Open a file read-only. A text that is not UTF-8 is marked: sqlite3 would raise, and quote it."""
    connection = sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True)
    connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
    return connection


def _make_read_only(connection: Connection) -> None:
    """Begin a transaction that cannot write and sees one state of the database, where the database knows of such."""
    backend = connection.dialect.name
    if backend == "postgresql":
        connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    elif backend in ("mysql", "mariadb"):
        connection.exec_driver_sql("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        connection.exec_driver_sql("SET SESSION TRANSACTION READ ONLY")
        connection.rollback()  # the two hold from the next transaction on


def _statement(options: SourceOptions) -> Any:
    from sqlalchemy import literal_column, select, table, text

    if options.query is not None:
        # To SQLAlchemy `:name` is a parameter; in the user's query it is part of a text or a time.
        return text(re.sub(r"(?<![:\\]):(?=\w)", r"\\:", options.query))
    assert options.table is not None
    schema, _, name = options.table.rpartition(".")
    return select(literal_column("*")).select_from(table(name, schema=schema or None))


def open_sql(uri: str, options: SourceOptions) -> SqlSource:
    """Open a table or a query of a database."""
    return SqlSource(uri, options)

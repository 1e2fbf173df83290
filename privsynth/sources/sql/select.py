"""A table or a query of a database, through SQLAlchemy: streamed, read only, cells as text."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from privsynth.errors import ConfigError, Option, SourceError
from privsynth.sources.arrow_types import cell_text, text_batch, text_schema
from privsynth.sources.header_checks import check_names, chosen_positions
from privsynth.sources.linked import listed
from privsynth.sources.protocol import SkippedCells, SourceOptions
from privsynth.sources.sql.catalogue import Stated, of_query, of_table
from privsynth.sources.sql.database import Database

if TYPE_CHECKING:
    from sqlalchemy import CursorResult

_BUFFERED_ROWS = 5_000  # fetched from the server at once (own)


class SqlSource:
    """One table or one SELECT of a database. Every call of `batches` runs the query anew."""

    names_are_public = True

    def __init__(self, database: Database, options: SourceOptions) -> None:
        self.label = database.label
        self._database = database
        self._options = options
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
            stated = of_query(getattr(result.cursor, "description", None) or (), database.backend)
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
            with self._database.connected() as connection:
                statement = _statement(self._options).execution_options(
                    stream_results=True, max_row_buffer=_BUFFERED_ROWS
                )
                with connection.execute(statement) as result:
                    if not result.returns_rows:
                        raise SourceError(f"the query for {self.label} returns no table; give one SELECT statement")
                    yield result
        except (exc.SQLAlchemyError, sqlite3.Error) as error:
            what = f"the table {self._options.table}" if self._options.table else "the query"
            raise SourceError(self._database.why(what, error)) from None

    def _catalogued(self, table: str) -> Stated:
        """Return what the catalogue states of a table."""
        with self._database.connected() as connection:
            return of_table(connection, table)

    def _tables(self) -> str:
        """Return the end of a sentence that lists the tables of the database; nothing if they cannot be listed."""
        from sqlalchemy import exc, inspect

        try:
            with self._database.connected() as connection:
                looked = inspect(connection)
                names = sorted([*looked.get_table_names(), *looked.get_view_names()])
        except (exc.SQLAlchemyError, sqlite3.Error):
            return ""
        return f"; it has {listed(names)}" if names else ""

    def batches(self, skipped: SkippedCells) -> Iterator[pa.RecordBatch]:
        """Yield the rows as text columns."""
        with self._result() as result:
            for rows in result.partitions(self._options.rows_per_batch(len(self.names))):
                columns = list(zip(*rows, strict=True))
                texts = [[cell_text(cell, skipped) for cell in columns[position]] for position in self._positions]
                yield text_batch(texts, self.arrow_schema, skipped, self._options)


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

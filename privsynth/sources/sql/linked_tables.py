"""The tables of a schema of a database, linked by the foreign keys of its catalogue, in one state of the database."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from privsynth.errors import ConfigError, SourceError
from privsynth.sources.linked import Link, chosen, reading_order
from privsynth.sources.protocol import Source, SourceOptions
from privsynth.sources.sql.database import Database
from privsynth.sources.sql.select import SqlSource

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.engine import Inspector

# Partitions, and tables that inherit: their rows are also those of their parent.
_INHERITING = """
    SELECT c.relname FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = :schema
"""


class DatabaseSource:
    """Tables of a database: all of its default schema, or those that `tables` names.

    `tables` holds `name`, `schema.name` or `schema.*`. A table is known by its name without its schema. `table` may say
    `schema.*`: the schema of the names that have none.
    """

    def __init__(self, database: Database, options: SourceOptions) -> None:
        self.label = database.label
        self._database = database
        from sqlalchemy import exc, inspect

        try:
            with database.connected() as connection:
                full = _full_names(connection, self.label, options)
                self._links = tuple(_foreign_keys(inspect(connection), full))
        except (exc.SQLAlchemyError, sqlite3.Error) as error:
            raise SourceError(database.why("the catalogue", error)) from None
        each = replace(options, table=None, tables=None)
        order = reading_order(full, self._links)
        with database.snapshot():
            self._sources = {name: SqlSource(database, replace(each, table=full[name])) for name in order}

    def __repr__(self) -> str:
        return f"DatabaseSource({self.label}, {len(self._sources)} tables)"

    def tables(self) -> Mapping[str, Source]:
        """Return the tables by name, parents first."""
        return self._sources

    def links(self) -> tuple[Link, ...]:
        """Return the foreign keys between these tables."""
        return self._links

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Let all tables be read in one state of the database."""
        with self._database.snapshot():
            yield


def _full_names(connection: Connection, label: str, options: SourceOptions) -> dict[str, str]:
    """Return table -> its name for a query, with the schema if the user wrote it.

    Raises:
      ConfigError: two tables of different schemas have the same name, or there are too many.
      SourceError: there are no tables, or a wanted one is not there.
    """
    usual = (options.table or "").rpartition(".")[0]
    wanted: dict[str, str] = {}
    for schema, dot, name in (name.rpartition(".") for name in options.tables or ("*",)):
        if usual and not schema:
            schema, dot = usual, "."
        whole, more = _tables_of(connection, schema or None)
        known = sorted(whole) if name == "*" else sorted(whole | more)
        where = f"{label}, schema {schema}," if schema else label
        for found in chosen(known, where, replace(options, tables=None if name == "*" else (name,))):
            full = f"{schema}{dot}{found}"
            if wanted.setdefault(found, full) != full:
                raise ConfigError(f"two tables are named {found!r}; leave out one of {wanted[found]} and {full}")
    return wanted


def tables_of(database: Database, schema: str) -> list[str]:
    """Return the tables and views of a schema; of the default one for "".

    Raises:
      SourceError: the catalogue cannot be read.
    """
    from sqlalchemy import exc

    try:
        with database.connected() as connection:
            whole, more = _tables_of(connection, schema or None)
    except (exc.SQLAlchemyError, sqlite3.Error) as error:
        raise SourceError(database.why("the catalogue", error)) from None
    return sorted(whole | more)


def _tables_of(connection: Connection, schema: str | None) -> tuple[set[str], set[str]]:
    """Return the tables of a schema, and what is read only where it is named: views, and parts of those tables."""
    from sqlalchemy import inspect, text

    looked = inspect(connection)
    tables, more = set(looked.get_table_names(schema)), set(looked.get_view_names(schema))
    if connection.dialect.name == "postgresql":
        found = connection.execute(text(_INHERITING), {"schema": schema or looked.default_schema_name})
        more |= set(looked.get_materialized_view_names(schema)) | set(found.scalars())
    return tables - more, more


def _foreign_keys(looked: Inspector, full: Mapping[str, str]) -> Iterable[Link]:
    """Yield the foreign keys between the tables; one that leads elsewhere is no link."""
    by_place = {_place(looked, name): short for short, name in full.items()}
    for short, name in full.items():
        schema, _, plain = name.rpartition(".")
        for key in looked.get_foreign_keys(plain, schema or None):
            place = (key.get("referred_schema") or schema or looked.default_schema_name, key["referred_table"])
            columns, referred = tuple(key["constrained_columns"]), tuple(key["referred_columns"])
            if place in by_place and columns and len(columns) == len(referred):
                yield Link(short, columns, by_place[place], referred)


def _place(looked: Inspector, name: str) -> tuple[str | None, str]:
    schema, _, plain = name.rpartition(".")
    return (schema or looked.default_schema_name, plain)

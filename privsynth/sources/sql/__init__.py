"""Databases, through SQLAlchemy."""

from __future__ import annotations

from pathlib import Path

from privsynth.sources.protocol import ANY_SCHEME, Adapter, SourceOptions
from privsynth.sources.sql.database import database_of
from privsynth.sources.sql.linked_tables import DatabaseSource
from privsynth.sources.sql.select import SqlSource

__all__ = ["SOURCE", "SqlSource"]


def open_one(origin: str | Path, options: SourceOptions) -> SqlSource:
    """Open a table or a query of a database by its URL, or of an SQLite database by the path of its file."""
    return SqlSource(database_of(origin, options.addresses), options)


def open_all(origin: str | Path, options: SourceOptions) -> DatabaseSource:
    """Open the tables of a database in the same way."""
    return DatabaseSource(database_of(origin, options.addresses), options)


SOURCE = Adapter(
    what="a database",
    open=open_one,
    open_tables=open_all,
    suffixes=(".sqlite", ".sqlite3", ".db"),
    schemes=("sqlite", "postgresql", "mysql", ANY_SCHEME),  # any other with an installed SQLAlchemy dialect
    options=("table", "query", "addresses"),
    has_schemas=True,
)

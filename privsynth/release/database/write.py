"""Writing tables into a new schema of PostgreSQL, a new database of MySQL or MariaDB, or a new file of SQLite.

All or nothing. In PostgreSQL schema, tables and rows are one transaction. A file of SQLite appears when it is whole.
MySQL ends a transaction at each definition: its rows are one transaction, and the new database is dropped if anything
fails; a process that is killed leaves it without rows.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from privsynth import _validate
from privsynth.errors import ConfigError, Option, OutputError, SourceError
from privsynth.extras import needs
from privsynth.progress import Progress, no_progress
from privsynth.release.out_folder import OutFolder
from privsynth.release.tables import DrawnTables, WrittenTable
from privsynth.sources.sql.database import error_number, label_of, parsed_url
from privsynth.sources.sql.postgresql import sqlstate
from privsynth.sources.sql.session import make_engine, why_not_connected

if TYPE_CHECKING:
    import sqlalchemy as sa

USUAL_SCHEMA = "synthetic"
_SUFFIXES = (".sqlite", ".sqlite3", ".db")
# https://www.postgresql.org/docs/current/errcodes-appendix.html
_ADVICE = {
    "42P06": "a schema of that name is there already; name a new one, nothing is ever overwritten",
    "42501": "the user may not create a schema there; ask for the right CREATE on the database",
    "53100": "its disk is full",
    "25006": "it is read only, perhaps a standby; name the primary server",
}
# https://mariadb.com/kb/en/mariadb-error-code-reference/
_NUMBERS = {
    1007: "a database of that name is there already; name a new one, nothing is ever overwritten",
    1044: "the user may not create that database; ask for the right CREATE",
    1021: "its disk is full",
}


class Target:
    """A place for tables in a database.

    Args:
      place: a URL, or the path of a new file of SQLite.
      schema: of PostgreSQL, the name of the new schema; None for "synthetic".

    Raises:
      ConfigError: it is no database that can be written to, or the schema cannot be named.
      SourceError: the URL cannot be read, or there is no driver for it.
      OutputError: the file is there already.
    """

    @needs("database")
    def __init__(self, place: str | Path, schema: str | None = None) -> None:
        from sqlalchemy import URL

        _validate.paths(to=place)
        _validate.texts(to_schema=schema)
        place = str(place)
        if "://" not in place and not place.lower().endswith(_SUFFIXES):
            raise ConfigError(
                "rows are written to the URL of a database, or to a new file that ends in "
                f"{', '.join(_SUFFIXES)}; for a folder of files use ",
                Option("out"),
            )
        url = parsed_url(place) if "://" in place else URL.create("sqlite", database=place)
        self.backend, self.label = url.get_backend_name(), label_of(url)
        if self.backend not in ("postgresql", "mysql", "mariadb", "sqlite"):
            raise ConfigError(
                f"rows cannot be written to {self.label}; PostgreSQL, MySQL, MariaDB and SQLite can be written to, for "
                "others write files and load these"
            )
        if schema is not None and self.backend != "postgresql":
            raise ConfigError(
                Option("to_schema"), f" is for PostgreSQL; the URL of {self.label} names what is to be made"
            )
        if not url.database:
            raise ConfigError(f"the URL of {self.label} names no database; write one after the last /")
        self._url = url
        # In MySQL a schema is a database, and the new one cannot be connected to.
        self.schema = {"postgresql": schema or USUAL_SCHEMA, "sqlite": None}.get(self.backend, url.database)
        if self.backend == "sqlite":
            _refuse_existing(Path(url.database))

    @property
    def shown(self) -> str:
        """The place, for a message: no user and no password."""
        return f"{self.label}, schema {self.schema}" if self.backend == "postgresql" else self.label

    def write(self, drawn: DrawnTables, home: Path, *, progress: Progress = no_progress) -> dict[str, int]:
        """Write tables, and return how many rows each has.

        Args:
          home: where privsynth keeps its own files.
        Raises:
          OutputError: schema, database or file is there already, or cannot be written; nothing is left of it then.
        """
        if self.backend == "sqlite":
            return self._write_file(drawn, home, progress)
        engine = make_engine(self._url if self.backend == "postgresql" else self._url.set(database=""), self.label)
        try:
            with self._connected(engine) as connection:
                return self._fill(connection, drawn, progress)
        finally:
            engine.dispose()

    def _write_file(self, drawn: DrawnTables, home: Path, progress: Progress) -> dict[str, int]:
        path = Path(self._url.database or "")
        with OutFolder(path, home) as place:
            engine = make_engine(self._url, self.label, lambda: sqlite3.connect(place.whole))
            with self._connected(engine) as connection:
                counts = self._fill(connection, drawn, progress)
            place.publish()
        return counts

    @contextmanager
    def _connected(self, engine: sa.Engine) -> Iterator[sa.Connection]:
        """Yield a connection in a transaction that ends well or leaves nothing; errors become one sentence."""
        from sqlalchemy import exc

        database_error = engine.dialect.loaded_dbapi.Error
        try:
            connection = engine.connect()
        except (exc.SQLAlchemyError, database_error) as error:
            raise OutputError(why_not_connected(error, self.label)) from None
        except TypeError:  # drivers read the options of a URL when they connect
            raise SourceError(
                f"the options in the URL of {self.label} are not known to its driver; correct them"
            ) from None
        try:
            yield connection
        except (exc.SQLAlchemyError, database_error) as error:
            raise OutputError(self._why(error)) from None
        finally:
            with suppress(Exception):  # after an interruption, a driver may be in the middle of a portion of rows
                connection.rollback()
            with suppress(Exception):
                connection.close()

    def _fill(self, connection: sa.Connection, drawn: DrawnTables, progress: Progress) -> dict[str, int]:
        from sqlalchemy.schema import AddConstraint, CreateTable, SetTableComment

        from privsynth.release.database.definition import definitions, label_definition

        defined = definitions(drawn.tables, drawn.facts, self.schema, self.backend)
        is_postgresql = self.backend == "postgresql"
        with self._new_schema(connection):
            for table in defined:
                # To check links once, when all rows are there, takes PostgreSQL a fraction of the time.
                connection.execute(CreateTable(table, include_foreign_key_constraints=[] if is_postgresql else None))
            if self.backend == "sqlite":
                label = label_definition()
                connection.execute(CreateTable(label))
                facts = drawn.facts.items()
                connection.execute(label.insert(), [{"name": name, "value": value} for name, value in facts])
            counts = _load_all(connection, drawn.tables, defined, progress)
            for table in defined if is_postgresql else ():
                for link in table.foreign_key_constraints:
                    connection.execute(AddConstraint(link))
                connection.execute(SetTableComment(table))
            connection.commit()
        return counts

    @contextmanager
    def _new_schema(self, connection: sa.Connection) -> Iterator[None]:
        """Make the new schema, and let what the block puts there stay, or else nothing."""
        from sqlalchemy.schema import CreateSchema

        if self.schema is None:
            yield
            return
        if self.backend == "postgresql":
            connection.exec_driver_sql("SET SESSION client_encoding = 'UTF8'")
            connection.exec_driver_sql("SET SESSION datestyle = 'ISO'")
            connection.execute(CreateSchema(self.schema))
            yield
            return
        name = connection.dialect.identifier_preparer.quote(self.schema)
        connection.exec_driver_sql("SET SESSION sql_mode = 'TRADITIONAL'")  # what does not fit is an error
        connection.exec_driver_sql(f"CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
        try:
            yield
        except BaseException:
            with suppress(Exception):
                connection.rollback()
                connection.exec_driver_sql(f"DROP DATABASE {name}")
            raise

    def _why(self, error: Exception) -> str:
        """Return a sentence for what failed; what a driver says is not repeated, for it may quote anything."""
        cause = getattr(error, "orig", None) or error
        number = error_number(cause)
        advice = _ADVICE.get(sqlstate(cause)) or _NUMBERS.get(number)
        if advice is None:
            advice = f"{type(cause).__name__} {sqlstate(cause) or number or ''}".strip() + "; nothing was left there"
        return f"the rows cannot be written to {self.shown}: {advice}"


def _load_all(
    connection: sa.Connection, tables: Sequence[WrittenTable], defined: Sequence[sa.Table], progress: Progress
) -> dict[str, int]:
    from privsynth.release.database.loading import load

    counts = {}
    for number, (table, place) in enumerate(zip(tables, defined, strict=True)):
        progress("writing", number / len(tables))
        counts[table.name] = 0
        for block in table.blocks:
            load(connection, place, block)
            counts[table.name] += block.num_rows
    return counts


def _refuse_existing(path: Path) -> None:
    if path.exists() or path.is_symlink():
        raise OutputError(f"the file {path} exists already; name a new one, nothing is ever overwritten")

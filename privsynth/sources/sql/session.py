"""Connections to databases: those that can only read, and those for writing synthetic rows."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from privsynth.errors import SourceError
from privsynth.sources.header_checks import refuse_unreadable
from privsynth.sources.sql import drivers, postgresql

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, Engine

# What a SELECT needs of SQLite: https://www.sqlite.org/c3ref/c_alter_table.html. All else (ATTACH, PRAGMA, VACUUM INTO,
# which asks for ATTACH) is denied, by the database itself; BEGIN is for one state of several tables.
_SQLITE_READS = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
# Pragmas that read definitions, by which the catalogue is known: https://www.sqlite.org/pragma.html.
_SQLITE_DEFINITIONS = {"table_info", "table_xinfo", "foreign_key_list", "index_list", "index_info", "index_xinfo"}
_SQLITE_FUNCTIONS_THAT_DO_MORE = {"load_extension", "readfile", "writefile", "edit", "fts3_tokenizer"}
# What drivers and servers write, in English, when no server answers, or when it refuses the user.
_REFUSED = re.compile(r"(?i)password|authentication|access denied|login failed|role .* does not exist|pg_hba")
_ABSENT = re.compile(
    r"(?i)refused|timed? ?out|translate host|resolve|unreachable|no route|can't (connect|create)|name or service"
)


def reading_engine(url: URL, label: str) -> Engine:
    """Return an engine whose connections can only read.

    Raises:
      SourceError: there is no driver for it, or no such file, or the URL has options that the driver does not know.
    """
    from sqlalchemy import event

    creator = None
    if url.get_backend_name() == "sqlite":
        if not url.database or url.database == ":memory:":
            raise SourceError("an SQLite database in memory has no tables; give the path: sqlite:///file.db")
        path = Path(url.database)
        refuse_unreadable(path)

        def creator() -> sqlite3.Connection:
            return _open_sqlite(path)

    engine = make_engine(url, label, creator)
    if engine.dialect.name == "postgresql":
        driver = engine.dialect.driver
        # First of all: SQLAlchemy's own questions are answered in the encoding of the database, too.
        event.listen(engine, "connect", lambda connection, _: postgresql.prepare(connection, driver), insert=True)
    return engine


def make_engine(url: URL, label: str, creator: Callable[[], sqlite3.Connection] | None = None) -> Engine:
    """Return an engine that opens a connection when it is asked for one, and that keeps no secret in its errors.

    Args:
      creator: what opens a connection, for SQLite.
    Raises:
      SourceError: there is no driver for it, or the URL has options that the driver does not know.
    """
    from sqlalchemy import create_engine, event, exc, pool

    options: dict[str, Any] = {"poolclass": pool.NullPool, "hide_parameters": True}
    if creator is not None:
        options["creator"] = creator
    try:
        engine = create_engine(drivers.with_driver(url, label), **options)
    except exc.NoSuchModuleError:
        raise SourceError(
            f"there is no adapter for {url.drivername}://; check the spelling, or install its SQLAlchemy dialect"
        ) from None
    except ModuleNotFoundError as error:
        raise SourceError(f"{label} needs the Python package {error.name}; install it") from None
    except (exc.SQLAlchemyError, TypeError, ValueError):
        raise SourceError(f"the options in the URL of {label} are not known to its driver; correct them") from None
    if (add_login := drivers.LOGINS.get(engine.dialect.driver)) is not None:
        event.listen(engine, "do_connect", lambda *given: add_login(given[-1]))
    return engine


def _open_sqlite(path: Path) -> sqlite3.Connection:
    """Open a file read-only. A text that is not UTF-8 is marked: sqlite3 would raise, and quote it."""
    connection = sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True)
    connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
    connection.set_authorizer(_authorize)
    return connection


def _authorize(action: int, first: str | None, second: str | None, *more: str | None) -> int:
    """Return whether SQLite may do something: for a function `second` is its name, for a pragma its new value."""
    allowed = action in _SQLITE_READS
    if action == sqlite3.SQLITE_FUNCTION:
        allowed = str(second).lower() not in _SQLITE_FUNCTIONS_THAT_DO_MORE
    elif action == sqlite3.SQLITE_TRANSACTION:
        allowed = first in ("BEGIN", "ROLLBACK")
    elif action == sqlite3.SQLITE_PRAGMA:
        # SQLAlchemy asks for the first when it connects.
        allowed = (first == "read_uncommitted" and second is None) or first in _SQLITE_DEFINITIONS
    return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY


def begin_reading(connection: Connection) -> None:
    """Begin a transaction that cannot write and sees one state of the database, where the database knows of such."""
    backend = connection.dialect.name
    if backend == "postgresql":
        connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    elif backend in ("mysql", "mariadb"):
        connection.exec_driver_sql("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        connection.exec_driver_sql("SET SESSION TRANSACTION READ ONLY")
        connection.exec_driver_sql("SET SESSION time_zone = '+00:00'")  # a TIMESTAMP is an instant
        connection.rollback()  # the two hold from the next transaction on
    elif backend == "sqlite":
        connection.exec_driver_sql("BEGIN")  # of itself, Python's driver begins a transaction only to write


def why_not_connected(error: Exception, label: str) -> str:
    """Return a sentence for a connection that failed. The driver's own message is never repeated."""
    words = str(error)
    if _REFUSED.search(words):
        return f"{label} refuses the user or the password; check both, and that the user may use that database"
    if _ABSENT.search(words):
        return f"nothing answers at {label}; check host and port, and that the database runs"
    return (
        f"{label} cannot be opened ({type(error).__name__}); check host, port, user, password and the database's name"
    )

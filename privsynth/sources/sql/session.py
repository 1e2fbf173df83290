"""Connections to databases that can only read.

Drivers of PostgreSQL are made to return a mark for a cell that they cannot turn into a Python object; otherwise one
cell would end the run.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from privsynth.errors import SourceError
from privsynth.sources.header_checks import refuse_unreadable
from privsynth.sources.sql.password_file import login_defaults

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, Engine

# What a SELECT needs of SQLite: https://www.sqlite.org/c3ref/c_alter_table.html. All else (ATTACH, PRAGMA, VACUUM INTO,
# which asks for ATTACH) is denied, by the database itself.
_SQLITE_READS = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
# Pragmas that read definitions, by which the catalogue is known: https://www.sqlite.org/pragma.html.
_SQLITE_DEFINITIONS = {"table_info", "table_xinfo", "foreign_key_list", "index_list", "index_info", "index_xinfo"}
_SQLITE_FUNCTIONS_THAT_DO_MORE = {"load_extension", "readfile", "writefile", "edit", "fts3_tokenizer"}
# What drivers and servers write, in English, when no server answers, or when it refuses the user.
_REFUSED = re.compile(r"(?i)password|authentication|access denied|login failed|role .* does not exist|pg_hba")
_ABSENT = re.compile(
    r"(?i)refused|timed? ?out|translate host|resolve|unreachable|no route|can't (connect|create)|name or service"
)


# Drivers of PostgreSQL for a URL that names none, the first that is installed.
POSTGRESQL_DRIVERS = ("psycopg", "psycopg2", "pg8000")


class Unreadable:
    """What stands for a cell that a driver could not read, such as a date beyond the year 9999."""


UNREADABLE = Unreadable()


def reading_engine(url: URL, label: str) -> Engine:
    """Return an engine whose connections can only read.

    Raises:
      SourceError: there is no driver for it, or no such file, or the URL has options that the driver does not know.
    """
    from sqlalchemy import create_engine, event, exc, pool

    if url.drivername == "postgresql":
        url = url.set(drivername=f"postgresql+{_installed_driver(label)}")
    options: dict[str, Any] = {"poolclass": pool.NullPool, "hide_parameters": True}
    if url.drivername in ("sqlite", "sqlite+pysqlite"):
        if not url.database or url.database == ":memory:":
            raise SourceError("an SQLite database in memory has no tables; give the path: sqlite:///file.db")
        path = Path(url.database)
        refuse_unreadable(path)
        options["creator"] = lambda: _open_sqlite(path)
    try:
        engine = create_engine(url, **options)
    except exc.NoSuchModuleError:
        raise SourceError(
            f"there is no adapter for {url.drivername}://; check the spelling, or install its SQLAlchemy dialect"
        ) from None
    except ModuleNotFoundError as error:
        raise SourceError(f"{label} needs the Python package {error.name}; install it") from None
    except (exc.SQLAlchemyError, TypeError, ValueError):
        raise SourceError(f"the options in the URL of {label} are not known to its driver; correct them") from None
    if engine.dialect.name == "postgresql":
        guard = _GUARDS.get(engine.dialect.driver)
        event.listen(engine, "connect", lambda connection, _: _prepare_postgresql(connection, guard))
        if engine.dialect.driver == "pg8000":
            event.listen(engine, "do_connect", lambda *given: _add_login(given[-1]))
    return engine


def _installed_driver(label: str) -> str:
    """Return the first driver of PostgreSQL that is installed.

    Raises:
      SourceError: none is.
    """
    for name in POSTGRESQL_DRIVERS:
        if find_spec(name) is not None:
            return name
    raise SourceError(f"{label} needs a driver for PostgreSQL; install one, for example: pip install pg8000")


def _add_login(arguments: dict[str, Any]) -> None:
    """Add what a URL leaves out to the arguments of pg8000, which, unlike libpq, looks for nothing itself."""
    for name, value in login_defaults(arguments).items():
        arguments.setdefault(name, value)


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
    elif action == sqlite3.SQLITE_PRAGMA:
        # SQLAlchemy asks for the first when it connects.
        allowed = (first == "read_uncommitted" and second is None) or first in _SQLITE_DEFINITIONS
    return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY


def _prepare_postgresql(connection: Any, guard: Callable[[Any], None] | None) -> None:
    """Make every transaction of the session read only, also one that a function of the query might begin."""
    cursor = connection.cursor()
    cursor.execute("SET SESSION default_transaction_read_only = on")
    cursor.close()
    connection.commit()
    if guard is not None:
        guard(connection)


def _guard_psycopg2(connection: Any) -> None:
    from psycopg2 import extensions

    def guarded(cast: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        def read(value: Any, cursor: Any) -> Any:
            try:
                return cast(value, cursor)
            except Exception:
                return UNREADABLE

        return read

    for oid, cast in extensions.string_types.items():
        extensions.register_type(extensions.new_type((oid,), "GUARDED", guarded(cast)), connection)


def _guard_psycopg(connection: Any) -> None:
    from psycopg.adapt import Loader
    from psycopg.pq import Format

    def guarded(base: type[Any]) -> type[Any]:
        class Guarded(Loader):
            def __init__(self, oid: int, context: Any = None) -> None:
                super().__init__(oid, context)
                self._inner = base(oid, context)

            def load(self, data: Any) -> Any:
                try:
                    return self._inner.load(data)
                except Exception:
                    return UNREADABLE

        return Guarded

    names = "date time timetz timestamp timestamptz interval json jsonb numeric text varchar bpchar name"
    for name in names.split():
        oid = connection.adapters.types[name].oid
        base = connection.adapters.get_loader(oid, Format.TEXT)
        if base is not None:
            connection.adapters.register_loader(oid, guarded(base))


# Dates that Python has no object for come as texts, and years before Christ without their era.
_PG8000_TIMES = (1082, 1114, 1184)  # oids of date, timestamp and timestamptz in PostgreSQL's pg_type.dat


def _guard_pg8000(connection: Any) -> None:
    def guarded(read: Callable[[str], Any], *, time: bool) -> Callable[[str], Any]:
        def reading(text: str) -> Any:
            if time and text.endswith(" BC"):
                return UNREADABLE
            try:
                found = read(text)
            except Exception:
                return UNREADABLE
            return UNREADABLE if time and isinstance(found, str) else found

        return reading

    for oid, read in list(connection.pg_types.items()):
        connection.register_in_adapter(oid, guarded(read, time=oid in _PG8000_TIMES))


_GUARDS: dict[str, Callable[[Any], None]] = {
    "psycopg2": _guard_psycopg2,
    "psycopg": _guard_psycopg,
    "pg8000": _guard_pg8000,
}


def begin_reading(connection: Connection) -> None:
    """Begin a transaction that cannot write and sees one state of the database, where the database knows of such."""
    backend = connection.dialect.name
    if backend == "postgresql":
        connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    elif backend in ("mysql", "mariadb"):
        connection.exec_driver_sql("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        connection.exec_driver_sql("SET SESSION TRANSACTION READ ONLY")
        connection.rollback()  # the two hold from the next transaction on


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

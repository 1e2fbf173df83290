"""`ServiceDatabase`: transactions on SQLite or PostgreSQL, and the schema that they expect."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from ssl import SSLError
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, ExceptionContext, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.orm import Session

from privsynth.errors import ConfigError, ServiceUnavailable
from privsynth.logins.password_file import login_defaults
from privsynth.service.store import people, retention, runs, schedules, webhooks  # noqa: F401  (declares the tables)
from privsynth.sources.sql.postgresql import sqlstate

MIGRATIONS = Path(__file__).parent / "migrations"
FILE = "service.db"
_BUSY_MS = 10_000  # a writer waits so long for another one (own): a transaction here takes milliseconds
_CUT = (ConnectionError, TimeoutError, SSLError)  # pg8000 passes on what its socket raises while it reads
# PostgreSQL stops, crashed, starts, or takes no more connections; a connection is broken (errcodes-appendix.html).
_AWAY = ("57P01", "57P02", "57P03", "53300", "08")


class ServiceDatabase:
    """The tables of one service.

    Every change is one transaction: serialisable on PostgreSQL, and on SQLite one that takes the right to write before
    it reads.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @classmethod
    def at(cls, address: str, home: Path) -> ServiceDatabase:
        """Open the database of the settings; an empty address means a file in `home`.

        Raises:
          ConfigError: it is neither PostgreSQL nor SQLite.
        """
        if not address:
            home.mkdir(parents=True, exist_ok=True, mode=0o700)
            return cls(_sqlite(URL.create("sqlite", database=str(home / FILE))))
        try:
            url = make_url(address)
        except ArgumentError:
            raise ConfigError("the address of the service's database is not a URL such as postgresql://…") from None
        if url.get_backend_name() == "sqlite":
            return cls(_sqlite(url))
        if url.get_backend_name() != "postgresql":
            raise ConfigError("the database of the service is PostgreSQL (postgresql://…) or SQLite (sqlite:///…)")
        if url.password is None:  # as psql and the shared ledger: PGPASSWORD, or the password file
            told = login_defaults({**url.translate_connect_args(), "user": url.username})
            url = url.set(username=told["user"], password=told["password"] or None)
        # pg8000 is permissively licensed, as the shared ledger's driver.
        url = url.set(drivername="postgresql+pg8000")
        engine = create_engine(url, isolation_level="SERIALIZABLE", pool_pre_ping=True, pool_size=10)
        event.listen(engine, "handle_error", _drop_dead)
        return cls(engine)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Yield a session whose changes are dropped.

        Raises:
          ServiceUnavailable: the database does not answer.
        """
        with _spoken(), Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Yield a session whose changes are kept together, or not at all.

        Raises:
          ServiceUnavailable: the database does not answer, or another transaction was faster.
        """
        with _spoken(), Session(self.engine, expire_on_commit=False) as session:
            session.connection(execution_options={"privsynth_writes": True})
            with _whole(session):
                yield session

    def migrate(self) -> None:
        """Bring the tables to what this version expects; what is there is kept."""
        with _spoken(), self.engine.connect() as connection:
            command.upgrade(_alembic(connection), "head")
            connection.commit()

    def require_current(self) -> None:
        """Return if the tables are those of this version.

        Raises:
          ConfigError: they are older or newer.
        """
        with _spoken(), self.engine.connect() as connection:
            found = MigrationContext.configure(connection).get_current_revision()
        wanted = ScriptDirectory(str(MIGRATIONS)).get_current_head()
        if found is None:
            raise ConfigError("the service's database has no tables yet: run `privsynth service migrate`")
        if found != wanted:
            raise ConfigError(
                f"the service's database has the tables of version {found}, this privsynth expects {wanted}: "
                "run `privsynth service migrate` (after a backup), or install the version that made them"
            )

    def close(self) -> None:
        """Close its connections."""
        self.engine.dispose()


@contextmanager
def _whole(session: Session) -> Iterator[None]:
    try:
        yield
        session.commit()
    except BaseException:
        session.rollback()
        raise


@contextmanager
def _spoken() -> Iterator[None]:
    """Turn what a driver raises into a sentence without a value."""
    try:
        yield
    except (DBAPIError, *_CUT) as problem:
        error = problem.orig if isinstance(problem, DBAPIError) else problem
        if isinstance(problem, OperationalError | InterfaceError) or _is_away(error):
            raise ServiceUnavailable("the service's database does not answer; try again in a moment") from problem
        if "40001" in str(error):  # serialization_failure
            raise ServiceUnavailable("somebody else was changing the same thing; try again") from problem
        raise


def _is_away(error: BaseException | None) -> bool:
    """Say whether a driver's error means that the server is away: to pg8000 it is one like any mistake in SQL."""
    return isinstance(error, _CUT) or sqlstate(error).startswith(_AWAY)


def _drop_dead(context: ExceptionContext) -> None:
    """Let the pool drop its connections to a server that went away, and open new ones."""
    if _is_away(context.original_exception):
        context.is_disconnect = True


def _sqlite(url: URL) -> Engine:
    engine = create_engine(url)

    @event.listens_for(engine, "connect")
    def _set_up(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None  # the events below say when a transaction begins
        for pragma in ("journal_mode=WAL", "foreign_keys=ON", f"busy_timeout={_BUSY_MS}", "synchronous=FULL"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A reader that turns into a writer fails where another one wrote in between; a writer says so at once.
        writes = connection.get_execution_options().get("privsynth_writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _alembic(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    return config

"""A database that can only be read: its connections, and one state of it for several reads.

Messages name the kind of database, the host and the database; never the user, the password, the query or a cell. What a
driver says is not passed on, for it may quote any of these.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from privsynth.errors import SourceError
from privsynth.sources.header_checks import refuse_unreadable
from privsynth.sources.sql.pinning import pin
from privsynth.sources.sql.postgresql import sqlstate
from privsynth.sources.sql.session import begin_reading, reading_engine, why_not_connected

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection

# What to do about an error that PostgreSQL names: https://www.postgresql.org/docs/current/errcodes-appendix.html.
_ADVICE = {
    "42P01": "there is none of that name; check the spelling, or write schema.name",
    "3F000": "there is no schema of that name; check the spelling",
    "42501": "the user may not read all of it; ask for the right to SELECT",
    "42601": "its SQL has a mistake; try it in psql, or in another program of the database",
    "42703": "it names a column that is not there; check the spelling",
    "55P03": "somebody holds a lock on it; try again later",
    "57014": "it took too long or was cancelled; try at a quieter time, or give less to read",
}
# The same by the numbers of MySQL and MariaDB: https://mariadb.com/kb/en/mariadb-error-codes/.
_NUMBERS = {
    1146: _ADVICE["42P01"], 1142: _ADVICE["42501"], 1143: _ADVICE["42501"], 1064: _ADVICE["42601"],
    1054: _ADVICE["42703"], 1205: _ADVICE["55P03"], 1317: _ADVICE["57014"], 1969: _ADVICE["57014"],
    3024: _ADVICE["57014"],
}  # fmt: skip
_COMPUTES = "it computes something that fails for some value, such as a division by 0; catch that case in the query"


class Database:
    """A database by its URL.

    Every read is a transaction of its own, which is never committed, unless a `snapshot` is open.

    Attributes:
      label: kind, host, port and name.
    """

    def __init__(self, url: URL, addresses: Sequence[str] | None = None) -> None:
        self.label = label_of(url)
        self._engine = reading_engine(url, self.label)
        if addresses is not None:
            pin(self._engine, addresses, self.label)
        self._held: Connection | None = None

    @property
    def backend(self) -> str:
        """The kind of database, such as "postgresql"."""
        return self._engine.dialect.name

    @contextmanager
    def connected(self) -> Iterator[Connection]:
        """Yield a connection in a transaction that only reads; that of the snapshot where one is open."""
        if self._held is not None:
            yield self._held
            return
        from sqlalchemy import exc

        try:
            connection = self._engine.connect()
        except (exc.SQLAlchemyError, sqlite3.Error, OSError) as error:
            raise SourceError(why_not_connected(error, self.label)) from None
        except TypeError:  # pg8000 reads the options of a URL when it connects
            raise SourceError(
                f"the options in the URL of {self.label} are not known to its driver; correct them"
            ) from None
        with connection:
            begin_reading(connection)
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Let all reads of the block see one state of the database."""
        with self.connected() as connection:
            self._held = connection
            try:
                yield
            finally:
                self._held = None

    def why(self, what: str, error: Exception) -> str:
        """Return a sentence for a read of `what` that failed."""
        cause = getattr(error, "orig", None)
        state = sqlstate(cause)
        known = _ADVICE.get(state) or _NUMBERS.get(error_number(cause))
        if advice := known or (_COMPUTES if state.startswith("22") else ""):
            return f"{what} cannot be read from {self.label}: {advice}"
        return (
            f"{what} cannot be read from {self.label} ({type(error).__name__}); check that the database can be "
            "reached, that the user may read it, and the spelling"
        )


def database_of(origin: str | Path, addresses: Sequence[str] | None = None) -> Database:
    """Return the database at a URL, reached at these addresses alone; or in the SQLite file at a path."""
    if isinstance(origin, str):
        return Database(parsed_url(origin), addresses)
    from sqlalchemy import URL

    refuse_unreadable(origin)
    return Database(URL.create("sqlite", database=str(origin)))


def parsed_url(uri: str) -> URL:
    """Return a URL.

    Raises:
      SourceError: it cannot be read.
    """
    from sqlalchemy import exc, make_url

    try:
        return make_url(uri)
    except (exc.ArgumentError, ValueError):  # the message would repeat the URL, password included
        scheme = uri.partition("://")[0]
        raise SourceError(
            f"the {scheme} URL cannot be read; write {scheme}://user:password@host/database, with special characters "
            "of the password as %40 and the like"
        ) from None


def label_of(url: URL) -> str:
    """Return kind, host, port and database; the other parts of a URL can all hold a secret."""
    port = f":{url.port}" if url.port else ""
    return f"{url.get_backend_name()}://{url.host or ''}{port}/{url.database or ''}"


def error_number(error: BaseException | None) -> int:
    """Return the number by which MySQL and MariaDB name an error; 0 for another one. It quotes nothing."""
    first = error.args[0] if error is not None and error.args else 0
    return first if isinstance(first, int) else 0

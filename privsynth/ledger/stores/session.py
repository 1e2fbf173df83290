"""One transaction on PostgreSQL that relies on nothing a session may hold: any pooler may stand in between."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from privsynth.errors import LedgerError, LedgerUnavailable
from privsynth.extras import needs
from privsynth.ledger.stores.address import Address
from privsynth.ledger.stores.definition import SCHEMA

_GRACE_S = 2.0  # that the network is given beyond what the server is, so that the server's own answer arrives (own)
READ = "ISOLATION LEVEL REPEATABLE READ READ ONLY"
WRITE = "ISOLATION LEVEL SERIALIZABLE READ WRITE"


class LostConnection(Exception):
    """The server could not be reached, or went away: what it was asked to do may be done or not."""


class RefusedStatement(Exception):
    """The server refused, and nothing changed.

    Attributes:
      code: SQLSTATE.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code

    @property
    def transient(self) -> bool:
        """Whether the same may work a moment later: conflicts, and a server that starts, stops or is full."""
        return (self.code[:2] in ("08", "40", "57") and self.code != "57014") or self.code == "53300"


class Session:
    """A connection inside one transaction."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def run(self, statement: str, **values: Any) -> list[list[Any]]:
        """Run a statement and return its rows; parameters are written `:name`."""
        with _driver_errors():
            return self._connection.run(statement, **values) or []


@contextmanager
def transaction(address: Address, mode: str, *, timeout_s: float) -> Iterator[Session]:
    """Connect, run the body in one transaction of its own, commit and disconnect.

    Every setting that a role, a database, a server or a pooler's earlier client may have changed is set again, until
    the transaction ends and no longer.

    Raises:
      LostConnection: also where the answer to COMMIT did not come.
      RefusedStatement: nothing changed.
    """
    session = _connect(address, timeout_s)
    try:
        wait = max(1, round(timeout_s * 1000))  # milliseconds; a lock's comes first, since it says what was in the way
        longer = wait + round(_GRACE_S * 500)
        limits = {"lock_timeout": wait, "statement_timeout": longer, "idle_in_transaction_session_timeout": longer}
        settings = "; ".join(f"SET LOCAL {name} = {most}" for name, most in limits.items())
        session.run(
            f"BEGIN {mode} NOT DEFERRABLE; SET LOCAL search_path = pg_catalog; SET LOCAL client_encoding = 'UTF8'; "
            f"SET LOCAL synchronous_commit = on; {settings}"
        )
        yield session
        session.run("COMMIT")
    except BaseException:
        with suppress(Exception):  # a pooler would rather hear this than see the connection go
            session.run("ROLLBACK")
        raise
    finally:
        with suppress(Exception):
            session._connection.close()


def _connect(address: Address, timeout_s: float) -> Session:
    with needs("postgresql"):
        from pg8000.native import Connection
    arguments = address.arguments()
    with _driver_errors():
        return Session(Connection(**arguments, timeout=timeout_s + _GRACE_S))


@contextmanager
def _driver_errors() -> Iterator[None]:
    """Turn what the driver raises into one of two errors that hold nothing of its text."""
    from pg8000.exceptions import DatabaseError

    try:
        yield
    except DatabaseError as error:
        facts = error.args[0] if error.args and isinstance(error.args[0], dict) else {}
        raise RefusedStatement(str(facts.get("C", "?????"))) from None
    except Exception as error:  # sockets, TLS, SCRAM, and messages of no protocol raise errors of many classes
        no_tls = "refuses SSL" in str(error)
        raise LostConnection("SSLRefused" if no_tls else type(error.__cause__ or error).__name__) from None


_SENTENCES = {
    "28": "The ledger ({place}) refuses the user or the password. Check both (PGUSER, PGPASSWORD, the password file).",
    "3D": "There is no such database for the ledger ({place}). Check PRIVSYNTH_LEDGER.",
    "42501": "The user of the ledger ({place}) lacks a right there. Whoever administers the database can say "
    "`GRANT privsynth_analyst TO` that user.",
    "42P01": "There is no ledger yet in {place}. Whoever administers the database creates it: `privsynth budget sql`.",
    "3F000": "There is no ledger yet in {place}. Whoever administers the database creates it: `privsynth budget sql`.",
    "55P03": "The ledger is in use by another process and stayed so for {timeout:g} s. Try again ({place}).",
    "57014": "The ledger ({place}) did not answer within {timeout:g} s. Try again.",
    "25006": "The ledger ({place}) is a copy that can only be read. Give the address of the primary server.",
    "0A000": "The ledger ({place}) is a copy that can only be read. Give the address of the primary server.",
    "53": "The ledger ({place}) has no room or no connection left. Ask whoever administers the database.",
    "22": "The database of the ledger ({place}) cannot hold a character of this name. It must be one in UTF8.",
}


def sentence(error: RefusedStatement | LostConnection, place: str, timeout_s: float) -> LedgerError:
    """Return what to tell a person."""
    if isinstance(error, LostConnection):
        if "Cert" in str(error) or "SSL" in str(error):
            return LedgerUnavailable(
                f"The server of the ledger ({place}) did not show by TLS who it is. Name the certificate of its "
                "authority in the URL (?sslrootcert=FILE), or say with sslmode how much less is enough."
            )
        return LedgerUnavailable(
            f"The ledger ({place}) cannot be reached, or the connection was cut ({error}). If an event was under way, "
            "it counts as spent should it have arrived. Check host, port and network, and try again."
        )
    text = _SENTENCES.get(error.code) or _SENTENCES.get(error.code[:2])
    if text is None and error.transient:
        text = "The ledger ({place}) was too busy, or its server was stopping, for {timeout:g} s. Try again."
    if text is not None:
        return LedgerUnavailable(text.format(place=place, timeout=timeout_s))
    if error.code.startswith("23"):
        return LedgerError(
            f"The table of the ledger ({place}) refuses the event; it was not written (schema {SCHEMA})."
        )
    return LedgerUnavailable(f"The ledger ({place}) cannot be used: the server says SQLSTATE {error.code}.")

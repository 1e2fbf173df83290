"""A shared ledger on a real PostgreSQL server, and what tests do to it."""

from __future__ import annotations

from contextlib import closing

import pytest
from ledger.accounts import NOW
from postgresql_server import PASSWORD, running_server

from privsynth.ledger.ledger import Ledger
from privsynth.ledger.stores.definition import DEFINITION

ANALYST = "sequel1"  # password of the user ben, who is an analyst


def administer(port, *statements):
    """Run statements as the superuser, each in a transaction of its own."""
    from pg8000.native import Connection

    with closing(Connection("anna", host="127.0.0.1", port=port, database="postgres", password=PASSWORD)) as link:
        return [link.run(statement) for statement in statements][-1]


def url_of(port, user="ben", password=ANALYST, more=""):
    return f"postgresql://{user}:{password}@127.0.0.1:{port}/postgres{more}"


@pytest.fixture(scope="session")
def server():
    """Yield the port of a server on which nobody has a ledger yet, but ben may have one."""
    with running_server() as port:
        administer(port, DEFINITION, "CREATE ROLE ben LOGIN IN ROLE privsynth_analyst PASSWORD 'sequel1'")
        yield port


@pytest.fixture
def empty(server):
    """Yield the port of the server, with a ledger that has no events."""
    administer(server, "DROP SCHEMA IF EXISTS privsynth_ledger CASCADE", DEFINITION)
    return server


def shared_ledger(port, home, **more):
    return Ledger(home, url=url_of(port), **{"timeout_s": 10.0, "clock": lambda: NOW, **more})


@pytest.fixture
def shared(empty, tmp_path):
    """The shared ledger, as the first machine has it."""
    ledger = shared_ledger(empty, tmp_path / "home")
    ledger.store.join(None)
    return ledger


def another_machine(port, home, ledger):
    """Return the shared ledger as another machine has it."""
    other = shared_ledger(port, home)
    other.store.join(ledger.store.secret())
    return other


def plant(port, *statements):
    """Do to the table what its triggers forbid."""
    administer(
        port,
        "ALTER TABLE privsynth_ledger.events DISABLE TRIGGER USER",
        *statements,
        "ALTER TABLE privsynth_ledger.events ENABLE ALWAYS TRIGGER events_at_the_end",
        "ALTER TABLE privsynth_ledger.events ENABLE ALWAYS TRIGGER events_stay",
        "ALTER TABLE privsynth_ledger.events ENABLE ALWAYS TRIGGER events_all_stay",
    )

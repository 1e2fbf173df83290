"""A ledger on a fixed clock, what tests do with one, and what they ask it."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest

from privsynth.ledger.ledger import Ledger

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
PRINT_A = b"a" * 32
PRINT_B = b"b" * 32


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / "home", timeout_s=0.05, clock=lambda: NOW)


def reserve(ledger, run_id="run-1", *, dataset="adm", epsilon=1.0, delta=1e-6):
    return ledger.reserve(dataset, epsilon=epsilon, delta=delta, unit="row", run_id=run_id)


def finish(ledger, run_id="run-1", fingerprint=PRINT_A, **cost):
    reservation = reserve(ledger, run_id, **cost)
    reservation.bind(fingerprint)
    reservation.mark_drawn()
    reservation.complete()
    return reservation


def spent(ledger, dataset="adm"):
    return ledger.account(dataset).to_json()["spent_epsilon"]


def kinds(ledger, dataset="adm"):
    return [event.kind for event in ledger.history(dataset)]


def edit(home, *statements):
    """Do to the table what its triggers forbid."""
    db = sqlite3.connect(home / "ledger.db")
    for trigger in ("events_keep", "events_stay"):
        db.execute(f"DROP TRIGGER {trigger}")
    for statement in statements:
        db.execute(statement)
    db.commit()
    db.close()


@pytest.fixture
def used(ledger):
    """A ledger in which epsilon 2 is spent, by eight events."""
    finish(ledger)
    finish(ledger, "run-2")
    return ledger

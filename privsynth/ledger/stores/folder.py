"""The files of the budget ledger: an append-only table, its key, and the head that detects an older copy.

    HOME/ledger.db     the events (SQLite, rollback journal)
    HOME/ledger.key    32 random bytes, the key of the hash chain and of content fingerprints
    HOME/ledger.head   number and hash of the latest event, and what each dataset had spent by then

Every file is made with mode 0600. Every step below happens under SQLite's write lock, in this order:

    1. read and check the events, the key and the head     -> refuse before anything changes
    2. if the head lags by one event, bring it up to date  -> at most one event is ever ahead of it
    3. append one event; COMMIT, synced to the disk
    4. write the head; only then does the caller hear that the event stands

So a crash leaves the head equal to the last event, or exactly one event behind it, and a reader accepts these
two states only. An event whose head was not written was never acknowledged, so no noise was drawn on it. The
head never leads: a table that ends before its head is an older copy.

What this cannot see: all three files put back together from one backup, or a person who holds the key and
rewrites the chain. It is evidence against mistakes and edits, not a wall against the owner of the folder.
"""

from __future__ import annotations

import os
import platform
import secrets
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from privsynth.errors import BudgetError, LedgerError, LedgerUnavailable
from privsynth.ledger.events import Draft, Event, State, chain_holds, digest, fold, genesis, moved_away, seal
from privsynth.ledger.stores.head import ChainHead, head_of, lost_by_dataset, may_advance, read_head, write_private
from privsynth.ledger.stores.keys import chain_key, common_key, fingerprint_key
from privsynth.ledger.stores.protocol import (
    COLUMNS,
    KEY_BYTES,
    NOTHING_TO_ACCEPT,
    event_of,
    missing_part,
    row_of,
)

FORMAT = 2  # of the database; a change that older versions would misread takes the next number
_COLUMNS = ", ".join(COLUMNS)
_TABLES = (
    """CREATE TABLE IF NOT EXISTS events (
        seq INTEGER PRIMARY KEY, time TEXT NOT NULL, run_id TEXT NOT NULL, dataset TEXT NOT NULL,
        kind TEXT NOT NULL, epsilon_units INTEGER NOT NULL CHECK (epsilon_units >= 0),
        delta_units INTEGER NOT NULL CHECK (delta_units >= 0), payload TEXT NOT NULL,
        prev_hash TEXT NOT NULL, hash TEXT NOT NULL)""",
    """CREATE TRIGGER IF NOT EXISTS events_keep BEFORE UPDATE ON events
        BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END""",
    """CREATE TRIGGER IF NOT EXISTS events_stay BEFORE DELETE ON events
        BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END""",
    f"PRAGMA user_version = {FORMAT}",
)

_WAY_OUT = (
    "Put the newest copy of the folder back. If that is not possible and you know what happened, run "
    "`privsynth budget accept-restored`, which goes on from what is there and records that you did."
)


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """The files at one moment. `key` is the chain's key; `problem` is a sentence, or None where all is whole."""

    events: list[Event]
    key: bytes | None
    head: ChainHead | None
    problem: str | None

    @property
    def last(self) -> tuple[int, str]:
        """Number and hash of the latest event; the start of the chain if there is none."""
        if self.events:
            return self.events[-1].seq, self.events[-1].hash
        return 0, genesis(self.key) if self.key else ""


class FolderStore:
    """The ledger's folder, a `Store`. Each call opens the table, does one step, closes it; threads may share it."""

    def __init__(self, home: Path, *, timeout_s: float) -> None:
        self.home = home
        self.place = f"folder {home.absolute()} on {platform.node()}"
        self._timeout_s = timeout_s
        self._db, self._key, self._head = (home / f"ledger.{end}" for end in ("db", "key", "head"))

    def read(self) -> list[Event]:
        """Return all events, checked. Creates nothing."""
        with self._plain_errors():
            begun = self._head.exists()  # asked first: a table always exists before its head
            if not self._db.exists():
                return _whole(self._snapshot(None)).events if begun else []
            with closing(self._connect()) as db, _transaction(db, "BEGIN"):
                return _whole(self._snapshot(db)).events

    def append(self, decide: Callable[[State], Draft | None], *, time: str) -> Event | None:
        """Append the event that `decide`, under the write lock, makes of the balances; return it once it is safe."""
        with self._plain_errors(), closing(self._connect(create=True)) as db:
            with _transaction(db, "BEGIN IMMEDIATE"):
                snapshot = self._ready(db)
                state = fold(snapshot.events)
                draft = decide(state)
                if draft is None:
                    return None
                event = self._insert(db, snapshot, draft, time=time)
            self._settle(db, event, fold([*snapshot.events, event]), self._chain_key())
            return event

    def accept(self, reason: str, *, time: str) -> Event:
        """Go on from what is in the folder, and record that and why; what the head knows of is charged again."""
        with self._plain_errors(), closing(self._connect(create=True)) as db:
            with _transaction(db, "BEGIN IMMEDIATE"):
                self._make_tables(db)
                snapshot = self._snapshot(db)
                state = fold(snapshot.events)
                problem = snapshot.problem or moved_away(state)
                if problem is None:
                    raise BudgetError(NOTHING_TO_ACCEPT)
                if snapshot.key is None:
                    self._write(self._key, secrets.token_bytes(KEY_BYTES))
                payload = {
                    "reason": reason,
                    "problem": problem,
                    "digest": digest(snapshot.events),
                    "carried": lost_by_dataset(snapshot.head, state),
                    "events_before": len(snapshot.events),
                    "head_seq": snapshot.head.seq if snapshot.head else None,
                }
                event = self._insert(db, snapshot, Draft(kind="accepted", payload=payload), time=time)
            self._settle(db, event, fold([*snapshot.events, event]), self._chain_key())
            return event

    def fingerprint_key(self) -> bytes:
        """Return the key for content fingerprints (32 bytes), making the ledger if there is none."""
        with self._plain_errors(), closing(self._connect(create=True)) as db:
            with _transaction(db, "BEGIN IMMEDIATE"):
                self._ready(db)
            return fingerprint_key(self._key.read_bytes())

    def receive(
        self, events: Sequence[Event], *, key: bytes | None, lost: bool = False, only_check: bool = False
    ) -> int:
        """Add those of the events that are not here yet; a head that is here and knows of more stays."""
        with self._plain_errors(), closing(self._connect(create=True)) as db:
            with _transaction(db, "BEGIN IMMEDIATE"):
                self._make_tables(db)
                snapshot = self._snapshot(db)
                held = self._key.read_bytes() if self._key.exists() else None
                secret = common_key(held, key, events, lost=lost)
                new = missing_part(snapshot.events, events)
                if only_check:
                    return len(new)
                self._add(db, new)
                if held is None:
                    self._write(self._key, secret)
            if events and may_advance(snapshot.head, events, chain_key(secret)):
                self._settle(db, events[-1], fold(events), chain_key(secret))
            return len(new)

    def secret(self) -> bytes:
        """Return the ledger's key."""
        with self._plain_errors():
            if not self._key.exists():
                raise LedgerError(f"There is no ledger in {self.home} yet, and so no key. Set a cap first.")
            return self._key.read_bytes()

    def _ready(self, db: sqlite3.Connection) -> Snapshot:
        """Return a checked snapshot whose key and head exist and are up to date. Under the write lock."""
        self._make_tables(db)
        snapshot = _whole(self._snapshot(db))
        if snapshot.key is None:
            self._write(self._key, secrets.token_bytes(KEY_BYTES))
            snapshot = self._snapshot(db)
        key = self._chain_key()
        seq, _ = snapshot.last
        if snapshot.head is None or snapshot.head.seq != seq:
            self._write_head(head_of(snapshot.events, fold(snapshot.events), first=genesis(key), charges=False), key)
        return snapshot

    def _insert(self, db: sqlite3.Connection, snapshot: Snapshot, draft: Draft, *, time: str) -> Event:
        key = self._chain_key()
        seq, previous = snapshot.last
        event = seal(draft, seq=seq + 1, time=time, prev_hash=previous or genesis(key), key=key)
        self._add(db, [event])
        return event

    def _add(self, db: sqlite3.Connection, events: Sequence[Event]) -> None:
        places = ", ".join("?" * len(COLUMNS))
        db.executemany(f"INSERT INTO events ({_COLUMNS}) VALUES ({places})", map(row_of, events))

    def _settle(self, db: sqlite3.Connection, event: Event, state: State, key: bytes) -> None:
        """Write the head for an event that is committed, unless a later writer has done so already."""
        with _transaction(db, "BEGIN IMMEDIATE"):
            if db.execute("SELECT max(seq) FROM events").fetchone()[0] == event.seq:
                self._write_head(ChainHead(seq=event.seq, hash=event.hash, spent=state.all_spent()), key)

    def _make_tables(self, db: sqlite3.Connection) -> None:
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version > FORMAT:
            raise LedgerError(
                f"The ledger in {self.home} was written by a newer privsynth (format {version}; this one "
                "reads "
                f"{FORMAT}). Use that version."
            )
        for statement in _TABLES:
            db.execute(statement)

    def _snapshot(self, db: sqlite3.Connection | None) -> Snapshot:
        events: list[Event] = []
        if db is not None and db.execute("SELECT 1 FROM sqlite_master WHERE name = 'events'").fetchone():
            rows = db.execute(f"SELECT {_COLUMNS} FROM events ORDER BY seq")
            events = [event_of(row, self.place) for row in rows]
        head, head_problem = read_head(self._head)  # before the key: a key always exists before its head
        key = self._chain_key() if self._key.exists() else None
        problem = head_problem or _problem(events, key, head)
        if problem:
            problem = f"{problem} (folder {self.home})"
        return Snapshot(events=events, key=key, head=head, problem=problem)

    def _chain_key(self) -> bytes:
        return chain_key(self._key.read_bytes())

    def _write_head(self, head: ChainHead, key: bytes) -> None:
        self._write(self._head, head.to_bytes(key))

    def _write(self, path: Path, data: bytes) -> None:
        write_private(path, data)

    def _connect(self, *, create: bool = False) -> sqlite3.Connection:
        if create and not self._db.exists():
            self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
            with suppress(FileExistsError):
                os.close(os.open(self._db, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        address = f"file:{quote(str(self._db.absolute()))}?mode=rw"
        db = sqlite3.connect(address, uri=True, timeout=self._timeout_s, isolation_level=None)
        try:
            db.execute("PRAGMA synchronous = EXTRA")  # a commit is on the disk, its journal's removal too
        except sqlite3.Error:
            db.close()
            raise
        return db

    @contextmanager
    def _plain_errors(self) -> Iterator[None]:
        """Turn what the disk and SQLite say into one sentence about the ledger."""
        try:
            yield
        except sqlite3.Error as error:
            raise self._explained(getattr(error, "sqlite_errorcode", None) or 0) from error
        except UnicodeDecodeError as error:  # how sqlite3 meets a damaged table's definition that is no UTF-8
            raise self._explained(0) from error
        except OSError as error:
            raise LedgerUnavailable(
                f"The ledger in {self.home} cannot be read or written "
                f"({error.strerror or 'input/output error'}). "
                "Check the folder's rights and space, or set PRIVSYNTH_HOME to another folder."
            ) from error

    def _explained(self, code: int) -> LedgerError:
        primary = code & 0xFF
        if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return LedgerUnavailable(
                f"The ledger is in use by another process and stayed so for {self._timeout_s:g} s. Wait for the other "
                f"run to end, or end it, and try again (folder {self.home})."
            )
        if primary in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
            return LedgerUnavailable(
                f"The ledger in {self.home} cannot be opened for writing. Check the folder's rights, or set "
                "PRIVSYNTH_HOME to another folder."
            )
        if primary in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOLFS, sqlite3.SQLITE_PROTOCOL):
            return LedgerUnavailable(
                f"The ledger in {self.home} cannot be written: the disk is full or failing. Free some space."
            )
        return LedgerError(
            f"The ledger in {self.home} is damaged: ledger.db is not a readable database. Put the newest copy of it "
            "back (from a backup), or move it away, and then run `privsynth budget accept-restored`."
        )


@contextmanager
def _transaction(db: sqlite3.Connection, begin: str) -> Iterator[None]:
    """Run the body between `begin` and COMMIT; roll back on any exception."""
    db.execute(begin)
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            db.execute("ROLLBACK")
        raise


def _whole(snapshot: Snapshot) -> Snapshot:
    if snapshot.problem is not None:
        raise LedgerError(f"{snapshot.problem}. {_WAY_OUT}")
    return snapshot


def _problem(events: list[Event], key: bytes | None, head: ChainHead | None) -> str | None:
    """Return what no crash can have left, as a sentence; None where all is whole."""
    if key is None:
        return "The ledger is damaged: ledger.key is missing" if events or head else None
    if not chain_holds(events, key):
        return "The ledger is damaged: an event in ledger.db was edited, added or removed, or the key exchanged"
    if head is None:
        return "The ledger is damaged: ledger.head is missing" if events else None
    if not head.genuine(key):
        return "The ledger is damaged: ledger.head was edited"
    seq, last_hash = (events[-1].seq, events[-1].hash) if events else (0, genesis(key))
    if (head.seq, head.hash) == (seq, last_hash):
        return None
    if events and (head.seq, head.hash) == (seq - 1, events[-1].prev_hash):
        return None  # a crash between the commit and the head
    if head.seq > seq:
        return f"ledger.db is an older copy of itself: {head.seq - seq} event(s) are missing at its end"
    return "ledger.db and ledger.head do not belong together: one of them was exchanged"

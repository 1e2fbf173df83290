"""A ledger that several machines share: events in PostgreSQL, its key and the heads outside of it.

    schema privsynth_ledger     the events, in tables that only grow (`ledger.stores.definition`)
    HOME/shared/ledger.key      32 random bytes, the same on every machine, and never in the database
    HOME/shared/ledger.head     the latest event that this machine has seen, and what each run had cost by then
    PRIVSYNTH_LEDGER_HEAD       a second head, which machines may share, for homes that do not last

A step is one serialisable transaction: lock the turn, read and check all events against the key and the heads, decide,
append, commit; then the heads are written, and only then does the caller hear that the event stands. The lock comes
before the first query, so that the snapshot of the transaction holds every event before it.

If the answer to a commit is lost, the next attempt waits for the lock, which the lost transaction holds as long as it
may still commit, and looks for the event by its hash: it is acknowledged if it is there, and decided anew if not.

A head may be behind by any number of events, which other machines wrote, but it must lie on the chain: a database that
was restored from an older copy, or went on from one, is noticed by every machine that had seen more.
"""

from __future__ import annotations

import json
import os
import secrets
import time as clock
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from privsynth.errors import BudgetError, ConfigError, LedgerError, LedgerUnavailable, Option
from privsynth.ledger.events import Draft, Event, State, chain_holds, digest, fold, genesis, moved_away, seal
from privsynth.ledger.stores import definition
from privsynth.ledger.stores.address import Address
from privsynth.ledger.stores.definition import LIMITS, SCHEMA
from privsynth.ledger.stores.head import (
    ChainHead,
    head_of,
    lost_by_run,
    may_advance,
    off_chain,
    read_head,
    write_private,
)
from privsynth.ledger.stores.keys import chain_key, common_key, fingerprint_key
from privsynth.ledger.stores.protocol import COLUMNS, KEY_BYTES, NOTHING_TO_ACCEPT, event_of, missing_part, row_of
from privsynth.ledger.stores.session import (
    READ,
    WRITE,
    LostConnection,
    RefusedStatement,
    Session,
    sentence,
    transaction,
)
from privsynth.workspace import open_locked

T = TypeVar("T")
_Heads = dict[Path, tuple[ChainHead | None, str | None]]  # file -> its head, and why it cannot be read
_FIRST_PAUSE_S = 0.02  # before the second attempt; it doubles (own)
_LONGEST_PAUSE_S = 1.0  # between attempts (own)
_ROWS_AT_ONCE = 500  # of a ledger that is taken in: some 200 kB a statement (own)
_TEXTS = ", ".join(f"{name} {'text' if name in LIMITS else 'bigint'}" for name in COLUMNS)
_INSERT = (
    f"INSERT INTO {SCHEMA}.events ({', '.join(COLUMNS)}) SELECT {', '.join(COLUMNS)} "
    f"FROM json_to_recordset(CAST(:rows AS json)) AS given({_TEXTS}) ORDER BY seq"
)
# A text that no event has is not fetched: a planted gigabyte must not fill this machine's memory.
_SELECT = "SELECT {} FROM {}.events ORDER BY seq".format(
    ", ".join(
        f"CASE WHEN octet_length({name}) <= {LIMITS[name]} THEN {name} END" if name in LIMITS else name
        for name in COLUMNS
    ),
    SCHEMA,
)
_WAY_OUT = (
    "If the database was restored, restore its newest copy. If that is not possible and you know what happened, run "
    "`privsynth budget accept-restored`, which goes on from what is there, charges again what this machine knows of, "
    "and records that you did."
)


class PostgresStore:
    """The shared ledger, a `Store`. Each call connects, makes one transaction, disconnects; threads may share it."""

    def __init__(self, address: Address, folder: Path, *, timeout_s: float, second_head: Path | None = None) -> None:
        self.place = address.place
        self._address = address
        self._folder = folder
        self._timeout_s = timeout_s
        self._keyfile = folder / "ledger.key"
        self._headfiles = [folder / "ledger.head", *([second_head] if second_head else [])]

    def read(self) -> list[Event]:
        """Return all events, checked against what this machine has seen."""
        secret = self.secret()
        with self._files():
            heads = self._heads()  # first: what they have seen, the events that are read afterwards have
        events = self._attempts(READ, self._events)
        with self._files():
            _whole(self._problem(events, secret, heads))
            self._settle(events, secret)
        return events

    def append(self, decide: Callable[[State], Draft | None], *, time: str) -> Event | None:
        """Append the event that `decide`, while no other machine can write, makes of the balances."""
        secret = self.secret()

        def draft_of(events: list[Event]) -> Draft | None:
            with self._files():  # nobody can have appended since, so no head can have seen more
                _whole(self._problem(events, secret, self._heads()))
            return decide(fold(events))

        return self._write(draft_of, secret, time=time)

    def accept(self, reason: str, *, time: str) -> Event:
        """Go on from what is in the database, and record that and why; what the heads know of is charged again."""
        secret = self.secret()  # a new one would stop all other machines, and recognise no content of theirs

        def draft_of(events: list[Event]) -> Draft:
            state = fold(events)
            with self._files():
                found = self._heads()
                problem = self._problem(events, secret, found) or moved_away(state)
                heads = [head for head, _ in found.values() if head is not None]
                if problem is None:
                    raise BudgetError(NOTHING_TO_ACCEPT)
            lost = lost_by_run(heads, state)
            payload: dict[str, Any] = {
                "reason": reason,
                "problem": f"{problem} ({self.place})",
                "digest": digest(events),
                "carried": _by_dataset(lost.values()),
                "recovered": {run_id: list(charge) for run_id, charge in lost.items()},
                "events_before": len(events),
                "head_seq": max((head.seq for head in heads), default=None),
            }
            return Draft(kind="accepted", payload=payload)

        event = self._write(draft_of, secret, time=time, replace_heads=True)
        assert event is not None
        return event

    def receive(
        self, events: Sequence[Event], *, key: bytes | None, lost: bool = False, only_check: bool = False
    ) -> int:
        """Add those of the events that are not in the database yet; heads that know of more stay."""
        with self._files():
            held = self._keyfile.read_bytes() if self._keyfile.exists() else None
            secret = common_key(held, key, events, lost=lost)

        def add(session: Session) -> int:
            new = missing_part(self._events(session), events)
            for start in range(0, len(new), _ROWS_AT_ONCE):
                self._insert(session, new[start : start + _ROWS_AT_ONCE])
            if only_check:  # now that the rights and the checks of the tables said nothing against it
                session.run("ROLLBACK")
            return len(new)

        added = self._attempts(WRITE, add)
        if only_check:
            return added
        with self._files():
            self._keep_key(secret)
            self._settle(list(events), secret)
        return added

    def join(self, key: bytes | None) -> int:
        """Make this machine one of those that share the ledger, and return how many events it has.

        Args:
          key: the ledger's key, as another machine has it; None makes a new one, for a ledger without events.
        Raises:
          ConfigError: the ledger has events and no key was given, or another key is here already.
          LedgerError: the events are not chained under the key.
        """
        with self._files():
            heads = self._heads()
        events = self._attempts(READ, self._events)
        with self._files():
            held = self._keyfile.read_bytes() if self._keyfile.exists() else None
            if held is None and key is None and events:
                raise ConfigError(
                    "The ledger has events already, so it has a key. Give a copy of it, which `privsynth budget "
                    "copy-key` writes on a machine that has it: ",
                    Option("key", "FILE"),
                    ".",
                )
            new = secrets.token_bytes(KEY_BYTES) if held is None and key is None else key
            secret = common_key(held, new, events)
            self._keep_key(secret)
            _whole(self._problem(events, secret, heads, joining=True))
            self._settle(events, secret)
        return len(events)

    def secret(self) -> bytes:
        """Return the ledger's key."""
        with self._files():
            if self._keyfile.exists() and len(secret := self._keyfile.read_bytes()) == KEY_BYTES:
                return secret
        raise LedgerError(
            f"This machine does not have the key of the ledger ({self.place}) yet. Run `privsynth budget join` with a "
            "copy of it, or with a new one if the ledger is new."
        )

    def fingerprint_key(self) -> bytes:
        """Return the key for content fingerprints (32 bytes)."""
        return fingerprint_key(self.secret())

    def _write(
        self, draft_of: Callable[[list[Event]], Draft | None], secret: bytes, *, time: str, replace_heads: bool = False
    ) -> Event | None:
        """Append what `draft_of` makes of the events. An event whose commit was not answered is looked for first."""
        key = chain_key(secret)
        sent: list[Event] = []

        def step(session: Session) -> list[Event] | None:
            events = self._events(session)
            if sent and any(event.hash == sent[-1].hash for event in events):
                return events
            draft = draft_of(events)
            if draft is None:
                return None
            seq, previous = (events[-1].seq, events[-1].hash) if events else (0, genesis(key))
            event = seal(draft, seq=seq + 1, time=time, prev_hash=previous, key=key)
            self._insert(session, [event])
            sent.append(event)
            return [*events, event]

        events = self._attempts(WRITE, step)
        if events is None:
            return None
        with self._files():
            self._settle(events, secret, replace=replace_heads)
        return sent[-1]

    def _attempts(self, mode: str, step: Callable[[Session], T]) -> T:
        """Return what a step in a transaction of its own returns, tried again until the timeout."""
        end, pause = clock.monotonic() + self._timeout_s, _FIRST_PAUSE_S
        while True:
            left = max(0.0, end - clock.monotonic())
            try:
                with transaction(self._address, mode, timeout_s=left) as session:
                    if mode == WRITE:
                        session.run(f"LOCK TABLE {SCHEMA}.turn IN EXCLUSIVE MODE")
                    return step(session)
            except (LostConnection, RefusedStatement) as error:
                again = isinstance(error, LostConnection) or error.transient
                if not again or clock.monotonic() + pause >= end:
                    raise sentence(error, self.place, self._timeout_s) from None
            clock.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_S)

    def _events(self, session: Session) -> list[Event]:
        ((found, copy),) = session.run(f"SELECT (SELECT max(format) FROM {SCHEMA}.format), pg_is_in_recovery()")
        if copy:
            raise sentence(RefusedStatement("25006"), self.place, self._timeout_s)
        if found != definition.FORMAT:
            raise LedgerError(
                f"The ledger in {self.place} was made for another version of privsynth (format {found}; this one reads "
                f"{definition.FORMAT}). Use that version."
            )
        return [event_of(row, self.place) for row in session.run(_SELECT)]

    def _insert(self, session: Session, events: Sequence[Event]) -> None:
        rows = [dict(zip(COLUMNS, row_of(event), strict=True)) for event in events]
        session.run(_INSERT, rows=json.dumps(rows))

    def _heads(self) -> _Heads:
        return {path: read_head(path) for path in self._headfiles}

    def _problem(self, events: Sequence[Event], secret: bytes, heads: _Heads, *, joining: bool = False) -> str | None:
        """Return what is wrong with the events, by the key and by the heads, as a sentence without its end."""
        key = chain_key(secret)
        if not chain_holds(events, key):
            return "The ledger is damaged: an event was edited, added or removed, or this machine has another key"
        if not joining and heads[self._headfiles[0]] == (
            None,
            None,
        ):  # of a machine that joined it is there, until it is lost
            return f"The head of the ledger is missing on this machine ({self._headfiles[0]})"
        for path, (head, unreadable) in heads.items():
            if unreadable:
                return unreadable
            if head is not None and not head.genuine(key):
                return f"The ledger is damaged: {path} was edited, or is the head of another ledger"
            if head is not None and (problem := off_chain(head, events, genesis(key))):
                return problem
        return None

    def _settle(self, events: Sequence[Event], secret: bytes, *, replace: bool = False) -> None:
        """Bring the heads up to date, unless another process of this machine has seen more."""
        key = chain_key(secret)
        latest: ChainHead | None = None
        lock = open_locked(self._folder / "lock", wait=True)
        try:
            for path in self._headfiles:
                head, unreadable = read_head(path)
                stale = events and unreadable is None and may_advance(head, events, key)
                if replace or stale or (head is None and unreadable is None):
                    latest = latest or head_of(events, fold(events), first=genesis(key), charges=True)
                    write_private(path, latest.to_bytes(key))
        finally:
            os.close(lock)

    def _keep_key(self, secret: bytes) -> None:
        """Write the key into the folder, if it is not there."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not self._keyfile.exists():
            write_private(self._keyfile, secret)

    @contextmanager
    def _files(self) -> Iterator[None]:
        """Turn what the disk says of the key and the heads into one sentence."""
        try:
            yield
        except OSError as error:
            raise LedgerUnavailable(
                "The key or the head of the ledger cannot be read or written "
                f"({error.strerror or 'input/output error'}; folder {self._folder}). Check rights and space there, and "
                "PRIVSYNTH_LEDGER_HEAD."
            ) from error


def _whole(problem: str | None) -> None:
    if problem is not None:
        raise LedgerError(f"{problem}. {_WAY_OUT}")


def _by_dataset(charges: Any) -> dict[str, list[int]]:
    """Return the sums of charges for each dataset, in units."""
    sums: dict[str, list[int]] = {}
    for dataset, epsilon, delta in charges:
        before = sums.get(dataset, [0, 0])
        sums[dataset] = [before[0] + epsilon, before[1] + delta]
    return sums

"""`Store`: what every place that keeps the ledger's events promises."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, Protocol, cast

from privsynth.errors import LedgerError
from privsynth.ledger.events import KINDS, Draft, Event, Kind, State

COLUMNS = ("seq", "time", "run_id", "dataset", "kind", "epsilon_units", "delta_units", "payload", "prev_hash", "hash")
LARGEST = 2**63 - 1  # the largest integer of SQLite, and of PostgreSQL's bigint
KEY_BYTES = 32  # as long as a digest of SHA-256, which RFC 2104 (section 3) asks of a key of HMAC

NOTHING_TO_ACCEPT = "The ledger is whole: there is nothing to accept, and nothing was changed."


class Store(Protocol):
    """A place for events.

    Guarantee: an event that `append` returned stands, and every later `read` of this client shows it or raises; two
    calls of `append`, on whatever machines, decide one after the other, each on the events of all before it.

    Attributes:
      place: where it is, for messages: no user and no password. No two places have one name.
    """

    place: str

    def read(self) -> list[Event]:
        """Return all events, checked. Creates nothing.

        Raises:
          LedgerUnavailable: the ledger is in use or cannot be read.
          LedgerError: it is damaged or an older copy of itself.
        """

    def append(self, decide: Callable[[State], Draft | None], *, time: str) -> Event | None:
        """Append the event that `decide` makes of the balances; return it once it is safe.

        `decide` runs while nobody else can write; it may be asked again. It refuses by raising, and then nothing
        changes; None means that there is nothing to write.

        Raises:
          LedgerUnavailable: the ledger is in use or cannot be written. Where the answer of a server was lost, the event
            may stand nevertheless; what it reserves then counts as spent.
          LedgerError: it is damaged or an older copy of itself.
        """

    def accept(self, reason: str, *, time: str) -> Event:
        """Go on from what is there, and record that and why a person did.

        What this client knows of and the events no longer show is charged again.

        Raises:
          BudgetError: nothing is wrong, so there is nothing to accept.
          LedgerError: the events themselves cannot be read.
        """

    def receive(
        self, events: Sequence[Event], *, key: bytes | None, lost: bool = False, only_check: bool = False
    ) -> int:
        """Add those of the events that are not here yet, and return their number.

        Args:
          events: a whole ledger from its first event on, of which what is here is the beginning.
          key: the ledger's key, where this place has none.
          lost: the key is nowhere any more: take them in unchecked, under a new one. `accept` has to follow.
          only_check: add nothing.
        Raises:
          LedgerError: they are not one history with what is here, or not chained under the key; nothing was changed.
        """

    def secret(self) -> bytes:
        """Return the ledger's key (32 bytes): for a copy that is kept apart from the events.

        Raises:
          LedgerError: there is none.
        """

    def fingerprint_key(self) -> bytes:
        """Return the key for content fingerprints (32 bytes)."""


def row_of(event: Event) -> tuple[Any, ...]:
    """Return an event as a row of a table."""
    values = {**vars(event), "payload": json.dumps(event.payload, sort_keys=True, allow_nan=False)}
    return tuple(values[name] for name in COLUMNS)


def event_of(row: Sequence[Any], place: str) -> Event:
    """Return the event that a row of a table holds.

    Raises:
      LedgerError: it holds none.
    """
    seq, time, run_id, dataset, kind, epsilon, delta, text, prev_hash, own_hash = row
    texts = (time, run_id, dataset, kind, text, prev_hash, own_hash)
    readable = all(isinstance(value, str) for value in texts) and kind in KINDS
    readable = readable and all(type(value) is int and 0 <= value <= LARGEST for value in (seq, epsilon, delta))
    try:
        payload = json.loads(text) if readable else None
    except (ValueError, RecursionError):
        payload = None
    if not isinstance(payload, dict):
        raise LedgerError(
            f"The ledger in {place} is damaged: event {seq if type(seq) is int else '?'} cannot be read. Put the "
            "newest copy back."
        )
    return Event(
        seq=seq, time=time, run_id=run_id, dataset=dataset, kind=cast(Kind, kind), epsilon_units=epsilon,
        delta_units=delta, payload=payload, prev_hash=prev_hash, hash=own_hash,
    )  # fmt: skip


def missing_part(here: Sequence[Event], received: Sequence[Event]) -> Sequence[Event]:
    """Return the events of a whole ledger that are not here yet.

    Raises:
      LedgerError: neither is the beginning of the other.
    """
    common = min(len(here), len(received))
    if list(here[:common]) != list(received[:common]):
        raise LedgerError(
            "The ledger that is here and the one that was given have different histories, so neither can take in the "
            "other. Nothing was changed. Choose an empty place."
        )
    return received[common:]

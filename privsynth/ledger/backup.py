"""A copy of a whole ledger as one file, and its way into another place.

A copy holds every event, chained as it stands, and neither the key nor the head: whoever finds it can read the names of
datasets and what was spent, and cannot forge an event or confirm a guess of a table. Taking it in again goes past no
head: a place that knows of more events than the copy notices that it is older.
"""

from __future__ import annotations

import json
import secrets

from privsynth.errors import InputError, LedgerError
from privsynth.ledger.events import Draft, Event, State, fold
from privsynth.ledger.ledger import Ledger
from privsynth.ledger.stores.protocol import event_of, row_of

_KIND = "privsynth ledger backup"
_FORMAT = 1  # of the file; a change that older versions would misread takes the next number
LARGEST_BACKUP = 1 << 28  # bytes: half a million events, which no institution has (own)


def backup_of(ledger: Ledger) -> bytes:
    """Return a copy of a ledger.

    Raises:
      LedgerError: it is damaged or an older copy of itself: there is nothing worth keeping until a person decided.
    """
    rows = [list(row_of(event)) for event in ledger.store.read()]
    return json.dumps({"what": _KIND, "format": _FORMAT, "events": rows}, indent=0).encode() + b"\n"


def events_in(data: bytes) -> list[Event]:
    """Return the events of a copy.

    Raises:
      InputError: it is none.
    """
    try:
        copy = json.loads(data) if len(data) <= LARGEST_BACKUP else None
        if isinstance(copy, dict) and copy.get("what") == _KIND and copy.get("format") == _FORMAT:
            return [event_of(row, "the backup") for row in copy["events"]]
    except (ValueError, KeyError, TypeError, RecursionError, LedgerError):
        pass
    raise InputError("The file is no backup of a ledger, or a part of one. Give a file that `budget backup` wrote.")


def restore(ledger: Ledger, data: bytes, *, key: bytes | None, lost: bool = False) -> int:
    """Add the events of a copy that a ledger lacks, and return their number.

    Args:
      key: the ledger's key, where it is not there.
      lost: the key is nowhere any more; what was spent comes back, and `accept_restored` has to follow.
    Raises:
      InputError: the copy or the key is none.
      LedgerError: the copy has another history than what is there; nothing was changed. Or it was taken in, and is
        older than what the head knows of; `accept_restored` goes on.
    """
    added = ledger.store.receive(events_in(data), key=key, lost=lost)
    ledger.store.read()
    return added


def move(source: Ledger, target: Ledger) -> int:
    """Let a ledger go on in another place, and end where it was; return the number of its events.

    The old place is closed first, so that at no moment both can spend. A move that was cut off is done again from
    where it stopped.

    Raises:
      LedgerError: the target holds another history; the source went on elsewhere already; or either cannot be used.
    """
    events, key = source.store.read(), source.store.secret()
    _refuse_elsewhere(fold(events), source, target)
    target.store.receive(events, key=key, only_check=True)
    token = _closed(source, target)
    target.store.receive(source.store.read(), key=key)

    def go_on(state: State) -> Draft | None:
        if state.moved is None:
            return None
        if state.moved["token"] != token:
            raise LedgerError(
                f"The ledger in {target.store.place} has moved on from there. Set PRIVSYNTH_LEDGER to it."
            )
        return Draft(kind="continued", payload={"token": token, "from": source.store.place})

    target.store.append(go_on, time=target.time())
    return len(target.store.read())


def _closed(source: Ledger, target: Ledger) -> str:
    """End the source, unless it has ended, and return what the end is called."""
    found: list[str] = []

    def end(state: State) -> Draft | None:
        _refuse_elsewhere(state, source, target)
        found[:] = [state.moved["token"] if state.moved else secrets.token_hex(16)]
        if state.moved:
            return None
        return Draft(kind="moved", payload={"to": target.store.place, "token": found[0]})

    source.store.append(end, time=source.time())
    return found[0]


def _refuse_elsewhere(state: State, source: Ledger, target: Ledger) -> None:
    if source.store.place == target.store.place:
        raise LedgerError("The ledger is there already. Nothing was changed.")
    if state.moved and state.moved["to"] != target.store.place:
        raise LedgerError(f"The ledger was moved to {state.moved['to']} already. Move it on from there.")

"""`ChainHead`: the latest event that was seen, kept apart from the events so that an older copy of them is noticed."""

from __future__ import annotations

import hmac
import json
import os
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from privsynth.ledger.events import Charge, Event, State, genesis
from privsynth.ledger.names import identity
from privsynth.ledger.stores.protocol import LARGEST


@dataclass(frozen=True, kw_only=True)
class ChainHead:
    """The latest event that was acknowledged or seen.

    Attributes:
      spent: units of epsilon and delta, for each dataset.
      charges: what each run cost, by its id; None in the head of a folder, of which no other machine can have gone on
        from an older copy.
    """

    seq: int
    hash: str
    spent: dict[str, tuple[int, int]]
    charges: dict[str, Charge] | None = None
    mac: str = ""

    def body(self) -> dict[str, Any]:
        """Return what the code of authenticity covers, JSON-able."""
        body = {"seq": self.seq, "hash": self.hash, "spent": {k: list(v) for k, v in self.spent.items()}}
        return body if self.charges is None else {**body, "charges": {k: list(v) for k, v in self.charges.items()}}

    def code(self, key: bytes) -> str:
        """Return the code of authenticity of the head under the chain's key."""
        return hmac.digest(key, b"head" + json.dumps(self.body(), sort_keys=True).encode(), "sha256").hex()

    def genuine(self, key: bytes) -> bool:
        """Return whether the head is as it was written under the chain's key."""
        return hmac.compare_digest(self.mac.encode(), self.code(key).encode())

    def to_bytes(self, key: bytes) -> bytes:
        """Return the file of the head."""
        return json.dumps({**self.body(), "mac": self.code(key)}, sort_keys=True).encode() + b"\n"


def read_head(path: Path) -> tuple[ChainHead | None, str | None]:
    """Return the head in a file, None if there is no file, and a sentence if it cannot be read."""
    if not path.exists():
        return None, None
    try:
        data = json.loads(path.read_bytes())
        spent = {str(name): (int(pair[0]), int(pair[1])) for name, pair in data["spent"].items()}
        charges = None
        if "charges" in data:
            charges = {str(k): (str(c[0]), int(c[1]), int(c[2])) for k, c in data["charges"].items()}
        amounts = [*spent.values(), *(charge[1:] for charge in (charges or {}).values())]
        if not all(0 <= amount <= LARGEST for pair in amounts for amount in pair):
            raise ValueError("amount")
        head = ChainHead(
            seq=int(data["seq"]), hash=str(data["hash"]), spent=spent, charges=charges, mac=str(data["mac"])
        )
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        return None, f"The ledger is damaged: {path.name} cannot be read"
    return head, None


def head_of(events: Sequence[Event], state: State, *, first: str, charges: bool) -> ChainHead:
    """Return the head that the events have; `first` is the hash before the first event."""
    seq, last_hash = (events[-1].seq, events[-1].hash) if events else (0, first)
    return ChainHead(seq=seq, hash=last_hash, spent=state.all_spent(), charges=state.charges() if charges else None)


def off_chain(head: ChainHead, events: Sequence[Event], first: str) -> str | None:
    """Return why a head does not lie on a chain of events, as a sentence; None where it does."""
    last = events[-1].seq if events else 0
    if head.seq > last:
        return f"The ledger is an older copy of itself: {head.seq - last} event(s) are missing at its end"
    hashes = {event.seq: event.hash for event in events} | {0: first}
    if hashes.get(head.seq) != head.hash:
        return "The ledger went on from an older copy of itself: events that were seen are missing"
    return None


def may_advance(head: ChainHead | None, events: Sequence[Event], key: bytes) -> bool:
    """Return whether a head may give way to that of events: there is none, or it is genuine and they lie beyond it."""
    if head is None:
        return True
    return head.genuine(key) and head.seq < events[-1].seq and off_chain(head, events, genesis(key)) is None


def write_private(path: Path, data: bytes) -> None:
    """Replace a file by `data` in one step, on the disk when this returns, readable by its owner only.

    Machines that share a folder may do so at once: the last one stands.
    """
    part = path.with_name(f"{path.name}.{secrets.token_hex(8)}.part")
    try:
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # a folder cannot be opened there; its entries are written through
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def lost_by_dataset(head: ChainHead | None, state: State) -> dict[str, list[int]]:
    """Return what the head says was spent beyond what the events show, for each dataset, in units."""
    known: dict[str, tuple[int, int]] = {}  # a head that is older than the joining of spellings has several of a name
    for dataset, (epsilon, delta) in (head.spent if head else {}).items():
        name = state.spelling(dataset)
        name = next((other for other in known if identity(other) == identity(name)), name)
        before = known.get(name, (0, 0))
        known[name] = (before[0] + epsilon, before[1] + delta)
    lost: dict[str, list[int]] = {}
    for dataset, (epsilon, delta) in known.items():
        now = state.spent(dataset)
        gap = [max(0, epsilon - now[0]), max(0, delta - now[1])]
        if any(gap):
            lost[dataset] = gap
    return lost


def lost_by_run(heads: list[ChainHead], state: State) -> dict[str, Charge]:
    """Return what heads say that runs cost beyond what the events show, by run, in units.

    By run, since others may have gone on from the older copy: what they spent since must not hide what was lost.
    """
    now = state.charges()
    lost: dict[str, Charge] = {}
    for run_id, (dataset, *known) in ((k, c) for head in heads for k, c in (head.charges or {}).items()):
        shown = now.get(run_id, (dataset, 0, 0))[1:]
        before = lost.get(run_id, (dataset, 0, 0))[1:]
        gap = [max(k - s, b, 0) for k, s, b in zip(known, shown, before, strict=True)]
        if any(gap):
            lost[run_id] = (state.spelling(dataset), gap[0], gap[1])
    return lost

"""The events of the budget ledger and what they add up to: pure functions, no files.

Rules, the most important first:
  1. What was reserved is spent, until a `refunded` event says that nothing was drawn, or a `stopped` event that a run
     which may stop early ended before it had drawn most of it. A killed run stays spent.
  2. Releases compose by plain addition of epsilon and of delta, in whole units (epsilon 1e-12, delta 1e-18):
     a cost is rounded up, a cap down, and no float is ever added to another.
  3. Balances are derived from the events alone; there is no second place that holds a sum.
  4. Each event carries the keyed hash of the one before it, so that an edited, deleted or inserted row shows.

Guarantee: none of its own; it counts what others promise. Adding epsilons is valid for releases about the
same unit; each reservation names its unit, and a release that protects rows says nothing about persons who
have many.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor
from typing import Any, Literal, get_args

from privsynth._validate import in_range, inside, non_negative, positive
from privsynth.errors import LedgerError
from privsynth.ledger.names import identity, skeleton

EPSILON_UNITS = 10**12  # units in an epsilon of 1: a rounded cost is off by a 10**-12, which no sum of runs can show
DELTA_UNITS = 10**18  # units in a delta of 1: deltas of 1e-12 still have six digits, and 1 fits a 64-bit integer
MAX_EPSILON = 1e6  # far beyond any promise; keeps every amount inside a 64-bit integer
# Caps of a dataset until somebody sets others (own): ten releases at epsilon 1 and the default delta of 1e-6.
DEFAULT_CAP_EPSILON = 10.0
DEFAULT_CAP_DELTA = 1e-5  # for the same ten releases

Charge = tuple[str, int, int]  # of a run: dataset, epsilon units, delta units
Status = Literal["reserved", "drawn", "completed", "failed", "stopped", "refunded"]
Kind = Literal[
    "cap", "reserved", "bound", "drawn", "completed", "failed", "stopped", "refunded", "accepted", "moved", "continued"
]
KINDS: frozenset[str] = frozenset(get_args(Kind))


@dataclass(frozen=True, kw_only=True)
class Draft:
    """An event before it has its place in the chain. Amounts are in units; the payload is JSON-able."""

    kind: Kind
    dataset: str = ""
    run_id: str = ""
    epsilon_units: int = 0
    delta_units: int = 0
    payload: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Event:
    """One row of the ledger. `seq` counts from 1, `time` is UTC in ISO 8601, hashes are hexadecimal."""

    seq: int
    time: str
    run_id: str
    dataset: str
    kind: Kind
    epsilon_units: int
    delta_units: int
    payload: dict[str, Any]
    prev_hash: str
    hash: str

    @property
    def epsilon(self) -> float:
        """The epsilon of the event: a reservation's cost, or a cap."""
        return float(Fraction(self.epsilon_units, EPSILON_UNITS))

    @property
    def delta(self) -> float:
        """The delta of the event: a reservation's cost, or a cap."""
        return float(Fraction(self.delta_units, DELTA_UNITS))

    def to_json(self) -> dict[str, Any]:
        """Return the event as JSON-able data, amounts as numbers and hashes left out."""
        names = ("seq", "time", "run_id", "dataset", "kind", "epsilon", "delta", "payload")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, kw_only=True)
class LedgerRun:
    """What the events say about one reservation.

    Attributes:
      mu: of a completed release, (μ, the probability that it leaves out); None where the ledger does not know it.
    """

    run_id: str
    dataset: str
    unit: str
    epsilon_units: int
    delta_units: int
    status: Status = "reserved"
    fingerprint: str | None = None
    mu: tuple[float, float] | None = None

    @property
    def charge(self) -> tuple[int, int]:
        """What the run costs, in units: nothing once it is refunded."""
        return (0, 0) if self.status == "refunded" else (self.epsilon_units, self.delta_units)


@dataclass
class State:
    """All balances, folded from the events. Pairs are (epsilon units, delta units).

    A dataset is asked for by any spelling of its name, see `privsynth.ledger.names`; ledgers that were written before
    spellings were joined are read as if they had been.

    Attributes:
      caps, carried: by the identity of a name.
      spellings: identity -> the spelling that was first used.
      recovered: what is part of `carried`, by the run that cost it.
      moved: where the ledger went on, {"to", "token"}; None while it goes on here.
    """

    caps: dict[str, tuple[int, int]] = field(default_factory=dict)
    runs: dict[str, LedgerRun] = field(default_factory=dict)
    carried: dict[str, tuple[int, int]] = field(default_factory=dict)
    spellings: dict[str, str] = field(default_factory=dict)
    recovered: dict[str, Charge] = field(default_factory=dict)
    moved: dict[str, str] | None = None

    def datasets(self) -> list[str]:
        """Return the names of all datasets that have a cap or a cost, sorted, in the spelling that was first used."""
        return sorted(self.spellings.values())

    def spelling(self, dataset: str) -> str:
        """Return how a dataset is called: as at first, or as given if nobody has used it."""
        return self.spellings.get(identity(dataset), dataset)

    def lookalike(self, dataset: str) -> str | None:
        """Return another dataset whose name looks like this one, or None."""
        mine = skeleton(dataset)
        others = (name for key, name in self.spellings.items() if key != identity(dataset))
        return next((name for name in others if skeleton(name) == mine), None)

    def charged(self, dataset: str) -> list[LedgerRun]:
        """Return the runs of a dataset that cost something: all that were not refunded."""
        wanted = identity(dataset)
        return [r for r in self.runs.values() if identity(r.dataset) == wanted and r.status != "refunded"]

    def spent(self, dataset: str) -> tuple[int, int]:
        """Return what a dataset has spent, in units, open reservations included."""
        epsilon, delta = self.carried_over(dataset)
        runs = self.charged(dataset)
        return epsilon + sum(r.epsilon_units for r in runs), delta + sum(r.delta_units for r in runs)

    def carried_over(self, dataset: str) -> tuple[int, int]:
        """Return what a dataset had spent in a ledger that this one replaces, in units."""
        return self.carried.get(identity(dataset), (0, 0))

    def cap(self, dataset: str) -> tuple[int, int]:
        """Return the cap of a dataset, in units; the default where nobody has set one."""
        default = cap_units(epsilon=DEFAULT_CAP_EPSILON, delta=DEFAULT_CAP_DELTA)
        return self.caps.get(identity(dataset)) or default

    def owner(self, fingerprint: str) -> str | None:
        """Return the dataset under which a content is charged, or None."""
        for run in self.runs.values():
            if run.fingerprint == fingerprint and run.status != "refunded":
                return run.dataset
        return None

    def charges(self) -> dict[str, Charge]:
        """Return what each run costs now, by its id, with what was carried over of no known run by dataset."""
        charges: dict[str, Charge] = {r.run_id: (r.dataset, *r.charge) for r in self.runs.values()}
        rest = {name: list(self.carried_over(name)) for name in self.datasets()}
        for run_id, (dataset, epsilon, delta) in self.recovered.items():
            _, *before = charges.get(run_id, (dataset, 0, 0))
            charges[run_id] = (dataset, before[0] + epsilon, before[1] + delta)
            name = self.spelling(dataset)
            rest[name] = [rest[name][0] - epsilon, rest[name][1] - delta]
        # A tab is in no name of a run.
        unnamed = {f"carried\t{name}": (name, pair[0], pair[1]) for name, pair in rest.items() if any(pair)}
        return charges | unnamed

    def all_spent(self) -> dict[str, tuple[int, int]]:
        """Return what every dataset has spent, in units."""
        return {name: self.spent(name) for name in self.datasets()}


def moved_away(state: State) -> str | None:
    """Return that the ledger goes on elsewhere, as a sentence without its end; None while it goes on here."""
    return f"This ledger was moved to {state.moved['to']} and ended here" if state.moved else None


def spend_units(*, epsilon: float, delta: float) -> tuple[int, int]:
    """Return a cost in units, each rounded up from the decimal that the number prints as.

    The decimal (`repr`) is what the person typed and what every report says: ten times 0.1 is 1 here.

    Raises:
      ConfigError: epsilon is not in (0, 1e6], or delta not in [0, 1); NaN is in neither.
    """
    positive(epsilon=epsilon)
    in_range(0, MAX_EPSILON, epsilon=epsilon)
    if delta != 0:
        inside(0, 1, delta=delta)
    return ceil(_decimal(epsilon) * EPSILON_UNITS), ceil(_decimal(delta) * DELTA_UNITS)


def cap_units(*, epsilon: float, delta: float) -> tuple[int, int]:
    """Return a cap in units, each rounded down. Zero is a cap: it closes a dataset.

    Raises:
      ConfigError: epsilon is not in [0, 1e6], or delta not in [0, 1).
    """
    non_negative(epsilon=epsilon, delta=delta)
    in_range(0, MAX_EPSILON, epsilon=epsilon)
    if delta != 0:
        inside(0, 1, delta=delta)
    return floor(_decimal(epsilon) * EPSILON_UNITS), floor(_decimal(delta) * DELTA_UNITS)


def _decimal(value: float) -> Fraction:
    return Fraction(repr(float(value)))


def epsilon_text(units: int) -> str:
    """Return an amount of epsilon as a plain decimal, exact."""
    return f"{(Decimal(units) / EPSILON_UNITS).normalize():f}"


def delta_text(units: int) -> str:
    """Return an amount of delta in scientific notation, exact: 1e-6."""
    return f"{(Decimal(units) / DELTA_UNITS).normalize():e}" if units else "0"


def genesis(key: bytes) -> str:
    """Return the hash that stands before the first event."""
    return hmac.digest(key, b"genesis", "sha256").hex()


def seal(draft: Draft, *, seq: int, time: str, prev_hash: str, key: bytes) -> Event:
    """Return the draft as event number `seq`, chained to the one before it under `key`."""
    unsealed = Event(seq=seq, time=time, prev_hash=prev_hash, hash="", **vars(draft))
    return replace(unsealed, hash=_event_hash(unsealed, key))


def _event_hash(event: Event, key: bytes) -> str:
    return hmac.digest(key, _canonical(event), "sha256").hex()


def _canonical(event: Event) -> bytes:
    fields = [value for name, value in vars(event).items() if name != "hash"]
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def digest(events: Sequence[Event]) -> str:
    """Return a digest of all events as they stand, hashes included."""
    whole = hashlib.sha256()
    for event in events:
        whole.update(_canonical(event) + event.hash.encode() + b"\n")
    return whole.hexdigest()


def chain_holds(events: Sequence[Event], key: bytes) -> bool:
    """Return whether no event was edited, removed, inserted or moved since it was written.

    What stood before an `accepted` event is held by the digest in that event, not by its own chain: it may
    have been written under another key, or be the damage that a person accepted.
    """
    start = max((i for i, event in enumerate(events) if event.kind == "accepted"), default=0)
    seq, previous = (events[start - 1].seq, events[start - 1].hash) if start else (0, genesis(key))
    for event in events[start:]:
        seq += 1
        if event.seq != seq or event.prev_hash != previous:
            return False
        previous = event.hash
        if not hmac.compare_digest(previous.encode(), _event_hash(event, key).encode()):
            return False
    if events and events[start].kind == "accepted":
        return bool(events[start].payload.get("digest") == digest(events[:start]))
    return True


_BECOMES: dict[str, Status] = {
    "drawn": "drawn", "completed": "completed", "failed": "failed", "refunded": "refunded",
}  # fmt: skip


def fold(events: Iterable[Event]) -> State:
    """Return the balances that follow from the events.

    Raises:
      LedgerError: an event has a shape that this version does not know.
    """
    state = State()
    for event in events:
        try:
            _apply(state, event)
        except (KeyError, TypeError, ValueError) as error:
            raise LedgerError(f"event {event.seq} of the ledger has a shape that cannot be read") from error
    return state


def _apply(state: State, event: Event) -> None:
    if event.kind in ("cap", "reserved"):
        state.spellings.setdefault(identity(event.dataset), event.dataset)
    if event.kind == "cap":
        state.caps[identity(event.dataset)] = (event.epsilon_units, event.delta_units)
    elif event.kind == "reserved":
        state.runs[event.run_id] = LedgerRun(
            run_id=event.run_id,
            dataset=event.dataset,
            unit=str(event.payload["unit"]),
            epsilon_units=event.epsilon_units,
            delta_units=event.delta_units,
        )
    elif event.kind == "accepted":
        for dataset, (epsilon, delta) in event.payload["carried"].items():
            state.spellings.setdefault(identity(dataset), dataset)
            before = state.carried.get(identity(dataset), (0, 0))
            state.carried[identity(dataset)] = (before[0] + int(epsilon), before[1] + int(delta))
        for run_id, (dataset, epsilon, delta) in event.payload.get("recovered", {}).items():
            _, *pair = state.recovered.get(run_id, (dataset, 0, 0))
            state.recovered[run_id] = (dataset, pair[0] + int(epsilon), pair[1] + int(delta))
        state.moved = None
    elif event.kind == "moved":
        state.moved = {"to": str(event.payload["to"]), "token": str(event.payload["token"])}
    elif event.kind == "continued":
        state.moved = None
    elif (run := state.runs.get(event.run_id)) is not None:
        if event.kind == "stopped":  # never more than was reserved
            epsilon = min(int(event.payload["epsilon_units_used"]), run.epsilon_units)
            state.runs[run.run_id] = replace(run, status="stopped", epsilon_units=max(epsilon, 0))
        elif event.kind == "bound":
            state.runs[run.run_id] = replace(run, fingerprint=str(event.payload["fingerprint"]))
        else:
            known = event.payload if event.kind == "completed" else {}
            mu = (float(known["mu"]), float(known["mu_delta"])) if "mu" in known else None
            state.runs[run.run_id] = replace(run, status=_BECOMES[event.kind], mu=mu)

"""The budget ledger: what each dataset may spend, what it has spent, and on which release.

    ledger = Ledger(privsynth_home())
    with ledger.reserve("admissions", epsilon=1, delta=1e-6, unit="patient_id", run_id=run_id) as reservation:
        reservation.bind(fingerprint)  # keyed hash of the content; refused if another dataset has it
        reservation.mark_drawn()       # on the disk before the first noise; now nothing is given back
        ...
        reservation.complete()

A reservation that ends by an exception is refunded if nothing was drawn, and stays spent otherwise; so does
one whose process is killed. The rules of counting are in `ledger.events`, those of the files in
`ledger.store`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from privsynth.errors import BudgetError, BudgetExceeded, ConfigError, LedgerError, Option
from privsynth.ledger.account import Account, account_of, amount_text, over_cap_text
from privsynth.ledger.events import Draft, Event, Kind, LedgerRun, State, Status, cap_units, fold, spend_units
from privsynth.ledger.names import check_dataset, check_name, identity
from privsynth.ledger.store import LedgerStore

__all__ = ["Account", "Event", "Ledger", "Reservation"]


class Ledger:
    """The privacy budget of all datasets of one person or machine, kept in a folder.

    Guarantee: the costs charged to a dataset never add up to more than its cap, whatever processes run at
    once and whichever of them are killed.
    Args:
      home: the folder; made with mode 0700 at the first write.
      timeout_s: how long to wait while another process writes.
      clock: the time of events, with a time zone.
    """

    def __init__(
        self,
        home: Path,
        *,
        timeout_s: float = 10.0,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.home = Path(home)
        self._store = LedgerStore(self.home, timeout_s=timeout_s)
        self._clock = clock

    def reserve(
        self,
        dataset: str,
        *,
        epsilon: float,
        delta: float,
        unit: str,
        run_id: str,
        now: datetime | None = None,
    ) -> Reservation:
        """Set (epsilon, delta) aside for one run, or refuse before anything changes.

        Args:
          dataset: the account's name.
          epsilon, delta: the whole cost of the run; rounded up to the ledger's units.
          unit: what the release protects: a column's name, or "row".
          run_id: a name that no run before had.
          now: the time of the event; the ledger's clock if None.
        Raises:
          ConfigError: an amount or a name is absurd.
          BudgetExceeded: less than that is left of the dataset's cap.
          BudgetError: the run is in the ledger already.
          LedgerUnavailable: the ledger is in use or cannot be written.
          LedgerError: it is damaged or an older copy of itself.
        """
        cost = spend_units(epsilon=epsilon, delta=delta)
        check_dataset(dataset)
        check_name("unit", unit)
        check_name("run_id", run_id)
        seen: list[str] = []

        def decide(state: State) -> Draft:
            if run_id in state.runs:
                raise BudgetError(f"The run {run_id!r} is in the ledger already. Give each run a name of its own.")
            _refuse_lookalike(state, dataset)
            seen[:] = [state.spelling(dataset), *account_of(state, dataset).units]
            spent, cap = state.spent(dataset), state.cap(dataset)
            if any(s + c > limit for s, c, limit in zip(spent, cost, cap, strict=True)):
                raise BudgetExceeded(over_cap_text(dataset, cost=cost, spent=spent, cap=cap))
            return Draft(
                kind="reserved", dataset=seen[0], run_id=run_id, epsilon_units=cost[0], delta_units=cost[1],
                payload={"unit": unit},
            )  # fmt: skip

        self._append(decide, now)
        return Reservation(self, dataset=seen[0], run_id=run_id, units=tuple(dict.fromkeys([*seen[1:], unit])))

    def set_cap(self, dataset: str, epsilon: float | None = None, delta: float | None = None) -> Account:
        """Set the cap of a dataset, rounded down; None leaves a part of it as it is. Zero closes the dataset.

        Raises:
          ConfigError: an amount or the name is absurd.
          BudgetError: more than that is spent already.
        """
        check_dataset(dataset)
        given = cap_units(epsilon=0 if epsilon is None else epsilon, delta=0 if delta is None else delta)

        def decide(state: State) -> Draft:
            _refuse_lookalike(state, dataset)
            old = state.cap(dataset)
            cap = (old[0] if epsilon is None else given[0], old[1] if delta is None else given[1])
            spent = state.spent(dataset)
            if cap[0] < spent[0] or cap[1] < spent[1]:
                raise BudgetError(
                    f"The cap of dataset {dataset!r} cannot be {amount_text(cap)}: {amount_text(spent)} "
                    "is spent already. "
                    "What is spent cannot be taken back; set a cap of at least that."
                )
            return Draft(kind="cap", dataset=state.spelling(dataset), epsilon_units=cap[0], delta_units=cap[1])

        self._append(decide)
        return self.account(dataset)

    def over_cap(self, dataset: str, *, epsilon: float, delta: float) -> str | None:
        """Return why a run of this cost would be refused now, as a sentence; None if it would not be.

        Raises:
          ConfigError: an amount or the name is absurd.
          LedgerError: the ledger cannot be read.
        """
        cost = spend_units(epsilon=epsilon, delta=delta)
        check_dataset(dataset)
        state = fold(self._store.read())
        spent, cap = state.spent(dataset), state.cap(dataset)
        if all(s + c <= limit for s, c, limit in zip(spent, cost, cap, strict=True)):
            return None
        return over_cap_text(dataset, cost=cost, spent=spent, cap=cap)

    def accounts(self) -> list[Account]:
        """Return the balances of all datasets, by name."""
        state = fold(self._store.read())
        return [account_of(state, dataset) for dataset in state.datasets()]

    def account(self, dataset: str) -> Account:
        """Return the balance of one dataset; if nobody has used it, the default cap and nothing spent."""
        return account_of(fold(self._store.read()), dataset)

    def history(self, dataset: str) -> list[Event]:
        """Return the events of one dataset, by any spelling of its name, and of all datasets, oldest first."""
        wanted = {"", identity(dataset)}
        return [event for event in self._store.read() if identity(event.dataset) in wanted]

    def fingerprint_key(self) -> bytes:
        """Return the secret key (32 bytes) for the content hashes that `Reservation.bind` takes."""
        return self._store.fingerprint_key()

    def owner(self, fingerprint: bytes) -> str | None:
        """Return the dataset whose content this is; None if no run has read it.

        Args:
          fingerprint: under `fingerprint_key`.
        """
        return fold(self._store.read()).owner(fingerprint.hex())

    def accept_restored(self, reason: str) -> Event:
        """Go on from a ledger that is damaged or an older copy, and record why a person allowed it.

        Raises:
          BudgetError: the ledger is whole.
          ConfigError: no reason is given.
        """
        if not reason.strip():
            raise ConfigError("Say why the ledger may be trusted as it is; the reason is recorded.")
        return self._store.accept(reason.strip(), time=self._time(None))

    def run(self, run_id: str) -> LedgerRun:
        """Return what the ledger says about one run.

        Raises:
          BudgetError: it knows no such run.
        """
        return _run(fold(self._store.read()), run_id)

    def _append(self, decide: Callable[[State], Draft | None], now: datetime | None = None) -> Event | None:
        return self._store.append(decide, time=self._time(now))

    def _time(self, now: datetime | None) -> str:
        moment = self._clock() if now is None else now
        if moment.tzinfo is None:
            raise ConfigError("The time of a ledger event needs a time zone.")
        return moment.astimezone(UTC).isoformat(timespec="milliseconds")


# What became of the budget of a run that a person stopped; notes of the interrupt.
STAYS_SPENT = "Noise had been drawn, so the reserved budget stays spent."
GIVEN_BACK = "No noise had been drawn: nothing was spent."


class Reservation:
    """A part of the budget that one run holds: reserved, then drawn, then completed, failed or refunded.

    Its state is in the ledger, not in this object: two objects for one run see the same.

    Attributes:
      dataset: the name, in the spelling that the ledger knows.
      units: what the releases of the dataset protect, this one included.
    """

    def __init__(self, ledger: Ledger, *, dataset: str, run_id: str, units: tuple[str, ...] = ()) -> None:
        self._ledger = ledger
        self.dataset = dataset
        self.run_id = run_id
        self.units = units
        self._used: tuple[float | None, float | None] | None = None  # of a release that is whole

    def __repr__(self) -> str:
        return f"Reservation(dataset={self.dataset!r}, run_id={self.run_id!r})"

    @property
    def status(self) -> Status:
        """reserved, drawn, completed, failed, stopped or refunded; asked from the ledger."""
        return self._ledger.run(self.run_id).status

    def bind(self, fingerprint: bytes) -> None:
        """Tie the run to a content, before anything is drawn.

        Args:
          fingerprint: a hash of the content under `Ledger.fingerprint_key`; at least 16 bytes. Only an
            identical content is recognised.
        Raises:
          BudgetError: the same content is charged to a dataset of another name; this reservation is given
            back. Also if the run is bound to another content, or has drawn already.
        """
        if len(fingerprint) < 16:
            raise ConfigError("A content fingerprint has at least 16 bytes.")
        mark = bytes(fingerprint).hex()

        def decide(state: State) -> Draft | None:
            run = self._expect(state, "bind a content", "reserved")
            if run.fingerprint == mark:
                return None
            if run.fingerprint is not None:
                raise BudgetError(f"The run {self.run_id!r} is bound to another content. Start a new run.")
            owner = state.owner(mark)
            if owner is not None and identity(owner) != identity(self.dataset):
                return self._draft("refunded", {"reason": "other name", "other": owner})
            return self._draft("bound", {"fingerprint": mark})

        event = self._ledger._append(decide)
        if event is not None and event.kind == "refunded":
            raise BudgetError(
                f"The same content is in the ledger already, as dataset {event.payload['other']!r}; under "
                f"the name {self.dataset!r} its cost would be counted apart. Nothing was spent. Run again with ",
                Option("dataset"),
                " and that name.",
            )

    def mark_drawn(self) -> None:
        """Record, on the disk, that noise is about to be drawn. Afterwards nothing is given back. Twice is as
        once.

        Raises:
          BudgetError: the run is not bound to a content, or has ended.
        """

        def decide(state: State) -> Draft | None:
            run = self._expect(state, "draw noise", "reserved", "drawn")
            if run.fingerprint is None:
                raise BudgetError(f"The run {self.run_id!r} is not bound to a content yet: bind it before it draws.")
            return None if run.status == "drawn" else self._draft("drawn")

        self._ledger._append(decide)

    def complete(self, epsilon_spent: float | None = None, delta_spent: float | None = None) -> None:
        """Record that the release is whole. The full reservation stays charged, also where less was used.

        Where the ledger cannot be written, the run stays charged, and `close` tries to record the same once more: a
        release that is whole is never called failed.

        Args:
          epsilon_spent, delta_spent: what the mechanisms cost in the end, for the record; None means all of
            it.
        Raises:
          BudgetExceeded: they cost more than was reserved; the release must not leave.
          BudgetError: nothing was drawn, or the run has ended.
          LedgerError: it could not be recorded.
        """
        self._used = (epsilon_spent, delta_spent)
        try:
            self._ledger._append(lambda state: self._completed(self._expect(state, "complete", "drawn")))
        except LedgerError:
            raise
        except BudgetError:
            self._used = None
            raise

    def _completed(self, run: LedgerRun) -> Draft:
        held = (run.epsilon_units, run.delta_units)
        epsilon, delta = self._used or (None, None)
        rounded = spend_units(epsilon=1.0 if epsilon is None else epsilon, delta=0.0 if delta is None else delta)
        used = (held[0] if epsilon is None else rounded[0], held[1] if delta is None else rounded[1])
        if used[0] > held[0] or used[1] > held[1]:
            raise BudgetExceeded(
                f"The run {self.run_id!r} used {amount_text(used)} where it had reserved {amount_text(held)}. "
                "The release must not leave."
            )
        return self._draft("completed", {"epsilon_units_used": used[0], "delta_units_used": used[1]})

    def stop(self, epsilon_spent: float) -> None:
        """Record that the run ended early, by what it had released: less ε stays charged, and the whole δ.

        Args:
          epsilon_spent: what was drawn costs, at the δ that the run's plan set aside for this (`Bill`).
        Raises:
          BudgetError: nothing was drawn, or the run has ended.
          LedgerError: it could not be recorded; the whole reservation stays charged.
        """

        def decide(state: State) -> Draft:
            run = self._expect(state, "stop", "drawn")
            used = min(spend_units(epsilon=epsilon_spent, delta=0.0)[0], run.epsilon_units)
            return self._draft("stopped", {"epsilon_units_used": used})

        self._ledger._append(decide)

    def refund(self) -> None:
        """Give the reservation back.

        Raises:
          BudgetError: noise was drawn, or the run has ended.
        """

        def decide(state: State) -> Draft:
            run = _run(state, self.run_id)
            if run.status in ("drawn", "completed", "failed", "stopped"):
                raise BudgetError(f"The run {self.run_id!r} has drawn noise: what it reserved stays spent.")
            self._expect(state, "refund", "reserved")
            return self._draft("refunded", {"reason": "nothing was drawn"})

        self._ledger._append(decide)

    def close(self) -> None:
        """End the run wherever it stands: refunded if nothing was drawn, completed if the release is whole, else failed
        and spent.
        """

        def decide(state: State) -> Draft | None:
            run = _run(state, self.run_id)
            if run.status == "reserved":
                return self._draft("refunded", {"reason": "nothing was drawn"})
            if run.status != "drawn":
                return None
            return self._draft("failed") if self._used is None else self._completed(run)

        self._ledger._append(decide)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None and self._used is None:
            self.close()
            return
        # The first error is the one to tell, and a whole release is none; what cannot be written stays spent.
        with suppress(BudgetError):
            self.close()
            if isinstance(error, KeyboardInterrupt) and self._used is None:
                error.add_note(STAYS_SPENT if self.status == "failed" else GIVEN_BACK)

    def _expect(self, state: State, what: str, *allowed: Status) -> LedgerRun:
        run = _run(state, self.run_id)
        if run.status not in allowed:
            raise BudgetError(f"The run {self.run_id!r} cannot {what}: it is {run.status}. Start a new run.")
        return run

    def _draft(self, kind: Kind, payload: dict[str, Any] | None = None) -> Draft:
        return Draft(kind=kind, dataset=self.dataset, run_id=self.run_id, payload=payload or {})


def _run(state: State, run_id: str) -> LedgerRun:
    try:
        return state.runs[run_id]
    except KeyError:
        raise BudgetError(f"The ledger knows no run {run_id!r}.") from None


def _refuse_lookalike(state: State, dataset: str) -> None:
    other = state.lookalike(dataset)
    if other is not None:
        raise ConfigError(
            f"the name of the dataset looks like {other!r}, which is in the ledger in letters of another alphabet; its "
            "budget would be counted apart. Copy that name, or choose one that cannot be mistaken for it."
        )

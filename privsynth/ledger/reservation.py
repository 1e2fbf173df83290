"""`Reservation`: the part of a budget that one run holds, from the moment it is set aside to its end."""

from __future__ import annotations

from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from privsynth.errors import BudgetError, BudgetExceeded, ConfigError, LedgerError, Option
from privsynth.ledger.account import amount_text
from privsynth.ledger.events import Draft, Kind, LedgerRun, State, Status, spend_units
from privsynth.ledger.names import identity

if TYPE_CHECKING:
    from privsynth.ledger.ledger import Ledger

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
        self._mu: tuple[float, float] | None = None

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

        event = self._ledger.append(decide)
        if event is not None and event.kind == "refunded":
            raise BudgetError(
                f"The same content is in the ledger already, as dataset {event.payload['other']!r}; under "
                f"the name {self.dataset!r} its cost would be counted apart. Nothing was spent. Run again with ",
                Option("dataset", str(event.payload["other"])),
                ".",
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

        self._ledger.append(decide)

    def complete(
        self,
        epsilon_spent: float | None = None,
        delta_spent: float | None = None,
        mu: tuple[float, float] | None = None,
    ) -> None:
        """Record that the release is whole. The full reservation stays charged, also where less was used.

        Where the ledger cannot be written, the run stays charged, and `close` tries to record the same once more: a
        release that is whole is never called failed.

        Args:
          epsilon_spent, delta_spent: what the mechanisms cost in the end, for the record; None means all of
            it.
          mu: the release is μ-GDP but for outcomes of a total probability, (μ, that probability); None if it is not.
        Raises:
          BudgetExceeded: they cost more than was reserved; the release must not leave.
          BudgetError: nothing was drawn, or the run has ended.
          LedgerError: it could not be recorded.
        """
        self._used, self._mu = (epsilon_spent, delta_spent), mu
        try:
            self._ledger.append(lambda state: self._completed(self._expect(state, "complete", "drawn")))
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
        gaussian = {} if self._mu is None else {"mu": self._mu[0], "mu_delta": self._mu[1]}
        return self._draft("completed", {"epsilon_units_used": used[0], "delta_units_used": used[1], **gaussian})

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

        self._ledger.append(decide)

    def refund(self) -> None:
        """Give the reservation back.

        Raises:
          BudgetError: noise was drawn, or the run has ended.
        """

        def decide(state: State) -> Draft:
            run = run_of(state, self.run_id)
            if run.status in ("drawn", "completed", "failed", "stopped"):
                raise BudgetError(f"The run {self.run_id!r} has drawn noise: what it reserved stays spent.")
            self._expect(state, "refund", "reserved")
            return self._draft("refunded", {"reason": "nothing was drawn"})

        self._ledger.append(decide)

    def close(self) -> None:
        """End the run wherever it stands: refunded if nothing was drawn, completed if the release is whole, else failed
        and spent.
        """

        def decide(state: State) -> Draft | None:
            run = run_of(state, self.run_id)
            if run.status == "reserved":
                return self._draft("refunded", {"reason": "nothing was drawn"})
            if run.status != "drawn":
                return None
            return self._draft("failed") if self._used is None else self._completed(run)

        self._ledger.append(decide)

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
        run = run_of(state, self.run_id)
        if run.status not in allowed:
            raise BudgetError(f"The run {self.run_id!r} cannot {what}: it is {run.status}. Start a new run.")
        return run

    def _draft(self, kind: Kind, payload: dict[str, Any] | None = None) -> Draft:
        return Draft(kind=kind, dataset=self.dataset, run_id=self.run_id, payload=payload or {})


def run_of(state: State, run_id: str) -> LedgerRun:
    """Return what the balances say about one run.

    Raises:
      BudgetError: they know no such run.
    """
    try:
        return state.runs[run_id]
    except KeyError:
        raise BudgetError(f"The ledger knows no run {run_id!r}.") from None

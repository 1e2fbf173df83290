"""The budget ledger: what each dataset may spend, what it has spent, and on which release.

    ledger = Ledger.chosen(privsynth_home())
    with ledger.reserve("admissions", epsilon=1, delta=1e-6, unit="patient_id", run_id=run_id) as reservation:
        reservation.bind(fingerprint)  # keyed hash of the content; refused if another dataset has it
        reservation.mark_drawn()       # on the disk before the first noise; now nothing is given back
        ...
        reservation.complete()

A reservation that ends by an exception is refunded if nothing was drawn, and stays spent otherwise; so does
one whose process is killed. The rules of counting are in `ledger.events`; where events are kept, and what every such
place promises, in `ledger.stores`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from privsynth.errors import BudgetError, BudgetExceeded, ConfigError, LedgerError
from privsynth.ledger.account import Account, account_of, amount_text, over_cap_text
from privsynth.ledger.events import Draft, Event, LedgerRun, State, cap_units, fold, moved_away, spend_units
from privsynth.ledger.names import check_dataset, check_name, identity
from privsynth.ledger.reservation import Reservation, run_of
from privsynth.ledger.stores.address import address_of
from privsynth.ledger.stores.folder import FolderStore
from privsynth.ledger.stores.postgresql import PostgresStore
from privsynth.ledger.stores.protocol import Store

FOLDER = "folder"  # how a person calls the ledger in the home of privsynth, where a URL could be given
SHARED = "shared"  # the folder in the home with key and head of a ledger that several machines share


class Ledger:
    """The privacy budget of all datasets of one person or machine, kept in a folder, or of all machines that share it.

    Guarantee: the costs charged to a dataset never add up to more than its cap, whatever processes run at
    once, on whatever machines that share the ledger, and whichever of them are killed.
    Args:
      home: the folder; made with mode 0700 at the first write.
      url: of the database of PostgreSQL that several machines share; "" or "folder" for the folder alone.
      second_head: a file that notices an older copy of a shared database beside the home; it may be shared, too.
      timeout_s: how long to wait while another process writes, or a server is away.
      clock: the time of events, with a time zone.
    Raises:
      ConfigError: the URL cannot be read.
    """

    def __init__(
        self,
        home: Path,
        *,
        url: str = "",
        second_head: Path | None = None,
        timeout_s: float = 10.0,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.home = Path(home)
        self._clock = clock
        self.store: Store
        if url in ("", FOLDER):
            self.store = FolderStore(self.home, timeout_s=timeout_s)
        else:
            self.store = PostgresStore(
                address_of(url), self.home / SHARED, timeout_s=timeout_s, second_head=second_head
            )

    @classmethod
    def chosen(cls, home: Path) -> Self:
        """Return the ledger that `PRIVSYNTH_LEDGER` names, or else that in the folder."""
        head = os.environ.get("PRIVSYNTH_LEDGER_HEAD", "")
        url = os.environ.get("PRIVSYNTH_LEDGER", "")
        return cls(home, url=url, second_head=Path(head).expanduser() if head else None)

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

        self.append(decide, now)
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

        self.append(decide)
        return self.account(dataset)

    def over_cap(self, dataset: str, *, epsilon: float, delta: float) -> str | None:
        """Return why a run of this cost would be refused now, as a sentence; None if it would not be.

        Raises:
          ConfigError: an amount or the name is absurd.
          LedgerError: the ledger cannot be read.
        """
        cost = spend_units(epsilon=epsilon, delta=delta)
        check_dataset(dataset)
        state = fold(self.store.read())
        spent, cap = state.spent(dataset), state.cap(dataset)
        if all(s + c <= limit for s, c, limit in zip(spent, cost, cap, strict=True)):
            return None
        return over_cap_text(dataset, cost=cost, spent=spent, cap=cap)

    def accounts(self) -> list[Account]:
        """Return the balances of all datasets, by name."""
        state = fold(self.store.read())
        return [account_of(state, dataset) for dataset in state.datasets()]

    def account(self, dataset: str) -> Account:
        """Return the balance of one dataset; if nobody has used it, the default cap and nothing spent."""
        return account_of(fold(self.store.read()), dataset)

    def history(self, dataset: str) -> list[Event]:
        """Return the events of one dataset, by any spelling of its name, and of all datasets, oldest first."""
        wanted = {"", identity(dataset)}
        return [event for event in self.store.read() if identity(event.dataset) in wanted]

    def fingerprint_key(self) -> bytes:
        """Return the secret key (32 bytes) for the content hashes that `Reservation.bind` takes."""
        return self.store.fingerprint_key()

    def owner(self, fingerprint: bytes) -> str | None:
        """Return the dataset whose content this is; None if no run has read it.

        Args:
          fingerprint: under `fingerprint_key`.
        """
        return fold(self.store.read()).owner(fingerprint.hex())

    def accept_restored(self, reason: str) -> Event:
        """Go on from a ledger that is damaged or an older copy, and record why a person allowed it.

        Raises:
          BudgetError: the ledger is whole.
          ConfigError: no reason is given.
        """
        if not reason.strip():
            raise ConfigError("Say why the ledger may be trusted as it is; the reason is recorded.")
        return self.store.accept(reason.strip(), time=self.time())

    def run(self, run_id: str) -> LedgerRun:
        """Return what the ledger says about one run.

        Raises:
          BudgetError: it knows no such run.
        """
        return run_of(fold(self.store.read()), run_id)

    def append(self, decide: Callable[[State], Draft | None], now: datetime | None = None) -> Event | None:
        """Append the event that `decide` makes of the balances, unless the ledger ended here.

        Raises:
          LedgerError: it goes on elsewhere; or as `Store.append`.
        """

        def unless_moved(state: State) -> Draft | None:
            if (ended := moved_away(state)) is not None:
                raise LedgerError(
                    f"{ended}. Set PRIVSYNTH_LEDGER to that place. Only if it never went on there, run "
                    "`privsynth budget accept-restored`, which goes on here and records that you did."
                )
            return decide(state)

        return self.store.append(unless_moved, time=self.time(now))

    def time(self, now: datetime | None = None) -> str:
        """Return a moment, or that of the clock, as events state it.

        Raises:
          ConfigError: it has no time zone.
        """
        moment = self._clock() if now is None else now
        if moment.tzinfo is None:
            raise ConfigError("The time of a ledger event needs a time zone.")
        return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def _refuse_lookalike(state: State, dataset: str) -> None:
    other = state.lookalike(dataset)
    if other is not None:
        raise ConfigError(
            f"the name of the dataset looks like {other!r}, which is in the ledger in letters of another alphabet; its "
            "budget would be counted apart. Copy that name, or choose one that cannot be mistaken for it."
        )

"""What each dataset has spent and has left, as the ledger says."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from privsynth.ledger.account import Account, account_of, several_units_text
from privsynth.ledger.events import State, delta_text, epsilon_text, fold
from privsynth.ledger.ledger import Ledger
from privsynth.ledger.names import identity
from privsynth.service.caller import Caller
from privsynth.service.context import Service
from privsynth.service.roles import Act
from privsynth.service.store.runs import SourceRow


@dataclass(frozen=True, kw_only=True)
class DatasetBudget:
    """The balance of one dataset. Amounts are in the ledger's units.

    Attributes:
      reserved: epsilon of runs that are going on.
      lost: epsilon of runs that ended without a release, and had drawn noise.
      last: epsilon of the latest release; None where there is none.
    """

    account: Account
    reserved: int
    lost: int
    last: int | None

    @property
    def cap(self) -> str:
        """The cap on epsilon, as a decimal; amounts are exact, since a rounded one could promise too much."""
        return epsilon_text(self.account.cap_epsilon_units)

    @property
    def spent(self) -> str:
        """What is spent, with what is reserved."""
        return epsilon_text(self.account.spent_epsilon_units)

    @property
    def left(self) -> str:
        """What is left."""
        return epsilon_text(self.account.left_epsilon_units)

    @property
    def left_delta(self) -> str:
        """What is left of delta."""
        return delta_text(self.account.left_delta_units)

    @property
    def share(self) -> float:
        """Which share of the cap is spent, of epsilon or of delta, whichever is nearer to its end; at most 1."""
        one = self.account
        pairs = (
            (one.spent_epsilon_units, one.cap_epsilon_units), (one.spent_delta_units, one.cap_delta_units),
        )  # fmt: skip
        return min(1.0, max(spent / cap if cap else 1.0 for spent, cap in pairs))

    @property
    def sentences(self) -> list[str]:
        """What else there is to say, as sentences without their full stop."""
        told = []
        if self.reserved:
            told.append(f"runs that are going on have set aside ε {epsilon_text(self.reserved)}")
        if self.lost:
            told.append(f"runs that ended without a release spent ε {epsilon_text(self.lost)}")
        if self.last:
            more = self.account.left_epsilon_units // self.last
            releases = f"{more} more release" + ("" if more == 1 else "s")
            told.append(f"enough for {releases} like the latest, which cost ε {epsilon_text(self.last)}")
        if len(self.account.units) > 1:
            told.append(several_units_text(self.account.dataset, self.account.units).rstrip("."))
        return told


def budgets(service: Service, caller: Caller) -> list[DatasetBudget]:
    """Return the balance of every dataset of the ledger and of every source, by name.

    Raises:
      LedgerError: the ledger is damaged, older than it was, or cannot be read now.
    """
    caller.require(Act.SEE_BUDGET)
    with service.database.reading() as session:
        of_sources = list(session.scalars(select(SourceRow.dataset).where(SourceRow.retired_at.is_(None))))
    state = fold(Ledger.chosen(service.home).store.read())
    names = {identity(name): state.spelling(name) for name in [*state.datasets(), *of_sources]}
    return [_budget(state, name) for name in sorted(names.values())]


def _budget(state: State, dataset: str) -> DatasetBudget:
    account = account_of(state, dataset)
    runs = state.charged(dataset)
    reserved = sum(run.epsilon_units for run in runs if run.status in ("reserved", "drawn"))
    done = [run.epsilon_units for run in runs if run.status == "completed"]
    lost = account.spent_epsilon_units - account.released_epsilon_units - reserved
    return DatasetBudget(account=account, reserved=reserved, lost=lost, last=done[-1] if done else None)

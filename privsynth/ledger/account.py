"""`Account`: the balance of one dataset, and the sentences that quote it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from privsynth.ledger.events import (
    DEFAULT_CAP_DELTA,
    DEFAULT_CAP_EPSILON,
    DELTA_UNITS,
    EPSILON_UNITS,
    LedgerRun,
    State,
    cap_units,
    delta_text,
    epsilon_text,
)


@dataclass(frozen=True, kw_only=True)
class Account:
    """The balance of one dataset. Amounts are in units: epsilon 1e-12, delta 1e-18.

    Attributes:
      dataset: the name under which releases of the same persons are counted together.
      units: the units of privacy that its releases named, for example ("patient_id",); sums are over all of
        them, and where there are several, no sum is a promise about any (docs/guarantee.md, section 6).
      n_completed: releases: runs that ended well.
      n_stopped: runs that stopped early, by what they had released: they cost part of their budget.
      n_unreleased: all runs that cost something and released nothing: stopped, failed, killed or still at work.
      released_units: the units of privacy that completed and stopped runs named.
      released_epsilon_units, released_delta_units: what these cost, with what was carried over from an older ledger.
      released_mu: what completed releases compose to, (μ, the probability that it leaves out), if none was planned by
        what another showed; None where one is not known, and where a run was stopped or cost was carried over.
    """

    dataset: str
    units: tuple[str, ...]
    cap_epsilon_units: int
    cap_delta_units: int
    spent_epsilon_units: int
    spent_delta_units: int
    n_completed: int
    n_stopped: int = 0
    n_unreleased: int = 0
    released_units: tuple[str, ...] = ()
    released_epsilon_units: int = 0
    released_delta_units: int = 0
    released_mu: tuple[float, float] | None = None

    @property
    def left_epsilon_units(self) -> int:
        """What is left of epsilon, in units; 0 where more is spent than the cap allows."""
        return max(0, self.cap_epsilon_units - self.spent_epsilon_units)

    @property
    def left_delta_units(self) -> int:
        """What is left of delta, in units; 0 where more is spent than the cap allows."""
        return max(0, self.cap_delta_units - self.spent_delta_units)

    @property
    def is_used(self) -> bool:
        """Whether anything was spent, or the cap is another than the default."""
        default = cap_units(epsilon=DEFAULT_CAP_EPSILON, delta=DEFAULT_CAP_DELTA)
        spent = self.spent_epsilon_units or self.spent_delta_units
        return (
            bool(self.n_completed or self.n_unreleased or spent)
            or (self.cap_epsilon_units, self.cap_delta_units) != default
        )

    def to_json(self) -> dict[str, Any]:
        """Return the account as JSON-able data, amounts as numbers."""
        amounts = {f"{what}_epsilon": getattr(self, f"{what}_epsilon_units") for what in ("cap", "spent", "left")}
        deltas = {f"{what}_delta": getattr(self, f"{what}_delta_units") for what in ("cap", "spent", "left")}
        return {
            "dataset": self.dataset,
            "units": list(self.units),
            **{name: float(Fraction(units, EPSILON_UNITS)) for name, units in amounts.items()},
            **{name: float(Fraction(units, DELTA_UNITS)) for name, units in deltas.items()},
            "releases": self.n_completed,
            "completed": self.n_completed,
            "released_nothing": self.n_unreleased,
        }


def account_of(state: State, dataset: str) -> Account:
    """Return the balance of a dataset, from the folded events."""
    runs = state.charged(dataset)
    cap, spent = state.cap(dataset), state.spent(dataset)
    completed = [run for run in runs if run.status == "completed"]
    stopped = [run for run in runs if run.status == "stopped"]
    told = completed + stopped
    carried = state.carried_over(dataset)
    return Account(
        dataset=state.spelling(dataset),
        units=tuple(dict.fromkeys(run.unit for run in runs)),
        cap_epsilon_units=cap[0],
        cap_delta_units=cap[1],
        spent_epsilon_units=spent[0],
        spent_delta_units=spent[1],
        n_completed=len(completed),
        n_stopped=len(stopped),
        n_unreleased=len(runs) - len(completed),
        released_units=tuple(dict.fromkeys(run.unit for run in told)),
        released_epsilon_units=carried[0] + sum(run.epsilon_units for run in told),
        released_delta_units=carried[1] + sum(run.delta_units for run in told),
        released_mu=None if stopped or any(carried) else _composed(completed),
    )


def _composed(completed: Sequence[LedgerRun]) -> tuple[float, float] | None:
    """Return what releases compose to: μ² adds up (Dong, Roth & Su 2022), and so do the probabilities."""
    known = [run.mu for run in completed if run.mu is not None]
    if not known or len(known) < len(completed):
        return None
    return math.sqrt(math.fsum(mu**2 for mu, _ in known)), math.fsum(left_out for _, left_out in known)


def amount_text(pair: tuple[int, int]) -> str:
    """Return (epsilon units, delta units) as words."""
    return f"epsilon {epsilon_text(pair[0])}, delta {delta_text(pair[1])}"


HOW_TO_RAISE = (
    "See `privsynth budget show`; whoever answers for the data can raise the cap with `privsynth budget set`."
)


def over_cap_text(dataset: str, *, cost: tuple[int, int], spent: tuple[int, int], cap: tuple[int, int]) -> str:
    """Return why a reservation is refused: what is left, the cap, and what to do. Pairs in units."""
    left = (max(0, cap[0] - spent[0]), max(0, cap[1] - spent[1]))
    return (
        f"The run asks for {amount_text(cost)}, but dataset {dataset!r} has {amount_text(left)} left of "
        "its cap "
        f"({amount_text(cap)}). Nothing was drawn or spent. {HOW_TO_RAISE}"
    )


def several_units_text(dataset: str, units: Sequence[str]) -> str:
    """Return what must be known of a dataset whose releases protect several units."""
    names = ", ".join(repr(unit) for unit in units)
    return (
        f"The releases of dataset {dataset!r} protect different units ({names}). Their costs are added up against one "
        "cap, but the sum is a promise about none of these units: only releases of one unit add up to a promise about "
        "it. Give all releases of a dataset the same unit."
    )

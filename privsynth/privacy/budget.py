"""`Budget`, what a release may cost; `SpendingPlan`, how it is cut into parts; `Bill`, what was spent of each part.

The plan is made from public facts before any row is read: the budget, what the schema declares, the generator's
configuration. Every part is Gaussian, counted in μ². δ for the thresholds of open domains is set aside first. Training
steps are a part of their own, whose noise multiplier comes from the accountant.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from privsynth._validate import in_range, non_negative, positive
from privsynth.errors import BudgetExceeded, ConfigError, Option
from privsynth.privacy.accounting import (
    Event,
    GaussianEvent,
    SubsampledGaussianEvent,
    calibrate_subsampled,
    epsilon_of,
    gdp_epsilon,
    gdp_mu,
)

DEFAULT_DELTA = 1e-6  # below 1/n for tables of up to a million units, as δ should be (Dwork & Roth 2014, §2.3)
DISCOVERY_DELTA_SHARE = 0.1  # of δ, for thresholds: their height grows only with √log(1/δ); the noise keeps the rest
# Of δ, where a run may stop after it has counted the rows: at this δ the ε of a stopped run is stated. A smaller share
# states a larger ε (with √log(1/δ)), a larger one takes from the noise of every run that goes on.
STOPPING_DELTA_SHARE = 0.01
MAX_EPSILON = 1_000.0  # e^1000: an attacker's odds may change by any factor, so there is no promise left
MIN_EPSILON = 1e-4  # counts get noise of about 1/ε rows: more than ten thousand
# A share that is split again is multiplied by ROUNDING, so that the floating-point sum of its pieces stays below it.
# TOLERANCE is how far the bill lets a sum exceed its part. Both margins are far wider than double-precision rounding.
ROUNDING = 1 - 1e-9
TOLERANCE = 1 + 1e-9  # (own)


@dataclass(frozen=True, kw_only=True)
class Budget:
    """The promise of one release.

    Neighbouring tables always differ by adding or removing the rows of a unit. A declared number of rows is a constant
    that a person gave; nothing compares it with the table, so it does not change the relation. ('Replace a unit's rows'
    would need more noise: each row then moves two counts of a contingency table.)

    Attributes:
      epsilon, delta: the total of everything that leaves the release's public folder.
      unit: name of the column that identifies the privacy unit, or "row".
      max_rows_per_unit: the most rows of one unit that are used; 1 for "row".
      rows: the number of rows if it was declared public, else None.
    """

    epsilon: float
    delta: float = DEFAULT_DELTA
    unit: str = "row"
    max_rows_per_unit: int = 1
    rows: int | None = None

    def __post_init__(self) -> None:
        positive(epsilon=self.epsilon, delta=self.delta)
        if self.epsilon > MAX_EPSILON:
            raise ConfigError(f"epsilon {self.epsilon:g} promises nothing; choose one of at most {MAX_EPSILON:g}")
        if self.epsilon < MIN_EPSILON:
            raise ConfigError(f"epsilon {self.epsilon:g} leaves only noise; choose one of at least {MIN_EPSILON:g}")
        if not 1e-30 < self.delta <= 0.01:
            raise ConfigError(f"delta must lie between 1e-30 and 0.01, not {self.delta:g}; 1e-6 is usual")
        in_range(1, 100_000, max_rows_per_unit=self.max_rows_per_unit)
        if self.unit == "row" and self.max_rows_per_unit != 1:
            raise ConfigError(
                "with ", Option("unit", "row"), " each row is a unit of its own, so max_rows_per_unit is 1"
            )

    @property
    def neighbours(self) -> str:
        """The neighbouring relation, as a sentence for the report."""
        whose = "one row" if self.unit == "row" else f"all rows of one {self.unit}"
        if self.rows is not None:
            # Equivalent to removing them: rows without a unit and rows of nulls are left out before any mechanism runs.
            return f"replace {whose} by nulls (the number of rows was declared public)"
        return f"add or remove {whose}"


@dataclass(frozen=True, kw_only=True)
class SpendingPlan:
    """How a budget is cut into parts, fixed by public facts.

    Attributes:
      budget: the total.
      parts: part -> μ² that it may spend in Gaussian releases.
      discovery_delta: δ set aside for the thresholds of open domains.
      stopping_delta: δ set aside for a run that may stop early and is then charged with less than the whole ε.
      training: the training steps, or None.
    """

    budget: Budget
    parts: Mapping[str, float]
    discovery_delta: float = 0.0
    stopping_delta: float = 0.0
    training: SubsampledGaussianEvent | None = None

    @property
    def gaussian_delta(self) -> float:
        """δ at which the noise is converted to ε."""
        return self.budget.delta - self.discovery_delta - self.stopping_delta

    @property
    def promised_mu(self) -> tuple[float, float] | None:
        """μ of the whole plan, and the δ of thresholds that it leaves out; None where it trains."""
        if self.training is not None:
            return None
        return gdp_mu(self.budget.epsilon, self.gaussian_delta), self.discovery_delta

    def events(self) -> list[Event]:
        """Return the events of the plan, spent to the end."""
        events: list[Event] = [GaussianEvent(noise_multiplier=m**-0.5) for m in self.parts.values() if m > 0]
        return events + ([self.training] if self.training else [])


@dataclass(frozen=True, kw_only=True)
class TrainingSpec:
    """The public shape of a DP-SGD run: share of the total in μ², sampling probability, steps."""

    share: float
    sampling_probability: float
    steps: int


def plan_spending(
    budget: Budget,
    weights: Mapping[str, float],
    *,
    open_domain: bool,
    training: TrainingSpec | None = None,
    may_stop: bool = False,
) -> SpendingPlan:
    """Cut a budget into parts.

    Guarantee: the plan's events compose to at most (budget.epsilon, budget.delta).
    Args:
      weights: part -> relative share of the Gaussian budget; they need not sum to one.
      open_domain: whether any category or frequent value has to be discovered by a threshold.
      training: a DP-SGD run that takes its share first.
      may_stop: whether the run may end early and be charged with what it has spent by then.
    """
    non_negative(**weights)
    positive(sum_of_weights=math.fsum(weights.values()))
    discovery_delta = budget.delta * DISCOVERY_DELTA_SHARE if open_domain else 0.0
    stopping_delta = budget.delta * STOPPING_DELTA_SHARE if may_stop else 0.0
    delta = budget.delta - discovery_delta - stopping_delta
    total = gdp_mu(budget.epsilon, delta) ** 2
    event = None
    if training is not None:
        in_range(0.0, 0.95, training_share=training.share)
        total *= 1.0 - training.share
        noise_multiplier = calibrate_subsampled(
            epsilon=budget.epsilon,
            delta=delta,
            mu_squared=total,
            sampling_probability=training.sampling_probability,
            steps=training.steps,
        )
        event = SubsampledGaussianEvent(
            noise_multiplier=noise_multiplier,
            sampling_probability=training.sampling_probability,
            steps=training.steps,
        )
    # Slightly below the total, so that no rounding of the parts can lift their sum above it.
    scale = total * ROUNDING / math.fsum(weights.values())
    return SpendingPlan(
        budget=budget,
        parts={name: weight * scale for name, weight in weights.items()},
        discovery_delta=discovery_delta,
        stopping_delta=stopping_delta,
        training=event,
    )


@dataclass(frozen=True, kw_only=True)
class Spend:
    """One entry of the bill: what was released, by which mechanism, at what price."""

    label: str
    part: str
    mechanism: str
    noise_multiplier: float
    l2_sensitivity: float
    mu_squared: float
    delta: float = 0.0
    steps: int = 1
    sampling_probability: float = 1.0


@dataclass
class Bill:
    """What was spent of a plan. A release beyond the plan is refused before any noise is drawn.

    Attributes:
      plan: the parts.
      spends: the entries so far, in order.
      before_first_draw: called once, before the first noise is drawn: the ledger's point of no return.
    """

    plan: SpendingPlan
    before_first_draw: Callable[[], None] = lambda: None
    spends: list[Spend] = field(default_factory=list)
    _drawn: bool = False

    def charge(self, spend: Spend) -> None:
        """Enter one Gaussian release or one threshold.

        Raises:
          BudgetExceeded: the part has less than that left; nothing is entered.
        """
        if spend.part not in self.plan.parts:
            raise BudgetExceeded(f"the plan has no part '{spend.part}'")
        spent = math.fsum(s.mu_squared for s in self.spends if s.part == spend.part)
        # Written so that NaN and negative prices are refused.
        if not 0 <= spend.mu_squared <= self.plan.parts[spend.part] * TOLERANCE - spent:
            raise BudgetExceeded(f"'{spend.label}' would pass what the part '{spend.part}' may spend")
        deltas = math.fsum(s.delta for s in self.spends)
        if not 0 <= spend.delta <= self.plan.discovery_delta * TOLERANCE - deltas:
            raise BudgetExceeded(f"'{spend.label}' would pass the delta that is set aside for thresholds")
        self._enter(spend)

    def share_out(self, parts: Mapping[str, float]) -> None:
        """Split the plan's μ² over its parts again: the total cannot grow, and no part can get less than it has spent.

        Later prices may depend on earlier releases: the μ² of Gaussian releases still add up, provided that their sum
        was fixed before the first.

        Args:
          parts: the plan's parts -> μ²; from public facts and released figures alone.
        Raises:
          BudgetExceeded: parts other than the plan's, more than its total, or less than a part has spent.
        Source: Smith & Thakurta (2022), *Fully adaptive composition for Gaussian differential privacy*.
        """
        known = parts.keys() == self.plan.parts.keys() and all(0 <= mu2 < math.inf for mu2 in parts.values())
        if not known or math.fsum(parts.values()) > math.fsum(self.plan.parts.values()) * (1 + 1e-12):
            raise BudgetExceeded("the parts of a plan can be cut anew, but neither added to nor renamed")
        for part, mu2 in parts.items():
            if math.fsum(s.mu_squared for s in self.spends if s.part == part) > mu2 * TOLERANCE:
                raise BudgetExceeded(f"the part '{part}' has spent more than it would have")
        self.plan = replace(self.plan, parts=dict(parts))

    def charge_training(self, label: str, l2_sensitivity: float, steps: int | None = None) -> SubsampledGaussianEvent:
        """Enter steps of the training run of the plan, all of them if None, and return their event.

        Raises:
          BudgetExceeded: the plan has not so many steps left; nothing is entered.
        """
        event = self.plan.training
        if event is None:
            raise BudgetExceeded("the plan has no training run")
        taken = sum(s.steps for s in self.spends if s.part == "training")
        event = replace(event, steps=event.steps if steps is None else steps)
        if taken + event.steps > self.plan.training.steps:  # type: ignore[union-attr]
            raise BudgetExceeded("the plan has no training run left")
        self._enter(
            Spend(
                label=label,
                part="training",
                mechanism="Poisson-subsampled Gaussian (DP-SGD)",
                noise_multiplier=event.noise_multiplier,
                l2_sensitivity=l2_sensitivity,
                mu_squared=0.0,
                steps=event.steps,
                sampling_probability=event.sampling_probability,
            )
        )
        return event

    def _enter(self, spend: Spend) -> None:
        if not self._drawn:
            self.before_first_draw()
            self._drawn = True
        self.spends.append(spend)

    def events(self) -> list[Event]:
        """Return what was spent, as events that any accountant can compose."""
        events: list[Event] = []
        for spend in self.spends:
            if spend.part == "training":
                events.append(
                    SubsampledGaussianEvent(
                        noise_multiplier=spend.noise_multiplier,
                        sampling_probability=spend.sampling_probability,
                        steps=spend.steps,
                    )
                )
            else:
                events.append(GaussianEvent(noise_multiplier=spend.noise_multiplier))
        return events

    def delta_spent(self) -> float:
        """Return the δ that thresholds took."""
        return math.fsum(s.delta for s in self.spends)

    def epsilon_spent(self) -> float:
        """Return ε of everything on the bill at the plan's δ, rounded up."""
        return epsilon_of(self.events(), self.plan.gaussian_delta)

    def epsilon_if_stopped(self) -> float:
        """Return ε of a run that ends here, at the δ that was set aside for that, rounded up.

        Guarantee: with the plan's whole δ, it is what a ledger may charge, although the run ended because of what it
          had released (docs/guarantee.md, section 6).
        Raises:
          BudgetExceeded: nothing was set aside, or more than the number of rows was bought.
        """
        # Of linked tables, parts are named by table and part, and a run stops before another table is looked at.
        more = self.delta_spent() > 0 or any(spend.part.rpartition("/")[2] != "rows" for spend in self.spends)
        if more or self.plan.stopping_delta <= 0:
            raise BudgetExceeded("a run may stop for less than it reserved only once it has bought its number of rows")
        return min(epsilon_of(self.events(), self.plan.stopping_delta), self.plan.budget.epsilon)


__all__ = [
    "DEFAULT_DELTA",
    "Bill",
    "Budget",
    "Spend",
    "SpendingPlan",
    "TrainingSpec",
    "gdp_epsilon",
    "plan_spending",
]

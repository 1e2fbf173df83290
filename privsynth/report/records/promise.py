"""What a release promises, and how that was paid for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from privsynth.findings.left_out import RowsLeftOut
from privsynth.report.records.checked import within


@dataclass(frozen=True, kw_only=True)
class SpendRecord:
    """One release that was paid for.

    Attributes:
      label: its name in the ledger.
      mechanism: for example "Gaussian, integer-valued".
      noise_multiplier: standard deviation / sensitivity, dimensionless; None if the mechanism has none.
      sensitivity: largest L2 change between neighbours, in the units of the query; None if it has none.
      share: its part of the budget, 0 to 1, in mu squared; the shares of a guarantee sum to at most 1.
      delta: its part of delta.
      what: one sentence on what was released.
    """

    label: str
    mechanism: str
    share: float
    what: str
    noise_multiplier: float | None = None
    sensitivity: float | None = None
    delta: float = 0.0

    def __post_init__(self) -> None:
        within(f"share of {self.label}", self.share, 0, 1)
        within(f"delta of {self.label}", self.delta, 0, 1)
        for name in ("noise_multiplier", "sensitivity"):
            number = getattr(self, name)
            if number is not None:
                within(f"{name} of {self.label}", number, 0, math.inf)


@dataclass(frozen=True, kw_only=True)
class Guarantee:
    """What is promised, end to end.

    Attributes:
      epsilon, delta: the total cost of the release; epsilon > 0, 0 <= delta < 1.
      unit: "row", or the name of the column that names the protected unit.
      unit_noun, rows_noun: what a unit is called ("patient") and, in the plural, its rows ("stays"); "" if undeclared.
      max_rows_per_unit: at most this many rows of a unit were used; None where the unit is a row.
      neighbours: one sentence that says which two tables the promise compares.
      accountant, second_accountant: which accountants computed the cost; the second is "" if there was none.
      mu: the release as Gaussian DP, if it is one; else None.
      mu_delta: probability of the events in which mu does not hold (thresholded discovery); part of delta.
      report_share: the part of the budget (in mu squared) set aside for the report's figures, 0 to 1.
      holdout_fraction: the share of units kept from training for the audit, 0 to 0.5.
      n_rows_noisy: the number of rows, bought with noise or declared public; None if neither.
      left_out: what rows beyond `max_rows_per_unit` mean for shares of rows; None where that is not known.
      spends: the paid releases, in order.
    """

    epsilon: float
    delta: float
    unit: str
    neighbours: str
    accountant: str
    unit_noun: str = field(default="", metadata={"omit_empty": True})
    rows_noun: str = field(default="", metadata={"omit_empty": True})
    max_rows_per_unit: int | None = None
    second_accountant: str = ""
    mu: float | None = None
    mu_delta: float = 0.0
    report_share: float = 0.0
    holdout_fraction: float = 0.0
    n_rows_noisy: int | None = None
    left_out: RowsLeftOut | None = field(default=None, metadata={"omit_empty": True})
    spends: tuple[SpendRecord, ...] = ()

    def __post_init__(self) -> None:
        if not (math.isfinite(self.epsilon) and self.epsilon > 0):
            raise ValueError(f"epsilon must be a finite number above 0, not {self.epsilon}")
        if not 0 <= self.delta < 1:
            raise ValueError(f"delta must be at least 0 and below 1, not {self.delta}")
        if self.mu is not None and not (math.isfinite(self.mu) and self.mu > 0):
            raise ValueError(f"mu must be a finite number above 0 or None, not {self.mu}")
        within("mu_delta", self.mu_delta, 0, self.delta)
        within("report_share", self.report_share, 0, 1)
        within("holdout_fraction", self.holdout_fraction, 0, 0.5)
        total = math.fsum(spend.share for spend in self.spends)
        if total > 1 + 1e-6:
            raise ValueError(f"the shares of the spends sum to {total}, more than the whole budget")


@dataclass(frozen=True, kw_only=True)
class GeneratorRecord:
    """The generator. `private=False` marks a reference without any guarantee."""

    name: str
    version: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    private: bool = True


@dataclass(frozen=True, kw_only=True)
class PriorRecord:
    """The public table or release from which this one started.

    Attributes:
      kind: "release", or "table" for rows that were declared public.
      name, digest: of the dataset or file; SHA-256 in hex.
      epsilon, unit: the promise of an earlier release; None and "" where there is none.
      columns: coded as the prior has them.
      bought: columns that the prior has too, and does not suit; their categories or bins were bought.
      agreement: how far columns depend on each other as in the prior, from 0 to 1; None where that was not asked.
    """

    kind: str
    name: str
    digest: str
    epsilon: float | None = None
    unit: str = ""
    columns: tuple[str, ...] = ()
    bought: tuple[str, ...] = ()
    agreement: float | None = None


@dataclass(frozen=True, kw_only=True)
class EarlierReleases:
    """The completed releases of the same dataset before this one, by the ledger of whoever made it.

    Runs that failed are left out: they released nothing, and why they failed is not public.

    Attributes:
      releases: how many. epsilon, delta: their sum, with what an older ledger carried over, and what `stopped` cost.
      stopped: runs that ended by their released number of rows and released nothing else; counted in the sum.
      mu, mu_delta: what the releases compose to, if none was planned by what another showed; None where that is not
        known of all that the sum holds.
      units: what they protect, as each of them named it.
    """

    releases: int
    epsilon: float
    delta: float
    units: tuple[str, ...] = ()
    stopped: int = field(default=0, metadata={"omit_empty": True})
    mu: float | None = field(default=None, metadata={"omit_empty": True})
    mu_delta: float = field(default=0.0, metadata={"omit_empty": True})

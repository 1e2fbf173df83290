"""`Finding`: a figure with its interval, its baseline, its verdict, and who may see it.

Visibility is `public` only for functions of public facts, synthetic rows and released figures (interval and n too);
whatever depends on a real row without noise is `officer`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

from privsynth.findings.families import FAMILIES
from privsynth.stats.intervals import Interval

Visibility = Literal["public", "officer"]
Verdict = Literal["pass", "fail", "review", "insufficient", "info"]
# Verdicts as they stand after a number, of one and of many alike, and before what has them.
COUNTED: dict[Verdict, str] = {
    "fail": "failed",
    "review": "to review",
    "insufficient": "without enough evidence",
    "pass": "passed",
    "info": "for information",
}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One measured figure.

    Attributes:
      family: section of the report, one of `FAMILIES`.
      name: what was measured, snake_case, stable across versions, for example `tvd_2way_mean`.
      group: what it was measured on: a column, a pair "age × sex", a group "sex=F"; "" for the whole table.
      value: the estimate; None without enough evidence (verdict `insufficient`).
      low, high: ends of the interval at `confidence`, with sampling error and released noise; None if there is none.
      confidence: of the interval, 0.95 unless said.
      n: rows or targets that the estimate is based on (a noisy count if public); None if it does not apply.
      baseline: the figure to compare with (the holdout's, chance, the real rows').
      baseline_label: what the baseline is, for example "holdout".
      better: "lower", "higher", "target" (nearest to the baseline), or "none".
      visibility: `public` or `officer`.
      verdict: `pass`, `fail`, `review`, `insufficient` or `info`.
      threshold: what the verdict is based on, with its source; "" for info.
      meaning: one or two plain sentences for a compliance officer.
      source: the definition: paper, section, or "own".
      unit: of the value: "" (share or score), "rows", "days", ...
      detail: JSON-able extras for charts (curves, matrices) under the same visibility.
    """

    family: str
    name: str
    value: float | None
    visibility: Visibility
    meaning: str
    group: str = ""
    low: float | None = None
    high: float | None = None
    confidence: float = 0.95
    n: int | None = None
    baseline: float | None = None
    baseline_label: str = ""
    better: Literal["lower", "higher", "target", "none"] = "none"
    verdict: Verdict = "info"
    threshold: str = ""
    source: str = "own"
    unit: str = ""
    detail: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.family not in FAMILIES:
            raise ValueError(f"unknown family {self.family!r}")
        if self.visibility not in ("public", "officer"):
            raise ValueError(f"unknown visibility {self.visibility!r}")
        for name in ("value", "low", "high", "baseline"):
            number = getattr(self, name)
            if number is not None and not math.isfinite(number):
                raise ValueError(f"{name} of {self.name} must be finite or None, not {number}")
        if self.value is None and self.verdict == "pass":
            raise ValueError(f"{self.name} has no value and cannot pass")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"the interval of {self.name} is reversed")

    @classmethod
    def of(cls, interval: Interval, **fields: Any) -> Finding:
        """Return the finding of an estimate with its interval.

        Args:
          interval: gives `value`, `low` and `high`.
          fields: all others, by name.
        """
        return cls(value=interval.value, low=interval.low, high=interval.high, **fields)

    def to_json(self) -> dict[str, Any]:
        """Return the finding as JSON-able data, every field present."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

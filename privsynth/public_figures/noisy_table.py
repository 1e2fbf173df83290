"""Noisy contingency tables, figures computed from them, and intervals that include the noise.

Counts are not clipped at zero before they are summed, for a sum of noisy counts is unbiased only if noise may cancel.
Rates are clipped to [0, 1] at the very end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from privsynth.codecs.contingency import contingency_tables, full_marginal
from privsynth.findings.finding import Finding

SOURCE = "sums released with Gaussian noise, divided by the noisy number of rows"
DRAWS = 400  # of noise and sampling error: 10 lie beyond either end of a 95 % interval (own)
USELESS = 0.3  # of a share or an area: a wider interval says nothing (own)
WHAT_HELPS = "What helps: a larger epsilon, more units, fewer columns, or declared bounds and coarser categories."
MIN_ROWS = 50.0  # of a denominator, as `MIN_ROWS` of a group in the audit (own)


@dataclass(frozen=True, repr=False, eq=False)
class NoisyTable:
    """A noisy contingency table, with plausible redraws.

    Attributes:
      counts: counts with noise of standard deviation `sigma` each.
      draws: (draws, *counts.shape) counts redrawn around the noisy ones, with noise and sampling error.
    """

    counts: np.ndarray
    sigma: float
    draws: np.ndarray

    @classmethod
    def around(cls, counts: np.ndarray, sigma: float, rng: np.random.Generator) -> NoisyTable:
        """Return a table with its draws."""
        counts = counts.astype(np.float64)
        spread = np.sqrt(sigma**2 + np.maximum(counts, 0.0))
        return cls(counts, sigma, counts + rng.standard_normal((DRAWS, *counts.shape)) * spread)

    def over(self, *axes: int) -> NoisyTable:
        """Return the table summed over axes of `counts`."""
        noisy = self.sigma * math.sqrt(math.prod(self.counts.shape[axis] for axis in axes))
        return NoisyTable(self.counts.sum(axis=axes), noisy, self.draws.sum(axis=tuple(axis + 1 for axis in axes)))

    def __getitem__(self, key: Any) -> NoisyTable:
        """Return a part of the table."""
        own = key if isinstance(key, tuple) else (key,)
        return NoisyTable(self.counts[own], self.sigma, self.draws[(slice(None), *own)])

    @property
    def total(self) -> float:
        """Noisy number of rows."""
        return float(self.counts.sum())

    @property
    def holds_enough(self) -> bool:
        """Whether the number of rows is large against the noise of their sum."""
        return self.total > max(MIN_ROWS, 4 * self.sigma * math.sqrt(self.counts.size))


@dataclass(frozen=True)
class Rate:
    """A share in [0, 1] with its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def useless(self) -> bool:
        """Whether the interval is too wide to be of use."""
        return self.high - self.low > USELESS


def counts_of(columns: Sequence[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    """Return the exact int64 contingency table of (n,) uint16 columns, of `shape`; private if the rows are."""
    (table,) = contingency_tables(np.stack(columns), [full_marginal(shape, tuple(range(len(shape))))])
    return table


def rate(part: NoisyTable, whole: NoisyTable, *, confidence: float = 0.95) -> Rate | None:
    """Return the share that `part` is of `whole`, both of one table; None where the whole is too small."""
    if not whole.holds_enough:
        return None
    axes = tuple(range(1, part.draws.ndim)), tuple(range(1, whole.draws.ndim))
    draws = part.draws.sum(axis=axes[0]) / np.maximum(whole.draws.sum(axis=axes[1]), 1.0)
    return interval_of(draws, part.total / whole.total, confidence=confidence)


def interval_of(draws: np.ndarray, value: float, *, confidence: float = 0.95) -> Rate:
    """Return an estimate in [0, 1] with the interval of its draws, widened to contain it."""
    tail = (1 - confidence) / 2
    low, high = (float(end) for end in np.quantile(draws, [tail, 1 - tail]))
    cut = [min(max(number, 0.0), 1.0) for number in (value, min(low, value), max(high, value))]
    return Rate(*cut)


def auroc(table: NoisyTable) -> Rate | None:
    """Return AUROC from a (bins, 2) table of label 0 and 1 in ascending score bins; None where a label is too rare.

    Ties count one half. The noise of the two labels is independent, so that the sum of products is unbiased.
    """
    if not (table[:, 0].holds_enough and table[:, 1].holds_enough):
        return None
    return interval_of(_area(table.draws), float(_area(table.counts)))


def _area(table: np.ndarray) -> np.ndarray:
    negative, positive = table[..., 0], table[..., 1]
    below = np.cumsum(negative, axis=-1) - negative
    wins = (positive * (below + 0.5 * negative)).sum(axis=-1)
    pairs = np.maximum(negative.sum(axis=-1), 1.0) * np.maximum(positive.sum(axis=-1), 1.0)
    area: np.ndarray = wins / pairs
    return area


def paid_figure(*, useless: bool, meaning: str, value: float, low: float, high: float, **more: Any) -> Finding:
    """Return a public finding, without a figure if `useless`."""
    common: dict[str, Any] = {"visibility": "public", **more}
    if not useless:
        return Finding(value=value, low=low, high=high, meaning=meaning, **common)
    common = {key: given for key, given in common.items() if key not in ("threshold", "detail")}
    return no_figure(meaning, **{**common, "verdict": "insufficient"})


def area_figure(table: NoisyTable, *, meaning: str, detail: dict[str, Any] | None = None, **common: Any) -> Finding:
    """Return the public finding of the area under the curve of a (bins, 2) table (see `auroc`)."""
    area, n = auroc(table), max(round(table.total), 0)
    if area is None:
        return no_figure(meaning, n=n, **{key: given for key, given in common.items() if key != "better"})
    return paid_figure(
        **common,
        value=area.value,
        low=area.low,
        high=area.high,
        useless=area.useless,
        n=n,
        baseline=0.5,
        baseline_label="chance",
        meaning=meaning,
        detail=detail or {},
    )


def no_figure(meaning: str, **more: Any) -> Finding:
    """Return a public finding that says why there is no figure."""
    return Finding(
        value=None,
        meaning=f"{meaning} Not shown: at this budget the noise leaves no useful figure. {WHAT_HELPS}",
        **{"visibility": "public", "verdict": "insufficient", **more},
    )

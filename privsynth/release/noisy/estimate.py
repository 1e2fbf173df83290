"""From noisy cells to figures with intervals: sums, ratios and quantiles of independent normal numbers. Pure functions.

Every cell is an unbiased estimate with normal noise of known variance, and the noise of two cells is independent. So a
sum is normal, a ratio has Fieller's interval (Fieller 1954), which holds however small the denominator is, and a
quantile the interval of the bins that a test cannot refuse. All are cut to where the figure can lie, which costs no
coverage.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np


@dataclass(frozen=True)
class IntervalEstimate:
    """A figure with its interval; ends may be infinite, and the value is NaN where there is none."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class NoisyCells:
    """Independent noisy numbers.

    Attributes:
      counts, variance: of one shape.
    """

    counts: np.ndarray
    variance: np.ndarray

    def plus(self, other: NoisyCells) -> NoisyCells:
        """Return the sum of two."""
        return NoisyCells(self.counts + other.counts, self.variance + other.variance)


def combined(estimates: list[NoisyCells]) -> NoisyCells:
    """Return independent estimates of the same numbers as one, by inverse variance: the best linear unbiased one."""
    weight = [1.0 / one.variance for one in estimates]
    total = np.sum(weight, axis=0)
    counts = np.sum([w * one.counts for w, one in zip(weight, estimates, strict=True)], axis=0) / total
    return NoisyCells(counts, 1.0 / total)


def quantile_of_normal(confidence: float) -> float:
    """Return how many standard deviations an interval of a normal number reaches to either side."""
    return NormalDist().inv_cdf(0.5 + confidence / 2)


def linear(cells: NoisyCells, weight: np.ndarray, *, confidence: float, relative: float = 0.0) -> IntervalEstimate:
    """Return Σ weight · count.

    Args:
      weight: of the cells' shape.
      relative: standard deviation of a factor that all counts share.
    """
    value = float((weight * cells.counts).sum())
    sd = math.sqrt(float((weight**2 * cells.variance).sum()) + (relative * value) ** 2)
    reach = quantile_of_normal(confidence) * sd
    return IntervalEstimate(value, value - reach, value + reach)


def ratio(cells: NoisyCells, above: np.ndarray, below: np.ndarray, *, confidence: float) -> IntervalEstimate:
    """Return Σ above · count / Σ below · count with Fieller's interval.

    Returns:
      An interval without ends where the denominator cannot be told from zero, and no value where it is not positive.
    """
    a, b = float((above * cells.counts).sum()), float((below * cells.counts).sum())
    vaa, vbb = (float((w**2 * cells.variance).sum()) for w in (above, below))
    vab = float((above * below * cells.variance).sum())
    z2 = quantile_of_normal(confidence) ** 2
    value = a / b if b > 0 else math.nan
    # All r with (a − r·b)² ≤ z²·Var(a − r·b): a quadratic inequality in r.
    square, half, free = b * b - z2 * vbb, a * b - z2 * vab, a * a - z2 * vaa
    if b <= 0 or square <= 0:
        return IntervalEstimate(value, -math.inf, math.inf)
    root = math.sqrt(max(half * half - square * free, 0.0))
    return IntervalEstimate(value, (half - root) / square, (half + root) / square)


def ratio_to_known(
    cells: NoisyCells, above: np.ndarray, below: float, *, confidence: float, relative: float = 0.0
) -> IntervalEstimate:
    """Return Σ above · count over a known number."""
    found = linear(cells, above, confidence=confidence, relative=relative)
    return IntervalEstimate(found.value / below, found.low / below, found.high / below)


def quantile(
    cells: NoisyCells, low: np.ndarray, high: np.ndarray, *, level: float, confidence: float
) -> IntervalEstimate:
    """Return a quantile of binned amounts.

    Its bin is told by a test for each; where it lies inside is not known, so the interval has whole bins. The value is
    interpolated.

    Args:
      cells: (m,) bins in ascending order. low, high: (m,) their ends; infinite where a bin is open.
    """
    total = float(cells.counts.sum())
    below = np.cumsum(cells.counts) - level * total
    inside = np.tri(len(low)) - level  # [e, b]: whether bin b lies at or below the end of bin e, less the level
    sd = np.sqrt(inside**2 @ cells.variance)
    z = quantile_of_normal(confidence)
    first = int(np.argmax(below + z * sd >= 0)) if bool((below + z * sd >= 0).any()) else len(low) - 1
    upper = np.flatnonzero(below - z * sd < 0)
    last = min(int(upper[-1]) + 1, len(low) - 1) if len(upper) else 0
    at = int(np.argmax(below >= 0)) if bool((below >= 0).any()) else len(low) - 1
    value = _interpolated(at, below, cells.counts, (float(low[at]), float(high[at])))
    if total <= 0:
        return IntervalEstimate(math.nan, float(low[0]), float(high[-1]))
    return IntervalEstimate(value, float(low[min(first, at)]), float(high[max(last, at)]))


def _interpolated(at: int, below: np.ndarray, counts: np.ndarray, ends: tuple[float, float]) -> float:
    low, high = ends
    if not (math.isfinite(low) and math.isfinite(high)):
        return low if math.isfinite(low) else high
    before = float(below[at - 1]) if at else float(below[0] - counts[0])
    part = -before / float(counts[at]) if counts[at] > 0 else 0.5
    return low + (high - low) * min(max(part, 0.0), 1.0)


def cut(estimate: IntervalEstimate, low: float, high: float) -> IntervalEstimate:
    """Return an estimate inside the range in which the figure can lie."""
    ends = [min(max(end, low), high) for end in (estimate.low, estimate.high)]
    value = estimate.value if math.isnan(estimate.value) else min(max(estimate.value, low), high)
    return IntervalEstimate(value, ends[0], ends[1])

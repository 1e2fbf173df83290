"""Intervals of shares, differences of shares, AUCs, and any estimate with known influence functions.

Pure functions. All intervals are two-sided at `confidence` unless the name says otherwise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import special, stats


@dataclass(frozen=True)
class Interval:
    """An estimate and its interval."""

    value: float
    low: float
    high: float

    def within(self, low: float = -math.inf, high: float = math.inf) -> Interval:
        """Return the interval with its ends clipped to the range of the figure; the estimate stays."""
        return Interval(self.value, max(low, self.low), min(high, self.high))

    def over(self, scale: float) -> Interval:
        """Return the estimate and its ends, divided by a positive scale."""
        return Interval(self.value / scale, self.low / scale, self.high / scale)


def _z(confidence: float) -> float:
    return float(special.ndtri(0.5 + confidence / 2))


def wilson(k: float, n: float, *, confidence: float = 0.95) -> Interval:
    """Return the Wilson score interval of a share k/n; [0, 1] when n is 0. Source: Wilson (1927)."""
    if n == 0:
        return Interval(0.0, 0.0, 1.0)
    z = _z(confidence)
    share = k / n
    centre = (k + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * math.sqrt(k * (n - k) / n + z * z / 4)
    return Interval(share, min(share, max(0.0, centre - half)), max(share, min(1.0, centre + half)))


def upper_bound(k: float, n: float, alpha: float) -> float:
    """Return the one-sided Clopper–Pearson upper bound of a share, wrong with probability at most alpha."""
    return 1.0 if k >= n else float(special.betaincinv(k + 1, n - k, 1 - alpha))


def lower_bound(k: float, n: float, alpha: float) -> float:
    """Return the one-sided Clopper–Pearson lower bound of a share, wrong with probability at most alpha."""
    return 0.0 if k <= 0 else float(special.betaincinv(k, n - k + 1, alpha))


def clopper_pearson(k: float, n: float, *, confidence: float = 0.95) -> Interval:
    """Return the exact interval of a share k/n; [0, 1] when n is 0.

    An effective number of trials need not be whole, see Korn & Graubard (1998). Source: Clopper & Pearson (1934).
    """
    if n == 0:
        return Interval(0.0, 0.0, 1.0)
    alpha = (1 - confidence) / 2
    return Interval(k / n, lower_bound(k, n, alpha), upper_bound(k, n, alpha))


def share_difference(k1: float, n1: float, k2: float, n2: float, *, confidence: float = 0.95) -> Interval:
    """Return the interval of k1/n1 - k2/n2 for independent samples. Source: Newcombe (1998), method 10."""
    return difference(wilson(k1, n1, confidence=confidence), wilson(k2, n2, confidence=confidence)).within(-1.0, 1.0)


def difference(one: Interval, two: Interval) -> Interval:
    """Return the interval of a difference, by variance recovery from the intervals of its two terms.

    The terms must be independent; the difference gets the confidence of their intervals.
    Source: Newcombe (1998), method 10; for other intervals Zou & Donner (2008).
    """
    value = one.value - two.value
    low = value - math.hypot(one.value - one.low, two.high - two.value)
    high = value + math.hypot(one.high - one.value, two.value - two.low)
    return Interval(value, low, high)


def cluster_variance(influence: np.ndarray, units: np.ndarray | None = None) -> float:
    """Return the variance of a mean-like estimate from the (n,) influence of its rows.

    The estimate is a sum of `influence / n`; rows of one unit may depend on each other in any way. Its square
    root is the infinitesimal jackknife, the limit of the bootstrap over units.

    Source: Efron (1982); clusters as in Liang & Zeger (1986).
    """
    n = len(influence)
    if n < 2:
        return 0.0
    centred = influence - influence.mean()
    if units is None:
        return float(np.dot(centred, centred)) / (n * (n - 1))
    sums = np.bincount(np.unique(units, return_inverse=True)[1], weights=centred)
    return float(np.dot(sums, sums)) / n**2 * (len(sums) / max(1, len(sums) - 1))


def normal(value: float, variance: float, *, confidence: float = 0.95, floor: float = -math.inf) -> Interval:
    """Return value ± z·sd, cut off at `floor` (never above the value)."""
    half = _z(confidence) * math.sqrt(max(0.0, variance))
    return Interval(value, min(value, max(floor, value - half)), value + half)


def auc_influence(scores: np.ndarray, positive: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the area under the ROC curve and the (n,) influence of each row on it (mean 0, scaled by n).

    Ties count a half. NaN if one class is empty.

    Source: DeLong, DeLong & Clarke-Pearson (1988), by ranks as in Sun & Xu (2014).
    """
    positive = np.asarray(positive, dtype=bool)
    scores = np.asarray(scores, dtype=np.float64)
    n, n_pos = len(scores), int(positive.sum())
    n_neg = n - n_pos
    if n_pos == 0 or n_neg == 0:
        return math.nan, np.zeros(n)
    ranks = stats.rankdata(scores)
    part = np.empty(n)
    part[positive] = (ranks[positive] - stats.rankdata(scores[positive])) / n_neg
    part[~positive] = 1 - (ranks[~positive] - stats.rankdata(scores[~positive])) / n_pos
    auc = float(part[positive].mean())
    influence = (part - auc) * n
    influence[positive] /= n_pos
    influence[~positive] /= n_neg
    return auc, influence


def auc_interval(
    scores: np.ndarray, positive: np.ndarray, *, units: np.ndarray | None = None, confidence: float = 0.95
) -> Interval:
    """Return the AUC with an interval on the logit scale; an AUC of 0 or 1 gets an exact one-sided end.

    Args:
      scores: (n,) higher means more likely positive.
      positive: (n,) booleans, both classes present.
      units: (n,) unit codes.
    """
    auc, influence = auc_influence(scores, positive)
    n_least = int(min(np.sum(positive), len(positive) - np.sum(positive)))
    if auc in (0.0, 1.0):
        return clopper_pearson(n_least if auc == 1.0 else 0, n_least, confidence=confidence)
    spread = _z(confidence) * math.sqrt(cluster_variance(influence, units)) / (auc * (1 - auc))
    centre = float(special.logit(auc))
    return Interval(auc, float(special.expit(centre - spread)), float(special.expit(centre + spread)))

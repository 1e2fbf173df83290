"""Prediction metrics: AUROC, average precision, R² and RMSE, each with the influence of every row.

With `cluster_variance`, the influence (mean 0, scaled by n) gives the sampling variance, by unit, of a metric and of a
difference of two metrics on the same rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy import special, stats

from privsynth.stats.intervals import Interval, auc_influence

Measure = Callable[[np.ndarray, np.ndarray], tuple[float, np.ndarray]]
RARE = 0.2  # share of the rows below which a class is rare (own)
MIN_CASES = 10  # of a class whose precision is reported (own)


def macro_auc(probabilities: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the AUROC (mean over one class against the rest if there are more than two), and the row influences.

    Args:
      probabilities: (n, n_classes); y: (n,) true classes, at least two different ones.
    """
    classes = np.unique(y)
    classes = classes[-1:] if len(classes) == 2 else classes
    parts = [auc_influence(probabilities[:, c], y == c) for c in classes]
    return float(np.mean([auc for auc, _ in parts])), np.mean([influence for _, influence in parts], axis=0)


def rare_classes(y: np.ndarray, n_classes: int) -> list[int]:
    """Return the classes with less than a fifth of the (n,) rows and at least 10 of them."""
    counts = np.bincount(y, minlength=n_classes)
    return [c for c in range(n_classes) if MIN_CASES <= counts[c] < RARE * len(y)]


def rare_precision(probabilities: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the mean average precision of the rare classes (at least one), and the row influences."""
    rare = rare_classes(y, probabilities.shape[1])
    parts = [average_precision(probabilities[:, c], y == c) for c in rare]
    return float(np.mean([value for value, _ in parts])), np.mean([influence for _, influence in parts], axis=0)


def average_precision(scores: np.ndarray, positive: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the mean precision at the positives, ranked by score (ties as one), and the (n,) row influences.

    Args:
      scores: (n,) higher means more likely positive; positive: (n,) booleans, at least one true.
    """
    n, cases = len(scores), int(np.sum(positive))
    place = np.unique(-scores, return_inverse=True)[1]  # 0 is the highest score
    hits, rows = np.bincount(place, weights=positive), np.bincount(place)
    found, reached = np.cumsum(hits), np.cumsum(rows)
    precision = found / reached
    value = float(np.dot(hits, precision)) / cases
    # A row enters the precision at every positive with its score or a lower one.
    below = np.cumsum((hits / reached)[::-1])[::-1]
    below_weighted = np.cumsum((hits * precision / reached)[::-1])[::-1]
    pull = positive * (precision[place] + below[place] - value) - below_weighted[place]
    return value, pull * n / cases


def r2(predictions: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
    """Return 1 - squared error / variance, and the row influences; `y` is not constant."""
    error, spread = (y - predictions[:, 0]) ** 2, (y - y.mean()) ** 2
    ratio = float(error.mean() / spread.mean())
    return 1 - ratio, -(error - ratio * spread) / spread.mean()


def rmse(predictions: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the root mean squared error, and the row influences."""
    error = (y - predictions[:, 0]) ** 2
    value = math.sqrt(float(error.mean()))
    return value, (error - error.mean()) / max(2 * value, 1e-12)


def with_draws(
    value: float, rows: float, drawn: list[tuple[np.ndarray, float]], *, bounded: bool = False, confidence: float = 0.95
) -> Interval:
    """Return value ± t·sd from the variance over test rows and over training draws.

    Degrees of freedom of the draws by Satterthwaite's approximation.

    Args:
      rows: variance from the choice of test rows.
      drawn: (d,) values of the metric from bootstrap models, and the factor to their variance; fewer than two values
        are ignored.
      bounded: the metric lies in [0, 1]; the interval is computed on the logit scale.

    Source: Satterthwaite (1946).
    """
    parts = [(rows, math.inf)]
    parts += [(float(np.var(v, ddof=1)) * factor, len(v) - 1.0) for v, factor in drawn if len(v) > 1]
    total = sum(v for v, _ in parts)
    slack = sum(v * v / df for v, df in parts)
    df = min(total * total / slack, 1e6) if slack > 0 else 1e6
    half = float(stats.t.ppf(0.5 + confidence / 2, df)) * math.sqrt(max(0.0, total))
    if not bounded:
        return Interval(value, value - half, value + half)
    if not 0 < value < 1:
        return Interval(value, max(0.0, value - half), min(1.0, value + half))
    centre, half = float(special.logit(value)), half / (value * (1 - value))
    low, high = (float(special.expit(x)) for x in (centre - half, centre + half))
    return Interval(value, min(value, low), max(value, high))

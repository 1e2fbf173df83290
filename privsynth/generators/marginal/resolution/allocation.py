"""Which tables to buy, and at what price, by noisy scores of how wrong the model is without them. Pure functions.

Source of the closed form: the allocation of SWIFT (google/dpsynth, 2026), restated without its tree, and for other
powers of the error. A table of m entries measured at B = μ² has expected noise √(2/π)·Δ·m / √B in L1 for sensitivity Δ.
Least is Σ w_r·error_r^p over the tables of a set, at a total price, for

    B_r ∝ c_r = (w_r · (√(2/π)·Δ·m_r)^p)^{2/(p+2)},    and then it is (Σ c_r)^{(p+2)/2} / B^{p/2};

so the best set is a prefix of the marginals in order of what they gain, w_r·score_r^p, for their c_r. Where a marginal
has several resolutions, the prefix runs over steps of their upper hull: first the coarse one, then what a finer adds.

With p = 1 hundreds of pairs that are told a little better outweigh one that is lost; with p = 2 none is lost.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from privsynth.privacy.budget import ROUNDING

MEAN_ABS_NORMAL = math.sqrt(2 / math.pi)  # E|N(0, 1)|
SUMS, SQUARES = 1.0, 2.0  # powers of errors that are added up
SPREAD_POINTS, SPREAD_STEPS = 200, 200  # of the distribution of scores, and steps towards it; more changes little (own)
POINTS_PER_SIGMA = 4  # of the noise in a score: how finely that distribution can be told (own)


def shrink_scores(noisy: np.ndarray, sigma: float, *, most: float) -> np.ndarray:
    """Return scores pulled to their mean as far as noise explains their spread, within [0, most]; post-processing.

    Without it a wide table, whose scores are mostly noise, would select the luckiest pairs (winner's curse).
    """
    middle = float(noisy.mean())
    spread = float(noisy.var())
    keep = max(0.0, 1.0 - sigma**2 / spread) if spread > 0 else 0.0
    return np.clip(middle + keep * (noisy - middle), 0.0, most)


def shrink_to_spread(noisy: np.ndarray, sigma: float, *, most: float) -> np.ndarray:
    """Return the expectation of each score given its noisy value and how all are spread, in [0, most]; post-processing.

    Of many pairs a few depend much, and most hardly. Pulled to their mean by one factor, the few would drown, and the
    many would look as if they depended. So the distribution of the true scores is estimated, without a form, by the one
    that makes the noisy ones likeliest (Jiang & Zhang 2009), by steps of expectation and maximisation from a flat one;
    they stop early, so that few scores do not make it ragged.

    Args:
      noisy: (r,) scores less what chance alone makes of them.
      sigma: standard deviation of their noise.
    """
    top = min(max(float(noisy.max()), 0.0), most)
    if not sigma > 0 or not top > 0:
        return np.clip(noisy, 0.0, most)
    grid = np.linspace(0.0, top, int(np.clip(math.ceil(POINTS_PER_SIGMA * top / sigma) + 1, 2, SPREAD_POINTS)))
    apart = ((noisy[:, None] - grid) / sigma) ** 2
    fits = np.exp(-0.5 * (apart - apart.min(axis=1, keepdims=True)))
    weight = np.full(len(grid), 1.0 / len(grid))
    for _ in range(SPREAD_STEPS):
        weight = (fits * (weight / (fits @ weight)[:, None])).mean(axis=0)
    found: np.ndarray = (fits @ (weight * grid)) / (fits @ weight)
    return found


def chance_distance(table: np.ndarray, *, n_rows: float) -> float:
    """Return the expected L1 distance of a table of so many independent rows from the one they are drawn from, in rows.

    Args:
      table: shares.
    """
    return MEAN_ABS_NORMAL * math.sqrt(n_rows) * float(np.sqrt(np.maximum(table, 0.0)).sum())


def allocate(
    scores: np.ndarray,
    entries: np.ndarray,
    *,
    sensitivity: float,
    mu_squared: float,
    weights: np.ndarray | None = None,
    resolution_of: Sequence[object] | None = None,
    at_most: int | None = None,
    power: float = SUMS,
) -> dict[int, float]:
    """Return which tables to measure and the μ² of each, or nothing if none pays; a pure function of noisy scores.

    Args:
      scores: (r,) noisy L1 error if the table is not measured, in rows; of several resolutions, what each takes away.
      entries: (r,) number of entries.
      sensitivity: see `number_of_groups`.
      weights: (r,) how much an error in each table counts, one each if None.
      resolution_of: (r,) what each table is a resolution of, of which one is measured; each its own if None.
      at_most: how many tables to measure at most.
      power: of the errors that are added up.
    """
    weight = np.ones(len(scores)) if weights is None else weights
    price = (weight * (MEAN_ABS_NORMAL * sensitivity * entries) ** power) ** (2 / (power + 2))
    steps = _steps(weight * scores**power, price, range(len(scores)) if resolution_of is None else resolution_of)
    order = sorted(steps, key=lambda step: (-step.gain / step.cost, step.table))[:at_most]
    gains = np.cumsum([step.gain for step in order])
    costs = np.cumsum([step.cost for step in order])
    value = gains - costs ** ((power + 2) / 2) / mu_squared ** (power / 2)
    best = int(np.argmax(value))
    if value[best] <= 0:
        return {}
    taken = [step.table for step in order[: best + 1]]
    chosen = sorted(set(taken) - {step.instead_of for step in order[: best + 1]})
    total = float(price[chosen].sum())
    return {r: mu_squared * ROUNDING * float(price[r]) / total for r in chosen}


@dataclass(frozen=True)
class _Step:
    """To measure a table, or a finer one instead of a coarser one; steps of one marginal get ever worse per cost."""

    table: int
    gain: float
    cost: float
    instead_of: int | None


def _steps(score: np.ndarray, price: np.ndarray, of: Sequence[object]) -> list[_Step]:
    """Return the steps along each marginal's upper hull of (price, score): a greedy prefix of them is the best set."""
    resolutions: dict[object, list[int]] = {}
    for r in np.lexsort((-score, price)).tolist():
        resolutions.setdefault(of[r], []).append(r)
    steps: list[_Step] = []
    for candidates in resolutions.values():
        hull: list[_Step] = []
        for r in candidates:
            if hull and score[r] <= score[hull[-1].table]:
                continue
            while True:
                last = hull[-1].table if hull else None
                gain = float(score[r] - (score[last] if hull else 0.0))
                cost = float(price[r] - (price[last] if hull else 0.0))
                if hull and gain * hull[-1].cost >= hull[-1].gain * cost:
                    hull.pop()
                    continue
                break
            hull.append(_Step(r, gain, cost, last))
        steps += hull
    return steps

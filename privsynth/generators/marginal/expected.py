"""Expected errors of noisy marginals from public facts alone, for `privsynth plan`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np

from privsynth.generators.marginal.clip_units import LENGTHS_PRICE, expected_length
from privsynth.generators.marginal.select import MEAN_ABS_NORMAL
from privsynth.generators.registry import ExpectedErrors, PublicFacts
from privsynth.privacy.budget import SpendingPlan


def expected_errors(facts: PublicFacts, plan: SpendingPlan, *, pairs: bool = True) -> ExpectedErrors:
    """Return the expected errors of the one-way tables, and of a pair's table if every pair were measured.

    Prices are those of `measure_one_way` and `measure_marginals`: proportional to entries^(2/3).

    Args:
      pairs: whether the generator measures pairs.
    """
    one_way = [
        _tvd(sigma, size, facts.n_rows)
        for sigma, size in zip(_sigmas(facts, facts.sizes, plan.parts["one_way"]), facts.sizes, strict=True)
    ]
    entries = [a * b for a, b in combinations(facts.sizes, 2)]
    if not pairs:
        return ExpectedErrors(tuple(one_way), None)
    sigmas = _sigmas(facts, entries, plan.parts["measurement"])
    errors = [_tvd(sigma, size, facts.n_rows) for sigma, size in zip(sigmas, entries, strict=True)]
    return ExpectedErrors(tuple(one_way), float(np.mean(errors)) if errors else 0.0)


def noise_in_rows(facts: PublicFacts, entries: Sequence[int], share: np.ndarray) -> float:
    """Return the noise of tables that are measured together at a price of one, in rows; see `release_tables`.

    Args:
      entries, share: of each table the number of entries and its share of the price.
    """
    if facts.max_rows_per_unit == 1:
        return 1.0
    length = expected_length(facts.rows_per_unit, [float(n) for n in entries], share.tolist())
    return min(length, float(facts.max_rows_per_unit)) / math.sqrt(1 - LENGTHS_PRICE)


def _sigmas(facts: PublicFacts, entries: Sequence[int], mu_squared: float) -> list[float]:
    """Return the standard deviation of an entry of each table, in rows."""
    price = np.array([float(n) for n in entries]) ** (2 / 3)
    share = price / price.sum() if len(price) else price
    sigmas: list[float] = (noise_in_rows(facts, entries, share) / np.sqrt(mu_squared * share)).tolist()
    return sigmas


def _tvd(sigma: float, entries: int, n_rows: float) -> float:
    """Return the expected total variation distance that noise makes in a table."""
    return min(1.0, 0.5 * MEAN_ABS_NORMAL * sigma * entries / n_rows)

"""Expected errors of noisy marginals from public facts alone, for `privsynth plan`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np

from privsynth.generators.marginal.clip_units import LENGTHS_PRICE, expected_length
from privsynth.generators.marginal.resolution.allocation import MEAN_ABS_NORMAL
from privsynth.generators.marginal.select import number_of_groups
from privsynth.generators.registry import ExpectedErrors, PublicFacts
from privsynth.privacy.budget import SpendingPlan

# About the mean distance of real pairs from independence, and the part of a table's entries in which most rows lie. By
# trial on 19 tables, with and without a schema, at ε from 0.5 to 10: the estimate for pairs is within a factor of two
# of what was seen in 46 of 49 cases.
USUAL_TIE, FILLED = 0.05, 0.15


def expected_errors(facts: PublicFacts, plan: SpendingPlan, *, pairs: bool = True) -> ExpectedErrors:
    """Return the expected errors of the one-way tables, and of a pair of columns in synthetic rows, on average.

    Prices are those of `measure_one_way` and `measure_marginals`: proportional to entries^(2/3).

    Args:
      pairs: whether the generator measures pairs.
    """
    one_way = [
        _tvd(sigma, size, facts.n_rows)
        for sigma, size in zip(_sigmas(facts, facts.sizes, plan.parts["one_way"]), facts.sizes, strict=True)
    ]
    if not pairs:
        return ExpectedErrors(tuple(one_way), None)
    return ExpectedErrors(tuple(one_way), _pair_error(facts, plan.parts["measurement"], one_way))


def _pair_error(facts: PublicFacts, mu_squared: float, one_way: Sequence[float]) -> float:
    """Return the expected error of a pair: of its columns, of what ties them, and of drawing rows; these are unrelated.

    Tables are bought in coarse groups where fine ones would drown. Of what ties two columns noise can hide no more than
    there is, since a pair without a table is taken to be independent.
    """
    columns = list(combinations(range(len(facts.sizes)), 2))
    if not columns:
        return 0.0
    even = np.full(len(facts.sizes), 1 / len(facts.sizes))
    noise = noise_in_rows(facts, facts.sizes, even)
    groups = number_of_groups(facts.n_rows, mu_squared, width=2, sensitivity=noise)
    seen = [min(size, groups) for size in facts.sizes]
    entries = [seen[a] * seen[b] for a, b in columns]
    found = []
    for (a, b), sigma, size in zip(columns, _sigmas(facts, entries, mu_squared), entries, strict=True):
        hidden = _tvd(sigma, size, facts.n_rows)
        tie = hidden * USUAL_TIE / (hidden + USUAL_TIE)
        drawn = MEAN_ABS_NORMAL / 2 * math.sqrt(FILLED * facts.sizes[a] * facts.sizes[b] / facts.n_rows)
        found.append(min(math.hypot(one_way[a], one_way[b], tie, drawn), 1.0))
    return float(np.mean(found))


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

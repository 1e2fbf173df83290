"""Select and measure: which pairs of attributes to buy, at what price, and the noisy tables themselves.

Everything is Gaussian. One-way tables first; then a noisy score of every pair, its distance from independence; then a
closed-form choice of pairs and prices; then the pairs.

Source: the allocation is the one of SWIFT (google/dpsynth, 2026), restated without its tree: with expected noise
√(2/π)·k·m / √B in L1 for a table of m cells bought at B = μ², the best prices of a set are B_r ∝ (k m_r)^{2/3}, and the
best set is a prefix of the pairs in order of score / (k m_r)^{2/3}.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from privsynth.generators.encoded import Encoded
from privsynth.privacy.mechanisms import Mechanisms, grid_sensitivity, on_grid

MEAN_ABS_NORMAL = math.sqrt(2 / math.pi)
SCORE_STEP = 2.0**-8
MAX_PAIRS = 100_000
EMPHASIS = 3.0  # of targets and protected columns
MAX_CELLS = 250_000
MIN_TABLES, TABLES_PER_ATTRIBUTE = 300, 2  # the fit takes time for each table


@dataclass(frozen=True)
class Measured:
    """A paid table: noisy counts over the codes of some attributes.

    Attributes:
      attributes: indices, ascending.
      counts: float64 of the attributes' sizes.
      sigma: standard deviation of each cell.
    """

    attributes: tuple[int, ...]
    counts: np.ndarray
    sigma: float


def count_table(codes: np.ndarray, sizes: list[int], attributes: tuple[int, ...]) -> np.ndarray:
    """Return exact counts over the codes of some attributes, shaped by their sizes. Private."""
    index = codes[attributes[0]].astype(np.int64)
    for attribute in attributes[1:]:
        index = index * sizes[attribute] + codes[attribute]
    shape = [sizes[a] for a in attributes]
    return np.bincount(index, minlength=math.prod(shape)).reshape(shape)


def measure_one_way(data: Encoded, mechanisms: Mechanisms, *, mu_squared: float) -> list[Measured]:
    """Return the noisy one-way table of each attribute.

    The prices minimise the summed L1 error, weighted: proportional to (weight · cells)^(2/3), so that neither a long
    code book nor a small protected group is drowned.

    Guarantee: one Gaussian release an attribute, of part "one_way"; a unit's k rows may all lie in one cell, so the
      sensitivity of each is k in L2, and the prices add up to `mu_squared`.
    """
    weight = np.array([(size * w) ** (2 / 3) for size, w in zip(data.sizes, emphasis(data), strict=True)])
    measured = []
    for i, share in enumerate(weight / max(weight.sum(), 1e-12)):
        release = mechanisms.gaussian(
            count_table(data.codes, data.sizes, (i,)),
            l2_sensitivity=float(data.max_rows_per_unit),
            part="one_way",
            mu_squared=mu_squared * (1 - 1e-9) * float(share),
            label=f"one-way table of {data.attributes[i].name}",
        )
        measured.append(Measured((i,), release.values.astype(np.float64), release.sigma))
    return measured


def emphasis(data: Encoded) -> np.ndarray:
    """Return (attributes,) weights of an error in each attribute: what people will predict or compare counts more."""
    marked = {*data.targets, *data.protected}
    return np.array([EMPHASIS if i in marked else 1.0 for i in range(len(data.sizes))])


def to_simplex(values: np.ndarray) -> np.ndarray:
    """Return the nearest probability vector in L2 (Duchi et al. 2008)."""
    ordered = np.sort(values)[::-1]
    excess = np.cumsum(ordered) - 1.0
    keep = ordered - excess / np.arange(1, len(values) + 1) > 0
    last = int(np.flatnonzero(keep)[-1])
    return np.maximum(values - excess[last] / (last + 1), 0.0)


def candidate_pairs(data: Encoded) -> list[tuple[int, int]]:
    """Return the pairs that may be bought, chosen by sizes alone: small tables first if there are too many."""
    sizes = data.sizes
    pairs = [(i, j) for i, j in combinations(range(len(sizes)), 2) if sizes[i] * sizes[j] <= MAX_CELLS]
    if len(pairs) > MAX_PAIRS:
        pairs = sorted(pairs, key=lambda pair: (sizes[pair[0]] * sizes[pair[1]], pair))[:MAX_PAIRS]
    return pairs


def score_pairs(
    data: Encoded,
    pairs: list[tuple[int, int]],
    shares: list[np.ndarray],
    mechanisms: Mechanisms,
    *,
    mu_squared: float,
) -> np.ndarray:
    """Return (pairs,) noisy L1 distances of the pairs' tables from independence, in rows.

    Guarantee: one Gaussian release of part "selection". A row moves one cell of a table by one, so a unit moves each
      distance by at most k, and all of them by k·√pairs in L2; the grid's rounding is added.
    """
    expected_rows = data.n_rows
    exact = np.empty(len(pairs))
    for at, (i, j) in enumerate(pairs):
        table = count_table(data.codes, data.sizes, (i, j))
        exact[at] = np.abs(table - expected_rows * np.outer(shares[i], shares[j])).sum()
    release = mechanisms.gaussian(
        on_grid(exact, SCORE_STEP),
        l2_sensitivity=grid_sensitivity(data.max_rows_per_unit * math.sqrt(len(pairs)), len(pairs), SCORE_STEP),
        part="selection",
        mu_squared=mu_squared,
        label="distance of each pair from independence",
    )
    return shrink_scores(release.values * SCORE_STEP, release.sigma * SCORE_STEP, most=2.0 * expected_rows)


def shrink_scores(noisy: np.ndarray, sigma: float, *, most: float) -> np.ndarray:
    """Return scores pulled to their mean as far as noise explains their spread, within [0, most]; post-processing.

    Without it a wide table, whose scores are mostly noise, would choose the luckiest pairs.
    """
    middle = float(noisy.mean())
    spread = float(noisy.var())
    keep = max(0.0, 1.0 - sigma**2 / spread) if spread > 0 else 0.0
    return np.clip(middle + keep * (noisy - middle), 0.0, most)


def allocate(
    scores: np.ndarray,
    cells: np.ndarray,
    *,
    k: int,
    mu_squared: float,
    weights: np.ndarray | None = None,
    at_most: int | None = None,
) -> dict[int, float]:
    """Return which tables to buy and the μ² of each; a pure function of noisy scores.

    Args:
      scores: (r,) noisy L1 error if the table is not bought, in rows.
      cells: (r,) number of cells.
      weights: (r,) how much an error in each table counts, one each if None.
      at_most: how many tables to buy at most.
    """
    weight = np.ones(len(scores)) if weights is None else weights
    price = (MEAN_ABS_NORMAL * k * weight * cells) ** (2 / 3)
    order = np.argsort(-weight * scores / price, kind="stable")
    gains = np.cumsum((weight * scores)[order])
    costs = np.cumsum(price[order])
    value = (gains - costs**1.5 / math.sqrt(mu_squared))[:at_most]
    best = int(np.argmax(value))
    if value[best] <= 0:
        # Nothing pays for itself: one table, the best there is, so that the budget is not thrown away.
        best = 0
    chosen = order[: best + 1]
    total = float(price[chosen].sum())
    return {int(r): mu_squared * (1 - 1e-9) * float(price[r]) / total for r in chosen}


def measure_tables(
    data: Encoded, prices: dict[tuple[int, ...], float], mechanisms: Mechanisms, *, label: str = "table"
) -> list[Measured]:
    """Return the noisy tables of some sets of attributes.

    Guarantee: one Gaussian release each of part "measurement"; a unit's k rows may all lie in one cell, so the
      sensitivity is k in L2.
    """
    measured = []
    for attributes, mu_squared in sorted(prices.items()):
        release = mechanisms.gaussian(
            count_table(data.codes, data.sizes, attributes),
            l2_sensitivity=float(data.max_rows_per_unit),
            part="measurement",
            mu_squared=mu_squared,
            label=f"{label} {' × '.join(data.attributes[a].name for a in attributes)}",
        )
        measured.append(Measured(attributes, release.values.astype(np.float64), release.sigma))
    return measured

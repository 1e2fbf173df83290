"""Measure: the noisy one-way tables, and the noisy tables of the views that were chosen. Everything is Gaussian."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import log_ndtr

from privsynth.generators.encoded import Encoded
from privsynth.generators.marginal.units import release_tables
from privsynth.generators.marginal.views import View, count_views, whole
from privsynth.privacy.mechanisms import Mechanisms

EMPHASIS = 3.0  # of targets and protected columns
SEEN_SIGMAS = 3.0  # a count of fewer is drowned in noise
LEAST_LEFT = 0.25  # of a standard deviation, for all drowned codes together


@dataclass(frozen=True)
class Measured:
    """A paid table.

    Attributes:
      view: what it counts.
      counts: float64 noisy counts, shaped by the view.
      sigma: standard deviation of each cell: one number, or one a cell, infinite where it was not measured.
    """

    view: View
    counts: np.ndarray
    sigma: float | np.ndarray

    @property
    def attributes(self) -> tuple[int, ...]:
        """Attributes that it counts, ascending."""
        return self.view.attributes


def measure_one_way(data: Encoded, mechanisms: Mechanisms, *, mu_squared: float) -> list[Measured]:
    """Return the noisy one-way table of each attribute.

    The prices minimise the summed L1 error, weighted: proportional to (weight · cells)^(2/3), so that neither a long
    code book nor a small protected group is drowned.

    Guarantee: Gaussian releases of part "one_way", whose prices add up to `mu_squared` (see `_measure`).
    """
    weight = np.array([(size * w) ** (2 / 3) for size, w in zip(data.sizes, emphasis(data), strict=True)])
    prices = mu_squared * (1 - 1e-9) * weight / max(weight.sum(), 1e-12)
    bought = [(whole(data.sizes, (i,)), float(price)) for i, price in enumerate(prices)]
    return _measure(data, bought, mechanisms, part="one_way", label="one-way table")


def measure_tables(
    data: Encoded, bought: Sequence[tuple[View, float]], mechanisms: Mechanisms, *, label: str
) -> list[Measured]:
    """Return the noisy tables of some views, each at its price in μ².

    Guarantee: Gaussian releases of part "measurement", whose prices add up to those of the views (see `_measure`).
    """
    return _measure(data, bought, mechanisms, part="measurement", label=label)


def _measure(
    data: Encoded, bought: Sequence[tuple[View, float]], mechanisms: Mechanisms, *, part: str, label: str
) -> list[Measured]:
    """Return tables, one release each where a unit has one row, which moves one cell by one; else see `units`."""
    if data.max_rows_per_unit > 1 and bought:
        counts_of, sigmas = release_tables(data, bought, mechanisms, part=part, label=label)
        return [Measured(v, n, sigma) for (v, _), n, sigma in zip(bought, counts_of, sigmas, strict=True)]
    measured = []
    for (view, mu_squared), counts in zip(bought, count_views(data.codes, [v for v, _ in bought]), strict=True):
        release = mechanisms.gaussian(
            counts,
            l2_sensitivity=1.0,
            part=part,
            mu_squared=mu_squared,
            label=f"{label} {' × '.join(data.attributes[a].name for a in view.attributes)}",
        )
        measured.append(Measured(view, release.values.astype(np.float64), release.sigma))
    return measured


def rows_of_unit(tables: Sequence[Measured], mu_squared: float) -> float:
    """Return by how many rows a unit may have moved tables, from the noise in them; post-processing.

    Args:
      tables: of one release.
      mu_squared: what they cost.
    """
    precision = math.fsum(float(np.max(table.sigma)) ** -2 for table in tables)
    return math.sqrt(mu_squared / precision) if tables else 1.0


def likely_targets(data: Encoded, one_way: Sequence[Measured]) -> tuple[int, ...]:
    """Return the declared targets; if there are none, the attributes of two values; post-processing.

    What people predict mostly is a yes or no. Tables of it have few cells, so that to see them better costs the others
    little; counting a table's summed error alone would leave them with less than their part.
    """
    if data.targets:
        return data.targets
    clear = [np.asarray(t.counts).ravel() > SEEN_SIGMAS * np.asarray(t.sigma).ravel() for t in one_way]
    return tuple(a for a, codes in enumerate(clear) if codes.sum() == 2)


def emphasis(data: Encoded, likely: Sequence[int] = ()) -> np.ndarray:
    """Return (attributes,) weights of an error in each attribute: what people will predict or compare counts more.

    Args:
      likely: see `likely_targets`.
    """
    marked = {*data.targets, *data.protected, *likely}
    return np.array([EMPHASIS if i in marked else 1.0 for i in range(len(data.sizes))])


def smooth_shares(table: Measured, *, n_rows: float) -> np.ndarray:
    """Return (size,) shares of a noisy one-way table, none of them zero; post-processing.

    The nearest probability vector would give nothing to most codes that noise drowns, as if they never occurred. They
    are some of the many that are rare: their true counts are taken to be exponentially distributed, about the mean that
    the noisy total leaves them, and each gets its expectation given its noisy count. Where there is little noise
    nothing changes.

    Args:
      table: of one attribute.
      n_rows: the paid number of rows.
    """
    counts, sigma = np.asarray(table.counts, dtype=np.float64), float(np.max(table.sigma))
    drowned = counts < SEEN_SIGMAS * sigma
    if not drowned.any() or not sigma > 0:
        return to_simplex(counts / max(n_rows, 1.0))
    many, few = int(drowned.sum()), max(len(counts) - int(drowned.sum()), 1)
    # Two guesses of what is left for them: their own sum, and what the others leave; by inverse variance.
    left = float((counts[drowned].sum() * few + (n_rows - counts[~drowned].sum()) * many) / (few + many))
    left = max(left, LEAST_LEFT * sigma)
    mean = left / many
    place = (counts[drowned] - sigma**2 / mean) / sigma
    # The mean of a normal distribution cut off at zero; far below it the difference would lose all its digits.
    near = np.maximum(place, -50.0)
    hazard = near + np.exp(-(near**2) / 2 - log_ndtr(near)) / math.sqrt(2 * math.pi)
    expected = sigma * np.where(place < -50.0, -1.0 / np.minimum(place, -1.0), hazard)
    smooth = np.maximum(counts, 0.0)
    smooth[drowned] = np.maximum(expected, 1e-9 * mean)
    smooth[drowned] *= left / smooth[drowned].sum()
    share: np.ndarray = smooth / smooth.sum()
    return share


def to_simplex(values: np.ndarray) -> np.ndarray:
    """Return the nearest probability vector in L2 (Duchi et al. 2008)."""
    ordered = np.sort(values)[::-1]
    excess = np.cumsum(ordered) - 1.0
    keep = ordered - excess / np.arange(1, len(values) + 1) > 0
    last = int(np.flatnonzero(keep)[-1])
    return np.maximum(values - excess[last] / (last + 1), 0.0)

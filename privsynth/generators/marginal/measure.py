"""Measure: noisy contingency tables of all one-way marginals and of the selected ones. All noise is Gaussian."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import log_ndtr

from privsynth.codecs.contingency import Marginal, code_book_marginal, full_marginal, tables_of
from privsynth.codecs.encoded_table import Encoded
from privsynth.generators.marginal.clip_units import MANY_ROWS, release_tables, scale_error, table_multiplier
from privsynth.privacy.budget import ROUNDING
from privsynth.privacy.mechanisms import Mechanisms

EMPHASIS = 3.0  # weight of targets and protected columns, set by trial: others lose little (see `likely_targets`)
SEEN_SIGMAS = 3.0  # a count of fewer standard deviations may be noise alone: one in some 740 such counts
FIRST_PASS = 0.35  # of the one-way price where units have many rows; the second pass weighs entries by what it shows
LEAST_LEFT = 0.25  # of a standard deviation, for all drowned codes together: so none becomes impossible
FAR_BELOW = -50.0  # standard deviations, from where the mean of a truncated normal is all but its asymptote 1 / |x|


@dataclass(frozen=True, eq=False, repr=False)
class PaidTable:
    """A noisy contingency table as it was released, for statisticians; nothing was done to it but a change of scale.

    Attributes:
      marginal: what it counts.
      counts: float64 noisy counts, of the marginal's shape, in rows.
      sigma: standard deviation of the noise of each entry, of the same shape, in rows.
      part, label: of the bill.
      noise_multiplier: standard deviation over the most that a unit moves the released vector, both in L2.
      scale_error: relative standard deviation of the change of scale, of the noise; 0 where there was none.
      mean_weight: what a row weighed on average, which the change of scale undid.
    """

    marginal: Marginal
    counts: np.ndarray
    sigma: np.ndarray
    part: str
    label: str
    noise_multiplier: float
    scale_error: float = 0.0
    mean_weight: float = 1.0


@dataclass(frozen=True)
class Measurement:
    """A noisy contingency table.

    Attributes:
      marginal: what it counts.
      counts: float64 noisy counts, of the marginal's shape.
      sigma: standard deviation of each entry: one number, or one for each, infinite where it was not measured.
      paid: the releases that it was made of, as they were released; empty where that is not told.
    """

    marginal: Marginal
    counts: np.ndarray
    sigma: float | np.ndarray
    paid: tuple[PaidTable, ...] = ()

    @property
    def attributes(self) -> tuple[int, ...]:
        """Attributes that it counts, ascending."""
        return self.marginal.attributes


def paid_tables(tables: Iterable[Measurement]) -> tuple[PaidTable, ...]:
    """Return the releases that tables were made of, in order."""
    return tuple(paid for table in tables for paid in table.paid)


def measure_one_way(data: Encoded, mechanisms: Mechanisms, *, mu_squared: float) -> list[Measurement]:
    """Return the noisy one-way table of each attribute.

    Prices are proportional to (weight · entries)^(2/3), which minimises the summed weighted L1 error, so that neither a
    long code book nor a small protected group is drowned.

    Where a code book joins many codes, their groups are counted as well, and the codes' counts made to agree.

    Where units have many rows there are two passes, and the second weighs entries by what the first showed.

    Guarantee: Gaussian releases of part "one_way", whose prices add up to `mu_squared` (see `_measure`).
    """
    fine = [full_marginal(data.sizes, (i,)) for i in range(len(data.sizes))]
    marginals = [*fine, *(marginal for i in range(len(fine)) if (marginal := code_book_marginal(data, (i,))))]
    importance = error_weights(data)
    weight = np.array([(marginal.size * importance[marginal.attributes[0]]) ** (2 / 3) for marginal in marginals])
    prices = mu_squared * ROUNDING * weight / max(weight.sum(), 1e-12)

    def buy(share: float, expected: Callable[[Marginal], np.ndarray] | None = None) -> list[Measurement]:
        bought = [(marginal, share * price) for marginal, price in zip(marginals, prices.tolist(), strict=True)]
        return _measure(data, bought, mechanisms, part="one_way", label="one-way table", expected=expected)

    if data.max_rows_per_unit < MANY_ROWS:
        tables = buy(1.0)
    else:
        first = buy(FIRST_PASS)

        def seen(marginal: Marginal) -> np.ndarray:
            share = smooth_shares(first[marginal.attributes[0]], n_rows=data.n_rows)
            return np.bincount(marginal.groups[0], weights=share)

        tables = [_merged(one, other) for one, other in zip(first, buy(1.0 - FIRST_PASS, seen), strict=True)]
    found = tables[: len(fine)]
    for joined in tables[len(fine) :]:
        (a,) = joined.attributes
        found[a] = _agreeing(found[a], joined)
    return found


def measure_marginals(
    data: Encoded,
    bought: Sequence[tuple[Marginal, float]],
    mechanisms: Mechanisms,
    *,
    label: str,
    expected: Callable[[Marginal], np.ndarray] | None = None,
) -> list[Measurement]:
    """Return the noisy tables of some marginals, each at its price in μ².

    Guarantee: Gaussian releases of part "measurement", whose prices add up to those given (see `_measure`).
    Args:
      expected: see `clip_units.release_tables`.
    """
    return _measure(data, bought, mechanisms, part="measurement", label=label, expected=expected)


def _measure(
    data: Encoded,
    bought: Sequence[tuple[Marginal, float]],
    mechanisms: Mechanisms,
    *,
    part: str,
    label: str,
    expected: Callable[[Marginal], np.ndarray] | None = None,
) -> list[Measurement]:
    """Return tables: one release each where units have one row, which moves one entry by one; else see `clip_units`."""
    if data.max_rows_per_unit > 1 and bought:
        counts_of, sigmas, weight = release_tables(data, bought, mechanisms, part=part, label=label, expected=expected)
        error = scale_error(counts_of, sigmas)
        return [
            Measurement(v, n, s, (PaidTable(v, n, s, part, label, table_multiplier(mu_squared), error, weight),))
            for (v, mu_squared), n, s in zip(bought, counts_of, sigmas, strict=True)
        ]
    measured = []
    for (marginal, mu_squared), counts in zip(bought, tables_of(data, [v for v, _ in bought]), strict=True):
        name = f"{label} {' × '.join(data.attributes[a].name for a in marginal.attributes)}"
        release = mechanisms.gaussian(counts, l2_sensitivity=1.0, part=part, mu_squared=mu_squared, label=name)
        noisy = release.values.astype(np.float64)
        # One row moves one entry by one, so that the standard deviation is the multiplier.
        paid = PaidTable(marginal, noisy, np.full(noisy.shape, release.sigma), part, name, release.sigma)
        measured.append(Measurement(marginal, noisy, release.sigma, (paid,)))
    return measured


def _merged(one: Measurement, other: Measurement) -> Measurement:
    """Return two measurements of a table as one, by inverse variance; post-processing."""
    precision, more = np.asarray(one.sigma) ** -2.0, np.asarray(other.sigma) ** -2.0
    counts = (one.counts * precision + other.counts * more) / (precision + more)
    sigma = np.broadcast_to((precision + more) ** -0.5, counts.shape)
    return Measurement(one.marginal, counts, sigma, (*one.paid, *other.paid))


def _agreeing(fine: Measurement, joined: Measurement) -> Measurement:
    """Return a one-way table moved towards what was measured of groups of its codes; post-processing.

    The best linear estimate: each code takes part of its group's difference in proportion to its variance.
    """
    group = joined.marginal.groups[0]
    variance = np.broadcast_to(np.asarray(fine.sigma, dtype=np.float64) ** 2, fine.counts.shape)
    own = np.bincount(group, weights=variance)
    both = own + np.asarray(joined.sigma) ** 2
    difference = (joined.counts - np.bincount(group, weights=fine.counts)) / both
    counts = fine.counts + variance * difference[group]
    sigma = np.sqrt(variance * (1 - variance / both[group]))
    return Measurement(fine.marginal, counts, sigma, (*fine.paid, *joined.paid))


def effective_sensitivity(tables: Sequence[Measurement], mu_squared: float) -> float:
    """Return the sensitivity that explains the mean noise of tables at their price, in rows; post-processing.

    Args:
      tables: of one release.
      mu_squared: what they cost.
    """
    precision = math.fsum(float(np.mean(table.sigma)) ** -2 for table in tables)
    return math.sqrt(mu_squared / precision) if tables else 1.0


def likely_targets(data: Encoded, one_way: Sequence[Measurement]) -> tuple[int, ...]:
    """Return the declared targets; if there are none, the attributes of two values; post-processing.

    People mostly predict a yes or no. Its tables have few entries, so measuring them better costs the others little;
    by summed error alone they would get less than their part.
    """
    if data.targets:
        return data.targets
    clear = [np.asarray(t.counts).ravel() > SEEN_SIGMAS * np.asarray(t.sigma).ravel() for t in one_way]
    return tuple(a for a, codes in enumerate(clear) if codes.sum() == 2)


def error_weights(data: Encoded, likely: Sequence[int] = ()) -> np.ndarray:
    """Return (attributes,) weights of an error in each attribute: more where people predict or compare.

    Args:
      likely: see `likely_targets`.
    """
    marked = {*data.targets, *data.protected, *likely}
    if data.unit_attribute is not None:  # rows are drawn by it
        marked.add(data.unit_attribute)
    return np.array([EMPHASIS if i in marked else 1.0 for i in range(len(data.sizes))])


def smooth_shares(table: Measurement, *, n_rows: float) -> np.ndarray:
    """Return (size,) shares of a noisy one-way table, none of them zero; post-processing.

    The nearest probability vector would give nothing to most codes that noise drowns, as if they never occurred. They
    are some of the many that are rare: their true counts are taken to be exponentially distributed, about the mean that
    the noisy total leaves them, and each gets its expectation given its noisy count. Where there is little noise
    nothing changes.

    Args:
      table: of one attribute.
      n_rows: the paid number of rows.
    """
    counts = np.asarray(table.counts, dtype=np.float64)
    noise = np.broadcast_to(np.asarray(table.sigma, dtype=np.float64), counts.shape)
    drowned = counts < SEEN_SIGMAS * noise
    if not drowned.any() or not (noise > 0).all():
        return to_simplex(counts / max(n_rows, 1.0))
    # Two guesses of what is left for them: their own sum, and what the others leave; by inverse variance.
    own, others = float((noise[drowned] ** 2).sum()), float((noise[~drowned] ** 2).sum()) or float(noise.max() ** 2)
    left = float((counts[drowned].sum() * others + (n_rows - counts[~drowned].sum()) * own) / (own + others))
    sigma = noise[drowned]
    left = max(left, LEAST_LEFT * float(sigma.mean()))
    mean = left / len(sigma)
    place = (counts[drowned] - sigma**2 / mean) / sigma
    # The mean of a normal distribution cut off at zero; far below it the difference would lose all its digits.
    near = np.maximum(place, FAR_BELOW)
    hazard = near + np.exp(-(near**2) / 2 - log_ndtr(near)) / math.sqrt(2 * math.pi)
    expected = sigma * np.where(place < FAR_BELOW, -1.0 / np.minimum(place, -1.0), hazard)
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

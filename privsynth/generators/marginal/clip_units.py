"""Several rows a unit: clip units, so that none moves the tables of a release by more than a chosen bound.

All rows of a unit may lie in one entry of every table, and then only noise of `max_rows_per_unit` rows hides it. But
hardly any unit has that many, and theirs lie in many entries: over the tables of one release together most units move a
vector of a few rows' length. So each row weighs less the more rows its unit has (`weight_of_row`), as much as makes
the vectors of all about as long. That costs no accuracy of rows: how many rows a unit has is an attribute of its own,
and rows are drawn by it (`sampling.unit_rows`), which undoes the weighing. Where a unit's rows are so alike that its
vector is longer than a bound all the same, they weigh less still, by the same factor in all tables, which thus agree.
The bound is chosen from a small release of its own, in which a unit counts once.

Most of a vector's length lies in the few entries that hold most rows. Where it is known what to expect of a table, its
entries are scaled: rare ones count for more, and their noise shrinks by as much.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from privsynth.codecs.contingency import Marginal, contingency_tables
from privsynth.codecs.encoded_table import CodedRows, Encoded
from privsynth.privacy.budget import ROUNDING
from privsynth.privacy.mechanisms import Mechanisms
from privsynth.privacy.unit_weights import count, weight_of_row

MANY_ROWS = 10  # of a unit, from which entries are scaled, and rare target values are counted by units; by trial
LENGTHS_PRICE = 0.03  # of the budget of a release, for how long the units' vectors are: few numbers, told coarsely
BINS_PER_DOUBLING, LEAST_BINS = 2, 4  # of the histogram of lengths: the bound is within a factor of √2 of the best
MOST_NAMED = 5  # tables, in the label of a release: more would fill a page of the bill
HALF_MEAN_ABS = 0.4  # E|N(0, 1)| / 2: an entry's noise in total variation distance
STEPS = 2**20  # of the grid, to the weight of a row of a unit that is not scaled down
USUAL_ROWS = 0.5  # of the most that a unit may have; a guess that only decides how entries are scaled
SCALE_POWER = 1 / 3  # see `entry_scales`
LEAST_SHARE = 0.02  # of the rows, for all entries alike, whatever is expected: so no scale explodes
SCORE_ROUNDING = 1 + 1e-6  # outweighs how floating point rounds sums of distances over many rows


def most_weight(max_rows_per_unit: int) -> float:
    """Return the most that all rows of a unit weigh together."""
    return float(max_rows_per_unit * weight_of_row(np.array(max_rows_per_unit)))


def mean_weight(data: Encoded) -> float:
    """Return what a row weighs on average before anything is cut off, as far as is paid for."""
    if data.rows_per_unit is None:
        return 1.0
    used = np.minimum(data.rows_per_unit.rows, data.max_rows_per_unit)
    units = np.array(data.rows_per_unit.units)
    return float((units * used) @ weight_of_row(used) / (units @ used))


def choose_bound(
    count_units: Callable[[np.ndarray], np.ndarray],
    longest: float,
    mechanisms: Mechanisms,
    *,
    part: str,
    mu_squared: float,
    noise_of_one: float,
) -> float:
    """Return the bound for the lengths of units' vectors: the best trade of noise for weight of long ones.

    Noise beside what is counted grows as the bound over the units' length that it leaves. What is cut off moves no
    table by more than its share, in total variation distance, and counts for that. So where there is little noise,
    little is cut off.

    Guarantee: one Gaussian release, a histogram of lengths in which a unit is one count: sensitivity 1.

    Args:
      count_units: ascending ends -> how many units have vectors of which length (see `by_length`). Private.
      longest: the longest vector of a unit; longer ones are taken for it, those below 1 for 1.
      noise_of_one: total variation distance, about, that noise would make at a bound of one; from paid numbers.
    """
    bins = max(LEAST_BINS, math.ceil(BINS_PER_DOUBLING * math.log2(longest)))
    ends = longest ** (np.arange(bins + 1) / bins)
    release = mechanisms.gaussian(
        count_units(ends),
        l2_sensitivity=1.0,
        part=part,
        mu_squared=mu_squared,
        label="numbers of units by how much they hold",
    )
    units = np.maximum(release.values - release.sigma, 0.0)  # what may be noise would pull the bound up
    if not units.any():
        return math.sqrt(longest)
    kept = np.minimum(ends[:, None], ends) @ units
    left = kept / kept[-1]
    return float(ends[np.argmin(noise_of_one * ends / left + (1 - left))])


def by_length(lengths: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Return (ends,) int64, how many of the lengths reach up to each end; longer ones count at the last. Private."""
    last = len(ends) - 1
    return np.bincount(np.minimum(np.searchsorted(ends, lengths * ROUNDING), last), minlength=last + 1)


def expected_length(rows: float, codes: Sequence[float], share: Sequence[float]) -> float:
    """Return about how long the vector of a unit with so many rows is, over tables of given shares of the price.

    A guess from public facts, for `privsynth plan`: rows of a unit meet in a code as if all codes were as common.
    """
    return math.sqrt(math.fsum(s * (rows + rows * (rows - 1) / c) for c, s in zip(codes, share, strict=True)))


def entry_scales(expected: np.ndarray, max_rows_per_unit: int) -> np.ndarray:
    """Return the scale of each entry of a table: more where hardly any row is expected.

    Noise of an entry is that of the whole vector over its scale. A unit of m rows has about m·p in an entry of share p,
    in squares v = m·p + (m·p)²; the summed noise is least, given the mean square of a unit's vector, where scales are
    proportional to v^(-1/3). One row's mean squared scale is one. A pure function of noisy shares.

    Args:
      expected: what the table is expected to be, at any scale.
    """
    share = np.maximum(np.asarray(expected, dtype=np.float64), 0.0)
    share = share / max(float(share.sum()), 1e-300)
    share = (share + LEAST_SHARE / share.size) / (share.sum() + LEAST_SHARE)
    rows = share * (max_rows_per_unit * USUAL_ROWS)
    scale = (rows + rows**2) ** -SCALE_POWER
    return np.asarray(scale / math.sqrt(float((share * scale**2).sum())))


def release_tables(
    data: Encoded,
    bought: Sequence[tuple[Marginal, float]],
    mechanisms: Mechanisms,
    *,
    part: str,
    label: str,
    expected: Callable[[Marginal], np.ndarray] | None = None,
) -> tuple[list[np.ndarray], list[np.ndarray], float]:
    """Return the noisy counts of tables and the standard deviation of each entry, in rows; and what a row weighed on
    average, as the noisy tables tell it.

    Guarantee: two Gaussian releases of `part`, which add up to the tables' prices. For the first see `choose_bound`. In
      the second, all tables are one vector, each times the root of its part of the price, each entry times its scale; a
      unit whose rows move it by more than the bound is scaled down to that. Rows weigh whole steps of a grid, rounded
      down, so that this holds exactly.

    Args:
      expected: what a table is expected to be, from what was paid before; None if nothing was (see `entry_scales`).
        Not asked where units have few rows: a vector of two or three is short wherever they lie.
    """
    marginals = [marginal for marginal, _ in bought]
    price = math.fsum(mu_squared for _, mu_squared in bought) * ROUNDING
    scales = [np.full(marginal.size, math.sqrt(mu_squared / price)) for marginal, mu_squared in bought]
    if expected is not None and data.max_rows_per_unit >= MANY_ROWS:
        scales = [
            scale * entry_scales(expected(marginal), data.max_rows_per_unit).ravel()
            for scale, marginal in zip(scales, marginals, strict=True)
        ]
    most, weight_of_all = most_weight(data.max_rows_per_unit), data.n_rows * mean_weight(data)
    bound = choose_bound(
        lambda ends: data.add_up(partial(count_lengths, marginals=marginals, scales=scales, ends=ends)),
        most,
        mechanisms,
        part=part,
        mu_squared=price * LENGTHS_PRICE,
        noise_of_one=HALF_MEAN_ABS * float(np.mean([(1 / s).sum() for s in scales])) / price**0.5 / weight_of_all,
    )
    release = mechanisms.gaussian(
        data.add_up(partial(count_clipped, marginals=marginals, scales=scales, bound=bound)),
        l2_sensitivity=bound * STEPS,
        part=part,
        mu_squared=price * (1 - LENGTHS_PRICE),
        label=f"{len(marginals)} {label}s, {_names(data, marginals)}",
    )
    noisy = np.split(release.values / STEPS, np.cumsum([marginal.size for marginal in marginals])[:-1])
    sigmas = [release.sigma / STEPS / scale for scale in scales]
    counts = [table / scale for table, scale in zip(noisy, scales, strict=True)]
    longest = most * math.sqrt(math.fsum(float(scale.max()) ** 2 for scale in scales))
    lightest = most / data.max_rows_per_unit * min(1.0, bound / longest)
    in_rows = _rows_of_weight(counts, sigmas, data.n_rows, least=lightest)
    return (
        [(table * in_rows).reshape(marginal.shape) for table, marginal in zip(counts, marginals, strict=True)],
        [(sigma * in_rows).reshape(marginal.shape) for sigma, marginal in zip(sigmas, marginals, strict=True)],
        1.0 / in_rows,
    )


def table_multiplier(mu_squared: float) -> float:
    """Return the noise multiplier of one of the tables that `release_tables` bought at this price."""
    return float((mu_squared * ROUNDING * (1 - LENGTHS_PRICE)) ** -0.5)


def scale_error(counts: Sequence[np.ndarray], sigmas: Sequence[np.ndarray]) -> float:
    """Return the relative standard deviation of how many rows a weight of one stands for (see `_rows_of_weight`)."""
    spread = np.array([(sigma**2).sum() for sigma in sigmas])
    held = float((np.array([table.sum() for table in counts]) / spread).sum() / (1 / spread).sum())
    return float((1 / spread).sum() ** -0.5) / max(abs(held), 1e-300)


def count_lengths(
    rows: CodedRows, marginals: Sequence[Marginal], scales: Sequence[np.ndarray], ends: np.ndarray
) -> np.ndarray:
    """Return (ends,) how many units of one partition have vectors of which length (see `by_length`). Private."""
    unit, units = rows.units()
    return by_length(_lengths(rows.codes, unit, units, marginals, scales)[0], ends)


def count_clipped(
    rows: CodedRows, marginals: Sequence[Marginal], scales: Sequence[np.ndarray], bound: float
) -> np.ndarray:
    """Return all tables of one partition as one vector of whole steps, each unit's no longer than the bound. Private.

    Each row's weight is rounded down.
    """
    unit, units = rows.units()
    lengths, of_row = _lengths(rows.codes, unit, units, marginals, scales)
    weight = (of_row * np.minimum(1.0, bound * ROUNDING / np.maximum(lengths, 1e-12)))[unit]
    values = []
    for marginal, scale in zip(marginals, scales, strict=True):
        entry = _entries(rows.codes, marginal)
        values.append(count(entry, marginal.size, np.floor(weight * (scale * STEPS)[entry])))
    return np.concatenate(values)


def _lengths(
    codes: np.ndarray, unit: np.ndarray, units: int, marginals: Sequence[Marginal], scales: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Return (units,) lengths of the units' vectors and what a row of each weighs. Private."""
    squares = np.zeros(units)
    for marginal, scale in zip(marginals, scales, strict=True):
        squares += _squares(_entries(codes, marginal), scale, unit, units)
    of_row = weight_of_row(np.bincount(unit, minlength=units))
    return of_row * np.sqrt(squares), of_row


def _rows_of_weight(
    counts: Sequence[np.ndarray], sigmas: Sequence[np.ndarray], n_rows: float, *, least: float
) -> float:
    """Return how many rows a weight of one stands for: every table sums to the same weight, so that all tell it.

    Args:
      least: the least that all rows can weigh, as a part of their number.
    """
    spread = np.array([(sigma**2).sum() for sigma in sigmas])
    held = float((np.array([table.sum() for table in counts]) / spread).sum() / (1 / spread).sum())
    return n_rows / float(np.clip(held, n_rows * least, n_rows))


def _names(data: Encoded, marginals: Sequence[Marginal]) -> str:
    """Return what the first few tables count."""
    names = [" × ".join(data.attributes[a].name for a in marginal.attributes) for marginal in marginals[:MOST_NAMED]]
    return ", ".join([*names, "…"] if len(marginals) > MOST_NAMED else names)


def weigh_rows(data: Encoded, mechanisms: Mechanisms, *, part: str, mu_squared: float) -> tuple[float, float]:
    """Return how much a unit's rows weigh together at most, and what all rows weigh; in steps (see `steps_of_rows`).

    Guarantee: one Gaussian release of `part`, the weight of all rows: a unit moves it by at most `most_weight`.
    """
    most = most_weight(data.max_rows_per_unit) * STEPS
    release = mechanisms.gaussian(
        data.add_up(count_weight),
        l2_sensitivity=most,
        part=part,
        mu_squared=mu_squared,
        label="weight of all rows",
    )
    rows_of_all = data.n_rows * STEPS
    held = np.clip(release.values[0], rows_of_all * most / STEPS / data.max_rows_per_unit, rows_of_all)
    return most * SCORE_ROUNDING, float(held)


def steps_of_rows(rows: CodedRows) -> np.ndarray:
    """Return (n,) what the rows of one partition weigh, in whole steps of 1 / `STEPS`, rounded down. Private."""
    unit, units = rows.units()
    weight: np.ndarray = np.floor(weight_of_row(np.bincount(unit, minlength=units)) * (STEPS * ROUNDING))[unit]
    return weight


def count_weight(rows: CodedRows) -> np.ndarray:
    """Return (1,) what all rows of one partition weigh, in steps. Private."""
    return np.array([steps_of_rows(rows).sum()]).astype(np.int64)


def count_weighed(rows: CodedRows, marginals: Sequence[Marginal]) -> list[np.ndarray]:
    """Return the exact int64 tables of one partition in which rows count what they weigh, in steps. Private."""
    return contingency_tables(rows.codes, marginals, steps_of_rows(rows))


def _entries(codes: np.ndarray, marginal: Marginal) -> np.ndarray:
    """Return (n,) the entry in which each row counts. Private."""
    entry = np.zeros(codes.shape[1], dtype=np.int64)
    for attribute, group, size in zip(marginal.attributes, marginal.groups, marginal.shape, strict=True):
        entry = entry * size + group[codes[attribute]]
    return entry


def _squares(entry: np.ndarray, scale: np.ndarray, unit: np.ndarray, units: int) -> np.ndarray:
    """Return (units,) squared lengths of the units' tables, each entry times its scale. Private."""
    entries = len(scale)
    place = entry + unit * entries
    place.sort()
    starts = np.flatnonzero(np.diff(place, prepend=-1))
    rows = np.diff(starts, append=len(place)) * scale[place[starts] % entries]
    return np.bincount(place[starts] // entries, weights=rows**2, minlength=units)

"""Several rows a unit: rows weighed so that no unit moves the tables of a release by more than a bound below k.

A unit's k rows may all lie in one cell of every table, so that only noise of k rows hides it. But hardly any unit has k
rows, and theirs lie in many cells: over the tables of one release together most units move a vector of a few rows'
length. Where that length exceeds a bound, all rows of the unit weigh less, by the same factor in all tables. So tables
still agree with each other, noise shrinks by k over the bound, and what is lost is some weight of the units that have
many rows alike. How long the units' vectors are is told by a small release of its own, in which a unit counts once.

Most of a vector's length lies in the few cells that hold most rows. Where it is known what to expect of a table, its
cells are weighed: those that hardly anybody is in count for more, and their noise shrinks by as much.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from privsynth.codecs.contingency import View
from privsynth.codecs.encoded_table import Encoded
from privsynth.privacy.mechanisms import Mechanisms
from privsynth.privacy.unit_weights import count

MANY_ROWS = 10  # of a unit, from which on cells are weighed, and rare values of a target are counted by units
LENGTHS_PRICE = 0.03  # of the budget of a release, for how long the units' vectors are
BINS_PER_DOUBLING, LEAST_BINS = 2, 4
MOST_NAMED = 5  # tables, in the label of a release
CUT = 0.06  # how much the share of rows that is cut off counts, in total variation distance
HALF_MEAN_ABS = 0.4  # of a standard normal number: a cell's noise in total variation distance
SCORES = 27.0  # the same of scores, at the price of the weights: tables differ little in theirs
STEPS = 2**20  # of the grid, to the weight of a row of a unit that is not scaled down
USUAL_ROWS = 0.5  # of the most that a unit may have; a guess that only decides how cells are weighed
SCALE_POWER = 1 / 3  # see `cell_scales`
LEAST_SHARE = 0.02  # of the rows, for all cells alike, whatever is expected
_SLACK = 1 - 1e-9  # outweighs what floating point may round up


def units_of(data: Encoded) -> tuple[np.ndarray, int]:
    """Return (n,) indices of units without gaps, and how many there are. Private."""
    found, unit = np.unique(data.unit, return_inverse=True)
    return unit, len(found)


def choose_bound(
    lengths: np.ndarray, k: int, mechanisms: Mechanisms, *, part: str, mu_squared: float, noise_of_one: float
) -> float:
    """Return the bound for units' vectors of such lengths: the best trade of noise for weight of long ones.

    Noise beside what is counted grows as the bound over the units' length that it leaves. What is cut off does harm as
    far as the rows of units that have many differ from those of others, which nobody knows: it counts for `CUT` of its
    share. So where there is little noise, little is cut off.

    Guarantee: one Gaussian release, a histogram of lengths in which a unit is one count: sensitivity 1.

    Args:
      lengths: (units,) those beyond k are taken for k, those below 1 for 1. Private.
      noise_of_one: total variation distance, about, that noise would make at a bound of one; from paid numbers.
    """
    bins = max(LEAST_BINS, math.ceil(BINS_PER_DOUBLING * math.log2(k)))
    ends = k ** (np.arange(bins + 1) / bins)
    release = mechanisms.gaussian(
        np.bincount(np.minimum(np.searchsorted(ends, lengths * _SLACK), bins), minlength=bins + 1),
        l2_sensitivity=1.0,
        part=part,
        mu_squared=mu_squared,
        label="numbers of units by how much they hold",
    )
    units = np.maximum(release.values - release.sigma, 0.0)  # what may be noise would pull the bound up to k
    if not units.any():
        return math.sqrt(k)
    kept = np.minimum(ends[:, None], ends) @ units
    left = kept / kept[-1]
    return float(ends[np.argmin(noise_of_one * ends / left + CUT * (1 - left))])


def expected_length(rows: float, codes: Sequence[float], share: Sequence[float]) -> float:
    """Return about how long the vector of a unit with so many rows is, over tables of given shares of the price.

    A guess from public facts, for `privsynth plan`: rows of a unit meet in a code as if all codes were as common.
    """
    return math.sqrt(math.fsum(s * (rows + rows * (rows - 1) / c) for c, s in zip(codes, share, strict=True)))


def cell_scales(expected: np.ndarray, k: int) -> np.ndarray:
    """Return how much each cell of a table is weighed: more where hardly anybody is expected.

    Noise of an entry is that of the whole vector over its scale. A unit of m rows holds about m·p of a cell of share p,
    in squares v = m·p + (m·p)²; the summed noise is least, given the mean square of a unit's vector, where scales are
    proportional to v^(-1/3). One row's mean squared scale is one. A pure function of paid shares.

    Args:
      expected: what the table is expected to be, in any unit.
      k: the most rows of a unit.
    """
    share = np.maximum(np.asarray(expected, dtype=np.float64), 0.0)
    share = share / max(float(share.sum()), 1e-300)
    share = (share + LEAST_SHARE / share.size) / (share.sum() + LEAST_SHARE)
    rows = share * (k * USUAL_ROWS)
    scale = (rows + rows**2) ** -SCALE_POWER
    return np.asarray(scale / math.sqrt(float((share * scale**2).sum())))


def release_tables(
    data: Encoded,
    bought: Sequence[tuple[View, float]],
    mechanisms: Mechanisms,
    *,
    part: str,
    label: str,
    expected: Callable[[View], np.ndarray] | None = None,
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return the noisy counts of tables and the standard deviation of each cell, in rows.

    Guarantee: two Gaussian releases of `part`, which add up to the tables' prices. For the first see `choose_bound`. In
      the second, all tables are one vector, each times the root of its part of the price and each cell times its scale;
      a unit whose rows move it by more than the bound is scaled down to that. Rows weigh whole steps of a grid, rounded
      down, so that this holds exactly.

    Args:
      expected: what a table is expected to be, from what was paid before; None if nothing was (see `cell_scales`).
        Not asked where units have few rows: a vector of two or three is short wherever they lie.
    """
    views = [view for view, _ in bought]
    price = math.fsum(mu_squared for _, mu_squared in bought) * _SLACK
    scales = [np.full(view.cells, math.sqrt(mu_squared / price)) for view, mu_squared in bought]
    if expected is not None and data.max_rows_per_unit >= MANY_ROWS:
        scales = [
            scale * cell_scales(expected(view), data.max_rows_per_unit).ravel()
            for scale, view in zip(scales, views, strict=True)
        ]
    unit, units = units_of(data)
    squares = np.zeros(units)
    for view, scale in zip(views, scales, strict=True):
        squares += _squares(_cells(data.codes, view), scale, unit, units)
    lengths = np.sqrt(squares)
    bound = choose_bound(
        lengths,
        data.max_rows_per_unit,
        mechanisms,
        part=part,
        mu_squared=price * LENGTHS_PRICE,
        noise_of_one=HALF_MEAN_ABS * float(np.mean([(1 / s).sum() for s in scales])) / price**0.5 / data.n_rows,
    )
    weight = np.minimum(1.0, bound * _SLACK / np.maximum(lengths, 1e-12))[unit]
    values = []
    for view, scale in zip(views, scales, strict=True):
        cell = _cells(data.codes, view)
        values.append(count(cell, view.cells, np.floor(weight * (scale * STEPS)[cell])))
    release = mechanisms.gaussian(
        np.concatenate(values),
        l2_sensitivity=bound * STEPS,
        part=part,
        mu_squared=price * (1 - LENGTHS_PRICE),
        label=f"{len(views)} {label}s, {_names(data, views)}",
    )
    noisy = np.split(release.values / STEPS, np.cumsum([view.cells for view in views])[:-1])
    sigmas = [release.sigma / STEPS / scale for scale in scales]
    counts = [table / scale for table, scale in zip(noisy, scales, strict=True)]
    # Every table sums to the same weight, so that all of them tell it.
    spread = np.array([(sigma**2).sum() for sigma in sigmas])
    held = float((np.array([table.sum() for table in counts]) / spread).sum() / (1 / spread).sum())
    longest = data.max_rows_per_unit * math.sqrt(math.fsum(float(scale.max()) ** 2 for scale in scales))
    in_rows = data.n_rows / float(np.clip(held, data.n_rows * min(1.0, bound / longest), data.n_rows))
    return (
        [(table * in_rows).reshape(view.shape) for table, view in zip(counts, views, strict=True)],
        [(sigma * in_rows).reshape(view.shape) for sigma, view in zip(sigmas, views, strict=True)],
    )


def _names(data: Encoded, views: Sequence[View]) -> str:
    """Return what the first few tables count."""
    names = [" × ".join(data.attributes[a].name for a in view.attributes) for view in views[:MOST_NAMED]]
    return ", ".join([*names, "…"] if len(views) > MOST_NAMED else names)


def weigh_rows(
    data: Encoded, mechanisms: Mechanisms, *, part: str, mu_squared: float
) -> tuple[np.ndarray, float, float]:
    """Return (n,) whole weights of rows, how many steps of a unit's rows weigh at most, and what all rows weigh.

    Units of many rows are scaled down to a bound. All is in steps of 1 / `STEPS`.

    Guarantee: two Gaussian releases of `part`, which add up to `mu_squared`: see `choose_bound`; and the weight of all
      rows, which a unit moves by at most the bound.
    """
    unit, units = units_of(data)
    rows = np.bincount(unit, minlength=units).astype(np.float64)
    bound = choose_bound(
        rows,
        data.max_rows_per_unit,
        mechanisms,
        part=part,
        mu_squared=mu_squared / 2,
        noise_of_one=SCORES / mu_squared**0.5 / data.n_rows,
    )
    weight = np.floor(np.minimum(1.0, bound * _SLACK / np.maximum(rows, 1.0)) * STEPS)[unit]
    release = mechanisms.gaussian(
        np.array([weight.sum()]).astype(np.int64),
        l2_sensitivity=bound * STEPS,
        part=part,
        mu_squared=mu_squared / 2 * _SLACK,
        label="weight of all rows",
    )
    rows_of_all = data.n_rows * STEPS
    held = np.clip(release.values[0], rows_of_all * bound / data.max_rows_per_unit, rows_of_all)
    # Sums of distances of many rows are rounded by floating point.
    return weight, bound * STEPS * (1 + 1e-6), float(held)


def _cells(codes: np.ndarray, view: View) -> np.ndarray:
    """Return (n,) the cell of each row. Private."""
    cell = np.zeros(codes.shape[1], dtype=np.int64)
    for attribute, group, size in zip(view.attributes, view.groups, view.shape, strict=True):
        cell = cell * size + group[codes[attribute]]
    return cell


def _squares(cell: np.ndarray, scale: np.ndarray, unit: np.ndarray, units: int) -> np.ndarray:
    """Return (units,) squared lengths of the units' tables, each cell times its scale. Private."""
    cells = len(scale)
    place = cell + unit * cells
    place.sort()
    starts = np.flatnonzero(np.diff(place, prepend=-1))
    rows = np.diff(starts, append=len(place)) * scale[place[starts] % cells]
    return np.bincount(place[starts] // cells, weights=rows**2, minlength=units)

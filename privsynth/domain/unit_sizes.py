"""How many rows units have: bought as a histogram of units, in which a unit counts once however many rows it has."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from privsynth.codecs.encoded_table import REACH, RowsPerUnit
from privsynth.privacy.mechanisms import Mechanisms
from privsynth.privacy.unit_weights import weight_of_row

# Numbers of rows are told exactly up to EXACT_ROWS, then by classes that get wider in proportion: within one, the mean
# number of rows is off by a few hundredths at most. They reach beyond the rows that are used, REACH times as far.
EXACT_ROWS, CLASS_WIDTH = 12, 1.25
CLEAR_SIGMAS = 2.0  # of noise, from which on a class, or several together, surely have units
SURE_SIGMAS = 3.0  # from which on the model tells it apart: among some thirty classes noise alone hardly reaches that
JOINED = 0.005  # of the rows; a bound that no column comes near: that it follows the number of rows exactly (own)


def row_classes(max_rows_per_unit: int) -> tuple[tuple[int, int], ...]:
    """Return the classes of numbers of rows, each by its fewest and most; public. One ends at `max_rows_per_unit`."""
    last = REACH * max_rows_per_unit
    classes: list[tuple[int, int]] = []
    at = 1
    while at <= last:
        most = at if at <= EXACT_ROWS else max(math.ceil(at * CLASS_WIDTH) - 1, at)
        end = max_rows_per_unit if at <= max_rows_per_unit < most else min(most, last)
        classes.append((at, end))
        at = end + 1
    return tuple(classes)


def units_by_rows(rows: np.ndarray, max_rows_per_unit: int) -> np.ndarray:
    """Return (classes,) numbers of units, by (units,) their numbers of rows in the table. Private."""
    classes = row_classes(max_rows_per_unit)
    public = RowsPerUnit(classes, (0.0,) * len(classes), max_rows_per_unit)
    return np.bincount(public.class_of(rows), minlength=len(classes)).astype(np.int64)


def release_unit_sizes(
    units: np.ndarray, mechanisms: Mechanisms, *, max_rows_per_unit: int, part: str, mu_squared: float
) -> RowsPerUnit:
    """Return how many rows units have.

    Guarantee: one Gaussian release of `part`; a unit moves one count by one, also if it has more rows than are used.
    Args:
      units: (classes,) numbers of units (see `units_by_rows`). Private.
    """
    classes = row_classes(max_rows_per_unit)
    public = RowsPerUnit(classes, (0.0,) * len(classes), max_rows_per_unit)
    release = mechanisms.gaussian(
        units,
        l2_sensitivity=1.0,
        part=part,
        mu_squared=mu_squared,
        label="numbers of units by how many rows they have",
    )
    counts = release.values.astype(np.float64)
    groups = groups_that_stand_out(counts, release.sigma)
    shares = unit_shares(counts, groups, public.rows)
    found = RowsPerUnit(classes, tuple(shares.tolist()), max_rows_per_unit)
    return replace(found, joined=joined_classes(found, _with_neighbours(counts, release.sigma, groups)))


def groups_that_stand_out(counts: np.ndarray, sigma: float) -> list[tuple[int, int]]:
    """Return groups of classes, each by its first and the one after its last, from noisy counts; post-processing.

    A unit in a class of many rows stands for many rows, and noise there for as many. So classes that do not stand out
    of the noise are taken together, from the largest down, until they do or the next one does by itself.
    """
    groups: list[tuple[int, int]] = []
    end = len(counts)
    while end:
        start = end - 1
        while start and not _stands_out(counts[start:end], sigma) and not _stands_out(counts[start - 1 : start], sigma):
            start -= 1
        groups.insert(0, (start, end))
        end = start
    return groups


def _stands_out(counts: np.ndarray, sigma: float, sigmas: float = CLEAR_SIGMAS) -> bool:
    return float(counts.sum()) >= sigmas * sigma * math.sqrt(len(counts))


def unit_shares(counts: np.ndarray, groups: Sequence[tuple[int, int]], rows: np.ndarray) -> np.ndarray:
    """Return (classes,) shares of units from noisy counts; post-processing.

    Within a group of classes, units get rarer with the square of their rows.

    Args:
      groups: see `groups_that_stand_out`.
      rows: (classes,) of a unit, on average.
    """
    found = np.zeros(len(counts))
    for start, end in groups:
        weight = rows[start:end] ** -2.0
        found[start:end] = max(float(counts[start:end].sum()), 0.0) * weight / weight.sum()
    total = float(found.sum())
    shares: np.ndarray = found / total if total > 0 else (np.arange(len(found)) == 0).astype(np.float64)
    return shares


def _with_neighbours(counts: np.ndarray, sigma: float, groups: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the groups, with those that do not stand out of the noise taken to the one before, or the first after."""
    found: list[tuple[int, int]] = []
    for start, end in groups:
        pair = (counts[start:end], counts[slice(*found[-1])]) if found else ()
        if pair and not all(_stands_out(group, sigma, SURE_SIGMAS) for group in pair):
            start = found.pop()[0]
        found.append((start, end))
    return found


def joined_classes(per_unit: RowsPerUnit, groups: Sequence[tuple[int, int]]) -> tuple[int, ...]:
    """Return the code of each class in the model; post-processing.

    Rows are drawn by the number of rows of their unit, since rows of units with many weigh less. Where that number
    hardly changes what a row weighs, or hardly any unit has it, a code of its own only costs noise in every table that
    it is in. So groups of classes are joined, those first where it moves least, as long as all that is joined moves
    no share of rows by more than `JOINED`.
    """
    groups = list(groups)
    moved = [_moved(per_unit, *group) for group in groups]
    while len(groups) > 1:
        both = [(a[0], b[1]) for a, b in pairwise(groups)]
        more = [_moved(per_unit, *pair) - moved[i] - moved[i + 1] for i, pair in enumerate(both)]
        at = int(np.argmin(more))
        if more[at] > 0 and math.fsum(moved) + more[at] > JOINED:
            break
        groups[at : at + 2] = [both[at]]
        moved[at : at + 2] = [_moved(per_unit, *both[at])]
    return tuple(code for code, (start, end) in enumerate(groups) for _ in range(start, end))


def most_moved(per_unit: RowsPerUnit) -> float:
    """Return how far a share of rows may move, at most, since some rows are left out and some classes are joined."""
    ends = np.flatnonzero(np.diff(per_unit.codes)) + 1
    joined = (_moved(per_unit, start, end) for start, end in pairwise([0, *ends.tolist(), len(per_unit.classes)]))
    return per_unit.left_out + math.fsum(joined)


def _moved(per_unit: RowsPerUnit, start: int, end: int) -> float:
    """Return how far a share of rows may move, at most, if some classes have one code in the model.

    That is half of the L1 distance between the shares of rows that belong to them and what their rows weigh.
    """
    rows, units = per_unit.rows, np.array(per_unit.units)
    used = np.minimum(rows, per_unit.most_used)
    wanted, weighed = units * rows, units * used * weight_of_row(used)
    wanted, weighed = (shares[start:end] / max(float(shares.sum()), 1e-300) for shares in (wanted, weighed))
    found = 0.5 * float(np.abs(wanted - weighed * wanted.sum() / max(float(weighed.sum()), 1e-300)).sum())
    return found

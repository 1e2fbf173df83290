"""How many rows units have: bought as a histogram of units, in which a unit counts once however many rows it has."""

from __future__ import annotations

import math

import numpy as np

from privsynth.codecs.encoded_table import RowsPerUnit
from privsynth.privacy.mechanisms import Mechanisms

# Numbers of rows are told exactly up to EXACT_ROWS, then by classes that get wider in proportion: within one, the mean
# number of rows is off by a few hundredths at most. They reach beyond the rows that are used, REACH times as far.
EXACT_ROWS, CLASS_WIDTH, REACH = 12, 1.25, 3
CLEAR_SIGMAS = 2.0  # of noise, from which on a class, or several together, surely have units


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


def release_unit_sizes(
    rows: np.ndarray, mechanisms: Mechanisms, *, max_rows_per_unit: int, part: str, mu_squared: float
) -> RowsPerUnit:
    """Return how many rows units have.

    Guarantee: one Gaussian release of `part`; a unit moves one count by one, also if it has more rows than are used.
    Args:
      rows: (units,) numbers of rows in the table. Private.
    """
    classes = row_classes(max_rows_per_unit)
    public = RowsPerUnit(classes, (0.0,) * len(classes), max_rows_per_unit)
    release = mechanisms.gaussian(
        np.bincount(public.class_of(rows), minlength=len(classes)),
        l2_sensitivity=1.0,
        part=part,
        mu_squared=mu_squared,
        label="numbers of units by how many rows they have",
    )
    shares = unit_shares(release.values.astype(np.float64), release.sigma, public.rows)
    return RowsPerUnit(classes, tuple(shares.tolist()), max_rows_per_unit)


def unit_shares(counts: np.ndarray, sigma: float, rows: np.ndarray) -> np.ndarray:
    """Return (classes,) shares of units from noisy counts; post-processing.

    A unit in a class of many rows stands for many rows, and noise there for as many. So classes that do not stand out
    of the noise are taken together, from the largest down, until they do or the next one does by itself; within such a
    group, units get rarer with the square of their rows.

    Args:
      rows: (classes,) of a unit, on average.
    """
    found = np.zeros(len(counts))
    clear, end = CLEAR_SIGMAS * sigma, len(counts)
    while end:
        start = end - 1
        while start and counts[start:end].sum() < clear * math.sqrt(end - start) and counts[start - 1] < clear:
            start -= 1
        weight = rows[start:end] ** -2.0
        found[start:end] = max(float(counts[start:end].sum()), 0.0) * weight / weight.sum()
        end = start
    total = float(found.sum())
    shares: np.ndarray = found / total if total > 0 else (np.arange(len(found)) == 0).astype(np.float64)
    return shares

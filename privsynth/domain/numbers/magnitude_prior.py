"""Locate an unbounded column's mass when no node is significant: the likeliest of a few shapes, at each power of two.

In a tree over all integers, a column of few rows is noise in every node. The number of rows is still known: the
released number, less frequent values and nulls. A shape with that mass, compared with all octaves at once, is
significant where single nodes are not. Everything here is a pure function of released numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from privsynth.codecs.parse import GRID_LIMIT

OCTAVES = GRID_LIMIT.bit_length()
# The numbers below are a weak prior of our own, in log-likelihood (nats): small against what significant
# rows say, they decide where noise leaves several shapes about equally likely.
# Shares of the octaves below a power of two, the highest first, and the penalty of the shape.
SHAPES: tuple[tuple[tuple[float, ...], float], ...] = (
    ((1.0,), 0.0),
    ((0.5, 0.5), 0.0),
    ((0.5, 0.25, 0.125, 0.0625, 0.0625), 0.0),  # uniform up to the power of two
    ((0.25, 0.5, 0.25), 0.0),
    ((0.2, 0.2, 0.2, 0.2, 0.2), 0.5),
)
BELOW_ZERO, BOTH_SIDES = 4.0, 1.0  # penalties of columns whose numbers are negative, or of both signs
HIGH = 0.1  # penalty of each octave: ties go to the smaller magnitude
VERY_HIGH, VERY_HIGH_FROM = 0.4, 30  # penalty of each octave above 2**30 grid steps, in addition: few columns hold such


@dataclass(frozen=True)
class RemainingRows:
    """How many rows of a dimension hold no frequent value, and the standard deviation of that number."""

    rows: float
    sigma: float


@cache
def _shapes() -> tuple[np.ndarray, np.ndarray]:
    """Return (shapes, octaves) shares and (shapes,) penalties; octave 0 is in the middle."""
    rows, handicaps = [], []
    for top in range(1, OCTAVES + 1):
        for shares, handicap in SHAPES:
            if len(shares) > top + 1:
                continue
            one = np.zeros(2 * OCTAVES + 1)
            one[OCTAVES + top - np.arange(len(shares))] = shares
            far = HIGH * top + VERY_HIGH * max(top - VERY_HIGH_FROM, 0)
            for shape, loss in ((one, 0.0), (one[::-1], BELOW_ZERO), ((one + one[::-1]) / 2, BOTH_SIDES)):
                rows.append(shape)
                handicaps.append(handicap + far + loss)
    zero = np.zeros(2 * OCTAVES + 1)
    zero[OCTAVES] = 1.0
    return np.array([zero, *rows]), np.array([0.0, *handicaps])


def octaves(values: np.ndarray) -> np.ndarray:
    """Return (n,) octaves of integers: 0 of zero, b of those from 2**(b − 1) to 2**b − 1, negative below zero."""
    _, exponent = np.frexp(np.abs(values).astype(np.float64))
    return np.where(values == 0, 0, np.minimum(exponent, OCTAVES) * np.sign(values)).astype(np.int64)


def likeliest(
    low: np.ndarray, weight: np.ndarray, sigma: np.ndarray, remaining: RemainingRows | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return which (l,) leaves the likeliest shape covers, and the rows to expect in each of its octaves.

    Args:
      low: (l,) where each leaf begins; leaves do not cross octaves.
      weight, sigma: (l,) noisy rows, and their standard deviation.
      remaining: how many rows there are in all, if known.
    Returns:
      (l,) booleans, and (l,) rows to expect in the leaf's octave, 0 outside of the shape.
    """
    at = octaves(low) + OCTAVES
    noisy = np.bincount(at, weights=weight, minlength=2 * OCTAVES + 1)
    reachable = np.bincount(at, minlength=2 * OCTAVES + 1) > 0
    # Leaves cut from one root together say what it weighs: an octave is as precise as its best leaf.
    best = np.full(2 * OCTAVES + 1, np.inf)
    np.minimum.at(best, at, sigma)
    variance = np.where(reachable, best, 1.0) ** 2
    shapes, handicap = _shapes()
    agree, length = shapes @ (noisy / variance), shapes**2 @ (1 / variance)
    known = RemainingRows(0.0, 1e9) if remaining is None else remaining
    precision = 1.0 / max(known.sigma, 1e-3) ** 2
    rows = np.maximum((agree + known.rows * precision) / (length + precision), 0.0)
    gain = rows * agree - rows**2 * length / 2 - (rows - known.rows) ** 2 * precision / 2
    likely = int(np.argmax(np.where((shapes @ ~reachable) > 0.5, -np.inf, gain - handicap)))
    expected = rows[likely] * shapes[likely]
    # The prior says of an octave what the shape expects, to within about half of it; the noisy count says the rest.
    doubt = (expected / 2) ** 2
    seen = np.where(expected > 0, (noisy * doubt + expected * variance) / (doubt + variance), 0.0)
    return shapes[likely][at] > 0, np.maximum(seen, 0.0)[at]

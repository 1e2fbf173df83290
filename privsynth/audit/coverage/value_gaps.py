"""Stretches of a number: where one table has rows and another has none.

Between two neighbouring values of a table of n rows, and beyond its ends, a second table of m rows from the same
distribution has c or more rows with probability at most (m / (m + n - 1))^c, whatever the distribution is: all orders
of the pooled rows are equally likely, and the c rows after a given one all have to be of the second table. A table has
n + 1 such stretches, and alpha is shared by all of them. Where units have several rows, c counts as c / clump.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Gap:
    """The fullest stretch: `count` of `n` rows of one table where the other has none.

    Attributes:
      low, high: the least and the largest of the rows inside.
      log_p: log of the chance, over all stretches of the column, of one as full; at most 0.
      gaps: how many stretches hold more rows than chance allows. inside: rows in those.
    """

    count: int
    n: int
    low: float
    high: float
    log_p: float
    gaps: int
    inside: int


def fullest_gap(rows: np.ndarray, base: np.ndarray, *, alpha: float, clump: float = 1.0) -> Gap | None:
    """Return the stretch of `base` with most of the `rows`; None if no row lies strictly between or beyond.

    Args:
      rows, base: (m,) and (n,) finite numbers.
      alpha: for `gaps`: the chance, over the whole column, of calling a stretch full that is not.
      clump: how many rows hang together at worst, see `clump_of`.
    """
    grid = np.unique(base)
    left = np.searchsorted(grid, rows, side="left")
    free = (left == len(grid)) | (grid[np.minimum(left, len(grid) - 1)] != rows)
    if not free.any():
        return None
    counts = np.bincount(left[free], minlength=len(grid) + 1)
    worst = int(counts.argmax())
    inside = rows[free & (left == worst)]
    step = math.log(len(rows) / (len(rows) + len(base) - 1)) / clump if len(base) > 1 else 0.0
    stretches = math.log(len(base) + 1)
    needed = (math.log(alpha) - stretches) / step if step else math.inf
    full = counts[counts >= needed]
    return Gap(
        count=int(counts[worst]),
        n=len(rows),
        low=float(inside.min()),
        high=float(inside.max()),
        log_p=min(0.0, stretches + int(counts[worst]) * step),
        gaps=len(full),
        inside=int(full.sum()),
    )


def clump_of(units: np.ndarray) -> float:
    """Return the design effect if all rows of a unit were alike: sum of squared sizes over the sum of sizes; 1 if each
    unit has one row.

    Source: Kish (1965).
    """
    sizes = np.unique(units, return_counts=True)[1].astype(float)
    return float((sizes**2).sum() / sizes.sum()) if len(sizes) else 1.0

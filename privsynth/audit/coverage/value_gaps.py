"""Value gaps: intervals of a number where one table has rows and another has none.

Between two neighbouring values of a table of n rows, and beyond its ends, a second table of m rows from the same
distribution has c or more rows with probability at most (m / (m + n - 1))^c, whatever the distribution is: all orders
of the pooled rows are equally likely, and the c rows after a given one all have to be of the second table. A table has
n + 1 such gaps, which share alpha. Where units have several rows, c is divided by the design effect.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Gap:
    """The fullest gap: `count` of `n` rows of one table where the other has none.

    Attributes:
      low, high: smallest and largest value inside.
      log_p: log of the probability of a gap as full anywhere in the column; at most 0.
      gaps: number of significant gaps. inside: rows in those.
    """

    count: int
    n: int
    low: float
    high: float
    log_p: float
    gaps: int
    inside: int


def fullest_gap(rows: np.ndarray, base: np.ndarray, *, alpha: float, design_effect: float = 1.0) -> Gap | None:
    """Return the gap of `base` with most of the `rows`; None if all rows are at values of `base`.

    Args:
      rows, base: (m,) and (n,) finite numbers.
      alpha: for `gaps`: probability of a false alarm in the whole column.
      design_effect: see `worst_design_effect`.
    """
    grid = np.unique(base)
    left = np.searchsorted(grid, rows, side="left")
    free = (left == len(grid)) | (grid[np.minimum(left, len(grid) - 1)] != rows)
    if not free.any():
        return None
    counts = np.bincount(left[free], minlength=len(grid) + 1)
    worst = int(counts.argmax())
    inside = rows[free & (left == worst)]
    step = math.log(len(rows) / (len(rows) + len(base) - 1)) / design_effect if len(base) > 1 else 0.0
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


def worst_design_effect(units: np.ndarray) -> float:
    """Return the design effect if all rows of a unit are equal: Σ size² / Σ size; 1 if each unit has one row.

    Source: Kish (1965).
    """
    sizes = np.unique(units, return_counts=True)[1].astype(float)
    return float((sizes**2).sum() / sizes.sum()) if len(sizes) else 1.0

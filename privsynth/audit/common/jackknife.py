"""The delete-a-group jackknife: intervals, by unit, for any function of a contingency table.

Whole units are assigned to 30 blocks at random. Counts without one block are the total minus that block's counts, so
one pass of counting gives all 30 leave-one-out values.

Source: Kott (2001), the delete-a-group jackknife; Efron (1982).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import special

from privsynth.audit.common.discretise import cell_keys
from privsynth.stats.intervals import Interval

BLOCKS = 30  # 29 degrees of freedom: t is 2.05 at 95 %, close to the 1.96 of the normal (own)


def assign_blocks(units: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the (n,) block of each row; all rows of a unit are in one block."""
    if len(units) == 0:
        return np.zeros(0, dtype=np.int64)
    inverse = np.unique(units, return_inverse=True)[1]
    order = rng.permutation(int(inverse.max()) + 1)
    return np.asarray(order[inverse] % BLOCKS)


def left_out_counts(codes: np.ndarray, sizes: Sequence[int], columns: Sequence[int], blocks: np.ndarray) -> np.ndarray:
    """Return (1 + BLOCKS, size, size, …) counts of some columns: of all rows, then without each block.

    Args:
      codes: (n_columns, n) codes; sizes: number of codes of each column; blocks: (n,) from `assign_blocks`.
    """
    key, cells = cell_keys(codes, sizes, columns)
    parts = np.bincount(key * BLOCKS + blocks, minlength=cells * BLOCKS).reshape(cells, BLOCKS).T
    total = parts.sum(axis=0)
    counts = np.concatenate([total[None], total[None] - parts])
    return counts.reshape(1 + BLOCKS, *(sizes[c] for c in columns))


def jackknife_variance(left_out: np.ndarray) -> np.ndarray:
    """Return the variance of a figure from its (BLOCKS, …) leave-one-out values, along axis 0."""
    apart = left_out - left_out.mean(axis=0)
    return np.asarray((len(left_out) - 1) / len(left_out) * (apart**2).sum(axis=0))


def jackknife_interval(value: float, variance: float, *, confidence: float = 0.95, shared: int = 1) -> Interval:
    """Return value ± t·sd with the t of BLOCKS - 1 degrees of freedom.

    Args:
      shared: number of figures whose intervals shall hold together with `confidence` (Bonferroni).
    """
    quantile = float(special.stdtrit(BLOCKS - 1, 1 - (1 - confidence) / 2 / shared))
    half = quantile * math.sqrt(max(0.0, float(variance)))
    return Interval(value, value - half, value + half)

"""`Histogram`: how often whole numbers occur, where nobody knows beforehand which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np


@dataclass(frozen=True, repr=False, eq=False)
class Histogram:
    """Counts of whole numbers; they add up (see `sums.added`).

    Attributes:
      values: (m,) int64, ascending, each once.
      held: (m,) int64 how many rows have each, or how many steps these weigh.
    """

    values: np.ndarray
    held: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray, weight: np.ndarray | None = None) -> Self:
        """Return how often each of (n,) integers occurs, or how many steps its rows weigh.

        Args:
          weight: (n,) int64 steps; one each if None.
        """
        if weight is None:
            found, held = np.unique(values, return_counts=True)
            return cls(found.astype(np.int64), held.astype(np.int64))
        found, at = np.unique(values, return_inverse=True)
        return cls(found.astype(np.int64), _sums(at, weight, len(found)))

    def plus(self, other: Self) -> Self:
        """Return the counts of both."""
        found, at = np.unique(np.concatenate([self.values, other.values]), return_inverse=True)
        return type(self)(found, _sums(at, np.concatenate([self.held, other.held]), len(found)))


def _sums(at: np.ndarray, weight: np.ndarray, size: int) -> np.ndarray:
    # Sums of whole numbers below 2**53 are exact in floating point.
    return np.bincount(at, weights=weight, minlength=size).astype(np.int64)

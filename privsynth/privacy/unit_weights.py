"""How rows are counted where columns are learned: one each, or by weights that add up to one a unit."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from privsynth.privacy.mechanisms import stable_threshold

STEPS = 2**20  # that a unit's rows weigh together


@dataclass(frozen=True, repr=False)
class Weights:
    """Rows that weigh less the more of them their unit has, where it matters where rows lie and not how many there are.

    So a unit moves a histogram of a column by no more than one row would, whatever k is.

    Attributes:
      rows: (n,) int64 steps, private; those of a unit add up to `STEPS` at most.
      in_rows: how many rows a step stands for, from paid numbers.
    """

    rows: np.ndarray
    in_rows: float

    def __repr__(self) -> str:
        return "Weights()"


@dataclass(frozen=True, repr=False)
class Look:
    """How rows are counted where columns are learned: one each, at most `k` of a unit, or by weights."""

    k: int
    weights: Weights | None

    @property
    def rows(self) -> np.ndarray | None:
        """(n,) what rows weigh, in whole steps; None for one each. Private."""
        return None if self.weights is None else self.weights.rows

    @property
    def of_unit(self) -> int:
        """What the rows of a unit weigh at most, together."""
        return self.k if self.weights is None else STEPS

    @property
    def in_rows(self) -> float:
        """How many rows what one of them weighs, or a step of it, stands for."""
        return 1.0 if self.weights is None else self.weights.in_rows

    def least(self, columns: int, mu_squared: float, delta: float) -> float:
        """Return how many rows a key must have to come out, where so many columns are looked at at a price."""
        if mu_squared <= 0:
            return math.inf
        sigma = self.of_unit * math.sqrt(columns / mu_squared)
        threshold = stable_threshold(k=self.k, columns=columns, sigma=sigma, delta=delta, unit_weight=self.of_unit)
        return threshold * self.in_rows

    def __repr__(self) -> str:
        return "Look()"


def row_weights(unit: np.ndarray) -> np.ndarray:
    """Return (n,) int64 steps of rows by their unit's number of rows, rounded down.

    Args:
      unit: (n,) int64 unit of each row, 0 or more.
    """
    steps: np.ndarray = STEPS // np.maximum(np.bincount(unit), 1)[unit]
    return steps


def count(at: np.ndarray, size: int, weight: np.ndarray | None) -> np.ndarray:
    """Return (size,) int64: how many of (n,) indices are each, or what they weigh in whole steps."""
    if weight is None:
        return np.bincount(at, minlength=size).astype(np.int64, copy=False)
    # Sums of whole numbers below 2**53 are exact in floating point.
    return np.bincount(at, weights=weight, minlength=size).astype(np.int64)

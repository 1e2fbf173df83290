"""How rows are counted where columns are learned: one each, or by weights that add up to one a unit."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from privsynth.privacy.mechanisms import stable_threshold

STEPS = 2**20  # all rows of a unit together; fine enough that rounding down loses less than 1 in 10,000 for 100 rows
SAMENESS = 0.25  # of the rows of a unit, see `weight_of_row`; another guess costs noise, and biases nothing


@dataclass(frozen=True)
class Weighting:
    """How rows are counted where columns are learned: one each, `max_rows_per_unit` of a unit at most, or by weight.

    By weight, each row weighs 1/(its unit's rows), so that a unit moves a histogram no more than one row would. That is
    for histograms of where rows lie, not for how many there are.

    Attributes:
      rows_of_step: how many rows one of `STEPS` stands for, from released numbers; None where rows weigh one each.
    """

    max_rows_per_unit: int
    rows_of_step: float | None = None

    @property
    def weighed(self) -> bool:
        """Whether rows weigh as many steps as `row_weights` says."""
        return self.rows_of_step is not None

    @property
    def unit_weight(self) -> int:
        """The most that all rows of a unit weigh together: how far one unit can move a count."""
        return STEPS if self.weighed else self.max_rows_per_unit

    @property
    def rows_per_step(self) -> float:
        """How many rows a count of one stands for."""
        return 1.0 if self.rows_of_step is None else self.rows_of_step

    def smallest_released(self, columns: int, mu_squared: float, delta: float) -> float:
        """Return how many rows a key needs to pass the threshold, if `columns` columns share `mu_squared`."""
        if mu_squared <= 0:
            return math.inf
        sigma = self.unit_weight * math.sqrt(columns / mu_squared)
        threshold = stable_threshold(
            max_rows_per_unit=self.max_rows_per_unit,
            columns=columns,
            sigma=sigma,
            delta=delta,
            unit_weight=self.unit_weight,
        )
        return threshold * self.rows_per_step


def row_weights(unit: np.ndarray) -> np.ndarray:
    """Return (n,) int64 steps: each row weighs `STEPS` over its unit's number of rows, rounded down.

    Args:
      unit: (n,) int64 unit of each row, 0 or more.
    """
    steps: np.ndarray = STEPS // np.maximum(np.bincount(unit), 1)[unit]
    return steps


def count(at: np.ndarray, size: int, weight: np.ndarray | None) -> np.ndarray:
    """Return (size,) int64: how often each index occurs among (n,) indices, or how many steps its rows weigh."""
    if weight is None:
        return np.bincount(at, minlength=size).astype(np.int64, copy=False)
    # Sums of whole numbers below 2**53 are exact in floating point.
    return np.bincount(at, weights=weight, minlength=size).astype(np.int64)


def weight_of_row(rows: np.ndarray) -> np.ndarray:
    """Return what a row of units with so many rows weighs before anything is cut off; a public function.

    It is one over the length of a vector in which `SAMENESS` of the pairs of rows meet.
    """
    rows = np.maximum(np.asarray(rows, dtype=np.float64), 1.0)
    weight: np.ndarray = (SAMENESS * rows**2 + (1.0 - SAMENESS) * rows) ** -0.5
    return weight

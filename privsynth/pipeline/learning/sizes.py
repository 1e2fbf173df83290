"""How large the table is: released or declared numbers of rows and of units, and so how rows are weighed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa

from privsynth.codecs.encoded_table import RowsPerUnit
from privsynth.domain.unit_sizes import release_unit_sizes, units_by_rows
from privsynth.partitions.marks import HELD_OUT, OF_UNIT, SIDE, TRAINING, UNIT, used, values
from privsynth.partitions.rows import PrivateRows
from privsynth.pipeline.learning.request import Request
from privsynth.pipeline.learning.row_counts import CountNoise
from privsynth.pipeline.usability.outlook import TableSize
from privsynth.privacy.budget import ROUNDING, Budget, SpendingPlan
from privsynth.privacy.mechanisms import Mechanisms
from privsynth.privacy.unit_weights import STEPS, Weighting

UNITS_SHARE = (
    0.4  # of part "rows", for the number of units, if they may have several rows; the rest, for how many (own)
)


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How large the table is, as released or declared.

    Attributes:
      train: rows in training.
      used: rows in training and holdout.
      units: units in training, and units in training and holdout; None where each row is a unit.
      rows_per_unit: how many rows units have; likewise.
    """

    train: float
    used: float
    units: tuple[float, float] | None = None
    rows_per_unit: RowsPerUnit | None = None

    @property
    def usual_rows(self) -> float:
        """Rows of a unit in training, on average."""
        return 1.0 if self.units is None else self.train / self.units[0]

    @property
    def scale(self) -> TableSize:
        """The size of the training rows."""
        return TableSize(rows=self.train, rows_per_unit=self.usual_rows)


def release_sizes(rows: PrivateRows, request: Request, mechanisms: Mechanisms) -> Sizes:
    """Return how large the table is.

    Guarantee: part "rows".
    """
    budget = request.budget
    if budget.max_rows_per_unit > 1:
        return _unit_sizes(rows, request, mechanisms)
    if budget.rows is not None:
        return Sizes(train=budget.rows * (1.0 - request.holdout_fraction), used=float(budget.rows))
    counts = rows.add_up(count_rows, [SIDE])
    train, used = _count_sides(counts, request, mechanisms, mu_squared=request.plan.parts["rows"], what="rows")
    return Sizes(train=train, used=used)


def _unit_sizes(rows: PrivateRows, request: Request, mechanisms: Mechanisms) -> Sizes:
    """Return how many units there are, how many rows they have, and so how many rows there are.

    Guarantee: two Gaussian releases of part "rows". A unit is one count in each, so that noise does not grow with
      `max_rows_per_unit`.
    """
    budget, price = request.budget, request.plan.parts["rows"]
    counts, numbers = rows.add_up(partial(count_units, budget.max_rows_per_unit), [UNIT, SIDE, OF_UNIT])
    units = _count_sides(counts, request, mechanisms, mu_squared=price * UNITS_SHARE, what="units")
    per_unit = release_unit_sizes(
        numbers,
        mechanisms,
        max_rows_per_unit=budget.max_rows_per_unit,
        part="rows",
        mu_squared=_unit_sizes_price(price),
    )
    train, used = (max(n * per_unit.mean_used, 1.0) for n in units)
    return Sizes(train=train, used=used, units=units, rows_per_unit=per_unit)


def _unit_sizes_price(price: float) -> float:
    return price * (1.0 - UNITS_SHARE) * ROUNDING


def unit_sizes_sigma(plan: SpendingPlan) -> float:
    """Return the standard deviation of the noise of each number of units of a class (see `release_unit_sizes`)."""
    return _unit_sizes_price(plan.parts["rows"]) ** -0.5


def _count_sides(
    counts: np.ndarray, request: Request, mechanisms: Mechanisms, *, mu_squared: float, what: str
) -> tuple[float, float]:
    """Return the released number of rows or units in training, and in training and holdout.

    Guarantee: one Gaussian release of part "rows"; a unit is in one of the two counts, once.
    """
    release = mechanisms.gaussian(
        counts,
        l2_sensitivity=1.0,
        part="rows",
        mu_squared=mu_squared,
        label=f"number of {what} in training and holdout",
    )
    train, holdout = (float(n) for n in release.values)
    return max(train, 1.0), count_noise(request.plan, request.holdout_fraction).total(train, holdout)


def count_noise(plan: SpendingPlan, holdout_fraction: float) -> CountNoise:
    """Return the noise of the released numbers of units (or rows, where each is one); none where that is declared."""
    share = UNITS_SHARE if plan.budget.max_rows_per_unit > 1 else 1.0
    sigma = (plan.parts["rows"] * share) ** -0.5 if "rows" in plan.parts else 0.0
    return CountNoise(sigma=sigma, holdout_fraction=holdout_fraction, rows_per_unit=1)


def weighting_of(sizes: Sizes, budget: Budget) -> Weighting:
    """Return how rows are counted: those of a unit weigh one together."""
    return Weighting(budget.max_rows_per_unit, None if sizes.units is None else sizes.usual_rows / STEPS)


def count_rows(part: pa.Table) -> np.ndarray:
    """Return the numbers of rows in training and in the holdout. Private."""
    side = values(part, SIDE)
    return np.array([(side == TRAINING).sum(), (side == HELD_OUT).sum()], dtype=np.int64)


def count_units(max_rows_per_unit: int, part: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of units in training and in the holdout, and of those of each class of numbers of rows.

    Private.
    """
    part = used(part)
    _, first = np.unique(values(part, UNIT), return_index=True)
    sides = np.bincount(values(part, SIDE)[first].astype(np.int64), minlength=2).astype(np.int64)
    return sides, units_by_rows(values(part, OF_UNIT)[first], max_rows_per_unit)

"""How the domain's budget is split between categories, frequent values of numbers, and quantile trees.

`synthesize` and `plan` use the same functions. Everything follows from public facts and released numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from privsynth.privacy.budget import ROUNDING
from privsynth.privacy.unit_weights import Weighting

# Share of the rows. If the even split releases values as rare as this, one round releases nearly all categories, and
# the uneven split is not needed.
FREQUENT_ENOUGH = 0.02
# Share of the categories' μ² and δ for the first of two rounds. It only has to find common texts; the second, over
# fewer columns, needs the larger part for rare ones.
FIRST_ROUND = 0.3


@dataclass(frozen=True)
class Prices:
    """Relative μ² of one column's categories, one dimension's frequent values, and one dimension's tree."""

    categories: float
    frequent: float
    tree: float


# Relative prices. Where budget is scarce, categories go first: a tree with more noise has coarser bins, but categories
# below the threshold are lost altogether.
SCARCE, AMPLE = Prices(2.0, 0.25, 0.75), Prices(1.0, 1.0, 0.75)


@dataclass(frozen=True, kw_only=True)
class Shares:
    """The μ² of the parts of the domain stage."""

    categories: float
    frequent: float
    trees: float


@dataclass(frozen=True, kw_only=True)
class BudgetSplit:
    """How μ² and δ of the domain stage are split.

    Attributes:
      keyed: number of dimensions whose frequent values are released.
      dimensions: number of dimensions, each of which gets a tree.
      categories_delta, frequent_delta: δ of the thresholds of categories and of frequent values.
      prices: relative prices.
    """

    keyed: int
    dimensions: int
    categories_delta: float
    frequent_delta: float
    prices: Prices = AMPLE

    @property
    def two_rounds(self) -> bool:
        """Whether categories are released in two rounds."""
        return self.prices is SCARCE

    def shares(self, *, open_columns: int, mu_squared: float) -> Shares:
        """Return the shares of `mu_squared`, if the categories of `open_columns` columns are released."""
        prices = self.prices
        wanted = [prices.categories * open_columns, prices.frequent * self.keyed, prices.tree * self.dimensions]
        whole = mu_squared * ROUNDING / max(math.fsum(wanted), 1e-12)
        return Shares(categories=wanted[0] * whole, frequent=wanted[1] * whole, trees=wanted[2] * whole)


@dataclass(frozen=True, kw_only=True)
class OpenColumns:
    """How much of the domain is open.

    Attributes:
      texts: number of text columns without declared categories.
      keyed: number of dimensions whose frequent values are released.
      dimensions: number of numeric dimensions.
    """

    texts: int
    keyed: int
    dimensions: int


def split_budget(
    weighting: Weighting, counts: OpenColumns, *, mu_squared: float, delta: float, n_rows: float
) -> BudgetSplit:
    """Return the split that suits the number of rows.

    Args:
      counts: how much of the domain is open.
      mu_squared, delta: of the whole domain stage.
      n_rows: the released number of rows, or a guess.
    """
    categories_delta = delta * counts.texts / max(counts.texts + counts.keyed, 1)
    split = BudgetSplit(
        keyed=counts.keyed,
        dimensions=counts.dimensions,
        categories_delta=categories_delta,
        frequent_delta=delta - categories_delta,
    )
    frequent = split.shares(open_columns=counts.texts, mu_squared=mu_squared).frequent
    smallest = weighting.smallest_released(counts.keyed, frequent, split.frequent_delta) if counts.keyed else math.inf
    if smallest <= FREQUENT_ENOUGH * n_rows:
        return split
    return BudgetSplit(
        keyed=split.keyed,
        dimensions=split.dimensions,
        categories_delta=split.categories_delta,
        frequent_delta=split.frequent_delta,
        prices=SCARCE,
    )

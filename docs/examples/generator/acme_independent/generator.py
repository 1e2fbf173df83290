"""Learning: one Gaussian release of the counts of all columns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np

from acme_independent.fitted import FittedIndependent
from privsynth.codecs.encoded_table import CodedRows, Encoded
from privsynth.generators.registry import ExpectedErrors, PublicFacts
from privsynth.privacy.budget import SpendingPlan
from privsynth.privacy.mechanisms import Mechanisms
from privsynth.progress import Progress


@dataclass(frozen=True)
class IndependentGenerator:
    """Noisy counts of each column by itself."""

    name: ClassVar[str] = "independent"

    def training_spec(self) -> None:
        """Return None: there is no DP-SGD."""
        return

    def expected_errors(self, facts: PublicFacts, plan: SpendingPlan) -> ExpectedErrors:
        """Return half the expected L1 error of each column's shares."""
        sigma = sensitivity(facts.max_rows_per_unit, len(facts.sizes)) / math.sqrt(plan.parts["measurement"])
        each = math.sqrt(2 / math.pi) * sigma / facts.n_rows
        return ExpectedErrors(tuple(min(1.0, 0.5 * each * size) for size in facts.sizes), None)

    def fit(
        self,
        data: Encoded,
        mechanisms: Mechanisms,
        plan: SpendingPlan,
        *,
        rng: np.random.Generator,
        progress: Progress,
    ) -> FittedIndependent:
        """Learn the shares.

        Guarantee: one Gaussian release, of the whole part "measurement". A unit's rows each move one count of each
          column, so at worst k counts by one row each, all in the same place: k·√columns in L2.
        """
        counts = data.add_up(partial(counts_of_columns, sizes=data.sizes))
        noisy = mechanisms.gaussian(
            np.concatenate(counts),
            l2_sensitivity=sensitivity(data.max_rows_per_unit, len(counts)),
            part="measurement",
            mu_squared=plan.parts["measurement"],
            label="counts of each column",
        )
        shares = np.maximum(noisy.values.astype(np.float64), 0.0) + 1e-9
        for end, attribute in zip(np.cumsum(data.sizes), data.attributes, strict=True):
            if not attribute.can_be_null and attribute.size > 1:
                shares[end - 1] = 0.0  # the last code is NULL
        return FittedIndependent(shares / shares.sum(), tuple(data.sizes))


def counts_of_columns(rows: CodedRows, sizes: Sequence[int]) -> list[np.ndarray]:
    """Return how many rows of one partition have each code, column by column. Private."""
    return [np.bincount(codes, minlength=size) for codes, size in zip(rows.codes, sizes, strict=True)]


def sensitivity(max_rows_per_unit: int, columns: int) -> float:
    """Return how far all rows of a unit move the counts of all columns, in L2."""
    return max_rows_per_unit * math.sqrt(columns)


GENERATOR = IndependentGenerator()

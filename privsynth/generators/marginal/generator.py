"""`marginal`: noisy low-order marginals, fitted by a mixture of products. One-shot, all Gaussian, no junction tree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from privsynth.codecs.encoded_table import Encoded
from privsynth.generators.marginal.expected import expected_errors
from privsynth.generators.marginal.fitted import FitSettings, FittedMarginal
from privsynth.generators.marginal.loss import LogitBlocks
from privsynth.generators.marginal.rare_values.rare_rows import with_rare_rows
from privsynth.generators.marginal.rounds import (
    FitRequest,
    Measurements,
    MeasureRequest,
    fit_common,
    select_and_measure,
)
from privsynth.generators.nil_codes import never_drawn, without_nil
from privsynth.generators.registry import ExpectedErrors, PublicFacts
from privsynth.privacy.budget import SpendingPlan, TrainingSpec
from privsynth.privacy.mechanisms import Mechanisms
from privsynth.progress import Progress, no_progress


@dataclass(frozen=True)
class MarginalGenerator:
    """The generator and its settings."""

    name: ClassVar[str] = "marginal"
    fit_settings: FitSettings = field(default_factory=FitSettings)

    def training_spec(self) -> TrainingSpec | None:
        """Return None: there is no DP-SGD."""
        return None

    def expected_errors(self, facts: PublicFacts, plan: SpendingPlan) -> ExpectedErrors:
        """Return the expected errors of noisy marginals (see `Generator.expected_errors`)."""
        return expected_errors(facts, plan)

    def fit(
        self,
        data: Encoded,
        mechanisms: Mechanisms,
        plan: SpendingPlan,
        *,
        rng: np.random.Generator,
        progress: Progress = no_progress,
    ) -> FittedMarginal:
        """Select and measure marginals, then fit the mixture (see `Generator.fit`)."""
        request = MeasureRequest(
            data=data, mechanisms=mechanisms, plan=plan, settings=self.fit_settings, rng=rng, progress=progress
        )
        return self.fit_measurements(data, select_and_measure(request), rng=rng, progress=progress)

    def fit_measurements(
        self, data: Encoded, measurements: Measurements, *, rng: np.random.Generator, progress: Progress = no_progress
    ) -> FittedMarginal:
        """Fit the mixture to all noisy tables; post-processing. Uses only public fields of `data`."""
        mixture = measurements.mixture
        if mixture is None or measurements.second:
            groups = [measurements.first, measurements.second, measurements.uncommon, measurements.expected]
            fit = FitRequest(settings=self.fit_settings, rng=rng, progress=progress, agreement=measurements.agreement)
            mixture = fit_common(data, measurements.one_way, groups, measurements.rare, fit, start=mixture)
        starts = LogitBlocks(tuple(data.sizes)).starts
        p = with_rare_rows(np.ascontiguousarray(mixture.p.T), starts, measurements.rare)
        p = without(
            p, data.sizes, [never_drawn(attribute) for attribute in without_nil(data, measurements.one_way).attributes]
        )
        seen = (*(table.attributes for table in measurements.tables), *measurements.pairs_of_rare)
        agreement = measurements.agreement
        agreed = None if agreement is None else round(agreement.usual, 4)
        measured = (*measurements.released, *measurements.tables)
        paid = measurements.paid
        return FittedMarginal(p, tuple(data.sizes), self.fit_settings, seen, agreed, measured, paid)


def without(p: np.ndarray, sizes: Sequence[int], never: Sequence[Sequence[int]]) -> np.ndarray:
    """Return probabilities with no mass on some codes of each attribute, but not all of them.

    Args:
      p: (components, D) probabilities, the attributes side by side.
      never: for each attribute the codes that must not be drawn, such as NULL of a column that has none.
    """
    p = p.copy()
    start = 0
    for size, codes in zip(sizes, never, strict=True):
        block = p[:, start : start + size]
        if codes:
            block += 1e-12
            block[:, list(codes)] = 0.0
            block /= block.sum(axis=1, keepdims=True)
        start += size
    return p


GENERATOR = MarginalGenerator()

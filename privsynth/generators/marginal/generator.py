"""`marginal`: noisy low-order marginals, fitted by a mixture of products. One-shot, all Gaussian, no junction tree."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from privsynth.codecs.encoded_table import Encoded
from privsynth.generators.marginal.expected import expected_errors
from privsynth.generators.marginal.fitted import FitSettings, FittedMarginal
from privsynth.generators.marginal.loss import LogitBlocks
from privsynth.generators.marginal.rare_values.rare_rows import with_rare_rows
from privsynth.generators.marginal.rounds import Measurements, MeasureRequest, fit_common, select_and_measure
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
            mixture = fit_common(
                data,
                measurements.one_way,
                [measurements.first, measurements.second, measurements.uncommon],
                measurements.rare,
                settings=self.fit_settings,
                rng=rng,
                progress=progress,
                start=mixture,
            )
        starts = LogitBlocks(tuple(data.sizes)).starts
        p = with_rare_rows(np.ascontiguousarray(mixture.p.T), starts, measurements.rare)
        p = without_nulls(p, data)
        seen = (*(table.attributes for table in measurements.tables), *measurements.pairs_of_rare)
        return FittedMarginal(p, tuple(data.sizes), self.fit_settings, seen)


def without_nulls(p: np.ndarray, data: Encoded) -> np.ndarray:
    """Return probabilities with no mass on NULL where a column was declared without nulls."""
    p = p.copy()
    start = 0
    for attribute in data.attributes:
        block = p[:, start : start + attribute.size]
        if not attribute.can_be_null and attribute.size > 1:
            block[:, -1] = 0.0
            block += 1e-12
            block[:, -1] = 0.0
            block /= block.sum(axis=1, keepdims=True)
        start += attribute.size
    return p


GENERATOR = MarginalGenerator()

"""`marginal`: noisy low-order tables, fitted by a mixture of products. One-shot, all Gaussian, no junction tree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

import numpy as np

from privsynth.generators.encoded import Encoded, Progress, no_progress
from privsynth.generators.marginal.complete import complete_mixture, draw_products
from privsynth.generators.marginal.measure import (
    MIN_TABLES,
    TABLES_PER_ATTRIBUTE,
    Measured,
    allocate,
    candidate_pairs,
    emphasis,
    measure_one_way,
    measure_tables,
    score_pairs,
    to_simplex,
)
from privsynth.generators.marginal.mixture import FitSettings, fit_mixture
from privsynth.privacy.budget import SpendingPlan, TrainingSpec
from privsynth.privacy.mechanisms import Mechanisms


@dataclass(frozen=True)
class FittedMarginal:
    """A mixture of products.

    Attributes:
      p: (components, D) float32, one probability vector an attribute, side by side.
      sizes: number of codes of each attribute.
      fit: how it was fitted.
      tables: names of the tables it was fitted to, for the report.
    """

    name: ClassVar[str] = "marginal"
    p: np.ndarray
    sizes: tuple[int, ...]
    fit: FitSettings
    tables: int = 0

    def sample_codes(self, n_rows: int, rng: np.random.Generator) -> np.ndarray:
        """Return (attributes, n_rows) uint16 codes."""
        return draw_products(self.p, self.sizes, n_rows, rng)

    def complete(self, known: np.ndarray, evidence: Mapping[int, np.ndarray], rng: np.random.Generator) -> np.ndarray:
        """Return rows that agree with what is known (see `generators.conditional.complete`)."""
        return complete_mixture(self.p, self.sizes, known, evidence, rng)

    def tensors(self) -> dict[str, np.ndarray]:
        """Return the probabilities."""
        return {"p": self.p}

    def settings(self) -> dict[str, Any]:
        """Return sizes and fit settings."""
        return {"sizes": list(self.sizes), "fit": asdict(self.fit), "tables": self.tables}


@dataclass(frozen=True)
class Releases:
    """Every paid table of the marginal stage; other generators build on it."""

    one_way: list[Measured]
    tables: list[Measured]


@dataclass(frozen=True)
class MarginalGenerator:
    """The generator and its settings."""

    name: ClassVar[str] = "marginal"
    fit_settings: FitSettings = field(default_factory=FitSettings)

    def training_spec(self) -> TrainingSpec | None:
        """Return None: there is no DP-SGD."""
        return None

    def fit(
        self,
        data: Encoded,
        mechanisms: Mechanisms,
        plan: SpendingPlan,
        *,
        rng: np.random.Generator,
        progress: Progress = no_progress,
    ) -> FittedMarginal:
        """Buy the tables and fit the mixture (see `Generator.fit`)."""
        releases = buy_tables(data, mechanisms, plan)
        return self.fit_releases(data, releases, rng=rng, progress=progress)

    def fit_releases(
        self, data: Encoded, releases: Releases, *, rng: np.random.Generator, progress: Progress = no_progress
    ) -> FittedMarginal:
        """Fit the mixture to paid tables; free. Uses only public fields of `data`."""
        p = fit_mixture(
            data.sizes,
            releases.one_way,
            releases.tables,
            n_rows=data.n_rows,
            settings=self.fit_settings,
            rng=rng,
            progress=progress,
        )
        return FittedMarginal(without_nulls(p, data), tuple(data.sizes), self.fit_settings, len(releases.tables))


def buy_tables(data: Encoded, mechanisms: Mechanisms, plan: SpendingPlan) -> Releases:
    """Return the one-way tables and the chosen pairs.

    Guarantee: spends the parts "one_way", "selection" and "measurement" of the plan and nothing else.
    """
    one_way = measure_one_way(data, mechanisms, mu_squared=plan.parts["one_way"])
    pairs = candidate_pairs(data)
    if not pairs:
        return Releases(one_way, [])
    shares = [to_simplex(table.counts / data.n_rows) for table in one_way]
    scores = score_pairs(data, pairs, shares, mechanisms, mu_squared=plan.parts["selection"])
    cells = np.array([data.sizes[i] * data.sizes[j] for i, j in pairs], dtype=np.float64)
    stress = emphasis(data)
    weights = np.array([max(stress[i], stress[j]) for i, j in pairs])
    chosen = allocate(
        scores,
        cells,
        k=data.max_rows_per_unit,
        mu_squared=plan.parts["measurement"],
        weights=weights,
        at_most=max(MIN_TABLES, TABLES_PER_ATTRIBUTE * len(data.sizes)),
    )
    prices: dict[tuple[int, ...], float] = {pairs[r]: price for r, price in chosen.items()}
    return Releases(one_way, measure_tables(data, prices, mechanisms))


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


def restore(tensors: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> FittedMarginal:
    """Return the model that was saved."""
    sizes = tuple(int(size) for size in settings["sizes"])
    p = np.ascontiguousarray(tensors["p"], dtype=np.float32)
    if p.ndim != 2 or p.shape[1] != sum(sizes):
        raise ValueError("the tensor 'p' does not fit the attributes")
    return FittedMarginal(p, sizes, FitSettings(**settings["fit"]), int(settings["tables"]))


GENERATOR = MarginalGenerator()

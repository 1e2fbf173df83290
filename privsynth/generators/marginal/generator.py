"""`marginal`: noisy low-order tables, fitted by a mixture of products. One-shot, all Gaussian, no junction tree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import ClassVar

import numpy as np

from privsynth.codecs.contingency import View
from privsynth.codecs.encoded_table import Encoded
from privsynth.generators.marginal.fitted import FitSettings, FittedMarginal
from privsynth.generators.marginal.loss import Blocks, table_of
from privsynth.generators.marginal.measure import (
    Measured,
    likely_targets,
    measure_one_way,
    measure_tables,
    rows_of_unit,
    smooth_shares,
    to_simplex,
)
from privsynth.generators.marginal.mixture import Mixture, fit_mixture
from privsynth.generators.marginal.rare_rows import RareRows, common_tables, measure_rare, rare_targets, with_rare_rows
from privsynth.generators.marginal.rare_tables import measure_uncommon, uncommon_targets
from privsynth.generators.marginal.select import (
    choose_views,
    live_codes,
    number_of_groups,
    pair_views,
    residual_views,
    score_views,
)
from privsynth.privacy.budget import SpendingPlan, TrainingSpec
from privsynth.privacy.mechanisms import Mechanisms
from privsynth.progress import Progress, no_progress

# How much of its part each round gets: the first has to see all pairs, the second only what the first left.
FIRST_OF_SELECTION, FIRST_OF_MEASUREMENT = 0.6, 0.75
UNCOMMON_OF_MEASUREMENT = 0.3  # where a target has rare values and units have a few rows
RARE_OF_MEASUREMENT = 0.6  # where a target has rare values and units have many rows
FIRST_STEPS = 400  # the fit of the first round says where to look
# Groups into which an attribute is seen, by what the budget can tell apart: from so many on likely targets get more
# than others; and up to so few the fit is begun anew after the second round, since that of the first has stopped so
# early that its pull blurs ties which all tables together show.
CLEAR_GROUPS, FEW_GROUPS = 12, 5


@dataclass(frozen=True)
class Releases:
    """Every paid table of the marginal stage; other generators build on it.

    Attributes:
      one_way: a table for each attribute, smoothed where a target has rare values.
      first: pairs, chosen by their distance from independence.
      second: pairs and triples, chosen by their distance from the mixture of all before.
      rare: what the rows with rare values of targets look like, counted by units.
      uncommon: tables of rare values where units have a few rows.
      mixture: of all other rows, fitted to all but `second`, to go on from; None where the fit is to begin anew.
    """

    one_way: list[Measured]
    first: list[Measured]
    second: list[Measured]
    rare: list[RareRows] = field(default_factory=list)
    uncommon: list[Measured] = field(default_factory=list)
    mixture: Mixture | None = None

    @property
    def tables(self) -> list[Measured]:
        """Return the tables over two attributes and more."""
        return [*self.first, *self.second]

    @property
    def pairs_of_rare(self) -> list[tuple[int, int]]:
        """Return the pairs of a target that has rare values and another attribute."""
        targets = sorted({r.target for r in self.rare})
        return [(min(a, t), max(a, t)) for t in targets for a in range(len(self.one_way)) if a != t]


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
        releases = buy_tables(data, mechanisms, plan, settings=self.fit_settings, rng=rng, progress=progress)
        return self.fit_releases(data, releases, rng=rng, progress=progress)

    def fit_releases(
        self, data: Encoded, releases: Releases, *, rng: np.random.Generator, progress: Progress = no_progress
    ) -> FittedMarginal:
        """Fit the mixture to all paid tables; free. Uses only public fields of `data`."""
        mixture = releases.mixture
        if mixture is None or releases.second:
            tables = [releases.first, releases.second, releases.uncommon]
            mixture = _fit(data, releases.one_way, tables, releases.rare, self.fit_settings, rng, progress, mixture)
        p = with_rare_rows(np.ascontiguousarray(mixture.p.T), Blocks(tuple(data.sizes)).starts, releases.rare)
        p = without_nulls(p, data)
        seen = (*(table.attributes for table in releases.tables), *releases.pairs_of_rare)
        return FittedMarginal(p, tuple(data.sizes), self.fit_settings, seen)


def buy_tables(
    data: Encoded,
    mechanisms: Mechanisms,
    plan: SpendingPlan,
    *,
    settings: FitSettings,
    rng: np.random.Generator,
    progress: Progress = no_progress,
) -> Releases:
    """Return the one-way tables, and those that two rounds chose.

    Guarantee: spends the parts "one_way", "selection" and "measurement" of the plan and nothing else. What the second
      round looks for is a function of what the first one bought; Gaussian releases may be chosen by earlier ones, and
      their μ² add up all the same (Dong et al. 2022, composition of μ-GDP).
    """
    one_way = measure_one_way(data, mechanisms, mu_squared=plan.parts["one_way"])
    shares = [to_simplex(table.counts / data.n_rows) for table in one_way]
    targets = rare_targets(data, one_way)
    if targets:  # their rows stand out by codes that are rare elsewhere, which noise must not have made impossible
        shares = [smooth_shares(table, n_rows=data.n_rows) for table in one_way]
        one_way = [replace(t, counts=data.n_rows * share) for t, share in zip(one_way, shares, strict=True)]
    unit = rows_of_unit(one_way, plan.parts["one_way"])
    if len(data.sizes) < 2:
        return Releases(one_way, [], [])
    selection, measurement = plan.parts["selection"] * (1 - 1e-9), plan.parts["measurement"]
    rare: list[RareRows] = []
    if targets:
        rare = measure_rare(data, targets, shares, mechanisms, mu_squared=measurement * RARE_OF_MEASUREMENT)
        measurement *= 1 - RARE_OF_MEASUREMENT
    uncommon: list[Measured] = []
    if few := uncommon_targets(data, shares):
        uncommon = measure_uncommon(data, few, shares, mechanisms, mu_squared=measurement * UNCOMMON_OF_MEASUREMENT)
        measurement *= 1 - UNCOMMON_OF_MEASUREMENT
    live, likely = live_codes(one_way), likely_targets(data, one_way)
    # What goes with a rare value is known from its rows; a table over all rows would drown it.
    apart = {target for target, _ in targets}
    groups = number_of_groups(data, measurement, width=2, unit=unit)
    views = pair_views(data, shares, groups=groups, likely=likely)
    likely, anew = likely if groups >= CLEAR_GROUPS else (), groups <= FEW_GROUPS
    views = [view for view in views if apart.isdisjoint(view.attributes)]
    if not views:
        return Releases(one_way, [], [], rare, uncommon)
    progress("scoring pairs", 0.0)
    independent = partial(_independent, shares)
    scores = score_views(
        data,
        views,
        independent,
        mechanisms,
        mu_squared=selection * FIRST_OF_SELECTION,
        label="distance of each pair from independence",
    )
    budget = measurement * FIRST_OF_MEASUREMENT
    # If nothing pays for itself, the one table that comes nearest: the budget is not thrown away.
    bought = choose_views(data, views, scores, live, mu_squared=budget, unit=unit, likely=likely) or [
        (views[int(np.argmax(scores))], budget)
    ]
    progress("counting tables", 0.0)
    first = measure_tables(data, bought, mechanisms, label="table", expected=independent)
    unit = rows_of_unit(first, budget)
    rough = replace(settings, max_steps=min(settings.max_steps, FIRST_STEPS))
    mixture = _fit(data, one_way, [first, uncommon], rare, rough, rng, progress)
    of_mixture = partial(table_of, mixture.p, Blocks(tuple(data.sizes)))
    groups = number_of_groups(data, measurement, width=3, unit=unit)
    views = residual_views(data, shares, views, scores, groups=groups, likely=likely)
    views = [view for view in views if apart.isdisjoint(view.attributes)]
    progress("scoring what is left", 0.0)
    again = measurement - budget
    chosen: list[tuple[View, float]] = []
    if views:  # two long code books alone have no table that is small enough, and no triple
        scores = score_views(
            data,
            views,
            of_mixture,
            mechanisms,
            mu_squared=selection * (1 - FIRST_OF_SELECTION),
            label="distance of each table from the model of the first round",
        )
        chosen = choose_views(data, views, scores, live, mu_squared=again, unit=unit, likely=likely)
    # If nothing is left that pays, the tables of the first round are bought once more, and their noise averages out.
    chosen = chosen or [(v, p * again / budget) for v, p in bought]
    second = measure_tables(data, chosen, mechanisms, label="second-round table", expected=of_mixture)
    return Releases(one_way, first, second, rare, uncommon, None if anew else mixture)


def _fit(
    data: Encoded,
    one_way: list[Measured],
    tables: Sequence[list[Measured]],
    rare: Sequence[RareRows],
    settings: FitSettings,
    rng: np.random.Generator,
    progress: Progress,
    start: Mixture | None = None,
) -> Mixture:
    """Return a mixture of all rows but the rare ones."""
    common = 1.0 - sum(r.share for r in rare)
    groups = [common_tables(one_way, rare, n_rows=data.n_rows), *(group for group in tables if group)]
    return fit_mixture(
        data.sizes, groups, n_rows=data.n_rows * common, settings=settings, rng=rng, progress=progress, start=start
    )


def _independent(shares: list[np.ndarray], view: View) -> np.ndarray:
    """Return the table of two attributes as if they were independent, as shares."""
    i, j = (
        np.bincount(group, weights=shares[a], minlength=size)
        for a, group, size in zip(view.attributes, view.groups, view.shape, strict=True)
    )
    return np.outer(i, j)


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

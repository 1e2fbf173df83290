"""Select and measure: which noisy contingency tables the model is fitted to, stage by stage.

One-way marginals → rows with rare target values → round one: score pairs by their distance from independence, select,
measure → fit → round two: score pairs and triples by their distance from that fit, select, measure. Round two is
adaptive, as in AIM (McKenna et al. 2022); each round is one set of Gaussian releases.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from privsynth.codecs.contingency import Marginal
from privsynth.codecs.encoded_table import Encoded
from privsynth.generators.marginal.fitted import FitSettings
from privsynth.generators.marginal.loss import LogitBlocks, model_table
from privsynth.generators.marginal.measure import (
    Measurement,
    effective_sensitivity,
    likely_targets,
    measure_marginals,
    measure_one_way,
    smooth_shares,
    to_simplex,
)
from privsynth.generators.marginal.mixture import Mixture, fit_mixture
from privsynth.generators.marginal.rare_values.rare_rows import RareRows, common_tables, measure_rare, rare_targets
from privsynth.generators.marginal.rare_values.rare_tables import measure_uncommon, uncommon_targets
from privsynth.generators.marginal.resolution.resolved import resolve
from privsynth.generators.marginal.select import (
    Priced,
    candidate_pairs,
    number_of_groups,
    score_marginals,
    second_round_candidates,
    select_marginals,
)
from privsynth.privacy.budget import ROUNDING, SpendingPlan
from privsynth.privacy.mechanisms import Mechanisms
from privsynth.progress import Progress, no_progress

# All of these were set by trial on public and invented tables (see `experiments/ablation.py`).
FIRST_OF_SELECTION, FIRST_OF_MEASUREMENT = 0.6, 0.75  # round one sees all pairs, round two what round one left
UNCOMMON_OF_MEASUREMENT = 0.3  # for rare target values where a unit has a few rows
RARE_OF_MEASUREMENT = 0.7  # for rare target values where a unit has many rows
FIRST_STEPS = 400  # of the fit in between, which only has to show where the model is wrong
# By the number of groups that the budget can tell apart in an attribute: from 12 on, favour likely targets; up to 5,
# fit from scratch after round two, since the first fit stopped too early to go on from.
CLEAR_GROUPS, FEW_GROUPS = 12, 5


@dataclass(frozen=True, kw_only=True)
class MeasureRequest:
    """What the stages work on.

    Attributes:
      data: encoded rows. Private; they only reach `mechanisms`.
      plan: of it the parts "one_way", "selection" and "measurement" are spent.
      settings: of the fit between the rounds.
      rng: published randomness, for that fit.
    """

    data: Encoded
    mechanisms: Mechanisms
    plan: SpendingPlan
    settings: FitSettings
    rng: np.random.Generator
    progress: Progress = no_progress


@dataclass(frozen=True)
class Measurements:
    """Every noisy table of the marginal generator; other generators build on it.

    Attributes:
      one_way: one for each attribute, smoothed where a target has rare values.
      first: pairs, selected by their distance from independence.
      second: pairs and triples, selected by their distance from the model of round one.
      rare: rows with rare values of targets, counted by units.
      uncommon: tables of rare target values where units have a few rows.
      mixture: a fit of all other rows to everything but `second`, to go on from; None to begin from scratch.
    """

    one_way: list[Measurement]
    first: list[Measurement] = field(default_factory=list)
    second: list[Measurement] = field(default_factory=list)
    rare: list[RareRows] = field(default_factory=list)
    uncommon: list[Measurement] = field(default_factory=list)
    mixture: Mixture | None = None

    @property
    def tables(self) -> list[Measurement]:
        """Return the tables over two attributes and more."""
        return [*self.first, *self.second]

    @property
    def pairs_of_rare(self) -> list[tuple[int, int]]:
        """Return the pairs of a target that has rare values and another attribute."""
        targets = sorted({r.target for r in self.rare})
        return [(min(a, t), max(a, t)) for t in targets for a in range(len(self.one_way)) if a != t]


@dataclass(frozen=True)
class _OneWay:
    """The first stage's result: noisy tables, their shares, and the targets whose rare values are measured apart."""

    tables: list[Measurement]
    shares: list[np.ndarray]
    rare_targets: list[tuple[int, int]]
    sensitivity: float


@dataclass(frozen=True)
class _Rare:
    """The second stage's result, and the μ² of "measurement" that it left."""

    rows: list[RareRows]
    tables: list[Measurement]
    mu_squared_left: float


@dataclass(frozen=True)
class _Round:
    """A round's result: what was scored, what was selected at which μ², and what the measurements cost."""

    candidates: list[Marginal]
    scores: np.ndarray
    selected: list[Priced]
    measured: list[Measurement]
    mu_squared: float
    likely: tuple[int, ...]
    from_scratch: bool


def select_and_measure(request: MeasureRequest) -> Measurements:
    """Return the one-way tables, those of rare target values, and those that two rounds selected.

    Guarantee: spends the parts "one_way", "selection" and "measurement" of the plan and nothing else. What round two
      asks is a function of what round one released; Gaussian releases may be chosen by earlier ones, and their μ² add
      up all the same (Dong et al. 2022, composition of μ-GDP).
    """
    one_way = _measure_one_way(request)
    if len(request.data.sizes) < 2:
        return Measurements(one_way.tables)
    rare = _measure_rare_values(request, one_way)
    first = _first_round(request, one_way, rare)
    if first is None:
        return Measurements(one_way.tables, rare=rare.rows, uncommon=rare.tables)
    settings = replace(request.settings, max_steps=min(request.settings.max_steps, FIRST_STEPS))
    groups = [first.measured, rare.tables]
    mixture = fit_common(
        request.data, one_way.tables, groups, rare.rows, settings=settings, rng=request.rng, progress=request.progress
    )
    second = _second_round(request, one_way, rare, first, mixture)
    start = None if first.from_scratch else mixture
    return Measurements(one_way.tables, first.measured, second, rare.rows, rare.tables, start)


def _measure_one_way(request: MeasureRequest) -> _OneWay:
    data, mu_squared = request.data, request.plan.parts["one_way"]
    tables = measure_one_way(data, request.mechanisms, mu_squared=mu_squared)
    shares = [to_simplex(table.counts / data.n_rows) for table in tables]
    targets = rare_targets(data, tables)
    if targets:  # their rows stand out by codes that are rare elsewhere, which noise must not have made impossible
        shares = [smooth_shares(table, n_rows=data.n_rows) for table in tables]
        tables = [replace(t, counts=data.n_rows * share) for t, share in zip(tables, shares, strict=True)]
    return _OneWay(tables, shares, targets, effective_sensitivity(tables, mu_squared))


def _measure_rare_values(request: MeasureRequest, one_way: _OneWay) -> _Rare:
    data, mechanisms, left = request.data, request.mechanisms, request.plan.parts["measurement"]
    rows: list[RareRows] = []
    tables: list[Measurement] = []
    if one_way.rare_targets:
        price = left * RARE_OF_MEASUREMENT
        rows = measure_rare(data, one_way.rare_targets, one_way.shares, mechanisms, mu_squared=price)
        left *= 1 - RARE_OF_MEASUREMENT
    if uncommon := uncommon_targets(data, one_way.shares):
        price = left * UNCOMMON_OF_MEASUREMENT
        tables = measure_uncommon(data, uncommon, one_way.shares, mechanisms, mu_squared=price)
        left *= 1 - UNCOMMON_OF_MEASUREMENT
    return _Rare(rows, tables, left)


def _first_round(request: MeasureRequest, one_way: _OneWay, rare: _Rare) -> _Round | None:
    """Return pairs far from independence; None if there is no pair to score."""
    data = request.data
    likely = likely_targets(data, one_way.tables)
    groups = number_of_groups(data, rare.mu_squared_left, width=2, sensitivity=one_way.sensitivity)
    candidates = _without_rare(candidate_pairs(data, one_way.shares, groups=groups, likely=likely), one_way)
    if not candidates:
        return None
    request.progress("scoring pairs", 0.0)
    independent = partial(_independent, one_way.shares)
    scores = score_marginals(
        data,
        candidates,
        independent,
        request.mechanisms,
        mu_squared=_selection(request) * FIRST_OF_SELECTION,
        label="distance of each pair from independence",
    )
    likely = likely if groups >= CLEAR_GROUPS else ()
    budget = rare.mu_squared_left * FIRST_OF_MEASUREMENT
    # If nothing pays for itself, the one table that comes nearest: the budget is not thrown away.
    selected = select_marginals(
        data, candidates, scores, one_way.tables, mu_squared=budget, sensitivity=one_way.sensitivity, likely=likely
    ) or [(candidates[int(np.argmax(scores))], budget)]
    request.progress("counting tables", 0.0)
    measured = measure_marginals(data, selected, request.mechanisms, label="table", expected=independent)
    return _Round(candidates, scores, selected, measured, budget, likely, groups <= FEW_GROUPS)


def _second_round(
    request: MeasureRequest, one_way: _OneWay, rare: _Rare, first: _Round, mixture: Mixture
) -> list[Measurement]:
    """Return pairs and triples far from the model of round one."""
    data, likely = request.data, first.likely
    of_model = partial(model_table, mixture.p, LogitBlocks(tuple(data.sizes)))
    sensitivity = effective_sensitivity(first.measured, first.mu_squared)
    groups = number_of_groups(data, rare.mu_squared_left, width=3, sensitivity=sensitivity)
    candidates = _without_rare(
        second_round_candidates(data, one_way.shares, first.candidates, first.scores, groups=groups, likely=likely),
        one_way,
    )
    request.progress("scoring what is left", 0.0)
    budget = rare.mu_squared_left - first.mu_squared
    selected: list[Priced] = []
    if candidates:  # two long code books alone have no table that is small enough, and no triple
        scores = score_marginals(
            data,
            candidates,
            of_model,
            request.mechanisms,
            mu_squared=_selection(request) * (1 - FIRST_OF_SELECTION),
            label="distance of each table from the model of the first round",
        )
        selected = select_marginals(
            data, candidates, scores, one_way.tables, mu_squared=budget, sensitivity=sensitivity, likely=likely
        )
    # If nothing is left that pays, round one is measured once more, and its noise averages out.
    selected = selected or [(marginal, price * budget / first.mu_squared) for marginal, price in first.selected]
    return measure_marginals(data, selected, request.mechanisms, label="second-round table", expected=of_model)


def _selection(request: MeasureRequest) -> float:
    return request.plan.parts["selection"] * ROUNDING


def _without_rare(candidates: Sequence[Marginal], one_way: _OneWay) -> list[Marginal]:
    """Leave out targets with rare values: their rows were measured apart, and tables over all rows would drown them."""
    apart = {target for target, _ in one_way.rare_targets}
    return [marginal for marginal in candidates if apart.isdisjoint(marginal.attributes)]


def _independent(shares: list[np.ndarray], marginal: Marginal) -> np.ndarray:
    """Return the table of two attributes as if they were independent, as shares."""
    i, j = (
        np.bincount(group, weights=shares[a], minlength=size)
        for a, group, size in zip(marginal.attributes, marginal.groups, marginal.shape, strict=True)
    )
    return np.outer(i, j)


def fit_common(
    data: Encoded,
    one_way: list[Measurement],
    tables: Sequence[list[Measurement]],
    rare: Sequence[RareRows],
    *,
    settings: FitSettings,
    rng: np.random.Generator,
    progress: Progress,
    start: Mixture | None = None,
) -> Mixture:
    """Return a mixture of all rows but the rare ones; post-processing. Uses only public fields of `data`."""
    n_rows = data.n_rows * (1.0 - sum(r.share for r in rare))
    common = common_tables(one_way, rare, n_rows=data.n_rows)
    resolved = resolve(common, [table for group in tables for table in group], n_rows=n_rows)
    groups = [[resolved.over_groups(table) for table in group] for group in tables if group]
    fitted = fit_mixture(
        resolved.sizes,
        [resolved.one_way(common), *groups],
        n_rows=n_rows,
        settings=settings,
        rng=rng,
        progress=progress,
        start=None if start is None else resolved.joined(start),
    )
    return resolved.apart(fitted)

"""Select and measure: which noisy contingency tables the model is fitted to, stage by stage.

One-way marginals → rows with rare target values → round one: score pairs by their distance from independence, select,
measure → fit → round two: score pairs and triples by their distance from that fit, select, measure. Round two is
adaptive, as in AIM (McKenna et al. 2022); each round is one set of Gaussian releases.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import combinations

import numpy as np

from privsynth.codecs.contingency import Marginal
from privsynth.codecs.encoded_table import Encoded
from privsynth.generators.marginal.fitted import FitSettings
from privsynth.generators.marginal.loss import LogitBlocks, model_table
from privsynth.generators.marginal.measure import (
    Measurement,
    PaidTable,
    effective_sensitivity,
    likely_targets,
    measure_marginals,
    measure_one_way,
    paid_tables,
    smooth_shares,
    to_simplex,
)
from privsynth.generators.marginal.mixture import Mixture, fit_mixture
from privsynth.generators.marginal.prior import (
    Agreement,
    buy_agreement,
    independent,
    placed,
    public_part,
    same_components,
    shrunk,
    unbought,
)
from privsynth.generators.marginal.rare_values.rare_rows import RareRows, common_tables, measure_rare, rare_targets
from privsynth.generators.marginal.rare_values.rare_tables import measure_uncommon, uncommon_targets
from privsynth.generators.marginal.resolution.profiles import FirstSelection, select_first
from privsynth.generators.marginal.resolution.resolved import resolve
from privsynth.generators.marginal.select import (
    Priced,
    affordable_groups,
    candidate_pairs,
    number_of_groups,
    score_marginals,
    second_round_candidates,
    select_marginals,
)
from privsynth.privacy.budget import ROUNDING, SpendingPlan
from privsynth.privacy.mechanisms import Mechanisms
from privsynth.privacy.public_rows import PublicRows
from privsynth.progress import Progress, no_progress

# All of these were set by trial on public and invented tables (see `experiments/ablation.py`).
FIRST_OF_SELECTION = 0.6  # round one sees all pairs, round two what round one left
UNCOMMON_OF_MEASUREMENT = 0.3  # for rare target values where a unit has a few rows
RARE_OF_MEASUREMENT = 0.7  # for rare target values where a unit has many rows
FIRST_STEPS = 400  # of the fit in between, which only has to show where the model is wrong
AGREEMENT_OF_SELECTION = 0.25  # with a prior, for how far it is believed
NO_NOISE = 1e6  # μ² of scores of public rows, which need none
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


@dataclass(frozen=True, kw_only=True)
class FitRequest:
    """How mixtures are fitted to noisy tables.

    Attributes:
      settings, rng, progress: see `fit_mixture`.
      agreement: with the prior, if there is one: of the mixtures that explain the tables the nearest to it is wanted.
    """

    settings: FitSettings
    rng: np.random.Generator
    progress: Progress = no_progress
    agreement: Agreement | None = None


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
      expected: tables of pairs that were not bought, as the prior has them.
      agreement: how far the prior is believed; None if there is none.
      released: the one-way tables as they were released, neither smoothed nor moved towards a prior.
    """

    one_way: list[Measurement]
    first: list[Measurement] = field(default_factory=list)
    second: list[Measurement] = field(default_factory=list)
    rare: list[RareRows] = field(default_factory=list)
    uncommon: list[Measurement] = field(default_factory=list)
    mixture: Mixture | None = None
    expected: list[Measurement] = field(default_factory=list)
    agreement: Agreement | None = None
    released: list[Measurement] = field(default_factory=list)

    @property
    def tables(self) -> list[Measurement]:
        """Return the tables over two attributes and more."""
        return [*self.first, *self.second]

    @property
    def paid(self) -> tuple[PaidTable, ...]:
        """Return the tables as they were released, but those of rare values, which are no counts of rows."""
        return paid_tables((*self.one_way, *self.tables))

    @property
    def pairs_of_rare(self) -> list[tuple[int, int]]:
        """Return the pairs of a target that has rare values and another attribute."""
        targets = sorted({r.target for r in self.rare})
        return [(min(a, t), max(a, t)) for t in targets for a in range(len(self.one_way)) if a != t]


@dataclass(frozen=True)
class _OneWay:
    """The first stage's result: noisy tables, their shares, and the targets whose rare values are measured apart.

    With a prior, the tables are moved towards its own; `bought` are not. `released` are neither moved nor smoothed.
    """

    tables: list[Measurement]
    bought: list[Measurement]
    shares: list[np.ndarray]
    rare_targets: list[tuple[int, int]]
    sensitivity: float
    released: list[Measurement]


@dataclass(frozen=True)
class _Rare:
    """The second stage's result, and the μ² of "measurement" that it left."""

    rows: list[RareRows]
    tables: list[Measurement]
    mu_squared_left: float


@dataclass(frozen=True)
class _Round:
    """A round's result: what was scored, what was selected at which μ², and what the measurements cost.

    With a prior there is what of it is believed, and the tables of pairs that were not bought.
    """

    candidates: list[Marginal]
    scores: np.ndarray
    selected: list[Priced]
    measured: list[Measurement]
    mu_squared: float
    likely: tuple[int, ...]
    from_scratch: bool
    expected: list[Measurement]
    agreement: Agreement | None
    finest: list[np.ndarray] | None


def select_and_measure(request: MeasureRequest) -> Measurements:
    """Return the one-way tables, those of rare target values, and those that two rounds selected.

    Guarantee: spends the parts "one_way", "selection" and "measurement" of the plan and nothing else. What round two
      asks is a function of what round one released; Gaussian releases may be chosen by earlier ones, and their μ² add
      up all the same (Dong et al. 2022, composition of μ-GDP).
    """
    public = None if request.data.prior is None else _fit_public_rows(request)
    one_way = _measure_one_way(request, public)
    if len(request.data.sizes) < 2:
        return Measurements(one_way.tables, released=one_way.released)
    rare = _measure_rare_values(request, one_way)
    first = _first_round(request, one_way, rare, public)
    if first is None:
        return Measurements(one_way.tables, rare=rare.rows, uncommon=rare.tables, released=one_way.released)
    settings = replace(request.settings, max_steps=min(request.settings.max_steps, FIRST_STEPS))
    groups = [first.measured, rare.tables, first.expected]
    fit = FitRequest(settings=settings, rng=request.rng, progress=request.progress, agreement=first.agreement)
    mixture = fit_common(request.data, one_way.tables, groups, rare.rows, fit)
    second = _second_round(request, one_way, rare, first, mixture)
    start = None if first.from_scratch else mixture
    return Measurements(
        one_way=one_way.tables,
        first=first.measured,
        second=second,
        rare=rare.rows,
        uncommon=rare.tables,
        mixture=start,
        expected=first.expected,
        agreement=first.agreement,
        released=one_way.released,
    )


@dataclass(frozen=True)
class _PublicModel:
    """What was fitted to public rows: over the attributes that they have, with what they were measured by."""

    rows: Encoded
    mixture: Mixture
    one_way: list[Measurement]
    seen: list[Marginal]


def _fit_public_rows(request: MeasureRequest) -> _PublicModel:
    """Return a mixture of the public rows, selected and measured like private ones, without noise. Costs nothing."""
    data = request.data
    rows = public_part(data)
    settings = same_components(request.settings, sum(rows.sizes), sum(data.sizes))
    parts = {"one_way": _sampling_noise(rows, 1), "selection": NO_NOISE, "measurement": _sampling_noise(rows, 2)}
    plan = SpendingPlan(budget=request.plan.budget, parts=parts)
    own = MeasureRequest(
        data=rows, mechanisms=PublicRows(), plan=plan, settings=settings, rng=request.rng, progress=request.progress
    )
    measured = select_and_measure(own)
    fit = FitRequest(settings=settings, rng=request.rng, progress=request.progress)
    mixture = measured.mixture
    if mixture is None or measured.second:
        groups = [measured.first, measured.second]
        mixture = fit_common(rows, measured.one_way, groups, (), fit, start=mixture)
    return _PublicModel(rows, mixture, measured.one_way, [table.marginal for table in measured.tables])


def _sampling_noise(rows: Encoded, width: int) -> float:
    """Return the μ² at which noise in tables of so many attributes each is what rows differ by from their source."""
    entries = [math.prod(sizes) for sizes in combinations(rows.sizes, width)]
    return max(sum(entries), 1) / max(rows.n_rows, 1.0)


def _measure_one_way(request: MeasureRequest, public: _PublicModel | None) -> _OneWay:
    data, mu_squared = request.data, request.plan.parts["one_way"]
    tables = measure_one_way(data, request.mechanisms, mu_squared=mu_squared)
    sensitivity, bought = effective_sensitivity(tables, mu_squared), list(tables)
    if public is not None and data.prior is not None:
        for a, table in zip(data.prior.attributes, public.one_way, strict=True):
            tables[a] = shrunk(tables[a], table.counts * data.n_rows / public.rows.n_rows)
    shares = [to_simplex(table.counts / data.n_rows) for table in tables]
    targets = rare_targets(data, tables)
    if targets:  # their rows stand out by codes that are rare elsewhere, which noise must not have made impossible
        shares = [smooth_shares(table, n_rows=data.n_rows) for table in tables]
        tables = [replace(t, counts=data.n_rows * share) for t, share in zip(tables, shares, strict=True)]
    return _OneWay(tables, tables if public is None else bought, shares, targets, sensitivity, bought)


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


def _first_round(request: MeasureRequest, one_way: _OneWay, rare: _Rare, public: _PublicModel | None) -> _Round | None:
    """Return pairs far from what is expected, independence or the prior; None if there is no pair to score."""
    data = request.data
    likely = likely_targets(data, one_way.bought)
    left, sensitivity = rare.mu_squared_left, one_way.sensitivity
    groups = number_of_groups(data.n_rows, left, width=2, sensitivity=sensitivity)
    finest = None if public is None else affordable_groups(data, one_way.shares, left, sensitivity=sensitivity)
    pairs = candidate_pairs(data, one_way.shares, groups=groups, likely=likely, finest=finest)
    candidates = _without_rare(pairs, one_way)
    if not candidates:
        return None
    request.progress("scoring pairs", 0.0)
    agreement = None if public is None else _agreement(request, public, one_way, candidates)
    expected = partial(independent, one_way.shares) if agreement is None else agreement.expected
    scores, least = score_marginals(
        data,
        candidates,
        expected,
        request.mechanisms,
        mu_squared=_selection(request) * FIRST_OF_SELECTION,
        label=f"distance of each pair from {'independence' if agreement is None else 'what is expected'}",
    )
    likely = likely if groups >= CLEAR_GROUPS else ()
    choice = FirstSelection(
        candidates=candidates,
        scores=scores,
        one_way=one_way.bought,
        shares=one_way.shares,
        sensitivity=one_way.sensitivity,
        likely=likely,
    )
    selected, budget = select_first(data, choice, mu_squared=rare.mu_squared_left)
    request.progress("counting tables", 0.0)
    measured = measure_marginals(data, selected, request.mechanisms, label="table", expected=expected)
    kept: list[Measurement] = []
    if agreement is not None:
        bought = [marginal for marginal, _ in selected]
        kept = unbought(agreement, candidates, scores, bought, n_rows=data.n_rows, least=least)
    from_scratch = groups <= FEW_GROUPS and agreement is None
    return _Round(candidates, scores, selected, measured, budget, likely, from_scratch, kept, agreement, finest)


def _agreement(
    request: MeasureRequest, public: _PublicModel, one_way: _OneWay, candidates: Sequence[Marginal]
) -> Agreement:
    """Return how far the public rows are believed, pair by pair."""
    model = placed(request.data, public.mixture, public.seen, one_way.shares, request.rng)
    price = request.plan.parts["selection"] * ROUNDING * AGREEMENT_OF_SELECTION
    return buy_agreement(request.data, model, candidates, request.mechanisms, mu_squared=price)


def _second_round(
    request: MeasureRequest, one_way: _OneWay, rare: _Rare, first: _Round, mixture: Mixture
) -> list[Measurement]:
    """Return pairs and triples far from the model of round one."""
    data, likely = request.data, first.likely
    of_model = partial(model_table, mixture.p, LogitBlocks(tuple(data.sizes)))
    sensitivity = (
        effective_sensitivity(first.measured, first.mu_squared) if first.agreement is None else (one_way.sensitivity)
    )
    groups = number_of_groups(data.n_rows, rare.mu_squared_left, width=3, sensitivity=sensitivity)
    candidates = _without_rare(
        second_round_candidates(
            data,
            one_way.shares,
            first.candidates,
            first.scores,
            groups=groups,
            likely=likely,
            finest=first.finest,
        ),
        one_way,
    )
    request.progress("scoring what is left", 0.0)
    budget = rare.mu_squared_left - first.mu_squared
    selected: list[Priced] = []
    if candidates:  # two long code books alone have no table that is small enough, and no triple
        scores, _ = score_marginals(
            data,
            candidates,
            of_model,
            request.mechanisms,
            mu_squared=_selection(request) * (1 - FIRST_OF_SELECTION),
            label="distance of each table from the model of the first round",
        )
        selected = select_marginals(
            data, candidates, scores, one_way.bought, mu_squared=budget, sensitivity=sensitivity, likely=likely
        )
    # If nothing is left that pays, round one is measured once more, and its noise averages out.
    selected = selected or [(marginal, price * budget / first.mu_squared) for marginal, price in first.selected]
    return measure_marginals(data, selected, request.mechanisms, label="second-round table", expected=of_model)


def _selection(request: MeasureRequest) -> float:
    """Return the μ² of both rounds' scores."""
    scores = 1.0 if request.data.prior is None else 1.0 - AGREEMENT_OF_SELECTION
    return request.plan.parts["selection"] * ROUNDING * scores


def _without_rare(candidates: Sequence[Marginal], one_way: _OneWay) -> list[Marginal]:
    """Leave out targets with rare values: their rows were measured apart, and tables over all rows would drown them."""
    apart = {target for target, _ in one_way.rare_targets}
    return [marginal for marginal in candidates if apart.isdisjoint(marginal.attributes)]


def fit_common(
    data: Encoded,
    one_way: list[Measurement],
    tables: Sequence[list[Measurement]],
    rare: Sequence[RareRows],
    fit: FitRequest,
    *,
    start: Mixture | None = None,
) -> Mixture:
    """Return a mixture of all rows but the rare ones; post-processing. Uses only public fields of `data`."""
    n_rows = data.n_rows * (1.0 - sum(r.share for r in rare))
    common = common_tables(one_way, rare, n_rows=data.n_rows)
    agreement = fit.agreement
    apart = () if agreement is None else agreement.model.known
    resolved = resolve(common, [table for group in tables for table in group], n_rows=n_rows, apart=apart)
    groups = [[resolved.over_groups(table) for table in group] for group in tables if group]
    towards = None if agreement is None else agreement.start()
    start = start or towards
    fitted = fit_mixture(
        resolved.sizes,
        [resolved.one_way(common), *groups],
        n_rows=n_rows,
        settings=fit.settings,
        rng=fit.rng,
        progress=fit.progress,
        start=None if start is None else resolved.joined(start),
        towards=None if towards is None else resolved.joined(towards),
    )
    return resolved.apart(fitted)

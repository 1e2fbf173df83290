"""A public table as the model's starting point: what of it is believed, pair by pair, is bought.

A mixture is fitted to the public rows, and brought to the one-way tables of the private ones. How far two attributes
depend on each other as they do there is a number a pair, λ: the table that is expected of the pair is I + λ (P − I),
between independence I and the public table P. These numbers are bought first, in one release, and each is pulled
towards their mean as far as noise explains how they differ. Then everything goes on as without a prior: pairs are
scored by how far they are from what is expected, and bought where that is far. The fit starts from the public rows'
mixture, as far as these are believed, and meets each bought table to within its noise, and each expected one to within
the distance that its score leaves. So the choice between prior and purchase is made table by table by a noisy distance,
as in JAM-PGM (Fuentes et al. 2024), but smoothly.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from privsynth.codecs.contingency import Marginal, count_tables
from privsynth.codecs.encoded_table import CodedRows, Encoded
from privsynth.generators.marginal.clip_units import count_weighed, weigh_rows
from privsynth.generators.marginal.fitted import MODEST_HEIGHT, FitSettings
from privsynth.generators.marginal.loss import LogitBlocks, model_table
from privsynth.generators.marginal.measure import Measurement
from privsynth.generators.marginal.mixture import SPREAD, Mixture
from privsynth.generators.marginal.resolution.allocation import MEAN_ABS_NORMAL
from privsynth.privacy.mechanisms import Mechanisms, grid_sensitivity, on_grid

AGREEMENT_STEP = 2.0**-8  # rows: the grid of agreements; far finer than their noise
WEIGHT_PRICE = 0.06  # of the budget of agreements, for how much rows weigh where a unit has several: one number
RAKING_STEPS = 8  # after which one-way tables of the mixture are met to within a thousandth


@dataclass(frozen=True, eq=False)
class PriorModel:
    """What public rows say, brought to the one-way shares of the private ones.

    Attributes:
      known: attributes that the public rows have.
      mixture: over all attributes; those that the public rows lack depend on nothing.
      alone: of the same shape, all attributes independent but for the spread with which a fit begins.
      shares: one-way shares of all attributes.
      seen: marginals over two attributes that the public rows were fitted to.
    """

    known: tuple[int, ...]
    mixture: Mixture
    alone: Mixture
    shares: tuple[np.ndarray, ...]
    seen: tuple[Marginal, ...]

    @property
    def blocks(self) -> LogitBlocks:
        """Where each attribute's codes stand."""
        return LogitBlocks(tuple(len(share) for share in self.shares))

    def table(self, marginal: Marginal) -> np.ndarray:
        """Return the table of a marginal by the public rows, as shares."""
        return model_table(self.mixture.p, self.blocks, marginal)

    def covers(self, marginal: Marginal) -> bool:
        """Return whether the public rows have all its attributes."""
        return set(marginal.attributes) <= set(self.known)


@dataclass(frozen=True, eq=False)
class Agreement:
    """How far pairs depend on each other as the public rows say.

    Attributes:
      model: the public rows.
      of_pair: pair -> λ between 0 and 1.
      usual: λ of all pairs together.
    """

    model: PriorModel
    of_pair: dict[tuple[int, ...], float]
    usual: float

    def expected(self, marginal: Marginal) -> np.ndarray:
        """Return the table of a pair that is expected, as shares."""
        alone = independent(self.model.shares, marginal)
        agreed = self.of_pair.get(marginal.attributes, 0.0)
        return alone + agreed * (self.model.table(marginal) - alone) if agreed else alone

    def start(self) -> Mixture:
        """Return the mixture to begin with: as many components of the public rows' as they are believed."""
        columns = self.model.mixture.theta.shape[1]
        from_prior = np.arange(columns) < round(self.usual * columns)
        order = np.random.default_rng(0).permutation(columns)  # public: which components make room
        chosen = from_prior[order]
        both = ((self.model.mixture.theta, self.model.alone.theta), (self.model.mixture.p, self.model.alone.p))
        theta, p = (np.where(chosen, one, other) for one, other in both)
        return Mixture(theta, p)


def independent(shares: Sequence[np.ndarray], marginal: Marginal) -> np.ndarray:
    """Return the table of two attributes as if they were independent, as shares."""
    i, j = (
        np.bincount(group, weights=shares[a], minlength=size)
        for a, group, size in zip(marginal.attributes, marginal.groups, marginal.shape, strict=True)
    )
    return np.outer(i, j)


def public_part(data: Encoded) -> Encoded:
    """Return the public rows, with the attributes that they have, as if they were a table of their own."""
    assert data.prior is not None
    known = data.prior.attributes
    place = {a: at for at, a in enumerate(known)}
    codes = data.prior.codes[list(known)]
    return replace(
        data,
        rows=CodedRows(codes, np.arange(codes.shape[1])),
        attributes=tuple(data.attributes[a] for a in known),
        max_rows_per_unit=1,
        n_rows=float(codes.shape[1]),
        columns=tuple(data.columns[a] for a in known),
        targets=tuple(place[a] for a in data.targets if a in place),
        protected=tuple(place[a] for a in data.protected if a in place),
        books={place[a]: books for a, books in data.books.items() if a in place},
        rows_per_unit=None,
        prior=None,
    )


def same_components(settings: FitSettings, height: int, of: int) -> FitSettings:
    """Return settings with which a model of so many codes has as many components as one of `of` codes."""
    wanted = settings.components_for(of)
    return replace(settings, components=max(wanted, math.ceil(wanted * height / MODEST_HEIGHT)))


def placed(
    data: Encoded, fitted: Mixture, seen: Sequence[Marginal], shares: Sequence[np.ndarray], rng: np.random.Generator
) -> PriorModel:
    """Return a mixture of public rows as one over all attributes, brought to one-way shares.

    Args:
      fitted: over the attributes that the public rows have.
      seen: of those attributes, by their place among them.
      shares: of all attributes.
      rng: published randomness.
    """
    assert data.prior is not None
    known, blocks = data.prior.attributes, LogitBlocks(tuple(data.sizes))
    wanted = np.concatenate(list(shares)) + 1e-9
    theta = np.log(wanted)[:, None] + SPREAD * rng.standard_normal((len(wanted), fitted.theta.shape[1]))
    alone = _mixture(theta, blocks)
    own = LogitBlocks(tuple(data.sizes[a] for a in known))
    theta = alone.theta.copy()
    for at, a in enumerate(known):
        theta[blocks.starts[a] : blocks.starts[a + 1]] = fitted.theta[own.starts[at] : own.starts[at + 1]]
    for _ in range(RAKING_STEPS):
        mean = blocks.softmax(theta).mean(axis=1, dtype=np.float64)
        theta += np.log(wanted / np.maximum(mean, 1e-12))[:, None].astype(np.float32)
    marginals = tuple(
        Marginal(tuple(known[a] for a in marginal.attributes), marginal.groups)
        for marginal in seen
        if len(marginal.attributes) == 2
    )
    return PriorModel(known, _mixture(theta, blocks), alone, tuple(shares), marginals)


def _mixture(theta: np.ndarray, blocks: LogitBlocks) -> Mixture:
    theta = theta.astype(np.float32)
    blocks.centre(theta)
    return Mixture(theta, blocks.shares(theta))


def buy_agreement(
    data: Encoded, model: PriorModel, candidates: Sequence[Marginal], mechanisms: Mechanisms, *, mu_squared: float
) -> Agreement:
    """Return how far pairs depend on each other as the public rows say.

    For each pair, Σ over rows of +1 where the public table has more than independence, −1 where it has less; less what
    independence would give. It grows in proportion to λ.

    Guarantee: Gaussian releases of part "selection", which add up to `mu_squared`. A row moves each sum by its weight
      or less, so a unit moves all of them by at most √pairs times what its rows weigh together; the grid is added.
    Args:
      candidates: pairs; of several resolutions the one of fewest entries is taken.
    """
    coarsest: dict[tuple[int, ...], Marginal] = {}
    for marginal in candidates:
        best = coarsest.get(marginal.attributes)
        if model.covers(marginal) and len(marginal.attributes) == 2 and (best is None or marginal.size < best.size):
            coarsest[marginal.attributes] = marginal
    if not coarsest:
        return Agreement(model, {}, 0.0)
    most, held, step = 1.0, data.n_rows, AGREEMENT_STEP
    if data.max_rows_per_unit > 1:
        price = mu_squared * WEIGHT_PRICE
        most, held = weigh_rows(data, mechanisms, part="selection", mu_squared=price)
        mu_squared, step = mu_squared - price, 1.0
    alone = [independent(model.shares, marginal) for marginal in coarsest.values()]
    apart = [model.table(marginal) - table for marginal, table in zip(coarsest.values(), alone, strict=True)]
    count = count_weighed if data.max_rows_per_unit > 1 else count_tables
    counts = data.add_up(partial(count, marginals=tuple(coarsest.values())))
    exact = np.array([float((n * np.sign(d)).sum()) for n, d in zip(counts, apart, strict=True)])
    release = mechanisms.gaussian(
        on_grid(exact, step),
        l2_sensitivity=grid_sensitivity(most * math.sqrt(len(exact)), len(exact), step),
        part="selection",
        mu_squared=mu_squared,
        label="agreement of each pair with the prior",
    )
    own = np.array([held * float((table * np.sign(d)).sum()) for table, d in zip(alone, apart, strict=True)])
    most_agreed = np.array([held * float(np.abs(d).sum()) for d in apart])
    agreed, usual = shrink_agreement(release.values * step - own, most_agreed, release.sigma * step)
    return Agreement(model, dict(zip(coarsest, agreed.tolist(), strict=True)), usual)


def shrink_agreement(excess: np.ndarray, full: np.ndarray, sigma: float) -> tuple[np.ndarray, float]:
    """Return (pairs,) λ between 0 and 1, pulled to that of all as far as noise explains their spread; post-processing.

    Args:
      excess: noisy, in rows or steps: λ times `full`.
      full: what full agreement would give.
      sigma: standard deviation of the noise in `excess`.
    """
    full = np.maximum(full, 1e-9)
    usual = float((excess * full).sum() / (full**2).sum())
    # excess − usual · full has variance σ² + τ² · full²; τ² by moments, weighted like `usual`.
    apart = excess - usual * full
    spread = float(((apart**2 - sigma**2) * full**2).sum() / (full**4).sum())
    tau2 = max(spread, 0.0)
    keep = tau2 * full**2 / (tau2 * full**2 + sigma**2)
    return np.clip(usual + keep * apart / full, 0.0, 1.0), float(np.clip(usual, 0.0, 1.0))


def shrunk(table: Measurement, expected: np.ndarray) -> Measurement:
    """Return a one-way table moved towards the prior's as far as noise explains the difference; post-processing.

    By how much entries differ from the expectation is told for the whole table; see `_free` for one to the other.

    Args:
      expected: of the table's shape, in rows.
    """
    variance = np.broadcast_to(np.asarray(table.sigma, dtype=np.float64) ** 2, table.counts.shape)
    there = np.isfinite(variance)
    if not there.any():
        return table
    shape = _free(expected)
    gap = np.where(there, table.counts - expected, 0.0)
    noise = float(variance[there].sum())
    excess = float((gap[there] ** 2).sum()) - noise
    doubt = math.sqrt(2.0 * float((variance[there] ** 2).sum()))  # standard deviation of the noise's own part of it
    total = float(shape[there].sum())
    tau2, at_most = max(excess, 0.0) / total * shape, (max(excess, 0.0) + doubt) / total * shape
    keep = np.where(there, tau2 / np.where(there, tau2 + variance, 1.0), 0.0)
    left = np.where(there, at_most * variance / np.where(there, at_most + variance, 1.0), at_most)
    return replace(table, counts=expected + keep * gap, sigma=np.sqrt(np.maximum(left, 1e-12)))


def _free(expected: np.ndarray) -> np.ndarray:
    """Return how the squares of what a table differs by from an expectation are spread over its entries, about.

    One-way tables are known better than those over several attributes. With them fixed, entry (i, j) of shares a_i·b_j
    varies as a_i (1 − a_i) b_j (1 − b_j): of two values of an attribute the rare one as much as the other. Half of it
    is the same for all entries, so that none is expected with certainty.
    """
    table = np.maximum(expected, 0.0)
    total = max(float(table.sum()), 1e-12)
    shape = np.full(table.shape, total)
    for axis in range(table.ndim):
        share = table.sum(axis=tuple(a for a in range(table.ndim) if a != axis)) / total
        free = share * (1.0 - share) if table.ndim > 1 else share
        shape = shape * free.reshape([-1 if a == axis else 1 for a in range(table.ndim)])
    found: np.ndarray = shape + max(float(shape.mean()), 1e-12)
    return found


def unbought(
    agreement: Agreement,
    candidates: Sequence[Marginal],
    scores: np.ndarray,
    bought: Sequence[Marginal],
    *,
    n_rows: float,
    least: float,
) -> list[Measurement]:
    """Return the expected tables of pairs that were not bought, with the error that their scores leave.

    Args:
      candidates, scores: what was scored, and how far each is from what is expected, in rows.
      least: standard deviation of a score.
    """
    gone = {marginal.attributes for marginal in bought}
    score = {marginal.attributes: 0.0 for marginal in candidates}
    for marginal, found in zip(candidates, scores.tolist(), strict=True):
        score[marginal.attributes] = max(score[marginal.attributes], found)
    tables = []
    for marginal in agreement.model.seen:
        if marginal.attributes in gone or marginal.attributes not in score:
            continue
        counts = n_rows * agreement.expected(marginal)
        root = np.sqrt(_free(counts))
        error = max(score[marginal.attributes], least)
        tables.append(Measurement(marginal, counts, error / MEAN_ABS_NORMAL * root / float(root.sum())))
    return tables

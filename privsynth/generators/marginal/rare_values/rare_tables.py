"""Rare values of a target where a unit has a few rows: their tables with each unit counting once.

Counting rows then costs little more than counting units, so tables over all rows still tell of the rare ones, and the
tables here are fitted beside them. Where units have many rows, `rare_rows` takes over.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from privsynth.codecs.contingency import Marginal, coarse_groups, contingency_tables, full_marginal, groups_of
from privsynth.codecs.encoded_table import CodedRows, Encoded
from privsynth.generators.marginal.clip_units import MANY_ROWS
from privsynth.generators.marginal.measure import Measurement
from privsynth.generators.marginal.rare_values.rare_rows import (
    ROWS_CLIP,
    clipped_sum,
    histograms,
    model_weight,
    release_steps,
)
from privsynth.privacy.budget import ROUNDING
from privsynth.privacy.mechanisms import Mechanisms
from privsynth.privacy.unit_weights import row_weights

RARE_SHARE = 0.1  # of the rows: fewer beside the commonest value count as rare; tables of all rows show them badly
LEVEL_PRICE = 0.3  # of the budget, for how many there are; the rest is for their tables
MOST_GROUPS = 12  # of the other attribute: rare rows are too few to fill more


def uncommon_targets(data: Encoded, shares: list[np.ndarray]) -> list[tuple[int, int]]:
    """Return (attribute, commonest code) of the targets that have rare values; from paid shares and public facts.

    Where a unit has one row only, counting by units gains nothing.
    """
    if not 1 < data.max_rows_per_unit < MANY_ROWS:
        return []
    common = [(target, int(np.argmax(shares[target]))) for target in data.targets]
    return [(target, code) for target, code in common if shares[target][code] > 1 - RARE_SHARE]


def measure_uncommon(
    data: Encoded,
    targets: list[tuple[int, int]],
    shares: list[np.ndarray],
    mechanisms: Mechanisms,
    *,
    mu_squared: float,
) -> list[Measurement]:
    """Return tables of each target's rare codes alone and with each other attribute.

    Entries of the commonest code are not measured: their sigma is infinite.

    Guarantee: Gaussian releases of part "measurement" that add up to `mu_squared`. Of the numbers of rare rows a unit
      moves a vector of norm at most `ROWS_CLIP`; of each table with another attribute one of norm at most 1, as its
      rare rows weigh one together. Both are sums of whole steps of a grid, each unit's rounded down by itself, so that
      these bounds hold exactly.
    """
    measured: list[Measurement] = []
    for target, common in targets:
        measured += _of_target(data, target, common, shares, mechanisms, mu_squared=mu_squared / len(targets))
    return measured


def _of_target(
    data: Encoded,
    target: int,
    common: int,
    shares: list[np.ndarray],
    mechanisms: Mechanisms,
    *,
    mu_squared: float,
) -> list[Measurement]:
    size = data.sizes[target]
    name = data.attributes[target].name
    bound = min(ROWS_CLIP, float(data.max_rows_per_unit))
    level, sigma = release_steps(
        data.add_up(partial(count_uncommon, target=target, common=common, size=size, bound=bound)),
        mechanisms,
        bound=bound,
        mu_squared=mu_squared * LEVEL_PRICE,
        label=f"number of rare rows of {name}",
    )
    rare = np.arange(size) != common
    alone = full_marginal(data.sizes, (target,))
    found = [Measurement(alone, np.where(rare, level, 0.0), np.where(rare, sigma, np.inf))]
    others = [a for a in range(len(data.sizes)) if a != target]
    marginals = [_with_target(data, shares, a, target) for a in others]
    price = np.array([marginal.size ** (2 / 3) for marginal in marginals])
    tables = []
    counted = data.add_up(partial(count_by_units, target=target, common=common, marginals=marginals))
    for a, steps, share in zip(others, counted, price / max(price.sum(), 1e-12), strict=True):
        tables.append(
            release_steps(
                steps,
                mechanisms,
                bound=1.0,
                mu_squared=mu_squared * (1 - LEVEL_PRICE) * ROUNDING * float(share),
                label=f"rare rows of {name} by {data.attributes[a].name}, a unit counting once",
            )
        )
    if tables:
        found += _as_rows(marginals, tables, target, rare, total=max(float(level[rare].sum()), 0.0), sigma=sigma)
    return _as_in_model(data, found, shares)


def _as_in_model(data: Encoded, measured: list[Measurement], shares: list[np.ndarray]) -> list[Measurement]:
    """Return tables of rows as tables of what the rows count in the model (see `model_weight`); post-processing.

    The table with the number of rows of the unit, the last, tells how much that is; without one, as much as all rows.
    """
    if data.rows_per_unit is None or data.unit_attribute is None or len(measured) < 2:
        return measured
    at, weight = data.unit_attribute, model_weight(data, shares)
    wanted = np.append(data.rows_per_unit.used_shares, 0.0)
    table = measured[-1]
    group = table.marginal.groups[-1]  # `at` is the last attribute of every table it is in
    assert table.attributes[-1] == at
    rows = np.bincount(group, weights=wanted)
    of_group = np.where(rows > 0, np.bincount(group, weights=weight * wanted) / np.maximum(rows, 1e-12), 1.0)
    known = np.isfinite(table.sigma)
    counts = np.where(known, np.maximum(table.counts, 0.0), 0.0)
    held = float((counts * of_group).sum() / counts.sum()) if counts.sum() > 0 else 1.0
    return [
        *(Measurement(other.marginal, other.counts * held, other.sigma * held) for other in measured[:-1]),
        Measurement(table.marginal, table.counts * of_group, table.sigma * of_group),
    ]


def _with_target(data: Encoded, shares: list[np.ndarray], attribute: int, target: int) -> Marginal:
    groups = groups_of(data, attribute, shares[attribute], partial(coarse_groups, at_most=MOST_GROUPS))
    own = np.arange(data.sizes[target])
    axes = sorted([(attribute, groups), (target, own)], key=lambda axis: axis[0])
    return Marginal(tuple(a for a, _ in axes), tuple(group for _, group in axes))


def count_uncommon(rows: CodedRows, target: int, common: int, size: int, bound: float) -> np.ndarray:
    """Return (size,) how many rows of one partition have each code but the commonest, by units. Private.

    Each unit's vector is scaled down to norm `bound`, and rounded down to whole steps (see `clipped_sum`).
    """
    apart = rows.chosen(np.flatnonzero(rows.codes[target] != common))
    return clipped_sum([histograms(apart, apart.codes[target].astype(np.int64), size)], np.ones(1), bound)


def count_by_units(rows: CodedRows, target: int, common: int, marginals: Sequence[Marginal]) -> list[np.ndarray]:
    """Return the tables of one partition's rows with any code but the commonest, in whole steps. Private.

    A unit's rows weigh `STEPS` together at most, all the same: so it moves a table by no more in L1, nor in L2.
    """
    apart = rows.chosen(np.flatnonzero(rows.codes[target] != common))
    return contingency_tables(apart.codes, marginals, row_weights(apart.units()[0]))


def _as_rows(
    marginals: list[Marginal],
    tables: list[tuple[np.ndarray, float]],
    target: int,
    rare: np.ndarray,
    *,
    total: float,
    sigma: float,
) -> list[Measurement]:
    """Return the tables scaled from units to rows, the commonest code left out; post-processing.

    Every table sums to the number of units with rare rows, so their noisy sums together tell it.
    """
    masks = [
        _along(rare, table.shape, m.attributes.index(target)) for m, (table, _) in zip(marginals, tables, strict=True)
    ]
    sums = np.array([table[mask].sum() for (table, _), mask in zip(tables, masks, strict=True)])
    spread = np.array([noise**2 * mask.sum() for (_, noise), mask in zip(tables, masks, strict=True)])
    units = float((sums / spread).sum() / (1 / spread).sum())
    if units <= 2 * float((1 / spread).sum()) ** -0.5 or total <= 2 * sigma:
        return []  # what cannot be told from nothing has no table
    scale = total / units
    return [
        Measurement(marginal, np.where(mask, table * scale, 0.0), np.where(mask, noise * scale, np.inf))
        for marginal, (table, noise), mask in zip(marginals, tables, masks, strict=True)
    ]


def _along(values: np.ndarray, shape: tuple[int, ...], axis: int) -> np.ndarray:
    """Return the values, one for each place of an axis, broadcast to a shape."""
    ends = [1] * len(shape)
    ends[axis] = len(values)
    return np.broadcast_to(values.reshape(ends), shape)

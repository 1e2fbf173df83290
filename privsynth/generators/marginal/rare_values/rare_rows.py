"""Rare values of a target where a unit has many rows: fraud among payments, a complication among visits.

Noise as large as a unit's most rows drowns what happens to few units only. But a unit with rare rows has few of them,
and they can be measured apart: their number clipped at a small bound, and their one-way marginals (their profile) with
each unit's rows scaled down to a norm of one. So rare rows cost the noise of one unit. They become components of their
own in the mixture, in which the target has the rare value for certain: those of all other rows, reweighted to the
measured profile (see `reweight`). No other component has the value, so that what is known of it is not averaged away.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from privsynth.codecs.encoded_table import CodedRows, Encoded
from privsynth.generators.marginal.clip_units import MANY_ROWS
from privsynth.generators.marginal.measure import Measurement
from privsynth.generators.marginal.rare_values.profile import estimate_profile, look_of
from privsynth.generators.marginal.rare_values.reweight import reweighted
from privsynth.privacy.budget import ROUNDING
from privsynth.privacy.mechanisms import Mechanisms
from privsynth.privacy.unit_weights import STEPS

RARE_SHARE = 0.02  # of the rows: fewer beside the commonest value count as rare; as fraud and complications are
MOST_SHARE = 0.2  # of the rows, for all rare values of all targets together, should noise say more: others must remain
ROWS_CLIP = 4.0  # rows of a unit that count for how many rare rows there are; hardly any unit has more
LEVEL_PRICE = 0.1  # of the budget, for how many there are, one number; the rest is for their profile
WEIGHTS = (0.05, 20.0)  # least and most of a row in the model, to the mean row; beyond, noise says so
LEAST_COMPONENTS, MOST_COPIES = 12, 8  # rare components wanted, and copies of all others made to get there


@dataclass(frozen=True)
class RareRows:
    """What was paid to know of the rows in which a target has a rare value.

    Attributes:
      target, code: the attribute and its value.
      share: of all rows.
      profile: for each attribute, (size,) shares of its codes among these rows; of the target, all on `code`.
    """

    target: int
    code: int
    share: float
    profile: tuple[np.ndarray, ...]


def rare_targets(data: Encoded, one_way: list[Measurement]) -> list[tuple[int, int]]:
    """Return (attribute, commonest code) of the targets that have rare values; from paid tables and public facts.

    Where a unit has few rows, counting by units gains little (see `rare_tables`). A value that noise may hide counts as
    rare.
    """
    if data.max_rows_per_unit < MANY_ROWS:
        return []
    found = []
    for target in data.targets:
        counts = one_way[target].counts
        common = int(np.argmax(counts))
        noise = 2 * float(np.max(one_way[target].sigma))
        if data.sizes[target] > 2 and data.n_rows - counts[common] < RARE_SHARE * data.n_rows + noise:
            found.append((target, common))
    return found


def measure_rare(
    data: Encoded,
    targets: list[tuple[int, int]],
    shares: list[np.ndarray],
    mechanisms: Mechanisms,
    *,
    mu_squared: float,
) -> list[RareRows]:
    """Return how many rows have each rare code of each target, and their profiles.

    Guarantee: two Gaussian releases of part "measurement" a target, which add up to `mu_squared`. Neighbours differ by
      all rows of one unit. Of the numbers of rare rows it moves a vector of norm at most `ROWS_CLIP`; of a profile
      one of norm at most 1, because its rows are scaled to that. Both are sums of whole steps of a grid, each
      unit's rounded down by itself, so that these bounds hold exactly.
    """
    found: list[RareRows] = []
    for target, common in targets:
        rows = _of_target(data, target, common, shares, mechanisms, mu_squared=mu_squared / len(targets))
        found += [replace(r, share=min(r.share, MOST_SHARE / (len(rows) * len(targets)))) for r in rows]
    return found


def _of_target(
    data: Encoded,
    target: int,
    common: int,
    shares: list[np.ndarray],
    mechanisms: Mechanisms,
    *,
    mu_squared: float,
) -> list[RareRows]:
    attribute = data.attributes[target]
    rare = [c for c in range(attribute.size - (not attribute.can_be_null)) if c != common]
    bound = min(ROWS_CLIP, float(data.max_rows_per_unit))
    level, _ = release_steps(
        data.add_up(partial(count_rare, target=target, rare=rare, bound=bound)),
        mechanisms,
        bound=bound,
        mu_squared=mu_squared * LEVEL_PRICE,
        label=f"number of rare rows of {attribute.name}",
    )
    level = np.maximum(level, 0.0)
    price = mu_squared * (1 - LEVEL_PRICE) * ROUNDING
    profiles = _measure_profiles(data, (target, rare), shares, mechanisms, mu_squared=price)
    found = []
    for code, n_rows, profile in zip(rare, level.tolist(), profiles, strict=True):
        profile.insert(target, (np.arange(attribute.size) == code).astype(np.float64))
        held = 1.0
        if data.unit_attribute is not None:
            weighed = profile[-1] * model_weight(data, shares)
            held = float(weighed.sum())
            profile[-1] = weighed / held
        found.append(RareRows(target, code, n_rows * held / data.n_rows, tuple(profile)))
    return found


def model_weight(data: Encoded, shares: list[np.ndarray]) -> np.ndarray:
    """Return (size,) what a row counts in the model, by how many rows its unit has; post-processing.

    Tables of all rows count those of units with many at less than one, and rows are drawn by the inverse of that.
    """
    assert data.rows_per_unit is not None
    wanted = np.append(data.rows_per_unit.used_shares, 0.0)
    return np.where(wanted > 0, np.clip(shares[-1] / np.maximum(wanted, 1e-12), *WEIGHTS), 1.0)


def _measure_profiles(
    data: Encoded,
    values: tuple[int, Sequence[int]],
    shares: list[np.ndarray],
    mechanisms: Mechanisms,
    *,
    mu_squared: float,
) -> list[list[np.ndarray]]:
    """Return for each rare value the one-way shares of all other attributes, from one release.

    A unit has a row in one group of each attribute or in few, however many groups there are, so groups are fine, and
    the estimate decides how coarse the profile is.

    Args:
      values: a target and its rare codes.
    """
    target, rare = values
    others = [a for a in range(len(data.sizes)) if a != target]
    if not others:
        return [[] for _ in rare]
    looks = [look_of(data, a, shares[a]) for a in others]
    weight = np.array([look.weight for look in looks])
    scales = np.sqrt(weight / weight.sum())
    groups = {a: look.group for a, look in zip(others, looks, strict=True)}
    values_of_all, sigma = release_steps(
        data.add_up(partial(count_looks, target=target, rare=rare, groups=groups, scales=scales)),
        mechanisms,
        bound=1.0,
        mu_squared=mu_squared,
        label=f"looks of the rare rows of {data.attributes[target].name}, a unit counting once",
    )
    parts = np.split(values_of_all, np.cumsum([look.size * len(rare) for look in looks])[:-1])
    tables = [(part / scale).reshape(len(rare), -1) for part, scale in zip(parts, scales, strict=True)]
    noise = (sigma / scales).tolist()
    return [estimate_profile(looks, [table[i] for table in tables], noise) for i in range(len(rare))]


def count_rare(rows: CodedRows, target: int, rare: Sequence[int], bound: float) -> np.ndarray:
    """Return (rare,) how many rows of one partition have each rare code, by units, in whole steps. Private."""
    apart, kind = _rare_part(rows, target, rare)
    return clipped_sum([histograms(apart, kind, len(rare))], np.ones(1), bound)


def count_looks(
    rows: CodedRows, target: int, rare: Sequence[int], groups: Mapping[int, np.ndarray], scales: np.ndarray
) -> np.ndarray:
    """Return the tables rare code × group of other attributes as one vector, by units, in whole steps. Private.

    Args:
      rows: of one partition.
      groups: attribute -> (size,) groups of its codes.
      scales: of each table.
    """
    apart, kind = _rare_part(rows, target, rare)
    tables = []
    for a, group in groups.items():
        size = int(group.max()) + 1
        tables.append(histograms(apart, kind * size + group[apart.codes[a]], size * len(rare)))
    return clipped_sum(tables, scales, 1.0)


def _rare_part(rows: CodedRows, target: int, rare: Sequence[int]) -> tuple[CodedRows, np.ndarray]:
    """Return the rows in which a target has a rare code, and (n,) the place of the code among the rare. Private."""
    apart = rows.chosen(np.flatnonzero(np.isin(rows.codes[target], rare)))
    return apart, np.searchsorted(rare, apart.codes[target])


def histograms(rows: CodedRows, entry: np.ndarray, entries: int) -> np.ndarray:
    """Return (units, entries) how many rows of each unit lie in each entry. Private."""
    unit, units = rows.units()
    return np.bincount(unit * entries + entry, minlength=units * entries).reshape(units, entries)


def clipped_sum(tables: Sequence[np.ndarray], scales: np.ndarray, bound: float) -> np.ndarray:
    """Return the sums over units of tables as one vector of whole steps of 1 / `STEPS`. Private.

    A unit's tables, each times its scale, are one vector. Where its norm exceeds `bound` it is scaled down to it, by
    the same factor in all tables, so that they keep to agree on how many units there are. Each entry is rounded down to
    whole steps, which makes no vector longer: so a unit moves the sums by `bound`·`STEPS` in L2 at most.

    Args:
      tables: of (units, entries).
      scales: how much each is weighed; its noise is σ / scale.
    """
    each = np.concatenate([table * scale for table, scale in zip(tables, scales, strict=True)], axis=1)
    norm = np.sqrt((each**2).sum(axis=1))
    # The last factor outweighs what floating point may round up.
    factor = np.minimum(1.0, bound / np.maximum(norm, 1e-12)) * (STEPS * ROUNDING)
    steps: np.ndarray = np.floor(each * factor[:, None]).astype(np.int64).sum(axis=0)
    return steps


def release_steps(
    steps: np.ndarray, mechanisms: Mechanisms, *, bound: float, mu_squared: float, label: str
) -> tuple[np.ndarray, float]:
    """Return noisy sums over units and the standard deviation of each; a unit moves them by `bound` at most.

    Args:
      steps: the sums, see `clipped_sum`.
    """
    release = mechanisms.gaussian(
        steps, l2_sensitivity=bound * STEPS, part="measurement", mu_squared=mu_squared, label=label
    )
    return release.values / STEPS, release.sigma / STEPS


def common_tables(one_way: list[Measurement], rare: Sequence[RareRows], *, n_rows: float) -> list[Measurement]:
    """Return the one-way tables without the rare rows; post-processing."""
    found = []
    for a, table in enumerate(one_way):
        gone = sum((n_rows * r.share * r.profile[a] for r in rare if r.target != a), np.zeros(len(table.counts)))
        counts = np.maximum(table.counts - gone, 0.0)
        for r in rare:
            if r.target == a:
                counts = np.where(np.arange(len(counts)) == r.code, 0.0, counts)
        found.append(replace(table, counts=counts))
    return found


def with_rare_rows(p: np.ndarray, starts: np.ndarray, rare: Sequence[RareRows]) -> np.ndarray:
    """Return (components, D) a mixture's probabilities with components for rare rows beside its own; post-processing.

    Components weigh alike, so the rare ones are as many as their share asks for; where that would be hardly one, all
    others are there several times.

    Args:
      p: (components, D) of a mixture of the common rows.
      starts: (attributes + 1,) where each attribute's codes begin.
    """
    if not rare:
        return p
    p = p.copy()
    for r in rare:
        block = p[:, starts[r.target] : starts[r.target + 1]]
        block[:, r.code] = 0.0
        block /= np.maximum(block.sum(axis=1, keepdims=True), np.float32(1e-30))
    common = 1.0 - math.fsum(r.share for r in rare)
    wanted = np.array([r.share / common * len(p) for r in rare])
    copies = int(np.clip(np.ceil(LEAST_COMPONENTS / max(float(wanted.max()), 1e-12)), 1, MOST_COPIES))
    targets = {r.target for r in rare}
    own = [
        reweighted(p, starts, r.profile, targets, max(1, round(n * copies)))
        for r, n in zip(rare, wanted.tolist(), strict=True)
    ]
    return np.concatenate([np.tile(p, (copies, 1)), *own])

"""Rare values of a target where a unit has a few rows: their tables with each unit counting once.

Counting rows then costs little more than counting units, so tables over all rows still tell of the rare ones, and the
tables here are fitted beside them. Where units have many rows, `rare` takes over.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from privsynth.codecs.contingency import View, coarse_groups, groups_of, whole
from privsynth.codecs.encoded_table import Encoded
from privsynth.generators.marginal.clip_units import MANY_ROWS
from privsynth.generators.marginal.measure import Measured
from privsynth.generators.marginal.rare_rows import ROWS_CLIP
from privsynth.privacy.mechanisms import Mechanisms, grid_sensitivity, on_grid

RARE_SHARE = 0.1  # of the rows: less than this beside the commonest value counts as rare
LEVEL_PRICE = 0.3  # of the budget, for how many there are; the rest tells what they look like
STEP = 2.0**-16
MOST_GROUPS = 12


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
) -> list[Measured]:
    """Return tables of each target's rare codes alone and with each other attribute.

    Cells of the commonest code are not measured: their sigma is infinite.

    Guarantee: Gaussian releases of part "measurement" that add up to `mu_squared`. Of the numbers of rare rows a unit
      moves a vector of norm at most `ROWS_CLIP`; of each table of looks one of norm at most 1, because its rare rows
      weigh one together.
    """
    measured: list[Measured] = []
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
) -> list[Measured]:
    rows = np.flatnonzero(data.codes[target] != common)
    codes = data.codes[:, rows]
    _, unit = np.unique(data.unit[rows], return_inverse=True)
    size = data.sizes[target]
    name = data.attributes[target].name
    bound = min(ROWS_CLIP, float(data.max_rows_per_unit))
    level, sigma = _release(
        _clipped(codes[target], unit, size, bound),
        mechanisms,
        sensitivity=bound,
        mu_squared=mu_squared * LEVEL_PRICE,
        label=f"number of rare rows of {name}",
    )
    rare = np.arange(size) != common
    found = [Measured(whole(data.sizes, (target,)), np.where(rare, level, 0.0), np.where(rare, sigma, np.inf))]
    others = [a for a in range(len(data.sizes)) if a != target]
    views = [_view(data, shares, a, target) for a in others]
    price = np.array([view.cells ** (2 / 3) for view in views])
    looks = []
    weight = 1.0 / np.maximum(np.bincount(unit), 1)[unit] if len(unit) else np.zeros(0)
    for a, view, share in zip(others, views, price / max(price.sum(), 1e-12), strict=True):
        looks.append(
            _release(
                _weighted(view, codes, weight),
                mechanisms,
                sensitivity=1.0,
                mu_squared=mu_squared * (1 - LEVEL_PRICE) * (1 - 1e-9) * float(share),
                label=f"rare rows of {name} by {data.attributes[a].name}, a unit counting once",
            )
        )
    if looks:
        found += _as_rows(views, looks, target, rare, total=max(float(level[rare].sum()), 0.0), sigma=sigma)
    return found


def _view(data: Encoded, shares: list[np.ndarray], attribute: int, target: int) -> View:
    groups = groups_of(data, attribute, shares[attribute], partial(coarse_groups, at_most=MOST_GROUPS))
    own = np.arange(data.sizes[target])
    return View((attribute, target), (groups, own)) if attribute < target else View((target, attribute), (own, groups))


def _clipped(codes: np.ndarray, unit: np.ndarray, size: int, bound: float) -> np.ndarray:
    """Return (size,) sums of the units' counts, each unit's vector scaled down to norm `bound`. Private."""
    each = np.bincount(unit * size + codes, minlength=(int(unit.max(initial=-1)) + 1) * size).reshape(-1, size)
    norm = np.sqrt((each.astype(np.float64) ** 2).sum(axis=1))
    total: np.ndarray = (each * np.minimum(1.0, bound / np.maximum(norm, 1e-12))[:, None]).sum(axis=0)
    return total


def _weighted(view: View, codes: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return the table of weighted rows. Private."""
    index = np.zeros(codes.shape[1], dtype=np.int64)
    for attribute, size, group in zip(view.attributes, view.shape, view.groups, strict=True):
        index = index * size + group[codes[attribute]]
    return np.bincount(index, weights=weight, minlength=view.cells).reshape(view.shape)


def _release(
    table: np.ndarray, mechanisms: Mechanisms, *, sensitivity: float, mu_squared: float, label: str
) -> tuple[np.ndarray, float]:
    """Return noisy values and their standard deviation."""
    release = mechanisms.gaussian(
        on_grid(table, STEP),
        l2_sensitivity=grid_sensitivity(sensitivity, table.size, STEP),
        part="measurement",
        mu_squared=mu_squared,
        label=label,
    )
    return release.values * STEP, release.sigma * STEP


def _as_rows(
    views: list[View],
    looks: list[tuple[np.ndarray, float]],
    target: int,
    rare: np.ndarray,
    *,
    total: float,
    sigma: float,
) -> list[Measured]:
    """Return the looks scaled from units to rows, the commonest code left out; post-processing.

    Every look sums to the number of units with rare rows, so their noisy sums together tell it.
    """
    masks = [np.moveaxis(np.broadcast_to(rare, np.moveaxis(t, v.attributes.index(target), -1).shape), -1,
                         v.attributes.index(target)) for v, (t, _) in zip(views, looks, strict=True)]  # fmt: skip
    sums = np.array([table[mask].sum() for (table, _), mask in zip(looks, masks, strict=True)])
    spread = np.array([noise**2 * mask.sum() for (_, noise), mask in zip(looks, masks, strict=True)])
    units = float((sums / spread).sum() / (1 / spread).sum())
    if units <= 2 * float((1 / spread).sum()) ** -0.5 or total <= 2 * sigma:
        return []  # what cannot be told from nothing has no look
    scale = total / units
    return [
        Measured(view, np.where(mask, table * scale, 0.0), np.where(mask, noise * scale, np.inf))
        for view, (table, noise), mask in zip(views, looks, masks, strict=True)
    ]

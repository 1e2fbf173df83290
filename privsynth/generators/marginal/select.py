"""Select: which tables to buy and at what price, in two rounds; the second where the model of the first is wrong.

Round one scores pairs of attributes by their noisy distance from independence, finely and coarsely. Round two scores
pairs and triples by their noisy distance from the mixture that was fitted to round one, as in AIM (McKenna et al. 2022)
but in one Gaussian release. Both choose by one closed form, a pure function of noisy scores.

Source of the closed form: the allocation of SWIFT (google/dpsynth, 2026), restated without its tree: with expected
noise √(2/π)·k·m / √B in L1 for a table of m cells bought at B = μ², the best prices of a set are B_r ∝ (k m_r)^{2/3},
and the best set is a prefix of the tables in order of score / (k m_r)^{2/3}. Where a table can be had coarsely or
finely, the prefix runs over steps of each thing's upper hull: first the coarse one, then what the finer one adds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations

import numpy as np

from privsynth.codecs.contingency import View, coarse_groups, count_views, groups_of, middle, whole
from privsynth.codecs.encoded_table import Encoded
from privsynth.generators.marginal.clip_units import weigh_rows
from privsynth.generators.marginal.measure import Measured, emphasis
from privsynth.privacy.mechanisms import Mechanisms, grid_sensitivity, on_grid

MEAN_ABS_NORMAL = math.sqrt(2 / math.pi)
SCORE_STEP = 2.0**-8
WEIGHT_PRICE = 0.06  # of the budget of scores, for how much rows weigh where a unit has several
MAX_PAIRS = 50_000
MAX_CELLS = 250_000
TWO_RESOLUTIONS_PAIRS = 1_000  # with more pairs a second score of each would drown in its own noise
AGAIN_PAIRS, TRIPLES = 300, 500  # that round two scores
MIN_TABLES, TABLES_PER_ATTRIBUTE = 300, 2  # the fit takes time for each table
SHORT_TARGET, SHORT_TABLE = 6, 256  # codes of a target, and cells of a table with it, that is seen finely only
ROWS_PER_CELL_SIGMA = 12.0
LIVE_SIGMAS = 1.0


def number_of_groups(data: Encoded, mu_squared: float, *, width: int, unit: float) -> int:
    """Return into how many groups an attribute is seen in coarse tables over `width` attributes; from public facts.

    Args:
      mu_squared: of all measured tables together.
      unit: rows that a unit moves a table by, as of the last tables that were paid.
    """
    noise = unit / max(mu_squared, 1e-12) ** 0.5
    affordable = (data.n_rows / noise / ROWS_PER_CELL_SIGMA) ** (1 / width)
    least, most = (5, 16) if width == 2 else (4, 12)
    return int(np.clip(affordable * (0.4 if width == 2 else 0.6), least, most))


def pair_views(data: Encoded, shares: Sequence[np.ndarray], *, groups: int, likely: Sequence[int] = ()) -> list[View]:
    """Return the pairs of round one: finely where the table is not too large, by code books, and coarsely.

    With a target of few codes only finely: such a table is short however fine it is, and where along the other
    attribute the target changes is what a model of it lives on.

    Chosen by sizes and `likely` alone; the groups are a function of the paid one-way shares.

    Args:
      likely: see `likely_targets`.
    """
    sizes = data.sizes
    short = {a for a in likely if sizes[a] <= SHORT_TARGET}
    pairs = list(combinations(range(len(sizes)), 2))
    if len(pairs) > MAX_PAIRS:
        pairs = sorted(pairs, key=lambda pair: (sizes[pair[0]] * sizes[pair[1]], pair))[:MAX_PAIRS]
    coarse = _coarse(data, shares, groups)
    both = len(pairs) <= TWO_RESOLUTIONS_PAIRS
    views = []
    for i, j in pairs:
        fine, rough = whole(sizes, (i, j)), View((i, j), (coarse[i], coarse[j]))
        if fine.cells <= MAX_CELLS and (both or not rough.is_coarse):
            views.append(fine)
        between = middle(data, (i, j)) if both else None
        if between is not None and between.cells <= MAX_CELLS:
            views.append(between)
        if rough.is_coarse and (short.isdisjoint((i, j)) or fine.cells > SHORT_TABLE or not both):
            views.append(rough)
    return views


def residual_views(
    data: Encoded,
    shares: Sequence[np.ndarray],
    first: Sequence[View],
    scores: np.ndarray,
    *,
    groups: int,
    likely: Sequence[int] = (),
) -> list[View]:
    """Return the pairs and triples of round two: those whose pairs scored highest in round one.

    Args:
      first, scores: what round one scored; noisy, so this is post-processing.
      likely: see `likely_targets`.
    """
    sizes = data.sizes
    stress = emphasis(data, likely)
    best: dict[tuple[int, ...], float] = {}
    for view, score in zip(first, scores, strict=True):
        best[view.attributes] = max(best.get(view.attributes, -math.inf), float(score))
    weighted = {pair: score * stress[list(pair)].max() for pair, score in best.items()}
    ranked = sorted(weighted, key=lambda pair: (-weighted[pair], pair))
    pairs = [pair for pair in ranked if sizes[pair[0]] * sizes[pair[1]] <= MAX_CELLS][:AGAIN_PAIRS]
    coarse = _coarse(data, shares, groups)
    triples = _triples(len(sizes), weighted)
    fine = [whole(sizes, pair) for pair in sorted(pairs)]
    between = [joined for pair in sorted(pairs) if (joined := middle(data, pair))]
    return [*fine, *between] + [View(triple, tuple(coarse[a] for a in triple)) for triple in triples]


def _triples(attributes: int, weighted: dict[tuple[int, ...], float]) -> list[tuple[int, ...]]:
    """Return at most `TRIPLES` triples, those whose pairs depend most; a triple beside strong pairs may do so too."""
    if math.comb(attributes, 3) <= TRIPLES:
        return list(combinations(range(attributes), 3))
    matrix = np.zeros((attributes, attributes))
    for (i, j), score in weighted.items():
        matrix[i, j] = matrix[j, i] = score
    ranked = sorted(weighted, key=lambda pair: (-weighted[pair], pair))[: 4 * TRIPLES]
    found: dict[tuple[int, ...], float] = {}
    for i, j in ranked:
        for other in np.argsort(-(matrix[i] + matrix[j]), kind="stable")[:12].tolist():
            if other not in (i, j):
                triple = tuple(sorted((i, j, other)))
                found[triple] = float(matrix[i, j] + matrix[i, other] + matrix[j, other])
    return sorted(sorted(found, key=lambda triple: (-found[triple], triple))[:TRIPLES])


def _coarse(data: Encoded, shares: Sequence[np.ndarray], groups: int) -> list[np.ndarray]:
    coarse = partial(coarse_groups, at_most=groups)
    return [groups_of(data, a, share, coarse) for a, share in enumerate(shares)]


def score_views(
    data: Encoded,
    views: Sequence[View],
    table_of: Callable[[View], np.ndarray],
    mechanisms: Mechanisms,
    *,
    mu_squared: float,
    label: str,
) -> np.ndarray:
    """Return (views,) noisy L1 distances of the tables from a model's, in rows, shrunk towards their mean.

    Args:
      table_of: the model's table of a view, as shares.
    Guarantee: Gaussian releases of part "selection", which add up to `mu_squared`. A row moves one cell of a table by
      its weight, so a unit moves each distance by at most what its rows weigh together (1 where a unit has one row,
      else see `units.weigh_rows`), and all of them by √views of that in L2; the grid's rounding is added.
    """
    most, weight, held, step = 1.0, None, data.n_rows, SCORE_STEP
    if data.max_rows_per_unit > 1:
        price = mu_squared * WEIGHT_PRICE
        weight, most, held = weigh_rows(data, mechanisms, part="selection", mu_squared=price)
        mu_squared, step = mu_squared - price, 1.0
    counts = count_views(data.codes, views, weight)
    exact = np.array([np.abs(n - held * table_of(view)).sum() for n, view in zip(counts, views, strict=True)])
    release = mechanisms.gaussian(
        on_grid(exact, step),
        l2_sensitivity=grid_sensitivity(most * math.sqrt(len(views)), len(views), step),
        part="selection",
        mu_squared=mu_squared,
        label=label,
    )
    in_rows = step * data.n_rows / held
    return shrink_scores(release.values * in_rows, release.sigma * in_rows, most=2.0 * data.n_rows)


def shrink_scores(noisy: np.ndarray, sigma: float, *, most: float) -> np.ndarray:
    """Return scores pulled to their mean as far as noise explains their spread, within [0, most]; post-processing.

    Without it a wide table, whose scores are mostly noise, would choose the luckiest pairs.
    """
    middle = float(noisy.mean())
    spread = float(noisy.var())
    keep = max(0.0, 1.0 - sigma**2 / spread) if spread > 0 else 0.0
    return np.clip(middle + keep * (noisy - middle), 0.0, most)


def choose_views(
    data: Encoded,
    views: Sequence[View],
    scores: np.ndarray,
    live: Sequence[np.ndarray],
    *,
    mu_squared: float,
    unit: float,
    likely: Sequence[int] = (),
) -> list[tuple[View, float]]:
    """Return the views to buy and the μ² of each, every set of attributes at one resolution; empty if none pays.

    Args:
      live: see `live_codes`; noise in a cell of which it is known that it is empty does no harm, and is not counted.
      unit: see `number_of_groups`.
      likely: see `likely_targets`.
    """
    stress = emphasis(data, likely)
    chosen = allocate(
        scores,
        np.array([live_cells(view, live) for view in views], dtype=np.float64),
        k=unit,
        mu_squared=mu_squared,
        weights=np.array([stress[list(view.attributes)].max() for view in views]),
        of=[view.attributes for view in views],
        at_most=max(MIN_TABLES, TABLES_PER_ATTRIBUTE * len(data.sizes)),
    )
    return [(views[r], price) for r, price in sorted(chosen.items())]


def live_codes(one_way: Sequence[Measured]) -> list[np.ndarray]:
    """Return for each attribute (size,) booleans: a code that stands above its noise; post-processing.

    NULL and OTHER are codes of every column that may have them, and mostly nobody does.
    """
    return [np.asarray(table.counts).ravel() > LIVE_SIGMAS * np.asarray(table.sigma).ravel() for table in one_way]


def live_cells(view: View, live: Sequence[np.ndarray]) -> int:
    """Return the number of cells of a view in which there may be rows."""
    groups = (len(np.unique(group[live[a]])) for a, group in zip(view.attributes, view.groups, strict=True))
    return math.prod(max(n, 1) for n in groups)


def allocate(
    scores: np.ndarray,
    cells: np.ndarray,
    *,
    k: float,
    mu_squared: float,
    weights: np.ndarray | None = None,
    of: Sequence[object] | None = None,
    at_most: int | None = None,
) -> dict[int, float]:
    """Return which tables to buy and the μ² of each, or nothing if none pays; a pure function of noisy scores.

    Args:
      scores: (r,) noisy L1 error if the table is not bought, in rows.
      cells: (r,) number of cells.
      weights: (r,) how much an error in each table counts, one each if None.
      of: (r,) what each table is a resolution of; one resolution of a thing is bought, each its own if None.
      at_most: how many tables to buy at most.
    """
    weight = np.ones(len(scores)) if weights is None else weights
    price = (MEAN_ABS_NORMAL * k * weight * cells) ** (2 / 3)
    steps = _steps(weight * scores, price, range(len(scores)) if of is None else of)
    order = sorted(steps, key=lambda step: (-step.gain / step.cost, step.table))[:at_most]
    gains = np.cumsum([step.gain for step in order])
    costs = np.cumsum([step.cost for step in order])
    value = gains - costs**1.5 / math.sqrt(mu_squared)
    best = int(np.argmax(value))
    if value[best] <= 0:
        return {}
    taken = [step.table for step in order[: best + 1]]
    chosen = sorted(set(taken) - {step.instead_of for step in order[: best + 1]})
    total = float(price[chosen].sum())
    return {r: mu_squared * (1 - 1e-9) * float(price[r]) / total for r in chosen}


@dataclass(frozen=True)
class _Step:
    """To buy a table, or a finer one instead of a coarser one; each thing's steps get ever worse per cost."""

    table: int
    gain: float
    cost: float
    instead_of: int | None


def _steps(score: np.ndarray, price: np.ndarray, of: Sequence[object]) -> list[_Step]:
    """Return the steps along the upper hull of each thing's (price, score), so that a greedy prefix is the best set."""
    resolutions: dict[object, list[int]] = {}
    for r in np.lexsort((-score, price)).tolist():
        resolutions.setdefault(of[r], []).append(r)
    steps: list[_Step] = []
    for candidates in resolutions.values():
        hull: list[_Step] = []
        for r in candidates:
            if hull and score[r] <= score[hull[-1].table]:
                continue
            while True:
                last = hull[-1].table if hull else None
                gain = float(score[r] - (score[last] if hull else 0.0))
                cost = float(price[r] - (price[last] if hull else 0.0))
                if hull and gain * hull[-1].cost >= hull[-1].gain * cost:
                    hull.pop()
                    continue
                break
            hull.append(_Step(r, gain, cost, last))
        steps += hull
    return steps

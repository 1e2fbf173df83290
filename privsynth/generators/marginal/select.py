"""Select: which marginals to measure and at what price; in two rounds, the second where the first model is wrong.

Round one scores pairs of attributes by their noisy distance from independence, in fine and coarse resolution. Round two
scores pairs and triples by their distance from the mixture that was fitted to round one, as AIM does (McKenna et al.
2022), but in one Gaussian release. Both select by one closed form, a pure function of noisy scores.

Where rows follow from other rows, as in linked tables, there are hundreds of pairs, of which a few depend much. There
squares of errors count (see `resolution.allocation`), scores are shrunk to how they are spread, and all attributes
weigh alike: a pair that is lost is seen at once, and hundreds that are a little better for it are not.

Where codes group, most entries of a fine table hold fewer rows than its noise, and the one-way tables bound what noise
can do there. So only what these leave open of a pair is counted as noise, and prices grow as entries do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from itertools import combinations

import numpy as np

from privsynth.codecs.contingency import (
    Marginal,
    count_tables,
    full_marginal,
)
from privsynth.codecs.encoded_table import Encoded
from privsynth.generators.marginal.clip_units import count_weighed, weigh_rows
from privsynth.generators.marginal.measure import Measurement, error_weights
from privsynth.generators.marginal.resolution.allocation import (
    MEAN_ABS_NORMAL,
    SQUARES,
    SUMS,
    allocate,
    chance_distance,
    shrink_scores,
    shrink_to_spread,
)
from privsynth.generators.marginal.resolution.coarsening import Coarsening
from privsynth.generators.nil_codes import never_drawn
from privsynth.privacy.budget import ROUNDING
from privsynth.privacy.mechanisms import Mechanisms, grid_sensitivity, on_grid

Priced = tuple[Marginal, float]  # a marginal and the μ² that its measurement costs

SCORE_STEP = 2.0**-8  # rows: the grid of scores; far finer than their noise
WEIGHT_PRICE = 0.06  # of the budget of scores, for how much rows weigh where a unit has several: it is one number
MAX_PAIRS = 50_000  # bounds time and memory: all pairs of some 316 attributes
MAX_ENTRIES = 250_000  # of a table in full: beyond, a coarse one says more for the price
TWO_RESOLUTIONS_PAIRS = 1_000  # with more pairs a second score of each would drown in its own noise
AGAIN_PAIRS, TRIPLES = 300, 500  # that round two scores: noise of a score grows with the root of their number
MIN_TABLES, TABLES_PER_ATTRIBUTE = 300, 2  # selected at most, the larger of the two: the fit takes time for each
SHORT, SHORT_TABLE = 6, 256  # codes of a target, and entries of a table with it that comes in full only
ROWS_PER_ENTRY_SIGMA = 12.0  # of a coarse entry of average size: it stands clear of its noise
PRESENT_SIGMAS = 1.0  # above which a code may well have rows; most that have none lie below
PAIR_GROUPS, TRIPLE_GROUPS = (5, 16), (4, 12)  # least and most groups of an attribute; by trial, like the next line
PAIR_FINENESS, TRIPLE_FINENESS = 0.4, 0.6  # of the affordable number of groups that is used
# With a prior: bins, as many as a column that is bought may have, and the part of one below which categories join.
AFFORDABLE_GROUPS, LIGHT = (8, 32), 0.25
PARTNERS = 12  # third attributes tried beside each strong pair: bounds the search


def number_of_groups(n_rows: float, mu_squared: float, *, width: int, sensitivity: float) -> int:
    """Return how many groups an attribute has in coarse marginals over `width` attributes; from public facts.

    Args:
      n_rows: the paid number of rows, or a guess.
      mu_squared: of all measured tables together.
      sensitivity: rows by which a unit moved the last measured tables (see `effective_sensitivity`).
    """
    noise = sensitivity / max(mu_squared, 1e-12) ** 0.5
    affordable = (n_rows / noise / ROWS_PER_ENTRY_SIGMA) ** (1 / width)
    fineness, bounds = (PAIR_FINENESS, PAIR_GROUPS) if width == 2 else (TRIPLE_FINENESS, TRIPLE_GROUPS)
    return int(np.clip(affordable * fineness, *bounds))


def affordable_groups(
    data: Encoded, shares: Sequence[np.ndarray], mu_squared: float, *, sensitivity: float
) -> list[np.ndarray]:
    """Return for each attribute (size,) groups of its codes, as fine as the columns would have been bought.

    A prior tells more bins and rarer categories than the budget could; in tables that are bought they would cost more
    than they say. Categories lighter than a part of such a bin are one group.

    Args:
      mu_squared, sensitivity: see `number_of_groups`.
    """
    noise = sensitivity / max(mu_squared, 1e-12) ** 0.5
    bins = int(np.clip((data.n_rows / noise / ROWS_PER_ENTRY_SIGMA) ** 0.5, *AFFORDABLE_GROUPS))
    coarsening = Coarsening(data, shares)
    found = []
    for a, share in enumerate(shares):
        most = bins + 1 if data.attributes[a].ordered else int((share[:-1] * bins > LIGHT).sum()) + 2
        found.append(coarsening.groups(a, max(most, 3)) if len(share) > 3 else np.arange(len(share)))
    return found


def _finest(sizes: Sequence[int], pair: tuple[int, ...], finest: Sequence[np.ndarray] | None) -> Marginal:
    """Return the finest marginal of a pair that may be bought."""
    return full_marginal(sizes, pair) if finest is None else Marginal(pair, tuple(finest[a] for a in pair))


def candidate_pairs(
    data: Encoded,
    shares: Sequence[np.ndarray],
    *,
    groups: int,
    likely: Sequence[int] = (),
    finest: Sequence[np.ndarray] | None = None,
) -> list[Marginal]:
    """Return the candidates of round one: pairs in full where the table is not too large, by code books, and coarse.

    With a target of few codes only in full: such a table is short however fine it is, and where along the other
    attribute the target changes is what predictors need. Of codes that group and an attribute of few codes only as
    finely as a table is ever cut: one code in a group may belong to one sex. Where the budget tells no more than the
    least number of groups apart, such a table would take the place of others, and is offered coarsely, too.

    A function of sizes, `likely` and noisy one-way shares alone.

    Args:
      likely: see `likely_targets`.
      finest: for each attribute the finest groups that are counted; every code apart if None.
    """
    sizes = data.sizes
    short = {a for a in likely if sizes[a] <= SHORT}
    pairs = [pair for pair in combinations(range(len(sizes)), 2) if not data.given.issuperset(pair)]
    if len(pairs) > MAX_PAIRS:
        pairs = sorted(pairs, key=lambda pair: (sizes[pair[0]] * sizes[pair[1]], pair))[:MAX_PAIRS]
    coarsening = Coarsening(data, shares)
    both = len(pairs) <= TWO_RESOLUTIONS_PAIRS
    clear = both and groups > PAIR_GROUPS[0]
    marginals = []
    for i, j in pairs:
        if clear and min(sizes[i], sizes[j]) <= SHORT and coarsening.has_tree(i) != coarsening.has_tree(j):
            marginals.append(coarsening.finest((i, j), groups))
            continue
        fine, rough = _finest(sizes, (i, j), finest), coarsening.marginal((i, j), (groups, groups))
        if fine.size <= MAX_ENTRIES and (both or not rough.is_coarse):
            marginals.append(fine)
        if both:
            marginals += coarsening.between((i, j), groups)
        if rough.is_coarse and (short.isdisjoint((i, j)) or fine.size > SHORT_TABLE or not both):
            marginals.append(rough)
    return marginals


def second_round_candidates(
    data: Encoded,
    shares: Sequence[np.ndarray],
    first: Sequence[Marginal],
    scores: np.ndarray,
    *,
    groups: int,
    likely: Sequence[int] = (),
    finest: Sequence[np.ndarray] | None = None,
) -> list[Marginal]:
    """Return the candidates of round two: pairs and triples, those whose pairs scored highest in round one.

    Args:
      first, scores: what round one scored; noisy, so this is post-processing.
      likely, finest: see `candidate_pairs`.
    """
    sizes = data.sizes
    importance = error_weights(data, likely)
    best: dict[tuple[int, ...], float] = {}
    for marginal, score in zip(first, scores, strict=True):
        best[marginal.attributes] = max(best.get(marginal.attributes, -math.inf), float(score))
    weighted = {pair: score * importance[list(pair)].max() for pair, score in best.items()}
    ranked = sorted(weighted, key=lambda pair: (-weighted[pair], pair))
    pairs = [pair for pair in ranked if sizes[pair[0]] * sizes[pair[1]] <= MAX_ENTRIES][:AGAIN_PAIRS]
    coarsening = Coarsening(data, shares)
    triples = [triple for triple in _triples(len(sizes), weighted) if not data.given.issuperset(triple)]
    fine = [_finest(sizes, pair, finest) for pair in sorted(pairs)]
    between = [marginal for pair in sorted(pairs) for marginal in coarsening.between(pair, groups)]
    return [*fine, *between] + [coarsening.marginal(triple, [groups] * 3) for triple in triples]


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
        for other in np.argsort(-(matrix[i] + matrix[j]), kind="stable")[:PARTNERS].tolist():
            if other not in (i, j):
                triple = tuple(sorted((i, j, other)))
                found[triple] = float(matrix[i, j] + matrix[i, other] + matrix[j, other])
    return sorted(sorted(found, key=lambda triple: (-found[triple], triple))[:TRIPLES])


def score_marginals(
    data: Encoded,
    marginals: Sequence[Marginal],
    model_table: Callable[[Marginal], np.ndarray],
    mechanisms: Mechanisms,
    *,
    mu_squared: float,
    label: str,
) -> tuple[np.ndarray, float]:
    """Return (marginals,) noisy L1 distances of the tables from a model's, in rows, shrunk towards their mean; and the
    standard deviation of their noise.

    Args:
      model_table: the model's table of a marginal, as shares.
    Guarantee: Gaussian releases of part "selection", which add up to `mu_squared`. A row moves one entry of a table by
      its weight, so a unit moves each distance by at most what its rows weigh together (1 where a unit has one row,
      else see `clip_units.weigh_rows`), and all of them by √marginals times that in L2; the grid's rounding is added.
    """
    most, held, step = 1.0, data.n_rows, SCORE_STEP
    if data.max_rows_per_unit > 1:
        price = mu_squared * WEIGHT_PRICE
        most, held = weigh_rows(data, mechanisms, part="selection", mu_squared=price)
        mu_squared, step = mu_squared - price, 1.0
    count = count_weighed if data.max_rows_per_unit > 1 else count_tables
    counts = data.add_up(partial(count, marginals=tuple(marginals)))
    exact = np.array(
        [np.abs(n - held * model_table(marginal)).sum() for n, marginal in zip(counts, marginals, strict=True)]
    )
    release = mechanisms.gaussian(
        on_grid(exact, step),
        l2_sensitivity=grid_sensitivity(most * math.sqrt(len(marginals)), len(marginals), step),
        part="selection",
        mu_squared=mu_squared,
        label=label,
    )
    in_rows = step * data.n_rows / held
    sigma = release.sigma * in_rows
    noisy, most_rows = release.values * in_rows, 2.0 * data.n_rows
    if not data.given:
        return shrink_scores(noisy, sigma, most=most_rows), sigma
    chance = np.array([chance_distance(model_table(marginal), n_rows=data.n_rows) for marginal in marginals])
    return chance + shrink_to_spread(noisy - chance, sigma, most=most_rows), sigma


def select_marginals(
    data: Encoded,
    marginals: Sequence[Marginal],
    scores: np.ndarray,
    one_way: Sequence[Measurement],
    *,
    mu_squared: float,
    sensitivity: float,
    likely: Sequence[int] = (),
) -> list[Priced]:
    """Return the marginals to measure and the μ² of each, one resolution of each set of attributes; empty if none pays.

    Args:
      one_way: noisy tables; noise in an entry known to be empty does no harm, and is not counted.
      sensitivity: see `number_of_groups`.
      likely: see `likely_targets`.
    """
    present = present_codes(data, one_way)
    importance = np.ones(len(data.sizes)) if data.given else error_weights(data, likely)
    entries = np.array([present_size(marginal, present) for marginal in marginals], dtype=np.float64)
    weights = np.array([importance[list(marginal.attributes)].max() for marginal in marginals])
    shares = [np.maximum(np.asarray(table.counts).ravel(), 0.0) / data.n_rows for table in one_way]
    if data.books or data.given:
        chance = chance_distances(marginals, shares, n_rows=data.n_rows)
        scores = np.sqrt(np.maximum(scores**2 - chance**2, 0.0)) if data.given else explained(marginals, scores, chance)
    chosen = allocate(
        scores,
        np.array([open_entries(marginal, present) for marginal in marginals]) if data.books or data.given else entries,
        sensitivity=sensitivity,
        mu_squared=mu_squared,
        weights=weights,
        resolution_of=[marginal.attributes for marginal in marginals],
        at_most=max(MIN_TABLES, TABLES_PER_ATTRIBUTE * len(data.sizes)),
        power=SQUARES if data.given else SUMS,
    )
    if data.books and not data.given:
        total = float((weights * entries)[list(chosen)].sum())
        chosen = {r: mu_squared * ROUNDING * float(weights[r] * entries[r]) / total for r in chosen}
    return [(marginals[r], price) for r, price in sorted(chosen.items())]


def explained(marginals: Sequence[Marginal], scores: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """Return (r,) how much of a distance each table would take away, were it known; a pure function of noisy scores.

    A coarse table knows nothing of what is inside its groups. Squared distances add up, as variances do: of a distance
    f in the finest table one that sees s of it leaves √(f² − s²), which is far more than f − s. What chance alone makes
    of a distance is none of it.

    Args:
      scores: (r,) noisy L1 distances, in rows.
      chance: (r,) L1 distances that a sample has from its own distribution, in rows.
    """
    own = np.sqrt(np.maximum(scores**2 - chance**2, 0.0))
    finest: dict[tuple[int, ...], int] = {}
    for r, marginal in enumerate(marginals):
        best = finest.setdefault(marginal.attributes, r)
        if own[r] > own[best]:
            finest[marginal.attributes] = r
    at = np.array([finest[marginal.attributes] for marginal in marginals], dtype=np.int64)
    seen = own / np.maximum(own[at], 1e-12)
    return np.where(own[at] > 0, scores[at] * (1.0 - np.sqrt(np.maximum(1.0 - seen**2, 0.0))), scores)


def chance_distances(marginals: Sequence[Marginal], shares: Sequence[np.ndarray], *, n_rows: float) -> np.ndarray:
    """Return (r,) expected L1 distances of tables of so many independent rows from their shares, in rows.

    Args:
      shares: noisy one-way shares of the codes.
    """
    found = []
    for marginal in marginals:
        axes = zip(marginal.attributes, marginal.groups, strict=True)
        roots = [np.sqrt(np.maximum(np.bincount(group, weights=shares[a]), 0.0)).sum() for a, group in axes]
        found.append(MEAN_ABS_NORMAL * math.sqrt(n_rows) * math.prod(roots))
    return np.array(found)


def present_codes(data: Encoded, one_way: Sequence[Measurement]) -> list[np.ndarray]:
    """Return for each attribute (size,) booleans: a code that can be drawn, above its noise; post-processing.

    NULL and OTHER are codes of every column that may have them, and mostly no row does.
    """
    present = []
    for attribute, table in zip(data.attributes, one_way, strict=True):
        above = np.asarray(table.counts).ravel() > PRESENT_SIGMAS * np.asarray(table.sigma).ravel()
        above[never_drawn(attribute)] = False
        present.append(above)
    return present


def present_size(marginal: Marginal, present: Sequence[np.ndarray]) -> int:
    """Return the number of entries of a marginal's table in which there may be rows."""
    return math.prod(_present_groups(marginal, present))


def open_entries(marginal: Marginal, present: Sequence[np.ndarray]) -> float:
    """Return how many of these entries of a pair are not known once all others and the one-way tables are.

    Of three attributes all entries count: their pairs need not be known.
    """
    groups = _present_groups(marginal, present)
    return float(math.prod(max(n - 1, 1) for n in groups) if len(groups) == 2 else math.prod(groups))


def _present_groups(marginal: Marginal, present: Sequence[np.ndarray]) -> list[int]:
    """Return for each attribute how many groups of codes may have rows, at least one."""
    axes = zip(marginal.attributes, marginal.groups, strict=True)
    return [max(len(np.unique(group[present[a]])), 1) for a, group in axes]

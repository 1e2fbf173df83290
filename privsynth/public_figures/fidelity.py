"""Noisy distances between real and synthetic marginals of one, two and three columns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product
from typing import Any

import numpy as np
from scipy.special import ndtri

from privsynth.codecs.contingency import Marginal, contingency_tables, full_marginal, levels_of, tables_of
from privsynth.codecs.encoded_table import Encoded
from privsynth.findings.finding import Finding
from privsynth.findings.severity import ALPHA, MISPLACED, judged
from privsynth.privacy.mechanisms import Mechanisms, grid_sensitivity, on_grid
from privsynth.public_figures.inputs import ALONE, Alike, PaidInputs
from privsynth.public_figures.noisy_table import SOURCE, USELESS, WHAT_HELPS, paid_figure
from privsynth.stats.intervals import Interval

MAX_TABLES = 300  # pairs in a mean, and half as many triples; bounds the time (own)
MAX_CELLS = 1 << 22  # bins of a contingency table that is counted: 32 MiB of int64 (own)
STEP = 2.0**-8  # rows: the grid of the released distances, a power of two so that noise in whole steps is exact
MAX_TIES = (
    5  # pairs whose distance is released, besides one of the target: with each more, the noise of all grows (own)
)
MAX_PAIRS = 2_000  # pairs among which the strongest ties are looked for; bounds the time (own)
# E|X| of a standard normal is √(2/π); half of it, times √count, is what chance adds to an entry's part of a distance.
CHANCE = 0.5 * math.sqrt(2 / math.pi)
# A tie is kept if the table lies, at the far end of its interval and beyond chance, at most so far from the real one,
# as a share of how far unrelated columns would be (own): the real rows then show at least half of it.
KEPT = 0.5
# Of the strength of a tie in single codes that it must have in groups of them to be judged there (own): chance leaves
# about so much of it in doubt.
IN_GROUPS = 0.9
ONE_VALUE = 2  # codes of an attribute with one bin of values and one for missing cells


def mean_findings(
    data: Encoded, synthetic: np.ndarray, mechanisms: Mechanisms, *, mu_squared: float, rng: np.random.Generator
) -> list[Finding]:
    """Return the mean distance of single columns, pairs and triples, over columns with at least two known values.

    Guarantee: one Gaussian release of `mu_squared` of the part "report".
    """
    sizes = data.sizes
    told = [i for i, size in enumerate(sizes) if size > ONE_VALUE] or list(range(len(sizes)))
    singles: list[tuple[int, ...]] = [(i,) for i in told]
    pairs = _some(list(combinations(told, 2)), MAX_TABLES, rng)
    triples = [tuple(told[i] for i in triple) for triple in _some_triples(len(told), MAX_TABLES // 2, rng)]
    lists = {
        ("tvd_1way_mean", "single columns"): singles,
        ("tvd_2way_mean", "pairs of columns"): pairs,
        ("tvd_3way_mean", "triples of columns"): triples,
    }
    lists = {words: _countable(sizes, tables) for words, tables in lists.items()}
    lists = {words: tables for words, tables in lists.items() if tables}
    full = [[full_marginal(sizes, table) for table in tables] for tables in lists.values()]
    means = np.array([_distances(data, synthetic, marginals).mean() for marginals in full])
    rows, sigma = _release(data, mechanisms, means, mu_squared, "mean distances of 1-, 2- and 3-way tables")
    left = len(sizes) - len(told)
    note = f" {left} of {len(sizes)} have only one category or bin and are left out." if left else ""
    return [
        _distance_finding(name, "", value, sigma, data, words, note, useless=max(sizes) <= ONE_VALUE)
        for (name, words), value in zip(lists, rows, strict=True)
    ]


def column_findings(
    data: Encoded, synthetic: np.ndarray, mechanisms: Mechanisms, *, mu_squared: float
) -> list[Finding]:
    """Return the distance of each column.

    Guarantee: one Gaussian release of `mu_squared` of the part "report".
    """
    marginals = [full_marginal(data.sizes, (i,)) for i in range(len(data.sizes))]
    distances = _distances(data, synthetic, marginals)
    rows, sigma = _release(data, mechanisms, distances, mu_squared, "distance of each column")
    chances = [_most_by_chance(counts, data) for counts in contingency_tables(synthetic, marginals)]
    return [
        _beyond_chance(_column_finding(i, value, sigma, data), chance, sigma / data.n_rows, len(rows))
        for i, (value, chance) in enumerate(zip(rows, chances, strict=True))
    ]


def tie_findings(
    inputs: PaidInputs, mechanisms: Mechanisms, *, mu_squared: float, rng: np.random.Generator
) -> list[Finding]:
    """Return the distance of the pairs of columns that are most strongly tied in the synthetic rows.

    Each is beside the distance that the same pair would have if its columns were unrelated: that much of the tie is at
    stake. Which pairs, and in which groups of their codes, is a function of the synthetic rows alone.

    Guarantee: one Gaussian release of `mu_squared` of the part "report".
    """
    data, synthetic = inputs.data, inputs.synthetic
    ties = strongest_ties(inputs, rng)
    if not ties:
        return []
    distances = _distances(data, synthetic, [tie.marginal for tie in ties.values()])
    rows, sigma = _release(data, mechanisms, distances, mu_squared, "distance of the strongest ties")
    return [
        _beyond_chance(
            _tie_finding(value, tie, sigma, data, joined_of(inputs, tie.marginal)),
            tie.most_chance,
            sigma / data.n_rows,
            len(rows),
        )
        for value, tie in zip(rows, ties.values(), strict=True)
    ]


def joined_of(inputs: PaidInputs, marginal: Marginal) -> list[dict[str, Any]]:
    """Return at which level each column of a pair was judged whose codes are joined, as `tie_distance` tells it.

    NULL, the last code, is a group of its own, and not counted.
    """
    return [
        {"place": place, "groups": shape - 1, "codes": len(groups) - 1, "level": inputs.level_of(attribute, groups)}
        for place, (attribute, groups, shape) in enumerate(
            zip(marginal.attributes, marginal.groups, marginal.shape, strict=True)
        )
        if shape < len(groups)
    ]


def _most_by_chance(counts: np.ndarray, data: Encoded) -> float:
    """Return how far the real rows would be from the synthetic shares by chance, if all rows of a unit are alike."""
    return _by_chance(counts / max(float(counts.sum()), 1.0), data.n_rows / data.max_rows_per_unit)


def _beyond_chance(finding: Finding, chance: float, sigma: float, shared: int) -> Finding:
    """Return a paid distance with its verdict: what lies beyond the noise and beyond chance counts."""
    if finding.value is None:
        return finding
    half = float(ndtri(1 - ALPHA / 2 / shared)) * sigma
    low, high = finding.value - half, finding.value + half
    told = judged(finding, Interval(finding.value - chance, low - chance, high - chance), MISPLACED)
    more = " At this budget the noise hides whether it is near: " + WHAT_HELPS if told.verdict == "insufficient" else ""
    return replace(told, meaning=told.meaning + more)


@dataclass(frozen=True)
class PairTie:
    """How strongly two columns are tied in the synthetic rows.

    Attributes:
      marginal: of the two, perhaps in groups of codes.
      strength: how far their table is from that of unrelated columns with the same shares, less what chance would give.
      chance: how far a table of as many real rows would be from the synthetic one by chance alone, at the least: if
        rows of a unit are no more alike than others.
      most_chance: at the most: if they are all alike.
    """

    marginal: Marginal
    strength: float
    chance: float
    most_chance: float


def strongest_ties(inputs: PaidInputs, rng: np.random.Generator) -> dict[tuple[int, ...], PairTie]:
    """Return pairs of attributes -> their ties: the `MAX_TIES` strongest, and the strongest of the target.

    A function of the synthetic rows and the released number of rows.
    """
    data, synthetic = inputs.data, inputs.synthetic
    sizes = data.sizes
    told = [i for i, size in enumerate(sizes) if size > ONE_VALUE]
    pairs = [pair for pair in combinations(told, 2) if len({data.columns[a] for a in pair}) == len(pair)]
    tables = _countable(sizes, _some(list[tuple[int, ...]](pairs), MAX_PAIRS, rng))
    marginals = [full_marginal(sizes, table) for table in tables]
    found = {
        marginal.attributes: tie_of(marginal, counts, data.n_rows, inputs.alike)
        for marginal, counts in zip(marginals, contingency_tables(synthetic, marginals), strict=True)
    }
    ranked = sorted((pair for pair in found if found[pair].strength > 0), key=lambda pair: -found[pair].strength)
    target = inputs.single_attribute([inputs.target] if inputs.target else []).values()
    own = [pair for pair in ranked if set(pair) & set(target)]
    shown = dict.fromkeys([*ranked[:MAX_TIES], *own[:1]])
    return {pair: in_groups(data, found[pair], synthetic, inputs.alike) for pair in shown}


def in_groups(data: Encoded, tie: PairTie, synthetic: np.ndarray, alike: Alike = ALONE) -> PairTie:
    """Return a tie as it is in the coarsest declared groups of codes that have nearly all of it.

    Below the level at which tables could be bought the synthetic rows know no tie, only noise: what the columns have to
    do with each other is judged where it was learned. Uses public fields of `data` only.
    """
    pair = tie.marginal.attributes
    axes = [[*levels_of(data, a), np.arange(data.sizes[a])] for a in pair]
    marginals = [Marginal(pair, groups) for groups in product(*axes)]
    ties = [
        tie_of(marginal, counts, data.n_rows, alike)
        for marginal, counts in zip(marginals, contingency_tables(synthetic, marginals), strict=True)
    ]
    full = [one for one in ties if one.strength >= IN_GROUPS * tie.strength]
    return min(full, key=lambda one: one.marginal.size, default=tie)


def tie_of(marginal: Marginal, counts: np.ndarray, n_rows: float, alike: Alike = ALONE) -> PairTie:
    """Return the tie in a pair's table of the synthetic rows, if the real one has so many rows.

    How alike rows of a unit are in columns that may differ in them nobody knows: what chance does has two ends.
    """
    n = max(float(counts.sum()), 1.0)
    constant = alike.constant.issuperset(marginal.attributes)
    shares, unrelated = counts / n, np.outer(counts.sum(axis=1), counts.sum(axis=0)) / n**2
    by_chance = _by_chance(unrelated, n / alike.synthetic if constant else n)
    strength = max(0.5 * float(np.abs(shares - unrelated).sum()) - by_chance, 0.0)
    most = _by_chance(shares, n_rows / alike.real)
    return PairTie(marginal, strength, most if constant else _by_chance(shares, n_rows), most)


def _by_chance(shares: np.ndarray, n: float) -> float:
    """Return the mean distance between shares and those of n rows drawn from them.

    The count of an entry is nearly normal where it is large; where it is small, it differs by twice its mean at most.
    """
    return float(np.minimum(CHANCE * np.sqrt(shares * (1 - shares) / max(n, 1.0)), shares).sum())


def kept(tie: Finding) -> bool | None:
    """Return whether a tie of the synthetic rows is one of the real rows; None where noise hides it."""
    if tie.value is None or tie.baseline is None or tie.low is None or tie.high is None:
        return None
    chance = float(tie.detail.get("by_chance", 0.0))
    most_chance = float(tie.detail.get("by_chance_at_most", chance))
    if chance > tie.baseline:  # too many entries for so few rows
        return None
    if tie.high <= KEPT * tie.baseline + chance:
        return True
    return False if tie.low > KEPT * tie.baseline + most_chance else None


def _release(
    data: Encoded, mechanisms: Mechanisms, distances: np.ndarray, mu_squared: float, label: str
) -> tuple[list[float], float]:
    """Return noisy distances in rows and their standard deviation: a unit moves each of them by at most k/2."""
    size = len(distances)
    release = mechanisms.gaussian(
        on_grid(distances, STEP),
        l2_sensitivity=grid_sensitivity(data.max_rows_per_unit / 2 * math.sqrt(size), size, STEP),
        part="report",
        mu_squared=mu_squared,
        label=label,
    )
    return [float(value) for value in release.values * STEP], release.sigma * STEP


def _some(tables: list[tuple[int, ...]], most: int, rng: np.random.Generator) -> list[tuple[int, ...]]:
    if len(tables) <= most:
        return tables
    return [tables[i] for i in sorted(rng.choice(len(tables), size=most, replace=False).tolist())]


def _some_triples(count: int, most: int, rng: np.random.Generator) -> list[tuple[int, ...]]:
    if math.comb(count, 3) <= most:
        return list(combinations(range(count), 3))
    drawn = {tuple(sorted(rng.choice(count, size=3, replace=False).tolist())) for _ in range(most)}
    return sorted(drawn)


def _distances(data: Encoded, synthetic: np.ndarray, marginals: Sequence[Marginal]) -> np.ndarray:
    """Return (marginals,) distances ½·Σ|c − N̂·s| in rows; private until released."""
    scale = data.n_rows / max(synthetic.shape[1], 1)
    both = zip(tables_of(data, marginals), contingency_tables(synthetic, marginals), strict=True)
    return np.array([0.5 * np.abs(real - scale * fake).sum() for real, fake in both])


def _countable(sizes: list[int], tables: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Return the marginals of at most `MAX_CELLS` bins; sizes are public."""
    return [table for table in tables if math.prod(sizes[a] for a in table) <= MAX_CELLS]


def _column_finding(i: int, rows: float, sigma: float, data: Encoded) -> Finding:
    """Return the distance of a column; no figure where the run knows one cell of values, whatever they are."""
    attribute = data.attributes[i]
    one = attribute.size <= ONE_VALUE
    note = " All its values are in one category or bin, so only missing cells could be compared." if one else ""
    if attribute.ordered and not one:
        note = (
            f" It is measured in {attribute.size - 1} bins and does not see where in a bin values lie: a mean, and "
            "still more a maximum, can be far off at a distance of 0."
        )
    return _distance_finding("tvd_1way", attribute.name, rows, sigma, data, "this column", note, useless=one)


def _tie_finding(
    rows: float, tie: PairTie, sigma: float, data: Encoded, joined: Sequence[dict[str, Any]] = ()
) -> Finding:
    names = [data.attributes[a].name for a in tie.marginal.attributes]
    levels = [f"{names[one['place']]} in {one['groups']} groups" for one in joined]
    note = (
        f" It was judged with {' and '.join(levels)}, as was declared, which have the tie; single codes may show none "
        "of it."
        if joined
        else ""
    )
    value, half = rows / data.n_rows, 1.96 * sigma / data.n_rows
    low, high = max(value - half, 0.0), min(max(value + half, 0.0), 1.0)
    return paid_figure(
        family="fidelity",
        name="tie_distance",
        group=" × ".join(names),
        value=min(max(value, 0.0), 1.0),
        low=min(low, 1.0),
        high=high,
        useless=2 * half > USELESS,
        n=round(data.n_rows),
        baseline=tie.strength,
        baseline_label="if the columns were unrelated",
        better="lower",
        meaning="Share of rows that would have to change for this pair of columns, one of the most strongly tied in "
        "the synthetic rows, to be distributed as in the real table. The tie is kept if this is far below what "
        f"unrelated columns would have; about {_spread(tie)} of it is chance, for so many rows. The interval covers "
        f"the noise of the release.{note}",
        source=SOURCE,
        detail={"by_chance": tie.chance}
        | ({"joined": list(joined)} if joined else {})
        | ({"by_chance_at_most": tie.most_chance} if tie.most_chance > tie.chance else {}),
    )


def _spread(tie: PairTie) -> str:
    least, most = f"{tie.chance:.3f}", f"{tie.most_chance:.3f}"
    return least if least == most else f"{least} to {most}, as rows of a unit are more or less alike,"


def _distance_finding(
    name: str, group: str, rows: float, sigma: float, data: Encoded, what: str, note: str, *, useless: bool
) -> Finding:
    value, half = rows / data.n_rows, 1.96 * sigma / data.n_rows
    return paid_figure(
        family="fidelity",
        name=name,
        group=group,
        value=min(max(value, 0.0), 1.0),
        low=min(max(value - half, 0.0), 1.0),
        high=min(max(value + half, 0.0), 1.0),
        useless=useless or 2 * half > USELESS,
        n=round(data.n_rows),
        better="lower",
        meaning=f"Share of rows that would have to change category or bin for {what} to be distributed as in the real "
        f"table; 0 is a perfect match at this resolution. The interval covers the noise of the release.{note}",
        source=SOURCE,
    )

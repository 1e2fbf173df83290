"""Numbers that nearly determine each other: which columns are coded by their distance from another one.

Split times, systolic and diastolic pressure, a bill and its payment: in tables of two such columns only a narrow band
holds rows, and bins as wide as a small budget allows blur it. Coded as a difference of ranks (see `TiedCodec`) the band
is one narrow histogram.

Which columns are near each other is one release: for each pair how often their ranks agree, less how often one rank
agrees with the other counted from above. A tree of the pairs that agree most decides, so that no column is coded by one
that it determines.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations, pairwise

import numpy as np
import pyarrow as pa

from privsynth.codecs.bins import Bins
from privsynth.codecs.columns import ColumnCodec, NumberCodec, TiedCodec
from privsynth.codecs.columns.tied import RANKS, ranks
from privsynth.codecs.parse import Grid
from privsynth.codecs.parsed_table import ParsedTable
from privsynth.partitions.marks import SIDE, STEPS, TRAINING, on_side, weights
from privsynth.partitions.rows import PrivateRows
from privsynth.privacy.mechanisms import Mechanisms
from privsynth.privacy.unit_weights import Weighting

WITHIN = 0.25  # ranks agree up to this distance, the nearer the more: half of what independent ranks keep, so that
# ties stand out from chance about twice as clearly as by their mean distance
BY_CHANCE = WITHIN / 2  # of two ranks that agree from one side, how far they seem to from the other
NEAR = 0.45  # agreement from which a column is coded by another's: correlations above about .9; by trial
CLEAR = 0.05  # standard deviation of an agreement that is paid for: nine of them lie between nothing and `NEAR`
DULL = 0.1  # and with more than this nothing is asked: chance would tie two of 100 columns in one release of 30
MOST_OF_DOMAIN = 0.1  # of the domain's μ² (own): where ties cost more, they are too dear for what most tables have
MOST_COLUMNS = 100  # of numbers (own): some 5,000 pairs, each of which takes a pass over the rows
GRID = 1 << 10  # of ranks and of agreement, in steps to one
LEAST_SCALE, MOST_SCALE = 1 / RANKS, 1.0  # between which the scale of a difference is sought
LEAST_BINS, MOST_BINS = 9, 25  # of the difference of ranks: fewer are coarse, more are noise in its table; by trial
SEGMENTS = 4  # in each bin of the difference, so that values in the outer ones fall off within them too
TAIL_BINS = 2  # into which the outermost bin is halved on either side: the last is left about 1 % of the rows
MASS = 1e6  # of all segments together: their weights are saved with three decimals


@dataclass(frozen=True)
class Tie:
    """A column and the one that it is coded by.

    Attributes:
      column, near: indices among the columns in question.
      scale: of the difference of their ranks, as that of a Laplace distribution which agrees as often.
      falls: whether one falls as the other rises.
    """

    column: int
    near: int
    scale: float
    falls: bool


@dataclass(frozen=True, kw_only=True)
class TiesRequest:
    """Which columns are asked about, and what it costs; from public facts and released numbers.

    Attributes:
      names: columns of numbers that may be near each other.
      n_rows: the released number of rows.
      bins: about how many bins a difference gets.
      mu_squared: of part "domain"; zero if nothing is asked.
      sigma: standard deviation of an agreement.
    """

    names: tuple[str, ...]
    n_rows: float
    bins: int
    mu_squared: float = 0.0
    sigma: float = math.inf

    def priced(self, weighting: Weighting, mu_squared: float) -> TiesRequest:
        """Return the request with its price, of `mu_squared` for part "domain"."""
        if not 2 <= len(self.names) <= MOST_COLUMNS or mu_squared <= 0:
            return self
        rows = weighting.unit_weight * weighting.rows_per_step
        of_one = math.sqrt(math.comb(len(self.names), 2)) * rows / max(self.n_rows, 1.0)
        paid = min((of_one / CLEAR) ** 2, MOST_OF_DOMAIN * mu_squared)
        sigma = of_one / math.sqrt(paid)
        return replace(self, mu_squared=paid, sigma=sigma) if sigma <= DULL else self


def tie_numbers(
    codecs: list[ColumnCodec],
    parsed: PrivateRows,
    request: TiesRequest,
    weighting: Weighting,
    mechanisms: Mechanisms,
) -> list[ColumnCodec]:
    """Return the codecs, those of columns that lie near another tied to it.

    Guarantee: one Gaussian release of part "domain" at `request.mu_squared`. A row adds to each pair between minus one
      and one, times what it weighs; so a unit moves the release by √pairs of what its rows weigh together. What a row
      adds depends on released bins and its own cells alone.
    """
    if not request.mu_squared:
        return codecs
    numbers = [codec for codec in codecs if isinstance(codec, NumberCodec) and codec.name in request.names]
    pairs = list(combinations(range(len(numbers)), 2))
    needed = [*(codec.name for codec in numbers), SIDE, STEPS]
    release = mechanisms.gaussian(
        parsed.add_up(partial(agreements_of_part, numbers, pairs, weighting.weighed), needed),
        l2_sensitivity=math.sqrt(len(pairs)) * weighting.unit_weight * GRID,
        part="domain",
        mu_squared=request.mu_squared,
        label="agreement of the ranks of numbers",
    )
    in_rows = release.values.astype(np.float64) * weighting.rows_per_step / GRID
    bins = int(np.clip(request.bins, LEAST_BINS, MOST_BINS))
    tied: dict[str, ColumnCodec] = {}
    for tie in nearest(len(numbers), pairs, in_rows / max(request.n_rows, 1.0)):
        codec, other = numbers[tie.column], numbers[tie.near]
        if codec.endings is not None:  # they need the column's own bins
            continue
        tied[codec.name] = TiedCodec.of(codec, other, falls=tie.falls, apart=bins_apart(tie.scale, bins))
    return [tied.get(codec.name, codec) for codec in codecs]


def agreements_of_part(
    codecs: list[NumberCodec], pairs: list[tuple[int, int]], weighed: bool, part: pa.Table
) -> np.ndarray:
    """Return the agreements of the training rows of a part (see `agreements`). Private."""
    part = on_side(part, TRAINING)
    return agreements(codecs, ParsedTable.of_arrow(part), weights(part, weighed), pairs)


def agreements(
    codecs: list[NumberCodec], parsed: ParsedTable, weight: np.ndarray | None, pairs: list[tuple[int, int]]
) -> np.ndarray:
    """Return (pairs,) int64 sums over rows of how well two ranks agree, less how well one agrees with the other's rest.

    Each in steps of 1 / `GRID`, from −`GRID` to `GRID`, times what the row weighs. A row that lacks one of the values
    counts for nothing. Private.
    """
    rank, null = [], []
    for codec in codecs:
        column = parsed.columns[codec.name]
        assert isinstance(column, Grid)
        rank.append(np.floor(ranks(codec.bins, codec.bounded(column.steps)) * GRID).astype(np.int32))
        null.append(column.null if column.null.any() else None)
    slope, within = round(1 / WITHIN), int(WITHIN * GRID)
    out = np.empty(len(pairs), dtype=np.int64)
    for at, (i, j) in enumerate(pairs):
        values = np.minimum(np.abs(rank[i] + rank[j] + 1 - GRID), within)
        values -= np.minimum(np.abs(rank[i] - rank[j]), within)
        for missing in (null[i], null[j]):
            if missing is not None:
                values[missing] = 0
        values *= slope
        out[at] = int(values.sum(dtype=np.int64)) if weight is None else int(values.astype(np.int64) @ weight)
    return out


def nearest(columns: int, pairs: list[tuple[int, int]], agreement: np.ndarray) -> list[Tie]:
    """Return ties between near columns, no two of them a circle; a pure function of noisy agreements.

    The spanning forest of the pairs that agree most, from `NEAR` on (Kruskal 1956). In each tree the column from which
    the others are reached over the fewest pairs keeps its own bins, so that distances do not add up over a long chain.

    Args:
      agreement: (pairs,) from −1 to 1; below zero where one falls as the other rises.
    """
    clear = np.abs(agreement)
    tree = list(range(columns))  # which columns hang together
    links: dict[int, list[tuple[int, float, bool]]] = {c: [] for c in range(columns)}
    for at in np.argsort(-clear, kind="stable").tolist():
        i, j = pairs[at]
        if clear[at] < NEAR or tree[i] == tree[j]:
            continue
        old = tree[j]
        tree = [tree[i] if t == old else t for t in tree]
        link = (scale_of(float(clear[at])), bool(agreement[at] < 0))
        links[i].append((j, *link))
        links[j].append((i, *link))
    ties: list[Tie] = []
    for of in sorted(set(tree)):
        members = [c for c in range(columns) if tree[c] == of]
        ties += min((_from(root, links) for root in members), key=lambda found: (found[0], found[1]))[2]
    return ties


def _from(root: int, links: dict[int, list[tuple[int, float, bool]]]) -> tuple[int, int, list[Tie]]:
    """Return how many pairs the furthest column lies away from a root, the root, and the ties of its tree."""
    ties: list[Tie] = []
    depth, reached = 0, [(root, -1)]
    while reached:
        further = []
        for column, came_from in reached:
            for other, scale, falls in links[column]:
                if other != came_from:
                    ties.append(Tie(other, column, scale, falls))
                    further.append((other, column))
        depth, reached = depth + bool(further), further
    return depth, root, ties


def scale_of(agreement: float) -> float:
    """Return the scale of the Laplace distribution of differences of ranks that agree so well."""
    wanted = min(agreement + BY_CHANCE, 1.0)
    low, high = LEAST_SCALE, MOST_SCALE
    while high - low > LEAST_SCALE:
        middle = (low + high) / 2
        # E max(0, 1 − |x| / w) of a Laplace distribution of scale s is 1 − s (1 − exp(−w / s)) / w.
        agrees = 1 - middle * -math.expm1(-WITHIN / middle) / WITHIN
        low, high = (middle, high) if agrees > wanted else (low, middle)
    return high


def bins_apart(scale: float, bins: int) -> Bins:
    """Return bins for a difference of ranks, to hold equally many rows if it has a Laplace distribution of that scale.

    The outermost on either side is halved `TAIL_BINS` times, and within the last of these density falls off: a few rows
    that lie far apart must not spread over all that ranks can differ.
    """
    bins += 1 - bins % 2  # an odd number: the middle bin is about zero
    outer = 2 / bins * 0.5 ** np.arange(TAIL_BINS + 1)  # share of the rows of one side that lies beyond
    edges = np.concatenate([np.arange(1, bins - 2, 2) / bins, 1 - outer])
    inside = [np.linspace(a, b, SEGMENTS, endpoint=False) for a, b in pairwise([0.0, *edges])]
    fine = np.concatenate([*inside, 1 - outer[-1] * 0.5 ** np.arange(SEGMENTS)])[1:]

    def starts(share: np.ndarray) -> np.ndarray:
        """Return where bins start whose inner ends, on the right of zero, have such a share of the rows within."""
        right = np.unique(np.rint(-scale * np.log1p(-share) * RANKS).astype(np.int64))
        right = right[(right > 0) & (right < RANKS)]
        return np.concatenate([[-RANKS], 1 - right[::-1], right])

    low = starts(fine)
    high = np.append(low[1:] - 1, RANKS)
    within = 1 - np.exp(-np.abs(np.append(low - 0.5, RANKS + 0.5)) / (scale * RANKS))
    weight = np.diff(np.sign(np.append(low - 0.5, RANKS + 0.5)) * within)
    return Bins(starts(edges), low, high, MASS * weight)

"""Noisy trees over integers, grown for many dimensions at once: one Gaussian release a level.

The first level cuts a declared range into equal parts, or, where nothing was declared, all integers by sign and power
of two. Each further level cuts the nodes that are still heavy into `WAYS` parts, and counts the others again
at no extra cost: a row is in one node of a level either way. Nothing but released figures is used: which nodes are
heavy follows from the noisy counts of the levels above. Finally all levels together estimate each leaf's weight.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
from scipy.stats import norm

from privsynth.codecs.parse import GRID_LIMIT
from privsynth.domain.numbers.magnitude_prior import OCTAVES, RemainingRows, likeliest, octaves
from privsynth.domain.numbers.places import places
from privsynth.partitions.marks import STEPS, weights
from privsynth.partitions.rows import PrivateRows
from privsynth.privacy.accounting import round_up
from privsynth.privacy.mechanisms import Mechanisms
from privsynth.privacy.unit_weights import count

# Parts of a declared range in the first level: years of life, marks and percentages get single values at once.
FIRST_PARTS = 128
# Parts that a node is cut into: fewer levels with less noise each (Qardaji, Yang & Li 2013, *Understanding hierarchical
# methods for differentially private histograms*).
WAYS = 8
# Years lie close together and far from zero, so they are a root of their own, which is cut into single years at once.
YEARS = (1900, 2047)
# Weeks since 1970 of the years in which tables of today lie, 1989 to 2048, in parts of eight months: otherwise a table
# of two months would lie in one node of forty years, which small budgets do not cut far enough.
RECENT_WEEKS, WEEKS_OF_PART = (1024, 4095), 32
DECLARED_LEVELS = 4  # at most: 128 parts cut 3 times by 8 are 65,536, the most codes of an attribute
OPEN_LEVELS = 6  # at most: the octave below 2**20 cut 5 times by 8 has leaves of 16 grid steps
FEWEST_LEVELS = 3  # so that a range is cut at least twice, whatever the noise
SPARE_LEVELS = 1  # for rows that crowd in a corner of their root
SOLID = 4.0  # standard deviations above which a node is cut: noise alone does so in 1 of 30,000 nodes
FALSE_ALARM = 1e-3  # probability that noise alone extends an unbounded dimension, over all its runs and nodes
RUNS = (1, 2, 4, 8, 16)  # numbers of neighbouring leaves whose sums are tested
FAINT = 2.0  # standard deviations below which leaves at either end of a significant run are dropped from it
AT_ONCE = 1 << 18  # rows counted at once: keeps temporary arrays at a few MB


@dataclass(frozen=True)
class Dimension:
    """One numeric dimension to be cut into leaves. Public.

    Attributes:
      low, high: its public range, where declared.
      rows: how many rows are known to exist, from released numbers; None if the share of nulls is unknown.
      weeks: whether values are weeks since 1970.
    """

    name: str
    low: int | None = None
    high: int | None = None
    rows: float | None = None
    weeks: bool = False

    @property
    def declared(self) -> bool:
        """Whether both ends are declared."""
        return self.low is not None and self.high is not None

    def roots(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the inclusive ranges of the first level."""
        if self.low is not None and self.high is not None:
            width = self.high - self.low + 1
            parts = min(width, FIRST_PARTS)
            starts = np.array([self.low + width * i // parts for i in range(parts)], dtype=np.int64)
            return starts, np.append(starts[1:] - 1, self.high)
        powers = [0, *(2**b for b in range(GRID_LIMIT.bit_length()))]
        positive = [(a, b - 1) for a, b in zip(powers[1:], [*powers[2:], GRID_LIMIT + 1], strict=True) if b > a]
        if self.weeks:
            first, last = RECENT_WEEKS
            pieces = [(start, start + WEEKS_OF_PART - 1) for start in range(first, last + 1, WEEKS_OF_PART)]
            above = [*((a, b) for a, b in positive if not first <= a <= last), *pieces]
        else:
            above = [*((a, YEARS[0] - 1) if b == YEARS[1] else (a, b) for a, b in positive), YEARS]
        ranges = [(-b, -a) for a, b in reversed(positive)] + [(0, 0)] + sorted(above)
        low = -GRID_LIMIT if self.low is None else self.low
        high = GRID_LIMIT if self.high is None else self.high
        ranges = [(max(a, low), min(b, high)) for a, b in ranges if b >= low and a <= high]
        return np.array([a for a, _ in ranges]), np.array([b for _, b in ranges])


@dataclass(frozen=True)
class Leaves:
    """The leaves of a tree.

    Attributes:
      low, high: (l,) inclusive ranges that tile the dimension.
      weight, sigma: (l,) noisy rows in each, and an upper bound of their standard deviation.
      cut: the nodes that were cut further: (low, high, noisy rows, deviation).
    """

    low: np.ndarray
    high: np.ndarray
    weight: np.ndarray
    sigma: np.ndarray
    cut: tuple[tuple[int, int, float, float], ...] = ()

    def trimmed(
        self, low: int | None, high: int | None, frequent: Collection[int], remaining: RemainingRows | None = None
    ) -> Leaves:
        """Return the leaves without the empty ends of a dimension that were not declared.

        Without bounds it reaches to ±2**52, and noise alone would spread rows over all of that. It ends where leaves
        are significant, or at the last frequent value; values beyond belong to the last bin. Where more rows are known
        to exist than these hold, it extends to where the others are likeliest (see `magnitude_prior`). Where nothing
        is known and nothing is significant, it holds the frequent values alone, or else the likeliest place.

        Args:
          frequent: the values that have bins of their own.
          remaining: how many rows hold none of them, and the precision of that number.
        """
        solid = self._solid()
        weight, inside = self.weight, [*(solid or ()), *frequent]
        within = (self.high >= solid[0]) & (self.low <= solid[1]) if solid else np.zeros(len(self.low), dtype=bool)
        if (left := self._left(within, remaining)) is not None or not inside:
            place, rows = likeliest(self.low, np.where(within, 0.0, self.weight), self.sigma, left)
            place &= ~within
            weight = np.where(place, self._spread(place, rows), weight)
            inside += [int(self.low[place].min()), int(self.high[place].max())] if place.any() else []
        start = int(self.low[0]) if low is not None else min(inside)
        end = int(self.high[-1]) if high is not None else max(inside)
        keep = (self.high >= start) & (self.low <= end)
        low_kept, high_kept = np.maximum(self.low[keep], start), np.minimum(self.high[keep], end)
        return Leaves(low_kept, high_kept, weight[keep], self.sigma[keep])

    def solid_range(self) -> tuple[int, int] | None:
        """Return where the leaves that stand out of the noise begin and end, by runs of them or all to an end."""
        solid = self._solid()
        if solid is None:
            return None
        first, last = self._heavy_end(-1), self._heavy_end(1)
        start = solid[0] if first is None else min(solid[0], int(self.low[first]))
        end = solid[1] if last is None else max(solid[1], int(self.high[last]))
        return start, end

    def _heavy_end(self, side: int) -> int | None:
        """Return the leaf nearest to an end such that it and all beyond it are significant together.

        Args:
          side: 1 for the last leaves, −1 for the first.
        """
        total, variance = np.cumsum(self.weight[::-side]), np.cumsum(self.sigma[::-side] ** 2)
        heavy = np.flatnonzero(total >= float(norm.isf(FALSE_ALARM / len(total))) * np.sqrt(variance))
        if not len(heavy):
            return None
        return int(heavy[0]) if side < 0 else len(total) - 1 - int(heavy[0])

    def _left(self, within: np.ndarray, remaining: RemainingRows | None) -> RemainingRows | None:
        """Return how many rows remain outside some leaves; None if that may be none."""
        if remaining is None:
            return None
        # The leaves of an octave sum to the weight of its root, which is as precise as one leaf that was counted once.
        parts = len(np.unique(octaves(self.low[within])))
        sigma = math.hypot(remaining.sigma, float(self.sigma.max(initial=0.0)) * parts**0.5)
        rows = remaining.rows - float(self.weight[within].sum())
        return RemainingRows(rows, sigma) if rows > float(norm.isf(FALSE_ALARM)) * sigma else None

    def _spread(self, place: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return (l,) weights whose sum in each octave of `place` is the rows expected there."""
        at = octaves(self.low) + OCTAVES
        width = (self.high - self.low + 1) * place
        total, count = np.bincount(at, weights=self.weight * place), np.bincount(at, weights=width)
        result: np.ndarray = self.weight + (rows - total[at]) * width / np.maximum(count[at], 1)
        return result

    def _solid(self) -> tuple[int, int] | None:
        """Return where the significant runs of 1, 2, 4, … leaves begin and end.

        A node that was significant before it was cut counts too: spreading its rows over leaves makes them no fewer.
        """
        total, variance = (np.concatenate([[0.0], np.cumsum(part)]) for part in (self.weight, self.sigma**2))
        lows, highs = [], []
        lengths = [length for length in RUNS if length <= len(self.weight)]
        solid = float(norm.isf(FALSE_ALARM / (len(lengths) * len(self.weight) + len(self.cut))))
        for length in lengths:
            sums, noise = total[length:] - total[:-length], np.sqrt(variance[length:] - variance[:-length])
            clear = np.flatnonzero(sums >= solid * noise).tolist()
            if clear:
                first, last = slice(clear[0], clear[0] + length), slice(clear[-1], clear[-1] + length)
                lows.append(int(self.low[first][_empty_start(self.weight[first], self.sigma[first])]))
                back = _empty_start(self.weight[last][::-1], self.sigma[last][::-1])
                highs.append(int(self.high[last][::-1][back]))
        # Nodes are nested or disjoint: in this order a node that contains others is followed by one of them.
        nodes = sorted((low, -high) for low, high, weight, sigma in self.cut if weight >= solid * sigma)
        for i, (low, end) in enumerate(nodes):
            if i + 1 == len(nodes) or nodes[i + 1][1] < end:
                lows.append(low)
                highs.append(-end)
        return (min(lows), max(highs)) if lows else None


def _empty_start(weight: np.ndarray, sigma: np.ndarray) -> int:
    """Return how many leaves to drop at the start of a run: those that are not significant together."""
    faint = np.flatnonzero(np.cumsum(weight[:-1]) <= FAINT * np.sqrt(np.cumsum(sigma[:-1] ** 2)))
    return int(faint[-1]) + 1 if len(faint) else 0


def levels_of(dimensions: Sequence[Dimension], *, n_rows: float, noise: float) -> int:
    """Return how many levels will be grown; from public facts and the released number of rows.

    Where noise is large, ranges cannot be cut as finely, and levels that find nothing to cut cost budget all the same.

    Args:
      noise: standard deviation of a count if one level cost the whole budget.
    """
    if not dimensions:
        return 0
    if all(d.declared and (d.high or 0) - (d.low or 0) < FIRST_PARTS for d in dimensions):
        return 1
    most = DECLARED_LEVELS if all(d.declared for d in dimensions) else OPEN_LEVELS
    for levels in range(FEWEST_LEVELS, most):
        # Enough if rows spread evenly over one root, or a corner of it, are by then too few in a node to be cut.
        if n_rows / WAYS ** (levels - SPARE_LEVELS) <= SOLID * noise * math.sqrt(levels):
            return levels
    return most


@dataclass(frozen=True, kw_only=True)
class TreeRequest:
    """What trees may cost and how fine they may get.

    Attributes:
      unit_weight: the most that all rows of a unit weigh together (see `Weighting`).
      rows_per_step: how many rows a count of one stands for.
      mu_squared: of all levels together.
      split_above: a node with more noisy rows than this is cut, if it also stands `SOLID` deviations above zero.
      n_rows: the released number of rows.
      part: of the budget that pays.
      weighed: whether rows weigh as many steps as their marks say, or one each.
    """

    unit_weight: int
    rows_per_step: float = 1.0
    mu_squared: float
    split_above: float
    n_rows: float
    part: str = "domain"
    weighed: bool = False

    def sensitivity(self, dimensions: int) -> float:
        """Return how far one unit moves the counts of a level in L2: it is in one node of each dimension."""
        return round_up(self.unit_weight * math.sqrt(dimensions), 12)

    def levels(self, dimensions: Sequence[Dimension]) -> int:
        """Return how many levels are grown; from public facts and the released number of rows."""
        noise = self.rows_per_step * self.sensitivity(len(dimensions)) / max(self.mu_squared, 1e-12) ** 0.5
        return levels_of(dimensions, n_rows=self.n_rows, noise=noise)


def grow(
    dimensions: Sequence[Dimension], rows: PrivateRows, request: TreeRequest, mechanisms: Mechanisms
) -> list[Leaves]:
    """Return the leaves of each dimension's tree.

    Args:
      rows: the places that are neither null nor frequent (see `open_dimensions.dimension_rows`).

    Guarantee: at most `levels_of(dimensions)` Gaussian releases that share `request.mu_squared` equally. In a level
      each row lies in at most one node of each dimension that still grows, cut or counted again, so a unit moves the
      counts by at most `unit_weight`·√(such dimensions) in L2. Which dimensions those are follows from the levels
      above and from released numbers.
    """
    if not dimensions:
        return []
    levels = request.levels(dimensions)
    trees = [_Tree(*dimension.roots()) for dimension in dimensions]
    growing = list(range(len(dimensions)))
    for level in range(levels):
        fresh = [trees[i].fresh() for i in growing]
        nodes = {dimensions[i].name: ranges for i, ranges in zip(growing, fresh, strict=True)}
        counts = rows.add_up(partial(count_nodes, nodes, request.weighed), [*nodes, STEPS])
        release = mechanisms.gaussian(
            np.concatenate(counts),
            l2_sensitivity=request.sensitivity(len(growing)),
            part=request.part,
            mu_squared=request.mu_squared / levels,
            label=f"level {level + 1} of the quantile trees",
        )
        sigma = release.sigma * request.rows_per_step
        noisy = np.split(release.values * request.rows_per_step, np.cumsum([len(c) for c in counts])[:-1])
        for i, weight in zip(growing, noisy, strict=True):
            trees[i].add(weight, request.split_above, sigma, last=level + 1 == levels)
        growing = [i for i in growing if not trees[i].finish(dimensions[i].rows, sigma)]
        if not growing:
            break
    return [tree.leaves() for tree in trees]


class _Tree:
    """The nodes of one dimension, parents before children, siblings together. An only child is its parent again."""

    def __init__(self, low: np.ndarray, high: np.ndarray) -> None:
        self._low, self._high = low.tolist(), high.tolist()
        self._weight: list[float] = []
        self._variance: list[float] = []
        self._children: list[range] = []  # of each node that has a weight; none if it is a leaf
        self._mean, self._precision = [0.0] * len(low), [0.0] * len(low)  # of the same range so far

    def fresh(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the inclusive ranges of the nodes that have no weight yet, which are disjoint and ascending."""
        start = len(self._weight)
        return np.array(self._low[start:], dtype=np.int64), np.array(self._high[start:], dtype=np.int64)

    def add(self, weight: np.ndarray, split_above: float, sigma: float, *, last: bool) -> None:
        """Give the fresh nodes their noisy weights; cut those that are heavy, and ask for the others again."""
        for w in weight.tolist():
            node, first = len(self._weight), len(self._low)
            precision = self._precision[node] + sigma**-2
            mean = self._mean[node] + (w - self._mean[node]) * sigma**-2 / precision
            self._mean[node], self._precision[node] = mean, precision
            if not last and mean > max(split_above, SOLID * precision**-0.5):
                self._cut(node)
            elif not last:
                self._append(self._low[node], self._high[node], mean, precision)
            self._children.append(range(first, len(self._low)))
            self._weight.append(w)
            self._variance.append(sigma**2)

    def finish(self, rows: float | None, sigma: float) -> bool:
        """Return whether too few rows lie outside single values for any node to be cut, and stop growing if so.

        Args:
          rows: how many are known to exist.
        """
        asked = range(len(self._weight), len(self._low))
        if rows is None or any(
            self._precision[node] == 0.0 for node in asked
        ):  # not known, or some were cut in this level
            return False
        enough = SOLID * sigma
        single = [self._mean[node] for node in asked if self._low[node] == self._high[node]]
        if rows - math.fsum(weight for weight in single if weight >= enough) > enough:
            return False
        for parts in (self._low, self._high, self._mean, self._precision):
            del parts[asked.start :]
        self._children = [range(0) if at.start >= asked.start else at for at in self._children]
        return True

    def _cut(self, node: int) -> None:
        low, high = self._low[node], self._high[node]
        width = high - low + 1
        parts = width if (low, high) == YEARS else min(WAYS, width)
        starts = [low + width * i // parts for i in range(parts)]
        for start, end in zip(starts, [*(start - 1 for start in starts[1:]), high], strict=True):
            self._append(start, end, *((self._mean[node], self._precision[node]) if width == 1 else (0.0, 0.0)))

    def _append(self, low: int, high: int, mean: float, precision: float) -> None:
        self._low.append(low)
        self._high.append(high)
        self._mean.append(mean)
        self._precision.append(precision)

    def leaves(self) -> Leaves:
        """Return the leaves in order, with the weights of least variance that all levels together give.

        Source: Hay et al. (2010), *Boosting the accuracy of differentially private histograms through consistency*:
          up the tree each node is averaged with the sum of its children by inverse variance, then down the tree what a
          node has beyond its children is shared among them by their variances.
        """
        weight, variance = list(self._weight), list(self._variance)
        for node in reversed(range(len(weight))):
            if children := self._children[node]:
                own, below = variance[node], sum(variance[c] for c in children)
                weight[node] = (weight[node] * below + sum(weight[c] for c in children) * own) / (own + below)
                variance[node] = own * below / (own + below)
        for node, children in enumerate(self._children):
            if children:
                below = sum(variance[c] for c in children)
                over = weight[node] - sum(weight[c] for c in children)
                for c in children:
                    weight[c] += over * variance[c] / below
        spread = [precision**-0.5 for precision in self._precision]
        nodes = list(zip(self._low, self._high, weight, spread, strict=True))
        ordered = sorted(node for node, at in zip(nodes, self._children, strict=True) if not at)
        low, high = (np.array([node[i] for node in ordered], dtype=np.int64) for i in (0, 1))
        rows, noise = (np.array([node[i] for node in ordered], dtype=np.float64) for i in (2, 3))
        cut = tuple(node for node, at in zip(nodes, self._children, strict=True) if len(at) > 1)
        return Leaves(low, high, rows, noise, cut)


def count_nodes(nodes: Mapping[str, tuple[np.ndarray, np.ndarray]], weighed: bool, part: pa.Table) -> list[np.ndarray]:
    """Return for each dimension how many places lie in each of some ranges, or what their rows weigh. Private.

    Args:
      nodes: dimension -> disjoint inclusive ranges, ascending.
    """
    steps = weights(part, weighed)
    found = []
    for name, (low, high) in nodes.items():
        values, known = places(part, name)
        total = np.zeros(len(low), dtype=np.int64)
        for start in range(0, len(values), AT_ONCE):
            some = slice(start, start + AT_ONCE)
            total += _count(values[some], known[some], low, high, None if steps is None else steps[some])
        found.append(total)
    return found


def _count(
    values: np.ndarray, known: np.ndarray, low: np.ndarray, high: np.ndarray, weight: np.ndarray | None
) -> np.ndarray:
    values = values.astype(np.int64)
    at = np.searchsorted(low, values, side="right") - 1
    inside = known & (at >= 0) & (values <= high[np.maximum(at, 0)])
    return count(at[inside], len(low), None if weight is None else weight[inside])

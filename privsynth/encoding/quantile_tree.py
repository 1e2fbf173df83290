"""Noisy trees over integer lines, grown for many columns at once: one Gaussian release a level.

The first level cuts a declared range into equal parts, or, where nothing was declared, the whole line by sign and
power of two. Each further level cuts the nodes that are still heavy into `WAYS` parts. Nothing is learned that was not
paid for: which nodes are heavy is read off the noisy counts of the level above. At the end all levels together say what
a leaf weighs.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from privsynth.encoding.cells import GRID_LIMIT
from privsynth.encoding.location import OCTAVES, Missing, likeliest, octaves
from privsynth.privacy.mechanisms import Mechanisms

FIRST_PARTS = 128
WAYS = 4  # into which a node is cut: fewer levels with less noise each
DECLARED_LEVELS = 4
OPEN_LEVELS = 6
FEWEST_LEVELS = 2
SPARE_LEVELS = 1  # for rows that crowd in a corner of their root
SOLID = 4.0  # standard deviations above which a node is worth cutting
FALSE_ALARM = 1e-3  # probability that noise alone makes an open line reach further, all its runs and nodes together
RUNS = (1, 2, 4, 8, 16)  # leaves whose sum is looked at
FAINT = 2.0  # the same, below which leaves at the end of a run that stands clear add nothing to it


@dataclass(frozen=True)
class Line:
    """One column to be cut: (n,) integers without nulls and atoms, and its public range, if declared."""

    name: str
    values: np.ndarray
    low: int | None = None
    high: int | None = None

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
        ranges = [(-b, -a) for a, b in reversed(positive)] + [(0, 0)] + positive
        low = -GRID_LIMIT if self.low is None else self.low
        high = GRID_LIMIT if self.high is None else self.high
        ranges = [(max(a, low), min(b, high)) for a, b in ranges if b >= low and a <= high]
        return np.array([a for a, _ in ranges]), np.array([b for _, b in ranges])


@dataclass(frozen=True)
class Leaves:
    """What a tree says: inclusive ranges that tile the line, and the noisy rows in each, of deviation `sigma` at most.

    `cut` are the nodes that were cut further, with their noisy rows: (low, high, rows).
    """

    low: np.ndarray
    high: np.ndarray
    weight: np.ndarray
    sigma: float
    cut: tuple[tuple[int, int, float], ...] = ()

    def trimmed(
        self, low: int | None, high: int | None, atoms: Collection[int], missing: Missing | None = None
    ) -> Leaves:
        """Return the leaves without the empty ends of a line of which an end was not declared.

        An open line reaches to ±2**52, and noise alone would spread rows over all of it. It ends where the leaves stand
        clear of the noise, or at the last atom; values beyond belong to the last cell. Where more rows are known to be
        on the line than these hold, it reaches to where the others are likeliest (see `location`); where nothing is
        known and nothing stands out, the atoms are all there is, or else the likeliest place.

        Args:
          missing: how many rows lie on the line besides the atoms, and how well that is known.
        """
        solid = self._solid()
        weight, inside = self.weight, [*(solid or ()), *atoms]
        within = (self.high >= solid[0]) & (self.low <= solid[1]) if solid else np.zeros(len(self.low), dtype=bool)
        if (left := self._left(within, missing)) is not None or not inside:
            place, rows = likeliest(self.low, np.where(within, 0.0, self.weight), self.sigma, left)
            place &= ~within
            weight = np.where(place, self._spread(place, rows), weight)
            inside += [int(self.low[place].min()), int(self.high[place].max())] if place.any() else []
        start = int(self.low[0]) if low is not None else min(inside)
        end = int(self.high[-1]) if high is not None else max(inside)
        keep = (self.high >= start) & (self.low <= end)
        return Leaves(np.maximum(self.low[keep], start), np.minimum(self.high[keep], end), weight[keep], self.sigma)

    def _left(self, within: np.ndarray, missing: Missing | None) -> Missing | None:
        """Return how many rows are missing outside of some leaves, None if that may be none."""
        if missing is None:
            return None
        parts = len(np.unique(octaves(self.low[within])))
        sigma = math.hypot(missing.sigma, self.sigma * parts**0.5)
        rows = missing.rows - float(self.weight[within].sum())
        return Missing(rows, sigma) if rows > float(norm.isf(FALSE_ALARM)) * sigma else None

    def _spread(self, place: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return (l,) weights whose sum in each octave of the place is what is expected there."""
        at = octaves(self.low) + OCTAVES
        width = (self.high - self.low + 1) * place
        total, count = np.bincount(at, weights=self.weight * place), np.bincount(at, weights=width)
        result: np.ndarray = self.weight + (rows - total[at]) * width / np.maximum(count[at], 1)
        return result

    def _solid(self) -> tuple[int, int] | None:
        """Return where the runs of 1, 2, 4, … leaves whose sum stands clear of the noise begin and end.

        So does a node that stood clear before it was cut: its rows do not get fewer by being spread over leaves.
        """
        total = np.concatenate([[0.0], np.cumsum(self.weight)])
        lows, highs = [], []
        lengths = [length for length in RUNS if length <= len(self.weight)]
        solid = float(norm.isf(FALSE_ALARM / (len(lengths) * len(self.weight) + len(self.cut))))
        for length in lengths:
            sums = total[length:] - total[:-length]
            clear = np.flatnonzero(sums >= solid * self.sigma * math.sqrt(length)).tolist()
            if clear:
                first, last = slice(clear[0], clear[0] + length), slice(clear[-1], clear[-1] + length)
                lows.append(int(self.low[first][_empty_start(self.weight[first], self.sigma)]))
                highs.append(int(self.high[last][::-1][_empty_start(self.weight[last][::-1], self.sigma)]))
        # Nodes are nested or apart: in this order one that holds others is followed by one of them.
        nodes = sorted((low, -high) for low, high, weight in self.cut if weight >= solid * self.sigma)
        for i, (low, end) in enumerate(nodes):
            if i + 1 == len(nodes) or nodes[i + 1][1] < end:
                lows.append(low)
                highs.append(-end)
        return (min(lows), max(highs)) if lows else None


def _empty_start(weight: np.ndarray, sigma: float) -> int:
    """Return how many leaves to drop at the start of a run: as many as do not stand out together."""
    length = np.arange(1, len(weight))
    faint = np.flatnonzero(np.cumsum(weight[:-1]) <= FAINT * sigma * np.sqrt(length))
    return int(faint[-1]) + 1 if len(faint) else 0


def levels_of(lines: Sequence[Line], *, n_rows: float, noise: float) -> int:
    """Return how many levels will be grown; from public facts and the paid number of rows.

    Where noise is large nothing can be cut as finely, and levels that find nothing to cut are paid for all the same.

    Args:
      noise: standard deviation of a count if one level cost the whole budget.
    """
    if not lines:
        return 0
    if all(line.declared and (line.high or 0) - (line.low or 0) < FIRST_PARTS for line in lines):
        return 1
    most = DECLARED_LEVELS if all(line.declared for line in lines) else OPEN_LEVELS
    for levels in range(FEWEST_LEVELS, most):
        # Enough if rows that lay evenly in one root, or in a corner of it, are by then too few in a node to be cut.
        if n_rows / WAYS ** (levels - SPARE_LEVELS) <= SOLID * noise * math.sqrt(levels):
            return levels
    return most


def grow(
    lines: Sequence[Line],
    mechanisms: Mechanisms,
    *,
    k: int,
    part: str,
    mu_squared: float,
    split_above: float,
    n_rows: float,
) -> list[Leaves]:
    """Return the leaves of one tree a line.

    Guarantee: `levels_of(lines)` Gaussian releases that share `mu_squared` equally. In a level each row lies in at
      most one node of each line, so a unit of k rows moves the counts by at most k·√lines in L2.
    Args:
      split_above: a node with more noisy rows than this is cut; also four standard deviations are needed.
      n_rows: the paid number of rows.
    """
    sensitivity = k * math.sqrt(len(lines))
    levels = levels_of(lines, n_rows=n_rows, noise=sensitivity / max(mu_squared, 1e-12) ** 0.5)
    trees = [_Tree(*line.roots()) for line in lines]
    sigma = 0.0
    for level in range(levels):
        fresh = [tree.fresh() for tree in trees]
        if not any(len(low) for low, _ in fresh):
            break
        counts = [_count(line.values, low, high) for line, (low, high) in zip(lines, fresh, strict=True)]
        release = mechanisms.gaussian(
            np.concatenate(counts),
            l2_sensitivity=sensitivity,
            part=part,
            mu_squared=mu_squared / levels,
            label=f"level {level + 1} of the quantile trees",
        )
        sigma = release.sigma
        noisy = np.split(release.values.astype(np.float64), np.cumsum([len(c) for c in counts])[:-1])
        heavy = max(split_above, SOLID * sigma)
        for tree, weight in zip(trees, noisy, strict=True):
            tree.add(weight, heavy if level + 1 < levels else math.inf)
    return [tree.leaves(sigma) for tree in trees]


class _Tree:
    """The nodes of one line, parents before children, which follow each other."""

    def __init__(self, low: np.ndarray, high: np.ndarray) -> None:
        self._low, self._high = low.tolist(), high.tolist()
        self._weight: list[float] = []
        self._children: list[range] = []  # of each node that has a weight; none if it is a leaf

    def fresh(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the inclusive ranges of the nodes that have no weight yet."""
        start = len(self._weight)
        return np.array(self._low[start:], dtype=np.int64), np.array(self._high[start:], dtype=np.int64)

    def add(self, weight: np.ndarray, heavy: float) -> None:
        """Give the fresh nodes their noisy weights, and cut those that are heavy."""
        for w in weight.tolist():
            low, high = self._low[len(self._weight)], self._high[len(self._weight)]
            width, first = high - low + 1, len(self._low)
            if w > heavy and width > 1:
                parts = min(WAYS, width)
                starts = [low + width * i // parts for i in range(parts)]
                self._low += starts
                self._high += [*(start - 1 for start in starts[1:]), high]
            self._children.append(range(first, len(self._low)))
            self._weight.append(w)

    def leaves(self, sigma: float) -> Leaves:
        """Return the leaves in order, with the weights of least variance that all levels together give.

        Source: Hay et al. (2010), *Boosting the accuracy of differentially private histograms through consistency*:
          up the tree each node is averaged with the sum of its children by inverse variance, then down the tree what a
          node has over its children is shared out by their variances.
        """
        weight, variance = list(self._weight), [1.0] * len(self._weight)
        for node in reversed(range(len(weight))):
            if children := self._children[node]:
                below = sum(variance[c] for c in children)
                weight[node] = (weight[node] * below + sum(weight[c] for c in children)) / (1 + below)
                variance[node] = below / (1 + below)
        for node, children in enumerate(self._children):
            if children:
                below = sum(variance[c] for c in children)
                over = weight[node] - sum(weight[c] for c in children)
                for c in children:
                    weight[c] += over * variance[c] / below
        nodes = list(zip(self._low, self._high, weight, strict=True))
        ordered = sorted(node for node, at in zip(nodes, self._children, strict=True) if not at)
        return Leaves(
            np.array([a for a, _, _ in ordered], dtype=np.int64),
            np.array([b for _, b, _ in ordered], dtype=np.int64),
            np.array([w for _, _, w in ordered], dtype=np.float64),
            sigma,
            tuple(node for node, at in zip(nodes, self._children, strict=True) if at),
        )


def _count(values: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return how many values lie in each of the disjoint inclusive ranges (ascending)."""
    if not len(low):
        return np.zeros(0, dtype=np.int64)
    at = np.searchsorted(low, values, side="right") - 1
    inside = (at >= 0) & (values <= high[np.maximum(at, 0)])
    return np.bincount(at[inside], minlength=len(low)).astype(np.int64)

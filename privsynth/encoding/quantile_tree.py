"""Noisy trees over integer lines, grown for many columns at once: one Gaussian release a level.

The first level cuts a declared range into equal parts, or, where nothing was declared, the whole line by sign and
power of two. Each further level halves the nodes that are still heavy. Nothing is learned that was not paid for: which
nodes are heavy is read off the noisy counts of the level above.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from privsynth.encoding.cells import GRID_LIMIT
from privsynth.privacy.mechanisms import Mechanisms

FIRST_PARTS = 128
DECLARED_LEVELS = 8
OPEN_LEVELS = 12
SOLID = 4.0  # standard deviations above which a leaf is surely not empty
LIKELY = 3.5  # the same for the likeliest node, where nothing is solid: noise alone gets there in one line of forty
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
    """What a tree says: inclusive ranges that tile the line, and the noisy rows in each, of deviation `sigma`.

    `halved` are the nodes that were cut into two, with their noisy rows: (low, high, rows).
    """

    low: np.ndarray
    high: np.ndarray
    weight: np.ndarray
    sigma: float
    halved: tuple[tuple[int, int, float], ...] = ()

    def trimmed(self, low: int | None, high: int | None, atoms: Collection[int]) -> Leaves:
        """Return the leaves without the empty ends of a line of which an end was not declared.

        An open line reaches to ±2**52, and noise alone would spread rows over all of it. It ends where the leaves stand
        clear of the noise, or at the last atom; values beyond belong to the last cell. Where nothing stands clear, it
        reaches to the likeliest node; if that is faint, as where the atoms are all there is, it holds them alone.
        """
        solid = self._solid()
        if solid is None:
            leaves = zip(self.low.tolist(), self.high.tolist(), self.weight.tolist(), strict=True)
            *ends, weight = max((*leaves, *self.halved), key=lambda node: node[2])
            if not atoms or weight >= LIKELY * self.sigma:
                solid = ends[0], ends[1]
        inside = [*(solid or ()), *atoms]
        start = int(self.low[0]) if low is not None else min(inside)
        end = int(self.high[-1]) if high is not None else max(inside)
        keep = (self.high >= start) & (self.low <= end)
        return Leaves(
            np.maximum(self.low[keep], start), np.minimum(self.high[keep], end), self.weight[keep], self.sigma
        )

    def _solid(self) -> tuple[int, int] | None:
        """Return where the runs of 1, 2, 4, … leaves whose sum stands clear of the noise begin and end.

        So does a node that stood clear before it was halved: its rows do not get fewer by being spread over leaves.
        """
        total = np.concatenate([[0.0], np.cumsum(self.weight)])
        lows, highs = [], []
        for length in (1, 2, 4, 8, 16):
            if length > len(self.weight):
                break
            sums = total[length:] - total[:-length]
            clear = np.flatnonzero(sums >= SOLID * self.sigma * math.sqrt(length)).tolist()
            if clear:
                first, last = slice(clear[0], clear[0] + length), slice(clear[-1], clear[-1] + length)
                lows.append(int(self.low[first][_empty_start(self.weight[first], self.sigma)]))
                highs.append(int(self.high[last][::-1][_empty_start(self.weight[last][::-1], self.sigma)]))
        nodes = [(low, high) for low, high, weight in self.halved if weight >= SOLID * self.sigma]
        for low, high in nodes:
            if not any(low <= a and b <= high for a, b in nodes if (a, b) != (low, high)):
                lows.append(low)
                highs.append(high)
        return (min(lows), max(highs)) if lows else None


def _empty_start(weight: np.ndarray, sigma: float) -> int:
    """Return how many leaves to drop at the start of a run: as many as do not stand out together."""
    length = np.arange(1, len(weight))
    faint = np.flatnonzero(np.cumsum(weight[:-1]) <= FAINT * sigma * np.sqrt(length))
    return int(faint[-1]) + 1 if len(faint) else 0


def levels_of(lines: Sequence[Line]) -> int:
    """Return how many levels will be grown, a public number."""
    if not lines:
        return 0
    if all(line.declared and (line.high or 0) - (line.low or 0) < FIRST_PARTS for line in lines):
        return 1
    return DECLARED_LEVELS if all(line.declared for line in lines) else OPEN_LEVELS


def grow(
    lines: Sequence[Line], mechanisms: Mechanisms, *, k: int, part: str, mu_squared: float, split_above: float
) -> list[Leaves]:
    """Return the leaves of one tree a line.

    Guarantee: `levels_of(lines)` Gaussian releases that share `mu_squared` equally. In a level each row lies in at
      most one node of each line, so a unit of k rows moves the counts by at most k·√lines in L2.
    Args:
      split_above: a node with more noisy rows than this is halved; also four standard deviations are needed.
    """
    levels = levels_of(lines)
    roots = [line.roots() for line in lines]
    frontier = roots
    done: list[list[tuple[int, int, float]]] = [[] for _ in lines]
    halved: list[list[tuple[int, int, float]]] = [[] for _ in lines]
    sigma = 0.0
    for level in range(levels):
        if not any(len(low) for low, _ in frontier):
            break
        counts = [_count(line.values, low, high) for line, (low, high) in zip(lines, frontier, strict=True)]
        release = mechanisms.gaussian(
            np.concatenate(counts),
            l2_sensitivity=k * math.sqrt(len(lines)),
            part=part,
            mu_squared=mu_squared / levels,
            label=f"level {level + 1} of the quantile trees",
        )
        noisy = np.split(release.values.astype(np.float64), np.cumsum([len(c) for c in counts])[:-1])
        sigma = release.sigma
        heavy = max(split_above, SOLID * sigma)
        frontier = [
            _split(low, high, weight, heavy if level + 1 < levels else math.inf, finished, cut)
            for (low, high), weight, finished, cut in zip(frontier, noisy, done, halved, strict=True)
        ]
    return [_leaves(finished, cut, sigma) for finished, cut in zip(done, halved, strict=True)]


def _count(values: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return how many values lie in each of the disjoint inclusive ranges (ascending)."""
    if not len(low):
        return np.zeros(0, dtype=np.int64)
    at = np.searchsorted(low, values, side="right") - 1
    inside = (at >= 0) & (values <= high[np.maximum(at, 0)])
    return np.bincount(at[inside], minlength=len(low)).astype(np.int64)


def _split(
    low: np.ndarray,
    high: np.ndarray,
    weight: np.ndarray,
    heavy: float,
    finished: list[tuple[int, int, float]],
    halved: list[tuple[int, int, float]],
) -> tuple[np.ndarray, np.ndarray]:
    """Halve the heavy nodes, and note them; put the others with the finished ones."""
    lows, highs = [], []
    for a, b, w in zip(low.tolist(), high.tolist(), weight.tolist(), strict=True):
        if w > heavy and b > a:
            middle = (a + b) // 2
            halved.append((a, b, w))
            lows += [a, middle + 1]
            highs += [middle, b]
        else:
            finished.append((a, b, w))
    return np.array(lows, dtype=np.int64), np.array(highs, dtype=np.int64)


def _leaves(finished: list[tuple[int, int, float]], halved: list[tuple[int, int, float]], sigma: float) -> Leaves:
    ordered = sorted(finished)
    return Leaves(
        np.array([a for a, _, _ in ordered], dtype=np.int64),
        np.array([b for _, b, _ in ordered], dtype=np.int64),
        np.array([w for _, _, w in ordered], dtype=np.float64),
        sigma,
        tuple(halved),
    )

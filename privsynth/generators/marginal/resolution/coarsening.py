"""How finely a pair is seen where a schema declares how codes group: cuts of a tree, several resolutions of a pair.

A table of long code books drowns in its own noise, and one of their chapters hides what a single frequent code does. So
a tree is cut where the rows are: codes and branches that hold many rows stand alone, what is light in a branch is one
group, the rest of that branch, and a rest that is too light joins that of the branch above. Of a pair there are coarse
tables and finer ones, among which `allocate` chooses. Pure functions of noisy one-way shares and public facts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from privsynth.codecs.contingency import Marginal, coarse_groups, full_marginal, levels_of, told_apart
from privsynth.codecs.encoded_table import Encoded

ATOM = 1.5  # times the median bin: bins are cut to weigh alike, so a heavier one is a single value, such as age none
STEP = 0.9  # from one least weight of a group that is tried to the next: the number of groups is met within some 10 %
UNLIKE = 3.0  # times fewer rows let a branch stand alone than each of its own: branches differ more than what is in one
FINER = (3, 9, 27)  # entries of the finer tables of a pair, to one of the coarse one; then comes the table in full
APART = 1.5  # times as many entries has the next finer table at the least; else two scores would say the same


def branches(share: np.ndarray, levels: Sequence[np.ndarray], *, at_most: int) -> np.ndarray:
    """Return (size,) groups of the codes of a tree; NULL, the last code, is always a group of its own.

    Args:
      share: (size,) noisy shares.
      levels: nested, from coarse to fine (see `levels_of`).
      at_most: groups, NULL's included; at least 3.
    """
    found = _cut(share, levels, math.inf)
    least = 1.0
    while True:
        finer = _cut(share, levels, least)
        if int(finer.max()) + 1 > at_most:
            return found
        found = finer
        if int(found.max()) + 1 == len(share) or least < 1 / len(share) ** 2:
            return found
        least *= STEP


def _cut(share: np.ndarray, levels: Sequence[np.ndarray], least: float) -> np.ndarray:
    """Return (size,) groups: codes that weigh at least so much, and lighter branches, from the codes up to the root."""
    known = len(share) - 1
    weight = np.maximum(share[:known], 0.0)
    group = np.full(len(share), -1)
    group[known] = 0
    for level in [np.zeros(known, dtype=np.int64), *(level[:known] for level in levels), np.arange(known)][::-1]:
        left = group[:known] < 0
        node = np.bincount(level, weights=weight * left)
        whole = left & (node >= least)[level]
        least /= UNLIKE
        group[:known][whole] = group.max() + 1 + level[whole]
    group[group < 0] = group.max() + 1
    return told_apart([group])


def neighbours(share: np.ndarray, *, at_most: int) -> np.ndarray:
    """Return (bins,) groups of neighbouring bins that weigh about the same, and the heaviest atoms alone.

    What holds for one value (age 0, no stay at all) is often unlike what holds for its neighbours.

    Args:
      share: noisy shares, without NULL's.
      at_most: groups; at least 2.
    """
    weight = np.maximum(share, 0.0) + 1e-9
    heavy = np.argsort(-weight, kind="stable")[: at_most // 2]
    atom = np.zeros(len(weight), dtype=bool)
    atom[heavy] = weight[heavy] > ATOM * np.median(weight)
    others = np.where(atom, 0.0, weight)
    middle = (np.cumsum(others) - others / 2) / max(float(others.sum()), 1e-9)
    group = np.zeros(len(weight), dtype=np.int64)
    for parts in range(at_most, 0, -1):
        part = np.minimum((middle * parts).astype(np.int64), parts - 1)
        group = np.concatenate([[0], np.cumsum((np.diff(part) != 0) | atom[1:] | atom[:-1])])
        if group[-1] < at_most:
            break
    return np.minimum(group, at_most - 1)


class Coarsening:
    """The coarse groups of every attribute of a table, each made once.

    Args:
      shares: noisy one-way shares, by attribute.
    """

    def __init__(self, data: Encoded, shares: Sequence[np.ndarray]) -> None:
        self._data, self._shares = data, shares
        self._levels = [levels_of(data, a) for a in range(len(data.sizes))]
        self._made: dict[tuple[int, int], np.ndarray] = {}

    @property
    def has_trees(self) -> bool:
        """Whether it is declared of any attribute how its codes group."""
        return any(self._levels)

    def has_tree(self, attribute: int) -> bool:
        """Whether it is declared how an attribute's codes group."""
        return bool(self._levels[attribute])

    def groups(self, attribute: int, at_most: int) -> np.ndarray:
        """Return (size,) groups of an attribute's codes: by its tree, if there is one (see `coarse_groups`)."""
        key = (attribute, at_most)
        if key not in self._made:
            levels, share = self._levels[attribute], self._shares[attribute]
            ordered = self._data.attributes[attribute].ordered
            if levels and at_most < len(share):
                self._made[key] = branches(share, levels, at_most=at_most)
            elif ordered and self.has_trees and at_most < len(share):
                self._made[key] = np.append(group := neighbours(share[:-1], at_most=at_most - 1), group.max() + 1)
            else:
                self._made[key] = coarse_groups(share, ordered=ordered, at_most=at_most)
        return self._made[key]

    def marginal(self, attributes: tuple[int, ...], at_most: Sequence[int]) -> Marginal:
        """Return the marginal with so many groups of each attribute."""
        return Marginal(attributes, tuple(self.groups(a, most) for a, most in zip(attributes, at_most, strict=True)))

    def between(self, pair: tuple[int, ...], groups: int) -> list[Marginal]:
        """Return the marginals of a pair between the coarse one and the one in full, from coarse to fine.

        Of a number the neighbours of a bin tell much, of a category no other code does: categories are seen finer,
        numbers stay as they are in the coarse marginal. Two numbers have nothing in between, and neither have any pairs
        of a table without a tree: there the scores of more tables cost what they gain.

        Args:
          groups: of an attribute in the coarse marginal.
        """
        if not self.has_trees:
            return []
        sizes = [self._data.sizes[a] for a in pair]
        before, found = math.prod(min(size, groups) for size in sizes), []
        for times in FINER:
            marginal = self.marginal(pair, self._divide(pair, groups, times * groups**2))
            if before * APART <= marginal.size and marginal.size * APART <= math.prod(sizes):
                found.append(marginal)
                before = marginal.size
        return found

    def finest(self, pair: tuple[int, ...], groups: int) -> Marginal:
        """Return the marginal of a pair in full, or in as many entries as a table that is cut has at the most.

        Args:
          groups: see `between`.
        """
        most = FINER[-1] * groups**2
        if math.prod(self._data.sizes[a] for a in pair) <= most:
            return full_marginal(self._data.sizes, pair)
        return self.marginal(pair, self._divide(pair, groups, most))

    def _divide(self, pair: tuple[int, ...], groups: int, entries: int) -> tuple[int, int]:
        """Return how many groups each attribute of a pair may have, that there may be so many entries in all."""
        sizes, ordered = self._data.sizes, self._data.attributes
        most = [min(sizes[a], groups) if ordered[a].ordered else sizes[a] for a in pair]
        shorter = int(most[1] < most[0])
        few = min(most[shorter], math.isqrt(entries))
        many = min(most[1 - shorter], max(entries // few, groups))
        return (many, few) if shorter else (few, many)

"""Fit over resolved groups: codes that no table over several attributes tells apart are one row of the mixture.

Nothing was paid to learn how such codes differ, so a fit that gave each its own row could only invent it. Their group
is fitted, and each code then takes its share of it, by the one-way table: given its group, a code depends on nothing.
And there are fewer rows to fit. Where every code is told apart nothing changes. Post-processing.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from privsynth.codecs.contingency import Marginal, told_apart
from privsynth.generators.marginal.measure import Measurement, smooth_shares
from privsynth.generators.marginal.mixture import Mixture

LEAST_SHARE = 1e-12  # of a code inside its group: keeps logarithms finite, and is far below one row


@dataclass(frozen=True)
class Resolved:
    """Which codes are told apart, and what is known of the others.

    Attributes:
      groups: for each attribute, (size,) the group 0..g−1 of each code; every group has a code.
      inside: for each attribute, (size,) shares of the codes inside their groups, which sum to one in each.
    """

    groups: tuple[np.ndarray, ...]
    inside: tuple[np.ndarray, ...]

    @property
    def sizes(self) -> list[int]:
        """Number of groups of each attribute."""
        return [int(group.max()) + 1 for group in self.groups]

    def _rows(self) -> tuple[np.ndarray, int]:
        """Return the row of each code among those of all groups, and how many rows there are."""
        starts = np.cumsum([0, *self.sizes])
        rows = [start + group for start, group in zip(starts[:-1], self.groups, strict=True)]
        return np.concatenate([np.zeros(0, dtype=np.int64), *rows]), int(starts[-1])

    def one_way(self, tables: Sequence[Measurement]) -> list[Measurement]:
        """Return one-way tables of the codes as tables of the groups."""
        return [self._joined(table) for table in tables]

    def _joined(self, table: Measurement) -> Measurement:
        (a,) = table.attributes
        group, size = self.groups[a], self.sizes[a]
        own = Marginal((a,), (np.arange(size),))
        if size == len(group):
            return replace(table, marginal=own)
        variance = np.broadcast_to(np.asarray(table.sigma, dtype=np.float64) ** 2, table.counts.shape)
        sigma = np.sqrt(np.bincount(group, weights=variance))
        return Measurement(own, np.bincount(group, weights=table.counts), sigma)

    def over_groups(self, table: Measurement) -> Measurement:
        """Return the same table, whose groups are said to be of groups instead of codes."""
        marginal = table.marginal
        axes = []
        for a, of_code in zip(marginal.attributes, marginal.groups, strict=True):
            of_group = np.empty(self.sizes[a], dtype=np.int64)
            of_group[self.groups[a]] = of_code
            axes.append(of_group)
        return replace(table, marginal=Marginal(marginal.attributes, tuple(axes)))

    def joined(self, mixture: Mixture) -> Mixture:
        """Return a mixture over codes as one over groups."""
        row, rows = self._rows()
        if len(row) == rows:
            return mixture
        largest = np.full((rows, mixture.theta.shape[1]), -np.inf, dtype=np.float32)
        np.maximum.at(largest, row, mixture.theta)
        theta, p = np.zeros_like(largest), np.zeros_like(largest)
        np.add.at(theta, row, np.exp(mixture.theta - largest[row]))
        np.add.at(p, row, mixture.p)
        return Mixture(largest + np.log(theta), p)

    def apart(self, mixture: Mixture) -> Mixture:
        """Return a mixture over groups as one over codes."""
        row, rows = self._rows()
        if len(row) == rows:
            return mixture
        inside = np.concatenate(self.inside).astype(np.float32)[:, None]
        return Mixture(mixture.theta[row] + np.log(inside), mixture.p[row] * inside)


def resolve(
    one_way: Sequence[Measurement], tables: Sequence[Measurement], *, n_rows: float, apart: Collection[int] = ()
) -> Resolved:
    """Return the coarsest groups of codes of which every table over several attributes is made.

    Args:
      one_way: a table for each attribute, in order.
      n_rows: the paid number of rows.
      apart: attributes all of whose codes are told apart, since a prior says how they differ.
    """
    seen: list[list[np.ndarray]] = [[] for _ in one_way]
    for table in tables:
        if len(table.attributes) > 1:
            for a, group in zip(table.attributes, table.marginal.groups, strict=True):
                seen[a].append(group)
    groups, inside = [], []
    for a, (table, of_tables) in enumerate(zip(one_way, seen, strict=True)):
        size = len(table.counts)
        group = told_apart(of_tables) if of_tables else np.zeros(size, dtype=np.int64)
        if a in apart:
            group = np.arange(size)
        groups.append(group)
        if int(group.max()) + 1 == size:
            inside.append(np.ones(size))
        else:
            share = np.maximum(smooth_shares(table, n_rows=n_rows), LEAST_SHARE)
            inside.append(share / np.bincount(group, weights=share)[group])
    return Resolved(tuple(groups), tuple(inside))

"""Slices: values of one, two or three columns that one of two tables has and the other lacks.

Numbers are cut into five bins. Every slice in which equal shares would put at least 20 rows is tested by an exact
conditional binomial test at alpha / tests. Slices inside a lacking slice are not reported again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy import special

from privsynth.audit.common.discretise import DENSE_CELLS, Coder, cell_keys
from privsynth.stats.intervals import Interval, cluster_variance

LEAST_EXPECTED = 20  # rows to be expected in a slice that is tested: fewer tests, so more alpha for each (own)
DENSE = 4  # bins for each row up to which a contingency table is counted with a place for each; bounds memory (own)
ALPHA = 0.05  # of a false alarm anywhere in a search; the usual 5 %
LACKING = 0.5  # a slice is lacking when the upper bound of its rows is below half of those to be expected (own)


@dataclass(frozen=True)
class Slice:
    """A combination of codes, and its shares in two tables.

    Attributes:
      columns, codes: positions of columns, and the code of each.
      there, here: its rows in the table that has it, and in the other.
      ratio: share here / share there, with its interval at alpha / tests.
    """

    columns: tuple[int, ...]
    codes: tuple[int, ...]
    there: int
    here: int
    ratio: Interval

    @property
    def key(self) -> frozenset[tuple[int, int]]:
        """Return the conditions as a set."""
        return frozenset(zip(self.columns, self.codes, strict=True))


@dataclass(frozen=True)
class Search:
    """The lacking slices, most significant first, and how many were tested."""

    lacking: tuple[Slice, ...]
    tested: int


def lacking_slices(
    there: np.ndarray,
    here: np.ndarray,
    sizes: Sequence[int],
    marginals: Sequence[tuple[int, ...]],
    *,
    design_effects: tuple[float, float] = (1.0, 1.0),
) -> Search:
    """Return the slices that are common in the table `there` and lacking in the table `here`.

    Args:
      there, here: (d, n) codes.
      sizes: number of codes of each column.
      marginals: combinations of columns, shorter ones first.
      design_effects: of `there` and of `here`; the test divides counts by them.
    """
    n_there, n_here = there.shape[1], here.shape[1]
    effective = (n_here / design_effects[1], n_there / design_effects[0])
    candidates: list[tuple[tuple[int, ...], np.ndarray, np.ndarray, np.ndarray]] = []
    for columns in marginals:
        one, cells = cell_keys(there, sizes, columns)
        two, _ = cell_keys(here, sizes, columns)
        if cells <= DENSE * (n_there + n_here):
            full = np.bincount(one, minlength=cells)
            keys = np.flatnonzero(full * n_here >= LEAST_EXPECTED * design_effects[1] * n_there)
            counts, found = full[keys], np.bincount(two, minlength=cells)[keys]
        else:
            keys, counts = np.unique(one, return_counts=True)
            kept = counts * n_here >= LEAST_EXPECTED * design_effects[1] * n_there
            keys, counts = keys[kept], counts[kept]
            found = np.diff(np.searchsorted(np.sort(two), np.stack([keys, keys + 1])), axis=0)[0]
        candidates.append((columns, keys, counts, found))
    tested = sum(len(keys) for _, keys, _, _ in candidates)
    alpha = ALPHA / max(1, tested) / 2
    known: set[frozenset[tuple[int, int]]] = set()
    slices: list[Slice] = []
    for columns, keys, counts, found in candidates:
        here_counts, there_counts = found / design_effects[1], counts / design_effects[0]
        high = ratio_end(here_counts, there_counts, *effective, 1 - alpha)
        for i in np.flatnonzero(high < LACKING):
            low = float(ratio_end(here_counts[i] - 1, there_counts[i] + 1, *effective, alpha))
            value = found[i] / n_here / (counts[i] / n_there)
            ends = Interval(float(value), min(max(0.0, low), float(value)), float(high[i]))
            lacks = Slice(columns, _codes_of(int(keys[i]), sizes, columns), int(counts[i]), int(found[i]), ends)
            parts = [frozenset(p) for size in range(1, len(columns)) for p in combinations(lacks.key, size)]
            if not any(part in known for part in parts):
                slices.append(lacks)
                known.add(lacks.key)
    slices.sort(key=lambda s: (s.ratio.high, -s.there))
    return Search(tuple(slices), tested)


def ratio_end(here: np.ndarray, there: np.ndarray, n_here: float, n_there: float, quantile: float) -> np.ndarray:
    """Return the exact end of the ratio of two small shares, from the counts given their sum.

    Source: Clopper & Pearson (1934) on the conditional binomial, as in Przyborowski & Wilenski (1940).
    """
    share = special.betaincinv(np.maximum(here + 1, 1e-9), np.maximum(there, 1e-9), quantile)
    with np.errstate(divide="ignore"):
        return np.asarray(share / (1 - share) * n_there / n_here)


def _codes_of(key: int, sizes: Sequence[int], columns: Sequence[int]) -> tuple[int, ...]:
    codes = []
    for column in reversed(columns):
        key, code = divmod(key, sizes[column])
        codes.append(code)
    return tuple(reversed(codes))


def label(found: Slice, names: Sequence[str], coders: Sequence[Coder]) -> str:
    """Return a slice in words, for example "age ≤ 28 × sex=F"."""
    return " × ".join(_condition(names[c], coders[c], code) for c, code in zip(found.columns, found.codes, strict=True))


def _condition(name: str, coder: Coder, code: int) -> str:
    if code == coder.size - 1:
        return f"{name}=(missing)"
    if code == coder.size - 2:
        return f"{name}=(a value of the other table only)"
    if coder.edges is None:
        value = coder.values[code]  # type: ignore[index]
        return f"{name}={value:g}" if coder.is_number else f"{name}={value}"
    if len(coder.edges) == 0:
        return f"{name} (any value)"
    if code == 0:
        return f"{name} ≤ {coder.edges[0]:g}"
    if code == len(coder.edges):
        return f"{name} > {coder.edges[-1]:g}"
    return f"{coder.edges[code - 1]:g} < {name} ≤ {coder.edges[code]:g}"


@dataclass(frozen=True, repr=False, eq=False)
class Unseen:
    """Share of rows of one table in combinations that another lacks, as a mean over marginals.

    Attributes:
      influence: (n,) share of marginals in which the row's combination is lacking.
      each: (m,) share of such rows for each marginal.
    """

    influence: np.ndarray
    each: np.ndarray

    @property
    def share(self) -> float:
        """The mean share."""
        return float(self.influence.mean())

    def variance(self, units: np.ndarray | None = None) -> float:
        """Return the variance of `share` over the rows, given the other table."""
        return cluster_variance(self.influence, units)


def unseen(rows: np.ndarray, base: np.ndarray, sizes: Sequence[int], marginals: Sequence[tuple[int, ...]]) -> Unseen:
    """Return the share of `rows` in combinations that no row of `base` has; both (d, n) codes."""
    total = np.zeros(rows.shape[1])
    each = np.empty(len(marginals))
    for i, columns in enumerate(marginals):
        key, cells = cell_keys(rows, sizes, columns)
        seen, _ = cell_keys(base, sizes, columns)
        if cells <= DENSE_CELLS:
            there = np.zeros(cells, dtype=bool)
            there[seen] = True
            missing = ~there[key]
        else:
            missing = ~np.isin(key, seen)
        each[i] = missing.mean()
        total += missing
    return Unseen(total / max(1, len(marginals)), each)

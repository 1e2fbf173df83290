"""Marginals of coded tables: which sets of columns, the mean distance over them, and the distance by chance."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np

from privsynth.audit.common.audit_tables import AuditTables, thin
from privsynth.audit.common.discretise import Coded, Distances, discretise, distances
from privsynth.audit.common.settings import AuditContext
from privsynth.stats.intervals import Interval, cluster_variance, normal

WAYS = {1: "single columns", 2: "pairs of columns", 3: "triples of columns"}


def coded(tables: AuditTables, context: AuditContext) -> Coded:
    """Return the codes of the tables, shared by the audits of a run; an empty holdout is none."""

    def compute() -> Coded:
        codes = discretise(tables)
        return replace(codes, holdout=None) if codes.holdout is not None and codes.holdout.shape[1] == 0 else codes

    found: Coded = context.once("codes", compute)
    return found


def choose_marginals(n_columns: int, ways: int, rng: np.random.Generator, at_most: int) -> list[tuple[int, ...]]:
    """Return all sets of `ways` columns, or `at_most` of them drawn at random."""
    if ways <= 2 or n_columns <= 40:
        every = list(combinations(range(n_columns), ways))
        return [every[i] for i in thin(len(every), at_most, rng)]
    drawn = {tuple(sorted(map(int, rng.choice(n_columns, ways, replace=False)))) for _ in range(at_most)}
    return sorted(drawn)


def distance_interval(found: Distances, units_a: np.ndarray | None, *, confidence: float = 0.95) -> Interval:
    """Return the interval of a mean distance.

    It covers the expected distance at these numbers of rows, sampling included; the excess findings leave sampling
    out.

    Args:
      units_a: (n_a,) unit codes of the first table's rows; rows of the second table are independent.
    """
    variance = cluster_variance(found.influence_a, units_a) + cluster_variance(found.influence_b)
    interval = normal(found.mean, variance, confidence=confidence, floor=0.0)
    return Interval(interval.value, interval.low, min(1.0, interval.high))


def chance_distances(
    a: np.ndarray,
    b: np.ndarray,
    sizes: tuple[int, ...],
    marginals: list[tuple[int, ...]],
    *,
    rng: np.random.Generator,
    draws: int = 1,
) -> np.ndarray:
    """Return the (m,) distances by sampling alone: the rows of both tables pooled and split again at random.

    Valid where few rows share a combination too; there the closed form of `Distances.floors` is too small.

    Args:
      a, b: (n_columns, n) codes; both with at least one row.
      draws: number of random splits to average over.
    """
    pooled, n_a = np.concatenate([a, b], axis=1), a.shape[1]
    found = []
    for _ in range(draws):
        order = rng.permutation(pooled.shape[1])
        found.append(distances(pooled[:, order[:n_a]], pooled[:, order[n_a:]], sizes, marginals).values)
    return np.asarray(np.mean(found, axis=0))

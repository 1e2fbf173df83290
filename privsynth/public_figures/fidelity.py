"""Noisy distances between real and synthetic marginals of one, two and three columns."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np

from privsynth.codecs.contingency import contingency_tables, full_marginal
from privsynth.codecs.encoded_table import Encoded
from privsynth.findings.finding import Finding
from privsynth.privacy.mechanisms import Mechanisms, grid_sensitivity, on_grid
from privsynth.public_figures.noisy_table import SOURCE, USELESS, paid_figure

MAX_TABLES = 300  # pairs in a mean, and half as many triples; bounds the time (own)
MAX_CELLS = 1 << 22  # bins of a contingency table that is counted: 32 MiB of int64 (own)
STEP = 2.0**-8  # rows: the grid of the released distances, a power of two so that noise in whole steps is exact
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
    means = np.array([_distances(data, synthetic, tables).mean() for tables in lists.values()])
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
    distances = _distances(data, synthetic, [(i,) for i in range(len(data.sizes))])
    rows, sigma = _release(data, mechanisms, distances, mu_squared, "distance of each column")
    return [
        _column_finding(attribute.name, attribute.size, value, sigma, data)
        for attribute, value in zip(data.attributes, rows, strict=True)
    ]


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


def _distances(data: Encoded, synthetic: np.ndarray, tables: list[tuple[int, ...]]) -> np.ndarray:
    """Return (tables,) distances ½·Σ|c − N̂·s| in rows; private until released."""
    marginals = [full_marginal(data.sizes, table) for table in tables]
    scale = data.n_rows / max(synthetic.shape[1], 1)
    both = zip(contingency_tables(data.codes, marginals), contingency_tables(synthetic, marginals), strict=True)
    return np.array([0.5 * np.abs(real - scale * fake).sum() for real, fake in both])


def _countable(sizes: list[int], tables: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Return the marginals of at most `MAX_CELLS` bins; sizes are public."""
    return [table for table in tables if math.prod(sizes[a] for a in table) <= MAX_CELLS]


def _column_finding(name: str, size: int, rows: float, sigma: float, data: Encoded) -> Finding:
    """Return the distance of a column; no figure where the run knows one cell of values, whatever they are."""
    one = size <= ONE_VALUE
    note = " All its values are in one category or bin, so only missing cells could be compared." if one else ""
    return _distance_finding("tvd_1way", name, rows, sigma, data, "this column", note, useless=one)


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

"""Fidelity: how far the synthetic table is from the training rows, one, two and three columns at a time.

The holdout says what is possible: fresh real rows are not at distance zero either. The excess compares equal
  sample
sizes, so that a large synthetic table is not flattered. Bins are deciles of the training rows: officer
figures.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np

from privsynth.audit.association import associations
from privsynth.audit.codes import Coded, Distances, discretise, distances
from privsynth.audit.columns import column_differences
from privsynth.audit.finding import Finding
from privsynth.audit.intervals import Interval, cluster_variance, normal
from privsynth.audit.tables import AuditSettings, AuditTables, thin
from privsynth.audit.wording import insufficient

MAX_MARGINALS = {1: 2_000, 2: 1_500, 3: 200}
WORST_PAIRS = 20
WAYS = {1: "single columns", 2: "pairs of columns", 3: "triples of columns"}


def fidelity(tables: AuditTables, *, rng: np.random.Generator, settings: AuditSettings) -> list[Finding]:
    """Return distances of marginals, associations, missing shares and numeric columns; all for the officer."""
    if not tables.columns or min(len(tables.train), len(tables.synthetic)) == 0:
        return [insufficient("fidelity", "tvd_1way_mean", "a table has no rows or no columns.")]
    coded = _thinned(discretise(tables), tables, settings, rng)
    findings: list[Finding] = []
    for ways in (1, 2, 3):
        if ways <= len(coded.codes.columns):
            findings += _marginals(coded, ways, rng)
    findings += associations(tables, coded.codes, rng=rng)
    findings += column_differences(tables)
    return findings


class _Parts:
    """Coded tables of bounded size, with the units of their rows."""

    def __init__(self, codes: Coded, units_train: np.ndarray, units_holdout: np.ndarray) -> None:
        self.codes = codes
        self.units = {"train": units_train, "holdout": units_holdout}


def _thinned(codes: Coded, tables: AuditTables, settings: AuditSettings, rng: np.random.Generator) -> _Parts:
    """Keep at most five times `max_rows` rows of a table: counting is cheap."""
    at_most = 5 * settings.max_rows
    train = thin(codes.train.shape[1], at_most, rng)
    synthetic = thin(codes.synthetic.shape[1], at_most, rng)
    has_holdout = codes.holdout is not None and codes.holdout.shape[1] > 0
    holdout = thin(codes.holdout.shape[1], at_most, rng) if has_holdout else np.zeros(0, dtype=int)  # type: ignore[union-attr]
    kept = Coded(
        columns=codes.columns,
        sizes=codes.sizes,
        train=codes.train[:, train],
        holdout=codes.holdout[:, holdout] if has_holdout else None,  # type: ignore[index]
        synthetic=codes.synthetic[:, synthetic],
    )
    return _Parts(kept, tables.units("train")[train], tables.units("holdout")[holdout])


def choose_marginals(n_columns: int, ways: int, rng: np.random.Generator, at_most: int) -> list[tuple[int, ...]]:
    """Return all sets of `ways` columns, or `at_most` of them drawn at random."""
    if ways <= 2:
        every = list(combinations(range(n_columns), ways))
        return [every[i] for i in thin(len(every), at_most, rng)]
    if n_columns <= 40:
        every = list(combinations(range(n_columns), ways))
        return [every[i] for i in thin(len(every), at_most, rng)]
    drawn = {tuple(sorted(map(int, rng.choice(n_columns, ways, replace=False)))) for _ in range(at_most)}
    return sorted(drawn)


def _interval(found: Distances, units_a: np.ndarray | None) -> Interval:
    variance = cluster_variance(found.influence_a, units_a) + cluster_variance(found.influence_b)
    return normal(found.mean, variance, floor=0.0)


def _marginals(parts: _Parts, ways: int, rng: np.random.Generator) -> list[Finding]:
    codes = parts.codes
    marginals = choose_marginals(len(codes.columns), ways, rng, MAX_MARGINALS[ways])
    found = distances(codes.train, codes.synthetic, codes.sizes, marginals)
    ceiling = None
    if codes.holdout is not None:
        ceiling = distances(codes.train, codes.holdout, codes.sizes, marginals)
    interval = _interval(found, parts.units["train"])
    names = [" × ".join(codes.columns[c] for c in marginal) for marginal in marginals]
    shared: dict[str, Any] = {
        "n": codes.synthetic.shape[1],
        "baseline_label": "holdout" if ceiling else "",
        "better": "lower",
        "source": "own; research on k-way marginals, for example McKenna et al. (2021)",
    }
    findings = [
        Finding(
            family="fidelity",
            name=f"tvd_{ways}way_mean",
            value=interval.value,
            low=interval.low,
            high=min(1.0, interval.high),
            visibility="officer",
            baseline=ceiling.mean if ceiling else None,
            meaning=f"Share of rows that would have to change, on average over {len(marginals)} "
            f"{WAYS[ways]}, for the synthetic counts to equal the real ones. Fresh real rows would reach "
            "the baseline.",
            detail=_matrix(codes, marginals, found.values) if ways == 2 else {"marginals": len(marginals)},
            **shared,
        )
    ]
    worst = int(np.argmax(found.values))
    findings.append(
        replace(
            _single(parts, marginals[worst], names[worst], ceiling, worst, shared),
            name=f"tvd_{ways}way_worst",
            meaning=f"The worst of {len(marginals)} {WAYS[ways]}; picked for being the worst, so partly by chance.",
        )
    )
    if ceiling is not None:
        findings.append(_excess(parts, ways, marginals, rng))
    if ways == 1:
        findings += [_single(parts, marginal, names[i], ceiling, i, shared) for i, marginal in enumerate(marginals)]
    if ways == 2:
        order = np.argsort(-found.values, kind="stable")[:WORST_PAIRS]
        findings += [_single(parts, marginals[i], names[i], ceiling, int(i), shared) for i in order]
    return findings


def _single(
    parts: _Parts, marginal: tuple[int, ...], name: str, ceiling: Distances | None, i: int, shared: dict[str, Any]
) -> Finding:
    codes = parts.codes
    found = distances(codes.train, codes.synthetic, codes.sizes, [marginal])
    interval = _interval(found, parts.units["train"])
    return Finding(
        family="fidelity",
        name=f"tvd_{len(marginal)}way",
        group=name,
        value=interval.value,
        low=interval.low,
        high=min(1.0, interval.high),
        visibility="officer",
        baseline=float(ceiling.values[i]) if ceiling else None,
        meaning="Share of rows that would have to change for the synthetic counts to equal the real ones.",
        **shared,
    )


def _excess(parts: _Parts, ways: int, marginals: list[tuple[int, ...]], rng: np.random.Generator) -> Finding:
    """The distance beyond that of real rows, both measured on equally many rows."""
    codes = parts.codes
    assert codes.holdout is not None
    size = min(codes.holdout.shape[1], codes.synthetic.shape[1])
    rows_h = thin(codes.holdout.shape[1], size, rng)
    rows_s = thin(codes.synthetic.shape[1], size, rng)
    ours = distances(codes.train, codes.synthetic[:, rows_s], codes.sizes, marginals)
    real = distances(codes.train, codes.holdout[:, rows_h], codes.sizes, marginals)
    variance = (
        cluster_variance(ours.influence_a - real.influence_a, parts.units["train"])
        + cluster_variance(ours.influence_b)
        + cluster_variance(real.influence_b, parts.units["holdout"][rows_h])
    )
    interval = normal(ours.mean - real.mean, variance)
    return Finding(
        family="fidelity",
        name=f"tvd_{ways}way_excess",
        value=interval.value,
        low=interval.low,
        high=interval.high,
        n=size,
        visibility="officer",
        baseline=0.0,
        baseline_label="as near as fresh real rows",
        better="lower",
        meaning="How much further the synthetic rows are from the training rows than the holdout is, over "
        f"{WAYS[ways]}, both cut to the same number of rows. Below zero is nearer than fresh real rows: a "
        "sign of copying.",
        detail={"synthetic": ours.mean, "holdout": real.mean},
    )


def _matrix(codes: Coded, marginals: list[tuple[int, ...]], values: np.ndarray) -> dict[str, Any]:
    grid: list[list[float | None]] = [[None] * len(codes.columns) for _ in codes.columns]
    for (a, b), value in zip(marginals, values, strict=True):
        grid[a][b] = grid[b][a] = round(float(value), 5)
    return {"columns": list(codes.columns), "matrix": grid}

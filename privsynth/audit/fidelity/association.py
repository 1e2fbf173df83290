"""Associations: are pairs of columns associated in the synthetic rows as in the real ones?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np

from privsynth.audit.common.audit_tables import AuditTables, numbers, thin
from privsynth.audit.common.discretise import Coded
from privsynth.audit.common.fresh_rows import strict
from privsynth.audit.common.jackknife import (
    BLOCKS,
    assign_blocks,
    jackknife_interval,
    jackknife_variance,
    left_out_counts,
)
from privsynth.findings.finding import Finding
from privsynth.findings.severity import STRENGTH, either_way, judged
from privsynth.stats.intervals import Interval, cluster_variance, normal

MAX_PAIRS = 1_000  # of columns; bounds the time (own)
MAX_NUMBER_PAIRS = 300  # of numeric columns; bounds the time (own)
MAX_CELLS = 1 << 15  # bins of a pair of columns; with more, nearly all are empty (own)
WORST = 5  # pairs with a figure of their own (own)
MIN_COMPLETE = 10  # rows that have both numbers, for a correlation (own)


def associations(tables: AuditTables, codes: Coded, *, rng: np.random.Generator) -> list[Finding]:
    """Return the mean and the worst differences of Cramér's V (all pairs) and of correlation (numbers).

    Args:
      tables: what `codes` encode, row for row.
    """
    return _cramers(tables, codes, rng) + _correlations(tables, rng)


def strengths(
    codes: np.ndarray, sizes: Sequence[int], pairs: Sequence[tuple[int, int]], blocks: np.ndarray
) -> np.ndarray:
    """Return (n_pairs, 1 + BLOCKS) values of Cramér's V: of all rows, then without each block."""
    return np.array([cramers_v(left_out_counts(codes, sizes, pair, blocks)) for pair in pairs]).reshape(-1, 1 + BLOCKS)


def cramers_v(counts: np.ndarray) -> np.ndarray:
    """Return the (k,) Cramér's V of (k, rows, columns) tables of counts, corrected for its bias in small samples.

    0 where it is undefined.

    Args:
      counts: the first table holds at least what the others hold, cell by cell.

    Source: Bergsma (2013).
    """
    used = counts[0]  # a cell that is empty in all rows is empty without a block as well
    counts = counts[:, used.sum(axis=1) > 0][:, :, used.sum(axis=0) > 0].astype(np.float64)
    down, across = counts.sum(axis=2), counts.sum(axis=1)
    n = down.sum(axis=1)
    rows, columns = (down > 0).sum(axis=1), (across > 0).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        expected = down[:, :, None] * across[:, None, :]
        # Σ (o - e)² / e = n Σ o² / (row · column) - n
        phi2 = np.where(expected > 0, counts**2 / expected, 0.0).sum(axis=(1, 2)) - 1
        phi2 = np.maximum(0.0, phi2 - (rows - 1) * (columns - 1) / (n - 1))
        least = np.minimum(rows - (rows - 1) ** 2 / (n - 1), columns - (columns - 1) ** 2 / (n - 1)) - 1
        v = np.minimum(1.0, np.sqrt(phi2 / least))
    told = (n >= 2) & (np.minimum(rows, columns) >= 2) & (least > 0)
    return np.where(told, v, 0.0)


def strength_differences(synthetic: np.ndarray, train: np.ndarray, *, confidence: float = 0.95) -> list[Interval]:
    """Return V(synthetic) - V(train) of each pair, from `strengths`; the intervals hold together."""
    variance = jackknife_variance(synthetic[:, 1:].T) + jackknife_variance(train[:, 1:].T)
    values = synthetic[:, 0] - train[:, 0]
    return [
        jackknife_interval(float(v), s, confidence=confidence, shared=len(values))
        for v, s in zip(values, variance, strict=True)
    ]


def _mean_gap(synthetic: np.ndarray, train: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Return mean |V - V|, and its leave-one-out values over the blocks of either table."""
    gap = float(np.abs(synthetic[:, 0] - train[:, 0]).mean())
    without_s = np.abs(synthetic[:, 1:] - train[:, :1]).mean(axis=0)
    without_t = np.abs(synthetic[:, :1] - train[:, 1:]).mean(axis=0)
    return gap, without_s, without_t


def _cramers(tables: AuditTables, codes: Coded, rng: np.random.Generator) -> list[Finding]:
    every = list(combinations(range(len(codes.columns)), 2))
    every = [(a, b) for a, b in every if codes.sizes[a] * codes.sizes[b] <= MAX_CELLS]
    pairs = [every[i] for i in thin(len(every), MAX_PAIRS, rng)]
    if not pairs:
        return []
    train = strengths(codes.train, codes.sizes, pairs, assign_blocks(tables.units("train"), rng))
    ours = strengths(codes.synthetic, codes.sizes, pairs, assign_blocks(np.arange(codes.synthetic.shape[1]), rng))
    gap, without_s, without_t = _mean_gap(ours, train)
    interval = jackknife_interval(gap, float(jackknife_variance(without_s) + jackknife_variance(without_t)))
    findings = []
    baseline = None
    if codes.holdout is not None:
        baseline, excess = _excess(tables, codes, pairs, train, rng)
        findings.append(excess)
    mean = Finding.of(
        interval.within(0.0, 1.0),
        family="fidelity",
        name="association_difference_mean",
        visibility="officer",
        n=codes.synthetic.shape[1],
        baseline=baseline,
        baseline_label="holdout" if baseline is not None else "",
        better="lower",
        meaning="How much the strength of association (Cramér's V, 0 to 1) of two columns differs from that in the "
        f"real rows, on average over {len(pairs)} pairs.",
        source="Bergsma (2013); interval: delete-a-group jackknife by unit, Kott (2001)",
    )
    order = np.argsort(-np.abs(ours[:, 0] - train[:, 0]), kind="stable")[:WORST]
    apart, beyond = strength_differences(ours, train), strength_differences(ours, train, confidence=strict())
    for i in order:
        name = " × ".join(codes.columns[c] for c in pairs[i])
        one = _one_pair(name, apart[i], float(ours[i, 0]), float(train[i, 0]), codes.synthetic.shape[1])
        findings.append(judged(one, either_way(beyond[i]), STRENGTH))
    return [mean, *findings]


def _excess(
    tables: AuditTables, codes: Coded, pairs: Sequence[tuple[int, int]], train: np.ndarray, rng: np.random.Generator
) -> tuple[float, Finding]:
    """Return the holdout's mean difference, and the excess of ours at equal numbers of rows."""
    assert codes.holdout is not None
    size = min(codes.holdout.shape[1], codes.synthetic.shape[1])
    rows_h, rows_s = thin(codes.holdout.shape[1], size, rng), thin(codes.synthetic.shape[1], size, rng)
    ours = strengths(codes.synthetic[:, rows_s], codes.sizes, pairs, assign_blocks(np.arange(size), rng))
    real = strengths(codes.holdout[:, rows_h], codes.sizes, pairs, assign_blocks(tables.units("holdout")[rows_h], rng))
    gap_s, without_s, without_ts = _mean_gap(ours, train)
    gap_h, without_h, without_th = _mean_gap(real, train)
    variance = sum(float(jackknife_variance(w)) for w in (without_s, without_h, without_ts - without_th))
    interval = jackknife_interval(gap_s - gap_h, variance)
    finding = Finding.of(
        interval,
        family="fidelity",
        name="association_difference_excess",
        visibility="officer",
        n=size,
        baseline=0.0,
        baseline_label="as near as fresh real rows",
        better="lower",
        meaning="How much further the associations of the synthetic rows are from the training rows' than the "
        "holdout's are, both cut to the same number of rows.",
        source="Bergsma (2013); interval: delete-a-group jackknife by unit, Kott (2001)",
        detail={"synthetic": gap_s, "holdout": gap_h},
    )
    return gap_h, judged(finding, jackknife_interval(gap_s - gap_h, variance, confidence=strict()), STRENGTH)


def _one_pair(name: str, interval: Interval, ours: float, real: float, n: int) -> Finding:
    return Finding.of(
        interval.within(-1.0, 1.0),
        family="fidelity",
        name="association_difference",
        group=name,
        visibility="officer",
        n=n,
        baseline=0.0,
        baseline_label="no difference",
        better="target",
        meaning="Association of the two columns (Cramér's V), synthetic minus real. Among the largest differences; "
        "below zero, the synthetic rows have lost a connection. The interval allows for the choice of the largest.",
        source="Bergsma (2013); interval: delete-a-group jackknife by unit, Kott (2001)",
        detail={"synthetic": ours, "train": real},
    )


def _correlations(tables: AuditTables, rng: np.random.Generator) -> list[Finding]:
    names = [name for name in tables.columns if tables.is_number(name)]
    every = list(combinations(names, 2))
    parts = {"train": tables.train, "synthetic": tables.synthetic}
    if tables.holdout is not None:
        parts["holdout"] = tables.holdout
    cells = {part: {name: numbers(frame[name]) for name in names} for part, frame in parts.items()}
    units = tables.units("train")
    found, pulls = [], [np.zeros(len(tables.synthetic)), np.zeros(len(tables.train))]
    fresh = []
    for a, b in (every[i] for i in thin(len(every), MAX_NUMBER_PAIRS, rng)):
        ours, real = (pearson(cells[part][a], cells[part][b]) for part in ("synthetic", "train"))
        if ours is None or real is None:
            continue
        sign = math.copysign(1.0, ours[0] - real[0])
        pulls[0] += sign * ours[1]
        pulls[1] -= sign * real[1]
        variance = cluster_variance(ours[1]) + cluster_variance(real[1], units)
        found.append((f"{a} × {b}", ours[0], real[0], variance))
        if "holdout" in cells and (other := pearson(cells["holdout"][a], cells["holdout"][b])) is not None:
            fresh.append(abs(other[0] - real[0]))
    if not found:
        return []
    gaps = np.array([abs(ours - real) for _, ours, real, _ in found])
    variance = cluster_variance(pulls[0] / len(found)) + cluster_variance(pulls[1] / len(found), units)
    interval = normal(float(gaps.mean()), variance, floor=0.0)
    baseline = float(np.mean(fresh)) if fresh else None
    mean = Finding.of(
        interval,
        family="fidelity",
        name="correlation_difference_mean",
        visibility="officer",
        n=len(tables.synthetic),
        baseline=baseline,
        baseline_label="holdout" if baseline is not None else "",
        better="lower",
        meaning=f"How much the linear correlation of two numeric columns differs from that in the real rows, on "
        f"average over {len(found)} pairs.",
        source="Pearson; interval: infinitesimal jackknife by unit",
    )
    order = np.argsort(-gaps, kind="stable")[:WORST]
    return [mean, *(_one_correlation(found[i], len(found), len(tables.synthetic)) for i in order)]


def _one_correlation(item: tuple[str, float, float, float], of: int, n: int) -> Finding:
    name, ours, real, variance = item
    interval = normal(ours - real, variance, confidence=1 - 0.05 / of)
    finding = Finding.of(
        interval,
        family="fidelity",
        name="correlation_difference",
        group=name,
        visibility="officer",
        n=n,
        baseline=0.0,
        baseline_label="no difference",
        better="target",
        meaning="Linear correlation of the two columns, synthetic minus real. Among the largest differences; the "
        "interval allows for the choice of the largest.",
        source="Pearson; interval: infinitesimal jackknife by unit",
        detail={"synthetic": ours, "train": real},
    )
    return judged(finding, either_way(normal(ours - real, variance, confidence=strict(of))), STRENGTH)


def pearson(a: np.ndarray, b: np.ndarray) -> tuple[float, np.ndarray] | None:
    """Return the correlation of two (n,) columns over the rows that have both, and each row's influence on it.

    Unlike Fisher's interval, which is far too narrow for heavy tails, the influence does not assume normal columns.
    None if fewer than 10 rows have both or a column is constant.

    Source: Devlin, Gnanadesikan & Kettenring (1975), influence of a correlation.
    """
    both = np.isfinite(a) & np.isfinite(b)
    n = int(both.sum())
    if n < MIN_COMPLETE or np.ptp(a[both]) == 0 or np.ptp(b[both]) == 0:
        return None
    x, y = ((c[both] - c[both].mean()) / c[both].std() for c in (a, b))
    value = float(np.mean(x * y))
    if not math.isfinite(value):
        return None
    influence = np.zeros(len(a))
    influence[both] = (x * y - value / 2 * (x * x + y * y)) * (len(a) / n)
    return value, influence

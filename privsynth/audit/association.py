"""Associations: do two columns hang together in the synthetic rows as they do in the real ones?"""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np

from privsynth.audit.codes import DENSE_CELLS, Coded, contingency, cramers_v
from privsynth.audit.finding import Finding
from privsynth.audit.intervals import Interval
from privsynth.audit.tables import AuditTables, numbers, thin

MAX_PAIRS = 1_500
WORST = 5
MIN_COMPLETE = 10


def associations(tables: AuditTables, codes: Coded, *, rng: np.random.Generator) -> list[Finding]:
    """Return the mean and the worst difference of Cramér's V (all pairs) and of correlation (pairs of
    numbers).
    """
    return _cramers(codes, rng) + _correlations(tables)


def v_difference(synthetic: np.ndarray, train: np.ndarray, rng: np.random.Generator, draws: int = 100) -> Interval:
    """Return V(synthetic) - V(train) with a bootstrap interval (multinomial redraws of the two tables of
    counts).
    """
    value = cramers_v(synthetic) - cramers_v(train)
    redrawn = [cramers_v(_redraw(synthetic, rng)) - cramers_v(_redraw(train, rng)) for _ in range(draws)]
    low, high = np.quantile(redrawn, [0.025, 0.975])
    return Interval(value, min(value, float(low)), max(value, float(high)))


def _redraw(counts: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    total = int(counts.sum())
    return rng.multinomial(total, counts.ravel() / max(1, total)).reshape(counts.shape) if total else counts


def _cramers(codes: Coded, rng: np.random.Generator) -> list[Finding]:
    every = list(combinations(range(len(codes.columns)), 2))
    pairs = [every[i] for i in thin(len(every), MAX_PAIRS, rng)]
    pairs = [(a, b) for a, b in pairs if codes.sizes[a] * codes.sizes[b] <= DENSE_CELLS]
    if not pairs:
        return []
    v_train = np.array([cramers_v(contingency(codes.train, codes.sizes, *pair)) for pair in pairs])
    v_ours = np.array([cramers_v(contingency(codes.synthetic, codes.sizes, *pair)) for pair in pairs])
    gaps = np.abs(v_ours - v_train)
    baseline = None
    if codes.holdout is not None:
        v_hold = np.array([cramers_v(contingency(codes.holdout, codes.sizes, *pair)) for pair in pairs])
        baseline = float(np.abs(v_hold - v_train).mean())
    findings = [
        Finding(
            family="fidelity",
            name="association_difference_mean",
            value=float(gaps.mean()),
            visibility="officer",
            n=codes.synthetic.shape[1],
            baseline=baseline,
            baseline_label="holdout" if baseline is not None else "",
            better="lower",
            meaning="How much the strength of association (Cramér's V, 0 to 1) of two columns differs "
            f"from that in the real rows, on average over {len(pairs)} pairs.",
            source="Bergsma (2013)",
        )
    ]
    for i in np.argsort(-gaps, kind="stable")[:WORST]:
        interval = v_difference(
            contingency(codes.synthetic, codes.sizes, *pairs[i]),
            contingency(codes.train, codes.sizes, *pairs[i]),
            rng,
        )
        findings.append(
            Finding(
                family="fidelity",
                name="association_difference",
                group=" × ".join(codes.columns[c] for c in pairs[i]),
                value=interval.value,
                low=interval.low,
                high=interval.high,
                visibility="officer",
                n=codes.synthetic.shape[1],
                baseline=0.0,
                baseline_label="no difference",
                better="target",
                meaning="Association of the two columns, synthetic minus real. Among the largest "
                "differences; below zero, the synthetic rows have lost a connection.",
                source="Bergsma (2013)",
                detail={"synthetic": float(v_ours[i]), "train": float(v_train[i])},
            )
        )
    return findings


def _correlations(tables: AuditTables) -> list[Finding]:
    names = [name for name in tables.columns if tables.is_number(name)]
    if len(names) < 2:
        return []
    real = {name: numbers(tables.train[name]) for name in names}
    ours = {name: numbers(tables.synthetic[name]) for name in names}
    found = []
    for a, b in list(combinations(names, 2))[:MAX_PAIRS]:
        pair = (_pearson(ours[a], ours[b]), _pearson(real[a], real[b]))
        if pair[0] and pair[1]:
            found.append((a, b, pair[0], pair[1]))
    found.sort(key=lambda item: -abs(item[2][0] - item[3][0]))
    findings = []
    for a, b, (r_ours, n_ours), (r_real, n_real) in found[:WORST]:
        interval = fisher_difference(r_ours, n_ours, r_real, n_real)
        findings.append(
            Finding(
                family="fidelity",
                name="correlation_difference",
                group=f"{a} × {b}",
                value=interval.value,
                low=interval.low,
                high=interval.high,
                visibility="officer",
                n=n_ours,
                baseline=0.0,
                baseline_label="no difference",
                better="target",
                meaning="Linear correlation of the two columns, synthetic minus real. Among the largest differences.",
                source="Fisher (1921); Zou (2007)",
                detail={"synthetic": r_ours, "train": r_real},
            )
        )
    return findings


def _pearson(a: np.ndarray, b: np.ndarray) -> tuple[float, int] | None:
    both = np.isfinite(a) & np.isfinite(b)
    n = int(both.sum())
    if n < MIN_COMPLETE or np.ptp(a[both]) == 0 or np.ptp(b[both]) == 0:
        return None
    value = float(np.corrcoef(a[both], b[both])[0, 1])
    return (value, n) if math.isfinite(value) else None


def fisher_difference(r1: float, n1: int, r2: float, n2: int) -> Interval:
    """Return the 95 % interval of r1 - r2 of independent samples. Source: Zou (2007), by Fisher's transform."""
    ends = []
    for r, n in ((r1, n1), (r2, n2)):
        centre = math.atanh(max(-1 + 1e-12, min(1 - 1e-12, r)))
        half = 1.959963984540054 / math.sqrt(max(1, n - 3))
        ends.append((math.tanh(centre - half), math.tanh(centre + half)))
    value = r1 - r2
    low = value - math.hypot(r1 - ends[0][0], ends[1][1] - r2)
    high = value + math.hypot(ends[0][1] - r1, r2 - ends[1][0])
    return Interval(value, low, high)

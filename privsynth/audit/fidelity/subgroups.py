"""Fidelity within groups: is the synthetic table as faithful to each group as to the others?"""

from __future__ import annotations

import numpy as np

from privsynth.audit.common.audit_tables import AuditTables
from privsynth.audit.common.discretise import Coded, distances
from privsynth.audit.common.fresh_rows import strict, without_room
from privsynth.audit.common.marginals import chance_distances, choose_marginals, distance_interval
from privsynth.audit.common.protected_groups import MIN_ROWS, Grouping
from privsynth.findings.finding import Finding
from privsynth.findings.insufficient import insufficient
from privsynth.findings.severity import MISPLACED, judged
from privsynth.stats.intervals import Interval, cluster_variance, normal

MAX_MARGINALS = 60  # of one column, and as many pairs, in each group; bounds the time (own)
CHANCE_DRAWS = 2  # averaged over up to 120 marginals, so that two are enough (own)


def subgroup_fidelity(
    tables: AuditTables, codes: Coded, groups: Grouping, *, rng: np.random.Generator
) -> list[Finding]:
    """Return the distance between synthetic and real rows in each group, and the gap between groups.

    Args:
      codes: of `tables`, in the same order of rows.
    """
    others = [i for i, name in enumerate(codes.columns) if name not in groups.columns]
    if not others:
        return [insufficient("bias", "subgroup_fidelity", "there is no other column.", group=groups.column)]
    marginals = choose_marginals(len(others), 1, rng, MAX_MARGINALS)
    if len(others) > 1:
        marginals += choose_marginals(len(others), 2, rng, MAX_MARGINALS)
    sets = [tuple(others[i] for i in marginal) for marginal in marginals]
    findings, excess = [], {}
    for g, label in enumerate(groups.labels):
        rows_t, rows_s = groups.train == g, groups.synthetic == g
        n = int(min(rows_t.sum(), rows_s.sum()))
        if n < MIN_ROWS:
            why = (
                f"the group has {int(rows_t.sum())} real and {int(rows_s.sum())} synthetic rows; {MIN_ROWS} are needed."
            )
            findings.append(insufficient("bias", "subgroup_fidelity", why, group=label, n=n))
            continue
        coded = (codes.train[:, rows_t], codes.synthetic[:, rows_s])
        found = distances(*coded, codes.sizes, sets)
        floor = float(chance_distances(*coded, codes.sizes, sets, rng=rng, draws=CHANCE_DRAWS).mean())
        units = tables.units("train")[rows_t]
        variance = cluster_variance(found.influence_a, units) + cluster_variance(found.influence_b)
        excess[label] = (found.mean - floor, variance)
        one = _one(label, distance_interval(found, units), floor, n=int(rows_s.sum()), column=groups.column)
        beyond = normal(found.mean - floor, variance, confidence=strict(len(groups.labels)))
        findings.append(judged(one, without_room(beyond, floor), MISPLACED))
    if len(excess) > 1:
        findings.append(_gap(groups, excess))
    else:
        why = f"fewer than two groups have {MIN_ROWS} rows on both sides."
        findings.append(insufficient("bias", "subgroup_fidelity_gap", why, group=groups.column))
    return findings


def _one(label: str, interval: Interval, floor: float, *, n: int, column: str) -> Finding:
    return Finding.of(
        interval,
        family="bias",
        name="subgroup_fidelity",
        group=label,
        n=n,
        visibility="officer",
        baseline=floor,
        baseline_label="sampling alone, at this group's size",
        better="lower",
        meaning="Distance of the synthetic to the real rows inside this group, over single "
        "columns and pairs. Small groups are further away by chance alone; the baseline says how "
        "far.",
        detail={"column": column, "excess": interval.value - floor},
    )


def _gap(groups: Grouping, excess: dict[str, tuple[float, float]]) -> Finding:
    worst = max(excess, key=lambda label: excess[label][0])
    best = min(excess, key=lambda label: excess[label][0])
    value = excess[worst][0] - excess[best][0]
    pairs = len(excess) * (len(excess) - 1) / 2
    interval = normal(value, excess[worst][1] + excess[best][1], floor=0.0, confidence=1 - 0.05 / pairs)
    return Finding.of(
        interval,
        family="bias",
        name="subgroup_fidelity_gap",
        group=groups.column,
        n=len(excess),
        visibility="officer",
        baseline=0.0,
        baseline_label="all groups alike",
        better="lower",
        meaning=f"How much less faithful the synthetic rows are for the worst of {len(excess)} groups than for the "
        "best, beyond what their sizes explain. The interval allows for the choice of the two.",
        detail={"worst": worst, "best": best},
    )

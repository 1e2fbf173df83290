"""Downstream gaps: how a model trained on synthetic rows treats groups of real people, against one trained on
real rows.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from privsynth.audit.finding import Finding
from privsynth.audit.groups import MIN_ROWS, Grouping
from privsynth.audit.intervals import cluster_bootstrap, wilson
from privsynth.audit.learners import Judged, judged
from privsynth.audit.tables import AuditSettings, AuditTables
from privsynth.audit.wording import insufficient

MODEL = "boosted trees"
DRAWS = 200
MEANINGS = {
    "selection_rate": "Share of the group for which the model says yes.",
    "true_positive_rate": "Share of the group's true cases that the model finds.",
    "false_positive_rate": "Share of the group's other members that the model wrongly takes for cases.",
}


def downstream(
    tables: AuditTables, groups: Grouping, *, rng: np.random.Generator, settings: AuditSettings
) -> list[Finding]:
    """Return selection, true-positive and false-positive rates by group, and their gaps, for each target."""
    findings: list[Finding] = []
    for target in tables.targets:
        if target in groups.columns:
            continue
        found = judged(tables, target, rng=rng, settings=settings)
        if found is None or len(found.y) < MIN_ROWS:
            why = f"needs at least {MIN_ROWS} holdout rows and a target with two values."
            name = f"{groups.column} · {target}"
            findings.append(insufficient("bias", "selection_rate_gap", why, group=name))
            continue
        findings += _one_target(tables, groups, found, rng)
    return findings


def _one_target(tables: AuditTables, groups: Grouping, found: Judged, rng: np.random.Generator) -> list[Finding]:
    from fairlearn.metrics import MetricFrame, false_positive_rate, selection_rate, true_positive_rate

    positive = 1 if len(found.task.classes) == 2 else 0
    name = found.task.classes[positive]
    event = f"{found.task.target}={name}" if found.task.cut is None else f"{found.task.target} above its "
    "median"
    y = (found.y == positive).astype(int)
    ours = (found.synthetic[MODEL].argmax(axis=1) == positive).astype(int)
    real = (found.real[MODEL].argmax(axis=1) == positive).astype(int)
    member = groups.holdout[found.rows]
    metrics = {
        "selection_rate": selection_rate,
        "true_positive_rate": true_positive_rate,
        "false_positive_rate": false_positive_rate,
    }
    frames = [
        MetricFrame(metrics=metrics, y_true=y, y_pred=guess, sensitive_features=member).by_group
        for guess in (ours, real)
    ]
    units = tables.units("holdout")[found.rows]
    findings = []
    for metric in metrics:
        among = _among(metric, y)
        sizes = np.bincount(member[among], minlength=len(groups.labels))
        in_group = np.bincount(member, minlength=len(groups.labels))
        enough = (in_group >= MIN_ROWS) & (sizes >= MIN_ROWS)
        for g, label in enumerate(groups.labels):
            group = f"{label} · {event}"
            if not enough[g]:
                why = f"{sizes[g]} holdout rows of this group count for this rate; {MIN_ROWS} are needed."
                findings.append(insufficient("bias", metric, why, group=group, n=int(sizes[g])))
                continue
            hits = int(ours[among & (member == g)].sum())
            interval = wilson(hits, int(sizes[g]))
            findings.append(
                Finding(
                    family="bias",
                    name=metric,
                    group=group,
                    value=float(frames[0].loc[g, metric]),
                    low=interval.low,
                    high=interval.high,
                    n=int(sizes[g]),
                    visibility="officer",
                    baseline=float(frames[1].loc[g, metric]),
                    baseline_label="model trained on real rows",
                    better="target",
                    meaning=f"{MEANINGS[metric]} The model was trained on synthetic rows and judged on real ones.",
                    source="fairlearn; Hardt et al. (2016)",
                    detail={"model": MODEL, "target": found.task.target},
                )
            )
        findings.append(_gap(groups, metric, event, (y, ours, real), (member, enough), units, rng))
    return findings


def _among(metric: str, y: np.ndarray) -> np.ndarray:
    """Return the mask of the rows over which a rate is taken."""
    if metric == "true_positive_rate":
        return np.asarray(y == 1)
    return np.asarray(y == 0) if metric == "false_positive_rate" else np.ones(len(y), dtype=bool)


def gap_of(
    guess: np.ndarray, among: np.ndarray, member: np.ndarray, enough: np.ndarray
) -> Callable[[np.ndarray], float]:
    """Return a function from row indices to the largest minus the smallest rate over the groups with enough
    rows.
    """

    def gap(rows: np.ndarray) -> float:
        kept = rows[among[rows]]
        total = np.bincount(member[kept], minlength=len(enough))[enough]
        hits = np.bincount(member[kept], weights=guess[kept], minlength=len(enough))[enough]
        return float(np.ptp(hits[total > 0] / total[total > 0])) if (total > 0).sum() > 1 else float("nan")

    return gap


def _gap(
    groups: Grouping,
    metric: str,
    event: str,
    outcomes: tuple[np.ndarray, np.ndarray, np.ndarray],
    grouped: tuple[np.ndarray, np.ndarray],
    units: np.ndarray,
    rng: np.random.Generator,
) -> Finding:
    y, ours, real = outcomes
    member, enough = grouped
    name = f"{groups.column} · {event}"
    if enough.sum() < 2:
        why = f"fewer than two groups have {MIN_ROWS} holdout rows for this rate."
        return insufficient("bias", f"{metric}_gap", why, group=name)
    among = _among(metric, y)
    gap_ours, gap_real = (gap_of(guess, among, member, enough) for guess in (ours, real))
    interval = cluster_bootstrap(gap_ours, len(y), rng=rng, units=units, draws=DRAWS)
    change = cluster_bootstrap(lambda rows: gap_ours(rows) - gap_real(rows), len(y), rng=rng, units=units, draws=DRAWS)
    return Finding(
        family="bias",
        name=f"{metric}_gap",
        group=name,
        value=interval.value,
        low=interval.low,
        high=interval.high,
        n=int(among.sum()),
        visibility="officer",
        baseline=gap_real(np.arange(len(y))),
        baseline_label="model trained on real rows",
        better="lower",
        verdict="review" if change.low > 0.05 else "pass",
        threshold="the gap may not exceed that of the model trained on real rows by more than 0.05 (95 %, own)",
        meaning=f"Difference between the groups with the highest and the lowest rate. {MEANINGS[metric]} "
        "The baseline is the same model trained on real rows.",
        source="Hardt et al. (2016); bootstrap over units of the holdout",
        detail={"change": change.value, "change_low": change.low, "change_high": change.high},
    )

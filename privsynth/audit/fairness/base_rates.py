"""Outcomes by group: base rates, their gap, and bias amplification in both directions."""

from __future__ import annotations

import math

import numpy as np

from privsynth.audit.common.audit_tables import AuditTables
from privsynth.audit.common.jackknife import BLOCKS, assign_blocks, jackknife_interval, jackknife_variance
from privsynth.audit.common.predictors import Task, make_task
from privsynth.audit.common.protected_groups import MIN_ROWS, Grouping
from privsynth.findings.finding import Finding, Verdict
from privsynth.findings.group_share import beside_real, effective
from privsynth.findings.insufficient import insufficient
from privsynth.findings.severity import BEYOND, RATE, either_way, excess
from privsynth.stats.intervals import share_difference, wilson

MAX_CLASSES = 5  # of a target with more than two, the most frequent, with figures of their own (own)
SHIFT = RATE.review  # between rates or gaps
DRAWS = 400  # of the parametric bootstrap of a gap: 10 lie beyond either end of a 95 % interval (own)
SURE = 2.0  # standard deviations beyond which a tie has a sign: about 95 %


def outcomes(tables: AuditTables, groups: Grouping, target: str, *, rng: np.random.Generator) -> list[Finding]:
    """Return the rate of each reported class in each group and the gap; then both amplifications."""
    task = make_task(tables, target)
    if task is None or target in groups.columns:
        why = "the target has fewer than two different values in the real rows."
        return [] if task else [insufficient("bias", "base_rate", why, group=f"{groups.column} · {target}")]
    labels = {"synthetic": task.labels(tables.synthetic), "train": task.labels(tables.train)}
    if tables.holdout is not None:
        labels["holdout"] = task.labels(tables.holdout)
    findings = []
    for positive in [1] if len(task.classes) == 2 else range(min(MAX_CLASSES, len(task.classes))):
        event = task.event(positive)
        shares = [_shares(tables, groups, part, labels[part], positive) for part in ("synthetic", "train")]
        rows = np.bincount(groups.synthetic[labels["synthetic"] >= 0], minlength=len(groups.labels))
        for g, label in enumerate(groups.labels):
            findings.append(_base_rate(f"{label} · {event}", shares[0][g], shares[1][g], int(rows[g])))
        findings.append(_gap(groups, event, np.array(shares[0]), np.array(shares[1]), int(rows.sum()), rng))
    return findings + _amplification(tables, groups, task, labels, rng)


def _shares(
    tables: AuditTables, groups: Grouping, part: str, y: np.ndarray, positive: int
) -> list[tuple[float, float]]:
    """Return effective counts (k, n) for each group: rows with the class, rows with a known target."""
    codes = getattr(groups, part)
    units = np.arange(len(y)) if part == "synthetic" else tables.units(part)
    return [effective(y == positive, (y >= 0) & (codes == g), units) for g in range(len(groups.labels))]


def _base_rate(name: str, ours: tuple[float, float], real: tuple[float, float], rows: int) -> Finding:
    if min(ours[1], real[1]) == 0:
        why = "the group has no rows with a known target on one of the two sides."
        return insufficient("bias", "base_rate", why, group=name, n=rows)
    shift = share_difference(*ours, *real)
    enough = min(ours[1], real[1]) >= MIN_ROWS
    moved = abs(shift.value) > SHIFT and (shift.low > 0 or shift.high < 0)
    apart = either_way(shift)
    told: Verdict = "fail" if apart.low > RATE.fail else "review" if moved else "pass"
    return beside_real(
        wilson(*ours),
        real[0] / real[1],
        name="base_rate",
        group=name,
        n=rows,
        visibility="officer",
        baseline_label="training rows",
        verdict=told if enough else "insufficient",
        threshold=f"within {SHIFT} of the real rate, or within chance; fail if the whole interval (95 %) lies beyond "
        f"{RATE.fail}; {MIN_ROWS} rows at least (own)",
        meaning="How often this outcome occurs in this group, in the synthetic rows and (baseline) in the real ones."
        + ("" if enough else " Too few rows for a verdict."),
        detail={
            "shift": shift.value,
            "shift_low": shift.low,
            "shift_high": shift.high,
            BEYOND: excess(apart, RATE.fail),
        },
    )


def _gap(
    groups: Grouping, event: str, ours: np.ndarray, real: np.ndarray, rows: int, rng: np.random.Generator
) -> Finding:
    """Largest minus smallest base rate over groups, and its amplification (synthetic minus real)."""
    name = f"{groups.column} · {event}"
    enough = (ours[:, 1] >= MIN_ROWS) & (real[:, 1] >= MIN_ROWS)
    if enough.sum() < 2:
        why = f"fewer than two groups have {MIN_ROWS} rows on both sides."
        return insufficient("bias", "base_rate_gap", why, group=name)
    rates = [part[enough, 0] / part[enough, 1] for part in (ours, real)]
    sizes = [np.round(part[enough, 1]).astype(int) for part in (ours, real)]
    draws = [np.ptp(rng.binomial(n, p, size=(DRAWS, len(n))) / n, axis=1) for n, p in zip(sizes, rates, strict=True)]
    values = [float(np.ptp(p)) for p in rates]
    low, high = np.quantile(draws[0], [0.025, 0.975])
    more = np.quantile(draws[0] - draws[1], [0.025, 0.975])
    amplified = (more[0] > 0 or more[1] < 0) and abs(values[0] - values[1]) > SHIFT
    return Finding(
        family="bias",
        name="base_rate_gap",
        group=name,
        value=values[0],
        low=min(values[0], float(low)),
        high=max(values[0], float(high)),
        n=rows,
        visibility="officer",
        baseline=values[1],
        baseline_label="training rows",
        better="target",
        verdict="review" if amplified else "pass",
        threshold=f"within {SHIFT} of the real gap, or the difference is within chance (own)",
        meaning="Difference between the groups with the highest and the lowest rate of this outcome. Above the "
        "baseline the synthetic rows amplify a difference, below it they hide one."
        + _left_out(groups, ~enough, f"have fewer than {MIN_ROWS} rows"),
        source="demographic parity of the data; Dwork et al. (2012)",
        detail={
            "amplification": values[0] - values[1],
            "amplification_low": float(more[0]),
            "amplification_high": float(more[1]),
            "groups": int(enough.sum()),
        },
    )


def _left_out(groups: Grouping, gone: np.ndarray, why: str) -> str:
    names = [label for label, out in zip(groups.labels, gone, strict=True) if out]
    return f" Not in this figure, for they {why}: {'; '.join(names)}." if names else ""


def _amplification(
    tables: AuditTables, groups: Grouping, task: Task, labels: dict[str, np.ndarray], rng: np.random.Generator
) -> list[Finding]:
    """Directional bias amplification, group → outcome and outcome → group, over groups and classes with enough rows."""
    counts = {}
    for part, y in labels.items():
        units = np.arange(len(y)) if part == "synthetic" else tables.units(part)
        counts[part] = _blocked(
            getattr(groups, part), y, (len(groups.labels), len(task.classes)), assign_blocks(units, rng)
        )
    enough = np.minimum(counts["train"][0].sum(axis=1), counts["synthetic"][0].sum(axis=1)) >= MIN_ROWS
    classes = np.minimum(counts["train"][0].sum(axis=0), counts["synthetic"][0].sum(axis=0)) >= MIN_ROWS
    findings = []
    for forward in (True, False):
        arrow = f"{groups.column} → {task.target}" if forward else f"{task.target} → {groups.column}"
        if enough.sum() < 2 or classes.sum() < 2:
            why = f"fewer than two groups, or two classes of the target, have {MIN_ROWS} rows on both sides."
            findings.append(insufficient("bias", "bias_amplification", why, group=arrow))
            continue
        kept = {part: c[:, enough][:, :, classes] for part, c in counts.items()}
        findings.append(_one_direction(arrow, kept, forward, _left_out(groups, ~enough, "are too small")))
    return findings


def _blocked(group: np.ndarray, y: np.ndarray, shape: tuple[int, int], blocks: np.ndarray) -> np.ndarray:
    """Return (1 + BLOCKS, groups, classes) counts of the rows with a known target: of all, then without each block."""
    known = y >= 0
    flat = (group[known] * shape[1] + y[known]) * BLOCKS + blocks[known]
    parts = np.bincount(flat, minlength=shape[0] * shape[1] * BLOCKS).reshape(*shape, BLOCKS).transpose(2, 0, 1)
    total = parts.sum(axis=0)
    return np.concatenate([total[None], total[None] - parts]).astype(np.float64)


def amplification(ours: np.ndarray, real: np.ndarray, *, forward: bool) -> float:
    """Return the mean over groups a and outcomes t of the change of P(t|a) in the direction of their real tie.

    The tie is the sign of P(a,t) - P(a)P(t) in the real rows, or zero if it is not significant (two standard
    deviations): with signs read from noise, any redraw would seem to reduce bias.

    Args:
      ours, real: (groups, outcomes) counts, no row or column empty.
      forward: compare P(t|a); else P(a|t).

    Source: Wang & Russakovsky (2021), directional bias amplification.
    """
    n = real.sum()
    expected = np.outer(real.sum(axis=1), real.sum(axis=0)) / n
    room = np.outer(1 - real.sum(axis=1) / n, 1 - real.sum(axis=0) / n)
    tie = (real - expected) / np.sqrt(np.maximum(expected * room, 1e-12))
    sign = np.where(np.abs(tie) > SURE, np.sign(tie), 0.0)
    axis = 1 if forward else 0
    change = ours / ours.sum(axis=axis, keepdims=True) - real / real.sum(axis=axis, keepdims=True)
    return float((sign * change).mean())


def _one_direction(arrow: str, counts: dict[str, np.ndarray], forward: bool, left_out: str) -> Finding:
    ours, real = counts["synthetic"], counts["train"]
    value = amplification(ours[0], real[0], forward=forward)
    variance = jackknife_variance(np.array([amplification(c, real[0], forward=forward) for c in ours[1:]]))
    variance = variance + jackknife_variance(np.array([amplification(ours[0], c, forward=forward) for c in real[1:]]))
    interval = jackknife_interval(value, float(variance))
    baseline = None
    if "holdout" in counts and (counts["holdout"][0].sum(axis=1) > 0).all() and counts["holdout"][0].sum(0).all():
        baseline = amplification(counts["holdout"][0], real[0], forward=forward)
    moved = (interval.low > 0 or interval.high < 0) and abs(value) > SHIFT / 2
    return Finding(
        family="bias",
        name="bias_amplification",
        group=arrow,
        value=value,
        low=interval.low,
        high=interval.high,
        n=int(ours[0].sum()),
        visibility="officer",
        baseline=0.0 if baseline is None else baseline,
        baseline_label="no change" if baseline is None else "holdout",
        better="target",
        verdict="review" if moved else "pass",
        threshold=f"within {SHIFT / 2} of zero, or within chance (own)",
        meaning="How much more strongly the synthetic rows tie what stands right of the arrow to what stands left of "
        "it than the real rows do, on average over groups and classes. Above zero a tie is exaggerated, below zero "
        "weakened." + left_out,
        source="Wang & Russakovsky (2021); delete-a-group jackknife by unit",
        detail={"groups": int(ours.shape[1]), "classes": int(ours.shape[2])},
    )


def log_ratio(ours: tuple[float, float], real: tuple[float, float], *, z: float) -> tuple[float, float] | None:
    """Return ln of the ratio of two shares k/n and the half width of its interval; None if one share is zero.

    Source: Katz et al. (1978).
    """
    if not ours[0] or not real[0]:
        return None
    variance = (1 - ours[0] / ours[1]) / ours[0] + (1 - real[0] / real[1]) / real[0]
    return math.log(ours[0] / ours[1] / (real[0] / real[1])), z * math.sqrt(max(0.0, variance))

"""Bias: who is in the synthetic rows, what is said about them, and what a model makes of it.

Groups with fewer than 50 holdout rows are marked 'insufficient', never left out. Two protected columns are
crossed as well. 'Reproduce, then document': nothing here repairs the data.
"""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
from scipy.special import ndtri

from privsynth.audit.association import v_difference
from privsynth.audit.attacks import attack_scores
from privsynth.audit.codes import Coded, contingency, discretise, distances
from privsynth.audit.downstream import downstream
from privsynth.audit.fidelity import choose_marginals
from privsynth.audit.finding import Finding
from privsynth.audit.groups import MIN_ROWS, Grouping, grouping, label_rows
from privsynth.audit.intervals import auc_interval, cluster_variance, normal, share_difference, wilson
from privsynth.audit.learners import Task, make_task
from privsynth.audit.tables import AuditSettings, AuditTables
from privsynth.audit.wording import insufficient

FLAG = math.log(1.25)
MAX_CROSSINGS = 3
MAX_PAIRS = 60
MAX_CLASSES = 5
SHIFT = 0.05
SURE_TO_SHOW = 10
DRAWS = 400


def bias(tables: AuditTables, *, rng: np.random.Generator, settings: AuditSettings) -> list[Finding]:
    """Return representation, base rates, associations, subgroup fidelity, model errors and attacks by group."""
    if not tables.protected:
        return [insufficient("bias", "representation", "no column has the role 'protected'.")]
    if min(len(tables.train), len(tables.synthetic)) == 0:
        return [insufficient("bias", "representation", "a table has no rows.")]
    codes = discretise(tables)
    findings: list[Finding] = []
    for column in tables.protected:
        groups = grouping(tables, (column,))
        findings += _representation(groups)
        for target in tables.targets:
            if target != column:
                findings += _base_rates(tables, groups, target, rng)
                findings += _association(codes, column, target, rng)
        findings += _subgroup_fidelity(tables, codes, groups, rng)
        findings += downstream(tables, groups, rng=rng, settings=settings)
        findings += _membership(tables, groups, rng, settings)
    for pair in list(combinations(tables.protected, 2))[:MAX_CROSSINGS]:
        groups = grouping(tables, pair)
        findings += _representation(groups)
        for target in tables.targets:
            if target not in pair:
                findings += _base_rates(tables, groups, target, rng)
    return findings


def _representation(groups: Grouping) -> list[Finding]:
    ours, real = groups.counts("synthetic"), groups.counts("train")
    n_ours, n_real = int(ours.sum()), int(real.sum())
    findings = []
    z = float(ndtri(1 - 0.025 / len(groups.labels)))
    for g, label in enumerate(groups.labels):
        interval = wilson(int(ours[g]), n_ours)
        share = real[g] / n_real
        vanished = bool(ours[g] == 0 and real[g] > 0)
        log_ratio, half = None, None
        if ours[g] and real[g]:
            log_ratio = math.log(interval.value / share)
            half = z * math.sqrt((1 - interval.value) / ours[g] + (1 - share) / real[g])
        flagged = log_ratio is not None and half is not None and abs(log_ratio) > max(FLAG, half)
        missed = vanished and share * n_ours >= SURE_TO_SHOW
        findings.append(
            Finding(
                family="bias",
                name="representation",
                group=label,
                value=interval.value,
                low=interval.low,
                high=interval.high,
                n=n_ours,
                visibility="officer",
                baseline=float(share),
                baseline_label="training rows",
                better="target",
                verdict="fail" if missed else "review" if flagged or vanished else "pass",
                threshold="share within a factor of 1.25 of the real one, or the difference is within "
                f"chance (95 %, shared); and no group vanishes of which {SURE_TO_SHOW} rows were to be "
                "expected (own)",
                meaning="This group is in the real rows and has vanished from the synthetic rows. Nothing "
                "can be learned about it from them."
                if vanished
                else "Share of the rows that belong to this group.",
                detail={
                    "log_disparity": log_ratio,
                    "log_disparity_half_width": half,
                    "vanished": vanished,
                    "column": groups.column,
                },
            )
        )
    return findings


def _shown_classes(task: Task) -> list[int]:
    """Return the classes to report: the rarer of two, else the five most frequent."""
    return [1] if len(task.classes) == 2 else list(range(min(MAX_CLASSES, len(task.classes))))


def _rates(groups: Grouping, part: str, y: np.ndarray, positive: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (n_groups,) rows with the class, and rows whose target is known."""
    codes, size = getattr(groups, part), len(groups.labels)
    return np.bincount(codes[y == positive], minlength=size), np.bincount(codes[y >= 0], minlength=size)


def _base_rates(tables: AuditTables, groups: Grouping, target: str, rng: np.random.Generator) -> list[Finding]:
    task = make_task(tables, target)
    if task is None or target in groups.columns:
        return []
    y_ours, y_real = task.labels(tables.synthetic), task.labels(tables.train)
    findings = []
    for positive in _shown_classes(task):
        event = f"{target}={task.classes[positive]}" if task.cut is None else f"{target} above its median"
        k_ours, n_ours = _rates(groups, "synthetic", y_ours, positive)
        k_real, n_real = _rates(groups, "train", y_real, positive)
        for g, label in enumerate(groups.labels):
            name = f"{label} · {event}"
            if min(n_ours[g], n_real[g]) == 0:
                why = "the group has no rows with a known target on one of the two sides."
                findings.append(insufficient("bias", "base_rate", why, group=name, n=int(n_ours[g])))
                continue
            findings.append(_base_rate(name, (k_ours[g], n_ours[g]), (k_real[g], n_real[g])))
        findings.append(_gap(groups, event, (k_ours, n_ours), (k_real, n_real), rng))
    return findings


def _base_rate(name: str, ours: tuple[int, int], real: tuple[int, int]) -> Finding:
    (k_ours, n_ours), (k_real, n_real) = map(tuple, (map(int, ours), map(int, real)))
    interval = wilson(k_ours, n_ours)
    shift = share_difference(k_ours, n_ours, k_real, n_real)
    enough = min(n_ours, n_real) >= MIN_ROWS
    moved = abs(shift.value) > SHIFT and (shift.low > 0 or shift.high < 0)
    return Finding(
        family="bias",
        name="base_rate",
        group=name,
        value=interval.value,
        low=interval.low,
        high=interval.high,
        n=n_ours,
        visibility="officer",
        baseline=k_real / n_real,
        baseline_label="training rows",
        better="target",
        verdict="review" if moved and enough else "pass" if enough else "insufficient",
        threshold=f"within {SHIFT} of the real rate, or the difference is within chance; {MIN_ROWS} rows "
        "at least (own)",
        meaning="How often this outcome occurs in this group, in the synthetic rows and (baseline) in the "
        "real ones." + ("" if enough else " Too few rows for a verdict."),
        detail={"shift": shift.value, "shift_low": shift.low, "shift_high": shift.high},
    )


def _gap(
    groups: Grouping,
    event: str,
    ours: tuple[np.ndarray, np.ndarray],
    real: tuple[np.ndarray, np.ndarray],
    rng: np.random.Generator,
) -> Finding:
    """Largest minus smallest base rate over groups, and its amplification (synthetic minus real)."""
    name = f"{groups.column} · {event}"
    enough = (ours[1] >= MIN_ROWS) & (real[1] >= MIN_ROWS)
    if enough.sum() < 2:
        why = f"fewer than two groups have {MIN_ROWS} rows on both sides."
        return insufficient("bias", "base_rate_gap", why, group=name)
    draws = [_gap_draws(k[enough], n[enough], rng) for k, n in (ours, real)]
    values = [float(np.ptp(k[enough] / n[enough])) for k, n in (ours, real)]
    low, high = np.quantile(draws[0], [0.025, 0.975])
    more = np.quantile(draws[0] - draws[1], [0.025, 0.975])
    return Finding(
        family="bias",
        name="base_rate_gap",
        group=name,
        value=values[0],
        low=min(values[0], float(low)),
        high=max(values[0], float(high)),
        n=int(ours[1][enough].sum()),
        visibility="officer",
        baseline=values[1],
        baseline_label="training rows",
        better="target",
        verdict="review" if (more[0] > 0 or more[1] < 0) and abs(values[0] - values[1]) > SHIFT else "pass",
        threshold=f"within {SHIFT} of the real gap, or the difference is within chance (own)",
        meaning="Difference between the groups with the highest and the lowest rate of this outcome. "
        "Above the baseline the synthetic rows amplify a difference, below it they hide one.",
        source="demographic parity of the data; Dwork et al. (2012)",
        detail={
            "amplification": values[0] - values[1],
            "amplification_low": float(more[0]),
            "amplification_high": float(more[1]),
            "groups": int(enough.sum()),
        },
    )


def _gap_draws(k: np.ndarray, n: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.asarray(np.ptp(rng.binomial(n, k / n, size=(DRAWS, len(n))) / n, axis=1))


def _association(codes: Coded, column: str, target: str, rng: np.random.Generator) -> list[Finding]:
    pair = (codes.columns.index(column), codes.columns.index(target))
    if codes.sizes[pair[0]] * codes.sizes[pair[1]] > 1 << 18:
        return []
    ours, real = (contingency(part, codes.sizes, *pair) for part in (codes.synthetic, codes.train))
    interval = v_difference(ours, real, rng)
    baseline = None
    if codes.holdout is not None and codes.holdout.shape[1] >= MIN_ROWS:
        baseline = v_difference(contingency(codes.holdout, codes.sizes, *pair), real, rng, draws=2).value
    return [
        Finding(
            family="bias",
            name="association_shift",
            group=f"{column} × {target}",
            value=interval.value,
            low=interval.low,
            high=interval.high,
            n=int(ours.sum()),
            visibility="officer",
            baseline=baseline,
            baseline_label="holdout" if baseline is not None else "",
            better="target",
            meaning="Strength of the association of a protected column with an outcome (Cramér's V), "
            "synthetic minus real. Above zero the synthetic rows tie the outcome more to the group than "
            "the real ones do.",
            source="Bergsma (2013)",
        )
    ]


def _subgroup_fidelity(tables: AuditTables, codes: Coded, groups: Grouping, rng: np.random.Generator) -> list[Finding]:
    others = [i for i, name in enumerate(codes.columns) if name not in groups.columns]
    if not others:
        return []
    marginals = choose_marginals(len(others), 1, rng, MAX_PAIRS)
    if len(others) > 1:
        marginals += choose_marginals(len(others), 2, rng, MAX_PAIRS)
    sets = [tuple(others[i] for i in marginal) for marginal in marginals]
    findings, excess = [], {}
    for g, label in enumerate(groups.labels):
        rows_t, rows_s = groups.train == g, groups.synthetic == g
        n = int(min(rows_t.sum(), rows_s.sum()))
        if n < MIN_ROWS:
            why = f"the group has {int(rows_t.sum())} real and {int(rows_s.sum())} synthetic rows; "
            f"{MIN_ROWS} are needed."
            findings.append(insufficient("bias", "subgroup_fidelity", why, group=label, n=n))
            continue
        found = distances(codes.train[:, rows_t], codes.synthetic[:, rows_s], codes.sizes, sets)
        units = tables.units("train")[rows_t]
        variance = cluster_variance(found.influence_a, units) + cluster_variance(found.influence_b)
        interval = normal(found.mean, variance, floor=0.0)
        floor = float(found.floors.mean())
        excess[label] = (found.mean - floor, variance)
        findings.append(
            Finding(
                family="bias",
                name="subgroup_fidelity",
                group=label,
                value=interval.value,
                low=interval.low,
                high=min(1.0, interval.high),
                n=int(rows_s.sum()),
                visibility="officer",
                baseline=floor,
                baseline_label="sampling alone, at this group's size",
                better="lower",
                meaning="Distance of the synthetic to the real rows inside this group, over single "
                "columns and pairs. Small groups are further away by chance alone; the baseline says how "
                "far.",
            )
        )
    if len(excess) > 1:
        findings.append(_fidelity_gap(groups, excess))
    return findings


def _fidelity_gap(groups: Grouping, excess: dict[str, tuple[float, float]]) -> Finding:
    worst = max(excess, key=lambda label: excess[label][0])
    best = min(excess, key=lambda label: excess[label][0])
    value = excess[worst][0] - excess[best][0]
    interval = normal(value, excess[worst][1] + excess[best][1], floor=0.0)
    return Finding(
        family="bias",
        name="subgroup_fidelity_gap",
        group=groups.column,
        value=interval.value,
        low=interval.low,
        high=interval.high,
        n=len(excess),
        visibility="officer",
        baseline=0.0,
        baseline_label="all groups alike",
        better="lower",
        meaning="How much less faithful the synthetic rows are for the worst group than for the best, "
        "beyond what their sizes explain.",
        detail={"worst": worst, "best": best},
    )


def _membership(
    tables: AuditTables, groups: Grouping, rng: np.random.Generator, settings: AuditSettings
) -> list[Finding]:
    scores = attack_scores(tables, rng=rng, settings=settings)
    if scores is None:
        why = "needs a holdout and enough rows for membership attacks."
        return [insufficient("bias", "membership_auc_by_group", why, group=groups.column)]
    overall = {name: auc_interval(guess, scores.member).value for name, guess in scores.scores.items()}
    attack = max(overall, key=lambda name: overall[name])
    codes = groups.of(label_rows(tables, groups.columns[0], scores.rows))
    findings = []
    for g, label in enumerate(groups.labels):
        member, guess = scores.member[codes == g], scores.scores[attack][codes == g]
        if min(member.sum(), (~member).sum()) < MIN_ROWS:
            why = f"fewer than {MIN_ROWS} members or non-members of this group were attacked."
            findings.append(insufficient("bias", "membership_auc_by_group", why, group=label, n=len(member)))
            continue
        interval = auc_interval(guess, member)
        strict = auc_interval(guess, member, confidence=1 - 0.05 / len(groups.labels))
        findings.append(
            Finding(
                family="bias",
                name="membership_auc_by_group",
                group=label,
                value=interval.value,
                low=interval.low,
                high=interval.high,
                n=len(member),
                visibility="officer",
                baseline=overall[attack],
                baseline_label="all targets",
                better="lower",
                verdict="review" if strict.low > max(0.5, overall[attack]) else "info",
                threshold="no group is attacked better than all targets together (95 %, shared by the groups)",
                meaning=f"How well the best attack ({attack}) tells members from others inside this group; "
                "0.5 is guessing. Minorities are often easier to recognise.",
                source="DeLong et al. (1988)",
            )
        )
    return findings

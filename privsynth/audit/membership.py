"""Membership inference: can somebody tell from the synthetic rows who was in the training rows?"""

from __future__ import annotations

import math

import numpy as np

from privsynth.audit.attacks import ATTACKS, MIN_TARGETS, AttackScores, attack_scores
from privsynth.audit.finding import Finding, Verdict
from privsynth.audit.intervals import auc_interval, clopper_pearson, lower_bound, upper_bound
from privsynth.audit.tables import AuditSettings, AuditTables
from privsynth.audit.wording import insufficient, percent

FALSE_ALARMS = (0.01, 0.001)
ALPHA = 0.05
ROC_POINTS = 100
NO_ROWS = f"needs a holdout (real rows kept out of training) with at least {4 * MIN_TARGETS} units, and as "
"many training rows."


def allowed_tpr(false_positive_rate: float, epsilon: float, delta: float) -> float:
    """Return the highest true-positive rate that (epsilon, delta) allows any attack at a false-positive rate.

    Source: Kairouz, Oh & Viswanath (2015).
    """
    grow = math.exp(min(epsilon, 700.0))
    one = grow * false_positive_rate + delta
    two = 1 - (1 - delta - false_positive_rate) / grow
    return min(1.0, one, two)


def allowed_auc(epsilon: float, delta: float) -> float:
    """Return the highest area under the ROC curve that (epsilon, delta) allows: exact, the limit has straight
    sides.
    """
    corner = (1 - delta) / (1 + math.exp(min(epsilon, 700.0)))
    xs = [0.0, corner, 1 - delta, 1.0]
    ys = [allowed_tpr(x, epsilon, delta) for x in xs]
    return float(np.trapezoid(ys, xs))


def membership(tables: AuditTables, *, rng: np.random.Generator, settings: AuditSettings) -> list[Finding]:
    """Return AUC and TPR at 1 % and 0.1 % FPR of each attack, and the check that the game is fair."""
    scores = attack_scores(tables, rng=rng, settings=settings)
    if scores is None:
        return [insufficient("membership", "membership_auc", NO_ROWS)]
    findings = [_blind(scores)]
    fair = findings[0].verdict != "review"
    tests = len(ATTACKS) * (1 + len(FALSE_ALARMS))
    for name in ATTACKS:
        findings.append(_auc(name, scores, settings.claimed, tests, fair))
        findings += [_tpr(name, scores, rate, settings.claimed, tests, fair) for rate in FALSE_ALARMS]
    return findings


def _blind(scores: AttackScores) -> Finding:
    if scores.blind is None:
        return insufficient("membership", "membership_blind_auc", "there are too few targets for the fairness check.")
    guess, member = scores.blind
    interval = auc_interval(guess, member)
    strict = auc_interval(guess, member, confidence=0.99)
    unfair = strict.low > 0.5
    return Finding(
        family="membership",
        name="membership_blind_auc",
        value=interval.value,
        low=interval.low,
        high=interval.high,
        n=len(member),
        visibility="officer",
        baseline=0.5,
        baseline_label="chance",
        better="target",
        verdict="review" if unfair else "pass",
        threshold="the 99 % interval must reach down to 0.5 (own)",
        meaning="A classifier that saw no synthetic row can tell members from non-members. The two groups "
        "differ of themselves (for example in time), so the attacks below overstate or understate."
        if unfair
        else "A classifier that saw no synthetic row tried to tell members from non-members and could "
        "not: the game is fair.",
    )


def _verdict(low: float, allowed: float | None, chance: float, fair: bool) -> Verdict:
    """Fail beyond what was claimed; without a claim, ask for a look when the attack beats chance."""
    if allowed is None:
        return "review" if low > chance else "info"
    if low > allowed:
        return "fail" if fair else "review"
    return "pass"


def _threshold(allowed: float | None, claimed: tuple[float, float] | None, tests: int) -> str:
    if allowed is None or claimed is None:
        return f"no guarantee is claimed; compared with chance, alpha = {ALPHA} shared by {tests} tests"
    return (
        f"at most {allowed:.4g}, which (ε = {claimed[0]:g}, δ = {claimed[1]:g}) allows any attack; alpha = "
        f"{ALPHA} shared by {tests} tests (Kairouz et al. 2015)"
    )


def _auc(name: str, scores: AttackScores, claimed: tuple[float, float] | None, tests: int, fair: bool) -> Finding:
    guess = scores.scores[name]
    interval = auc_interval(guess, scores.member)
    strict = auc_interval(guess, scores.member, confidence=1 - 2 * ALPHA / tests)
    allowed = None if claimed is None else allowed_auc(*claimed)
    verdict = _verdict(strict.low, allowed, 0.5, fair)
    return Finding(
        family="membership",
        name="membership_auc",
        group=name,
        value=interval.value,
        low=interval.low,
        high=interval.high,
        n=len(scores.member),
        visibility="officer",
        baseline=0.5,
        baseline_label="chance",
        better="lower",
        verdict=verdict,
        threshold=_threshold(allowed, claimed, tests),
        meaning=f"Attack: {ATTACKS[name]}. 0.5 is guessing, 1 is knowing who was in the training rows. "
        f"{scores.n_members} members and {scores.n_non_members} others were attacked. "
        + ("An attack that fails proves nothing about other attacks." if verdict in ("pass", "info") else ""),
        source="DeLong et al. (1988); attack: own, after van Breugel et al. (2023) and others",
        detail={
            "roc": roc_points(guess, scores.member),
            "threat_model": "no-box, with reference rows",
            "members": scores.n_members,
            "non_members": scores.n_non_members,
            "reference": scores.n_reference,
            "low_after_correction": strict.low,
            "fair_coins": scores.coins,
        },
    )


def roc_points(guess: np.ndarray, member: np.ndarray) -> list[list[float]]:
    """Return at most 100 points [false-positive rate, true-positive rate] of an attack, dense at the low end."""
    grid = np.unique(
        np.concatenate([[0.0], np.geomspace(1e-4, 1, ROC_POINTS // 2), np.linspace(0, 1, ROC_POINTS // 2)])
    )
    others = np.sort(guess[~member])[::-1]
    cuts = others[np.minimum((grid * len(others)).astype(int), len(others) - 1)]
    ours = np.sort(guess[member])
    points = {(0.0, 0.0), (1.0, 1.0)}
    for cut in cuts:
        false = float(np.mean(others > cut))
        points.add((round(false, 6), round(1 - np.searchsorted(ours, cut, side="right") / len(ours), 6)))
    return [list(point) for point in sorted(points)][:ROC_POINTS]


def _tpr(
    name: str,
    scores: AttackScores,
    rate: float,
    claimed: tuple[float, float] | None,
    tests: int,
    fair: bool,
) -> Finding:
    label = f"{name}, FPR {percent(rate)}"
    guess, member = scores.scores[name], scores.member
    needed = math.ceil(1 / rate)
    if scores.n_non_members < needed:
        why = (
            f"a false-alarm rate of {percent(rate)} needs at least {needed} non-members, there are "
            f"{scores.n_non_members}; with those, no rate below "
            f"{percent(upper_bound(0, scores.n_non_members, 0.05))} can be told from zero."
        )
        return insufficient("membership", "membership_tpr", why, group=label, n=scores.n_non_members)
    others = np.sort(guess[~member])[::-1]
    cut = others[math.floor(rate * len(others))]
    false = int(np.sum(others > cut))
    hits = int(np.sum(guess[member] > cut))
    interval = clopper_pearson(hits, scores.n_members)
    share = ALPHA / tests / 2
    low = lower_bound(hits, scores.n_members, share)
    rate_high = upper_bound(false, scores.n_non_members, share)
    allowed = None if claimed is None else allowed_tpr(rate_high, *claimed)
    return Finding(
        family="membership",
        name="membership_tpr",
        group=label,
        value=interval.value,
        low=interval.low,
        high=interval.high,
        n=scores.n_members,
        visibility="officer",
        baseline=rate,
        baseline_label="chance",
        better="lower",
        verdict=_verdict(low, allowed, rate_high, fair),
        threshold=_threshold(allowed, claimed, tests),
        meaning=f"Share of members that the attack recognises while it wrongly accuses {percent(rate)} of "
        f"the others. Guessing finds {percent(rate)}.",
        source="Carlini et al. (2022); Clopper & Pearson (1934)",
        detail={"hits": hits, "false_alarms": false, "fpr_high": rate_high, "low_after_correction": low},
    )

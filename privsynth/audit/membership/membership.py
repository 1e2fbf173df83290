"""Membership inference: do the synthetic rows reveal who was in the training rows?

Attacks, false-alarm rates and tests are fixed beforehand (`pre_registered`). Each test is made at alpha / number of
tests, so the headline over all of them is wrong with probability at most alpha. Thresholds are set on non-members that
are not used in the tests.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from privsynth.audit.common.audit import Audit
from privsynth.audit.common.audit_tables import AuditTables
from privsynth.audit.common.settings import AuditContext
from privsynth.audit.membership.attacks import ATTACKS, AttackScores, attack_scores
from privsynth.audit.membership.blind_baseline import blind_finding, is_fair
from privsynth.audit.membership.by_group import by_group
from privsynth.audit.membership.focal_points import has_focal_points
from privsynth.audit.membership.inference_game import NO_ROWS
from privsynth.audit.membership.shadow_models import query_scores, shadow_runs
from privsynth.audit.membership.vulnerable_rows import SHARE, most_vulnerable
from privsynth.findings.finding import Finding, Verdict
from privsynth.findings.insufficient import insufficient, percent
from privsynth.stats.epsilon_bounds import ALPHA
from privsynth.stats.intervals import auc_interval, clopper_pearson, lower_bound, upper_bound
from privsynth.stats.privacy_limits import allowed_auc, allowed_tpr

# Down to 0.1 %, as Carlini et al. (2022) ask: an average hides the few who are recognised.
FALSE_ALARMS = (0.1, 0.01, 0.001)
TESTS_PER_ATTACK = 2 + len(FALSE_ALARMS)  # the AUC of everybody and of the most vulnerable, and each rate
MIN_VULNERABLE = 20  # members, and as many non-members, as `MIN_TARGETS` (own)
ROC_POINTS = 100  # of a curve in the report (own)
ALLOWED_POINTS = 40  # of the bound in the report (own)
MOST_UNSEEN = 0.5  # recognised members that a test may miss and still count as passed: half of them (own)
NO_MAMA_MIA = "No attack MAMA-MIA, which needs a model that says which tables it measured."
POWER = 0.8  # the usual 80 %, Cohen (1988)


@dataclass(frozen=True, repr=False, eq=False)
class _Trial:
    """The scores, the targets that are evaluated, and the claim."""

    scores: AttackScores
    calibration: np.ndarray  # (n,) non-members that set thresholds and are not evaluated
    claimed: tuple[float, float] | None
    fair: bool

    @property
    def tests(self) -> int:
        return TESTS_PER_ATTACK * len(self.scores.scores)

    @property
    def counted(self) -> np.ndarray:
        """Non-members on which false alarms are evaluated."""
        return ~self.scores.member & ~self.calibration

    def verdict(self, low: float, allowed: float | None, chance: float) -> Verdict:
        """Return `fail` beyond the claim; without a claim, `review` if the attack beats chance."""
        if allowed is None:
            return "review" if low > chance else "info"
        if low > allowed:
            return "fail" if self.fair else "review"
        return "pass"

    def threshold(self, allowed: float | None) -> str:
        if allowed is None or self.claimed is None:
            return f"no guarantee is claimed; compared with chance, alpha = {ALPHA} shared by {self.tests} tests"
        return (
            f"at most {allowed:.4g}, which (ε = {self.claimed[0]:g}, δ = {self.claimed[1]:g}) allows any attack; "
            f"alpha = {ALPHA} shared by {self.tests} tests (Kairouz et al. 2015)"
        )


def membership(tables: AuditTables, *, rng: np.random.Generator, context: AuditContext) -> list[Finding]:
    """Return the headline, the fairness check of the game, and for each attack AUC and TPR at 10 %, 1 % and 0.1 % FPR.

    Also the AUC on the most vulnerable targets, and the TPR in protected groups.
    """
    scores = attack_scores(tables, rng=rng, context=context)
    if scores is None:
        return [insufficient("membership", "membership_auc", NO_ROWS)]
    calibration = ~scores.member & (rng.random(len(scores.member)) < 0.5)
    trial = _Trial(scores, calibration, context.settings.claimed, is_fair(scores.blind))
    tests = []
    for name in scores.scores:
        tests += [_auc(name, trial), _vulnerable(name, trial)]
        tests += [_tpr(name, trial, rate) for rate in FALSE_ALARMS]
    findings = [_headline(trial, tests), blind_finding(scores.blind), *tests]
    findings += by_group(tables, scores, rng=rng)
    if context.settings.level == "deep":
        findings.append(_shadow(tables, scores, rng, context, trial))
    return findings


def _headline(trial: _Trial, tests: list[Finding]) -> Finding:
    """Return the headline over all tests: the highest AUC, with an interval that holds for all attacks at once."""
    scores = trial.scores
    intervals = {
        name: auc_interval(guess, scores.member, confidence=1 - 2 * ALPHA / trial.tests)
        for name, guess in scores.scores.items()
    }
    best = max(intervals, key=lambda name: intervals[name].value)
    beaten = [f for f in tests if f.verdict in ("fail", "review")]
    verdicts = {f.verdict for f in tests}
    order: tuple[Verdict, ...] = ("fail", "review", "pass", "info")
    limit = "what the claim allows" if trial.claimed else "chance"
    visible = detectable_tpr(scores.n_members, int(trial.counted.sum()), 0.01, ALPHA / trial.tests)
    power = (
        f"An attack that recognises {percent(visible)} of the members at 1 % false alarms would have been noticed with "
        f"probability {POWER:.0%}."
        if visible is not None
        else "There are too few targets to notice an attack on few people."
    )
    return Finding(
        family="membership",
        name="membership_headline",
        value=intervals[best].value,
        low=max(interval.low for interval in intervals.values()),
        high=max(interval.high for interval in intervals.values()),
        n=len(scores.member),
        visibility="officer",
        baseline=0.5,
        baseline_label="chance",
        better="lower",
        verdict=next(v for v in order if v in verdicts),
        threshold=f"none of {trial.tests} tests, settled beforehand, may exceed {limit}; alpha = {ALPHA} shared by all",
        meaning=f"Of {len(scores.scores)} attacks with {trial.tests} tests, {len(beaten)} beat {limit}. The figure is "
        f"the highest AUC, of '{best}'; the interval holds for the highest of all attacks at once. {power}",
        source="Bonferroni; attacks as named below",
        detail={
            "attacks": list(scores.scores),
            "tests": trial.tests,
            "beaten": [f"{f.name}: {f.group}" for f in beaten],
            "detectable_tpr_at_1pct": visible,
        },
    )


def detectable_tpr(members: int, non_members: int, rate: float, alpha: float) -> float | None:
    """Return the smallest share of recognised members that a test detects with probability 0.8; None if none.

    Args:
      members, non_members: targets that are counted.
      rate: false alarms, as many as expected.
      alpha: of the test, shared by the two bounds.
    """
    return share_noticed(members, upper_bound(round(rate * non_members), non_members, alpha / 2), alpha / 2)


def share_noticed(members: int, limit: float, alpha: float) -> float | None:
    """Return the smallest share of recognised members that a test notices with probability `POWER`; None if none.

    Args:
      limit: share that the lower bound, wrong with probability at most alpha, has to exceed.
    """
    hits = next((k for k in range(members + 1) if lower_bound(k, members, alpha) > limit), None)
    if hits is None:
        return None
    share = float(stats.beta(hits, members - hits + 1).ppf(POWER))  # P[Bin(members, share) >= hits] = POWER
    return share if share < 1 else None


def _auc(name: str, trial: _Trial) -> Finding:
    scores = trial.scores
    guess = scores.scores[name]
    interval = auc_interval(guess, scores.member)
    strict = auc_interval(guess, scores.member, confidence=1 - 2 * ALPHA / trial.tests)
    allowed = None if trial.claimed is None else allowed_auc(*trial.claimed)
    verdict = trial.verdict(strict.low, allowed, 0.5)
    detail = {
        "roc": roc_points(guess, scores.member),
        "threat_model": "black-box, with reference rows" if name == "mama_mia" else "no-box, with reference rows",
        "members": scores.n_members,
        "non_members": scores.n_non_members,
        "reference": scores.n_reference,
        "low_after_correction": strict.low,
        "fair_coins": scores.coins,
    }
    if trial.claimed is not None:
        rates = [0.0, *np.geomspace(1e-4, 1, ALLOWED_POINTS).round(6).tolist()]
        detail["allowed"] = [[rate, round(allowed_tpr(rate, *trial.claimed), 6)] for rate in rates]
    return Finding.of(
        interval,
        family="membership",
        name="membership_auc",
        group=name,
        n=len(scores.member),
        visibility="officer",
        baseline=0.5,
        baseline_label="chance",
        better="lower",
        verdict=verdict,
        threshold=trial.threshold(allowed),
        meaning=f"Attack: {ATTACKS.get(name, name)}. 0.5 is guessing, 1 is knowing who was in the training rows. "
        f"{scores.n_members} members and {scores.n_non_members} others were attacked. "
        + ("An attack that fails proves nothing about other attacks." if verdict in ("pass", "info") else ""),
        source="DeLong et al. (1988); attack: own, after van Breugel et al. (2023) and others",
        detail=detail,
    )


def _vulnerable(name: str, trial: _Trial) -> Finding:
    scores = trial.scores
    chosen = most_vulnerable(scores.vulnerability) if len(scores.vulnerability) else np.ones(0, dtype=bool)
    member = scores.member[chosen] if len(chosen) else np.zeros(0, dtype=bool)
    label = f"{name}, most vulnerable {SHARE:.0%}"
    if min(int(member.sum()), int((~member).sum())) < MIN_VULNERABLE:
        why = f"fewer than {MIN_VULNERABLE} members or non-members are among the most vulnerable targets."
        return insufficient("membership", "membership_auc_vulnerable", why, group=label, n=len(member))
    guess = scores.scores[name][chosen]
    interval = auc_interval(guess, member)
    strict = auc_interval(guess, member, confidence=1 - 2 * ALPHA / trial.tests)
    allowed = None if trial.claimed is None else allowed_auc(*trial.claimed)
    return Finding.of(
        interval,
        family="membership",
        name="membership_auc_vulnerable",
        group=label,
        n=len(member),
        visibility="officer",
        baseline=0.5,
        baseline_label="chance",
        better="lower",
        verdict=trial.verdict(strict.low, allowed, 0.5),
        threshold=trial.threshold(allowed),
        meaning="The same attack on the targets that stand furthest apart from other people, chosen without looking at "
        "who was a member. An average over everybody hides such people.",
        source="Meeus et al. (2023), Achilles score",
        detail={"low_after_correction": strict.low},
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


def calibrated_cut(guess: np.ndarray, rate: float) -> float:
    """Return the threshold that at most this share of some non-members exceeds; do not evaluate it on the same ones."""
    others = np.sort(guess)[::-1]
    return float(others[min(math.floor(rate * len(others)), len(others) - 1)])


def _tpr(name: str, trial: _Trial, rate: float) -> Finding:
    label = f"{name}, FPR {percent(rate)}"
    scores, counted = trial.scores, trial.counted
    guess, needed, spare = scores.scores[name], math.ceil(1 / rate), int(trial.calibration.sum())
    n_counted = int(counted.sum())
    if min(n_counted, spare) < needed:
        why = (
            f"a false-alarm rate of {percent(rate)} needs at least {needed} non-members to set the threshold and as "
            f"many to count, there are {spare} and {n_counted}; with those, no rate below "
            f"{percent(upper_bound(0, n_counted, 0.05))} can be told from zero."
        )
        return insufficient("membership", "membership_tpr", why, group=label, n=scores.n_non_members)
    cut = calibrated_cut(guess[trial.calibration], rate)
    false, hits = int(np.sum(guess[counted] > cut)), int(np.sum(guess[scores.member] > cut))
    interval = clopper_pearson(hits, scores.n_members)
    share = ALPHA / trial.tests / 2
    low, rate_high = lower_bound(hits, scores.n_members, share), upper_bound(false, n_counted, share)
    allowed = None if trial.claimed is None else allowed_tpr(rate_high, *trial.claimed)
    seen = share_noticed(scores.n_members, rate_high if allowed is None else allowed, share)
    verdict = trial.verdict(low, allowed, rate_high)
    if verdict == "pass" and (seen is None or seen > MOST_UNSEEN):
        verdict = "insufficient"
    return Finding.of(
        interval,
        family="membership",
        name="membership_tpr",
        group=label,
        n=scores.n_members,
        visibility="officer",
        baseline=rate,
        baseline_label="chance",
        better="lower",
        verdict=verdict,
        threshold=trial.threshold(allowed) + f"; a test that would miss {MOST_UNSEEN:.0%} of the members is no pass",
        meaning=f"Share of members that the attack recognises at a threshold that {percent(rate)} of other people pass "
        f"by mistake. Guessing finds {percent(rate)}. The threshold was set on people who are not counted. "
        + (
            "Even an attack that recognises everybody would not have failed this test."
            if seen is None
            else f"It would have failed, with a probability of {POWER:.0%}, if {percent(seen)} of the members were "
            "recognised."
        ),
        source="Carlini et al. (2022); Clopper & Pearson (1934)",
        detail={
            "hits": hits,
            "false_alarms": false,
            "counted": n_counted,
            "fpr": false / n_counted,
            "fpr_high": rate_high,
            "low_after_correction": low,
        },
    )


def _shadow(
    tables: AuditTables, scores: AttackScores, rng: np.random.Generator, context: AuditContext, trial: _Trial
) -> Finding:
    name = "membership_shadow_auc"
    runs = None if scores.game is None else shadow_runs(scores.game, scores.vulnerability, context, rng)
    if runs is None:
        return insufficient("membership", name, "shadow runs need the generator itself and some 100 reference rows.")
    guess, inside, judged = query_scores(tables, runs, rng)
    interval = auc_interval(guess, inside, units=judged)
    strict = auc_interval(guess, inside, units=judged, confidence=1 - 2 * ALPHA)
    allowed = None if trial.claimed is None else allowed_auc(*trial.claimed)
    return Finding.of(
        interval,
        family="membership",
        name=name,
        n=len(inside),
        visibility="officer",
        baseline=0.5,
        baseline_label="chance",
        better="lower",
        verdict=trial.verdict(strict.low, allowed, 0.5),
        threshold=trial.threshold(allowed).partition("; alpha")[0] + f"; alpha = {ALPHA} for this test alone",
        meaning=f"The generator was run {len(runs.synthetic)} times on other rows of the same people, each time with "
        f"another half of the {len(runs.targets)} most vulnerable targets; a model learnt from half of the runs who "
        "was in, and was judged on the rest. This measures the generator, not this one table.",
        source="TAPAS, Houssiau et al. (2022); Meeus et al. (2023)",
        detail={
            "threat_model": "black-box, shadow models, data fixed",
            "runs": len(runs.synthetic),
            "targets": len(runs.targets),
        },
    )


AUDIT = Audit(
    name="membership",
    family="membership",
    run=membership,
    titles={
        "membership_auc": "Membership attacks (AUC)",
        "membership_tpr": "Membership attacks: hits at few false alarms",
        "membership_headline": "The best of all membership attacks (AUC)",
        "membership_auc_vulnerable": "Membership attacks on the rows that stand out most (AUC)",
        "membership_tpr_by_group": "Membership attack within a group: hits at few false alarms",
        "membership_blind_auc": "Check of the test: do members and non-members look alike? (AUC)",
        "membership_shadow_auc": "Membership attack by shadow models (AUC)",
    },
    left_out={
        "quick": "At most 1,000 members and 1,000 non-members are attacked; no Gen-LRA attack, no classifier, "
        "no shadow models.",
        "standard": "No shadow models, which train the generator again.",
    },
    lacks=lambda settings: "" if has_focal_points(settings) else NO_MAMA_MIA,
)

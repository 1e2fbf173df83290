"""Lower bounds on epsilon from attacks. A bound above the claim is a bug; a bound below it proves nothing.

`clopper_pearson_epsilon`: formula of the Kairouz region with exact intervals; it treats people as independent
trials. `one_run_epsilon`: valid for a single run in which fair coins decided who was in (Steinke, Nasr &
Jagielski 2023). Thresholds and numbers of guesses are chosen on one half of the targets and applied to the
other.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import special, stats

from privsynth.audit.attacks import ATTACKS, AttackScores, attack_scores
from privsynth.audit.finding import Finding, Verdict
from privsynth.audit.intervals import auc_interval, lower_bound, upper_bound
from privsynth.audit.membership import ALPHA, NO_ROWS
from privsynth.audit.tables import AuditSettings, AuditTables
from privsynth.audit.wording import insufficient

MAX_EPSILON = 50.0
SHARES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5)


def clopper_pearson_epsilon(
    hits: int, members: int, false_alarms: int, non_members: int, *, delta: float, alpha: float = ALPHA
) -> float:
    """Return a lower bound on epsilon from the counts at one threshold, wrong with probability at most alpha.

    Source: Kairouz, Oh & Viswanath (2015); Nasr et al. (2021).
    """
    fnr = upper_bound(members - hits, members, alpha / 2)
    fpr = upper_bound(false_alarms, non_members, alpha / 2)
    best = 0.0
    for top, bottom in ((1 - delta - fnr, fpr), (1 - delta - fpr, fnr)):
        if top > 0:
            best = max(best, math.log(top / bottom))
    return best


def one_run_p_value(epsilon: float, *, pool: int, guesses: int, correct: int, delta: float) -> float:
    """Return how likely at least `correct` right guesses are if the run was (epsilon, delta)-private.

    Args:
      pool: coins that were thrown (m).
      guesses: of these, how many the attack dared to guess (r).
      correct: of these, how many were right (v).
    Source: Steinke, Nasr & Jagielski (2023), theorem for abstaining guesses.
    """
    rate = float(special.expit(epsilon))
    beta = float(stats.binom.sf(correct - 1, guesses, rate))
    if delta <= 0 or correct <= 0:
        return min(1.0, beta)
    steps = np.arange(1, correct + 1)
    gain = (stats.binom.sf(correct - steps - 1, guesses, rate) - beta) / steps
    return float(min(1.0, beta + 2 * pool * delta * max(0.0, gain.max())))


def one_run_epsilon(*, pool: int, guesses: int, correct: int, delta: float, alpha: float = ALPHA) -> float:
    """Return the largest epsilon that the guesses of one run refute, wrong with probability at most alpha."""
    if guesses == 0:
        return 0.0

    def refuted(epsilon: float) -> bool:
        p = one_run_p_value(epsilon, pool=pool, guesses=guesses, correct=correct, delta=delta)
        return p <= alpha

    if not refuted(0.0):
        return 0.0
    low, high = 0.0, MAX_EPSILON
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if refuted(middle) else (low, middle)
    return low


def epsilon(tables: AuditTables, *, rng: np.random.Generator, settings: AuditSettings) -> list[Finding]:
    """Return the two lower bounds, each the best of the attacks at alpha / number of attacks."""
    scores = attack_scores(tables, rng=rng, settings=settings)
    if scores is None:
        return [insufficient("membership", "epsilon_lower_bound", NO_ROWS)]
    delta = settings.claimed[1] if settings.claimed else 0.0
    first = rng.random(len(scores.member)) < 0.5
    alpha = ALPHA / len(ATTACKS)
    halves = [scores.member[first], scores.member[~first]]
    if any(len(half) < 10 or len(np.unique(half)) < 2 for half in halves):
        return [insufficient("membership", "epsilon_lower_bound", "there are too few targets to split in halves.")]
    return [
        _by_rates(scores, first, delta, alpha, settings.claimed),
        _by_coins(scores, first, delta, alpha, settings.claimed, rng),
    ]


def _verdict(value: float, claimed: tuple[float, float] | None, scores: AttackScores) -> Verdict:
    if claimed is None:
        return "info"
    if value <= claimed[0]:
        return "pass"
    return "fail" if _is_fair(scores) else "review"


def _is_fair(scores: AttackScores) -> bool:
    return scores.blind is None or auc_interval(*scores.blind, confidence=0.99).low <= 0.5


def _finding(name: str, value: float, ceiling: float, meaning: str, source: str, **more: Any) -> Finding:
    return Finding(
        family="membership",
        name=name,
        value=value,
        low=value,
        visibility="officer",
        baseline=0.0,
        baseline_label="nothing shown",
        better="lower",
        unit="epsilon",
        source=source,
        meaning=f"{meaning} With this many targets the audit could at best have shown ε = {ceiling:.2f}; a "
        "leak below that can stay unseen.",
        **more,
    )


def _threshold(claimed: tuple[float, float] | None) -> str:
    return "no guarantee is claimed" if claimed is None else f"must not exceed the claimed ε = {claimed[0]:g}"


def _by_rates(
    scores: AttackScores,
    first: np.ndarray,
    delta: float,
    alpha: float,
    claimed: tuple[float, float] | None,
) -> Finding:
    member, found = scores.member, {}
    counts = [int(member[~first].sum()), int((~member[~first]).sum())]
    for name, guess in scores.scores.items():
        cut = _best_cut(guess[first], member[first], delta, alpha)
        yes = guess[~first] >= cut
        hits, false = int(yes[member[~first]].sum()), int(yes[~member[~first]].sum())
        found[name] = clopper_pearson_epsilon(hits, counts[0], false, counts[1], delta=delta, alpha=alpha)
    value = max(found.values())
    ceiling = clopper_pearson_epsilon(counts[0], counts[0], 0, counts[1], delta=delta, alpha=alpha)
    return _finding(
        "epsilon_lower_bound",
        value,
        ceiling,
        f"The attacks show that ε is at least {value:.2f} (95 %), if people are taken as independent trials.",
        "Kairouz, Oh & Viswanath (2015); Clopper & Pearson (1934)",
        n=sum(counts),
        verdict=_verdict(value, claimed, scores),
        threshold=_threshold(claimed),
        detail={"ceiling": ceiling, "delta": delta, "attacks": found},
    )


def _best_cut(guess: np.ndarray, member: np.ndarray, delta: float, alpha: float) -> float:
    """Return the threshold that would have given the highest bound on these targets."""
    inside, outside = np.sort(guess[member]), np.sort(guess[~member])
    best, best_cut = -1.0, float(guess.max())
    for cut in np.unique(np.quantile(guess, np.linspace(0.005, 0.995, 60), method="nearest")):
        hits = len(inside) - int(np.searchsorted(inside, cut, side="left"))
        false = len(outside) - int(np.searchsorted(outside, cut, side="left"))
        bound = clopper_pearson_epsilon(hits, len(inside), false, len(outside), delta=delta, alpha=alpha)
        if bound > best:
            best, best_cut = bound, float(cut)
    return best_cut


def _guess(guess: np.ndarray, member: np.ndarray, shares: tuple[float, float]) -> tuple[int, int]:
    """Return (guesses, correct) when the highest share of scores is called 'in' and the lowest share 'out'."""
    order = np.argsort(guess, kind="stable")
    top, bottom = (int(share * len(order)) for share in shares)
    correct = int(member[order[len(order) - top :]].sum()) + int((~member[order[:bottom]]).sum())
    return top + bottom, correct


def _by_coins(
    scores: AttackScores,
    first: np.ndarray,
    delta: float,
    alpha: float,
    claimed: tuple[float, float] | None,
    rng: np.random.Generator,
) -> Finding:
    mixed = rng.permutation(len(first))  # so that ties are broken without looking at the truth
    member, first = scores.member[mixed], first[mixed]
    pool, found, detail = int((~first).sum()), {}, {}
    for name, score in scores.scores.items():
        guess = score[mixed]

        def promise(shares: tuple[float, float], guess: np.ndarray = guess) -> float:
            r, v = _guess(guess[first], member[first], shares)
            return lower_bound(v, r, alpha) if r else 0.0

        shares = max(((a, b) for a in SHARES for b in SHARES if a + b), key=promise)
        r, v = _guess(guess[~first], member[~first], shares)
        found[name] = one_run_epsilon(pool=pool, guesses=r, correct=v, delta=delta, alpha=alpha)
        detail[name] = {"guesses": r, "correct": v, "epsilon": found[name]}
    value = max(found.values())
    ceiling = one_run_epsilon(pool=pool, guesses=pool, correct=pool, delta=delta, alpha=alpha)
    how = (
        "Fair coins had decided who was in the training rows."
        if scores.coins
        else "This takes for granted that the holdout was split off at random."
    )
    return _finding(
        "epsilon_lower_bound_one_run",
        value,
        ceiling,
        f"From guessing who was in, the audit of this one run shows that ε is at least {value:.2f} (95 %). {how}",
        "Steinke, Nasr & Jagielski (2023)",
        n=pool,
        verdict=_verdict(value, claimed, scores),
        threshold=_threshold(claimed),
        detail={"ceiling": ceiling, "delta": delta, "fair_coins": scores.coins, "attacks": detail},
    )

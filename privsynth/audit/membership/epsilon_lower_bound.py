"""Lower bounds on epsilon from attacks. A bound above the claim is a bug; a bound below it proves nothing.

Thresholds and numbers of guesses are chosen on one half of the targets and applied to the other. Each bound is the
maximum over attacks, each at alpha / number of attacks. `privsynth.stats.epsilon_bounds` has the mathematics.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from privsynth.audit.common.audit import Audit
from privsynth.audit.common.audit_tables import AuditTables
from privsynth.audit.common.settings import AuditContext
from privsynth.audit.membership.attacks import AttackScores, attack_scores
from privsynth.audit.membership.blind_baseline import is_fair
from privsynth.audit.membership.inference_game import NO_ROWS
from privsynth.findings.finding import Finding, Verdict
from privsynth.findings.insufficient import insufficient
from privsynth.privacy.accounting import gdp_mu
from privsynth.stats.epsilon_bounds import (
    ALPHA,
    bayesian_epsilon,
    best_cut,
    clopper_pearson_epsilon,
    epsilon_of_mu,
    gdp_mu_bound,
    one_run_epsilon,
    one_run_mu,
)
from privsynth.stats.intervals import lower_bound

# Of the targets that are called 'in' and 'out': the best pair is chosen on one half (own).
SHARES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5)
DEFAULT_DELTA = 1e-6  # at which μ is stated as ε if nothing is claimed; the default of a release
_POWER = "a leak below that can stay unseen."


@dataclass(frozen=True, repr=False, eq=False)
class _Halves:
    """Attack scores, the half of the targets that sets thresholds, and the claim."""

    scores: AttackScores
    first: np.ndarray
    claimed: tuple[float, float] | None

    @property
    def delta(self) -> float:
        return self.claimed[1] if self.claimed else 0.0

    @property
    def gaussian_delta(self) -> float:
        return self.delta or DEFAULT_DELTA

    @property
    def alpha(self) -> float:
        return ALPHA / len(self.scores.scores)

    @property
    def counted(self) -> np.ndarray:
        """Truth of the half that is evaluated."""
        return self.scores.member[~self.first]

    @property
    def perfect(self) -> tuple[int, int, int, int]:
        """Counts of a perfect attack."""
        inside = int(self.counted.sum())
        return inside, inside, 0, len(self.counted) - inside

    def counts(self, guess: np.ndarray, cut: float) -> tuple[int, int, int, int]:
        """Return hits, members, false alarms and non-members of the evaluated half."""
        yes, member = guess[~self.first] >= cut, self.counted
        return int(yes[member].sum()), int(member.sum()), int(yes[~member].sum()), int((~member).sum())


def epsilon(tables: AuditTables, *, rng: np.random.Generator, context: AuditContext) -> list[Finding]:
    """Return lower bounds on ε: from rates, from one run, both under a Gaussian model, and a credible interval."""
    scores = attack_scores(tables, rng=rng, context=context)
    if scores is None:
        return [insufficient("membership", "epsilon_lower_bound", NO_ROWS)]
    first = rng.random(len(scores.member)) < 0.5
    if any(len(half) < 10 or len(np.unique(half)) < 2 for half in (scores.member[first], scores.member[~first])):
        return [insufficient("membership", "epsilon_lower_bound", "there are too few targets to split in halves.")]
    halves = _Halves(scores, first, context.settings.claimed)
    return [*_by_rates(halves), *_by_coins(halves, rng)]


def _verdict(value: float, limit: float | None, scores: AttackScores, *, model: bool = False) -> Verdict:
    """Return `fail` beyond the claim, but only `review` if the bound rests on a model or the game is unfair."""
    if limit is None:
        return "info"
    if value <= limit:
        return "pass"
    return "fail" if is_fair(scores.blind) and not model else "review"


def _finding(name: str, value: float, ceiling: float, meaning: str, source: str, **more: Any) -> Finding:
    sign = "μ" if more.get("unit") == "mu" else "ε"
    return Finding(
        **{
            "family": "membership",
            "name": name,
            "value": value,
            "low": value,
            "visibility": "officer",
            "baseline": 0.0,
            "baseline_label": "nothing shown",
            "better": "lower",
            "unit": "epsilon",
            "source": source,
            "meaning": f"{meaning} With this many targets the audit could at best have shown {sign} = {ceiling:.2f}; "
            f"{_POWER}",
            **more,
        }
    )


def _threshold(claimed: tuple[float, float] | None) -> str:
    return "no guarantee is claimed" if claimed is None else f"must not exceed the claimed ε = {claimed[0]:g}"


def _mu_threshold(claimed: tuple[float, float] | None) -> str:
    if claimed is None:
        return "no guarantee is claimed"
    return f"should not exceed μ = {_claimed_mu(claimed):.2f}, which the claimed ε = {claimed[0]:g} comes to"


def _claimed_mu(claimed: tuple[float, float]) -> float:
    """Return the largest mu that the claim allows a Gaussian mechanism; 0 at delta = 0."""
    return gdp_mu(claimed[0], claimed[1]) if claimed[0] > 0 and claimed[1] > 0 else 0.0


def _by_rates(halves: _Halves) -> list[Finding]:
    scores, delta, alpha, claimed = halves.scores, halves.delta, halves.alpha, halves.claimed
    epsilons, mus, promise, counted = {}, {}, {}, {}
    for name, guess in scores.scores.items():
        half, member = guess[halves.first], scores.member[halves.first]

        def rates(*counts: int) -> float:
            return clopper_pearson_epsilon(*counts, delta=delta, alpha=alpha)

        cut = best_cut(half, member, rates)
        counts = halves.counts(guess, cut)
        epsilons[name], counted[name] = rates(*counts), counts
        promise[name] = _on_first(half, member, cut, rates)
        cut = best_cut(half, member, lambda *c: gdp_mu_bound(*c, alpha=alpha))
        mus[name] = gdp_mu_bound(*halves.counts(guess, cut), alpha=alpha)
    value, mu = max(epsilons.values()), max(mus.values())
    ceiling = clopper_pearson_epsilon(*halves.perfect, delta=delta, alpha=alpha)
    mu_ceiling = gdp_mu_bound(*halves.perfect, alpha=alpha)
    chosen = max(promise, key=lambda name: promise[name])
    limit = None if claimed is None else claimed[0]
    at_mu = epsilon_of_mu(mu, halves.gaussian_delta)
    return [
        _finding(
            "epsilon_lower_bound",
            value,
            ceiling,
            f"The attacks show that ε is at least {value:.2f} (95 %), if people are taken as independent trials.",
            "Kairouz, Oh & Viswanath (2015); Clopper & Pearson (1934)",
            n=len(halves.counted),
            verdict=_verdict(value, limit, scores),
            threshold=_threshold(claimed),
            detail={"ceiling": ceiling, "delta": delta, "attacks": epsilons},
        ),
        _finding(
            "mu_lower_bound",
            mu,
            mu_ceiling,
            f"If the generator behaves like one Gaussian mechanism, the attacks show that μ is at least {mu:.2f} "
            f"(95 %), which is ε = {at_mu:.2f} at δ = {halves.gaussian_delta:g}. A model, not a proof.",
            "Nasr et al. (2023); Dong, Roth & Su (2022)",
            n=len(halves.counted),
            unit="mu",
            verdict=_verdict(mu, None if claimed is None else _claimed_mu(claimed), scores, model=True),
            threshold=_mu_threshold(claimed),
            detail={"ceiling": mu_ceiling, "delta": halves.gaussian_delta, "epsilon": at_mu, "attacks": mus},
        ),
        _credible(halves, chosen, counted[chosen]),
    ]


def _on_first(guess: np.ndarray, member: np.ndarray, cut: float, bound: Any) -> float:
    """Return the bound on the half that set the threshold; only to choose an attack."""
    yes = guess >= cut
    return float(bound(int(yes[member].sum()), int(member.sum()), int(yes[~member].sum()), int((~member).sum())))


def _credible(halves: _Halves, chosen: str, counts: tuple[int, int, int, int]) -> Finding:
    interval = bayesian_epsilon(*counts, delta=halves.delta)
    ceiling = bayesian_epsilon(*halves.perfect, delta=halves.delta)
    return _finding(
        "epsilon_credible",
        interval.value,
        ceiling.low,
        f"Given what the attack '{chosen}', chosen on other targets, got right, its ε lies in this interval with "
        "probability 95 %. It speaks of this attack; a better one would show more.",
        "Zanella-Béguelin et al. (2023), Jeffreys' prior",
        low=interval.low,
        high=interval.high,
        n=len(halves.counted),
        verdict=_verdict(
            interval.low, None if halves.claimed is None else halves.claimed[0], halves.scores, model=True
        ),
        threshold=_threshold(halves.claimed),
        detail={"ceiling": ceiling.low, "delta": halves.delta, "attack": chosen, "counts": list(counts)},
    )


def _guess(guess: np.ndarray, member: np.ndarray, shares: tuple[float, float]) -> tuple[int, int]:
    """Return (guesses, correct) if the highest scores are called 'in' and the lowest 'out'."""
    order = np.argsort(guess, kind="stable")
    top, bottom = (int(share * len(order)) for share in shares)
    correct = int(member[order[len(order) - top :]].sum()) + int((~member[order[:bottom]]).sum())
    return top + bottom, correct


def _by_coins(halves: _Halves, rng: np.random.Generator) -> list[Finding]:
    scores, delta, alpha = halves.scores, halves.delta, halves.alpha
    mixed = rng.permutation(len(halves.first))  # so that ties are broken at random
    member, first = scores.member[mixed], halves.first[mixed]
    pool, epsilons, mus, detail = int((~first).sum()), {}, {}, {}
    for name, score in scores.scores.items():
        guess = score[mixed]

        def promise(shares: tuple[float, float], guess: np.ndarray = guess) -> float:
            r, v = _guess(guess[first], member[first], shares)
            return lower_bound(v, r, alpha) if r else 0.0

        shares = max(((a, b) for a in SHARES for b in SHARES if a + b), key=promise)
        r, v = _guess(guess[~first], member[~first], shares)
        epsilons[name] = one_run_epsilon(pool=pool, guesses=r, correct=v, delta=delta, alpha=alpha)
        mus[name] = one_run_mu(pool=pool, guesses=r, correct=v, alpha=alpha)
        detail[name] = {"guesses": r, "correct": v, "epsilon": epsilons[name], "mu": mus[name]}
    how = (
        "Fair coins had decided who was in the training rows."
        if scores.coins
        else "This takes for granted that the holdout was split off at random."
    )
    common = {"n": pool, "detail": {"delta": delta, "fair_coins": scores.coins, "attacks": detail}}
    return [_one_run(halves, max(epsilons.values()), how, common), _one_run_mu(halves, max(mus.values()), how, common)]


def _one_run(halves: _Halves, value: float, how: str, common: dict[str, Any]) -> Finding:
    pool = common["n"]
    ceiling = one_run_epsilon(pool=pool, guesses=pool, correct=pool, delta=halves.delta, alpha=halves.alpha)
    return _finding(
        "epsilon_lower_bound_one_run",
        value,
        ceiling,
        f"From guessing who was in, the audit of this one run shows that ε is at least {value:.2f} (95 %). {how}",
        "Steinke, Nasr & Jagielski (2023)",
        n=pool,
        verdict=_verdict(value, None if halves.claimed is None else halves.claimed[0], halves.scores),
        threshold=_threshold(halves.claimed),
        detail={**common["detail"], "ceiling": ceiling},
    )


def _one_run_mu(halves: _Halves, mu: float, how: str, common: dict[str, Any]) -> Finding:
    pool, claimed, delta = common["n"], halves.claimed, halves.gaussian_delta
    ceiling = one_run_mu(pool=pool, guesses=pool, correct=pool, alpha=halves.alpha)
    return _finding(
        "mu_lower_bound_one_run",
        mu,
        ceiling,
        f"The same guesses, if the generator behaves like one Gaussian mechanism: μ is at least {mu:.2f} (95 %), which "
        f"is ε = {epsilon_of_mu(mu, delta):.2f} at δ = {delta:g}. {how}",
        "Mahloujifar, Melis & Chaudhuri (2024)",
        n=pool,
        unit="mu",
        verdict=_verdict(mu, None if claimed is None else _claimed_mu(claimed), halves.scores, model=True),
        threshold=_mu_threshold(claimed),
        detail={**common["detail"], "ceiling": ceiling, "epsilon": epsilon_of_mu(mu, delta)},
    )


AUDIT = Audit(
    name="epsilon",
    family="membership",
    run=epsilon,
    titles={
        "epsilon_lower_bound": "Lower bound on epsilon, from attacks",
        "epsilon_lower_bound_one_run": "Lower bound on epsilon, from guessing in one run",
        "mu_lower_bound": "Lower bound on mu, under a Gaussian model",
        "mu_lower_bound_one_run": "Lower bound on mu, from guessing in one run, under a Gaussian model",
        "epsilon_credible": "Epsilon of the best attack, credible interval",
    },
)

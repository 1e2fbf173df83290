"""Lower bounds on epsilon: published planning values, monotony, and validity on mechanisms of known epsilon."""

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

from privsynth.audit.common.audit_tables import AuditTables
from privsynth.audit.common.settings import AuditContext, AuditSettings
from privsynth.audit.membership.attacks import AttackScores
from privsynth.audit.membership.epsilon_lower_bound import epsilon
from privsynth.stats.epsilon_bounds import clopper_pearson_epsilon, one_run_epsilon, one_run_p_value
from privsynth.stats.privacy_limits import allowed_auc, allowed_tpr


@pytest.mark.parametrize(
    ("n", "rates", "coins"), [(50, 2.57, 2.78), (200, 3.98, 4.19), (1_000, 5.60, 5.81), (5_000, 7.21, 7.42)]
)
def test_ceilings_of_a_perfect_attack(n, rates, coins):
    assert clopper_pearson_epsilon(n, n, 0, n, delta=0) == pytest.approx(rates, abs=0.006)
    assert one_run_epsilon(pool=n, guesses=n, correct=n, delta=0) == pytest.approx(coins, abs=0.006)


@pytest.mark.parametrize(
    ("guesses", "correct", "delta", "expected"), [(1000, 600, 0, 0.30), (200, 150, 0, 0.82), (100, 90, 1e-5, 1.63)]
)
def test_one_run_examples(guesses, correct, delta, expected):
    found = one_run_epsilon(pool=1000, guesses=guesses, correct=correct, delta=delta)
    assert found == pytest.approx(expected, abs=0.006)


def test_one_run_p_value_equals_the_naive_twin():
    def naive(eps, m, r, v, delta):
        q = np.exp(eps) / (1 + np.exp(eps))
        tail = [sum(stats.binom.pmf(j, r, q) for j in range(max(0, k), r + 1)) for k in range(v + 1)]
        worst = max((tail[v - i] - tail[v]) / i for i in range(1, v + 1))
        return min(1, tail[v] + 2 * m * delta * max(0, worst))

    for args in ((0.5, 200, 60, 41, 1e-4), (2.0, 50, 50, 48, 1e-3), (1.0, 100, 10, 3, 1e-5)):
        ours = one_run_p_value(args[0], pool=args[1], guesses=args[2], correct=args[3], delta=args[4])
        assert ours == pytest.approx(naive(*args))


def test_delta_and_misses_only_lower_the_bound():
    best = clopper_pearson_epsilon(500, 500, 0, 500, delta=0)
    assert clopper_pearson_epsilon(500, 500, 0, 500, delta=0.05) < best
    assert clopper_pearson_epsilon(450, 500, 10, 500, delta=0) < best
    assert clopper_pearson_epsilon(250, 500, 250, 500, delta=0) == 0.0
    assert one_run_epsilon(pool=100, guesses=0, correct=0, delta=0) == 0.0


def test_what_a_guarantee_allows():
    assert allowed_tpr(0.01, 1, 0) == pytest.approx(0.0272, abs=1e-4)
    assert allowed_auc(0, 0) == pytest.approx(0.5)
    grid = np.linspace(0, 1, 200_001)
    curve = [allowed_tpr(x, 1.5, 0.01) for x in grid]
    assert allowed_auc(1.5, 0.01) == pytest.approx(np.trapezoid(curve, grid), abs=1e-6)
    assert allowed_auc(1e9, 0) == pytest.approx(1.0)


def _audit_of_randomised_response(true_epsilon, claimed, rng):
    """Findings for attacks that see randomised responses to 'were you in?': exactly true_epsilon-private."""
    member = rng.random(1_500) < 0.5
    truth = rng.random((4, 1_500)) < special.expit(true_epsilon)
    scores = {f"attack {i}": np.where(truth[i], member, ~member).astype(float) for i in range(4)}
    scores = {"distance": scores["attack 0"], "density": rng.random(1_500)}
    found = AttackScores(member=member, scores=scores, rows=pd.DataFrame(), n_reference=1, coins=True, blind=None)
    context = AuditContext(AuditSettings(claimed=(claimed, 0.0)))
    context.once("attack_scores", lambda: found)
    empty = pd.DataFrame({"a": [1.0]})
    tables = AuditTables(train=empty, holdout=empty, synthetic=empty, kinds={"a": "numeric"})
    return epsilon(tables, rng=rng, context=context)


@pytest.mark.slow
def test_bounds_hold_for_a_mechanism_of_known_epsilon():
    """Each bound may exceed the truth in 5 % of runs; 5 of 12 would be a chance of 2e-4."""
    rng = np.random.default_rng(0)
    runs = [_audit_of_randomised_response(1.0, 1.0, rng) for _ in range(12)]
    for name in ("epsilon_lower_bound", "epsilon_lower_bound_one_run"):
        found = [f for run in runs for f in run if f.name == name]
        assert sum(f.verdict == "fail" for f in found) < 5
        assert np.median([f.value for f in found]) > 0.6, "the bound must not be empty either"


def test_a_broken_claim_fails_both_bounds_and_the_ceiling_is_told():
    found = {f.name: f for f in _audit_of_randomised_response(3.0, 1.0, np.random.default_rng(1))}
    assert len(found) == 5
    assert [found[n].verdict for n in ("epsilon_lower_bound", "epsilon_lower_bound_one_run")] == ["fail", "fail"]
    assert found["epsilon_credible"].verdict == "review", "a credible interval is no bound"
    assert all(f.visibility == "officer" and f.detail["ceiling"] > f.value for f in found.values())
    assert all(f"{f.detail['ceiling']:.2f}" in f.meaning for f in found.values())


def test_under_a_gaussian_model_bounds_are_reviews_and_without_a_claim_nothing_is_judged():
    """At delta = 0 a Gaussian mechanism may have no mu at all: any mu is beyond that claim, under a model."""
    found = {f.name: f for f in _audit_of_randomised_response(3.0, 1.0, np.random.default_rng(1))}
    assert (found["mu_lower_bound"].verdict, found["mu_lower_bound_one_run"].verdict) == ("review", "review")
    assert found["mu_lower_bound"].detail["epsilon"] > found["epsilon_lower_bound"].value
    assert found["mu_lower_bound_one_run"].unit == "mu"

"""Bounds of `privsynth.stats.epsilon_bounds`: naive twins, and coverage on mechanisms whose epsilon or mu is known.

Coverage tests run at alpha = 0.05 on fixed seeds and state how often a valid bound would fail them.
"""

import numpy as np
import pytest
from distinguishing import distinguish
from scipy import stats

from privsynth.stats.epsilon_bounds import (
    bayesian_epsilon,
    best_cut,
    clopper_pearson_epsilon,
    epsilon_of_mu,
    epsilon_posterior,
    gdp_mu_bound,
    one_run_epsilon,
    one_run_mu,
    one_run_mu_refuted,
)

RUNS = 400
ALLOWED = 39  # of 400 at 5 %: more by chance with probability below 1e-4


def gaussian_counts(mu, n, rng):
    """Return hits and false alarms of the middle threshold on a Gaussian mechanism, n runs a side, many audits."""
    rate = stats.norm.sf(mu / 2)
    return n - rng.binomial(n, rate, RUNS), rng.binomial(n, rate, RUNS)


@pytest.mark.parametrize("mu", [0.3, 1.0, 2.5])
def test_bounds_by_counts_hold_for_a_gaussian_mechanism(mu):
    rng = np.random.default_rng(1)
    hits, false = gaussian_counts(mu, 500, rng)
    found = np.array([gdp_mu_bound(int(h), 500, int(f), 500) for h, f in zip(hits, false, strict=True)])
    assert (found > mu).sum() <= ALLOWED
    assert np.median(found) > mu - 0.35, "the bound must not be empty either"
    claimed = epsilon_of_mu(mu, 1e-5)
    by_any = [clopper_pearson_epsilon(int(h), 500, int(f), 500, delta=1e-5) for h, f in zip(hits, false, strict=True)]
    assert max(by_any) < claimed


def test_planning_values_of_the_gaussian_bound():
    """1,000 runs a side of a mechanism that is exactly (4, 1e-5)-private: 3.2 is to be expected (research table)."""
    low, high = 0.0, 5.0
    while high - low > 1e-9:
        low, high = ((low + high) / 2, high) if epsilon_of_mu((low + high) / 2, 1e-5) < 4 else (low, (low + high) / 2)
    wrong = round(1_000 * stats.norm.sf(low / 2))
    mu = gdp_mu_bound(1_000 - wrong, 1_000, wrong, 1_000)
    assert epsilon_of_mu(mu, 1e-5) == pytest.approx(3.21, abs=0.1)
    perfect = gdp_mu_bound(1_000, 1_000, 0, 1_000)
    assert epsilon_of_mu(perfect, 1e-5) == pytest.approx(36, abs=1), "perfect attacks are extrapolated"
    assert gdp_mu_bound(500, 1_000, 500, 1_000) == 0.0
    assert epsilon_of_mu(0.0, 1e-5) == 0.0


def test_credible_intervals_equal_draws_from_the_posterior():
    counts, delta = (80, 100, 12, 90), 0.01
    rng = np.random.default_rng(2)
    fnr, fpr = rng.beta(20.5, 80.5, 200_000), rng.beta(12.5, 78.5, 200_000)

    def smallest(one, other):
        """Smallest epsilon whose region holds the rates, by its four sides."""
        sides = [
            np.log(np.maximum(1 - delta - a, 1e-300) / b) for a, b in ((one, other), (other, one), (1 - one, 1 - other),
                                                                       (1 - other, 1 - one))
        ]  # fmt: skip
        return np.maximum(0.0, np.max(sides, axis=0))

    found = bayesian_epsilon(*counts, delta=delta)
    expected = np.quantile(smallest(fnr, fpr), [0.025, 0.5, 0.975])
    assert [found.low, found.value, found.high] == pytest.approx(expected, rel=0.02)


@pytest.mark.slow
def test_credible_intervals_cover_over_their_prior():
    """Rates drawn from the prior: the interval covers in 95 % of 120 draws; more than 17 misses below 1e-4."""
    rng = np.random.default_rng(3)
    misses = 0
    for fnr, fpr in rng.beta(0.5, 0.5, (120, 2)):
        a, b = sorted((np.clip(fnr, 1e-12, 1 - 1e-12), np.clip(fpr, 1e-12, 1 - 1e-12)))
        truth = max(np.log((1 - a) / b), np.log((1 - b) / a), np.log(b / (1 - a)), np.log(a / (1 - b)), 0.0)
        hits, false = 60 - rng.binomial(60, fnr), rng.binomial(60, fpr)
        misses += not 0.025 <= epsilon_posterior(truth, int(hits), 60, int(false), 60, delta=0.0) <= 0.975
    assert misses <= 17


def naive_refuted(mu, pool, guesses, correct, alpha):
    """The recursion of Mahloujifar et al. with every value kept, to the end."""
    r, h = np.zeros(correct + 1), np.zeros(correct + 1)
    r[correct], h[correct] = alpha * correct / pool, alpha * (guesses - correct) / pool
    for i in reversed(range(correct)):
        h[i] = max(h[i + 1], stats.norm.cdf(stats.norm.ppf(r[i + 1]) - mu))
        r[i] = min(1.0, r[i + 1] + i / (guesses - i) * (h[i] - h[i + 1]))
    return bool(r[0] + h[0] > guesses / pool)


@pytest.mark.parametrize(("pool", "guesses", "correct"), [(60, 60, 45), (60, 20, 18), (200, 40, 40), (100, 100, 55)])
def test_the_early_end_of_the_recursion_changes_nothing(pool, guesses, correct):
    for mu in np.linspace(0, 3, 13):
        ours = one_run_mu_refuted(mu, pool=pool, guesses=guesses, correct=correct, alpha=0.05)
        assert ours == naive_refuted(mu, pool, guesses, correct, 0.05)


def test_with_no_privacy_lost_the_recursion_is_the_binomial_test():
    """At mu = 0 guesses are coins: refuted from the same number of right guesses on, up to one."""
    for guesses in (30, 100, 400):
        first = next(c for c in range(guesses + 1) if one_run_mu_refuted(0.0, pool=guesses, guesses=guesses, correct=c))
        exact = int(stats.binom.isf(0.05, guesses, 0.5)) + 1
        assert abs(first - exact) <= 1


def guesses_of_one_run(mu, pool, share, rng):
    """Return guesses and right guesses of the best attack on one run of a Gaussian mechanism with `pool` coins."""
    inside = rng.random(pool) < 0.5
    order = np.argsort(rng.normal(size=pool) + mu * inside)
    k = int(share * pool)
    return 2 * k, int(inside[order[pool - k :]].sum() + (~inside[order[:k]]).sum())


@pytest.mark.parametrize(("mu", "share"), [(0.0, 0.5), (0.0, 0.1), (0.7, 0.1), (2.0, 0.5)])
def test_one_run_bounds_hold_for_a_gaussian_mechanism(mu, share):
    rng = np.random.default_rng(4)
    runs = [guesses_of_one_run(mu, 300, share, rng) for _ in range(RUNS)]
    refuted = sum(one_run_mu_refuted(mu, pool=300, guesses=g, correct=c) for g, c in runs)
    assert refuted <= ALLOWED
    claimed = epsilon_of_mu(mu, 1e-5)
    found = [one_run_epsilon(pool=300, guesses=g, correct=c, delta=1e-5) for g, c in runs[:60]]
    assert sum(f > claimed for f in found) <= 12  # of 60 at 5 %: below 1e-4


def test_the_gaussian_curve_sees_more_than_epsilon_alone():
    """The reason for the f-DP variant: the same guesses, a higher bound, for an attack on a Gaussian mechanism."""
    rng = np.random.default_rng(5)
    found = [guesses_of_one_run(2.0, 2_000, 0.1, rng) for _ in range(5)]
    mus = [one_run_mu(pool=2_000, guesses=g, correct=c) for g, c in found]
    plain = [one_run_epsilon(pool=2_000, guesses=g, correct=c, delta=1e-5) for g, c in found]
    assert max(mus) < 2.0
    assert np.median([epsilon_of_mu(mu, 1e-5) for mu in mus]) > 1.3 * np.median(plain)
    assert one_run_mu(pool=10, guesses=0, correct=0) == 0.0


def test_distinguishing_chooses_on_one_half_and_counts_on_the_other():
    """Scores of a mechanism with mu = 1; a threshold chosen on the counted scores would exceed it far more often."""
    rng = np.random.default_rng(6)
    found = [distinguish(rng.normal(size=400) + 1, rng.normal(size=400), delta=1e-5) for _ in range(60)]
    assert sum(f.mu > 1 for f in found) <= 12
    assert sum(f.epsilon > epsilon_of_mu(1.0, 1e-5) for f in found) == 0
    assert all(f.members == f.non_members == 200 for f in found)
    assert all(f.epsilon <= f.ceiling and f.mu <= f.mu_ceiling for f in found)
    fixed = distinguish(rng.normal(size=400) + 1, rng.normal(size=400), delta=1e-5, cut=0.5)
    assert fixed.members == 400


def test_the_best_threshold_is_the_best_of_all():
    rng = np.random.default_rng(7)
    member = np.arange(300) < 150
    guess = rng.normal(size=300) + 1.5 * member

    def value(hits, members, false, others):
        return hits / members - false / others

    every = [value((guess[member] >= c).sum(), 150, (guess[~member] >= c).sum(), 150) for c in guess]
    cut = best_cut(guess, member, value)
    found = value((guess[member] >= cut).sum(), 150, (guess[~member] >= cut).sum(), 150)
    assert found == pytest.approx(max(every), abs=0.03)
    assert best_cut(guess, member, lambda *_: 0.0) == np.median(guess)

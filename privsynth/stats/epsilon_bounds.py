"""Lower bounds on epsilon and mu from the successes of an attack: pure functions of counts and scores.

* `clopper_pearson_epsilon`: (epsilon, delta) from hits and false alarms of independent trials, by exact intervals.
* `gdp_mu_bound`: mu from the same counts if the mechanism is mu-GDP. Much stronger, because it extrapolates.
* `bayesian_epsilon`: a credible interval from the same counts; narrower, but no bound.
* `one_run_epsilon`, `one_run_mu`: from guesses about many coins of a single run.

None proves privacy: a bound above the claim shows a fault, a bound below it shows nothing beyond the attacks tried.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy import special, stats

from privsynth.privacy.accounting import gdp_epsilon
from privsynth.stats.intervals import Interval, upper_bound

ALPHA = 0.05  # of a bound that is wrong; the usual 5 %
MAX_EPSILON = 50.0  # end of the search: no number of targets that an audit takes could show as much
MAX_MU = 20.0  # end of the search: no number of targets that an audit takes could show as much
_GRID = 400  # points of the integral over the false-positive rate (own)
_TAIL = np.geomspace(1e-4, 0.5, 50)  # shares accused, in equal factors from 1 in 10,000 to half (own)
_LEVELS = np.concatenate([_TAIL, 1 - _TAIL])  # quantiles tried as thresholds, dense at both ends


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


def gdp_mu_bound(hits: int, members: int, false_alarms: int, non_members: int, *, alpha: float = ALPHA) -> float:
    """Return a lower bound on mu from the counts at one threshold, wrong with probability at most alpha.

    It holds if the mechanism is mu-GDP for some mu, as Gaussian noise is.

    Source: Nasr et al. (2023); Dong, Roth & Su (2022).
    """
    fnr = upper_bound(members - hits, members, alpha / 2)
    fpr = upper_bound(false_alarms, non_members, alpha / 2)
    if fnr + fpr >= 1:
        return 0.0
    return float(min(MAX_MU, -special.ndtri(fpr) - special.ndtri(fnr)))


def epsilon_of_mu(mu: float, delta: float) -> float:
    """Return epsilon at `delta` of mu-GDP; 0 for mu = 0."""
    return gdp_epsilon(mu, delta) if mu > 0 else 0.0


def epsilon_posterior(
    epsilon: float, hits: int, members: int, false_alarms: int, non_members: int, *, delta: float
) -> float:
    """Return the posterior probability that an attack's epsilon is at most this; see `bayesian_epsilon`."""
    share = (np.arange(_GRID) + 0.5) / _GRID
    fpr = special.betaincinv(0.5 + false_alarms, 0.5 + non_members - false_alarms, share)
    grow = math.exp(epsilon)

    def least(rate: np.ndarray) -> np.ndarray:
        return np.clip(np.maximum(1 - delta - grow * rate, (1 - delta - rate) / grow), 0.0, 1.0)

    shape, low, high = (0.5 + members - hits, 0.5 + hits), least(fpr), 1 - least(1 - fpr)
    inside = special.betainc(*shape, high) - special.betainc(*shape, low)
    return float(np.maximum(inside, 0.0).mean())


def bayesian_epsilon(
    hits: int, members: int, false_alarms: int, non_members: int, *, delta: float, confidence: float = 0.95
) -> Interval:
    """Return the posterior median and the credible interval of epsilon.

    Both error rates have Jeffreys' prior and are independent; epsilon is the smallest whose region holds the pair of
    rates. Not a frequentist bound: it covers on average over that prior.

    Source: Zanella-Béguelin et al. (2023), section 4.
    """

    def below(epsilon: float) -> float:
        return epsilon_posterior(epsilon, hits, members, false_alarms, non_members, delta=delta)

    half = (1 - confidence) / 2
    low, value, high = (_quantile(below, p) for p in (half, 0.5, 1 - half))
    return Interval(value, low, high)


def _quantile(below: Callable[[float], float], share: float) -> float:
    """Return the smallest epsilon in 0 … MAX_EPSILON at which a distribution function reaches `share`."""
    return _largest(lambda epsilon: below(epsilon) < share, MAX_EPSILON)


def one_run_p_value(epsilon: float, *, pool: int, guesses: int, correct: int, delta: float) -> float:
    """Return an upper bound of the probability of at least `correct` right guesses if the run is (epsilon, delta)-DP.

    Args:
      pool: coins that were thrown (m).
      guesses: how many of them the attack guessed (r).
      correct: how many guesses were right (v).
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

    return _largest(refuted, MAX_EPSILON)


def _largest(refuted: Callable[[float], bool], top: float) -> float:
    """Return, by bisection, the largest refuted value in 0 … top; all smaller values must be refuted too."""
    if not refuted(0.0):
        return 0.0
    low, high = 0.0, top
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if refuted(middle) else (low, middle)
    return low


def one_run_mu_refuted(mu: float, *, pool: int, guesses: int, correct: int, alpha: float = ALPHA) -> bool:
    """Return whether so many right guesses refute that the run was mu-GDP, wrong with probability at most alpha.

    The recursion follows the largest probability that the trade-off curve of mu-GDP leaves for exactly 0, 1, …
    right guesses if `correct` or more had probability alpha; more than there is means that alpha was too much.

    Source: Mahloujifar, Melis & Chaudhuri (2024), algorithm 3, for two-valued guesses and the Gaussian curve.
    """
    if guesses == 0:
        return False
    right, wrong = alpha * correct / pool, alpha * (guesses - correct) / pool
    limit = guesses / pool
    for i in range(correct - 1, -1, -1):
        least = max(wrong, float(special.ndtr(special.ndtri(right) - mu)))
        right = min(1.0, right + i / (guesses - i) * (least - wrong))
        wrong = least
        if right + wrong > limit:  # both only grow
            return True
    return right + wrong > limit


def one_run_mu(*, pool: int, guesses: int, correct: int, alpha: float = ALPHA) -> float:
    """Return the largest mu that the guesses of one run refute, wrong with probability at most alpha."""
    return _largest(lambda mu: one_run_mu_refuted(mu, pool=pool, guesses=guesses, correct=correct, alpha=alpha), MAX_MU)


def best_cut(guess: np.ndarray, member: np.ndarray, bound: Callable[[int, int, int, int], float]) -> float:
    """Return the threshold with the highest bound on these targets; evaluate it on other targets.

    Args:
      guess: (n,) scores.
      member: (n,) booleans.
      bound: of hits, members, false alarms, non-members, when scores at or above the threshold accuse.
    """
    inside, outside = np.sort(guess[member]), np.sort(guess[~member])
    best, cut = 0.0, float(np.median(guess))  # if no threshold shows anything
    for at in np.unique(np.quantile(guess, _LEVELS, method="nearest")):
        hits = len(inside) - int(np.searchsorted(inside, at, side="left"))
        false = len(outside) - int(np.searchsorted(outside, at, side="left"))
        found = bound(hits, len(inside), false, len(outside))
        if found > best:
            best, cut = found, float(at)
    return cut

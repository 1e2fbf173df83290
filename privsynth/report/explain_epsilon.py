"""Explains (epsilon, delta) in plain words, by exact trade-off bounds.

An attacker makes any guess about a person: a value, a link, "this is her row". Without the person's rows in the data
the guess is right with probability p; with them, with probability at most 1 - f(p), where f is the trade-off function
of the release (Wasserman and Zhou 2010; Dong, Roth and Su
2022; Kulynych et al. 2025, arXiv 2507.06969): a right guess is an event, and its probabilities with and without
the person are the error rates of a test. The bound includes delta, without exception.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

from privsynth.report.format_numbers import power

PRIORS = (0.01, 0.10, 0.50)  # chance of a right guess without the data: a rare, a likely and an even one (own)
_NORMAL = NormalDist()


@dataclass(frozen=True, kw_only=True)
class RiskCard:
    """What an attacker with a given prior can gain. `prior`, `highest` and `belief` are probabilities.

    Attributes:
      prior: how often the guess is right without the person's rows.
      highest: how often it can be right with them, at most.
      belief: the highest belief that a person's rows are in the data, from a belief of `prior`; outcomes of total
        probability delta are excepted.
      sentence: the same in words.
    """

    prior: float
    highest: float
    belief: float
    sentence: str


def highest_success(
    prior: float, *, epsilon: float, delta: float, mu: float | None = None, mu_delta: float = 0.0
) -> float:
    """Return 1 - f(prior): the largest true positive rate of any test with false positive rate `prior`.

    Args:
      prior: probability that a guess is right without the person's rows; also a false positive rate.
      epsilon, delta: the release is (epsilon, delta)-DP.
      mu: the release is mu-GDP as well; the smaller of the two bounds is returned.
      mu_delta: probability of the events in which mu does not hold (thresholded discovery).

    Raises:
      ValueError: an argument is not finite or outside its range.
    """
    _check(prior, epsilon, delta, mu)
    bounds = [1.0, 1 - math.exp(-epsilon) * (1 - delta - prior)]
    if epsilon < 700:  # above, e^epsilon is no float and the other bound is the smaller
        bounds.append(math.exp(epsilon) * prior + delta)
    if mu is not None:
        bounds.append(_gaussian(prior, mu, mu_delta))
    return max(min(bounds), prior)


def highest_belief(prior: float, *, epsilon: float, delta: float = 0.0) -> float:
    """Return the largest posterior of membership: the odds rise by at most e^epsilon (but for probability delta)."""
    _check(prior, epsilon, delta, None)
    if prior in (0.0, 1.0):
        return prior
    return 1 / (1 + math.exp(-epsilon) * (1 - prior) / prior)


def highest_accuracy(*, epsilon: float, delta: float, mu: float | None = None, mu_delta: float = 0.0) -> float:
    """Return the largest probability of a right guess whether a person is in the data, from even odds.

    It is (1 + max(TPR - FPR)) / 2: (e^epsilon + delta) / (1 + e^epsilon), or, if that is less, Phi(mu / 2), which
    `mu_delta` raises by at most half of itself.
    """
    _check(0.5, epsilon, delta, mu)
    accuracy = (1 + delta * math.exp(-epsilon)) / (1 + math.exp(-epsilon))
    return accuracy if mu is None else min(accuracy, _NORMAL.cdf(mu / 2) * (1 - mu_delta) + mu_delta)


def bound_curve(
    *, epsilon: float, delta: float, mu: float | None = None, mu_delta: float = 0.0, lowest: float = 1e-4
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return (false positive rates, largest true positive rates), 121 points, dense at both ends."""
    low = [lowest * (0.5 / lowest) ** (i / 60) for i in range(60)]
    fpr = (0.0, *low, 0.5, *(1 - x for x in reversed(low)), 1.0)
    return fpr, tuple(highest_success(x, epsilon=epsilon, delta=delta, mu=mu, mu_delta=mu_delta) for x in fpr)


def risk_cards(
    *,
    epsilon: float,
    delta: float,
    mu: float | None = None,
    mu_delta: float = 0.0,
    priors: tuple[float, ...] = PRIORS,
) -> tuple[RiskCard, ...]:
    """Return one card for each prior, in order."""
    cards = []
    for prior in priors:
        highest = highest_success(prior, epsilon=epsilon, delta=delta, mu=mu, mu_delta=mu_delta)
        belief = highest_belief(prior, epsilon=epsilon, delta=delta)
        sentence = (
            f"A guess about a person that would be right {percent(prior)} of the time without that person's rows is "
            f"right at most {percent(highest, up=True)} of the time with them."
        )
        cards.append(RiskCard(prior=prior, highest=highest, belief=belief, sentence=sentence))
    return tuple(cards)


def membership_sentence(*, epsilon: float, delta: float, mu: float | None = None, mu_delta: float = 0.0) -> str:
    """Return what an attacker can learn about whether a person is in the data at all."""
    accuracy = percent(highest_accuracy(epsilon=epsilon, delta=delta, mu=mu, mu_delta=mu_delta), up=True)
    return (
        "Asked whether a person is in the data at all, when a coin toss would be right 50 % of the time, the best "
        f"possible attack is right at most {accuracy} of the time."
    )


def which_sentence(*, epsilon: float, delta: float, mu: float | None = None, mu_delta: float = 0.0) -> str:
    """Return which of the conversions of one promise is to be quoted, and why."""
    bounds = {"epsilon": epsilon, "delta": delta, "mu": mu, "mu_delta": mu_delta}
    accuracy = percent(highest_accuracy(**bounds), up=True)  # type: ignore[arg-type]
    success = percent(highest_success(0.5, **bounds), up=True)  # type: ignore[arg-type]
    belief = percent(highest_belief(0.5, epsilon=epsilon, delta=delta), up=True)
    return (
        f"Page one quotes {accuracy}. Of all guesses whether a person is in the data, made at even odds, at most so "
        "many are right, whatever the attack; no tighter limit follows from the accounting of this release. "
        f"{success} answers another question: so often, at most, is a guess of any kind right that would be right half "
        f"of the time without the person’s rows. {belief} is the belief to which the most telling of all possible "
        "results could bring somebody, outcomes of total probability δ aside; results that telling are rare, so that "
        "the average over all of them is lower. All three follow from one promise; whoever quotes another than the "
        "first should say which question it answers."
    )


def delta_sentence(delta: float) -> str:
    """Return what delta is."""
    if delta == 0:
        return "Delta is 0: the bound by epsilon has no exception."
    return (
        f"Delta is {power(delta)}: outcomes with a total probability of about 1 in {round(1 / delta):,} may reveal "
        "more than epsilon says. Delta is a constant of the run, not a function of the number of rows."
    )


def percent(share: float, *, up: bool = False) -> str:
    """Return a share as text, for example "27.2 %"; `up` rounds up, so that a bound stays a bound.

    One decimal, two below 1 %. Whole percents lose their zeros. A share below 1 never becomes "100 %".
    """
    digits = 2 if share < 0.01 else 1
    scaled = share * 100 * 10**digits
    whole = math.ceil(scaled - 1e-7) if up else round(scaled)
    text = f"{whole / 10**digits:.{digits}f}"
    if share < 1 and float(text) >= 100:
        return "more than 99.9 %"
    return f"{text.rstrip('0').rstrip('.')} %" if "." in text else f"{text} %"


def _gaussian(prior: float, mu: float, slack: float) -> float:
    """Return slack + (1 - slack) Phi(Phi^-1(prior / (1 - slack)) + mu): mu-GDP composed with (0, slack)-DP."""
    share = prior / (1 - slack) if slack < 1 else 1.0
    if share <= 0 or share >= 1:
        return slack if share <= 0 else 1.0
    return slack + (1 - slack) * _NORMAL.cdf(_NORMAL.inv_cdf(share) + mu)


def _check(prior: float, epsilon: float, delta: float, mu: float | None) -> None:
    if not 0 <= prior <= 1:
        raise ValueError(f"a probability must lie between 0 and 1, not {prior}")
    if not (math.isfinite(epsilon) and epsilon >= 0):
        raise ValueError(f"epsilon must be a finite number of at least 0, not {epsilon}")
    if not 0 <= delta <= 1:
        raise ValueError(f"delta must lie between 0 and 1, not {delta}")
    if mu is not None and not (math.isfinite(mu) and mu >= 0):
        raise ValueError(f"mu must be a finite number of at least 0 or None, not {mu}")

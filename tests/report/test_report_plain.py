"""The words for epsilon, against closed forms and against brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from privsynth.report.explain_epsilon import (
    bound_curve,
    delta_sentence,
    highest_accuracy,
    highest_belief,
    highest_success,
    membership_sentence,
    percent,
    risk_cards,
)
from privsynth.report.format_numbers import interval, number, power, share

PRIORS = st.floats(0, 1)
EPSILONS = st.floats(0, 20)
DELTAS = st.floats(0, 0.1)


@given(PRIORS, EPSILONS, DELTAS)
def test_success_is_one_minus_the_trade_off_function(prior, epsilon, delta):
    f = max(0, 1 - delta - math.exp(epsilon) * prior, math.exp(-epsilon) * (1 - delta - prior))
    assert highest_success(prior, epsilon=epsilon, delta=delta) == pytest.approx(max(1 - f, prior), abs=1e-12)


@given(st.floats(0.001, 0.999), st.floats(0.01, 5))
def test_mu_gives_the_gaussian_curve(prior, mu):
    expected = norm.cdf(norm.ppf(prior) + mu)
    assert highest_success(prior, epsilon=50.0, delta=0.0, mu=mu) == pytest.approx(min(1, expected), abs=1e-9)


@given(PRIORS, EPSILONS, DELTAS, st.floats(0.01, 5), st.floats(0, 1e-3))
def test_mu_never_makes_the_bound_worse_nor_less_than_the_prior(prior, epsilon, delta, mu, slack):
    plain = highest_success(prior, epsilon=epsilon, delta=delta)
    assert prior <= highest_success(prior, epsilon=epsilon, delta=delta, mu=mu, mu_delta=slack) <= plain


def test_slack_is_the_composition_with_a_rare_event():
    slack, mu = 0.01, 0.5
    fpr = np.linspace(0, 1 - slack, 1001)
    expected = slack + (1 - slack) * norm.cdf(norm.ppf(fpr / (1 - slack)) + mu)
    found = [highest_success(float(x), epsilon=600.0, delta=slack, mu=mu, mu_delta=slack) for x in fpr]
    assert np.allclose(found, np.maximum(expected, fpr), atol=1e-12)


@pytest.mark.parametrize(
    ("epsilon", "delta", "mu", "slack"), [(1, 1e-6, None, 0), (2, 0.05, None, 0), (9, 0.01, 0.7, 0.01)]
)
def test_accuracy_is_the_best_point_of_the_curve(epsilon, delta, mu, slack):
    grid = np.linspace(0, 1, 20001)
    best = max(highest_success(float(x), epsilon=epsilon, delta=delta, mu=mu, mu_delta=slack) - x for x in grid)
    found = highest_accuracy(epsilon=epsilon, delta=delta, mu=mu, mu_delta=slack)
    assert found == pytest.approx((1 + best) / 2, abs=1e-4)


def test_belief_is_bayes_with_the_largest_odds():
    assert highest_belief(0.5, epsilon=1.0) == pytest.approx(math.e / (1 + math.e))
    assert highest_belief(0.01, epsilon=1.0) == pytest.approx(0.01 * math.e / (0.01 * math.e + 0.99))
    assert highest_belief(0.0, epsilon=3.0) == 0.0
    assert highest_belief(1.0, epsilon=3.0) == 1.0


def test_no_privacy_loss_means_no_gain():
    assert [card.highest for card in risk_cards(epsilon=0.0, delta=0.0)] == [0.01, 0.10, 0.50]


def test_a_huge_epsilon_is_no_protection_and_no_overflow():
    assert highest_success(0.01, epsilon=5000.0, delta=0.0) == 1.0
    assert highest_accuracy(epsilon=5000.0, delta=0.0) == 1.0


@pytest.mark.parametrize("wrong", [{"epsilon": math.nan}, {"delta": -1.0}, {"prior": 1.5}, {"mu": math.nan}])
def test_numbers_that_are_none_are_refused(wrong):
    arguments = {"prior": 0.1, "epsilon": 1.0, "delta": 0.0, **wrong}
    with pytest.raises(ValueError, match="must"):
        highest_success(arguments.pop("prior"), **arguments)


def test_the_curve_rises_from_delta_to_one():
    fpr, tpr = bound_curve(epsilon=1.0, delta=1e-3)
    assert (fpr[0], fpr[-1], tpr[0], tpr[-1]) == (0.0, 1.0, 1e-3, 1.0)
    assert list(fpr) == sorted(fpr)
    assert list(tpr) == sorted(tpr)


def test_the_sentences_hold_the_figures():
    card = risk_cards(epsilon=1.0, delta=0.0)[1]
    assert "10 %" in card.sentence
    assert "27.2 %" in card.sentence
    assert "73.2 %" in membership_sentence(epsilon=1.0, delta=0.0)
    assert "1 in 1,000,000" in delta_sentence(1e-6)
    assert "no exception" in delta_sentence(0.0)


@given(st.floats(0, 1))
def test_a_bound_in_percent_is_rounded_up(value):
    text = percent(value, up=True)
    if text.startswith("more"):
        assert value > 0.999
    else:
        assert float(text.removesuffix(" %")) / 100 >= value - 1e-9


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"), (-0.0, "0"), (0.5, "0.500"), (0.0123, "0.012"), (0.00449, "0.0045"), (0.00045, "0.00045"),
        (1e-6, "1 × 10⁻⁶"), (12345, "12,345"), (-2.5, "−2.50"), (61.61, "61.6"),
        (9512.4, "9,512"), (2.5e8, "2.5 × 10⁸"),
        (None, "–"),
    ],
)  # fmt: skip
def test_numbers_are_written_in_one_way(value, text):
    assert number(value) == text


def test_intervals_powers_and_shares():
    assert interval(0.1, 0.2, "rows") == "0.100 to 0.200 rows"
    assert [number(1.0, "columns"), number(2.0, "columns"), number(0.0, "mu")] == ["1 column", "2 columns", "0"]
    assert interval(None, 0.2) == "at most 0.200"
    assert interval(0.1, None) == "at least 0.100"
    assert (power(1e-6), power(0), power(0.02)) == ("10⁻⁶", "0", "0.020")
    assert (share(0.0001), share(0.05), share(0), share(1)) == ("under 0.1 %", "5 %", "0 %", "100 %")
    with pytest.raises(ValueError, match="finite"):
        number(math.nan)

"""(ε, δ) of events: against published numbers, an exact composition, and a second, independent accountant."""

from __future__ import annotations

import math
import warnings

import mpmath
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privsynth.errors import ConfigError
from privsynth.privacy.accounting import (
    GaussianEvent,
    SubsampledGaussianEvent,
    calibrate_subsampled,
    epsilon_of,
    gdp_delta,
    gdp_epsilon,
    gdp_mu,
    round_up,
    total_mu,
)

# μ of (ε, 1e-5)-DP, computed elsewhere to four decimals.
MU_AT_1E5 = {0.5: 0.1422, 1.0: 0.2681, 2.0: 0.5016, 3.0: 0.7191, 5.0: 1.1212, 10.0: 2.0004}


@pytest.mark.parametrize(("epsilon", "mu"), MU_AT_1E5.items())
def test_mu_agrees_with_the_published_table(epsilon, mu):
    assert round(gdp_mu(epsilon, 1e-5), 4) == mu


def test_mu_at_smaller_deltas():
    assert gdp_mu(1.0, 1e-6) == pytest.approx(0.2367, abs=5e-5)
    assert gdp_mu(1.0, 1e-9) == pytest.approx(0.1820, abs=5e-5)


def delta_by_integration(mu: float, epsilon: float) -> mpmath.mpf:
    """Return δ(ε) as the definition has it: ∫ max(0, N(μ, 1) − e^ε N(0, 1))."""
    with mpmath.workdps(40):
        m, e = mpmath.mpf(mu), mpmath.mpf(epsilon)
        start = e / m + m / 2  # where the densities' ratio is e^ε
        return mpmath.quad(
            lambda x: mpmath.npdf(x, m) - mpmath.exp(e) * mpmath.npdf(x),
            [start, start + 2, start + 6, start + 12, start + 30],
        )


@pytest.mark.parametrize(("mu", "epsilon"), [(0.1, 0.3), (0.24, 1.0), (1.0, 3.0), (3.0, 10.0)])
def test_the_formula_of_delta_is_the_integral(mu, epsilon):
    assert float(gdp_delta(mu, epsilon) / delta_by_integration(mu, epsilon)) == pytest.approx(1.0, rel=1e-10)


@settings(max_examples=25, deadline=None)
@given(st.floats(1e-3, 30), st.floats(-12, -2))
def test_round_trips_round_towards_privacy(epsilon, exponent):
    delta = 10.0**exponent
    mu = gdp_mu(epsilon, delta)
    assert gdp_delta(mu, epsilon) <= delta
    assert gdp_delta(mu * (1 + 1e-9), epsilon) > delta  # and loses next to nothing
    back = gdp_epsilon(mu, delta)
    assert gdp_delta(mu, back) <= delta
    assert back <= epsilon * (1 + 1e-9)
    assert gdp_mu(back, delta) >= mu * (1 - 1e-9)


def test_no_epsilon_at_all_where_delta_covers_everything():
    assert gdp_epsilon(1e-4, 0.01) == 0.0
    assert epsilon_of([], 1e-6) == 0.0


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(0.5, 50), min_size=1, max_size=8))
def test_gaussian_events_compose_as_the_sum_of_mu_squared(multipliers):
    events = [GaussianEvent(noise_multiplier=m) for m in multipliers]
    mu = math.sqrt(sum(m**-2 for m in multipliers))
    assert mu <= total_mu(events) <= mu * (1 + 1e-11)
    assert epsilon_of(events, 1e-6) == pytest.approx(gdp_epsilon(mu, 1e-6), rel=1e-9)
    assert epsilon_of(events[::-1], 1e-6) == pytest.approx(epsilon_of(events, 1e-6), rel=1e-12)


@pytest.mark.parametrize("mu", [0.1, 0.5, 1.0, 2.0, 5.0])
def test_loss_distributions_of_pure_gaussians_are_close_to_exact_and_not_below(mu):
    # With every unit in every sample a training step is a plain Gaussian release.
    step = SubsampledGaussianEvent(noise_multiplier=2 / mu, sampling_probability=1.0, steps=4)
    exact = gdp_epsilon(mu, 1e-6)
    assert exact * (1 - 1e-9) <= epsilon_of([step], 1e-6) <= exact * 1.002


@pytest.mark.parametrize(
    ("sigma", "q", "steps", "mu"),
    [
        (2.0, 0.05, 150, 0.3),
        (5.0, 0.2, 150, 0.5),
        (1.5, 0.1, 50, 0.1),
        pytest.param(1.0, 0.01, 1000, 0.0, marks=pytest.mark.slow),
        pytest.param(0.8, 0.02, 300, 0.2, marks=pytest.mark.slow),
    ],
)
def test_an_independent_accountant_agrees(sigma, q, steps, mu):
    from opacus.accountants import PRVAccountant

    events = [SubsampledGaussianEvent(noise_multiplier=sigma, sampling_probability=q, steps=steps)]
    history = [(sigma, q, steps)]
    if mu:
        events.append(GaussianEvent(noise_multiplier=1 / mu))
        history.append((1 / mu, 1.0, 1))
    other = PRVAccountant()
    other.history = history
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it divides by zero at q = 1, harmlessly
        theirs = other.get_epsilon(1e-6, eps_error=0.001)
    ours = epsilon_of(events, 1e-6)
    assert 0.998 * theirs <= ours <= 1.01 * theirs


@pytest.mark.parametrize(("epsilon", "share", "q", "steps"), [(0.5, 0.5, 0.05, 20), (2.0, 0.2, 0.2, 30)])
def test_calibrated_training_never_costs_more_than_epsilon(epsilon, share, q, steps):
    mu_squared = share * gdp_mu(epsilon, 1e-6) ** 2
    sigma = calibrate_subsampled(
        epsilon=epsilon, delta=1e-6, mu_squared=mu_squared, sampling_probability=q, steps=steps
    )
    gaussian = GaussianEvent(noise_multiplier=mu_squared**-0.5)

    def cost(noise_multiplier: float) -> float:
        step = SubsampledGaussianEvent(noise_multiplier=noise_multiplier, sampling_probability=q, steps=steps)
        return epsilon_of([gaussian, step], 1e-6)

    assert cost(sigma) <= epsilon
    assert cost(sigma - 0.004) > epsilon * 0.99  # and is not wasteful


def test_training_without_budget_is_refused():
    mu_squared = gdp_mu(1.0, 1e-6) ** 2 * 1.001
    with pytest.raises(ConfigError, match="no budget is left"):
        calibrate_subsampled(epsilon=1.0, delta=1e-6, mu_squared=mu_squared, sampling_probability=0.1, steps=10)


def test_an_unknown_event_is_refused():
    with pytest.raises(ConfigError, match="unknown type"):
        epsilon_of([GaussianEvent(noise_multiplier=1.0), object()], 1e-6)  # type: ignore[list-item]
    with pytest.raises(ConfigError, match="only Gaussian"):
        total_mu([SubsampledGaussianEvent(noise_multiplier=1.0, sampling_probability=0.1, steps=1)])


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
def test_absurd_events_are_refused(bad):
    with pytest.raises(ConfigError, match="noise_multiplier"):
        GaussianEvent(noise_multiplier=bad)
    with pytest.raises(ConfigError, match="sampling_probability"):
        SubsampledGaussianEvent(noise_multiplier=1.0, sampling_probability=bad, steps=1)
    with pytest.raises(ConfigError, match="epsilon"):
        gdp_mu(bad, 1e-6)
    with pytest.raises(ConfigError, match="delta"):
        gdp_epsilon(1.0, bad)


@given(st.floats(1e-9, 1e12), st.integers(1, 12))
def test_rounding_up_never_rounds_down_and_stays_close(value, digits):
    rounded = round_up(value, digits)
    assert value <= rounded <= value * (1 + 10.0 ** (1 - digits) + 1e-12)

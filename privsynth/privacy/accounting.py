"""What mechanisms cost: frozen events, and the (ε, δ) of a list of them.

Gaussian mechanisms compose exactly as μ-GDP: μ² adds up (Dong, Roth & Su 2022, corollary 3.3), also when a later one is
chosen by the outcome of an earlier one. Events with Poisson-subsampled Gaussian steps are composed through privacy loss
distributions (`dp_accounting`, pessimistic discretisation). Every conversion rounds towards privacy.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import mpmath
from scipy.optimize import brentq

from privsynth._validate import in_range, inside, positive
from privsynth.errors import ConfigError

_DIGITS = 50  # decimal digits of mpmath: δ down to 1e-30, with 20 digits left where two nearly equal terms cancel
# Step of the grid of privacy losses while their standard deviation is about 0.25 at most: the default of dp_accounting.
# Discretisation is pessimistic: a coarser grid reports a larger ε, never a smaller one.
PLD_INTERVAL = 1e-4


@dataclass(frozen=True, kw_only=True)
class GaussianEvent:
    """One Gaussian release: standard deviation = noise_multiplier × L2 sensitivity. Costs μ = 1 / noise_multiplier."""

    noise_multiplier: float

    def __post_init__(self) -> None:
        positive(noise_multiplier=self.noise_multiplier)

    @property
    def mu_squared(self) -> float:
        """The cost in μ²."""
        return self.noise_multiplier**-2


@dataclass(frozen=True, kw_only=True)
class SubsampledGaussianEvent:
    """`steps` Gaussian releases, each of a fresh Poisson sample of the units taken with `sampling_probability`.

    Neighbours: add or remove one unit.
    """

    noise_multiplier: float
    sampling_probability: float
    steps: int

    def __post_init__(self) -> None:
        positive(noise_multiplier=self.noise_multiplier, steps=self.steps)
        in_range(1e-12, 1.0, sampling_probability=self.sampling_probability)


Event = GaussianEvent | SubsampledGaussianEvent


def gdp_delta(mu: float, epsilon: float) -> mpmath.mpf:
    """Return δ(ε) of μ-GDP: Φ(−ε/μ + μ/2) − e^ε Φ(−ε/μ − μ/2), in high precision (Balle & Wang 2018)."""
    with mpmath.workdps(_DIGITS):
        m, e = mpmath.mpf(mu), mpmath.mpf(epsilon)
        return mpmath.ncdf(-e / m + m / 2) - mpmath.exp(e) * mpmath.ncdf(-e / m - m / 2)


@lru_cache(maxsize=256)
def gdp_mu(epsilon: float, delta: float) -> float:
    """Return the largest μ (rounded down) such that μ-GDP implies (epsilon, delta)-DP."""
    positive(epsilon=epsilon)
    inside(0, 1, delta=delta)
    low, high = 1e-12, 1.0
    while gdp_delta(high, epsilon) <= delta:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if gdp_delta(middle, epsilon) <= delta else (low, middle)
    return low


@lru_cache(maxsize=256)
def gdp_epsilon(mu: float, delta: float) -> float:
    """Return the smallest ε (rounded up) such that μ-GDP implies (ε, delta)-DP."""
    positive(mu=mu)
    inside(0, 1, delta=delta)
    if gdp_delta(mu, 0.0) <= delta:
        return 0.0
    low, high = 0.0, 1.0
    while gdp_delta(mu, high) > delta:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if gdp_delta(mu, middle) <= delta else (middle, high)
    return high


def total_mu(events: Iterable[Event]) -> float:
    """Return μ of the Gaussian events, rounded up; a `ConfigError` if there are others."""
    events = list(events)
    if any(not isinstance(event, GaussianEvent) for event in events):
        raise ConfigError("only Gaussian events have a μ")
    return math.nextafter(
        math.sqrt(math.fsum(e.mu_squared for e in events if isinstance(e, GaussianEvent))) * (1 + 1e-12),
        math.inf,
    )


def epsilon_of(events: Iterable[Event], delta: float) -> float:
    """Return ε, rounded up, of the composition of all events at `delta`.

    Raises:
      ConfigError: an event of unknown type.
    """
    events = tuple(events)
    gaussian = [event for event in events if isinstance(event, GaussianEvent)]
    subsampled = [event for event in events if isinstance(event, SubsampledGaussianEvent)]
    if len(gaussian) + len(subsampled) != len(events):
        raise ConfigError("an event of unknown type cannot be accounted for")
    if not subsampled:
        return gdp_epsilon(total_mu(gaussian), delta) if gaussian else 0.0
    return _pld_epsilon(total_mu(gaussian) if gaussian else 0.0, tuple(subsampled), delta)


@lru_cache(maxsize=256)
def _pld_epsilon(mu: float, subsampled: tuple[SubsampledGaussianEvent, ...], delta: float) -> float:
    from dp_accounting.pld import privacy_loss_distribution as pld

    # The grid of losses grows with the total, so that relative error and running time stay the same.
    scale = math.sqrt(mu**2 + sum(e.steps * (e.sampling_probability / e.noise_multiplier) ** 2 for e in subsampled))
    interval = PLD_INTERVAL * 2.0 ** max(0, round(math.log2(scale / 0.25)))
    total = None
    for event in subsampled:
        step = pld.from_gaussian_mechanism(
            event.noise_multiplier,
            sampling_prob=event.sampling_probability,
            value_discretization_interval=interval,
            pessimistic_estimate=True,
        )
        steps = step.self_compose(event.steps)
        total = steps if total is None else total.compose(steps)
    if mu > 0:
        gaussian = pld.from_gaussian_mechanism(
            1.0 / mu, value_discretization_interval=interval, pessimistic_estimate=True
        )
        total = gaussian if total is None else total.compose(gaussian)
    assert total is not None
    return math.nextafter(float(total.get_epsilon_for_delta(delta)), math.inf)


@lru_cache(maxsize=64)
def calibrate_subsampled(
    *, epsilon: float, delta: float, mu_squared: float, sampling_probability: float, steps: int
) -> float:
    """Return the smallest noise multiplier (rounded up to 3 decimals) of `steps` subsampled Gaussian steps that,
    together with Gaussian events worth `mu_squared`, cost at most (epsilon, delta).

    Raises:
      ConfigError: the Gaussian events alone already cost more.
    """
    mu = math.sqrt(mu_squared)
    if gdp_epsilon(mu, delta) >= epsilon:
        raise ConfigError("no budget is left for training")

    def cost(noise_multiplier: float) -> float:
        event = SubsampledGaussianEvent(
            noise_multiplier=noise_multiplier, sampling_probability=sampling_probability, steps=steps
        )
        return _pld_epsilon(mu, (event,), delta)

    spare = max(gdp_mu(epsilon, delta) ** 2 - mu_squared, 1e-12)
    guess = max(sampling_probability * math.sqrt(steps / spare), 0.3)  # central limit: μ² = T q² (e^{1/σ²} − 1)
    low, high = guess * 0.9, guess * 1.1
    while cost(high) > epsilon:
        low, high = high, high * 1.3
    while low > 0.2 and cost(low) <= epsilon:
        low, high = low / 1.3, low
    if cost(low) <= epsilon:
        high = low  # the budget is so large that hardly any noise is needed
    else:
        high = float(brentq(lambda sigma: cost(sigma) - epsilon, low, high, xtol=2e-4 * high))
    while cost(high) > epsilon:
        high *= 1.0005
    rounded = math.ceil(high * 1000) / 1000
    if cost(rounded) > epsilon:
        raise ConfigError("the accountant is not monotone here; choose another ε")
    return rounded


def round_up(value: float, digits: int = 6) -> float:
    """Return the value rounded up to `digits` significant digits, so that the printed value is the one used."""
    positive(value=value)
    power = digits - 1 - math.floor(math.log10(value))
    rounded = math.ceil(value * 10**power) / 10**power
    return rounded if rounded >= value else math.nextafter(value, math.inf)

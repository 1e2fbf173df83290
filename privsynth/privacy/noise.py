"""Exactly rounded Gaussian noise on integers.

`rounded_gaussian` returns round(Z) for Z ~ N(0, σ²) with no floating-point gap: each draw starts from 64 uniform bits,
is inverted in double precision with an error bound, and wherever the bound leaves the rounding open, more bits are
drawn and the decision is made in high precision. x + round(Z) = round(x + Z) for an integer x, so adding it to a count
is the Gaussian mechanism followed by rounding: exactly μ-GDP with μ = sensitivity / σ, which the discrete Gaussian is
not (it is zCDP; Canonne, Kamath & Steinke 2020).

Source: inversion by interval refinement, as in Haney et al. 2022 (arXiv 2207.13793) for Laplace; Dong, Roth & Su 2022
for μ-GDP under post-processing.
"""

from __future__ import annotations

import math

import mpmath
import numpy as np
from scipy.special import ndtri

from privsynth._validate import positive
from privsynth.errors import ConfigError
from privsynth.randomness import BitSource

MAX_SIGMA = 2.0**40
# Bound on the error of |ndtri(p)| in double precision, relative to 1 + |z|; tests/privacy/test_noise.py measures it.
_NDTRI_ERROR = 1e-13
_CHUNK = 1 << 20


def rounded_gaussian(count: int, sigma: float, bits: BitSource) -> np.ndarray:
    """Return (count,) int64 draws of round(Z), Z ~ N(0, sigma²), exact in distribution.

    Args:
      count: how many.
      sigma: standard deviation before rounding, in units of the integers; at most 2**40.
      bits: source of uniform words.
    """
    check_sigma(sigma)
    out = np.empty(count, dtype=np.int64)
    for start in range(0, count, _CHUNK):
        stop = min(start + _CHUNK, count)
        out[start:stop] = _draw(stop - start, sigma, bits)
    return out


def check_sigma(sigma: float) -> None:
    """Raise `ConfigError` unless noise of this standard deviation can be drawn."""
    positive(sigma=sigma)
    if sigma > MAX_SIGMA:
        raise ConfigError(
            f"noise of standard deviation {sigma:.3g} is beyond what is supported ({MAX_SIGMA:.3g}); "
            "choose a larger epsilon or fewer rows a unit"
        )


def _draw(count: int, sigma: float, bits: BitSource) -> np.ndarray:
    words = bits.uint64(count)
    negative = (words & np.uint64(1)).astype(bool)
    mantissa = words >> np.uint64(1)  # 63 bits: the tail probability lies in [m, m + 1) / 2**64, below one half
    tail = (mantissa.astype(np.float64) + 0.5) * 2.0**-64
    size = -ndtri(np.minimum(tail, 0.5))
    error = _NDTRI_ERROR * (1.0 + size)
    # Far out, one step of the 63 bits is wider than the error of the inversion: its width is 2**-64 / φ(z).
    rare = mantissa < np.uint64(1 << 50)
    error[rare] += 2.0**-63 / (np.exp(-0.5 * size[rare] ** 2) / math.sqrt(2 * math.pi))
    scaled = sigma * size
    rounded = np.rint(scaled)
    open_ = np.abs(np.abs(scaled - rounded) - 0.5) <= sigma * error * 1.01 + 4e-16 * scaled
    open_ |= mantissa == 0  # this cell of the tail reaches to infinity: no bound holds
    result: np.ndarray = rounded.astype(np.int64)
    for index in np.flatnonzero(open_):
        result[index] = _refine(int(mantissa[index]), int(result[index]), sigma, bits)
    return np.where(negative, -result, result)


def _refine(mantissa: int, guess: int, sigma: float, bits: BitSource) -> int:
    """Return round(|Z|) for the tail probability that starts with these 63 bits, drawing more bits as needed."""
    low, width_bits = mantissa, 64
    while True:
        precision = 2 * width_bits + 64
        with mpmath.workprec(precision):
            at_least = _round_at(mpmath.mpf(low + 1) / mpmath.power(2, width_bits), guess, sigma)
            at_most = _round_at(mpmath.mpf(low) / mpmath.power(2, width_bits), guess, sigma)
        if at_least is not None and at_least == at_most:
            return at_least
        low = (low << 64) | int(bits.uint64(1)[0])
        width_bits += 64


def _round_at(tail: mpmath.mpf, guess: int, sigma: float) -> int | None:
    """Return the integer r with Q((r + ½)/σ) < tail <= Q((r − ½)/σ); None where the tail is zero."""
    if tail <= 0:
        return None
    scale = mpmath.mpf(sigma) * mpmath.sqrt(2)

    def beyond(value: int) -> bool:
        return bool(mpmath.erfc((value + mpmath.mpf(1) / 2) / scale) / 2 >= tail)

    # The smallest value >= 0 that is not beyond: a bracket around the guess, then bisection.
    step, low, high = 1, guess - 1, guess
    while beyond(high):
        low, high, step = high, high + step, 2 * step
    step = 1
    while low >= 0 and not beyond(low):
        low, high, step = low - step, low, 2 * step
    low = max(low, -1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if beyond(middle) else (low, middle)
    return high

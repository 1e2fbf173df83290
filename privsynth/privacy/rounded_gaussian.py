"""Exactly rounded Gaussian noise on integers.

`rounded_gaussian` returns round(Z) for Z ~ N(0, σ²) with no floating-point gap: each draw starts from 64 uniform bits,
is inverted in double precision with an error bound, and wherever the bound leaves the rounding open, more bits are
drawn and it is decided in high precision. x + round(Z) = round(x + Z) for an integer x, so adding it to a count
is the Gaussian mechanism followed by rounding: exactly μ-GDP with μ = sensitivity / σ, which the discrete Gaussian is
not (it is zCDP; Canonne, Kamath & Steinke 2020).

Source: inversion by interval refinement, as in Haney et al. 2022 (arXiv 2207.13793) for Laplace; Dong, Roth & Su 2022
for μ-GDP under post-processing.
"""

from __future__ import annotations

import math
import os
import threading
from itertools import pairwise

import mpmath
import numpy as np
from scipy.special import ndtri

from privsynth import parallel
from privsynth._validate import positive
from privsynth.errors import ConfigError
from privsynth.randomness import BitSource

# From about here on the error of `ndtri` times σ is half an integer, so that every draw needs high precision. A count
# plus its noise (63 bits of a tail are 9 σ) also stays far from the ends of int64.
MAX_SIGMA = 2.0**40
# Bound on the error of |ndtri(p)| in double precision, relative to 1 + |z|, as tests/privacy/test_rounded_gaussian.py
# measures it.
_NDTRI_ERROR = 1e-13
_CHUNK = 1 << 20  # words drawn at once
_PART = 1 << 14  # words inverted at once
_RARE = np.uint64(1 << 50)  # tails below 2**-14 get an error bound each; all others lie within _COMMON_SIZE of zero
_COMMON_SIZE = 4.0  # standard deviations; the quantile of 2**-14 is 3.84


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
        _draw(sigma, bits, out[start:stop])
    return out


class NoiseAhead:
    """Draws like `rounded_gaussian`, repeatedly of one size, each array while the caller computes.

    Noise depends on no data, so it may be drawn before the figures that it will be added to exist. Each array is
    returned once. An array of another size or scale, or from before a fork, is dropped unseen. At most one array is
    drawn ahead; an error in drawing it is raised by the call that would have returned it.

    Args:
      bits: a source that nothing else draws from, since a thread may draw from it at any time.
    """

    def __init__(self, bits: BitSource) -> None:
        self._bits = bits
        self._next: _Drawing | None = None

    def draw(self, count: int, sigma: float, *, again: bool) -> np.ndarray:
        """Return (count,) int64 draws (see `rounded_gaussian`).

        Args:
          again: whether the next call will ask for the same count and sigma.
        """
        drawn = None
        if (waiting := self._next) is not None:
            try:
                drawn = waiting.take(count, sigma)
            finally:
                # After an interruption the next call waits for the thread again: the source has one user at a time.
                if not waiting.is_alive():
                    self._next = None
        if drawn is None:
            drawn = rounded_gaussian(count, sigma, self._bits)
        if again:
            self._next = _Drawing(count, sigma, self._bits)
        return drawn


class _Drawing(threading.Thread):
    """One array that is being drawn."""

    def __init__(self, count: int, sigma: float, bits: BitSource) -> None:
        super().__init__(name="noise")
        self._wanted = (count, sigma)
        self._bits = bits
        self._process = os.getpid()
        self._drawn: np.ndarray | None = None
        self._error: BaseException | None = None
        self.start()

    def run(self) -> None:
        """Draw."""
        try:
            self._drawn = rounded_gaussian(*self._wanted, self._bits)
        except BaseException as error:  # raised by the call that waits for it
            self._error = error

    def take(self, count: int, sigma: float) -> np.ndarray | None:
        """Wait for the array and return it, or None if it is not the one wanted; the source is free afterwards."""
        if self._process != os.getpid():  # the thread stayed with the parent, and so must what it drew
            return None
        self.join()
        if self._error is not None:
            raise self._error
        return self._drawn if self._wanted == (count, sigma) else None


def check_sigma(sigma: float) -> None:
    """Raise `ConfigError` unless noise of this standard deviation can be drawn."""
    positive(sigma=sigma)
    if sigma > MAX_SIGMA:
        raise ConfigError(
            f"noise of standard deviation {sigma:.3g} is beyond what is supported ({MAX_SIGMA:.3g}); "
            "choose a larger epsilon or fewer rows a unit"
        )


def _draw(sigma: float, bits: BitSource, out: np.ndarray) -> None:
    """Fill `out`. Bits are taken for words and refinements alone, in one order whatever the number of threads."""
    words = bits.uint64(len(out))
    parts = max(1, min(parallel.most_threads(), len(out) // _PART))
    ends = np.linspace(0, len(out), parts + 1).astype(np.int64).tolist()
    with parallel.threads(parts) as run:
        found = run(lambda part: _invert(words, sigma, out, *part), list(pairwise(ends)))
    open_ = [index for part in found for index in part]
    for index in open_:
        word = int(words[index])
        size = _refine(word >> 1, abs(int(out[index])), sigma, bits)
        out[index] = -size if word & 1 else size


def _invert(words: np.ndarray, sigma: float, out: np.ndarray, start: int, stop: int) -> list[int]:
    """Write the draws of words start … stop to `out`; return the indices that double precision leaves open.

    Works through the words in parts that stay in the processor's cache, and without the interpreter's lock.
    """
    size = min(_PART, stop - start)
    bits, scaled, rounded = np.empty(size, dtype=np.uint64), np.empty(size), np.empty(size)
    close = sigma * (_NDTRI_ERROR * (1 + _COMMON_SIZE) * 1.01 + 4e-16 * _COMMON_SIZE)
    open_: list[int] = []
    for at in range(start, stop, _PART):
        part = words[at : min(at + _PART, stop)]
        m, z, r = bits[: len(part)], scaled[: len(part)], rounded[: len(part)]
        np.right_shift(part, np.uint64(1), out=m)  # 63 bits: the tail probability lies in [m, m + 1) / 2**64
        rare = np.flatnonzero(m < _RARE)
        np.add(m, 0.5, out=z)
        np.multiply(z, 2.0**-64, out=z)  # at most one half
        ndtri(z, out=z)
        np.multiply(z, -sigma, out=z)
        np.rint(z, out=r)
        np.subtract(z, r, out=z)
        np.abs(z, out=z)
        common = np.flatnonzero(z >= 0.5 - close)
        unsure = np.union1d(common, rare[_rare_is_open(m[rare], sigma)])
        np.left_shift(part, np.uint64(63), out=m)  # the lowest bit is the sign
        np.copysign(r, m.view(np.float64), out=r)
        np.copyto(out[at : at + len(part)], r, casting="unsafe")
        open_ += (unsure + at).tolist()
    return open_


def _rare_is_open(mantissa: np.ndarray, sigma: float) -> np.ndarray:
    """Return whether the rounding is open in the far tail, where a step of the 63 bits exceeds the inversion's error.

    Its width is 2**-64 / φ(z).
    """
    size = -ndtri((mantissa.astype(np.float64) + 0.5) * 2.0**-64)
    error = _NDTRI_ERROR * (1.0 + size) + 2.0**-63 / (np.exp(-0.5 * size**2) / math.sqrt(2 * math.pi))
    scaled = sigma * size
    open_ = np.abs(np.abs(scaled - np.rint(scaled)) - 0.5) <= sigma * error * 1.01 + 4e-16 * scaled
    # The last cell of the tail reaches to infinity: no bound holds.
    result: np.ndarray = open_ | (mantissa == 0)
    return result


def _refine(mantissa: int, guess: int, sigma: float, bits: BitSource) -> int:
    """Return round(|Z|) for the tail probability that starts with these 63 bits, drawing more bits as needed."""
    low, width_bits = mantissa, 64
    exact = mpmath.MPContext()  # of this call: mpmath's own precision belongs to all threads
    while True:
        exact.prec = 2 * width_bits + 64
        at_least = _round_at(exact, exact.mpf(low + 1) / exact.power(2, width_bits), guess, sigma)
        at_most = _round_at(exact, exact.mpf(low) / exact.power(2, width_bits), guess, sigma)
        if at_least is not None and at_least == at_most:
            return at_least
        low = (low << 64) | int(bits.uint64(1)[0])
        width_bits += 64


def _round_at(exact: mpmath.MPContext, tail: mpmath.mpf, guess: int, sigma: float) -> int | None:
    """Return the integer r with Q((r + ½)/σ) < tail <= Q((r − ½)/σ); None where the tail is zero."""
    if tail <= 0:
        return None
    scale = exact.mpf(sigma) * exact.sqrt(2)

    def beyond(value: int) -> bool:
        return bool(exact.erfc((value + exact.mpf(1) / 2) / scale) / 2 >= tail)

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

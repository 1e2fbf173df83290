"""The noise has the stated distribution: cell by cell, in the tails, and where double precision cannot decide."""

from __future__ import annotations

import math
import os
import threading

import mpmath
import numpy as np
import pytest
from doubles import ScriptedBits, SeededBits
from scipy.special import ndtri
from scipy.stats import chi2, norm

from privsynth import parallel
from privsynth.errors import ConfigError
from privsynth.privacy import rounded_gaussian as noise
from privsynth.privacy.rounded_gaussian import MAX_SIGMA, NoiseAhead, rounded_gaussian
from privsynth.randomness import SecureStream

FALSE_ALARM = 1e-6  # of each statistical test, if the noise is right
DRAWS = 60_000


def p_value(draws: np.ndarray, sigma: float) -> float:
    """Return the chi-square p-value of draws of round(Z) against the exact probabilities of cells."""
    width = max(1, round(sigma / 4))
    reach = math.ceil(4 * sigma / width) + 1
    edges = (np.arange(-reach, reach + 1) * width) - 0.5  # cells of whole integers
    expected = np.diff(np.concatenate([[0.0], norm.cdf(edges / sigma), [1.0]])) * len(draws)
    observed = np.bincount(np.searchsorted(edges, draws), minlength=len(expected)).astype(float)
    # Pool the thin cells at both ends, so that the chi-square approximation holds.
    while len(expected) > 2 and expected[0] < 20:
        expected = np.append(expected[0] + expected[1], expected[2:])
        observed = np.append(observed[0] + observed[1], observed[2:])
    while len(expected) > 2 and expected[-1] < 20:
        expected = np.append(expected[:-2], expected[-2] + expected[-1])
        observed = np.append(observed[:-2], observed[-2] + observed[-1])
    return float(chi2.sf(((observed - expected) ** 2 / expected).sum(), len(expected) - 1))


@pytest.mark.parametrize("sigma", [0.3, 1.0, 7.5, 1000.0])
def test_the_scale_is_accepted_less_noise_and_more_noise_are_rejected(sigma):
    draws = rounded_gaussian(DRAWS, sigma, SeededBits(1))
    assert p_value(draws, sigma) > FALSE_ALARM
    assert p_value(draws, 0.8 * sigma) < FALSE_ALARM
    assert p_value(draws, 1.25 * sigma) < FALSE_ALARM


def test_the_secure_stream_gives_the_same_distribution():
    assert p_value(rounded_gaussian(DRAWS, 3.0, SecureStream()), 3.0) > FALSE_ALARM


def test_the_sign_is_the_lowest_bit_and_nothing_else():
    words = SeededBits(2).uint64(2_000) >> np.uint64(1) << np.uint64(1)
    plus = rounded_gaussian(2_000, 40.0, ScriptedBits([*words.tolist(), *[0] * 50]))
    minus = rounded_gaussian(2_000, 40.0, ScriptedBits([*(words | np.uint64(1)).tolist(), *[0] * 50]))
    assert (plus >= 0).all()
    assert (minus == -plus).all()


def naive(words: list[int], sigma: float) -> int:
    """Return round(Z) by the definition: all words as one long binary fraction, inverted with many digits.

    The first 63 bits start the tail probability, which lies below one half; 400 bits of zeros or ones after the given
    words must agree, else the words do not decide.
    """
    first, *more = words
    low, bits = first >> 1, 64
    for word in more:
        low, bits = (low << 64) | word, bits + 64

    def rounded(tail: mpmath.mpf) -> int:
        z = mpmath.sqrt(2) * mpmath.erfinv(1 - 2 * tail) * mpmath.mpf(sigma)
        return int(mpmath.floor(z + mpmath.mpf(1) / 2))

    with mpmath.workprec(700):
        ends = {
            rounded((mpmath.mpf(low) + inside) / mpmath.mpf(2) ** bits)
            for inside in (mpmath.mpf(2) ** -300, 1 - mpmath.mpf(2) ** -300)
        }
    assert len(ends) == 1, "the words do not decide"
    return -ends.pop() if first & 1 else ends.pop()


def boundary_words(sigma: float, integer: int) -> list[int]:
    """Return the words whose cell of the tail holds the border between two integers, and those beside it."""
    with mpmath.workprec(300):
        tail = mpmath.erfc((integer + mpmath.mpf(1) / 2) / (mpmath.mpf(sigma) * mpmath.sqrt(2))) / 2
        mantissa = int(mpmath.floor(tail * mpmath.mpf(2) ** 64))
    return [max(m, 0) << 1 for m in (mantissa - 1, mantissa, mantissa + 1)]


@pytest.mark.parametrize("sigma", [0.3, 1.0, 7.5, 1e6, 1e12])
def test_open_roundings_are_decided_as_a_naive_twin_decides_them(sigma):
    refined = 0
    for integer in (0, round(sigma), round(6 * sigma)):
        if sigma < 1 and integer > 2:
            continue
        for first in boundary_words(sigma, integer):
            for second in (0, 2**63, 2**64 - 1):
                bits = ScriptedBits([first, second, 2**63 + 12345, 17, 2**61])
                drawn = int(rounded_gaussian(1, sigma, bits)[0])
                assert drawn == naive(bits.words[: max(bits.taken, 2)], sigma)
                refined += bits.taken > 1
    assert refined > 3


@pytest.mark.parametrize("sigma", [0.3, 1.0, 1e4, MAX_SIGMA])
@pytest.mark.parametrize("first", [0, 1, 2, 3, 5, 2**20, 2**51, 2**52 + 1, 2**63, 2**64 - 2, 2**64 - 1])
def test_words_at_the_ends_of_the_range(sigma, first):
    bits = ScriptedBits([first, 2**63 + 1, 2**62 + 5, 99, 2**40])
    drawn = int(rounded_gaussian(1, sigma, bits)[0])
    assert drawn == naive(bits.words[: max(bits.taken, 2)], sigma)


def test_the_last_cell_of_the_tail_is_always_refined():
    # [0, 2**-64) reaches to infinity: with the next word at zero as well, the draw is far beyond nine sigma.
    near = rounded_gaussian(1, 100.0, ScriptedBits([0, 2**64 - 1, 2**63]))[0]
    far = rounded_gaussian(1, 100.0, ScriptedBits([0, 0, 2**64 - 1, 2**63]))[0]
    assert 900 < near < 950
    assert 1250 < far < 1350
    # Also where the middle of the cell is far from any border: 9.2 σ is 2.76 here, 13 σ is 3.9.
    assert rounded_gaussian(1, 0.3, ScriptedBits([0, 2**64 - 1, 2**63]))[0] == 3
    assert rounded_gaussian(1, 0.3, ScriptedBits([0, 0, 2**64 - 1, 2**63]))[0] == 4


def test_half_of_the_range_is_zero_at_small_sigma():
    # P(round(Z) = 0) = 2Φ(1 / 2σ) − 1: 0.9044 at σ = 0.3.
    draws = rounded_gaussian(100_000, 0.3, SeededBits(3))
    assert abs((draws == 0).mean() - (2 * norm.cdf(0.5 / 0.3) - 1)) < 6 * math.sqrt(0.09 / 100_000)


def test_the_error_of_the_inversion_is_within_its_bound():
    tails = [2.0**-65 * x for x in (1, 3, 7)] + [10.0**-e * x for e in range(1, 20) for x in (0.9, 1.1, 3.3)]
    tails += list(np.linspace(1e-4, 0.5, 150)) + [0.5 - 2.0**-e for e in range(2, 53, 5)]
    worst = 0.0
    with mpmath.workdps(40):
        for tail in tails:
            if tail > 0.5:
                continue
            exact = -mpmath.sqrt(2) * mpmath.erfinv(2 * mpmath.mpf(float(tail)) - 1)
            error = abs(mpmath.mpf(float(-ndtri(tail))) - exact)
            worst = max(worst, float(error / (1 + abs(exact))))
    assert worst < noise._NDTRI_ERROR


def test_draws_do_not_depend_on_where_chunks_end(monkeypatch):
    whole = rounded_gaussian(1_000, 12.3, SeededBits(4))
    monkeypatch.setattr(noise, "_CHUNK", 7)
    pieces = rounded_gaussian(1_000, 12.3, SeededBits(4))
    # Refinements take words out of turn and are rare: none occurs with this seed.
    assert (whole == pieces).all()


def test_draws_do_not_depend_on_the_number_of_threads(monkeypatch):
    whole = rounded_gaussian(5_000, 12.3, SeededBits(4))
    monkeypatch.setattr(noise, "_PART", 64)
    monkeypatch.setattr(parallel, "most_threads", lambda: 3)
    assert (rounded_gaussian(5_000, 12.3, SeededBits(4)) == whole).all()
    # Words that double precision cannot decide take further bits in their own order, whichever thread saw them.
    words = [word for integer in (0, 40, 90) for word in boundary_words(40.0, integer)] * 50
    more = [2**63 + at for at in range(len(words))]
    monkeypatch.setattr(parallel, "most_threads", lambda: 1)
    bits = ScriptedBits([*words, *more])
    alone = rounded_gaussian(len(words), 40.0, bits)
    assert bits.taken > len(words), "the test needs refinements"
    monkeypatch.setattr(parallel, "most_threads", lambda: 3)
    assert (rounded_gaussian(len(words), 40.0, ScriptedBits([*words, *more])) == alone).all()


def test_an_error_in_a_thread_is_an_error(monkeypatch):
    def broken(*_args: object, **_named: object) -> None:
        raise MemoryError

    monkeypatch.setattr(noise, "_PART", 64)
    monkeypatch.setattr(parallel, "most_threads", lambda: 3)
    monkeypatch.setattr(noise, "ndtri", broken)
    with pytest.raises(MemoryError):
        rounded_gaussian(500, 3.0, SeededBits(4))


def test_what_is_drawn_ahead_is_what_would_be_drawn_then():
    """The same source, the same draws in the same order, none twice and none left out."""
    ahead, bits = NoiseAhead(SeededBits(6)), SeededBits(6)
    for at in range(5):
        assert np.array_equal(ahead.draw(300, 9.0, again=at < 4), rounded_gaussian(300, 9.0, bits))
    assert np.array_equal(ahead.draw(7, 2.0, again=False), rounded_gaussian(7, 2.0, bits)), "nothing was drawn for it"


def test_what_was_drawn_for_something_else_is_dropped():
    ahead, bits = NoiseAhead(SeededBits(6)), SeededBits(6)
    first = ahead.draw(300, 9.0, again=True)
    other = ahead.draw(300, 90.0, again=True)
    smaller = ahead.draw(200, 90.0, again=False)
    expected = [rounded_gaussian(n, sigma, bits) for n, sigma in ((300, 9.0), (300, 9.0), (300, 90.0), (300, 90.0))]
    assert np.array_equal(first, expected[0])
    assert np.array_equal(other, expected[2])
    assert np.array_equal(smaller, rounded_gaussian(200, 90.0, bits))
    assert p_value(NoiseAhead(SecureStream()).draw(DRAWS, 3.0, again=False), 3.0) > FALSE_ALARM


def test_an_error_in_drawing_ahead_is_raised_by_the_next_call():
    class Broken(SeededBits):
        def uint64(self, count):
            if threading.current_thread() is not threading.main_thread():
                raise OSError("no randomness")
            return super().uint64(count)

    ahead = NoiseAhead(Broken(6))
    ahead.draw(300, 9.0, again=True)
    with pytest.raises(OSError, match="no randomness"):
        ahead.draw(300, 9.0, again=True)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_after_a_fork_parent_and_child_draw_different_noise():
    ahead = NoiseAhead(SecureStream())
    ahead.draw(50, 1000.0, again=True)
    ahead._next.join()  # it is there before the fork, so that the child could have it
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, ahead.draw(50, 1000.0, again=False).tobytes())
        os._exit(0)
    os.waitpid(child, 0)
    theirs = np.frombuffer(os.read(read, 400), dtype=np.int64)
    os.close(read)
    os.close(write)
    ours = ahead.draw(50, 1000.0, again=False)
    assert len(theirs) == 50
    assert (theirs != ours).sum() > 40


def test_counts_of_none_and_one():
    assert rounded_gaussian(0, 1.0, ScriptedBits([])).shape == (0,)
    assert rounded_gaussian(1, 1.0, SeededBits(5)).dtype == np.int64


@pytest.mark.parametrize("sigma", [0.0, -1.0, math.nan, math.inf, MAX_SIGMA * 1.001])
def test_a_sigma_that_cannot_be_drawn_is_refused(sigma):
    with pytest.raises(ConfigError, match=r"sigma|standard deviation"):
        rounded_gaussian(1, sigma, ScriptedBits([]))


def test_who_is_interrupted_while_noise_is_drawn_waits_for_it_again(monkeypatch):
    """The source would otherwise be used by two at once."""
    gate = threading.Event()

    class Slow(SeededBits):
        def uint64(self, count):
            assert threading.current_thread() is threading.main_thread() or gate.wait(30)
            return super().uint64(count)

    def interrupted():
        raise KeyboardInterrupt

    ahead, bits = NoiseAhead(Slow(6)), SeededBits(6)
    expected = [rounded_gaussian(300, 9.0, bits) for _ in range(2)]
    assert np.array_equal(ahead.draw(300, 9.0, again=True), expected[0])
    with monkeypatch.context() as patch:
        patch.setattr(ahead._next, "join", interrupted)
        with pytest.raises(KeyboardInterrupt):
            ahead.draw(300, 9.0, again=True)
    gate.set()
    assert np.array_equal(ahead.draw(300, 9.0, again=False), expected[1])


def test_refining_leaves_the_precision_of_others_alone():
    before = mpmath.mp.prec
    with mpmath.workprec(17):
        assert rounded_gaussian(1, 100.0, ScriptedBits([0, 0, 2**64 - 1, 2**63]))[0] > 900
        assert mpmath.mp.prec == 17
    assert mpmath.mp.prec == before

"""Texts that are known beforehand, and what brings them in."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from privsynth.domain.public_words import ALONE, BESIDE, likely, words


def column(sigma: float, seed: int, **rows: int) -> dict[str, int]:
    """Return the noisy count of every known text where some of them have rows."""
    noise = np.rint(np.random.default_rng(seed).normal(0, sigma, len(words()))).astype(int)
    return {word: int(n) + rows.get(word, 0) for word, n in zip(words(), noise, strict=True)}


def test_the_list_is_a_constant_without_blanks_at_the_ends():
    assert words() == tuple(sorted(set(words())))
    assert all(word and word == word.strip() for word in words())
    assert {"yes", "No", "FEMALE", "F", "United-States", "united states", "Mon", "EUR", "DE", "A+"} <= set(words())


@pytest.mark.parametrize(("often", "seldom"), [("no", "yes"), ("Male", "Female"), ("FALSE", "TRUE"), ("DE", "FR")])
def test_a_text_brings_in_a_rare_one_of_its_family_in_the_same_letters(often, seldom):
    """Four deviations are too few for a text alone, and plenty beside many rows of its family."""
    sure, alone = 0, 0
    for seed in range(50):
        sure += seldom in likely(column(20.0, seed, **{often: 900, seldom: 120}), 20.0)
        alone += seldom in likely(column(20.0, seed, **{seldom: 60}), 20.0)
    assert sure >= 48
    assert alone <= 5


def test_noise_brings_in_hardly_anything():
    """Stated rates: `ALONE` a column, and `BESIDE` for the members and for the companions of a family that is there."""
    draws = 400
    nothing = sum(bool(likely(column(20.0, seed), 20.0)) for seed in range(draws))
    assert nothing <= binom.isf(1e-6, draws, ALONE)
    beside = sum(len(likely(column(20.0, seed, Tuesday=900), 20.0)) - 1 for seed in range(draws))
    assert beside <= 2 * BESIDE * draws + 5 * (2 * BESIDE * draws) ** 0.5 + ALONE * draws

"""Endings that are bought: found where there are some, and not where there are none."""

from __future__ import annotations

import numpy as np
import pytest
from buying import places_of
from doubles import ExactMechanisms, RecordingMechanisms

from privsynth.domain.numbers.endings import COUNTED_FROM, DULL, EndingsRequest, _counts, chosen, find_endings
from privsynth.partitions.rows import PrivateRows
from privsynth.privacy.unit_weights import Weighting


def amounts(n: int = 20_000, seed: int = 0) -> np.ndarray:
    """Return cents of a log-normal distribution about 40.00."""
    return np.rint(4_000 * np.exp(0.9 * np.random.default_rng(seed).standard_normal(n))).astype(np.int64)


def endings(steps: np.ndarray, share_of_noise: float = 0.001, seed: int = 0):
    """Return what stands out of the counts with noise of a share of the rows."""
    table = _counts(np.abs(steps)[np.abs(steps) >= COUNTED_FROM], None)
    sigma = share_of_noise * len(steps)
    return chosen(table + sigma * np.random.default_rng(seed).standard_normal(table.shape), sigma)


@pytest.mark.parametrize("noise", [0.0005, 0.002, DULL])
@pytest.mark.parametrize("seed", range(5))
def test_numbers_without_favourite_endings_have_none(noise, seed):
    """Chance that noise makes a tenth of the rows out of entries beyond 4.5 deviations: below 1e-6 a table."""
    assert endings(amounts(seed=seed), noise, seed) is None
    assert endings(np.arange(1_000, 21_000), noise, seed) is None
    assert endings(np.random.default_rng(seed).integers(0, 999, 20_000), noise, seed) is None


def test_few_different_values_are_no_endings():
    """As distances between airports: each of 150 values has its digits, and many rows."""
    rng = np.random.default_rng(4)
    distances = rng.choice(rng.integers(1_000, 30_000, 150), 20_000)
    assert endings(distances) is None


def test_prices_and_cash_have_the_endings_that_they_were_given():
    steps, kind = amounts(), np.arange(20_000) % 10
    steps = np.where(kind < 3, steps // 100 * 100 + 99, np.where(kind < 5, steps // 1_000 * 1_000, steps))
    found = endings(steps)
    assert (100, 99) in found.patterns
    assert (1_000, 0) in found.patterns
    assert all(pattern[0] >= 1_000 or pattern[1] == 99 for pattern in found.patterns)


def test_prices_in_tens_of_cents_have_one_ending():
    assert (10, 0) in endings(amounts() // 10 * 10).patterns
    assert len(endings(amounts() // 10 * 10).patterns) <= 4


def test_one_release_pays_for_all_columns_and_is_not_bought_where_it_would_tell_nothing():
    rows = PrivateRows.held(places_of({"a·number": amounts(), "b·number": amounts() // 100 * 100 + 99}))
    columns = {"a": "a·number", "b": "b·number"}
    weighting = Weighting(1)
    request = EndingsRequest(names=("a", "b"), n_rows=20_000).priced(weighting, 0.05)
    mechanisms = RecordingMechanisms(0)
    found = find_endings(columns, rows, request, weighting, mechanisms)
    assert set(found) == {"b"}
    assert found["b"].patterns == ((100, 99),)
    few = EndingsRequest(names=("a", "b"), n_rows=50).priced(weighting, 0.05)
    assert few.mu_squared == 0
    assert find_endings(columns, rows, few, weighting, ExactMechanisms()) == {}

"""Where rows lie that no single node of a tree shows."""

from __future__ import annotations

import numpy as np
import pytest
from buying import dimension
from buying import leaves_of as grown
from doubles import RecordingMechanisms
from hypothesis import given
from hypothesis import strategies as st

from privsynth.codecs.parse import GRID_LIMIT
from privsynth.domain.numbers.magnitude_prior import OCTAVES, RemainingRows, likeliest, octaves
from privsynth.domain.numbers.quantile_tree import YEARS, Dimension


@given(st.integers(-GRID_LIMIT, GRID_LIMIT))
def test_the_octave_of_an_integer_is_its_number_of_bits(value):
    assert octaves(np.array([value]))[0] == (value > 0) * value.bit_length() - (value < 0) * abs(value).bit_length()


def test_roots_of_an_open_line_are_its_octaves_and_the_years():
    low, high = Dimension("x").roots()
    assert octaves(low).tolist() == octaves(high).tolist()
    assert (low[1:] == high[:-1] + 1).all()
    years = octaves(np.array(YEARS))
    assert years[0] == years[1]
    assert sorted([*range(-OCTAVES, OCTAVES + 1), years[0]]) == octaves(low).tolist()
    assert YEARS in set(zip(low.tolist(), high.tolist(), strict=True))


def leaves_of(values: np.ndarray, seed: int, sigma: float):
    """One level of deviation `sigma`: as little as the octaves themselves."""
    (leaves,) = grown(
        [dimension("x", values)],
        RecordingMechanisms(seed),
        mu_squared=1 / sigma**2,
        split_above=1e9,
        n_rows=10.0 * sigma,
    )
    return leaves


@pytest.mark.parametrize(("low", "least"), [(1, 95), (20_000, 95), (-40_000, 50)])
def test_a_column_that_no_node_shows_is_found_by_its_number_of_rows(low, least):
    """360 rows over several octaves at σ = 36: of both signs, no node has more than 2.5 σ, and noise has that too."""
    values = np.random.default_rng(1).integers(low, 40_000, 360)
    found = 0
    for seed in range(100):
        kept = leaves_of(values, seed, 36.0).trimmed(None, None, [], RemainingRows(360.0, 10.0))
        inside = np.mean((values >= kept.low[0]) & (values <= kept.high[-1]))
        found += inside > 0.4 and kept.high[-1] < 2**20 and kept.low[0] > -(2**20)
    assert found >= least


def test_a_thin_tail_beside_a_frequent_value_is_kept_where_rows_are_missing():
    """2,000 of 26,000 rows lie above zero; without their number nothing tells them from noise of σ = 400."""
    values = np.random.default_rng(2).lognormal(8.5, 0.8, 2_000).astype(np.int64)
    with_number, without = [], []
    for seed in range(40):
        leaves = leaves_of(values, seed, 400.0)
        kept = leaves.trimmed(None, None, [0], RemainingRows(2_000.0, 300.0))
        with_number.append(np.mean(values <= kept.high[-1]))
        without.append(np.mean(values <= leaves.trimmed(None, None, [0]).high[-1]))
        assert kept.high[-1] < 2**24
    assert np.mean(with_number) > np.mean(without) + 0.2


def test_noise_does_not_make_an_open_line_reach_further():
    """Stated rate: 0.1 % for nodes and runs, 0.1 % for missing rows; of 300 draws three are 1 in 10,000 away."""
    wide = 0
    for seed in range(300):
        rows = float(np.random.default_rng(seed).normal(0, 50))
        kept = leaves_of(np.zeros(0, np.int64), seed, 50.0).trimmed(None, None, [0, 1], RemainingRows(rows, 50.0))
        wide += (kept.low[0], kept.high[-1]) != (0, 1)
    assert wide <= 5


@given(st.integers(0, 500), st.none() | st.floats(0, 1e6), st.floats(0.1, 1e4))
def test_any_line_has_a_likeliest_place(seed, rows, sigma):
    low, _ = Dimension("x", -5, None).roots()
    noisy = np.random.default_rng(seed).normal(0, sigma, len(low))
    place, expected = likeliest(
        low, noisy, np.full(len(low), sigma), None if rows is None else RemainingRows(rows, sigma)
    )
    assert place.any()
    assert np.isfinite(expected).all()
    assert (expected >= 0).all()
    assert (expected[~place] == 0).all()

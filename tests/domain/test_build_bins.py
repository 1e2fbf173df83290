"""Bins from released weights: shape inside, tails beyond."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from privsynth.domain.numbers.build_bins import build_bins
from privsynth.domain.numbers.quantile_tree import Leaves
from privsynth.domain.numbers.tails import without_tails


def leaves(edges, weight, sigma=5.0) -> Leaves:
    edges = np.asarray(edges, dtype=np.int64)
    weight = np.asarray(weight, dtype=np.float64)
    return Leaves(edges[:-1], edges[1:] - 1, weight, np.full(len(weight), sigma))


@st.composite
def trees(draw):
    """Return leaves of any noisy weights, and frequent values among them."""
    widths = draw(st.lists(st.integers(1, 5_000), min_size=1, max_size=40))
    weight = draw(st.lists(st.floats(-200, 5_000), min_size=len(widths), max_size=len(widths)))
    edges = draw(st.integers(-(10**6), 10**6)) + np.concatenate([[0], np.cumsum(widths)])
    values = draw(st.lists(st.integers(int(edges[0]), int(edges[-1]) - 1), max_size=3, unique=True))
    frequent = {value: draw(st.floats(10, 3_000)) for value in values}
    return leaves(edges, weight, draw(st.floats(0.5, 300))), frequent


@given(trees(), st.floats(1, 3_000), st.integers(0, 2**32))
def test_every_value_is_drawn_inside_its_bin_and_the_declared_range(tree, target, seed):
    found, frequent = tree
    kept, tails = without_tails(found, frequent)
    bins = build_bins(kept, frequent, target=target, tails=tails)
    assert (np.diff(bins.lows) > 0).all()
    assert (bins.seg_low <= bins.seg_high).all()
    assert (bins.seg_low[1:] > bins.seg_high[:-1]).all()
    assert (bins.owner == bins.encode(bins.seg_high)).all()
    assert np.isfinite(bins.seg_weight).all()
    assert (bins.seg_weight >= 0).all()
    codes = np.repeat(np.arange(bins.size), 20)
    values = bins.decode(codes, np.random.default_rng(seed))
    assert (bins.encode(values) == codes).all()
    assert values.min() >= found.low[0]
    assert values.max() <= found.high[-1]


def test_rows_of_a_wide_bin_lie_nearer_to_its_heavy_end():
    """Leaves as coarse as bins, of an exponential density: drawn evenly they would raise its mean by a seventh."""
    edges = 200 * np.arange(31)
    mass = np.exp(-edges[:-1] / 200) - np.exp(-edges[1:] / 200)
    tree = leaves(edges, 100_000 * mass, sigma=1.0)
    bins = build_bins(tree, {}, target=100.0)
    rows = np.repeat(edges[:-1] + 100, np.rint(100_000 * mass).astype(int))
    drawn = bins.decode(bins.encode(rows), np.random.default_rng(0))
    flat = float(((edges[:-1] + edges[1:] - 1) / 2 * mass).sum())
    assert flat > 1.07 * 200
    # 100,000 values with a standard deviation of 200 have a mean to within 3 (five standard deviations).
    assert abs(drawn.mean() - 200) < 0.02 * 200 + 3


def test_a_peak_is_made_no_sharper_and_noise_has_no_slope():
    peak = build_bins(leaves([0, 100, 200, 300], [100, 900, 100]), {}, target=10.0)
    inside = peak.owner == 1
    assert np.ptp(peak.seg_weight[inside]) == 0
    noise = build_bins(leaves([0, 100, 200], [300, 330], sigma=100.0), {}, target=10.0)
    assert len(noise.seg_low) == 2


def test_a_declared_range_ends_as_a_power_law_that_what_was_paid_for_shows():
    """Rows with a density of x⁻³ below 2,000, in a range declared to a million; the noise is about that of the tail."""
    edges = np.concatenate([np.arange(0, 2_000, 100), np.arange(2_000, 1_000_001, 10_000)])
    x = np.maximum(edges.astype(float), 100)
    mass = np.maximum(x[:-1] ** -2.0 - x[1:] ** -2.0, 0) * 100**2
    mass[0] = 1.0
    weight = 10_000 * mass + 30 * np.random.default_rng(3).standard_normal(len(mass))
    kept, tails = without_tails(leaves(edges, weight, sigma=30.0), ())
    assert kept.high[-1] < 3_000
    assert [tail.side for tail in tails] == [1]
    bins = build_bins(kept, {}, target=500.0, tails=tails)
    drawn = bins.decode(np.full(1_000, bins.size - 1), np.random.default_rng(0))
    assert drawn.min() > kept.high[-1]
    assert np.median(drawn) < 2.5 * kept.high[-1]
    assert drawn.max() < 200_000
    density = bins.seg_weight / (bins.seg_high - bins.seg_low + 1)
    last = bins.owner == bins.size - 1
    assert (np.diff(density[last]) <= 1e-9).all()


def test_where_nothing_stands_out_or_all_is_resolved_nothing_is_left_out():
    noise = leaves(np.arange(0, 1_001, 10), np.random.default_rng(0).normal(0, 10, 100), sigma=10.0)
    assert without_tails(noise, ()) == (noise, ())
    years = leaves(np.arange(0, 101), np.where(np.arange(100) < 50, 500.0, 0.0), sigma=10.0)
    assert without_tails(years, ())[1] == ()


def test_no_bin_of_several_leaves_is_wider_than_it_may_be():
    weight = np.where(np.arange(128) < 48, 1.0, 100.0)
    day = leaves(np.arange(129) * 675, weight)
    free, bound = (build_bins(day, {}, target=600.0, widest=widest) for widest in (None, 4 * 3600))
    assert np.diff(free.lows).max() > 7 * 3600
    assert np.diff(np.append(bound.lows, 86_400)).max() <= 4 * 3600 + 674  # to the end of a leaf
    assert bound.size <= free.size + 2

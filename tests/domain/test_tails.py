"""Tails: they end with the rows, whatever their shape and however far the declared range reaches."""

from __future__ import annotations

import numpy as np
import pytest

from privsynth.codecs.bins import Bins
from privsynth.domain.numbers.build_bins import build_bins
from privsynth.domain.numbers.quantile_tree import Leaves
from privsynth.domain.numbers.tails import LEAST_LEFT, without_tails

ROWS = 20_000


def learned(survival, *, end: int, sigma: float, seed: int) -> Bins:
    """Return bins of rows whose share beyond x is `survival(x)`, by leaves that get coarse far out."""
    edges = np.unique(np.concatenate([np.arange(0, 800, 10), np.linspace(800, end, 100).astype(int)]))
    share = survival(edges.astype(float))
    noise = np.random.default_rng(seed).normal(0, sigma, len(edges) - 1)
    tree = Leaves(edges[:-1], edges[1:] - 1, ROWS * -np.diff(share) + noise, np.full(len(edges) - 1, sigma))
    kept, tails = without_tails(tree, ())
    return build_bins(kept, {}, target=ROWS / 32, tails=tails)


def largest(bins: Bins) -> int:
    return int(bins.seg_high[-1])


# Of ten seeds the geometric mean was between 0.9 and 1.5 times the place where three of 20,000 rows are left, in each
# of six tens; one seed varies by a quarter. Ending where noise does, it would be a hundred times as far.
@pytest.mark.parametrize(
    "survival",
    [
        lambda x: np.exp(-x / 60),
        lambda x: np.maximum(1 - x / 600, 0) ** 3,
        lambda x: (1 + x / 150) ** -4.0,
    ],
    ids=["exponential", "bounded", "power"],
)
def test_a_tail_ends_about_where_few_rows_are_left_whatever_its_shape(survival):
    wanted = int(np.argmax(ROWS * survival(np.arange(200_000.0)) < LEAST_LEFT))
    ends = [largest(learned(survival, end=100_000, sigma=10.0, seed=seed)) for seed in range(10)]
    middle = float(np.exp(np.mean(np.log(ends))))
    assert wanted / 2 < middle < 2 * wanted


def test_what_noise_hides_is_no_tail():
    """Rows that all lie below 400, in a range of 100,000: noise of 100 leaves is far more than any tail."""
    for seed in range(5):
        assert largest(learned(lambda x: np.maximum(1 - x / 400, 0), end=100_000, sigma=40.0, seed=seed)) < 1_000


def test_both_sides_have_tails_and_mirrored_rows_mirrored_ones():
    edges = np.concatenate([np.arange(-200, 201, 10), np.linspace(210, 10_000, 80).astype(int)])
    edges = np.unique(np.concatenate([edges, -edges]))
    share = np.where(edges > 0, 1 - np.exp(-np.abs(edges) / 60) / 2, np.exp(-np.abs(edges) / 60) / 2)
    noise = np.random.default_rng(5).normal(0, 5.0, len(edges) - 1)
    found = []
    for side in (1, -1):
        at, rows = side * edges[::side], (ROWS * np.diff(share) + noise)[::side]
        tree = Leaves(at[:-1], at[1:] - 1, rows, np.full(len(rows), 5.0))
        kept, tails = without_tails(tree, ())
        assert sorted(tail.side for tail in tails) == [-1, 1]
        bins = build_bins(kept, {}, target=ROWS / 32, tails=tails)
        assert (bins.seg_low[1:] > bins.seg_high[:-1]).all()
        found.append((-int(bins.seg_low[0]), largest(bins)))
    (low, high), (high_too, low_too) = found
    assert low == pytest.approx(low_too, rel=0.1)
    assert high == pytest.approx(high_too, rel=0.1)

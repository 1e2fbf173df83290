"""How many levels a quantile tree has, and what its leaves weigh."""

from __future__ import annotations

import numpy as np
from buying import dimension, leaves_of
from doubles import RecordingMechanisms
from scipy.stats import chi2

from privsynth.domain.numbers.quantile_tree import (
    DECLARED_LEVELS,
    FEWEST_LEVELS,
    OPEN_LEVELS,
    SOLID,
    WAYS,
    Dimension,
    levels_of,
)


def test_levels_follow_from_what_is_declared_and_from_the_noise():

    def levels(*lines, n_rows=1e6, noise=1.0):
        return levels_of(lines, n_rows=n_rows, noise=noise)

    assert levels() == 0
    assert levels(Dimension("x", 0, 50)) == 1
    assert levels(Dimension("x", 0, 5_000)) == DECLARED_LEVELS
    assert levels(Dimension("x", 0, 5_000), Dimension("y")) == OPEN_LEVELS
    assert levels(Dimension("y"), noise=1e6) == levels(Dimension("y"), n_rows=0.0) == FEWEST_LEVELS
    found = [levels(Dimension("y"), noise=noise) for noise in (10.0, 1e3, 3e3, 1e4, 3e4)]
    assert found == sorted(found, reverse=True)
    assert len(set(found)) > 2


def test_leaves_weigh_what_least_squares_over_all_levels_gives():
    """The naive twin solves for the leaves with every noisy count of the tree as an equation."""
    rng = np.random.default_rng(4)
    values = rng.integers(0, 1_000, 4_000)
    mechanisms = RecordingMechanisms(4)
    line = dimension("x", values, 0, 999)
    (leaves,) = leaves_of([line], mechanisms, mu_squared=0.02, split_above=5, n_rows=4e3)
    nodes = list(zip(*(part.tolist() for part in line[0].roots()), strict=True))
    equations, noisy, looks, again = [], [], {node: [] for node in nodes}, 0
    for call in mechanisms.calls:
        assert call.given.tolist() == [int(((values >= low) & (values <= high)).sum()) for low, high in nodes]
        fresh = []
        for (low, high), weight in zip(nodes, call.gave.values.tolist(), strict=True):
            equations.append((leaves.low >= low) & (leaves.high <= high))
            noisy.append(weight)
            seen = looks[low, high]
            seen.append(weight)
            parts = min(WAYS, high - low + 1)
            if np.mean(seen) <= max(5, SOLID * call.gave.sigma / len(seen) ** 0.5) or parts == 1:
                fresh.append((low, high))
                again += 1
            else:
                starts = [low + (high - low + 1) * i // parts for i in range(parts)]
                fresh += zip(starts, [*(start - 1 for start in starts[1:]), high], strict=True)
        looks |= {node: [] for node in fresh if node not in looks}
        nodes = fresh
    solved, *_ = np.linalg.lstsq(np.array(equations, dtype=float), np.array(noisy), rcond=None)
    assert len(mechanisms.calls) > 1
    assert again > len(line[0].roots()[0])
    assert np.allclose(leaves.weight, solved)


def test_what_is_light_is_counted_again_and_better_known_for_it():
    """Empty leaves of a line that was counted three times: a third of the variance, in a chi-squared test at 1e-6."""
    (leaves,) = leaves_of(
        [dimension("x", np.full(5_000, 3))], RecordingMechanisms(1), mu_squared=0.03, split_above=9, n_rows=10
    )
    assert np.allclose(leaves.sigma.min(), 10 / 3**0.5)
    assert np.allclose(leaves.sigma[leaves.low == 3], 10 / 2**0.5)
    empty = (leaves.high < 3) | (leaves.low > 3)
    looks = leaves.weight[empty & (leaves.sigma == leaves.sigma.min())] / leaves.sigma.min()
    assert len(looks) > 90
    assert chi2.isf(1 - 5e-7, len(looks)) < (looks**2).sum() < chi2.isf(5e-7, len(looks))


def test_years_are_told_one_by_one_from_two_levels():
    """Only one node lies between the years of an open line and each of them."""
    values = np.repeat(np.arange(2003, 2010), 200)
    (leaves,) = leaves_of([dimension("x", values)], RecordingMechanisms(2), mu_squared=0.02, split_above=60, n_rows=9)
    of_years = (leaves.low >= 2003) & (leaves.high <= 2009)
    assert leaves.low[of_years].tolist() == leaves.high[of_years].tolist() == list(range(2003, 2010))


def test_a_line_of_few_values_grows_no_further_and_the_others_have_less_noise():
    rng = np.random.default_rng(3)
    flags, sums = rng.integers(0, 2, 4_000), rng.integers(0, 2**20, 4_000)
    lines = [dimension("flag", flags, rows=4e3), dimension("sum", sums, rows=4e3), dimension("who knows", flags)]
    mechanisms = RecordingMechanisms(3)
    leaves = leaves_of(lines, mechanisms, mu_squared=0.02, split_above=50, n_rows=4e3)
    roots = len(lines[0][0].roots()[0])
    assert mechanisms.calls[0].given.shape == (3 * roots,)
    moved = [call.l2_sensitivity for call in mechanisms.calls]
    assert np.allclose(moved, [3**0.5] + [2**0.5] * (len(moved) - 1))
    assert all(found.low.size == found.weight.size == found.sigma.size for found in leaves)
    first = mechanisms.calls[0].gave
    assert np.allclose(leaves[0].weight, first.values[:roots])
    assert np.allclose(leaves[0].sigma, first.sigma)
    # Counted again at a better price: by inverse variance, which least squares is.
    same = [np.flatnonzero(leaves[2].low == value)[0] for value in (0, 1)]
    assert (leaves[2].sigma[same] < first.sigma / len(moved) ** 0.5).all()


def test_a_line_on_which_rows_are_missing_grows_on():
    """A tenth of the rows lies somewhere else, in nodes that may be cut."""
    values = np.concatenate([np.zeros(3_600, np.int64), np.arange(400) + 2**20])
    mechanisms = RecordingMechanisms(5)
    leaves_of([dimension("x", values, rows=4e3)], mechanisms, mu_squared=0.02, split_above=50, n_rows=4e3)
    assert len(mechanisms.calls) > 1

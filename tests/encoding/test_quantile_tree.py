"""How many levels a quantile tree has, and what its leaves weigh."""

from __future__ import annotations

import numpy as np
from doubles import RecordingMechanisms

from privsynth.encoding.quantile_tree import DECLARED_LEVELS, FEWEST_LEVELS, OPEN_LEVELS, WAYS, Line, grow, levels_of


def test_levels_follow_from_what_is_declared_and_from_the_noise():
    empty = np.zeros(0, dtype=np.int64)

    def levels(*lines, n_rows=1e6, noise=1.0):
        return levels_of(lines, n_rows=n_rows, noise=noise)

    assert levels() == 0
    assert levels(Line("x", empty, 0, 50)) == 1
    assert levels(Line("x", empty, 0, 5_000)) == DECLARED_LEVELS
    assert levels(Line("x", empty, 0, 5_000), Line("y", empty)) == OPEN_LEVELS
    assert levels(Line("y", empty), noise=1e6) == levels(Line("y", empty), n_rows=0.0) == FEWEST_LEVELS
    found = [levels(Line("y", empty), noise=noise) for noise in (10.0, 1e3, 3e3, 1e4, 3e4)]
    assert found == sorted(found, reverse=True)
    assert len(set(found)) > 2


def test_leaves_weigh_what_least_squares_over_all_levels_gives():
    """The naive twin solves for the leaves with every noisy count of the tree as an equation."""
    rng = np.random.default_rng(4)
    values = rng.integers(0, 1_000, 4_000)
    mechanisms = RecordingMechanisms(4)
    (leaves,) = grow([Line("x", values, 0, 999)], mechanisms, k=1, part="d", mu_squared=0.02, split_above=5, n_rows=4e3)
    nodes = list(zip(*(part.tolist() for part in Line("x", values, 0, 999).roots()), strict=True))
    equations, noisy = [], []
    for call in mechanisms.calls:
        children = []
        for (low, high), weight in zip(nodes, call.gave.values.tolist(), strict=True):
            equations.append((leaves.low >= low) & (leaves.high <= high))
            noisy.append(weight)
            if equations[-1].sum() > 1:
                width = high - low + 1
                parts = min(WAYS, width)
                starts = [low + width * i // parts for i in range(parts)]
                children += zip(starts, [*(start - 1 for start in starts[1:]), high], strict=True)
        nodes = children
    solved, *_ = np.linalg.lstsq(np.array(equations, dtype=float), np.array(noisy), rcond=None)
    assert len(mechanisms.calls) > 1
    assert np.allclose(leaves.weight, solved)

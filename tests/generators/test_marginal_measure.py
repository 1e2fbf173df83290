"""Selection and measurement: against brute force, naive twins, and the prices that were set."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from doubles import ExactMechanisms, RecordingMechanisms
from hypothesis import given, settings
from hypothesis import strategies as st

from privsynth.encoding.codecs import Attribute
from privsynth.generators.encoded import Encoded
from privsynth.generators.marginal.generator import buy_tables
from privsynth.generators.marginal.measure import (
    MEAN_ABS_NORMAL,
    allocate,
    candidate_pairs,
    count_table,
    measure_one_way,
    score_pairs,
    to_simplex,
)
from privsynth.privacy.budget import Budget, plan_spending

PARTS = {"one_way": 0.3, "selection": 0.1, "measurement": 0.6}


def encoded(codes: np.ndarray, sizes: list[int], *, k: int = 1, **more) -> Encoded:
    return Encoded(
        codes=codes.astype(np.uint16),
        unit=np.arange(codes.shape[1]),
        attributes=tuple(Attribute(f"a{i}", size, True, False) for i, size in enumerate(sizes)),
        max_rows_per_unit=k,
        n_rows=float(max(codes.shape[1], 1)),
        columns=tuple(range(len(sizes))),
        **more,
    )


def random_data(sizes: list[int], n: int = 500, seed: int = 0, **more) -> Encoded:
    rng = np.random.default_rng(seed)
    return encoded(np.stack([rng.integers(0, s, n) for s in sizes]), sizes, **more)


@given(st.lists(st.floats(-3, 3), min_size=1, max_size=12))
def test_the_nearest_probability_vector_is_the_one_of_a_naive_twin(values):
    values = np.array(values)
    low, high = values.min() - 1.0, values.max()
    for _ in range(200):  # bisect the shift that makes the positive parts sum to one
        middle = (low + high) / 2
        low, high = (middle, high) if np.maximum(values - middle, 0).sum() > 1 else (low, middle)
    naive = np.maximum(values - low, 0.0)
    found = to_simplex(values)
    assert np.allclose(found, naive, atol=1e-9)
    assert found.sum() == pytest.approx(1.0)
    assert (found >= 0).all()


def test_counting_agrees_with_counting_by_hand():
    data = random_data([3, 4, 2], n=60)
    table = count_table(data.codes, data.sizes, (0, 1, 2))
    for cell in itertools.product(range(3), range(4), range(2)):
        assert table[cell] == sum(tuple(row) == cell for row in data.codes.T.tolist())
    assert count_table(data.codes[:, :0], data.sizes, (1,)).tolist() == [0, 0, 0, 0]


instances = st.lists(st.tuples(st.floats(-50, 2_000), st.integers(2, 3_000)), min_size=1, max_size=8)


def value_of(chosen: tuple[int, ...], scores: np.ndarray, cells: np.ndarray, k: int, mu_squared: float) -> float:
    """Return error removed minus noise added by a set of tables at its best prices, found numerically naive."""
    price = (MEAN_ABS_NORMAL * k * cells[list(chosen)]) ** (2 / 3)
    shares = mu_squared * price / price.sum()
    noise = (MEAN_ABS_NORMAL * k * cells[list(chosen)] / np.sqrt(shares)).sum()
    return float(scores[list(chosen)].sum() - noise)


@settings(max_examples=60, deadline=None)
@given(instances, st.integers(1, 5), st.floats(0.01, 10))
def test_the_choice_is_within_one_table_of_the_best_set(instance, k, mu_squared):
    scores = np.array([s for s, _ in instance])
    cells = np.array([float(c) for _, c in instance])
    chosen = allocate(scores, cells, k=k, mu_squared=mu_squared)
    assert math.fsum(chosen.values()) <= mu_squared
    assert math.fsum(chosen.values()) >= mu_squared * (1 - 1e-6)
    assert all(price > 0 for price in chosen.values())
    subsets = [s for size in range(1, len(scores) + 1) for s in itertools.combinations(range(len(scores)), size)]
    best = max(value_of(s, scores, cells, k, mu_squared) for s in subsets)
    mine = value_of(tuple(chosen), scores, cells, k, mu_squared)
    if best > 0:
        # A prefix of the best ratios: never worse than the best set by more than one table's score.
        assert mine >= best - scores.max() - 1e-6
    if mine <= 0:
        assert len(chosen) == 1


def test_prices_are_the_cheapest_for_the_set():
    scores, cells = np.array([900.0, 800.0, 700.0]), np.array([10.0, 100.0, 1000.0])
    chosen = allocate(scores, cells, k=1, mu_squared=5.0)
    assert set(chosen) == {0, 1, 2}
    # No shift of budget between two tables lowers the summed noise.
    noise = lambda b: sum(cells[i] / math.sqrt(b[i]) for i in b)  # noqa: E731
    for i, j in itertools.permutations(range(3), 2):
        moved = {**chosen, i: chosen[i] * 0.97, j: chosen[j] + chosen[i] * 0.03}
        assert noise(moved) > noise(chosen)


@pytest.mark.parametrize("scores", [[-5.0, -1.0], [0.0, 0.0], [1.0, 1.0]])
def test_where_nothing_pays_one_table_is_bought(scores):
    chosen = allocate(np.array(scores), np.array([1e4, 2e4]), k=50, mu_squared=1e-4)
    assert len(chosen) == 1


def test_scores_are_distances_from_independence():
    rng = np.random.default_rng(1)
    a = rng.integers(0, 4, 4_000)
    data = encoded(np.stack([a, a, rng.integers(0, 4, 4_000)]), [4, 4, 4])
    shares = [np.bincount(c, minlength=4) / 4_000 for c in data.codes]
    same, *others = score_pairs(data, [(0, 1), (0, 2), (1, 2)], shares, ExactMechanisms(), mu_squared=1.0)
    # Equal columns of four even values: 2 · N · (1 − 1/4), up to the unevenness of the draw.
    assert same == pytest.approx(6_000, rel=0.01)
    assert max(others) < 300


def test_all_that_is_spent_is_within_the_plan():
    data = random_data([3, 5, 30, 2], k=4, targets=(1,), protected=(3,))
    plan = plan_spending(Budget(epsilon=1.0, unit="u", max_rows_per_unit=4), PARTS, open_domain=False)
    mechanisms = RecordingMechanisms(0)
    releases = buy_tables(data, mechanisms, plan)
    for part, limit in plan.parts.items():
        assert math.fsum(c.public[3] for c in mechanisms.calls if c.public[2] == part) <= limit * (1 + 1e-12)
    assert [m.attributes for m in releases.one_way] == [(0,), (1,), (2,), (3,)]
    assert all(m.counts.shape == tuple(data.sizes[a] for a in m.attributes) for m in releases.tables)
    for call in mechanisms.calls:
        if call.public[2] == "measurement":
            assert call.l2_sensitivity == 4.0


def test_candidates_are_chosen_by_sizes_alone():
    data = random_data([2, 600, 600, 3])
    assert candidate_pairs(data) == [(0, 1), (0, 2), (0, 3), (1, 3), (2, 3)]


def test_one_attribute_needs_no_pairs():
    data = random_data([7])
    plan = plan_spending(Budget(epsilon=1.0), PARTS, open_domain=False)
    releases = buy_tables(data, ExactMechanisms(), plan)
    assert releases.tables == []
    assert releases.one_way[0].counts.sum() == 500
    assert measure_one_way(encoded(np.zeros((0, 5)), []), ExactMechanisms(), mu_squared=1.0) == []

"""Selection and measurement: against brute force, naive twins, and the prices that were set."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from doubles import ExactMechanisms, RecordingMechanisms
from hypothesis import given, settings
from hypothesis import strategies as st

from privsynth.codecs.columns import Attribute
from privsynth.codecs.contingency import (
    Marginal,
    book_groups,
    coarse_groups,
    code_book_marginal,
    contingency_tables,
    full_marginal,
    groups_of,
)
from privsynth.codecs.encoded_table import CodedRows, Encoded
from privsynth.generators.marginal.fitted import FitSettings
from privsynth.generators.marginal.measure import (
    SEEN_SIGMAS,
    Measurement,
    likely_targets,
    measure_one_way,
    smooth_shares,
    to_simplex,
)
from privsynth.generators.marginal.resolution.allocation import MEAN_ABS_NORMAL, allocate
from privsynth.generators.marginal.rounds import MeasureRequest, select_and_measure
from privsynth.generators.marginal.select import (
    candidate_pairs,
    chance_distances,
    explained,
    number_of_groups,
    open_entries,
    present_codes,
    present_size,
    score_marginals,
    second_round_candidates,
    select_marginals,
)
from privsynth.privacy.budget import Budget, plan_spending

FIT = FitSettings(components=16, max_steps=40)
PARTS = {"one_way": 0.3, "selection": 0.1, "measurement": 0.6}


def encoded(codes: np.ndarray, sizes: list[int], *, k: int = 1, **more) -> Encoded:
    return Encoded(
        rows=CodedRows(codes.astype(np.uint16), np.arange(codes.shape[1])),
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


@given(
    st.lists(st.floats(-1e4, 1e5), min_size=1, max_size=40),
    st.sampled_from([1e-9, 0.5, 30.0, 1e4]),
    st.sampled_from([0.0, 1.0, 5e4]),
)
def test_smooth_shares_are_positive_and_keep_the_order(counts, sigma, n_rows):
    table = Measurement(full_marginal([len(counts)], (0,)), np.array(counts), sigma)
    found = smooth_shares(table, n_rows=n_rows)
    assert found.sum() == pytest.approx(1.0)
    assert (found >= 0).all()
    # A code with a larger noisy count never gets a smaller share than another that noise drowns as well.
    drowned = np.array(counts) < SEEN_SIGMAS * sigma
    order = np.argsort(np.array(counts)[drowned], kind="stable")
    shares = found[drowned][order]
    assert (np.diff(shares) >= -1e-9 * shares.max(initial=0.0)).all()


def test_smoothing_finds_rare_codes_that_noise_drowns():
    true = np.array([29_000.0, 400.0, *np.full(30, 20.0)])
    rng = np.random.default_rng(0)
    sharp, smooth = [], []
    for _ in range(50):
        table = Measurement(full_marginal([32], (0,)), true + rng.normal(0, 300, 32), 300.0)
        shares = smooth_shares(table, n_rows=30_000)
        assert (shares > 0).all()
        smooth.append(np.abs(shares - true / 30_000).sum())
        sharp.append(np.abs(to_simplex(table.counts / 30_000) - true / 30_000).sum())
    assert np.mean(smooth) < 0.7 * np.mean(sharp)


def test_smoothing_leaves_what_is_known_alone():
    counts = np.array([500.0, 300.0, 150.0, 50.0])
    table = Measurement(full_marginal([4], (0,)), counts, 1.0)
    assert np.allclose(smooth_shares(table, n_rows=1_000), counts / 1_000, atol=1e-4)


def test_counting_agrees_with_counting_by_hand(monkeypatch):
    monkeypatch.setattr("privsynth.codecs.contingency.LEAST_ROWS", 7)
    monkeypatch.setattr("privsynth.codecs.contingency.MOST_ROWS", 7)
    data = random_data([3, 4, 2], n=60)
    rough = Marginal((0, 1), (np.array([0, 1, 1]), np.array([1, 0, 0, 1])))
    fine, coarse = contingency_tables(data.rows.codes, [full_marginal(data.sizes, (0, 1, 2)), rough])
    for entry in itertools.product(range(3), range(4), range(2)):
        assert fine[entry] == sum(tuple(row) == entry for row in data.rows.codes.T.tolist())
    for entry in itertools.product(range(2), range(2)):
        rows = zip(rough.groups[0][data.rows.codes[0]], rough.groups[1][data.rows.codes[1]], strict=True)
        assert coarse[entry] == sum((int(a), int(b)) == entry for a, b in rows)
    assert contingency_tables(data.rows.codes[:, :0], [full_marginal(data.sizes, (1,))])[0].tolist() == [0, 0, 0, 0]
    assert contingency_tables(data.rows.codes, []) == []


instances = st.lists(st.tuples(st.floats(-50, 2_000), st.integers(2, 3_000)), min_size=1, max_size=8)


def value_of(chosen: tuple[int, ...], scores: np.ndarray, entries: np.ndarray, k: int, mu_squared: float) -> float:
    """Return error removed minus noise added by a set of tables at its best prices, found numerically naive."""
    price = (MEAN_ABS_NORMAL * k * entries[list(chosen)]) ** (2 / 3)
    shares = mu_squared * price / price.sum()
    noise = (MEAN_ABS_NORMAL * k * entries[list(chosen)] / np.sqrt(shares)).sum()
    return float(scores[list(chosen)].sum() - noise)


@settings(max_examples=60, deadline=None)
@given(instances, st.integers(1, 5), st.floats(0.01, 10))
def test_the_choice_is_within_one_table_of_the_best_set(instance, k, mu_squared):
    scores = np.array([s for s, _ in instance])
    entries = np.array([float(c) for _, c in instance])
    chosen = allocate(scores, entries, sensitivity=k, mu_squared=mu_squared)
    assert math.fsum(chosen.values()) <= mu_squared
    assert not chosen or math.fsum(chosen.values()) >= mu_squared * (1 - 1e-6)
    assert all(price > 0 for price in chosen.values())
    subsets = [s for size in range(1, len(scores) + 1) for s in itertools.combinations(range(len(scores)), size)]
    best = max(value_of(s, scores, entries, k, mu_squared) for s in subsets)
    mine = value_of(tuple(chosen), scores, entries, k, mu_squared) if chosen else 0.0
    # A prefix of the best ratios: never worse than the best set by more than one table's score.
    assert mine >= max(best, 0.0) - max(scores.max(), 0.0) - 1e-6
    assert mine >= 0


def test_prices_are_the_cheapest_for_the_set():
    scores, entries = np.array([900.0, 800.0, 700.0]), np.array([10.0, 100.0, 1000.0])
    chosen = allocate(scores, entries, sensitivity=1, mu_squared=5.0)
    assert set(chosen) == {0, 1, 2}
    # No shift of budget between two tables lowers the summed noise.
    noise = lambda b: sum(entries[i] / math.sqrt(b[i]) for i in b)  # noqa: E731
    for i, j in itertools.permutations(range(3), 2):
        moved = {**chosen, i: chosen[i] * 0.97, j: chosen[j] + chosen[i] * 0.03}
        assert noise(moved) > noise(chosen)


@pytest.mark.parametrize("scores", [[-5.0, -1.0], [0.0, 0.0], [1.0, 1.0]])
def test_where_nothing_pays_nothing_is_chosen(scores):
    assert allocate(np.array(scores), np.array([1e4, 2e4]), sensitivity=50, mu_squared=1e-4) == {}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 2_000), st.integers(2, 3_000), st.integers(0, 2)), min_size=1, max_size=7))
def test_of_each_thing_one_resolution_is_chosen_and_the_best_within_a_step(instance):
    scores = np.array([s for s, *_ in instance])
    entries = np.array([float(c) for _, c, _ in instance])
    of = [thing for *_, thing in instance]
    chosen = allocate(scores, entries, sensitivity=1, mu_squared=1.0, resolution_of=of)
    assert len({of[r] for r in chosen}) == len(chosen)
    subsets = [s for size in range(1, len(of) + 1) for s in itertools.combinations(range(len(of)), size)]
    lawful = [s for s in subsets if len({of[r] for r in s}) == len(s)]
    best = max(value_of(s, scores, entries, 1, 1.0) for s in lawful)
    mine = value_of(tuple(chosen), scores, entries, 1, 1.0) if chosen else 0.0
    assert mine >= max(best, 0.0) - scores.max() - 1e-6


def test_a_finer_table_is_bought_where_what_it_adds_pays():
    scores, entries, of = np.array([100.0, 900.0, 100.0, 110.0]), np.array([9.0, 64.0, 9.0, 900.0]), [0, 0, 1, 1]
    assert set(allocate(scores, entries, sensitivity=1, mu_squared=10.0, resolution_of=of)) == {1, 2}


def test_scores_are_distances_from_the_model():
    rng = np.random.default_rng(1)
    a = rng.integers(0, 4, 4_000)
    data = encoded(np.stack([a, a, rng.integers(0, 4, 4_000)]), [4, 4, 4])
    marginals = [full_marginal([4, 4, 4], pair) for pair in [(0, 1), (0, 2), (1, 2)]]
    flat = np.full((4, 4), 1 / 16)
    scores, _ = score_marginals(data, marginals, lambda _: flat, ExactMechanisms(), mu_squared=1.0, label="scores")
    same, *others = scores
    # Equal columns of four even values: 2 · N · (1 − 1/4), up to the unevenness of the draw.
    assert same == pytest.approx(6_000, rel=0.02)
    assert max(others) < 400


def test_all_that_is_spent_is_within_the_plan():
    data = random_data([3, 5, 30, 2], k=4, targets=(1,), protected=(3,))
    plan = plan_spending(Budget(epsilon=1.0, unit="u", max_rows_per_unit=4), PARTS, open_domain=False)
    mechanisms = RecordingMechanisms(0)
    measurements = select_and_measure(
        MeasureRequest(data=data, mechanisms=mechanisms, plan=plan, settings=FIT, rng=np.random.default_rng(0))
    )
    for part, limit in plan.parts.items():
        assert math.fsum(c.public[3] for c in mechanisms.calls if c.public[2] == part) <= limit * (1 + 1e-12)
    assert [m.attributes for m in measurements.one_way] == [(0,), (1,), (2,), (3,)]
    assert all(m.counts.shape == m.marginal.shape for m in measurements.tables)
    assert measurements.first
    assert measurements.second
    assert math.fsum(c.public[3] for c in mechanisms.calls) >= 0.99 * math.fsum(plan.parts.values())


def flat_shares(sizes: list[int]) -> list[np.ndarray]:
    return [np.full(size, 1 / size) for size in sizes]


def test_pairs_are_seen_coarsely_and_where_they_are_not_too_large_finely():
    sizes = [2, 600, 600, 3]
    marginals = candidate_pairs(random_data(sizes), flat_shares(sizes), groups=5)
    shapes = {(marginal.attributes, marginal.shape) for marginal in marginals}
    assert shapes == {
        ((0, 1), (2, 600)), ((0, 1), (2, 5)), ((0, 2), (2, 600)), ((0, 2), (2, 5)), ((0, 3), (2, 3)),
        ((1, 2), (5, 5)), ((1, 3), (600, 3)), ((1, 3), (5, 3)), ((2, 3), (600, 3)), ((2, 3), (5, 3)),
    }  # fmt: skip


def test_pairs_with_a_short_target_are_seen_finely():
    sizes = [4, 40, 600, 40]
    plain, likely = (
        {
            (marginal.attributes, marginal.shape)
            for marginal in candidate_pairs(random_data(sizes), flat_shares(sizes), groups=5, likely=of)
        }
        for of in ((), (0, 3))
    )
    # The coarse table of the short target is gone, but not that of a long code book, nor those of a long target.
    assert plain - likely == {((0, 1), (4, 5)), ((0, 3), (4, 5))}
    assert likely < plain
    assert ((0, 2), (4, 5)) in likely


def test_a_wide_table_is_scored_at_one_resolution():
    sizes = [30] * 60
    marginals = candidate_pairs(random_data(sizes, n=5), flat_shares(sizes), groups=5)
    assert len(marginals) == 60 * 59 // 2
    assert all(marginal.shape == (5, 5) for marginal in marginals)


def test_the_second_round_looks_where_the_first_scored_high():
    sizes = [4] * 40
    data = random_data(sizes, n=5, targets=(39,))
    first = candidate_pairs(data, flat_shares(sizes), groups=5)
    strong = {(3, 4), (4, 5), (3, 5)}
    scores = np.array([900.0 if marginal.attributes in strong else 1.0 for marginal in first])
    marginals = second_round_candidates(data, flat_shares(sizes), first, scores, groups=4)
    wide = [marginal.attributes for marginal in marginals if len(marginal.attributes) == 3]
    assert (3, 4, 5) in wide
    assert 0 < len(wide) <= 500
    assert strong <= {marginal.attributes for marginal in marginals}
    assert len({marginal.key for marginal in marginals}) == len(marginals)


@given(st.floats(1e-6, 1e3), st.integers(1, 10**8), st.integers(1, 1000), st.sampled_from([2, 3]))
def test_coarseness_follows_from_public_numbers(mu_squared, n, k, width):
    data = encoded(np.zeros((1, 0)), [2], k=k)
    object.__setattr__(data, "n_rows", float(n))
    assert 4 <= number_of_groups(data.n_rows, mu_squared, width=width, sensitivity=float(k)) <= 16


def test_every_set_of_attributes_is_bought_once():
    sizes = [9, 9, 9]
    data = random_data(sizes, n=3_000, seed=2)
    marginals = candidate_pairs(data, flat_shares(sizes), groups=4)
    one_way = [Measurement(full_marginal(sizes, (a,)), np.full(9, 50.0), 1.0) for a in range(3)]
    bought = select_marginals(
        data, marginals, np.full(len(marginals), 2_500.0), one_way, mu_squared=5.0, sensitivity=1.0
    )
    assert len({marginal.attributes for marginal, _ in bought}) == len(bought) == 3


def test_codes_that_nobody_has_make_no_table_dearer():
    sizes = [4, 16, 16]
    data = random_data(sizes, n=3_000, seed=2)
    marginals = [full_marginal(sizes, (0, 1)), full_marginal(sizes, (1, 2))]
    one_way = [
        Measurement(full_marginal(sizes, (a,)), np.where(np.arange(size) < 2 + 14 * (a > 0), 500.0, -3.0), 10.0)
        for a, size in enumerate(sizes)
    ]
    present = present_codes(data, one_way)
    assert [int(codes.sum()) for codes in present] == [2, 16, 16]
    assert [present_size(marginal, present) for marginal in marginals] == [32, 256]
    assert present_size(Marginal((0, 1), (np.array([0, 0, 1, 1]), np.zeros(16, dtype=int))), present) == 1
    cheap, dear = (
        dict(select_marginals(data, marginals, np.array([700.0, 700.0]), of, mu_squared=1.0, sensitivity=1.0))
        for of in (one_way, [replace(table, counts=np.full(len(table.counts), 500.0)) for table in one_way])
    )
    assert (
        cheap[marginals[0]] < dear[marginals[0]]
    )  # fewer entries need less for the same error of each, and the rest more


def test_where_the_first_round_left_nothing_its_tables_are_bought_again():
    data = random_data([3, 3], n=4_000)
    plan = plan_spending(Budget(epsilon=0.05), PARTS, open_domain=False)
    measurements = select_and_measure(
        MeasureRequest(
            data=data, mechanisms=RecordingMechanisms(3), plan=plan, settings=FIT, rng=np.random.default_rng(0)
        )
    )
    assert [m.marginal.key for m in measurements.second] == [m.marginal.key for m in measurements.first]


def test_one_attribute_needs_no_pairs():
    data = random_data([7])
    plan = plan_spending(Budget(epsilon=1.0), PARTS, open_domain=False)
    measurements = select_and_measure(
        MeasureRequest(data=data, mechanisms=ExactMechanisms(), plan=plan, settings=FIT, rng=np.random.default_rng(0))
    )
    assert measurements.tables == []
    assert measurements.one_way[0].counts.sum() == 500
    assert measure_one_way(encoded(np.zeros((0, 5)), []), ExactMechanisms(), mu_squared=1.0) == []


def test_two_long_code_books_end_without_a_second_look():
    # Their pair is too large to be scored finely, and there is no triple: a run must not end there, noise drawn.
    data = random_data([600, 500], n=2_000)
    plan = plan_spending(Budget(epsilon=1.0), PARTS, open_domain=False)
    mechanisms = RecordingMechanisms(3)
    measurements = select_and_measure(
        MeasureRequest(data=data, mechanisms=mechanisms, plan=plan, settings=FIT, rng=np.random.default_rng(0))
    )
    assert [m.marginal.key for m in measurements.second] == [m.marginal.key for m in measurements.first]
    assert math.fsum(c.public[3] for c in mechanisms.calls) <= math.fsum(plan.parts.values())


def test_where_no_target_is_declared_a_yes_or_no_is_taken_for_one():
    sizes = [4, 6, 4, 6]
    counts = [[900.0, 100.0, 12.0, -9.0], [500.0, 480.0, 29.0, 31.0, 7.0, 2.0], [990.0, 3.0, 5.0, 2.0], [250.0] * 6]
    one_way = [Measurement(full_marginal(sizes, (a,)), np.array(n), 10.0) for a, n in enumerate(counts)]
    data = random_data(sizes, n=1_000)
    assert likely_targets(data, one_way) == (0,)  # the second has a third value, the third but one
    assert likely_targets(random_data(sizes, n=1_000, targets=(3,)), one_way) == (3,)
    marginals = [full_marginal(sizes, (0, 1)), full_marginal(sizes, (1, 2))]
    full = [
        Measurement(full_marginal(sizes, (a,)), np.full(size, 1_000.0 / size), 10.0) for a, size in enumerate(sizes)
    ]
    plain, marked = (
        dict(
            select_marginals(
                data, marginals, np.array([700.0, 700.0]), full, mu_squared=1.0, sensitivity=1.0, likely=likely
            )
        )
        for likely in ((), (0,))
    )
    assert plain[marginals[0]] == pytest.approx(plain[marginals[1]])
    assert marked[marginals[0]] > 1.5 * marked[marginals[1]]


BOOKS = {1: (np.repeat([0, 1, 2, 3, 4], [10, 10, 10, 9, 1]), np.repeat(np.arange(21), [2] * 19 + [1, 1]))}


def test_a_code_book_makes_a_view_of_its_own_where_it_joins_many():
    data = random_data([8, 40, 6], books=BOOKS | {2: (np.array([0, 0, 1, 1, 2, 3]),)})
    assert book_groups(data, 0) is None
    assert book_groups(data, 2) is None  # six codes in four groups are as well seen one by one
    assert np.array_equal(book_groups(data, 1), BOOKS[1][0])
    assert code_book_marginal(data, (0, 2)) is None
    assert code_book_marginal(data, (0, 1)).shape == (8, 5)
    groups = groups_of(data, 1, np.arange(40.0), partial(coarse_groups, at_most=3))
    assert groups.max() == 2
    for value in range(5):  # no group of the book is cut
        assert len(set(groups[BOOKS[1][0] == value])) == 1
    shares = [np.full(size, 1 / size) for size in data.sizes]
    pairs = candidate_pairs(data, shares, groups=3)
    shapes = [marginal.shape for marginal in pairs if marginal.attributes == (0, 1)]
    assert (8, 40) in shapes  # in full
    assert {5, 21} & {columns for _, columns in shapes}  # and by the tree
    assert min(rows * columns for rows, columns in shapes) <= 9  # and coarse
    again = second_round_candidates(data, shares, pairs, np.ones(len(pairs)), groups=4)
    assert any(marginal.is_coarse for marginal in again if marginal.attributes == (0, 1))
    plain = random_data([8, 40, 6])  # without a tree there is nothing in between
    shapes = [m.shape for m in candidate_pairs(plain, shares, groups=3) if m.attributes == (0, 1)]
    assert set(shapes) == {(8, 40), (3, 3)}


def test_codes_that_group_are_never_joined_beside_an_attribute_of_few_codes():
    data = random_data([3, 40], books=BOOKS)
    shares = [np.full(size, 1 / size) for size in data.sizes]
    assert [m.shape for m in candidate_pairs(data, shares, groups=6)] == [(3, 40)]
    assert len(candidate_pairs(data, shares, groups=5)) > 1  # of a small budget the table in full would take too much
    long = np.repeat(np.arange(100), 10)
    data = random_data([3, 1_000], books={1: (long,)})
    common = 1.0 / np.arange(1, 1_001)
    (cut,) = candidate_pairs(data, [np.full(3, 1 / 3), common / common.sum()], groups=6)
    assert cut.shape[0] == 3
    assert cut.shape[1] <= 324  # as finely as a table of a pair is cut
    assert cut.shape[1] > 100


def test_where_codes_group_the_one_way_tables_count_and_prices_grow_as_entries_do():
    sizes = [3, 41, 10]
    shares = [np.full(size, 1 / size) for size in sizes]
    one_way = [Measurement(full_marginal(sizes, (a,)), 3_000 * of, 10.0) for a, of in enumerate(shares)]
    marginals = [full_marginal(sizes, (0, 1)), full_marginal(sizes, (0, 2))]
    data = random_data(sizes, n=3_000, books={1: (np.minimum(np.arange(41) // 8, 5),)}, protected=(0,))
    data = replace(data, attributes=tuple(replace(one, can_be_null=False) for one in data.attributes))
    assert [int(codes.sum()) for codes in present_codes(data, one_way)] == [2, 40, 9]
    assert [open_entries(m, present_codes(data, one_way)) for m in marginals] == [39, 8]
    triple = full_marginal(sizes, (0, 1, 2))
    assert open_entries(triple, present_codes(data, one_way)) == 720
    bought = dict(select_marginals(data, marginals, np.full(2, 2_500.0), one_way, mu_squared=5.0, sensitivity=1.0))
    assert bought[marginals[0]] / bought[marginals[1]] == pytest.approx(80 / 18)
    assert math.fsum(bought.values()) <= 5.0


def test_codes_are_made_to_agree_with_what_was_counted_of_their_groups():
    """The naive twin: the best linear estimate of all codes at once, from both tables, by normal equations."""
    data = random_data([40, 3], n=400, books={0: BOOKS[1]})
    record = RecordingMechanisms(3)
    found = measure_one_way(data, record, mu_squared=2.0)
    fine, joined = record.calls[0].gave, record.calls[2].gave
    design = np.concatenate([np.eye(40), np.eye(5)[BOOKS[1][0]].T])
    precision = np.diag(np.repeat([fine.sigma, joined.sigma], [40, 5]) ** -2.0)
    covariance = np.linalg.inv(design.T @ precision @ design)
    best = covariance @ design.T @ precision @ np.concatenate([fine.values, joined.values])
    assert found[0].counts == pytest.approx(best, rel=1e-9)
    assert np.asarray(found[0].sigma) == pytest.approx(np.sqrt(np.diag(covariance)), rel=1e-9)


def test_groups_of_a_code_book_are_known_better_for_being_counted():
    """Mean over 40 draws of the squared error of group totals; without their own table it would be some tenfold."""
    group, errors = BOOKS[1][0], {}
    for books in ({}, {0: BOOKS[1]}):
        data = random_data([40, 3], n=400, books=books)
        exact = np.bincount(group[data.rows.codes[0]])
        tables = [measure_one_way(data, RecordingMechanisms(seed), mu_squared=0.01)[0] for seed in range(40)]
        errors[len(books)] = np.mean([(np.bincount(group, weights=t.counts) - exact) ** 2 for t in tables])
    assert errors[1] < 0.75 * errors[0]


def test_squared_distances_add_up_over_resolutions():
    sizes = [10, 10]
    halves = np.arange(10) // 2
    coarse, fine = Marginal((0, 1), (halves, halves)), full_marginal(sizes, (0, 1))
    none = np.zeros(2)
    assert explained([coarse, fine], np.array([600.0, 1_000.0]), none) == pytest.approx([200.0, 1_000.0])
    assert explained([coarse, fine], np.array([1_000.0, 990.0]), none)[0] == 1_000.0  # the finer one says no more
    assert explained([fine], np.array([700.0]), np.array([800.0])) == pytest.approx([700.0])  # one resolution: as it is
    # What chance makes of the finer one is none of what the coarse one leaves.
    chance = np.array([0.0, 800.0])
    assert explained([coarse, fine], np.array([600.0, 1_000.0]), chance) == pytest.approx([600.0, 600.0])


def test_the_distance_by_chance_is_the_one_of_samples():
    """Mean over 200 samples of 5,000 rows; its standard error is below 1 %, and the formula is for large counts."""
    rng = np.random.default_rng(4)
    shares = [rng.dirichlet(np.ones(6)), rng.dirichlet(np.ones(5))]
    marginal = full_marginal([6, 5], (0, 1))
    table = np.outer(*shares)
    drawn = rng.multinomial(5_000, table.ravel(), size=200).reshape(200, 6, 5)
    mean = np.abs(drawn - 5_000 * table).sum(axis=(1, 2)).mean()
    assert chance_distances([marginal], shares, n_rows=5_000) == pytest.approx([mean], rel=0.06)

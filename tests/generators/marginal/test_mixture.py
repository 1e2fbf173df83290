"""The mixture: right gradients, a fit that stops at the noise, and samples without needless noise of their own."""

from __future__ import annotations

import itertools
import math
import threading

import numpy as np
import pytest
from doubles import ExactMechanisms, RecordingMechanisms
from hypothesis import given, settings
from hypothesis import strategies as st

from privsynth import parallel
from privsynth.codecs.columns import Attribute
from privsynth.codecs.contingency import Marginal, coarse_groups, full_marginal
from privsynth.codecs.encoded_table import CodedRows, Encoded
from privsynth.generators.marginal import mixture
from privsynth.generators.marginal.conditional import draw_products
from privsynth.generators.marginal.fitted import FitSettings
from privsynth.generators.marginal.generator import MarginalGenerator, without
from privsynth.generators.marginal.loss import LogitBlocks, MarginalLoss, model_table
from privsynth.generators.marginal.measure import Measurement
from privsynth.generators.marginal.mixture import fit_mixture
from privsynth.generators.registry import choose, load_generator, restore_generator
from privsynth.privacy.budget import Budget, plan_spending

SMALL = FitSettings(components=64, max_steps=250)
PLAN = plan_spending(Budget(epsilon=5.0), {"one_way": 0.3, "selection": 0.1, "measurement": 0.6}, open_domain=False)


def naive_table(p: np.ndarray, sizes: list[int], marginal: Marginal) -> np.ndarray:
    """Return the mixture's table by summing over every component and every combination of codes."""
    starts = np.concatenate([[0], np.cumsum(sizes)])
    table = np.zeros(marginal.shape)
    for entry in itertools.product(*(range(sizes[a]) for a in marginal.attributes)):
        mass = np.prod([p[starts[a] + code] for a, code in zip(marginal.attributes, entry, strict=True)], axis=0).mean()
        table[tuple(group[code] for group, code in zip(marginal.groups, entry, strict=True))] += mass
    return table


def chi_square(p: np.ndarray, sizes: list[int], tables: list[Measurement], n: float) -> float:
    """Return Σ((model − measured)/σ)² the slow way; p is (D, B)."""
    return sum(
        float((((n * naive_table(p, sizes, table.marginal) - table.counts) / table.sigma) ** 2).sum())
        for table in tables
    )


def marginals_of(sizes: list[int]) -> list[Marginal]:
    """Return one view of every kind: single, pair, triple, coarse, coarse beside fine, and one twice."""
    halves = [np.arange(size) // 2 for size in sizes]
    return [
        full_marginal(sizes, (0,)), full_marginal(sizes, (0, 2)), full_marginal(sizes, (1, 2)),
        full_marginal(sizes, (0, 1, 2)),
        Marginal((1, 2), (halves[1], halves[2])), Marginal((0, 2), (np.arange(sizes[0]), halves[2])),
        Marginal((0, 1, 2), tuple(halves)), Marginal((2,), (halves[2],)), full_marginal(sizes, (0, 2)),
    ]  # fmt: skip


@pytest.mark.parametrize("chosen", [[0], [1], [2], [3], [4], [5], [6], [7], list(range(8))])
def test_the_gradient_is_the_one_of_finite_differences(chosen):
    rng = np.random.default_rng(3)
    sizes, n = [2, 3, 4], 100.0
    blocks = LogitBlocks(tuple(sizes))
    tables = [
        Measurement(marginal, rng.uniform(0, 40, marginal.shape), 5.0 + at)
        for at, marginal in enumerate(marginals_of(sizes))
    ]
    tables = [tables[at] for at in chosen]
    theta = rng.normal(0, 1, (9, 5))
    terms = MarginalLoss(sizes, [tables], n_rows=n)
    p = blocks.softmax(theta)
    gradient, chi = terms.gradient(p)
    assert chi[0] == pytest.approx(chi_square(p, sizes, tables, n) / sum(t.counts.size for t in tables), rel=1e-4)
    analytic = blocks.backward(p, gradient)
    for d, b in [(0, 0), (3, 1), (5, 2), (8, 3), (1, 4), (6, 0)]:
        step = np.zeros_like(theta)
        step[d, b] = 1e-5
        apart = [chi_square(blocks.softmax(theta + sign * step), sizes, tables, n) for sign in (1, -1)]
        numeric = 0.5 * (apart[0] - apart[1]) / 2e-5
        assert analytic[d, b] == pytest.approx(numeric, rel=1e-3, abs=1e-4)


def test_a_table_measured_twice_counts_as_one_with_less_noise():
    rng = np.random.default_rng(3)
    sizes, n = [2, 3, 4], 100.0
    marginal = full_marginal(sizes, (0, 2))
    twice = [Measurement(marginal, rng.uniform(0, 40, marginal.shape), sigma) for sigma in (5.0, 8.0)]
    weight = np.array([1 / 25, 1 / 64])
    mean = (weight[0] * twice[0].counts + weight[1] * twice[1].counts) / weight.sum()
    once = Measurement(marginal, mean, float(weight.sum() ** -0.5))
    p = LogitBlocks(tuple(sizes)).softmax(rng.normal(0, 1, (9, 5)))
    both, chi = MarginalLoss(sizes, [[twice[0]], [twice[1]]], n_rows=n).gradient(p)
    alone, expected = MarginalLoss(sizes, [[once]], n_rows=n).gradient(p)
    assert np.allclose(both, alone, rtol=1e-5)
    assert chi.sum() == pytest.approx(expected[0], rel=1e-5)  # in the group of the later one


def slow_gradient(p: np.ndarray, sizes: list[int], tables: list[Measurement], n: float) -> np.ndarray:
    """Return half the gradient of the sum of all χ² with respect to p (D, B), cell by cell."""
    starts = np.concatenate([[0], np.cumsum(sizes)])
    found = np.zeros_like(p)
    for table in tables:
        marginal = table.marginal
        pull = (naive_table(p, sizes, marginal) - table.counts / n) * (n / np.asarray(table.sigma)) ** 2 / p.shape[1]
        pull = np.broadcast_to(pull, marginal.shape)
        for entry in itertools.product(*(range(sizes[a]) for a in marginal.attributes)):
            rows = [starts[a] + code for a, code in zip(marginal.attributes, entry, strict=True)]
            at = pull[tuple(group[code] for group, code in zip(marginal.groups, entry, strict=True))]
            for row in rows:
                found[row] += at * np.prod([p[other] for other in rows if other != row], axis=0)
    return found


def many_tables(rng: np.random.Generator) -> tuple[list[int], list[Measurement]]:
    """Return pairs that leave gaps, triples that share pairs in every way, coarse ones and some measured in part."""
    sizes = [2, 3, 2, 4, 3]
    halves = [np.arange(size) // 2 for size in sizes]
    fine = [(0, 2), (0, 4), (1, 4), (3, 4), (0, 1, 2), (1, 2, 3), (0, 2, 4), (1, 3, 4), (2, 3, 4)]
    marginals = [full_marginal(sizes, (a,)) for a in range(5)] + [
        full_marginal(sizes, attributes) for attributes in fine
    ]
    marginals += [
        Marginal((1, 3, 4), (halves[1], halves[3], np.arange(3))),
        Marginal((0, 3), (np.arange(2), halves[3])),
    ]
    tables = [
        Measurement(marginal, rng.uniform(0, 40, marginal.shape), 5.0 + at) for at, marginal in enumerate(marginals)
    ]
    unequal = np.where(rng.random((2, 2)) < 0.5, np.inf, 4.0)
    return sizes, [*tables, Measurement(full_marginal(sizes, (0, 2)), rng.uniform(0, 40, (2, 2)), unequal)]


@pytest.mark.parametrize("shards", [1, 2, 5])
def test_the_gradient_in_shards_is_the_one_of_a_naive_twin(shards):
    """In double precision; of tables that take every way through the layout."""
    rng = np.random.default_rng(8)
    sizes, tables = many_tables(rng)
    p = LogitBlocks(tuple(sizes)).softmax(rng.normal(0, 1, (14, 11)))
    terms = MarginalLoss(sizes, [tables[::2], tables[1::2]], n_rows=100.0, dtype=np.float64)
    gradient, chi = terms.gradient(p, shards)
    assert np.allclose(gradient, slow_gradient(p, sizes, tables, 100.0), rtol=1e-9, atol=1e-9)
    # A table that was measured twice is one, so what its two measurements differ by is in no χ².
    alone = MarginalLoss(sizes, [tables[:-1]], n_rows=100.0, dtype=np.float64).gradient(p, shards)[1]
    assert alone[0] * sum(t.counts.size for t in tables[:-1]) == pytest.approx(
        chi_square(p, sizes, tables[:-1], 100.0), rel=1e-9
    )
    assert chi.shape == (2,)


def test_the_fit_has_the_same_bits_for_any_number_of_threads(monkeypatch):
    rng = np.random.default_rng(8)
    sizes, tables = many_tables(rng)
    fits, at_work = [], set()
    step = mixture._Shard.step

    def noted(self, **named):
        at_work.add(threading.get_ident())
        step(self, **named)

    monkeypatch.setattr(mixture._Shard, "step", noted)
    for count in (1, 2, 3):
        monkeypatch.setattr(parallel, "most_threads", lambda count=count: count)
        fits.append(
            fit_mixture(
                sizes, [tables[:5], tables[5:]], n_rows=100.0, settings=FitSettings(components=1_100, max_steps=40),
                rng=np.random.default_rng(5),
            )
        )  # fmt: skip
    assert len(at_work) > 3, "the test needs threads"
    assert all(np.array_equal(fits[0].p, other.p) and np.array_equal(fits[0].theta, other.theta) for other in fits[1:])


def test_few_pairs_are_not_hidden_by_many_triples():
    """In one group: 4 cells ten times off, beside 60 that are right. The group is explained, its pair is not."""
    entries = np.array([2.0, 4.0, 60.0])
    allowed = 1 + mixture.CHANCE * math.sqrt(0.5)
    assert mixture._unexplained(np.array([0.5, 10.0, 0.2]), entries) == pytest.approx(4 * (10.0 - allowed))
    # What chance allows few cells is explained; but no group as a whole may be off.
    assert mixture._unexplained(np.array([0.5, 1.9, 0.9]), entries) == 0.0
    assert mixture._unexplained(np.array([1.1, 1.1, 1.1]), entries) == pytest.approx(0.1 * 66)


def test_a_table_that_contradicts_others_does_not_end_the_fit_before_they_are_met():
    """Two counts of the same two codes that cannot both be right, so exact that they outweigh all pairs."""
    sizes, _, one_way, pairs, n = known_model()
    level = full_marginal(sizes, (0,))
    wrong = [Measurement(level, one_way[0].counts + sign * np.array([400.0, -400.0, 0.0]), 20.0) for sign in (1, -1)]
    settings_ = FitSettings(components=128, max_steps=1500)
    groups = [one_way, pairs, wrong]
    p = fit_mixture(sizes, groups, n_rows=n, settings=settings_, rng=np.random.default_rng(1)).p
    assert excess(p, sizes, wrong, n) > 100
    assert excess(p, sizes, pairs, n) < 1.5


def test_a_fit_that_cannot_get_there_ends_after_a_given_amount_of_work(monkeypatch):
    sizes, _, one_way, pairs, n = known_model(sigma=1e-3)
    monkeypatch.setattr(mixture, "MOST_WORK", 1.0)
    monkeypatch.setattr(mixture, "LEAST_STEPS", 30)
    steps: list[int] = []
    step = mixture._Shard.step
    monkeypatch.setattr(
        mixture._Shard, "step", lambda self, **named: (steps.append(named["step"]), step(self, **named))
    )
    fit_mixture(sizes, [one_way, pairs], n_rows=n, settings=SMALL, rng=np.random.default_rng(1))
    assert max(steps) == 30


@pytest.mark.parametrize("at", range(8))
def test_the_table_of_a_view_is_the_one_of_a_naive_twin(at):
    sizes = [2, 3, 4]
    p = LogitBlocks(tuple(sizes)).softmax(np.random.default_rng(at).normal(0, 1, (9, 5)))
    marginal = marginals_of(sizes)[at]
    assert np.allclose(model_table(p, LogitBlocks(tuple(sizes)), marginal), naive_table(p, sizes, marginal))


def test_softmax_blocks_are_probabilities_even_for_huge_logits():
    p = LogitBlocks((2, 3)).softmax(np.array([[1e4, -1e4, 0.0, 1e3, -1e3]]).T)
    assert np.allclose(p.T, [[1, 0, 0, 1, 0]])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.booleans(), st.integers(3, 9))
def test_coarse_groups_are_dense_keep_null_apart_and_neighbours_together(shares, ordered, at_most):
    group = coarse_groups(np.array(shares), ordered=ordered, at_most=at_most)
    assert len(group) == len(shares)
    assert sorted(set(group.tolist())) == list(range(group.max() + 1))
    assert group.max() + 1 <= max(at_most, 1)
    assert (group == group[-1]).sum() == 1
    if ordered:
        assert (np.diff(group) >= 0).all()
    if len(shares) <= at_most:
        assert len(set(group.tolist())) == len(shares)


def known_model(seed: int = 0, n: float = 20_000.0, sigma: float = 40.0):
    """Return sizes, the shares of a known mixture, and noisy one- and two-way tables of it."""
    rng = np.random.default_rng(seed)
    sizes = [3, 5, 8, 4]
    p = LogitBlocks(tuple(sizes)).softmax(rng.normal(0, 1.5, (20, 6)))

    def noisy(*attributes: int) -> Measurement:
        marginal = full_marginal(sizes, attributes)
        exact = naive_table(p, sizes, marginal)
        return Measurement(marginal, n * exact + rng.normal(0, sigma, exact.shape), sigma)

    pairs = [(0, 1), (0, 2), (1, 2), (2, 3), (1, 3)]
    return sizes, p, [noisy(i) for i in range(4)], [noisy(*pair) for pair in pairs], n


def excess(p: np.ndarray, sizes: list[int], tables: list[Measurement], n: float) -> float:
    return chi_square(p.astype(float), sizes, tables, n) / sum(t.counts.size for t in tables)


def test_the_fit_reaches_the_noise_and_stops_there():
    sizes, truth, one_way, pairs, n = known_model()
    settings_ = FitSettings(components=128, max_steps=1500)
    steps: list[float] = []
    p = fit_mixture(
        sizes, [one_way, pairs], n_rows=n, settings=settings_, rng=np.random.default_rng(1),
        progress=lambda _, share: steps.append(share),
    ).p  # fmt: skip
    # Each group of tables is explained to within its noise, and not much better: it stopped.
    assert 0.5 < max(excess(p, sizes, one_way, n), excess(p, sizes, pairs, n)) <= 1.01
    assert excess(p, sizes, one_way, n) <= 1.01
    assert excess(p, sizes, pairs, n) <= 1.01
    assert len(steps) < 1500 / 25 / 2
    # What it says of a pair that was not measured is nearer to the truth than independence is.
    unseen = full_marginal(sizes, (0, 3))
    exact, fitted = naive_table(truth, sizes, unseen), naive_table(p, sizes, unseen)
    alone = np.outer(exact.sum(axis=1), exact.sum(axis=0))
    assert np.abs(fitted - exact).sum() < np.abs(alone - exact).sum()


def test_of_the_mixtures_that_explain_the_tables_one_is_fitted_that_depends_little():
    sizes, _, one_way, pairs, n = known_model()
    measured, unseen = [pairs[0], pairs[3]], [(0, 2), (0, 3), (1, 2), (1, 3)]

    def invented(pull: float) -> float:
        settings_ = FitSettings(components=128, pull=pull)
        p = fit_mixture(sizes, [one_way, measured], n_rows=n, settings=settings_, rng=np.random.default_rng(1)).p
        assert excess(p, sizes, measured, n) <= 1.01
        tables = [naive_table(p, sizes, full_marginal(sizes, pair)) for pair in unseen]
        return float(np.mean([np.abs(t - np.outer(t.sum(axis=1), t.sum(axis=0))).sum() for t in tables]))

    assert invented(0.4) < 0.7 * invented(0.0)
    # A pull that noise cannot bear is given up: the tables are explained all the same.
    invented(100.0)


def test_one_well_fitted_group_does_not_hide_another():
    sizes, _, one_way, pairs, n = known_model()
    # A wide group that any model fits, beside pairs that are not: the stop waits for the pairs.
    loose = [Measurement(m.marginal, m.counts, 1e6) for m in one_way]
    start = LogitBlocks(tuple(sizes)).softmax(np.zeros((20, 4)))
    _, chi = MarginalLoss(sizes, [loose, pairs], n_rows=n).gradient(start)
    assert chi[1] == pytest.approx(excess(start, sizes, pairs, n), rel=1e-3)
    assert chi[1] > 5 > chi[0]


def test_a_fit_goes_on_where_another_stopped():
    sizes, _, one_way, pairs, n = known_model()
    first = fit_mixture(sizes, [one_way], n_rows=n, settings=SMALL, rng=np.random.default_rng(5))
    steps: list[float] = []
    second = fit_mixture(
        sizes, [one_way, pairs], n_rows=n, settings=FitSettings(components=64), rng=np.random.default_rng(6),
        start=first, progress=lambda _, share: steps.append(share),
    )  # fmt: skip
    assert second.theta.shape == first.theta.shape
    assert excess(second.p, sizes, pairs, n) <= 1.01 < excess(first.p, sizes, pairs, n)
    again = fit_mixture(sizes, [one_way, pairs], n_rows=n, settings=SMALL, rng=np.random.default_rng(7), start=second)
    assert np.array_equal(again.p, second.p)  # nothing was left to do


def test_many_codes_mean_fewer_components():
    settings_ = FitSettings(components=1536)
    assert settings_.components_for(0) == settings_.components_for(750) == 1536
    assert settings_.components_for(1_500) == 768
    assert settings_.components_for(3_000) == 384
    assert settings_.components_for(10**6) == 256
    assert FitSettings(components=32).components_for(10**6) == 32


def test_the_same_seed_fits_and_samples_the_same():
    sizes, _, one_way, pairs, n = known_model()
    fits = [
        fit_mixture(sizes, [one_way, pairs], n_rows=n, settings=SMALL, rng=np.random.default_rng(5)).p.T
        for _ in range(2)
    ]
    assert np.array_equal(*fits)
    rows = [draw_products(fits[0], sizes, 500, np.random.default_rng(seed)) for seed in (6, 6, 7)]
    assert np.array_equal(rows[0], rows[1])
    assert not np.array_equal(rows[0], rows[2])


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 6), st.lists(st.integers(1, 5), min_size=1, max_size=3), st.integers(0, 400), st.integers(0, 99))
def test_samples_have_no_more_noise_than_rounding(components, sizes, n, seed):
    rng = np.random.default_rng(seed)
    p = LogitBlocks(tuple(sizes)).softmax(rng.normal(0, 2, (sum(sizes), components))).T
    codes = draw_products(p, sizes, n, rng)
    assert codes.shape == (len(sizes), n)
    assert codes.dtype == np.uint16
    start = 0
    for attribute, size in enumerate(sizes):
        counts = np.bincount(codes[attribute], minlength=size)
        assert len(counts) == size
        # Within a component counts are rounded expectations, and the component's rows are rounded too.
        assert (np.abs(counts - n * p[:, start : start + size].mean(axis=0)) < 2 * components).all()
        start += size


def test_within_a_component_every_count_is_its_expectation_rounded():
    rng = np.random.default_rng(0)
    sizes = [4, 7]
    p = LogitBlocks(tuple(sizes)).softmax(rng.normal(0, 2, (11, 1))).T
    for n in (1, 10, 997):
        codes = draw_products(p, sizes, n, rng)
        expected = np.split(n * p[0], [4])
        for row, want in zip(codes, expected, strict=True):
            assert (np.abs(np.bincount(row, minlength=len(want)) - want) < 1).all()


def test_components_are_independent_inside_and_dependent_across():
    # Two components that always agree within themselves: the two attributes must be equal in every row.
    p = np.array([[1.0, 0, 1, 0], [0, 1, 0, 1]])
    codes = draw_products(p, [2, 2], 1_001, np.random.default_rng(0))
    assert (codes[0] == codes[1]).all()
    assert abs(int(codes[0].sum()) - 500) <= 1
    flat = draw_products(np.full((1, 4), 0.5), [2, 2], 40_000, np.random.default_rng(1))
    assert abs(np.corrcoef(flat)[0, 1]) < 6 / math.sqrt(40_000)
    weighted = draw_products(p, [2, 2], 1_000, np.random.default_rng(0), weights=np.array([9.0, 1.0]))
    assert abs(int(weighted[0].sum()) - 100) <= 1


def test_a_code_without_probability_is_never_drawn():
    p = np.tile(np.array([[0.0, 0.5, 0.5, 0.0, 1.0, 0.0]]), (50, 1))  # the first and the last code have none
    for n in (1, 7, 5_000):
        codes = draw_products(p, [4, 2], n, np.random.default_rng(n))
        assert set(codes[0].tolist()) <= {1, 2}
        assert set(codes[1].tolist()) == {0}


def encoded(codes: np.ndarray, attributes: list[Attribute]) -> Encoded:
    return Encoded(
        rows=CodedRows(codes.astype(np.uint16), np.arange(codes.shape[1])),
        attributes=tuple(attributes),
        max_rows_per_unit=1,
        n_rows=float(max(codes.shape[1], 1)),
        columns=tuple(range(len(attributes))),
    )


@pytest.mark.parametrize(
    ("sizes", "n"), [([4, 3], 1), ([6], 50), ([3, 3_000], 200), ([2, 2, 2], 0), ([], 5), ([1, 4], 30)]
)
def test_odd_tables_can_be_fitted_and_sampled(sizes, n):
    rng = np.random.default_rng(2)
    codes = np.stack([rng.integers(0, s, n) for s in sizes]) if sizes else np.zeros((0, n))
    if sizes == [6]:
        codes[:] = 5  # a column of nulls alone
    data = encoded(codes, [Attribute(f"a{i}", s, True, False) for i, s in enumerate(sizes)])
    fitted = MarginalGenerator(FitSettings(components=32, max_steps=60)).fit(
        data, RecordingMechanisms(1), PLAN, rng=np.random.default_rng(0)
    )
    rows = fitted.sample_codes(100, np.random.default_rng(0))
    assert rows.shape == (len(sizes), 100)
    assert np.isfinite(fitted.p).all()
    if sizes == [6]:
        assert (rows == 5).mean() > 0.5


def test_nulls_are_never_sampled_where_a_column_has_none():
    rng = np.random.default_rng(4)
    attributes = [Attribute("a", 4, False, False), Attribute("b", 3, True, False)]
    data = encoded(np.stack([rng.integers(0, 4, 300), rng.integers(0, 3, 300)]), attributes)
    fitted = MarginalGenerator(SMALL).fit(data, ExactMechanisms(), PLAN, rng=rng)
    rows = fitted.sample_codes(20_000, rng)
    assert (rows[0] < 3).all()
    assert (rows[1] == 2).any()
    only_null = np.zeros((2, 7), np.float32)
    only_null[:, [3, 6]] = 1.0
    cleaned = without(only_null, data.sizes, [[3], []])
    assert np.allclose(cleaned[:, :4].sum(axis=1), 1.0)
    assert (cleaned[:, 3] == 0).all()
    assert (cleaned[:, 6] == 1).all()


def test_a_saved_model_samples_the_same_rows():
    rng = np.random.default_rng(5)
    data = encoded(rng.integers(0, 3, (3, 200)), [Attribute(f"a{i}", 3, True, False) for i in range(3)])
    fitted = MarginalGenerator(SMALL).fit(data, RecordingMechanisms(2), PLAN, rng=rng)
    again = restore_generator("marginal", fitted.tensors(), fitted.settings())
    one, other = (m.sample_codes(300, np.random.default_rng(9)) for m in (fitted, again))
    assert np.array_equal(one, other)
    assert again.settings() == fitted.settings()
    with pytest.raises(ValueError, match="does not fit"):
        restore_generator("marginal", {"p": np.zeros((4, 5))}, fitted.settings())


def test_the_registry_knows_its_generators():
    from privsynth.errors import ConfigError

    assert load_generator("marginal").name == "marginal"
    assert load_generator("marginal").training_spec() is None
    assert choose("auto") == "marginal"
    assert choose("arn") == "arn"
    with pytest.raises(ConfigError, match="there is no generator 'gan'"):
        choose("gan")
    with pytest.raises(ConfigError, match="does not know"):
        restore_generator("os", {}, {})

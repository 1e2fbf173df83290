"""The mixture: right gradients, a fit that stops at the noise, and samples without needless noise of their own."""

from __future__ import annotations

import math

import numpy as np
import pytest
from doubles import ExactMechanisms, RecordingMechanisms
from hypothesis import given, settings
from hypothesis import strategies as st

from privsynth.encoding.codecs import Attribute
from privsynth.generators.encoded import Encoded
from privsynth.generators.generator import choose, load_generator, restore_generator
from privsynth.generators.marginal.generator import MarginalGenerator, without_nulls
from privsynth.generators.marginal.measure import Measured
from privsynth.generators.marginal.mixture import (
    FitSettings,
    _Blocks,
    _gradient,
    _groups,
    _invert,
    fit_mixture,
    sample_mixture,
)
from privsynth.privacy.budget import Budget, plan_spending

SMALL = FitSettings(components=64, max_steps=250)
PLAN = plan_spending(Budget(epsilon=5.0), {"one_way": 0.3, "selection": 0.1, "measurement": 0.6}, open_domain=False)


def chi_square(p: np.ndarray, sizes: list[int], tables: list[Measured], n: float) -> float:
    """Return Σ over groups of (χ² / cells)-like loss whose gradient `_gradient` follows: ½ Σ w (model − share)²."""
    starts = np.concatenate([[0], np.cumsum(sizes)])
    total = 0.0
    for table in tables:
        factors = [p[:, starts[a] : starts[a + 1]] for a in table.attributes]
        letters = "xyz"[: len(factors)]
        model = np.einsum(",".join(f"b{c}" for c in letters) + "->" + letters, *factors) / len(p)
        total += 0.5 * (n / table.sigma) ** 2 * ((model - table.counts / n) ** 2).sum()
    return float(total)


@pytest.mark.parametrize("attributes", [(0,), (0, 2), (1, 2), (0, 1, 2)])
def test_the_gradient_is_the_one_of_finite_differences(attributes):
    rng = np.random.default_rng(3)
    sizes, n = [2, 3, 4], 100.0
    blocks = _Blocks(sizes)
    shape = tuple(sizes[a] for a in attributes)
    table = Measured(attributes, rng.uniform(0, 40, shape), 5.0)
    theta = rng.normal(0, 1, (5, 9))
    groups = _groups([table], [], n)

    def loss(logits: np.ndarray) -> float:
        return chi_square(blocks.softmax(logits), sizes, [table], n)

    p = blocks.softmax(theta)
    gradient, _ = _gradient(p, blocks, groups)
    analytic = blocks.backward(p, gradient)
    for b, d in [(0, 0), (1, 3), (2, 5), (3, 8), (4, 1), (0, 6)]:
        step = np.zeros_like(theta)
        step[b, d] = 1e-5
        numeric = (loss(theta + step) - loss(theta - step)) / 2e-5
        assert analytic[b, d] == pytest.approx(numeric, rel=1e-3, abs=1e-5)


def test_softmax_blocks_are_probabilities_even_for_huge_logits():
    p = _Blocks([2, 3]).softmax(np.array([[1e4, -1e4, 0.0, 1e3, -1e3]]))
    assert np.allclose(p, [[1, 0, 0, 1, 0]])


def known_model(seed: int = 0, n: float = 20_000.0, sigma: float = 40.0):
    """Return sizes, the shares of a known mixture, and noisy one- and two-way tables of it."""
    rng = np.random.default_rng(seed)
    sizes = [3, 5, 8, 4]
    blocks = _Blocks(sizes)
    p = blocks.softmax(rng.normal(0, 1.5, (6, 20)))

    def noisy(*attributes: int) -> Measured:
        factors = [p[:, blocks.slices[a]] for a in attributes]
        exact = factors[0].mean(axis=0) if len(factors) == 1 else factors[0].T @ factors[1] / len(p)
        return Measured(attributes, n * exact + rng.normal(0, sigma, exact.shape), sigma)

    pairs = [(0, 1), (0, 2), (1, 2), (2, 3), (1, 3)]
    return sizes, p, [noisy(i) for i in range(4)], [noisy(*pair) for pair in pairs], n


def excess(p: np.ndarray, sizes: list[int], tables: list[Measured], n: float) -> float:
    return 2 * chi_square(p.astype(float), sizes, tables, n) / sum(t.counts.size for t in tables)


def test_the_fit_reaches_the_noise_and_stops_there():
    sizes, truth, one_way, pairs, n = known_model()
    settings_ = FitSettings(components=128, max_steps=1500)
    steps: list[float] = []
    p = fit_mixture(
        sizes, one_way, pairs, n_rows=n, settings=settings_, rng=np.random.default_rng(1),
        progress=lambda _, share: steps.append(share),
    )  # fmt: skip
    # Each group of tables is explained to within its noise, and not much better: it stopped.
    assert 0.5 < max(excess(p, sizes, one_way, n), excess(p, sizes, pairs, n)) <= 1.01
    assert excess(p, sizes, one_way, n) <= 1.01
    assert excess(p, sizes, pairs, n) <= 1.01
    assert len(steps) < 1500 / 25 / 2
    # What it says of a pair that was not measured is nearer to the truth than independence is.
    blocks = _Blocks(sizes)
    exact = truth[:, blocks.slices[0]].T @ truth[:, blocks.slices[3]] / len(truth)
    fitted = p[:, blocks.slices[0]].T @ p[:, blocks.slices[3]] / len(p)
    alone = np.outer(truth[:, blocks.slices[0]].mean(0), truth[:, blocks.slices[3]].mean(0))
    assert np.abs(fitted - exact).sum() < np.abs(alone - exact).sum()


def test_one_well_fitted_group_does_not_hide_another():
    sizes, _, one_way, pairs, n = known_model()
    # A wide group that any model fits, beside pairs that are not: the stop waits for the pairs.
    loose = [Measured(m.attributes, m.counts, 1e6) for m in one_way]
    groups = _groups(loose, pairs, n)
    blocks = _Blocks(sizes)
    start = blocks.softmax(np.zeros((4, 20)))
    _, worst = _gradient(start, blocks, groups)
    assert worst == pytest.approx(excess(start, sizes, pairs, n), rel=1e-3)
    assert worst > 5


def test_the_same_seed_fits_and_samples_the_same():
    sizes, _, one_way, pairs, n = known_model()
    fits = [
        fit_mixture(sizes, one_way, pairs, n_rows=n, settings=SMALL, rng=np.random.default_rng(5)) for _ in range(2)
    ]
    assert np.array_equal(*fits)
    rows = [sample_mixture(fits[0], sizes, 500, np.random.default_rng(seed)) for seed in (6, 6, 7)]
    assert np.array_equal(rows[0], rows[1])
    assert not np.array_equal(rows[0], rows[2])


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 6), st.lists(st.integers(1, 5), min_size=1, max_size=3), st.integers(0, 400), st.integers(0, 99))
def test_samples_have_no_more_noise_than_rounding(components, sizes, n, seed):
    rng = np.random.default_rng(seed)
    p = _Blocks(sizes).softmax(rng.normal(0, 2, (components, sum(sizes))))
    codes = sample_mixture(p, sizes, n, rng)
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
    p = _Blocks(sizes).softmax(rng.normal(0, 2, (1, 11)))
    for n in (1, 10, 997):
        codes = sample_mixture(p, sizes, n, rng)
        expected = np.split(n * p[0], [4])
        for row, want in zip(codes, expected, strict=True):
            assert (np.abs(np.bincount(row, minlength=len(want)) - want) < 1).all()


def test_components_are_independent_inside_and_dependent_across():
    # Two components that always agree within themselves: the two attributes must be equal in every row.
    p = np.array([[1.0, 0, 1, 0], [0, 1, 0, 1]])
    codes = sample_mixture(p, [2, 2], 1_001, np.random.default_rng(0))
    assert (codes[0] == codes[1]).all()
    assert abs(int(codes[0].sum()) - 500) <= 1
    flat = sample_mixture(np.full((1, 4), 0.5), [2, 2], 40_000, np.random.default_rng(1))
    assert abs(np.corrcoef(flat)[0, 1]) < 6 / math.sqrt(40_000)
    weighted = sample_mixture(p, [2, 2], 1_000, np.random.default_rng(0), weights=np.array([9.0, 1.0]))
    assert abs(int(weighted[0].sum()) - 100) <= 1


@given(st.integers(1, 5), st.integers(1, 6), st.integers(0, 1000))
def test_inversion_agrees_with_a_naive_twin(components, width, seed):
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(width), components)
    p[rng.random(p.shape) < 0.3] = 0.0
    p[:, 0] += 1e-3
    cdf = np.cumsum(p / p.sum(axis=1, keepdims=True), axis=1)
    cdf /= cdf[:, -1:]
    owner = np.sort(rng.integers(0, components, 40))
    point = rng.random(40)
    naive = [next(i for i, edge in enumerate(cdf[o]) if edge > x) for o, x in zip(owner, point, strict=True)]
    assert _invert(cdf, owner, point).tolist() == naive


def test_a_code_without_probability_is_never_drawn_even_at_the_very_end():
    cdf = np.tile(np.array([[0.0, 0.5, 1.0, 1.0]]), (700, 1))  # the first and the last code have none
    owner = np.array([0, 3, 699, 699])
    point = np.array([1 - 2.0**-53, np.nextafter(1, 0), 1 - 1e-15, 0.0])
    assert _invert(cdf, owner, point).tolist() == [2, 2, 2, 1]


def encoded(codes: np.ndarray, attributes: list[Attribute]) -> Encoded:
    return Encoded(
        codes=codes.astype(np.uint16),
        unit=np.arange(codes.shape[1]),
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
    cleaned = without_nulls(only_null, data)
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
    assert choose("auto", epsilon=0.5) == "marginal"
    with pytest.raises(ConfigError, match="there is no generator 'gan'"):
        choose("gan", epsilon=1.0)
    with pytest.raises(ConfigError, match="does not know"):
        restore_generator("os", {}, {})

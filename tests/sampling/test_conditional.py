"""Rows given what is known of them, against brute force on domains that can be written out."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privsynth.errors import ConfigError
from privsynth.generators.marginal.conditional import Products, _drawn_places, complete_mixture, draw_products
from privsynth.sampling.conditional import NEAREST, complete

SIZES = (2, 3, 4)
CELLS = list(itertools.product(*(range(size) for size in SIZES)))


def mixture(seed: int = 0, components: int = 3, sizes: tuple[int, ...] = SIZES) -> np.ndarray:
    """Return random probabilities, far from independent."""
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.dirichlet(np.full(size, 0.4), components) for size in sizes], axis=1).astype(np.float32)


def joint(p: np.ndarray, evidence: dict[int, np.ndarray], known: dict[int, int]) -> np.ndarray:
    """Return the probability of each of CELLS under the condition, by enumeration."""
    starts = np.concatenate([[0], np.cumsum(SIZES)])
    mass = np.zeros(len(CELLS))
    for row, cell in enumerate(CELLS):
        each = np.prod([p[:, starts[a] + code] for a, code in enumerate(cell)], axis=0, dtype=np.float64)
        weight = np.prod([evidence[a][cell[a]] for a in evidence if a not in known])
        mass[row] = each.mean() * weight * all(cell[a] == code for a, code in known.items())
    return mass / mass.sum()


def shares(codes: np.ndarray) -> np.ndarray:
    flat = np.ravel_multi_index(tuple(codes.astype(np.int64)), SIZES)
    return np.bincount(flat, minlength=len(CELLS)) / codes.shape[1]


def unknown(n: int, sizes: tuple[int, ...] = SIZES) -> np.ndarray:
    return np.full((len(sizes), n), -1, dtype=np.int32)


def close(found: np.ndarray, wanted: np.ndarray, n: int) -> bool:
    """Six standard deviations in each of 24 cells: false alarms below 1e-7 if rows were independent."""
    return bool((np.abs(found - wanted) <= 6 * np.sqrt(wanted * (1 - wanted) / n) + 2 / n).all())


@dataclass(frozen=True)
class Plain:
    """A generator from another hand: it can sample, and nothing else."""

    name: ClassVar[str] = "plain"
    p: np.ndarray
    sizes: tuple[int, ...] = SIZES

    def sample_codes(self, n_rows: int, rng: np.random.Generator) -> np.ndarray:
        return draw_products(self.p, self.sizes, n_rows, rng)

    def tensors(self) -> dict[str, np.ndarray]:
        return {}

    def settings(self) -> dict[str, object]:
        return {}


class Answering(Plain):
    """The same, with the mixture's own answers."""

    def complete(self, known, evidence, rng):
        return complete_mixture(Products(self.p, self.sizes), known, evidence, rng)


@pytest.mark.parametrize("places", [1, 5, 32, 33, 70])
def test_places_are_drawn_by_their_weight(places):
    rng = np.random.default_rng(places)
    weight = rng.gamma(0.5, size=places) * (rng.random(places) < 0.7)
    weight[rng.integers(places)] = 1.0
    n = 50_000
    drawn = _drawn_places(np.tile(weight.astype(np.float32), (n, 1)), rng.random(n))
    share = np.bincount(drawn, minlength=places) / n
    wanted = weight / weight.sum()
    assert (share[weight == 0] == 0).all()
    assert (np.abs(share - wanted) <= 6 * np.sqrt(wanted * (1 - wanted) / n)).all()  # false alarms below 1e-6
    ends = _drawn_places(np.tile(weight.astype(np.float32), (2, 1)), np.array([0.0, 1 - 2**-53]))
    assert (weight[ends] > 0).all()


CONDITIONS = [
    ({}, {}),
    ({1: np.array([0.0, 1.0, 1.0])}, {}),
    ({1: np.array([0.2, 0.0, 1.0]), 2: np.array([1.0, 0.5, 0.0, 0.1])}, {}),
    ({}, {0: 1}),
    ({2: np.array([1.0, 0.0, 1.0, 0.3])}, {0: 1}),
]


@pytest.mark.parametrize("own", [True, False], ids=["mixture", "rejection"])
@pytest.mark.parametrize(("evidence", "known"), CONDITIONS, ids=range(len(CONDITIONS)))
def test_rows_that_know_the_same_follow_the_conditional_distribution(own, evidence, known):
    p, n = mixture(), 20_000
    codes = unknown(n)
    for attribute, code in known.items():
        codes[attribute] = code
    model = (Answering if own else Plain)(p)
    drawn = complete(model, codes, evidence, np.random.default_rng(1))
    assert drawn.dtype == np.uint16
    wanted = joint(p, evidence, known)
    assert close(shares(drawn), wanted, n)
    assert shares(drawn)[wanted == 0].sum() == 0
    assert not close(shares(drawn), joint(p, {1: np.array([1.0, 0.3, 0.1])}, {}), n)  # the test can tell


def test_rows_that_know_different_things_have_their_own_distributions():
    p, n = mixture(3), 12_000
    evidence = {2: np.array([1.0, 1.0, 0.0, 0.5])}
    codes = unknown(3 * n)
    codes[0, :n], codes[1, n : 2 * n], codes[2, 2 * n :] = 1, 2, 2
    drawn = complete(Answering(p), codes, evidence, np.random.default_rng(2))
    for number, known in enumerate(({0: 1}, {1: 2}, {2: 2})):
        part = drawn[:, number * n : (number + 1) * n]
        assert close(shares(part), joint(p, evidence, known), n)


def test_a_single_row_and_rows_together_mean_the_same():
    p, evidence = mixture(5), {1: np.array([1.0, 0.0, 0.4])}
    rng = np.random.default_rng(6)
    known = np.array([[1], [-1], [3]], dtype=np.int32)
    one_by_one = np.concatenate([complete(Answering(p), known, evidence, rng) for _ in range(1_500)], axis=1)
    assert close(shares(one_by_one), joint(p, evidence, {0: 1, 2: 3}), 1_500)


@settings(max_examples=60)
@given(st.data())
def test_known_codes_come_back_and_forbidden_ones_never_come(data):
    sizes = tuple(data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=4)))
    n = data.draw(st.integers(0, 12))
    known = np.array(
        [[data.draw(st.integers(-1, size - 1)) for _ in range(n)] for size in sizes], dtype=np.int32
    ).reshape(len(sizes), n)
    allowed = {a: np.array(data.draw(st.lists(st.booleans(), min_size=s, max_size=s)), float)
               for a, s in enumerate(sizes) if data.draw(st.booleans())}  # fmt: skip
    model = Answering(mixture(data.draw(st.integers(0, 99)), 4, sizes), sizes)
    if any(not weight.any() for weight in allowed.values()):
        with pytest.raises(ConfigError, match="no row"):
            complete(model, known, allowed, np.random.default_rng(0))
        return
    try:
        codes = complete(model, known, allowed, np.random.default_rng(0))
    except ConfigError:
        assert n > 1  # all rows alike, where the mixture has no mass
        return
    assert codes.shape == known.shape
    assert (codes[known >= 0] == known[known >= 0]).all()
    for attribute, weight in allowed.items():
        assert weight[codes[attribute, known[attribute] < 0]].all()


def test_draws_of_a_mixture_have_the_smallest_noise():
    p, n = mixture(7, components=5), 10_007
    codes = draw_products(p, SIZES, n, np.random.default_rng(0))
    starts = np.concatenate([[0], np.cumsum(SIZES)])
    for attribute, size in enumerate(SIZES):
        wanted = p[:, starts[attribute] : starts[attribute + 1]].astype(np.float64)
        wanted /= wanted.sum(axis=1, keepdims=True)
        counts = np.bincount(codes[attribute], minlength=size)
        # Less than one a component and code, and less than one row a component from its share.
        assert (np.abs(counts - n * wanted.mean(axis=0)) < 2 * len(p)).all()
    assert not np.array_equal(codes, np.sort(codes, axis=1))
    again = draw_products(p, SIZES, n, np.random.default_rng(0))
    assert np.array_equal(codes, again)


def test_no_mass_is_said_and_not_searched_for():
    p = np.array([[1.0, 0.0, 0.5, 0.5]], dtype=np.float32)
    for model in (Answering(p, (2, 2)), Plain(p, (2, 2))):
        with pytest.raises(ConfigError, match="meet"):
            complete(model, unknown(5, (2, 2)), {0: np.array([0.0, 1.0])}, np.random.default_rng(0))
        with pytest.raises(ConfigError, match="no row"):
            complete(model, unknown(5, (2, 2)), {0: np.zeros(2)}, np.random.default_rng(0))


def test_a_model_that_cannot_answer_fills_gaps_from_rows_that_are_alike():
    # Two attributes that are always equal: the nearest rows say which.
    p = np.eye(6, dtype=np.float32)
    p = np.concatenate([p, p, np.full((6, 2), 0.5, np.float32)], axis=1)
    model = Plain(p, (6, 6, 2))
    known = np.array([np.arange(600) % 6, np.full(600, -1), np.arange(600) % 2], dtype=np.int32)
    codes = complete(model, known, {1: np.array([1.0] * 5 + [0.0])}, np.random.default_rng(0))
    likely = known[0] < 5
    assert (codes[1, likely] == known[0, likely]).all()
    assert (codes[1] < 5).all()
    assert (codes[[0, 2]] == known[[0, 2]]).all()
    assert NEAREST < 600


@pytest.fixture
def network():
    """Return an `arn` model whose network knows independent attributes, and whose tilt joins two of them."""
    from privsynth.generators.arn.calibration import Potential, TiltSettings
    from privsynth.generators.arn.fitted import FittedArn
    from privsynth.generators.arn.interactions import Interactions

    rng = np.random.default_rng(0)
    p = [rng.dirichlet(np.full(size, 2.0)) for size in SIZES]
    tilt = rng.normal(0, 0.8, SIZES[:2]).astype(np.float32)
    width, hidden = sum(SIZES), 4
    shapes = {"first.weight": (hidden, width + 3), "first.bias": (hidden,), "middle.weight": (hidden, hidden),
              "middle.bias": (hidden,), "last.weight": (width, hidden)}  # fmt: skip
    weights = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    weights["last.bias"] = np.log(np.concatenate(p)).astype(np.float32)
    model = FittedArn(
        weights=weights,
        interactions=Interactions(
            np.zeros((width, 0), np.float32), np.zeros(0, int), np.zeros((0, 4), int), np.zeros(0)
        ),
        potentials=(Potential((0, 1), tilt, np.full(SIZES[:2], 1 / 6, np.float32)),),
        sizes=SIZES,
        no_null=(False,) * 3,
        order=(0, 1, 2),
        hidden=hidden,
        tilt=TiltSettings(),
        ceiling=10.0,
    )
    mass = np.einsum("i,j,k->ijk", *p) * np.exp(tilt)[:, :, None]
    return model, mass


@pytest.mark.parametrize(("evidence", "known"), CONDITIONS[1:], ids=range(1, len(CONDITIONS)))
def test_the_network_is_conditioned_masked_and_tilted(network, evidence, known):
    model, mass = network
    for attribute, weight in evidence.items():
        mass = mass * weight.reshape([-1 if a == attribute else 1 for a in range(3)])
    for attribute, code in known.items():
        mass = mass * (np.arange(SIZES[attribute]) == code).reshape([-1 if a == attribute else 1 for a in range(3)])
    wanted = (mass / mass.sum()).ravel()
    n = 8_192
    codes = unknown(n)
    for attribute, code in known.items():
        codes[attribute] = code
    alike = complete(model, codes, evidence, np.random.default_rng(3))
    found = shares(alike)
    assert found[wanted == 0].sum() == 0
    assert 0.5 * np.abs(found - wanted).sum() < 0.03  # resampling from eight candidates a row is not quite exact
    # Row by row: one more row that knows all of itself makes the rows differ.
    mixed = np.concatenate([codes, np.zeros((3, 1), np.int32)], axis=1)
    each = complete(model, mixed, evidence, np.random.default_rng(4))
    assert (each[:, -1] == 0).all()
    assert 0.5 * np.abs(shares(each[:, :-1]) - wanted).sum() < 0.09

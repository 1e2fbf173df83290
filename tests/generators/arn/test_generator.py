"""`arn` as a generator: the contract, odd tables, tilting, and that no row of the table is in the model."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from privsynth.codecs.columns import Attribute
from privsynth.codecs.encoded_table import CodedRows, Encoded
from privsynth.errors import ConfigError
from privsynth.generators.arn import generator as arn
from privsynth.generators.arn.calibration import (
    CalibrationTable,
    Potential,
    TiltSettings,
    ceiling_of,
    draw_tilted,
    fit_tilt,
    log_weights,
    mixture_tables,
)
from privsynth.generators.arn.fitted import FittedArn, restore
from privsynth.generators.arn.generator import ArnGenerator, sampling_order
from privsynth.generators.arn.interactions import Interactions
from privsynth.generators.arn.network import Network, hidden_width, random_known, to_numpy
from privsynth.generators.arn.pretraining import WarmSettings, warm_start
from privsynth.generators.arn.training import TrainSettings
from privsynth.generators.marginal.fitted import FitSettings
from privsynth.generators.marginal.generator import MarginalGenerator
from privsynth.generators.registry import load_generator, restore_generator
from privsynth.privacy.budget import Bill, Budget, SpendingPlan, plan_spending
from privsynth.privacy.mechanisms import GaussianMechanisms

PARTS = {"one_way": 0.2, "selection": 0.1, "measurement": 0.7}
SMALL = ArnGenerator(
    steps=3,
    warm=WarmSettings(rows=1_024, steps=8, batch=128),
    tilt=TiltSettings(rows=4_096, max_sweeps=20),
    marginal=MarginalGenerator(FitSettings(components=32, max_steps=60)),
    training=TrainSettings(),
)


def plan_for(generator: ArnGenerator, epsilon: float = 3.0) -> SpendingPlan:
    return plan_spending(Budget(epsilon=epsilon), PARTS, open_domain=False, training=generator.training_spec())


def table(sizes: tuple[int, ...], n: int, *, seed: int = 0, nulls: bool = True, targets=()) -> Encoded:
    """Return rows whose attributes follow the first one."""
    rng = np.random.default_rng(seed)
    first = rng.integers(0, max(sizes[0] - 1, 1), n) if sizes else np.zeros(n, dtype=np.int64)
    codes = [(first + (rng.random(n) < 0.2)) % max(size - 1, 1) for size in sizes]
    attributes = tuple(Attribute(f"a{i}", size, nulls, False) for i, size in enumerate(sizes))
    shape = np.array(codes, dtype=np.uint16).reshape(len(sizes), n)
    return Encoded(CodedRows(shape, np.arange(n)), attributes, 1, float(n), tuple(range(len(sizes))), targets=targets)


def fitted(data: Encoded, generator: ArnGenerator = SMALL, epsilon: float = 3.0) -> tuple[FittedArn, Bill]:
    plan = plan_for(generator, epsilon)
    bill = Bill(plan)
    return generator.fit(data, GaussianMechanisms(bill), plan, rng=np.random.default_rng(1)), bill


@pytest.fixture(scope="module")
def model() -> tuple[FittedArn, Bill, Encoded]:
    data = table((4, 5, 3), 3_000)
    return (*fitted(data), data)


def test_the_registry_knows_it():
    generator = load_generator("arn")
    assert isinstance(generator, ArnGenerator)
    spec = generator.training_spec()
    assert (spec.sampling_probability, spec.steps) == (generator.sampling_probability, generator.steps)


def test_same_seed_same_rows_and_saved_model_gives_them_too(model):
    fit, _, _ = model
    rows = fit.sample_codes(500, np.random.default_rng(9))
    assert rows.shape == (3, 500)
    assert rows.dtype == np.uint16
    settings = json.loads(json.dumps(fit.settings(), allow_nan=False))
    assert all(array.dtype == np.float32 for array in fit.tensors().values())
    again = restore_generator("arn", fit.tensors(), settings)
    assert np.array_equal(again.sample_codes(500, np.random.default_rng(9)), rows)
    assert not np.array_equal(fit.sample_codes(500, np.random.default_rng(10)), rows)


def test_torch_seed_has_no_say_in_sampling_or_fit(model):
    fit, _, _ = model
    torch.manual_seed(1)
    state = torch.get_rng_state()
    one = fit.sample_codes(50, np.random.default_rng(9))
    torch.manual_seed(2)
    assert np.array_equal(fit.sample_codes(50, np.random.default_rng(9)), one)
    torch.set_rng_state(state)
    fitted(table((3, 3), 50))
    assert torch.equal(torch.get_rng_state(), state)


def test_the_bill_is_the_plan_and_not_more(model):
    _, bill, _ = model
    assert [s.part for s in bill.spends].count("training") == 1
    assert bill.epsilon_spent() <= 3.0
    assert bill.epsilon_spent() > 2.9


def test_pairs_come_true(model):
    """The pair (first, second) is nearly a function in the table; independence would be 0.6 away."""
    fit, _, data = model
    rows = fit.sample_codes(3_000, np.random.default_rng(2))

    def joint(codes: np.ndarray) -> np.ndarray:
        return np.bincount(codes[0].astype(int) * 5 + codes[1], minlength=20) / codes.shape[1]

    assert 0.5 * np.abs(joint(rows) - joint(data.rows.codes)).sum() < 0.12


@pytest.mark.parametrize("rows", [0, 1, 7])
def test_any_number_of_rows_can_be_drawn(model, rows):
    fit, _, _ = model
    assert fit.sample_codes(rows, np.random.default_rng(0)).shape == (3, rows)


@pytest.mark.parametrize(
    ("sizes", "n"),
    [((4, 3), 0), ((4, 3), 1), ((5,), 200), ((1, 4, 1), 200), ((3_000, 3), 300), ((3,) * 120, 60)],
    ids=["no row", "one row", "one attribute", "size one", "3,000 codes", "120 attributes"],
)
def test_odd_tables(sizes, n):
    data = replace(table(sizes, n), n_rows=float(max(n, 1)))
    small = replace(SMALL, tilt=TiltSettings(rows=256, max_sweeps=3), warm=WarmSettings(rows=256, steps=2, batch=64))
    small = replace(small, marginal=MarginalGenerator(FitSettings(components=8, max_steps=2)))
    fit, _ = fitted(data, small)
    rows = fit.sample_codes(20, np.random.default_rng(0))
    assert (rows.max(axis=1) < np.array(sizes)).all()
    assert all(np.isfinite(array).all() for array in fit.tensors().values())


def test_null_is_never_drawn_where_it_was_declared_away():
    data = table((3, 4), 300, nulls=False)
    data.rows.codes[1, :150] = 3  # NULL is frequent, in spite of the declaration
    fit, _ = fitted(data)
    rows = fit.sample_codes(2_000, np.random.default_rng(0))
    assert rows[1].max() == 2


def test_no_row_of_the_table_is_in_the_model():
    """Units may hold any code: the tensors must not hold their rows, nor may their number depend on them."""
    data = table((4, 5, 3), 64)
    fit, _ = fitted(data)
    other, _ = fitted(table((4, 5, 3), 640, seed=5))
    # How many potentials and terms there are is a function of paid releases.
    other = replace(other, potentials=fit.potentials, interactions=fit.interactions)
    assert {k: v.shape for k, v in fit.tensors().items()} == {k: v.shape for k, v in other.tensors().items()}
    for value in (*vars(fit).values(), vars(fit.interactions)):
        for array in value.values() if isinstance(value, dict) else [value]:
            assert not isinstance(array, torch.Tensor)
            assert not (isinstance(array, np.ndarray) and 64 in array.shape)


def test_a_plan_without_training_is_refused_before_anything_is_spent():
    plan = plan_spending(Budget(epsilon=1.0), PARTS, open_domain=False)
    bill = Bill(plan)
    with pytest.raises(ConfigError, match="no training run"):
        SMALL.fit(table((3, 3), 50), GaussianMechanisms(bill), plan, rng=np.random.default_rng(0))
    with pytest.raises(ConfigError, match="no column"):
        SMALL.fit(table((), 50), GaussianMechanisms(bill), plan_for(SMALL), rng=np.random.default_rng(0))
    assert not bill.spends


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("order", [0, 0, 1]),
        ("sizes", [4, 5, 4]),
        ("tables", [[0, 7]]),
        ("no_null", [True]),
        ("terms", [[0, 1, 2, 3]] * 500),
        ("terms", [[0, 1, 2, 99]]),
        ("score_owner", [7]),
    ],
)
def test_a_model_that_does_not_fit_itself_is_refused(model, name, value):
    fit, _, _ = model
    with pytest.raises(ValueError, match=r"attribute|table|terms"):
        restore(fit.tensors(), {**fit.settings(), name: value})


def test_torch_keeps_to_one_thread_and_gives_the_callers_number_back(monkeypatch):
    before, seen = torch.get_num_threads(), []
    monkeypatch.setattr(arn, "sampling_order", lambda _data: seen.append(torch.get_num_threads()) or 1 / 0)
    try:
        torch.set_num_threads(2)
        with pytest.raises(ZeroDivisionError):
            fitted(table((3, 2), 50))
        assert (seen, torch.get_num_threads()) == ([1], 2)
    finally:
        torch.set_num_threads(before)


def test_targets_are_drawn_last():
    assert sampling_order(table((3, 3, 3), 9, targets=(0,))) == (1, 2, 0)


def test_known_sets_have_every_size_equally_often():
    known = random_known(np.random.default_rng(0).random((20_000, 6)), (2, 0, 3, 1))
    assert known.sum(axis=1).max() == 3, "something is left to predict"
    share = np.bincount(known.sum(axis=1)) / 20_000
    assert np.allclose(share, 0.25, atol=0.02)
    assert known[:, 2].mean() > known[:, 1].mean() + 0.1, "half of the rows follow the order"


WANTED = np.array([[0.30, 0.05], [0.10, 0.25], [0.05, 0.25]])


def uniform_codes(rows: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.stack([rng.integers(0, size, rows) for size in (3, 2, 2)]).astype(np.uint16)


def table_of(codes: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    counts = np.bincount(codes[0].astype(int) * 2 + codes[1], weights=weights, minlength=6)
    return (counts / counts.sum()).reshape(3, 2)


def test_tilting_meets_the_tables_and_keeps_the_rest():
    codes = uniform_codes(50_000)
    found = fit_tilt(codes, (3, 2, 2), [CalibrationTable((0, 1), WANTED)], settings=TiltSettings())
    weight = np.exp(log_weights(codes, (3, 2, 2), found))
    assert np.abs(table_of(codes, weight) - WANTED).max() < 2e-3
    assert np.bincount(codes[2], weights=weight)[0] / weight.sum() == pytest.approx(0.5, abs=0.01)


def test_chosen_rows_are_nearer_to_the_tables_than_independent_draws():
    """2,000 independent rows would be off by about 0.008 a cell; the correction between blocks makes good for it."""
    codes = uniform_codes(50_000)
    settings = TiltSettings()
    found = fit_tilt(codes, (3, 2, 2), [CalibrationTable((0, 1), WANTED)], settings=settings)
    ceiling = ceiling_of(log_weights(codes, (3, 2, 2), found), settings.most)
    rng = np.random.default_rng(1)
    rows = draw_tilted(2_000, (3, 2, 2), found, ceiling, settings, lambda n: uniform_codes(n), rng)
    assert np.abs(table_of(rows) - WANTED).max() < 0.004


def test_a_row_in_many_raised_cells_does_not_take_over():
    """The cell (0, 0) is unseen where the potentials are found and raised where rows are drawn."""
    found = [Potential((0,), np.array([9.0, 0.0, 0.0], dtype=np.float32), np.full(3, 1 / 3, dtype=np.float32))]
    ceiling = ceiling_of(np.zeros(100), 9.0)
    draw = lambda n: np.stack([np.r_[0, np.ones(n - 1)]] * 3).astype(np.uint16)  # noqa: E731
    rows = draw_tilted(1_000, (3, 2, 2), found, ceiling, TiltSettings(gain=0.0), draw, np.random.default_rng(0))
    assert (rows[0] == 0).mean() < 0.01


def test_tables_of_a_mixture():
    p = np.array([[0.2, 0.8, 0.5, 0.5, 1.0], [0.6, 0.4, 0.1, 0.9, 1.0]], dtype=np.float32)
    one, two, three = mixture_tables(p, (2, 2, 1), [(0,), (0, 1), (0, 1, 2)])
    assert one.shares == pytest.approx([0.4, 0.6])
    assert two.shares == pytest.approx((np.outer([0.2, 0.8], [0.5, 0.5]) + np.outer([0.6, 0.4], [0.1, 0.9])) / 2)
    assert three.shares[..., 0] == pytest.approx(two.shares)


def test_wide_tables_get_narrow_networks():
    assert hidden_width([10] * 5) > hidden_width([10] * 60) > hidden_width([10] * 400) >= 16


def test_rows_asked_for_by_a_rare_value_look_like_those_that_have_it():
    """A value of 0.5 % of the rows, with which six others turn round; they are asked for, as `--balance` does."""
    rng = np.random.default_rng(4)
    rare = rng.random(20_000) < 0.005
    codes = np.stack([rare, *(rng.random(20_000) < np.where(rare, 0.9, 0.1) for _ in range(6))]).astype(np.uint16)
    sizes = (3,) * 7
    shares = [np.append(np.bincount(column, minlength=2), 0) / 20_000 for column in codes]
    nothing = Interactions(np.zeros((21, 0), np.float32), np.zeros(0, int), np.zeros((0, 4), int), np.zeros(0))
    found = {}
    for even in (0, 32):
        network = Network(list(sizes), hidden_width(list(sizes)), rng=np.random.default_rng(0), shares=shares)
        settings = WarmSettings(steps=60, batch=128, even=even)
        warm_start(network, codes, range(7), settings, np.random.default_rng(1), targets=(0,))
        model = FittedArn(
            weights=to_numpy(network), interactions=nothing, potentials=(), sizes=sizes,
            no_null=(True,) * 7, order=tuple(range(7)), hidden=network.hidden, tilt=TiltSettings(),
        )  # fmt: skip
        rows = model.complete(np.full((7, 500), -1), {0: np.array([0.0, 1.0, 0.0])}, np.random.default_rng(2))
        assert (rows[0] == 1).all()
        found[even] = rows[1:].mean()
    assert found[32] > 0.75
    assert found[0] < 0.6  # else this shows nothing

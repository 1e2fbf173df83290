"""`tvae`, and the DP-SGD that it shares with `ctgan`: what a unit adds is clipped, and nothing else sees rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from doubles import ExactMechanisms, RecordingMechanisms, ReplayMechanisms

from privsynth.codecs.columns import Attribute
from privsynth.codecs.encoded_table import CodedRows, Encoded
from privsynth.generators.ctgan.generator import CtganGenerator
from privsynth.generators.dpsgd.loop import RowCoins, UnitSteps, clip_threshold, public_rows
from privsynth.generators.inference import draw_codes
from privsynth.generators.tvae.generator import TvaeGenerator
from privsynth.generators.tvae.network import Autoencoder
from privsynth.generators.tvae.prior import buy_prior
from privsynth.privacy.accounting import SubsampledGaussianEvent
from privsynth.privacy.budget import Budget, SpendingPlan

SIZES = (4, 3, 2)


@dataclass
class Everyone:
    """Training noise of none: every unit is in every sample, and the sums are kept."""

    steps: int = 4
    sampling_probability: float = 1.0
    noise_multiplier: float = 1.0

    def __post_init__(self):
        self.sums: list[np.ndarray] = []

    def mask(self, n_units):
        return np.ones(n_units, dtype=bool)

    def add(self, sums, *, l2_sensitivity):
        self.sums.append(sums)
        return sums


class Long(ExactMechanisms):
    """Exact answers, and as many steps of training as a test asks for."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps

    def training(self, *, clip, label):
        return Everyone(steps=self.steps)


def encoded(n_units=20, k=3, seed=1) -> Encoded:
    """Return units of 1 … k rows; the second attribute follows the first."""
    rng = np.random.default_rng(seed)
    unit = np.repeat(np.arange(n_units), rng.integers(1, k + 1, n_units))
    first = rng.integers(0, 3, len(unit))
    codes = np.stack([first, (first + (rng.random(len(unit)) < 0.1)) % 3, rng.integers(0, 2, len(unit))])
    attributes = tuple(Attribute(f"a{i}", s, True, False) for i, s in enumerate(SIZES))
    return Encoded(CodedRows(codes.astype(np.uint16), unit), attributes, k, float(len(unit)), (0, 1, 2))


def plan_for(generator) -> SpendingPlan:
    spec = generator.training_spec()
    event = SubsampledGaussianEvent(
        noise_multiplier=1.0, sampling_probability=spec.sampling_probability, steps=spec.steps
    )
    parts = {"one_way": 0.5, "selection": 0.2, "measurement": 1.0}
    return SpendingPlan(budget=Budget(epsilon=3.0), parts=parts, training=event)


def network(seed=0) -> Autoencoder:
    return Autoencoder(SIZES, hidden=8, latent=3, bias=np.zeros(9), rng=np.random.default_rng(seed))


def losses_of(module, codes, step):
    return module(codes, torch.full((*codes.shape[:-1], 3), 0.5, dtype=torch.float64), 2.0)


def unit_gradient(model, rows) -> np.ndarray:
    """Return the gradient of one unit, plainly."""
    found = torch.autograd.grad(losses_of(model, rows, 0).sum(), list(model.parameters()))
    return torch.cat([g.flatten() for g in found]).numpy()


@pytest.mark.parametrize("k", [1, 3])
def test_a_step_releases_the_sum_of_clipped_units(k):
    data, model, noise = encoded(k=k), network(), Everyone()
    codes = torch.from_numpy(data.rows.codes.T.astype(np.int64))
    parts = [unit_gradient(model, codes[torch.from_numpy(data.rows.unit == u)]) for u in range(20)]
    norms = np.array([np.linalg.norm(part) for part in parts])
    clip = float(np.median(norms))
    sgd = lambda parameters: torch.optim.SGD(parameters, lr=0.0)  # noqa: E731
    with UnitSteps(model, data, noise, losses_of, clip=clip, optimizer=sgd) as run:
        run.step(0, learning_rate=0.0)
        grid = run._optimizer.grid_step
    expected = sum(part * min(1.0, clip / norm) for part, norm in zip(parts, norms, strict=True))
    assert np.allclose(noise.sums[0] * grid, expected, atol=1e-4 * clip)
    assert (norms > clip).any()
    assert not any(hasattr(p, "summed_grad") or p.grad is not None for p in model.parameters())


def test_gradients_that_see_no_row_are_added_after_the_noise():
    data, model, noise = encoded(k=1), network(), Everyone()
    before = [p.detach().clone() for p in model.parameters()]
    extra = [torch.full_like(p, 3.0) for p in model.parameters()]
    sgd = lambda parameters: torch.optim.SGD(parameters, lr=1.0)  # noqa: E731
    with UnitSteps(model, data, noise, losses_of, clip=0.1, optimizer=sgd) as run:
        rows = torch.zeros((2, 1, 3), dtype=torch.int64)
        free = run.without_rows(lambda m: losses_of(m, rows, 0)[:, 0])
        assert sum(float(g.square().sum()) for g in free) ** 0.5 == pytest.approx(0.1, rel=1e-4), "clipped alike"
        run.step(0, learning_rate=1.0, extra=extra)
        grid = run._optimizer.grid_step
    moved = torch.cat([(b - p.detach()).flatten() for b, p in zip(before, model.parameters(), strict=True)]).numpy()
    assert np.allclose(moved, noise.sums[0] * grid / data.n_rows + 3.0)


@pytest.mark.parametrize("generator", [TvaeGenerator(), CtganGenerator(generated=32)], ids=["tvae", "ctgan"])
@pytest.mark.parametrize("place", ["first", "last"])
def test_a_unit_moves_what_is_asked_by_no_more_than_declared(generator, place):
    """The same answers on a neighbour with one unit of k rows more: no other unit's gradient may change with it."""
    data = encoded()
    more = np.array([[3, 2, 1]] * 3, dtype=np.uint16).T
    codes = [more, data.rows.codes] if place == "first" else [data.rows.codes, more]
    unit = np.r_[[0] * 3, data.rows.unit + 1] if place == "first" else np.r_[data.rows.unit, [20] * 3]
    other = Encoded(CodedRows(np.concatenate(codes, axis=1), unit), data.attributes, 3, data.n_rows, (0, 1, 2))
    if place == "first":  # its units take the places of others in the sample: give all of them one coin
        data, other = (
            encoded(n_units=1),
            Encoded(CodedRows(data.rows.codes[:, :0], data.rows.unit[:0]), data.attributes, 3, 3.0, (0, 1, 2)),
        )
        data = Encoded(CodedRows(data.rows.codes, data.rows.unit), data.attributes, 3, 3.0, (0, 1, 2))
    record = RecordingMechanisms(3)
    first = generator.fit(data, record, plan_for(generator), rng=np.random.default_rng(0))
    replay = ReplayMechanisms(record)
    second = generator.fit(other, replay, plan_for(generator), rng=np.random.default_rng(0))
    assert replay.violations() == []
    assert all(np.array_equal(array, second.tensors()[name]) for name, array in first.tensors().items())
    assert any(call.public[2] == "training" for call in replay.calls)


def test_what_a_row_draws_depends_on_itself_and_the_step_alone():
    coins = RowCoins(3, np.random.default_rng(0))
    codes = torch.from_numpy(np.random.default_rng(1).integers(0, 30, (20_000, 3)))
    found = coins.choose(codes, 4, 16)
    assert torch.equal(coins.choose(codes[100:101], 4, 16), found[100:101])
    assert (coins.choose(codes, 5, 16) != found).float().mean() > 0.8
    shares = np.bincount(found.numpy(), minlength=16) / len(codes)
    assert np.abs(shares - 1 / 16).max() < 0.012, "some seven standard deviations of uniform draws"


def test_the_threshold_is_a_multiple_of_the_median_norm():
    model = network()
    codes = public_rows([np.full(s, 1 / s) for s in SIZES], 101, np.random.default_rng(0))
    norms = [np.linalg.norm(unit_gradient(model, torch.from_numpy(row[None]))) for row in codes]
    clip = clip_threshold(model, codes, losses_of, factor=0.5, max_rows_per_unit=4)
    assert clip == pytest.approx(0.5 * 2.0 * np.median(norms))


def test_the_prior_has_the_moments_of_the_points():
    points = torch.from_numpy(np.random.default_rng(0).multivariate_normal([1, 0], [[1, 0.6], [0.6, 0.5]], 1_000))
    data = encoded(n_units=1_000, k=1)
    find = lambda codes: points[: len(codes)]  # noqa: E731
    plan = plan_for(TvaeGenerator())
    mean, root = buy_prior(data, find, ExactMechanisms(), plan, latent=2, radius=8.0)
    assert np.allclose(mean, points.numpy().mean(axis=0), atol=0.03)
    assert np.allclose(root @ root.T, np.cov(points.numpy().T), atol=0.05)


def test_points_far_out_or_not_finite_count_no_more_than_the_radius():
    data, plan = encoded(n_units=2, k=1), plan_for(TvaeGenerator())
    mechanisms = ExactMechanisms()
    far = torch.tensor([[1e30, 0.0], [float("nan"), 1.0]], dtype=torch.float64)
    buy_prior(data, lambda codes: far, mechanisms, plan, latent=2, radius=6.0)
    for call in mechanisms.calls:
        assert 0 < np.linalg.norm(call.given) <= call.l2_sensitivity


def test_it_learns_a_pair_without_noise():
    """The second attribute equals the first in nine rows of ten; were they independent, in one of three."""
    data = encoded(n_units=300, k=1)
    generator = TvaeGenerator(latent=4, learning_rate=0.01)
    model = generator.fit(data, Long(150), plan_for(generator), rng=np.random.default_rng(0))
    rows = model.sample_codes(3_000, np.random.default_rng(2))
    assert (rows[0] == rows[1]).mean() > 0.6
    assert not any("encoder" in name for name in model.tensors())


def test_codes_are_drawn_from_the_softmax():
    logits = np.log(np.array([[0.2, 0.5, 0.3, 0.9, 0.1]])).repeat(20_000, axis=0)
    rows = draw_codes(logits, (3, 2), (True, False), np.random.default_rng(0))
    assert np.bincount(rows[0]) / 20_000 == pytest.approx([0.2 / 0.7, 0.5 / 0.7], abs=0.02)
    assert rows[1].mean() == pytest.approx(0.1, abs=0.012)

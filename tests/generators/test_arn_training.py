"""DP-SGD of `arn`: what each unit adds is clipped, the noise is ours and of the right size, nothing else is seen."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from doubles import ExactMechanisms, RecordingMechanisms, ReplayMechanisms, SeededBits
from scipy import stats

from privsynth.encoding.codecs import Attribute
from privsynth.errors import BudgetExceeded
from privsynth.generators.arn import dpsgd
from privsynth.generators.arn.adapter import adapt, clip_threshold
from privsynth.generators.arn.bookkeeping import BookKeepingModule
from privsynth.generators.arn.dpsgd import SecureOptimizer, TrainSettings, Units, clipped_sum, train
from privsynth.generators.arn.network import LAYERS, Network, encode, random_known, row_losses
from privsynth.generators.arn.warm import layer_gradients
from privsynth.generators.encoded import Encoded
from privsynth.privacy.budget import Bill, Budget, TrainingSpec, plan_spending
from privsynth.privacy.mechanisms import GaussianMechanisms
from privsynth.randomness import KeyedFunction

SIZES = (3, 4, 2)
ORDER = (0, 1, 2)
RANKS = {"first": (5, 3), "middle": (4, 4), "last": (4, 6)}


def adapted_network(seed: int = 0, width: int = 8):
    """Return a small network with cores, all in double precision and with cores away from zero."""
    rng = np.random.default_rng(seed)
    network = Network(SIZES, width, rng=rng, shares=[np.full(s, 1 / s) for s in SIZES]).double()
    with torch.no_grad():
        network.last.weight.copy_(torch.from_numpy(rng.standard_normal((sum(SIZES), width)) * 0.3))
    codes = np.stack([rng.integers(0, s, 500) for s in SIZES]).astype(np.uint16)
    seen = layer_gradients(network, codes, ORDER, rng)
    adapted = adapt(network, seen, RANKS)
    with torch.no_grad():
        for core in adapted.parameters():
            core.copy_(torch.from_numpy(rng.standard_normal(tuple(core.shape)) * 0.05))
    return network, adapted, clip_threshold(adapted, seen, factor=1.0, max_rows_per_unit=1)


def encoded(n_units: int, k: int = 1, seed: int = 1, n_rows: float | None = None) -> Encoded:
    """Return rows of units that have 1 … k of them."""
    rng = np.random.default_rng(seed)
    unit = np.repeat(np.arange(n_units), rng.integers(1, k + 1, n_units)) if n_units else np.zeros(0, dtype=np.int64)
    codes = np.stack([rng.integers(0, s, len(unit)) for s in SIZES]).astype(np.uint16)
    attributes = tuple(Attribute(f"a{i}", s, True, False) for i, s in enumerate(SIZES))
    return Encoded(codes, unit, attributes, k, n_rows if n_rows is not None else float(len(unit)), (0, 1, 2))


def module_of(adapted, clip: float) -> BookKeepingModule:
    module = BookKeepingModule(adapted, clip=clip)
    module.train()
    return module


def flat_gradient(module) -> np.ndarray:
    return torch.cat([p.grad.reshape(-1) for p in module.parameters()]).numpy().copy()


def gradient_of_unit(adapted, codes, known) -> np.ndarray:
    """Return the gradient of one unit's rows, plainly: one row at a time, no hooks."""
    adapted.zero_grad(set_to_none=True)
    for row, flags in zip(codes, known, strict=True):
        logits = adapted(encode(row[None], flags[None], SIZES, torch.float64))
        row_losses(logits, row[None], flags[None], SIZES).sum().backward()
    return flat_gradient(adapted)


@pytest.mark.parametrize("k", [1, 3])
def test_clipped_sum_is_the_sum_of_clipped_units(k):
    _, adapted, _ = adapted_network()
    data = encoded(20, k)
    units = Units.of(data)
    codes, present = units.take(np.arange(20))
    known = torch.from_numpy(
        random_known(np.random.default_rng(3).random((codes[..., 0].numel(), 5)), ORDER).reshape(codes.shape)
    )
    parts = [gradient_of_unit(adapted, codes[u][present[u]], known[u][present[u]]) for u in range(20)]
    norms = np.array([np.linalg.norm(part) for part in parts])
    clip = float(np.median(norms))
    assert (norms > clip).any()
    assert (norms < clip).any(), "the test needs units on both sides of the threshold"
    assert k == 1 or not bool(present.all()), "the test needs rows that are not there"
    expected = sum(part * min(1.0, clip * (1 - 1e-6) / norm) for part, norm in zip(parts, norms, strict=True))
    clipped_sum(module_of(adapted, clip), SIZES, codes, present, known)
    assert np.allclose(flat_gradient(adapted), expected, rtol=1e-10, atol=1e-10)


def test_one_unit_never_adds_more_than_the_threshold():
    _, adapted, clip = adapted_network()
    codes, present = Units.of(encoded(12, 3)).take(np.arange(12))
    known = torch.zeros(codes.shape, dtype=torch.bool)
    module = module_of(adapted, clip / 50)
    for u in range(12):
        clipped_sum(module, SIZES, codes[u : u + 1], present[u : u + 1], known[u : u + 1])
        assert 0 < np.linalg.norm(flat_gradient(adapted)) <= clip / 50


def test_a_unit_without_finite_gradient_has_no_effect(monkeypatch):
    _, adapted, clip = adapted_network()
    codes, present = Units.of(encoded(10, 2)).take(np.arange(10))
    known = torch.zeros(codes.shape, dtype=torch.bool)
    module = module_of(adapted, clip)
    clipped_sum(module, SIZES, codes[1:], present[1:], known[1:])
    without = flat_gradient(adapted)
    real = dpsgd.unit_losses

    def poisoned(module, sizes, c, *rest):
        losses = real(module, sizes, c, *rest)
        bad = (c == codes[0]).all(dim=2).all(dim=1) if c.shape[1:] == codes.shape[1:] else torch.zeros(len(c)).bool()
        return losses * torch.where(bad, math.nan, 1.0)

    monkeypatch.setattr(dpsgd, "unit_losses", poisoned)
    same = (codes == codes[0]).all(dim=2).all(dim=1)
    assert int(same.sum()) == 1
    clipped_sum(module, SIZES, codes, present, known)
    assert np.allclose(flat_gradient(adapted), without, rtol=1e-12, atol=1e-12)


def test_nobody_in_the_sample_gives_zeros():
    _, adapted, clip = adapted_network()
    codes, present = Units.of(encoded(3)).take(np.arange(3))
    clipped_sum(module_of(adapted, clip), SIZES, codes[:0], present[:0], torch.zeros(codes[:0].shape, dtype=torch.bool))
    assert not flat_gradient(adapted).any()


class _Sigma:
    """Noise of a run with a wrong or right size."""

    def __init__(self, noise, factor: float) -> None:
        self.noise, self.factor = noise, factor
        self.steps, self.sampling_probability = noise.steps, noise.sampling_probability
        self.noise_multiplier = noise.noise_multiplier

    def mask(self, n_units):
        return self.noise.mask(n_units)

    def add(self, sums, *, l2_sensitivity):
        return self.noise.add(sums, l2_sensitivity=l2_sensitivity * self.factor)


def paid_noise(steps: int = 2, epsilon: float = 1.0, seed: int = 11):
    plan = plan_spending(
        Budget(epsilon=epsilon),
        {"one_way": 1.0},
        open_domain=False,
        training=TrainingSpec(share=0.4, sampling_probability=1 / 4, steps=steps),
    )
    return GaussianMechanisms(Bill(plan), SeededBits(seed)).training(clip=1.0, label="test")


@pytest.mark.parametrize(("factor", "accepted"), [(1.0, True), (0.8, False), (1.25, False)])
def test_noise_of_one_step_has_the_right_scale(factor, accepted):
    """One step with zero gradients, 20,000 parameters: Kolmogorov–Smirnov at 1e-4, the rate of false alarms."""
    parameter = torch.nn.Parameter(torch.zeros(20_000, dtype=torch.float64))
    noise = _Sigma(paid_noise(), factor)
    clip, expected = 3.0, 50.0
    optimizer = SecureOptimizer(torch.optim.SGD([parameter], lr=1.0), noise=noise, clip=clip, expected_batch=expected)
    noise.mask(0)
    parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    drawn = -parameter.detach().numpy() * expected
    sigma = noise.noise_multiplier * clip
    assert bool(stats.kstest(drawn / sigma, "norm").pvalue > 1e-4) == accepted
    assert optimizer.sensitivity * optimizer.grid_step < 1.01 * clip, "the slack for rounding is below one per cent"


def test_opacus_own_noise_is_never_used():
    parameter = torch.nn.Parameter(torch.zeros(5, dtype=torch.float64))
    noise = ExactMechanisms().training(clip=1.0, label="test")
    optimizer = SecureOptimizer(torch.optim.SGD([parameter], lr=1.0), noise=noise, clip=1.0, expected_batch=1.0)
    noise.mask(0)
    parameter.grad = torch.full_like(parameter, 0.125)
    optimizer.step()
    assert np.allclose(parameter.detach().numpy(), -0.125, atol=1e-3)
    optimizer.noise_multiplier = 0.0
    parameter.grad = torch.zeros_like(parameter)
    with pytest.raises(RuntimeError, match="noise multiplier"):
        optimizer.step()


def test_a_sum_that_is_not_finite_does_not_leave():
    parameter = torch.nn.Parameter(torch.zeros(3, dtype=torch.float64))
    noise = ExactMechanisms().training(clip=1.0, label="test")
    optimizer = SecureOptimizer(torch.optim.SGD([parameter], lr=1.0), noise=noise, clip=1.0, expected_batch=1.0)
    noise.mask(0)
    parameter.grad = torch.tensor([math.nan, math.inf, 0.25], dtype=torch.float64)
    optimizer.step()
    assert np.allclose(parameter.detach().numpy(), [0.0, 0.0, -0.25], atol=1e-3)


class _Counted:
    """Count what is asked of a run."""

    def __init__(self, noise) -> None:
        self.noise, self.masks, self.sums = noise, 0, []
        self.steps, self.sampling_probability = noise.steps, noise.sampling_probability
        self.noise_multiplier = noise.noise_multiplier

    def mask(self, n_units):
        self.masks += 1
        return self.noise.mask(n_units)

    def add(self, sums, *, l2_sensitivity):
        self.sums.append(sums)
        return self.noise.add(sums, l2_sensitivity=l2_sensitivity)


@pytest.mark.parametrize("n_units", [0, 1, 40])
def test_every_step_takes_one_sample_and_adds_noise_once(n_units):
    _, adapted, clip = adapted_network()
    noise = _Counted(paid_noise(steps=6))
    before = [p.detach().clone() for p in adapted.parameters()]
    train(adapted, encoded(n_units, n_rows=10.0), noise, clip=clip, order=ORDER, settings=TrainSettings())
    assert noise.masks == len(noise.sums) == 6
    assert n_units or not any(s.any() for s in noise.sums)
    assert all((a != b).any() for a, b in zip(before, adapted.parameters(), strict=True)), "noise moves every core"
    with pytest.raises(BudgetExceeded):
        noise.noise.mask(1)


def test_the_divisor_is_the_paid_number_of_rows():
    """Twice the paid rows, half the step: the true number of rows enters nowhere."""
    moved = []
    for n_rows in (1_000.0, 2_000.0):
        _, adapted, clip = adapted_network()
        start = torch.cat([p.detach().reshape(-1).clone() for p in adapted.parameters()])
        noise = ExactMechanisms().training(clip=clip, label="test")
        noise.steps = 1
        data = encoded(30, n_rows=n_rows)
        coins = KeyedFunction()
        coins._key = b"k" * 32
        train(adapted, data, noise, clip=clip, order=ORDER, settings=TrainSettings(), coins=coins)
        moved.append(torch.cat([p.detach().reshape(-1) for p in adapted.parameters()]) - start)
    assert torch.allclose(moved[0], 2 * moved[1], rtol=1e-9, atol=1e-12)


def test_a_neighbour_moves_each_sum_by_at_most_the_sensitivity():
    big = encoded(40, 3)
    fewer = big.unit < 39
    small = Encoded(big.codes[:, fewer], big.unit[fewer], big.attributes, 3, big.n_rows, big.columns)
    assert int(fewer.sum()) < big.codes.shape[1]
    record = RecordingMechanisms()
    moved = []
    for data, mechanisms in ((small, record), (big, ReplayMechanisms(record))):
        _, adapted, clip = adapted_network()
        coins = KeyedFunction()
        coins._key = b"k" * 32
        noise = mechanisms.training(clip=clip / 2, label="test")
        train(adapted, data, noise, clip=clip / 2, order=ORDER, settings=TrainSettings(), coins=coins)
        if isinstance(mechanisms, ReplayMechanisms):
            assert mechanisms.violations() == []
            moved = [np.abs(a.given - b.given).sum() for a, b in zip(mechanisms.calls, record.calls, strict=True)]
    assert any(moved), "the neighbour's unit was in no sample; the test proves nothing"


def test_torch_randomness_is_neither_used_nor_moved():
    results = []
    for _ in range(2):
        torch.manual_seed(5)
        state = torch.get_rng_state()
        _, adapted, clip = adapted_network()
        plan = plan_spending(
            Budget(epsilon=1.0),
            {"one_way": 1.0},
            open_domain=False,
            training=TrainingSpec(share=0.4, sampling_probability=1 / 4, steps=2),
        )
        noise = GaussianMechanisms(Bill(plan)).training(clip=clip, label="test")
        train(adapted, encoded(20), noise, clip=clip, order=ORDER, settings=TrainSettings())
        assert torch.equal(torch.get_rng_state(), state)
        results.append(torch.cat([p.detach().reshape(-1) for p in adapted.parameters()]))
    assert not torch.equal(*results), "the noise must not be repeatable by a seed"


def test_nothing_of_a_unit_stays_on_the_module():
    _, adapted, clip = adapted_network()
    train(adapted, encoded(20), paid_noise(), clip=clip, order=ORDER, settings=TrainSettings())
    names = {"grad_sample", "summed_grad", "_norm_sample", "_forward_counter", "activations", "max_batch_len"}
    for thing in (*adapted.modules(), *adapted.parameters()):
        assert not names & set(vars(thing))
        assert not getattr(thing, "_forward_hooks", None)
        assert not getattr(thing, "_backward_hooks", None)
    assert all(p.grad is None for p in adapted.parameters())


def test_the_adapted_network_is_the_network_until_the_cores_move():
    network, adapted, _ = adapted_network()
    codes = torch.from_numpy(encoded(30).codes.astype(np.int64).T.copy())
    inputs = encode(codes, torch.ones(codes.shape, dtype=torch.bool), SIZES, torch.float64)
    moved = adapted(inputs)
    assert not torch.allclose(network(inputs), moved)
    adapted.merge_into(network)
    assert torch.allclose(network(inputs), moved, atol=1e-12)
    assert [name for name, _ in network.named_children()] == list(LAYERS)


def test_a_second_accountant_agrees():
    """Opacus' PRV accountant on every event of a plan: within one per cent of ours."""
    from opacus.accountants import PRVAccountant

    from privsynth.generators.arn.generator import GENERATOR
    from privsynth.privacy.accounting import SubsampledGaussianEvent, epsilon_of

    plan = plan_spending(
        Budget(epsilon=2.0), {"one_way": 0.3, "measurement": 0.7}, open_domain=False, training=GENERATOR.training_spec()
    )
    accountant = PRVAccountant()
    accountant.history = [
        (e.noise_multiplier, e.sampling_probability, e.steps)
        if isinstance(e, SubsampledGaussianEvent)
        else (e.noise_multiplier, 1.0, 1)
        for e in plan.events()
    ]
    assert len(accountant.history) == 3
    theirs = accountant.get_epsilon(delta=plan.gaussian_delta, eps_error=0.005, delta_error=1e-9)
    ours = epsilon_of(plan.events(), plan.gaussian_delta)
    assert ours == pytest.approx(theirs, rel=0.01)
    assert ours <= 2.0

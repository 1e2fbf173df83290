"""DP-SGD of `arn`: what each unit adds is clipped, the noise is ours and of the right size, nothing else is seen."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from doubles import ExactMechanisms, RecordingMechanisms, ReplayMechanisms, SeededBits
from scipy import stats

from privsynth.codecs.columns import Attribute
from privsynth.codecs.encoded_table import CodedRows, Encoded
from privsynth.errors import BudgetExceeded
from privsynth.generators.arn import training as dpsgd
from privsynth.generators.arn.interaction_layers import Head
from privsynth.generators.arn.interactions import attribute_scores, choose_terms
from privsynth.generators.arn.network import Network, encode, prefix_logits
from privsynth.generators.arn.training import (
    BaseLogits,
    SoftThreshold,
    TrainSettings,
    clip_threshold,
    clipped_sum,
    number_of_coefficients,
    train,
)
from privsynth.generators.dpsgd.optimizer import SecureOptimizer, Units
from privsynth.generators.dpsgd.per_unit_gradients import BookKeepingModule
from privsynth.privacy.accounting import SubsampledGaussianEvent
from privsynth.privacy.budget import Bill, Budget, TrainingSpec, plan_spending
from privsynth.privacy.mechanisms import GaussianMechanisms

SIZES = (3, 4, 2, 3)
ORDER = (1, 0, 2, 3)
KEEP_ALL = TrainSettings(threshold=0.0)


def network_and_head(seed: int = 0, width: int = 8, *, moved: bool = True) -> tuple[Network, Head, float]:
    """Return a small network and a head, in double precision, and a threshold; coefficients away from zero if moved."""
    rng = np.random.default_rng(seed)
    network = Network(SIZES, width, rng=rng, shares=[np.full(s, 1 / s) for s in SIZES]).double()
    with torch.no_grad():
        network.last.weight.copy_(torch.from_numpy(rng.standard_normal((sum(SIZES), width)) * 0.3))
    codes = np.stack([rng.integers(0, s, 500) for s in SIZES]).astype(np.uint16)
    scores, owner, association = attribute_scores(codes, SIZES)
    head = Head(SIZES, ORDER, scores, owner, choose_terms(owner, association, ORDER, most=200, rng=rng))
    rows = torch.from_numpy(codes.astype(np.int64).T.copy())
    clip = clip_threshold(head, prefix_logits(network, rows, ORDER), rows, factor=1.0, max_rows_per_unit=1)
    if moved:
        with torch.no_grad():
            for weight in head.parameters():
                weight.copy_(torch.from_numpy(rng.standard_normal(tuple(weight.shape)) * 0.05))
    return network, head, clip


def encoded(n_units: int, k: int = 1, seed: int = 1, n_rows: float | None = None) -> Encoded:
    """Return rows of units that have 1 … k of them."""
    rng = np.random.default_rng(seed)
    unit = np.repeat(np.arange(n_units), rng.integers(1, k + 1, n_units)) if n_units else np.zeros(0, dtype=np.int64)
    codes = np.stack([rng.integers(0, s, len(unit)) for s in SIZES]).astype(np.uint16)
    attributes = tuple(Attribute(f"a{i}", s, True, False) for i, s in enumerate(SIZES))
    return Encoded(
        CodedRows(codes, unit), attributes, k, n_rows if n_rows is not None else float(len(unit)), (0, 1, 2, 3)
    )


def module_of(head: Head, clip: float) -> BookKeepingModule:
    module = BookKeepingModule(head, clip=clip)
    module.train()
    return module


def flat_gradient(module) -> np.ndarray:
    return torch.cat([p.grad.reshape(-1) for p in module.parameters()]).numpy().copy()


def gradient_of_unit(network: Network, head: Head, codes: torch.Tensor) -> np.ndarray:
    """Return the gradient of one unit's rows (rows, attributes), plainly: one row at a time, no hooks."""
    head.zero_grad(set_to_none=True)
    for row in codes:
        logits = head(prefix_logits(network, row[None], ORDER), row[None])[0]
        loss = sum(
            part.logsumexp(0) - part[code]
            for part, code in zip(torch.split(logits, list(SIZES)), row.tolist(), strict=True)
        )
        loss.backward()
    return flat_gradient(head)


def taken(network: Network, data: Encoded, count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return base logits, codes and flags of the first units."""
    units = Units.of(data)
    place, present = units.take(np.arange(count))
    return BaseLogits(network, ORDER, units).take(place), units.codes[torch.from_numpy(place)], present


@pytest.mark.parametrize("k", [1, 3])
def test_clipped_sum_is_the_sum_of_clipped_units(k):
    network, head, _ = network_and_head()
    base, codes, present = taken(network, encoded(20, k), 20)
    parts = [gradient_of_unit(network, head, codes[u][present[u]]) for u in range(20)]
    norms = np.array([np.linalg.norm(part) for part in parts])
    clip = float(np.median(norms))
    assert (norms > clip).any()
    assert (norms < clip).any(), "the test needs units on both sides of the threshold"
    assert k == 1 or not bool(present.all()), "the test needs rows that are not there"
    expected = sum(part * min(1.0, clip * (1 - 1e-6) / norm) for part, norm in zip(parts, norms, strict=True))
    clipped_sum(module_of(head, clip), SIZES, base, codes, present)
    assert np.allclose(flat_gradient(head), expected, rtol=1e-10, atol=1e-10)


def test_logits_that_are_not_kept_are_the_same(monkeypatch):
    network, _, _ = network_and_head()
    kept = taken(network, encoded(20, 3), 20)[0]
    monkeypatch.setattr(dpsgd, "_CACHED_NUMBERS", 10)
    assert torch.allclose(taken(network, encoded(20, 3), 20)[0], kept, rtol=1e-12)


def test_base_logits_are_those_given_the_attributes_before():
    network, _, _ = network_and_head()
    codes = torch.from_numpy(encoded(9).rows.codes.astype(np.int64).T.copy())
    found = torch.split(prefix_logits(network, codes, ORDER), list(SIZES), dim=1)
    known = torch.zeros(codes.shape, dtype=torch.bool)
    for attribute in ORDER:
        logits = network(encode(codes, known, SIZES, torch.float64))
        assert torch.allclose(found[attribute], torch.split(logits, list(SIZES), dim=1)[attribute])
        known[:, attribute] = True


def test_one_unit_never_adds_more_than_the_threshold():
    network, head, clip = network_and_head()
    base, codes, present = taken(network, encoded(12, 3), 12)
    module = module_of(head, clip / 50)
    for u in range(12):
        clipped_sum(module, SIZES, base[u : u + 1], codes[u : u + 1], present[u : u + 1])
        assert 0 < np.linalg.norm(flat_gradient(head)) <= clip / 50


def test_a_unit_without_finite_gradient_has_no_effect():
    network, head, clip = network_and_head()
    base, codes, present = taken(network, encoded(10, 2), 10)
    module = module_of(head, clip)
    clipped_sum(module, SIZES, base[1:], codes[1:], present[1:])
    without = flat_gradient(head)
    assert without.any()
    base[0] = math.nan
    clipped_sum(module, SIZES, base, codes, present)
    assert np.allclose(flat_gradient(head), without, rtol=1e-12, atol=1e-12)


def test_nobody_in_the_sample_gives_zeros():
    network, head, clip = network_and_head()
    base, codes, present = taken(network, encoded(3), 3)
    clipped_sum(module_of(head, clip), SIZES, base[:0], codes[:0], present[:0])
    assert not flat_gradient(head).any()


def test_a_coefficient_moves_only_beyond_the_noise():
    """One step of ways 0.5, 1.5 and −3 standard deviations at a threshold of one."""
    parameter = torch.nn.Parameter(torch.zeros(3, dtype=torch.float64))
    optimizer = SoftThreshold([parameter], learning_rate=2.0, sigma=0.1, threshold=1.0)
    parameter.grad = torch.tensor([0.05, 0.15, -0.3], dtype=torch.float64)
    optimizer.step()
    assert parameter.detach().numpy() == pytest.approx([0.0, -0.1, 0.4])
    for _ in range(3):  # the noise in the way grows with the root of the steps, the signal with their number
        optimizer.step()
    assert parameter.detach().numpy() == pytest.approx([0.0, -0.8, 2.0])


def test_more_budget_and_more_rows_afford_more_coefficients():
    weak, strong = (SubsampledGaussianEvent(noise_multiplier=s, sampling_probability=0.25, steps=16) for s in (20, 4))
    settings = TrainSettings()
    numbers = [number_of_coefficients(event, n, settings) for event, n in ((weak, 3e4), (strong, 3e4), (strong, 3e6))]
    assert numbers == [1_500, 7_500, settings.most]
    assert number_of_coefficients(weak, 100.0, settings) == 256


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


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_parts_of_a_batch_are_added_and_nothing_stays_for_the_next_step(dtype):
    first, second = (torch.nn.Parameter(torch.zeros(size, dtype=dtype)) for size in ((2, 3), (4,)))
    noise = ExactMechanisms().training(clip=1.0, label="test")
    optimizer = SecureOptimizer(torch.optim.SGD([first, second], lr=1.0), noise=noise, clip=1.0, expected_batch=2.0)
    for step in (1, 2):
        optimizer.zero_grad()
        noise.mask(0)
        first.grad, second.grad = torch.full_like(first, 0.25), torch.full_like(second, 0.5)
        optimizer.accumulate()
        first.grad, second.grad = torch.full_like(first, 0.5), None  # a parameter that took no part
        optimizer.step()
        assert np.allclose(first.detach().numpy(), -0.375 * step, atol=2e-3)
        assert np.allclose(second.detach().numpy(), -0.25 * step, atol=2e-3)
    assert first.grad.dtype == dtype


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
    network, head, clip = network_and_head()
    noise = _Counted(paid_noise(steps=6))
    before = [p.detach().clone() for p in head.parameters()]
    train(head, network, encoded(n_units, n_rows=10.0), noise, clip=clip, order=ORDER, settings=KEEP_ALL)
    assert noise.masks == len(noise.sums) == 6
    assert n_units or not any(s.any() for s in noise.sums)
    assert all((a != b).any() for a, b in zip(before, head.parameters(), strict=True)), "noise moves every layer"
    with pytest.raises(BudgetExceeded):
        noise.noise.mask(1)


def test_the_divisor_is_the_paid_number_of_rows():
    """Twice the paid rows, half the step: the true number of rows enters nowhere."""
    moved = []
    for n_rows in (1_000.0, 2_000.0):
        network, head, clip = network_and_head(moved=False)
        noise = ExactMechanisms().training(clip=clip, label="test")
        noise.steps = 1
        train(head, network, encoded(30, n_rows=n_rows), noise, clip=clip, order=ORDER, settings=KEEP_ALL)
        moved.append(torch.cat([p.detach().reshape(-1) for p in head.parameters()]))
    assert moved[0].any()
    assert torch.allclose(moved[0], 2 * moved[1], rtol=1e-9, atol=1e-12)


def test_a_neighbour_moves_each_sum_by_at_most_the_sensitivity():
    big = encoded(40, 3)
    fewer = big.rows.unit < 39
    small = Encoded(
        CodedRows(big.rows.codes[:, fewer], big.rows.unit[fewer]), big.attributes, 3, big.n_rows, big.columns
    )
    assert int(fewer.sum()) < big.rows.codes.shape[1]
    record = RecordingMechanisms()
    moved = []
    for data, mechanisms in ((small, record), (big, ReplayMechanisms(record))):
        network, head, clip = network_and_head()
        noise = mechanisms.training(clip=clip / 2, label="test")
        train(head, network, data, noise, clip=clip / 2, order=ORDER, settings=TrainSettings())
        if isinstance(mechanisms, ReplayMechanisms):
            assert mechanisms.violations() == []
            moved = [np.abs(a.given - b.given).sum() for a, b in zip(mechanisms.calls, record.calls, strict=True)]
    assert any(moved), "the neighbour's unit was in no sample; the test proves nothing"


def test_torch_randomness_is_neither_used_nor_moved():
    results = []
    for _ in range(2):
        torch.manual_seed(5)
        state = torch.get_rng_state()
        network, head, clip = network_and_head()
        plan = plan_spending(
            Budget(epsilon=1.0),
            {"one_way": 1.0},
            open_domain=False,
            training=TrainingSpec(share=0.4, sampling_probability=1 / 4, steps=2),
        )
        noise = GaussianMechanisms(Bill(plan)).training(clip=clip, label="test")
        train(head, network, encoded(20), noise, clip=clip, order=ORDER, settings=KEEP_ALL)
        assert torch.equal(torch.get_rng_state(), state)
        results.append(torch.cat([p.detach().reshape(-1) for p in head.parameters()]))
    assert not torch.equal(*results), "the noise must not be repeatable by a seed"


def test_nothing_of_a_unit_stays_on_the_module():
    network, head, clip = network_and_head()
    train(head, network, encoded(20), paid_noise(), clip=clip, order=ORDER, settings=TrainSettings())
    names = {
        "grad_sample",
        "summed_grad",
        "_norm_sample",
        "_forward_counter",
        "activations",
        "max_batch_len",
        "_records",
    }
    for thing in (*head.modules(), *head.parameters()):
        assert not names & set(vars(thing))
        assert not getattr(thing, "_forward_hooks", None)
        assert not getattr(thing, "_backward_hooks", None)
    assert all(p.grad is None for p in head.parameters())


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

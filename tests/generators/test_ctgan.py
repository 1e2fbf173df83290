"""`ctgan`: conditions come from noisy counts, the critic sees rows one by one, and only the generator is kept."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from doubles import ExactMechanisms

from privsynth.codecs.columns import Attribute
from privsynth.codecs.encoded_table import CodedRows, Encoded
from privsynth.generators.ctgan import generator as module
from privsynth.generators.ctgan.adversary import Critic, real_losses
from privsynth.generators.ctgan.fitted import draw_conditions
from privsynth.generators.ctgan.generator import CtganGenerator
from privsynth.privacy.accounting import SubsampledGaussianEvent
from privsynth.privacy.budget import Bill, Budget, SpendingPlan
from privsynth.privacy.mechanisms import GaussianMechanisms, Noisy

SIZES = (3, 2)
SMALL = CtganGenerator(generated=64, hidden=32, noise=8)
EVENT = SubsampledGaussianEvent(noise_multiplier=1.0, sampling_probability=0.5, steps=3)
PLAN = SpendingPlan(
    budget=Budget(epsilon=3.0), parts={"one_way": 0.5, "selection": 0.1, "measurement": 1.0}, training=EVENT
)


def encoded(n=200) -> Encoded:
    """Return rows whose second code tells whether the first is 0."""
    first = np.random.default_rng(0).integers(0, 3, n)
    codes = np.stack([first, first == 0]).astype(np.uint16)
    attributes = tuple(Attribute(f"a{i}", s, True, False) for i, s in enumerate(SIZES))
    return Encoded(CodedRows(codes, np.arange(n)), attributes, 1, float(n), (0, 1))


def test_conditions_follow_the_shares_they_are_given():
    shares = np.array([0.1, 0.2, 0.7, 0.4, 0.6])
    attribute, place = draw_conditions(shares, SIZES, 40_000, np.random.default_rng(0))
    assert np.bincount(attribute) / 40_000 == pytest.approx([0.5, 0.5], abs=0.012)
    expected = np.array([0.05, 0.1, 0.35, 0.2, 0.3])
    assert np.bincount(place, minlength=5) / 40_000 == pytest.approx(expected, abs=0.012)
    assert ((place >= 3) == (attribute == 1)).all()


class Contrary(ExactMechanisms):
    """One-way counts that have nothing to do with the rows."""

    def gaussian(self, values, *, part, label, **told):
        found = super().gaussian(values, part=part, label=label, **told)
        if part != "one_way":
            return found
        counts = np.zeros_like(values)
        counts[-1] = 200
        return Noisy(counts, found.sigma)


def test_conditions_come_from_paid_counts_alone(monkeypatch):
    """No row has the last code. If the counts that were paid say that all have, every condition must be the last code:
    in training and in what is released.
    """
    seen = []
    real = draw_conditions
    monkeypatch.setattr(module, "draw_conditions", lambda *told: seen.append(real(*told)) or seen[-1])
    fitted = SMALL.fit(encoded(), Contrary(), PLAN, rng=np.random.default_rng(0))
    assert seen
    fitted.sample_codes(50, np.random.default_rng(0))
    assert all(np.isin(place, [2, 4]).all() for _, place in seen)
    assert fitted.shares.tolist() == [0, 0, 1, 0, 1]


def test_a_real_row_is_shown_with_its_own_code_and_without_its_neighbours():
    critic = Critic(SIZES, hidden=8, rng=np.random.default_rng(0))
    codes = torch.tensor([[[0, 1]], [[2, 0]], [[1, 1]]])
    shown = torch.tensor([[0], [1], [1]])
    together = real_losses(critic, codes, shown, SIZES)
    for i in range(3):
        alone = real_losses(critic, codes[i : i + 1], shown[i : i + 1], SIZES)
        assert torch.allclose(alone, together[i : i + 1], rtol=0, atol=1e-12)
    plain = torch.tensor([[1.0, 0, 0, 0, 1, 1, 0, 0, 0, 0]], dtype=torch.float64)
    expected = -critic(plain)
    assert torch.allclose(real_losses(critic, codes[:1], shown[:1], SIZES)[0], expected)


def test_the_critic_is_limited_after_any_step():
    critic = Critic((40, 30), hidden=16, rng=np.random.default_rng(0))
    rng = np.random.default_rng(1)
    for _ in range(30):
        with torch.no_grad():
            for parameter in critic.parameters():
                parameter += torch.from_numpy(rng.standard_normal(tuple(parameter.shape))) * 0.01
        critic.limit()
    norms = [float(torch.linalg.matrix_norm(layer.weight.detach(), 2)) for layer in critic.body.linears]
    assert max(norms) < 1.1


def test_only_the_generator_is_kept_and_what_is_not_needed_is_not_spent():
    bill = Bill(PLAN)
    fitted = SMALL.fit(encoded(), GaussianMechanisms(bill), PLAN, rng=np.random.default_rng(0))
    assert {name.split(".")[0] for name in fitted.tensors()} == {"generator", "shares"}
    assert {spend.part for spend in bill.spends} == {"one_way", "training"}


class Everyone:
    """Training without noise, in which every unit is in every sample."""

    steps, sampling_probability, noise_multiplier = 300, 1.0, 1.0

    def mask(self, n_units):
        return np.ones(n_units, dtype=bool)

    def add(self, sums, *, l2_sensitivity):
        return sums


class Long(ExactMechanisms):
    """Exact answers, and a training that is long enough to learn something."""

    def training(self, *, clip, label):
        return Everyone()


@pytest.mark.slow
def test_it_learns_a_pair_without_noise():
    """The second code tells whether the first is 0 in all rows; were they independent, in 5 of 9."""
    fitted = SMALL.fit(encoded(), Long(), PLAN, rng=np.random.default_rng(0))
    rows = fitted.sample_codes(3_000, np.random.default_rng(1))
    assert ((rows[0] == 0) == (rows[1] == 1)).mean() > 0.75


def test_there_is_no_layer_that_mixes_rows():
    critic = Critic(SIZES, hidden=8, rng=np.random.default_rng(0))
    kinds = {type(layer) for layer in critic.modules() if not list(layer.children())}
    assert kinds == {torch.nn.Linear}
    assert list(critic.buffers()) == []

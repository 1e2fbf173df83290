"""Book-keeping against one unit at a time: each unit's gradient by autograd on that unit alone, in double precision."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from privsynth.generators.dpsgd import per_unit_gradients
from privsynth.generators.dpsgd.per_unit_gradients import BookKeepingModule, gram_is_cheaper, squared_norms

WIDTH, OUT = 9, 5


def network(seed: int = 0, bias: bool = True) -> nn.Sequential:
    torch_rng = torch.Generator().manual_seed(seed)
    layers = [nn.Linear(a, b, bias=bias, dtype=torch.float64) for a, b in ((WIDTH, 7), (7, 7), (7, OUT))]
    with torch.no_grad():
        for layer in layers:
            for parameter in layer.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=torch_rng, dtype=torch.float64) * 0.5)
    return nn.Sequential(layers[0], nn.GELU(), layers[1], nn.GELU(), layers[2])


def inputs_of(units: int, rows: int, *, one_hot: bool, seed: int = 1) -> torch.Tensor:
    """Return (units, rows, WIDTH); one-hot rows repeat codes within a unit, so that inputs are not orthogonal."""
    rng = np.random.default_rng(seed)
    if one_hot:
        return torch.from_numpy(np.eye(WIDTH)[rng.integers(0, 3, (units, rows))])
    return torch.from_numpy(rng.standard_normal((units, rows, WIDTH)) + 0.5)


def losses_of(model: nn.Module, inputs: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Return (units,) losses that couple the outputs of a row."""
    outputs = model(inputs)
    return ((outputs.logsumexp(-1) - outputs[..., 0]) * weight).sum(dim=1)


def gradient(model: nn.Module) -> np.ndarray:
    return torch.cat([p.grad.reshape(-1) for p in model.parameters()]).numpy().copy()


def alone(inputs: torch.Tensor, weight: torch.Tensor, *, bias: bool) -> list[np.ndarray]:
    """Return each unit's gradient, by plain autograd on that unit's rows alone."""
    found = []
    for u in range(len(inputs)):
        model = network(bias=bias)
        losses_of(model, inputs[u : u + 1], weight[u : u + 1]).sum().backward()
        found.append(gradient(model))
    return found


CASES = [(1, False), (1, True), (3, False), (3, True), (40, True)]


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize(("rows", "one_hot"), CASES, ids=[f"{r} rows{' of one-hot codes' * h}" for r, h in CASES])
def test_clipped_sum_and_norms_are_those_of_units_alone(rows, one_hot, bias):
    inputs = inputs_of(24, rows, one_hot=one_hot)
    weight = torch.from_numpy(np.random.default_rng(2).random((24, rows)))
    weight[:, 1:][::3] = 0.0  # units with fewer rows than the widest
    parts = alone(inputs, weight, bias=bias)
    true = np.array([np.linalg.norm(part) for part in parts])
    clip = float(np.median(true))
    module = BookKeepingModule(network(bias=bias), clip=clip)
    norms = module.clipped_backward(losses_of(module, inputs, weight)).numpy()
    assert np.allclose(norms, true, rtol=1e-10)
    expected = sum(part * min(1.0, clip * (1 - 1e-6) / norm) for part, norm in zip(parts, true, strict=True))
    assert np.allclose(gradient(module), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("rows", [2, 8])
def test_both_ways_to_a_norm_agree_and_the_product_of_norms_does_not(rows, monkeypatch):
    rng = np.random.default_rng(3)
    inputs, grads = (torch.from_numpy(rng.standard_normal((6, rows, width)) + 1.0) for width in (4, 3))
    true = [
        float(sum(np.linalg.norm(g.T @ a) ** 2 for g, a in [(grads[u].numpy(), inputs[u].numpy())])) for u in range(6)
    ]
    found = []
    for cheaper in (True, False):
        monkeypatch.setattr(per_unit_gradients, "gram_is_cheaper", lambda *_, cheaper=cheaper: cheaper)
        found.append(squared_norms(inputs, grads, bias=False).numpy())
    assert np.allclose(found[0], true, rtol=1e-10)
    assert np.allclose(found[1], true, rtol=1e-10)
    product = ((inputs**2).sum(2) * (grads**2).sum(2)).sum(1).numpy()
    assert not np.allclose(product, true, rtol=0.05), "the test needs rows that share inputs"


def test_the_way_follows_the_shapes():
    assert gram_is_cheaper(2, 256, 256)
    assert not gram_is_cheaper(8, 8, 8)


def test_rows_that_cancel_do_not_blow_up():
    """Two rows with opposite gradients: the true norm is nothing but rounding, and the coefficient must stay sane."""
    inputs = torch.from_numpy(np.random.default_rng(4).standard_normal((3, 1, 64))).repeat(1, 2, 1)
    grads = torch.from_numpy(np.random.default_rng(5).standard_normal((3, 1, 64)))
    grads = torch.cat([grads, -grads], dim=1)
    size = float((inputs[:, 0].norm(dim=1) * grads[:, 0].norm(dim=1)).max())
    norms = squared_norms(inputs, grads, bias=True).sqrt()
    assert bool(((norms > 0) & (norms < 1e-5 * size)).all())


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e200], ids=["nan", "inf", "overflow"])
def test_a_unit_without_finite_gradient_has_no_part(value):
    inputs, weight = inputs_of(8, 2, one_hot=False), torch.ones((8, 2), dtype=torch.float64)
    module = BookKeepingModule(network(), clip=1.0)
    module.clipped_backward(losses_of(module, inputs[1:], weight[1:]))
    without = gradient(module)
    assert without.any()
    weight[0, 1] = value
    module.clipped_backward(losses_of(module, inputs, weight))
    assert np.allclose(gradient(module), without, rtol=1e-12, atol=1e-14)
    inputs[0, 0, 3] = math.nan  # now its inputs are no numbers either
    module.clipped_backward(losses_of(module, inputs, weight))
    assert np.allclose(gradient(module), without, rtol=1e-12, atol=1e-14)


def test_no_unit_is_above_the_threshold():
    inputs, weight = inputs_of(12, 3, one_hot=True), torch.ones((12, 3), dtype=torch.float64)
    for u in range(12):
        module = BookKeepingModule(network(), clip=1e-3)
        module.clipped_backward(losses_of(module, inputs[u : u + 1], weight[u : u + 1]))
        assert 0.99e-3 < np.linalg.norm(gradient(module)) <= 1e-3


class _Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.layer(self.layer(inputs))


def test_what_mixes_rows_or_is_not_linear_is_refused():
    for wrong in (
        nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3)),
        nn.Sequential(nn.LayerNorm(3)),
        nn.Bilinear(2, 2, 2),
    ):
        with pytest.raises(NotImplementedError):
            BookKeepingModule(wrong, clip=1.0)
    with pytest.raises(NotImplementedError, match="twice"):
        BookKeepingModule(_Twice(), clip=1.0)(torch.zeros(2, 1, 4))


def test_losses_without_a_forward_pass_are_refused():
    module = BookKeepingModule(network(), clip=1.0)
    losses = losses_of(module, inputs_of(3, 1, one_hot=False), torch.ones((3, 1)))
    module.forget()
    with pytest.raises(RuntimeError, match="forward pass"):
        module.clipped_backward(losses)

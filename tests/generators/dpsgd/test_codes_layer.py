"""A layer of codes is the linear layer of their one-hot blocks: its outputs, norms and clipped sums."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from privsynth.generators.dpsgd.codes_layer import codes_linear, equal_codes
from privsynth.generators.dpsgd.per_unit_gradients import BookKeepingModule

SIZES = (3, 2, 4)


def filled(bias: bool):
    layer = codes_linear(SIZES, 5, bias=bias)
    rng = np.random.default_rng(3)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.from_numpy(rng.standard_normal(tuple(parameter.shape))))
    return layer


def codes_of(units: int, rows: int, seed: int = 1) -> torch.Tensor:
    """Return codes of which some are not known, and many are the same in rows of a unit."""
    rng = np.random.default_rng(seed)
    return torch.from_numpy(np.stack([rng.integers(-1, size, (units, rows)) for size in SIZES], axis=2))


def one_hot(codes: torch.Tensor) -> torch.Tensor:
    blocks = [np.eye(size + 1)[codes[..., at].numpy()][..., :size] for at, size in enumerate(SIZES)]
    return torch.from_numpy(np.concatenate(blocks, axis=-1))  # row −1 of eye(size + 1) has its one in the last column


@pytest.mark.parametrize("bias", [True, False])
def test_it_is_the_linear_layer_of_one_hot_blocks(bias):
    layer, codes = filled(bias), codes_of(6, 4)
    expected = nn.functional.linear(one_hot(codes), layer.weight, layer.bias)
    assert torch.allclose(layer(codes), expected, rtol=1e-12, atol=1e-12)


def test_rows_of_a_unit_meet_where_they_have_equal_codes():
    codes = codes_of(7, 5)
    dense = one_hot(codes)
    assert torch.equal(equal_codes(codes), torch.bmm(dense, dense.transpose(1, 2)))


class _Net(nn.Module):
    def __init__(self, first: nn.Module) -> None:
        super().__init__()
        self.first = first
        self.last = nn.Linear(5, 3, dtype=torch.float64)
        with torch.no_grad():
            for parameter in self.last.parameters():
                parameter.copy_(torch.linspace(-1, 1, parameter.numel(), dtype=torch.float64).reshape(parameter.shape))

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        return self.last(nn.functional.gelu(self.first(codes)))


def losses_of(module: nn.Module, codes: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    outputs = module(codes)
    return ((outputs.logsumexp(-1) - outputs[..., 0]) * weight).sum(dim=1)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("rows", [1, 4, 30])
def test_clipped_sums_and_norms_are_those_of_units_alone(rows, bias):
    """Each unit by plain autograd on its own rows: the naive twin of the Gram form."""
    codes, weight = codes_of(12, rows), torch.from_numpy(np.random.default_rng(2).random((12, rows)))
    weight[:, 1:][::3] = 0.0  # units with fewer rows than the widest
    parts = []
    for u in range(len(codes)):
        net = _Net(filled(bias))
        losses_of(net, codes[u : u + 1], weight[u : u + 1]).sum().backward()
        parts.append(torch.cat([p.grad.reshape(-1) for p in net.parameters()]).numpy())
    true = np.array([np.linalg.norm(part) for part in parts])
    clip = float(np.median(true))
    module = BookKeepingModule(_Net(filled(bias)), clip=clip)
    norms = module.clipped_backward(losses_of(module, codes, weight)).numpy()
    assert np.allclose(norms, true, rtol=1e-9)
    summed = torch.cat([p.grad.reshape(-1) for p in module.parameters()]).numpy()
    expected = sum(part * min(1.0, clip / norm) for part, norm in zip(parts, true, strict=True))
    assert np.allclose(summed, expected, rtol=1e-5, atol=1e-6 * clip)
    clipped = [part * min(1.0, clip / norm) for part, norm in zip(parts, true, strict=True)]
    assert max(np.linalg.norm(part) for part in clipped) <= clip * (1 + 1e-9)


def test_a_unit_whose_gradient_is_not_finite_takes_no_part():
    codes, weight = codes_of(5, 3), torch.ones((5, 3), dtype=torch.float64)
    weight[2, 1] = torch.inf
    module = BookKeepingModule(_Net(filled(True)), clip=1.0)
    module.clipped_backward(losses_of(module, codes, weight))
    got = torch.cat([p.grad.reshape(-1) for p in module.parameters()])
    module = BookKeepingModule(_Net(filled(True)), clip=1.0)
    others = [0, 1, 3, 4]
    module.clipped_backward(losses_of(module, codes[others], torch.ones((4, 3), dtype=torch.float64)))
    assert torch.allclose(got, torch.cat([p.grad.reshape(-1) for p in module.parameters()]), rtol=1e-9, atol=1e-12)

"""Codes and networks: one-hot rows, blocks of logits, multilayer perceptrons and their weights as plain arrays.

A row of codes becomes one one-hot block an attribute, side by side (D entries). There are linear layers and activations
only. No batch normalisation and nothing else that mixes rows: a row's gradient is its own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from privsynth.codecs.encoded_table import Encoded
from privsynth.generators.inference import SLOPE

MAX_HIDDEN, MIN_HIDDEN = 128, 16  # units of a layer; by trial, like the next line
PARAMETER_BUDGET = 60_000  # weights beside codes: noise enters each alike, so a wide table gets narrow layers
SHARE_FLOOR = 1e-5  # keeps logarithms finite; below any share that such a network learns


def hidden_width(sizes: Sequence[int], *, inputs_each_code: int) -> int:
    """Return the width of the hidden layers that a budget of parameters allows; a function of public sizes.

    Noise enters every parameter alike, so that a wide table gets a narrow network.

    Args:
      inputs_each_code: how many units of the trained network each code is connected with, over all of its layers.
    """
    width = PARAMETER_BUDGET / max(inputs_each_code * sum(sizes), 1)
    return int(min(MAX_HIDDEN, max(MIN_HIDDEN, 8 * (width // 8))))


class Perceptron(nn.Module):
    """Linear layers with leaky rectifiers between them.

    Args:
      widths: of inputs, hidden layers and outputs.
      rng: draws the first weights; torch's global generator is left alone.
      last_scale: standard deviation of the last layer's weights, relative to that of the others.
      last_bias: the last layer's bias; zeros if None.
    """

    def __init__(
        self,
        widths: Sequence[int],
        *,
        rng: np.random.Generator,
        last_scale: float = 1.0,
        last_bias: np.ndarray | None = None,
    ) -> None:
        super().__init__()
        self.linears = [bare_linear(before, after, dtype=torch.float64) for before, after in pairwise(widths)]
        self.layers = nn.ModuleList(self.linears)
        with torch.no_grad():
            for layer in self.linears:
                drawn = rng.standard_normal(tuple(layer.weight.shape)) * math.sqrt(2.0 / max(layer.in_features, 1))
                layer.weight.copy_(torch.from_numpy(drawn))
                layer.bias.zero_()
            self.linears[-1].weight.mul_(last_scale)
            if last_bias is not None:
                self.linears[-1].bias.copy_(torch.from_numpy(last_bias))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return outputs (…, last width) of inputs (…, first width)."""
        for layer in self.linears[:-1]:
            inputs = functional.leaky_relu(layer(inputs), SLOPE)
        outputs: torch.Tensor = self.linears[-1](inputs)
        return outputs


def one_hot(codes: torch.Tensor, sizes: Sequence[int]) -> torch.Tensor:
    """Return (…, D) float64 one-hot blocks of codes (…, attributes) int64."""
    out = torch.zeros((*codes.shape[:-1], sum(sizes)), dtype=torch.float64)
    return out.scatter_(-1, codes + offsets(sizes), 1.0)


def cross_entropy(logits: torch.Tensor, codes: torch.Tensor, sizes: Sequence[int]) -> torch.Tensor:
    """Return (…, attributes) −log softmax of each attribute's block of logits (…, D) at its code."""
    picked = logits.gather(-1, codes + offsets(sizes))
    totals = torch.stack([block.logsumexp(-1) for block in torch.split(logits, list(sizes), dim=-1)], dim=-1)
    return totals - picked


def log_shares(shares: Sequence[np.ndarray]) -> np.ndarray:
    """Return (D,) logits under which each attribute has the given shares."""
    logs: np.ndarray = np.log(np.maximum(np.concatenate([np.zeros(0), *shares]), SHARE_FLOOR))
    return logs


def without_null(data: Encoded) -> tuple[bool, ...]:
    """Return for each attribute whether its last code, NULL, must never be drawn."""
    return tuple(not attribute.can_be_null and attribute.size > 1 for attribute in data.attributes)


def to_arrays(module: Perceptron, name: str) -> dict[str, np.ndarray]:
    """Return the weights as float32 arrays; nothing else of the module is kept."""
    return {
        f"{name}.{index}.{kind}": getattr(layer, kind).detach().to(torch.float32).numpy().copy()
        for index, layer in enumerate(module.linears)
        for kind in ("weight", "bias")
    }


def bare_linear(inputs: int, outputs: int, *, bias: bool = True, dtype: torch.dtype = torch.float32) -> nn.Linear:
    """Return a linear layer with no values yet: the usual constructor would draw from torch's global generator."""
    layer: nn.Linear = nn.utils.skip_init(nn.Linear, inputs, outputs, bias=bias, dtype=dtype)
    return layer


def offsets(sizes: Sequence[int]) -> torch.Tensor:
    """Return (attributes,) the place of each attribute's first code."""
    return torch.from_numpy(np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64))

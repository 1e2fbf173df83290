"""The network: an any-order autoregressive model of discrete attributes, and its weights as plain numpy arrays.

Input: the one-hot codes of the attributes that are known, zeros for the others, and one flag an attribute that says
whether it is known. Output: the logits of every attribute, side by side. Only the attributes that are not known enter
the loss, so a single network holds p(x_i | any subset of the others). Three linear layers: nothing in it mixes rows,
so a row's gradient is its own.

Source: NADE in any order (Uria, Murray & Larochelle 2014); TabularARGN (2501.12012).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from privsynth.generators.dpsgd.layers import bare_linear, offsets

LAYERS = ("first", "middle", "last")
PARAMETER_BUDGET = 160_000  # weights: noise enters each alike; by trial, like the next line
MAX_HIDDEN, MIN_HIDDEN = 192, 16  # units of a layer
_SHARE_FLOOR = 1e-6  # keeps logarithms finite; far below any share that a sample could show


def hidden_width(sizes: Sequence[int]) -> int:
    """Return the width of the hidden layers that a budget of parameters allows; a function of public sizes.

    Noise enters every parameter alike, so that a wide table gets a narrow network.
    """
    around = 2 * sum(sizes) + len(sizes) + 3
    width = (math.sqrt(around**2 + 4 * PARAMETER_BUDGET) - around) / 2
    return int(min(MAX_HIDDEN, max(MIN_HIDDEN, width)))


class Network(nn.Module):
    """Logits of every attribute given some of the others.

    Args:
      sizes: number of codes of each attribute.
      hidden: width of the two hidden layers.
      rng: draws the first weights; torch's global generator is left alone.
      shares: one probability vector an attribute, from which the last bias starts.
    """

    def __init__(self, sizes: Sequence[int], hidden: int, *, rng: np.random.Generator, shares: Sequence[np.ndarray]):
        super().__init__()
        self.sizes = tuple(sizes)
        self.hidden = hidden
        width = sum(sizes)
        self.first = bare_linear(width + len(sizes), hidden)
        self.middle = bare_linear(hidden, hidden)
        self.last = bare_linear(hidden, width)
        scales = {"first": 1 / math.sqrt(max(len(sizes), 1)), "middle": 1 / math.sqrt(hidden), "last": 0.0}
        with torch.no_grad():
            for name in LAYERS:
                layer: nn.Linear = getattr(self, name)
                drawn = rng.standard_normal(tuple(layer.weight.shape)) * scales[name]
                layer.weight.copy_(torch.from_numpy(drawn))
                layer.bias.zero_()
            start = np.log(np.maximum(np.concatenate(list(shares)), _SHARE_FLOOR))
            self.last.bias.copy_(torch.from_numpy(start))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return logits (…, D) of inputs (…, D + attributes)."""
        hidden = functional.gelu(self.first(inputs))
        hidden = hidden + functional.gelu(self.middle(hidden))
        logits: torch.Tensor = self.last(hidden)
        return logits


def prefix_logits(network: Network, codes: torch.Tensor, order: Sequence[int]) -> torch.Tensor:
    """Return (rows, D) logits of every attribute given those before it in `order`, for codes (rows, attributes)."""
    starts, width = [int(start) for start in offsets(network.sizes)], sum(network.sizes)
    columns = network.first.weight.T  # a one-hot input picks a row of this
    logits = columns.new_empty((len(codes), width))
    with torch.no_grad():
        before = network.first.bias.repeat(len(codes), 1)
        for attribute in order:
            hidden = functional.gelu(before)
            hidden += functional.gelu(network.middle(hidden))
            block = slice(starts[attribute], starts[attribute] + network.sizes[attribute])
            logits[:, block] = functional.linear(hidden, network.last.weight[block], network.last.bias[block])
            before += (columns[block] + columns[width + attribute])[codes[:, attribute]]
    return logits


def encode(
    codes: torch.Tensor, known: torch.Tensor, sizes: Sequence[int], dtype: torch.dtype = torch.float32
) -> torch.Tensor:
    """Return the network's inputs (…, D + attributes) for codes (…, attributes) int64 and flags of the same shape."""
    flags = known.to(dtype)
    inputs = flags.new_zeros((*codes.shape[:-1], sum(sizes)))
    inputs.scatter_(-1, codes + offsets(sizes), flags)
    return torch.cat([inputs, flags], dim=-1)


def row_losses(logits: torch.Tensor, codes: torch.Tensor, known: torch.Tensor, sizes: Sequence[int]) -> torch.Tensor:
    """Return (…,) the loss of each row: the mean cross-entropy of its unknown attributes, times their number if all
    were unknown. With the number of known attributes uniform this is an unbiased estimate of the row's −log p in a
    random order.
    """
    picked = logits.gather(-1, codes + offsets(sizes))
    totals = torch.stack([part.logsumexp(-1) for part in torch.split(logits, list(sizes), dim=-1)], dim=-1)
    unknown = (~known).to(logits.dtype)
    weight = unknown * (len(sizes) / unknown.sum(-1, keepdim=True).clamp(min=1.0))
    return ((totals - picked) * weight).sum(-1)


def random_known(uniform: np.ndarray, order: Sequence[int]) -> np.ndarray:
    """Return (rows, attributes) flags of what is known; at least one attribute is not.

    Half of the rows know a prefix of `order`, the order in which rows are sampled; the others know a random set.
    The number of known attributes is uniform over 0 … attributes − 1.

    Args:
      uniform: (rows, attributes + 2) independent uniforms in [0, 1).
      order: a permutation of the attributes.
    """
    attributes = uniform.shape[1] - 2
    count = np.floor(uniform[:, 0] * attributes).astype(np.int64)
    rank = np.empty((len(uniform), attributes), dtype=np.int64)
    place = np.argsort(uniform[:, 2:], axis=1)
    np.put_along_axis(rank, place, np.arange(attributes)[None, :], axis=1)
    along = uniform[:, 1] < 0.5
    fixed = np.empty(attributes, dtype=np.int64)
    fixed[np.asarray(order, dtype=np.int64)] = np.arange(attributes)
    rank[along] = fixed
    known: np.ndarray = rank < count[:, None]
    return known


def to_numpy(network: Network) -> dict[str, np.ndarray]:
    """Return the weights as float32 arrays: name -> copy. Nothing else of the module is kept."""
    return {
        f"{name}.{kind}": getattr(getattr(network, name), kind).detach().to(torch.float32).numpy().copy()
        for name in LAYERS
        for kind in ("weight", "bias")
    }

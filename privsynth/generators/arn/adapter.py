"""What DP-SGD may move: a small whitened core in each layer, chosen on synthetic rows.

Noise enters every trainable parameter, so its harm grows with their number, and a gradient's norm, which the noise is
scaled to, as well. A layer W therefore becomes W + V·M·U with a trainable core M of a few hundred entries: U takes the
layer's inputs (and a one, for the bias) to their leading principal directions, V takes M's outputs to the leading
directions of the loss gradients, both scaled to unit variance. In these coordinates the curvature of the loss is about
one in each direction (Kronecker-factored Fisher matrix, Martens & Grosse 2015), so plain momentum is a natural gradient
and the noise falls where it does least. U and V come from rows of the marginal model: free. After training the core is
merged into the layer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from privsynth.generators.arn.network import LAYERS, Network, bare_linear

_DENSE_WIDTH = 512
_ITERATIONS = 8


class AdaptedLayer(nn.Module):
    """A frozen linear layer with a trainable core.

    Args:
      base: the layer; its parameters are frozen.
      inward: (r, in + 1), the map U.
      outward: (out, s), the map V.
    """

    def __init__(self, base: nn.Linear, inward: torch.Tensor, outward: torch.Tensor) -> None:
        super().__init__()
        # Plain tensors, not buffers: Opacus refuses buffers, since they could carry figures from row to row.
        self.frozen = (base.weight.detach().clone(), base.bias.detach().clone())
        self.inward, self.outward = inward, outward
        self.core = bare_linear(len(inward), outward.shape[1], bias=False, dtype=inward.dtype)
        with torch.no_grad():
            self.core.weight.zero_()

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return (…, out) of inputs (…, in)."""
        weight, bias = self.frozen
        reduced = inputs @ self.inward[:, :-1].T + self.inward[:, -1]
        moved: torch.Tensor = functional.linear(inputs, weight, bias) + self.core(reduced) @ self.outward.T
        return moved

    def merged(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return weight and bias with the core added."""
        weight, bias = self.frozen
        moved = self.outward @ self.core.weight.detach() @ self.inward
        return weight + moved[:, :-1], bias + moved[:, -1]


class Adapted(nn.Module):
    """A network whose layers are `AdaptedLayer`s; it computes what the network computes until the cores move."""

    def __init__(self, network: Network, layers: Mapping[str, AdaptedLayer]) -> None:
        super().__init__()
        self.sizes = network.sizes
        self.first, self.middle, self.last = (layers[name] for name in LAYERS)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return logits (…, D) of inputs (…, D + attributes)."""
        hidden = functional.gelu(self.first(inputs))
        hidden = hidden + functional.gelu(self.middle(hidden))
        logits: torch.Tensor = self.last(hidden)
        return logits

    def merge_into(self, network: Network) -> None:
        """Write the moved weights into the network."""
        with torch.no_grad():
            for name in LAYERS:
                weight, bias = getattr(self, name).merged()
                layer: nn.Linear = getattr(network, name)
                layer.weight.copy_(weight)
                layer.bias.copy_(bias)


def adapt(
    network: Network, seen: Mapping[str, tuple[torch.Tensor, torch.Tensor]], ranks: Mapping[str, tuple[int, int]]
) -> Adapted:
    """Return the network with cores along the leading directions of what was seen on synthetic rows.

    Args:
      network: in double precision.
      seen: layer -> inputs (rows, in) and loss gradients at the outputs (rows, out).
      ranks: layer -> (r, s), sizes of the core.
    """
    layers = {}
    for name in LAYERS:
        inputs, grads = seen[name]
        inputs = torch.cat([inputs, torch.ones_like(inputs[:, :1])], dim=1)
        r, s = ranks[name]
        layers[name] = AdaptedLayer(getattr(network, name), _whitener(inputs, r), _whitener(grads, s).T.contiguous())
    return Adapted(network, layers)


def clip_threshold(
    adapted: Adapted, seen: Mapping[str, tuple[torch.Tensor, torch.Tensor]], *, factor: float, max_rows_per_unit: int
) -> float:
    """Return C: a multiple of the median gradient norm of the cores on synthetic rows.

    How many rows a unit has is private, and its gradient is their sum: the threshold grows with √k, which is what k
    rows as different as those of strangers would come to.
    """
    squared = torch.zeros(1)
    for name in LAYERS:
        inputs, grads = seen[name]
        layer: AdaptedLayer = getattr(adapted, name)
        reduced = inputs @ layer.inward[:, :-1].T + layer.inward[:, -1]
        squared = squared + (reduced**2).sum(dim=1) * ((grads @ layer.outward) ** 2).sum(dim=1)
    return max(factor * float(squared.sqrt().median()) * math.sqrt(max_rows_per_unit), 1e-3)


def _whitener(values: torch.Tensor, rank: int) -> torch.Tensor:
    """Return (rank, width): the leading directions of (rows, width), each scaled to a mean square of one.

    A direction that the rows hardly take is not blown up: it counts as if it had a thousandth of the strongest power.
    """
    array = values.numpy() / math.sqrt(max(len(values), 1))
    rank = min(rank, array.shape[1])
    if array.shape[1] <= _DENSE_WIDTH:
        power, direction = np.linalg.eigh(array.T @ array)
        power, direction = power[::-1][:rank], direction[:, ::-1][:, :rank]
    else:  # orthogonal iteration; the leading directions need not be exact
        direction = np.random.default_rng(0).standard_normal((array.shape[1], rank))
        for _ in range(_ITERATIONS):
            direction = np.linalg.qr(array.T @ (array @ direction))[0]
        power = ((array @ direction) ** 2).sum(axis=0)
    scaled = direction / np.sqrt(np.maximum(power, max(float(power.max()) * 1e-3, 1e-12)))
    return torch.from_numpy(np.ascontiguousarray(scaled.T))

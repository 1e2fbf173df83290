"""The network: the attributes of the next row of a history, one after the other, given all that is known before it.

What is known (the row above, the row before, what the history holds so far) goes into one hidden layer as codes, and is
never predicted. Each attribute is then read off that layer, and its own code is added to it before the next attribute:
all of a row's conditionals take one pass. Nothing in it mixes rows.

Source: NADE (Larochelle & Murray 2011), conditioned; next-event models of records (TabularARGN, 2501.12012, section 4).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from privsynth.generators.dpsgd.codes_layer import CodesLinear, codes_linear
from privsynth.generators.dpsgd.layers import bare_linear, cross_entropy, log_shares

MAX_HIDDEN, MIN_HIDDEN = 96, 24  # units of the layer (own)
PARAMETER_BUDGET = 80_000  # weights (own): each step draws noise for all of them


def hidden_width(sizes: Sequence[int], drawn: Sequence[int]) -> int:
    """Return the width of the hidden layer that a budget of parameters allows; a function of public sizes."""
    width = PARAMETER_BUDGET / max(sum(sizes) + sum(sizes[at] for at in drawn), 1)
    return int(min(MAX_HIDDEN, max(MIN_HIDDEN, 8 * (width // 8))))


class NextEventNetwork(nn.Module):
    """Logits of each attribute that is drawn, given those before it and all that is given; in double precision.

    Args:
      sizes: number of codes of each attribute.
      drawn: attributes that are drawn, in their order; the others are given.
      hidden: width of the layer.
      rng: draws the first weights; torch's global generator is left alone.
      shares: for each attribute that is drawn a probability vector, from which its bias starts.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        drawn: Sequence[int],
        hidden: int,
        *,
        rng: np.random.Generator,
        shares: Sequence[np.ndarray],
    ) -> None:
        super().__init__()
        self.sizes, self.drawn, self.hidden = tuple(sizes), tuple(drawn), hidden
        self.given = tuple(at for at in range(len(sizes)) if at not in set(drawn))
        self.drawn_sizes = tuple(sizes[at] for at in drawn)
        self.context = codes_linear([sizes[at] for at in self.given], hidden)
        self.told = nn.ModuleList(codes_linear([size], hidden, bias=False) for size in self.drawn_sizes[:-1])
        self.last = nn.ModuleList(bare_linear(hidden, size, dtype=torch.float64) for size in self.drawn_sizes)
        scale = 1 / math.sqrt(max(len(sizes), 1))
        with torch.no_grad():
            for layer in (self.context, *self.told):
                assert isinstance(layer, CodesLinear)
                drawn_weights = rng.standard_normal(tuple(layer.weight.shape)) * scale
                layer.weight.copy_(torch.from_numpy(drawn_weights))
            assert self.context.bias is not None
            self.context.bias.copy_(torch.from_numpy(rng.standard_normal(hidden) * scale))
            for end, share in zip(self.last, shares, strict=True):
                assert isinstance(end, nn.Linear)
                end.weight.zero_()
                end.bias.copy_(torch.from_numpy(log_shares([share])))

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        """Return logits (…, sum of the drawn attributes' sizes), in the order of `drawn`, for codes (…, attributes)."""
        before = self.context(codes[..., list(self.given)])
        logits = []
        for at, layer in enumerate(self.last):
            logits.append(layer(functional.gelu(before)))
            if at < len(self.told):
                before = before + self.told[at](codes[..., [self.drawn[at]]])
        return torch.cat(logits, dim=-1)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the weights as float32 arrays: name -> copy. Nothing else of the module is kept."""

        def plain(values: torch.Tensor) -> np.ndarray:
            return values.detach().to(torch.float32).numpy().copy()

        told, last = (cast(list[nn.Linear], list(layers)) for layers in (self.told, self.last))
        return {
            "context.weight": plain(self.context.weight),
            "context.bias": plain(self.context.bias),
            "told.weight": plain(torch.cat([self.context.weight[:, :0], *(layer.weight for layer in told)], dim=1)),
            "last.weight": plain(torch.cat([layer.weight for layer in last])),
            "last.bias": plain(torch.cat([layer.bias for layer in last])),
        }


def row_losses(module: nn.Module, codes: torch.Tensor, drawn: Sequence[int], sizes: Sequence[int]) -> torch.Tensor:
    """Return (…,) −log p of what is drawn in each row, given the rest of it.

    Args:
      module: the network, or what wraps it.
      codes: (…, attributes).
      drawn, sizes: what is drawn, in its order, and the number of codes of each of these.
    """
    return cross_entropy(module(codes), codes[..., list(drawn)], sizes).sum(dim=-1)

"""The terms of `interactions` as layers of torch, which DP-SGD trains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from torch import nn

from privsynth.generators.arn.interactions import Interactions
from privsynth.generators.dpsgd.layers import bare_linear, offsets


class Head(nn.Module):
    """The terms as layers: for each attribute, a linear layer from products of earlier attributes' scores to its own.

    Args:
      sizes: number of codes of each attribute.
      order: in which attributes are drawn; a term belongs to the attribute of it that comes last.
      scores, owner: of `attribute_scores`.
      terms: of `choose_terms`.
    """

    def __init__(
        self, sizes: Sequence[int], order: Sequence[int], scores: np.ndarray, owner: np.ndarray, terms: np.ndarray
    ) -> None:
        super().__init__()
        self.sizes = tuple(sizes)
        self.scores, self.owner = torch.from_numpy(scores), torch.from_numpy(owner)
        self.places = offsets(sizes)
        self.layers = nn.ModuleDict()
        self.inputs: dict[str, torch.Tensor] = {}
        self.outputs: dict[str, torch.Tensor] = {}
        position = np.append(np.argsort(np.asarray(order))[owner], -1)
        for attribute in range(len(sizes)):
            mine = _products_for(attribute, owner, terms, position)
            if len(mine):
                own = np.flatnonzero(owner == attribute)
                layer = bare_linear(len(mine), len(own), bias=False, dtype=torch.float64)
                with torch.no_grad():
                    layer.weight.zero_()
                name = str(attribute)
                self.layers[name] = layer
                self.inputs[name], self.outputs[name] = torch.from_numpy(mine), torch.from_numpy(own)

    def forward(self, base: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
        """Return logits (…, D) for the network's logits (…, D) and codes (…, attributes).

        Each attribute's logits are those given the attributes that come before it.
        """
        place = (codes[..., self.owner] + self.places[self.owner]).flatten(0, -2)
        # One score a row: picking rows is many times faster than picking columns.
        known = self.scores[place, torch.arange(len(self.owner))].T.contiguous()
        known = torch.cat([known, torch.ones_like(known[:1])])
        blocks = list(torch.split(base, list(self.sizes), dim=-1))
        for name, layer in self.layers.items():
            a, b, c = self.inputs[name].T
            products = known[a].mul_(known[b]).mul_(known[c])
            strength = layer(products.T.reshape(*codes.shape[:-1], len(products)))
            attribute = int(name)
            start = int(self.places[attribute])
            scores = self.scores[start : start + self.sizes[attribute], self.outputs[name]]
            blocks[attribute] = blocks[attribute] + strength @ scores.T
        return torch.cat(blocks, dim=-1)

    def interactions(self) -> Interactions:
        """Return the terms whose coefficients are not zero."""
        terms: list[list[int]] = []
        values: list[float] = []
        for name, layer in self.layers.items():
            weight = cast(nn.Linear, layer).weight.detach().numpy()
            for row, column in zip(*np.nonzero(weight), strict=True):
                term = [int(self.outputs[name][row]), *self.inputs[name][column].tolist()]
                terms.append(sorted(term))
                values.append(float(weight[row, column]))
        return Interactions(
            self.scores.numpy().astype(np.float32),
            self.owner.numpy().copy(),
            np.array(terms, dtype=np.int64).reshape(-1, 4),
            np.array(values, dtype=np.float32),
        )


def _products_for(attribute: int, owner: np.ndarray, terms: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Return (n, 3) the products of scores that an attribute's logits depend on, if it is the last in some terms."""
    found = set()
    for term in terms.tolist():
        last = max(term, key=lambda r: position[r])
        if owner[last] == attribute:
            found.add(tuple(r for r in term if r != last))
    return np.array(sorted(found), dtype=np.int64).reshape(-1, 3)

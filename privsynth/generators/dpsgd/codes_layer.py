"""A linear layer of one-hot codes that never forms them: what it sees of a row are the row's codes.

Rows of linked tables are told hundreds of codes, of which a row has some twenty: products with zeros would be nearly
all the work. For per-unit gradients (see `per_unit_gradients`) two rows' inputs meet in as many places as they have
equal codes, and a gradient of the weights is a sum into the columns of a row's codes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from privsynth.generators.dpsgd.layers import offsets


class CodesLinear(nn.Linear):
    """W x + b for x the one-hot blocks, side by side, of some attributes' codes; −1 has a block of zeros.

    Made by `codes_linear`.

    Args:
      sizes: number of codes of each attribute.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        outputs: int,
        *,
        bias: bool,
        dtype: torch.dtype,
        device: str | None = None,
    ) -> None:
        super().__init__(sum(sizes), outputs, bias=bias, dtype=dtype, device=device)
        self.sizes = tuple(sizes)

    def places(self, codes: torch.Tensor) -> torch.Tensor:
        """Return the column of each code (…, attributes); one beyond the last for −1."""
        return torch.where(codes >= 0, codes + offsets(self.sizes), self.in_features)

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        """Return (…, outputs) of codes (…, attributes) int64."""
        columns = torch.cat([self.weight.T, self.weight.new_zeros((1, self.out_features))])
        found = functional.embedding_bag(self.places(codes).reshape(-1, codes.shape[-1]), columns, mode="sum")
        found = found.reshape(*codes.shape[:-1], self.out_features)
        return found if self.bias is None else found + self.bias


def codes_linear(sizes: Sequence[int], outputs: int, *, bias: bool = True) -> CodesLinear:
    """Return a layer in double precision with no values yet (see `layers.bare_linear`)."""
    layer: CodesLinear = nn.utils.skip_init(CodesLinear, sizes, outputs, bias=bias, dtype=torch.float64)
    return layer


def equal_codes(codes: torch.Tensor) -> torch.Tensor:
    """Return (units, T, T) float64: in how many attributes two rows of a unit have the same code.

    Args:
      codes: (units, T, attributes); −1 is the same as nothing.
    """
    rows = codes.shape[1]
    found = torch.zeros((len(codes), rows, rows), dtype=torch.float64)
    for column in codes.unbind(dim=2):
        found += (column[:, :, None] == column[:, None, :]) & (column >= 0)[:, :, None]
    return found


def summed_gradient(layer: CodesLinear, codes: torch.Tensor, grads: torch.Tensor) -> torch.Tensor:
    """Return Σ over rows of g xᵀ: (outputs, inputs), for codes (rows, attributes) and g (rows, outputs)."""
    places = layer.places(codes)
    found = grads.new_zeros((layer.in_features + 1, layer.out_features))
    for column in places.unbind(dim=1):
        found.index_add_(0, column, grads)
    return found[:-1].T.contiguous()

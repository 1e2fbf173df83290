"""The autoencoder: codes to a normal distribution of latent points, and latent points back to logits of codes."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from privsynth.generators.dpsgd.layers import Perceptron, cross_entropy, one_hot

_LOG_SCALE_RANGE = 4.0  # e^±4: beyond, a latent point is noise or a constant, and exp might overflow


class Autoencoder(nn.Module):
    """Encoder and decoder.

    Args:
      sizes: number of codes of each attribute.
      hidden, latent: widths.
      bias: (D,) logits from which the decoder starts.
    """

    def __init__(
        self, sizes: tuple[int, ...], *, hidden: int, latent: int, bias: np.ndarray, rng: np.random.Generator
    ) -> None:
        super().__init__()
        width = sum(sizes)
        self.sizes, self.latent = sizes, latent
        self.encoder = Perceptron((width, hidden, 2 * latent), rng=rng, last_scale=0.3)
        self.decoder = Perceptron((latent, hidden, width), rng=rng, last_scale=0.3, last_bias=bias)
        with torch.no_grad():  # a row has one 1 an attribute, not `width` normal entries
            self.encoder.linears[0].weight.mul_((width / max(len(sizes), 1) / 2) ** 0.5)

    def latent_points(self, codes: torch.Tensor, normals: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return points (…, latent) of the rows' distributions and (…,) their divergence from the prior.

        Args:
          codes: (…, attributes).
          normals: (…, latent) standard normal draws.
        """
        mean, log_scale = self.encoder(one_hot(codes, self.sizes)).chunk(2, dim=-1)
        log_scale = log_scale.clamp(-_LOG_SCALE_RANGE, _LOG_SCALE_RANGE)
        divergence = 0.5 * (mean.square() + (2 * log_scale).exp() - 1 - 2 * log_scale).sum(-1)
        return mean + log_scale.exp() * normals, divergence

    def forward(self, codes: torch.Tensor, normals: torch.Tensor, weight: float) -> torch.Tensor:
        """Return (…,) the losses of rows: weight · reconstruction + divergence; nothing in it mixes rows."""
        points, divergence = self.latent_points(codes, normals)
        logits = self.decoder(points)
        return weight * cross_entropy(logits, codes, self.sizes).sum(-1) + divergence

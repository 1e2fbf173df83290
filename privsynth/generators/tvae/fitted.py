"""A fitted decoder and its prior: how they are saved, restored and drawn from, without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from privsynth.codecs.loaded import MAX_WIDTH, code_sizes, flag, whole
from privsynth.generators.inference import apply_arrays, batches, check_arrays, draw_codes


@dataclass(frozen=True)
class FittedTvae:
    """A decoder and the distribution of its inputs.

    Attributes:
      weights: float32 arrays of the decoder; the encoder is not kept.
      mean, root: (latent,) and (latent, latent) float32, of the latent points' normal distribution.
      sizes: number of codes of each attribute.
      no_null: attributes whose NULL is never drawn.
      hidden: width of the decoder.
      paid: the noisy tables as they were released; not saved with the model.
    """

    name: ClassVar[str] = "tvae"
    weights: Mapping[str, np.ndarray]
    mean: np.ndarray
    root: np.ndarray
    sizes: tuple[int, ...]
    no_null: tuple[bool, ...]
    hidden: int
    paid: tuple[Any, ...] = field(default=(), compare=False, repr=False)

    def sample_codes(self, n_rows: int, rng: np.random.Generator) -> np.ndarray:
        """Return (attributes, n_rows) uint16 codes."""
        parts = [np.zeros((len(self.sizes), 0), dtype=np.uint16)]
        for rows in batches(n_rows):
            normals = rng.standard_normal((rows, len(self.mean)), dtype=np.float32)
            logits = apply_arrays(self.weights, "decoder", 2, self.mean + normals @ self.root.T)
            parts.append(draw_codes(logits, self.sizes, self.no_null, rng))
        return np.concatenate(parts, axis=1)

    def tensors(self) -> dict[str, np.ndarray]:
        """Return the decoder's weights and the prior."""
        return {**self.weights, "prior.mean": self.mean, "prior.root": self.root}

    def settings(self) -> dict[str, Any]:
        """Return sizes and widths."""
        return {
            "sizes": list(self.sizes),
            "no_null": list(self.no_null),
            "hidden": self.hidden,
            "latent": len(self.mean),
        }


def restore(tensors: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> FittedTvae:
    """Return the model that was saved.

    Raises:
      ValueError: tensors and settings do not fit each other.
    """
    sizes = code_sizes(settings["sizes"])
    no_null = tuple(flag(value, "a setting of the generator") for value in settings["no_null"])
    hidden, latent = (whole(settings[name], 1, MAX_WIDTH, "a width of the network") for name in ("hidden", "latent"))
    mean, root = (np.ascontiguousarray(tensors[name], dtype=np.float32) for name in ("prior.mean", "prior.root"))
    if len(no_null) != len(sizes) or mean.shape != (latent,) or root.shape != (latent, latent):
        raise ValueError("the tensors of the prior do not fit the attributes")
    weights = check_arrays(tensors, "decoder", (latent, hidden, sum(sizes)))
    return FittedTvae(weights, mean, root, sizes, no_null, hidden)

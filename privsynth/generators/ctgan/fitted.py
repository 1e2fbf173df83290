"""A fitted generator network and its conditions: how they are saved, restored and drawn from, without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from privsynth.codecs.loaded import MAX_WIDTH, code_sizes, flag, whole
from privsynth.generators.inference import apply_arrays, batches, check_arrays, draw_codes


@dataclass(frozen=True)
class FittedCtgan:
    """A generator network and the conditions that it is given.

    Attributes:
      weights: float32 arrays of the generator; the critic is not kept.
      shares: (D,) float32, the noisy share of each code in its attribute, from which conditions are drawn.
      sizes: number of codes of each attribute.
      no_null: attributes whose NULL is never drawn.
      hidden: width of the generator's layers.
      noise: dimensions of its random input.
      paid: the noisy tables as they were released; not saved with the model.
    """

    name: ClassVar[str] = "ctgan"
    weights: Mapping[str, np.ndarray]
    shares: np.ndarray
    sizes: tuple[int, ...]
    no_null: tuple[bool, ...]
    hidden: int
    noise: int
    paid: tuple[Any, ...] = field(default=(), compare=False, repr=False)

    def sample_codes(self, n_rows: int, rng: np.random.Generator) -> np.ndarray:
        """Return (attributes, n_rows) uint16 codes."""
        parts = [np.zeros((len(self.sizes), 0), dtype=np.uint16)]
        for rows in batches(n_rows):
            _, place = draw_conditions(self.shares, self.sizes, rows, rng)
            condition = np.zeros((rows, sum(self.sizes)), dtype=np.float32)
            condition[np.arange(rows), place] = 1.0
            inputs = np.concatenate([rng.standard_normal((rows, self.noise), dtype=np.float32), condition], axis=1)
            logits = apply_arrays(self.weights, "generator", 3, inputs)
            parts.append(draw_codes(logits, self.sizes, self.no_null, rng))
        return np.concatenate(parts, axis=1)

    def tensors(self) -> dict[str, np.ndarray]:
        """Return the generator's weights and the noisy shares."""
        return {**self.weights, "shares": self.shares}

    def settings(self) -> dict[str, Any]:
        """Return sizes and widths."""
        return {
            "sizes": list(self.sizes),
            "no_null": list(self.no_null),
            "hidden": self.hidden,
            "noise": self.noise,
        }


def draw_conditions(
    shares: np.ndarray, sizes: tuple[int, ...], rows: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return (rows,) attributes, uniformly drawn, and (rows,) places 0 … D − 1 of a code, by the attribute's shares."""
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    attribute = rng.integers(0, len(sizes), rows)
    points = rng.random(rows)
    place = np.empty(rows, dtype=np.int64)
    for at in range(len(sizes)):
        mine = attribute == at
        cdf = np.cumsum(shares[starts[at] : starts[at + 1]].astype(np.float64))
        code = np.searchsorted(cdf, points[mine] * cdf[-1], side="right")
        place[mine] = starts[at] + np.minimum(code, sizes[at] - 1)
    return attribute, place


def restore(tensors: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> FittedCtgan:
    """Return the model that was saved.

    Raises:
      ValueError: tensors and settings do not fit each other.
    """
    sizes = code_sizes(settings["sizes"])
    no_null = tuple(flag(value, "a setting of the generator") for value in settings["no_null"])
    hidden, noise = (whole(settings[name], 1, MAX_WIDTH, "a width of the network") for name in ("hidden", "noise"))
    width = sum(sizes)
    shares = np.ascontiguousarray(tensors["shares"], dtype=np.float32)
    if len(no_null) != len(sizes) or shares.shape != (width,) or not (shares >= 0).all():
        raise ValueError("the tensor 'shares' does not fit the attributes")
    weights = check_arrays(tensors, "generator", (noise + width, hidden, hidden, width))
    return FittedCtgan(weights, shares, sizes, no_null, hidden, noise)

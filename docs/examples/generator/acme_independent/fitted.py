"""The fitted model: what is saved, and how rows are drawn from it. Needs numpy only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np


@dataclass(frozen=True)
class FittedIndependent:
    """Shares of the codes of each attribute, side by side."""

    name: ClassVar[str] = "independent"
    shares: np.ndarray
    sizes: tuple[int, ...]

    def sample_codes(self, n_rows: int, rng: np.random.Generator) -> np.ndarray:
        """Return (attributes, n_rows) uint16 codes."""
        parts = np.split(self.shares, np.cumsum(self.sizes)[:-1])
        return np.array([rng.choice(len(p), n_rows, p=p / p.sum()) for p in parts], dtype=np.uint16)

    def tensors(self) -> dict[str, np.ndarray]:
        """Return the shares."""
        return {"shares": self.shares}

    def settings(self) -> dict[str, Any]:
        """Return the sizes."""
        return {"sizes": list(self.sizes)}


def restore(tensors: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> FittedIndependent:
    """Return the model that was saved.

    Raises:
      ValueError: tensors and settings do not fit each other; the file may come from anybody.
    """
    sizes, shares = tuple(int(size) for size in settings["sizes"]), tensors["shares"]
    if shares.shape != (sum(sizes),) or not (shares >= 0).all():
        raise ValueError("the tensor 'shares' does not fit the attributes")
    return FittedIndependent(shares, sizes)

"""Two models of one table's rows: one of first rows, and one of later rows, which have a row before.

In one model of all rows, everything that is told from the row before would say for each first row that there is none:
the strongest dependence of all, which is known already, in hundreds of its tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from privsynth.generators.registry import FittedGenerator, codes_never_drawn
from privsynth.sampling.conditional import complete


@dataclass(frozen=True)
class FirstRows:
    """What a model of first rows has of the attributes of all rows.

    Attributes:
      sizes: number of codes of each attribute.
      kept: those that the model has; the others are NULL in first rows.
      place: the one that says whether a row is the first: code 0.
    """

    sizes: tuple[int, ...]
    kept: tuple[int, ...]
    place: int


@dataclass(frozen=True)
class FittedByPlace:
    """Two fitted models as one.

    Attributes:
      first, later: of first rows, over the attributes that they have; and of later rows, over all.
      rows: what first rows have.
      share: of the rows that are first ones.
    """

    name: ClassVar[str] = "by place"
    first: FittedGenerator
    later: FittedGenerator
    rows: FirstRows
    share: float

    def sample_codes(self, n_rows: int, rng: np.random.Generator) -> np.ndarray:
        """Return (attributes, n_rows) uint16 codes."""
        unknown = np.full((len(self.rows.sizes), n_rows), -1, dtype=np.int32)
        unknown[self.rows.place] = np.where(rng.random(n_rows) < self.share, 0, -1)
        return self.complete(unknown, {}, rng)

    def complete(self, known: np.ndarray, evidence: Mapping[int, np.ndarray], rng: np.random.Generator) -> np.ndarray:
        """Return rows that agree with what is known; those of which no place is known are later ones."""
        out = np.zeros(known.shape, dtype=np.uint16)
        first = known[self.rows.place] == 0
        if not first.all():
            later = np.flatnonzero(~first)
            out[:, later] = complete(self.later, known[:, later], evidence, rng)
        if first.any():
            at, kept = np.flatnonzero(first), list(self.rows.kept)
            codes = np.array(self.rows.sizes, dtype=np.uint16)[:, None] - np.uint16(1)
            codes = np.where(known[:, at] >= 0, known[:, at], codes).astype(np.uint16)
            told = {new: evidence[old] for new, old in enumerate(kept) if old in evidence}
            codes[kept] = complete(self.first, known[kept][:, at], told, rng)
            out[:, at] = codes
        return out

    def never_drawn(self) -> list[np.ndarray]:
        """Return for each attribute (size,) booleans: no row has the code."""
        found = [never.copy() for never in codes_never_drawn(self.later, self.rows.sizes)]
        of_first = codes_never_drawn(self.first, [self.rows.sizes[a] for a in self.rows.kept])
        for a, never in zip(self.rows.kept, of_first, strict=True):
            found[a] &= never
        for a in set(range(len(found))) - set(self.rows.kept):
            found[a][-1] = False
        return found

    def tensors(self) -> dict[str, np.ndarray]:
        """Return the arrays of both, by names that begin with `first.` and `later.`."""
        both = (("first", self.first), ("later", self.later))
        return {f"{which}.{key}": array for which, fitted in both for key, array in fitted.tensors().items()}

    def settings(self) -> dict[str, Any]:
        """Return the settings of both, with the sizes of all attributes."""
        return {
            "sizes": list(self.rows.sizes),
            "share": self.share,
            "first": self.first.settings(),
            "later": self.later.settings(),
        }

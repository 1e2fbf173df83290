"""A fitted mixture of products: how it is saved, restored and drawn from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from privsynth.codecs.loaded import attributes_of_table, checked_settings, code_sizes, items, number
from privsynth.generators.marginal.conditional import Products, complete_mixture, draw_products

if TYPE_CHECKING:  # whoever draws from a saved model need not have what measures
    from privsynth.generators.marginal.measure import Measurement

MODEST_HEIGHT, LEAST_COMPONENTS = 750, 256  # up to so many codes all components; beyond, B shrinks as they grow
# What a model file may hold: rows carry the number of their component in 16 bits while they are shuffled, and the codes
# of an attribute have to be told apart from none.
MAX_COMPONENTS, LEAST_SUM = 1 << 16, 1e-6
RAKING_STEPS, LEAST_SHARE = 8, 1e-9  # after which wanted shares are met to within a thousandth


@dataclass(frozen=True, kw_only=True)
class FitSettings:
    """How the mixture is fitted; public.

    Attributes:
      components: B, fewer where D is large so that a step's cost grows no faster than the tables.
      max_steps: steps of Adam at most.
      learning_rate: of Adam; falls as 1/√step after `hold` steps.
      hold: steps at the full rate.
      pull: towards components that are all alike, as a part of the noise in an entry of a typical table.
    """

    components: int = 1536
    max_steps: int = 1500
    learning_rate: float = 0.06
    hold: int = 200
    pull: float = 0.4

    def components_for(self, height: int) -> int:
        """Return B for attributes with so many codes together."""
        return min(self.components, max(LEAST_COMPONENTS, self.components * MODEST_HEIGHT // max(height, 1)))

    def rate(self, step: int) -> float:
        """Return the learning rate of a step."""
        return self.learning_rate * min(1.0, (self.hold / step) ** 0.5)


@dataclass(frozen=True)
class FittedMarginal:
    """A mixture of products.

    Attributes:
      p: (components, D) float32, one probability vector an attribute, side by side.
      sizes: number of codes of each attribute.
      fit: how it was fitted.
      tables: the attributes of each table over several that it was fitted to, for readers and attackers.
      agreement: how far a prior was believed, from 0 to 1; None if there was none.
      measured: the released tables that it was fitted to, for the report; not saved.
      paid: the tables as they were released; not saved with the model.
    """

    name: ClassVar[str] = "marginal"
    p: np.ndarray
    sizes: tuple[int, ...]
    fit: FitSettings
    tables: tuple[tuple[int, ...], ...] = ()
    agreement: float | None = None
    measured: tuple[Measurement, ...] = field(default=(), compare=False, repr=False)
    paid: tuple[Any, ...] = field(default=(), compare=False, repr=False)

    def never_drawn(self) -> list[np.ndarray]:
        """Return for each attribute (size,) booleans: no component gives the code any mass."""
        ends = np.cumsum(self.sizes)[:-1]
        return np.split(~(self.p > 0).any(axis=0), ends)

    def sample_codes(self, n_rows: int, rng: np.random.Generator) -> np.ndarray:
        """Return (attributes, n_rows) uint16 codes."""
        return draw_products(self.p, self.sizes, n_rows, rng)

    def complete(self, known: np.ndarray, evidence: Mapping[int, np.ndarray], rng: np.random.Generator) -> np.ndarray:
        """Return rows that agree with what is known (see `generators.conditional.complete`)."""
        return complete_mixture(self._products, known, evidence, rng)

    def shares(self, attribute: int) -> np.ndarray:
        """Return (size,) shares of an attribute's codes among rows that are drawn."""
        return self.p[:, self._block(attribute)].mean(axis=0, dtype=np.float64)

    def with_shares(self, attribute: int, shares: np.ndarray) -> FittedMarginal:
        """Return the mixture with other shares of an attribute's codes, raked inside each component."""
        p, block = self.p.astype(np.float64), self._block(attribute)
        wanted = np.maximum(shares, 0.0) / max(float(np.maximum(shares, 0.0).sum()), 1e-300)
        for _ in range(RAKING_STEPS):
            p[:, block] *= wanted / np.maximum(p[:, block].mean(axis=0), 1e-12)
            p[:, block] += LEAST_SHARE * wanted  # a component may have had nothing but what is to be gone
            p[:, block] /= p[:, block].sum(axis=1, keepdims=True)
        return replace(self, p=p.astype(np.float32))

    def _block(self, attribute: int) -> slice:
        start = sum(self.sizes[:attribute])
        return slice(start, start + self.sizes[attribute])

    @cached_property
    def _products(self) -> Products:
        return Products(self.p, self.sizes)

    def tensors(self) -> dict[str, np.ndarray]:
        """Return the probabilities."""
        return {"p": self.p}

    def settings(self) -> dict[str, Any]:
        """Return sizes and fit settings."""
        agreed = {} if self.agreement is None else {"agreement": self.agreement}
        tables = [list(table) for table in self.tables]
        return {"sizes": list(self.sizes), "fit": asdict(self.fit), "tables": tables, **agreed}


def restore(tensors: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> FittedMarginal:
    """Return the model that was saved.

    Raises:
      ValueError: tensors and settings do not fit each other, or a component gives an attribute no code.
    """
    sizes = code_sizes(settings["sizes"])
    p = np.ascontiguousarray(tensors["p"], dtype=np.float32)
    if p.ndim != 2 or p.shape[1] != sum(sizes) or not 1 <= len(p) <= MAX_COMPONENTS:
        raise ValueError("the tensor 'p' does not fit the attributes")
    starts = np.cumsum([0, *sizes[:-1]])
    if sizes and not ((p >= 0).all() and (np.add.reduceat(p, starts, axis=1) >= LEAST_SUM).all()):
        raise ValueError("the tensor 'p' holds no probabilities")
    tables = tuple(attributes_of_table(table, len(sizes)) for table in items(settings["tables"], "the tables"))
    agreed = settings.get("agreement")
    agreement = None if agreed is None else number(agreed, 0.0, 1.0, "how far the prior was believed")
    return FittedMarginal(p, sizes, checked_settings(FitSettings, settings["fit"]), tables, agreement)

"""`Encoded`: the private rows as codes, with the public facts that a generator needs to learn from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from privsynth.codecs.columns import Attribute


@dataclass(frozen=True, repr=False)
class Encoded:
    """Private codes and public facts.

    Attributes:
      codes: (attributes, n) uint16, private.
      unit: (n,) int64 unit of each row, 0..units-1, private.
      attributes: public description of each row of `codes`.
      max_rows_per_unit: no unit has more rows than this.
      n_rows: the released (or declared) number of rows.
      columns: for each attribute, the index of its column.
      targets: attributes whose dependence on the others is what predictors need.
      protected: attributes of protected columns.
      books: attribute -> (size,) groups of its codes, by each declared code book over it; NULL is a group of its own.
    """

    codes: np.ndarray
    unit: np.ndarray
    attributes: tuple[Attribute, ...]
    max_rows_per_unit: int
    n_rows: float
    columns: tuple[int, ...]
    targets: tuple[int, ...] = ()
    protected: tuple[int, ...] = ()
    books: Mapping[int, tuple[np.ndarray, ...]] = field(default_factory=dict)

    @property
    def sizes(self) -> list[int]:
        """Number of codes of each attribute."""
        return [attribute.size for attribute in self.attributes]

    def __repr__(self) -> str:
        return f"Encoded({len(self.attributes)} attributes)"

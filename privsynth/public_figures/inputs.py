"""`PaidInputs`: the inputs of the public figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from privsynth.codecs.columns import CategoryCodec
from privsynth.codecs.contingency import told_apart
from privsynth.codecs.encoded_table import Encoded
from privsynth.codecs.table import TableCodec


@dataclass(frozen=True, kw_only=True)
class Alike:
    """How far rows come in units, and so tell less than as many rows of different units; released or declared.

    Attributes:
      real: rows in the unit of a row, on average over the real rows that are used: so many may be alike.
      synthetic: likewise of synthetic rows, if those of a unit are drawn together, else 1.
      constant: attributes that are the same in all rows of a unit.
    """

    real: float = 1.0
    synthetic: float = 1.0
    constant: frozenset[int] = frozenset()


ALONE = Alike()  # where each row is a unit


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class PaidInputs:
    """The inputs of the public figures.

    Attributes:
      data: private codes of all rows that were used, training and holdout.
      synthetic: (attributes, m) codes of the released rows.
      codec: columns and attributes.
      target: column to predict, or None.
      protected: columns whose groups must be treated alike.
      alike: how far rows come in units.
      has_holdout: whether rows were held out by plan; then those of `data` say on which side each is.
    """

    data: Encoded
    synthetic: np.ndarray
    codec: TableCodec
    target: str | None
    protected: tuple[str, ...]
    has_holdout: bool = False
    alike: Alike = ALONE

    def __repr__(self) -> str:
        return f"PaidInputs({len(self.data.sizes)} attributes)"

    def single_attribute(self, columns: Sequence[str]) -> dict[str, int]:
        """Return column -> attribute for the columns that are one attribute."""
        found = {name: self.codec.attributes_of(name) for name in columns}
        return {name: indices[0] for name, indices in found.items() if len(indices) == 1}

    def level_of(self, attribute: int, groups: np.ndarray) -> str:
        """Return the name of the declared level at which (size,) groups join codes; "" where they are no one level."""
        books = self.codec.named_books().get(attribute, ())
        return next((name for name, book in books if np.array_equal(told_apart([book]), groups)), "")

    def may_be_missing(self, column: str) -> bool:
        """Return whether a column with one attribute may lack a value; as declared, or as it was bought."""
        (attribute,) = self.codec.by_name[column].attributes()
        return attribute.can_be_null

    def texts_of(self, column: str) -> list[str]:
        """Return the meaning of each code of a column with one attribute; the last is missing."""
        codec = self.codec.by_name[column]
        if isinstance(codec, CategoryCodec):
            return [*codec.texts, "missing"]
        (attribute,) = codec.attributes()
        return [*(f"bin {i + 1}" for i in range(attribute.size - 1)), "missing"]

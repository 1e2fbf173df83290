"""Columns of identifiers, which are replaced by surrogates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from privsynth.codecs.columns.protocol import Attribute, ColumnCodec, Drawn, Family
from privsynth.codecs.columns.saved_fields import MAX_FORMAT, column_name
from privsynth.codecs.decoded_rows import Decoded
from privsynth.codecs.loaded import only, text
from privsynth.codecs.parse import Categories, Grid


@dataclass(frozen=True)
class SurrogateCodec:
    """A surrogate for each row; nothing of the real identifiers is kept. Decoded values are row numbers."""

    type: ClassVar[str] = "surrogate"
    family: ClassVar[Family] = "identifier"
    base: ClassVar[None] = None
    needs: ClassVar[tuple[str, ...]] = ()
    arrow_type: ClassVar[pa.DataType] = pa.string()
    name: str
    prefix: str = "S"

    def attributes(self) -> list[Attribute]:
        """Return none."""
        return []

    def fits(self, source: ColumnCodec) -> bool:
        """Return False: it needs no other column."""
        return False

    def encode(self, column: Categories | Grid, base: Decoded | None) -> list[np.ndarray]:
        """Return no codes."""
        return []

    def known(self, column: Categories | Grid) -> Decoded:
        """Raise `TypeError`: nothing of the real identifiers is kept."""
        raise TypeError("identifiers are never read")

    def parsed(self, column: Decoded) -> Categories | Grid:
        """Raise `TypeError`: identifiers are never encoded."""
        raise TypeError("identifiers are never encoded")

    def decode(self, codes: np.ndarray, drawn: Drawn, rng: np.random.Generator) -> Decoded:
        """Raise `TypeError`: rows are numbered when they are written (see `TableCodec.frame`)."""
        raise TypeError("identifiers are numbered when rows are written")

    def amounts(self, values: np.ndarray) -> np.ndarray:
        """Raise `TypeError`: identifiers have no amount."""
        raise TypeError("identifiers have no amount")

    def to_series(self, column: Decoded, *, categorical: bool = False) -> pd.Series:
        """Return the surrogates of row numbers."""
        return pd.Series(self.to_arrow(column).to_pylist(), dtype="object")

    def to_arrow(self, column: Decoded) -> pa.Array:
        """Return the same as Arrow strings, without a loop over rows."""
        digits = pc.utf8_lpad(pa.array(column.values).cast(pa.string()), 8, "0")
        return pc.binary_join_element_wise(pa.scalar(self.prefix), digits, "")

    def to_json(self) -> dict[str, Any]:
        """Return JSON-able data."""
        return {"prefix": self.prefix}

    @classmethod
    def from_json(cls, data: Any) -> SurrogateCodec:
        """Return the codec that `to_json` wrote.

        Raises:
          Malformed: a field is missing or wrong.
        """
        found = only(data, {"name", "prefix"}, "a column of identifiers")
        return cls(column_name(found["name"]), text(found["prefix"], "the prefix of a column", at_most=MAX_FORMAT))

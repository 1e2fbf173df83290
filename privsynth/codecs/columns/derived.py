"""Columns that a rule computes from two others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pyarrow as pa

from privsynth.codecs.columns.number import number_array, number_series
from privsynth.codecs.columns.protocol import Attribute, ColumnCodec, Drawn, Family
from privsynth.codecs.columns.saved_fields import FINEST, column_name
from privsynth.codecs.decoded_rows import Decoded
from privsynth.codecs.loaded import flag, number, only
from privsynth.codecs.parse import Categories, Grid


@dataclass(frozen=True)
class DerivedCodec:
    """A column that a rule computes: minuend − subtrahend, times in days. Decoded values are grid steps."""

    type: ClassVar[str] = "derived"
    family: ClassVar[Family] = "number"
    base: ClassVar[None] = None
    name: str
    minuend: str
    subtrahend: str
    precision: float
    integer: bool

    @property
    def arrow_type(self) -> pa.DataType:
        """int64 for whole numbers, else float64."""
        return pa.int64() if self.integer else pa.float64()

    @property
    def needs(self) -> tuple[str, ...]:
        """Both columns."""
        return (self.minuend, self.subtrahend)

    def attributes(self) -> list[Attribute]:
        """Return none."""
        return []

    def fits(self, source: ColumnCodec) -> bool:
        """Return whether the other column is one of numbers or times, and not computed itself."""
        return source.family in ("number", "time") and bool(source.attributes())

    def encode(self, column: Categories | Grid, base: Decoded | None) -> list[np.ndarray]:
        """Return no codes."""
        return []

    def known(self, column: Categories | Grid) -> Decoded:
        """Return parsed values as grid steps."""
        assert isinstance(column, Grid)
        return Decoded(column.steps, column.null)

    def parsed(self, column: Decoded) -> Grid:
        """Return grid steps."""
        return Grid(column.values, column.null)

    def decode(self, codes: np.ndarray, drawn: Drawn, rng: np.random.Generator) -> Decoded:
        """Return (n,) grid steps of the difference; null where one of the columns is."""
        null = drawn.columns[self.minuend].null | drawn.columns[self.subtrahend].null
        difference = drawn.amounts(self.minuend) - drawn.amounts(self.subtrahend)
        return Decoded(np.rint(difference / self.precision).astype(np.int64), null)

    def amounts(self, values: np.ndarray) -> np.ndarray:
        """Return (n,) the numbers of grid steps; days where it is a difference of times."""
        return values * self.precision

    def to_series(self, column: Decoded, *, categorical: bool = False) -> pd.Series:
        """Return Int64 for whole numbers, else float64."""
        return number_series(column, precision=self.precision, integer=self.integer)

    def to_arrow(self, column: Decoded) -> pa.Array:
        """Return int64 for whole numbers, else float64."""
        return number_array(column, self.arrow_type, precision=self.precision)

    def to_json(self) -> dict[str, Any]:
        """Return JSON-able data."""
        return {
            "minuend": self.minuend, "subtrahend": self.subtrahend,
            "precision": self.precision, "integer": self.integer,
        }  # fmt: skip

    @classmethod
    def from_json(cls, data: Any) -> DerivedCodec:
        """Return the codec that `to_json` wrote.

        Raises:
          Malformed: a field is missing or wrong.
        """
        found = only(data, {"name", "minuend", "subtrahend", "precision", "integer"}, "a computed column")
        return cls(
            column_name(found["name"]),
            column_name(found["minuend"]),
            column_name(found["subtrahend"]),
            number(found["precision"], FINEST, 1 / FINEST, "the precision of a column"),
            flag(found["integer"], "a field of a column"),
        )

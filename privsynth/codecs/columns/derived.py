"""Columns that a rule computes from others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from privsynth.codecs.columns.number import NumberColumn
from privsynth.codecs.columns.protocol import Attribute, ColumnCodec, Drawn
from privsynth.codecs.columns.saved_fields import FINEST, column_name
from privsynth.codecs.decoded_rows import Decoded
from privsynth.codecs.loaded import Malformed, flag, number, only, require, text
from privsynth.codecs.parse import GRID_LIMIT, Categories, Grid
from privsynth.schema.calculations import (
    Calculation,
    ColumnTerm,
    Operation,
    calculate,
    columns_of,
    read_calculation,
    written,
)


class _FromOthers(NumberColumn):
    """What columns have in common that are computed when rows are drawn."""

    base: ClassVar[None] = None

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


@dataclass(frozen=True)
class DerivedCodec(_FromOthers):
    """A column that is the difference of two others: minuend − subtrahend, times in days."""

    type: ClassVar[str] = "derived"
    name: str
    minuend: str
    subtrahend: str
    precision: float
    integer: bool

    @property
    def needs(self) -> tuple[str, ...]:
        """Both columns."""
        return (self.minuend, self.subtrahend)

    def decode(self, codes: np.ndarray, drawn: Drawn, rng: np.random.Generator) -> Decoded:
        """Return (n,) grid steps of the difference; null where one of the columns is."""
        null = drawn.columns[self.minuend].null | drawn.columns[self.subtrahend].null
        difference = drawn.amounts(self.minuend) - drawn.amounts(self.subtrahend)
        return Decoded(np.rint(difference / self.precision).astype(np.int64), null)

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


@dataclass(frozen=True)
class ComputedCodec(_FromOthers):
    """A column that a rule calculates from others, such as a price times a quantity, or the month of a time."""

    type: ClassVar[str] = "computed"
    name: str
    calculation: Calculation
    precision: float
    integer: bool

    @property
    def needs(self) -> tuple[str, ...]:
        """The columns that it is calculated from."""
        return tuple(dict.fromkeys(columns_of(self.calculation)))

    def decode(self, codes: np.ndarray, drawn: Drawn, rng: np.random.Generator) -> Decoded:
        """Return (n,) grid steps of the result; null where a column is, and where it is beyond the grid."""

        def values(name: str) -> np.ndarray:
            return np.where(drawn.columns[name].null, np.nan, drawn.amounts(name))

        steps = np.rint(calculate(self.calculation, values) / self.precision)
        null = ~(np.abs(steps) <= GRID_LIMIT)
        return Decoded(np.where(null, 0, steps).astype(np.int64), null)

    def to_json(self) -> dict[str, Any]:
        """Return JSON-able data."""
        return {"calculation": written(self.calculation), "precision": self.precision, "integer": self.integer}

    @classmethod
    def from_json(cls, data: Any) -> ComputedCodec:
        """Return the codec that `to_json` wrote.

        Raises:
          Malformed: a field is missing or wrong.
        """
        found = only(data, {"name", "calculation", "precision", "integer"}, "a computed column")
        try:
            calculation = read_calculation(text(found["calculation"], "the calculation of a column"))
        except ValueError:
            raise Malformed("the calculation of a column cannot be read") from None
        codec = cls(
            column_name(found["name"]),
            calculation,
            number(found["precision"], FINEST, 1 / FINEST, "the precision of a column"),
            flag(found["integer"], "a field of a column"),
        )
        require(bool(codec.needs), "a computed column is computed from no other")
        return codec


def computed_codec(
    name: str, calculation: Calculation, precision: float, integer: bool
) -> DerivedCodec | ComputedCodec:
    """Return the codec of a column that is computed: one of its own for the difference of two columns."""
    if isinstance(calculation, Operation) and calculation.operator == "-":
        left, right = calculation.left, calculation.right
        if isinstance(left, ColumnTerm) and isinstance(right, ColumnTerm) and left.part is None and right.part is None:
            return DerivedCodec(name, left.name, right.name, precision, integer)
    return ComputedCodec(name, calculation, precision, integer)

"""Columns of numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pyarrow as pa

from privsynth.codecs.bins import MAX_STEP, Bins
from privsynth.codecs.bounds import clip_steps
from privsynth.codecs.columns.endings import NOWHERE, Endings
from privsynth.codecs.columns.protocol import Attribute, ColumnCodec, Drawn, Family, mask, without_null
from privsynth.codecs.columns.saved_fields import FINEST, column_name, declared_bounds, other_column
from privsynth.codecs.decoded_rows import Decoded
from privsynth.codecs.loaded import flag, number, only, require
from privsynth.codecs.parse import GRID_LIMIT, Categories, Grid
from privsynth.codecs.parsed_table import grid_values


class NumberColumn:
    """What columns of numbers have in common: decoded values are steps of a grid of `precision`."""

    family: ClassVar[Family] = "number"
    name: str
    precision: float
    integer: bool

    @property
    def arrow_type(self) -> pa.DataType:
        """int64 for whole numbers, else float64."""
        return pa.int64() if self.integer else pa.float64()

    def parsed(self, column: Decoded) -> Grid:
        """Return grid steps."""
        return Grid(column.values, column.null)

    def amounts(self, values: np.ndarray) -> np.ndarray:
        """Return (n,) the numbers of grid steps; days where it is a difference of times."""
        return values * self.precision

    def to_series(self, column: Decoded, *, categorical: bool = False) -> pd.Series:
        """Return Int64 for whole numbers, else float64."""
        return number_series(column, precision=self.precision, integer=self.integer)

    def to_arrow(self, column: Decoded) -> pa.Array:
        """Return int64 for whole numbers, else float64."""
        return number_array(column, self.arrow_type, precision=self.precision)


@dataclass(frozen=True)
class NumberCodec(NumberColumn):
    """Numbers on a grid of `precision`; with `base`, the amount by which they exceed another column.

    With `endings` there is a second attribute, the ending: the value is the one nearest to a draw from the bin that has
    it, in the bin if it holds one and beside it if not. Where `bins_decide` it stays in the bin in any case.
    """

    type: ClassVar[str] = "number"
    name: str
    bins: Bins
    precision: float
    nullable: bool
    integer: bool
    low: int | None = None
    high: int | None = None
    base: str | None = None
    endings: Endings | None = None
    bins_decide: bool = False  # not saved: only a condition on the values narrows the bins

    @property
    def needs(self) -> tuple[str, ...]:
        """The base, if there is one."""
        return (self.base,) if self.base else ()

    @property
    def step(self) -> int:
        """The least difference of decoded values."""
        return 1

    def attributes(self) -> list[Attribute]:
        """Return bins, NULL; then the endings, those that are none, NULL."""
        suffix = f"·above {self.base}" if self.base else ""
        found = [Attribute(self.name + suffix, self.bins.size + 1, self.nullable, True)]
        if self.endings is not None:
            size = len(self.endings.patterns) + 2
            found.append(Attribute(f"{self.name}·ending", size, self.nullable, False, detail=True))
        return found

    def fits(self, source: ColumnCodec) -> bool:
        """Return whether the base is a column of numbers."""
        return isinstance(source, NumberCodec)

    def with_bins(self, bins: Bins) -> NumberCodec:
        """Return the codec with other bins, which its values do not leave."""
        return replace(self, bins=bins, bins_decide=True)

    def bounded(self, steps: np.ndarray) -> np.ndarray:
        """Return grid steps inside the declared bounds."""
        return clip_steps(steps, self.low, self.high)

    def known(self, column: Categories | Grid) -> Decoded:
        """Return parsed values as grid steps inside the declared bounds."""
        assert isinstance(column, Grid)
        return Decoded(self.bounded(column.steps), column.null)

    def encode(self, column: Categories | Grid, base: Decoded | None) -> list[np.ndarray]:
        """Return (n,) int32 codes of each attribute."""
        found = self.known(column)
        steps, null = found.values, found.null
        if base is not None:
            steps, null = np.maximum(steps - base.values, 0), null | base.null
        codes = [np.where(null, self.bins.size, self.bins.encode(steps)).astype(np.int32)]
        if self.endings is not None:
            missing = len(self.endings.patterns) + 1
            codes.append(np.where(null, missing, self.endings.of(found.values)).astype(np.int32))
        return codes

    def decode(self, codes: np.ndarray, drawn: Drawn, rng: np.random.Generator) -> Decoded:
        """Return (n,) grid steps, inside the declared bounds and never below the base."""
        places, null = without_null(codes[0], self.bins.size)
        steps, null = self.bins.decode(places, rng), null & self.nullable
        if self.endings is not None:
            steps = self._ended(steps, places, codes[1])
        if self.base:
            base = drawn.columns[self.base]
            steps, null = steps + base.values, null | (base.null & self.nullable)
        steps = self.bounded(steps)
        if self.base:
            steps = np.maximum(steps, drawn.columns[self.base].values)
        return Decoded(steps, null)

    def _ended(self, steps: np.ndarray, places: np.ndarray, endings: np.ndarray) -> np.ndarray:
        """Return (n,) grid steps moved to the endings wanted; a bin of one value keeps it."""
        assert self.endings is not None
        if self.bins_decide:  # a condition may have left gaps in them
            at = np.searchsorted(self.bins.seg_low, steps, side="right") - 1
            low, high = self.bins.seg_low[at], self.bins.seg_high[at]
        else:
            first, last = self.bins.ends
            low, high = first[places], last[places]
        wanted = np.minimum(endings.astype(np.int64), len(self.endings.patterns))
        found = self.endings.nearest(steps, wanted, low, high)
        nowhere = found == NOWHERE
        result = np.where(nowhere, steps, found)
        at = np.flatnonzero(nowhere & (low < high) & (not self.bins_decide))
        if len(at):
            bounds = self.bounded(np.array([self.bins.seg_low[0], self.bins.seg_high[-1]]))
            beside = self.endings.nearest(steps[at], wanted[at], *np.broadcast_to(bounds[:, None], (2, len(at))))
            result[at] = np.where(beside == NOWHERE, steps[at], beside)
        return result

    def places_above(self, amounts: np.ndarray) -> np.ndarray:
        """Return (n,) int64, what the bins have for amounts above the base."""
        return np.rint(np.clip(amounts / self.precision, -GRID_LIMIT, GRID_LIMIT)).astype(np.int64)

    def amounts_above(self, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the least and the largest amount above the base in (n,) ranges of the bins."""
        return low * self.precision, high * self.precision

    def to_json(self) -> dict[str, Any]:
        """Return JSON-able data."""
        return {
            "cells": self.bins.to_json(), "precision": self.precision, "nullable": self.nullable,
            "integer": self.integer, "low": self.low, "high": self.high, "base": self.base,
            "endings": None if self.endings is None else self.endings.to_json(),
        }  # fmt: skip

    @classmethod
    def from_json(cls, data: Any) -> NumberCodec:
        """Return the codec that `to_json` wrote.

        Raises:
          Malformed: a field is missing or wrong.
        """
        names = {"name", "cells", "precision", "nullable", "integer", "low", "high", "base", "endings"}
        found = only(data, names, "a column of numbers")
        ended = found["endings"] is not None
        require(not (ended and found["base"] is not None), "an amount above another column has no endings")
        low, high = declared_bounds(found["low"], found["high"], -MAX_STEP, MAX_STEP)
        return cls(
            column_name(found["name"]),
            Bins.from_json(found["cells"]),
            number(found["precision"], FINEST, 1 / FINEST, "the precision of a column"),
            flag(found["nullable"], "a field of a column"),
            flag(found["integer"], "a field of a column"),
            low,
            high,
            other_column(found["base"]),
            Endings.from_json(found["endings"]) if ended else None,
        )


def number_series(column: Decoded, *, precision: float, integer: bool) -> pd.Series:
    """Return grid steps as pandas has numbers: Int64, or float64 with NaN for null."""
    steps = column.values.astype(np.int64, copy=False)  # packed rows are narrower
    if integer:
        values = whole_values(np.where(column.null, 0, steps), precision)
        return pd.Series(pd.arrays.IntegerArray(values, column.null.copy()))
    return pd.Series(np.where(column.null, np.nan, grid_values(steps, precision)))


def number_array(column: Decoded, kind: pa.DataType, *, precision: float) -> pa.Array:
    """Return grid steps as Arrow has numbers, in the codec's type: int64 or float64."""
    steps = column.values.astype(np.int64, copy=False)  # packed rows are narrower
    values = whole_values(steps, precision) if pa.types.is_integer(kind) else grid_values(steps, precision)
    return pa.array(values, kind, mask=mask(column))


def whole_values(steps: np.ndarray, precision: float) -> np.ndarray:
    """Return (n,) int64 values of the grid steps of whole numbers."""
    return steps.astype(np.int64) if precision == 1 else np.rint(grid_values(steps, precision)).astype(np.int64)

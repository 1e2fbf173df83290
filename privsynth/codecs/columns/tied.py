"""Columns of numbers that another column nearly determines: coded by how far their ranks lie apart.

A rank is a number's place among the values of its column, from 0 to 1, as the column's bins tell it. Where two columns
rise together, or one falls as the other rises, the difference of their ranks is narrow, whatever their units and
however skewed they are: a difference and a ratio come out alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from privsynth.codecs.bins import MAX_STEP, Bins
from privsynth.codecs.bounds import clip_steps
from privsynth.codecs.columns.number import NumberCodec, NumberColumn
from privsynth.codecs.columns.protocol import Attribute, ColumnCodec, Drawn, without_null
from privsynth.codecs.columns.saved_fields import FINEST, column_name, declared_bounds
from privsynth.codecs.decoded_rows import Decoded
from privsynth.codecs.loaded import flag, number, only, require
from privsynth.codecs.parse import Categories, Grid

RANKS = 1 << 12  # grid of ranks: a difference of one is far below what any noisy table tells
MIDDLE = 0.5  # the rank of a missing value: no value lies further than half a table from it
BELOW_ONE = 1.0 - 2.0**-53  # the largest number below one: shares of many segments may add up to a little more
LEAST_WEIGHT = 1e-9  # of a segment, in rows: noise may leave it nothing, and a rank needs an inverse


def ranks(bins: Bins, steps: np.ndarray) -> np.ndarray:
    """Return (n,) float64 ranks in (0, 1) of (n,) grid steps: the middle of what the bins say of each value."""
    below, weight, width = _shape(bins)
    at = np.clip(np.searchsorted(bins.seg_low, steps, side="right") - 1, 0, len(weight) - 1)
    inside = (np.clip(steps - bins.seg_low[at], 0, width[at] - 1) + 0.5) / width[at]
    end = np.minimum(np.append(below[1:], BELOW_ONE), BELOW_ONE)  # rounding must not lead past the next segment
    result: np.ndarray = np.minimum(below[at] + weight[at] * inside, end[at])
    return result


def steps_at(bins: Bins, rank: np.ndarray) -> np.ndarray:
    """Return (n,) int64 grid steps at (n,) ranks; the inverse of `ranks`."""
    below, weight, width = _shape(bins)
    at = np.clip(np.searchsorted(below, rank, side="right") - 1, 0, len(weight) - 1)
    inside = np.floor((rank - below[at]) / weight[at] * width[at])
    result: np.ndarray = bins.seg_low[at] + np.clip(inside, 0, width[at] - 1).astype(np.int64)
    return result


def _shape(bins: Bins) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return for each segment the share of rows below it, its own share, and its number of grid steps."""
    weight = np.maximum(bins.seg_weight, LEAST_WEIGHT)
    weight = weight / weight.sum()
    below = np.append(0.0, np.cumsum(weight)[:-1])  # ascends for certain, unlike a difference of two sums
    return below, weight, bins.seg_high - bins.seg_low + 1


@dataclass(frozen=True)
class TiedCodec(NumberColumn):
    """Numbers on a grid of `precision`, coded by the difference of their rank and that of another column.

    Attributes:
      bins: of the numbers; they say which value has which rank.
      near, near_bins: the other column, and its bins.
      falls: whether the column falls as the other rises; then the other's rank is counted from above.
      apart: bins of the difference of ranks, in steps of 1 / `RANKS`.
    """

    type: ClassVar[str] = "tied"
    name: str
    bins: Bins
    precision: float
    nullable: bool
    integer: bool
    near: str
    near_bins: Bins
    falls: bool
    apart: Bins
    low: int | None = None
    high: int | None = None

    @classmethod
    def of(cls, codec: NumberCodec, other: NumberCodec, *, falls: bool, apart: Bins) -> TiedCodec:
        """Return a column of numbers, tied to another."""
        return cls(
            codec.name,
            codec.bins,
            precision=codec.precision,
            nullable=codec.nullable,
            integer=codec.integer,
            near=other.name,
            near_bins=other.bins,
            falls=falls,
            apart=apart,
            low=codec.low,
            high=codec.high,
        )

    @property
    def base(self) -> str:
        """The other column."""
        return self.near

    @property
    def needs(self) -> tuple[str, ...]:
        """The other column."""
        return (self.near,)

    def attributes(self) -> list[Attribute]:
        """Return the one attribute: bins of the difference of ranks, NULL."""
        return [Attribute(f"{self.name}·near {self.near}", self.apart.size + 1, self.nullable, True)]

    def fits(self, source: ColumnCodec) -> bool:
        """Return whether the other column is one of numbers that is not computed."""
        return isinstance(source, NumberCodec | TiedCodec)

    def known(self, column: Categories | Grid) -> Decoded:
        """Return parsed values as grid steps inside the declared bounds."""
        assert isinstance(column, Grid)
        return Decoded(clip_steps(column.steps, self.low, self.high), column.null)

    def _expected(self, other: Decoded) -> np.ndarray:
        """Return (n,) the ranks that values of the other column let expect."""
        rank = ranks(self.near_bins, other.values)
        return np.where(other.null, MIDDLE, 1.0 - rank if self.falls else rank)

    def encode(self, column: Categories | Grid, base: Decoded | None) -> list[np.ndarray]:
        """Return (n,) int32 codes of the one attribute.

        Args:
          base: values of the other column.
        """
        assert base is not None
        found = self.known(column)
        apart = np.rint((ranks(self.bins, found.values) - self._expected(base)) * RANKS).astype(np.int64)
        return [np.where(found.null, self.apart.size, self.apart.encode(apart)).astype(np.int32)]

    def decode(self, codes: np.ndarray, drawn: Drawn, rng: np.random.Generator) -> Decoded:
        """Return (n,) grid steps inside the declared bounds.

        A rank that would lie beyond an end is reflected at it, so that values do not pile up there.
        """
        places, null = without_null(codes[0], self.apart.size)
        rank = self._expected(drawn.columns[self.near]) + self.apart.decode(places, rng) / RANKS
        rank = np.abs(rank)
        rank = np.clip(np.where(rank > 1.0, 2.0 - rank, rank), 0.0, 1.0)
        return Decoded(clip_steps(steps_at(self.bins, rank), self.low, self.high), null & self.nullable)

    def to_json(self) -> dict[str, Any]:
        """Return JSON-able data."""
        return {
            "cells": self.bins.to_json(), "precision": self.precision, "nullable": self.nullable,
            "integer": self.integer, "low": self.low, "high": self.high, "near": self.near,
            "near_cells": self.near_bins.to_json(), "falls": self.falls, "apart": self.apart.to_json(),
        }  # fmt: skip

    @classmethod
    def from_json(cls, data: Any) -> TiedCodec:
        """Return the codec that `to_json` wrote.

        Raises:
          Malformed: a field is missing or wrong.
        """
        names = {"name", "cells", "precision", "nullable", "integer", "low", "high"}
        found = only(data, {*names, "near", "near_cells", "falls", "apart"}, "a column near another")
        low, high = declared_bounds(found["low"], found["high"], -MAX_STEP, MAX_STEP)
        apart = Bins.from_json(found["apart"])
        inside = int(apart.seg_low[0]) >= -RANKS and int(apart.seg_high[-1]) <= RANKS
        require(inside, "ranks of a column lie further apart than ranks can")
        return cls(
            column_name(found["name"]),
            Bins.from_json(found["cells"]),
            number(found["precision"], FINEST, 1 / FINEST, "the precision of a column"),
            flag(found["nullable"], "a field of a column"),
            flag(found["integer"], "a field of a column"),
            column_name(found["near"]),
            Bins.from_json(found["near_cells"]),
            flag(found["falls"], "a field of a column"),
            apart,
            low,
            high,
        )

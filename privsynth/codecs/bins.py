"""`Bins`: the bins into which a numeric column is cut, and the shape inside each.

Numbers and times live on a grid of integers (multiples of the precision). A bin is a range of it; a value that many
rows share (a frequent value) is a bin of its own. Segments record the known shape inside a bin.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from privsynth.codecs.loaded import MAX_ITEMS, items, number, only, require, whole

MAX_CODES = 1 << 16  # of an attribute: codes are uint16
MAX_STEP = 2**53  # grid steps: integers are exact in double precision up to here (IEEE 754)
MAX_WEIGHT = 1e15  # rows in a segment (own): more than any table has, and few enough that sums stay finite


@dataclass(frozen=True)
class Bins:
    """A partition of the integers into consecutive bins.

    Attributes:
      lows: (m,) int64, the first integer of each bin, ascending; values below the first belong to bin 0.
      seg_low, seg_high: (s,) int64 inclusive ranges, ascending and disjoint, each inside one bin.
      seg_weight: (s,) float64 >= 0, noisy rows in the segment; each bin has at least one segment.
    """

    lows: np.ndarray
    seg_low: np.ndarray
    seg_high: np.ndarray
    seg_weight: np.ndarray

    @property
    def size(self) -> int:
        """Number of bins."""
        return len(self.lows)

    def encode(self, steps: np.ndarray) -> np.ndarray:
        """Return (n,) int32 bin indices of (n,) integers."""
        return np.maximum(np.searchsorted(self.lows, steps, side="right") - 1, 0).astype(np.int32)

    def decode(self, codes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return (n,) int64: a segment of the bin by weight, then an integer of it, uniformly."""
        first, count, keep, other = self._alias
        codes = codes.astype(np.intp)  # once, instead of in every `take`
        segment = first.take(codes)
        if count.max() > 1:
            place = rng.random(len(codes))
            place *= count.take(codes)
            slot = place.astype(np.intp)
            place -= slot
            segment += slot
            np.copyto(segment, other.take(segment), where=place >= keep.take(segment))
        result: np.ndarray = self.seg_low.take(segment)
        if self._width.max() > 1:
            inside = rng.random(len(codes))
            inside *= self._width.take(segment)
            result += inside.astype(np.int64)
        return result

    def share_of(self, value: int) -> float:
        """Return the share of the weight that one integer has by itself; 0 if it is not told apart."""
        weight = np.maximum(self.seg_weight, 0.0)
        alone = (self.seg_low == value) & (self.seg_high == value)
        return float(weight[alone].sum() / max(float(weight.sum()), 1e-300))

    @cached_property
    def owner(self) -> np.ndarray:
        """(s,) int32, the bin of each segment."""
        return self.encode(self.seg_low)

    @cached_property
    def ends(self) -> tuple[np.ndarray, np.ndarray]:
        """(m,) the least and the largest integer that each bin draws."""
        places = np.arange(self.size)
        first, after = (np.searchsorted(self.owner, places, side=side) for side in ("left", "right"))
        return self.seg_low[first], self.seg_high[after - 1]

    @cached_property
    def _width(self) -> np.ndarray:
        return (self.seg_high - self.seg_low + 1).astype(np.float64)

    @cached_property
    def _alias(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """First segment and number of segments of each bin; for each segment, the share of its slot that it keeps, and
        the segment that has the rest.

        Source: Walker's alias method (Vose 1991): a draw costs two look-ups, however many segments a bin has.
        """
        first = np.searchsorted(self.owner, np.arange(self.size), side="left")
        count = np.bincount(self.owner, minlength=self.size)
        weight = np.maximum(self.seg_weight, 1e-9)
        scaled = weight * (count / np.bincount(self.owner, weights=weight, minlength=self.size))[self.owner]
        keep, other = np.ones(len(weight)), np.arange(len(weight))
        for start, size in zip(first.tolist(), count.tolist(), strict=True):
            places = range(start, start + size)
            small, large = [i for i in places if scaled[i] < 1.0], [i for i in places if scaled[i] >= 1.0]
            while small and large:
                i, j = small.pop(), large[-1]
                keep[i], other[i] = scaled[i], j
                scaled[j] -= 1.0 - scaled[i]
                if scaled[j] < 1.0:
                    small.append(large.pop())
        return first, count.astype(np.float64), keep, other

    def to_json(self) -> dict[str, Any]:
        """Return JSON-able data."""
        return {
            "lows": self.lows.tolist(),
            "seg_low": self.seg_low.tolist(),
            "seg_high": self.seg_high.tolist(),
            "seg_weight": [round(float(w), 3) for w in self.seg_weight],
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Bins:
        """Return the bins that `to_json` wrote.

        Raises:
          Malformed: they are no partition: not ascending, of different lengths, a bin without a segment, a segment
            in two bins, numbers beyond the grid, or more bins than there are codes.
        """
        lists = only(data, {"lows", "seg_low", "seg_high", "seg_weight"}, "the bins of a column")
        lows = _steps(lists["lows"], MAX_CODES - 1)
        low, high = _steps(lists["seg_low"], MAX_ITEMS), _steps(lists["seg_high"], MAX_ITEMS)
        weight = items(lists["seg_weight"], "the weights of a column")
        weight = [number(w, 0.0, MAX_WEIGHT, "a weight of a column") for w in weight]
        require(len(low) == len(high) == len(weight), "the segments of a column have different lengths")
        require(bool((np.diff(lows) > 0).all()), "the bins of a column do not ascend")
        require(bool((low <= high).all() and (low[1:] > high[:-1]).all()), "the segments of a column do not ascend")
        bins = cls(lows, low, high, np.asarray(weight, dtype=np.float64))
        inside = bins.owner == bins.encode(high)
        require(bool(inside.all()), "a segment of a column lies in two bins")
        require(len(np.unique(bins.owner)) == bins.size, "a bin of a column has no segment")
        return bins


def _steps(values: Any, at_most: int) -> np.ndarray:
    """Return (n,) int64 of a list of integers of the grid, n at least 1."""
    found = items(values, "the bins of a column", at_most=at_most)
    require(len(found) > 0, "a column has no bins")
    return np.asarray([whole(v, -MAX_STEP, MAX_STEP, "an integer of a column") for v in found], dtype=np.int64)

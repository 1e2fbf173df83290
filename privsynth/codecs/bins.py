"""`Bins`: the bins into which a numeric column is cut, and the shape inside each.

Numbers and times live on a grid of integers (multiples of the precision). A bin is a range of it; a value that many
rows share (a frequent value) is a bin of its own. Segments record the known shape inside a bin.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from privsynth.codecs.loaded import MAX_ITEMS, items, number, only, require, whole

MAX_CODES = 1 << 16  # of an attribute: codes are uint16
MAX_STEP = 2**53  # grid steps: integers are exact in double precision up to here (IEEE 754)
MAX_WEIGHT = 1e15  # rows in a segment (own): more than any table has, and few enough that sums stay finite
TAIL_FINENESS = 64  # bins narrower than 1/64 of the range are never cut for lying in a tail (own)


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

    @cached_property
    def owner(self) -> np.ndarray:
        """(s,) int32, the bin of each segment."""
        return self.encode(self.seg_low)

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


def build_bins(
    leaf_low: np.ndarray,
    leaf_high: np.ndarray,
    leaf_weight: np.ndarray,
    frequent: dict[int, float],
    *,
    target: float,
    sigma: float,
) -> Bins:
    """Return bins of about `target` rows each; a frequent value with half as many rows is a bin of its own.

    Inside a bin the segments keep as much of their noisy shape as noise does not explain, and are flat otherwise.

    A pure function of released figures.

    Args:
      leaf_low, leaf_high: (l,) inclusive ranges that tile the domain, ascending.
      leaf_weight: (l,) noisy rows in each leaf, without those of frequent values.
      frequent: value -> noisy rows.
      target: rows in a bin.
      sigma: standard deviation of the weights.
    """
    segments = _segments(leaf_low, leaf_high, leaf_weight, frequent)
    lows: list[int] = []
    gathered, alone = 0.0, True
    middle, fine = _middle(segments), (segments[-1][1] - segments[0][0]) / TAIL_FINENESS
    for low, high, noisy, is_frequent in segments:
        weight = max(noisy, 0.0)
        single = is_frequent and weight >= 0.5 * target
        tail = bool(lows) and _stretched(lows[-1] - middle, high - middle, fine)
        if not lows or alone or single or tail or gathered + 0.5 * weight > target:
            lows.append(low)
            gathered = 0.0
        gathered += weight
        alone = single
    bins = Bins(
        np.asarray(lows, dtype=np.int64),
        np.asarray([s[0] for s in segments], dtype=np.int64),
        np.asarray([s[1] for s in segments], dtype=np.int64),
        np.asarray([s[2] for s in segments], dtype=np.float64),
    )
    return replace(bins, seg_weight=_shrink(bins, sigma))


def _middle(segments: list[tuple[int, int, float, bool]]) -> int:
    """Return the grid step below which half of the noisy rows lie."""
    total = np.cumsum([weight for _, _, weight, _ in segments])
    at = int(np.argmax(total >= total[-1] / 2)) if total[-1] > 0 else len(segments) // 2
    return segments[at][0]


def _stretched(start: int, end: int, fine: float) -> bool:
    """Return whether a bin from `start` to `end`, as distances from the middle, spans more than a factor of two.

    Tails are cut by powers of two, so that a few distant rows do not spread over the whole range; bins narrower than
    `fine` stay whole.
    """
    near = 0.0 if start <= 0 <= end else float(min(abs(start), abs(end)))
    return end - start > fine and max(abs(start), abs(end)) > 2 * max(near, fine)


def _shrink(bins: Bins, sigma: float) -> np.ndarray:
    """Return (s,) weights >= 0, shrunk towards a flat density inside each bin as far as noise explains their spread.

    Source: the positive-part rule of James & Stein (1961), bin by bin.
    """
    owner = bins.encode(bins.seg_low)
    width = (bins.seg_high - bins.seg_low + 1).astype(np.float64)
    total = np.bincount(owner, weights=bins.seg_weight, minlength=bins.size)
    span = np.bincount(owner, weights=width, minlength=bins.size)
    flat = np.maximum(total, 0.0)[owner] * width / span[owner]
    apart = bins.seg_weight - flat
    spread = np.bincount(owner, weights=apart**2, minlength=bins.size)
    freedom = np.maximum(np.bincount(owner, minlength=bins.size) - 1, 0)
    keep = np.maximum(1.0 - freedom * sigma**2 / np.maximum(spread, 1e-12), 0.0)
    return np.maximum(flat + keep[owner] * apart, 0.0)


def _segments(
    low: np.ndarray, high: np.ndarray, weight: np.ndarray, frequent: dict[int, float]
) -> list[tuple[int, int, float, bool]]:
    """Return (low, high, weight, is_frequent) ranges: the leaves, cut at the frequent values."""
    values = sorted(frequent)
    segments: list[tuple[int, int, float, bool]] = []
    at = 0
    for a, b, w in zip(low.tolist(), high.tolist(), weight.tolist(), strict=True):
        inside = []
        while at < len(values) and values[at] <= b:
            if values[at] >= a:
                inside.append(values[at])
            at += 1
        width = max(b - a + 1 - len(inside), 1)
        start = a
        for value in inside:
            if value > start:
                segments.append((start, value - 1, w * (value - start) / width, False))
            segments.append((value, value, frequent[value], True))
            start = value + 1
        if start <= b:
            segments.append((start, b, w * (b - start + 1) / width, False))
    return segments

"""Bins from released weights: which values share a bin, and how rows lie inside it. Post-processing throughout.

Weights of a quantile tree are noisy, and its leaves are coarse where rows are rare. Inside a bin rows therefore lie as
the leaves say as far as noise does not explain it, and else along the slope that the bins beside it show. Beyond the
last leaf that stands out of the noise, the rest of the range is one bin, in which rows get rarer (see `tails`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from privsynth.codecs.bins import Bins
from privsynth.domain.numbers.quantile_tree import Leaves
from privsynth.domain.numbers.tails import NEAR_BINS, NoisyRanges, Tail, tail_segments

STEEPEST = 4.0  # of the logarithm of the density, from the middle of a bin to its end: a factor of 55 (own)
FLAT = 0.5  # change of the logarithm of the density over a part of a segment, within which it is taken as flat (own)
TAIL_FINENESS = 64  # bins narrower than 1/64 of the range are never cut for lying in a tail (own)


def build_bins(
    leaves: Leaves,
    frequent: dict[int, float],
    *,
    target: float,
    tails: Sequence[Tail] = (),
    widest: int | None = None,
) -> Bins:
    """Return bins of about `target` rows each; a frequent value with half as many rows is a bin of its own.

    Inside a bin the segments keep as much of their noisy shape as noise does not explain (see `shaped`). Each tail is a
    bin, if a row can be expected there (see `tail_segments`).

    A pure function of released figures.

    Args:
      leaves: their weights are without the rows of frequent values.
      frequent: value -> noisy rows.
      target: rows in a bin.
      tails: beyond the leaves.
      widest: grid steps that a bin of several leaves spans at most; None for any number.
    """
    segments = _segments(leaves.low, leaves.high, leaves.weight, frequent)
    lows: list[int] = []
    gathered, alone = 0.0, True
    middle, fine = _middle(segments), (segments[-1][1] - segments[0][0]) / TAIL_FINENESS
    for low, high, noisy, is_frequent in segments:
        weight = max(noisy, 0.0)
        single = is_frequent and weight >= 0.5 * target
        far = bool(lows) and _stretched(lows[-1] - middle, high - middle, fine)
        wide = bool(lows) and widest is not None and high - lows[-1] >= widest
        if not lows or alone or single or far or wide or gathered + 0.5 * weight > target:
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
    sigma = float(np.sqrt(np.mean(leaves.sigma**2)))
    values = np.asarray([s[3] for s in segments])
    found = shaped(bins, values, sigma)
    for tail in tails:
        found = _joined(found, tail, tail_segments(tail, _near(bins, values, sigma, middle, tail.side), middle), middle)
    return found


def _near(bins: Bins, frequent: np.ndarray, sigma: float, middle: int, side: int) -> NoisyRanges:
    """Return the last bins before a tail, without frequent values and bins that hold nothing else."""
    at = np.flatnonzero(~frequent)
    owner = bins.owner[at]
    there, first = np.unique(owner, return_index=True)
    last = np.append(first[1:], len(at)) - 1
    low, high = bins.seg_low[at][first] - middle - 0.5, bins.seg_high[at][last] - middle + 0.5
    rows = np.bincount(owner, weights=bins.seg_weight[at], minlength=bins.size)[there]
    variance = sigma**2 * np.bincount(owner, minlength=bins.size)[there]
    start, stop = (low, high) if side > 0 else (-high, -low)
    order = np.argsort(start)[-NEAR_BINS:]
    order = order[start[order] >= 0]
    return NoisyRanges(start[order], stop[order], rows[order], variance[order])


def _joined(bins: Bins, tail: Tail, segments: list[tuple[int, int, float]], middle: int) -> Bins:
    """Return bins with one more, of a tail's segments, which count from the middle."""
    if not segments:
        return bins
    low, high = (np.array([s[i] for s in segments], dtype=np.int64) + middle for i in (0, 1))
    weight = np.array([s[2] for s in segments])
    first = tail.side < 0
    lows = np.append(low[0], bins.lows) if first else np.append(bins.lows, low[0])
    parts = ((low, bins.seg_low), (high, bins.seg_high), (weight, bins.seg_weight))
    return Bins(lows, *(np.concatenate(part if first else part[::-1]) for part in parts))


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


@dataclass(frozen=True)
class _Shape:
    """How the density of each bin changes: as exp(slope · step), from the middle of the bin.

    Attributes:
      slope: (m,) of the logarithm of the density, for each grid step.
      middle: (m,) of the bins.
    """

    slope: np.ndarray
    middle: np.ndarray

    def mass(self, owner: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """Return (s,) how much of a density of one at the middle of its bin lies in each inclusive range."""
        width = (high - low + 1).astype(np.float64)
        half = self.slope[owner] * width / 2
        ratio = np.where(np.abs(half) < 1e-6, 1.0, np.sinh(half) / np.where(half == 0.0, 1.0, half))
        centre: np.ndarray = np.exp(self.slope[owner] * ((low + high) / 2 - self.middle[owner]))
        return width * ratio * centre


def shaped(bins: Bins, frequent: np.ndarray, sigma: float) -> Bins:
    """Return bins whose segments keep as much of their noisy weights as noise does not explain, and a slope otherwise.

    Where bins get lighter or heavier from one to the next the density inside them does too (see `_slopes`), so that
    rows of a wide bin lie nearer to its heavy end. Segments over which it changes are cut, so that they follow it.

    Args:
      bins: with noisy weights, which may be negative.
      frequent: (s,) whether a segment is a frequent value, which says nothing of the density around it.
      sigma: standard deviation of the weights.
    """
    owner = bins.owner
    starts, ends = np.searchsorted(owner, np.arange(bins.size)), np.searchsorted(owner, np.arange(bins.size), "right")
    middle = (bins.seg_low[starts] + bins.seg_high[ends - 1]) / 2
    shape = _Shape(_slopes(bins, frequent, middle, sigma), middle)
    weight = _shrink(bins, shape.mass(owner, bins.seg_low, bins.seg_high), sigma)
    low, high, whole = _cut(bins, shape)
    mass = shape.mass(owner[whole], low, high)
    share = mass / np.bincount(whole, weights=mass)[whole]
    return Bins(bins.lows, low, high, weight[whole] * share)


def _slopes(bins: Bins, frequent: np.ndarray, middle: np.ndarray, sigma: float) -> np.ndarray:
    """Return (m,) slopes of the logarithm of the density, from the weights of the bins beside each.

    A bin between two takes the mean of the slopes to both if they agree in sign and none if they do not, so that no
    peak is made sharper, and the first and the last bin the one that there is; each as far as noise does not explain
    it. Frequent values are left out, and so are bins that hold nothing else.

    Source: the slope limiters of numerical analysis (van Leer 1977); the positive-part rule of James & Stein (1961).
    """
    width = (bins.seg_high - bins.seg_low + 1) * ~frequent
    span = np.bincount(bins.owner, weights=width, minlength=bins.size)
    rows = np.bincount(bins.owner, weights=bins.seg_weight * ~frequent, minlength=bins.size)
    noise = sigma * np.sqrt(np.bincount(bins.owner, weights=~frequent, minlength=bins.size))
    slopes = np.zeros(bins.size)
    at = np.flatnonzero(span > 0)
    if len(at) < 2:
        return slopes
    clear = np.maximum(rows, np.maximum(noise, 1.0))[at]
    rise = np.diff(np.log(clear / span[at]))
    unsure = (noise[at] / clear) ** 2
    keep = np.maximum(1.0 - (unsure[1:] + unsure[:-1]) / np.maximum(rise**2, 1e-12), 0.0)
    between = keep * rise / np.diff(middle[at])
    left, right = np.append(between[0], between), np.append(between, between[-1])
    slopes[at] = np.where(left * right > 0, (left + right) / 2, 0.0)
    reach = np.maximum(bins.seg_high[np.searchsorted(bins.owner, np.arange(bins.size), "right") - 1] - middle, 1.0)
    return np.clip(slopes, -STEEPEST / reach, STEEPEST / reach)


def _cut(bins: Bins, shape: _Shape) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the segments cut so that the density changes little over each, and the segment that each part is of."""
    width = bins.seg_high - bins.seg_low + 1
    change = np.abs(shape.slope[bins.owner]) * width
    parts = np.clip(np.ceil(change / FLAT), 1, width).astype(np.int64)
    whole = np.repeat(np.arange(len(parts)), parts)
    number = np.arange(len(whole)) - np.repeat(np.cumsum(parts) - parts, parts)
    low = bins.seg_low[whole] + width[whole] * number // parts[whole]
    high = bins.seg_low[whole] + width[whole] * (number + 1) // parts[whole] - 1
    return low, high, whole


def _shrink(bins: Bins, shape: np.ndarray, sigma: float) -> np.ndarray:
    """Return (s,) weights >= 0, shrunk towards a shape inside each bin as far as noise explains how they differ.

    Source: the positive-part rule of James & Stein (1961), bin by bin.
    """
    owner = bins.owner
    total = np.bincount(owner, weights=bins.seg_weight, minlength=bins.size)
    span = np.bincount(owner, weights=shape, minlength=bins.size)
    plain = np.maximum(total, 0.0)[owner] * shape / span[owner]
    apart = bins.seg_weight - plain
    spread = np.bincount(owner, weights=apart**2, minlength=bins.size)
    freedom = np.maximum(np.bincount(owner, minlength=bins.size) - 1, 0)
    keep = np.maximum(1.0 - freedom * sigma**2 / np.maximum(spread, 1e-12), 0.0)
    return np.maximum(plain + keep[owner] * apart, 0.0)


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

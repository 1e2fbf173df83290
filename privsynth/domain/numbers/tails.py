"""What a declared range holds beyond the leaves that stand out of the noise: how many rows, how far. Post-processing.

A range that a form or a law sets is often far wider than what occurs, and noise alone would spread rows over the rest.
Each leaf out there is noise, but together with the bins before them they say how fast rows get rarer: as an
exponential, as a power, or to an end. A generalised Pareto distribution can be all three. Every one of a grid of them
is weighed by how well it explains the noisy counts, and what they expect on average is the tail. It ends where so few
rows are left that nobody could say where they lie.

Source: Pickands (1975), *Statistical inference using extreme order statistics*; Hoeting et al. (1999), *Bayesian model
averaging*.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np

from privsynth.domain.numbers.quantile_tree import Leaves

# The grid. A shape below zero has an end, zero is an exponential, above it a power of −1 / shape is left. Scales are in
# lengths of the bins before the tail.
SHAPES, SCALES = np.linspace(-0.6, 1.0, 33), np.geomspace(1 / 32, 32, 41)
# A normal prior of the shape, for where noise says nothing. In 68 columns of amounts, counts, durations and laboratory
# values a mean of 0.1 led to three quarters of their largest values, and one of 0.3 half again as often far beyond.
SHAPE_MEAN, SHAPE_SPREAD = 0.2, 0.3
DOUBT = 0.15  # of a count: how far rows are from any such distribution; 0.3 was worse on these columns
NEAR_BINS = 4  # before the tail: some eighth of the rows (own)
# Rows left where a tail ends: so many, and such a part of the noise of a leaf. Where one is left is the largest value
# on average; but then 38 % of releases of these columns had a value above 1.3 times the largest, and 16 % above twice
# that; at three 22 % and 8 %, with 99.9th percentiles as near. The second is for loud releases: where noise is 40 rows,
# the longest of 20,000 stays, 150 days, became 215 to 342 days in four releases without it, 117 to 215 in eight with
# it.
LEAST_LEFT, CLEAR = 3.0, 0.15
STEPS = 400  # at which a tail is looked at, of its logarithm (own)
PARTS, WIDENING = 24, 3.0  # of a tail (own): the last is e³ times as wide as the first, which follows what decays
FEW = 1e-6  # rows of a part, at least: a draw needs some


@dataclass(frozen=True)
class Tail:
    """What a declared range holds beyond the leaves that stand out of the noise.

    Attributes:
      side: 1 above the rows, −1 below them.
      edge: the last grid step that stands out.
      beyond: the other leaves of that side.
    """

    side: int
    edge: int
    beyond: Leaves


@dataclass(frozen=True)
class NoisyRanges:
    """Noisy rows in ranges of a dimension.

    Attributes:
      start, stop: (r,) half-open distances from the middle of the rows, towards the side of the tail, ascending.
      rows, variance: (r,) noisy rows, and the variance of their noise.
    """

    start: np.ndarray
    stop: np.ndarray
    rows: np.ndarray
    variance: np.ndarray


def without_tails(leaves: Leaves, frequent: Collection[int]) -> tuple[Leaves, tuple[Tail, ...]]:
    """Return the leaves of a declared range between its empty ends, and what those hold.

    If nothing stands out, or each leaf is a single value, nothing is left out.

    Args:
      frequent: the values that have bins of their own.
    """
    found = leaves.solid_range()
    if found is None or (leaves.low == leaves.high).all():
        return leaves, ()
    start, end = min((found[0], *frequent)), max((found[1], *frequent))
    tails = []
    for side, edge, gone in ((-1, start, leaves.high < start), (1, end, leaves.low > end)):
        if gone.any():
            tails.append(Tail(side, edge, _some(leaves, gone)))
    kept = _some(leaves, (leaves.high >= start) & (leaves.low <= end))
    kept = replace(kept, low=np.maximum(kept.low, start), high=np.minimum(kept.high, end))
    return kept, tuple(tails)


def _some(leaves: Leaves, which: np.ndarray) -> Leaves:
    return replace(
        leaves,
        low=leaves.low[which],
        high=leaves.high[which],
        weight=leaves.weight[which],
        sigma=leaves.sigma[which],
    )


def tail_segments(tail: Tail, near: NoisyRanges, middle: int) -> list[tuple[int, int, float]]:
    """Return (low, high, rows) of the parts of a tail, ascending; empty if hardly a row can be expected there.

    A pure function of released figures.

    Args:
      near: the last bins before the tail, without frequent values.
      middle: the grid step from which distances count.
    """
    edge = (tail.edge - middle) * tail.side
    if edge < 1 or not len(near.rows):
        return []
    far = _far(tail, middle, edge + 0.5, float(near.start[0]))
    last = far.stop[-1]
    every = NoisyRanges(
        *(np.concatenate([getattr(near, name), getattr(far, name)]) for name in ("start", "stop", "rows", "variance"))
    )
    expected = _Expected.of(every, length=max(edge + 0.5 - near.start[0], 1.0))
    steps = np.concatenate([[0.0], np.geomspace(1.0, max(last - edge - 0.5, 1.0), STEPS)])
    least = max(LEAST_LEFT, CLEAR * float(np.median(tail.beyond.sigma)))
    alive = np.flatnonzero(expected.beyond(edge + 0.5 + steps) >= least)
    if not len(alive):
        return []
    length = steps[min(int(alive[-1]) + 1, len(steps) - 1)]
    places = np.expm1(np.linspace(0.0, WIDENING, PARTS + 1)) / np.expm1(WIDENING)
    ends = np.unique(np.floor(edge + length * places).astype(np.int64))
    rows = np.maximum(-np.diff(expected.beyond(ends + 0.5)), FEW)
    if tail.side < 0:
        ends, rows = -ends[::-1], rows[::-1]
        return list(zip((ends[:-1]).tolist(), (ends[1:] - 1).tolist(), rows.tolist(), strict=True))
    return list(zip((ends[:-1] + 1).tolist(), ends[1:].tolist(), rows.tolist(), strict=True))


def _far(tail: Tail, middle: int, edge: float, start: float) -> NoisyRanges:
    """Return what the leaves beyond hold, in ranges that reach twice as far from the start each: noise adds up."""
    further = tail.beyond.high if tail.side > 0 else tail.beyond.low
    high = (further - middle) * tail.side + 0.5
    doubling = np.ceil(np.log2(np.maximum((high - start) / max(edge - start, 1.0), 1.0))).astype(np.int64)
    _, group = np.unique(doubling, return_inverse=True)
    stop = np.zeros(int(group.max()) + 1)
    np.maximum.at(stop, group, high)
    return NoisyRanges(
        np.append(edge, stop[:-1]),
        stop,
        np.bincount(group, weights=tail.beyond.weight),
        np.bincount(group, weights=tail.beyond.sigma**2),
    )


@dataclass(frozen=True)
class _Expected:
    """The mean over all generalised Pareto distributions of the grid, as far as each explains noisy rows.

    Attributes:
      start: where they begin.
      shape, scale, rows: (m,) of each; how many rows it has beyond the start, times how far it is believed.
    """

    start: float
    shape: np.ndarray
    scale: np.ndarray
    rows: np.ndarray

    @classmethod
    def of(cls, seen: NoisyRanges, *, length: float) -> _Expected:
        """Return it; the number of rows is integrated out, as the likelihood is normal in it.

        Args:
          length: of the bins before the tail.
        """
        start = float(seen.start[0])
        shape, scale = (grid.ravel() for grid in np.meshgrid(SHAPES, SCALES * length, indexing="ij"))
        share = _survival(seen.start - start, shape, scale) - _survival(seen.stop - start, shape, scale)
        rows = np.maximum(seen.rows, 1.0)
        variance = seen.variance + rows + (DOUBT * rows) ** 2  # of noise, of chance, and of the model
        precision = (share**2 / variance).sum(axis=1) + 1e-12
        found = np.maximum((share * seen.rows / variance).sum(axis=1) / precision, 1e-9)
        fit = found**2 * precision / 2 - np.log(precision) / 2 - np.log(found)
        fit -= ((shape - SHAPE_MEAN) / SHAPE_SPREAD) ** 2 / 2
        believed = np.exp(fit - fit.max())
        return cls(start, shape, scale, found * believed / believed.sum())

    def beyond(self, distance: np.ndarray) -> np.ndarray:
        """Return (k,) how many rows are expected beyond distances."""
        found: np.ndarray = self.rows @ _survival(distance - self.start, self.shape, self.scale)
        return found


def _survival(x: np.ndarray, shape: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return (m, k) shares of generalised Pareto distributions beyond (k,) distances ≥ 0; 0 behind their ends."""
    z, bend = x / scale[:, None], shape[:, None]
    straight = np.abs(bend) < 1e-9
    log = np.where(straight, z, np.log1p(np.maximum(bend * z, -1 + 1e-15)) / np.where(straight, 1.0, bend))
    found: np.ndarray = np.where(bend * z <= -1.0, 0.0, np.exp(-np.minimum(log, 700.0)))
    return found

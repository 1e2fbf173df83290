"""What conditions on values mean for the codes of a model: `Evidence`, and a codec that draws inside the conditions.

A bin of a number may lie partly inside a condition. Its likelihood is the part of its mass that does, and the codec
draws in that part alone, so that `income = 52000` is drawn directly instead of by rejection. Where several attributes
make up the value that a condition restricts (a date, a column above another), the evidence admits whatever could meet
it, and rows that do not are drawn again: exact in either case. A number with endings keeps its bin under a condition
also where the bin holds no value of its ending; without a condition it takes the nearest that has it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import singledispatchmethod
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from privsynth.codecs.bins import Bins
from privsynth.codecs.columns import (
    DAY,
    CategoryCodec,
    ColumnCodec,
    DerivedCodec,
    Endings,
    NumberCodec,
    TimeCodec,
    join_week,
    split_week,
)
from privsynth.codecs.parse import GRID_LIMIT
from privsynth.codecs.parsed_table import grid_values
from privsynth.codecs.table import TableCodec
from privsynth.sampling.conditions import Clause

FEW_VALUES = 4_096  # left by a condition (own): their endings are looked up one by one

_Range = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Conditioned:
    """A condition, ready to be sampled under.

    Attributes:
      clauses: all of which have to be met.
      codec: draws inside the conditions where one attribute decides.
      evidence: attribute -> (size,) likelihood of its codes.
    """

    clauses: tuple[Clause, ...]
    codec: TableCodec
    evidence: dict[int, np.ndarray]


def condition(clauses: Sequence[Clause], codec: TableCodec) -> Conditioned:
    """Return what clauses mean for the codes of a model."""
    made = _Builder(codec)
    by_column: dict[str, list[Clause]] = {}
    for clause in clauses:
        # A comparison of two columns, or of what is calculated, is left to rejection.
        if len(clause.columns) == 1 and not any(one.calculates for one in clause.conditions):
            by_column.setdefault(clause.columns[0], []).append(clause)
    for name, found in by_column.items():
        made.add(name, found)
    return Conditioned(tuple(clauses), TableCodec(tuple(made.codecs)), made.evidence)


class _Truth:
    """Whether values of a column meet all clauses on it.

    The truth of a comparison is constant between the literals, so that one probe at each literal and one between each
    two neighbours determine it.
    """

    def __init__(self, codec: ColumnCodec, clauses: Sequence[Clause]) -> None:
        self.name, self.clauses = codec.name, clauses
        self.time = codec.family == "time"
        texts = [literal for clause in clauses for literal in clause.literals]
        if codec.family == "text":
            self.null = bool(self.of(pd.Series([None], dtype="object"))[0])
            return
        seconds = (int(np.datetime64(text, "s").astype(np.int64)) for text in texts)
        self.literals = sorted(set(seconds)) if self.time else sorted({float(text) for text in texts})
        self.null = bool(self.of(pd.Series([None], dtype="datetime64[s]" if self.time else "float64"))[0])
        self._at = self._met(self.literals)
        self._between = self._met([*self._probes(), *([] if self.literals else [0])])

    def _probes(self) -> list[float]:
        """Return a value below all literals, one between each two neighbours, and one above all."""
        if not self.literals:
            return []
        first, last = self.literals[0], self.literals[-1]
        if self.time:
            ends = (first - 1, last + 1)
        else:
            ends = (float(np.nextafter(first, -np.inf)), float(np.nextafter(last, np.inf)))
        middles = [a + (b - a) / 2 for a, b in pairwise(self.literals)]
        return [ends[0], *middles, ends[1]]

    def _met(self, values: Sequence[float]) -> np.ndarray:
        if self.time:
            return self.of(pd.Series(np.array(values, dtype=np.float64).astype(np.int64).astype("datetime64[s]")))
        return self.of(pd.Series(np.array(values, dtype=np.float64)))

    def of(self, values: pd.Series) -> np.ndarray:
        """Return (n,) booleans."""
        frame = pd.DataFrame({self.name: values})
        met = np.ones(len(values), dtype=bool)
        for clause in self.clauses:
            met &= clause.met(frame)
        return met

    def possible(self, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """Return (n,) booleans: some value from low to high, both included, meets the clauses."""
        found = np.zeros(len(low), dtype=bool)
        for value, met in zip(self.literals, self._at, strict=True):
            found |= met & (low <= value) & (value <= high)
        edges = [-np.inf, *self.literals, np.inf]
        for (start, stop), met in zip(pairwise(edges), self._between, strict=True):
            found |= met & (low < stop) & (high > start)
        return found


class _Builder:
    """Codecs and evidence, as clauses are added to them."""

    def __init__(self, codec: TableCodec) -> None:
        self.codecs = list(codec.codecs)
        self.first = {c.name: next(iter(codec.attributes_of(c.name)), -1) for c in codec.codecs}
        self.evidence: dict[int, np.ndarray] = {}

    def _codec(self, name: str) -> ColumnCodec:
        return next(codec for codec in self.codecs if codec.name == name)

    def _replace(self, codec: ColumnCodec) -> None:
        self.codecs = [codec if old.name == codec.name else old for old in self.codecs]

    def _weigh(self, attribute: int, likelihood: np.ndarray) -> None:
        self.evidence[attribute] = self.evidence.get(attribute, 1.0) * likelihood

    def add(self, name: str, clauses: list[Clause]) -> None:
        """Add the clauses of one column."""
        codec = self._codec(name)
        self._add(codec, _Truth(codec, clauses))

    @singledispatchmethod
    def _add(self, codec: ColumnCodec, truth: _Truth) -> None:
        """Narrow one column. What cannot be narrowed is left to rejection."""

    @_add.register
    def _(self, codec: CategoryCodec, truth: _Truth) -> None:
        values = [*codec.texts, None]
        met = truth.of(pd.Series(np.array(values, dtype=object), dtype="object")).astype(np.float64)
        met[-1] *= codec.nullable
        if codec.source is None:
            self._weigh(self.first[codec.name], met)
        else:  # place −1, no entry in the code book, is the last: that of a missing value
            self._weigh(self.first[codec.source], met[[*codec.places, -1]])

    @_add.register
    def _(self, codec: NumberCodec, truth: _Truth) -> None:
        if codec.base is not None:
            self._add_above(codec, truth)
            return
        bins, likelihood = _restrict(
            codec.bins,
            _number_cuts(codec, truth),
            lambda low, high: truth.possible(_numbers(codec, low), _numbers(codec, high)),
        )
        self._replace(codec.with_bins(bins))
        self._weigh(self.first[codec.name], np.append(likelihood, truth.null and codec.nullable))
        if codec.endings is not None:
            self._weigh(self.first[codec.name] + 1, _possible_endings(codec.endings, bins, likelihood))

    @_add.register
    def _(self, codec: TimeCodec, truth: _Truth) -> None:
        if codec.base is not None:
            self._add_above(codec, truth)
        elif not truth.null:  # a missing value of several attributes is left to rejection
            self._add_time(codec, truth)

    @_add.register
    def _(self, codec: DerivedCodec, truth: _Truth) -> None:
        if not truth.null:
            self._add_difference(codec, truth)

    def _add_time(self, codec: TimeCodec, truth: _Truth) -> None:
        """Narrow the weeks; where one is left, its weekdays; where one of them is left, the clock."""
        at = self.first[codec.name]

        def seconds(first_day: np.ndarray, last_day: np.ndarray) -> _Range:
            return _clipped(codec, first_day * DAY, last_day * DAY + DAY - 1)

        def weeks(low: np.ndarray, high: np.ndarray) -> np.ndarray:
            return truth.possible(*seconds(join_week(low, np.array(0)), join_week(high, np.array(6))))

        cuts = [int(split_week(np.array(v // DAY))[0]) + more for v in truth.literals for more in (0, 1)]
        days, likelihood = _restrict(codec.days, cuts, weeks)
        self._weigh(at, np.append(likelihood, 0.0))
        for part in range(1, len(codec.attributes())):
            size = codec.attributes()[part].size
            self._weigh(at + part, np.append(np.ones(size - 1), 0.0))
        left = likelihood[days.owner] > 0
        clock = codec.clock
        if left.any() and days.seg_low[left].min() == days.seg_high[left].max():
            day = join_week(np.full(7, days.seg_low[left].min()), np.arange(7))
            allowed = truth.possible(*seconds(day, day))
            self._weigh(at + 1, np.append(allowed, 0.0))
            if clock is not None and allowed.sum() == 1:
                start, step = int(day[allowed][0]) * DAY, codec.precision

                def times(low: np.ndarray, high: np.ndarray) -> np.ndarray:
                    return truth.possible(*_clipped(codec, start + low * step, start + high * step))

                cuts = [(int(v) - start) // step + more for v in truth.literals for more in (0, 1)]
                clock, likelihood = _restrict(clock, cuts, times)
                self._weigh(at + 2, np.append(likelihood, 0.0))
        self._replace(replace(codec, days=days, clock=clock))

    def _add_above(self, codec: NumberCodec | TimeCodec, truth: _Truth) -> None:
        """Forbid amounts and bases with which no sum could meet the clauses; the rest is left to rejection."""
        if truth.null:
            return
        base = self._codec(codec.base or "")
        self._weigh_null(codec)
        if base.base is None:
            self._add_sum(codec, base, truth)

    @singledispatchmethod
    def _add_sum(self, codec: ColumnCodec, base: Any, truth: _Truth) -> None:
        """Narrow the amount above a base, and the base."""

    @_add_sum.register
    def _(self, codec: NumberCodec, base: Any, truth: _Truth) -> None:
        amounts, starts = codec.bins, base.bins

        def sums(low: np.ndarray, high: np.ndarray) -> np.ndarray:
            return truth.possible(_numbers(codec, low + starts.seg_low[0]), _numbers(codec, high + starts.seg_high[-1]))

        def from_base(low: np.ndarray, high: np.ndarray) -> np.ndarray:
            return truth.possible(
                _numbers(codec, low + amounts.seg_low[0]), _numbers(codec, high + amounts.seg_high[-1])
            )

        self._narrow(codec, [], sums)
        self._narrow(base, [], from_base)

    @_add_sum.register
    def _(self, codec: TimeCodec, base: Any, truth: _Truth) -> None:
        amounts, starts = codec.bins, base.bins
        base_low = join_week(starts.seg_low[0], np.array(0)) * DAY
        base_high = join_week(starts.seg_high[-1], np.array(6)) * DAY + DAY

        def sums(low: np.ndarray, high: np.ndarray) -> np.ndarray:
            least, most = codec.scale.ends(low, high)
            return truth.possible(*_clipped(codec, base_low + least, base_high + most))

        def from_base(low: np.ndarray, high: np.ndarray) -> np.ndarray:
            least, most = codec.scale.ends(amounts.seg_low[:1], amounts.seg_high[-1:])
            first = join_week(low, np.array(0)) * DAY + least
            last = (join_week(high, np.array(6)) + 1) * DAY + most
            return truth.possible(*_clipped(codec, first, last))

        self._narrow(codec, [], sums)
        self._narrow(base, [], from_base)

    def _add_difference(self, codec: DerivedCodec, truth: _Truth) -> None:
        """Forbid amounts that are too small, where the minuend is coded as the amount above the subtrahend."""
        minuend: Any = self._codec(codec.minuend)
        if minuend.base != codec.subtrahend:
            return
        self._weigh_null(minuend)
        exact = minuend.low is None and minuend.high is None

        def differences(low: np.ndarray, high: np.ndarray) -> np.ndarray:
            least, most = minuend.amounts_above(low, high)
            # The bounds of the minuend may cut a difference, but never lengthen it.
            least = least if exact else np.minimum(least, 0.0)
            return truth.possible(least - codec.precision, most + codec.precision)

        near = minuend.places_above(np.array(truth.literals, dtype=np.float64)).tolist()
        self._narrow(minuend, [v + more for v in near for more in range(-2, 4)], differences)

    def _narrow(
        self, codec: NumberCodec | TimeCodec, cuts: list[int], possible: Callable[[np.ndarray, np.ndarray], np.ndarray]
    ) -> None:
        bins, likelihood = _restrict(codec.bins, cuts, possible)
        self._replace(codec.with_bins(bins))
        self._weigh(self.first[codec.name], np.append(likelihood, 1.0))

    def _weigh_null(self, codec: ColumnCodec) -> None:
        for part, attribute in enumerate(codec.attributes()):
            self._weigh(self.first[codec.name] + part, np.append(np.ones(attribute.size - 1), 0.0))


def _possible_endings(endings: Endings, bins: Bins, likelihood: np.ndarray) -> np.ndarray:
    """Return (endings + 2,) whether values that are left have each ending; all of them where many values are left."""
    there = np.ones(len(endings.patterns) + 2)
    left = likelihood[bins.owner] > 0
    low, high = bins.seg_low[left], bins.seg_high[left]
    if (high - low + 1).sum() <= FEW_VALUES:
        values = [np.arange(a, b + 1) for a, b in zip(low.tolist(), high.tolist(), strict=True)]
        there[:-1] = 0.0
        there[endings.of(np.concatenate([*values, np.zeros(0, dtype=np.int64)]))] = 1.0
    return there


def _numbers(codec: NumberCodec, steps: np.ndarray) -> np.ndarray:
    """Return the values that grid steps become."""
    bounded = steps if codec.low is None and codec.high is None else np.clip(steps, codec.low, codec.high)
    values: np.ndarray = grid_values(bounded, codec.precision)
    return np.rint(values) if codec.integer else values


def _clipped(codec: TimeCodec, low: np.ndarray, high: np.ndarray) -> _Range:
    if codec.low is None and codec.high is None:
        return low, high
    return np.clip(low, codec.low, codec.high), np.clip(high, codec.low, codec.high)


def _number_cuts(codec: NumberCodec, truth: _Truth) -> list[int]:
    """Return the grid steps at which the truth may change: the first at or above each literal, and the one after."""
    cuts = [bound + more for bound in (codec.low, codec.high) if bound is not None for more in (0, 1)]
    for value in truth.literals:
        near = int(np.clip(value / codec.precision, -GRID_LIMIT, GRID_LIMIT))
        cuts += range(near - 2, near + 4)
    return cuts


def _restrict(
    bins: Bins, cuts: Sequence[int], possible: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> tuple[Bins, np.ndarray]:
    """Return the bins with their mass where it is possible, and (bins,) the part of each bin's mass that this is.

    Args:
      cuts: steps before which segments are cut, so that what is possible follows them.
      possible: (m,) first and last steps -> (m,) booleans.
    """
    lows, highs, weights = [], [], []
    places = np.unique(np.asarray(cuts, dtype=np.int64)) if len(cuts) else np.zeros(0, dtype=np.int64)
    for low, high, weight in zip(
        bins.seg_low.tolist(), bins.seg_high.tolist(), np.maximum(bins.seg_weight, 1e-9).tolist(), strict=True
    ):
        inside = places[np.searchsorted(places, low, side="right") : np.searchsorted(places, high, side="right")]
        starts = [low, *inside.tolist()]
        ends = [*(inside - 1).tolist(), high]
        lows += starts
        highs += ends
        weights += [weight * (b - a + 1) / (high - low + 1) for a, b in zip(starts, ends, strict=True)]
    seg_low, seg_high, weight = np.array(lows), np.array(highs), np.array(weights)
    owner = bins.encode(seg_low)
    keep = possible(seg_low, seg_high)
    total = np.bincount(owner, weights=weight, minlength=bins.size)
    likelihood = np.bincount(owner, weights=weight * keep, minlength=bins.size) / total
    stay = keep | (likelihood[owner] <= 0)  # a bin keeps some segment, also if none of it will be drawn
    return Bins(bins.lows, seg_low[stay], seg_high[stay], weight[stay]), np.minimum(likelihood, 1.0)

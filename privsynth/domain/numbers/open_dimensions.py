"""The numeric dimensions of columns on their way to bins: a number, the weeks of a time, its clock."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from privsynth.codecs.bounds import clip_steps
from privsynth.codecs.column_facts import ColumnFacts
from privsynth.codecs.columns import DAY, ElapsedScale, split_week
from privsynth.codecs.parse import GRID_LIMIT, Categories, Grid, narrowest
from privsynth.codecs.parsed_table import ParsedTable
from privsynth.domain.domain_request import DomainRequest
from privsynth.domain.numbers.endings import Values
from privsynth.domain.numbers.magnitude_prior import RemainingRows
from privsynth.domain.numbers.quantile_tree import FIRST_PARTS, Dimension
from privsynth.privacy.unit_weights import Weighting, count
from privsynth.schema.calculations import ColumnTerm, Operation
from privsynth.schema.definition import Schema

# Seconds that a bin of the clock spans at most (own): a night holds few rows, and would be one bin with the morning.
CLOCK_BIN = 4 * 3600


@dataclass
class OpenDimension:
    """One numeric dimension of a column on its way to bins; private until its rows are counted.

    Attributes:
      part: "number", "days" or "clock".
      steps, known: (n,) grid steps, and which rows have one.
      low, high: declared bounds.
      keyed: whether its frequent values get bins of their own.
      tailed: whether rows get rarer towards its ends, unlike dates and times of day.
      weight: (n,) steps that rows weigh; None for one each.
      frequent: value -> its noisy rows.
      widest: grid steps that a bin spans at most; None for any number.
      weeks: whether steps are weeks since 1970.
    """

    column: str
    part: str
    steps: np.ndarray | None = None
    known: np.ndarray | None = None
    low: int | None = None
    high: int | None = None
    keyed: bool = False
    tailed: bool = True
    weight: np.ndarray | None = None
    frequent: dict[int, float] = field(default_factory=dict)
    widest: int | None = None
    weeks: bool = False

    def counts(self) -> dict[str, int]:
        """Return the exact counts of values, in rows or in steps. Private."""
        assert self.steps is not None
        assert self.known is not None
        if self.weight is None:
            values, counts = np.unique(self.steps[self.known], return_counts=True)
        else:
            values, at = np.unique(self.steps[self.known], return_inverse=True)
            counts = count(at, len(values), self.weight[self.known])
        return {str(v): int(c) for v, c in zip(values.tolist(), counts.tolist(), strict=True)}

    def remaining(self, request: DomainRequest, values_sigma: float) -> RemainingRows | None:
        """Return how many rows hold no frequent value, from released numbers; None if the share of nulls is unknown.

        Args:
          values_sigma: standard deviation of the rows of one frequent value.
        """
        fact = request.facts[self.column]
        if fact.null_share is None:
            return None
        rows = request.n_rows * (1.0 - fact.null_share) - math.fsum(self.frequent.values())
        noise = (request.rows_sigma, request.n_rows * fact.null_sigma, values_sigma * math.sqrt(len(self.frequent)))
        return RemainingRows(rows, math.hypot(*noise))

    def _plain(self) -> np.ndarray:
        """Return (n,) booleans: the row has a value that is not frequent. Private."""
        assert self.steps is not None
        assert self.known is not None
        if not self.frequent:
            return self.known
        return self.known & ~np.isin(self.steps, np.fromiter(self.frequent, dtype=np.int64))

    def values(self) -> Values:
        """Return the values that are not frequent, each of which is a bin of its own already. Private."""
        assert self.steps is not None
        kept = self._plain()
        return Values(self.steps[kept], None if self.weight is None else self.weight[kept])

    def hand_over(self, rows: float | None) -> Dimension:
        """Return the dimension for the tree, which owns the arrays from then on, so that they are held only once.

        Args:
          rows: how many rows are known to exist.
        """
        assert self.steps is not None
        assert self.known is not None
        steps, kept = self.steps, self._plain()
        self.steps = self.known = None
        weight = None if self.weight is None else self.weight[kept]
        values = steps if kept.all() else steps[kept]
        return Dimension(f"{self.column}·{self.part}", values, self.low, self.high, weight, rows, self.weeks)


def open_dimensions(
    name: str, parsed: ParsedTable, request: DomainRequest, weighting: Weighting
) -> list[OpenDimension]:
    """Return the numeric dimensions of a column: a number, the weeks (or amount above a base) of a time, its clock."""
    column, fact = parsed.columns[name], request.facts[name]
    if isinstance(column, Categories):
        return []
    base_name = request.layout.bases.get(name)
    base = None if base_name is None else _Base.of(base_name, parsed, request)
    if fact.kind in ("numeric", "integer"):
        dimensions = [_number(name, column, base, request)]
    else:
        dimensions = _time(name, column, base, request)
    for dimension in dimensions:
        dimension.weight = weighting.steps
    return dimensions


@dataclass(frozen=True)
class _Base:
    """The column that another never falls below: its (n,) bounded steps (seconds of a time), nulls and lower bound."""

    steps: np.ndarray
    null: np.ndarray
    low: int | None

    @classmethod
    def of(cls, name: str, parsed: ParsedTable, request: DomainRequest) -> _Base:
        column, fact = parsed.columns[name], request.facts[name]
        assert isinstance(column, Grid)
        # A date may be the base of a time: each has a precision of its own.
        scale = int(fact.precision) if fact.kind in ("datetime", "date") else 1
        low, high = declared_steps(request.schema, name, fact)
        return cls(clip_steps(column.steps * scale, low, high), column.null, low)


def _most_above(name: str, request: DomainRequest) -> float | None:
    """Return the declared maximum, not below zero, of a column that is how far this one lies above its base."""
    difference = Operation("-", ColumnTerm(name), ColumnTerm(request.layout.bases[name]))
    declared = (request.schema.column(n).maximum for n, made in request.layout.derived.items() if made == difference)
    return min((max(float(most), 0.0) for most in declared if isinstance(most, int | float)), default=None)


def _number(name: str, column: Grid, base: _Base | None, request: DomainRequest) -> OpenDimension:
    low, high = declared_steps(request.schema, name, request.facts[name])
    steps, known = clip_steps(column.steps, low, high), ~column.null
    if base is not None:
        steps, known = np.maximum(steps - base.steps, 0), known & ~base.null
        low, high = 0, (max(high - base.low, 0) if high is not None and base.low is not None else None)
        if (most := _most_above(name, request)) is not None:
            most = math.floor(most / request.facts[name].precision + 1e-9)
            high = most if high is None else min(most, high)
            steps = np.minimum(steps, high)
    wide = low is None or high is None or high - low >= FIRST_PARTS
    return OpenDimension(name, "number", narrowest(steps), known, low, high, keyed=wide)


def _time(name: str, column: Grid, base: _Base | None, request: DomainRequest) -> list[OpenDimension]:
    fact = request.facts[name]
    low, high = declared_steps(request.schema, name, fact)
    precision, known = int(fact.precision), ~column.null
    seconds = clip_steps(column.steps * precision, low, high)
    if base is not None:
        scale = ElapsedScale(precision)
        above = scale.place(seconds, base.steps)
        longest = max(high // DAY - base.low // DAY, 0) if high is not None and base.low is not None else None
        if (most := _most_above(name, request)) is not None:
            dates = fact.kind == request.facts[request.layout.bases[name]].kind == "date"
            apart = math.floor(most) if dates else max(math.ceil(most) - 1, 0)  # whatever the clocks say
            longest = apart if longest is None else min(apart, longest)
        span = None if longest is None else scale.span(longest)
        above = above if span is None else np.minimum(above, span)
        found = [OpenDimension(name, "days", narrowest(above), known & ~base.null, 0, span, keyed=True)]
    else:
        weeks = [int(split_week(np.array([b // DAY]))[0][0]) if b is not None else None for b in (low, high)]
        place = narrowest(split_week(seconds // DAY)[0])
        found = [OpenDimension(name, "days", place, known, weeks[0], weeks[1], tailed=False, weeks=True)]
    if fact.kind == "datetime":
        clock, widest = narrowest(seconds % DAY // precision), max(CLOCK_BIN // precision, 1)
        found.append(
            OpenDimension(name, "clock", clock, known, 0, DAY // precision - 1, keyed=True, tailed=False, widest=widest)
        )
    return found


def declared_steps(schema: Schema, name: str, fact: ColumnFacts) -> tuple[int | None, int | None]:
    """Return the declared bounds of a column in grid steps (seconds for times), the grid inside the bounds."""
    column = schema.column(name)

    def steps(bound: object, inwards: Callable[[float], int]) -> int | None:
        if bound is None:
            return None
        if fact.kind in ("datetime", "date"):
            seconds = int(np.datetime64(bound, "s").astype(np.int64))  # type: ignore[call-overload]
            return inwards(seconds / DAY) * DAY if fact.kind == "date" else seconds
        exact = float(bound) / fact.precision  # type: ignore[arg-type]
        near = np.rint(exact)
        on_grid = abs(exact - near) <= 1e-9 * max(1.0, abs(exact))  # 0.7 / 0.1 is not quite 7
        clipped = min(max(near if on_grid else exact, -GRID_LIMIT), GRID_LIMIT)
        return inwards(clipped)

    low, high = steps(column.minimum, math.ceil), steps(column.maximum, math.floor)
    if low is not None and high is not None and low > high:
        return high, high  # no step of the grid lies inside the bounds: the one below
    return low, high

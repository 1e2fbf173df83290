"""The numeric dimensions of columns on their way to bins: a number, the weeks of a time, its clock."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pyarrow as pa

from privsynth.codecs.bounds import clip_steps
from privsynth.codecs.column_facts import ColumnFacts
from privsynth.codecs.columns import DAY, ElapsedScale, split_week
from privsynth.codecs.parse import GRID_LIMIT, Grid, narrowest
from privsynth.codecs.parsed_table import ParsedTable
from privsynth.domain.domain_request import DomainRequest
from privsynth.domain.layout import Layout
from privsynth.domain.numbers.magnitude_prior import RemainingRows
from privsynth.domain.numbers.places import places
from privsynth.domain.numbers.quantile_tree import FIRST_PARTS, Dimension
from privsynth.partitions.histogram import Histogram
from privsynth.partitions.marks import SIDE, STEPS, TRAINING, on_side, weights
from privsynth.partitions.rows import PrivateRows
from privsynth.schema.calculations import ColumnTerm, Operation
from privsynth.schema.definition import Schema

# Seconds that a bin of the clock spans at most (own): a night holds few rows, and would be one bin with the morning.
CLOCK_BIN = 4 * 3600


@dataclass
class OpenDimension:
    """One numeric dimension of a column on its way to bins. Public.

    Attributes:
      part: "number", "days" or "clock".
      low, high: declared bounds.
      keyed: whether its frequent values get bins of their own.
      tailed: whether rows get rarer towards its ends, unlike dates and times of day.
      frequent: value -> its noisy rows.
      widest: grid steps that a bin spans at most; None for any number.
      weeks: whether steps are weeks since 1970.
    """

    column: str
    part: str
    low: int | None = None
    high: int | None = None
    keyed: bool = False
    tailed: bool = True
    frequent: dict[int, float] = field(default_factory=dict)
    widest: int | None = None
    weeks: bool = False

    @property
    def name(self) -> str:
        """What tells it apart from the other dimensions."""
        return f"{self.column}·{self.part}"

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

    def tree(self, rows: float | None) -> Dimension:
        """Return the dimension as the tree takes it.

        Args:
          rows: how many rows are known to exist.
        """
        return Dimension(self.name, self.low, self.high, rows, self.weeks)


def open_dimensions(name: str, request: DomainRequest) -> list[OpenDimension]:
    """Return the numeric dimensions of a column: a number, the weeks (or amount above a base) of a time, its clock."""
    fact = request.facts[name]
    if fact.kind in ("numeric", "integer"):
        low, high = _number_bounds(name, request)
        wide = low is None or high is None or high - low >= FIRST_PARTS
        return [OpenDimension(name, "number", low, high, keyed=wide)]
    if fact.kind not in ("datetime", "date"):
        return []
    if name in request.layout.bases:
        found = [OpenDimension(name, "days", 0, _longest_above(name, request), keyed=True)]
    else:
        bounds = declared_steps(request.schema, name, fact)
        weeks = [int(split_week(np.array([b // DAY]))[0][0]) if b is not None else None for b in bounds]
        found = [OpenDimension(name, "days", weeks[0], weeks[1], tailed=False, weeks=True)]
    if fact.kind == "datetime":
        precision = int(fact.precision)
        last, widest = DAY // precision - 1, max(CLOCK_BIN // precision, 1)
        found.append(OpenDimension(name, "clock", 0, last, keyed=True, tailed=False, widest=widest))
    return found


def dimension_rows(parsed: PrivateRows, dimensions: Sequence[OpenDimension], request: DomainRequest) -> PrivateRows:
    """Return the training rows of parsed ones, with the place of each in every dimension, null where it has none."""
    asked = _PublicPart(request.schema, request.layout, request.facts)
    by_column = {name: [d for d in dimensions if d.column == name] for name in {d.column: None for d in dimensions}}
    found = pa.schema([*((d.name, pa.int64()) for d in dimensions), (STEPS, pa.int64())])
    needed = {*by_column, *(request.layout.bases[n] for n in by_column if n in request.layout.bases)}
    return parsed.derive(partial(_dimensions_of_part, by_column, asked), found, [*sorted(needed), SIDE, STEPS])


def without_frequent(rows: PrivateRows, dimensions: Sequence[OpenDimension]) -> PrivateRows:
    """Return the rows of dimensions without the places that are frequent, each of which is a bin of its own already."""
    if not any(dimension.frequent for dimension in dimensions):
        return rows
    frequent = {d.name: np.fromiter(d.frequent, dtype=np.int64) for d in dimensions if d.frequent}
    return rows.derive(partial(_without, frequent), rows.schema)


def value_histograms(names: Sequence[str], weighed: bool, part: pa.Table) -> list[Histogram]:
    """Return for each dimension how often each place occurs, in rows or in steps. Private."""
    steps, found = weights(part, weighed), []
    for name in names:
        at, known = places(part, name)
        found.append(Histogram.of(at[known], None if steps is None else steps[known]))
    return found


@dataclass(frozen=True)
class _PublicPart:
    """Of a request, what places follow from."""

    schema: Schema
    layout: Layout
    facts: Mapping[str, ColumnFacts]


def _dimensions_of_part(
    by_column: Mapping[str, Sequence[OpenDimension]], request: _PublicPart, part: pa.Table
) -> pa.Table:
    part = on_side(part, TRAINING)
    parsed = ParsedTable.of_arrow(part)
    found: dict[str, pa.Array | pa.ChunkedArray] = {}
    for name, dimensions in by_column.items():
        for dimension, (steps, known) in zip(dimensions, _places(name, parsed, request), strict=True):
            found[dimension.name] = pa.array(narrowest(steps), mask=~known)
    return pa.table({**found, STEPS: part.column(STEPS)})


def _without(frequent: Mapping[str, np.ndarray], part: pa.Table) -> pa.Table:
    for name, values in frequent.items():
        steps, known = places(part, name)
        plain = pa.array(steps, mask=~known | np.isin(steps, values))
        part = part.set_column(part.column_names.index(name), name, plain)
    return part


def _places(name: str, parsed: ParsedTable, request: _PublicPart) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return for each dimension of a column (n,) places and which rows have one. A row-by-row function. Private."""
    column, fact = parsed.columns[name], request.facts[name]
    assert isinstance(column, Grid)
    base_name = request.layout.bases.get(name)
    base = None if base_name is None else _Base.of(base_name, parsed, request)
    if fact.kind in ("numeric", "integer"):
        return [_number(name, column, base, request)]
    return _time(name, column, base, request)


@dataclass(frozen=True)
class _Base:
    """The column that another never falls below: its (n,) bounded steps (seconds of a time) and nulls."""

    steps: np.ndarray
    null: np.ndarray

    @classmethod
    def of(cls, name: str, parsed: ParsedTable, request: _PublicPart) -> _Base:
        column, fact = parsed.columns[name], request.facts[name]
        assert isinstance(column, Grid)
        low, high = declared_steps(request.schema, name, fact)
        return cls(clip_steps(column.steps * _scale(fact), low, high), column.null)


def _scale(fact: ColumnFacts) -> int:
    """Return the seconds of a step of a time: a date may be the base of a time, and each has its own precision."""
    return int(fact.precision) if fact.kind in ("datetime", "date") else 1


def _most_above(name: str, request: DomainRequest | _PublicPart) -> float | None:
    """Return the declared maximum, not below zero, of a column that is how far this one lies above its base."""
    difference = Operation("-", ColumnTerm(name), ColumnTerm(request.layout.bases[name]))
    declared = (request.schema.column(n).maximum for n, made in request.layout.derived.items() if made == difference)
    return min((max(float(most), 0.0) for most in declared if isinstance(most, int | float)), default=None)


def _number_bounds(name: str, request: DomainRequest | _PublicPart) -> tuple[int | None, int | None]:
    """Return the bounds of a number, or of how far it lies above its base, in grid steps."""
    low, high = declared_steps(request.schema, name, request.facts[name])
    if (base := request.layout.bases.get(name)) is None:
        return low, high
    base_low, _ = declared_steps(request.schema, base, request.facts[base])
    high = max(high - base_low, 0) if high is not None and base_low is not None else None
    if (most := _most_above(name, request)) is not None:
        most = math.floor(most / request.facts[name].precision + 1e-9)
        high = most if high is None else min(most, high)
    return 0, high


def _number(name: str, column: Grid, base: _Base | None, request: _PublicPart) -> tuple[np.ndarray, np.ndarray]:
    steps, known = clip_steps(column.steps, *declared_steps(request.schema, name, request.facts[name])), ~column.null
    if base is None:
        return steps, known
    steps, known = np.maximum(steps - base.steps, 0), known & ~base.null
    _, high = _number_bounds(name, request)
    return (steps if _most_above(name, request) is None else np.minimum(steps, high)), known  # type: ignore[arg-type]


def _longest_above(name: str, request: DomainRequest | _PublicPart) -> int | None:
    """Return how far a time lies above its base at most, in places of its scale; None if nothing says."""
    fact, base = request.facts[name], request.layout.bases[name]
    _, high = declared_steps(request.schema, name, fact)
    low, _ = declared_steps(request.schema, base, request.facts[base])
    longest = max(high // DAY - low // DAY, 0) if high is not None and low is not None else None
    if (most := _most_above(name, request)) is not None:
        dates = fact.kind == request.facts[base].kind == "date"
        apart = math.floor(most) if dates else max(math.ceil(most) - 1, 0)  # whatever the clocks say
        longest = apart if longest is None else min(apart, longest)
    return None if longest is None else ElapsedScale(int(fact.precision)).span(longest)


def _time(name: str, column: Grid, base: _Base | None, request: _PublicPart) -> list[tuple[np.ndarray, np.ndarray]]:
    fact = request.facts[name]
    precision, known = int(fact.precision), ~column.null
    seconds = clip_steps(column.steps * precision, *declared_steps(request.schema, name, fact))
    if base is not None:
        above, span = ElapsedScale(precision).place(seconds, base.steps), _longest_above(name, request)
        found = [(above if span is None else np.minimum(above, span), known & ~base.null)]
    else:
        found = [(split_week(seconds // DAY)[0], known)]
    if fact.kind == "datetime":
        found.append((seconds % DAY // precision, known))
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

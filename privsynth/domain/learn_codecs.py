"""The domain stage, from column facts to codecs: releases the categories, frequent values and bins nobody declared.

Stages, in order; each is a release of part "domain", and all after them is post-processing:

1. the categories of undeclared text columns, in one round or two (thresholded, but for public words);
2. the frequent values of all numeric dimensions at once (thresholded);
3. one quantile tree for each dimension, level by level for all of them at once;
4. which endings numbers have (see `endings`);
5. which columns of numbers lie near each other (see `ties`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa

from privsynth.codecs.bins import Bins
from privsynth.codecs.bounds import clip_steps
from privsynth.codecs.column_facts import ColumnFacts
from privsynth.codecs.columns import (
    DAY,
    CategoryCodec,
    ColumnCodec,
    ElapsedScale,
    NumberCodec,
    TimeCodec,
    computed_codec,
    following_codec,
    invented_codec,
    split_week,
)
from privsynth.codecs.parse import GRID_LIMIT, Categories, Grid, narrowest
from privsynth.codecs.parsed_table import ParsedTable, boolean_values
from privsynth.domain.budget_split import FIRST_ROUND, BudgetSplit, OpenColumns, Shares, split_budget
from privsynth.domain.categories import OpenCategories
from privsynth.domain.layout import Layout
from privsynth.domain.magnitude_prior import RemainingRows
from privsynth.domain.numbers.build_bins import Tail, build_bins, without_tails
from privsynth.domain.numbers.endings import EndingsRequest, Values, find_endings, may_have_endings, with_endings
from privsynth.domain.quantile_tree import FIRST_PARTS, Dimension, Leaves, TreeRequest, grow
from privsynth.domain.ties import TiesRequest, tie_numbers
from privsynth.privacy.mechanisms import Mechanisms
from privsynth.privacy.unit_weights import Weighting, count
from privsynth.schema.calculations import columns_of
from privsynth.schema.definition import Schema

# Share of the rows. If only values more frequent than this could pass the threshold, the trees get that budget instead:
# at most five values of a dimension would come out.
RARE_VALUE = 0.2
# Seconds that a bin of the clock spans at most (own): a night holds few rows, and would be one bin with the morning.
CLOCK_BIN = 4 * 3600


@dataclass(frozen=True, kw_only=True)
class DomainRequest:
    """What the domain stage is asked to release. Everything in it is public or was released.

    Attributes:
      schema, layout, facts: what was declared, what each column becomes, and its facts.
      types: column -> Arrow type, as the container states it.
      n_rows, rows_sigma: the released number of training rows, and its standard deviation.
      mu_squared: of part "domain".
      delta: of all thresholds together.
      bins: about how many bins a numeric dimension gets.
      plain: columns of numbers that have bins of their own and nothing else: no endings, no ties.
      known: column -> codec of those that need no release, since a public table tells them.
    """

    schema: Schema
    layout: Layout
    facts: Mapping[str, ColumnFacts]
    types: Mapping[str, pa.DataType] = field(default_factory=dict)
    n_rows: float
    rows_sigma: float = 0.0
    mu_squared: float
    delta: float
    bins: int
    plain: frozenset[str] = frozenset()
    known: Mapping[str, ColumnCodec] = field(default_factory=dict)

    @property
    def unknown(self) -> tuple[str, ...]:
        """Columns that are modelled and not known."""
        return tuple(name for name in self.layout.modelled if name not in self.known)

    @property
    def open_texts(self) -> list[str]:
        """Text columns whose categories nobody declared."""
        return [
            name
            for name in self.unknown
            if self.facts[name].kind == "categorical" and self.schema.column(name).categories is None
        ]

    @property
    def rows_per_bin(self) -> float:
        """About how many rows a bin holds."""
        return max(self.n_rows / self.bins, 1.0)


@dataclass
class _OpenDimension:
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
        return Dimension(f"{self.column}·{self.part}", values, self.low, self.high, weight, rows)


def learn_codecs(
    parsed: ParsedTable, request: DomainRequest, weighting: Weighting, mechanisms: Mechanisms
) -> list[ColumnCodec]:
    """Return the codec of each column of the layout, in table order.

    Guarantee: part "domain" at `request.mu_squared`, and `request.delta` for all thresholds together (see
      `stable_keys` and `grow`).
    Args:
      parsed: the training rows.
      weighting: how these rows are counted.
    """
    texts = request.open_texts
    near = TiesRequest(names=_may_be_near(request), n_rows=request.n_rows, bins=request.bins)
    ties = near.priced(weighting, request.mu_squared)
    may_end = may_have_endings(request.schema, request.layout, request.facts)
    undeclared = tuple(name for name in may_end if name not in request.plain and name not in request.known)
    ended = EndingsRequest(names=undeclared, n_rows=request.n_rows).priced(weighting, request.mu_squared)
    mu_squared = request.mu_squared - ties.mu_squared - ended.mu_squared
    dimensions = [d for name in request.unknown for d in _open_dimensions(name, parsed, request, weighting)]
    keyed = [dimension for dimension in dimensions if dimension.keyed and request.delta > 0]
    split = split_budget(
        weighting,
        OpenColumns(texts=len(texts), keyed=len(keyed), dimensions=len(dimensions)),
        mu_squared=mu_squared,
        delta=request.delta,
        n_rows=request.n_rows,
    )
    categories = OpenCategories(parsed, request.facts, mechanisms, weighting, request.n_rows)
    shares = _release_categories(categories, texts, split, mu_squared)
    released = _worth_releasing(keyed, split, shares, request, weighting)
    values_sigma = 0.0
    if released:
        values_sigma = _release_frequent_values(keyed, split, shares, weighting, mechanisms)
    trees = shares.trees if released or not keyed else shares.frequent + shares.trees
    numbers = {d.column: d.values() for d in dimensions if d.part == "number" and d.column in ended.names}
    endings = find_endings(numbers, ended, weighting, mechanisms)
    del numbers
    bins = _release_bins(dimensions, request, weighting, mechanisms, mu_squared=trees, values_sigma=values_sigma)
    found = categories.found()
    for name in texts:
        if (hierarchy := request.schema.column(name).hierarchy) is not None:
            found[name] = tuple(sorted({*found[name], *categories.parents(name, hierarchy)}))
    codecs = [
        request.known[n]
        if n in request.known
        else with_endings(_codec(n, request, found, bins), request.schema, endings)
        for n in request.layout.names
    ]
    return tie_numbers(codecs, parsed, ties, weighting, mechanisms)


def _may_be_near(request: DomainRequest) -> tuple[str, ...]:
    """Return the columns of numbers that nothing needs to have bins of their own.

    Rules and endings work on a column's own bins, and figures of targets and of groups are by them.
    """
    layout, schema = request.layout, request.schema
    used = {
        *request.plain,
        *layout.bases,
        *layout.bases.values(),
        *(n for made in layout.derived.values() for n in columns_of(made)),
    }
    used |= {name for rule in schema.parsed_rules() for name in rule.columns}
    used |= {*schema.with_role("target"), *schema.with_role("protected")}
    used |= {name for name, column in schema.columns.items() if column.endings is not None}
    return tuple(n for n in request.unknown if request.facts[n].kind in ("numeric", "integer") and n not in used)


def _release_categories(categories: OpenCategories, texts: list[str], split: BudgetSplit, mu_squared: float) -> Shares:
    """Release the categories of all undeclared text columns, and return the shares of the last round."""
    if not split.two_rounds:
        shares = split.shares(open_columns=len(texts), mu_squared=mu_squared)
        categories.release(texts, mu_squared=shares.categories, delta=split.categories_delta)
        return shares
    first = FIRST_ROUND * split.shares(open_columns=len(texts), mu_squared=mu_squared).categories
    categories.release(texts, mu_squared=first, delta=FIRST_ROUND * split.categories_delta)
    left, delta = mu_squared - first, (1 - FIRST_ROUND) * split.categories_delta
    again = categories.unexplained(
        texts, price=lambda columns: split.shares(open_columns=columns, mu_squared=left).categories, delta=delta
    )
    shares = split.shares(open_columns=len(again), mu_squared=left)
    categories.release(again, mu_squared=shares.categories, delta=delta)
    return shares


def _worth_releasing(
    keyed: list[_OpenDimension], split: BudgetSplit, shares: Shares, request: DomainRequest, weighting: Weighting
) -> bool:
    """Return whether values can be frequent enough to pass the threshold, so that releasing them is worth its cost."""
    if not keyed:
        return False
    smallest = weighting.smallest_released(len(keyed), shares.frequent, split.frequent_delta)
    return smallest <= RARE_VALUE * request.n_rows


def _release_frequent_values(
    keyed: list[_OpenDimension], split: BudgetSplit, shares: Shares, weighting: Weighting, mechanisms: Mechanisms
) -> float:
    """Give each dimension its frequent values, and return the standard deviation of their rows."""
    release = mechanisms.stable_keys(
        [dimension.counts() for dimension in keyed],
        max_rows_per_unit=weighting.max_rows_per_unit,
        part="domain",
        mu_squared=shares.frequent,
        delta=split.frequent_delta,
        label="frequent values of numbers",
        unit_weight=weighting.unit_weight,
    )
    for dimension, counts in zip(keyed, release.counts, strict=True):
        dimension.frequent = {int(key): n * weighting.rows_per_step for key, n in counts.items()}
    return release.sigma * weighting.rows_per_step


def _release_bins(
    dimensions: list[_OpenDimension],
    request: DomainRequest,
    weighting: Weighting,
    mechanisms: Mechanisms,
    *,
    mu_squared: float,
    values_sigma: float,
) -> dict[tuple[str, str], Bins]:
    """Return (column, part) -> bins that hold about equally many rows."""
    remaining = [dimension.remaining(request, values_sigma) for dimension in dimensions]
    trees = TreeRequest(
        unit_weight=weighting.unit_weight,
        rows_per_step=weighting.rows_per_step,
        mu_squared=mu_squared,
        split_above=request.rows_per_bin / 3,
        n_rows=request.n_rows,
    )
    handed = [d.hand_over(None if left is None else left.rows) for d, left in zip(dimensions, remaining, strict=True)]
    leaves = grow(handed, trees, mechanisms)
    return {
        (d.column, d.part): _bins(d, leaf, left, rows_per_bin=request.rows_per_bin)
        for d, leaf, left in zip(dimensions, leaves, remaining, strict=True)
    }


def _bins(dimension: _OpenDimension, leaves: Leaves, remaining: RemainingRows | None, *, rows_per_bin: float) -> Bins:
    kept, tails = leaves, tuple[Tail, ...]()
    if dimension.low is None or dimension.high is None:
        kept = leaves.trimmed(dimension.low, dimension.high, dimension.frequent, remaining)
    elif dimension.tailed:
        kept, tails = without_tails(leaves, dimension.frequent)
    return build_bins(kept, dimension.frequent, target=rows_per_bin, tails=tails, widest=dimension.widest)


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


def _open_dimensions(
    name: str, parsed: ParsedTable, request: DomainRequest, weighting: Weighting
) -> list[_OpenDimension]:
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


def _number(name: str, column: Grid, base: _Base | None, request: DomainRequest) -> _OpenDimension:
    low, high = declared_steps(request.schema, name, request.facts[name])
    steps, known = clip_steps(column.steps, low, high), ~column.null
    if base is not None:
        steps, known = np.maximum(steps - base.steps, 0), known & ~base.null
        low, high = 0, (max(high - base.low, 0) if high is not None and base.low is not None else None)
    wide = low is None or high is None or high - low >= FIRST_PARTS
    return _OpenDimension(name, "number", narrowest(steps), known, low, high, keyed=wide)


def _time(name: str, column: Grid, base: _Base | None, request: DomainRequest) -> list[_OpenDimension]:
    fact = request.facts[name]
    low, high = declared_steps(request.schema, name, fact)
    precision, known = int(fact.precision), ~column.null
    seconds = clip_steps(column.steps * precision, low, high)
    if base is not None:
        scale = ElapsedScale(precision)
        above = scale.place(seconds, base.steps)
        longest = max(high // DAY - base.low // DAY, 0) if high is not None and base.low is not None else None
        span = None if longest is None else scale.span(longest)
        found = [_OpenDimension(name, "days", narrowest(above), known & ~base.null, 0, span, keyed=True)]
    else:
        weeks = [int(split_week(np.array([b // DAY]))[0][0]) if b is not None else None for b in (low, high)]
        found = [
            _OpenDimension(
                name, "days", narrowest(split_week(seconds // DAY)[0]), known, weeks[0], weeks[1], tailed=False
            )
        ]
    if fact.kind == "datetime":
        clock, widest = narrowest(seconds % DAY // precision), max(CLOCK_BIN // precision, 1)
        found.append(
            _OpenDimension(
                name, "clock", clock, known, 0, DAY // precision - 1, keyed=True, tailed=False, widest=widest
            )
        )
    return found


def _codec(
    name: str,
    request: DomainRequest,
    categories: Mapping[str, tuple[str, ...]],
    bins: Mapping[tuple[str, str], Bins],
) -> ColumnCodec:
    """Return the codec of one column, from what was declared and what was released."""
    layout, fact, column = request.layout, request.facts[name], request.schema.column(name)
    if name in layout.invented:
        return invented_codec(name, column, request.types.get(name, pa.string()))
    if name in layout.derived:
        precision = column.precision or (1.0 if fact.kind == "integer" else fact.precision)
        return computed_codec(name, layout.derived[name], precision, fact.kind == "integer")
    if name in layout.follows:
        return _following(name, request)
    if fact.kind == "boolean":
        return CategoryCodec(name, boolean_values(request.schema, name), False, column.nullable, boolean=True)
    if fact.kind == "categorical":
        if column.categories is not None:
            return CategoryCodec(name, column.categories, False, column.nullable, hierarchy=column.hierarchy)
        return CategoryCodec(name, categories[name], True, column.nullable, hierarchy=column.hierarchy)
    low, high = declared_steps(request.schema, name, fact)
    placed: dict[str, Any] = {"nullable": column.nullable, "low": low, "high": high, "base": layout.bases.get(name)}
    if fact.kind in ("numeric", "integer"):
        return NumberCodec(
            name, bins[name, "number"], precision=fact.precision, integer=fact.kind == "integer", **placed
        )
    clock = bins.get((name, "clock"))
    return TimeCodec(name, bins[name, "days"], clock, precision=int(fact.precision), format=fact.format, **placed)


def _following(name: str, request: DomainRequest) -> CategoryCodec:
    """Return the codec of a column whose value another column says, by a declared code book."""
    column = request.schema.column(name)
    book = column.follows
    assert book is not None
    boolean = request.facts[name].kind == "boolean"
    values = boolean_values(request.schema, name) if boolean else column.categories or ()
    said_by = request.schema.column(book.column).categories or ()
    codec = following_codec(name, values, column.nullable, book.column, said_by, book.values)
    return replace(codec, hierarchy=column.hierarchy, boolean=boolean)

"""The domain stage, from column facts to codecs: releases the categories, frequent values and bins nobody declared.

Stages, in order; each is a release of part "domain", and all after them is post-processing:

1. the categories of undeclared text columns, in one round or two (thresholded, but for public words);
2. the frequent values of all numeric dimensions at once (thresholded);
3. one quantile tree for each dimension, level by level for all of them at once;
4. which endings numbers have (see `endings`);
5. which columns of numbers lie near each other (see `ties`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import pyarrow as pa

from privsynth.codecs.bins import Bins
from privsynth.codecs.columns import (
    CategoryCodec,
    ColumnCodec,
    NumberCodec,
    TimeCodec,
    computed_codec,
    following_codec,
    invented_codec,
)
from privsynth.codecs.parsed_table import boolean_values
from privsynth.domain.budget_split import FIRST_ROUND, BudgetSplit, OpenColumns, Shares, split_budget
from privsynth.domain.categories import OpenCategories
from privsynth.domain.domain_request import DomainRequest
from privsynth.domain.numbers.build_bins import build_bins
from privsynth.domain.numbers.endings import EndingsRequest, find_endings, may_have_endings, with_endings
from privsynth.domain.numbers.magnitude_prior import RemainingRows
from privsynth.domain.numbers.open_dimensions import (
    OpenDimension,
    declared_steps,
    dimension_rows,
    open_dimensions,
    value_histograms,
    without_frequent,
)
from privsynth.domain.numbers.quantile_tree import Leaves, TreeRequest, grow
from privsynth.domain.numbers.tails import Tail, without_tails
from privsynth.domain.numbers.ties import TiesRequest, tie_numbers
from privsynth.partitions.marks import STEPS
from privsynth.partitions.rows import PrivateRows
from privsynth.privacy.mechanisms import Mechanisms
from privsynth.privacy.unit_weights import Weighting
from privsynth.schema.calculations import columns_of

# Share of the rows. If only values more frequent than this could pass the threshold, the trees get that budget instead:
# at most five values of a dimension would come out.
RARE_VALUE = 0.2


def learn_codecs(
    parsed: PrivateRows, request: DomainRequest, weighting: Weighting, mechanisms: Mechanisms
) -> list[ColumnCodec]:
    """Return the codec of each column of the layout, in table order.

    Guarantee: part "domain" at `request.mu_squared`, and `request.delta` for all thresholds together (see
      `stable_keys` and `grow`).
    Args:
      parsed: parsed rows with marks (see `parsed_rows`), of which those in training count.
      weighting: how these rows are counted.
    """
    texts = request.open_texts
    near = TiesRequest(names=_may_be_near(request), n_rows=request.n_rows, bins=request.bins)
    ties = near.priced(weighting, request.mu_squared)
    may_end = may_have_endings(request.schema, request.layout, request.facts)
    undeclared = tuple(name for name in may_end if name not in request.plain and name not in request.known)
    ended = EndingsRequest(names=undeclared, n_rows=request.n_rows).priced(weighting, request.mu_squared)
    mu_squared = request.mu_squared - ties.mu_squared - ended.mu_squared
    dimensions = [d for name in request.unknown for d in open_dimensions(name, request)]
    rows = dimension_rows(parsed, dimensions, request)
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
        price = {"mu_squared": shares.frequent, "delta": split.frequent_delta}
        values_sigma = _release_frequent_values(keyed, rows, weighting, mechanisms, **price)
    trees = shares.trees if released or not keyed else shares.frequent + shares.trees
    rows = without_frequent(rows, dimensions)
    numbers = {d.column: d.name for d in dimensions if d.part == "number"}
    endings = find_endings(numbers, rows, ended, weighting, mechanisms)
    left = [dimension.remaining(request, values_sigma) for dimension in dimensions]
    handed = [d.tree(None if rest is None else rest.rows) for d, rest in zip(dimensions, left, strict=True)]
    leaves = grow(handed, rows, _trees(request, weighting, mu_squared=trees), mechanisms)
    bins = {
        (d.column, d.part): _bins(d, leaf, rest, rows_per_bin=request.rows_per_bin)
        for d, leaf, rest in zip(dimensions, leaves, left, strict=True)
    }
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
    keyed: list[OpenDimension], split: BudgetSplit, shares: Shares, request: DomainRequest, weighting: Weighting
) -> bool:
    """Return whether values can be frequent enough to pass the threshold, so that releasing them is worth its cost."""
    if not keyed:
        return False
    smallest = weighting.smallest_released(len(keyed), shares.frequent, split.frequent_delta)
    return smallest <= RARE_VALUE * request.n_rows


def _release_frequent_values(
    keyed: list[OpenDimension],
    rows: PrivateRows,
    weighting: Weighting,
    mechanisms: Mechanisms,
    *,
    mu_squared: float,
    delta: float,
) -> float:
    """Give each dimension its frequent values, and return the standard deviation of their rows."""
    names = [dimension.name for dimension in keyed]
    exact = rows.add_up(partial(value_histograms, names, weighting.weighed), [*names, STEPS])
    release = mechanisms.stable_keys(
        [{str(v): n for v, n in zip(of.values.tolist(), of.held.tolist(), strict=True)} for of in exact],
        max_rows_per_unit=weighting.max_rows_per_unit,
        part="domain",
        mu_squared=mu_squared,
        delta=delta,
        label="frequent values of numbers",
        unit_weight=weighting.unit_weight,
    )
    for dimension, counts in zip(keyed, release.counts, strict=True):
        dimension.frequent = {int(key): n * weighting.rows_per_step for key, n in counts.items()}
    return release.sigma * weighting.rows_per_step


def _trees(request: DomainRequest, weighting: Weighting, *, mu_squared: float) -> TreeRequest:
    return TreeRequest(
        unit_weight=weighting.unit_weight,
        rows_per_step=weighting.rows_per_step,
        weighed=weighting.weighed,
        mu_squared=mu_squared,
        split_above=request.rows_per_bin / 3,
        n_rows=request.n_rows,
    )


def _bins(dimension: OpenDimension, leaves: Leaves, remaining: RemainingRows | None, *, rows_per_bin: float) -> Bins:
    kept, tails = leaves, tuple[Tail, ...]()
    if dimension.low is None or dimension.high is None:
        kept = leaves.trimmed(dimension.low, dimension.high, dimension.frequent, remaining)
    elif dimension.tailed:
        kept, tails = without_tails(leaves, dimension.frequent)
    return build_bins(kept, dimension.frequent, target=rows_per_bin, tails=tails, widest=dimension.widest)


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

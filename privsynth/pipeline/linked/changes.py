"""How rows follow from the row before: the hidden columns that say so, and which of them a model keeps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa

from privsynth.codecs.bins import Bins
from privsynth.codecs.column_facts import declared_facts
from privsynth.codecs.columns import CategoryCodec, ColumnCodec, NumberCodec, TimeCodec
from privsynth.codecs.columns.elapsed import DAY
from privsynth.codecs.parse import Categories, Grid
from privsynth.codecs.parsed_table import parse_table
from privsynth.codecs.table import TableCodec
from privsynth.pipeline.learning.columns import LearnedColumns
from privsynth.sampling.linked.changes import as_before_column, change_column, followed_columns, hidden_changes
from privsynth.schema.linked import LinkedSchema
from privsynth.table import Table

# The median of the changes that are not 0 is narrow if it is less than this part of the median distance of two values
# (own): fresh values lie at 1; ages, incomes and blood tests of the same persons at 0.1 to 0.4. And changes add up: the
# squares of those of a person may come to this part of the square of that distance (own). Blood tests with 45 rows a
# person, where every other row is of another test, left the range of the values in sums of their changes.
NARROW, ADDED_UP = 0.5, 0.6
OFTEN = 0.1  # share of the rows from which on a number is told by whether it is as before (own)
QUANTILES = 201  # by which two spreads are compared (own)


def changes_of(linked: LinkedSchema, name: str, table: Table, previous: np.ndarray) -> dict[str, pa.Array]:
    """Return hidden column -> its values: a function of each row and of the one before it, of the same person. Private.

    Args:
      table: its linked rows.
      previous: (n,) the row before each, −1 for none.
    """
    schema, found = linked.of_table(name), {}
    first, before = previous < 0, np.maximum(previous, 0)
    hidden = hidden_changes(linked, name)
    for column in followed_columns(linked, name):
        facts = declared_facts(schema.column(column), table.column(column).type)
        parsed = parse_table(table, schema, {column: facts}, [column]).columns[column]
        values, null = _values(parsed)
        gone = null[before] if len(null) else null
        old = values[before] if len(values) else values
        same = (null & gone) | (~null & ~gone & (values == old))
        found[as_before_column(column)] = pa.array(same, pa.bool_(), mask=first)
        if change_column(column) in hidden:
            missing = first | null | gone
            found[change_column(column)] = pa.array(np.where(missing, 0, values - old), pa.int64(), mask=missing)
    return found


def _values(parsed: Categories | Grid) -> tuple[np.ndarray, np.ndarray]:
    """Return (n,) int64, equal for equal values, and (n,) booleans for null."""
    if isinstance(parsed, Grid):
        return parsed.steps, parsed.null
    return parsed.codes.astype(np.int64), parsed.codes < 0


def with_changes_that_tell(columns: LearnedColumns, linked: LinkedSchema, name: str, rows: float) -> LearnedColumns:
    """Return the columns with one hidden column at most for each that is told from the row before; post-processing.

    Numbers and dates that move little are told by how far, all others by whether they are as before, if they often are.

    Args:
      rows: of the person of a row, on average.
    """
    by_name, gone = columns.codec.by_name, set()
    for column in followed_columns(linked, name):
        same, change = as_before_column(column), change_column(column)
        of_value = by_name.get(column)
        if not _can_be_carried(of_value):
            gone |= {same, change}
        elif isinstance(moves := by_name.get(change), NumberCodec):
            narrow = is_narrow(of_value, moves, rows)
            gone |= {same} if narrow else {change} if moves.bins.share_of(0) >= OFTEN else {same, change}
    return _without(columns, gone & set(by_name))


def _can_be_carried(codec: ColumnCodec | None) -> bool:
    if isinstance(codec, CategoryCodec):
        return codec.source is None
    return isinstance(codec, NumberCodec | TimeCodec) and codec.base is None


def is_narrow(value: ColumnCodec | None, change: NumberCodec, rows: float) -> bool:
    """Return whether values move far less from row to row than two values differ, by their released bins."""
    if not isinstance(value, NumberCodec | TimeCodec):
        return False
    scale = 7 * DAY / value.precision if isinstance(value, TimeCodec) else 1.0
    values = _quantiles(value.bins) * scale
    moves = _quantiles(change.bins, without=0)
    if not len(values) or not len(moves):
        return False
    apart = float(np.median(np.abs(values[:, None] - values)[np.triu_indices(len(values), 1)]))
    step, moved = float(np.median(np.abs(moves))), 1.0 - change.bins.share_of(0)
    return step < NARROW * apart and rows * moved * step**2 < ADDED_UP * apart**2


def _quantiles(bins: Bins, without: int | None = None) -> np.ndarray:
    """Return evenly spaced quantiles of released bins, of all values but one; none if there are no others."""
    low, high, weight = bins.seg_low, bins.seg_high, np.maximum(bins.seg_weight, 0.0)
    if without is not None:
        keep = ~((low == without) & (high == without))
        low, high, weight = low[keep], high[keep], weight[keep]
    if not weight.sum() > 0:
        return np.zeros(0)
    ends = np.cumsum(weight) / weight.sum()
    at = (np.arange(QUANTILES) + 0.5) / QUANTILES
    segment = np.minimum(np.searchsorted(ends, at), len(ends) - 1)
    start = np.concatenate([[0.0], ends])[segment]
    inside = np.clip((at - start) / np.maximum(ends[segment] - start, 1e-12), 0.0, 1.0)
    return np.floor(low[segment] + inside * (high[segment] - low[segment] + 0.999))


def _without(columns: LearnedColumns, gone: set[str]) -> LearnedColumns:
    """Return the columns without some of them, which others do not need."""
    if not gone:
        return columns
    codec, layout, everyone = columns.codec, columns.layout, columns.everyone
    kept = TableCodec(tuple(one for one in codec.codecs if one.name not in gone))
    at = [a for one in kept.codecs for a in codec.attributes_of(one.name)]
    number = {old: new for new, old in enumerate(at)}
    return replace(
        columns,
        codec=kept,
        facts={n: fact for n, fact in columns.facts.items() if n not in gone},
        layout=replace(
            layout,
            names=tuple(n for n in layout.names if n not in gone),
            modelled=tuple(n for n in layout.modelled if n not in gone),
        ),
        everyone=replace(
            everyone,
            rows=replace(everyone.gathered(), codes=everyone.gathered().codes[at]),
            attributes=tuple(kept.attributes),
            columns=tuple(i for i, one in enumerate(kept.codecs) for _ in one.attributes()),
            targets=tuple(number[a] for a in everyone.targets),
            protected=tuple(number[a] for a in everyone.protected),
            books={number[a]: groups for a, groups in everyone.books.items()},
        ),
    )

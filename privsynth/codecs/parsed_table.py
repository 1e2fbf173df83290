"""`ParsedTable`: the private rows as values of a known kind, column by column. Still private."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from privsynth.codecs.column_facts import ColumnFacts
from privsynth.codecs.parse import Categories, Grid, as_categories, as_numbers, as_times
from privsynth.partitions.marks import cells, is_mark, marks, used
from privsynth.partitions.rows import PrivateRows
from privsynth.schema.booleans import FALSE_TEXTS, TRUE_TEXTS
from privsynth.schema.definition import Schema
from privsynth.table import Table, is_all

PARSED_KINDS = ("numeric", "integer", "datetime", "date", "boolean", "categorical")


@dataclass(frozen=True, repr=False)
class ParsedTable:
    """Private values.

    Attributes:
      columns: name -> (n,) parsed values; columns that are not modelled (text, ids, derived) are absent.
      n_rows: number of rows, private.
    """

    columns: Mapping[str, Categories | Grid]
    n_rows: int

    def take(self, rows: np.ndarray) -> ParsedTable:
        """Return the rows of a boolean mask or an index array; those of a column are taken when it is accessed."""
        if is_all(rows, self.n_rows):
            return self
        n_rows = int(rows.sum()) if rows.dtype == np.bool_ else len(rows)
        return ParsedTable(_Picked(self.columns, rows), n_rows)

    def to_arrow(self) -> pa.Table:
        """Return the values as columns: integers, and texts by their codes."""
        return pa.table({name: _arrow(column) for name, column in self.columns.items()})

    @classmethod
    def of_arrow(cls, part: pa.Table) -> ParsedTable:
        """Return what `to_arrow` made; a column is taken when it is accessed."""
        return cls(_Arrow(cells(part)), part.num_rows)

    def __repr__(self) -> str:
        return f"ParsedTable({len(self.columns)} columns)"


def _arrow(column: Categories | Grid) -> pa.Array:
    if isinstance(column, Grid):
        return pa.array(column.packed, mask=column.null)
    codes = pa.array(column.codes.astype(np.int32), mask=column.codes < 0)
    return pa.DictionaryArray.from_arrays(codes, pa.array(column.values, pa.string()))


class _Arrow(Mapping[str, Categories | Grid]):
    """Columns as `to_arrow` has them."""

    def __init__(self, part: pa.Table) -> None:
        self._part = part

    def __getitem__(self, name: str) -> Categories | Grid:
        column = self._part.column(name).combine_chunks()
        if isinstance(column, pa.ChunkedArray):
            column = column.chunk(0) if column.num_chunks else pa.array([], column.type)
        if pa.types.is_dictionary(column.type):
            codes = pc.fill_null(column.indices, -1).to_numpy(zero_copy_only=False)
            return Categories(codes, tuple(column.dictionary.to_pylist()))
        null = pc.is_null(column).to_numpy(zero_copy_only=False)
        return Grid(pc.fill_null(column, 0).to_numpy(zero_copy_only=False), null)

    def __iter__(self) -> Iterator[str]:
        return iter(self._part.column_names)

    def __len__(self) -> int:
        return self._part.num_columns


class _Picked(Mapping[str, Categories | Grid]):
    """Some rows of columns; a long table is not copied as a whole."""

    def __init__(self, columns: Mapping[str, Categories | Grid], rows: np.ndarray) -> None:
        self._columns, self._rows = columns, rows

    def __getitem__(self, name: str) -> Categories | Grid:
        column = self._columns[name]
        if isinstance(column, Categories):
            return Categories(column.codes[self._rows], column.values)
        return Grid(column.packed[self._rows], column.null[self._rows])

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)


def parsed_rows(
    rows: PrivateRows, schema: Schema, facts: Mapping[str, ColumnFacts], names: Sequence[str]
) -> PrivateRows:
    """Return the rows that are used, with their marks, and the named columns as values (see `ParsedTable.of_arrow`).

    Guarantee: a row-by-row function of the table; nothing is learned across rows.
    """
    there = [name for name in names if facts[name].kind in PARSED_KINDS]
    apart = [field for field in rows.schema if is_mark(field.name)]
    found = pa.schema([*((name, rows.schema.field(name).type) for name in there), *apart])
    needed = [*there, *(field.name for field in apart)]
    return rows.derive(partial(_parsed_part, schema, {name: facts[name] for name in there}), found, needed)


def _parsed_part(schema: Schema, facts: Mapping[str, ColumnFacts], part: pa.Table) -> pa.Table:
    part = used(part)
    parsed = parse_table(Table(cells(part)), schema, facts, list(facts))
    columns = {name: _arrow(column) for name, column in parsed.columns.items()}
    return pa.table({**columns, **dict(zip((apart := marks(part)).column_names, apart.columns, strict=True))})


def parse_table(table: Table, schema: Schema, facts: Mapping[str, ColumnFacts], names: Sequence[str]) -> ParsedTable:
    """Return the named columns as values. Cells that do not fit their column's kind are null.

    Guarantee: a row-by-row function of the table; nothing is learned across rows.
    """
    columns: dict[str, Categories | Grid] = {}
    for name in names:
        fact, column = facts[name], table.column(name)
        if fact.kind in ("numeric", "integer"):
            columns[name] = as_numbers(column, precision=fact.precision, decimal=fact.decimal)
        elif fact.kind in ("datetime", "date"):
            columns[name] = as_times(column, precision=fact.precision, format=fact.format)
        elif fact.kind == "boolean":
            columns[name] = _booleans(as_categories(column), schema, name)
        elif fact.kind == "categorical":
            columns[name] = as_categories(column)
        table.let_go()  # keeps one column of a spill file in memory at a time
    return ParsedTable(columns, table.n_rows)


def boolean_values(schema: Schema, name: str) -> tuple[str, str]:
    """Return how the synthetic table writes false and true."""
    column = schema.column(name)
    if column.true_values and column.false_values:
        return column.false_values[0], column.true_values[0]
    return "false", "true"


def _booleans(parsed: Categories, schema: Schema, name: str) -> Categories:
    column = schema.column(name)
    true = {t.lower() for t in column.true_values or TRUE_TEXTS}
    false = {t.lower() for t in column.false_values or FALSE_TEXTS}
    lower = [value.lower() for value in parsed.values]
    table = np.array([1 if v in true else 0 if v in false else -1 for v in lower] + [-1], dtype=np.int32)
    return Categories(table[parsed.codes], boolean_values(schema, name))


def clean_frame(parsed: ParsedTable, facts: Mapping[str, ColumnFacts]) -> pd.DataFrame:
    """Return the values as a frame for the officer's audit: floats, datetimes and texts with nulls.

    Private: it holds real values without noise.
    """
    frame = {}
    for name, column in parsed.columns.items():
        fact = facts[name]
        if isinstance(column, Categories):
            values = np.array([*column.values, None], dtype=object)
            frame[name] = pd.Series(values[column.codes], dtype="object")
        elif fact.kind in ("datetime", "date"):
            seconds = (column.steps * int(fact.precision)).astype("datetime64[s]")
            frame[name] = pd.Series(np.where(column.null, np.datetime64("NaT", "s"), seconds))
        else:
            frame[name] = pd.Series(np.where(column.null, np.nan, grid_values(column.steps, fact.precision)))
    return pd.DataFrame(frame, index=pd.RangeIndex(parsed.n_rows))


def grid_values(steps: np.ndarray, precision: float) -> np.ndarray:
    """Return (n,) float64 values of grid steps, rounded to the decimals of the precision."""
    decimals = max(0, round(-np.log10(precision))) if precision < 1 else 0
    return np.round(steps * precision, decimals + 2)

"""Rows as a user gets them: an Arrow table, a data frame, or the texts of a delimited file."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pyarrow as pa

from privsynth.codecs.columns import (
    DAY,
    CategoryCodec,
    ColumnCodec,
    DerivedCodec,
    InventedCodec,
    NumberCodec,
    TiedCodec,
    TimeCodec,
)
from privsynth.codecs.columns.number import number_series
from privsynth.codecs.decoded_rows import DecodedRows
from privsynth.codecs.table import TableCodec
from privsynth.codecs.written.types import is_zone, written_array, written_type
from privsynth.schema.source_format import SourceFormat


def arrow_schema(codec: TableCodec, source_format: SourceFormat) -> pa.Schema:
    """Return names, types and nullability of the written table."""
    return pa.schema(
        [
            pa.field(column.name, written_type(column, source_format), nullable=may_be_null(column, codec.by_name))
            for column in codec.codecs
        ]
    )


def may_be_null(codec: ColumnCodec, by_name: Mapping[str, ColumnCodec]) -> bool:
    """Return whether a column can hold a null."""
    if isinstance(codec, InventedCodec):
        return False
    if isinstance(codec, CategoryCodec) and codec.source is not None:
        return min(codec.places, default=0) < 0 or may_be_null(by_name[codec.source], by_name)
    if isinstance(codec, DerivedCodec):
        return any(may_be_null(by_name[name], by_name) for name in codec.needs)
    return bool(getattr(codec, "nullable", True))


def arrow_table(
    codec: TableCodec, rows: DecodedRows, source_format: SourceFormat, *, first_row: int, key: int
) -> pa.Table:
    """Return rows in the types of `arrow_schema`.

    Args:
      first_row, key: see `TableCodec.array`.
    """
    schema = arrow_schema(codec, source_format)
    arrays = [
        written_array(codec.array(column, rows, first_row=first_row, key=key), field.type)
        for column, field in zip(codec.codecs, schema, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def data_frame(table: pa.Table) -> pd.DataFrame:
    """Return a written table as pandas has it.

    Whole numbers and booleans of a column that can hold nulls are of pandas' nullable types (Int64, boolean), others of
    numpy's; dates are datetime64.
    """
    columns = {
        field.name: _series(column, field.nullable) for field, column in zip(table.schema, table.columns, strict=True)
    }
    return pd.DataFrame(columns, index=pd.RangeIndex(table.num_rows))


def _series(column: pa.ChunkedArray, nullable: bool) -> pd.Series:
    kind = column.type
    if pa.types.is_date(kind):
        column = column.cast(pa.timestamp("s"))
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
    if nullable and pa.types.is_boolean(kind):
        return pd.Series(pd.array(column.to_pandas(), dtype="boolean"))
    if nullable and pa.types.is_integer(kind):
        known = column.fill_null(0).to_numpy()
        return pd.Series(pd.arrays.IntegerArray(known.copy(), column.is_null().to_numpy().copy()))
    found: pd.Series = column.to_pandas()
    return found


def text_frame(
    codec: TableCodec, rows: DecodedRows, source_format: SourceFormat, *, first_row: int, key: int
) -> pd.DataFrame:
    """Return rows with what a delimited file spells in its own way as text; numbers with a decimal point stay numbers.

    Booleans are spelled as declared, times in the column's own format or in ISO 8601, with the offset of their zone.
    """
    clean = codec.frame(rows)
    columns = {}
    for column in codec.codecs:
        if isinstance(column, InventedCodec):
            columns[column.name] = codec.array(column, rows, first_row=first_row, key=key).to_pandas()
        elif isinstance(column, TimeCodec):
            columns[column.name] = _times(column, clean[column.name], source_format)
        elif isinstance(column, NumberCodec | TiedCodec | DerivedCodec):
            columns[column.name] = _numbers(column, rows, comma=column.name in source_format.decimal_commas)
        else:
            columns[column.name] = clean[column.name]
    return pd.DataFrame(columns, index=clean.index)


def has_offset(codec: TimeCodec, source_format: SourceFormat) -> bool:
    """Return whether a delimited file says of the column's times how far they are from UTC."""
    is_date = codec.format is not None or codec.precision == DAY
    return not is_date and is_zone(source_format.time_zones.get(codec.name, ""))


def _times(codec: TimeCodec, times: pd.Series, source_format: SourceFormat) -> pd.Series:
    zone = source_format.time_zones[codec.name] if has_offset(codec, source_format) else None
    if zone is None:
        return times.dt.strftime(codec.strptime_format)
    local = times.dt.tz_localize("UTC").dt.tz_convert(zone)
    written = local.dt.strftime(codec.strptime_format + "%z")
    return written.str.slice(0, -2) + ":" + written.str.slice(-2)


def _numbers(codec: NumberCodec | TiedCodec | DerivedCodec, rows: DecodedRows, *, comma: bool) -> pd.Series:
    """Return numbers: whole ones without a decimal sign, others as short as they can be read back."""
    column = rows.columns[codec.name]
    whole = codec.integer or float(codec.precision).is_integer()
    numbers = number_series(column, precision=codec.precision, integer=whole)
    if whole or not comma:
        return numbers
    texts = np.array([repr(number).replace(".", ",") for number in numbers.tolist()], dtype=object)
    texts[np.asarray(column.null)] = None
    return pd.Series(texts, index=numbers.index, dtype="object")

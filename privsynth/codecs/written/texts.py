"""A delimited file of synthetic rows, read back in the types in which its rows were drawn."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa

from privsynth.codecs.columns import CategoryCodec, ColumnCodec, TimeCodec
from privsynth.codecs.table import TableCodec
from privsynth.codecs.written.rows import arrow_schema, has_offset
from privsynth.codecs.written.types import written_array
from privsynth.schema.source_format import SourceFormat


def read_texts(codec: TableCodec, texts: pd.DataFrame, source_format: SourceFormat) -> pa.Table:
    """Return the texts that `text_frame` wrote as a table of `arrow_schema`.

    Args:
      texts: every cell as text, null where it is empty.
    Raises:
      ValueError: a column is missing, or a cell is not what `text_frame` writes.
    """
    schema = arrow_schema(codec, source_format)
    arrays = [
        written_array(_array(column, texts[column.name], source_format), field.type)
        for column, field in zip(codec.codecs, schema, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def _array(codec: ColumnCodec, cells: pd.Series, source_format: SourceFormat) -> pa.Array:
    """Return the cells of a column in its codec's own type."""
    null, kind = cells.isna().to_numpy(), codec.arrow_type
    if isinstance(codec, CategoryCodec) and codec.boolean:
        return pa.array((cells == codec.values[1]).to_numpy(), mask=null)
    if isinstance(codec, TimeCodec):
        zoned = has_offset(codec, source_format)
        moments = pd.to_datetime(cells, format="ISO8601" if zoned else codec.strptime_format, utc=zoned)
        moments = moments.dt.tz_localize(None) if zoned else moments
        return pa.array(moments.to_numpy().astype("datetime64[s]"), pa.timestamp("s"), mask=null).cast(kind)
    if pa.types.is_integer(kind):
        return pa.array(cells.fillna("0").astype(np.int64).to_numpy(), mask=null)
    if pa.types.is_floating(kind):
        points = cells.str.replace(",", ".") if codec.name in source_format.decimal_commas else cells
        return pa.array(points.astype(np.float64).to_numpy(), mask=null)
    found = pa.array(cells.where(~null, None).tolist(), pa.string())
    return found.dictionary_encode() if pa.types.is_dictionary(kind) else found

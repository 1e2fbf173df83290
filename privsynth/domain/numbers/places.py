"""Places of rows in numeric dimensions, as columns of integers: null where a row has none. Private."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def places(part: pa.Table, dimension: str) -> tuple[np.ndarray, np.ndarray]:
    """Return (n,) places in a dimension, and which rows have one. Private."""
    column = part.column(dimension).combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        column = column.chunk(0) if column.num_chunks else pa.array([], column.type)
    known = pc.is_valid(column).to_numpy(zero_copy_only=False)
    return pc.fill_null(column, 0).to_numpy(zero_copy_only=False), known

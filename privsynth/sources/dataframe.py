"""A pandas DataFrame that the caller holds in memory already."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from privsynth.errors import SchemaError, SourceError
from privsynth.schema.definition import Column
from privsynth.schema.stated_types import StatedTypes
from privsynth.sources.arrow_types import cell_text, format_of, plain_array, plain_type, text_array, types_of
from privsynth.sources.header_checks import check_names, chosen_positions
from privsynth.sources.protocol import Adapter, SkippedCells, SourceOptions

if TYPE_CHECKING:
    import pandas as pd


class FrameSource:
    """A DataFrame, read in slices of rows; its index is left out.

    Types come from the dtypes. Mind that pandas itself makes floats of integers, and objects of booleans, when a cell
    is missing; its dtypes `Int64` and `boolean` do not. So `int64`, `float64` and `bool` state nothing, or the dtype
    would tell that no cell is missing: the first two vote alike, and `bool` is read as text. No dtype states that
    cells cannot be missing.
    """

    names_are_public = True
    label = "the data frame"

    def __init__(self, frame: pd.DataFrame, options: SourceOptions) -> None:
        if frame.columns.nlevels != 1:
            raise SchemaError("the data frame has several levels of column names; join them into one")
        self._frame = frame
        self._options = options
        header = ["" if name is None else str(name) for name in frame.columns]
        if frame.shape[1] == 0:
            raise SourceError("the data frame is empty; it needs columns and rows")
        check_names(header, self.label, options)
        self._positions = chosen_positions(header, self.label, options)
        self.names = [header[position] for position in self._positions]
        self._is_text = [_needs_cell_text(frame.iloc[:0, position]) for position in self._positions]
        types = [
            pa.string() if is_text else pa.array(frame.iloc[:0, position], from_pandas=True).type
            for position, is_text in zip(self._positions, self._is_text, strict=True)
        ]
        fields = [pa.field(name, kind) for name, kind in zip(self.names, types, strict=True)]
        self.arrow_schema = pa.schema([(field.name, plain_type(field.type)) for field in fields])
        dtypes = dict(zip(self.names, frame.dtypes.iloc[self._positions], strict=True))
        telling = [field for field in fields if not _flips(dtypes[field.name])]
        self.source_format = format_of(field for field in telling if not _is_local_time(dtypes[field.name]))
        self.stated_types = _with_dtypes(types_of(telling), dtypes)

    def __repr__(self) -> str:
        return f"FrameSource({len(self.names)} columns)"

    def batches(self, skipped: SkippedCells) -> Iterator[pa.RecordBatch]:
        """Yield the rows with plain types."""
        n_rows = self._options.rows_per_batch(len(self.names))
        for start in range(0, len(self._frame), n_rows):
            rows = self._frame.iloc[start : start + n_rows]
            arrays = [
                self._array(rows.iloc[:, position], is_text, skipped)
                for position, is_text in zip(self._positions, self._is_text, strict=True)
            ]
            yield pa.RecordBatch.from_arrays(arrays, schema=self.arrow_schema)

    def _array(self, cells: pd.Series, is_text: bool, skipped: SkippedCells) -> pa.Array:
        if is_text:
            return text_array([cell_text(cell, skipped) for cell in cells.tolist()], skipped, self._options)
        array = pa.array(cells, from_pandas=True)
        chunks = array.chunks if isinstance(array, pa.ChunkedArray) else [array]
        plain = [plain_array(chunk, skipped, self._options) for chunk in chunks]
        return pa.concat_arrays(plain) if len(plain) != 1 else plain[0]


def _flips(dtype: Any) -> bool:
    """Return whether one cell would have made another dtype of it.

    NumPy's booleans, integers and floats, where one is missing; the categories of a categorical, which came of rows.
    """
    import numpy as np
    import pandas as pd

    return isinstance(dtype, pd.CategoricalDtype) or (isinstance(dtype, np.dtype) and dtype.kind in "biuf")


def _is_local_time(dtype: Any) -> bool:
    """Return whether a dtype is NumPy's of times: the unit states nothing, as an empty column would be of objects."""
    import numpy as np

    return isinstance(dtype, np.dtype) and dtype.kind == "M"


def _with_dtypes(found: StatedTypes, dtypes: Mapping[str, Any]) -> StatedTypes:
    """Return what Arrow types state and what pandas' own dtypes state beyond that.

    A categorical is one of categories, though they are numbers; which there are, and in which order, came of rows.
    """
    import pandas as pd

    kinds = {name: "categorical" for name, dtype in dtypes.items() if isinstance(dtype, pd.CategoricalDtype)}
    families = {name: family for name, family in found.families.items() if name not in kinds}
    own = {name: Column.model_validate({"kind": kind}) for name, kind in kinds.items()}
    return StatedTypes(columns={**found.columns, **own}, families=families)


def _needs_cell_text(empty: pd.Series) -> bool:
    """Return whether a column is read object by object: all but numbers, nullable booleans, times and Arrow types.

    So are categoricals, whatever the type of their categories, which came of rows.
    """
    import pandas as pd

    kind = empty.dtype
    if isinstance(kind, pd.ArrowDtype | pd.DatetimeTZDtype):
        return False
    if kind == "bool" or getattr(kind, "kind", "O") not in "biufmM":
        return True
    try:
        pa.array(empty, from_pandas=True)
    except (pa.ArrowException, TypeError):  # sparse columns, foreign byte orders, 128-bit floats
        return True
    return False


def is_frame(given: object) -> bool:
    """Return whether something is a pandas DataFrame, without importing pandas."""
    bases = type(given).__mro__
    return any(base.__name__ == "DataFrame" and base.__module__.partition(".")[0] == "pandas" for base in bases)


SOURCE = Adapter(what="a pandas DataFrame", open=FrameSource)

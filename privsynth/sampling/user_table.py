"""A person's own table beside a model: which cells are known and which are gaps, and how a gap is written.

All of this looks at real rows without noise, so the result is as private as the table. It is not part of a release.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from privsynth.codecs.column_facts import exact_facts
from privsynth.codecs.columns import (
    DAY,
    CategoryCodec,
    ColumnCodec,
    DerivedCodec,
    NumberCodec,
    SurrogateCodec,
    TimeCodec,
)
from privsynth.codecs.decoded_rows import Decoded
from privsynth.codecs.parse import NULL_TOKENS, Categories, Grid, as_categories, as_numbers, as_times, is_text
from privsynth.codecs.parsed_table import FALSE_TEXTS, TRUE_TEXTS, grid_values
from privsynth.codecs.table import TableCodec, whole_values
from privsynth.table import Table

_LOOK_ROWS = 20_000


@dataclass(frozen=True, repr=False)
class Reader:
    """How one column of the table is read and written.

    Attributes:
      codec: of the model.
      decimal: decimal sign of numbers in text. format: strptime format of times, None for ISO 8601.
      spelling: place in the codec's texts -> how the table writes it, where it does so differently.
    """

    codec: CategoryCodec | NumberCodec | TimeCodec | DerivedCodec
    decimal: str = "."
    format: str | None = None
    spelling: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, repr=False)
class Cells:
    """One column of the table, as the model sees it.

    Attributes:
      line: values, null where the model does not know the cell.
      gap: (n,) the cells to fill: empty, or not readable as what the column holds.
      stray: (n,) the gaps that hold something unreadable.
    """

    line: Decoded
    gap: np.ndarray
    stray: np.ndarray


def make_readers(codec: TableCodec, table: Table) -> dict[str, Reader]:
    """Return how each column that table and model share is read; identifiers are left alone.

    Spellings (decimal sign, date format, words for true and false) are looked up in the table's first rows.
    """
    readers = {}
    for found in codec.codecs:
        if found.name in table.names and not isinstance(found, SurrogateCodec):
            readers[found.name] = _make_reader(found, table.column(found.name).slice(0, _LOOK_ROWS))
    return readers


def _make_reader(codec: ColumnCodec, column: pa.ChunkedArray) -> Reader:
    if isinstance(codec, CategoryCodec):
        seen = as_categories(column)
        counts = np.bincount(seen.codes[seen.codes >= 0], minlength=len(seen.values))
        spelling: dict[int, str] = {}
        for code in np.argsort(counts, kind="stable").tolist():  # the most frequent spelling is written last
            place = _place(codec, seen.values[code])
            if place is not None and place < len(codec.values):
                spelling[place] = seen.values[code]
        return Reader(codec, spelling=spelling)
    assert isinstance(codec, NumberCodec | TimeCodec | DerivedCodec)
    if not is_text(column):
        return Reader(codec)
    if isinstance(codec, TimeCodec):
        formats = dict.fromkeys((codec.format, None, exact_facts(column).format))
        known = {f: int((~as_times(column, precision=1, format=f).null).sum()) for f in formats}
        return Reader(codec, format=max(known, key=known.__getitem__))
    point, comma = (int((~as_numbers(column, precision=codec.precision, decimal=d).null).sum()) for d in (".", ","))
    return Reader(codec, decimal="," if comma > point else ".")


def _place(codec: CategoryCodec, text: str) -> int | None:
    """Return where a cell's text stands among the codec's; OTHER where the list is open; None where it is closed."""
    if text in codec.values:
        return codec.values.index(text)
    if codec.other:
        return len(codec.values)
    for words in (TRUE_TEXTS, FALSE_TEXTS):
        same = [place for place, value in enumerate(codec.values) if value.lower() in words]
        if len(codec.values) == 2 and len(same) == 1 and text.lower() in words:
            return same[0]
    return None


def read_cells(reader: Reader, column: pa.ChunkedArray) -> Cells:
    """Return what the model makes of a column. A category that it does not know is no gap, and stays."""
    codec = reader.codec
    if isinstance(codec, CategoryCodec):
        seen = as_categories(column)
        places = np.array([-1 if (at := _place(codec, text)) is None else at for text in seen.values] + [-1])
        values = places[seen.codes].astype(np.int64)
        return Cells(Decoded(np.maximum(values, 0), values < 0), seen.codes < 0, np.zeros(len(values), dtype=bool))
    if isinstance(codec, TimeCodec):
        grid = as_times(column, precision=codec.precision, format=reader.format)
        values = grid.steps * codec.precision
    else:
        grid = as_numbers(column, precision=codec.precision, decimal=reader.decimal)
        values = grid.steps
    return Cells(Decoded(values.copy(), grid.null.copy()), grid.null, grid.null & ~_is_blank(column))


def _is_blank(column: pa.ChunkedArray) -> np.ndarray:
    if not is_text(column):
        return np.asarray(column.is_null().to_numpy(), dtype=bool)
    blank = pc.is_in(pc.utf8_trim_whitespace(column), value_set=pa.array(NULL_TOKENS, pa.string()))
    return np.asarray(pc.or_kleene(blank, column.is_null()).to_numpy(), dtype=bool)


def as_parsed(codec: ColumnCodec, line: Decoded) -> Categories | Grid:
    """Return values as the codec encodes them."""
    if isinstance(codec, CategoryCodec):
        return Categories(np.where(line.null, -1, line.values).astype(np.int32), codec.texts)
    if isinstance(codec, TimeCodec):
        return Grid(line.values // codec.precision, line.null)
    return Grid(line.values, line.null)


def fill(reader: Reader, column: pa.ChunkedArray, gap: np.ndarray, drawn: Decoded) -> pa.ChunkedArray:
    """Return the column with values in its gaps; a gap whose value is null, or that its type cannot hold, stays.

    Every other cell keeps its bytes.
    """
    gap = gap & ~drawn.null
    if not gap.any():
        return column
    made = _written(reader, column.type, drawn.values[gap])
    whole = column.combine_chunks()
    whole = pa.concat_arrays(whole.chunks) if isinstance(whole, pa.ChunkedArray) else whole
    places = np.flatnonzero(gap)[np.asarray(made.is_valid())]
    mask = np.zeros(len(gap), dtype=bool)
    mask[places] = True
    return pa.chunked_array([pc.replace_with_mask(whole, pa.array(mask), made.drop_null())])


def _written(reader: Reader, kind: pa.DataType, values: np.ndarray) -> pa.Array:
    """Return (m,) values in the type of their column; null where it cannot hold one."""
    codec = reader.codec
    if pa.types.is_string(kind):
        return pa.array(_texts(reader, values), pa.string())
    if isinstance(codec, CategoryCodec):
        if pa.types.is_boolean(kind):
            return pa.array([codec.texts[at].lower() in TRUE_TEXTS for at in values.tolist()], kind)
        return pa.array(_cast_each([codec.texts[at] for at in values.tolist()], float), pa.float64()).cast(
            kind, safe=False
        )
    if isinstance(codec, TimeCodec):
        return pa.array(values.astype("datetime64[s]"), pa.timestamp("s")).cast(kind, safe=False)
    numbers = grid_values(values, codec.precision)
    return pa.array(np.rint(numbers) if pa.types.is_integer(kind) else numbers).cast(kind, safe=False)


def _cast_each(texts: Sequence[str], read: Callable[[str], float]) -> list[float | None]:
    found: list[float | None] = []
    for text in texts:
        try:
            found.append(read(text))
        except ValueError:
            found.append(None)
    return found


def _texts(reader: Reader, values: np.ndarray) -> list[str]:
    """Return values as the table writes them."""
    codec = reader.codec
    if isinstance(codec, CategoryCodec):
        return [reader.spelling.get(at, codec.texts[at]) for at in values.tolist()]
    if isinstance(codec, TimeCodec):
        default = "%Y-%m-%d" if codec.precision == DAY else "%Y-%m-%dT%H:%M" + (":%S" if codec.precision < 60 else "")
        written: list[str] = pd.Series(values.astype("datetime64[s]")).dt.strftime(reader.format or default).tolist()
        return written
    if codec.integer:
        return [str(value) for value in whole_values(values, codec.precision).tolist()]
    decimals = max(0, round(-np.log10(codec.precision))) if codec.precision < 1 else 0
    numbers = [f"{value:.{decimals}f}" for value in grid_values(values, codec.precision).tolist()]
    return [number.replace(".", reader.decimal) for number in numbers]

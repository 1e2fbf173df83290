"""A user's own table beside a model: which cells are known and which are gaps, and how a filled gap is written.

All of this reads real rows without noise, so the result is as private as the table. It is not part of a release.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from privsynth.codecs.column_facts import exact_facts
from privsynth.codecs.columns import (
    CategoryCodec,
    ComputedCodec,
    DerivedCodec,
    NumberCodec,
    TiedCodec,
    TimeCodec,
)
from privsynth.codecs.columns.number import whole_values
from privsynth.codecs.decoded_rows import Decoded
from privsynth.codecs.parse import NULL_TOKENS, Grid, as_categories, as_numbers, as_times, is_text
from privsynth.codecs.parsed_table import grid_values
from privsynth.codecs.table import TableCodec
from privsynth.schema.booleans import boolean_text
from privsynth.table import Table

_LOOK_ROWS = 20_000  # first rows that show how a table writes its values (own)


@dataclass(frozen=True, repr=False)
class Cells:
    """One column of the table, as the model sees it.

    Attributes:
      decoded: values, null where the model does not know the cell.
      gap: (n,) the cells to fill: empty, or not readable as what the column holds.
      stray: (n,) the gaps that hold something unreadable.
    """

    decoded: Decoded
    gap: np.ndarray
    stray: np.ndarray


class Reader(Protocol):
    """How one column of the table is read and written."""

    def read(self, column: pa.ChunkedArray) -> Cells:
        """Return what the model makes of a column."""
        ...

    def texts(self, values: np.ndarray) -> list[str]:
        """Return values as the table writes them."""
        ...

    def typed(self, values: np.ndarray, kind: pa.DataType) -> pa.Array:
        """Return (m,) values in the type of their column; null where it cannot hold one."""
        ...


@dataclass(frozen=True, repr=False)
class TextReader:
    """A column of categories.

    Attributes:
      spelling: place in the codec's texts -> how the table writes it, where it does so differently.
    """

    codec: CategoryCodec
    spelling: Mapping[int, str] = field(default_factory=dict)

    @classmethod
    def of(cls, codec: CategoryCodec, column: pa.ChunkedArray) -> TextReader:
        """Return the reader of a column, by its first rows."""
        seen = as_categories(column)
        counts = np.bincount(seen.codes[seen.codes >= 0], minlength=len(seen.values))
        spelling: dict[int, str] = {}
        for code in np.argsort(counts, kind="stable").tolist():  # the most frequent spelling is written last
            place = _place(codec, seen.values[code])
            if place is not None and place < len(codec.values):
                spelling[place] = seen.values[code]
        return cls(codec, spelling)

    def read(self, column: pa.ChunkedArray) -> Cells:
        """Return places in the codec's texts. A category that the model does not know is no gap, and stays."""
        seen = as_categories(column)
        places = np.array([-1 if (at := _place(self.codec, text)) is None else at for text in seen.values] + [-1])
        values = places[seen.codes].astype(np.int64)
        return Cells(Decoded(np.maximum(values, 0), values < 0), seen.codes < 0, np.zeros(len(values), dtype=bool))

    def texts(self, values: np.ndarray) -> list[str]:
        """Return values as the table spells them."""
        return [self.spelling.get(at, self.codec.texts[at]) for at in values.tolist()]

    def typed(self, values: np.ndarray, kind: pa.DataType) -> pa.Array:
        """Return booleans, or the numbers that the texts say."""
        texts = [self.codec.texts[at] for at in values.tolist()]
        if pa.types.is_boolean(kind):
            true = "true" if self.codec.booleans is None else self.codec.booleans[1]
            return pa.array([text == true for text in texts], kind)
        return pa.array(_cast_each(texts, float), pa.float64()).cast(kind, safe=False)


@dataclass(frozen=True, repr=False)
class NumberReader:
    """A column of numbers, or a difference.

    Attributes:
      decimal: decimal sign of numbers in text.
    """

    codec: NumberCodec | TiedCodec | DerivedCodec | ComputedCodec
    decimal: str = "."

    @classmethod
    def of(cls, codec: NumberCodec | TiedCodec | DerivedCodec | ComputedCodec, column: pa.ChunkedArray) -> NumberReader:
        """Return the reader of a column, by its first rows."""
        if not is_text(column):
            return cls(codec)
        point, comma = (
            int((~as_numbers(column, precision=codec.precision, decimal=sign).null).sum()) for sign in (".", ",")
        )
        return cls(codec, "," if comma > point else ".")

    def read(self, column: pa.ChunkedArray) -> Cells:
        """Return grid steps."""
        return _grid_cells(as_numbers(column, precision=self.codec.precision, decimal=self.decimal), 1, column)

    def texts(self, values: np.ndarray) -> list[str]:
        """Return numbers with the table's decimal sign."""
        precision = self.codec.precision
        if self.codec.integer:
            return [str(value) for value in whole_values(values, precision).tolist()]
        decimals = max(0, round(-np.log10(precision))) if precision < 1 else 0
        numbers = [f"{value:.{decimals}f}" for value in grid_values(values, precision).tolist()]
        return [number.replace(".", self.decimal) for number in numbers]

    def typed(self, values: np.ndarray, kind: pa.DataType) -> pa.Array:
        """Return numbers."""
        numbers = grid_values(values, self.codec.precision)
        return pa.array(np.rint(numbers) if pa.types.is_integer(kind) else numbers).cast(kind, safe=False)


@dataclass(frozen=True, repr=False)
class TimeReader:
    """A column of dates or times.

    Attributes:
      format: strptime format of times, None for ISO 8601.
    """

    codec: TimeCodec
    format: str | None = None

    @classmethod
    def of(cls, codec: TimeCodec, column: pa.ChunkedArray) -> TimeReader:
        """Return the reader of a column, by its first rows."""
        if not is_text(column):
            return cls(codec)
        formats = dict.fromkeys((codec.format, None, exact_facts(column).format))
        known = {f: int((~as_times(column, precision=1, format=f).null).sum()) for f in formats}
        return cls(codec, max(known, key=known.__getitem__))

    def read(self, column: pa.ChunkedArray) -> Cells:
        """Return seconds."""
        precision = self.codec.precision
        return _grid_cells(as_times(column, precision=precision, format=self.format), precision, column)

    def texts(self, values: np.ndarray) -> list[str]:
        """Return times in the table's format."""
        format_ = replace(self.codec, format=self.format).strptime_format
        written: list[str] = pd.Series(values.astype("datetime64[s]")).dt.strftime(format_).tolist()
        return written

    def typed(self, values: np.ndarray, kind: pa.DataType) -> pa.Array:
        """Return times."""
        return pa.array(values.astype("datetime64[s]"), pa.timestamp("s")).cast(kind, safe=False)


_READERS: Mapping[str, Callable[[Any, pa.ChunkedArray], Reader]] = {
    "text": TextReader.of,
    "number": NumberReader.of,
    "time": TimeReader.of,
}


def make_readers(codec: TableCodec, table: Table) -> dict[str, Reader]:
    """Return how each column that table and model share is read; identifiers are left alone.

    Spellings (decimal sign, date format, words for true and false) are taken from the table's first rows.
    """
    return {
        found.name: _READERS[found.family](found, table.column(found.name).slice(0, _LOOK_ROWS))
        for found in codec.codecs
        if found.name in table.names and found.family in _READERS
    }


def _place(codec: CategoryCodec, text: str) -> int | None:
    """Return where a cell's text stands among the codec's; OTHER where the list is open; None where it is closed."""
    if text in codec.values:
        return codec.values.index(text)
    if codec.other:
        return len(codec.values)
    if codec.booleans is None:
        return None
    false, true = codec.booleans
    spelt = boolean_text(text, (false,), (true,))
    return None if spelt is None else codec.values.index(spelt)


def _grid_cells(grid: Grid, scale: int, column: pa.ChunkedArray) -> Cells:
    """Return numbers or times as cells: what is neither blank nor readable is a stray."""
    decoded = Decoded((grid.steps * scale).copy(), grid.null.copy())
    return Cells(decoded, grid.null, grid.null & ~_is_blank(column))


def _is_blank(column: pa.ChunkedArray) -> np.ndarray:
    if not is_text(column):
        return np.asarray(column.is_null().to_numpy(), dtype=bool)
    blank = pc.is_in(pc.utf8_trim_whitespace(column), value_set=pa.array(NULL_TOKENS, pa.string()))
    return np.asarray(pc.or_kleene(blank, column.is_null()).to_numpy(), dtype=bool)


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
    if pa.types.is_string(kind):
        return pa.array(reader.texts(values), pa.string())
    return reader.typed(values, kind)


def _cast_each(texts: Sequence[str], read: Callable[[str], float]) -> list[float | None]:
    found: list[float | None] = []
    for text in texts:
        try:
            found.append(read(text))
        except ValueError:
            found.append(None)
    return found

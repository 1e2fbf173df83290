"""`SyntheticRows`: a synthetic table of any length, kept in parts and in few bytes a value.

A frame of ten million rows takes gigabytes, most of them for texts. Here a category takes one or two bytes and a number
as many as it needs; frames and Arrow tables are made from one part, or one column, at a time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

import pandas as pd
import pyarrow as pa

from privsynth.codecs.decoded_rows import DecodedRows, join
from privsynth.codecs.table import TableCodec
from privsynth.codecs.written.rows import arrow_schema, arrow_table, data_frame, text_frame
from privsynth.schema.source_format import SourceFormat


@dataclass(frozen=True, repr=False)
class SyntheticRows:
    """Synthetic rows in order.

    Attributes:
      codec: what the values mean.
      parts: the rows, one part after the other; at least one.
      first_row: number of the first row among those of its draw.
      key: of the draw; from it and the rows' numbers follow identifiers and personal values.
      source_format: how the source's table is written, and so these rows.
    """

    codec: TableCodec
    parts: Sequence[DecodedRows]
    first_row: int = 0
    key: int = 0
    source_format: SourceFormat = field(default_factory=SourceFormat)

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return sum(part.n_rows for part in self.parts)

    @property
    def names(self) -> list[str]:
        """The columns without invented ones, which say nothing about anybody."""
        return [codec.name for codec in self.codec.codecs if codec.family != "invented"]

    def frame(self, names: Collection[str] | None = None) -> pd.DataFrame:
        """Return all rows as one frame (see `TableCodec.frame`), or some of its columns; it may take much memory."""
        return self.codec.frame(join(self.parts), names=names)

    def frames(self, names: Collection[str] | None = None) -> Iterator[pd.DataFrame]:
        """Yield a frame of each part (see `TableCodec.frame`)."""
        for part in self.parts:
            yield self.codec.frame(part, names=names)

    @property
    def arrow_schema(self) -> pa.Schema:
        """Names, types and nullability of the columns of `tables`."""
        return arrow_schema(self.codec, self.source_format)

    def tables(self) -> Iterator[pa.Table]:
        """Yield an Arrow table of each part, in the types of the source."""
        for first, part in self._numbered():
            yield arrow_table(self.codec, part, self.source_format, first_row=first, key=self.key)

    def texts(self) -> Iterator[pd.DataFrame]:
        """Yield a frame of each part as a delimited file spells it (see `text_frame`)."""
        for first, part in self._numbered():
            yield text_frame(self.codec, part, self.source_format, first_row=first, key=self.key)

    def typed_frame(self) -> pd.DataFrame:
        """Return all rows as a user gets them, in the types of the source; it may take much memory."""
        return data_frame(pa.concat_tables(list(self.tables())))

    def columns(self) -> Iterator[tuple[str, pd.Series]]:
        """Yield name and values of each column of `names`, whole; texts as categoricals where they can be."""
        for name in self.names:
            column = join([part.only(name) for part in self.parts])
            yield name, self.codec.frame(column, names={name}, categorical={name})[name]

    def _numbered(self) -> Iterator[tuple[int, DecodedRows]]:
        first = self.first_row
        for part in self.parts:
            yield first, part
            first += part.n_rows

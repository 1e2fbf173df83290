"""`SyntheticRows`: a synthetic table of any length, kept in parts and in few bytes a value.

A frame of ten million rows takes gigabytes, most of them for texts. Here a category takes one or two bytes and a number
as many as it needs; frames and Arrow tables are made from one part, or one column, at a time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa

from privsynth.codecs.decoded_rows import DecodedRows, join
from privsynth.codecs.table import TableCodec


@dataclass(frozen=True, repr=False)
class SyntheticRows:
    """Synthetic rows in order.

    Attributes:
      codec: what the values mean.
      parts: the rows, one part after the other; at least one.
      first_row: number of the first row, from which surrogates count.
    """

    codec: TableCodec
    parts: Sequence[DecodedRows]
    first_row: int = 1

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return sum(part.n_rows for part in self.parts)

    @property
    def names(self) -> list[str]:
        """The columns without surrogates, which say nothing about anybody."""
        return [codec.name for codec in self.codec.codecs if codec.family != "identifier"]

    def frame(self, names: Collection[str] | None = None) -> pd.DataFrame:
        """Return all rows as one frame, or some of its columns; it may take much memory."""
        return self.codec.frame(join(self.parts), first_row=self.first_row, names=names)

    def frames(self, names: Collection[str] | None = None) -> Iterator[pd.DataFrame]:
        """Yield a frame of each part (see `TableCodec.frame`)."""
        for first, part in self._numbered():
            yield self.codec.frame(part, first_row=first, names=names)

    def tables(self) -> Iterator[pa.Table]:
        """Yield an Arrow table of each part (see `TableCodec.arrow`)."""
        for first, part in self._numbered():
            yield self.codec.arrow(part, first_row=first)

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

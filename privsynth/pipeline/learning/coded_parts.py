"""The coded rows of a table in parts: codes are made once, beside the marks of their rows, and counted from there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import numpy as np
import pyarrow as pa

from privsynth.codecs.columns import Attribute
from privsynth.codecs.encoded_table import CodedRows, PartitionedRows, together
from privsynth.codecs.parsed_table import ParsedTable
from privsynth.codecs.table import TableCodec
from privsynth.partitions.marks import OF_UNIT, ROW, SIDE, TRAINING, UNIT, marks, values
from privsynth.partitions.rows import PrivateRows

S = TypeVar("S")
BYTE = 256  # codes of an attribute that fit into one


@dataclass(frozen=True, repr=False, eq=False)
class CodedParts:
    """Coded rows in parts (see `PartitionedRows`). Private.

    Attributes:
      rows: a column of codes for each attribute, and marks.
      makes: what is made of a part's rows when they are read, one after the other.
    """

    rows: PrivateRows
    makes: tuple[Callable[[CodedRows], CodedRows], ...] = ()

    def add_up(self, count: Callable[[CodedRows], S]) -> S:
        """See `PartitionedRows`."""
        return self.rows.add_up(partial(_count, count, self.makes))

    def derive(self, make: Callable[[CodedRows], CodedRows]) -> CodedParts:
        """See `PartitionedRows`."""
        return replace(self, makes=(*self.makes, make))

    def gathered(self) -> CodedRows:
        """See `PartitionedRows`; training comes first, and rows as they are in the table."""
        parts = list(self.rows.load())
        side, row = (np.concatenate([values(part, name) for part in parts]) for name in (SIDE, ROW))
        made = together([_coded(part) for part in parts]).chosen(np.lexsort((row, side)))
        for make in self.makes:
            made = make(made)
        return made

    def __repr__(self) -> str:
        return f"CodedParts({self.rows!r})"


def coded(parsed: PrivateRows, codec: TableCodec) -> PartitionedRows:
    """Return the codes of parsed rows; in memory where the rows are. A row-by-row function."""
    kinds = [pa.uint8() if a.size <= BYTE else pa.uint16() for a in codec.attributes]
    fields = [(str(at), kind) for at, kind in enumerate(kinds)]
    apart = [(name, parsed.schema.field(name).type) for name in (UNIT, SIDE, OF_UNIT, ROW)]
    rows = CodedParts(parsed.derive(partial(_encoded, codec), pa.schema([*fields, *apart])))
    return rows.gathered() if parsed.scratch is None else rows


def _encoded(codec: TableCodec, part: pa.Table) -> pa.Table:
    codes = codec.encode(ParsedTable.of_arrow(part))
    attributes: Sequence[Attribute] = codec.attributes
    columns = {
        str(at): pa.array(own.astype(np.uint8 if attribute.size <= BYTE else np.uint16))
        for at, (own, attribute) in enumerate(zip(codes, attributes, strict=True))
    }
    apart = marks(part).select([UNIT, SIDE, OF_UNIT, ROW])
    return pa.table({**columns, **dict(zip(apart.column_names, apart.columns, strict=True))})


def _coded(part: pa.Table) -> CodedRows:
    attributes = part.num_columns - 4
    codes = np.empty((attributes, part.num_rows), dtype=np.uint16)
    for at in range(attributes):
        codes[at] = part.column(str(at)).to_numpy()
    return CodedRows(codes, values(part, UNIT), values(part, SIDE) == TRAINING, values(part, OF_UNIT))


def _count(count: Callable[[CodedRows], S], makes: Sequence[Callable[[CodedRows], CodedRows]], part: pa.Table) -> S:
    rows = _coded(part)
    for make in makes:
        rows = make(rows)
    return count(rows)


def training(rows: CodedRows) -> CodedRows:
    """Return the rows of training."""
    assert rows.trained is not None
    return rows.chosen(rows.trained)

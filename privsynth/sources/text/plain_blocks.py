"""Blocks of a delimited file in which nothing odd occurs, read by Arrow: ten times as fast, with the same cells.

Arrow is asked only where there is one way to read: whole lines that decode, each with as many cells as the header, and
quotes that open and close a cell within its line. In such a block the rules of `privsynth.sources.text.csv` for bad
rows have nothing to say. Any other block is read by them, line by line.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from privsynth.sources.arrow_types import clean_text
from privsynth.sources.protocol import SkippedCells, SourceOptions
from privsynth.sources.text.text_file import is_utf8

_QUOTE, _FEED, _RETURN = b'"\n\r'
# Encodings in which each byte is a character, and those below 128 are ASCII's: where a line ends is known beforehand.
_SINGLE_BYTE = {"ascii", "cp1250", "cp1252", "iso8859-1", "iso8859-2", "iso8859-15"}


class PlainBlocks:
    """Reads plain blocks of one file.

    Args:
      width: cells of a row.
      positions: of the cells that are wanted, in their order.
      schema: names of these, all of them texts.
    """

    def __init__(
        self, width: int, positions: Sequence[int], schema: pa.Schema, delimiter: str, options: SourceOptions
    ) -> None:
        self._schema, self._options = schema, options
        self._delimiter = delimiter
        names = [str(position) for position in range(width)]
        self._names = names
        self._convert = csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            include_columns=[names[position] for position in positions],
            null_values=[""],
            strings_can_be_null=True,
        )

    def batches(self, block: bytes, encoding: str, skipped: SkippedCells) -> Iterator[pa.RecordBatch] | None:
        """Return the rows of a block of whole lines; None where it is not plain."""
        text = self._utf8(block, encoding)
        if text is None or not self._is_plain(text):
            return None
        table = self._parsed(text)
        return None if table is None else self._cleaned(table, skipped)

    def _utf8(self, block: bytes, encoding: str) -> bytes | None:
        if is_utf8(encoding):
            return block  # Arrow checks it
        if codecs.lookup(encoding).name not in _SINGLE_BYTE:
            return None
        try:
            return block.decode(encoding).encode()
        except UnicodeDecodeError:
            return None

    def _is_plain(self, block: bytes) -> bool:
        if not block.endswith(b"\n") or b"\0" in block or not self._delimiter.isascii():
            return False
        if block.startswith(codecs.BOM_UTF8):  # a mark for Arrow, a character for us: it is not at the file's start
            return False
        if block.count(b"\r") != block.count(b"\r\n"):
            return False
        data = np.frombuffer(block, np.uint8)
        if len(block) > self._options.max_record_chars:
            ends = np.flatnonzero(data == _FEED)
            if np.diff(ends, prepend=-1, append=len(block)).max() > self._options.max_record_chars:
                return False  # in bytes, which are at least as many as characters
        return b'"' not in block or _quotes_are_plain(data, ord(self._delimiter))

    def _parsed(self, block: bytes) -> pa.Table | None:
        try:
            return csv.read_csv(
                pa.py_buffer(block),
                csv.ReadOptions(use_threads=False, block_size=len(block), column_names=self._names),
                csv.ParseOptions(delimiter=self._delimiter),
                self._convert,
            )
        except pa.ArrowInvalid:  # a row of another width, bytes that do not decode, or nothing but blank lines
            return None

    def _cleaned(self, table: pa.Table, skipped: SkippedCells) -> Iterator[pa.RecordBatch]:
        arrays = []
        for column in table.columns:
            # Characters are counted only where there are bytes enough for too many.
            long = (pc.max(pc.binary_length(column)).as_py() or 0) > self._options.max_cell_chars
            array = column.combine_chunks()
            arrays.append(clean_text(array, skipped, self._options) if long else array)
        whole = pa.Table.from_arrays(arrays, schema=self._schema)
        yield from whole.to_batches(max_chunksize=self._options.rows_per_batch(len(self._names)))


def _quotes_are_plain(data: np.ndarray, delimiter: int) -> bool:
    """Return whether each quote opens a cell, closes it in the same line, or is one of two inside it."""
    quotes = np.flatnonzero(data == _QUOTE)
    if len(quotes) % 2:
        return False
    around = np.concatenate([[_FEED], data, [_FEED]])  # data[i] is around[i + 1]
    before, after = around[quotes[::2]], around[quotes[1::2] + 2]
    opens = (before == delimiter) | (before == _FEED) | (before == _QUOTE)
    closes = (after == delimiter) | (after == _FEED) | (after == _RETURN) | (after == _QUOTE)
    if not (opens.all() and closes.all()):
        return False
    inside = np.searchsorted(quotes, np.flatnonzero(data == _FEED)) % 2
    return not inside.any()

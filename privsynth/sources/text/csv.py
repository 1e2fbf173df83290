"""Delimited text files. Every cell stays the text that it is: "007" keeps its zeros, "1,5" its comma.

What decides how the file is read (delimiter, names) comes from the header line or the options, never from the rows.
A bad row stays one bad row: too short or too long a row is padded or cut, and an opening quote that nobody closes costs
its own line and not the file. The table that the guarantee protects is the table as parsed here.
"""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from privsynth.errors import SourceError
from privsynth.schema.source_format import SourceFormat
from privsynth.sources.arrow_types import text_batch, text_schema
from privsynth.sources.header_checks import check_names, chosen_positions, refuse_unreadable
from privsynth.sources.protocol import Adapter, SkippedCells, SourceOptions
from privsynth.sources.text.plain_blocks import PlainBlocks
from privsynth.sources.text.text_file import UNDECODABLE, LineCutter, TextBlocks, open_bytes

DELIMITERS = ",;\t|"


class _Unclosed(Exception):
    """A record goes on beyond what one record may span."""


class _Lines:
    """The physical lines of a file, for `csv.reader`, with a memory of the lines of the current record."""

    def __init__(self, blocks: TextBlocks, delimiter: str | None, options: SourceOptions) -> None:
        self._blocks, self.encoding = blocks, blocks.encoding
        self._max_lines = options.max_record_lines
        self._max_chars = options.max_record_chars
        self._in_header = True
        self._waiting: deque[str] = deque()
        self._n_chars = 0
        self.record: list[str] = []
        self.n_cut = 0
        self.header_is_quoted = False
        self.delimiter = delimiter

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        """Return the next line, as part of the record that has begun; a reader asks on while a quote is open."""
        if self.record and (len(self.record) >= self._max_lines or self._n_chars >= self._max_chars):
            raise _Unclosed
        line = self.next_line()
        if not line:
            if self.record:
                raise _Unclosed
            raise StopIteration
        self.record.append(line)
        self._n_chars += len(line)
        return line

    def blocks(self) -> Iterator[bytes]:
        """Yield what follows in the file, block by block, and an empty block at its end.

        To be asked on only at the end of a record and where `between_blocks`: a record may go on into the next block.
        """
        while block := self._next_block():
            yield block
        yield b""

    def _next_block(self) -> bytes:
        """Return the next block. The header is one of its own, so that the next begins with rows."""
        block = self._blocks.next_block(first_line=self._in_header)
        self._in_header &= not block.endswith(b"\n")
        return block

    def feed(self, block: bytes) -> None:
        """Make the lines of a block the next ones; an empty one is the end of the file."""
        self._waiting.extend(self._blocks.lines(block))

    @property
    def between_blocks(self) -> bool:
        """Whether all that was fed has been read."""
        return not self._waiting and self._blocks.between_lines

    def next_line(self) -> str:
        """Return the next line, as part of no record; the empty text at the end."""
        while not self._waiting:
            block = self._next_block()
            self.feed(block)
            if not block and not self._waiting:
                return ""
        line = self._waiting.popleft()
        if len(line) > self._max_chars:
            self.n_cut += 1
            # The last cell is cut at a random place: a part of a number is worse than no number.
            line = (line.rpartition(self.delimiter)[0] or line) if self.delimiter else line
        return line

    def push_back(self, line: str) -> None:
        """Make `line` the next line."""
        self._waiting.appendleft(line)

    def end_record(self) -> int:
        """Forget the lines of the record, so that the next line begins a new one; return its size in characters."""
        self.record.clear()
        n_chars, self._n_chars = self._n_chars, 0
        return n_chars

    def first_line_width(self) -> int:
        """Return the number of cells that the record's first line has with quotes taken as text."""
        assert self.delimiter is not None
        return self.record[0].count(self.delimiter) + 1

    def first_line_alone(self) -> list[str]:
        """Return the cells of the record's first line, quotes taken as text; the other lines will be read again."""
        assert self.delimiter is not None
        first, *others = self.record
        self._waiting.extendleft(reversed(others))
        return first.rstrip("\r\n").split(self.delimiter)


class CsvSource:
    """A delimited text file with a header line."""

    names_are_public = True

    def __init__(self, path: Path, options: SourceOptions) -> None:
        refuse_unreadable(path)
        self.label = str(path)
        self._path = path
        self._options = options
        if options.delimiter is None and path.name.lower().removesuffix(".gz").endswith(".tsv"):
            self._delimiter: str | None = "\t"
        else:
            self._delimiter = options.delimiter
        with self._opened() as (lines, header, delimiter):
            self._delimiter = delimiter
            self.source_format = SourceFormat(delimiter=delimiter, quote_all=lines.header_is_quoted)
        check_names(header, self.label, options)
        self._width = len(header)
        self._positions = chosen_positions(header, self.label, options)
        self.names = [header[position] for position in self._positions]
        self.arrow_schema = text_schema(self.names)

    def __repr__(self) -> str:
        return f"CsvSource({self.label}, {len(self.names)} columns)"

    @property
    def delimiter(self) -> str:
        """The character between the cells."""
        return self._delimiter or ","

    @contextmanager
    def _opened(self) -> Iterator[tuple[_Lines, list[str], str]]:
        """Open the file, read its header and yield the lines after it, the names and the delimiter."""
        # A limit of the whole process, in characters of a cell: the default of 131,072 would raise on a long cell that
        # is to become null. It is only ever raised.
        limit = 4 * self._options.max_record_chars
        csv.field_size_limit(max(limit, csv.field_size_limit()))
        with open_bytes(self._path, self._options) as (raw, encoding):
            cutter = LineCutter(self._options.max_record_chars, max(1_000, 2 * self._options.max_record_lines))
            lines = _Lines(TextBlocks(raw, encoding, cutter), self._delimiter, self._options)
            header = _read_header(lines, self.label)
            assert lines.delimiter is not None
            yield lines, header, lines.delimiter

    def batches(self, skipped: SkippedCells) -> Iterator[pa.RecordBatch]:
        """Yield the rows as text columns."""
        plain = PlainBlocks(self._width, self._positions, self.arrow_schema, self.delimiter, self._options)
        with self._opened() as (lines, _, _):
            yield from self._odd_batches(lines, skipped)  # what was fed for the header's sake
            for block in lines.blocks():
                found = plain.batches(block, lines.encoding, skipped)
                if found is not None:
                    yield from found
                    continue
                lines.feed(block)
                yield from self._odd_batches(lines, skipped)
            skipped.long_lines += lines.n_cut

    def _odd_batches(self, lines: _Lines, skipped: SkippedCells) -> Iterator[pa.RecordBatch]:
        """Yield the rows of what was fed, and of the next blocks as far as its last record goes."""
        n_rows = self._options.rows_per_batch(self._width)
        rows: list[list[str]] = []
        n_chars = 0
        for row, size in self._records(lines, skipped):
            rows.append(row)
            n_chars += size
            if len(rows) >= n_rows or n_chars >= 1 << 25:
                yield self._batch(rows, skipped)
                rows, n_chars = [], 0
        if rows:
            yield self._batch(rows, skipped)

    def _records(self, lines: _Lines, skipped: SkippedCells) -> Iterator[tuple[list[str], int]]:
        """Yield each record as exactly `width` cells, with its size in characters."""
        delimiter, width = self._delimiter, self._width
        # Strict, so that a quote that closes in the middle of a cell is noticed: two stray quotes look like that.
        reader = csv.reader(lines, delimiter=delimiter or ",", strict=True)
        while not lines.between_blocks and (line := lines.next_line()):
            if '"' in line:
                lines.push_back(line)
                row = self._quoted_record(reader, lines, skipped)
                size = lines.end_record()
            elif not (bare := line.rstrip("\r\n")):
                continue  # a blank line
            else:
                row, size = bare.split(delimiter), len(line)
            if len(row) != width:
                skipped.short_rows += len(row) < width
                skipped.long_rows += len(row) > width
                row = row[:width] + [""] * (width - len(row))
            yield row, size

    def _quoted_record(self, reader: Iterator[list[str]], lines: _Lines, skipped: SkippedCells) -> list[str]:
        """Return the cells of a record that begins with a line with quotes."""
        try:
            row = next(reader)
            # A stray quote may have met another one; a first line that is a whole row betrays it.
            stray = len(lines.record) > 1 and len(row) != self._width and lines.first_line_width() == self._width
        except _Unclosed:
            stray = True
        except csv.Error:
            stray = len(lines.record) > 1
            if not stray:  # a quote inside a quoted cell, not doubled: what most readers make of it
                row = next(csv.reader(lines.record, delimiter=self._delimiter or ","))
                stray = len(row) != self._width or row[-1].endswith(("\n", "\r"))  # still open at the line's end
        if stray:
            skipped.runaway_quotes += 1
            return lines.first_line_alone()
        return row

    def _batch(self, rows: list[list[str]], skipped: SkippedCells) -> pa.RecordBatch:
        columns = list(zip(*rows, strict=True))
        chosen = [columns[position] for position in self._positions]
        return text_batch(chosen, self.arrow_schema, skipped, self._options)


def _read_header(lines: _Lines, label: str) -> list[str]:
    """Return the names in the first line that is not blank, and set the delimiter of `lines` from it."""
    first = lines.next_line()
    while first and not first.strip("\r\n"):
        first = lines.next_line()
    if not first:
        raise SourceError(f"{label} is empty; it needs a header and rows")
    if lines.n_cut:
        raise SourceError(f"the first line of {label} is too long for a header; check that it is a text table")
    _refuse_junk(first, label)
    if lines.delimiter is None:
        lines.delimiter = header_delimiter(first)
    lines.push_back(first.removeprefix("\ufeff"))  # an encoding given by name may leave the mark in
    try:
        header = next(csv.reader(lines, delimiter=lines.delimiter))
    except (_Unclosed, csv.Error, StopIteration):
        raise SourceError(f"the header of {label} has a quote that does not close; correct it") from None
    if len(lines.record) > 1:
        # A stray quote that meets another one further down would make a public name of somebody's cells.
        raise SourceError(f"the header of {label} goes on beyond its line; write the names on one line")
    lines.end_record()
    quoted = lines.delimiter.join('"' + name.replace('"', '""') + '"' for name in header)
    lines.header_is_quoted = first.strip("\ufeff\r\n") == quoted
    _refuse_junk("".join(header), label)
    return header


def _refuse_junk(header: str, label: str) -> None:
    if UNDECODABLE in header:
        raise SourceError(
            f"the header of {label} does not decode; name the encoding (cp1252?), or check that it is text"
        )
    if any(ord(sign) < 32 and sign not in "\t\r\n" for sign in header):
        raise SourceError(f"{label} is no text table: its header holds control characters; convert it to CSV")


def header_delimiter(line: str) -> str:
    """Return which of `,` `;` tab `|` separates a header line: the most frequent one outside quotes, else the comma."""
    outside = "".join(line.split('"')[::2])
    return max(DELIMITERS, key=outside.count)


SOURCE = Adapter(
    what="a delimited text file",
    open=CsvSource,
    suffixes=(".csv", ".csv.gz", ".tsv", ".tsv.gz", ".txt"),
    options=("delimiter", "encoding"),
)

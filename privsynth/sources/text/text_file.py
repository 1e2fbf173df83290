"""Opening a text file: gzip by suffix, encoding by byte order mark, bytes that do not decode marked and not lost."""

from __future__ import annotations

import codecs
import gzip
import io
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from privsynth.errors import ConfigError, SourceError
from privsynth.sources.container_limits import CountedBytes
from privsynth.sources.header_checks import refuse_other_formats
from privsynth.sources.protocol import SourceOptions

# A lone surrogate: no valid text decodes to it, so that a cell that really holds U+FFFD is not mistaken for a bad one.
UNDECODABLE = "\udcff"
_BLOCK_CHARS = 1 << 18  # read at once (own)
BLOCK_BYTES = 1 << 20  # the same, in bytes (own): larger blocks are not read faster
_HEAD_BYTES = 16  # enough for every byte order mark and magic number that is looked for
# A run of more line breaks than this in a block is cut to it: no record that is read as one spans so many lines.
_MAX_BLANK_LINES = 1_000
_HANDLER = "privsynth_undecodable"
# UTF-32 first: its mark begins with that of UTF-16.
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def _mark(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return UNDECODABLE, error.end


codecs.register_error(_HANDLER, _mark)


def decoded(data: bytes, encoding: str) -> str:
    """Return bytes as text; what the encoding does not know is marked by `UNDECODABLE`."""
    return data.decode(encoding, _HANDLER)


@contextmanager
def open_bytes(path: Path, options: SourceOptions) -> Iterator[tuple[IO[bytes], str]]:
    """Open a text file for reading, and yield its bytes, unpacked, and the name of their encoding.

    Raises:
      SourceError: the file is of another format, or its compressed stream is damaged.
      ConfigError: the encoding of the options is not one that Python knows.
    """
    packed = path.name.lower().endswith(".gz")
    try:
        with gzip.open(path, "rb") if packed else path.open("rb") as opened:
            raw = cast(IO[bytes], io.BufferedReader(CountedBytes(cast(IO[bytes], opened), path)) if packed else opened)
            head = raw.peek(_HEAD_BYTES)[:_HEAD_BYTES]  # type: ignore[attr-defined]
            refuse_other_formats(head, str(path))
            yield raw, _encoding(head, options)
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise SourceError(f"{path} is not a whole gzip file; copy it again, or check its suffix") from None


@contextmanager
def open_text(path: Path, options: SourceOptions) -> Iterator[io.TextIOWrapper]:
    """Open a text file for reading, with its line breaks as they are; it raises what `open_bytes` does."""
    with (
        open_bytes(path, options) as (raw, encoding),
        io.TextIOWrapper(raw, encoding, errors=_HANDLER, newline="") as text,
    ):
        yield text


def _encoding(head: bytes, options: SourceOptions) -> str:
    marked = next((name for mark, name in _MARKS.items() if head.startswith(mark)), None)
    chosen = options.encoding or marked or "utf-8"
    try:
        if not codecs.lookup(chosen)._is_text_encoding:
            raise LookupError
    except (LookupError, ValueError):  # ValueError: a NUL in the name
        raise ConfigError(f"encoding {chosen!r} is not known; use a name like utf-8, cp1252 or utf-16") from None
    if codecs.lookup(chosen).name == "utf-8":
        return "utf-8-sig"  # reads files with and without the mark
    return chosen


def is_utf8(encoding: str) -> bool:
    """Return whether bytes in this encoding are UTF-8."""
    return codecs.lookup(encoding).name in ("utf-8", "utf-8-sig")


def _shorter(block: str, max_blank: int) -> str:
    """Return the block with each run of more than `max_blank` line breaks cut to that many."""
    for end in ("\r\n", "\n", "\r"):
        block = re.sub(f"(?:{end}){{{max_blank + 1},}}", end * max_blank, block)
    return block


class LineCutter:
    """Cuts text that comes in blocks into lines with their ends, `\\n`, `\\r` or `\\r\\n`.

    A line of more than `max_chars` characters is cut to `max_chars` + 1, and its rest is skipped: that length tells. So
    memory is bounded, whatever the file holds. Of a run of blank lines at least `max_blank` are given, and not all:
    hundreds of megabytes of them take no time.
    """

    def __init__(self, max_chars: int, max_blank: int = _MAX_BLANK_LINES) -> None:
        self._max_chars, self._max_blank = max_chars, max_blank
        self._runs = [end * (max_blank + 1) for end in ("\n", "\r\n", "\r")]
        self._carry, self._skipping = "", False

    @property
    def between_lines(self) -> bool:
        """Whether the next block begins a line."""
        return not (self._carry or self._skipping)

    def lines(self, block: str) -> list[str]:
        """Return the lines that end in this block, and a last one that is too long already."""
        if any(run in block for run in self._runs):
            block = _shorter(block, self._max_blank)
        lines = io.StringIO(self._carry + block, newline="").readlines()
        # A carriage return at the end of a block waits for its line feed.
        self._carry = "" if not lines or lines[-1].endswith("\n") else lines.pop()
        if self._skipping and lines:
            del lines[0]  # the end of the line that was cut
            self._skipping = False
        found = [line if len(line) <= self._max_chars else line[: self._max_chars + 1] for line in lines]
        if not self._skipping and len(self._carry) > self._max_chars:
            found.append(self._carry[: self._max_chars + 1])
            self._skipping = True
        if self._skipping:
            self._carry = "\r" if self._carry.endswith("\r") else ""
        return found

    def last_line(self) -> str:
        """Return the line that the end of the file ends; the empty text where there is none."""
        last = "" if self._skipping else self._carry
        self._carry, self._skipping = "", False
        return last


class TextBlocks:
    """A text file in blocks of bytes, which can be read as they are or turned into lines.

    Attributes:
      encoding: of the bytes.
    """

    def __init__(self, raw: IO[bytes], encoding: str, cutter: LineCutter) -> None:
        self._raw, self.encoding, self._cutter = raw, encoding, cutter
        self._decoder = codecs.getincrementaldecoder(encoding)(_HANDLER)
        self._rest = b""

    def next_block(self, *, first_line: bool = False) -> bytes:
        """Return bytes up to the end of the last line that was read, or of the first; nothing at the end of the file.

        Where no line ends within `BLOCK_BYTES`, or in UTF-16, a block ends anywhere.
        """
        data = self._rest + self._raw.read(BLOCK_BYTES)
        end = data.find(b"\n") if first_line else data.rfind(b"\n")
        self._rest = data[end + 1 :] if end >= 0 else b""
        return data[: end + 1] if end >= 0 else data

    def lines(self, block: bytes) -> list[str]:
        """Return the lines that end in a block, as `LineCutter` cuts them; an empty one is the end of the file."""
        found = self._cutter.lines(self._decoder.decode(block, final=not block))
        if not block and (last := self._cutter.last_line()):
            found.append(last)
        return found

    @property
    def between_lines(self) -> bool:
        """Whether the next block begins a line, of the lines that were asked for."""
        return self._cutter.between_lines and not self._decoder.getstate()[0]


def physical_lines(text: io.TextIOWrapper, max_chars: int) -> Iterator[str]:
    """Yield the lines of a file as `LineCutter` cuts them."""
    cutter = LineCutter(max_chars)
    while block := text.read(_BLOCK_CHARS):
        yield from cutter.lines(block)
    if last := cutter.last_line():
        yield last

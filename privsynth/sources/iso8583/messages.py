"""Card messages as a table. pyiso8583 takes each message apart; here are the records of a file, and the cells."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
from iso8583 import DecodeError, decode

from privsynth.errors import SourceError
from privsynth.schema.definition import Column
from privsynth.schema.source_format import SourceFormat
from privsynth.schema.stated_types import StatedTypes
from privsynth.sources.arrow_types import text_batches, text_schema
from privsynth.sources.header_checks import chosen_positions, refuse_unreadable
from privsynth.sources.iso8583.layout import COLUMNS, TRANSMITTED, Framing
from privsynth.sources.protocol import SkippedCells, SourceOptions

MAX_RECORD = 1 << 16  # bytes of a message (own): with all private fields full it has some 50,000
_LOOKED_AT = 100  # messages of which one shows the format (own): a few that are damaged refuse no file
_PREFIX_BYTES = {"2": 2, "4": 4, "ascii4": 4}  # that hold the length of a message, as `Framing.length` names them


class CardMessages:
    """The messages of a file, or of the files in a folder, in the order of their names."""

    names_are_public = True  # they stand in the layout

    def __init__(self, origin: str, options: SourceOptions) -> None:
        self.label = f"iso8583:{origin}"
        self._framing = Framing.of(origin)
        self._fields = self._framing.fields()
        self._files = _files(self._framing.path)
        self._options = options
        header = [*COLUMNS, *([TRANSMITTED] if self._framing.year else [])]
        self.names = [header[position] for position in chosen_positions(header, self.label, options)]
        self.arrow_schema = text_schema(self.names)
        self.stated_types = StatedTypes(columns={name: self._stated(name) for name in self.names})
        whole = [name for name in self.names if self.stated_types.columns[name].kind == "integer"]
        self.source_format = SourceFormat(whole_numbers=tuple(whole))
        self._refuse_another_format()

    def __repr__(self) -> str:
        return f"CardMessages({self.label}, {len(self.names)} columns)"

    def _stated(self, name: str) -> Column:
        year = self._framing.year
        bounds = {"minimum": f"{year}-01-01", "maximum": f"{year}-12-31T23:59:59", "precision": 60}
        return Column.model_validate({"kind": "datetime", **bounds} if name == TRANSMITTED else COLUMNS[name][2])

    def _refuse_another_format(self) -> None:
        """Raise `SourceError` if no message at the beginning has its type where the format puts it."""
        records = (record for path in self._files for record in _records(path, self._framing.length))
        found = islice(records, _LOOKED_AT)
        first = next(found, None)
        if first is not None and not any(map(self._has_type, chain([first], found))):
            raise SourceError(
                f"{self.label} does not begin with a message in this format; name another with ?format= and ?length= "
                "(see docs/sources.md)"
            )

    def _has_type(self, record: bytes) -> bool:
        size = self._fields["h"]["max_len"]
        kind = self._fields["t"]
        text = record[size : size + kind["max_len"]]
        said = text.hex() if kind["data_enc"] == "b" else text.decode(kind["data_enc"], "replace")
        return len(record) <= MAX_RECORD and len(said) == 4 and said.isascii() and said.isdecimal()

    def batches(self, skipped: SkippedCells) -> Iterator[pa.RecordBatch]:
        """Yield the messages as rows of texts; one that cannot be taken apart is left out and counted."""
        yield from text_batches(self._rows(skipped), self.arrow_schema, skipped, self._options)

    def _rows(self, skipped: SkippedCells) -> Iterator[list[str | None]]:
        for path in self._files:
            for record in _records(path, self._framing.length):
                if len(record) > MAX_RECORD:
                    skipped.long_lines += 1
                    continue
                try:
                    message, _ = decode(record, self._fields)
                except (DecodeError, LookupError, ValueError):  # LookupError: a field beyond 128
                    skipped.unusable_records += 1
                    continue
                yield [self._cell(name, message, skipped) for name in self.names]

    def _cell(self, name: str, message: dict[str, str], skipped: SkippedCells) -> str | None:
        if name == TRANSMITTED:
            return self._transmitted(message.get("7", ""), skipped)
        field, place, said = COLUMNS[name]
        text = message.get(field, "")[place].strip()
        if said["kind"] != "integer" or not text:
            return text or None
        if not (text.isascii() and text.isdecimal()):
            skipped.unreadable_cells += 1
            return None
        return text.lstrip("0") or "0"

    def _transmitted(self, text: str, skipped: SkippedCells) -> str | None:
        if not text:
            return None
        try:
            return dt.datetime.strptime(f"{self._framing.year}{text}", "%Y%m%d%H%M%S").isoformat()
        except ValueError:
            skipped.unreadable_cells += 1
            return None


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        refuse_unreadable(path)
        return [path]
    found = sorted(item for item in path.iterdir() if item.name[:1] not in "._" and item.is_file())
    if not found:
        raise SourceError(f"{path} is a folder without files; give that of the messages")
    return found


def _records(path: Path, length: str) -> Iterator[bytes]:
    """Yield the messages of a file; empty ones, which keep a line open, are passed over.

    Raises:
      SourceError: the file ends inside a message, or a length is that of no message.
    """
    with path.open("rb") as file:
        try:
            yield from (record for record in _framed(file, length) if record)
        except EOFError:
            problem = "ends inside a message; copy it again"
        except ValueError:
            problem = "has what is no message"
        else:
            return
    raise SourceError(f"{path} {problem}, or name what stands before each message with ?length=")


def _framed(file: BinaryIO, length: str) -> Iterator[bytes]:
    """Yield what is between lengths or ends of lines; raise `EOFError` or `ValueError` where that is no message.

    A line of more than `MAX_RECORD` bytes is cut, and still longer than that.
    """
    while length == "line" and (line := file.readline(MAX_RECORD + 2)):
        rest = line
        while rest and not rest.endswith(b"\n"):
            rest = file.readline(MAX_RECORD)
        yield line.rstrip(b"\r\n")
    size = _PREFIX_BYTES.get(length, 0)
    while prefix := file.read(size):
        if len(prefix) < size:
            raise EOFError
        if length == "ascii4" and not prefix.isdigit():
            raise ValueError
        n_bytes = int(prefix) if length == "ascii4" else int.from_bytes(prefix)
        if n_bytes > MAX_RECORD:
            raise ValueError
        record = file.read(n_bytes)
        if len(record) < n_bytes:
            raise EOFError
        yield record

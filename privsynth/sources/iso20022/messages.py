"""ISO 20022 messages as tables: XML read record by record, without entities and document types."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, cast
from xml.etree.ElementTree import Element, ParseError, XMLPullParser

import pyarrow as pa
from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from privsynth.errors import SourceError
from privsynth.schema.definition import Column
from privsynth.schema.source_format import SourceFormat
from privsynth.schema.stated_types import StatedTypes
from privsynth.sources.arrow_types import text_batches, text_schema
from privsynth.sources.container_limits import CountedBytes
from privsynth.sources.header_checks import chosen_positions, refuse_unreadable
from privsynth.sources.iso20022.layouts import FIXED, LAYOUTS, MessageLayout
from privsynth.sources.linked import one_table
from privsynth.sources.protocol import SkippedCells, SourceOptions

SUFFIXES = (".xml", ".xml.gz")
MAX_DEPTH = 100  # of elements (own): messages have some twenty
MAX_HELD_BYTES = 16 << 20  # of XML between the ends of two records (own): the largest have some kilobytes
_BLOCK_BYTES = 1 << 16  # parsed at once (own)
_DATE = re.compile(r"(\d{4}-\d\d-\d\d)(?:T[\d:.]+)?(?:Z|[+-]\d\d:\d\d)?")  # as the message says it, wherever that is


class MessageSource:
    """One table of the messages in a folder, or in one file."""

    names_are_public = True  # they stand in the layout

    def __init__(self, files: Sequence[Path], name: str, label: str, options: SourceOptions) -> None:
        self.label = label
        self._files = files
        self._layout = LAYOUTS[name]
        self._options = options
        header = list(self._layout.columns)
        self.names = [header[position] for position in chosen_positions(header, label, options)]
        self.arrow_schema = text_schema(self.names)
        self.stated_types = StatedTypes(columns={name: self._stated(name) for name in self.names})
        self.source_format = SourceFormat()

    def __repr__(self) -> str:
        return f"MessageSource({self.label}, {len(self.names)} columns)"

    def _stated(self, name: str) -> Column:
        kinds = {"account": "id", "amount": "numeric", "code": "categorical", "date": "date", "flag": "boolean"}
        kind = kinds[self._layout.columns[name][0]]
        more: dict[str, Any] = {"roles": ("identifier",)} if kind == "id" else {}
        if kind == "numeric":
            more = {"minimum": 0}  # the sign of an amount is its indicator of credit and debit
        if name in FIXED:
            more = {"categories": FIXED[name]}
        return Column.model_validate({"kind": kind, **more})

    def batches(self, skipped: SkippedCells) -> Iterator[pa.RecordBatch]:
        """Yield the records as text columns."""
        rows = (row for path in self._files for row in self._rows(path, skipped))
        yield from text_batches(rows, self.arrow_schema, skipped, self._options)

    def _rows(self, path: Path, skipped: SkippedCells) -> Iterator[list[str | None]]:
        for record, header in _records(path, self._layout):
            yield [self._cell(name, record, header, skipped) for name in self.names]

    def _cell(self, name: str, record: Element, header: Element | None, skipped: SkippedCells) -> str | None:
        meaning, paths = self._layout.columns[name]
        text = next((found for path in paths if (found := _text(path, record, header))), None)
        if meaning != "date" or text is None:
            return text
        date = _DATE.fullmatch(text)
        skipped.unreadable_cells += date is None
        return date[1] if date else None


def open_table(origin: str, options: SourceOptions) -> MessageSource:
    """Open the table that `table` names: entry or transfer."""
    name = one_table(LAYOUTS, f"iso20022:{origin}", options)
    return MessageSource(_files(Path(origin)), name, f"iso20022:{origin} ({name})", options)


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        refuse_unreadable(path)
        return [path]
    found = sorted(p for p in path.iterdir() if p.name.lower().endswith(SUFFIXES) and p.name[:1] != "." and p.is_file())
    if not found:
        raise SourceError(f"{path} is a folder without {' and '.join(SUFFIXES)} files; give that of the messages")
    return found


def _text(path: str, record: Element, header: Element | None) -> str | None:
    start = header if path.startswith("^") else record
    place, _, attribute = path.removeprefix("^").partition("@")
    found = None if start is None else start.find(place)
    if found is None:
        return None
    return (found.get(attribute) if attribute else found.text or "" if len(found) == 0 else "") or None


def _records(path: Path, layout: MessageLayout) -> Iterator[tuple[Element, Element | None]]:
    """Yield each record of a file with the header that holds for it; only these are kept in memory.

    Raises:
      SourceError: the file is no whole XML, has a document type, is nested too deeply, or one record is too large.
    """
    parser = XMLPullParser(("start", "end"), _parser=DefusedXMLParser(forbid_dtd=True))  # type: ignore[call-arg]
    kept = (layout.record, layout.header)
    stack: list[Element] = []
    header: Element | None = None
    held = n_open = 0
    try:
        for block in _blocks(path):
            parser.feed(block)
            held += len(block)
            for event, element in cast(Iterator[tuple[str, Element]], parser.read_events()):
                if event == "start":
                    element.tag = element.tag.rpartition("}")[2]
                    stack.append(element)
                    n_open += element.tag in kept
                    if element.tag in layout.scope:
                        header = None
                    continue
                stack.pop()
                n_open -= element.tag in kept
                if n_open:
                    continue
                held = 0
                if element.tag == layout.header:
                    header = element
                elif element.tag == layout.record:
                    yield element, header
                if stack:
                    stack[-1].remove(element)
            if len(stack) > MAX_DEPTH or held > MAX_HELD_BYTES:
                raise SourceError(f"{path} is nested too deeply, or has a record that is too large, for a message")
        parser.close()
    except DefusedXmlException:
        raise SourceError(f"{path} has a document type or entities, which no message needs; it is not read") from None
    except ParseError as error:
        raise SourceError(f"line {error.position[0]:,} of {path} is no XML; the file is damaged or not whole") from None


def _blocks(path: Path) -> Iterator[bytes]:
    packed = path.name.lower().endswith(".gz")
    try:
        with gzip.open(path, "rb") if packed else path.open("rb") as opened:
            raw = CountedBytes(cast(IO[bytes], opened), path) if packed else opened
            while block := raw.read(_BLOCK_BYTES):
                yield cast(bytes, block)
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise SourceError(f"{path} is not a whole gzip file; copy it again, or check its suffix") from None

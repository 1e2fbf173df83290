"""An .xlsx workbook: names of sheets, shared texts, which styles mean dates, and the cells of a sheet, row by row.

openpyxl reads the lists and the styles. Shared texts and sheets are read here, because openpyxl ends at the first cell
that is not as it should be, fills up the rows that a sheet skips, and keeps an object for each text.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from xml.etree.ElementTree import Element, XMLPullParser

import pyarrow as pa
from openpyxl.reader.excel import ExcelReader
from openpyxl.styles.numbers import BUILTIN_FORMATS, BUILTIN_FORMATS_MAX_SIZE
from openpyxl.styles.stylesheet import apply_stylesheet
from openpyxl.xml.constants import SHARED_STRINGS, SHEET_MAIN_NS

from privsynth.errors import SourceError
from privsynth.sources.container_limits import refuse_zip_bomb

# Limits of a sheet in Excel ("Excel specifications and limits"); what lies beyond is no cell of a sheet.
MAX_ROWS = 1_048_576
MAX_COLUMNS = 16_384  # of a sheet, likewise
# Excel's cells have at most 32,767 characters: between the ends of two elements there is no room for more than this.
_MAX_ELEMENT_BYTES = 16 << 20
_BLOCK_BYTES = 1 << 16  # of XML parsed at once (own)
_TEXTS_PER_CHUNK = 1 << 16  # shared texts in one Arrow array (own)

_NS = f"{{{SHEET_MAIN_NS}}}"
ROW, CELL, VALUE, INLINE = f"{_NS}row", f"{_NS}c", f"{_NS}v", f"{_NS}is"
_DATA, _TEXT, _RUN, _SHARED = f"{_NS}sheetData", f"{_NS}t", f"{_NS}r", f"{_NS}si"
_PLACE = re.compile(r"([A-Za-z]{1,3})[1-9][0-9]*")


@dataclass(frozen=True)
class Styles:
    """What numbers mean, by the place of their style.

    Attributes:
      times: styles of dates and times. durations: those of them that are durations. hours: those that show an hour.
      epoch: the day 0 of the workbook.
    """

    times: frozenset[int]
    durations: frozenset[int]
    hours: frozenset[int]
    epoch: object


class SharedTexts:
    """The texts that cells name by their number, as Arrow: bytes and offsets, no object for each."""

    def __init__(self, texts: Iterator[str]) -> None:
        self._chunks: list[pa.Array] = []
        chunk: list[str] = []
        for text in texts:
            chunk.append(text)
            if len(chunk) == _TEXTS_PER_CHUNK:
                self._chunks.append(pa.array(chunk, pa.large_string()))
                chunk = []
        self._chunks.append(pa.array(chunk, pa.large_string()))

    def __getitem__(self, number: int) -> str:
        """Return a text; raises IndexError."""
        if number < 0:
            raise IndexError(number)
        text: str = self._chunks[number // _TEXTS_PER_CHUNK][number % _TEXTS_PER_CHUNK].as_py()
        return text


class Workbook:
    """An opened workbook. `sheets` names the sheets of cells, in order; the first one is the default."""

    def __init__(self, path: Path) -> None:
        reader = ExcelReader(path, read_only=True, data_only=True, keep_links=False)
        self._archive: zipfile.ZipFile = reader.archive
        try:
            refuse_zip_bomb(self._archive, path)
            reader.read_manifest()
            reader.read_workbook()
            apply_stylesheet(self._archive, reader.wb)
            self._parts = {
                sheet.name: rel.target
                for sheet, rel in reader.parser.find_sheets()
                if rel.target in reader.valid_files and "chartsheet" not in rel.Type
            }
            self.sheets = tuple(self._parts)
            shared = reader.package.find(SHARED_STRINGS)
            self._shared = shared.PartName[1:] if shared is not None else None
            self.styles = _styles(reader.wb)
        except BaseException:
            self._archive.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._archive.close()

    def shared_texts(self) -> SharedTexts:
        """Read the texts that cells of all sheets share."""
        if self._shared is None:
            return SharedTexts(iter(()))
        with self._archive.open(self._shared) as part:
            return SharedTexts(_shared(part))

    @contextmanager
    def rows(self, sheet: str) -> Iterator[Iterator[list[tuple[int, Element]]]]:
        """Yield the rows of a sheet, each as (column from 0, element) of its cells; see `_rows`."""
        with self._archive.open(self._parts[sheet]) as part:
            yield _rows(part)


def text_of(element: Element) -> str:
    """Return the text of a shared or an inline text: plain, or the runs of a formatted one; phonetic signs left out."""
    parts = [element.findtext(_TEXT) or "", *(run.findtext(_TEXT) or "" for run in element.iterfind(_RUN))]
    return "".join(parts).replace("x005F_", "")


def _styles(book: object) -> Styles:
    formats = [_format(book, style.numFmtId) for style in book._cell_styles]  # type: ignore[attr-defined]
    return Styles(
        times=frozenset(book._date_formats),  # type: ignore[attr-defined]
        durations=frozenset(book._timedelta_formats),  # type: ignore[attr-defined]
        hours=frozenset(number for number, shown in enumerate(formats) if "h" in shown.lower()),
        epoch=book.epoch,  # type: ignore[attr-defined]
    )


def _format(book: object, number: int) -> str:
    if number < BUILTIN_FORMATS_MAX_SIZE:
        return str(BUILTIN_FORMATS.get(number, "General"))
    own = book._number_formats  # type: ignore[attr-defined]
    place = number - BUILTIN_FORMATS_MAX_SIZE
    return str(own[place]) if place < len(own) else "General"


def _ends(part: IO[bytes]) -> Iterator[tuple[Element, list[Element]]]:
    """Yield each element at its end, with the elements that it lies in, outermost first.

    Entities cannot grow without end: Expat refuses that since 2.4.1.
    """
    parser: Any = XMLPullParser(events=("start", "end"))
    around: list[Element] = []
    n_bytes = 0
    while block := part.read(_BLOCK_BYTES):
        parser.feed(block)
        n_bytes += len(block)
        for event, element in parser.read_events():
            if event == "start":
                around.append(element)
            else:
                around.pop()
                yield element, around
                n_bytes = 0
        if n_bytes > _MAX_ELEMENT_BYTES:
            raise SourceError("a workbook holds a cell of many megabytes, which Excel cannot have made; save it as CSV")
    parser.close()


def _shared(part: IO[bytes]) -> Iterator[str]:
    for element, around in _ends(part):
        if element.tag == _SHARED:
            yield text_of(element)
        if len(around) == 1:
            around[0].clear()


def _rows(part: IO[bytes]) -> Iterator[list[tuple[int, Element]]]:
    """Yield the rows that hold cells. The numbers of rows mean nothing: those that a sheet skips are empty.

    A cell at a place that no sheet has stands in column `MAX_COLUMNS`, behind the last one.
    """
    cells: list[tuple[int, Element]] = []
    column = 0  # of the next cell, where it does not say its own
    for element, around in _ends(part):
        if element.tag == CELL and len(around) == 3 and around[2].tag == ROW:
            column = _column(element.get("r"), column)
            if len(cells) < MAX_COLUMNS:
                cells.append((min(column, MAX_COLUMNS), element))
            column += 1
            around[2].clear()
        elif element.tag == ROW and len(around) == 2:
            if cells:
                yield cells
            cells, column = [], 0
            around[1].clear()
        elif element.tag == _DATA:
            return
        elif len(around) == 1:
            around[0].clear()


def _column(place: str | None, following: int) -> int:
    """Return the column that `place` (like AB12) names, from 0; the following one where it names none."""
    if place is None:
        return following
    found = _PLACE.fullmatch(place)
    if found is None:
        return MAX_COLUMNS
    column = 0
    for letter in found[1].upper():
        column = 26 * column + ord(letter) - ord("A") + 1
    return column - 1

"""One sheet of an Excel workbook (.xlsx), cells as text: dates as ISO 8601, whole numbers without `.0`.

Formulas give the value that Excel stored last. The rows are streamed; the shared texts are held in memory. A cell that
is not as it should be becomes missing and is counted; none ends a run.
"""

from __future__ import annotations

import datetime as dt
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from xml.etree.ElementTree import Element

import pyarrow as pa
from openpyxl.utils.datetime import from_excel, from_ISO8601

from privsynth.errors import ConfigError, Option, SourceError
from privsynth.sources.arrow_types import cell_text, text_batch, text_schema
from privsynth.sources.excel.workbook import (
    INLINE,
    MAX_COLUMNS,
    MAX_ROWS,
    VALUE,
    SharedTexts,
    Styles,
    Workbook,
    text_of,
)
from privsynth.sources.header_checks import check_names, chosen_positions, refuse_unreadable
from privsynth.sources.protocol import SkippedCells, SourceOptions

Rows = Iterator[list[str | None]]
# As XML Schema spells a double, without its words for infinity and NaN; a finite one needs fewer signs.
_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_MAX_NUMBER_CHARS = 400  # of a number (own): double precision needs 17 digits, or some 310 without an exponent
SHOWN_SHEETS = 20  # in a message (own)


class ExcelSource:
    """A sheet whose first row that is not empty is the header."""

    names_are_public = True

    def __init__(self, path: Path, options: SourceOptions) -> None:
        refuse_unreadable(path)
        self.label = str(path)
        self._path = path
        self._options = options
        with self._rows(SkippedCells()) as rows:
            header = self._header(rows)
        check_names(header, self.label, options)
        self._width = len(header)
        self._positions = chosen_positions(header, self.label, options)
        self.names = [header[position] for position in self._positions]
        self.arrow_schema = text_schema(self.names)

    def __repr__(self) -> str:
        return f"ExcelSource({self.label}, {len(self.names)} columns)"

    @contextmanager
    def _rows(self, skipped: SkippedCells) -> Iterator[Rows]:
        """Open the sheet and yield its rows that are not empty, each up to its last cell that is not."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # openpyxl warns with parts of the content
            try:
                book = Workbook(self._path)
            except SourceError:
                raise
            except Exception:  # openpyxl raises whatever the zip and XML layers do, with parts of the content
                raise SourceError(
                    f"{self.label} is no .xlsx workbook, or a damaged or encrypted one; save it again as .xlsx"
                ) from None
        try:
            reader = CellReader(book.shared_texts(), book.styles, skipped)
            with book.rows(self._sheet(book)) as rows:
                texts = (reader.row(cells) for cells in rows)
                yield (row for row in texts if row)
        finally:
            book.close()

    def _sheet(self, book: Workbook) -> str:
        """Return the name of the sheet to read."""
        if not book.sheets:
            raise SourceError(f"{self.label} has no sheet of cells; put the table on one")
        wanted, names = self._options.sheet, ", ".join(map(repr, book.sheets[:SHOWN_SHEETS]))
        names += f" and {len(book.sheets) - SHOWN_SHEETS} more" if len(book.sheets) > SHOWN_SHEETS else ""
        if wanted is None:
            if len(book.sheets) > 1:
                raise ConfigError(
                    f"{self.label} has several sheets: {names}; name the one to read with ",
                    Option("sheet", python="SourceOptions(sheet=…)"),
                )
            return book.sheets[0]
        if wanted not in book.sheets:
            raise SourceError(f"{self.label} has no sheet named {wanted!r}; it has {names}")
        return wanted

    def _header(self, rows: Rows) -> list[str]:
        first = next(rows, None)
        if first is None:
            raise SourceError(f"{self.label} has an empty sheet; it needs a header and rows")
        return [name or "" for name in first]

    def batches(self, skipped: SkippedCells) -> Iterator[pa.RecordBatch]:
        """Yield the rows as text columns; empty rows are skipped."""
        n_rows = self._options.rows_per_batch(self._width)
        with self._rows(skipped) as rows:
            self._header(rows)
            possible = islice(rows, MAX_ROWS - 1)
            while batch := list(islice(possible, n_rows)):
                fitted = [self._fitted(row, skipped) for row in batch]
                columns = list(zip(*fitted, strict=True))
                chosen = [columns[position] for position in self._positions]
                yield text_batch(chosen, self.arrow_schema, skipped, self._options)
            skipped.surplus_rows += sum(1 for _ in rows)

    def _fitted(self, row: Sequence[str | None], skipped: SkippedCells) -> list[str | None]:
        """Return the cells under the header; a sheet does not say whether a row is short, only that cells are empty."""
        skipped.long_rows += len(row) > self._width
        return [*row[: self._width], *[None] * (self._width - len(row))]


class CellReader:
    """From the elements of a sheet to texts. What cannot be read is counted in `skipped`."""

    def __init__(self, shared: SharedTexts, styles: Styles, skipped: SkippedCells) -> None:
        self._shared = shared
        self._styles = styles
        self._skipped = skipped

    def row(self, cells: Sequence[tuple[int, Element]]) -> list[str | None]:
        """Return the texts of a row, up to its last cell that holds anything, readable or not."""
        held = [(column, element) for column, element in cells if _holds_something(element)]
        n_held = len(held)
        held = [(column, element) for column, element in held if column < MAX_COLUMNS]
        self._skipped.unreadable_cells += n_held - len(held)
        texts: list[str | None] = [None] * (max((column for column, _ in held), default=-1) + 1)
        for column, element in held:
            texts[column] = self._text(element)
        return texts

    def _text(self, element: Element) -> str | None:
        kind = element.get("t", "n")
        inline = element.find(INLINE) if kind == "inlineStr" else None
        if inline is not None:
            return text_of(inline)
        value = element.findtext(VALUE) or ""
        if kind == "str":
            return value
        if kind == "e":
            self._skipped.error_cells += 1
            return None
        try:
            return self._spelled(kind, value.strip(), element.get("s", "0"))
        except (ValueError, LookupError, OverflowError, TypeError, AttributeError):
            self._skipped.unreadable_cells += 1
            return None

    def _spelled(self, kind: str, value: str, style: str) -> str | None:
        """Return a text, truth value, time or number as text; raises what a value that cannot be read raises."""
        if kind == "s":
            return self._shared[int(value)]
        if kind == "b":
            return {"1": "true", "0": "false", "true": "true", "false": "false"}[value.lower()]
        if kind == "d":
            return cell_text(self._as_meant(from_ISO8601(value), style), self._skipped)
        if kind != "n" or len(value) > _MAX_NUMBER_CHARS or not _NUMBER.fullmatch(value):
            raise ValueError
        number = int(value) if value.lstrip("+-").isdecimal() else float(value)
        if not style.isdecimal() or int(style) not in self._styles.times:
            return cell_text(number, self._skipped)
        try:
            moment = from_excel(number, self._styles.epoch, timedelta=int(style) in self._styles.durations)
        except (ValueError, OverflowError):
            self._skipped.out_of_range_cells += 1
            return None
        return cell_text(self._as_meant(moment, style), self._skipped)

    def _as_meant(self, moment: object, style: str) -> object:
        """Return a date for a datetime whose format shows no hour: numbers and their format are all that Excel has."""
        if isinstance(moment, dt.datetime) and not (style.isdecimal() and int(style) in self._styles.hours):
            return moment.date()
        return moment


def _holds_something(element: Element) -> bool:
    if element.get("t") == "inlineStr":
        return element.find(INLINE) is not None
    return bool(element.findtext(VALUE))

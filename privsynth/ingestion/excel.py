"""One sheet of an Excel workbook (.xlsx), cells as text: dates as ISO 8601, whole numbers without `.0`.

Formulas give the value that Excel stored last. The rows are streamed, but openpyxl holds the workbook's table of shared
strings in memory; a sheet has at most 1,048,576 rows.
"""

from __future__ import annotations

import datetime as dt
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from privsynth.errors import SourceError
from privsynth.ingestion.cells import cell_text, text_batch, text_schema
from privsynth.ingestion.header import check_names, chosen_positions, refuse_unreadable
from privsynth.ingestion.protocol import SkippedCells, SourceOptions


class ExcelSource:
    """A sheet whose first row that is not empty is the header."""

    names_are_public = True

    def __init__(self, path: Path, options: SourceOptions) -> None:
        refuse_unreadable(path)
        self.label = str(path)
        self._path = path
        self._options = options
        with self._rows() as rows:
            header = self._header(rows)
        check_names(header, self.label, options)
        self._width = len(header)
        self._positions = chosen_positions(header, self.label, options)
        self.names = [header[position] for position in self._positions]
        self.arrow_schema = text_schema(self.names)

    def __repr__(self) -> str:
        return f"ExcelSource({self.label}, {len(self.names)} columns)"

    @contextmanager
    def _rows(self) -> Iterator[Iterator[Sequence[Any]]]:
        """Open the sheet and yield its rows of cells that are not empty."""
        from openpyxl import load_workbook

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                book = load_workbook(self._path, read_only=True, data_only=True, keep_links=False)
        except Exception:  # openpyxl raises whatever the zip and XML layers do, with parts of the content
            raise SourceError(
                f"{self.label} is no .xlsx workbook, or a damaged or encrypted one; save it again as .xlsx"
            ) from None
        try:
            sheets = {sheet.title: sheet for sheet in book.worksheets}
            if not sheets:
                raise SourceError(f"{self.label} has no sheet of cells; put the table on one")
            wanted = self._options.sheet
            if wanted is not None and wanted not in sheets:
                raise SourceError(f"{self.label} has no sheet named {wanted!r}; check the spelling")
            sheet = sheets[wanted] if wanted is not None else book.worksheets[0]
            sheet.reset_dimensions()  # other programs write wrong ones, and rows would be lost
            yield (row for row in sheet.iter_rows() if any(cell.value is not None for cell in row))
        finally:
            book.close()

    def _header(self, rows: Iterator[Sequence[Any]]) -> list[str]:
        first = next(iter(_quietly(rows, 1)), None)
        if first is None:
            raise SourceError(f"{self.label} has an empty sheet; it needs a header and rows")
        names = [_cell(cell, SkippedCells()) or "" for cell in first]
        while names and not names[-1]:  # columns that were only formatted
            names.pop()
        return names

    def batches(self, skipped: SkippedCells) -> Iterator[pa.RecordBatch]:
        """Yield the rows as text columns; empty rows are skipped."""
        n_rows = self._options.rows_per_batch(self._width)
        with self._rows() as rows:
            self._header(rows)
            while batch := _quietly(rows, n_rows):
                fitted = [self._fitted(row, skipped) for row in batch]
                columns = list(zip(*fitted, strict=True))
                chosen = [columns[position] for position in self._positions]
                yield text_batch(chosen, self.arrow_schema, skipped, self._options)

    def _fitted(self, row: Sequence[Any], skipped: SkippedCells) -> list[str | None]:
        """Return the cells under the header; a sheet does not say whether a row is short, only that cells are empty."""
        skipped.long_rows += any(cell.value is not None for cell in row[self._width :])
        cells = [_cell(cell, skipped) for cell in row[: self._width]]
        return cells + [None] * (self._width - len(cells))


def _quietly(rows: Iterator[Sequence[Any]], n_rows: int) -> list[Sequence[Any]]:
    """Return the next rows. openpyxl warns with the content of cells, and those warnings must reach nobody."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return list(islice(rows, n_rows))


def _cell(cell: Any, skipped: SkippedCells) -> str | None:
    value = cell.value
    if value is None:
        return None
    if cell.data_type == "e":
        skipped.error_cells += 1
        return None
    if isinstance(value, dt.datetime) and "h" not in str(cell.number_format).lower():
        value = value.date()  # Excel has only datetimes; the format says which of them are meant as dates
    return cell_text(value, skipped)


def open_excel(path: Path, options: SourceOptions) -> ExcelSource:
    """Open a sheet of a workbook."""
    return ExcelSource(path, options)

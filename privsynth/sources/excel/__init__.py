"""Excel workbooks (.xlsx)."""

from __future__ import annotations

from pathlib import Path

from privsynth.sources.protocol import Adapter, Source, SourceOptions


def _open(path: Path, options: SourceOptions) -> Source:
    from privsynth.sources.excel.sheet import ExcelSource  # openpyxl takes its time, and most tables are no workbooks

    return ExcelSource(path, options)


SOURCE = Adapter(what="an Excel workbook", open=_open, suffixes=(".xlsx",), options=("sheet",))

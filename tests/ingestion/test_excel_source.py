"""Workbooks: cells as text, sheets by name, and the oddities of spreadsheets."""

from __future__ import annotations

import datetime as dt
import re
import zipfile

import openpyxl
import pytest

from privsynth.errors import SourceError
from privsynth.ingestion import SourceOptions, open_source


@pytest.fixture
def workbook(tmp_path):
    """Write rows to the sheet "First", others to "Second", and return the path."""

    def _write(rows, second=(), change=lambda sheet: None):
        book = openpyxl.Workbook()
        book.active.title = "First"
        for row in rows:
            book.active.append(row)
        change(book.active)
        other = book.create_sheet("Second")
        for row in second:
            other.append(row)
        book.save(tmp_path / "t.xlsx")
        return tmp_path / "t.xlsx"

    return _write


def test_cells_become_text(workbook, read):
    moment = dt.datetime(2020, 1, 2, 3, 4, 5)
    rows = [["a", "b", 2024], ["007", 7.0, 1.5], [True, dt.date(2020, 1, 2), moment], [dt.time(1, 2), -3, None]]
    result = read(workbook(rows))
    assert result.columns == {
        "a": ["007", "true", "01:02:00"],
        "b": ["7", "2020-01-02", "-3"],
        "2024": ["1.5", "2020-01-02T03:04:05", None],
    }


def test_midnight_is_a_time_where_the_format_shows_one(workbook, read):
    def change(sheet):
        sheet["A2"].number_format = "yyyy-mm-dd hh:mm"
        sheet["A3"].number_format = "dd/mm/yyyy"

    result = read(workbook([["a"], [dt.datetime(2020, 1, 2)], [dt.datetime(2020, 1, 2)]], change=change))
    assert result.columns == {"a": ["2020-01-02T00:00:00", "2020-01-02"]}


def test_a_sheet_is_chosen_by_name(workbook, read):
    path = workbook([["a"], [1]], second=[["b"], [2]])
    assert read(path).columns == {"a": ["1"]}
    assert read(path, sheet="Second").columns == {"b": ["2"]}
    with pytest.raises(SourceError, match="no sheet named 'Third'"):
        open_source(path, SourceOptions(sheet="Third"))


def test_an_empty_sheet_is_refused(workbook):
    with pytest.raises(SourceError, match="empty sheet"):
        open_source(workbook([["a"], [1]]), SourceOptions(sheet="Second"))


def test_empty_rows_errors_and_ragged_rows(workbook, read):
    rows = [[None], ["a", "b", None], [1, 2], [], ["#N/A", 3], [4], [5, 6, None, 7]]
    result = read(workbook(rows))
    assert result.columns == {"a": ["1", None, "4", "5"], "b": ["2", "3", None, "6"]}
    assert result.skipped == {"error_cells": 1, "long_rows": 1}


def test_formulas_give_the_stored_value_and_never_the_formula(workbook, read):
    result = read(workbook([["a", "b"], ["=1+1", "x"]]))
    assert result.columns == {"a": [None], "b": ["x"]}


def test_a_wrong_dimension_loses_no_rows(workbook, tmp_path, read):
    path, changed = workbook([["a", "b"], [1, 2], [3, 4]]), tmp_path / "changed.xlsx"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(changed, "w") as new:
        for item in old.namelist():
            content = old.read(item)
            if item.endswith("sheet1.xml"):
                content, n_changes = re.subn(rb'<dimension ref="[^"]*"', b'<dimension ref="A1"', content)
                assert n_changes == 1
            new.writestr(item, content)
    assert read(changed).columns == {"a": ["1", "3"], "b": ["2", "4"]}


def test_a_sheet_damaged_on_the_way_is_refused_without_its_words(workbook, tmp_path, read):
    path, changed = workbook([["a"], ["SECRET"], [12345678]]), tmp_path / "changed.xlsx"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(changed, "w") as new:
        for item in old.namelist():
            content = old.read(item)
            if item.endswith("sheet1.xml"):
                content = content.replace(b"<v>12345678</v>", b"<v>SECRET12345678</v>")
            new.writestr(item, content)
    with pytest.raises(SourceError) as caught:
        read(changed)
    assert "SECRET" not in str(caught.value)


def test_warnings_that_quote_cells_reach_nobody(workbook, read, recwarn):
    def change(sheet):
        sheet["A2"].number_format = "yyyy-mm-dd"

    result = read(workbook([["a"], [987654321987]], change=change))
    assert result.columns == {"a": [None]} or result.skipped == {"error_cells": 1}
    assert not [str(warning.message) for warning in recwarn if "A2" in str(warning.message)]

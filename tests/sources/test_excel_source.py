"""Workbooks: cells as text, sheets by name, and the oddities of spreadsheets."""

from __future__ import annotations

import datetime as dt
import re
import zipfile

import openpyxl
import pytest

from privsynth.errors import ConfigError, SourceError
from privsynth.sources import SourceOptions, open_source


@pytest.fixture
def workbook(tmp_path):
    """Write rows to the sheet "First", others to "Second" if there are any, and return the path."""

    def _write(rows, second=None, change=lambda sheet: None):
        book = openpyxl.Workbook()
        book.active.title = "First"
        for row in rows:
            book.active.append(row)
        change(book.active)
        if second is not None:
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
    assert read(path, sheet="First").columns == {"a": ["1"]}
    assert read(path, sheet="Second").columns == {"b": ["2"]}
    with pytest.raises(SourceError, match="no sheet named 'Third'; it has 'First', 'Second'"):
        open_source(path, SourceOptions(sheet="Third"))


def test_of_several_sheets_none_is_taken_silently(workbook, read):
    path = workbook([["a"], [1]], second=[["b"], [2]])
    with pytest.raises(ConfigError, match="several sheets: 'First', 'Second'; name the one to read"):
        open_source(path)
    assert read(workbook([["a"], [1]])).columns == {"a": ["1"]}


def test_an_empty_sheet_is_refused(workbook):
    with pytest.raises(SourceError, match="empty sheet"):
        open_source(workbook([["a"], [1]], second=[]), SourceOptions(sheet="Second"))


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


@pytest.fixture
def changed(tmp_path):
    """Replace bytes in a part of a workbook (as many times as they stand there) and return the path of a copy."""

    def _change(path, old, new, part="sheet1.xml"):
        copy = tmp_path / "changed.xlsx"
        with zipfile.ZipFile(path) as before, zipfile.ZipFile(copy, "w", zipfile.ZIP_DEFLATED) as after:
            for item in before.namelist():
                content = before.read(item)
                if item.endswith(part):
                    assert old in content
                    content = content.replace(old, new)
                after.writestr(item, content)
        return copy

    return _change


def test_a_sheet_damaged_on_the_way_is_refused_without_its_words(workbook, changed, read):
    path = workbook([["a"], ["SECRET"], [12345678]])
    with pytest.raises(SourceError) as caught:
        read(changed(path, b"<v>12345678</v>", b"<v>SECRET12345678<"))
    assert "SECRET" not in str(caught.value)


ODD_CELLS = {
    "no number": b't="n"><v>abc',
    "not a number": b't="n"><v>nan',
    "infinity": b't="n"><v>-inf',
    "underscores": b't="n"><v>1_000',
    "5,000 digits": b't="n"><v>' + b"9" * 5_000,
    "a month of 13": b't="d"><v>2024-13-45',
    "no date at all": b't="d"><v>abc',
    "text out of range": b't="s"><v>999999',
    "text below range": b't="s"><v>-1',
    "text without a number": b't="s"><v>x',
    "no truth value": b't="b"><v>x',
    "truth value 2": b't="b"><v>2',
    "a type that there is not": b't="q"><v>1',
    "a style that there is not": b's="9999" t="d"><v>abc',
}


@pytest.mark.parametrize("odd", ODD_CELLS.values(), ids=ODD_CELLS)
def test_one_odd_cell_is_missing_and_counted_and_ends_nothing(workbook, changed, read, odd):
    """An error that depends on a cell tells, as often as one asks, whether somebody has such a cell."""
    path = workbook([["a", "b"], [1, "x"], [12345678, "y"], [3, "z"]])
    result = read(changed(path, b't="n"><v>12345678', odd))
    assert result.columns == {"a": ["1", None, "3"], "b": ["x", "y", "z"]}
    assert result.skipped == {"unreadable_cells": 1}


def test_a_date_out_of_range_is_missing_and_counted(workbook, read):
    def change(sheet):
        sheet["A2"].number_format = "yyyy-mm-dd"

    result = read(workbook([["a", "b"], [10**12, 1]], change=change))
    assert result.columns == {"a": [None], "b": ["1"]}
    assert result.skipped == {"out_of_range_cells": 1}


@pytest.mark.parametrize("place", [b'r="ZZZ3"', b'r="ABCD3"', b'r="3"', b'r=""'])
def test_a_cell_where_no_sheet_has_one_is_dropped_and_counted(workbook, changed, read, place):
    path = workbook([["a", "b"], [1, 2], [3, 4], [5, 6]])
    result = read(changed(path, b'r="B3"', place))
    assert result.columns == {"a": ["1", "3", "5"], "b": ["2", None, "6"]}
    assert result.skipped == {"unreadable_cells": 1}


def test_the_number_of_a_row_fills_nothing_up(workbook, changed, read):
    path = workbook([["a"], [1], [2]])
    for number in (b"1000000000000", b"1048577", b"-7", b"x"):
        assert read(changed(path, b'<row r="3"', b'<row r="' + number + b'"')).columns == {"a": ["1", "2"]}


def test_no_more_rows_than_a_sheet_can_have(workbook, read, monkeypatch):
    monkeypatch.setattr("privsynth.sources.excel.sheet.MAX_ROWS", 3)
    result = read(workbook([["a"], [1], [2], [3], [4]]))
    assert result.columns == {"a": ["1", "2"]}
    assert result.skipped == {"surplus_rows": 2}


@pytest.mark.parametrize("part", ["xl/worksheets/sheet1.xml", "xl/sharedStrings.xml"])
def test_a_small_file_that_unfolds_to_gigabytes_is_refused_before_it_is_read(workbook, tmp_path, part):
    path = workbook([["a"], ["x"]])
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(tmp_path / "b.xlsx", "w", zipfile.ZIP_DEFLATED) as new:
        for item in old.namelist():
            if item != part:
                new.writestr(item, old.read(item))
        with new.open(part, "w") as big:
            for _ in range(300):
                big.write(b" " * (1 << 20))
    assert (tmp_path / "b.xlsx").stat().st_size < 1 << 20
    with pytest.raises(SourceError, match="unfolds to far more bytes"):
        open_source(tmp_path / "b.xlsx")


def test_an_element_without_end_is_refused(workbook, changed, monkeypatch):
    monkeypatch.setattr("privsynth.sources.excel.workbook._MAX_ELEMENT_BYTES", 1 << 18)
    path = workbook([["a"], [1], [12345678]])
    with pytest.raises(SourceError, match="Excel cannot have made"):
        open_source(changed(path, b"<sheetData>", b'<sheetData><row><c t="str"><v>' + b"x" * (1 << 20)))


def test_formatted_and_inline_texts(workbook, changed, read):
    path = changed(workbook([["a"], [12345678]]), b't="n"><v>12345678</v>', b't="inlineStr"><is><t>in </t></is>')
    assert read(path).columns == {"a": ["in "]}


def test_shared_texts(workbook, tmp_path, read):
    texts = [f"<si><t>text {number}</t></si>" for number in range(70_000)]
    texts[1] = "<si><r><t>first </t></r><r><t>second</t></r><rPh><t>phonetic</t></rPh></si>"
    table = '<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">' + "".join(texts) + "</sst>"
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"
    path = workbook([["a"], [10], [11], [12], [13]])
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(tmp_path / "shared.xlsx", "w") as new:
        for item in set(old.namelist()) - {"xl/sharedStrings.xml"}:
            content = old.read(item).decode()
            if item.endswith("sheet1.xml"):
                for place, number in zip((10, 11, 12, 13), (0, 1, 69_999, 70_000), strict=True):
                    content = content.replace(f't="n"><v>{place}<', f't="s"><v>{number}<')
            if item == "[Content_Types].xml" and "sharedStrings" not in content:
                part = f'<Override PartName="/xl/sharedStrings.xml" ContentType="{kind}"/></Types>'
                content = content.replace("</Types>", part)
            new.writestr(item, content)
        new.writestr("xl/sharedStrings.xml", table)
    result = read(tmp_path / "shared.xlsx")
    assert result.columns == {"a": ["text 0", "first second", "text 69999", None]}
    assert result.skipped == {"unreadable_cells": 1}


def test_warnings_that_quote_cells_reach_nobody(workbook, read, recwarn):
    def change(sheet):
        sheet["A2"].number_format = "yyyy-mm-dd"

    result = read(workbook([["a"], [987654321987]], change=change))
    assert result.columns == {"a": [None]}
    assert not [str(warning.message) for warning in recwarn if "A2" in str(warning.message)]

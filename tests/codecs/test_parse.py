"""Reading a cell never fails, and never depends on the other cells of its column."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privsynth.codecs.parse import (
    BOOLEAN,
    CODE,
    COMMA,
    DATE_ISO,
    DAY_FIRST,
    EITHER_FIRST,
    GRID_LIMIT,
    MONTH_FIRST,
    N_VOTES,
    NULL,
    NULL_TOKENS,
    NUMBER,
    POINTED,
    TEXT,
    as_categories,
    as_numbers,
    as_times,
    votes,
)
from privsynth.codecs.text_to_number import read_numbers, read_seconds

TYPES = {
    "text": pa.string(), "int": pa.int64(), "float": pa.float64(), "bool": pa.bool_(), "time": pa.timestamp("us"),
    "date": pa.date32(),
}  # fmt: skip
FORMATS = [None, "%d/%m/%Y", "%m/%d/%Y %H:%M", "%d-%b-%y", "%Y-%m-%dT%H:%M:%S%z", "%H:%M %d.%m.%y"]
LOOKALIKES = st.sampled_from(
    [
        "1e400", "-1E308", "9" * 40, "18446744073709551615", "-1", "+5", ".5", "5.", "-", "+", ".", ",", "1,5",
        "1.234,5", "1,234.5", "0x1F", "1_000", "inf", "-Infinity", "nan", "NaN", "null", "007", "-0", "1e-400",
        "123456789012345678", "0.1234567890123456789", "2024-02-29", "2023-02-29", "0001-01-01", "9999-12-31",
        "0000-01-01", "2024-13-01", "2024-06-30T23:59:60Z", "2024-01-01 00:00+14:00", "2024-01-01T24:00", "20240101",
        "2024-W01-1", "1/2/2024", "31/12/2024", "12/31/2024", "29-Feb-24", "12:30 01.02.99", "\u0663\u0664",
        "\uff11\uff12", "\u00b2", " 7 ", "\u20037\u2003", "true", "NO", "\u00e9", "\U0001f600", "\u200b", "'", "\t",
        "2024-01-01T10:00:00.123456789", "2262-04-12", "1677-09-20", "1e5,5", "12/31/2024 10:30",
    ]
)  # fmt: skip
TEXTS = st.none() | LOOKALIKES | st.text(max_size=12) | st.from_regex(r"[-+0-9eE.,:/ TZ]{0,14}", fullmatch=True)
TIMES = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59))
CELLS = {
    "text": TEXTS,
    "int": st.none() | st.integers(-(2**63), 2**63 - 1),
    "float": st.none() | st.floats(allow_nan=True, allow_infinity=True),
    "bool": st.none() | st.booleans(),
    "time": st.none() | TIMES,
    "date": st.none() | st.dates(),
}


def column(cells: list, kind: str = "text") -> pa.ChunkedArray:
    half = len(cells) // 2
    return pa.chunked_array([pa.array(part, TYPES[kind]) for part in (cells[:half], cells[half:])], TYPES[kind])


def read(cells: list, kind: str) -> list[tuple]:
    """Return everything that is read off each cell, row by row, in every way that there is."""
    data = column(cells, kind)
    found: list[list] = [votes(data).tolist()]
    texts = as_categories(data)
    found.append([texts.values[code] if code >= 0 else None for code in texts.codes.tolist()])
    grids = [as_numbers(data, precision=p, decimal=d) for p in (1e-6, 1.0, 250.0) for d in ".,"]
    grids += [as_times(data, precision=p, format=f) for p in (1.0, 60.0, 86_400.0) for f in FORMATS[::1]]
    for grid in grids:
        assert grid.steps.dtype == np.int64
        assert (np.abs(grid.steps) <= GRID_LIMIT).all()
        found += [grid.steps.tolist(), grid.null.tolist()]
    assert all(len(values) == len(cells) for values in found)
    return list(zip(*found, strict=True))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", TYPES)
@settings(max_examples=25, deadline=None)
@given(st.data())
def test_a_cell_is_read_the_same_alone_and_in_company(kind, data):
    cells = data.draw(st.lists(CELLS[kind], min_size=1, max_size=6))
    together = read(cells, kind)
    for cell, row in zip(cells, together, strict=True):
        assert read([cell], kind) == [row]


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("cells", [[], [None], [None] * 3])
def test_nothing_at_all_is_read_as_nothing(kind, cells):
    assert all(row[0] == NULL and row[1] is None for row in read(cells, kind))
    assert read([], kind) == []
    assert votes(pa.chunked_array([], TYPES[kind])).shape == (0,)


def test_whole_columns_mixed_from_everything_are_read_at_once():
    cells = ["1", "abc", None, "2024-01-01", "1e400", "18446744073709551615", "-5", "9999-12-31", *NULL_TOKENS]
    parsed = as_numbers(column(cells), precision=1.0)
    assert parsed.null.tolist() == [False, True, True, True, True, False, False, *[True] * (1 + len(NULL_TOKENS))]
    assert parsed.steps[[0, 5, 6]].tolist() == [1, GRID_LIMIT, -5]


@pytest.mark.parametrize(
    ("text", "vote"),
    [
        ("12", NUMBER), ("-7", NUMBER), ("0", NUMBER), ("007", CODE), ("V27", CODE),
        ("E878.1", CODE), ("true", BOOLEAN), ("True", TEXT), ("V", TEXT), ("12a", TEXT),
        ("1.50", NUMBER + 1), ("1.05", NUMBER + 2),
        ("1.23456789", NUMBER + 6), ("5.", NUMBER), ("1e3", NUMBER + 6), ("1,5", COMMA + 1), ("1,25", COMMA + 2),
        ("2024-01-31", DATE_ISO), ("2024-01-31T10:30", DATE_ISO + 1), ("2024-01-31 10:30:05", DATE_ISO + 2),
        ("2024-01-31T10:30+02:00", DATE_ISO + 1), ("31/01/2024", DAY_FIRST), ("01/31/2024", MONTH_FIRST),
        ("01/02/2024", EITHER_FIRST), ("31/01/2024 10:30", DAY_FIRST + 1), ("yes", TEXT), ("", NULL), ("NA", NULL),
        ("01.02.2024", POINTED), ("31.01.2024 10:30", POINTED + 1), ("1.2.24", TEXT), ("1/2.2024", TEXT),
        ("  12  ", NUMBER), ("\u0663", TEXT), ("12 345", TEXT), ("9" * 25, TEXT),
        ("9" * 15, NUMBER), ("9" * 16, TEXT), ("-" + "9" * 13 + ".25", NUMBER + 2), ("9" * 14 + ".25", TEXT),
        ("0.1234567890123456789", NUMBER + 6), ("1.234,50", COMMA + 2), ("-12.345.678,9", COMMA + 1),
        ("1.23,50", TEXT), ("2024-01-31 10:30:00", DATE_ISO + 1), ("2024-01-31 10:30:00.000", DATE_ISO + 1),
        ("2024-01-31T10:00:00+02:00", DATE_ISO + 1), ("2024-01-31 10:30:05+02:00", DATE_ISO + 2),
        ("2024-01-31 00:00:00", DATE_ISO), ("2024-01-31T00:00", DATE_ISO), ("2024-01-31T00:00:00+02:00", DATE_ISO + 1),
        ("31.01.2024 10:30:00", POINTED + 2), ("31/01/2024 00:00:00", DAY_FIRST + 2),
    ],
)  # fmt: skip
def test_what_a_text_looks_like(text, vote):
    assert votes(column([text])).tolist() == [vote]
    assert vote < N_VOTES


def test_what_typed_cells_look_like():
    assert votes(column([1.0, 0.25, math.pi, math.inf, math.nan, 1e300], "float")).tolist() == [
        NUMBER, NUMBER + 2, NUMBER + 6, TEXT, TEXT, TEXT
    ]  # fmt: skip
    noon = datetime(2024, 1, 1, 12)
    times = [datetime(2024, 1, 1), noon, noon + timedelta(seconds=1)]
    assert votes(column(times, "time")).tolist() == [DATE_ISO, DATE_ISO + 1, DATE_ISO + 2]


def test_typed_values_as_texts_are_spelled_as_a_person_would():
    assert as_categories(column([1.0, 2.5, None, -3.0], "float")).values == ("1", "2.5", "-3")
    assert as_categories(column([True, None], "bool")).values == ("true",)


@given(st.floats(-1e15, 1e15).map(repr))
def test_numbers_are_correctly_rounded(text):
    assert read_numbers([text])[0] == float(text)


@given(st.lists(st.from_regex(r"[+-]?([0-9]{1,25}\.?[0-9]{0,25}|\.[0-9]{1,25})([eE][+-]?[0-9]{1,4})?", fullmatch=True)))
def test_numbers_are_read_as_python_reads_them(texts):
    assert np.array_equal(read_numbers([*texts, "1e400", "x"])[: len(texts)], [float(text) for text in texts])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1,5", 1.5), ("1.234,5", 1234.5), ("1.234.567", 1_234_567.0), ("12,", 12.0), (",5", 0.5), ("-3", -3.0),
        ("1.5", math.nan), ("12.34,5", math.nan), (",", math.nan), ("", math.nan),
    ],
)  # fmt: skip
def test_decimal_commas(text, value):
    assert np.array_equal(read_numbers([text], decimal=","), [value], equal_nan=True)


@given(TIMES, st.integers(-14 * 60, 14 * 60), st.sampled_from(["T", " "]))
def test_times_with_zones_become_utc(time, zone, separator):
    sign, size = "-" if zone < 0 else "+", abs(zone)
    text = time.isoformat(separator) + f"{sign}{size // 60:02d}:{size % 60:02d}"
    naive = time.replace(microsecond=0, tzinfo=UTC)
    expected = (naive - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() - 60 * zone
    assert read_seconds([text])[0] == expected


@given(st.dates(), st.sampled_from(["%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%Y%m%d"]))
def test_formats_are_read_as_strptime_reads_them(day, format):
    text = f"{day.day:02d}|{day.month:02d}|{day.year:04d}"
    d, m, y = text.split("|")
    text = format.replace("%d", d).replace("%m", m).replace("%Y", y)
    assert read_seconds([text], format=format)[0] == (day - date(1970, 1, 1)).days * 86_400.0


@given(st.lists(LOOKALIKES | st.text(max_size=8), max_size=5), st.text(alphabet="%YmdHMSbyzfpIj/ -.:", max_size=8))
def test_any_format_is_total(texts, format):
    assert len(read_seconds(texts, format=format)) == len(texts)


def test_leap_seconds_and_days_that_do_not_exist():
    assert read_seconds(["2016-12-31T23:59:60Z"])[0] == read_seconds(["2016-12-31T23:59:59Z"])[0]
    for text in ("2023-02-29", "2024-04-31", "2024-00-10", "2024-01-00", "0000-01-01", "2024-01-01T25:00"):
        assert math.isnan(read_seconds([text])[0])
    assert not math.isnan(read_seconds(["2024-02-29"])[0])


def test_times_fall_to_the_grid_below():
    parsed = as_times(column(["1969-12-31T23:59:59", "1970-01-01T00:00:59"]), precision=60.0)
    assert parsed.steps.tolist() == [-1, 0]


@pytest.mark.parametrize("typed", [False, True])
def test_numbers_that_passed_through_single_precision_have_the_decimals_that_were_written(typed):
    written = np.array([3.2, 0.221, 45.123, 100.25, 7.0, 0.05])
    single = written.astype(np.float32).astype(np.float64)
    column = pa.chunked_array([pa.array(single if typed else [repr(v) for v in single.tolist()])])
    assert (votes(column) - NUMBER).tolist() == [1, 3, 3, 2, 0, 2]


def test_numbers_with_many_decimals_are_not_taken_for_rounded_ones():
    """Chance makes one number in some thirty look like single precision at five decimals, and hardly any at four."""
    values = np.random.default_rng(0).random(20_000) + 1.0
    decimals = votes(pa.chunked_array([pa.array(values)])) - NUMBER
    assert (decimals < 6).mean() < 0.04
    assert (decimals < 5).mean() < 0.01

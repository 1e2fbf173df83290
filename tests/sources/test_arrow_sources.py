"""Parquet files and data frames: every type becomes one of six, and no cell stops a run."""

from __future__ import annotations

import datetime as dt
import decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from privsynth.errors import SchemaError, SourceError
from privsynth.sources import SkippedCells, SourceOptions, open_source
from privsynth.sources.arrow_types import cell_text, plain_array, plain_type

US = dt.timezone(dt.timedelta(hours=-5))
TYPES = [
    (pa.array([1, None], pa.int8()), pa.int64(), [1, None]),
    (pa.array([2**32 - 1, None], pa.uint32()), pa.int64(), [2**32 - 1, None]),
    (pa.array([2**64 - 1, None], pa.uint64()), pa.string(), ["18446744073709551615", None]),
    (pa.array([0.1, float("nan")], pa.float32()), pa.float64(), [0.1, None]),
    (pa.array(np.array([0.5, 2], np.float16)), pa.float64(), [0.5, 2.0]),
    (pa.array([0.1, float("inf"), float("nan"), None]), pa.float64(), [0.1, float("inf"), None, None]),
    (pa.array([decimal.Decimal("12.10"), None]), pa.float64(), [12.1, None]),
    (pa.array([decimal.Decimal("0.30")], pa.decimal256(50, 20)), pa.float64(), [0.3]),
    (pa.array([True, None]), pa.bool_(), [True, None]),
    (pa.array(["x", "", None], pa.large_string()), pa.string(), ["x", None, None]),
    (pa.array(["x", "y"], pa.string_view()), pa.string(), ["x", "y"]),
    (pa.array(["x", None, "x"]).dictionary_encode(), pa.string(), ["x", None, "x"]),
    (pa.array([7, None, 7]).dictionary_encode(), pa.int64(), [7, None, 7]),
    (pa.array([dt.date(2020, 1, 2), None]), pa.date32(), [dt.date(2020, 1, 2), None]),
    (pa.array([dt.date(2020, 1, 2)], pa.date64()), pa.date32(), [dt.date(2020, 1, 2)]),
    (pa.array([dt.time(1, 2, 3)], pa.time32("s")), pa.string(), ["01:02:03"]),
    (pa.array([1_500, None], pa.duration("ms")), pa.float64(), [1.5, None]),
    (pa.nulls(2), pa.string(), [None, None]),
    *[
        (
            pa.array([dt.datetime(2020, 1, 2, 3), None], pa.timestamp(unit)),
            pa.timestamp("us"),
            [dt.datetime(2020, 1, 2, 3), None],
        )
        for unit in ("s", "ms", "us", "ns")
    ],
    (
        pa.array([dt.datetime(2020, 1, 2, 3, tzinfo=US)], pa.timestamp("ns", tz="America/Lima")),
        pa.timestamp("us"),
        [dt.datetime(2020, 1, 2, 8)],
    ),
]


@pytest.mark.parametrize(("array", "kind", "cells"), TYPES, ids=[str(array.type) for array, _, _ in TYPES])
def test_every_type_becomes_one_of_six(array, kind, cells):
    skipped = SkippedCells()
    plain = plain_array(array, skipped, SourceOptions())
    assert plain_type(array.type) == kind == plain.type
    assert plain.to_pylist() == cells
    assert skipped.total == 0


@pytest.mark.parametrize(
    ("array", "counter"),
    [
        (pa.array([[1], None, [2]]), "nested_cells"),
        (pa.array([{"a": 1}, None, {"a": 2}]), "nested_cells"),
        (pa.array([b"x", None, b"y"]), "binary_cells"),
        (pa.array([b"xx", None, b"yy"], pa.binary(2)), "binary_cells"),
    ],
    ids=["list", "struct", "binary", "fixed binary"],
)
def test_what_has_no_text_becomes_null_and_is_counted(array, counter):
    skipped = SkippedCells()
    plain = plain_array(array, skipped, SourceOptions())
    assert plain.equals(pa.nulls(3, pa.string()))
    assert skipped.as_dict() == {**SkippedCells().as_dict(), counter: 2}


@pytest.mark.parametrize("unit", ["s", "ms", "us"])
def test_times_outside_the_calendar_become_null(unit):
    per_s = {"s": 1, "ms": 1_000, "us": 1_000_000}[unit]
    first, last = -62_135_596_800 * per_s, 253_402_300_799 * per_s
    skipped = SkippedCells()
    times = pa.array([first, first - 1, last, 2**63 - 1, -(2**63), None]).view(pa.timestamp(unit))
    plain = plain_array(times, skipped, SourceOptions())
    assert plain.to_pylist() == [dt.datetime(1, 1, 1), None, dt.datetime(9999, 12, 31, 23, 59, 59), None, None, None]
    assert skipped.out_of_range_cells == 3


def test_dates_outside_the_calendar_become_null():
    skipped = SkippedCells()
    days = pa.array([2_932_896, 2_932_897, -719_162, -719_163, 2**31 - 1], pa.int32()).view(pa.date32())
    plain = plain_array(days, skipped, SourceOptions())
    assert plain.to_pylist() == [dt.date(9999, 12, 31), None, dt.date(1, 1, 1), None, None]
    assert skipped.out_of_range_cells == 3


def test_a_text_that_is_not_utf8_becomes_null():
    raw = pa.array([b"ok", b"M\xfcller", None, "Åsa".encode()], pa.binary())
    skipped = SkippedCells()
    plain = plain_array(raw.view(pa.string()), skipped, SourceOptions())
    assert plain.to_pylist() == ["ok", None, None, "Åsa"]
    assert skipped.undecodable_cells == 1


def test_bad_texts_in_parquet_become_null(tmp_path, read):
    table = pa.table({"a": ["x\0y", "z" * 10_001, "", "fine", None], "b.c": [1, 2, 3, 4, 5]})
    pq.write_table(table, tmp_path / "t.parquet")
    result = read(tmp_path / "t.parquet", columns=("b.c", "a"))
    assert result.columns == {"b.c": [1, 2, 3, 4, 5], "a": [None, None, None, "fine", None]}
    assert result.skipped == {"nul_cells": 1, "long_cells": 1}


def test_wide_rows_come_in_small_batches(tmp_path):
    rng = np.random.default_rng(0)
    texts = ["".join(map(chr, rng.integers(97, 122, 9_000))) for _ in range(100)]
    pq.write_table(pa.table({"a": texts * 160}), tmp_path / "t.parquet", use_dictionary=False)
    source = open_source(tmp_path / "t.parquet")
    sizes = [batch.nbytes for batch in source.batches(SkippedCells())]
    assert len(sizes) > 1
    assert max(sizes) < 80e6


def test_bad_texts_in_a_dictionary_become_null(tmp_path, read):
    """The same cells, kept as a dictionary: Arrow itself would raise on looking one up."""
    values = pa.array([b"good", b"M\xfcller", b"nul\0", b"long" * 3_000], pa.binary()).view(pa.string())
    column = pa.DictionaryArray.from_arrays(pa.array([0, 1, 0, None, 1, 2, 3, 3], pa.int32()), values)
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"a": column, "b": list(range(8))}), path)
    result = read(path)
    assert result.columns["a"] == ["good", None, "good", None, None, None, None, None]
    assert result.skipped == {"undecodable_cells": 2, "nul_cells": 1, "long_cells": 2}
    assert result.table.column("b").to_pylist() == list(range(8))


def test_bytes_in_a_dictionary_are_counted(tmp_path, read):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"a": pa.array([b"x", b"y", None, b"x"], pa.binary())}), path)
    result = read(path)
    assert result.columns == {"a": [None] * 4}
    assert result.skipped == {"binary_cells": 3}


def test_a_dictionary_of_long_texts_does_not_unfold_at_once(tmp_path, read):
    """A short file says a text of 9,000 signs in 40,000 rows: 360 MB, were they looked up together."""
    path = tmp_path / "t.parquet"
    values = pa.array(["x" * 9_000, "y" * 9_000])
    column = pa.DictionaryArray.from_arrays(pa.array(np.zeros(40_000, np.int32)), values)
    pq.write_table(pa.table({"a": column}), path)
    assert path.stat().st_size < 100_000
    sizes = [batch.nbytes for batch in open_source(path).batches(SkippedCells())]
    assert len(sizes) > 1
    assert max(sizes) < 80 << 20


def test_a_parquet_file_that_unfolds_to_gigabytes_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "t.parquet"
    table = pa.table({"a": pa.array(["x" * 1_000]).take(pa.array(np.zeros(300_000, np.int64)))})
    pq.write_table(table, path, compression="zstd", use_dictionary=False)
    assert path.stat().st_size < 1 << 20
    with pytest.raises(SourceError, match="unfolds to far more bytes"):
        open_source(path)


def test_a_cut_parquet_file_is_refused(tmp_path):
    pq.write_table(pa.table({"a": ["SECRET"]}), tmp_path / "t.parquet")
    content = (tmp_path / "t.parquet").read_bytes()
    (tmp_path / "t.parquet").write_bytes(content[: len(content) // 2])
    with pytest.raises(SourceError, match="no Parquet file") as caught:
        open_source(tmp_path / "t.parquet")
    assert "SECRET" not in str(caught.value)


def test_a_frame_keeps_its_dtypes(read):
    frame = pd.DataFrame(
        {
            "i": [1, 2],
            "f": [0.5, np.nan],
            "I": pd.array([1, None], dtype="Int64"),
            "b": [True, False],
            "t": pd.to_datetime(["2020-01-01", None]),
            "z": pd.to_datetime(["2020-01-01T12:00", None]).tz_localize("Europe/Paris"),
            "s": pd.array(["x", None], dtype="string"),
            "c": pd.Categorical(["u", None]),
            "n": pd.Categorical([3, None]),
            "d": pd.array([1.5, None], dtype=pd.ArrowDtype(pa.decimal128(5, 1))),
            "w": pd.to_timedelta([90, None], unit="s"),
            "p": pd.period_range("2020", periods=2, freq="Y"),
        },
        index=[5, 5],
    )
    before = frame.copy()
    result = read(frame)
    day, noon = dt.datetime(2020, 1, 1), dt.datetime(2020, 1, 1, 11)
    assert result.columns == {
        "i": [1, 2],
        "f": [0.5, None],
        "I": [1, None],
        "b": ["true", "false"],  # see below
        "t": [day, None],
        "z": [noon, None],
        "s": ["x", None],
        "c": ["u", None],
        "n": ["3", None],  # whatever the type of its categories, which came of rows
        "d": [1.5, None],
        "w": [90.0, None],
        "p": [None, None],
    }
    assert result.skipped == {"unreadable_cells": 2}
    pd.testing.assert_frame_equal(frame, before)


def test_any_object_in_a_frame_becomes_text_or_null(read):
    cells = ["x", "", None, np.nan, pd.NA, pd.NaT, 7, 7.0, 1e300, True, np.bool_(False), np.int64(3)]
    cells += [b"x", [1], {"a": 1}, object(), "\ud800", "\0", 10**5_000, decimal.Decimal("1E+3"), dt.date(2020, 1, 2)]
    cells += [pd.Timestamp("2020-01-02T03:04:05+02:00"), dt.datetime.min.replace(tzinfo=dt.timezone.max)]
    result = read(pd.DataFrame({"a": pd.Series(cells, dtype=object)}))
    expected = ["x", None, None, None, None, None, "7", "7", "1e+300", "true", "false", "3"]
    expected += [None] * 7 + ["1000", "2020-01-02", "2020-01-02T01:04:05", None]
    assert result.columns["a"] == expected
    assert result.skipped == {
        "binary_cells": 1,
        "nested_cells": 2,
        "unreadable_cells": 3,
        "undecodable_cells": 1,
        "nul_cells": 1,
    }


def test_dtypes_that_arrow_does_not_know_are_read_cell_by_cell(read):
    frame = pd.DataFrame(
        {
            "sparse": pd.arrays.SparseArray([0, 1]),
            "swapped": np.array([1, 2], ">i8"),
            "wide": np.array([1, 2.5], np.longdouble),
            "complex": [1j, 2],
        }
    )
    result = read(frame)
    assert result.columns == {
        "sparse": ["0", "1"],
        "swapped": ["1", "2"],
        "wide": ["1", "2.5"],
        "complex": [None, None],
    }
    assert result.skipped == {"unreadable_cells": 2}


def test_frames_with_odd_names(read):
    assert read(pd.DataFrame([[1, 2]], columns=[0, "b"])).names == ["0", "b"]
    levels = pd.MultiIndex.from_tuples([("a", "b"), ("a", "c")])
    with pytest.raises(SchemaError, match="several levels"):
        open_source(pd.DataFrame([[1, 2]], columns=levels))
    with pytest.raises(SchemaError, match="blank"):
        open_source(pd.DataFrame([[1]], columns=[None]))
    with pytest.raises(SourceError, match="is empty"):
        open_source(pd.DataFrame(index=[1, 2]))


def test_whole_floats_have_no_point():
    texts = [cell_text(value, SkippedCells()) for value in (7.0, -0.0, 1e16, 0.1, np.float32(0.5), float("inf"))]
    assert texts == ["7", "0", "1e+16", "0.1", "0.5", None]


def test_a_missing_cell_does_not_change_how_booleans_of_a_frame_are_read(read):
    results = [read(pd.DataFrame({"b": [True, False, last]})) for last in (True, None)]
    assert [result.table.data.schema.field("b").type for result in results] == [pa.string()] * 2
    assert [result.columns["b"] for result in results] == [["true", "false", "true"], ["true", "false", None]]

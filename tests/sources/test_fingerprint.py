"""The fingerprint: the same for the same rows in any order, another one for anything else."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privsynth.partitions.rows import PrivateRows
from privsynth.sources import content_fingerprint, fingerprint, open_source, read_table
from privsynth.sources.fingerprint import canonical, content_fingerprints
from privsynth.table import Table

KEY = bytes(range(32))
ROWS = st.lists(st.tuples(st.sampled_from(["x", "y", "7", None]), st.integers(0, 3) | st.none()), max_size=12)


def table(rows, names=("a", "b")):
    columns = list(zip(*rows, strict=True)) or [(), ()]
    return Table(pa.table([pa.array(columns[0], pa.string()), pa.array(columns[1], pa.int64())], names=list(names)))


@settings(deadline=None)
@given(ROWS, st.randoms(use_true_random=False))
def test_order_of_rows_and_columns_does_not_matter(rows, random):
    shuffled = random.sample(rows, len(rows))
    first = content_fingerprint(table(rows), KEY)
    assert content_fingerprint(Table(table(shuffled).data.select(["b", "a"])), KEY) == first
    assert len(first) == 32


@settings(deadline=None)
@given(ROWS, ROWS)
def test_other_rows_have_another_fingerprint(rows, others):
    same = sorted(map(repr, rows)) == sorted(map(repr, others))
    assert (content_fingerprint(table(rows), KEY) == content_fingerprint(table(others), KEY)) == same


@pytest.mark.parametrize(
    "other",
    [
        table([("x", 2), ("y", 1)]),  # cells swapped between rows
        table([("x", 1), ("y", 2), ("y", 2)]),
        table([("x", 1), ("y", None)]),
        table([("x", 1), ("y", 2)], names=("a", "c")),
        table([("x", 1), ("y", 2)], names=("b", "a")),
        Table(pa.table({"a": ["x", "y"]})),
        Table(pa.table({"a": ["x", "y"], "b": [1, 2], "c": pa.nulls(2)})),
    ],
    ids=["swapped", "row twice", "null", "renamed", "names swapped", "column less", "column more"],
)
def test_what_differs_is_seen(other):
    assert content_fingerprint(table([("x", 1), ("y", 2)]), KEY) != content_fingerprint(other, KEY)


def test_the_key_matters_and_must_be_one():
    rows = table([("x", 1)])
    assert content_fingerprint(rows, KEY) != content_fingerprint(rows, KEY[::-1])
    both = [content_fingerprint(rows, key) for key in (KEY, KEY[::-1])]
    assert content_fingerprints(PrivateRows.held(rows.data), [KEY, KEY[::-1]]) == both
    with pytest.raises(ValueError, match="16 bytes"):
        content_fingerprint(rows, b"short")


def test_batches_do_not_matter(monkeypatch):
    rows = table([(str(i % 7), i) for i in range(100)])
    whole = content_fingerprint(rows, KEY)
    monkeypatch.setattr(fingerprint, "_BATCH_ROWS", 7)
    assert content_fingerprint(rows, KEY) == whole


def test_the_same_text_in_another_format_is_the_same(tmp_path, workspace):
    (tmp_path / "t.csv").write_text("a,b\nx,1\n,2\n")
    (tmp_path / "t.jsonl").write_text('{"b": 2}\n{"a": "x", "b": 1}\n')
    csv, jsonl = (read_table(open_source(tmp_path / name), workspace)[0] for name in ("t.csv", "t.jsonl"))
    typed = table([("x", 1), (None, 2)])
    assert content_fingerprint(csv, KEY) == content_fingerprint(jsonl, KEY) == content_fingerprint(typed, KEY)


CSV = """id,code,share,day,seen,flag,note,gaps
1,007,0.50,2024-01-01,2024-01-01T08:30,True,x,1
2,1.0,1e-3,2024-02-29,2024-02-29 00:00:00,FALSE,,
3,12,NA,2024-03-01,2024-03-01T23:59:59.250,true,"a,b",3
9007199254740993,-4,12345678.9,,2024-12-31T00:00:00+02:00,false,NaN,4
"""
TIMES = ["2024-01-01T08:30", "2024-02-29", "2024-03-01T23:59:59.250", "2024-12-30T22:00"]
TYPED = {
    "id": np.array([1, 2, 3, 9007199254740993], dtype="int64"),
    "code": np.array([7.0, 1.0, 12.0, -4.0]),
    "share": np.array([0.5, 0.001, np.nan, 12345678.9]),
    "day": pd.to_datetime(["2024-01-01", "2024-02-29", "2024-03-01", None]),
    "seen": np.array(TIMES, dtype="datetime64[ns]"),
    "flag": np.array([True, False, True, False]),
    "note": np.array(["x", None, "a,b", None], dtype=object),
    "gaps": np.array([1.0, np.nan, 3.0, 4.0]),
}


def test_a_csv_file_its_data_frame_and_its_parquet_file_are_the_same(tmp_path, workspace):
    (tmp_path / "t.csv").write_text(CSV)
    frame = pd.DataFrame(TYPED)
    frame.to_parquet(tmp_path / "t.parquet")
    zoned = frame.assign(seen=frame["seen"].dt.tz_localize("UTC").dt.tz_convert("Europe/Berlin"))
    origins = (
        tmp_path / "t.csv",
        tmp_path / "t.parquet",
        frame,
        zoned,
        frame.convert_dtypes(),
        pd.read_csv(tmp_path / "t.csv"),
        pd.read_csv(tmp_path / "t.csv", dtype=str),
        pd.read_csv(tmp_path / "t.csv", parse_dates=["day"], dtype_backend="pyarrow"),
    )
    found = [content_fingerprint(read_table(open_source(origin), workspace)[0], KEY) for origin in origins]
    assert [one == found[0] for one in found] == [True] * len(origins)


OTHERS = {
    "7": "8",
    "0.1": "0.10000000000000002",
    "9007199254740993": "9007199254740992",
    "1" * 30: "1" * 29 + "2",
    "2024-01-01": "2024-01-02",
    "2024-01-01T00:00:01": "2024-01-01",
    "2024-01-01T01:00+01:00": "2024-01-01T01:00",
    "2024-13-45": "2024-13-46",
    "01.02.2024": "2024-02-01",
    "true": "yes",
    "1,5": "1.5",
    "x": " x",
}


@pytest.mark.parametrize(("one", "other"), OTHERS.items())
def test_texts_that_say_something_else_are_not_the_same(one, other):
    assert canonical(pa.array([one])).to_pylist() != canonical(pa.array([other])).to_pylist()


NUMBERS = ["1.", ".5", "-", "+", ".", "e5", "1e", "1e99999", "-0.0", "\u0661", "1_000", "nan "]
TIMES_NO_CLOCK_SHOWS = ["2024-99-99", "0000-00-00T99:99:99.9Z", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00+14:00"]
ODD = st.sampled_from([*NUMBERS, *TIMES_NO_CLOCK_SHOWS, "2024-01-01T01:00+99:99", "\u0130"])


@given(st.lists(st.one_of(st.text(max_size=8), ODD, st.from_regex(r"[-+0-9.eE:TZ ]{1,30}")), max_size=8))
def test_no_text_stops_it_and_saying_it_twice_changes_nothing(cells):
    cells = [cell for cell in cells if "\0" not in cell and not any("\ud800" <= c <= "\udfff" for c in cell)]
    once = canonical(pa.array(cells, pa.string()))
    assert len(once) == len(cells)
    assert canonical(once).to_pylist() == once.to_pylist()


SEVERE = ["+1", "1" * 20, "0.5", "2024-01-01t01:00:00.5+02", "1" * 401, "0" * 500 + ".5", "TRUE", None]
WRITTEN = st.one_of(
    ODD,
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8),
    st.from_regex(r"[-+]?0{0,3}[0-9]{0,18}\.?[0-9]{0,3}([eE][0-9]{1,2})?", fullmatch=True),
    st.datetimes().map(str),
    st.datetimes().map(lambda time: time.replace(microsecond=0).isoformat(" ")),
    st.dates().map(lambda date: f"{date} 00:00:00"),
    st.from_regex(r"[0-9]{399,402}(\.[0-9]{399,402})?", fullmatch=True),
)


@given(st.lists(WRITTEN, max_size=5))
def test_a_text_says_the_same_whatever_stands_beside_it(cells):
    """Where all texts of a batch are usual ones, fewer steps are taken; `SEVERE` makes it take all."""
    expected = canonical(pa.array([*cells, *SEVERE], pa.string())).to_pylist()[: len(cells)]
    assert canonical(pa.array(cells, pa.string())).to_pylist() == expected
    for cell, said in zip(cells, expected, strict=True):
        assert canonical(pa.array([cell], pa.string())).to_pylist() == [said]


@given(st.lists(st.datetimes() | st.datetimes().map(lambda time: time.replace(microsecond=0)) | st.none(), max_size=4))
def test_a_time_says_the_same_whatever_stands_beside_it(times):
    kind = pa.timestamp("us")
    expected = canonical(pa.array([*times, datetime(2024, 1, 1, 0, 0, 0, 1)], kind)).to_pylist()[: len(times)]
    assert canonical(pa.array(times, kind)).to_pylist() == expected
    assert (
        canonical(pa.array([None if time is None else str(time) for time in times], pa.string())).to_pylist()
        == expected
    )


def test_ledgers_that_were_written_long_ago_still_know_a_table():
    texts = ["x", " x", "07", "+7.50", "1" * 20, "2024-01-01T00:00:00Z", "2024-02-30 10:30", "NA", "True", None]
    times = pa.array([0, 1, 1_000_000, 60_000_000, 86_400_000_000, None] + [5] * 4, pa.timestamp("us"))
    rows = Table(pa.table({"text": texts, "time": times, "number": [0.1, 7.0, None, 1e300, 2.0**60, -0.0] + [3.5] * 4}))
    assert content_fingerprint(rows, KEY).hex() == "b86025f10cc4054aa04dafe663cec5d3c5ee15f86a54531f7e959041796df90b"


def test_it_agrees_with_a_naive_twin():
    """The same arithmetic, cell by cell, in Python's integers."""
    import hashlib
    import hmac

    from pandas.util import hash_array

    rows = [("x", 1), (None, 2), ("x", 1)]
    total = squares = 0
    for row in rows:
        value = 0
        for name, cell in zip(("a", "b"), row, strict=True):
            key = hmac.new(KEY, b"column " + name.encode(), hashlib.sha256).hexdigest()[:16]
            text = "\0missing" if cell is None else str(cell)
            value += int(hash_array(np.array([text], dtype=object), hash_key=key, categorize=False)[0])
        value %= 2**64
        value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        value = (value ^ (value >> 27)) * 0x94D049BB133111EB % 2**64
        value ^= value >> 31
        total, squares = (total + value) % 2**64, (squares + value * value) % 2**64
    numbers = b"".join(number.to_bytes(8, "big") for number in (3, total, squares, 2))
    message = b"privsynth content fingerprint 2" + numbers + bytes(7) + b"\x01a" + bytes(7) + b"\x01b"
    assert content_fingerprint(table(rows), KEY) == hmac.new(KEY, message, hashlib.sha256).digest()

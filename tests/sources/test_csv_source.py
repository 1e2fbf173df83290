"""Delimited files: what decides, what a bad cell costs, and that a stray quote costs one line."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import privsynth.errors
from privsynth.errors import ConfigError, SourceError
from privsynth.sources import SkippedCells, SourceOptions, open_source
from privsynth.sources.text import csv as csv_source
from privsynth.sources.text import text_file
from privsynth.sources.text.csv import header_delimiter

CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30) | st.text(
    '",;\n\r\t| a', max_size=12
)


@st.composite
def tables(draw):
    n_columns = draw(st.integers(1, 5))
    row = st.lists(CELLS, min_size=n_columns, max_size=n_columns)
    return n_columns, draw(st.lists(row, min_size=1, max_size=8)), draw(st.sampled_from(",;\t|"))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tables(), st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]), st.integers(1, 3))
def test_any_text_survives_the_round_trip(tmp_path, table, encoding, batch_rows):
    n_columns, rows, delimiter = table
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    names = [f"column {i}" for i in range(n_columns)]
    writer.writerow(names)
    writer.writerows(rows)
    path = tmp_path / "t.csv"
    path.write_bytes(out.getvalue().encode(encoding))
    source = open_source(path, SourceOptions(batch_rows=batch_rows))
    skipped = SkippedCells()
    found = [list(row.values()) for batch in source.batches(skipped) for row in batch.to_pylist()]
    assert source.names == names
    assert found == [[cell or None for cell in row] for row in rows]
    assert skipped.total == 0


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=400))
def test_no_bytes_after_the_header_stop_a_run(tmp_path, junk):
    path = tmp_path / "t.csv"
    path.write_bytes(b"a,b\n" + junk)
    skipped = SkippedCells()
    for batch in open_source(path).batches(skipped):
        batch.validate(full=True)
        assert batch.schema.names == ["a", "b"]


@pytest.mark.parametrize(
    ("line", "delimiter"),
    [
        ("a,b,c", ","),
        ("a;b;c", ";"),
        ("a\tb", "\t"),
        ("a|b|c", "|"),
        ("alone", ","),
        ('"a;b;c",d', ","),
        ("last, first;age;city", ";"),
    ],
)
def test_the_header_line_decides_on_the_delimiter(line, delimiter):
    assert header_delimiter(line + "\n") == delimiter


def test_rows_have_no_say_in_the_delimiter(csv_file, read):
    result = read(csv_file("a,b\n1;2;3;4,x\n5;6;7;8,y\n"))
    assert result.columns == {"a": ["1;2;3;4", "5;6;7;8"], "b": ["x", "y"]}


def test_the_delimiter_can_be_given(csv_file, read):
    assert read(csv_file("a,b:c\n1,2:3\n"), delimiter=":").columns == {"a,b": ["1,2"], "c": ["3"]}


def test_cells_stay_the_text_that_they_are(csv_file, read):
    result = read(csv_file("id;amount;when\n007;1.234,50;01.02.2020\n 08 ;-0,5;NA\n"))
    assert result.columns == {"id": ["007", " 08 "], "amount": ["1.234,50", "-0,5"], "when": ["01.02.2020", "NA"]}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_line_end_is_known_and_blank_lines_are_skipped(csv_file, read, end):
    result = read(csv_file(end.join(["", "a,b", "1,2", "", "3,4", "", ""])))
    assert result.columns == {"a": ["1", "3"], "b": ["2", "4"]}
    assert result.skipped == {}


def test_a_quoted_empty_cell_is_a_row_with_a_null(csv_file, read):
    assert read(csv_file('a\n""\n\nx\n')).columns == {"a": [None, "x"]}


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
    ],
)
def test_a_byte_order_mark_decides_on_the_encoding(csv_file, read, mark, encoding):
    path = csv_file(mark + '"name",b\nÅsa,1\n'.encode(encoding))
    assert read(path).columns == {"name": ["Åsa"], "b": ["1"]}


def test_the_encoding_can_be_given(csv_file, read):
    path = csv_file("größe,b\nÄ,€\n".encode("cp1252"))
    assert read(path, encoding="cp1252").columns == {"größe": ["Ä"], "b": ["€"]}
    with pytest.raises(SourceError, match=r"header .* does not decode; name the encoding"):
        open_source(path)


def test_a_mark_that_a_given_encoding_leaves_is_no_part_of_the_name(csv_file, read):
    path = csv_file(codecs.BOM_UTF16_LE + '"a",b\n1,2\n'.encode("utf-16-le"))
    assert read(path, encoding="utf-16-le").names == ["a", "b"]


@pytest.mark.parametrize("encoding", ["klingon", "base64", "utf-8\0"])
def test_an_unknown_encoding_is_refused(csv_file, encoding):
    with pytest.raises(ConfigError, match="is not known"):
        open_source(csv_file("a\n1\n"), SourceOptions(encoding=encoding))


def test_an_undecodable_cell_becomes_null_and_its_neighbours_stay(csv_file, read):
    result = read(csv_file(b"a,b\nM\xfcller,1\n\xff\xfe,2\nok,3\xe9\n" + "\ufffd,4\n".encode()))
    assert result.columns == {"a": [None, None, "ok", "\ufffd"], "b": ["1", "2", None, "4"]}
    assert result.skipped == {"undecodable_cells": 3}


def test_a_cell_with_a_nul_becomes_null(csv_file, read):
    result = read(csv_file(b'a,b\nx\0y,1\n"\0",2\nz,3\n'))
    assert result.columns == {"a": [None, None, "z"], "b": ["1", "2", "3"]}
    assert result.skipped == {"nul_cells": 2}


def test_a_long_cell_becomes_null(csv_file, read):
    result = read(csv_file(f"a,b\n{'x' * 10_000},1\n{'x' * 10_001},2\n{'é' * 200_000},3\n"))
    assert result.columns == {"a": ["x" * 10_000, None, None], "b": ["1", "2", "3"]}
    assert result.skipped == {"long_cells": 2}


def test_ragged_rows_are_padded_and_cut(csv_file, read):
    result = read(csv_file("a,b,c\n1\n1,2,3,4,5\n1,2,3\n1,2,\n"))
    assert result.columns == {"a": ["1"] * 4, "b": [None, "2", "2", "2"], "c": [None, "3", "3", None]}
    assert result.skipped == {"short_rows": 1, "long_rows": 1}


def test_a_long_line_loses_its_last_cell_only(csv_file, read):
    long = "1," + "x" * 300 + ",2,34567"
    result = read(csv_file(f"a,b,c,d\n{long}{'8' * 3000}\n5,6,7,8\n"), max_record_chars=310)
    assert result.columns == {"a": ["1", "5"], "b": ["x" * 300, "6"], "c": ["2", "7"], "d": [None, "8"]}
    assert result.skipped == {"long_lines": 1, "short_rows": 1}


@pytest.mark.parametrize("n_rows_after", [1, 150, 500])
def test_a_quote_that_never_closes_costs_its_own_line_only(csv_file, read, n_rows_after):
    rows = [f"{i},word{i},{i * 2}" for i in range(n_rows_after)]
    result = read(csv_file('a,b,c\nbefore,x,0\nbad,"oops,9\n' + "\n".join(rows) + "\n"))
    assert result.columns["a"] == ["before", "bad", *map(str, range(n_rows_after))]
    assert result.columns["b"] == ["x", '"oops', *[f"word{i}" for i in range(n_rows_after)]]
    assert result.skipped == {"runaway_quotes": 1}


def test_two_stray_quotes_that_meet_cost_their_own_lines_only(csv_file, read):
    result = read(csv_file('a,b\n1,"oops\n2,fine\n3,"again\n4,fine\n'))
    assert result.columns == {"a": ["1", "2", "3", "4"], "b": ['"oops', "fine", '"again', "fine"]}
    assert result.skipped == {"runaway_quotes": 2}


def test_a_record_may_span_many_lines_but_not_too_many(csv_file, read):
    good, bad = "x\n" * 150, "x\n" * 250
    result = read(csv_file(f'a,b\n1,"{good}"\n2,"{bad}"\n3,end\n'))
    assert result.columns["a"][:2] == ["1", "2"]
    assert result.columns["b"][:2] == [good, '"x']
    assert result.columns["a"][-1] == "3"
    assert result.columns["b"][-1] == "end"
    assert result.skipped["runaway_quotes"] == 2  # the quote that opens, and the one that should have closed it


def test_a_record_may_not_span_too_many_characters(csv_file, read):
    lines = "\n".join("y" * 9_000 for _ in range(150))
    result = read(csv_file(f'a,b\n1,"{lines}\n2,end\n'))
    assert result.columns["a"][0] == "1"
    assert (result.columns["a"][-1], result.columns["b"][-1]) == ("2", "end")
    assert result.skipped["runaway_quotes"] == 1


def test_stray_quotes_everywhere_do_not_take_for_ever(csv_file, read):
    result = read(csv_file("a,b\n" + '1,"x\n' * 3_001))
    assert result.table.n_rows == 3_001
    assert set(result.columns["b"]) == {'"x'}


def test_a_quote_open_in_the_header_is_refused(csv_file):
    with pytest.raises(SourceError, match="quote that does not close"):
        open_source(csv_file('a,"b\n1,2\n'))


def test_a_header_of_unusual_but_good_names(csv_file, read):
    result = read(csv_file('" a ","b ""x""","c,d",é\n1,2,3,4\n'))
    assert result.names == [" a ", 'b "x"', "c,d", "é"]


def test_a_header_takes_no_name_from_the_rows(csv_file):
    # A stray quote in the header, and one in the first row: what stands between them is somebody's.
    with pytest.raises(SourceError, match="goes on beyond its line") as caught:
        open_source(csv_file('a,"b\nAnna,"x"\n'))
    assert "Anna" not in str(caught.value)


def test_a_gzip_file_that_unfolds_without_end_is_refused(tmp_path):
    path = tmp_path / "t.csv.gz"
    with gzip.open(path, "wb", compresslevel=1) as big:
        big.write(b"a,b\n")
        for _ in range(160):
            big.write(b"0," * (1 << 19))
    with pytest.raises(SourceError, match="unfolds to far more bytes"):
        for _ in open_source(path).batches(SkippedCells()):
            pass


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_many_blank_lines_are_not_looked_at_one_by_one(csv_file, read, end, monkeypatch):
    text = f"a,b{end}1,2{end}" + end * 400_000 + f'"x{end}{end}y",4{end}' + end * 400_000 + "5,6"
    seen = []
    next_line = csv_source._Lines.next_line
    monkeypatch.setattr(csv_source._Lines, "next_line", lambda lines: seen.append(1) or next_line(lines))
    assert read(csv_file(text)).columns == {"a": ["1", f"x{end}{end}y", "5"], "b": ["2", "4", "6"]}
    assert len(seen) < 30_000


@pytest.mark.parametrize(
    "content", [b"\n\n\r\n", codecs.BOM_UTF8, gzip.compress(b"", mtime=0)], ids=["blank-lines", "mark-only", "gzip"]
)
def test_a_file_without_a_header_is_refused(csv_file, content):
    name = "t.csv.gz" if content.startswith(b"\x1f\x8b") else "t.csv"
    with pytest.raises(SourceError, match="is empty"):
        open_source(csv_file(content, name))


def test_one_endless_line_is_no_header(csv_file):
    with pytest.raises(SourceError, match="too long for a header"):
        open_source(csv_file("a" * 2_000_000))


@pytest.mark.parametrize("damage", ["cut", "altered", "none at all"])
def test_a_damaged_gzip_file_is_refused(csv_file, read, damage):
    packed = bytearray(gzip.compress(b"a,b\n" + b"".join(b"%d,%d\n" % (i, i * i) for i in range(50_000))))
    if damage == "cut":
        packed = packed[:-2000]
    elif damage == "altered":
        packed[-6] ^= 255  # in the checksum
    else:
        packed = bytearray(b"a,b\n1,2\n")
    path = csv_file(bytes(packed), "t.csv.gz")
    with pytest.raises(SourceError, match="not a whole gzip file"):
        read(path)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text("ab\r\n\u2028\x0c", max_size=60), st.integers(1, 12), st.integers(1, 9))
def test_lines_in_blocks_are_the_lines_of_the_file(monkeypatch, content, block, limit):
    monkeypatch.setattr(text_file, "_BLOCK_CHARS", block)
    found = list(text_file.physical_lines(io.TextIOWrapper(io.BytesIO(content.encode()), "utf-8", newline=""), limit))
    naive = io.StringIO(content, newline="").readlines()
    assert found == [line[: limit + 1] for line in naive]


MEASURE = """
import re, sys
from pathlib import Path
from privsynth.sources import SourceOptions, open_source, read_table
from privsynth.workspace import Workspace
small, big, home = sys.argv[1:]
# Of this program alone: what the kernel says of a process's resources begins with what its parent had.
peak = lambda: int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024
with Workspace(Path(home)) as workspace:
    read_table(open_source(small), workspace)
    before = peak()
    table, _ = read_table(open_source(big), workspace)
    print(table.n_rows, peak() - before)
"""


@pytest.mark.parametrize("row", ["{0},name {0},{0}.5,2020-01-01,x,y,z,some text\n", "{0},short row of {0}\n"])
def test_memory_does_not_grow_with_rows(tmp_path, row):
    """In a process of its own; what grows beside rows are batches, of which one in Python's texts takes 12 MB."""
    for name, n_rows in (("small.csv", 200_000), ("big.csv", 1_000_000)):
        with (tmp_path / name).open("w") as file:
            file.write("a,b,c,d,e,f,g,h\n")
            file.writelines(row.format(i) for i in range(n_rows))
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *(str(tmp_path / name) for name in ("small.csv", "big.csv", "home"))],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(Path(privsynth.errors.__file__).parents[1])},
    )
    n_rows, growth = map(int, done.stdout.split())
    assert n_rows == 1_000_000
    assert growth < 16 < (tmp_path / "big.csv").stat().st_size / 2**20

"""Cells that one person alone has must be nowhere: not in a file, not in a name, not in what is printed or raised."""

from __future__ import annotations

import base64
import datetime as dt
import gzip
import html
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import CliRunner
from leaks.needles import assert_no_needle, files_of
from leaks.world import BARE, COLUMNS, DECLARED, NOTE, NUMBERS, TEXTS, UNIT, csv_bytes, parquet_bytes, rows_with_needles

from privsynth.cli import main

ROOT = Path(__file__).resolve().parents[2]


# The command line with less fitting after the noise.
QUICK = """
import sys
from pytest import MonkeyPatch
from leaks.proof import small_generators
small_generators(MonkeyPatch(), arn=False)
from privsynth.cli import main
main(sys.argv[1:], prog_name="privsynth")
"""


def command(*arguments: object, home: Path, quick: bool) -> subprocess.CompletedProcess[bytes]:
    """Run the command line in a process of its own, whose files all lie below one folder."""
    for name in ("tmp", "cache"):
        (home / name).mkdir(parents=True, exist_ok=True)
    kept = {key: value for key, value in os.environ.items() if key != "PRIVSYNTH_DEBUG"}
    environment = {
        **kept, "PRIVSYNTH_HOME": str(home / "privsynth"), "HOME": str(home), "TMPDIR": str(home / "tmp"),
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]), "XDG_CACHE_HOME": str(home / "cache"),
        "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    line = [sys.executable, *(("-c", QUICK) if quick else ("-m", "privsynth")), *map(str, arguments)]
    return subprocess.run(line, env=environment, cwd=home, capture_output=True, timeout=300, check=False)


@pytest.mark.parametrize(
    ("schema", "kind", "audit"),
    [
        (DECLARED, "csv", "none"),
        pytest.param(DECLARED, "csv", "standard", marks=pytest.mark.slow),
        pytest.param(BARE, "parquet", "none", marks=pytest.mark.slow),
    ],
)
def test_a_whole_run_writes_and_prints_no_needle(tmp_path, schema, kind, audit):
    home = tmp_path / "home"
    home.mkdir()
    source = tmp_path / f"admissions.{kind}"
    source.write_bytes((csv_bytes if kind == "csv" else parquet_bytes)(rows_with_needles()))
    (tmp_path / "schema.yaml").write_text(yaml.safe_dump(schema), encoding="utf-8")
    out = tmp_path / "out"
    done = command(
        "-v", "synthesize", source, "--unit", "patient", "--max-rows-per-unit", 3, "--epsilon", 1, "--out", out,
        "--anyway", "--schema", tmp_path / "schema.yaml", "--audit", audit, "--generator", "marginal",
        home=home, quick=audit == "none",
    )  # fmt: skip
    assert done.returncode in (0, 3), done.stderr.decode()
    assert b"reading" in done.stderr
    # What the recipient gets, what is printed, and what stays on the machine: nowhere is a needle.
    printed = [("stdout", done.stdout), ("stderr", done.stderr)]
    assert_no_needle(TEXTS, NUMBERS, [*files_of(out / "public"), *printed, *files_of(home)])
    # The officer's figures are exact, but name nobody and quote no free text.
    assert_no_needle([UNIT, NOTE, "MRN-needle-4711"], [], files_of(out / "officer"))
    assert not list((home / "privsynth" / "work").glob("run-*"))
    assert not list((home / "tmp").iterdir())


@pytest.mark.parametrize(
    "write",
    [
        lambda data: data,
        lambda data: b"some text " + data + b" more",
        lambda data: base64.b64encode(b"a" + data),
        lambda data: base64.b64encode(b"ab" + data + b"cd"),
        lambda data: base64.b64encode(b"abc" + data + b"d"),
        lambda data: gzip.compress(b"x" * 99 + data),
        lambda data: gzip.compress(gzip.compress(data)),
        lambda data: json.dumps({"a": [data.decode()]}).encode(),
        lambda data: json.dumps({"payload": base64.b64encode(b"{" + data + b"}").decode()}).encode(),
        lambda data: html.escape(data.decode()).encode(),
        lambda data: repr(data.decode()).encode(),
        lambda data: data.decode().encode("utf-16"),
        lambda data: data.hex().encode(),
    ],
)
def test_the_search_finds_a_needle_however_it_is_written(tmp_path, write):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "file").write_bytes(write(NOTE.encode()))
    with pytest.raises(AssertionError, match="deep/file"):
        assert_no_needle([NOTE], [], files_of(tmp_path))


def test_the_search_finds_numbers_names_and_columns(tmp_path):
    table = pa.table({"a": [73190.4417], "b": ["NeedleWard77"], "c": [dt.date(1887, 3, 19)]})
    pq.write_table(table, tmp_path / "t.parquet", compression="zstd")
    for texts, numbers in (([], [73190.4417]), (["NeedleWard77"], []), (["1887-03-19"], [])):
        with pytest.raises(AssertionError, match="column"):
            assert_no_needle(texts, numbers, files_of(tmp_path))
    (tmp_path / "NeedleWard77.tmp").touch()
    with pytest.raises(AssertionError, match="the name"):
        assert_no_needle(["NeedleWard77"], [], [f for f in files_of(tmp_path) if f[0].startswith("the name")])
    (tmp_path / "other").write_bytes(b"figure 73190.4417 or 73,190.4417")
    with pytest.raises(AssertionError, match="other"):
        assert_no_needle([], [73190.4417], files_of(tmp_path))


@pytest.mark.parametrize("text", ["918273.25", '"cost": 918273', "-918273.2500,", "9.182732e+05", "918,273.2500"])
def test_the_search_finds_a_number_however_it_is_written(text):
    with pytest.raises(AssertionError, match="here"):
        assert_no_needle([], [918273.25], [("here", text.encode())])


@pytest.mark.parametrize("text", ["0.4918273", "0.918273", "1918273.25", "9182731"])
def test_the_search_does_not_find_a_number_within_another(text):
    assert_no_needle([], [918273.25], [("here", text.encode())])


# Inputs that a run cannot accept, each full of needles: (files to write, arguments after `synthesize`).
LINE = ",".join(
    [UNIT, "NeedleSex", "NeedleWard77", "98765432", "73190.4417", "918273.25", "1887-03-19T04:17", "x", "1887-03-19",
     "yes", '"n"', "yes", "MRN-needle-4711"]
)  # fmt: skip
HEADER = ",".join(COLUMNS)
ROW_UNIT = ("--unit", "row")
PATIENT = ("--unit", "patient", "--max-rows-per-unit", "3")


def bad_inputs(folder: Path) -> dict[str, tuple[Path, tuple[str, ...]]]:
    """Write the inputs and return name -> (source, arguments)."""
    body = f"{HEADER}\n" + f"{LINE}\n" * 30
    table = pa.table({"ward": ["NeedleWard77"] * 30, "lab": [73190.4417] * 30})
    found: dict[str, tuple[Path, tuple[str, ...]]] = {}

    def add(name: str, file: str, data: bytes | str, *arguments: str) -> None:
        path = folder / f"{len(found)}-{file}"
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        found[name] = (path, arguments)

    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    parquet = bytes(sink.getvalue())
    add("no header", "a.csv", f"{LINE}\n" * 30, *ROW_UNIT)
    add("blank name", "a.csv", f",{body}", *ROW_UNIT)
    add("repeated name", "a.csv", f"ward,{body}", *ROW_UNIT)
    add("open quote in the header", "a.csv", f'"{body}', *ROW_UNIT)
    add("no unit column", "a.csv", body, "--unit", "person", "--max-rows-per-unit", "1")
    add("no unit said", "a.csv", body)
    add("no k said", "a.csv", body, "--unit", "patient")
    add("half a gzip file", "a.csv.gz", gzip.compress(body.encode() * 50)[:-900], *PATIENT)
    add("no gzip file", "a.csv.gz", body, *PATIENT)
    add("another encoding", "a.csv", body.encode("utf-16-le"), *PATIENT)
    add("unknown encoding", "a.csv", body, *PATIENT, "--encoding", "klingon")
    add("half a parquet file", "a.parquet", parquet[: len(parquet) // 2], *ROW_UNIT)
    add("text called parquet", "a.parquet", body, *ROW_UNIT)
    add("broken pages", "a.parquet", parquet[:8] + b"NeedleWard77" * 3 + parquet[44:], *ROW_UNIT)
    add("parquet called text", "a.csv", parquet, *ROW_UNIT)
    add("keys that are private", "a.jsonl", json.dumps({"NeedleWard77": UNIT}) + "\n", *ROW_UNIT)
    add("no JSON at all", "a.jsonl", body, *ROW_UNIT)
    add("columns that are not there", "a.csv", body, *PATIENT, "--columns", "patient,nothing")
    add("a workbook that is none", "a.xlsx", body, *ROW_UNIT)
    add("an unknown suffix", "a.sas7bdat", body, *ROW_UNIT)
    add("only texts", "a.csv", f"note\n{NOTE}\n", *ROW_UNIT, "--schema", str(folder / "texts.yaml"))
    (folder / "texts.yaml").write_text("columns: {note: {kind: text}}\n", encoding="utf-8")
    add("a schema for another table", "a.csv", body, *PATIENT, "--schema", str(folder / "other.yaml"))
    (folder / "other.yaml").write_text("columns: {elsewhere: {kind: text}}\n", encoding="utf-8")
    add("beyond the cap", "a.csv", body, *PATIENT, "--epsilon", "11")
    book = openpyxl.Workbook()
    for line in body.splitlines():
        book.active.append(line.split(","))
    path = folder / "book.xlsx"
    book.save(path)
    found["a sheet that is not there"] = (path, (*PATIENT, "--sheet", "nothing"))
    path = folder / "data.sqlite"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE t (ward TEXT)")
        database.execute("INSERT INTO t VALUES ('NeedleWard77')")
    database.close()
    url = Path(f"sqlite:///{path}")
    found["a table that is not there"] = (url, (*ROW_UNIT, "--table", "nothing"))
    found["a query that fails on a cell"] = (
        url, (*ROW_UNIT, "--query", "SELECT json_extract(ward, '$.a') AS ward FROM t"),
    )  # fmt: skip
    return found


CASES = [
    "a query that fails on a cell", "a schema for another table", "a sheet that is not there",
    "a table that is not there", "a workbook that is none", "an unknown suffix", "another encoding",
    "beyond the cap", "blank name", "broken pages", "columns that are not there", "half a gzip file",
    "half a parquet file", "keys that are private", "no JSON at all", "no gzip file", "no header", "no k said",
    "no unit column", "no unit said", "only texts", "open quote in the header", "parquet called text",
    "repeated name", "text called parquet", "unknown encoding",
]  # fmt: skip


@pytest.mark.parametrize("as_json", [False, True], ids=["plain", "json"])
@pytest.mark.parametrize("case", CASES)
def test_an_error_quotes_no_cell(tmp_path, monkeypatch, privsynth_home, case, as_json):
    monkeypatch.delenv("PRIVSYNTH_DEBUG", raising=False)
    cases = bad_inputs(tmp_path)
    assert sorted(cases) == CASES
    source, arguments = cases[case]
    epsilon = () if "--epsilon" in arguments else ("--epsilon", "1")
    line = ["-v", "synthesize", "--anyway", str(source).replace("sqlite:/", "sqlite:///"), *arguments, *epsilon]
    line += ["--out", str(tmp_path / "out"), "--audit", "none", "--dataset", "d", "--generator", "marginal"]
    done = CliRunner().invoke(main, line + (["--json"] if as_json else []))
    assert done.exit_code in (2, 4), done.output
    assert "Error" in done.stderr
    # A header that is missing makes names of somebody's cells; messages say where a column stands, not its name.
    assert_no_needle(TEXTS, NUMBERS, [("stdout", done.stdout_bytes), ("stderr", done.stderr_bytes)])
    assert_no_needle(TEXTS, NUMBERS, files_of(privsynth_home))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "error",
    [
        ValueError(f"could not convert {NOTE} to float"),
        KeyError(UNIT),
        MemoryError("NeedleWard77"),
        KeyboardInterrupt("NeedleWard77"),
        OSError(5, "NeedleWard77", "MRN-needle-4711"),
        UnicodeDecodeError("utf-8", b"NeedleWard77", 0, 1, "NeedleWard77"),
        pa.ArrowInvalid("NeedleWard77"),
        RecursionError("NeedleWard77"),
        AssertionError("NeedleWard77"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_that_nobody_expected_quotes_no_cell(tmp_path, monkeypatch, privsynth_home, error):
    monkeypatch.delenv("PRIVSYNTH_DEBUG", raising=False)

    def broken(*_arguments: object, **_more: object) -> None:
        raise error

    monkeypatch.setattr("privsynth.codecs.parsed_table.parse_table", broken)
    source = tmp_path / "a.csv"
    source.write_bytes(csv_bytes(rows_with_needles()))
    line = [
        "-v",
        "synthesize",
        "--anyway",
        str(source),
        *PATIENT,
        "--epsilon",
        "1",
        "--out",
        str(tmp_path / "out"),
        "--audit",
        "none",
    ]
    done = CliRunner().invoke(main, line)
    assert done.exit_code not in (0, 3)
    assert done.stderr
    assert_no_needle(TEXTS, NUMBERS, [("stdout", done.stdout_bytes), ("stderr", done.stderr_bytes)])
    assert_no_needle(TEXTS, NUMBERS, files_of(privsynth_home))
    assert not list((privsynth_home / "work").glob("run-*"))
    assert not (tmp_path / "out").exists()

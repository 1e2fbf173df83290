"""Every adapter must give the same names and, as text, the same cells for the same table."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import io
import json
import os
import sqlite3

import deltalake
import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from privsynth.errors import ConfigError, SchemaError, SourceError
from privsynth.sources import SOURCES, Adapter, SourceOptions, open_source, read_table

NAMES = ["code", "name", "age", "score", "active", "day"]
ROWS = [
    ("007", 'Åsa, the "first"', 34, 1.5, True, dt.date(2020, 2, 29)),
    ("010", "line\nbreak; tab\there", -2, -0.25, False, dt.date(1969, 12, 31)),
    ("", None, None, None, None, dt.date(1, 1, 1)),
    ("0", "日本 |", 123456789012, 0.001, True, dt.date(9999, 12, 31)),
]
TEXTS = {
    "code": ["007", "010", None, "0"],
    "name": ['Åsa, the "first"', "line\nbreak; tab\there", None, "日本 |"],
    "age": ["34", "-2", None, "123456789012"],
    "score": ["1.5", "-0.25", None, "0.001"],
    "active": ["true", "false", None, "true"],
    "day": ["2020-02-29", "1969-12-31", "0001-01-01", "9999-12-31"],
}


def spelled(cell):
    if isinstance(cell, bool):
        return str(cell).lower()
    return "" if cell is None else str(cell)


def delimited(delimiter=",", encoding="utf-8"):
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter)
    writer.writerow(NAMES)
    writer.writerows([[spelled(cell) for cell in row] for row in ROWS])
    return out.getvalue().encode(encoding)


def json_lines():
    rows = [
        {name: cell.isoformat() if isinstance(cell, dt.date) else cell for name, cell in zip(NAMES, row, strict=True)}
        for row in ROWS
    ]
    return "\n".join(json.dumps(row) for row in rows).encode()


def arrow():
    kinds = [pa.string(), pa.string(), pa.int64(), pa.float64(), pa.bool_(), pa.date32()]
    columns = [pa.array(column, kind) for column, kind in zip(zip(*ROWS, strict=True), kinds, strict=True)]
    return pa.table(columns, names=NAMES)


def bytes_file(content, name, **options):
    """Return what writes bytes to a file, and returns its path and the options to read it with."""

    def write(folder):
        path = folder / name
        path.write_bytes(content)
        return path, options

    return write


def parquet_file(folder):
    path = folder / "t.parquet"
    pq.write_table(arrow(), path, row_group_size=2)
    return path, {}


def parquet_parts(folder):
    inner = folder / "parts"
    inner.mkdir()
    for start in (0, 2):
        pq.write_table(arrow().slice(start, 2), inner / f"part-{start}.parquet")
    return f"parquet:{inner}", {}


def delta_table(folder):
    for start in (0, 2):
        deltalake.write_deltalake(str(folder / "delta"), arrow().slice(start, 2), mode="append")
    return f"delta:{folder}/delta", {}


def cef_log(folder):
    signs = {"\\": "\\\\", "=": "\\=", "|": "\\|", "\n": "\\n"}
    lines = []
    for row in ROWS:
        cells = ["".join(signs.get(sign, sign) for sign in spelled(cell)) for cell in row]
        pairs = [f"{name}={cell}" for name, cell in zip(NAMES, cells, strict=True) if name != "name"]
        lines.append(f"<13>Jan 18 11:07:53 host CEF:0|a|b|1|2|{cells[1]}|5|{' '.join(pairs)}")
    (folder / "t.log").write_text("\n".join(lines))
    return f"cef:{folder / 't.log'}", {"columns": COLUMNS}


def excel_file(folder):
    path = folder / "t.xlsx"
    book = openpyxl.Workbook()
    for row in [NAMES, *ROWS]:
        book.active.append([None if cell == "" else cell for cell in row])
    book.save(path)
    return path, {}


def sqlite_file(suffix):
    def write(folder):
        path = folder / f"t #1%20{suffix}"
        with sqlite3.connect(path) as connection:
            connection.execute('CREATE TABLE "my table" (code TEXT, name TEXT, age INT, score REAL, active, day)')
            rows = [[spelled(c) if isinstance(c, bool | dt.date) else c for c in row] for row in ROWS]
            connection.executemany('INSERT INTO "my table" VALUES (?,?,?,?,?,?)', rows)
        connection.close()
        return path, {"table": "my table"}

    return write


def sqlite_url(folder):
    path, options = sqlite_file(".db")(folder)
    return f"sqlite:///{path.rename(folder / 't.db')}", options


def frame(folder):
    cells = zip(NAMES, zip(*ROWS, strict=True), strict=True)
    made = pd.DataFrame({name: pd.Series(list(column), dtype=object) for name, column in cells})
    return made.astype({"age": "Int64", "score": "Float64", "active": "boolean"}), {}


def folder_of_files(folder):
    inner = folder / "hospital"
    inner.mkdir()
    (inner / "people.csv").write_bytes(delimited(";"))
    (inner / "stays.csv").write_text("a\n1\n")
    return inner, {"table": "people"}


def fhir_export(folder):
    lines = [json.dumps({"resourceType": "Person", **json.loads(line)}) for line in json_lines().splitlines()]
    (folder / "export.ndjson").write_text("\n".join(lines))
    (folder / "views").mkdir()
    view = {"resource": "Person", "select": [{"column": [{"name": name, "path": name} for name in NAMES]}]}
    (folder / "views" / "person.json").write_text(json.dumps(view))
    return f"fhir:{folder}", {"views": str(folder / "views")}


COLUMNS = tuple(NAMES)  # JSON Lines has no header
# What a source is found by -> how the table is written as such a source: its origin and the options to read it with.
EXAMPLES = {
    ".csv": bytes_file(delimited(), "t.csv"),
    ".csv.gz": bytes_file(gzip.compress(delimited(";")), "t.csv.gz"),
    ".tsv": bytes_file(delimited("\t"), "t.tsv"),
    ".tsv.gz": bytes_file(gzip.compress(delimited("\t")), "t.TSV.gz"),
    ".txt": bytes_file(delimited(), "t.txt"),
    ".jsonl": bytes_file(json_lines(), "t.jsonl", columns=COLUMNS),
    ".jsonl.gz": bytes_file(gzip.compress(json_lines()), "t.jsonl.gz", columns=COLUMNS),
    ".ndjson": bytes_file(json_lines(), "t.ndjson", columns=COLUMNS),
    ".parquet": parquet_file,
    "parquet:": parquet_parts,
    "delta:": delta_table,
    ".xlsx": excel_file,
    ".sqlite": sqlite_file(".sqlite"),
    ".sqlite3": sqlite_file(".sqlite3"),
    ".db": sqlite_file(".db"),
    "sqlite://": sqlite_url,
    "a pandas DataFrame": frame,
    "a folder of files": folder_of_files,
    "fhir:": fhir_export,
    "cef:": cef_log,
}
ON_A_SERVER = {"postgresql://", "mysql://", "://", "kafka://"}  # see sql/test_postgresql_source, kafka/
OF_ITS_OWN = {
    "omop:",
    "hl7:",
    "dicom:",
    "iso20022:",
    "iso8583:",
}  # have the columns of their model and no other: see omop/, dicom/, ...


def kinds_of(sources):
    """Return what the sources are found by, or what one is that has neither suffix nor scheme."""
    return [key for source in sources for key in source.keys or (source.what,)]


LOCAL = [kind for kind in kinds_of(SOURCES) if kind not in ON_A_SERVER | OF_ITS_OWN]


def make(kind, folder):
    """Write the table as `kind` and return its origin and options."""
    assert kind in EXAMPLES, f"write a table for {kind} in EXAMPLES: it is not tested"
    return EXAMPLES[kind](folder)


def test_every_source_has_an_example_and_a_new_one_needs_its_own(tmp_path):
    assert set(LOCAL) == set(EXAMPLES)
    new = Adapter(what="a new file", open=SOURCES[0].open, suffixes=(".new",))
    (added,) = set(kinds_of([*SOURCES, new])) - set(kinds_of(SOURCES))
    with pytest.raises(AssertionError, match=r"write a table for \.new"):
        make(added, tmp_path)


def test_no_two_sources_are_found_by_the_same_name():
    kinds = kinds_of(SOURCES)
    assert len(kinds) == len(set(kinds))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"suffixes": ("new",)}, "must begin with a dot"),
        ({"suffixes": (".NEW",)}, "in lower case"),
        ({"schemes": ("new://",)}, "without ://"),
        ({"options": ("colour",)}, "must be among delimiter, encoding, sheet, table, query, addresses, views"),
    ],
)
def test_a_source_that_says_what_cannot_be_is_refused(wrong, message):
    with pytest.raises(ConfigError, match=message):
        Adapter(what="a new file", open=SOURCES[0].open, **wrong)


@pytest.mark.parametrize("kind", LOCAL)
def test_every_adapter_gives_the_same_table(kind, tmp_path, read):
    origin, options = make(kind, tmp_path)
    result = read(origin, **options)
    assert result.names == NAMES == result.source.names
    assert result.source.names_are_public
    assert result.table.data.schema == result.source.arrow_schema
    as_text = {name: result.table.column(name).cast(pa.string()).to_pylist() for name in NAMES}
    assert as_text == TEXTS
    assert result.skipped == {}


@pytest.mark.parametrize("kind", LOCAL)
def test_batches_can_be_read_twice_and_in_any_size(kind, tmp_path, workspace):
    origin, options = make(kind, tmp_path)
    source = open_source(origin, SourceOptions(**options, batch_rows=1))
    first, _ = read_table(source, workspace)
    second, _ = read_table(source, workspace)
    assert first.n_rows == second.n_rows == 4
    assert first.data.equals(second.data)
    assert max(batch.num_rows for batch in first.data.to_batches()) == 1


@pytest.mark.parametrize("kind", LOCAL)
def test_columns_can_be_chosen_and_ordered(kind, tmp_path, read):
    origin, options = make(kind, tmp_path)
    result = read(origin, **{**options, "columns": ("name", "code")})
    assert result.names == ["name", "code"]
    assert result.columns == {"name": TEXTS["name"], "code": TEXTS["code"]}


@pytest.mark.parametrize("kind", [k for k in LOCAL if "json" not in k and k != "cef:"])
def test_a_column_that_is_not_there_is_refused(kind, tmp_path):
    origin, options = make(kind, tmp_path)
    with pytest.raises(SchemaError, match="no column named 'salary'"):
        open_source(origin, SourceOptions(**{**options, "columns": ("name", "salary")}))


@pytest.mark.parametrize("kind", LOCAL)
def test_repr_and_counts_show_no_cell(kind, tmp_path, workspace):
    origin, options = make(kind, tmp_path)
    source = open_source(origin, SourceOptions(**options))
    table, skipped = read_table(source, workspace)
    shown = repr(source) + repr(table) + repr(skipped)
    assert not any(cell in shown for cells in TEXTS.values() for cell in cells if cell and len(cell) > 2)
    assert "4" not in repr(table) + repr(skipped)


@pytest.mark.parametrize("suffix", sorted(kind for kind in LOCAL if kind.startswith(".")))
@pytest.mark.parametrize("problem", ["missing", "folder", "empty", "no access", "pipe"])
def test_what_is_no_readable_file_is_refused(suffix, problem, tmp_path, monkeypatch):
    path = tmp_path / f"table{suffix}"
    if problem == "folder":
        path.mkdir()
    elif problem == "pipe":
        os.mkfifo(path)
    elif problem != "missing":
        path.write_bytes(b"" if problem == "empty" else b"x")
    if problem == "no access":
        # The superuser may read everything, so that permissions alone would not refuse in a container.
        def refuse(*args, **kwargs):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("pathlib.Path.open", refuse)
    expected = {
        "missing": "does not exist",
        "folder": "is a folder without .csv",
        "empty": "is empty",
        "no access": "may not be read",
        "pipe": "not a regular file",
    }
    with pytest.raises(SourceError, match=expected[problem]):
        open_source(path)


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".txt", ".jsonl", ".csv.gz", ".parquet", ".xlsx"])
@pytest.mark.parametrize(
    "content",
    [
        b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n",
        b"PK\x03\x04\x14\x00\x00\x00\x08\x00SECRET",
        b"\x1f\x8b\x08\x00\x00\x00\x00\x00SECRET",
        bytes(range(256)) * 8,
        b"SQLite format 3\x00" + bytes(100),
        b"PAR1SECRETPAR1",
    ],
    ids=["pdf", "zip", "gzip", "binary", "sqlite", "parquet"],
)
def test_what_is_no_table_is_refused(suffix, content, tmp_path):
    path = tmp_path / f"table{suffix}"
    path.write_bytes(gzip.compress(content) if suffix == ".csv.gz" else content)
    with pytest.raises(SourceError) as caught:
        open_source(path)
    assert "SECRET" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_header_without_rows_is_refused_unless_there_may_be_none(tmp_path, workspace, csv_file):
    origins = [(csv_file("a,b\n"), {}), (pd.DataFrame({"a": [], "b": []}), {})]
    path = tmp_path / "t.parquet"
    pq.write_table(arrow().slice(0, 0), path)
    origins.append((path, {}))
    book = openpyxl.Workbook()
    book.active.append(["a", "b"])
    book.save(tmp_path / "t.xlsx")
    origins.append((tmp_path / "t.xlsx", {}))
    with sqlite3.connect(tmp_path / "t.db") as connection:
        connection.execute("CREATE TABLE t (a, b)")
    connection.close()
    origins.append((f"sqlite:///{tmp_path}/t.db", {"table": "t"}))
    for origin, options in origins:
        source = open_source(origin, SourceOptions(**options))
        with pytest.raises(SourceError, match="no rows"):
            read_table(source, workspace)
        table, _ = read_table(source, workspace, may_be_empty=True)
        assert (table.n_rows, table.names) == (0, source.names)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (["a", "b", "a"], "columns 1 and 3 .* same name"),
        (["a", " ", "b"], "column 2 .* blank name"),
        ([f"c{i}" for i in range(2001)], "2,001 columns and the limit is 2,000"),
    ],
    ids=["repeated", "blank", "too many"],
)
def test_bad_headers_are_refused_by_every_adapter_that_has_one(header, message, tmp_path, csv_file):
    book = openpyxl.Workbook()
    book.active.append(header)
    book.save(tmp_path / "t.xlsx")
    columns = [pa.array(["x"])] * len(header)
    pq.write_table(pa.table(columns, names=header), tmp_path / "t.parquet")
    origins = [
        csv_file(",".join(header) + "\n1,2,3\n"),
        tmp_path / "t.xlsx",
        tmp_path / "t.parquet",
        pd.DataFrame([["x"] * len(header)], columns=header),
    ]
    for origin in origins:
        with pytest.raises(SchemaError, match=message):
            open_source(origin)


def test_a_folder_that_is_not_there_is_said_to_be_missing(tmp_path):
    with pytest.raises(SourceError, match="nohospital does not exist; check the path"):
        open_source(tmp_path / "nohospital")


def test_an_unknown_suffix_lists_the_known_ones(tmp_path):
    with pytest.raises(SourceError) as caught:
        open_source(tmp_path / "table.nosuch")
    message = str(caught.value)
    for known in (".csv", ".csv.gz", ".parquet", ".jsonl", ".xlsx", "sqlite://", "postgresql://", "mysql://"):
        assert known in message


def test_an_error_of_a_library_on_the_way_is_told_without_its_words(workspace):
    class Broken:
        label = "the broken source"
        names = ("a",)
        names_are_public = True
        arrow_schema = pa.schema([("a", pa.string())])

        def batches(self, skipped):
            yield pa.record_batch([pa.array(["x"])], names=["a"])
            raise OSError(28, "could not parse SECRET")

    with pytest.raises(SourceError, match="the broken source cannot be read to its end") as caught:
        read_table(Broken(), workspace)
    assert "SECRET" not in str(caught.value)
    assert [path.name for path in workspace.folder.iterdir()] == ["lock"]

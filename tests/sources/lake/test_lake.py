"""Tables in many Parquet files: partitions, patterns and drift; Delta tables that deltalake writes, in each version."""

from __future__ import annotations

import json
import sys
from decimal import Decimal
from urllib.parse import quote

import deltalake
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privsynth.errors import ConfigError, MissingPackageError, SchemaError, SourceError
from privsynth.schema.definition import Column
from privsynth.sources import SkippedCells, SourceOptions, open_source
from privsynth.sources.protocol import stated_types_of

TABLE = pa.table({"stay": [1, 2, 3, 4], "ward": ["a", "b", "a", None], "year": [2023, 2023, 2024, 2024]})


def write(path, **columns):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)


def test_partitions_that_others_wrote_are_columns(tmp_path, read):
    with duckdb.connect() as connection:
        connection.register("stays", TABLE)
        connection.execute(f"COPY stays TO '{tmp_path / 'd'}' (FORMAT parquet, PARTITION_BY (year, ward))")
    pq.write_to_dataset(TABLE, tmp_path / "p", partition_cols=["year", "ward"])
    expected = sorted((str(r["stay"]), r["ward"], str(r["year"])) for r in TABLE.to_pylist() if r["ward"])
    for name in ("d", "p"):
        result = read(f"parquet:{tmp_path / name}")
        assert result.names == ["stay", "year", "ward"]
        rows = list(zip(*(result.columns[column] for column in ("stay", "ward", "year")), strict=True))
        assert sorted((str(stay), ward, year) for stay, ward, year in rows if ward) == expected
        assert [(stay, year) for stay, ward, year in rows if ward is None] == [(4, "2024")]
        assert stated_types_of(result.source).families == {"stay": "integer"}


def test_a_pattern_names_files_and_keeps_their_partitions(tmp_path, read):
    for month in ("01", "02", "03"):
        write(tmp_path / f"month={month}" / "x.parquet", a=[int(month)])
    assert read(f"parquet:{tmp_path}/month=0[12]/*.parquet").columns == {"a": [1, 2], "month": ["01", "02"]}
    result = read(f"parquet:{tmp_path}/*/*.parquet", columns=("month",))
    assert result.columns == {"month": ["01", "02", "03"]}
    assert read(f"parquet:{tmp_path}/month=01/x.parquet").columns == {"a": [1]}
    with pytest.raises(SourceError, match=r"has no \.parquet files; check the path or the pattern"):
        open_source(f"parquet:{tmp_path}/*.parquet")
    with pytest.raises(SourceError, match="read Parquet files as parquet:PATTERN"):
        open_source(f"{tmp_path}/*.parquet")


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20))
def test_any_value_of_a_partition_comes_back_and_stays_out_of_messages(tmp_path_factory, value):
    folder = tmp_path_factory.mktemp("p")
    write(folder / f"k={quote('S3CRET' + value, safe='')}" / "x.parquet", a=[1])
    source = open_source(f"parquet:{folder}")
    (batch,) = source.batches(SkippedCells())
    assert batch.column("k").to_pylist() == [None if "\0" in value else "S3CRET" + value]
    write(folder / "k=S3CRET" / "y.parquet", b=[1])
    with pytest.raises(SchemaError, match=r"k=…/y\.parquet|k=…/x\.parquet") as caught:
        open_source(f"parquet:{folder}")
    assert "S3CRET" not in str(caught.value)


def test_a_value_of_a_partition_that_is_too_long_is_missing_in_each_row(tmp_path, read):
    write(tmp_path / "k=abcdef" / "x.parquet", a=[1, 2])
    result = read(f"parquet:{tmp_path}", max_cell_chars=5)
    assert (result.columns["k"], result.skipped) == ([None, None], {"unreadable_cells": 2})


DRIFT = {
    "a column more": ({"a": [1], "b": ["x"], "c": [1]}, "has a column 'c' that others"),
    "a column less": ({"a": [1]}, "has no column 'b', which others"),
    "another type": (
        {"a": [1.5], "b": ["x"]},
        "has the column 'a' as double, and others of its table have it as int64",
    ),
    "another scale": ({"a": pa.array([Decimal("1.5")]), "b": ["x"]}, "the column 'a' as decimal128"),
    "another zone": ({"a": pa.array([1], pa.timestamp("us", "UTC")), "b": ["x"]}, "tz=UTC"),
}


@pytest.mark.parametrize("what", DRIFT)
def test_drift_is_refused_with_file_and_column(what, tmp_path):
    columns, message = DRIFT[what]
    write(tmp_path / "part-0.parquet", a=[1], b=["x"])
    write(tmp_path / "part-1.parquet", **columns)
    with pytest.raises(SchemaError, match=rf"part-1\.parquet \(file 2\) .*{message}"):
        open_source(f"parquet:{tmp_path}")


def test_what_is_no_drift(tmp_path, read):
    """Another order, another encoding of texts, a column of which a file has no value."""
    write(tmp_path / "0.parquet", a=pa.nulls(1), b=["x"])
    write(tmp_path / "1.parquet", b=pa.array(["y"]).dictionary_encode(), a=[1])
    write(tmp_path / "2.parquet", a=pa.nulls(1), b=pa.array(["z"], pa.large_string()))
    assert read(f"parquet:{tmp_path}").columns == {"a": [None, 1, None], "b": ["x", "y", "z"]}


def test_what_is_not_whole_or_another_table_is_told(tmp_path):
    write(tmp_path / "k=SECRET" / "0.parquet", a=[1])
    (tmp_path / "k=SECRET" / "1.parquet").write_bytes((tmp_path / "k=SECRET" / "0.parquet").read_bytes()[:50])
    with pytest.raises(SourceError, match=r"k=…/1\.parquet \(file 2\) is no Parquet file, or a damaged") as caught:
        open_source(f"parquet:{tmp_path}")
    assert "SECRET" not in str(caught.value)
    (tmp_path / "k=SECRET" / "1.parquet").write_bytes(b"")
    with pytest.raises(SourceError, match=r"k=…/1\.parquet \(file 2\) is empty"):
        open_source(f"parquet:{tmp_path}")
    (tmp_path / "k=SECRET" / "1.parquet").unlink()
    write(tmp_path / "0.parquet", a=[1])
    with pytest.raises(SourceError, match="lies in other partitions than the files before it"):
        open_source(f"parquet:{tmp_path}")
    (tmp_path / "0.parquet").unlink()
    write(tmp_path / "k=SECRET" / "0.parquet", k=[1])
    with pytest.raises(SchemaError, match="the column k in its files and in names of folders"):
        open_source(f"parquet:{tmp_path}")
    for name, message in (("_temporary", "is being written"), (".hoodie", "Hudi"), ("_delta_log", "read it as delta:")):
        (tmp_path / name).mkdir()
        with pytest.raises(SourceError, match=message):
            open_source(f"parquet:{tmp_path}")
        (tmp_path / name).rmdir()


def test_folders_that_are_tables_of_another_kind_say_how_to_read_them(tmp_path):
    write(tmp_path / "p" / "year=SECRET" / "0.parquet", a=[1])
    deltalake.write_deltalake(str(tmp_path / "d"), pa.table({"k": ["x"], "a": [1]}), partition_by="k")
    for name, prefix in (("p", "parquet"), ("d", "delta")):
        with pytest.raises(SourceError, match=f"as {prefix}:.*/{name}") as caught:
            open_source(tmp_path / name)
        assert "SECRET" not in str(caught.value)
    for suffix, prefix in ((".hl7", "hl7"), (".dcm", "dicom"), (".ndjson", "fhir"), (".zip", None)):
        folder = tmp_path / suffix[1:]
        folder.mkdir()
        (folder / f"x{suffix}").write_text("x")
        with pytest.raises(SourceError, match=f"read it as {prefix}:" if prefix else "name a file of another kind"):
            open_source(folder)


def test_a_file_that_changes_after_it_was_opened_is_refused(tmp_path):
    write(tmp_path / "0.parquet", a=[1])
    source = open_source(f"parquet:{tmp_path}")
    write(tmp_path / "0.parquet", a=["x"])
    with pytest.raises(SchemaError, match="as string"):
        list(source.batches(SkippedCells()))


# --- Delta --------------------------------------------------------------------------------------------------------


@pytest.fixture
def delta(tmp_path):
    """Return a table of three versions: two appended, of which the second brings a column, then rows deleted."""
    path = str(tmp_path / "stays")
    fields = pa.schema([pa.field("stay", pa.int64(), nullable=False), ("ward", pa.string()), ("year", pa.int32())])
    first = TABLE.select(["stay", "ward", "year"]).cast(fields)
    deltalake.write_deltalake(path, first, partition_by=["year", "ward"])
    more = pa.table({"stay": [5], "ward": ["é =/"], "year": pa.array([2025], pa.int32()), "cost": [Decimal("1.50")]})
    more = more.cast(pa.schema([*fields, ("cost", pa.decimal128(10, 2))]))
    deltalake.write_deltalake(path, more, mode="append", schema_mode="merge")
    deltalake.DeltaTable(path).delete("stay = 1")
    return path


def test_each_version_of_a_delta_table(delta, read):
    now = read(f"delta:{delta}")
    assert sorted(now.names) == ["cost", "stay", "ward", "year"]
    assert sorted(now.columns["stay"]) == [2, 3, 4, 5]
    rows = {row[0]: row[1:] for row in zip(*(now.columns[n] for n in ("stay", "ward", "year", "cost")), strict=True)}
    assert rows[5] == ("é =/", 2025, 1.5)
    assert rows[4] == (None, 2024, None)  # the column is younger than the row
    assert sorted(read(f"delta:{delta}?version=0").columns["stay"]) == [1, 2, 3, 4]
    assert "cost" not in read(f"delta:{delta}?version=0").names
    assert sorted(read(f"delta:{delta}?version=1").columns["stay"]) == [1, 2, 3, 4, 5]
    assert now.source.label == f"delta:{delta}?version=2"


def test_the_version_stays_while_others_write(delta):
    source = open_source(f"delta:{delta}", SourceOptions(columns=("year",)))
    deltalake.DeltaTable(delta).delete()
    assert sum(batch.num_rows for batch in source.batches(SkippedCells())) == 4


def test_what_the_log_states(delta):
    stated = stated_types_of(open_source(f"delta:{delta}"))
    assert stated.columns["cost"] == Column(kind="numeric", precision=0.01)
    assert stated.columns["stay"] == Column(nullable=False)
    assert stated.families == {"stay": "integer", "year": "integer"}


def test_a_table_without_rows_has_columns(tmp_path, delta):
    deltalake.DeltaTable(delta).delete()
    source = open_source(f"delta:{delta}")
    assert (list(source.batches(SkippedCells())), len(source.names)) == ([], 4)


def edited(delta, change):
    """Apply a change to the actions of the last commit of a table."""
    log = sorted((delta / "_delta_log").glob("*.json"))[-1]
    actions = [json.loads(line) for line in log.read_text().splitlines()]
    log.write_text("\n".join(json.dumps(change(action)) for action in actions))


def test_a_log_that_points_elsewhere_is_refused(tmp_path):
    write(tmp_path / "secret.parquet", a=[1])
    for n, place in enumerate(("../secret.parquet", f"{tmp_path}/secret.parquet", "%2e%2e/secret.parquet")):
        path = tmp_path / f"t{n}"
        deltalake.write_deltalake(str(path), pa.table({"a": [1]}))

        def change(action, place=place):
            return {"add": {**action["add"], "path": place}} if "add" in action else action

        edited(path, change)
        with pytest.raises(SourceError, match=r"names files outside its folder|could be read as a Delta table"):
            open_source(f"delta:{path}")


def test_features_that_change_rows_are_refused(tmp_path):
    path = tmp_path / "t"
    deltalake.write_deltalake(str(path), pa.table({"a": [1]}))

    def change(action):
        features = {"readerFeatures": ["deletionVectors"], "writerFeatures": ["deletionVectors"]}
        versions = {"minReaderVersion": 3, "minWriterVersion": 7, **features}
        return {"protocol": versions} if "protocol" in action else action

    edited(path, change)
    with pytest.raises(SourceError, match="has deletion vectors, renamed columns or another feature"):
        open_source(f"delta:{path}")


def test_features_that_change_no_row_are_read(tmp_path, read):
    moments = pa.array([0, None], pa.timestamp("us"))
    deltalake.write_deltalake(str(tmp_path / "t"), pa.table({"a": [1, 2], "at": moments}))
    assert deltalake.DeltaTable(str(tmp_path / "t")).protocol().reader_features == ["timestampNtz"]
    result = read(f"delta:{tmp_path}/t")
    assert [cell and cell.year for cell in result.columns["at"]] == [1970, None]


def test_what_is_no_delta_table_is_told(tmp_path, delta, monkeypatch):
    with pytest.raises(SourceError, match="has no version 9 that could be read"):
        open_source(f"delta:{delta}?version=9")
    with pytest.raises(ConfigError, match="needs the number of a version"):
        open_source(f"delta:{delta}?version=x")
    (tmp_path / "none").mkdir()
    with pytest.raises(SourceError, match="has no version that could be read as a Delta table"):
        open_source(f"delta:{tmp_path}/none")
    for place in ("s3://SECRET@bucket/t", str(tmp_path / "missing")):
        with pytest.raises(SourceError, match="is no folder on this machine"):
            open_source(f"delta:{place}")
    log = sorted((tmp_path / "stays" / "_delta_log").glob("*.json"))[-1]
    log.write_text(log.read_text()[:40] + "SECRET")
    with pytest.raises(SourceError, match="check the path and its _delta_log") as caught:
        open_source(f"delta:{delta}")
    assert "SECRET" not in str(caught.value)
    monkeypatch.setitem(sys.modules, "deltalake", None)
    with pytest.raises(MissingPackageError, match=r"install privsynth\[delta\]"):
        open_source(f"delta:{delta}")

"""Several tables at once: from folders, SQLite databases and mappings, parents first, linked as a catalogue states."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from privsynth.errors import ConfigError, SchemaError, SourceError
from privsynth.sources import SkippedCells, SourceOptions, open_source, open_tables, read_tables
from privsynth.sources.linked import MAX_TABLES, Link, chosen, one_snapshot, reading_order

STAY = Link("stay", ("patient_id",), "patient", ("id",))


def n_rows(source):
    return sum(batch.num_rows for batch in source.batches(SkippedCells()))


@pytest.fixture
def folder(tmp_path):
    """Return a folder of three tables and of files that are none."""
    made = tmp_path / "hospital"
    made.mkdir()
    (made / "stay.csv").write_text("id;patient_id\n10;1\n11;1\n12;2\n")
    pq.write_table(pa.table({"id": [1, 2], "sex": ["F", "M"]}), made / "patient.parquet")
    (made / "ward.TSV").write_text("code\tname\nA\tSurgery\n")
    for name in ("README.txt", "notes.md", ".hidden.csv", "_SUCCESS", "_old.csv"):
        (made / name).write_text("x\n")
    (made / "more.csv").mkdir()
    return made


def package(folder, *keys):
    """Write a description of the folder in which the table of stays has these foreign keys."""
    stays = {"name": "stays", "path": "stay.csv", "schema": {"fields": [], "foreignKeys": list(keys)}}
    people = {"name": "people", "path": "./patient.parquet"}
    (folder / "datapackage.json").write_text(json.dumps({"resources": [stays, people]}))


def key(fields, resource, there):
    return {"fields": fields, "reference": {"resource": resource, "fields": there}}


@pytest.fixture
def database(tmp_path):
    """Return the URL of a database whose tables refer to each other, one of them to itself."""
    with sqlite3.connect(tmp_path / "h.db") as connection:
        connection.executescript(
            "CREATE TABLE a_lab (stay INT REFERENCES stay, visit INT, day INT, FOREIGN KEY (visit, day) REFERENCES "
            "visit (id, day)); CREATE TABLE stay (id INT PRIMARY KEY, patient_id INT REFERENCES patient (id), "
            "before INT REFERENCES stay (id)); CREATE TABLE visit (id INT, day INT, PRIMARY KEY (id, day));"
            "CREATE TABLE patient (id INT PRIMARY KEY); INSERT INTO patient VALUES (1), (2);"
            "INSERT INTO stay VALUES (10, 1, NULL), (11, 1, 10); CREATE VIEW old AS SELECT * FROM stay;"
        )
    connection.close()
    return f"sqlite:///{tmp_path}/h.db"


def test_files_of_a_folder_are_tables(folder, workspace):
    linked = open_tables(folder)
    assert linked.links() == ()
    read = read_tables(linked, workspace)
    assert {name: (table.names, table.n_rows) for name, (table, _) in read.items()} == {
        "patient": (["id", "sex"], 2),
        "stay": (["id", "patient_id"], 3),
        "ward": (["code", "name"], 1),
    }
    assert read["patient"][0].data.schema.field("id").type == pa.int64()
    assert list(open_tables(folder, SourceOptions(tables=("ward", "stay"))).tables()) == ["ward", "stay"]
    assert repr(linked) == f"FolderSource({folder}, 3 tables)"


def test_one_file_of_a_folder_is_a_table(folder, read):
    assert read(folder, table="stay").columns == {"id": ["10", "11", "12"], "patient_id": ["1", "1", "2"]}
    with pytest.raises(ConfigError, match="has several tables: patient, stay, ward; name the one to read with"):
        open_source(folder)
    with pytest.raises(SourceError, match="no table named 'bed'; it has patient, stay, ward"):
        open_source(folder, SourceOptions(table="bed"))


def test_a_data_package_links_the_files(folder):
    package(folder, key("patient_id", "people", "id"), key(["id"], "", ["patient_id"]), key("id", "elsewhere", "x"))
    linked = open_tables(folder)
    assert linked.links() == (STAY, Link("stay", ("id",), "stay", ("patient_id",)))
    (folder / "patient.parquet").rename(folder / "z_patient.parquet")
    assert open_tables(folder).links() == (Link("stay", ("id",), "stay", ("patient_id",)),)
    assert open_tables(folder, SourceOptions(tables=("ward",))).links() == ()


@pytest.mark.parametrize("text", ["[", "[]", '{"resources": [1]}', '{"resources": [{"path": "SECRET"}]}', "[" * 10**5])
def test_a_data_package_that_is_none_is_refused(folder, text):
    (folder / "datapackage.json").write_text(text)
    with pytest.raises(SourceError, match="is no data package") as caught:
        open_tables(folder)
    assert "SECRET" not in str(caught.value)


def test_relationships_of_a_data_contract_are_links(folder):
    (folder / "hospital.odcs.yaml").write_text(
        "apiVersion: v3.1.0\nkind: DataContract\nschema:\n"
        "  - name: people\n    physicalName: patient\n    properties: [{name: id, primaryKey: true}]\n"
        "  - name: stay\n    properties:\n"
        "      - {name: id}\n      - {name: patient_id, relationships: [{to: people.id}, {to: /schema/x/id}]}\n"
        "    relationships:\n"
        "      - {type: foreignKey, from: [stay.id, stay.patient_id], to: [stay.patient_id, stay.id]}\n"
        "      - {from: stay.id, to: elsewhere.id}\n"
    )
    both = Link("stay", ("id", "patient_id"), "stay", ("patient_id", "id"))
    assert open_tables(folder).links() == (both, STAY)
    (folder / "hospital.odcs.yaml").write_text("schema: [SECRET]\n")
    with pytest.raises(SourceError, match="is no data contract") as caught:
        open_tables(folder)
    assert "SECRET" not in str(caught.value)


def test_metadata_of_sdv_propose_links_and_other_metadata_none(folder):
    relation = {"parent_table_name": "patient", "parent_primary_key": "id",
                "child_table_name": "stay", "child_foreign_key": "patient_id"}  # fmt: skip
    told = {"METADATA_SPEC_VERSION": "V1", "tables": {}, "relationships": [relation]}
    (folder / "metadata.json").write_text(json.dumps(told))
    assert open_tables(folder).links() == (replace(STAY, proposed=True),)
    package(folder, key("patient_id", "people", "id"))  # what states links comes before what proposes them
    assert open_tables(folder).links() == (STAY,)
    (folder / "datapackage.json").unlink()
    (folder / "metadata.json").write_text(json.dumps({"relationships": [relation]}))
    assert open_tables(folder).links() == ()


def test_a_foreign_key_of_columns_that_are_not_there_is_refused(folder):
    package(folder, key("nobody", "people", "id"))
    with pytest.raises(SourceError, match="links a column that the table stay does not have"):
        open_tables(folder)


def test_two_files_of_one_table_are_refused(folder):
    (folder / "stay.parquet").write_bytes(b"x")
    with pytest.raises(SourceError, match="would be one table"):
        open_tables(folder)


def test_a_damaged_file_is_named(folder):
    (folder / "patient.parquet").write_bytes((folder / "patient.parquet").read_bytes()[:-20])
    with pytest.raises(SourceError, match=r"patient\.parquet is no Parquet file, or a damaged"):
        open_tables(folder)
    (folder / "stay.csv").write_text("a,a\n")
    with pytest.raises(SchemaError, match="same name"):
        open_tables(folder, SourceOptions(tables=("stay",)))


def test_foreign_keys_link_the_tables_of_a_database(database, workspace):
    linked = open_tables(database)
    assert set(linked.links()) == {
        STAY,
        Link("stay", ("before",), "stay", ("id",)),
        Link("a_lab", ("stay",), "stay", ("id",)),
        Link("a_lab", ("visit", "day"), "visit", ("id", "day")),
    }
    read = read_tables(linked, workspace, may_be_empty=True)
    assert list(read) == ["patient", "visit", "stay", "a_lab"]
    assert read["stay"][0].column("before").to_pylist() == [None, "10"]
    few = open_tables(database, SourceOptions(tables=("old", "main.patient")))
    assert (list(few.tables()), few.links()) == (["old", "patient"], ())
    with pytest.raises(SourceError, match="no table named 'beds'; it has a_lab, old, patient, stay, visit"):
        open_tables(database, SourceOptions(tables=("beds",)))


def test_the_tables_of_an_sqlite_database_are_read_in_one_state(database, tmp_path):
    with sqlite3.connect(tmp_path / "h.db") as connection:
        connection.execute("PRAGMA journal_mode = wal")
    linked = open_tables(database)
    with one_snapshot(linked):
        assert n_rows(linked.tables()["patient"]) == 2
        with sqlite3.connect(tmp_path / "h.db") as other:
            other.execute("DELETE FROM stay")
        other.close()
        assert n_rows(linked.tables()["stay"]) == 2
    assert n_rows(linked.tables()["stay"]) == 0


def test_tables_can_be_given_by_name(folder, workspace):
    given = {"patient": pd.DataFrame({"id": [1]}), "stay": folder / "stay.csv"}
    read = read_tables(open_tables(given), workspace)
    assert {name: table.n_rows for name, (table, _) in read.items()} == {"patient": 1, "stay": 3}
    assert list(open_tables(given, SourceOptions(tables=("stay",))).tables()) == ["stay"]
    with pytest.raises(ConfigError, match="no table named 'x' is given"):
        open_tables(given, SourceOptions(tables=("x",)))


def test_what_is_one_table_and_options_of_one_table_are_refused(folder):
    with pytest.raises(ConfigError, match=r"a delimited text file \(\.csv\) is one table"):
        open_tables(folder / "stay.csv")
    with pytest.raises(ConfigError, match=r"a pandas DataFrame is one table"):
        open_tables(pd.DataFrame())
    for wrong in ({"table": "stay"}, {"columns": ("id",)}, {"sheet": "x"}):
        with pytest.raises(ConfigError, match=f"option {next(iter(wrong))}"):
            open_tables(folder, SourceOptions(**wrong))
    with pytest.raises(ConfigError, match="option tables"):
        open_source(folder, SourceOptions(tables=("stay",)))


def test_a_link_needs_as_many_columns_on_both_sides():
    for columns in ((), ("a", "b")):
        with pytest.raises(ConfigError, match="as many columns on both sides"):
            Link("x", columns, "y", ("a",))


def test_parents_come_before_children_and_circles_stay_as_they_are():
    links = [Link("a", ("x",), "c", ("x",)), Link("c", ("x",), "b", ("x",)), Link("a", ("x",), "a", ("y",))]
    assert reading_order(["a", "b", "c", "d"], links) == ["b", "d", "c", "a"]
    assert reading_order(["a", "b", "c"], [*links, Link("b", ("x",), "a", ("x",))]) == ["a", "b", "c"]
    assert reading_order(["a"], [Link("a", ("x",), "elsewhere", ("x",))]) == ["a"]


def test_too_many_tables_are_refused_and_a_choice_of_them_is_not():
    names = [f"t{i}" for i in range(MAX_TABLES + 1)]
    with pytest.raises(ConfigError, match=f"has {MAX_TABLES + 1} tables and the limit is {MAX_TABLES}"):
        chosen(names, "x", SourceOptions())
    assert chosen(names, "x", SourceOptions(tables=("t7", "t3"))) == ["t7", "t3"]

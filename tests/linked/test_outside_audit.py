"""`privsynth audit` on linked tables from anywhere: real and synthetic folders, and the schema that links them."""

from __future__ import annotations

import copy
import json

import jsonschema
import pandas as pd
import pytest
import yaml
from click.testing import CliRunner
from linked.clinic import SPEC as CLINIC
from linked.clinic import clinic
from linked.orders import SPEC as SHOP
from linked.orders import shop
from linked.ward import SPEC as WARD
from linked.ward import ward

import privsynth
from privsynth.cli import main
from privsynth.errors import ConfigError, SchemaError, SourceError
from privsynth.report.report_data import json_schema


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("PRIVSYNTH_HOME", str(tmp_path / "home"))


def written(frames, place):
    place.mkdir()
    for name, frame in frames.items():
        frame.to_csv(place / f"{name}.csv", index=False)
    return place


def audited(tmp_path, synthetic, *, spec=CLINIC, code=0):
    """Run the command on folders and return the officer's report."""
    real, held = (written(clinic(400, seed), tmp_path / name) for name, seed in (("real", 1), ("held", 2)))
    (tmp_path / "schema.yaml").write_text(yaml.safe_dump(spec, sort_keys=False))
    told = ["--real", str(real), "--holdout", str(held), "--synthetic", str(written(synthetic, tmp_path / "other"))]
    run = CliRunner().invoke(
        main,
        ["audit", *told, "--schema", str(tmp_path / "schema.yaml"), "--audit", "quick", "--out", str(tmp_path / "out")],
    )
    assert run.exit_code == code, run.output
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    jsonschema.validate(report, json_schema())
    return report, run.output


def figures(report, name):
    return {finding["group"]: finding["value"] for finding in report["findings"] if finding["name"] == name}


def test_sound_tables_pass_and_the_report_says_what_they_are(tmp_path):
    report, _ = audited(tmp_path, clinic(400, 3))
    assert report["kind"] == "officer"
    assert [(t["name"], t["parent"]) for t in report["tables"]] == [
        ("patients", ""), ("stays", "patients"), ("tests", "stays")
    ]  # fmt: skip
    assert set(figures(report, "orphans").values()) == {0}
    assert set(figures(report, "rule_violations").values()) == {0}
    assert len(figures(report, "rule_violations")) == len(report["rules"]) == 2
    assert figures(report, "transition_distance_mean")
    assert not [finding for finding in report["findings"] if finding["verdict"] == "fail"]
    html = (tmp_path / "out" / "report.html").read_text()
    assert "stays" in html


def test_faults_of_keys_and_rules_fail_with_exit_code_3(tmp_path):
    frames = clinic(400, 3)
    frames["tests"].loc[:9, "stay"] = "nowhere"
    frames["stays"].loc[0, "stay_id"] = frames["stays"]["stay_id"][1]
    frames["stays"]["ward"] = "obstetrics"
    frames["stays"] = frames["stays"].drop(columns="days")
    report, output = audited(tmp_path, frames, code=3)
    assert figures(report, "orphans")["tests"] == pytest.approx(10 / len(frames["tests"]))
    assert figures(report, "repeated_keys")["stays"] > 0
    assert figures(report, "rule_violations")["stays: `parent.sex` = M => ward != obstetrics"] > 0.3
    assert report["officer"]["audit"]["not_compared"] == ["stays: days"]
    assert "has no such column: stays: days" in output


def test_frames_with_keys_of_several_columns_and_references(tmp_path):
    for spec, make, group in ((SHOP, shop, "orders"), (WARD, ward, "measurements: visit")):
        out = tmp_path / group.replace(": ", "-")
        found = privsynth.audit_table(real=make(300, 1), synthetic=make(300, 2), schema=spec, out=out, level="quick")
        names = {f.name: f for f in found.findings if f.group == group}
        assert (names.get("orphans") or names["dangling_references"]).verdict == "pass"
    broken = ward(300, 2)
    broken["measurements"]["visit"] = broken["measurements"]["visit"].iloc[::-1].to_numpy()
    found = privsynth.audit_table(
        real=ward(300, 1), synthetic=broken, schema=WARD, out=tmp_path / "broken", level="quick"
    )
    (dangling,) = [f for f in found.findings if f.group == "measurements: visit" and f.name == "dangling_references"]
    assert dangling.verdict == "fail"
    assert dangling.value > 0.5
    assert found.verdict == "fail"


def test_a_release_of_ours_has_no_faults(tmp_path):
    made = privsynth.synthesize(ward(400), schema=WARD, epsilon=10, out=tmp_path / "made", audit="none", anyway=True)
    found = privsynth.audit_table(
        real=ward(400), synthetic=made.release.tables(), schema=WARD, out=tmp_path / "out", level="quick"
    )
    faults = ("orphans", "repeated_keys", "rows_out_of_order", "dangling_references")
    exact = [f for f in found.findings if f.name in faults]
    assert len(exact) == 11
    assert {f.verdict for f in exact} == {"pass"}


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        ({"schema": None}, ConfigError, "several tables need a schema"),
        ({"model": "somewhere"}, ConfigError, "an audit of linked tables takes no"),
        ({"synthetic": {"patients": pd.DataFrame({"patient_id": ["a"]})}}, (SourceError, ConfigError), "stays"),
        ({"synthetic": pd.DataFrame({"a": [1]})}, ConfigError, "needs several"),
    ],
)
def test_what_cannot_be_audited_is_said(change, error, sentence, tmp_path):
    told = {"real": clinic(20), "synthetic": clinic(20), "schema": CLINIC, "out": tmp_path / "out", **change}
    with pytest.raises(error, match=sentence):
        privsynth.audit_table(**told)
    assert not (tmp_path / "out").exists()


def test_tables_without_a_key_are_said(tmp_path):
    frames = clinic(20)
    frames["stays"] = frames["stays"].drop(columns="patient")
    with pytest.raises(SchemaError, match="the synthetic table 'stays' has no column 'patient'"):
        privsynth.audit_table(real=clinic(20), synthetic=frames, schema=copy.deepcopy(CLINIC), out=tmp_path / "out")

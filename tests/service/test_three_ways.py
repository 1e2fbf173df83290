"""The same release by a page, by the API and by the command line: only the noise differs."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pipeline.admissions import run as command
from pipeline.admissions import schema
from service.people import form_token
from service.releases import desk, worker_of
from service.serving import served
from service.test_remote import Terminal

from privsynth.service.runs.look_up import some_runs

# Of a report, what was asked for and what it cost. What was found in rows, with noise, differs from run to run: how
# many bins a column gets, and for how many figures of the report that is enough.
SETTINGS = ("dataset", "kind", "language", "policy", "rules", "signer", "tool_version", "unsigned", "columns")
PROMISE = ("accountant", "delta", "epsilon", "holdout_fraction", "max_rows_per_unit", "mu", "mu_delta", "unit")


def told(public: Path) -> dict[str, Any]:
    """Return settings, plan and bill of a release, as its public report states them."""
    report = json.loads((public / "report.json").read_text())
    for column in report["columns"]:
        column["domain"] = re.sub(r"\d+ bins, found with noise", "bins, found with noise", column["domain"])
    bill = report["guarantee"]["spends"]
    for part in bill:
        if part["label"] == "report":
            assert 0 < part["share"] <= report["guarantee"]["report_share"]
            del part["share"], part["mechanism"]
    return {
        "settings": {name: report[name] for name in SETTINGS},
        "generator": {name: report["generator"][name] for name in ("name", "version", "private")},
        "promise": {name: report["guarantee"][name] for name in PROMISE},
        "bill": bill,
        "schema": hashlib.sha256((public / "schema.yaml").read_bytes()).hexdigest(),
    }


def digest(facts: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


@pytest.mark.slow
def test_a_page_the_api_and_the_command_line_make_the_same_release(institution, tmp_path):
    at = desk(institution, tmp_path)
    browser = institution.browser("sam")
    form = {"form_token": form_token(browser.get("/runs/new").text), "source": at.source.id, "epsilon": "1",
            "generator": "marginal", "audit": "none", "anyway": "true", "purpose": "a course"}  # fmt: skip
    assert browser.post("/runs", data=form).status_code == 303
    asked = ("--epsilon", "1", "--generator", "marginal", "--audit", "none", "--anyway")
    with served(at.service) as url:
        sam = Terminal(url, institution, tmp_path, at.submitter)
        sam("synthesize", "Admissions 2024", *asked, "--purpose", "a course", "--no-wait")
    assert [worker_of(at.service).once() for _ in range(3)] == [True, True, False]
    runs = some_runs(at.service, at.submitter)
    assert len({run.settings for run in runs}) == 1
    made = [at.service.release_folder(run.id) / "draft" / "public" for run in runs]
    declared = tmp_path / "schema.yaml"
    declared.write_text(yaml.safe_dump(schema()))
    done = command(
        "synthesize", tmp_path / "drop" / "admissions.csv", "--schema", declared, "--dataset", "admissions",
        "--policy", "public", "--key", "service", "--out", tmp_path / "out", *asked,
    )  # fmt: skip
    assert done.exit_code in (0, 3), done.output
    found = [told(public) for public in (*made, tmp_path / "out" / "public")]
    assert found[0] == found[1] == found[2]
    assert len({digest(one) for one in found}) == 1
    assert found[0]["promise"]["epsilon"] == 1.0
    assert found[0]["bill"]
    tables = {(public / "data.parquet").read_bytes() for public in (*made, tmp_path / "out" / "public")}
    assert len(tables) == 3  # each drew noise of its own

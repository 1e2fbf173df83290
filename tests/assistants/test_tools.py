"""What a language model may read: public releases, and nothing else, whatever it asks for."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from pathlib import Path

import pytest
import yaml
from mcp import Client
from pipeline.admissions import COLUMNS, FAST, NEEDLE, RELEASED, admissions, run, schema, spent, tree, write

from privsynth.assistants.server import create_server
from privsynth.assistants.tools import MOST_ROWS, Shelf
from privsynth.signing.store import load_keyring
from privsynth.workspace import privsynth_home

TOOLS = {"list_releases", "verify_release", "explain_report", "sample_rows", "answer_question", "plan_release"}
ARGUMENTS = {
    "list_releases": {},
    "verify_release": {"release": "first"},
    "explain_report": {"release": "first"},
    "sample_rows": {"release": "first", "rows": 5, "given": ["ward = ICU"]},
    "answer_question": {"release": "first", "question": "count by ward"},
    "plan_release": {"columns": list(COLUMNS), "schema": yaml.safe_dump(schema()), "epsilon": 1, "expect_rows": 5000},
}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A folder with one signed release, and the home of who made it."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "home").mkdir()
    os.environ["PRIVSYNTH_HOME"] = str(folder / "home")
    try:
        run("keys", "init", "--no-passphrase", "--holder", "Office")
        table, told = write(folder, "a.csv", admissions(400)), write(folder, "s.yaml", schema())
        (folder / "shelf").mkdir()
        done = run("synthesize", table, "--schema", told, "--epsilon", 10, "--key", "default", *FAST,
                   "--out", folder / "shelf" / "first")  # fmt: skip
        assert done.exit_code in RELEASED, done.output
    finally:
        del os.environ["PRIVSYNTH_HOME"]
    return folder


@pytest.fixture
def shelf(made) -> Shelf:
    return Shelf((made / "shelf",), (load_keyring(made / "home"),))


def call(shelf: Shelf, tool: str, **arguments):
    """Call a tool as a client does; return whether it was refused, and what it said."""

    async def ask():
        async with Client(create_server(shelf)) as client:
            return await client.call_tool(tool, arguments)

    result = asyncio.run(ask())
    told = "\n".join(block.text for block in result.content)
    return bool(result.is_error), told


def answer(shelf: Shelf, tool: str, **arguments) -> dict:
    refused, told = call(shelf, tool, **arguments)
    assert not refused, told
    return json.loads(told)


def test_these_tools_are_there_and_no_others(shelf):
    async def ask():
        async with Client(create_server(shelf)) as client:
            return await client.list_tools()

    tools = asyncio.run(ask()).tools
    assert {tool.name for tool in tools} == TOOLS == set(ARGUMENTS)
    assert all(tool.annotations.read_only_hint for tool in tools)


def test_a_release_is_found_verified_and_explained(shelf):
    assert call(shelf, "list_releases") == (False, "first/public")
    signed = answer(shelf, "verify_release", release="first")
    assert (signed["verified"], signed["signer"], signed["dataset"]) == (True, "Office", "admissions")
    told = answer(shelf, "explain_report", release="first")
    assert told["promise"] == "(10, 1e-06)-differential privacy for each patient, of which at most 2 rows were used"
    verdicts = [one["verdict"] for one in told["worst_findings"]]
    ranks = ["fail", "review", "insufficient", "info", "pass"]
    assert verdicts == sorted(verdicts, key=ranks.index)
    assert "ward" in told["usable"]["resolved"]


def test_rows_and_answers_come_from_what_was_published(shelf):
    drawn = answer(shelf, "sample_rows", **ARGUMENTS["sample_rows"])["rows"].splitlines()
    assert len(drawn) == 6
    assert all("ICU" in line for line in drawn[1:])
    found = answer(shelf, "answer_question", release="first", question="count by ward")
    assert {row["group"]["ward"] for row in found["rows"]} >= {"ICU", "ER", "surgery"}


def test_a_plan_opens_no_table(shelf):
    told = answer(shelf, "plan_release", **ARGUMENTS["plan_release"])
    assert (told["dataset"], told["epsilon"]) == ("admissions", 1.0)
    assert told["outlooks"][0]["rows"] == 5000


def test_nothing_is_spent_written_or_told_of_a_person(shelf, made):
    before = {"home": tree(privsynth_home()), "made": tree(made)}
    for tool, arguments in ARGUMENTS.items():
        refused, told = call(shelf, tool, **arguments)
        assert not refused
        assert NEEDLE not in told
    assert spent() == {}
    assert {"home": tree(privsynth_home()), "made": tree(made)} == before


@pytest.mark.parametrize(
    "name",
    [
        "first/officer",
        "../a.csv",
        "..",
        "/etc",
        "first/../../home",
        "nowhere",
        "a\0b",
        "x" * 5000,
        "first/public/model",
    ],
)
@pytest.mark.parametrize("tool", ["verify_release", "explain_report", "sample_rows", "answer_question"])
def test_what_is_no_public_release_in_the_folders_is_refused(shelf, tool, name):
    refused, told = call(shelf, tool, **{**ARGUMENTS[tool], "release": name})
    assert refused
    assert "Traceback" not in told
    assert NEEDLE not in told


def test_officers_parts_and_links_out_are_not_found(made, tmp_path):
    shutil.copytree(made / "shelf" / "first" / "officer", tmp_path / "shelf" / "public")  # under a name that misleads
    (tmp_path / "shelf" / "link").symlink_to(made / "shelf" / "first" / "public")
    away = Shelf((tmp_path / "shelf",))
    assert away.releases() == []
    for name in (".", "public", "link"):
        assert call(away, "explain_report", release=name)[0]


def test_an_edited_report_says_so(made, tmp_path):
    shutil.copytree(made / "shelf", tmp_path / "shelf")
    report = tmp_path / "shelf" / "first" / "public" / "report.json"
    report.write_text(report.read_text().replace('"epsilon": 10.0', '"epsilon": 0.1'))
    shelf = Shelf((tmp_path / "shelf",), (load_keyring(made / "home"),))
    told = answer(shelf, "explain_report", release="first")
    assert told["signature"]["verified"] is False
    assert told["signature"]["intact"] is False


@pytest.mark.parametrize("rows", [0, -1, MOST_ROWS + 1])
def test_more_rows_than_an_answer_holds_are_refused(shelf, rows):
    refused, told = call(shelf, "sample_rows", release="first", rows=rows)
    assert refused
    assert "between 1 and 1,000" in told


@pytest.mark.parametrize(
    "text",
    [
        "columns: {a: {kind: categorical, hierarchy: {file: /etc/passwd}}}",
        "tables: {}",
        "- a",
        "unit: [",
        "x" * 2_000_000,
    ],
)
def test_a_schema_opens_no_file_and_breaks_nothing(shelf, text):
    refused, told = call(shelf, "plan_release", columns=["a"], schema=text, epsilon=1)
    assert refused
    assert "root:" not in told
    assert "Traceback" not in told

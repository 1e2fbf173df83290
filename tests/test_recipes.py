"""The recipes of CONTRIBUTING.md work: their blocks are what runs here, installed as a package of somebody else."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest
from outside import install
from pipeline.admissions import admissions, run, schema, write
from sources.test_source_contract import NAMES, ROWS, TEXTS, spelled

from privsynth.audit import registry
from privsynth.errors import SourceError
from privsynth.extensions import Extension
from privsynth.ledger.ledger import Ledger
from privsynth.report.report_data import json_schema
from privsynth.sources import SourceOptions, open_source, read_table
from privsynth.sources.registry import extension_of
from privsynth.workspace import Workspace, privsynth_home

PAGE = (Path(__file__).parent.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
SOURCE = {"kind": "source", "name": ".jsonrows", "distribution": "toys", "version": "1.2"}
AUDIT = {"kind": "audit", "name": "repeats", "distribution": "toys", "version": "1.2"}


def block(heading: str, language: str) -> str:
    """Return the one block of a language below a heading."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", section, flags=re.M | re.S)
    return found


@pytest.fixture
def recipes(monkeypatch, tmp_path):
    """Install the examples under the entry points that the page gives."""
    registry._installed.cache_clear()
    points = tomllib.loads(block("From another package", "toml"))["project"]["entry-points"]
    modules = {
        "json_rows": block("A new source", "python"),
        "repeated_rows": block("A new audit", "python"),
    }
    install(monkeypatch, tmp_path / "site", points, modules=modules)
    monkeypatch.setattr("privsynth.audit.registry.AUDITS", {"rules": registry.AUDITS["rules"]})  # the others take long
    yield
    registry._installed.cache_clear()


def json_rows(folder: Path, rows: list) -> Path:
    return write(folder, "t.jsonrows", "\n".join(json.dumps(row) for row in rows) + "\n")


@pytest.mark.usefixtures("recipes")
def test_the_source_gives_the_table_that_every_source_must_give(tmp_path):
    rows = [[spelled(cell) if not isinstance(cell, int | float) else cell for cell in row] for row in ROWS]
    path = json_rows(tmp_path, [NAMES, *rows])
    with Workspace(tmp_path / "home") as workspace:
        for batch_rows in (1, 50_000):
            table, skipped = read_table(open_source(path, SourceOptions(batch_rows=batch_rows)), workspace)
            assert {name: table.column(name).to_pylist() for name in table.names} == TEXTS
            assert skipped.total == 0
        chosen, _ = read_table(open_source(path, SourceOptions(columns=("name", "code"))), workspace)
    assert chosen.names == ["name", "code"]
    assert repr(open_source(path)) == f"JsonRowsSource({path}, 6 columns)"
    assert extension_of(path) == Extension("source", ".jsonrows", "toys", "1.2")


@pytest.mark.usefixtures("recipes")
def test_the_source_keeps_to_one_bad_row(tmp_path):
    path = json_rows(tmp_path, [["a", "b"], ["1"], ["2", "x", "y"], {"a": 3}, ["4", [5]]])
    path.write_text(path.read_text() + "not json\n")
    with Workspace(tmp_path / "home") as workspace:
        table, skipped = read_table(open_source(path), workspace)
    assert table.column("a").to_pylist() == ["1", "2", "4"]
    assert table.column("b").to_pylist() == [None, "x", None]
    counts = skipped.as_dict()
    assert (counts["short_rows"], counts["long_rows"], counts["bad_json_lines"]) == (1, 1, 2)
    with pytest.raises(SourceError, match="does not begin with an array of names"):
        open_source(write(tmp_path, "u.jsonrows", "{}\n"))


@pytest.mark.usefixtures("recipes")
def test_a_release_with_both_names_them_in_both_reports(tmp_path):
    lines = [line.split(",") for line in admissions().splitlines()]
    source, described = json_rows(tmp_path, lines), write(tmp_path, "s.yaml", schema())
    out = tmp_path / "out"
    args = ("--schema", described, "--out", out, "--epsilon", 3, "--delta", 1e-6)
    made = run("synthesize", source, "--anyway", *args, "--generator", "marginal", "--audit", "quick")
    assert made.exit_code in (0, 3), made.output
    for folder in ("public", "officer"):
        report = json.loads((out / folder / "report.json").read_text())
        assert report["extensions"] == [SOURCE, AUDIT], folder
        assert "toys 1.2" in (out / folder / "report.html").read_text()
    found = {finding["name"] for finding in report["findings"]}
    assert "repeated_rows" in found
    public = json.loads((out / "public" / "report.json").read_text())
    assert "repeated_rows" not in {finding["name"] for finding in public["findings"]}
    assert "Rows that repeat another row" in (out / "officer" / "report.html").read_text()
    assert json_schema()["properties"]["extensions"]


def test_a_package_that_cannot_be_imported_costs_nothing(monkeypatch, tmp_path):
    registry._installed.cache_clear()
    points = {"privsynth.audits": {"repeats": "repeated_rows:AUDIT"}}
    install(monkeypatch, tmp_path / "site", points, modules={"repeated_rows": "import no_such_module"})
    source, described = write(tmp_path, "t.csv", admissions()), write(tmp_path, "s.yaml", schema())
    args = ("--schema", described, "--out", tmp_path / "out", "--epsilon", 3, "--delta", 1e-6)
    made = run("synthesize", source, "--anyway", *args, "--generator", "marginal", "--audit", "quick")
    assert made.exit_code == 2
    assert "cannot be imported (ModuleNotFoundError)" in made.output
    assert Ledger(privsynth_home()).account("admissions").spent_epsilon_units == 0
    registry._installed.cache_clear()

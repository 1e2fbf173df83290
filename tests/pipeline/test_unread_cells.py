"""A file in another encoding: the operator hears of it, the officer has a finding, and nobody else learns it."""

from __future__ import annotations

import json

import pytest
from pipeline.admissions import FAST, run, write

TABLE = "ward;name\n" + "ICU;Müller\nER;Weiß\nICU;Smith\n" * 40


@pytest.fixture
def released(tmp_path):
    """Return what a run of the table in some encoding says, and the texts of both folders."""

    def go(encoding, *args):
        source = write(tmp_path, "table.csv", TABLE.encode(encoding))
        out = tmp_path / "out"
        made = run("synthesize", source, "--unit", "row", "--epsilon", 2, "--out", out, *FAST, *args)
        assert made.exit_code == 0, made.output
        public = "".join(p.read_text(errors="replace") for p in (out / "public").rglob("*") if p.is_file())
        return made, public, json.loads((out / "officer" / "report.json").read_text())

    return go


def test_cells_that_do_not_decode_are_told_and_an_encoding_is_proposed(released):
    made, public, officer = released("cp1252")
    assert "80 cells hold bytes that are not UTF-8" in made.stderr
    assert "with the option 'encoding': cp1252" in made.stderr
    (finding,) = [f for f in officer["findings"] if f["name"] == "undecodable_cells"]
    assert finding["visibility"] == "officer"
    assert finding["verdict"] == "review"
    assert (finding["value"], finding["n"]) == (80 / 240, 240)
    assert "not UTF-8" in finding["meaning"]
    assert "cp1252" in finding["meaning"]
    assert "undecodable_cells" not in public
    assert "cp1252" not in public


def test_the_right_encoding_says_nothing(released):
    made, _, officer = released("cp1252", "--encoding", "cp1252")
    assert "decode" not in made.output
    assert not [f for f in officer["findings"] if f["name"] == "undecodable_cells"]


def test_json_tells_it_to_the_officer_only(released):
    made, _, _ = released("cp1252", "--json")
    assert "undecodable" not in made.stdout
    assert json.loads(made.stdout)["verdict"] != "fail"
    assert "80 cells" in made.stderr

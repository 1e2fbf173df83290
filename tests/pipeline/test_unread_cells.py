"""A file in another encoding: the operator hears of it, the officer has a finding, and nobody else learns it."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from pipeline.admissions import FAST, RELEASED, run, write

from privsynth.pipeline.audits.audit_inputs import compared_facts, typed_frame
from privsynth.schema.files import load_schema
from privsynth.sources import open_source, read_table
from privsynth.workspace import Workspace

TABLE = "ward;name\n" + "ICU;Müller\nER;Weiß\nICU;Smith\n" * 40


@pytest.fixture
def released(tmp_path):
    """Return what a run of the table in some encoding says, and the texts of both folders."""

    def go(encoding, *args):
        source = write(tmp_path, "table.csv", TABLE.encode(encoding))
        out = tmp_path / "out"
        made = run("synthesize", source, "--unit", "row", "--epsilon", 2, "--out", out, *FAST, *args)
        assert made.exit_code in RELEASED, made.output
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


COMMAS = "price;age\n" + "1,25;30\n2,5;41\n3;52\n" * 40


def declared(**changes):
    column = {"kind": "numeric", "precision": 0.01, "minimum": 0, "maximum": 9} | changes
    return {"columns": {"price": column, "age": {"kind": "integer", "minimum": 0, "maximum": 120}}}


@pytest.fixture
def priced(tmp_path):
    """Return what a run of prices with decimal commas says, and the officer's findings of them."""

    def go(schema):
        source = write(tmp_path, "prices.csv", COMMAS)
        path, out = write(tmp_path, "schema.yaml", schema), tmp_path / "out"
        made = run("synthesize", source, "--unit", "row", "--epsilon", 2, "--out", out, "--schema", path, *FAST)
        assert made.exit_code in RELEASED, made.output
        findings = json.loads((out / "officer" / "report.json").read_text())["findings"]
        public = "".join(p.read_text(errors="replace") for p in (out / "public").rglob("*") if p.is_file())
        skipped = json.loads((out / "officer" / "run.json").read_text())["skipped"]
        return made, [f for f in findings if f["name"] == "comma_cells"], skipped["comma_cells"], public

    return go


def test_decimal_commas_that_nobody_declared_are_counted_and_told(priced):
    made, (finding,), skipped, public = priced(declared())
    assert "80 cells of 'price' hold a comma" in made.stderr
    assert 'declare decimal: ","' in made.stderr
    assert (finding["value"], finding["n"], finding["visibility"]) == (80 / 120, 120, "officer")
    assert skipped == 80
    assert "comma_cells" not in public


@pytest.mark.parametrize("changes", [{"decimal": ","}, {"precision": None}, {"kind": None}])
def test_decimal_commas_that_are_read_are_not(priced, changes):
    schema = declared(**changes)
    price = {key: value for key, value in schema["columns"]["price"].items() if value is not None}
    if "kind" not in price:
        price = {}
    made, findings, skipped, _ = priced({"columns": {**schema["columns"], "price": price}})
    assert "hold a comma" not in made.output
    assert (findings, skipped) == ([], 0)


def test_the_public_schema_keeps_decimal_commas_and_an_audit_reads_both_files(priced, tmp_path):
    priced(declared(decimal=","))
    schema = load_schema(tmp_path / "out" / "public" / "schema.yaml")
    assert schema.column("price").decimal == ","
    assert schema.column("age").decimal is None
    commas = pd.DataFrame({"price": ["1,25", "2,5", "3"], "age": ["30", "41", "52"]})
    points = pd.DataFrame({"price": ["1.25", "2.5", "3"], "age": ["30", "41", "52"]})
    with Workspace(tmp_path / "home") as workspace:
        tables = [read_table(open_source(frame), workspace)[0] for frame in (commas, points)]
        facts = compared_facts(tables[0], schema, ["price", "age"])
        for table in tables:
            assert typed_frame(table, schema, facts)["price"].tolist() == [1.25, 2.5, 3.0]

"""`privsynth answer` on a release that was really made: table, CSV and JSON, refusals, and the same from Python."""

from __future__ import annotations

import csv
import io
import json

import pandas as pd
import pytest
from pipeline.admissions import FAST, RELEASED, admissions, run, schema, write

import privsynth


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """Return the folder of one release, made once for this file."""
    folder = tmp_path_factory.mktemp("released")
    table, declared = write(folder, "admissions.csv", admissions(1200)), write(folder, "schema.yaml", schema())
    made = run(
        *("synthesize", table, "--schema", declared, "--epsilon", 10, "--out", folder / "out", *FAST),
        env={"PRIVSYNTH_HOME": str(folder / "home")},
    )
    assert made.exit_code in RELEASED, made.output
    return folder / "out"


def test_a_table_says_what_its_intervals_cover(released):
    result = run("answer", released, "count by ward")
    assert result.exit_code == 0, result.output
    assert "95 % interval" in result.stdout
    assert "The interval covers the noise of the release" in result.stdout
    assert "ward" in result.stdout
    assert "From " in result.stdout


def test_json_csv_and_python_say_the_same(released):
    told = json.loads(run("answer", released / "public", "share by ward", "--json").stdout)
    rows = list(csv.DictReader(io.StringIO(run("answer", released, "share by ward", "--csv").stdout)))
    frame = privsynth.answer(released, "share by ward").to_frame()
    assert told["confidence"] == 0.95
    assert [row["group"]["ward"] for row in told["rows"]] == [row["ward"] for row in rows] == frame["ward"].tolist()
    for one, other, value in zip(told["rows"], rows, frame["value"], strict=True):
        assert one["value"] == float(other["value"]) == value
        assert 0 <= one["low"] <= one["value"] <= one["high"] <= 1
    assert sum(row["value"] for row in told["rows"]) == pytest.approx(1.0, abs=0.05)


def test_the_tables_are_signed_with_the_rest_and_open_in_pandas(released):
    manifest = json.loads((released / "public" / "manifest.json").read_text())
    assert "tables/noisy-tables.parquet" in json.dumps(manifest)
    cells = pd.read_parquet(released / "public" / "tables" / "noisy-tables.parquet")
    assert (cells["standard_deviation"] > 0).all()
    assert {"one_way", "measurement"} == set(cells["part"])
    readme = (released / "public" / "README.txt").read_text(encoding="utf-8")
    assert "tables/noisy-tables.parquet" in readme


@pytest.mark.parametrize(
    ("question", "says"),
    [
        ("average(age)", "there is no statistic 'average'"),
        ("count by shoe_size", "no noisy table of this release counts 'shoe_size'"),
        ("mean(ward)", "has no amounts"),
    ],
)
def test_a_refusal_is_one_sentence(released, question, says):
    result = run("answer", released, question)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    assert says in result.stderr


def test_a_folder_without_tables_and_odd_options_are_refused(released, tmp_path):
    assert run("answer", tmp_path, "count").exit_code == 2
    assert run("answer", released, "count", "--confidence", 1).exit_code == 2
    assert run("answer", released, "count", "--json", "--csv").exit_code == 2

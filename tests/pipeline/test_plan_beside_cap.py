"""A plan says when the ledger would refuse the run, and which numbers of codes are guesses."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from click.testing import CliRunner

import privsynth
from privsynth.cli import main
from privsynth.ledger.ledger import Ledger


@pytest.fixture
def table(tmp_path, monkeypatch):
    monkeypatch.setenv("PRIVSYNTH_HOME", str(tmp_path / "home"))
    path = tmp_path / "small.csv"
    pd.DataFrame({"a": list("xyxy"), "b": range(4)}).to_csv(path, index=False)
    return path


def plan(table, *more: str):
    return CliRunner().invoke(main, ["plan", str(table), "--unit", "row", "--expect-rows", "90000", *more])


def test_a_plan_beyond_the_cap_says_so(table, tmp_path):
    made = plan(table, "--epsilon", "50")
    assert made.exit_code == 0
    assert "The ledger would refuse this run. The run asks for epsilon 50, " in made.stdout
    told = json.loads(plan(table, "--epsilon", "50", "--json").stdout)
    assert "asks for epsilon 50" in told["over_cap"]
    assert "would refuse" not in plan(table, "--epsilon", "3").stdout
    Ledger(tmp_path / "home").set_cap("small", epsilon=2.0)
    assert "has epsilon 2, " in plan(table, "--epsilon", "3").stdout
    assert "epsilon 2" in privsynth.plan(table, unit="row", epsilon=3)._repr_html_()


def test_a_guessed_number_of_codes_is_called_one(table, tmp_path):
    assert "10, a guess" in plan(table, "--epsilon", "1").stdout
    schema = tmp_path / "schema.yaml"
    schema.write_text("columns:\n  a: {kind: categorical, categories: [x, y]}\n  b: {kind: integer}\n")
    declared = plan(table, "--epsilon", "1", "--schema", str(schema)).stdout.splitlines()
    assert not any("guess" in line for line in declared if line.split()[:1] == ["a"])

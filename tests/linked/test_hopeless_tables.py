"""A run on linked tables in which little can be learned ends, and says so; any other says what it is good for."""

from __future__ import annotations

import json

import pytest
import yaml
from click.testing import CliRunner
from linked.clinic import SPEC, clinic
from pipeline.admissions import RELEASED

import privsynth
from privsynth.cli import main
from privsynth.findings.usability import Usability
from privsynth.ledger.ledger import Ledger


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("clinic")
    for name, frame in clinic(60).items():
        frame.to_csv(place / f"{name}.csv", index=False)
    (place / "schema.yaml").write_text(yaml.safe_dump(SPEC))
    return place


def job(folder, home, *more: object, command: str = "synthesize"):
    arguments = [command, folder, "--schema", folder / "schema.yaml", "--epsilon", "0.1", *more]
    if command == "synthesize":
        arguments += ["--out", home / "out", "--audit", "none"]
    return CliRunner().invoke(main, [str(one) for one in arguments], env={"PRIVSYNTH_HOME": str(home / "home")})


def test_a_plan_for_too_few_persons_is_printed_and_ends_with_the_code_of_the_run(folder, tmp_path):
    made = job(folder, tmp_path, "--expect-rows", 60, command="plan")
    assert made.exit_code == 8
    assert "What each table costs" in made.stdout
    assert "Expected of stays: at " in made.stdout
    assert "little can be learned: at epsilon 0.1, at 60 persons" in made.stderr
    assert job(folder, tmp_path, "--expect-rows", 60, "--anyway", command="plan").exit_code == 0
    assert job(folder, tmp_path, command="plan").exit_code == 0


def test_what_is_known_to_be_hopeless_costs_nothing(folder, tmp_path):
    made = job(folder, tmp_path, "--expect-rows", 60)
    assert made.exit_code == 8
    assert "Nothing was spent." in made.stderr
    assert not (tmp_path / "out").exists()
    assert Ledger(tmp_path / "home").history("clinic") == []


def test_what_turns_out_hopeless_costs_the_number_of_persons_alone(folder, tmp_path):
    made = job(folder, tmp_path)
    assert made.exit_code == 8
    assert "Counting the persons cost epsilon" in made.stderr
    assert "persons of training (a noisy count of " in made.stderr
    assert "patients 0 of 5, 5 lost in noise" in made.stderr
    ledger = Ledger(tmp_path / "home")
    assert [event.kind for event in ledger.history("clinic")] == ["reserved", "bound", "drawn", "stopped"]
    assert 0 < float(ledger.account("clinic").to_json()["spent_epsilon"]) < 0.05
    assert not (tmp_path / "out").exists()


def test_a_larger_epsilon_is_named_where_it_would_do(tmp_path):
    with pytest.raises(privsynth.LittleToLearn, match=r"What would help: epsilon=.?3\b"):
        privsynth.synthesize(clinic(60), schema=SPEC, epsilon=0.3, out=tmp_path / "out", expect_rows=200)


def test_a_run_goes_on_if_told_to_and_says_on_page_one_what_is_noise(folder, tmp_path):
    made = job(folder, tmp_path, "--anyway")
    assert made.exit_code in RELEASED, made.output
    assert "are noise (patients: " in made.stdout
    for side in ("public", "officer"):
        page = (tmp_path / "out" / side / "report.html").read_text()
        assert page.index('id="usability"') < page.index('id="checks"')
        assert "Do not use" in page


def test_the_columns_of_several_tables_are_told_apart():
    parts = [Usability(resolved=("sex",), kept=("a: x × y",)).of_table("a"), Usability(lost=("ward",)).of_table("b")]
    joined = Usability.joined(parts)
    assert joined == Usability(resolved=("a: sex",), lost=("b: ward",), kept=("a: x × y",))
    assert joined.columns_text() == "of 2 columns 1 is resolved, 1 is noise (b: ward)"


def test_a_column_whose_kind_no_cell_fits_is_said_to_be_empty(tmp_path):
    table = tmp_path / "ward.csv"
    table.write_text("age,ward\n" + "".join(f"{n % 80},ward {n % 3}\n" for n in range(2_000)))
    schema = {"columns": {"age": {"kind": "integer", "minimum": 0, "maximum": 99},
                          "ward": {"kind": "numeric", "minimum": 0, "maximum": 9, "precision": 1}}}  # fmt: skip
    path = tmp_path / "schema.yaml"
    path.write_text(json.dumps(schema))
    words = ["synthesize", str(table), "--schema", str(path), "--unit", "row", "--epsilon", "3", "--audit", "none"]
    made = CliRunner().invoke(main, [*words, "--out", str(tmp_path / "out")])
    assert made.exit_code in RELEASED, made.output
    assert "1 is empty (ward)" in made.stdout
    assert "hardly a row has a value of ward: where real cells are not missing, the declared kind" in made.stdout
    said = json.loads((tmp_path / "out" / "public" / "report.json").read_text())["usability"]
    assert (said["empty"], "ward" in said["resolved"]) == (["ward"], False)
    assert "hardly a synthetic row has a value" in (tmp_path / "out" / "public" / "report.html").read_text()

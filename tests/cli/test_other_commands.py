"""`plan`, `sample`, `schema`, `audit` and `generators` from end to end; the other commands have files of their own."""

from __future__ import annotations

import json
import stat
from datetime import UTC, datetime

import pandas as pd
import pytest
import yaml
from pipeline.admissions import COLUMNS, FAST, NEEDLE, admissions, column, left_in_workspace, run, schema, spent, write

from privsynth.ledger.ledger import Ledger


@pytest.fixture
def files(tmp_path):
    """Return the paths of a table and its schema."""
    return write(tmp_path, "admissions.csv", admissions()), write(tmp_path, "schema.yaml", schema())


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """Return the folder of one release, made once for this file; of so many rows that no noise makes them all equal."""
    folder = tmp_path_factory.mktemp("released")
    table, declared = write(folder, "admissions.csv", admissions(1200)), write(folder, "schema.yaml", schema())
    made = run(
        *("synthesize", table, "--schema", declared, "--epsilon", 10, "--out", folder / "out", "--rows", 80, *FAST),
        *("--format", "csv"),
        env={"PRIVSYNTH_HOME": str(folder / "home")},
    )
    assert made.exit_code == 0, made.output
    return folder / "out"


def refused(result, code, words):
    """Check that a command said one sentence, without a cell, and nothing on stdout."""
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    assert words in result.stderr
    assert NEEDLE not in result.output


# plan


def test_plan_spends_nothing_and_writes_nothing(files, tmp_path, privsynth_home):
    result = run("plan", files[0], "--schema", files[1], "--epsilon", 1)
    assert result.exit_code == 0, result.output
    assert "all rows of one patient" in result.stdout
    assert "nothing was spent" in result.stdout
    assert list(privsynth_home.iterdir()) == []
    assert {path.name for path in tmp_path.iterdir()} == {"admissions.csv", "schema.yaml"}


def test_plan_reads_the_header_only(tmp_path):
    header = (",".join(COLUMNS) + "\n").encode()
    bodies = {"good": admissions().encode(), "garbage": header + bytes(range(256)) * 40, "none": header}
    declared = write(tmp_path, "schema.yaml", schema())
    said = set()
    for body in bodies.values():
        result = run("plan", write(tmp_path, "t.csv", body), "--schema", declared, "--epsilon", 1, "--json")
        assert result.exit_code == 0, result.output
        said.add(result.stdout)
    assert len(said) == 1
    told = json.loads(said.pop())
    assert told["epsilon_of_events"] <= 1
    assert sum(part["share"] for part in told["parts"]) == pytest.approx(1)
    assert [outlook["rows"] for outlook in told["outlooks"]] == [1_000, 10_000, 100_000]


def test_plan_takes_a_guess_of_the_rows(files):
    few, many = (
        json.loads(run("plan", *files[:1], "--schema", files[1], "--epsilon", 1, "--json", "--expect-rows", n).stdout)
        for n in (500, 50_000)
    )
    assert [outlook["rows"] for outlook in few["outlooks"]] == [500]
    assert few["outlooks"][0]["pair_tvd"] > many["outlooks"][0]["pair_tvd"]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--expect-rows", "0"), "expect_rows"),
        (("--epsilon", "nan"), "epsilon"),
        (("--delta", "0.5"), "delta"),
        (("--generator", "magic"), "magic"),
        (("--unit", "ward"), "make them agree"),
    ],
)
def test_plan_refuses_what_synthesize_refuses(files, args, words):
    refused(run("plan", files[0], "--schema", files[1], "--epsilon", 1, *args), 2, words)


# sample


@pytest.mark.parametrize("below", ["", "public", "public/model"])
def test_sample_draws_rows_and_spends_nothing(released, tmp_path, below):
    made = run(
        "sample", released / below, "--rows", 50, "--seed", 7, "--format", "csv", "--out", tmp_path / "s", "--json"
    )
    assert made.exit_code == 0, made.output
    told = json.loads(made.stdout)
    assert (told["rows"], told["seed"]) == (50, 7)
    rows = pd.read_csv(tmp_path / "s" / "part-00000.csv")
    assert list(rows) == [name for name in COLUMNS if name != "note"]
    assert len(rows) == 50
    label = json.loads((tmp_path / "s" / "_label.json").read_text())
    assert label["synthetic"] is True
    assert label["seed"] == 7
    assert "formula" in label["spreadsheets"]
    assert spent() == {}
    assert left_in_workspace() == set()


def test_the_same_seed_gives_the_same_file_and_another_does_not(released, tmp_path):
    texts = []
    for number, seed in enumerate((3, 3, 4)):
        out = tmp_path / str(number)
        assert run("sample", released, "--rows", 40, "--seed", seed, "--format", "csv", "--out", out).exit_code == 0
        texts.append((out / "part-00000.csv").read_bytes())
    assert texts[0] == texts[1] != texts[2]


def test_sample_refuses(released, tmp_path):
    (tmp_path / "there").mkdir()
    for args, words in (
        ((released, "--rows", 0, "--out", tmp_path / "a"), "rows"),
        ((released, "--seed", -1, "--rows", 5, "--out", tmp_path / "a"), "seed"),
        ((released, "--rows", 5, "--out", tmp_path / "there"), "exists already"),
        ((tmp_path / "there", "--rows", 5, "--out", tmp_path / "a"), ""),
        ((tmp_path / "nowhere", "--rows", 5, "--out", tmp_path / "a"), ""),
    ):
        refused(run("sample", *args), 2, words)
    assert {path.name for path in tmp_path.iterdir()} == {"there"}


def test_sample_refuses_a_damaged_model(released, tmp_path):
    good = (released / "public" / "model" / "model.json").read_bytes()
    tensors = (released / "public" / "model" / "model.safetensors").read_bytes()
    for number, (text, numbers) in enumerate(((b"{", tensors), (b"{}", tensors), (good, b"x"), (good, tensors[:-9]))):
        folder = tmp_path / str(number)
        folder.mkdir()
        write(folder, "model.json", text)
        write(folder, "model.safetensors", numbers)
        refused(run("sample", folder, "--rows", 5, "--out", tmp_path / "out"), 2, "")
        assert not (tmp_path / "out").exists()


# schema


def test_schema_init_gives_names_and_blanks_that_check(tmp_path, files):
    made = run("schema", "init", files[0])
    assert made.exit_code == 0, made.output
    assert list(yaml.safe_load(made.stdout)["columns"]) == list(COLUMNS)
    assert NEEDLE not in made.output
    told = json.loads(run("schema", "check", write(tmp_path, "blank.yaml", made.stdout), "--json").stdout)
    assert told == {"columns": len(COLUMNS), "blank": list(COLUMNS), "observed": [], "rules": []}


def test_schema_init_reads_the_header_only(tmp_path):
    garbage = write(tmp_path, "t.csv", (",".join(COLUMNS) + "\n").encode() + bytes(range(256)))
    assert run("schema", "init", garbage).stdout == run("schema", "init", write(tmp_path, "u.csv", admissions())).stdout


def test_observed_suggestions_are_marked_and_refused(tmp_path, files):
    made = run("schema", "init", files[0], "--observe")
    assert made.exit_code == 0, made.output
    assert "AS PRIVATE AS THE DATA" in made.stdout
    columns = yaml.safe_load(made.stdout)["columns"]
    assert {name: facts["kind"] for name, facts in columns.items()} | {"patient": ""} == {
        "patient": "",
        "ward": "categorical",
        "age": "integer",
        "admitted": "date",
        "discharged": "date",
        "note": "id",
    }
    assert sorted(columns["ward"]["categories"]) == ["ER", "ICU", "surgery"]
    assert all(facts["observed"] for facts in columns.values())
    path = write(tmp_path, "observed.yaml", made.stdout)
    checked = run("schema", "check", path)
    assert "Observed and not yet declared: patient" in checked.stdout
    for command in (("plan",), ("synthesize", "--out", tmp_path / "out")):
        result = run(*command, files[0], "--schema", path, "--unit", "row", "--epsilon", 1)
        refused(result, 2, "observed")
    assert spent() == {}
    assert left_in_workspace() == set()
    declared = write(tmp_path, "declared.yaml", made.stdout.replace("    observed: true\n", ""))
    assert run("plan", files[0], "--schema", declared, "--unit", "row", "--epsilon", 1).exit_code == 0


def test_observed_bounds_are_spelled_as_in_the_table(tmp_path):
    made = run("schema", "init", write(tmp_path, "t.csv", "a\n134.2\n205.2\n150.1\n"), "--observe")
    assert "minimum: 134.2\n" in made.stdout
    assert "maximum: 205.2\n" in made.stdout


def test_observed_blanks_of_an_empty_column_can_be_read_back(tmp_path):
    made = run("schema", "init", write(tmp_path, "t.csv", "a,b\n,1\n,2.5\n"), "--observe")
    assert made.exit_code == 0, made.output
    assert run("schema", "check", write(tmp_path, "s.yaml", made.stdout)).exit_code == 0


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("columns: {age: {kind: number}}", "columns → age → kind"),
        ("a: [", "not valid YAML"),
        (b"\xff", "not UTF-8"),
        ("", "is no schema"),
        ("columns: {born: {kind: date, minimum: 2024-13-01}}", "a date that does not exist"),
        ("columns: {born: {kind: date, format: '%Q'}}", "format is not one of strptime"),
        ("columns: {born: {kind: date, format: 'DD.MM.YYYY'}}", "format is not one of strptime"),
        ("columns: {sex: {kind: categorical, categories: [F, M]}}\nrules: ['sex != X']", "a value that it cannot have"),
    ],
)
def test_schema_check_refuses(tmp_path, content, words):
    refused(run("schema", "check", write(tmp_path, "s.yaml", content)), 2, words)


# audit


@pytest.fixture
def tables(tmp_path):
    """Return paths of real, synthetic (other rows of the same kind) and holdout, without the free text."""
    lines = [line.rpartition(",")[0] for line in admissions(360).splitlines()]
    parts = {"real": lines[1:121], "synthetic": lines[121:241], "holdout": lines[241:]}
    return {name: write(tmp_path, f"{name}.csv", "\n".join([lines[0], *rows])) for name, rows in parts.items()}


def test_audit_of_two_tables_with_a_holdout(tables, tmp_path):
    columns = {k: v for k, v in column("ward", roles=["target"])["columns"].items() if k != "note"}
    declared = write(tmp_path, "schema.yaml", schema(columns=columns))
    sides = [word for name, path in tables.items() for word in (f"--{name}", path)]
    made = run("audit", *sides, "--schema", declared, "--out", tmp_path / "audit", "--claimed-epsilon", 1, "--json")
    assert made.exit_code in (0, 3), made.output
    told = json.loads(made.stdout)
    assert (told["verdict"] == "fail") == (made.exit_code == 3)
    names = {path.name for path in (tmp_path / "audit").iterdir()}
    assert names == {"report.html", "report.json", "manifest.json", "attestation.dsse.json"}
    assert stat.S_IMODE((tmp_path / "audit").stat().st_mode) == 0o700
    assert told["findings"]
    assert {f["visibility"] for f in told["findings"]} <= {"officer", "public"}
    assert json.loads((tmp_path / "audit" / "report.json").read_text())["kind"] == "officer"
    assert Ledger(tmp_path).accounts() == []
    assert spent() == {}
    assert left_in_workspace() == set()


def test_audit_refuses(tables, tmp_path):
    other = write(tmp_path, "other.csv", "x,y\n1,2\n")
    empty = write(tmp_path, "empty.csv", "ward,age\n")
    (tmp_path / "there").mkdir()
    for changes, words in (
        ({"synthetic": other}, "no column in common"),
        ({"synthetic": empty}, "no rows"),
        ({"real": tmp_path / "missing.csv"}, "does not exist"),
        ({"out": tmp_path / "there"}, "exists already"),
        ({"claimed-epsilon": "nan"}, "claimed_epsilon"),
        ({"claimed-epsilon": 1, "claimed-delta": 0}, "claimed_delta"),
        ({"key": "nobody"}, "nobody"),
        ({"schema": tmp_path / "missing.yaml"}, "cannot be read"),
    ):
        given = {"real": tables["real"], "synthetic": tables["synthetic"], "out": tmp_path / "audit"} | changes
        refused(run("audit", *(word for name, value in given.items() for word in (f"--{name}", value))), 2, words)
        assert not (tmp_path / "audit").exists()
    assert left_in_workspace() == set()


# the rest


def test_generators_lists_what_there_is():
    told = json.loads(run("generators", "--json").stdout)
    assert {"marginal", "arn"} <= set(told)
    assert all(info["private"] != name.startswith("sdv:") for name, info in told.items())
    shown = run("generators").stdout
    assert all(name in shown for name in (*told, "auto"))


def test_verify_of_what_is_no_release(tmp_path):
    (tmp_path / "empty").mkdir()
    assert run("verify", tmp_path / "empty").exit_code == 5
    assert run("verify", tmp_path / "nothing").exit_code == 2
    (tmp_path / "run" / "public").mkdir(parents=True)
    write(tmp_path / "run" / "public", "manifest.json", "{}")
    refused(run("verify", tmp_path / "run"), 2, f"verify {tmp_path / 'run' / 'public'}")
    page = write(tmp_path, "report.html", f"<html>{NEEDLE} {datetime.now(UTC)}</html>")
    result = run("verify", page)
    assert result.exit_code == 5
    assert NEEDLE not in result.output

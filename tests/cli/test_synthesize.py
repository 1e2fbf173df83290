"""`privsynth synthesize` from end to end: what it makes, and what stops it before anything is spent or left behind."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import shutil
import sqlite3
import stat
from datetime import UTC, datetime, timedelta

import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml
from pipeline.admissions import (
    COLUMNS,
    FAST,
    NEEDLE,
    RELEASED,
    admissions,
    column,
    left_in_workspace,
    run,
    schema,
    spent,
    tree,
    write,
)

from privsynth.exports.documents import DOCUMENTS
from privsynth.ledger.ledger import Ledger
from privsynth.pipeline import synthesize as synthesize_module
from privsynth.pipeline.writing import write as write_module
from privsynth.release.folder import Release
from privsynth.release.noisy.tables import CELLS, FACTS
from privsynth.signing.store import NewKey, create_key

PUBLIC_FILES = {
    "data.parquet",
    "model",
    "model/model.json",
    "model/model.safetensors",
    "report.html",
    "report.json",
    "schema.yaml",
    "manifest.json",
    "attestation.dsse.json",
    "cards",
    "tables",
    CELLS,
    FACTS,
    *DOCUMENTS,
}
OFFICER_FILES = {"report.html", "report.json", "manifest.json", "attestation.dsse.json", "run.json"}


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """Return (folder, JSON, environment) of one signed release with the full audit, made once for this file."""
    folder = tmp_path_factory.mktemp("released")
    env = {"PRIVSYNTH_HOME": str(folder / "home")}
    assert run("keys", "init", "--name", "office", "--no-passphrase", env=env).exit_code == 0
    table, declared = write(folder, "admissions.csv", admissions(300)), write(folder, "schema.yaml", schema())
    made = run(
        *(
            "synthesize",
            table,
            "--anyway",
            "--schema",
            declared,
            "--unit",
            "patient",
            "--epsilon",
            2,
            "--out",
            folder / "out",
        ),
        *("--generator", "marginal", "--holdout-fraction", "0.2", "--key", "office", "--json"),
        env=env,
    )
    assert made.exit_code in (0, 3), made.output
    return folder, json.loads(made.stdout), env


def test_a_release_has_the_files_of_the_design_and_no_others(released):
    folder, told, _ = released
    assert tree(folder / "out" / "public") == PUBLIC_FILES
    assert tree(folder / "out" / "officer") == OFFICER_FILES
    files = {path for path in (folder / "out").rglob("*") if path.is_file()}
    assert set(told["files"]) == {str(path) for path in files}
    assert not [name for name in os.listdir(folder / "home" / "work") if name != ".sweep"]


def test_only_its_owner_can_read_the_officers_folder(released):
    officer = released[0] / "out" / "officer"
    assert stat.S_IMODE(officer.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in officer.iterdir()} == {0o600}


def test_json_tells_the_promise_and_public_findings_only(released):
    _, told, _ = released
    assert (told["epsilon"], told["delta"], told["unit"], told["dataset"]) == (2.0, 1e-6, "patient", "admissions")
    assert told["signer"].startswith("office, key ")
    assert told["verdict"] in ("pass", "review", "fail")
    assert told["findings"]
    keys = {"name", "group", "value", "low", "high", "n", "visibility", "verdict"}
    assert all(set(finding) == keys for finding in told["findings"])
    assert {finding["visibility"] for finding in told["findings"]} == {"public"}


def test_officers_findings_are_in_the_officers_report_alone(released):
    folder, _, _ = released
    public, officer = (
        json.loads((folder / "out" / side / "report.json").read_text())["findings"] for side in ("public", "officer")
    )
    assert {finding["visibility"] for finding in public} == {"public"}
    assert {finding["visibility"] for finding in officer} == {"public", "officer"}


def test_no_cell_of_an_undeclared_column_is_in_the_public_folder(released):
    for path in (released[0] / "out" / "public").rglob("*"):
        assert path.is_dir() or NEEDLE.encode() not in path.read_bytes(), path.name


def test_the_signed_release_verifies_and_a_changed_one_does_not(released, tmp_path):
    folder, _, env = released
    told = json.loads(run("verify", folder / "out" / "public", "--json", env=env).stdout)
    assert told["verified"] is True
    assert run("verify", folder / "out" / "officer", env=env).exit_code == 0
    whole = run("verify", folder / "out", env=env)
    assert (whole.exit_code, "is about this release" in whole.stdout) == (0, True)
    both = json.loads(run("verify", folder / "out", "--json", env=env).stdout)
    assert both["public"]["kind"] == "public"
    digest = hashlib.sha256((folder / "out" / "public" / "manifest.json").read_bytes()).hexdigest()
    assert both["officer"]["release"] == digest
    assert digest in (folder / "out" / "officer" / "report.html").read_text(encoding="utf-8")
    shutil.copytree(folder / "out" / "public", tmp_path / "public")
    with (tmp_path / "public" / "data.parquet").open("ab") as file:
        file.write(b" ")
    changed = run("verify", tmp_path / "public", env=env)
    assert changed.exit_code == 5
    assert "data.parquet" in changed.stderr
    assert run("verify", folder / "out" / "public").exit_code == 6  # in a home whose keyring knows nobody


def test_the_synthetic_table_has_the_declared_columns_types_and_rules(released):
    table = pq.read_table(released[0] / "out" / "public" / "data.parquet")
    assert table.column_names == [name for name in COLUMNS if name != "note"]  # text is dropped
    assert [str(table.schema.field(name).type) for name in ("age", "admitted")] == ["int64", "date32[day]"]
    frame = table.to_pandas()
    assert frame["age"].dropna().between(0, 120).all()
    assert set(frame["ward"].dropna()) <= {"ICU", "ER", "surgery"}
    both = frame.dropna(subset=["admitted", "discharged"])
    assert len(both)
    assert (both["discharged"] >= both["admitted"]).all()
    assert not set(frame["patient"]) & {f"p{i}" for i in range(150)}  # fresh surrogates


def test_the_released_schema_is_valid_and_keeps_the_rules(released):
    path = released[0] / "out" / "public" / "schema.yaml"
    checked = run("schema", "check", path, "--json")
    assert checked.exit_code == 0, checked.output
    assert json.loads(checked.stdout)["rules"] == ["discharged >= admitted"]
    assert yaml.safe_load(path.read_text())["dataset"] == "admissions"


def test_the_model_draws_the_same_rows_for_the_same_seed(released):
    one, two, other = (Release.open(released[0] / "out").sample(60, seed=seed) for seed in (5, 5, 6))
    pd.testing.assert_frame_equal(one, two)
    assert not one.equals(other)


def test_budget_show_tells_what_the_release_cost(released):
    told = json.loads(run("budget", "show", "admissions", "--json", env=released[2]).stdout)
    (account,) = told["accounts"]
    assert (account["spent_epsilon"], account["spent_delta"], account["completed"]) == (2.0, 1e-6, 1)


@pytest.fixture
def job(tmp_path):
    """Return a function that runs `synthesize` on a table and a schema in a folder of their own."""

    def go(*args, table=None, declared=None, name="admissions.csv", out="out"):
        source = write(tmp_path, name, admissions() if table is None else table)
        given = ()
        if declared is not False:
            given = ("--schema", write(tmp_path, "schema.yaml", schema() if declared is None else declared))
        return run("synthesize", source, *given, "--epsilon", 1, "--out", tmp_path / out, *FAST, *args)

    return go


def test_csv_rows_formats_and_a_key_with_a_passphrase(job, tmp_path, monkeypatch):
    monkeypatch.setenv("PRIVSYNTH_PASSPHRASE", "horse battery staple")
    assert run("keys", "init", "--name", "office").exit_code == 0
    declared = schema(**column("admitted", kind="datetime", precision=60, format="%d.%m.%Y %H:%M"), rules=[])
    table = "patient,ward,age,admitted,discharged,note\n" + "".join(
        f"p{i},ER,{20 + i % 60},{1 + i % 28:02d}.03.2024 {i % 24:02d}:30,2024-04-01,x\n" for i in range(200)
    )
    made = job("--format", "csv", "--rows", 37, "--seed", 11, "--key", "office", table=table, declared=declared)
    assert made.exit_code in RELEASED, made.output
    assert "signed by        office" in made.stdout
    frame = pd.read_csv(tmp_path / "out" / "public" / "data.csv", dtype=str)
    assert len(frame) == 37
    assert frame["admitted"].dropna().str.fullmatch(r"\d\d\.\d\d\.2024 \d\d:\d\d").all()
    assert frame["discharged"].dropna().str.fullmatch(r"\d{4}-\d\d-\d\d").all()
    assert frame["age"].dropna().str.fullmatch(r"\d+").all()
    assert frame["admitted"].notna().any()
    assert frame["age"].notna().any()
    report = json.loads((tmp_path / "out" / "public" / "report.json").read_text())
    assert report["n_rows_synthetic"] == 37


def test_an_unsigned_release_says_so_and_does_not_verify(job, tmp_path):
    made = job("--officer")
    assert made.exit_code in RELEASED, made.output
    assert "UNSIGNED" in made.stdout
    assert "UNSIGNED" in (tmp_path / "out" / "public" / "report.html").read_text()
    checked = run("verify", tmp_path / "out" / "public")
    assert checked.exit_code == 5
    assert "UNSIGNED" in checked.stderr
    again = job(out="again/and/deeper", declared=schema(dataset="another"))
    assert again.exit_code == 4
    assert "'admissions'" in again.stderr
    assert spent() == {"admissions": 1.0}
    assert not (tmp_path / "again").exists()


def assert_stopped(result, folder, before, *, code=2, words=""):
    """One sentence, the exit code, and no trace: no file, no row in the workspace, nothing spent, no cell shown."""
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1, "more than one sentence"
    assert words in result.stderr
    assert NEEDLE not in result.output
    assert tree(folder) == before | {"admissions.csv", "schema.yaml"} & tree(folder)
    assert left_in_workspace() == set()
    assert spent() == {}


TABLES = {
    "empty": (b"", "is empty"),
    "blank lines": ("\n\n\n", "is empty"),
    "duplicate names": (admissions().replace("ward", "age", 1), "same name"),
    "blank name": (admissions().replace("ward", " ", 1), "blank name"),
    "a PDF": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + NEEDLE.encode(), "a PDF"),
    "a zip": (b"PK\x03\x04\x14\x00\x06\x00" + NEEDLE.encode(), "a zip"),
    "bytes": (bytes(range(1, 256)), ""),
    "open quote in the header": ('"' + admissions(), "quote"),
    "undecodable header": (b"\xff\xfe\xfa,b\n1,2\n", ""),
}


@pytest.mark.parametrize("case", TABLES)
def test_a_file_that_is_no_table_stops_the_run(job, tmp_path, case):
    table, words = TABLES[case]
    assert_stopped(job(table=table), tmp_path, set(), words=words)


SCHEMAS = {
    "unknown key": (schema(colums={}), "'colums' is not a key that a schema knows"),
    "unknown key of a column": (schema(**column("age", min=3)), "'columns → age → min' is not a key"),
    "unknown kind": (schema(**column("age", kind="number")), "columns → age → kind"),
    "bounds reversed": (schema(**column("age", minimum=9, maximum=1)), "minimum is above maximum"),
    "bounds infinite": (schema(**column("age", maximum=float("inf"))), "finite"),
    "bounds of the wrong kind": (schema(**column("admitted", minimum=3)), "must be ISO dates"),
    "categories twice": (schema(**column("ward", categories=["ER", "ER"])), "twice"),
    "no categories": (schema(**column("ward", categories=[])), "categories"),
    "YAML broken": ("columns: [a, b\nunit: }", "not valid YAML"),
    "a key twice": ("unit: row\nunit: patient\n", "twice"),
    "a list": ("- unit\n- row\n", "is no schema"),
    "not UTF-8": (b"unit: \xff\xfe", "not UTF-8"),
    "a column that the table lacks": (schema(**column("weight", kind="numeric")), "'weight'"),
    "no unit": (schema(unit=None, max_rows_per_unit=None), "--unit"),
    "no rows per unit": (schema(max_rows_per_unit=None), "--max-rows-per-unit"),
    "a unit that the table lacks": (schema(unit="person"), "'person' is not in the header"),
    "observed": (schema(**column("age", observed=True)), "observed"),
    "rule on a column that the schema lacks": (schema(rules=["weight > 3"]), "'weight'"),
    "rule on an undeclared kind": (
        schema(columns=schema()["columns"] | {"age": {}}, rules=["age > 3"]),
        "needs a declared kind for 'age'",
    ),
    "rule on text": (schema(rules=["note = x"]), "needs a declared kind for 'note'"),
    "rule with an impossible number": (schema(rules=["age > old"]), "a value that it cannot have"),
    "rule with an impossible date": (schema(rules=["admitted > yesterday"]), "a value that it cannot have"),
    "rule with an impossible category": (schema(rules=["ward = ward7"]), "a value that it cannot have"),
    "rule across kinds": (schema(rules=["age > admitted"]), "different kinds"),
    "rule without sense": (schema(rules=["age beyond 3"]), "cannot be read"),
    "rules that no row keeps": (schema(rules=["age >= 50", "age < 50"]), "'age >= 50'; 'age < 50'"),
    "rule beyond the bounds": (schema(rules=["admitted > 2025-01-01"]), "no row that the schema allows"),
    "rule that subtracts texts": (schema(rules=["age = ward - admitted"]), "must subtract"),
}


@pytest.mark.parametrize("case", SCHEMAS)
def test_a_schema_that_cannot_be_stops_the_run(job, tmp_path, case):
    declared, words = SCHEMAS[case]
    assert_stopped(job(declared=declared), tmp_path, set(), words=words)


OPTIONS = [
    *((("--epsilon", value), "epsilon") for value in ("0", "-1", "nan", "inf", "1e9", "1e-9")),
    *((("--delta", value), "delta") for value in ("0", "-1", "nan", "inf", "0.02", "1", "1e-300")),
    *((("--holdout-fraction", value), "holdout_fraction") for value in ("0.7", "-0.1", "nan")),
    *((("--rows", value), "rows") for value in ("0", "-5", "100000000000")),
    (("--seed", "-1"), "seed"),
    (("--generator", "magic"), "no generator 'magic'"),
    (("--key", "nobody"), "nobody"),
    (("--key", "../../etc/passwd"), "name of a key"),
    (("--unit", "ward"), "make them agree"),
    (("--unit", "row"), "make them agree"),
    (("--max-rows-per-unit", "3"), "make them agree"),
    (("--schema", "no-such-file.yaml"), "cannot be read"),
    (("--dataset", " "), "dataset"),
    (("--dataset", "a\nb"), "dataset"),
    (("--dataset", "x" * 201), "dataset"),
    (("--columns", "patient,weight"), "'weight'"),
    (("--columns", "patient,,age"), "column"),
    (("--delimiter", "::"), "delimiter"),
    (("--encoding", "klingon"), "encoding"),
    (("--sheet", "one"), "sheet"),
    (("--query", "SELECT 1"), "query"),
]


@pytest.mark.parametrize(("args", "words"), OPTIONS, ids=lambda value: " ".join(value)[:40] if value else "")
def test_an_option_that_cannot_be_stops_the_run(job, tmp_path, args, words):
    assert_stopped(job(*args), tmp_path, set(), words=words)


def test_a_rule_with_a_time_zone_is_kept_in_utc(job, tmp_path):
    made = job(declared=schema(rules=["admitted >= 2024-06-01T00:00:00+01:00"]))
    assert made.exit_code in RELEASED, made.output
    rows = pd.read_parquet(tmp_path / "out" / "public" / "data.parquet")
    assert (pd.to_datetime(rows["admitted"].dropna()) >= pd.Timestamp("2024-05-31T23:00")).all()
    assert spent() == {"admissions": 1.0}


def test_max_rows_per_unit_must_be_possible(job, tmp_path):
    for k in ("0", "-3", "1000000"):
        declared = schema(max_rows_per_unit=None)
        assert_stopped(job("--max-rows-per-unit", k, declared=declared), tmp_path, set(), words="max_rows_per_unit")


def test_a_forgotten_header_is_not_quoted(job, tmp_path):
    table = f"p1,ER,30,2024-01-01,2024-01-03,{NEEDLE}\np2,ICU,40,2024-02-01,2024-02-03,x\n"
    result = job("--unit", "patient", "--max-rows-per-unit", 2, table=table, declared=False)
    assert_stopped(result, tmp_path, set(), words="like values, as where a table has no header")


def test_a_unit_that_is_almost_a_name_gets_a_hint(job, tmp_path):
    result = job("--unit", "patients", "--max-rows-per-unit", 2, declared=False)
    assert_stopped(result, tmp_path, set(), words="did you mean 'patient'?")


@pytest.mark.parametrize("name", ["missing.csv", "folder.csv", "table.docx"])
def test_a_source_that_is_not_there_stops_the_run(tmp_path, name):
    (tmp_path / "folder.csv").mkdir()
    write(tmp_path, "table.docx", admissions())
    result = run("synthesize", tmp_path / name, "--unit", "row", "--epsilon", 1, "--out", tmp_path / "out", *FAST)
    assert_stopped(result, tmp_path, {"folder.csv", "table.docx"}, words=name)


def test_an_output_folder_that_exists_is_never_touched(job, tmp_path):
    (tmp_path / "out").mkdir()
    write(tmp_path / "out", "thesis.txt", "mine")
    assert_stopped(job(), tmp_path, {"out", "out/thesis.txt"}, words="exists already")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    assert_stopped(job(out="link"), tmp_path, {"out", "out/thesis.txt", "link"}, words="exists already")


def test_an_output_folder_below_a_file_stops_the_run(job, tmp_path):
    write(tmp_path, "file", "mine")
    assert_stopped(job(out="file/out"), tmp_path, {"file"}, words="it is a file")


def test_an_output_folder_with_an_impossible_name_stops_the_run(job, tmp_path):
    assert_stopped(job(out="x" * 300), tmp_path, set(), words="no folder can be made at the place given with --out")


def test_a_table_of_nothing_but_text_is_refused_before_anything_is_spent(job, tmp_path):
    declared = {"unit": "row", "columns": {"note": {"kind": "text"}}}
    result = job("--dataset", "notes", table=f"note\n{NEEDLE}\n", declared=declared)
    assert_stopped(result, tmp_path, set(), words="every column is free text")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write into read-only folders")
def test_a_read_only_folder_stops_the_run(job, tmp_path):
    (tmp_path / "closed").mkdir(mode=0o500)
    assert_stopped(job(out="closed/out"), tmp_path, {"closed"}, words="read-only")


def test_json_lines_need_public_names(job, tmp_path):
    rows = "".join(json.dumps({"age": i, NEEDLE: "x"}) + "\n" for i in range(50))
    result = job("--unit", "row", table=rows, declared=False, name="rows.jsonl")
    assert_stopped(result, tmp_path, {"rows.jsonl"}, words="--columns")


def test_json_lines_work_with_names_given(job, tmp_path):
    rows = "".join(json.dumps({"age": i % 9, "extra": NEEDLE}) + "\n" for i in range(50))
    made = job("--unit", "row", "--columns", "age", table=rows, declared=False, name="rows.jsonl")
    assert made.exit_code in RELEASED, made.output
    assert pq.read_schema(tmp_path / "out" / "public" / "data.parquet").names == ["age"]


def test_keys_that_cannot_sign_stop_the_run(job, tmp_path, privsynth_home, monkeypatch):
    old = datetime.now(UTC) - timedelta(days=400)
    create_key(privsynth_home, "expired", NewKey("x", days=30), passphrase=None, now=old)
    create_key(privsynth_home, "locked", NewKey("x"), passphrase=lambda: b"the right passphrase", now=datetime.now(UTC))
    create_key(privsynth_home, "stolen", NewKey("x"), passphrase=None, now=datetime.now(UTC))
    assert run("keys", "revoke", "stolen", "--reason", "laptop gone").exit_code == 0
    monkeypatch.setenv("PRIVSYNTH_PASSPHRASE", "a wrong passphrase")
    for key, words in (("expired", "expired"), ("locked", "passphrase"), ("stolen", "revoked")):
        assert_stopped(job("--key", key), tmp_path, set(), words=words)


def test_a_locked_ledger_stops_the_run(job, tmp_path, privsynth_home, monkeypatch):
    monkeypatch.setitem(Ledger.__init__.__kwdefaults__, "timeout_s", 0.05)
    assert run("budget", "set", "admissions", "--epsilon", 5).exit_code == 0
    other = sqlite3.connect(privsynth_home / "ledger.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    result = job()
    other.execute("ROLLBACK")
    other.close()
    assert_stopped(result, tmp_path, set(), code=7, words="in use by another process")


@pytest.mark.parametrize(("cap", "words"), [(("--epsilon", "0.5"), "epsilon 0.5"), (("--delta", "1e-7"), "delta 1e-7")])
def test_a_cap_stops_the_run(job, tmp_path, cap, words):
    assert run("budget", "set", "admissions", *cap).exit_code == 0
    assert_stopped(job(), tmp_path, set(), code=4, words=words)


def test_an_error_is_json_when_asked(job):
    told = json.loads(job("--epsilon", "nan", "--json").stdout)
    assert told["exit_code"] == 2
    assert "epsilon" in told["error"]


def test_a_full_disk_while_reading_costs_nothing(job, tmp_path):
    table = admissions() + f"p1,ER,30,,,{'x' * 4_000}\n" * 1_000
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    write(tmp_path, "admissions.csv", table)
    write(tmp_path, "schema.yaml", schema())
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        result = run(
            *("synthesize", tmp_path / "admissions.csv", "--schema", tmp_path / "schema.yaml"),
            *("--epsilon", 1, "--out", tmp_path / "out", *FAST),
        )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert_stopped(result, tmp_path, set(), words="full")


def test_an_unforeseen_error_quotes_nothing_and_stays_spent(job, tmp_path, monkeypatch):
    def broken(*args, **more):
        raise ValueError(f"cannot handle {NEEDLE}")

    monkeypatch.setattr(write_module, "write_rows", broken)
    monkeypatch.delenv("PRIVSYNTH_DEBUG", raising=False)
    result = job()
    assert result.exit_code == 70
    assert NEEDLE not in result.output
    assert tree(tmp_path) == {"admissions.csv", "schema.yaml"}
    assert left_in_workspace() == set()
    assert spent() == {"admissions": 1.0}


def test_a_run_that_a_person_stops_while_it_reads_costs_nothing(job, tmp_path, monkeypatch):
    def stopped(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(synthesize_module, "content_fingerprints", stopped)
    result = job()
    assert result.exit_code == 130
    assert tree(tmp_path) == {"admissions.csv", "schema.yaml"}
    assert left_in_workspace() == set()
    assert spent() == {}

"""A release that starts from what is public: what it takes over, what it refuses, and what it says of it."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from pipeline.admissions import FAST, RELEASED, run, spent

from privsynth.codecs.columns import CategoryCodec
from privsynth.errors import ConfigError, SourceError
from privsynth.pipeline.prior.known import KnownTable
from privsynth.pipeline.prior.load import load_prior
from privsynth.sampling.origin import PriorOrigin
from privsynth.sampling.synthetic_model import SyntheticModel
from privsynth.schema import Schema

N = 1_500


def stays(seed: int, n: int = N, *, wards: str = "ABCDEFGHIJ") -> pd.DataFrame:
    """Return stays of ten wards of which half are rare; the ward says who is old, and age says who dies."""
    rng = np.random.default_rng(seed)
    ward = rng.choice(len(wards), n, p=np.array([30, 25, 20, 10, 5, 4, 2, 2, 1, 1]) / 100)
    age = np.clip(rng.normal(30 + 5 * ward, 8, n), 0, 99).round()
    died = rng.random(n) < age / 150
    return pd.DataFrame(
        {"ward": np.array(list(wards))[ward], "age": age.astype(int), "died": np.where(died, "yes", "no")}, dtype=str
    )


def job(table, out, *more, command="synthesize", epsilon=0.5):
    where = ("--out", out, "--seed", 1, *FAST) if command == "synthesize" else ()
    return run(command, table, "--unit", "row", "--epsilon", epsilon, "--dataset", "stays", *where, *more)


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """Return the folder of `old.csv` and `new.csv`, and of `released`, a release of the old table."""
    folder = tmp_path_factory.mktemp("prior")
    for name, seed in (("old", 1), ("new", 2)):
        stays(seed).to_csv(folder / f"{name}.csv", index=False)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PRIVSYNTH_HOME", str(folder / "home"))
        made = job(folder / "old.csv", folder / "released", epsilon=8)
    assert made.exit_code in RELEASED, made.output
    return folder


# --- what it takes over -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prior", ["old.csv", "released"])
def test_a_release_takes_categories_and_bins_of_its_prior_and_says_so(tables, tmp_path, prior):
    made = job(tables / "new.csv", tmp_path / "out", "--prior", tables / prior)
    assert made.exit_code in RELEASED, made.output
    report = json.loads((tmp_path / "out" / "public" / "report.json").read_text())
    told, kind = report["prior"], "table" if prior == "old.csv" else "release"
    assert (told["kind"], told["epsilon"]) == (kind, None if kind == "table" else 8)
    assert len(told["digest"]) == 64
    assert {"ward", "age"} <= set(told["columns"])
    columns = {column["name"]: column for column in report["columns"]}
    assert columns["ward"]["provenance"] == columns["age"]["provenance"] == "prior"
    assert "prior" in made.stdout
    page = (tmp_path / "out" / "public" / "report.html").read_text()
    assert told["digest"] in page
    assert ("declares to be public" in page) == (kind == "table")
    assert ("sum of both promises" in page) == (kind == "release")
    model = SyntheticModel.load(tmp_path / "out" / "public" / "model")
    assert model.prior is not None
    assert model.prior.digest == told["digest"]
    ward = model.codec.by_name["ward"]
    assert isinstance(ward, CategoryCodec)
    # Most of them are far below what ε = 0.5 shows of 1,500 rows.
    assert set("ABCDEF") <= set(ward.values)


def test_rows_follow_the_prior_where_the_budget_shows_nothing(tables, tmp_path):
    made = job(tables / "new.csv", tmp_path / "out", "--prior", tables / "old.csv", "--anyway", epsilon=0.1)
    assert made.exit_code in RELEASED, made.output
    real, rows = (
        pd.read_csv(tables / "new.csv", dtype=str),
        pd.read_parquet(tmp_path / "out" / "public" / "data.parquet"),
    )
    known, found = (pd.crosstab(t["ward"], t["died"].astype(str), normalize=True) for t in (real, rows))
    # In eight runs it was 0.14 on average, with a standard deviation of 0.04; without a prior 0.26 or more, or no ward
    # was told at all.
    assert found.sub(known, fill_value=0).abs().to_numpy().sum() / 2 < 0.3


def test_what_a_prior_lacks_is_bought(tables, tmp_path):
    # Half of the rows lie in wards that the prior does not know, and all ages are beyond its range.
    moved = stays(3, wards="ABCDXYZVWU").assign(age=lambda t: (t["age"].astype(int) + 10_000).astype(str))
    moved.loc[:800, "ward"] = "X"
    moved.to_csv(tmp_path / "moved.csv", index=False)
    made = job(tmp_path / "moved.csv", tmp_path / "out", "--prior", tables / "old.csv", epsilon=5)
    assert made.exit_code in RELEASED, made.output
    report = json.loads((tmp_path / "out" / "public" / "report.json").read_text())
    assert {"ward", "age"} <= set(report["prior"]["bought"])
    rows = pd.read_parquet(tmp_path / "out" / "public" / "data.parquet")
    assert rows["age"].median() > 9_000
    assert (rows["ward"] == "X").mean() > 0.3


def test_a_schema_stands_above_a_prior(tables):
    declared = Schema.model_validate({"columns": {"ward": {"categories": ["A", "B"]}, "age": {"kind": "categorical"}}})
    prior, _ = load_prior(tables / "released", declared, unit="row", home=tables)
    known = KnownTable.of(prior, declared, ["ward", "age", "died"], "row")
    # Its categories are declared; and it is a number there, but not here.
    assert known.columns.keys() == {"died"}


def test_a_plan_counts_what_a_prior_tells(tables, tmp_path):
    wide = pd.DataFrame({f"c{i}": np.random.default_rng(i).choice(list("abcde"), 400) for i in range(20)})
    wide.to_csv(tmp_path / "wide.csv", index=False)
    wide.sample(frac=1, random_state=1).iloc[:350].to_csv(tmp_path / "public.csv", index=False)
    alone = job(tmp_path / "wide.csv", tmp_path, "--expect-rows", 300, command="plan", epsilon=1)
    assert alone.exit_code == 8
    made = job(tmp_path / "wide.csv", tmp_path, "--expect-rows", 300, "--prior", tmp_path / "public.csv",
               command="plan", epsilon=1)  # fmt: skip
    assert made.exit_code == 0, made.output
    assert "20 of 20 columns" in made.stdout
    assert "public by the word" in made.stdout


# --- what it refuses ----------------------------------------------------------------------------------------------


def test_the_sensitive_table_itself_is_no_prior(tables, tmp_path):
    again = tmp_path / "again.csv"
    pd.read_csv(tables / "new.csv", dtype=str).sample(frac=1, random_state=1).to_csv(again, index=False)
    for prior in (tables / "new.csv", tables / ".." / tables.name / "new.csv", again):
        made = job(tables / "new.csv", tmp_path / "out", "--prior", prior)
        assert made.exit_code == ConfigError.exit_code
        assert "the sensitive table itself" in made.stderr
    assert not (tmp_path / "out").exists()
    assert all(amount == 0 for amount in spent().values())


def test_a_table_that_the_ledger_protects_is_no_prior(tables, tmp_path, monkeypatch):
    monkeypatch.setenv("PRIVSYNTH_HOME", str(tables / "home"))  # where a release of the old table was made
    before = spent()
    made = job(tables / "new.csv", tmp_path / "out", "--prior", tables / "old.csv")
    assert made.exit_code == ConfigError.exit_code
    assert "dataset 'stays'" in made.stderr
    assert spent() == before


@pytest.mark.parametrize("spoilt", ["model.json", "model.safetensors"])
def test_a_hostile_release_is_one_sentence(tables, tmp_path, spoilt):
    shutil.copytree(tables / "released" / "public" / "model", tmp_path / "model")
    (tmp_path / "model" / spoilt).write_bytes(b"\x80\x04cos\nsystem\n(S'x'\ntR.")
    made = job(tables / "new.csv", tmp_path / "out", "--prior", tmp_path / "model")
    assert made.exit_code == SourceError.exit_code
    assert "Traceback" not in made.output
    assert spent() == {}


def test_a_prior_of_other_columns_is_refused(tables, tmp_path):
    pd.DataFrame({"other": ["x"] * 9}).to_csv(tmp_path / "other.csv", index=False)
    made = job(tables / "new.csv", tmp_path / "out", "--prior", tmp_path / "other.csv")
    assert made.exit_code == ConfigError.exit_code
    assert "no column of the table" in made.stderr
    nothing = job(tables / "new.csv", tmp_path / "out", "--prior", tmp_path)
    assert "holds no model" in nothing.stderr


@pytest.mark.parametrize(
    "wrong", [{"kind": "rows"}, {"digest": "x" * 65}, {"epsilon": -1}, {"more": 1}, {"name": 5}], ids=str
)
def test_what_a_model_says_of_its_prior_is_checked(wrong):
    right = PriorOrigin(kind="table", name="a.csv", digest="0" * 64).to_json()
    assert PriorOrigin.from_json(right).name == "a.csv"
    with pytest.raises(ValueError, match="prior"):
        PriorOrigin.from_json({**right, **wrong})

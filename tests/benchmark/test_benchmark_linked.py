"""Benchmarks of linked tables: persons are divided whole, judged by the audit's views, and shown as one table is."""

from __future__ import annotations

import copy
import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from linked.clinic import SPEC, clinic
from pipeline.admissions import run

from privsynth.benchmark import runner
from privsynth.benchmark.config import BenchmarkConfig
from privsynth.benchmark.linked.fit import flatten, split_again
from privsynth.benchmark.linked.judge import alike, ceiling_of_persons, judge_persons, sound_keys
from privsynth.benchmark.linked.persons import RealPersons, read_persons, write_frames
from privsynth.benchmark.runner import benchmark
from privsynth.benchmark.subjects import settle
from privsynth.benchmark.worker import run_job
from privsynth.errors import ConfigError, SchemaError
from privsynth.generators.sdv import LinkedFrames
from privsynth.schema.linked import linked_schema
from privsynth.workspace import Workspace, privsynth_home

HISTORIES = {"count", "column", "within", "parent", "next", "gap", "place", "agg1", "agg2", "keys", "c2st"}
RESULT = {"figures": {"count": 0.9, "within": 0.8, "c2st": 0.7}, "rows": 200, "fit_s": 1.0}
REAL = {
    "figures": {"count": 0.95, "within": 0.9}, "columns": 7, "train_rows": 500, "holdout_rows": 120, "targets": ["sex"],
    "tables": ["patients", "stays"], "train_persons": 240, "holdout_persons": 60,
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Return a folder of patients and stays, a patient's sex declared as a target; beside it its schema."""
    place = tmp_path_factory.mktemp("linked")
    (place / "clinic").mkdir()
    frames = clinic(300)
    frames["stays"].loc[0, "patient"] = "nobody"
    for name in ("patients", "stays"):
        frames[name].to_csv(place / "clinic" / f"{name}.csv", index=False)
    declared = copy.deepcopy({name: SPEC["tables"][name] for name in ("patients", "stays")})
    declared["patients"]["columns"]["sex"]["roles"] = ["target"]
    (place / "schema.yaml").write_text(yaml.safe_dump({"dataset": "clinic", "tables": declared}, sort_keys=False))
    return place / "clinic"


def asked(folder: Path, out: Path = Path("out"), **more) -> BenchmarkConfig:
    options = {"generators": ("marginal",), "epsilons": (3.0,), "seeds": 1, **more}
    return BenchmarkConfig(table=str(folder), out=out, schema=folder.parent / "schema.yaml", **options)


def read(wanted: BenchmarkConfig, workspace: Workspace) -> RealPersons:
    schema = linked_schema(wanted.schema)
    assert schema is not None
    return read_persons(wanted, schema, workspace)


@pytest.fixture
def persons(folder):
    with Workspace(privsynth_home()) as workspace:
        yield read(asked(folder), workspace)


def test_persons_are_divided_with_all_their_rows_and_rows_of_nobody_are_left_out(folder, persons):
    sides = [
        {name: table.data.to_pandas() for name, table in side.items()} for side in (persons.train, persons.holdout)
    ]
    of = [set(side["patients"]["patient_id"]) for side in sides]
    assert len(of[0]) + len(of[1]) == len(of[0] | of[1]) == 300
    assert 30 < len(of[1]) < 95  # 60 ± 5 standard deviations
    for side, own in zip(sides, of, strict=True):
        assert set(side["stays"]["patient"]) <= own
    assert sum(len(side["stays"]) for side in sides) == len(pd.read_csv(folder / "stays.csv")) - 1
    with Workspace(privsynth_home()) as workspace:
        again = read(asked(folder), workspace).holdout["patients"].data
    assert again.equals(persons.holdout["patients"].data)


def test_a_holdout_of_its_own_leaves_the_tables_whole(folder):
    with Workspace(privsynth_home()) as workspace:
        whole = read(asked(folder, holdout=str(folder)), workspace)
        assert whole.train["patients"].n_rows == whole.holdout["patients"].n_rows == 300


def test_the_figures_are_those_of_the_views_and_real_persons_are_the_ceiling(persons):
    tables = persons.beside(persons.holdout)
    found = judge_persons(tables, ("sex",), max_rows=1_000)
    assert set(found) == HISTORIES | {"tstr:sex"}
    real = ceiling_of_persons(tables, ("sex",), max_rows=1_000)
    for name in HISTORIES - {"c2st", "keys"}:
        assert found[name] == pytest.approx(real[name])
    assert judge_persons(persons.beside(persons.train), (), max_rows=1_000)["within"] == pytest.approx(1.0)
    counts = {
        side: np.bincount(getattr(tables, side).number_of_rows("stays"), minlength=9) / getattr(tables, side).n
        for side in ("train", "synthetic")
    }
    assert found["count"] == pytest.approx(1 - 0.5 * np.abs(counts["train"] - counts["synthetic"]).sum())


def test_what_is_broken_lowers_its_own_figure(persons):
    tables = persons.beside(persons.train)
    rows = dict(tables.synthetic.rows)
    order = np.random.default_rng(0).permutation(len(rows["stays"]))
    mixed = replace(rows["stays"], frame=rows["stays"].frame.iloc[order].reset_index(drop=True))
    found = alike(replace(tables, synthetic=replace(tables.synthetic, rows={**rows, "stays": mixed})))
    assert found["within"] == found["count"] == pytest.approx(1.0)
    assert max(found[name] for name in ("parent", "next", "place")) < 0.97
    nobody = replace(rows["stays"], frame=mixed.frame[:0], person=mixed.person[:0], parent=mixed.parent[:0])
    none = alike(replace(tables, synthetic=replace(tables.synthetic, rows={**rows, "stays": nobody})))
    assert none["next"] == none["gap"] == none["place"] == 0.0  # what is not there is no figure to be left out
    assert none["within"] == pytest.approx(0.5)  # that of the patients' table is 1


def test_keys_that_lead_nowhere_or_are_repeated_are_counted(persons):
    lost = persons.train["stays"].data.to_pandas()
    lost.loc[:9, "patient"] = "nobody"
    lost.loc[20, "stay_id"] = lost["stay_id"][21]
    stays = type(persons.train["stays"])(persons.train["stays"].data.from_pandas(lost, preserve_index=False))
    people = persons.beside({**persons.train, "stays": stays}).synthetic
    n = persons.train["patients"].n_rows + len(lost)
    assert sound_keys(people) == pytest.approx(1 - 11 / n)


def with_persons(frames: LinkedFrames) -> pd.DataFrame:
    """Return stays in their order, each with its patient's columns."""
    above = frames.frames["patients"].iloc[frames.parent["stays"]].reset_index(drop=True)
    return frames.frames["stays"].reset_index(drop=True).join(above)


def test_flattening_is_undone_by_splitting(persons):
    real, _ = persons.frames()
    joined, schema = flatten(real, persons.schema)
    assert (schema.unit, schema.max_rows_per_unit) == ("patients.patient_id", 6)
    assert [name for name, column in schema.columns.items() if column.constant_within_unit] == [
        "patients.sex", "patients.born"
    ]  # fmt: skip
    assert len(joined) > len(real.frames["stays"])  # persons without stays have a row
    made = split_again(joined, real, str(schema.unit))
    assert len(made.frames["patients"]) == len(real.frames["patients"])
    before, after = (with_persons(one) for one in (real, made))
    pd.testing.assert_frame_equal(before, after, check_dtype=False)


def test_what_a_reference_makes_is_read_back_with_its_keys(persons, tmp_path):
    real, _ = persons.frames()
    write_frames(real, persons.schema, persons.train, tmp_path / "made")
    with Workspace(privsynth_home()) as workspace:
        back = persons.beside(persons.read(tmp_path / "made", workspace))
    assert sound_keys(back.synthetic) == 1.0
    assert alike(back) == pytest.approx({name: 1.0 for name in HISTORIES - {"c2st", "keys"}})


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"generators": ("tvae",)}, "'tvae' makes one table"),
        ({"generators": ("flat:sdv:ctgan",)}, "private generator of one table"),
        ({"generators": ("flat:nobody",)}, "no generator 'flat:nobody'"),
        ({"targets": ("ward",)}, "the target 'ward' is no column of 'patients'"),
        ({"targets": ("patient_id",)}, "the target 'patient_id'"),
        ({"unit": "patient_id"}, "linked tables take no"),
    ],
    ids=["one table", "flat", "unknown", "below", "key", "unit"],
)
def test_what_does_not_fit_linked_tables_is_refused(folder, more, words):
    with pytest.raises(ConfigError, match=words):
        settle(asked(folder, **more))


@pytest.mark.parametrize("name", ["sdv:par", "flat:marginal"])
def test_two_tables_below_the_persons_are_too_many_for_some(name, tmp_path):
    (tmp_path / "schema.yaml").write_text(yaml.safe_dump(SPEC))
    with pytest.raises(ConfigError, match=f"'{name}' takes one table below that of the persons; the schema has 2"):
        settle(asked(tmp_path / "clinic", generators=(name,)))


def test_keys_of_several_columns_are_for_our_own_generators(tmp_path):
    shop = {"shops": {"key": ["land", "shop"]}, "sales": {"parent": {"table": "shops", "columns": ["land", "shop"]}}}
    (tmp_path / "schema.yaml").write_text(yaml.safe_dump({"tables": shop}))
    with pytest.raises(ConfigError, match="'sdv:hma' takes keys of one column; that of 'shops' has more"):
        settle(asked(tmp_path / "clinic", generators=("sdv:hma",)))


def test_a_holdout_without_a_column_is_refused_before_anything_is_run(folder, tmp_path):
    (tmp_path / "held").mkdir()
    (tmp_path / "held" / "patients.csv").write_text((folder / "patients.csv").read_text())
    pd.read_csv(folder / "stays.csv").drop(columns="ward").to_csv(tmp_path / "held" / "stays.csv", index=False)
    with pytest.raises(SchemaError, match="the holdout's table 'stays' lacks the column 'ward'"):
        settle(asked(folder, holdout=str(tmp_path / "held")))


@pytest.mark.parametrize("name", ["sdv:hma", "flat:marginal"])
def test_what_needs_linked_tables_is_refused_for_one(name, table):
    with pytest.raises(ConfigError, match=f"'{name}' is for linked tables"):
        settle(BenchmarkConfig(table=str(table), out=Path("out"), unit="row", generators=(name,)))


def test_a_run_that_never_ends_is_a_line_of_its_own(folder, tmp_path, monkeypatch):
    def instead(job, config, progress):
        if "case" not in job:
            return REAL
        hopeless = job["case"]["generator"] == "sdv:hma"
        return {"error": "it was stopped after 15 minutes"} if hopeless else RESULT

    monkeypatch.setattr(runner, "_run", instead)
    wanted = asked(folder, tmp_path / "out", generators=("marginal", "sdv:hma"))
    document = benchmark(wanted)
    lines = {line.generator: (line.done, line.failed, line.private) for line in document.summary}
    assert lines == {"marginal": (1, 0, True), "sdv:hma": (0, 1, False)}
    page = (tmp_path / "out" / "benchmark.html").read_text(encoding="utf-8")
    assert "240 in training, 60 held out" in page
    assert "stopped after 15 minutes" in page
    assert "How many rows" in page
    assert document.table is not None
    assert document.table.tables == ("patients", "stays")
    assert document.settings["unit"] == "patient_id"
    frame = pd.read_csv(folder / "stays.csv")
    (tmp_path / "other").mkdir()
    for name in ("patients.csv", "stays.csv"):
        (tmp_path / "other" / name).write_text((folder / name).read_text())
    frame.iloc[1:].to_csv(tmp_path / "other" / "stays.csv", index=False)
    with pytest.raises(ConfigError, match="another table"):
        benchmark(replace(wanted, table=str(tmp_path / "other")))


def test_a_flattened_run_is_fitted_written_and_judged(folder, tmp_path):
    wanted = asked(folder, tmp_path / "out", generators=("flat:marginal",))
    told = json.loads(json.dumps(asdict(wanted), default=str))
    case = asdict(wanted.cases()[0])
    result = run_job({"config": told, "case": case, "keep": str(tmp_path / "kept")}, lambda stage, share: None)
    assert set(result["figures"]) == HISTORIES | {"tstr:sex"}
    assert result["figures"]["keys"] == 1.0
    assert 0 < result["epsilon_spent"] <= 3.0
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == ["patients.parquet", "stays.parquet"]
    assert result["rows"] == len(pd.read_parquet(tmp_path / "kept" / "patients.parquet"))
    judged = run_job({"config": told, "rows_file": str(tmp_path / "kept")}, lambda stage, share: None)
    assert judged["figures"] == result["figures"]


@pytest.mark.slow
def test_linked_tables_from_end_to_end(folder, tmp_path):
    schema, out = folder.parent / "schema.yaml", tmp_path / "out"
    words = ("--generators", "marginal", "--epsilons", 3, "--seeds", 1, "--keep-rows", "--json")
    result = run("benchmark", folder, "--schema", schema, *words, "--out", out)
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    (made,) = document["runs"]
    assert made["status"] == "done"
    assert set(made["figures"]) == HISTORIES | {"tstr:sex"}
    assert made["epsilon_spent"] <= 3.0
    assert document["table"]["tables"] == ["patients", "stays"]
    kept = pd.read_parquet(out / "rows" / "marginal_eps3_seed1" / "stays.parquet")
    assert list(kept) == ["stay_id", "patient", "admitted", "ward", "days"]
    assert made["figures"]["keys"] == 1.0

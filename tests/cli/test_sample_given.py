"""`privsynth sample` with conditions, shares and workers, from the command line and from Python."""

from __future__ import annotations

import json
import threading

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pipeline.admissions import FAST, RELEASED, admissions, left_in_workspace, run, schema, spent, write

import privsynth
import privsynth.sampling.draw as draw_module
import privsynth.sampling.synthetic_model as model_module
from privsynth.sampling.synthetic_model import SyntheticModel


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """Return the folder of one release, made once for this file."""
    folder = tmp_path_factory.mktemp("released")
    rules = [*schema()["rules"], "ward = ICU => age >= 18"]
    table, declared = write(folder, "admissions.csv", admissions(400)), write(folder, "s.yaml", schema(rules=rules))
    made = run(
        *("synthesize", table, "--schema", declared, "--epsilon", 5, "--out", folder / "out", "--rows", 50, *FAST),
        env={"PRIVSYNTH_HOME": str(folder / "home")},
    )
    assert made.exit_code in RELEASED, made.output
    return folder / "out"


def rows_of(folder) -> pd.DataFrame:
    return pd.concat([pd.read_parquet(path) for path in sorted(folder.glob("part-*"))], ignore_index=True)


def test_every_row_meets_the_condition_and_the_rules(released, tmp_path):
    made = run(
        *("sample", released, "--rows", 300, "--seed", 5, "--out", tmp_path / "s"),
        *("--given", "age >= 40 and ward in (ICU, ER)", "--given", "admitted >= 2024-03-01"),
    )
    assert made.exit_code == 0, made.output
    assert "base rates were altered on purpose" in made.stdout
    rows = rows_of(tmp_path / "s")
    assert len(rows) == 300
    assert (rows["age"] >= 40).all()
    assert rows["ward"].isin(["ICU", "ER"]).all()
    assert (pd.to_datetime(rows["admitted"]) >= "2024-03-01").all()
    both = rows["discharged"].notna()
    assert (rows["discharged"][both] >= rows["admitted"][both]).all()
    assert rows["patient"].is_unique
    assert pq.read_schema(tmp_path / "s" / "part-00000.parquet").field("ward").type == pa.string()
    label = json.loads((tmp_path / "s" / "_label.json").read_text())
    assert label["given"] == ["age >= 40 and ward in (ICU, ER)", "admitted >= 2024-03-01"]
    assert "on purpose" in label["base_rates"]
    assert spent() == {}
    assert left_in_workspace() == set()


def test_shares_are_exact_over_all_parts_and_told(released, tmp_path, monkeypatch):
    monkeypatch.setattr(draw_module, "PART_ROWS", 90)
    monkeypatch.setattr(model_module, "PART_ROWS", 90)
    made = run(
        *("sample", released, "--rows", 400, "--seed", 5, "--out", tmp_path / "s", "--json"),
        *("--balance", "ward=ICU:0.6,ER:0.3", "--given", "discharged is not null"),
    )
    assert made.exit_code == 0, made.output
    told = json.loads(made.stdout)
    assert told["groups"] == {"ward = ICU": 240, "ward = ER": 120, "ward = surgery": 40}  # the only other
    assert "on purpose" in told["base_rates"]
    rows = rows_of(tmp_path / "s")
    assert len(told["files"]) == 5
    counts = rows["ward"].value_counts(dropna=False)  # the rest may hold a few without a ward
    assert (counts["ICU"], counts["ER"], counts.sum()) == (240, 120, 400)
    assert rows["discharged"].notna().all()
    assert (rows["age"][rows["ward"] == "ICU"].dropna() >= 18).all()
    assert rows["patient"].is_unique


@pytest.mark.parametrize("format_", ["parquet", "csv"])
def test_the_bytes_are_the_same_for_any_number_of_workers(released, tmp_path, monkeypatch, format_):
    monkeypatch.setattr(draw_module, "PART_ROWS", 70)
    monkeypatch.setattr(model_module, "PART_ROWS", 70)
    found = []
    for workers in (1, 2, 4):
        out = tmp_path / str(workers)
        privsynth.sample(
            released, out=out, rows=330, seed=3, workers=workers, format=format_, given="age > 20", balance="ward"
        )
        found.append({path.name: path.read_bytes() for path in out.iterdir()})
    files = 6 + (format_ == "csv")  # five parts, a label, and what says how the CSV is written
    assert len(found[0]) == files
    assert all(other == found[0] for other in found[1:])
    assert len(set(found[0].values())) == files


def test_the_table_of_a_release_is_what_its_seed_stands_for(tmp_path, monkeypatch):
    """However it is drawn: by the run, by `privsynth sample`, or as a frame; part by part each time."""
    monkeypatch.setattr(draw_module, "PART_ROWS", 70)
    monkeypatch.setattr(model_module, "PART_ROWS", 70)
    table, declared = write(tmp_path, "admissions.csv", admissions(200)), write(tmp_path, "s.yaml", schema())
    args = ("--schema", declared, "--epsilon", 5, "--rows", 330, "--seed", 9, "--format", "csv", *FAST)
    made = run("synthesize", table, *args, "--out", tmp_path / "out", env={"PRIVSYNTH_HOME": str(tmp_path / "home")})
    assert made.exit_code in RELEASED, made.output
    lines = (tmp_path / "out" / "public" / "data.csv").read_bytes().splitlines(keepends=True)
    privsynth.sample(tmp_path / "out", out=tmp_path / "more", rows=330, seed=9, format="csv")
    parts = [path.read_bytes().splitlines(keepends=True) for path in sorted((tmp_path / "more").glob("part-*"))]
    assert [len(part) for part in parts] == [71, 71, 71, 71, 51]
    assert lines == [parts[0][0], *(line for part in parts for line in part[1:])]
    model = SyntheticModel.load(tmp_path / "out" / "public" / "model")
    frame = model.sample(330, seed=9)
    assert frame["patient"].tolist() == [line.split(b",")[0].decode() for line in lines[1:]]
    assert frame["ward"].value_counts().to_dict() == _counts(lines, "ward")


def _counts(lines: list[bytes], name: str) -> dict[str, int]:
    """Return how often each text stands in a column of a table without quotes."""
    at = lines[0].decode().strip().split(",").index(name)
    cells = pd.Series([line.decode().strip().split(",")[at] for line in lines[1:]])
    return cells[cells != ""].value_counts().to_dict()


def test_without_conditions_nothing_is_said_of_base_rates(released, tmp_path):
    made = run("sample", released, "--rows", 20, "--seed", 5, "--out", tmp_path / "s", "--json")
    assert "base_rates" not in json.loads(made.stdout)
    assert "base_rates" not in json.loads((tmp_path / "s" / "_label.json").read_text())


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--given", "height = 3"), "no column 'height'"),
        (("--given", "ward = morgue"), "no category 'morgue'"),
        (("--given", "age > 130"), "loosen"),
        (("--given", "discharged < admitted"), "meet the conditions"),
        (("--given", "ward"), "cannot be read"),
        (("--balance", "ward=0.3"), "which value"),
        (("--balance", "ward=ICU:2"), "between 0 and 1"),
        (("--balance", "age"), "name them"),
        (("--workers", "0"), "workers"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence_and_leaves_nothing(released, tmp_path, args, words):
    result = run("sample", released, "--rows", 40, "--out", tmp_path / "s", *args)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    assert words in result.stderr
    assert list(tmp_path.iterdir()) == []
    assert left_in_workspace() == set()


@pytest.mark.parametrize("raised", [KeyboardInterrupt, OSError(28, "No space left on device"), ValueError])
def test_a_stopped_run_leaves_nothing(released, tmp_path, monkeypatch, raised):
    """The third part fails while others are being made."""
    monkeypatch.setattr(draw_module, "PART_ROWS", 50)
    monkeypatch.setattr(model_module, "PART_ROWS", 50)
    made, lock = [], threading.Lock()
    draw = SyntheticModel.draw

    def failing(self, order, *, seed, part=0, **more):
        with lock:
            made.append(part)
        if part == 2:
            raise raised
        return draw(self, order, seed=seed, part=part, **more)

    monkeypatch.setattr(SyntheticModel, "draw", failing)
    result = run("sample", released, "--rows", 2_000, "--out", tmp_path / "s", "--workers", 2)
    assert result.exit_code == {KeyboardInterrupt: 130, ValueError: 70}.get(raised, 2)
    assert list(tmp_path.iterdir()) == []
    assert left_in_workspace() == set()
    assert len(made) < 40  # what had not begun was never begun
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ThreadPool")]


def test_a_frame_under_conditions_is_the_same_for_the_same_seed(released):
    model = privsynth.Release.open(released).model()
    one, two, other = (model.sample(200, seed=seed, given=["age < 50"], balance="ward") for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(one, two)
    assert not one.equals(other)
    assert (one["age"] < 50).all()
    assert np.ptp(one["ward"].value_counts()) <= 1

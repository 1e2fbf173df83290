"""Dividing and aligning the tables of a benchmark, and the tables that need no download."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from privsynth.benchmark.config import BenchmarkConfig, Case
from privsynth.benchmark.splits import RealTables, align, read_real_tables, settle
from privsynth.errors import ConfigError, InputError, SchemaError
from privsynth.schema.definition import Schema
from privsynth.table import Table
from privsynth.workspace import Workspace, privsynth_home

ROOT = Path(__file__).parents[2]


def config(table, **more) -> BenchmarkConfig:
    options = {"out": Path("out"), "generators": ("marginal",), "unit": "row", **more}
    return BenchmarkConfig(table=str(table), **options)


def read(wanted: BenchmarkConfig) -> tuple[pd.DataFrame, pd.DataFrame, RealTables]:
    with Workspace(privsynth_home()) as workspace:
        sides = read_real_tables(wanted, workspace)
        return sides.train.data.to_pandas(), sides.holdout.data.to_pandas(), sides


def test_the_split_is_the_same_in_every_process_and_loses_nothing(table):
    train, hold, _ = read(config(table, holdout_fraction=0.3))
    again, _, _ = read(config(table, holdout_fraction=0.3))
    pd.testing.assert_frame_equal(train, again)
    assert len(train) + len(hold) == 300
    assert 55 < len(hold) < 125  # 90 ± 4.4 standard deviations


def test_rows_of_a_unit_are_on_one_side(tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"patient": rng.integers(0, 60, 300).astype(str), "age": rng.integers(0, 90, 300)})
    frame.loc[:9, "patient"] = None
    frame.to_csv(tmp_path / "a.csv", index=False)
    train, hold, _ = read(config(tmp_path / "a.csv", unit="patient", max_rows_per_unit=3))
    assert not set(train["patient"].dropna()) & set(hold["patient"].dropna())
    assert set(hold["patient"]) != set()
    assert not hold["patient"].isna().any()


def test_a_declared_number_of_rows_is_that_of_the_training_rows(table, tmp_path):
    (tmp_path / "s.yaml").write_text("rows: 300\ncolumns: {age: {kind: integer, minimum: 0, maximum: 99}}\n")
    _, _, sides = read(config(table, schema=tmp_path / "s.yaml", holdout_fraction=0.3))
    assert sides.schema.rows == 210
    _, _, whole = read(config(table, schema=tmp_path / "s.yaml", holdout=str(table)))
    assert whole.schema.rows == 300


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"generators": ()}, "at least one generator"),
        ({"generators": ("nobody",)}, "no generator 'nobody'"),
        ({"generators": ("marginal", "marginal")}, "twice"),
        ({"epsilons": (1.0, 1.0)}, "twice"),
        ({"epsilons": ()}, "at least one epsilon"),
        ({"epsilons": (0.0,)}, "epsilon"),
        ({"seeds": 0}, "seeds"),
        ({"holdout": "b.csv", "holdout_fraction": 0.2}, "not both"),
        ({"holdout_fraction": 1.0}, "holdout_fraction"),
        ({"timeout_s": 0.0}, "timeout_s"),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value),
)
def test_absurd_settings_are_refused_before_anything_is_read(more, words):
    with pytest.raises(ConfigError, match=words):
        config("missing.csv", **more)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"unit": None}, "whose privacy"),
        ({"unit": "patient", "max_rows_per_unit": 2}, "'patient' is not in the header"),
        ({"targets": ("nothing",)}, "the target 'nothing'"),
        ({"holdout": "hold.csv"}, "the holdout lacks the column 'lab'"),
    ],
    ids=["unit", "unknown unit", "target", "holdout"],
)
def test_what_does_not_fit_the_header_is_refused(table, more, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("hold.csv").write_text("age,ward,back\n1,ER,no\n")
    with pytest.raises(InputError, match=words):
        settle(config(table, **more))


def test_cases_run_every_generator_once_before_any_twice():
    found = config("a.csv", epsilons=(1.0, 3.0), seeds=2).cases()
    assert [(case.epsilon, case.seed) for case in found] == [(1.0, 1), (3.0, 1), (1.0, 2), (3.0, 2)]
    assert len({case.key for case in found}) == 4
    assert Case(generator="sdv:a/b", epsilon=None, seed=1).key == "sdv-a-b_no-privacy_seed1"


def sides(**train: list) -> RealTables:
    table = Table(pa.table(train))
    return RealTables(train=table, holdout=table, schema=Schema(), physical={}, targets=("when",))


def test_tables_are_aligned_by_what_the_training_rows_look_like():
    real = sides(when=["2024-01-05", "2024-02-29"] * 30, age=["7", "70"] * 30, id=["a", "b"] * 30)
    other = Table(pa.table({"age": [7.0, None], "when": ["29/02/2024", "31/01/2024"], "id": ["x", "y"]}))
    found = align(real, other, "id")
    assert found.columns == ["when", "age"]
    assert found.targets == ("when",)
    assert found.synthetic["when"].tolist() == [pd.Timestamp("2024-02-29"), pd.Timestamp("2024-01-31")]
    assert found.synthetic["age"].tolist()[0] == 7.0
    assert np.isnan(found.synthetic["age"].tolist()[1])


def test_rows_that_lack_a_column_are_refused():
    with pytest.raises(ConfigError, match="lack the column 'when'"):
        align(sides(when=["2024-01-05"], age=["7"]), Table(pa.table({"age": ["7"]})), "row")
    with pytest.raises(ConfigError, match="nothing to measure"):
        align(sides(id=["a"]), Table(pa.table({"id": ["b"]})), "id")


@pytest.fixture(scope="module")
def exports():
    """Return `experiments/tables.py` as a module."""
    spec = importlib.util.spec_from_file_location("benchmark_tables", ROOT / "experiments" / "tables.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_exported_tables_can_be_benchmarked(exports, tmp_path):
    listed = exports.write_tables(tmp_path, ["iris", "hospital", "parity"])
    first = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    exports.write_tables(tmp_path, ["iris", "hospital", "parity"])
    assert first == {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert listed.name in first
    for name, unit, target in (("iris", "row", "species"), ("hospital", "patient_id", "readmitted_30d")):
        schema = ROOT / "sample_data" / "hospital.schema.yaml" if name == "hospital" else None
        held = str(tmp_path / f"{name}.hold.csv")
        settle(config(tmp_path / f"{name}.train.csv", holdout=held, unit=unit, targets=(target,), schema=schema))
    patients = [pd.read_csv(tmp_path / f"hospital.{part}.csv", dtype=str)["patient_id"] for part in ("train", "hold")]
    assert not set(patients[0]) & set(patients[1])


def test_the_parity_table_hides_its_rule_from_pairs(exports):
    coins = exports.parity(seed=1) == "heads"
    odd = exports.parity(seed=1)["odd"] == "yes"
    three = (coins["coin1"] ^ coins["coin2"] ^ coins["coin3"]) == odd
    assert 0.88 < three.mean() < 0.92
    for name in coins.columns.drop("odd"):
        assert abs((coins[name] == odd).mean() - 0.5) < 0.02  # 5.7 standard deviations


def test_a_list_of_tables_names_files_that_are_there():
    import yaml

    folder = ROOT / "experiments"
    listed = yaml.safe_load((folder / "published.yaml").read_text(encoding="utf-8"))
    for entry in listed["tables"].values():
        for key in ("schema", "compare"):
            assert key not in entry or (folder / entry[key]).exists()


def test_results_of_others_can_be_read():
    from privsynth.benchmark.results import load_runs

    for path in sorted((ROOT / "experiments" / "results").glob("*.json")):
        runs = load_runs(path)
        assert runs
        assert all(run.note and run.judge for run in runs)


def test_a_schema_that_does_not_fit_is_refused(table, tmp_path):
    (tmp_path / "s.yaml").write_text("columns: {nothing: {kind: integer}}\n")
    with pytest.raises(SchemaError, match="nothing"):
        settle(config(table, schema=tmp_path / "s.yaml"))


def test_a_reference_is_fitted_on_typed_rows_and_has_no_bill(table, tmp_path, monkeypatch):
    from privsynth.benchmark.fit import fit
    from privsynth.generators.registry import GENERATORS, GeneratorInfo

    asked = {}

    def rows(name, frame, kinds, *, n_rows, seed, epochs):
        asked.update(name=name, kinds=kinds, n_rows=n_rows, seed=seed, epochs=epochs)
        return frame.head(n_rows)

    where = "privsynth.generators.sdv"
    monkeypatch.setitem(sys.modules, where, SimpleNamespace(reference_rows=rows))
    monkeypatch.setitem(GENERATORS, "sdv:tvae", GeneratorInfo("sdv:tvae", False, "no privacy", where))
    wanted = config(table, generators=("sdv:tvae",), epsilons=(), reference_epochs=2)
    (case,) = [case for case in wanted.cases() if case.seed == 1]
    with Workspace(privsynth_home()) as workspace:
        real = read_real_tables(wanted, workspace)
        found = fit(real, wanted, case, tmp_path / "rows.parquet", lambda stage, share: None)
        assert asked["n_rows"] == real.train.n_rows
    assert asked["kinds"] == {"age": "integer", "ward": "categorical", "lab": "numeric", "back": "categorical"}
    assert (asked["name"], asked["seed"], asked["epochs"]) == ("sdv:tvae", 1, 2)
    assert case.epsilon is None
    assert found.epsilon_spent is None
    assert found.sample_s is None
    assert len(pd.read_parquet(tmp_path / "rows.parquet")) == found.rows == asked["n_rows"]

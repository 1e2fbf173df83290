"""SDV's synthesizers: without privacy and said so, kept out of the core, silent, offline and repeatable."""

from __future__ import annotations

import ast
import json
import socket
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pipeline.admissions import admissions, run, schema, spent, write

from privsynth.errors import ConfigError
from privsynth.generators.registry import GENERATORS
from privsynth.generators.sdv import LinkedFrames, reference_rows, reference_tables

PACKAGE = Path(__file__).parents[2] / "privsynth"
REFERENCES = [name for name, info in GENERATORS.items() if not info.private]
KINDS = {
    "age": "integer", "x": "numeric", "sex": "categorical", "smoker": "boolean", "day": "date", "empty": "numeric",
    "name": "text", "key": "id",
}  # fmt: skip


def frame(n: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "key": range(n),
            "age": rng.integers(0, 90, n),
            "x": np.where(rng.random(n) < 0.2, np.nan, rng.normal(size=n)),
            "sex": rng.choice(["F", "M"], n),
            "smoker": rng.random(n) < 0.3,
            "day": pd.DatetimeIndex(np.datetime64("2024-01-01", "s") + 86_400 * rng.integers(0, 99, n)),
            "empty": [None] * n,
            "name": "needle",
            "not declared": 1,
        }
    )


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_args, **_more):
        raise AssertionError("somebody tried to call out")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def test_nothing_but_one_module_imports_sdv():
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if any(name.split(".")[0] in ("sdv", "ctgan", "rdt", "copulas") for name in names):
                found.add(path.relative_to(PACKAGE).as_posix())
    assert found == {"generators/sdv.py"}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sdv:gaussian_copula", "sdv:ctgan", "sdv:tvae"])
def test_rows_are_silent_offline_and_repeatable(name, no_network, capfd):
    before, state = frame(), np.random.get_state()[1].copy()
    real = frame()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rows = reference_rows(name, real, KINDS, n_rows=25, seed=1, epochs=1)
    again = reference_rows(name, real, KINDS, n_rows=25, seed=1, epochs=1)
    pd.testing.assert_frame_equal(rows, again)
    assert list(rows) == ["age", "x", "sex", "smoker", "day", "empty"]
    assert len(rows) == 25
    assert rows["age"].between(0, 89).all()
    assert set(rows["sex"]) <= {"F", "M"}
    assert rows["day"].between("2024-01-01", "2024-04-08").all()
    assert rows["empty"].isna().all()
    assert capfd.readouterr() == ("", "")
    assert np.array_equal(np.random.get_state()[1], state)
    pd.testing.assert_frame_equal(real, before)


def test_tables_that_ask_for_nothing():
    empty = reference_rows("sdv:ctgan", frame(0), KINDS, n_rows=3, seed=1)
    assert (list(empty), len(empty)) == (["age", "x", "sex", "smoker", "day", "empty"], 3)
    assert empty.isna().all(axis=None)
    assert len(reference_rows("sdv:ctgan", frame(), KINDS, n_rows=0, seed=1)) == 0
    with pytest.raises(ConfigError, match="no column"):
        reference_rows("sdv:ctgan", frame(), {"name": "text"}, n_rows=5, seed=1)
    with pytest.raises(ConfigError, match="no reference 'sdv:magic'"):
        reference_rows("sdv:magic", frame(), KINDS, n_rows=5, seed=1)


def histories(n: int = 40) -> LinkedFrames:
    """Return persons with rows in order; the first one has none, and both tables have a column of the same name."""
    rng = np.random.default_rng(1)
    parent = np.repeat(np.arange(1, n), rng.integers(1, 4, n - 1))
    persons = pd.DataFrame({"sex": rng.choice(["F", "M"], n), "name": "needle"})
    days = np.sort(rng.integers(0, 300, len(parent)))
    when = pd.DatetimeIndex(np.datetime64("2024-01-01", "s") + 86_400 * days)
    rows = pd.DataFrame({"when": when, "sex": rng.choice(["x", "y"], len(parent)), "empty": np.nan})
    return LinkedFrames({"persons": persons, "visits": rows}, {"visits": parent}, {"visits": "persons"})


OF_TABLES = {
    "persons": {"sex": "categorical", "name": "text"},
    "visits": {"when": "date", "sex": "categorical", "empty": "numeric"},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sdv:hma", "sdv:par"])
def test_linked_tables_are_silent_offline_and_repeatable(name, no_network, capfd):
    real, settings = histories(), {"orders": {"visits": "when"}, "epochs": 1}
    made, again, other = (reference_tables(name, real, OF_TABLES, seed=seed, **settings) for seed in (1, 1, 2))
    for table, frame in made.frames.items():
        pd.testing.assert_frame_equal(frame, again.frames[table])
        assert list(frame) == list(real.frames[table])
    assert not made.frames["visits"].equals(other.frames["visits"])
    assert len(made.frames["persons"]) == 40
    assert set(made.parent["visits"]) <= set(range(40))
    assert len(made.parent["visits"]) == len(made.frames["visits"]) > 0
    assert set(made.frames["persons"]["sex"]) <= {"F", "M"}
    assert set(made.frames["visits"]["sex"]) <= {"x", "y"}
    assert made.frames["persons"]["name"].isna().all()
    assert made.frames["visits"]["when"].dt.year.between(2022, 2026).all()
    assert capfd.readouterr() == ("", "")


def test_par_takes_one_table_below_the_persons_and_an_unknown_name_is_refused():
    with pytest.raises(ConfigError, match="no reference 'sdv:tvae' for linked"):
        reference_tables("sdv:tvae", histories(), OF_TABLES, orders={}, seed=1)
    alone = LinkedFrames({"persons": histories().frames["persons"]}, {}, {})
    with pytest.raises(ConfigError, match="the schema has 0 below"):
        reference_tables("sdv:par", alone, OF_TABLES, orders={}, seed=1)


def test_without_sdv_the_error_says_what_to_install(monkeypatch):
    for module in ("sdv", "sdv.single_table", "sdv.metadata"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigError, match=r"privsynth\[sdv\].*licence"):
        reference_rows("sdv:tvae", frame(), KINDS, n_rows=5, seed=1)
    with pytest.raises(ConfigError, match=r"privsynth\[sdv\].*licence"):
        reference_tables("sdv:hma", histories(), OF_TABLES, orders={}, seed=1)


@pytest.mark.parametrize("name", REFERENCES)
@pytest.mark.parametrize("command", ["synthesize", "plan"])
def test_a_release_refuses_them_before_anything_is_spent(name, command, tmp_path):
    table, declared = write(tmp_path, "admissions.csv", admissions()), write(tmp_path, "schema.yaml", schema())
    out = ("--out", tmp_path / "out") if command == "synthesize" else ()
    made = run(command, table, "--schema", declared, "--epsilon", 1, "--generator", name, *out)
    assert made.exit_code == 2
    assert "no privacy guarantee" in made.stderr
    assert "`privsynth benchmark` and `privsynth audit`" in made.stderr
    assert made.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()
    assert spent() == {}


def test_the_list_of_generators_marks_them():
    told = json.loads(run("generators", "--json").stdout)
    assert [name for name, info in told.items() if not info["private"]] == REFERENCES
    assert len(REFERENCES) == 5
    assert run("generators").stdout.count("no privacy") >= 5

"""A private folder of its own for every test, and a tiny table that many tests share."""

from __future__ import annotations

import os
import random
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import settings
from in_part import left_out

from privsynth.schema import Schema
from privsynth.table import Table

# No time is asserted in a test: a slow machine is no fault of the code. With `CI` set, as `make test` sets it, the same
# examples and the same noise are taken every time, so that what a run says of a change is about the change; elsewhere
# they are drawn anew.
REPEATABLE = bool(os.environ.get("CI"))
settings.register_profile("patient", deadline=None, derandomize=REPEATABLE)
settings.load_profile("patient")


class RepeatableDraws:
    """What stands for `os.urandom` in this process: a stream that starts anew with each test, from the test's name.

    A forked child keeps to the real one, as it must not draw what its parent draws.
    """

    def __init__(self) -> None:
        self._real, self._pid, self._stream = os.urandom, os.getpid(), random.Random(0)

    def start(self, name: str) -> None:
        """Begin the stream of a test; CI_DRAWS picks another one."""
        self._stream = random.Random(f"{os.environ.get('CI_DRAWS', '')}{name}")

    def __call__(self, count: int) -> bytes:
        """Return `count` bytes."""
        return self._stream.randbytes(count) if os.getpid() == self._pid else self._real(count)


def pytest_collection_modifyitems(config, items):
    """Run slow tests of many cases in part, with `CI` set and PRIVSYNTH_ALL_TESTS not."""
    if REPEATABLE and not os.environ.get("PRIVSYNTH_ALL_TESTS"):
        gone = left_out(items)
        names = {item.nodeid for item in gone}
        config.hook.pytest_deselected(items=gone)
        items[:] = [item for item in items if item.nodeid not in names]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    """Fix the noise of a test and of the fixtures that it is the first to ask for."""
    if REPEATABLE:
        if not isinstance(os.urandom, RepeatableDraws):
            os.urandom = RepeatableDraws()
        os.urandom.start(item.nodeid)
    return (yield)


@pytest.fixture(scope="session")
def homes(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("homes")


@pytest.fixture(autouse=True)
def privsynth_home(homes, monkeypatch):
    """Keep keys, ledgers and spills of a test away from the person's own."""
    home = Path(tempfile.mkdtemp(dir=homes))  # one by mktemp of pytest is as slow as there are many
    monkeypatch.setenv("PRIVSYNTH_HOME", str(home))
    for name in ("PRIVSYNTH_LEDGER", "PRIVSYNTH_LEDGER_HEAD"):
        monkeypatch.delenv(name, raising=False)
    return home


@pytest.fixture
def rng():
    return np.random.default_rng(20261122)


@pytest.fixture
def tiny_table(rng) -> Table:
    """Return 400 rows of admissions, as a CSV file delivers them: texts only."""
    n = 400
    day = np.datetime64("2024-01-01") + rng.integers(0, 365, n)
    minutes = rng.integers(0, 1440, n)
    return Table(
        pa.table(
            {
                "patient": [f"p{i // 2}" for i in range(n)],
                "ward": [("ICU", "ER", "surgery")[i] for i in rng.integers(0, 3, n)],
                "age": [str(a) if a else "" for a in rng.integers(0, 100, n)],
                "creatinine": [f"{x:.2f}" for x in rng.lognormal(0, 0.4, n)],
                "admitted": [f"{d}T{m // 60:02d}:{m % 60:02d}" for d, m in zip(day, minutes, strict=True)],
                "smoker": [("yes", "no")[i] for i in rng.integers(0, 2, n)],
            }
        )
    )


@pytest.fixture
def tiny_schema() -> Schema:
    """Return a schema for `tiny_table` that leaves facts, categories and bounds to be bought."""
    return Schema.model_validate(
        {
            "dataset": "tiny",
            "unit": "patient",
            "max_rows_per_unit": 2,
            "columns": {
                "patient": {"kind": "id"},
                "ward": None,
                "age": {"kind": "integer", "minimum": 0, "maximum": 120},
                "creatinine": None,
                "admitted": {"kind": "datetime"},
                "smoker": {"kind": "boolean"},
            },
        }
    )

"""A private folder of its own for every test, and a tiny table that many tests share."""

from __future__ import annotations

import os

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import settings

from privsynth.schema import Schema
from privsynth.table import Table

# No time is asserted in a test: a slow machine is no fault of the code. CI takes the same examples every time, so that
# what it says of a change is about the change; elsewhere they are drawn anew.
settings.register_profile("patient", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("patient")


@pytest.fixture(autouse=True)
def privsynth_home(tmp_path_factory, monkeypatch):
    """Keep keys, ledgers and spills of a test away from the person's own."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("PRIVSYNTH_HOME", str(home))
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

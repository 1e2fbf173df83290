"""A run on a typed table: what the types state is not bought, is printed as theirs, and holds in the rows."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from pipeline.admissions import FAST, RELEASED, run

N = 2_000


@pytest.fixture(scope="module")
def typed(tmp_path_factory):
    """Return the path of a Parquet file of booleans, dates, instants, prices and codes."""
    rng = np.random.default_rng(5)
    days = rng.integers(19_000, 19_300, N)
    columns = {
        "again": (pa.array(rng.random(N) < 0.3), False),
        "day": (pa.array(days.astype(np.int32)).cast(pa.date32()), False),
        "at": (pa.array(days * 86_400_000_000 + 36_000_000_000).cast(pa.timestamp("us", tz="Europe/Berlin")), False),
        "price": (pa.array((rng.integers(100, 9_999, N) / 100).round(2)).cast(pa.decimal128(8, 2)), False),
        "ward": (pa.array(rng.choice(["ICU", "ER"], N)), True),
    }
    fields = [pa.field(name, array.type, nullable=nullable) for name, (array, nullable) in columns.items()]
    path = tmp_path_factory.mktemp("typed") / "stays.parquet"
    pq.write_table(pa.table([array for array, _ in columns.values()], schema=pa.schema(fields)), path)
    return path


@pytest.fixture(scope="module")
def released(typed, tmp_path_factory):
    folder = tmp_path_factory.mktemp("released")
    out = folder / "out"
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PRIVSYNTH_HOME", str(folder / "home"))  # the home of a single test is not there yet
        made = run("synthesize", typed, "--unit", "row", "--epsilon", 4, "--seed", 1, "--out", out, *FAST)
    assert made.exit_code in RELEASED, made.output
    return out


def test_the_report_says_where_each_kind_is_from(released):
    columns = {c["name"]: c for c in json.loads((released / "public" / "report.json").read_text())["columns"]}
    assert {name: (c["kind"], c["provenance"]) for name, c in columns.items() if name in ("again", "ward")} == {
        "again": ("boolean", "fixed"),
        "ward": ("categorical", "bought"),
    }
    assert [columns[n]["nullable"] for n in ("again", "day", "at", "price", "ward")] == [False] * 4 + [True]
    assert "stated by the source" in (released / "public" / "report.html").read_text()


def test_only_columns_of_open_kind_voted(released):
    bill = json.loads((released / "officer" / "run.json").read_text())["bill"]
    (votes,) = [spend for spend in bill if spend["part"] == "votes"]
    assert votes["l2_sensitivity"] == pytest.approx(2**0.5, rel=1e-9)  # `ward`, and the clock of `at`


def test_what_is_never_missing_is_not(released):
    rows = pq.read_table(released / "public" / "data.parquet")
    assert {name: rows.column(name).null_count for name in ("again", "day", "at", "price")} == dict.fromkeys(
        ("again", "day", "at", "price"), 0
    )
    schema = yaml.safe_load((released / "public" / "schema.yaml").read_text())["columns"]
    assert schema["again"] == {"kind": "boolean", "nullable": False}
    assert schema["price"]["precision"] == 0.01


def test_a_draft_holds_what_types_state(typed):
    drafted = yaml.safe_load(run("schema", "init", typed).stdout)
    assert drafted["columns"] == {
        "again": {"kind": "boolean", "nullable": False},
        "day": {"kind": "date", "nullable": False},
        "at": {"kind": "datetime", "nullable": False},
        "price": {"kind": "numeric", "precision": 0.01, "nullable": False},
        "ward": {},
    }


def test_a_draft_from_rows_marks_only_what_rows_say(typed):
    drafted = yaml.safe_load(run("schema", "init", typed, "--observe").stdout)["columns"]
    assert drafted["again"] == {"kind": "boolean", "nullable": False}
    assert drafted["ward"] == {"kind": "categorical", "categories": ["ER", "ICU"], "observed": True}
    assert drafted["price"]["observed"] is True
    assert drafted["price"]["minimum"] >= 1
    assert drafted["price"]["nullable"] is False


def test_a_plan_counts_them_as_declared(typed):
    found = json.loads(run("plan", typed, "--unit", "row", "--epsilon", 1, "--json").stdout)
    known = {column["name"]: column["known"] for column in found["outlooks"][0]["columns"]}
    assert known["again"] == "declared"

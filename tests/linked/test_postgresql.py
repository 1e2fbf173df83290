"""Linked tables from a real PostgreSQL server: drafted from its catalogue, planned, released, and no secret told."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from importlib.util import find_spec

import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import CliRunner
from linked.clinic import SPEC, clinic
from postgresql_server import DRIVERS, PASSWORD, absent, running_server

import privsynth
from privsynth.cli import main
from privsynth.generators.marginal.fitted import FitSettings
from privsynth.generators.marginal.generator import MarginalGenerator
from privsynth.pipeline.linked import synthesize as module

TABLES = """
    CREATE TABLE patients (patient_id text PRIMARY KEY, sex text NOT NULL, born date NOT NULL);
    CREATE TABLE wards (ward text PRIMARY KEY, floor integer, opened date, open_all_day boolean, rate numeric(6, 2),
                        area double precision, beds bigint, changed timestamp with time zone, said timestamp);
    CREATE TABLE stays (stay_id text PRIMARY KEY, patient text REFERENCES patients, admitted date NOT NULL,
                        ward text REFERENCES wards, days integer NOT NULL);
    CREATE TABLE tests (stay text REFERENCES stays, name text NOT NULL, value numeric NOT NULL);
"""


@pytest.fixture(scope="module")
def url():
    if find_spec(DRIVERS[0]) is None:
        absent(DRIVERS[0])
    from sqlalchemy import create_engine, text

    with running_server() as port:
        address = f"postgresql+{DRIVERS[0]}://anna:{PASSWORD}@127.0.0.1:{port}/postgres"
        engine = create_engine(address)
        with engine.begin() as connection:
            for statement in TABLES.split(";")[:-1]:
                connection.execute(text(statement))
            frames = clinic(60)
            for table, day in (("patients", "born"), ("stays", "admitted")):
                frames[table][day] = pd.to_datetime(frames[table][day]).dt.date
            for name in ("patients", "wards", "stays", "tests"):
                frames[name].to_sql(name, connection, index=False, if_exists="append")
            connection.execute(
                text(
                    "UPDATE wards SET opened = '1987-05-01', open_all_day = true, rate = 12.5, area = 80.25, "
                    "changed = '2024-03-01 12:00+02', said = CASE WHEN ward = 'x' THEN now() ELSE 'infinity' END"
                )
            )
        engine.dispose()
        yield address


def test_the_catalogue_states_kinds_keys_and_links(url):
    run = CliRunner().invoke(main, ["schema", "init", url])
    assert run.exit_code == 0, run.output
    assert PASSWORD not in run.output
    tables = yaml.safe_load(run.stdout)["tables"]
    assert tables["tests"]["parent"] == {"table": "stays", "column": "stay"}
    assert tables["stays"]["parent"] == {"table": "patients", "column": "patient"}
    assert tables["stays"]["columns"]["admitted"] == {"kind": "date", "nullable": False}
    assert "# ward refers to wards, too" in run.stdout


def test_a_release_has_the_tables_in_the_types_of_the_database(url, tmp_path, monkeypatch):
    monkeypatch.setenv("PRIVSYNTH_HOME", str(tmp_path / "home"))
    small = MarginalGenerator(FitSettings(components=32, max_steps=30))
    monkeypatch.setattr(module, "load_generator", lambda name: small)
    plan = privsynth.plan(url, schema=SPEC, epsilon=1)
    assert [table.name for table in plan.tables] == ["patients", "stays", "tests"]
    made = privsynth.synthesize(url, schema=SPEC, epsilon=1, out=tmp_path / "out", audit="none", anyway=True)
    tables = made.release.tables()
    assert tables["stays"]["admitted"].dtype.kind in "MO"
    assert set(tables["tests"]["stay"]) <= set(tables["stays"]["stay_id"])
    wards = pq.read_table(tmp_path / "out" / "public" / "data" / "wards.parquet")
    types = {field.name: str(field.type) for field in wards.schema}
    assert types == {
        "ward": "string", "floor": "int32", "opened": "date32[day]", "open_all_day": "bool", "rate": "decimal128(6, 2)",
        "area": "double", "beds": "int64", "changed": "timestamp[us, tz=UTC]", "said": "timestamp[us]",
    }  # fmt: skip
    (first, *_) = wards.select(["opened", "open_all_day", "rate", "area", "beds", "changed"]).to_pylist()
    changed = dt.datetime(2024, 3, 1, 10, tzinfo=dt.UTC)
    assert list(first.values()) == [dt.date(1987, 5, 1), True, Decimal("12.50"), 80.25, None, changed]
    for path in (tmp_path / "out").rglob("*"):
        assert not path.is_file() or PASSWORD.encode() not in path.read_bytes()

"""Synthetic tables written back to real databases: types and keys as in the source, all of them or nothing."""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
import uuid
from decimal import Decimal
from importlib.util import find_spec

import pyarrow as pa
import pytest
from click.testing import CliRunner
from linked.clinic import SPEC, clinic
from mariadb_server import PASSWORD as MARIADB_PASSWORD
from mariadb_server import running_mariadb
from postgresql_server import DRIVERS, PASSWORD, absent, execute, running_server
from sqlalchemy import create_engine, inspect, text

import privsynth
from privsynth.cli import main
from privsynth.errors import ConfigError, OutputError, SourceError
from privsynth.generators.marginal.fitted import FitSettings
from privsynth.generators.marginal.generator import MarginalGenerator
from privsynth.pipeline.linked import synthesize as module
from privsynth.release.database import write
from privsynth.release.database.definition import definitions
from privsynth.release.database.write import Target
from privsynth.release.tables import DrawnTables, WrittenTable

SPEC_OF_TYPES = {
    "dataset": "types",
    "tables": {
        "account": {"key": "id", "columns": {"flag": {"kind": "boolean"}}},
        "payment": {
            "key": "payment_key",
            "parent": {"table": "account", "column": "account"},
            "order": "at",
            "columns": {
                "at": {"kind": "datetime", "minimum": "2024-01-01", "maximum": "2024-12-31"},
                "amount": {"kind": "numeric", "minimum": 0, "maximum": 5000},
                "branch": {"kind": "integer", "minimum": 0, "maximum": 40},
                "points": {"kind": "integer", "minimum": 0, "maximum": 10},
                "note": {"kind": "categorical", "categories": ["", "a, \"b\"", "x\ty\\N", "Grüße"]},
            },
        },
    },
}  # fmt: skip
TYPES = """
    CREATE SCHEMA bank;
    CREATE TABLE bank.account (id bigint PRIMARY KEY, flag boolean NOT NULL, day date);
    CREATE TABLE bank.payment (payment_key uuid PRIMARY KEY, account bigint NOT NULL REFERENCES bank.account,
        at timestamptz NOT NULL, amount numeric(8, 2) NOT NULL, branch smallint NOT NULL, points integer, note text);
    INSERT INTO bank.account SELECT g, g % 2 = 0, date '2020-01-01' + g::int FROM generate_series(1, 200) g;
    INSERT INTO bank.payment SELECT gen_random_uuid(), g, timestamptz '2024-02-01 00:00Z' + g * interval '1 hour',
        g * 1.25, g % 40, NULLIF(g % 10, 3), 'Grüße' FROM generate_series(1, 200) g
"""


def small(monkeypatch, home):
    monkeypatch.setenv("PRIVSYNTH_HOME", str(home))
    generator = MarginalGenerator(FitSettings(components=32, max_steps=30))
    monkeypatch.setattr(module, "load_generator", lambda name: generator)


@pytest.fixture(scope="module")
def clinic_release(tmp_path_factory):
    """Return a release of the clinic, of a dataset whose name needs care in a comment."""
    folder = tmp_path_factory.mktemp("clinic")
    with pytest.MonkeyPatch.context() as patch:
        small(patch, folder / "home")
        spec = {**SPEC, "dataset": "100% of St. Mary's"}
        privsynth.synthesize(clinic(200), schema=spec, epsilon=3, out=folder / "out", audit="none", anyway=True)
    return folder / "out"


@pytest.fixture(scope="module")
def server():
    if find_spec(DRIVERS[0]) is None:
        absent(DRIVERS[0])
    with running_server() as port:
        yield f"postgresql+{{}}://anna:{PASSWORD}@127.0.0.1:{port}/postgres"


@pytest.fixture(params=[driver for driver in DRIVERS if driver == DRIVERS[0] or find_spec(driver)])
def postgresql(request, server):
    return server.format(request.param)


@pytest.fixture(scope="module")
def mariadb():
    with running_mariadb() as url:
        yield url


def sampled(release, to, *words, code=0):
    """Run `privsynth sample --to` and return what it prints."""
    done = CliRunner().invoke(main, ["sample", str(release), "--to", str(to), "--seed", "5", *words])
    assert done.exit_code == code, done.output
    assert PASSWORD not in done.output
    assert MARIADB_PASSWORD not in done.output
    return done.output


def rows_of(url, table):
    engine = create_engine(url)
    with engine.connect() as connection:
        found = [tuple(row) for row in connection.execute(text(f"SELECT * FROM {table}"))]
    engine.dispose()
    return found


def expected(release):
    """Return the rows that files of the same draw have, by table; days as dates."""
    tables = privsynth.Release.open(release).sample_tables(seed=5)
    for name, column in (("patients", "born"), ("stays", "admitted")):
        tables[name][column] = tables[name][column].dt.date
    return {name: sorted(frame.astype(object).itertuples(index=False, name=None)) for name, frame in tables.items()}


def defined(url, schema):
    """Return what a database's catalogue says of the tables of a schema."""
    looked = inspect(create_engine(url))
    return {
        name: {
            "columns": {c["name"]: (str(c["type"]), c["nullable"]) for c in looked.get_columns(name, schema)},
            "key": looked.get_pk_constraint(name, schema)["constrained_columns"],
            "links": [
                (key["constrained_columns"], key["referred_table"], key["referred_columns"])
                for key in looked.get_foreign_keys(name, schema)
            ],
            "comment": (looked.get_table_comment(name, schema) if looked.dialect.supports_comments else {}).get("text"),
        }
        for name in looked.get_table_names(schema)
    }


def check_clinic(release, found):
    """Check what a database says of the clinic's tables."""
    assert set(found) == {"patients", "stays", "tests", "wards"}
    assert [found[name]["key"] for name in ("patients", "stays", "tests", "wards")] == [
        *(["patient_id"], ["stay_id"], []), ["ward"],
    ]  # fmt: skip
    assert found["stays"]["links"] == [(["patient"], "patients", ["patient_id"])]
    assert found["tests"]["links"] == [(["stay"], "stays", ["stay_id"])]
    assert all(not nullable for _, nullable in found["stays"]["columns"].values())
    assert found["stays"]["columns"]["admitted"][0] == "DATE"


def check_comments(release, found):
    report = json.loads((release / "public" / "report.json").read_text())
    said = found["stays"]["comment"]
    assert said.startswith("SYNTHETIC rows of 100% of St. Mary's: seed=5; model_sha256=")
    assert f"epsilon={report['guarantee']['epsilon']:g}; delta=1e-06; unit=patient_id; signer=UNSIGNED" in said
    assert found["wards"]["comment"] == "REFERENCE: a public table, unchanged"


def test_tables_appear_in_a_new_schema_of_postgresql(clinic_release, postgresql):
    schema = "Of " + postgresql[11:16]
    printed = sampled(clinic_release, postgresql, "--to-schema", schema)
    assert f"schema {schema} (seed 5)" in printed
    found = defined(postgresql, schema)
    check_clinic(clinic_release, found)
    check_comments(clinic_release, found)
    for name, rows in expected(clinic_release).items():
        assert sorted(rows_of(postgresql, f'"{schema}".{name}')) == rows
    assert sorted(rows_of(postgresql, f'"{schema}".wards')) == [("medicine", 1), ("obstetrics", 2), ("surgery", 3)]
    refused = sampled(clinic_release, postgresql, "--to-schema", schema, code=2)
    assert "a schema of that name is there already; name a new one, nothing is ever overwritten" in refused


def test_tables_appear_in_a_new_database_of_mariadb(clinic_release, mariadb):
    sampled(clinic_release, f"{mariadb}/clinic")
    found = defined(f"{mariadb}/clinic", "clinic")
    check_clinic(clinic_release, found)
    check_comments(clinic_release, found)
    for name, rows in expected(clinic_release).items():
        assert sorted(rows_of(f"{mariadb}/clinic", name)) == rows
    refused = sampled(clinic_release, f"{mariadb}/clinic", code=2)
    assert "a database of that name is there already" in refused


def test_tables_appear_in_a_new_file_of_sqlite(clinic_release, tmp_path):
    path = tmp_path / "new" / "clinic.sqlite"
    made = privsynth.sample(clinic_release, to=path, seed=5)
    assert made.place == f"sqlite:///{path}"
    assert made.tables["wards"] == 3
    assert made.rows == sum(made.tables.values()) - 3
    found = defined(f"sqlite:///{path}", None)
    label = dict(rows_of(f"sqlite:///{path}", "_label"))
    assert (label["label"], label["epsilon"], label["seed"]) == ("SYNTHETIC", "3", "5")
    assert len(label["model_sha256"]) == 64
    del found["_label"]
    check_clinic(clinic_release, found)
    patients = rows_of(f"sqlite:///{path}", "patients")
    assert (
        sorted((key, sex, dt.date.fromisoformat(born)) for key, sex, born in patients)
        == (expected(clinic_release)["patients"])
    )
    assert [entry.name for entry in path.parent.iterdir()] == ["clinic.sqlite"]
    with pytest.raises(OutputError, match=r"exists already; name a new one, nothing is ever overwritten"):
        privsynth.sample(clinic_release, to=str(path))


def test_types_and_keys_are_those_of_the_source(server, tmp_path, monkeypatch):
    small(monkeypatch, tmp_path / "home")
    url = server.format(DRIVERS[0])
    execute(url, *TYPES.split(";"))
    out = tmp_path / "out"
    privsynth.synthesize(
        url, schema=SPEC_OF_TYPES, source_options={"table": "bank.*"}, epsilon=9, out=out, audit="none", anyway=True
    )
    sampled(out, url)
    source, target = defined(url, "bank"), defined(url, "synthetic")
    assert all(table["comment"].startswith("SYNTHETIC") for table in target.values())
    for name, table in target.items():
        assert (table["key"], table["links"]) == (source[name]["key"], source[name]["links"])
        for column, (kind, nullable) in source[name]["columns"].items():
            assert table["columns"][column][0] == kind
            assert nullable or not table["columns"][column][1]
    for key, account, at, amount, branch, points, note in rows_of(url, "synthetic.payment"):
        assert isinstance(key, uuid.UUID)
        assert account > 10**11
        assert at.utcoffset() is not None
        assert isinstance(amount, Decimal)
        assert 0 <= branch <= 40
        assert points is None or 0 <= points <= 10
        assert note in {None, "", 'a, "b"', "x\ty\\N", "Grüße"}


def test_rows_of_one_table_are_written_too(tmp_path, server, mariadb, monkeypatch):
    monkeypatch.setenv("PRIVSYNTH_HOME", str(tmp_path / "home"))
    frame = clinic(300)["stays"].drop(columns=["stay_id"])
    frame["days"] = frame["days"].astype("Int16").where(frame["days"] != 3)
    schema = {"columns": SPEC["tables"]["stays"]["columns"] | {"stay_id": {"kind": "id"}}}
    del schema["columns"]["stay_id"]
    del schema["columns"]["days"]["nullable"]
    privsynth.synthesize(
        frame, schema=schema, unit="patient", max_rows_per_unit=6, epsilon=10, out=tmp_path / "out", audit="none",
        dataset="stays", generator="marginal", anyway=True,
    )  # fmt: skip
    places = {"pg": server.format("pg8000"), "maria": f"{mariadb}/flat", "file": f"sqlite:///{tmp_path}/flat.db"}
    found = {}
    for name, url in places.items():
        words = ("--rows", "150", "--given", "ward = surgery", *(("--to-schema", "flat") if name == "pg" else ()))
        assert "Wrote 150 synthetic rows to" in sampled(tmp_path / "out", url, *words)
        where = "flat.stays" if name == "pg" else "stays"
        found[name] = sorted((str(a), str(b), c, d) for a, b, c, d in rows_of(url, where))
    assert found["pg"] == found["maria"] == found["file"]
    assert {row[2] for row in found["pg"]} == {"surgery"}
    assert None in {row[3] for row in found["pg"]}
    assert "on purpose" in defined(places["pg"], "flat")["stays"]["comment"]


def test_an_interruption_leaves_nothing(clinic_release, postgresql, mariadb, tmp_path, monkeypatch):
    monkeypatch.setenv("PRIVSYNTH_HOME", str(tmp_path / "home"))
    loaded = []
    whole = write._load_all

    def interrupted(connection, tables, defined, progress):
        whole(connection, tables[:3], defined[:3], progress)
        loaded.append(True)
        raise KeyboardInterrupt

    monkeypatch.setattr(write, "_load_all", interrupted)
    for place in (postgresql, f"{mariadb}/broken", str(tmp_path / "broken.sqlite")):
        with pytest.raises(KeyboardInterrupt):
            privsynth.sample(clinic_release, to=place, to_schema="broken" if place == postgresql else None)
    assert len(loaded) == 3
    assert "broken" not in inspect(create_engine(postgresql)).get_schema_names()
    assert "broken" not in inspect(create_engine(mariadb)).get_schema_names()
    assert not [entry.name for entry in tmp_path.iterdir() if "broken" in entry.name]


def test_what_the_database_refuses_is_one_sentence_without_a_secret(clinic_release, server, mariadb, tmp_path):
    url = server.format(DRIVERS[0])
    execute(url, "DROP ROLE IF EXISTS reader", "CREATE ROLE reader LOGIN PASSWORD 'hunter2'")
    assert "the user may not create a schema there" in sampled(clinic_release, url.replace("anna", "reader"), code=2)
    assert "refuses the user or the password" in sampled(clinic_release, url.replace("anna", "nobody"), code=2)
    for wrong, told in (
        (f"{mariadb}/", "names no database"),
        (f"{mariadb}/x?hunter3=1", "options in the URL of"),
        ("oracle://u:hunter2@h/db", "cannot be written to"),
        (str(tmp_path / "folder"), "or to a new file that ends in .sqlite"),
        (f"sqlite:///{tmp_path}", "exists already"),
        ("postgresql+none://u:hunter2@h/db", "there is no adapter for postgresql+none"),
    ):
        assert told in sampled(clinic_release, wrong, code=2)
    with pytest.raises(ConfigError, match="to_schema"):
        privsynth.sample(clinic_release, to=tmp_path / "x.db", to_schema="s")
    with pytest.raises(ConfigError, match="either out=…, a new folder, or to=…"):
        privsynth.sample(clinic_release)
    (tmp_path / "model").symlink_to(clinic_release / "public" / "model")
    with pytest.raises(SourceError, match="reference table 'wards' is not beside the model"):
        privsynth.sample(tmp_path / "model", to=tmp_path / "x.db")


def test_a_password_need_not_stand_in_the_url(clinic_release, mariadb, tmp_path, monkeypatch):
    plain = mariadb.replace(f":{MARIADB_PASSWORD}", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    options = tmp_path / ".my.cnf"
    options.write_text(f"!includedir /none\n[client]\npassword='{MARIADB_PASSWORD}'\n")
    assert "refuses the user" in sampled(clinic_release, f"{plain}/a", code=2)  # others can read the file
    options.chmod(0o600)
    sampled(clinic_release, f"{plain}/a")
    options.unlink()
    monkeypatch.setenv("MYSQL_PWD", MARIADB_PASSWORD)
    sampled(clinic_release, f"{plain}/b")


def test_names_that_a_database_would_cut_are_refused(tmp_path):
    wide = WrittenTable("t", pa.schema([("ü" * 32, pa.int64())]), iter(()))
    with pytest.raises(OutputError, match="a name of more than 63 bytes"):
        definitions([wide], {"dataset": "d"}, None, "sqlite")


def test_every_type_of_arrow_can_be_written(server, mariadb, tmp_path):
    arrays = {
        "u8": pa.array([255, None], pa.uint8()), "u64": pa.array([2**63, None], pa.uint64()),
        "i8": pa.array([-128, None], pa.int8()), "f32": pa.array([0.5, None], pa.float32()),
        "flag": pa.array([True, None]), "price": pa.array([Decimal("-1.25"), None], pa.decimal128(10, 2)),
        "day": pa.array([dt.date(2024, 2, 29), None]), "clock": pa.array([dt.time(1, 2, 3, 4), None], pa.time64("us")),
        "at": pa.array([dt.datetime(2024, 2, 29, 1, 2, 3, 456_789), None], pa.timestamp("ns")),
        "zoned": pa.array([dt.datetime(2024, 7, 1), None], pa.timestamp("us", tz="Europe/Berlin")),
        "took": pa.array([dt.timedelta(hours=25), None], pa.duration("ms")),
        "code": pa.array(["%s :a", None]).dictionary_encode(), "text": pa.array(['"', None]),
    }  # fmt: skip
    places = {server.format(d): "types" for d in DRIVERS if find_spec(d)} | {f"{mariadb}/types": None}
    for at, (url, schema) in enumerate([*places.items(), (f"sqlite:///{tmp_path}/types.db", None)]):
        block = pa.table(arrays)
        target = Target(url, f"{schema}{at}" if schema else None)
        target.write(DrawnTables((WrittenTable("t", block.schema, iter([block])),), {"dataset": "d"}, 0), tmp_path)
        first, second = rows_of(url, f"{schema}{at}.t" if schema else "t")
        assert second == (None,) * len(arrays)
        shown = dict(zip(arrays, map(str, first), strict=True))
        assert (shown["u8"], shown["i8"], shown["f32"]) == ("255", "-128", "0.5")
        assert shown["u64"] in (str(2**63), str(float(2**63)))  # SQLite's whole numbers have a sign
        assert shown["flag"] in ("True", "1")
        assert (shown["price"], shown["day"]) == ("-1.25", "2024-02-29")
        assert shown["clock"] in ("01:02:03.000004", "1:02:03.000004")
        assert shown["at"] == "2024-02-29 01:02:03.456789"
        assert shown["zoned"].startswith("2024-07-01 00:00:00")
        assert shown["took"] in ("1 day, 1:00:00", "90000.0")
        assert (shown["code"], shown["text"]) == ("%s :a", '"')


def test_sqlite_files_can_be_read_again(clinic_release, tmp_path):
    path = tmp_path / "clinic.db"
    privsynth.sample(clinic_release, to=path, seed=5)
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)

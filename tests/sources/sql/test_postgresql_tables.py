"""Whole schemas of PostgreSQL: linked by the catalogue, in one snapshot, in time, and whatever their cells hold."""

from __future__ import annotations

import pytest
from postgresql_server import execute

from privsynth.errors import ConfigError, SourceError
from privsynth.sources import SkippedCells, SourceOptions, open_source, open_tables, read_tables
from privsynth.sources.linked import Link, one_snapshot

HOSPITAL = (
    "DROP SCHEMA IF EXISTS hospital CASCADE",
    "DROP SCHEMA IF EXISTS billing CASCADE",
    "CREATE SCHEMA hospital",
    "CREATE SCHEMA billing",
    "CREATE TABLE hospital.patient (id int PRIMARY KEY, twin int REFERENCES hospital.patient)",
    "CREATE TABLE hospital.stay (patient int NOT NULL REFERENCES hospital.patient, n int, day date, PRIMARY KEY "
    "(patient, n))",
    'CREATE TABLE hospital."Lab result" (patient int, n int, value float8, FOREIGN KEY (patient, n) REFERENCES '
    "hospital.stay (patient, n)) PARTITION BY RANGE (value)",
    'CREATE TABLE hospital.low PARTITION OF hospital."Lab result" FOR VALUES FROM (0) TO (5)',
    'CREATE TABLE hospital.high PARTITION OF hospital."Lab result" FOR VALUES FROM (5) TO (9)',
    "CREATE TABLE hospital.old_stay (reason text) INHERITS (hospital.stay)",
    "CREATE TABLE billing.invoice (patient int REFERENCES hospital.patient, amount numeric(10, 2))",
    "CREATE VIEW hospital.ward AS SELECT DISTINCT n AS code FROM hospital.stay",
    "CREATE MATERIALIZED VIEW hospital.ages AS SELECT id FROM hospital.patient",
    "INSERT INTO hospital.patient VALUES (1, NULL), (2, 1)",
    "INSERT INTO hospital.stay VALUES (1, 1, '2024-01-01'), (2, 1, 'infinity')",
    "INSERT INTO hospital.old_stay VALUES (2, 9, NULL, 'x')",
    """INSERT INTO hospital."Lab result" VALUES (1, 1, 1.5), (2, 1, 7)""",
    "INSERT INTO billing.invoice VALUES (1, 10)",
)


def n_rows(source):
    return sum(batch.num_rows for batch in source.batches(SkippedCells()))


@pytest.fixture
def hospital(postgresql_url):
    """Return the URL of a database with two schemas, partitions, inheritance, views and odd names."""
    execute(postgresql_url, *HOSPITAL)
    return postgresql_url


def test_a_schema_is_linked_by_its_foreign_keys(hospital, workspace):
    linked = open_tables(hospital, SourceOptions(tables=("hospital.*",)))
    assert set(linked.links()) == {
        Link("patient", ("twin",), "patient", ("id",)),
        Link("stay", ("patient",), "patient", ("id",)),
        Link("Lab result", ("patient", "n"), "stay", ("patient", "n")),
    }
    read = read_tables(linked, workspace)
    # A partition's rows, and those of a table that inherits, are in their parent already.
    assert {name: table.n_rows for name, (table, _) in read.items()} == {"patient": 2, "stay": 3, "Lab result": 2}
    assert list(read) == ["patient", "stay", "Lab result"]


def test_tables_of_several_schemas_and_views_can_be_named(hospital):
    tables = ("billing.invoice", "hospital.ward", "hospital.ages", "hospital.patient", "hospital.low")
    linked = open_tables(hospital, SourceOptions(tables=tables))
    assert sorted(linked.tables()) == ["ages", "invoice", "low", "patient", "ward"]
    assert set(linked.links()) == {
        Link("invoice", ("patient",), "patient", ("id",)),
        Link("patient", ("twin",), "patient", ("id",)),
    }
    both = (*HOSPITAL[:4], "CREATE TABLE hospital.a ()", "CREATE TABLE billing.a (x int)")
    execute(hospital, *both)
    with pytest.raises(ConfigError, match=r"two tables are named 'a'; leave out one of hospital\.a and billing\.a"):
        open_tables(hospital, SourceOptions(tables=("hospital.a", "billing.*")))


def test_what_is_not_there_is_told(hospital):
    with pytest.raises(SourceError, match=r"schema hospital, has no table named 'nurse'; it has Lab result, ages"):
        open_tables(hospital, SourceOptions(tables=("hospital.nurse",)))
    with pytest.raises(SourceError, match=r"schema nowhere, has no tables that could be read"):
        open_tables(hospital, SourceOptions(tables=("nowhere.*",)))
    with pytest.raises(SourceError, match="there is none of that name"):
        open_source(hospital, SourceOptions(table="nurse"))
    with pytest.raises(SourceError, match="it names a column that is not there"):
        open_source(hospital, SourceOptions(query="SELECT nurse FROM hospital.stay"))


def test_all_tables_are_read_in_one_snapshot(hospital):
    linked = open_tables(hospital, SourceOptions(tables=("hospital.*",)))
    tables = linked.tables()
    with one_snapshot(linked):
        assert n_rows(tables["patient"]) == 2
        execute(hospital, "INSERT INTO hospital.stay VALUES (1, 2, NULL)", "TRUNCATE hospital.low")
        assert (n_rows(tables["stay"]), n_rows(tables["patient"])) == (3, 2)
    assert n_rows(tables["stay"]) == 4


def test_a_right_that_is_missing_is_told(hospital):
    execute(
        hospital,
        "DROP ROLE IF EXISTS bob",
        "CREATE ROLE bob LOGIN PASSWORD 'hunter3'",
        "GRANT USAGE ON SCHEMA hospital TO bob",
        "GRANT SELECT ON hospital.patient TO bob",
    )
    try:
        bob = hospital.replace("anna:hunter2", "bob:hunter3")
        assert n_rows(open_source(bob, SourceOptions(table="hospital.patient"))) == 2
        with pytest.raises(
            SourceError, match=r"the table hospital\.stay cannot be read from .*: the user may not read"
        ):
            open_tables(bob, SourceOptions(tables=("hospital.stay",)))
    finally:
        execute(hospital, "DROP OWNED BY bob", "DROP ROLE bob")


def test_a_statement_ends_in_time(hospital, monkeypatch):
    monkeypatch.setattr("privsynth.sources.sql.postgresql.STATEMENT_TIMEOUT_S", 0.2)
    with pytest.raises(SourceError, match=r"the query cannot be read from .*: it took too long or was cancelled"):
        open_source(hospital, SourceOptions(query="SELECT pg_sleep(60) AS a"))


def test_a_limit_of_the_server_is_not_made_longer(hospital):
    query = SourceOptions(query="SELECT current_setting('statement_timeout') AS a")

    def limit():
        (batch,) = open_source(hospital, query).batches(SkippedCells())
        return batch.column("a").to_pylist()

    assert limit() == ["1h"]
    execute(hospital, "ALTER ROLE anna SET statement_timeout = '7s'")
    try:
        assert limit() == ["7s"]
    finally:
        execute(hospital, "ALTER ROLE anna RESET statement_timeout")


def test_a_locked_table_is_not_waited_for(hospital, monkeypatch):
    from sqlalchemy import create_engine, text

    monkeypatch.setattr("privsynth.sources.sql.postgresql.LOCK_TIMEOUT_S", 0.2)
    with create_engine(hospital).begin() as holder:
        holder.execute(text("LOCK TABLE hospital.patient IN ACCESS EXCLUSIVE MODE"))
        with pytest.raises(SourceError, match="somebody holds a lock on it; try again later"):
            open_source(hospital, SourceOptions(table="hospital.patient"))


@pytest.mark.parametrize("value", ["1 / (n - 1)", "(n || 'SECRET')::int", "('SECRET{' || n)::jsonb"])
def test_what_a_query_computes_may_fail_and_no_value_is_told(hospital, value):
    with pytest.raises(SourceError, match="it computes something that fails for some value") as caught:
        n_rows(open_source(hospital, SourceOptions(query=f"SELECT {value} AS x FROM hospital.stay")))
    assert "SECRET" not in str(caught.value)


ODD = {
    # type: values -> texts
    "date": {"'0044-03-15 BC'": None, "'10000-01-01'": None, "'infinity'": None, "'2024-02-29'": "2024-02-29"},
    "timestamp": {"'-infinity'": None, "'294276-12-31'": None, "'2024-02-29 12:30'": "2024-02-29T12:30:00"},
    "timestamptz": {"'infinity'": None, "'2024-03-31 02:30 Europe/Berlin'": "2024-03-31T01:30:00",
                    "'4713-01-01 BC'": None},
    "time": {"'23:59:59.5'": "23:59:59.500000"},
    "numeric": {"'NaN'": None, "'1e300'": "1" + "0" * 300, "1.50": "1.50"},
    "numeric(6,2)": {"1.5": "1.50"},
    "float8": {"'Infinity'": None, "'-Infinity'": None, "'NaN'": None, "0.1": "0.1", "'1e300'": "1e+300"},
    "float4": {"0.1": "0.1"},
    "int8": {"9223372036854775807": "9223372036854775807"},
    "bool": {"true": "true"},
    "uuid": {"'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"},
    "bytea": {"'\\x00ff'": None},
    "int[]": {"'{1,2}'": None},
    "text[]": {"'{a,NULL}'": None},
    "date[]": {"'{infinity}'": None},
    "jsonb": {"'{\"a\": 1}'": None, "'[1]'": None, "'7'": "7", "'\"x\"'": "x", "'true'": "true", "'null'": None,
              "('[' || repeat('9', 5000) || ']')::jsonb": None},
    "json": {"'{\"a\": 1, \"a\": 2}'": None},
    "money": {"'1234.5'": "$1,234.50"},
    "xml": {"'<a/>'": "<a/>"},
    "bit(3)": {"B'101'": "101"},
    "mood": {"'fine'": "fine"},
    "text": {"''": None, "'ä'": "ä", "repeat('x', 20000)": None, "E'a\\tb'": "a\tb"},
    "char(3)": {"'a'": "a  "},
}  # fmt: skip
# What each driver makes of these differs: they are missing, or some text.
ANYHOW = {
    "inet": "'10.0.0.1/24'", "interval": "'1 year 2 days'", "timetz": "'12:00+02'", "daterange": "'[2024-01-01,)'",
    "int4range": "'empty'", "point": "'(1,2)'", "tsvector": "'a b'", "macaddr": "'08:00:2b:01:02:03'",
    "pair": "ROW(1, 'SECRET')", "oid": "1", "cidr": "'10.0.0.0/8'", "interval[]": "'{1 year}'",
    "datemultirange": "'{[2024-01-01,2024-02-01)}'",
}  # fmt: skip


def test_every_type_is_read_and_no_cell_ends_it(postgresql_url, read):
    execute(
        postgresql_url,
        "DROP TABLE IF EXISTS odd, anyhow",
        "DROP TYPE IF EXISTS mood, pair",
        "CREATE TYPE mood AS ENUM ('fine')",
        "CREATE TYPE pair AS (a int, b text)",
        "SET lc_monetary = 'C'",
        "CREATE TABLE anyhow (" + ", ".join(f'"{kind}" {kind}' for kind in ANYHOW) + ")",
        f"INSERT INTO anyhow VALUES ({', '.join(ANYHOW.values())})",
        "CREATE TABLE odd (n serial, " + ", ".join(f'"{kind}" {kind}' for kind in ODD) + ")",
        "; ".join(f'INSERT INTO odd ("{kind}") VALUES ({value})' for kind in ODD for value in ODD[kind]),
    )
    assert read(postgresql_url, table="anyhow").table.n_rows == 1
    cells = read(postgresql_url, query="SELECT * FROM odd ORDER BY n").columns
    places = [(kind, value) for kind in ODD for value in ODD[kind]]
    found = {place: cells[place[0]][row] for row, place in enumerate(places)}
    assert found == {(kind, value): ODD[kind][value] for kind, value in places}


@pytest.mark.parametrize(("encoding", "bad"), [("SQL_ASCII", r"\xff"), ("WIN1252", r"\x81"), ("LATIN1", "")])
def test_bytes_that_the_encoding_does_not_know_are_missing(encoding, bad, postgresql_url, read):
    name = f"db_{encoding.lower()}"
    execute(
        postgresql_url,
        f"DROP DATABASE IF EXISTS {name}",
        f"CREATE DATABASE {name} ENCODING '{encoding}' TEMPLATE template0",
    )
    url = postgresql_url.replace("/postgres", f"/{name}")
    umlaut = r"\xc3\xa4" if encoding == "SQL_ASCII" else r"\xe4"
    execute(
        url,
        "SET standard_conforming_strings = on",
        "CREATE TYPE mood AS ENUM ('fine')",
        "CREATE TABLE t (n int, a text, b varchar(9), m mood, day date)",
        f"INSERT INTO t VALUES (1, E'{umlaut}', 'x', 'fine', '2024-02-29'), (2, E'a{bad}', E'{bad}', NULL, 'infinity')",
    )
    try:
        result = read(url, query="SELECT * FROM t ORDER BY n")
        assert result.columns == {
            "n": ["1", "2"],
            "a": ["ä", None if bad else "a"],
            "b": ["x", None],
            "m": ["fine", None],
            "day": ["2024-02-29", None],
        }
    finally:
        execute(postgresql_url, f"DROP DATABASE {name}")


def test_preferences_of_the_role_change_nothing(postgresql_url, read, monkeypatch):
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    preferences = ("datestyle = 'German'", "intervalstyle = 'iso_8601'", "client_encoding = 'LATIN1'")
    execute(postgresql_url, *(f"ALTER ROLE anna SET {preference}" for preference in preferences))
    try:
        query = "SELECT date '2024-02-29' AS a, timestamptz '2024-02-29 10:00+02' AS b, '日本'::text AS c"
        assert read(postgresql_url, query=query).columns == {
            "a": ["2024-02-29"],
            "b": ["2024-02-29T08:00:00"],
            "c": ["日本"],
        }
    finally:
        execute(postgresql_url, "ALTER ROLE anna RESET ALL")

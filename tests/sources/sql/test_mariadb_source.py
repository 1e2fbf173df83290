"""A real MariaDB server as a source: types, odd cells, one state, read only; and the dialect of SQL Server."""

from __future__ import annotations

import pytest
from mariadb_server import PASSWORD, execute
from sqlalchemy.dialects import mssql, mysql

from privsynth.errors import SourceError
from privsynth.schema.definition import Column
from privsynth.sources import SourceOptions, open_source, open_tables, read_tables
from privsynth.sources.linked import Link
from privsynth.sources.protocol import SkippedCells, source_format_of, stated_types_of
from privsynth.sources.sql.catalogue import _definition
from privsynth.sources.sql.select import _statement

TABLES = (
    "CREATE DATABASE ward CHARACTER SET utf8mb4",
    "CREATE TABLE ward.patient (id bigint PRIMARY KEY, sex enum('F', 'M') NOT NULL, born date, note text)",
    "CREATE TABLE ward.stay (id int unsigned PRIMARY KEY, patient bigint NOT NULL, days smallint unsigned, "
    "price decimal(8, 2), at timestamp NULL, local datetime(6), score double, raw blob, flags bit(3), took time, "
    "doc longtext CHECK (json_valid(doc)), alive tinyint(1), FOREIGN KEY (patient) REFERENCES ward.patient (id))",
    "SET SESSION sql_mode = ''; SET SESSION time_zone = '+02:00'; "
    "INSERT INTO ward.patient VALUES (1, 'F', '1970-06-02', 'Grüße 🙂'), (2, 'M', '0000-00-00', ''), "
    "(3, 'F', NULL, NULL);"
    "INSERT INTO ward.stay VALUES (7, 1, 3, 12.5, '2024-07-01 12:00:00', '2024-07-01 12:00:00.25', 1e300, 'x', 5, "
    "'25:00:00', '{\"a\": 1}', 1), (8, 3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
)


@pytest.fixture(scope="module")
def url(mariadb):
    for statement in TABLES[:3]:
        execute(mariadb, statement)
    execute(f"{mariadb}?client_flag=65536", TABLES[3])  # several statements at once, which keep their session
    return f"{mariadb}/ward"


def test_cells_come_as_texts_times_in_utc(url, read):
    stay = read(url, table="stay")
    assert {name: cells[0] for name, cells in stay.columns.items()} == {
        "id": "7", "patient": "1", "days": "3", "price": "12.50", "at": "2024-07-01T10:00:00",
        "local": "2024-07-01T12:00:00.250000", "score": "1e+300", "raw": None, "flags": None, "took": "1 day, 1:00:00",
        "doc": '{"a": 1}', "alive": "1",
    }  # fmt: skip
    assert all(cells[1] is None for name, cells in stay.columns.items() if name not in ("id", "patient"))
    assert stay.skipped == {"binary_cells": 2}
    patient = read(url, query="SELECT born, note FROM patient WHERE note LIKE '%🙂' OR id > 1 ORDER BY id")
    assert patient.columns == {"born": ["1970-06-02", "0000-00-00", None], "note": ["Grüße 🙂", None, None]}


def test_the_catalogue_states_kinds_keys_and_links(url, workspace):
    linked = open_tables(url)
    assert linked.links() == (Link("stay", ("patient",), "patient", ("id",)),)
    tables = linked.tables()
    assert list(tables) == ["patient", "stay"]
    stated = stated_types_of(tables["patient"]).columns
    assert stated["id"] == Column(kind="id", roles=("identifier",), nullable=False)
    assert stated["sex"] == Column(kind="categorical", categories=("F", "M"), nullable=False)
    assert stated["born"] == Column(kind="date")
    stay = stated_types_of(tables["stay"])
    assert stay.columns["price"] == Column(kind="numeric", precision=0.01)
    assert (stay.columns["at"].kind, stay.families["local"]) == ("datetime", "time")
    written = source_format_of(tables["stay"])
    assert written.types == {"id": "int64", "patient": "int64", "days": "int32", "price": "decimal128(8, 2)",
                             "alive": "int32"}  # fmt: skip
    assert written.time_zones == {"at": "UTC"}
    read = read_tables(linked, workspace)
    assert {name: table.n_rows for name, (table, _) in read.items()} == {"patient": 3, "stay": 2}


def test_a_session_can_only_read(url):
    execute(url, "CREATE FUNCTION spoil() RETURNS int MODIFIES SQL DATA BEGIN DELETE FROM stay; RETURN 1; END")
    with pytest.raises(SourceError, match="cannot be read from mysql://"):
        open_source(url, SourceOptions(query="SELECT spoil() AS x"))


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        ({"table": "none"}, "there is none of that name"),
        ({"query": "SELECT none FROM stay"}, "it names a column that is not there"),
        ({"query": "SELECT FROM"}, "its SQL has a mistake"),
    ],
)
def test_what_is_wrong_is_told_without_a_secret(url, options, advice):
    with pytest.raises(SourceError, match=advice) as caught:
        open_source(url, SourceOptions(**options))
    assert PASSWORD not in str(caught.value)
    with pytest.raises(SourceError, match="refuses the user or the password"):
        open_source(url.replace(PASSWORD, "wrong"), SourceOptions(table="stay"))


def test_rows_are_streamed_in_one_state(url, workspace):
    execute(url, "CREATE TABLE IF NOT EXISTS many AS SELECT seq FROM seq_1_to_20000")
    source = open_tables(url, SourceOptions(tables=("many", "stay")))
    with source.snapshot():
        rows = sum(batch.num_rows for batch in source.tables()["many"].batches(SkippedCells()))
        execute(url, "DELETE FROM stay WHERE id = 8")
        execute(url, "INSERT INTO stay (id, patient) VALUES (8, 3), (9, 3)")
        assert sum(batch.num_rows for batch in source.tables()["stay"].batches(SkippedCells())) == 2
    execute(url, "DELETE FROM stay WHERE id = 9")
    assert rows == 20_000


@pytest.mark.parametrize(
    ("kind", "word", "arrow"),
    [
        (mssql.BIT(), "BOOLEAN", ""), (mssql.UNIQUEIDENTIFIER(), "UUID", ""), (mssql.BIGINT(), "INTEGER", "int64"),
        (mssql.TINYINT(), "INTEGER", "int32"), (mssql.DATETIMEOFFSET(), "TIMESTAMPTZ", ""),
        (mssql.DATETIME2(), "TIMESTAMP", ""), (mssql.DATE(), "DATE", ""), (mssql.NVARCHAR(40), "", ""),
        (mssql.DECIMAL(10, 4), "NUMERIC", "decimal128(10, 4)"), (mssql.REAL(), "DOUBLE", ""),
        (mysql.BIGINT(unsigned=True), "INTEGER", "int64"), (mysql.TIMESTAMP(), "TIMESTAMPTZ", ""),
    ],
)  # fmt: skip
def test_types_of_other_dialects_are_understood(kind, word, arrow):
    found = _definition(kind, nullable=True, is_key=False, refers=False)
    assert (found.type, found.arrow) == (word, arrow)


def test_statements_are_in_the_words_of_sql_server():
    compiled = str(_statement(SourceOptions(table="dbo.Stay Of")).compile(dialect=mssql.dialect()))
    assert " ".join(compiled.split()) == "SELECT * FROM dbo.[Stay Of]"
    query = "SELECT TOP 5 * FROM stay WHERE at > '2024-01-01T00:00:00'"
    assert str(_statement(SourceOptions(query=query)).compile(dialect=mssql.dialect())) == query

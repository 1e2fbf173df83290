"""Databases: read only, streamed, and no password, query or cell in any message."""

from __future__ import annotations

import sqlite3
import sys
import traceback

import pytest

from privsynth.errors import ConfigError, SchemaError, SourceError
from privsynth.sources import SourceOptions, open_source
from privsynth.sources.sql import drivers
from privsynth.sources.sql.select import _statement


@pytest.fixture
def database(tmp_path):
    """Return the URL of a database with the table `visits`."""
    path = tmp_path / "hospital #1.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE visits (id TEXT, cost REAL, n INTEGER, at TEXT)")
        rows = [("007", 7.0, 1, "12:30:00"), ("008", 1.25, None, "2020-01-01 10:00"), ("", None, -5, None)]
        connection.executemany("INSERT INTO visits VALUES (?,?,?,?)", rows)
    connection.close()
    return f"sqlite:///{path}"


def test_a_table_and_a_query(database, read):
    result = read(database, table="visits")
    assert result.columns == {
        "id": ["007", "008", None],
        "cost": ["7", "1.25", None],
        "n": ["1", None, "-5"],
        "at": ["12:30:00", "2020-01-01 10:00", None],
    }
    query = "SELECT id AS who, n + 1 AS m, ':id' AS t FROM visits WHERE at = '12:30:00' AND id NOT LIKE '%9%'"
    assert read(database, query=query).columns == {"who": ["007"], "m": ["2"], "t": [":id"]}
    assert read(database, table="main.visits").table.n_rows == 3


def test_colons_of_a_query_are_no_parameters():
    for query in ("SELECT a::int, '12:30:00', ':x', b::timestamp::date", "SELECT '\\:x'"):
        assert str(_statement(SourceOptions(query=query)).compile()) == query.replace("\\:", ":")


def test_bytes_and_bad_texts_become_null(tmp_path, read):
    with sqlite3.connect(tmp_path / "t.db") as connection:
        connection.execute("CREATE TABLE t (a, b)")
        connection.execute("INSERT INTO t VALUES (x'00ff', 1)")
        connection.execute("INSERT INTO t VALUES (CAST(x'4dfc6c' AS TEXT), 2)")
        connection.execute("INSERT INTO t VALUES (CAST(x'610062' AS TEXT), 3)")
    connection.close()
    result = read(f"sqlite:///{tmp_path}/t.db", table="t")
    assert result.columns == {"a": [None, None, None], "b": ["1", "2", "3"]}
    assert result.skipped == {"binary_cells": 1, "undecodable_cells": 1, "nul_cells": 1}


def test_a_missing_table_is_named_and_the_others_are_not(database):
    with pytest.raises(SourceError, match="the table admissions cannot be read") as caught:
        open_source(database, SourceOptions(table="admissions"))
    assert "visits" not in str(caught.value)


def test_a_broken_query_is_not_repeated(database):
    options = SourceOptions(query="SELECT * FROM visits WHERE name = 'SECRET' AND")
    with pytest.raises(SourceError, match="the query cannot be read") as caught:
        open_source(database, options)
    assert "SECRET" not in "".join(traceback.format_exception(caught.value))


def test_a_query_that_fails_on_the_way_is_told_without_the_cell(database, read):
    query = "SELECT id, CASE WHEN n < 0 THEN json_extract(id || 'SECRET{', '$.a') ELSE 1 END AS x FROM visits"
    with pytest.raises(SourceError, match="the query cannot be read") as caught:
        read(database, query=query)
    assert "SECRET" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM visits",
        "CREATE TABLE x (a)",
        "DROP TABLE visits",
        "SELECT 1; SELECT 2",
        "VACUUM INTO 'copy.db'",
        "ATTACH 'new.db' AS new",
        "PRAGMA writable_schema = 1",
        "PRAGMA journal_mode = DELETE",
        "SELECT load_extension('x')",
    ],
)
def test_nothing_can_be_written(database, read, query, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    with pytest.raises((SourceError, ConfigError)):
        open_source(database, SourceOptions(query=query))
    assert sorted(tmp_path.iterdir()) == before
    assert read(database, table="visits").table.n_rows == 3


def test_something_to_read_must_be_named(database):
    with pytest.raises(ConfigError, match=r"name a table with .*, or give a query; it has visits$"):
        open_source(database)


def test_equal_names_of_a_join_are_refused(database):
    with pytest.raises(SchemaError, match=r"columns 1 and 2 .* same name"):
        open_source(database, SourceOptions(query="SELECT a.id, b.id FROM visits a, visits b"))


def test_a_file_is_never_made(tmp_path):
    with pytest.raises(SourceError, match="does not exist"):
        open_source(f"sqlite:///{tmp_path}/new.db", SourceOptions(table="t"))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(SourceError, match="in memory"):
        open_source("sqlite://", SourceOptions(table="t"))


def test_a_file_that_is_no_database_is_refused(tmp_path):
    (tmp_path / "t.db").write_text("SECRET" * 500)
    with pytest.raises(SourceError, match="cannot be read") as caught:
        open_source(f"sqlite:///{tmp_path}/t.db", SourceOptions(table="t"))
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize(
    "uri",
    [
        "postgresql://anna:hunter2@localhost:1/db",
        "postgresql+psycopg://anna:hunter2@localhost:1/db?password=hunter2",
        "mysql+pymysql://anna:hunter2@localhost:1/db?ssl_key=hunter2",
        "mssql+pyodbc://anna:hunter2@localhost/db",
        "nosuch://anna:hunter2@localhost/db",
        "postgres://anna:hunter2@localhost/db",
        "s3://hunter2@bucket/table.csv",
        "postgresql://anna:hunter2@localhost:port/db",
        "://hunter2",
        "sqlite:///hunter2/../no.db?mode=hunter2",
    ],
)
def test_no_password_in_any_message(uri):
    with pytest.raises(SourceError) as caught:
        open_source(uri, SourceOptions(table="t"))
    shown = "".join(traceback.format_exception(caught.value, limit=0)) + repr(caught.value)
    # The path of an SQLite file is no password.
    assert "hunter2" not in shown.replace("hunter2/../no.db", "")


def test_a_missing_driver_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(SourceError, match="needs the Python package psycopg"):
        open_source("postgresql+psycopg://u:p@localhost/db", SourceOptions(table="t"))


@pytest.mark.parametrize(
    ("scheme", "advice"),
    [
        ("postgresql", "a driver for PostgreSQL; install one, for example: pip install pg8000"),
        ("mysql", "a driver for MySQL; install one, for example: pip install pymysql"),
        ("mariadb", "a driver for MariaDB; install one, for example: pip install pymysql"),
        ("mssql", "a driver for SQL Server; install one, for example: pip install pymssql, or pip install pyodbc and "
                  "Microsoft's ODBC Driver 18 for SQL Server"),
    ],
)  # fmt: skip
def test_where_no_driver_is_installed_one_is_named(scheme, advice, monkeypatch):
    monkeypatch.setitem(drivers._DRIVERS, scheme, {"none": "no_such_driver"})
    with pytest.raises(SourceError, match=f"needs {advice}"):
        open_source(f"{scheme}://u:p@localhost/db", SourceOptions(table="t"))


def test_repr_has_no_user_and_no_password(database):
    source = open_source(database, SourceOptions(table="visits"))
    assert source.label.startswith("sqlite:///")
    assert "007" not in repr(source)

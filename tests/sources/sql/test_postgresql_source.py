"""A real PostgreSQL server of the tests' own: nothing is written, no cell ends a run, and messages tell errors apart.

Where the server or a driver is missing these tests are skipped; PRIVSYNTH_REQUIRE_POSTGRESQL=1 makes that a failure.
"""

from __future__ import annotations

import pytest
from postgresql_server import PASSWORD, execute

from privsynth.errors import ConfigError, SourceError
from privsynth.schema.definition import Column
from privsynth.sources import SourceOptions, open_source
from privsynth.sources.protocol import source_format_of, stated_types_of
from privsynth.sources.sql import drivers

VICTIM = (
    "DROP TABLE IF EXISTS victim",
    "CREATE TABLE victim (n int, day date, at timestamptz, j jsonb, m numeric)",
    "INSERT INTO victim VALUES (1, '2024-02-29', '2024-02-29 10:00+02', '{}', 1.5), "
    "(2, '10000-01-01', '12000-01-01', '[1]', 'NaN'), "
    "(3, '0044-03-15 BC', '-infinity', ('[' || repeat('9', 5000) || ']')::jsonb, 2), "
    "(4, 'infinity', 'infinity', NULL, NULL)",
)


@pytest.fixture
def url(postgresql_url):
    """Return the URL of a database with a table `victim` of odd rows."""
    execute(postgresql_url, *VICTIM)
    return postgresql_url


def n_rows(url):
    from sqlalchemy import create_engine, text

    engine = create_engine(url)
    with engine.connect() as connection:
        return connection.execute(text("SELECT count(*) FROM victim")).scalar()


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1 AS a; COMMIT; DELETE FROM victim",
        "SELECT 1 AS a; ROLLBACK; SET default_transaction_read_only = off; DELETE FROM victim",
        "DELETE FROM victim RETURNING n",
        "WITH gone AS (DELETE FROM victim RETURNING n) SELECT * FROM gone",
        "COMMIT",
        "SELECT set_config('transaction_read_only', 'off', false) AS a",
        "SELECT setval(pg_get_serial_sequence('victim', 'n'), 1); DELETE FROM victim",
        "SELECT ';' AS a; DELETE FROM victim",
        "SELECT $$ ' $$ AS a; COMMIT; DELETE FROM victim --'",
    ],
)
def test_no_query_writes(url, query):
    with pytest.raises((SourceError, ConfigError)):
        for _ in open_source(url, SourceOptions(query=query)).batches(None):
            pass
    assert n_rows(url) == 4


def test_the_session_only_reads_even_in_a_transaction_of_its_own(url):
    from sqlalchemy import exc, make_url, text

    from privsynth.sources.sql.session import reading_engine

    with reading_engine(make_url(url), "x").connect() as connection:
        connection.execute(text("COMMIT"))
        with pytest.raises(exc.DBAPIError, match="read-only"):
            connection.execute(text("DELETE FROM victim"))
    assert n_rows(url) == 4


def test_cells_that_python_cannot_hold_are_missing_and_end_nothing(url, read):
    result = read(url, query="SELECT * FROM victim ORDER BY n;")
    assert result.columns["n"] == ["1", "2", "3", "4"]
    assert result.columns["day"][0] == "2024-02-29"
    assert result.columns["day"][1:3] == [None, None]
    assert result.columns["at"][0] == "2024-02-29T08:00:00"
    assert result.columns["at"][1] is None
    assert result.columns["m"] == ["1.5", None, "2", None]
    assert result.skipped["unreadable_cells"] >= 4


def test_what_is_wrong_is_told_apart(url, monkeypatch):
    options = SourceOptions(table="victim")
    with pytest.raises(SourceError, match="refuses the user or the password") as wrong:
        open_source(url.replace(PASSWORD, "SECRET"), options)
    assert "SECRET" not in str(wrong.value)
    port = url.rpartition(":")[2].partition("/")[0]
    with pytest.raises(SourceError, match=r"nothing answers at postgresql://127\.0\.0\.1:1/"):
        open_source(url.replace(f":{port}/", ":1/"), options)
    with pytest.raises(ConfigError, match=r"it has .*victim"):
        open_source(url)


def test_the_password_may_stand_in_the_environment_or_in_a_file(url, monkeypatch, tmp_path):
    bare = url.replace(f":{PASSWORD}@", "@")
    with pytest.raises(SourceError, match="password"):
        open_source(bare, SourceOptions(table="victim"))
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    assert open_source(bare, SourceOptions(table="victim")).names[0] == "n"
    monkeypatch.delenv("PGPASSWORD")
    (tmp_path / "pass").write_text(f"127.0.0.1:*:postgres:anna:{PASSWORD}\n")
    (tmp_path / "pass").chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / "pass"))
    assert open_source(bare, SourceOptions(table="victim")).names[0] == "n"
    (tmp_path / "pass").chmod(0o644)
    with pytest.raises(SourceError, match="password"):
        open_source(bare, SourceOptions(table="victim"))


def test_every_type_is_read_and_years_before_christ_are_missing(url, read):
    query = (
        "SELECT date '0044-03-15 BC' AS a, timestamp '0044-03-15 BC' AS b, timestamptz '-infinity' AS c, "
        "time '24:00' AS d, interval '1 year' AS e, 'NaN'\\:\\:float8 AS f, inet '10.0.0.1/24' AS g, "
        "repeat('9', 6000)\\:\\:numeric AS h, ARRAY[date '10000-01-01'] AS i, true AS j, 'ä' AS k"
    ).replace("\\", "")
    result = read(url, query=query)
    assert [result.columns[name][0] for name in "ab"] == [None] * 2
    assert result.columns["c"][0] in (None, "0001-01-01T00:00:00")  # what psycopg2 makes of minus infinity
    assert result.columns["j"] == ["true"]
    assert result.columns["k"] == ["ä"]


def test_options_that_the_driver_does_not_know_are_told(url):
    if "+pg8000" not in url:
        pytest.skip("a driver that reads options itself says so in words of its own")
    with pytest.raises(SourceError, match=r"options in the URL of .* are not known to its driver"):
        open_source(f"{url}?hunter2=hunter2", SourceOptions(table="victim"))


def test_a_url_without_a_driver_takes_one_that_is_installed(url, monkeypatch):
    dialect, _, rest = url.partition("://")
    driver = dialect.partition("+")[2]
    monkeypatch.setitem(drivers._DRIVERS, "postgresql", {"none": "no_such_driver", driver: driver})
    source = open_source(f"postgresql://{rest}", SourceOptions(table="victim"))
    assert source.names[0] == "n"


@pytest.fixture
def catalogued(url):
    """Return the URL of a database with the table `stay`, of which the catalogue says much, and no row."""
    statements = (
        "DROP TABLE IF EXISTS stay, ward",
        "DROP TYPE IF EXISTS triage",
        "CREATE TYPE triage AS ENUM ('red', 'yellow', 'green')",
        "CREATE TABLE ward (code int PRIMARY KEY)",
        "CREATE TABLE stay (id bigint PRIMARY KEY, ward int NOT NULL REFERENCES ward, level triage NOT NULL, "
        "sex text NOT NULL CHECK (sex IN ('F', 'M')), died boolean NOT NULL, day date, at timestamptz NOT NULL, "
        "local timestamp, price numeric(10,2) NOT NULL CHECK (price >= 0 AND price <= 5000), "
        "age int CHECK (age BETWEEN 0 AND 120), n int, x double precision, note text NOT NULL, key uuid)",
    )
    execute(url, *statements)
    return url


def test_the_catalogue_states_kinds_keys_and_constraints(catalogued):
    source = open_source(catalogued, SourceOptions(table="public.stay"))
    found = stated_types_of(source)
    assert found.columns == {
        "id": Column(kind="id", roles=("identifier",), nullable=False),
        "ward": Column(kind="categorical"),
        "level": Column(kind="categorical", categories=("red", "yellow", "green"), nullable=False),
        "sex": Column(kind="categorical", categories=("F", "M"), nullable=False),
        "died": Column(kind="boolean", nullable=False),
        "day": Column(kind="date"),
        "at": Column(kind="datetime", nullable=False),
        "price": Column(kind="numeric", precision=0.01, minimum=0.0, maximum=5000.0, nullable=False),
        "age": Column(kind="integer", minimum=0.0, maximum=120.0),
        "x": Column(kind="numeric"),
        "key": Column(kind="id", roles=("identifier",), format="{uuid}"),
    }
    assert found.families == {"local": "time", "n": "integer"}
    written = source_format_of(source)
    assert written.time_zones == {"at": "UTC"}
    assert written.whole_numbers == ("id", "ward", "age", "n")


def test_a_query_states_the_types_of_its_columns(catalogued):
    query = "SELECT died, day, at, local, n, x, note, age + 1 AS older FROM stay"
    found = stated_types_of(open_source(catalogued, SourceOptions(query=query)))
    assert found.columns == {
        "died": Column(kind="boolean"),
        "day": Column(kind="date"),
        "at": Column(kind="datetime"),
        "x": Column(kind="numeric"),
    }
    assert found.families == {"local": "time", "n": "integer", "older": "integer"}

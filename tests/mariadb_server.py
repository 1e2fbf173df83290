"""A MariaDB server of the tests' own, on the loopback device, in a temporary folder."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

PASSWORD = "hunter3"
STARTS_WITHIN_S = 60
INSTALLER, SERVER = "mariadb-install-db", "/usr/sbin/mariadbd"


def absent(what):
    """Skip, or fail where the environment asks for the server."""
    if os.environ.get("PRIVSYNTH_REQUIRE_MARIADB"):
        pytest.fail(f"{what} is missing, and PRIVSYNTH_REQUIRE_MARIADB asks for it")
    pytest.skip(f"{what} is missing; PRIVSYNTH_REQUIRE_MARIADB=1 makes this a failure")


@contextmanager
def running_mariadb() -> Iterator[str]:
    """Start a server and yield the URL of its databases; the user anna may do everything."""
    if shutil.which(INSTALLER) is None or not Path(SERVER).is_file():
        absent("a MariaDB server")
    if find_spec("pymysql") is None:
        absent("pymysql")
    # The server refuses to run as the superuser.
    user = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="maria"))
    if user is not None:
        os.chown(folder, user, -1)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    data = folder / "data"
    made = subprocess.run(
        [INSTALLER, "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal",
         "--skip-test-db", "--skip-name-resolve"],
        user=user, cwd=folder, capture_output=True,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    grants = folder / "grants.sql"
    grants.write_text(f"CREATE USER anna@'127.0.0.1' IDENTIFIED BY '{PASSWORD}';\n"
                      "GRANT ALL ON *.* TO anna@'127.0.0.1' WITH GRANT OPTION;\n")  # fmt: skip
    grants.chmod(0o644)
    command = [SERVER, "--no-defaults", f"--datadir={data}", f"--port={port}", "--bind-address=127.0.0.1",
               f"--socket={folder}/socket", f"--init-file={grants}", "--skip-name-resolve",
               "--innodb-flush-log-at-trx-commit=0"]  # fmt: skip
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, user=user, cwd=folder, stdout=log, stderr=log)
    try:
        url = f"mysql+pymysql://anna:{PASSWORD}@127.0.0.1:{port}"
        _wait(server, url, folder / "log")
        yield url
    finally:
        server.terminate()
        server.wait(timeout=STARTS_WITHIN_S)
        shutil.rmtree(folder, ignore_errors=True)


def _wait(server, url, log):
    from sqlalchemy import create_engine, exc

    engine = create_engine(url)
    for _ in range(10 * STARTS_WITHIN_S):
        assert server.poll() is None, log.read_text()
        try:
            engine.connect().close()
            return
        except exc.OperationalError:
            time.sleep(0.1)
    raise AssertionError(log.read_text())


def execute(url: str, *statements: str) -> None:
    """Run statements, each in a transaction of its own."""
    from sqlalchemy import create_engine

    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()

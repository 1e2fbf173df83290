"""A PostgreSQL server of the tests' own, on the loopback device, in a temporary folder."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

# The first is among the tools of development; the others are tried where somebody has installed them.
DRIVERS = ("pg8000", "psycopg", "psycopg2")
PASSWORD = "hunter2"


def absent(what):
    """Skip, or fail where the environment asks for the server."""
    if os.environ.get("PRIVSYNTH_REQUIRE_POSTGRESQL"):
        pytest.fail(f"{what} is missing, and PRIVSYNTH_REQUIRE_POSTGRESQL asks for it")
    pytest.skip(f"{what} is missing; PRIVSYNTH_REQUIRE_POSTGRESQL=1 makes this a failure")


@dataclass(frozen=True)
class Server:
    """A server that a test may stop and start, if it runs or does not; `start` returns when it answers."""

    port: int
    start: Callable[[], None]
    stop: Callable[..., None]  # as if it had crashed; with "fast" as an administrator stops it


@contextmanager
def running_server() -> Iterator[int]:
    """Start a server and yield its port; the user anna may do everything."""
    with stoppable_server() as server:
        yield server.port


@contextmanager
def stoppable_server() -> Iterator[Server]:
    """Start a server and yield it; the user anna may do everything."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    binaries = str(folders[-1]) if folders else os.path.dirname(shutil.which("initdb") or "")
    if not binaries:
        absent("a PostgreSQL server")
    # The server refuses to run as the superuser.
    user = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    if user is not None:
        os.chown(folder, user, -1)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def run(*command):
        subprocess.run(command, check=True, user=user, cwd=folder, stdout=subprocess.DEVNULL, env={"LC_ALL": "C"})

    (folder / "password").write_text(PASSWORD)
    try:
        data = folder / "data"
        run(f"{binaries}/initdb", "-D", data, "-U", "anna", "-A", "scram-sha-256", "--pwfile", folder / "password",
            "-E", "UTF8", "--no-sync")  # fmt: skip
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"

        def start():
            if not (data / "postmaster.pid").exists():
                run(f"{binaries}/pg_ctl", "-D", data, "-w", "-l", folder / "log", "-o", options, "start")

        def stop(mode="immediate"):
            if (data / "postmaster.pid").exists():
                run(f"{binaries}/pg_ctl", "-D", data, "-m", mode, "stop")

        start()
        try:
            yield Server(port, start, stop)
        finally:
            stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def execute(url: str, *statements: str) -> None:
    """Run statements, each in a transaction of its own, whatever driver the URL names."""
    from sqlalchemy import create_engine

    engine = create_engine("postgresql+pg8000:" + url.partition(":")[2], isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()

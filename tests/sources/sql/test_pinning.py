"""Databases that are reached at addresses that were checked: no driver looks the host's name up again."""

from __future__ import annotations

import socket
import struct
from threading import Thread

import pytest
from mariadb_server import execute as execute_on_mariadb
from postgresql_server import execute
from sqlalchemy import create_engine, make_url

from privsynth.errors import ConfigError, SourceError
from privsynth.sources import SourceOptions, open_source
from privsynth.sources.sql import pinning

NAME = "db.clinic.example"  # RFC 2606: no resolver knows it, that of libpq neither
NOWHERE = "127.0.0.9"  # where the servers of the tests do not listen
PG_SSL_REQUEST = 8  # bytes of it
# A greeting of MySQL's protocol, version 10, that offers TLS (0x0800), the protocol of 4.1 (0x0200) and plug-ins.
GREETING = (
    b"\x0a8.0.0\0" + struct.pack("<I", 1) + b"12345678\0" + struct.pack("<HBHH", 0x8A00, 45, 2, 0x0008)
    + b"\x15" + 10 * b"\0" + b"123456789012\0" + b"mysql_native_password\0"
)  # fmt: skip


@pytest.fixture
def looked_up(monkeypatch):
    """Let the name mean another machine, as after a check; return how often it was asked for."""
    real, asked = socket.getaddrinfo, []

    def resolve(host, *args, **named):
        if host == NAME:
            asked.append(host)
        return real(NOWHERE if host == NAME else host, *args, **named)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return asked


def named(url: str) -> str:
    return url.replace("127.0.0.1", NAME)


def test_postgresql_is_read_at_the_address_that_was_checked(postgresql_url, looked_up, read):
    execute(postgresql_url, "DROP TABLE IF EXISTS pinned", "CREATE TABLE pinned AS SELECT 1 AS a")
    for addresses in (["127.0.0.1"], [NOWHERE, "127.0.0.1"]):
        assert read(named(postgresql_url), table="pinned", addresses=addresses).columns == {"a": ["1"]}
    execute(postgresql_url, "CREATE TABLE IF NOT EXISTS person (person_id int, gender_concept_id int, "
            "year_of_birth int, race_concept_id int, ethnicity_concept_id int)")  # fmt: skip
    asked = SourceOptions(table="person", addresses=["127.0.0.1"])
    assert "person_id" in open_source(f"omop:{named(postgresql_url)}", asked).names
    assert not looked_up
    with pytest.raises(SourceError, match="nothing answers at"):
        read(named(postgresql_url), table="pinned", addresses=[NOWHERE])
    with pytest.raises(SourceError, match="refuses the user"):
        read(named(postgresql_url).replace("hunter2", "wrong"), table="pinned", addresses=["127.0.0.1"])


def test_mariadb_is_read_at_the_address_that_was_checked(mariadb, looked_up, read):
    execute_on_mariadb(mariadb, "CREATE DATABASE pinned", "CREATE TABLE pinned.pinned AS SELECT 1 AS a")
    for addresses in (["127.0.0.1"], [NOWHERE, "127.0.0.1"]):
        assert read(f"{named(mariadb)}/pinned", table="pinned", addresses=addresses).columns == {"a": ["1"]}
    assert not looked_up
    with pytest.raises(SourceError, match="nothing answers at"):
        read(f"{named(mariadb)}/pinned", table="pinned", addresses=[NOWHERE])


@pytest.mark.parametrize(
    ("scheme", "first", "answer"), [("postgresql+pg8000", PG_SSL_REQUEST, b"S"), ("mysql+pymysql", 0, GREETING)]
)
def test_a_certificate_is_asked_for_by_the_name(scheme, first, answer):
    """A server that offers TLS sees for whom it is asked: the name stands in the first message (RFC 6066)."""
    seen = bytearray()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            accepted, _ = server.accept()
            with accepted:
                accepted.recv(first) if first else None
                accepted.sendall(answer if first else struct.pack("<I", len(answer))[:3] + b"\0" + answer)
                while NAME.encode() not in seen and (part := accepted.recv(4096)):
                    seen.extend(part)

        thread = Thread(target=serve)
        thread.start()
        place = f"{scheme}://anna:x@{NAME}:{server.getsockname()[1]}/d"
        with pytest.raises(SourceError):
            open_source(place, SourceOptions(table="t", addresses=["127.0.0.1"]))
        thread.join()
    assert NAME.encode() in seen


def test_a_driver_that_would_look_the_name_up_again_needs_an_address():
    class Driver:
        driver = "pymssql"

    for host, refused in ((NAME, True), ("2130706433", True), ("10.0.0.7", False), ("[2001:DB8::7]", False)):
        engine = create_engine("sqlite://")
        engine.dialect, engine.url = Driver, make_url(f"mssql+pymssql://u:p@{host}/d")
        if refused:
            with pytest.raises(SourceError, match="pymssql would look up the host of a database again"):
                pinning.pin(engine, ["10.0.0.7"], "a database")
        else:
            pinning.pin(engine, ["10.0.0.7"], "a database")


def test_a_name_is_no_address():
    with pytest.raises(ConfigError, match="and no names"):
        SourceOptions(addresses=[NAME])
    with pytest.raises(ConfigError, match="addresses must name at least one"):
        SourceOptions(addresses=[])

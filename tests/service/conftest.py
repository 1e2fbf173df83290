"""A service on each database, its clock, and people of every kind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from postgresql_server import PASSWORD, running_server
from service.deciders import Deciders, make_release
from service.people import PASSWORD as THEIRS
from sqlalchemy import create_engine, text

from privsynth.service.context import Service
from privsynth.service.people import add_person
from privsynth.service.roles import Role
from privsynth.service.secret_texts import Vault
from privsynth.service.settings import ServiceSettings
from privsynth.service.sign_in import accept_invitation, caller_of_session
from privsynth.service.store.database import ServiceDatabase
from privsynth.service.web.app import create_app


class Clock:
    """A clock that moves when a test says so."""

    def __init__(self) -> None:
        self.time = datetime(2026, 12, 1, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def move(self, **by: float) -> None:
        self.time += timedelta(**by)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[int]:
    with running_server() as port:
        yield port


_numbers = count()


def _address(kind: str, request: pytest.FixtureRequest) -> str:
    """Return the address of an empty database."""
    if kind == "sqlite":
        return ""
    port, name = request.getfixturevalue("postgresql"), f"service{next(_numbers)}"
    root = create_engine(f"postgresql+pg8000://anna:{PASSWORD}@127.0.0.1:{port}/postgres", isolation_level="AUTOCOMMIT")
    with root.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    root.dispose()
    return f"postgresql://anna:{PASSWORD}@127.0.0.1:{port}/{name}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request, tmp_path) -> Iterator[ServiceDatabase]:
    """An empty database of either kind."""
    found = ServiceDatabase.at(_address(request.param, request), tmp_path)
    found.migrate()
    yield found
    found.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def service(tmp_path, clock, privsynth_home) -> Iterator[Service]:
    """A service on SQLite."""
    database = ServiceDatabase.at("", tmp_path)
    database.migrate()
    secret = Vault.at(tmp_path / "secret")
    settings = ServiceSettings(public_url="http://testserver")
    (privsynth_home / "service").mkdir(exist_ok=True)
    yield Service(settings=settings, home=privsynth_home, database=database, vault=secret, now=clock)
    database.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def each_service(request, tmp_path, clock, service) -> Iterator[Service]:
    """A service on each database in turn."""
    if request.param == "sqlite":
        yield service
        return
    database = ServiceDatabase.at(_address(request.param, request), Path(tmp_path))
    database.migrate()
    yield replace(service, database=database)
    database.close()


class Institution:
    """A service with people, and a browser for each."""

    def __init__(self, service: Service) -> None:
        self.service, self.app, self.secrets = service, create_app(service), {}

    def person(self, name: str, *roles: Role):
        """Add a person with a password, and return what the acts know as the caller."""
        _, link = add_person(self.service, None, name, name.title(), set(roles))
        self.secrets[name] = accept_invitation(self.service, link, THEIRS)
        return caller_of_session(self.service, self.secrets[name])

    def browser(self, name: str | None = None) -> TestClient:
        """Return a browser in which that person has signed in."""
        cookies = {} if name is None else {"privsynth": self.secrets[name]}
        return TestClient(self.app, cookies=cookies, headers={"sec-fetch-site": "same-origin"}, follow_redirects=False)


@pytest.fixture
def institution(service) -> Institution:
    return Institution(service)


@pytest.fixture(scope="session")
def made_release(tmp_path_factory) -> Path:
    """A folder with a release of the pipeline, and the home whose key signed it."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PRIVSYNTH_HOME", str(folder / "home"))
        return make_release(folder)


@pytest.fixture
def deciders(institution, clock, made_release) -> Deciders:
    """A release that waits for two approvals, and people who may give them."""
    return Deciders(institution, clock, made_release)

"""A service on each database, its clock, and people of every kind."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from postgresql_server import running_server
from service.deciders import Deciders, make_release, prepare
from service.people import PASSWORD as THEIRS
from service.prepared import KINDS, Databases, cheap_secrets
from sqlalchemy import update

from privsynth.service.context import Service
from privsynth.service.people import add_person
from privsynth.service.roles import Role
from privsynth.service.secret_texts import Vault
from privsynth.service.settings import ServiceSettings
from privsynth.service.sign_in import accept_invitation, caller_of_session
from privsynth.service.store.database import ServiceDatabase
from privsynth.service.store.people import SignedIn
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


@pytest.fixture(scope="session")
def databases(request, tmp_path_factory) -> Databases:
    return Databases(tmp_path_factory.mktemp("databases"), lambda: request.getfixturevalue("postgresql"))


@pytest.fixture(params=KINDS)
def empty_database(request, tmp_path, databases) -> Iterator[ServiceDatabase]:
    """A database of either kind, without tables."""
    found = databases.empty(request.param, tmp_path)
    yield found
    found.close()


@pytest.fixture(params=KINDS)
def database(request, tmp_path, databases) -> Iterator[ServiceDatabase]:
    """A database of either kind, with tables and without rows."""
    found = databases.copy(request.param, tmp_path, "tables")
    yield found
    found.close()


@pytest.fixture(autouse=True)
def _cheap_secrets(monkeypatch):
    cheap_secrets(monkeypatch)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def service(request, tmp_path, clock, privsynth_home, databases) -> Iterator[Service]:
    """A service on SQLite, or on the database that `each_database` of service.prepared names."""
    kind, of = getattr(request, "param", "sqlite"), "tables"
    if "deciders" in request.fixturenames:
        of, made = "deciders", request.getfixturevalue("made_deciders")(kind)
        shutil.copytree(made.home, privsynth_home, dirs_exist_ok=True)
        shutil.copy(made.secret, tmp_path / "secret")
    database = databases.copy(kind, tmp_path, of)
    found = service_of(database, tmp_path, privsynth_home, clock)
    yield found
    database.close()


@pytest.fixture(params=KINDS)
def each_service(request, tmp_path, clock, privsynth_home, databases) -> Iterator[Service]:
    """A service on each database in turn."""
    database = databases.copy(request.param, tmp_path, "tables")
    yield service_of(database, tmp_path, privsynth_home, clock)
    database.close()


def service_of(database: ServiceDatabase, folder: Path, home: Path, clock: Clock) -> Service:
    """Return a service whose secret is in a folder."""
    (home / "service").mkdir(parents=True, exist_ok=True)
    settings = ServiceSettings(public_url="http://testserver")
    return Service(settings=settings, home=home, database=database, vault=Vault.at(folder / "secret"), now=clock)


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


@dataclass(frozen=True)
class MadeDeciders:
    """What a service with people who decide is copied from."""

    home: Path
    secret: Path
    secrets: dict[str, str]  # of sessions, by name


@pytest.fixture(scope="session")
def made_deciders(databases, made_release, tmp_path_factory) -> Callable[[str], MadeDeciders]:
    """For a kind of database: a home in which a release waits for decisions; its database is kept."""

    @cache
    def made(kind: str) -> MadeDeciders:
        folder, clock = tmp_path_factory.mktemp(f"deciders-{kind}"), Clock()
        database = databases.copy(kind, folder, "tables")
        institution = Institution(service_of(database, folder, folder / "home", clock))
        clock.time = datetime.now(UTC)
        with pytest.MonkeyPatch.context() as patch:
            cheap_secrets(patch)
            prepare(institution, made_release)
        databases.keep(kind, folder, database, "deciders")
        return MadeDeciders(folder / "home", folder / "secret", institution.secrets)

    return made


@pytest.fixture
def deciders(service, institution, clock, made_deciders) -> Deciders:
    """A release that waits for two approvals, and people who may give them."""
    clock.time = datetime.now(UTC)
    institution.secrets |= made_deciders(service.database.engine.dialect.name).secrets
    with service.database.writing() as session:  # they signed in a moment ago
        session.execute(update(SignedIn).values(made_at=clock(), seen_at=clock(), confirmed_at=clock()))
    return Deciders(institution, clock)

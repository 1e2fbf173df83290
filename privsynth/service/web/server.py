"""`run`: serve until somebody stops it."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import uvicorn
from sqlalchemy import select

from privsynth.errors import ConfigError, PrivsynthError
from privsynth.service.context import Service, open_service
from privsynth.service.maker_key import ensure_maker_key
from privsynth.service.oversight.own_log import ensure_log
from privsynth.service.people import add_person
from privsynth.service.roles import Role
from privsynth.service.secret_texts import new_secret
from privsynth.service.settings import ServiceSettings
from privsynth.service.sign_in import invite, invited_name
from privsynth.service.sources.uploads import wipe_lost_uploads
from privsynth.service.store.people import Person, PersonRole
from privsynth.service.web.app import create_app
from privsynth.service.worker.worker import Workers


def run(settings: ServiceSettings, home: Path, tell: Callable[[str], None]) -> None:
    """Serve pages and API until SIGINT or SIGTERM.

    Raises:
      ConfigError: a setting, the address or the database cannot be used.
    """
    service = open_service(settings, home)
    ensure_maker_key(service)
    try:
        ensure_log(service)
    except PrivsynthError as problem:  # pages and downloads go on; what has to be entered in the log is refused
        tell(f"The log of releases cannot be used: {problem}")
    wipe_lost_uploads(service)
    with _bound(settings) as bound:
        host, port = bound.getsockname()[:2]
        address = settings.public_url or f"http://{host}:{port}"
        if (secret := first_secret(service)) is not None:
            name = invited_name(service, secret)
            tell(f"First administrator: choose a password, once, for the name {name}: {address}/welcome/{secret}")
        tell(f"Serving {address} (stop it with Ctrl-C)")
        if not settings.database:
            tell("One machine: people, runs and decisions are in a file. docs/service.md says how to share them.")
        config = uvicorn.Config(
            create_app(service), log_level="warning", server_header=False, proxy_headers=bool(settings.proxies),
            forwarded_allow_ips=settings.proxies,
        )  # fmt: skip
        with Workers(service, settings.workers):
            uvicorn.Server(config).run(sockets=[bound])
    service.database.close()


def first_secret(service: Service) -> str | None:
    """Return the secret of a link for the first administrator; None once somebody has signed in as one."""
    with service.database.writing() as session:
        administrators = session.scalars(
            select(Person).join(PersonRole).where(PersonRole.role == Role.ADMINISTRATOR).order_by(Person.id)
        ).all()
        if any(person.password or person.subject for person in administrators):
            return None
        if administrators:
            return invite(session, administrators[0].id, new_secret(), service.now())
    return add_person(service, None, "admin", "First administrator", {Role.ADMINISTRATOR})[1]


def _bound(settings: ServiceSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # With its protocol: asyncio switches Nagle's algorithm off on no other socket, and answers would wait for 40 ms.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((settings.host, settings.port))
        bound.listen(128)
    except OSError as problem:
        bound.close()
        raise ConfigError(
            f"{settings.host}:{settings.port} cannot be served on: {problem.strerror}. Choose another host or port in "
            f"the settings, or with PRIVSYNTH_SERVICE_PORT"
        ) from None
    return bound

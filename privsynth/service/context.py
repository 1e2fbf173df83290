"""`Service`: what every act of the service takes from its surroundings; tests replace it."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from privsynth.errors import OutputError
from privsynth.service.secret_texts import Vault
from privsynth.service.settings import ServiceSettings
from privsynth.service.store.database import ServiceDatabase

FOLDER = "service"  # in privsynth's home


def now_utc() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class Service:
    """One service.

    Attributes:
      home: privsynth's folder, with ledger, keys and log; what is the service's own is in its folder `service`.
      now: the clock.
    """

    settings: ServiceSettings
    home: Path
    database: ServiceDatabase
    vault: Vault
    now: Callable[[], datetime] = now_utc

    @property
    def folder(self) -> Path:
        """Where the service keeps its database, its secret, uploads and releases."""
        return self.home / FOLDER

    def release_folder(self, run_id: str) -> Path:
        """Return where the release of a run is: `draft` with both parts and the decisions, and `edition`."""
        return self.folder / "releases" / run_id


def disk_error(problem: OSError) -> OutputError:
    """Return what to say to who asks the service of a file of its own that cannot be written; it names no folder."""
    if problem.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutputError("the service's disk is full: ask whoever runs it to free some space, and try again")
    reason = os.strerror(problem.errno) if problem.errno else type(problem).__name__
    return OutputError(f"the service cannot write its files ({reason}): tell whoever runs it, and try again")


def open_service(settings: ServiceSettings, home: Path) -> Service:
    """Return the service of a home, with its database brought up to date where it is the service's own file.

    Raises:
      ConfigError: the database or the secret cannot be used; a shared database is not migrated in passing.
    """
    folder = home / FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = ServiceDatabase.at(settings.database, folder)
    if settings.database:
        database.require_current()
    else:
        database.migrate()
    return Service(settings=settings, home=home, database=database, vault=Vault.at(folder / "secret"))

"""Databases and homes that tests copy: tables, people and their keys are made once."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from postgresql_server import PASSWORD
from sqlalchemy import create_engine, text

from privsynth.service import sign_in
from privsynth.service.secret_texts import new_secret
from privsynth.service.store.database import FILE, ServiceDatabase
from privsynth.signing import _key_file

KINDS = ("sqlite", "postgresql")
# A mark: the fixture `service`, and all that is made of it, on each database in turn.
each_database = pytest.mark.parametrize("service", KINDS, indirect=True)
PRODUCTION_HASHER = sign_in.HASHER
_CHEAP_HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
_NOBODY = _CHEAP_HASHER.hash(new_secret())
_CHEAP_LOG2_N = 4


def cheap_secrets(patch: pytest.MonkeyPatch) -> None:
    """Let passwords and passphrases cost nothing; other tests see to what they cost."""
    patch.setattr(sign_in, "HASHER", _CHEAP_HASHER)
    patch.setattr(sign_in, "_NOBODY", _NOBODY)
    patch.setattr(_key_file, "LOG2_N", _CHEAP_LOG2_N)


@dataclass
class Databases:
    """Databases of either kind, each a copy of one that is kept under a name.

    Args:
      folder: where files are kept.
      port: of a PostgreSQL server, which starts when it is asked for.
    """

    folder: Path
    port: Callable[[], int]
    _numbers: count = field(default_factory=count)

    def copy(self, kind: str, folder: Path, of: str) -> ServiceDatabase:
        """Return a copy of the database of that name; that called "tables" is made when it is asked for first."""
        if of == "tables" and not self.has(kind, of):
            first = self._new(kind, self.folder / "new", of=None)
            first.migrate()
            self.keep(kind, self.folder / "new", first, of)
        return self._new(kind, folder, of)

    def empty(self, kind: str, folder: Path) -> ServiceDatabase:
        """Return a database without tables."""
        return self._new(kind, folder, of=None)

    def has(self, kind: str, name: str) -> bool:
        """Say whether a database is kept under that name."""
        return (self.folder / f"{kind}-{name}").exists()

    def keep(self, kind: str, folder: Path, database: ServiceDatabase, name: str) -> None:
        """Keep a database under a name; nothing may use it any more."""
        database.close()
        kept = self.folder / f"{kind}-{name}"
        if kind == "sqlite":
            (folder / FILE).rename(kept)
        else:
            kept.write_text(str(database.engine.url.database))

    def _new(self, kind: str, folder: Path, of: str | None) -> ServiceDatabase:
        folder.mkdir(exist_ok=True)
        kept = self.folder / f"{kind}-{of}"
        if kind == "sqlite":
            if of is not None:
                shutil.copy(kept, folder / FILE)
            return ServiceDatabase.at("", folder)
        name, port = f"service{next(self._numbers)}", self.port()
        template = "" if of is None else f"TEMPLATE {kept.read_text()}"
        server = f"anna:{PASSWORD}@127.0.0.1:{port}"
        root = create_engine(f"postgresql+pg8000://{server}/postgres", isolation_level="AUTOCOMMIT")
        with root.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name} {template} STRATEGY file_copy"))
        root.dispose()
        return ServiceDatabase.at(f"postgresql://{server}/{name}", folder)

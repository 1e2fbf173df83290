"""Errands in a process of its own, which can be killed while it tells a webhook."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from threading import Event

from privsynth.service.context import Service
from privsynth.service.secret_texts import Vault
from privsynth.service.settings import ServiceSettings
from privsynth.service.store.database import ServiceDatabase
from privsynth.service.worker.errands import errands_once

if __name__ == "__main__":
    settings, home, database, secret, now = sys.argv[1:]
    errands_once(
        Service(
            settings=ServiceSettings.model_validate_json(settings), home=Path(home),
            database=ServiceDatabase.at(database, Path()), vault=Vault.at(Path(secret)),
            now=lambda: datetime.fromisoformat(now),
        ),
        Event(),
    )  # fmt: skip

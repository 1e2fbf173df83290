"""What the record of acts says of a release, apart from decisions: who revoked it, and why."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from privsynth.service.context import Service
from privsynth.service.states import RunState
from privsynth.service.store.runs import RecordedAct, RunRow


@dataclass(frozen=True)
class Revocation:
    """By whom a release was revoked, when, and why, as everybody reads it in the signed list."""

    by: str
    at: datetime
    reason: str


def revocation_of(service: Service, run: RunRow) -> Revocation | None:
    """Return who revoked a release; None for one that is not revoked, or was revoked outside of the service."""
    if RunState(run.state) != RunState.REVOKED:
        return None
    with service.database.reading() as session:
        wanted = select(RecordedAct).where(RecordedAct.about == f"run {run.id}", RecordedAct.act == "revoke")
        act = session.scalars(wanted).first()
        if act is None or act.person is None:
            return None
        return Revocation(act.person.display, act.at, json.loads(act.detail)["reason"])

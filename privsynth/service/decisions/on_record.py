"""What the record of acts says of a release beside decisions: answers to who asked for changes, and who revoked it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from privsynth.service.context import Service
from privsynth.service.roles import Act
from privsynth.service.states import RunState
from privsynth.service.store.runs import RecordedAct, RunRow


@dataclass(frozen=True)
class SubmittersAnswer:
    """What a submitter answered to who asked for changes.

    Attributes:
      after: number of the last decision that was there: whoever asked for changes by then was answered.
    """

    by: str
    at: datetime
    comment: str
    after: int


@dataclass(frozen=True)
class Revocation:
    """By whom a release was revoked, when, and why, as everybody reads it in the signed list."""

    by: str
    at: datetime
    reason: str


def answers_in(session: Session, run_id: str) -> list[SubmittersAnswer]:
    """Return the answers about a release, the oldest first."""
    about = RecordedAct.about == f"run {run_id}"
    wanted = select(RecordedAct).where(about, RecordedAct.act == Act.ANSWER_CHANGES).order_by(RecordedAct.id)
    found = []
    for act in session.scalars(wanted):
        told = json.loads(act.detail)
        by = act.person.display if act.person else ""
        found.append(SubmittersAnswer(by, act.at, told["comment"], told["after"]))
    return found


def answered_in(session: Session, run_id: str) -> int:
    """Return the number of the last decision that was answered; 0 for none."""
    return max((one.after for one in answers_in(session, run_id)), default=0)


def answers_of(service: Service, run: RunRow) -> list[SubmittersAnswer]:
    """Return the answers about a release that the caller may see."""
    with service.database.reading() as session:
        return answers_in(session, run.id)


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

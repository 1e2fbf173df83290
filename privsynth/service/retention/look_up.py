"""What was deleted of a run or a release."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from privsynth.errors import InputError
from privsynth.service.caller import Caller
from privsynth.service.context import Service
from privsynth.service.roles import Act
from privsynth.service.runs.look_up import the_run
from privsynth.service.store.retention import DeletionRow


def deletions_of(session: Session, run_id: str) -> list[DeletionRow]:
    """Return what was deleted of a run or its release, the earliest first."""
    return list(session.scalars(select(DeletionRow).where(DeletionRow.run_id == run_id).order_by(DeletionRow.id)))


def gone_from(session: Session, run_id: str) -> str:
    """Return a sentence if the officer's part of a release was deleted, or is being deleted; else ""."""
    for one in deletions_of(session, run_id):
        kind, day = one.item.partition("-")[0], f"{one.begun_at:%Y-%m-%d}"
        if kind == "officer":
            return f"the officer's part of this release was deleted on {day}: nobody can decide on it any more"
        if kind == "draft":
            return f"both parts of this release were deleted on {day}: nobody can decide on it any more"
    return ""


def require_there(session: Session, run_id: str) -> None:
    """Return if the officer's part of a release was not deleted.

    Raises:
      InputError: it was.
    """
    if gone := gone_from(session, run_id):
        raise InputError(gone)


def deleted(service: Service, caller: Caller, run_id: str) -> list[DeletionRow]:
    """Return what was deleted of a run that the person may see.

    Raises:
      InputError: there is no such run that they may see.
    """
    caller.require(Act.SEE_RUNS)
    with service.database.reading() as session:
        the_run(session, caller, run_id)
        return deletions_of(session, run_id)

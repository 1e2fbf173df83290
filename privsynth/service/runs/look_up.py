"""Which runs a person may see, and how they are found."""

from __future__ import annotations

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from privsynth.errors import InputError, NotAllowed
from privsynth.service.caller import Caller
from privsynth.service.context import Service
from privsynth.service.roles import Act, Role
from privsynth.service.states import RunState
from privsynth.service.store.runs import RunRow

SEES_ALL = frozenset({Role.REVIEWER, Role.APPROVER, Role.AUDITOR})
MOST = 500  # runs on one page (own)


def sees(caller: Caller, run: RunRow) -> bool:
    """Say whether a person sees a run: who only submits sees their own."""
    return bool(caller.roles & SEES_ALL) or run.submitter_id == caller.person_id


def seen_by(caller: Caller) -> list[ColumnElement[bool]]:
    """Return what holds for every run that a person sees, as conditions of a query."""
    return [] if caller.roles & SEES_ALL else [RunRow.submitter_id == caller.person_id]


def the_run(session: Session, caller: Caller, run_id: str) -> RunRow:
    """Return a run that the person may see.

    Raises:
      InputError: there is none; one that they may not see is refused in the same words.
    """
    run = session.get(RunRow, run_id)
    if run is None or not sees(caller, run):
        raise InputError("there is no such run")
    return run


def require_own(run: RunRow, caller: Caller) -> None:
    """Return if the person submitted the run.

    Raises:
      NotAllowed: somebody else did.
    """
    if run.submitter_id != caller.person_id:
        raise NotAllowed("only who asked for a release may cancel it")


def one_run(service: Service, caller: Caller, run_id: str) -> RunRow:
    """Return a run.

    Raises:
      InputError: there is none that the person may see.
    """
    caller.require(Act.SEE_RUNS)
    with service.database.reading() as session:
        return the_run(session, caller, run_id)


def some_runs(service: Service, caller: Caller, *, state: RunState | None = None) -> list[RunRow]:
    """Return the newest runs that the person may see, of one state where one is given."""
    caller.require(Act.SEE_RUNS)
    wanted = select(RunRow).order_by(RunRow.made_at.desc(), RunRow.id).limit(MOST)
    if state is not None:
        wanted = wanted.where(RunRow.state == state)
    wanted = wanted.where(*seen_by(caller))
    with service.database.reading() as session:
        return list(session.scalars(wanted))

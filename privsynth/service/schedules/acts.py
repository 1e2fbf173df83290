"""Acts on schedules: look ahead, make, pause, resume, end, and see."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from privsynth.errors import BudgetExceeded, InputError, NotAllowed, PrivsynthError
from privsynth.ledger.account import amount_text
from privsynth.service.caller import Caller
from privsynth.service.context import Service
from privsynth.service.record import record
from privsynth.service.roles import Act, Role
from privsynth.service.runs.look_up import SEES_ALL
from privsynth.service.runs.prior import prior_of
from privsynth.service.runs.request import ReleaseRequest, config_of
from privsynth.service.runs.submit import checked_purpose, source_and_origin
from privsynth.service.schedules.rhythm import MOST_A_YEAR, Rhythm
from privsynth.service.schedules.yearly import (
    DatasetYear,
    Pair,
    cost_of,
    dataset_year,
    fits,
    ledger_state,
    too_much,
    year_of,
)
from privsynth.service.sources.places import sentence_of
from privsynth.service.sources.registry import known_source
from privsynth.service.store.runs import SourceRow
from privsynth.service.store.schedules import FiringRow, ScheduleRow, ScheduleState
from privsynth.service.webhooks.events import tell_paused

SHOWN = 6  # dates of a plan (own): half a year of months


@dataclass(frozen=True, kw_only=True)
class SchedulePlan:
    """What a schedule would do, before it is made.

    Attributes:
      dates: when it is due next, in the institution's zone.
      often: how often in a year, at most.
      cost, yearly: what one release costs, and a year of them.
      year: of its dataset, without this schedule.
      refused: why it would be refused, as a sentence; "" if it would not.
    """

    dates: list[datetime]
    often: int
    cost: Pair
    yearly: Pair
    year: DatasetYear
    refused: str

    @property
    def texts(self) -> dict[str, str]:
        """The amounts in words."""
        return {**self.year.texts(), "cost": amount_text(self.cost), "yearly": amount_text(self.yearly)}

    @property
    def room(self) -> str:
        """How far what is left of the dataset's cap reaches, as a sentence."""
        if fits(self.yearly, self.year.left):
            return "What is left of the dataset's cap holds a year of it."
        enough = min(left // one for left, one in zip(self.year.left, self.cost, strict=True) if one)
        return (
            f"What is left of the dataset's cap holds {enough} of these releases, and not a year of them: "
            "then the schedule pauses, unless somebody raises the cap."
        )


def plan_schedule(
    service: Service, caller: Caller, source_id: int, request: ReleaseRequest, rhythm: Rhythm
) -> SchedulePlan:
    """Return when a schedule would be due and what a year of it would cost; it spends nothing and keeps nothing.

    Raises:
      InputError: there is no such source, or what is asked for makes no sense.
      LedgerError: the ledger cannot be read now.
    """
    caller.require(Act.SCHEDULE)
    source = _checked(service, source_id, request)
    state = ledger_state(service)
    with service.database.reading() as session:
        year = dataset_year(session, state, source.dataset)
    return _plan(service, request, rhythm, year)


def _plan(service: Service, request: ReleaseRequest, rhythm: Rhythm, year: DatasetYear) -> SchedulePlan:
    asked, zone = request.model_dump(), ZoneInfo(service.settings.time_zone)
    cost, yearly = cost_of(asked), year_of(asked, rhythm.every)
    refused = too_much(year, yearly, MOST_A_YEAR[rhythm.every])
    if not refused and not fits(cost, year.left):
        refused = f"one release costs {amount_text(cost)}, and {amount_text(year.left)} is left of the dataset's cap"
    dates = [due.astimezone(zone) for due in rhythm.upcoming(service.now(), zone, SHOWN)]
    return SchedulePlan(
        dates=dates, often=MOST_A_YEAR[rhythm.every], cost=cost, yearly=yearly, year=year, refused=refused
    )


def _checked(service: Service, source_id: int, request: ReleaseRequest) -> SourceRow:
    """Return the source of a request that the pipeline would take, by the header of the table."""
    from privsynth.pipeline.plan import plan

    source, origin = source_and_origin(service, source_id)
    try:
        plan(config_of(origin, request, Path("plan"), prior=prior_of(service, request, source.dataset)))
    except PrivsynthError as problem:
        raise InputError(sentence_of(problem, source.kind, origin.place, service.home)) from None
    return source


def make_schedule(
    service: Service,
    caller: Caller,
    source_id: int,
    request: ReleaseRequest,
    rhythm: Rhythm,
    *,
    purpose: str,
    once: str = "",
) -> ScheduleRow:
    """Make a schedule: each time that it is due, a run is asked for in the caller's name.

    Args:
      once: a text that the caller chose for this schedule: sent again, it is the same one.
    Raises:
      InputError: there is no such source, it has no purpose, or what is asked for makes no sense.
      BudgetExceeded: a year of it costs more than the yearly budget of its dataset, or there is none.
      LedgerError: the ledger cannot be read now.
    """
    caller.require(Act.SCHEDULE)
    purpose = checked_purpose(purpose)
    _checked(service, source_id, request)
    now, zone, state = service.now(), ZoneInfo(service.settings.time_zone), ledger_state(service)
    told = f"{caller.person_id} {once or secrets.token_hex(16)}"
    row = ScheduleRow(
        source_id=source_id, owner_id=caller.person_id, once=hashlib.sha256(told.encode()).hexdigest(),
        purpose=purpose, settings=json.dumps(request.model_dump(), sort_keys=True), **rhythm.model_dump(),
        zone=zone.key, made_at=now, state=ScheduleState.ACTIVE, next_at=rhythm.after(now, zone),
    )  # fmt: skip
    with service.database.writing() as session:
        before = session.scalars(select(ScheduleRow).where(ScheduleRow.once == row.once)).first()
        if before is not None:
            return _the_same(before, row)
        source = known_source(session.get(SourceRow, source_id))
        plan = _plan(service, request, rhythm, dataset_year(session, state, source.dataset))
        if plan.refused:
            raise BudgetExceeded(plan.refused)
        session.add(row)
        session.flush()
        session.refresh(row)
        record(
            session, Act.SCHEDULE, f"schedule {row.id}", person_id=caller.person_id, at=now, source=source.name,
            dataset=source.dataset, every=rhythm.every, first=rhythm.first.isoformat(),
            **request.model_dump(include={"epsilon", "delta", "unit"}),
        )  # fmt: skip
    return row


def _the_same(before: ScheduleRow, wanted: ScheduleRow) -> ScheduleRow:
    names = ("source_id", "purpose", "settings", "every", "first", "at")
    if any(getattr(before, name) != getattr(wanted, name) for name in names):
        raise InputError("this form was sent before, with something else in it: open a new one")
    return before


def rhythm_of(row: ScheduleRow) -> Rhythm:
    """Return when a schedule is due."""
    return Rhythm.model_validate({"every": row.every, "first": row.first, "at": row.at})


def pause_schedule(service: Service, caller: Caller, schedule_id: int) -> ScheduleRow:
    """Pause a schedule until its owner resumes it.

    Raises:
      InputError: there is no such schedule, or it is not active.
      NotAllowed: it is somebody else's, and the caller is no approver.
    """
    caller.require(Act.PAUSE_SCHEDULE)
    with service.database.writing() as session:
        row = _changeable(session, caller, schedule_id)
        if row.state != ScheduleState.ACTIVE:
            raise InputError(f"this schedule is {row.state} already")
        _stop(service, session, caller, row, ScheduleState.PAUSED)
    return row


def end_schedule(service: Service, caller: Caller, schedule_id: int) -> ScheduleRow:
    """End a schedule for good; its runs stay.

    Raises:
      InputError: there is no such schedule, or it has ended.
      NotAllowed: it is somebody else's, and the caller is no approver.
    """
    caller.require(Act.PAUSE_SCHEDULE)
    with service.database.writing() as session:
        row = _changeable(session, caller, schedule_id)
        _stop(service, session, caller, row, ScheduleState.ENDED)
    return row


def _changeable(session: Session, caller: Caller, schedule_id: int) -> ScheduleRow:
    row = the_schedule(session, caller, schedule_id)
    if row.owner_id != caller.person_id and Role.APPROVER not in caller.roles:
        raise NotAllowed("only who made a schedule, or an approver, may pause or end it")
    if row.state == ScheduleState.ENDED:
        raise InputError("this schedule has ended: make a new one")
    return row


def _stop(service: Service, session: Session, caller: Caller, row: ScheduleRow, state: ScheduleState) -> None:
    row.state, row.next_at, row.sentence = state, None, f"{state.capitalize()} by {caller.display}."
    act, now = "pause_schedule" if state == ScheduleState.PAUSED else "end_schedule", service.now()
    record(session, act, f"schedule {row.id}", person_id=caller.person_id, at=now)
    if state == ScheduleState.PAUSED:
        tell_paused(session, row.id, now)


def resume_schedule(service: Service, caller: Caller, schedule_id: int) -> ScheduleRow:
    """Go on with a paused schedule of one's own, from its next date on: what it missed is not made up for.

    Raises:
      InputError: there is no such schedule, it is not paused, or its source is retired.
      BudgetExceeded: a year of it no longer fits.
      NotAllowed: it is somebody else's.
      LedgerError: the ledger cannot be read now.
    """
    caller.require(Act.SCHEDULE)
    state, now = ledger_state(service), service.now()
    with service.database.writing() as session:
        row = the_schedule(session, caller, schedule_id)
        if row.owner_id != caller.person_id:
            raise NotAllowed("only who made a schedule may resume it: its releases are asked for in their name")
        if row.state != ScheduleState.PAUSED:
            raise InputError(f"this schedule is {row.state}, and not paused")
        known_source(row.source)
        request, rhythm = ReleaseRequest(**json.loads(row.settings)), rhythm_of(row)
        plan = _plan(service, request, rhythm, dataset_year(session, state, row.source.dataset))
        if plan.refused:
            raise BudgetExceeded(plan.refused)
        fired = session.scalars(select(FiringRow.due_at).where(FiringRow.schedule_id == row.id)).all()
        row.state, row.sentence = ScheduleState.ACTIVE, ""
        row.next_at = rhythm.after(max([now, *fired]), ZoneInfo(row.zone))  # also where the clock was set back
        record(session, "resume_schedule", f"schedule {row.id}", person_id=caller.person_id, at=now)
    return row


def the_schedule(session: Session, caller: Caller, schedule_id: int) -> ScheduleRow:
    """Return a schedule that the person may see: who only submits sees their own.

    Raises:
      InputError: there is none; one that they may not see is refused in the same words.
    """
    row = session.get(ScheduleRow, schedule_id)
    if row is None or not (caller.roles & SEES_ALL or row.owner_id == caller.person_id):
        raise InputError("there is no such schedule")
    return row


def one_schedule(service: Service, caller: Caller, schedule_id: int) -> ScheduleRow:
    """Return a schedule.

    Raises:
      InputError: there is none that the person may see.
    """
    caller.require(Act.SEE_SCHEDULES)
    with service.database.reading() as session:
        return the_schedule(session, caller, schedule_id)


def some_schedules(service: Service, caller: Caller) -> list[ScheduleRow]:
    """Return the schedules that the person may see: those that have ended last, the newest first."""
    caller.require(Act.SEE_SCHEDULES)
    wanted = select(ScheduleRow).order_by(ScheduleRow.state == ScheduleState.ENDED, ScheduleRow.id.desc())
    if not caller.roles & SEES_ALL:
        wanted = wanted.where(ScheduleRow.owner_id == caller.person_id)
    with service.database.reading() as session:
        return list(session.scalars(wanted))

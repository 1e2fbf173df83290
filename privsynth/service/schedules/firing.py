"""What workers do about schedules: ask for the run of each due time, once, and pause what may not go on."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import exists, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from privsynth.errors import PrivsynthError
from privsynth.ledger.account import amount_text
from privsynth.ledger.events import State
from privsynth.policy.files import load_policy
from privsynth.service.context import Service
from privsynth.service.record import record
from privsynth.service.roles import Role
from privsynth.service.runs.submit import enter_run
from privsynth.service.schedules.acts import rhythm_of
from privsynth.service.schedules.rhythm import a_year_before
from privsynth.service.schedules.yearly import (
    Pair,
    added,
    cost_of,
    dataset_year,
    fits,
    ledger_state,
    settled_costs,
    spent_since,
)
from privsynth.service.states import RunState
from privsynth.service.store.people import Person, PersonRole
from privsynth.service.store.runs import RunRow
from privsynth.service.store.schedules import FiringRow, ScheduleRow, ScheduleState
from privsynth.service.webhooks.events import tell_paused

_log = logging.getLogger(__name__)


def fire_due(service: Service) -> None:
    """Ask for the run of each schedule that is due, and pause those whose owner may not ask any more.

    Guarantee: a due time has one run, or one sentence that says why it has none: the database takes no second row of
      it. Of several that were missed, only the last is made up for.
    """
    for schedule_id in _to_look_at(service):
        try:
            _look(service, schedule_id)
        except IntegrityError:
            pass  # another worker wrote this due time down
        except PrivsynthError as problem:  # another worker was faster, or a ledger is away: the next look finds out
            _log.warning("a schedule that is due waits: %s", type(problem).__name__)


def _to_look_at(service: Service) -> list[int]:
    may_ask = (
        exists()
        .where(Person.id == ScheduleRow.owner_id, Person.active)
        .where(PersonRole.person_id == ScheduleRow.owner_id, PersonRole.role == Role.SUBMITTER)
    )
    wanted = select(ScheduleRow.id).where(
        ScheduleRow.state == ScheduleState.ACTIVE, (ScheduleRow.next_at <= service.now()) | ~may_ask
    )
    with service.database.reading() as session:
        return list(session.scalars(wanted.order_by(ScheduleRow.next_at)))


def _look(service: Service, schedule_id: int) -> None:
    settled, state = settled_costs(service), ledger_state(service)
    needed = load_policy(service.settings.policy).policy.approvals
    now = service.now()
    with service.database.writing() as session:
        row = session.get_one(ScheduleRow, schedule_id)
        if row.state != ScheduleState.ACTIVE or row.next_at is None:
            return
        why = _standing_problem(row)
        if row.next_at <= now:
            missed = rhythm_of(row).between(row.next_at, now, ZoneInfo(row.zone))
            due = missed[-1] if missed else row.next_at
            why = why or _cost_problem(session, row, due, state, settled)
            run = None if why else _run(row, due, needed, now)
            _write_down(session, row, due, run, f"{why} {_missed_text(len(missed))}".strip(), now)
        if why:
            _pause(session, row, why, now)


def _write_down(
    session: Session, row: ScheduleRow, due: datetime, run: RunRow | None, sentence: str, now: datetime
) -> None:
    if run is not None:
        enter_run(session, run, person_id=None, schedule=row.id)
        row.next_at = rhythm_of(row).after(max(now, due), ZoneInfo(row.zone))
    run_id = None if run is None else run.id
    session.add(FiringRow(schedule_id=row.id, due_at=due, at=now, run_id=run_id, sentence=sentence))
    session.flush()


def _missed_text(number: int) -> str:
    if not number:
        return ""
    times = "time" if number == 1 else "times"
    return f"No worker looked before: {number} earlier {times} went by without a run."


def _standing_problem(row: ScheduleRow) -> str:
    if not row.owner.active:
        return f"{row.owner.display}, who made this schedule, has left: somebody else has to make a new one."
    if Role.SUBMITTER not in row.owner.roles:
        return f"{row.owner.display}, who made this schedule, may not ask for releases any more."
    if row.source.retired_at is not None:
        return f"The source {row.source.name} is retired."
    return ""


def _cost_problem(session: Session, row: ScheduleRow, due: datetime, state: State, settled: Mapping[str, Pair]) -> str:
    """Return why a due time is refused by what it costs, as a sentence; "" if it is not."""
    dataset, cost = row.source.dataset, cost_of(json.loads(row.settings))
    year = dataset_year(session, state, dataset)
    if year.budget is None:
        return f"There is no yearly budget of {year.dataset} for schedules any more: ask an approver."
    spent = spent_since(session, dataset, a_year_before(due, ZoneInfo(row.zone)), settled)
    if not fits(added([spent, cost]), year.budget):
        return (
            f"Refused: the release costs {amount_text(cost)}, and within twelve months schedules spent "
            f"{amount_text(spent)} of the yearly budget of {year.dataset}, which is {amount_text(year.budget)}."
        )
    if not fits(cost, year.left):
        return (
            f"Refused: the release costs {amount_text(cost)}, and {amount_text(year.left)} is left of the cap of "
            f"{year.dataset}."
        )
    return ""


def _run(row: ScheduleRow, due: datetime, needed: int, now: datetime) -> RunRow:
    told = f"schedule {row.id} {due.isoformat()}"  # so that a due time has one name of a run, too
    return RunRow(
        id=f"run-{hashlib.sha256(told.encode()).hexdigest()[:16]}", source_id=row.source_id,
        dataset=row.source.dataset, purpose=row.purpose, settings=row.settings, submitter_id=row.owner_id, made_at=now,
        needed=needed, state=RunState.QUEUED, sentence="Waits for a worker. A schedule asked for it.",
    )  # fmt: skip


def _pause(session: Session, row: ScheduleRow, why: str, now: datetime) -> None:
    row.state, row.sentence, row.next_at = ScheduleState.PAUSED, why, None
    record(session, "pause_schedule", f"schedule {row.id}", person_id=None, at=now, sentence=why)
    tell_paused(session, row.id, now)

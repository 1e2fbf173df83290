"""The first page: what waits for the person who looks, and what else they may know of the institution."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from privsynth.errors import BudgetError, KeyFileError
from privsynth.service.caller import Caller
from privsynth.service.context import Service
from privsynth.service.decisions.on_record import answered_in
from privsynth.service.keys.people import all_keys
from privsynth.service.oversight.budgets import DatasetBudget, budgets
from privsynth.service.roles import Act, Role
from privsynth.service.runs.look_up import seen_by
from privsynth.service.states import RunState
from privsynth.service.store.people import Person
from privsynth.service.store.runs import RunRow
from privsynth.service.store.schedules import ScheduleRow, ScheduleState
from privsynth.service.store.webhooks import WebhookRow, WebhookState
from privsynth.signing.store import load_keyring, names

SOON = timedelta(days=60)  # before a key ends, in which its successor can still be made known to recipients
RECENT = timedelta(days=14)  # for which a run that ended badly is told of
_TO_DECIDE = (RunState.TO_DECIDE, RunState.CHANGES_ASKED)
_ENDED_BADLY = (RunState.FAILED, RunState.INTERRUPTED)


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """A run that waits for the person who looks, and for what: to decide, to publish, to answer or to read why."""

    run: RunRow
    act: str


@dataclass(frozen=True, kw_only=True)
class KeyEnd:
    """A key that ends soon or has ended; `name` is that in the service's home, "" for a key that is elsewhere."""

    name: str
    holder: str
    ends_at: datetime
    ended: bool


@dataclass(frozen=True, kw_only=True)
class Overview:
    """What a person sees first; None where they may not know it.

    Attributes:
      states: how many runs that the person sees are in each state, of those that have any.
      problem: why there are no budgets.
      invited: people who were invited and have not signed in yet.
      paused: schedules that are the person's own, or all of them for who answers for the data.
      unentered: people whose key waits to be entered in the keyring, for who keeps the keys.
      disabled: webhooks that are told nothing any more, for who manages them.
    """

    waiting: list[Waiting]
    states: dict[RunState, int] | None
    budgets: list[DatasetBudget] | None
    problem: str
    keys: list[KeyEnd]
    invited: list[Person] | None
    paused: list[ScheduleRow]
    disabled: list[WebhookRow]
    unentered: list[Person]

    @property
    def is_quiet(self) -> bool:
        """Whether nothing waits for the person."""
        return not (self.waiting or self.keys or self.invited or self.paused or self.disabled or self.unentered)


def overview(service: Service, caller: Caller) -> Overview:
    """Return what waits for somebody, and what else they may know."""
    with service.database.reading() as session:
        waiting = _waiting(session, caller, service.now())
        states = _states(session, caller) if caller.may(Act.SEE_RUNS) else None
        invited = _invited(session) if caller.may(Act.MANAGE_PEOPLE) else None
        disabled = _disabled(session) if caller.may(Act.MANAGE_WEBHOOKS) else []
        paused = _paused(session, caller) if caller.may(Act.PAUSE_SCHEDULE) else []
    found, problem = None, ""
    if caller.may(Act.SEE_BUDGET):
        try:
            found = budgets(service, caller)
        except BudgetError as error:  # the rest of the page still helps
            problem = str(error)
    return Overview(
        waiting=waiting, states=states, budgets=found, problem=problem, keys=_keys(service, caller), invited=invited,
        paused=paused, disabled=disabled, unentered=_unentered(service, caller),
    )  # fmt: skip


def _waiting(session: Session, caller: Caller, now: datetime) -> list[Waiting]:
    if not caller.may(Act.SEE_RUNS):
        return []
    wanted = select(RunRow).where(
        RunRow.state.in_((*_TO_DECIDE, RunState.APPROVED))
        | (RunRow.state.in_(_ENDED_BADLY) & (RunRow.ended_at > now - RECENT))
    ).order_by(RunRow.made_at)  # fmt: skip
    found = ((run, _act_on(session, run, caller)) for run in session.scalars(wanted))
    return [Waiting(run=run, act=act) for run, act in found if act]


def _act_on(session: Session, run: RunRow, caller: Caller) -> str:
    """Return what a person is to do about a run; "" for nothing."""
    if run.submitter_id == caller.person_id:
        told = {RunState.CHANGES_ASKED: "answer", RunState.FAILED: "read why", RunState.INTERRUPTED: "read why"}
        return told.get(RunState(run.state), "")
    mine = [one for one in run.decisions if one.person_id == caller.person_id]
    decided = bool(mine) and not (mine[-1].meaning == "changes" and mine[-1].id <= answered_in(session, run.id))
    if run.state in _TO_DECIDE and caller.may(Act.REVIEW) and not decided:
        return "decide"
    return "publish" if run.state == RunState.APPROVED and caller.may(Act.PUBLISH) else ""


def _states(session: Session, caller: Caller) -> dict[RunState, int]:
    wanted = select(RunRow.state, func.count()).where(*seen_by(caller)).group_by(RunRow.state)
    counted = session.execute(wanted)
    counts = {state: count for state, count in counted}
    return {state: counts[state] for state in RunState if state in counts}


def _invited(session: Session) -> list[Person]:
    unknown = Person.active & Person.password.is_(None) & Person.subject.is_(None)
    return list(session.scalars(select(Person).where(unknown).order_by(Person.name)))


def _paused(session: Session, caller: Caller) -> list[ScheduleRow]:
    wanted = select(ScheduleRow).where(ScheduleRow.state == ScheduleState.PAUSED).order_by(ScheduleRow.id)
    if Role.APPROVER not in caller.roles:
        wanted = wanted.where(ScheduleRow.owner_id == caller.person_id)
    return list(session.scalars(wanted))


def _disabled(session: Session) -> list[WebhookRow]:
    wanted = select(WebhookRow).where(WebhookRow.state == WebhookState.DISABLED).order_by(WebhookRow.label)
    return list(session.scalars(wanted))


def _unentered(service: Service, caller: Caller) -> list[Person]:
    if not caller.may(Act.MANAGE_KEYS):
        return []
    try:
        return [key.person for key in all_keys(service, caller) if key.person is not None and key.entry is None]
    except KeyFileError:
        return []  # the page of keys says why


def _keys(service: Service, caller: Caller) -> list[KeyEnd]:
    """Return keys that end soon: the caller's own, and all of them for who keeps the keys."""
    try:
        keyring, called = load_keyring(service.home), names(service.home)
    except KeyFileError:
        return []  # the page of keys says why
    now = service.now()
    return [
        KeyEnd(name=called.get(key.keyid, ""), holder=key.holder, ends_at=key.not_after, ended=key.not_after < now)
        for key in keyring.keys
        if key.status == "active" and key.not_after < now + SOON
        and (caller.may(Act.MANAGE_KEYS) or (caller.key is not None and called.get(key.keyid) == caller.key))
    ]  # fmt: skip

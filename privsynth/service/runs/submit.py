"""Acts on runs: plan, submit, cancel."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.orm import Session

from privsynth.errors import STOPPED, BudgetExceeded, InputError, NotAllowed, PrivsynthError
from privsynth.ledger.ledger import Ledger
from privsynth.service.caller import Caller
from privsynth.service.context import Service
from privsynth.service.record import record
from privsynth.service.roles import Act
from privsynth.service.runs.look_up import require_own, the_run
from privsynth.service.runs.policy import warned_of
from privsynth.service.runs.prior import prior_of
from privsynth.service.runs.request import ReleaseRequest, SourcePlace, config_of, in_browser
from privsynth.service.runs.transitions import add_run, to_state
from privsynth.service.sources.places import open_place, sentence_of
from privsynth.service.sources.registry import known_source, options_of, read_as
from privsynth.service.states import WHEN, RunState
from privsynth.service.store.runs import RunRow, SourceRow

if TYPE_CHECKING:
    from privsynth.pipeline.usability.planned import Plan

AROUND = (0.25, 0.5, 1.0, 2.0, 4.0)  # of the epsilon that is asked for (own): what less and what more would bring
LATELY = timedelta(hours=1)  # (own) in which the same request again is more often a slip than a wish
NOTHING_SPENT = "Cancelled before it began: nothing was spent."


@dataclass(frozen=True)
class PlanAt:
    """A plan at one epsilon; or why there is none there, in a sentence.

    Attributes:
      policy: what the service's policy will have against such a release, a sentence each.
    """

    epsilon: float
    plan: Plan | None
    why: str = ""
    policy: tuple[str, ...] = ()


def plan_release(service: Service, caller: Caller, source_id: int, request: ReleaseRequest) -> list[PlanAt]:
    """Return what releases would cost and resolve at the epsilon that is asked for and around it; it spends nothing.

    Raises:
      InputError: there is no such source, or what is asked for makes no sense.
    """
    from privsynth.pipeline.plan import plan as make_plan

    caller.require(Act.PLAN)
    source, origin = source_and_origin(service, source_id)
    found = []
    for factor in AROUND:
        there = request.model_copy(update={"epsilon": float(f"{request.epsilon * factor:.6g}")})
        try:
            config = config_of(origin, there, Path("plan"), prior=prior_of(service, there, source.dataset))
            made = make_plan(config)
            over = None if made.over_cap is None else in_browser(made.over_cap)
            found.append(PlanAt(there.epsilon, replace(made, over_cap=over), policy=tuple(warned_of(service, there))))
        except PrivsynthError as problem:
            why = sentence_of(problem, source.kind, origin.place, service.home)
            if factor == 1.0:
                raise InputError(why) from None
            found.append(PlanAt(there.epsilon, None, why))
    return found


def submit_release(
    service: Service, caller: Caller, source_id: int, request: ReleaseRequest, *, purpose: str, once: str = ""
) -> RunRow:
    """Ask for a release; a worker makes it.

    Args:
      purpose: what it is for, which those who decide read.
      once: a text that the caller chose for this request: sent again, it is the same run and not another one.
    Raises:
      InputError: there is no such source, it has no purpose, or what is asked for makes no sense.
      BudgetError: the ledger would refuse it now.
    """
    from privsynth.policy.files import load_policy

    caller.require(Act.SUBMIT)
    purpose, run_id = checked_purpose(purpose), _run_id(caller, once)
    source, origin = source_and_origin(service, source_id)
    try:
        config_of(origin, request, Path("plan"))
    except PrivsynthError as problem:
        raise InputError(sentence_of(problem, source.kind, origin.place, service.home)) from None
    settings = _settings(request)
    needed = load_policy(service.settings.policy).policy.approvals
    with service.database.reading() as session:
        before = session.get(RunRow, run_id)
    if before is not None:
        return _the_same(before, source_id, settings, purpose)
    _require_room(service, source, request)
    run = RunRow(
        id=run_id, source_id=source_id, dataset=source.dataset, purpose=purpose, settings=settings,
        submitter_id=caller.person_id, made_at=service.now(), needed=needed, state=RunState.QUEUED,
        sentence="Waits for a worker.",
    )  # fmt: skip
    with service.database.writing() as session:
        known_source(session.get(SourceRow, source_id))
        before = session.get(RunRow, run_id)
        if before is not None:  # the same form, sent twice at once
            return _the_same(before, source_id, settings, purpose)
        enter_run(session, run, person_id=caller.person_id)
    return run


def asked_lately(
    service: Service, caller: Caller, source_id: int, request: ReleaseRequest, *, purpose: str, once: str
) -> RunRow | None:
    """Return the newest run for which the caller asked within the last hour, in exactly these words; None without one.

    A run that was cancelled does not count, and neither does that of this very request (`once`).
    """
    caller.require(Act.SUBMIT)
    wanted = select(RunRow).where(
        RunRow.submitter_id == caller.person_id, RunRow.source_id == source_id, RunRow.settings == _settings(request),
        RunRow.purpose == purpose.strip(), RunRow.made_at > service.now() - LATELY,
        RunRow.state != RunState.CANCELLED, RunRow.cancelled.is_(False),
    ).order_by(RunRow.made_at.desc())  # fmt: skip
    with service.database.reading() as session:
        found = list(session.scalars(wanted))
    return None if not found or any(run.id == _run_id(caller, once) for run in found) else found[0]


def _settings(request: ReleaseRequest) -> str:
    return json.dumps(request.model_dump(), sort_keys=True)


def checked_purpose(typed: str) -> str:
    """Return what a release is for.

    Raises:
      InputError: nobody said, or at too great a length.
    """
    purpose = typed.strip()
    if not 1 <= len(purpose) <= 2000:
        raise InputError("say what the release is for, in at most 2,000 characters: who decides reads it")
    return purpose


def enter_run(session: Session, run: RunRow, *, person_id: int | None, **more: int) -> None:
    """Add a run that waits for a worker, and put that on record.

    Args:
      person_id: who asked for it just now; None for a schedule, which `more` names.
    """
    add_run(session, run)
    asked = json.loads(run.settings)
    record(
        session, Act.SUBMIT, f"run {run.id}", person_id=person_id, at=run.made_at, source=run.source.name,
        dataset=run.dataset, **{name: asked[name] for name in ("epsilon", "delta", "unit")}, **more,
    )  # fmt: skip


def _run_id(caller: Caller, once: str) -> str:
    if not once:
        return f"run-{secrets.token_hex(8)}"
    return f"run-{hashlib.sha256(f'{caller.person_id} {once}'.encode()).hexdigest()[:16]}"


def _the_same(before: RunRow, source_id: int, settings: str, purpose: str) -> RunRow:
    if (before.source_id, before.settings, before.purpose) != (source_id, settings, purpose):
        raise InputError("this form was sent before, with something else in it: open a new one")
    return before


def _require_room(service: Service, source: SourceRow, request: ReleaseRequest) -> None:
    over = Ledger.chosen(service.home).over_cap(source.dataset, epsilon=request.epsilon, delta=request.delta)
    if over is not None:
        raise BudgetExceeded(f"the ledger would refuse this release. {in_browser(over)}".rstrip("."))


def source_and_origin(service: Service, source_id: int) -> tuple[SourceRow, SourcePlace]:
    """Return a source that is in use, and where its rows are.

    Raises:
      InputError: there is none, it is retired, or it may not be read any more.
    """
    with service.database.reading() as session:
        source = known_source(session.get(SourceRow, source_id))
    return source, origin_of(service, source)


def origin_of(service: Service, source: SourceRow) -> SourcePlace:
    """Return where the rows of a source are, looked at again.

    Raises:
      InputError: it may not be read any more.
    """
    told, place = json.loads(source.options), open_place(service, source)
    return SourcePlace(
        place=read_as(place.origin, told), options=options_of(told) | place.options, dataset=source.dataset,
        schema_text=source.schema,
    )  # fmt: skip


def cancel_run(service: Service, caller: Caller, run_id: str) -> RunRow:
    """End a run that waits, or ask the worker of one that runs to end it; what was drawn stays spent.

    Raises:
      InputError: there is no such run.
      NotAllowed: it is somebody else's, or has ended.
    """
    caller.require(Act.CANCEL)
    now = service.now()
    with service.database.writing() as session:
        run = the_run(session, caller, run_id)
        require_own(run, caller)
        if run.state == RunState.QUEUED:
            to_state(session, run, RunState.CANCELLED, now)
            run.sentence, run.ended_at, run.exit_code = NOTHING_SPENT, now, STOPPED
        elif RunState(run.state) not in WHEN[Act.CANCEL]:
            raise NotAllowed("this run has ended: there is nothing to cancel")
        run.cancelled = True
        record(session, Act.CANCEL, f"run {run_id}", person_id=caller.person_id, at=now)
    return run

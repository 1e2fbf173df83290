"""Pages about schedules: look ahead, make, pause, resume and end; and the yearly budgets that bound them."""

from __future__ import annotations

import json
import secrets
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form
from fastapi.responses import RedirectResponse, Response
from pydantic import ValidationError

from privsynth.errors import BudgetError, ConfigError, InputError, PrivsynthError
from privsynth.service.caller import Caller
from privsynth.service.context import Service
from privsynth.service.roles import Act
from privsynth.service.runs.policy import demands_of
from privsynth.service.runs.request import generators_to_choose, request_of, what_is_wrong
from privsynth.service.schedules.acts import (
    end_schedule,
    make_schedule,
    one_schedule,
    pause_schedule,
    plan_schedule,
    resume_schedule,
    some_schedules,
)
from privsynth.service.schedules.rhythm import Rhythm
from privsynth.service.schedules.yearly import dataset_years, set_yearly_budget
from privsynth.service.sources.registry import all_sources
from privsynth.service.web.api import Number
from privsynth.service.web.pages import page, said_of
from privsynth.service.web.routes.runs import Asked, Purpose, SentOnce
from privsynth.service.web.visitors import FormVisitor, ServiceHere, Visitor

router = APIRouter(include_in_schema=False)
Short = Annotated[str, Form(max_length=200)]


def _when(every: Short = "", first: Short = "", at: Short = "") -> dict[str, str]:
    """Return what the fields of the rhythm hold."""
    return {"every": every, "first": first, "at": at}


When = Annotated[dict[str, str], Depends(_when)]


def _rhythm(told: dict[str, str]) -> Rhythm:
    try:
        return Rhythm.model_validate(told)
    except ValidationError as problem:
        raise InputError(what_is_wrong(problem)) from None


def _list(service: Service, caller: Caller, problem: Exception | None = None) -> Response:
    schedules, years = some_schedules(service, caller), []
    status, said = said_of(problem)
    try:
        years = dataset_years(service, caller)
    except BudgetError as unread:  # the schedules are told all the same
        said = said or str(unread)
    return page("schedules.html", caller, status=status, schedules=schedules, years=years, problem=said)


def _new(
    service: Service, caller: Caller, source_id: int | None, told: dict[str, str], *,
    problem: Exception | None = None, **more: object,
) -> Response:  # fmt: skip
    caller.require(Act.SCHEDULE)
    known = [source for source in all_sources(service, caller) if source.retired_at is None]
    chosen = next((source for source in known if source.id == source_id), None)
    facts = {"plan": None, "purpose": "", "once": secrets.token_urlsafe(16), **more}
    status, said = said_of(problem)
    return page(
        "new_schedule.html", caller, status=status, problem=said, sources=known, source=chosen, told=told,
        generators=generators_to_choose(), zone=service.settings.time_zone, demands=demands_of(service),
        **facts,
    )  # fmt: skip


def _one(service: Service, caller: Caller, schedule_id: int, problem: Exception | None = None) -> Response:
    row = one_schedule(service, caller, schedule_id)
    status, said = said_of(problem)
    return page("schedule.html", caller, status=status, one=row, asked=json.loads(row.settings), problem=said)


@router.get("/schedules")
def schedules_page(service: ServiceHere, caller: Visitor) -> Response:
    """Show schedules, and the yearly budgets of datasets."""
    return _list(service, caller)


@router.get("/schedules/new")
def new_page(service: ServiceHere, caller: Visitor, source: int | None = None) -> Response:
    """Show the form for a schedule."""
    today = f"{service.now():%Y-%m-%d}"
    return _new(
        service,
        caller,
        source,
        {"epsilon": "0.2", "delta": "0.0000004", "every": "month", "first": today, "at": "06:00"},
    )


@router.post("/schedules/plan")
def plan_form(
    service: ServiceHere,
    caller: FormVisitor,
    told: Asked,
    when: When,
    source: Annotated[int, Form()],
    purpose: Purpose = "",
    once: SentOnce = "",
) -> Response:
    """Show the next dates and what a year costs; nothing is spent, and nothing is kept."""
    kept: dict[str, Any] = {"purpose": purpose, "once": once or secrets.token_urlsafe(16)}
    try:
        plan = plan_schedule(service, caller, source, request_of(told), _rhythm(when))
    except (InputError, BudgetError) as problem:
        return _new(service, caller, source, told | when, problem=problem, **kept)
    return _new(service, caller, source, told | when, plan=plan, **kept)


@router.post("/schedules")
def schedule_form(
    service: ServiceHere,
    caller: FormVisitor,
    told: Asked,
    when: When,
    source: Annotated[int, Form()],
    purpose: Purpose = "",
    once: SentOnce = "",
) -> Response:
    """Make a schedule."""
    try:
        asked, rhythm = request_of(told), _rhythm(when)
        row = make_schedule(service, caller, source, asked, rhythm, purpose=purpose, once=once)
    except (InputError, BudgetError) as problem:
        return _new(service, caller, source, told | when, problem=problem, purpose=purpose, once=once)
    return RedirectResponse(f"/schedules/{row.id}", 303)


@router.post("/schedules/budget")
def budget_form(service: ServiceHere, caller: FormVisitor, dataset: Short, epsilon: Short, delta: Short) -> Response:
    """Set the yearly budget of a dataset's schedules."""
    try:
        amounts = {"epsilon": float(epsilon), "delta": float(delta)}
    except ValueError:
        return _list(service, caller, InputError("epsilon and delta are numbers, such as 3 and 0.000005"))
    try:
        set_yearly_budget(service, caller, dataset, **amounts)
    except (InputError, ConfigError, BudgetError) as problem:
        return _list(service, caller, problem)
    return RedirectResponse("/schedules", 303)


@router.get("/schedules/{schedule_id}")
def schedule_page(service: ServiceHere, caller: Visitor, schedule_id: Number) -> Response:
    """Show a schedule, and what became of its due times."""
    return _one(service, caller, schedule_id)


@router.post("/schedules/{schedule_id}/pause")
def pause_form(service: ServiceHere, caller: FormVisitor, schedule_id: Number) -> Response:
    """Pause a schedule."""
    pause_schedule(service, caller, schedule_id)
    return RedirectResponse(f"/schedules/{schedule_id}", 303)


@router.post("/schedules/{schedule_id}/resume")
def resume_form(service: ServiceHere, caller: FormVisitor, schedule_id: Number) -> Response:
    """Go on with a schedule."""
    try:
        resume_schedule(service, caller, schedule_id)
    except (InputError, BudgetError) as problem:
        return _unless_unseen(service, caller, schedule_id, problem)
    return RedirectResponse(f"/schedules/{schedule_id}", 303)


@router.post("/schedules/{schedule_id}/end")
def end_form(service: ServiceHere, caller: FormVisitor, schedule_id: Number) -> Response:
    """End a schedule."""
    end_schedule(service, caller, schedule_id)
    return RedirectResponse(f"/schedules/{schedule_id}", 303)


def _unless_unseen(service: Service, caller: Caller, schedule_id: int, problem: PrivsynthError) -> Response:
    """Return the page with what is wrong; where the person may not see the schedule, that alone."""
    try:
        return _one(service, caller, schedule_id, problem)
    except PrivsynthError:
        raise problem from None

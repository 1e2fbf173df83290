"""Pages about runs: ask for a release, see what it would cost, and how far it is."""

from __future__ import annotations

import json
import secrets
from typing import Annotated

from fastapi import APIRouter, Depends, Form
from fastapi.responses import RedirectResponse, Response

from privsynth.errors import BudgetError, InputError
from privsynth.service.caller import Caller
from privsynth.service.context import Service
from privsynth.service.roles import Act
from privsynth.service.runs.look_up import one_run, some_runs
from privsynth.service.runs.request import generators_to_choose, request_of
from privsynth.service.runs.submit import cancel_run, plan_release, submit_release
from privsynth.service.sources.registry import all_sources
from privsynth.service.states import BUSY, HAS_RELEASE, State
from privsynth.service.web.pages import page
from privsynth.service.web.visitors import FormVisitor, ServiceHere, Visitor

router = APIRouter(include_in_schema=False)
Short = Annotated[str, Form(max_length=200)]
FOLLOW_S = 5  # between two looks at a run that somebody follows (own)


def asked(
    epsilon: Short = "",
    delta: Short = "",
    unit: Short = "",
    max_rows_per_unit: Short = "",
    rows: Short = "",
    expect_rows: Short = "",
    generator: Short = "",
    audit: Short = "",
    format: Short = "",
    language: Short = "",
    anyway: Short = "",
) -> dict[str, str]:
    """Return what the fields of the form hold."""
    return {
        "epsilon": epsilon, "delta": delta, "unit": unit, "max_rows_per_unit": max_rows_per_unit, "rows": rows,
        "expect_rows": expect_rows, "generator": generator, "audit": audit, "format": format, "language": language,
        "anyway": anyway,
    }  # fmt: skip


Asked = Annotated[dict[str, str], Depends(asked)]
Purpose = Annotated[str, Form(max_length=4000)]
Once = Annotated[str, Form(max_length=100)]


def _new(service: Service, caller: Caller, source_id: int | None, told: dict[str, str], **more: object) -> Response:
    """Return the form with what was typed, and what is said of it."""
    caller.require(Act.SUBMIT)
    known = [source for source in all_sources(service, caller) if source.retired_at is None]
    chosen = next((source for source in known if source.id == source_id), None)
    facts = {"problem": "", "plans": [], "purpose": "", "once": secrets.token_urlsafe(16), **more}
    status = 422 if facts["problem"] else 200
    return page(
        "new_run.html", caller, status=status, sources=known, source=chosen, told=told,
        generators=generators_to_choose(), **facts,
    )  # fmt: skip


@router.get("/runs")
def runs_page(service: ServiceHere, caller: Visitor, state: State | None = None) -> Response:
    """Show runs, the newest first."""
    return page("runs.html", caller, runs=some_runs(service, caller, state=state), state=state, states=list(State))


@router.get("/runs/new")
def new_page(service: ServiceHere, caller: Visitor, source: int | None = None) -> Response:
    """Show the form for a release."""
    return _new(service, caller, source, {"epsilon": "1"})


@router.post("/runs/plan")
def plan_form(
    service: ServiceHere,
    caller: FormVisitor,
    told: Asked,
    source: Annotated[int, Form()],
    purpose: Purpose = "",
    once: Once = "",
) -> Response:
    """Show what releases would cost and resolve; nothing is spent."""
    kept = {"purpose": purpose, "once": once or secrets.token_urlsafe(16)}
    try:
        plans = plan_release(service, caller, source, request_of(told))
    except InputError as problem:
        return _new(service, caller, source, told, problem=str(problem), **kept)
    return _new(service, caller, source, told, plans=plans, **kept)


@router.post("/runs")
def submit_form(
    service: ServiceHere,
    caller: FormVisitor,
    told: Asked,
    source: Annotated[int, Form()],
    purpose: Purpose = "",
    once: Once = "",
) -> Response:
    """Ask for a release."""
    try:
        run = submit_release(service, caller, source, request_of(told), purpose=purpose, once=once)
    except (InputError, BudgetError) as problem:
        return _new(service, caller, source, told, problem=str(problem), purpose=purpose, once=once)
    return RedirectResponse(f"/runs/{run.id}", 303)


@router.get("/runs/{run_id}")
def run_page(service: ServiceHere, caller: Visitor, run_id: str, follow: bool = False) -> Response:
    """Show a run; while somebody follows it, the browser looks again by itself."""
    run = one_run(service, caller, run_id)
    busy = State(run.state) in BUSY
    response = page(
        "run.html", caller, run=run, asked=json.loads(run.settings), busy=busy, follow=follow,
        has_release=State(run.state) in HAS_RELEASE, follow_s=FOLLOW_S,
    )  # fmt: skip
    if busy and follow:
        response.headers["refresh"] = str(FOLLOW_S)
    return response


@router.post("/runs/{run_id}/cancel")
def cancel_form(service: ServiceHere, caller: FormVisitor, run_id: str) -> Response:
    """End a run, or ask that it ends."""
    cancel_run(service, caller, run_id)
    return RedirectResponse(f"/runs/{run_id}", 303)

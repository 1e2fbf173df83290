"""Pages about runs: ask for a release, see what it would cost, and how far it is."""

from __future__ import annotations

import json
import secrets
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Query
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel, BeforeValidator, Field

from privsynth.errors import BudgetError, InputError, PrivsynthError
from privsynth.service.caller import Caller
from privsynth.service.context import Service
from privsynth.service.decisions.answering import answer_changes
from privsynth.service.decisions.on_record import answers_of, revocation_of
from privsynth.service.decisions.sheet import approvals_of
from privsynth.service.retention.look_up import deleted
from privsynth.service.roles import Act
from privsynth.service.runs.look_up import one_run, some_runs
from privsynth.service.runs.policy import demands_of, warned_of
from privsynth.service.runs.request import ReleaseRequest, fields_of, generators_to_choose, request_of
from privsynth.service.runs.submit import asked_lately, cancel_run, plan_release, submit_release
from privsynth.service.sources.registry import all_sources
from privsynth.service.states import BUSY, HAS_RELEASE, RunState
from privsynth.service.store.runs import RunRow
from privsynth.service.web.api import LARGEST, Once, RunId, Sent, api_router
from privsynth.service.web.pages import page, said_of
from privsynth.service.web.routes.deciding_api import DecisionFacts, decision_facts_of
from privsynth.service.web.visitors import FormVisitor, Program, ServiceHere, Visitor

router = APIRouter(include_in_schema=False)
api = api_router("Runs")
Short = Annotated[str, Form(max_length=200)]
OfState = Annotated[RunState | None, BeforeValidator(lambda text: text or None)]  # the form sends "" for all
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
    from_last_release: Short = "",
) -> dict[str, str]:
    """Return what the fields of the form hold."""
    return {
        "epsilon": epsilon, "delta": delta, "unit": unit, "max_rows_per_unit": max_rows_per_unit, "rows": rows,
        "expect_rows": expect_rows, "generator": generator, "audit": audit, "format": format, "language": language,
        "anyway": anyway, "from_last_release": from_last_release,
    }  # fmt: skip


Asked = Annotated[dict[str, str], Depends(asked)]
Purpose = Annotated[str, Form(max_length=4000)]
SentOnce = Annotated[str, Form(max_length=100)]


def _new(
    service: Service, caller: Caller, source_id: int | None, told: dict[str, str], *,
    problem: Exception | None = None, **more: object,
) -> Response:  # fmt: skip
    """Return the form with what was typed, and what is said of it."""
    caller.require(Act.SUBMIT)
    known = [source for source in all_sources(service, caller) if source.retired_at is None]
    chosen = next((source for source in known if source.id == source_id), None)
    facts = {"plans": [], "purpose": "", "before": None, "once": secrets.token_urlsafe(16), **more}
    status, said = said_of(problem)
    return page(
        "new_run.html", caller, status=status, problem=said, sources=known, source=chosen, told=told,
        generators=generators_to_choose(), demands=demands_of(service), **facts,
    )  # fmt: skip


@router.get("/runs")
def runs_page(service: ServiceHere, caller: Visitor, state: OfState = None) -> Response:
    """Show runs, the newest first."""
    return page("runs.html", caller, runs=some_runs(service, caller, state=state), state=state, states=list(RunState))


@router.get("/runs/new")
def new_page(
    service: ServiceHere,
    caller: Visitor,
    source: Annotated[int | None, Query(ge=1, le=LARGEST)] = None,
    like: Annotated[str, Query(alias="from", max_length=40)] = "",
) -> Response:
    """Show the form for a release, filled with what an earlier run was asked for, if one is named."""
    if not like:
        return _new(service, caller, source, {"epsilon": "1"})
    run = one_run(service, caller, like)
    told = fields_of(ReleaseRequest(**json.loads(run.settings)))
    return _new(service, caller, run.source_id, told, purpose=run.purpose)


@router.post("/runs/plan")
def plan_form(
    service: ServiceHere,
    caller: FormVisitor,
    told: Asked,
    source: Annotated[int, Form(ge=1, le=LARGEST)],
    purpose: Purpose = "",
    once: SentOnce = "",
) -> Response:
    """Show what releases would cost and resolve; nothing is spent."""
    kept: dict[str, Any] = {"purpose": purpose, "once": once or secrets.token_urlsafe(16)}
    try:
        plans = plan_release(service, caller, source, request_of(told))
    except InputError as problem:
        return _new(service, caller, source, told, problem=problem, **kept)
    return _new(service, caller, source, told, plans=plans, **kept)


@router.post("/runs")
def submit_form(
    service: ServiceHere,
    caller: FormVisitor,
    told: Asked,
    source: Annotated[int, Form(ge=1, le=LARGEST)],
    purpose: Purpose = "",
    once: SentOnce = "",
    again: Annotated[bool, Form()] = False,
) -> Response:
    """Ask for a release; who asked for exactly this a moment ago is asked whether they want it again."""
    try:
        request = request_of(told)
        before = None if again else asked_lately(service, caller, source, request, purpose=purpose, once=once)
        if before is not None:
            minutes = int((service.now() - before.made_at).total_seconds() // 60)
            return _new(service, caller, source, told, purpose=purpose, once=once, before=before, minutes=minutes)
        run = submit_release(service, caller, source, request, purpose=purpose, once=once)
    except (InputError, BudgetError) as problem:
        return _new(service, caller, source, told, problem=problem, purpose=purpose, once=once)
    return RedirectResponse(f"/runs/{run.id}", 303)


@router.get("/runs/{run_id}")
def run_page(service: ServiceHere, caller: Visitor, run_id: RunId, follow: bool = False) -> Response:
    """Show a run; while somebody follows it, the browser looks again by itself."""
    return _run_page(service, caller, run_id, follow=follow)


def _run_page(
    service: Service, caller: Caller, run_id: str, *, follow: bool = False, problem: Exception | None = None,
    answer: str = "",
) -> Response:  # fmt: skip
    run = one_run(service, caller, run_id)
    busy = RunState(run.state) in BUSY
    asked = json.loads(run.settings)
    status, said = said_of(problem)
    response = page(
        "run.html", caller, status=status, problem=said, answer=answer, answers=answers_of(service, run),
        run=run, asked=asked, busy=busy, follow=follow,
        has_release=RunState(run.state) in HAS_RELEASE, follow_s=FOLLOW_S, deleted=deleted(service, caller, run_id),
        approvals=approvals_of(run), revoked=revocation_of(service, run),
        warned=warned_of(service, ReleaseRequest(**asked)) if busy else [],
    )  # fmt: skip
    if busy and follow:
        response.headers["refresh"] = str(FOLLOW_S)
    return response


@router.post("/runs/{run_id}/answer")
def answer_form(service: ServiceHere, caller: FormVisitor, run_id: RunId, comment: Purpose = "") -> Response:
    """Answer who asked for changes."""
    try:
        answer_changes(service, caller, run_id, comment)
    except PrivsynthError as problem:
        try:
            return _run_page(service, caller, run_id, problem=problem, answer=comment)
        except PrivsynthError:
            raise problem from None
    return RedirectResponse(f"/runs/{run_id}", 303)


@router.post("/runs/{run_id}/cancel")
def cancel_form(service: ServiceHere, caller: FormVisitor, run_id: RunId) -> Response:
    """End a run, or ask that it ends."""
    cancel_run(service, caller, run_id)
    return RedirectResponse(f"/runs/{run_id}", 303)


class WantedRelease(Sent):
    """What to ask for, of which source."""

    source: int = Field(ge=1, le=LARGEST)
    request: ReleaseRequest


class SubmittedRelease(WantedRelease):
    """What to ask for, of which source, and why."""

    purpose: str = Field(min_length=1, max_length=2000, description="What it is for, which those who decide read.")


class ServedRun(BaseModel):
    """A run: what was asked for, where it is, and why, in a sentence."""

    id: str
    dataset: str
    source: str
    purpose: str
    asked_by: str
    asked_at: datetime
    request: ReleaseRequest
    approvals_needed: int
    state: RunState
    sentence: str
    stage: str = Field(description="What it does now; empty when it has ended.")
    share: float = Field(description="Of the stage, from 0 to 1.")
    cancelled: bool = Field(description="Somebody wants it to end.")
    started_at: datetime | None
    ended_at: datetime | None
    exit_code: int | None = Field(
        description="With which privsynth synthesize would have ended, by public figures alone; null before its end."
    )
    manifest: str | None = Field(description="SHA-256 of the manifest of the release's public part.")


class AnswerFacts(BaseModel):
    """What the submitter answered to who asked for changes."""

    person: str
    comment: str
    at: datetime


class RevocationFacts(BaseModel):
    """By whom a release was revoked, and why."""

    person: str
    reason: str
    at: datetime


class RunInFull(ServedRun):
    """A run, and what people said of its release."""

    decisions: list[DecisionFacts]
    answers: list[AnswerFacts]
    revocation: RevocationFacts | None = Field(description="Null unless it was revoked in the service.")


class SentAnswer(Sent):
    """What a submitter answers."""

    comment: str = Field(min_length=1, max_length=2000)


class PlanFacts(BaseModel):
    """A plan at one epsilon, as `privsynth plan --json` prints it; or why there is none there."""

    epsilon: float
    plan: dict[str, Any] | None
    why: str
    policy: list[str] = Field(description="What the service's policy will have against it, as far as settings tell.")


@api.get("/runs", operation_id="runs")
def runs_facts(service: ServiceHere, caller: Program, state: RunState | None = None) -> list[ServedRun]:
    """List the newest runs that you may see, of one state or of all."""
    return [_facts(run) for run in some_runs(service, caller, state=state)]


@api.post("/runs", operation_id="submit", status_code=201)
def submit_facts(
    service: ServiceHere,
    caller: Program,
    wanted: SubmittedRelease,
    once: Once = "",
) -> ServedRun:
    """Ask for a release, which spends the budget of its dataset when a worker makes it.

    Asked for twice, it is made twice, unless both requests carry the same `Idempotency-Key`.
    """
    return _facts(
        submit_release(
            service, caller, wanted.source, wanted.request, purpose=wanted.purpose, once=once
        )
    )  # fmt: skip


@api.post("/plans", operation_id="plan")
def plan_facts(service: ServiceHere, caller: Program, wanted: WantedRelease) -> list[PlanFacts]:
    """Say what releases would cost and resolve at this epsilon and around it; nothing is spent."""
    return [
        PlanFacts(
            epsilon=at.epsilon, plan=None if at.plan is None else at.plan.to_json(), why=at.why, policy=list(at.policy)
        )
        for at in plan_release(service, caller, wanted.source, wanted.request)
    ]


@api.get("/runs/{run_id}", operation_id="run")
def run_facts(service: ServiceHere, caller: Program, run_id: RunId) -> RunInFull:
    """Say where a run is, and what people said of its release."""
    return _in_full(service, one_run(service, caller, run_id))


@api.post("/runs/{run_id}/answer", operation_id="answer_changes")
def answer_by_program(service: ServiceHere, caller: Program, run_id: RunId, sent: SentAnswer) -> RunInFull:
    """Answer who asked for changes of a release that you submitted; people decide again."""
    return _in_full(service, answer_changes(service, caller, run_id, sent.comment))


def _in_full(service: Service, run: RunRow) -> RunInFull:
    revoked = revocation_of(service, run)
    return RunInFull(
        **_facts(run).model_dump(),
        decisions=decision_facts_of(run),
        answers=[AnswerFacts(person=one.by, comment=one.comment, at=one.at) for one in answers_of(service, run)],
        revocation=None if revoked is None else RevocationFacts(
            person=revoked.by, reason=revoked.reason, at=revoked.at
        ),
    )  # fmt: skip


@api.post("/runs/{run_id}/cancel", operation_id="cancel")
def cancel_facts(service: ServiceHere, caller: Program, run_id: RunId) -> ServedRun:
    """End a run, or ask that it ends; what is drawn stays spent."""
    return _facts(cancel_run(service, caller, run_id))


def _facts(run: RunRow) -> ServedRun:
    return ServedRun(
        id=run.id, dataset=run.dataset, source=run.source.name, purpose=run.purpose, asked_by=run.submitter.display,
        asked_at=run.made_at, request=ReleaseRequest(**json.loads(run.settings)), approvals_needed=run.needed,
        state=RunState(run.state), sentence=run.sentence, stage=run.stage, share=run.share, cancelled=run.cancelled,
        started_at=run.started_at, ended_at=run.ended_at, exit_code=run.exit_code, manifest=run.manifest,
    )  # fmt: skip

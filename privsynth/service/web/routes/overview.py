"""The first page, and what it says as JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import BaseModel, Field

from privsynth.service.oversight.budgets import budgets
from privsynth.service.oversight.overview import overview
from privsynth.service.roles import Act, Role
from privsynth.service.states import RunState
from privsynth.service.web.api import api_router
from privsynth.service.web.pages import page
from privsynth.service.web.visitors import Program, ServiceHere, Visitor

router = APIRouter(include_in_schema=False)
api = api_router("Overview")


@router.get("/")
def overview_page(service: ServiceHere, caller: Visitor) -> Response:
    """Show what waits for the person."""
    return page("overview.html", caller, here=overview(service, caller))


class Me(BaseModel):
    """Who a token stands for, and what it is for."""

    name: str
    display: str
    roles: list[Role]
    scopes: list[Act]


class WaitingRun(BaseModel):
    """A run that waits for the token's person, and for what."""

    run: str
    dataset: str
    state: RunState
    submitter: str
    made_at: datetime
    act: str


class Stopped(BaseModel):
    """A schedule or a webhook that does nothing until somebody acts."""

    id: int
    name: str = Field(description="Dataset of a schedule, label of a webhook.")
    sentence: str


class EndingKey(BaseModel):
    """A key that ends soon or has ended."""

    name: str = Field(description="Of its file in the service's home; empty for a key that is elsewhere.")
    holder: str
    ends_at: datetime
    ended: bool


class OverviewFacts(BaseModel):
    """What the first page says; null or empty where the token is not for it."""

    waiting: list[WaitingRun]
    states: dict[RunState, int] | None
    paused: list[Stopped] = Field(description="Schedules that are paused.")
    disabled: list[Stopped] = Field(description="Webhooks that are disabled.")
    keys: list[EndingKey]
    invited: list[str] | None = Field(description="Names of people who were invited and have not signed in.")


class BudgetFacts(BaseModel):
    """What one dataset may spend, has spent and has left; what runs set aside counts as spent."""

    dataset: str
    units: list[str]
    cap_epsilon: float
    spent_epsilon: float
    left_epsilon: float
    cap_delta: float
    spent_delta: float
    left_delta: float
    releases: int
    completed: int


@api.get("/me", operation_id="me")
def me(caller: Program) -> Me:
    """Say whose token this is."""
    scopes = sorted(act for act in Act if caller.may(act))
    return Me(name=caller.name, display=caller.display, roles=sorted(caller.roles), scopes=scopes)


@api.get("/overview", operation_id="overview")
def overview_facts(service: ServiceHere, caller: Program) -> OverviewFacts:
    """List what waits for the token's person, what has stopped or ends, and count runs by state."""
    here = overview(service, caller)
    waiting = [
        WaitingRun(
            run=one.run.id, dataset=one.run.dataset, state=RunState(one.run.state), submitter=one.run.submitter.display,
            made_at=one.run.made_at, act=one.act,
        )
        for one in here.waiting
    ]  # fmt: skip
    paused = [Stopped(id=one.id, name=one.source.dataset, sentence=one.sentence) for one in here.paused]
    disabled = [Stopped(id=one.id, name=one.label, sentence=one.sentence) for one in here.disabled]
    keys = [EndingKey(**vars(one)) for one in here.keys]
    invited = None if here.invited is None else [one.name for one in here.invited]
    return OverviewFacts(
        waiting=waiting, states=here.states, paused=paused, disabled=disabled, keys=keys, invited=invited
    )  # fmt: skip


@api.get("/budgets", operation_id="budgets")
def budget_facts(service: ServiceHere, caller: Program) -> list[BudgetFacts]:
    """List the balance of every dataset."""
    facts: list[dict[str, Any]] = [one.account.to_json() for one in budgets(service, caller)]
    return [BudgetFacts(**one) for one in facts]

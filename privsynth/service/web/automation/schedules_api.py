"""The API of schedules: the acts of the pages, for programs with a token."""

from __future__ import annotations

import json
from datetime import datetime

from pydantic import BaseModel, Field

from privsynth.service.runs.request import ReleaseRequest
from privsynth.service.schedules.acts import (
    end_schedule,
    make_schedule,
    one_schedule,
    pause_schedule,
    plan_schedule,
    resume_schedule,
    rhythm_of,
    some_schedules,
)
from privsynth.service.schedules.rhythm import Rhythm
from privsynth.service.schedules.yearly import DatasetYear, Pair, as_numbers, dataset_years, set_yearly_budget
from privsynth.service.store.schedules import ScheduleRow, ScheduleState
from privsynth.service.web.api import LARGEST, Number, Once, Sent, api_router
from privsynth.service.web.visitors import Program, ServiceHere

api = api_router("Schedules")


class WantedSchedule(Sent):
    """Which releases of which source to repeat, and when."""

    source: int = Field(ge=1, le=LARGEST)
    request: ReleaseRequest
    rhythm: Rhythm


class SentSchedule(WantedSchedule):
    """Which releases of which source to repeat, when, and why."""

    purpose: str = Field(min_length=1, max_length=2000, description="What they are for, which those who decide read.")


class SentBudget(Sent):
    """What the schedules of a dataset may spend in any twelve months."""

    dataset: str = Field(min_length=1, max_length=200)
    epsilon: float = Field(ge=0, le=1e6)
    delta: float = Field(ge=0, lt=1)


class BudgetAmount(BaseModel):
    """An amount of privacy budget."""

    epsilon: float
    delta: float


class YearFacts(BaseModel):
    """The year of a dataset's schedules; `budget` is null where no approver has set it."""

    dataset: str
    budget: BudgetAmount | None
    planned: BudgetAmount = Field(description="What a year of the active schedules costs.")
    left: BudgetAmount = Field(description="Of the dataset's cap.")


class PlanOfSchedule(BaseModel):
    """What a schedule would do; `refused` is empty, or says why it would not be taken."""

    dates: list[datetime]
    often: int = Field(description="Releases within twelve months, at most.")
    cost: BudgetAmount
    yearly: BudgetAmount
    year: YearFacts
    refused: str


class FiringFacts(BaseModel):
    """What became of one due time: a run, or a sentence that says why there is none."""

    due_at: datetime
    run: str | None
    sentence: str


class ServedSchedule(BaseModel):
    """A schedule."""

    id: int
    source: str
    dataset: str
    owner: str
    purpose: str
    request: ReleaseRequest
    rhythm: Rhythm
    zone: str
    state: ScheduleState
    sentence: str
    next_at: datetime | None
    firings: list[FiringFacts]


def _amount(pair: Pair) -> BudgetAmount:
    return BudgetAmount(**as_numbers(pair))


def _year(year: DatasetYear) -> YearFacts:
    budget = None if year.budget is None else _amount(year.budget)
    return YearFacts(
        dataset=year.dataset, budget=budget, planned=_amount(year.planned), left=_amount(year.left)
    )  # fmt: skip


def _facts(row: ScheduleRow) -> ServedSchedule:
    firings = [FiringFacts(due_at=one.due_at, run=one.run_id, sentence=one.sentence) for one in row.firings]
    return ServedSchedule(
        id=row.id, source=row.source.name, dataset=row.source.dataset, owner=row.owner.display, purpose=row.purpose,
        request=ReleaseRequest(**json.loads(row.settings)), rhythm=rhythm_of(row), zone=row.zone,
        state=ScheduleState(row.state), sentence=row.sentence, next_at=row.next_at, firings=firings,
    )  # fmt: skip


@api.get("/schedules", operation_id="schedules")
def schedules(service: ServiceHere, caller: Program) -> list[ServedSchedule]:
    """List the schedules that you may see."""
    return [_facts(row) for row in some_schedules(service, caller)]


@api.post("/schedules", operation_id="schedule", status_code=201)
def schedule(
    service: ServiceHere,
    caller: Program,
    sent: SentSchedule,
    once: Once = "",
) -> ServedSchedule:
    """Make a schedule; each time that it is due, a run is asked for in the name of the token's person."""
    row = make_schedule(
        service, caller, sent.source, sent.request, sent.rhythm, purpose=sent.purpose, once=once
    )  # fmt: skip
    return _facts(row)


@api.post("/schedules/plan", operation_id="plan_schedule")
def plan(service: ServiceHere, caller: Program, sent: WantedSchedule) -> PlanOfSchedule:
    """Say when a schedule would be due and what a year of it would cost; nothing is spent, and nothing is kept."""
    found = plan_schedule(service, caller, sent.source, sent.request, sent.rhythm)
    return PlanOfSchedule(
        dates=found.dates, often=found.often, cost=_amount(found.cost), yearly=_amount(found.yearly),
        year=_year(found.year), refused=found.refused,
    )  # fmt: skip


@api.get("/schedules/{schedule_id}", operation_id="one_schedule")
def one(service: ServiceHere, caller: Program, schedule_id: Number) -> ServedSchedule:
    """Show a schedule, and what became of its due times."""
    return _facts(one_schedule(service, caller, schedule_id))


@api.post("/schedules/{schedule_id}/pause", operation_id="pause_schedule")
def pause(service: ServiceHere, caller: Program, schedule_id: Number) -> ServedSchedule:
    """Pause a schedule."""
    return _facts(pause_schedule(service, caller, schedule_id))


@api.post("/schedules/{schedule_id}/resume", operation_id="resume_schedule")
def resume(service: ServiceHere, caller: Program, schedule_id: Number) -> ServedSchedule:
    """Go on with a schedule, from its next date on."""
    return _facts(resume_schedule(service, caller, schedule_id))


@api.post("/schedules/{schedule_id}/end", operation_id="end_schedule")
def end(service: ServiceHere, caller: Program, schedule_id: Number) -> ServedSchedule:
    """End a schedule for good."""
    return _facts(end_schedule(service, caller, schedule_id))


@api.get("/yearly-budgets", operation_id="yearly_budgets")
def yearly_budgets(service: ServiceHere, caller: Program) -> list[YearFacts]:
    """List what the schedules of each dataset may spend in a year, and plan to."""
    return [_year(year) for year in dataset_years(service, caller)]


@api.put("/yearly-budgets", operation_id="set_yearly_budget")
def set_budget(service: ServiceHere, caller: Program, sent: SentBudget) -> YearFacts:
    """Set what the schedules of a dataset may spend in any twelve months."""
    return _year(set_yearly_budget(service, caller, sent.dataset, epsilon=sent.epsilon, delta=sent.delta))

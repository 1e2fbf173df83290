"""What schedules may spend in a year, what they plan to, and what they did: in the ledger's units, added up as it does.

A year is any twelve months that end with a due time, so that no turn of the year lets two years' budgets follow within
a few days. Pairs are (epsilon units, delta units).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

from sqlalchemy import select
from sqlalchemy.orm import Session

from privsynth.errors import InputError
from privsynth.ledger.account import amount_text
from privsynth.ledger.events import DELTA_UNITS, EPSILON_UNITS, State, cap_units, fold, spend_units
from privsynth.ledger.ledger import Ledger
from privsynth.ledger.names import check_dataset, identity
from privsynth.service.caller import Caller
from privsynth.service.context import Service
from privsynth.service.record import record
from privsynth.service.roles import Act
from privsynth.service.schedules.rhythm import MOST_A_YEAR, Every
from privsynth.service.states import BUSY, RunState
from privsynth.service.store.runs import RunRow, SourceRow
from privsynth.service.store.schedules import FiringRow, ScheduleRow, ScheduleState, YearlyBudgetRow

Pair = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class DatasetYear:
    """The year of one dataset's schedules.

    Attributes:
      dataset: its name, as the ledger spells it.
      budget: what they may spend in any twelve months; None where no approver has set it.
      planned: what a year of those that are active costs.
      left: of the dataset's cap.
    """

    dataset: str
    budget: Pair | None
    planned: Pair
    left: Pair

    def texts(self) -> dict[str, str]:
        """Return the amounts in words."""
        return {
            "budget": "" if self.budget is None else amount_text(self.budget), "planned": amount_text(self.planned),
            "left": amount_text(self.left),
        }  # fmt: skip


def set_yearly_budget(service: Service, caller: Caller, dataset: str, *, epsilon: float, delta: float) -> DatasetYear:
    """Say what the schedules of a dataset may spend in any twelve months; it is a bound within the ledger's cap.

    Raises:
      InputError: there is no source of that dataset, or it is more than the cap.
      ConfigError: an amount or the name is absurd.
      LedgerError: the ledger cannot be read now.
    """
    caller.require(Act.SET_YEARLY_BUDGET)
    check_dataset(dataset)
    wanted, key, now = cap_units(epsilon=epsilon, delta=delta), identity(dataset), service.now()
    cap = ledger_state(service).cap(dataset)
    if any(amount > limit for amount, limit in zip(wanted, cap, strict=True)):
        raise InputError(f"the yearly budget is part of the dataset's cap, which is {amount_text(cap)}")
    with service.database.writing() as session:
        if key not in {identity(name) for name in session.scalars(select(SourceRow.dataset))}:
            raise InputError("there is no source of that dataset")
        row = session.get(YearlyBudgetRow, key) or YearlyBudgetRow(dataset=key)
        row.epsilon_units, row.delta_units = wanted
        row.set_by, row.set_at = caller.person_id, now
        session.add(row)
        record(
            session, Act.SET_YEARLY_BUDGET, f"dataset {key}"[:200], person_id=caller.person_id, at=now,
            epsilon=epsilon, delta=delta,
        )  # fmt: skip
    return next(one for one in dataset_years(service, caller) if identity(one.dataset) == key)


def dataset_years(service: Service, caller: Caller) -> list[DatasetYear]:
    """Return the year of every dataset that has a source or a yearly budget.

    Raises:
      LedgerError: the ledger cannot be read now.
    """
    caller.require(Act.SEE_SCHEDULES)
    state = ledger_state(service)
    with service.database.reading() as session:
        sources = session.scalars(select(SourceRow.dataset).where(SourceRow.retired_at.is_(None)))
        names = {identity(name): name for name in [*session.scalars(select(YearlyBudgetRow.dataset)), *sources]}
        return [dataset_year(session, state, name) for _, name in sorted(names.items())]


def dataset_year(session: Session, state: State, dataset: str, *, but: int | None = None) -> DatasetYear:
    """Return the year of one dataset.

    Args:
      but: a schedule that does not count.
    """
    active = select(ScheduleRow).where(ScheduleRow.state == ScheduleState.ACTIVE)
    planned = added(
        year_of(json.loads(one.settings), one.every)
        for one in session.scalars(active)
        if one.id != but and identity(one.source.dataset) == identity(dataset)
    )
    row = session.get(YearlyBudgetRow, identity(dataset))
    spent, cap = state.spent(dataset), state.cap(dataset)
    return DatasetYear(
        dataset=state.spelling(dataset), budget=None if row is None else (row.epsilon_units, row.delta_units),
        planned=planned, left=(max(0, cap[0] - spent[0]), max(0, cap[1] - spent[1])),
    )  # fmt: skip


def ledger_state(service: Service) -> State:
    """Return all balances of the ledger.

    Raises:
      LedgerError: it is damaged, or cannot be read now.
    """
    return fold(Ledger.chosen(service.home).store.read())


def cost_of(settings: Mapping[str, float]) -> Pair:
    """Return what one release costs."""
    return spend_units(epsilon=settings["epsilon"], delta=settings["delta"])


def year_of(settings: Mapping[str, float], every: str) -> Pair:
    """Return what a year of releases costs, in the year that holds most of them."""
    epsilon, delta = cost_of(settings)
    often = MOST_A_YEAR[_every(every)]
    return epsilon * often, delta * often


def _every(text: str) -> Every:
    return next(one for one in MOST_A_YEAR if one == text)


def added(pairs: Iterable[Pair]) -> Pair:
    """Return the sum, of epsilon and of delta, as the ledger composes releases."""
    epsilon, delta = 0, 0
    for one in pairs:
        epsilon, delta = epsilon + one[0], delta + one[1]
    return epsilon, delta


def as_numbers(pair: Pair) -> dict[str, float]:
    """Return the amounts as numbers, for programs."""
    return {"epsilon": float(Fraction(pair[0], EPSILON_UNITS)), "delta": float(Fraction(pair[1], DELTA_UNITS))}


def too_much(year: DatasetYear, more: Pair, often: int) -> str:
    """Return why a year of a new schedule does not fit beside those that are active, as a sentence; "" where it does.

    Args:
      more: what a year of the new one costs.
      often: how many releases that is.
    """
    if year.budget is None:
        return f"nobody has set a yearly budget of '{year.dataset}' for schedules: ask an approver"
    if fits(added([year.planned, more]), year.budget):
        return ""
    return (
        f"a year of this schedule costs {amount_text(more)}, and a year of the other schedules of '{year.dataset}' "
        f"{amount_text(year.planned)}; together that is more than its yearly budget of {amount_text(year.budget)}. "
        f"{_advice(year, often)}"
    )


def fitting(year: DatasetYear, often: int) -> Pair:
    """Return the most that each of so many releases may cost within the yearly budget, beside the other schedules."""
    budget = year.budget or (0, 0)
    epsilon, delta = (max(0, limit - used) // often for limit, used in zip(budget, year.planned, strict=True))
    return epsilon, delta


def _advice(year: DatasetYear, often: int) -> str:
    most = fitting(year, often)
    if not all(most):
        return "The other schedules leave nothing of it: end one of them, or ask an approver for a larger yearly budget"
    return (
        f"What fits for each of {often} releases is at most {amount_text(most)}. Ask for that or less often, or ask an "
        "approver for a larger yearly budget"
    )


def fits(cost: Pair, limit: Pair) -> bool:
    """Say whether both amounts are within a limit."""
    return cost[0] <= limit[0] and cost[1] <= limit[1]


def settled_costs(service: Service) -> dict[str, Pair]:
    """Return what the runs of schedules that have ended cost, by the ledger: nothing, where none of them drew noise.

    What is not in it counts in full. It is read before the transaction that adds a run, and errs towards too much.
    """
    wanted = select(RunRow.id, RunRow.state).join(FiringRow, FiringRow.run_id == RunRow.id)
    with service.database.reading() as session:
        ended = [run_id for run_id, at in session.execute(wanted) if RunState(at) not in BUSY]
    charges = ledger_state(service).charges()  # read after the states: a run that ended costs no more
    return {run_id: charges.get(run_id, ("", 0, 0))[1:] for run_id in ended}


def spent_since(session: Session, dataset: str, since: datetime, settled: Mapping[str, Pair]) -> Pair:
    """Return what the schedules of a dataset spent on runs that were due later than a moment."""
    wanted = select(RunRow).join(FiringRow, FiringRow.run_id == RunRow.id).where(FiringRow.due_at > since)
    return added(
        settled[run.id] if run.id in settled else cost_of(json.loads(run.settings))
        for run in session.scalars(wanted)
        if identity(run.dataset) == identity(dataset)
    )

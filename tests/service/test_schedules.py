"""Schedules: planned before they are made, fired once for each due time, refused beyond their budget."""

from __future__ import annotations

import json
import re
import threading
from datetime import UTC, date, datetime, time

import pytest
from pipeline.admissions import run as command
from service.deciders import RUN
from service.people import form_token
from service.releases import SMALL, desk, worker_of
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from privsynth.errors import BudgetExceeded, InputError, NotAllowed
from privsynth.ledger.ledger import Ledger
from privsynth.service.oversight.overview import overview
from privsynth.service.people import change_roles, deactivate
from privsynth.service.roles import Act, Role
from privsynth.service.runs.look_up import some_runs
from privsynth.service.runs.prior import prior_of
from privsynth.service.runs.submit import cancel_run
from privsynth.service.schedules.acts import (
    end_schedule,
    make_schedule,
    one_schedule,
    pause_schedule,
    plan_schedule,
    resume_schedule,
    some_schedules,
)
from privsynth.service.schedules.firing import fire_due
from privsynth.service.schedules.rhythm import Rhythm
from privsynth.service.schedules.yearly import set_yearly_budget
from privsynth.service.sources.registry import retire_source
from privsynth.service.states import RunState
from privsynth.service.store.runs import RecordedAct, RunRow
from privsynth.service.store.schedules import FiringRow, ScheduleRow, ScheduleState
from privsynth.service.tokens import new_token

MONTHLY = Rhythm(every="month", first=date(2026, 1, 31), at=time(6))
SMALLER = SMALL.model_copy(update={"epsilon": 0.25, "delta": 1e-7})


@pytest.fixture
def ann(institution):
    return institution.person("ann", Role.APPROVER)


@pytest.fixture
def at(institution, tmp_path, ann):
    """A desk whose dataset has a yearly budget for one monthly schedule; the next due time is 31 December, 06:00."""
    found = desk(institution, tmp_path)
    set_yearly_budget(found.service, ann, "Admissions", epsilon=3, delta=1.2e-6)
    return found


def schedule(at, **more) -> ScheduleRow:
    return make_schedule(at.service, at.submitter, at.source.id, SMALLER, MONTHLY, purpose="the registry", **more)


def again(at, row: ScheduleRow) -> ScheduleRow:
    return one_schedule(at.service, at.submitter, row.id)


def runs(at) -> list[RunRow]:
    return some_runs(at.service, at.submitter)


def test_a_year_is_planned_as_the_ledger_adds_up_and_a_plan_keeps_nothing(at):
    plan = plan_schedule(at.service, at.submitter, at.source.id, SMALLER, MONTHLY)
    assert plan.dates[:3] == [datetime(2026, 12, 31, 6, tzinfo=UTC), datetime(2027, 1, 31, 6, tzinfo=UTC),
                              datetime(2027, 2, 28, 6, tzinfo=UTC)]  # fmt: skip
    assert (plan.often, plan.refused) == (12, "")
    assert plan.texts == {
        "budget": "epsilon 3, delta 1.2e-6", "planned": "epsilon 0, delta 0", "left": "epsilon 10, delta 1e-5",
        "cost": "epsilon 0.25, delta 1e-7", "yearly": "epsilon 3, delta 1.2e-6",
    }  # fmt: skip
    assert some_schedules(at.service, at.submitter) == []
    assert Ledger(at.service.home).accounts() == []
    often = plan_schedule(at.service, at.submitter, at.source.id, SMALL, MONTHLY.model_copy(update={"every": "week"}))
    assert "holds 10 of these releases" in often.room
    assert "epsilon 53, delta 5.3e-5; together that is more" not in often.refused
    assert "a year of this schedule costs epsilon 53" in often.refused


def test_what_exceeds_the_yearly_budget_is_refused_beside_the_others(at):
    schedule(at)
    with pytest.raises(BudgetExceeded, match=r"other schedules of 'admissions' epsilon 3, .* than its yearly budget"):
        schedule(at)
    ended = some_schedules(at.service, at.submitter)[0]
    end_schedule(at.service, at.submitter, ended.id)
    assert schedule(at).state == ScheduleState.ACTIVE


def test_without_a_yearly_budget_there_are_no_schedules(institution, tmp_path, ann):
    at = desk(institution, tmp_path)
    with pytest.raises(BudgetExceeded, match="nobody has set a yearly budget"):
        schedule(at)
    with pytest.raises(InputError, match="part of the dataset's cap, which is epsilon 10"):
        set_yearly_budget(at.service, ann, "admissions", epsilon=11, delta=0)
    with pytest.raises(InputError, match="no source of that dataset"):
        set_yearly_budget(at.service, ann, "elsewhere", epsilon=1, delta=0)


def test_a_due_time_becomes_an_ordinary_run_that_nobody_approved(at, clock):
    row = schedule(at, once="form")
    assert schedule(at, once="form").id == row.id  # sent twice
    fire_due(at.service)
    assert runs(at) == []
    clock.time = row.next_at
    fire_due(at.service)
    assert worker_of(at.service).once()
    (run,) = runs(at)
    assert (run.state, run.submitter_id, run.purpose) == (RunState.TO_DECIDE, at.submitter.person_id, "the registry")
    assert again(at, row).next_at == datetime(2027, 1, 31, 6, tzinfo=UTC)
    with at.service.database.reading() as session:
        told = session.scalars(select(RecordedAct).where(RecordedAct.act == "submit")).one()
    assert (told.person_id, json.loads(told.detail)["schedule"]) == (None, row.id)
    clock.move(days=-40)  # the clock is set back, and forward again
    fire_due(at.service)
    clock.move(days=41)
    fire_due(at.service)
    assert len(runs(at)) == 1


def test_what_a_downtime_missed_is_made_up_for_once(at, clock):
    row = schedule(at)
    clock.time = datetime(2027, 4, 15, tzinfo=UTC)  # December, January, February and March
    fire_due(at.service)
    fire_due(at.service)
    (run,) = runs(at)
    found = again(at, row)
    assert found.next_at == datetime(2027, 4, 30, 6, tzinfo=UTC)
    assert [(one.due_at, one.run_id) for one in found.firings] == [(datetime(2027, 3, 31, 6, tzinfo=UTC), run.id)]
    assert found.firings[0].sentence == "No worker looked before: 3 earlier times went by without a run."


def test_a_year_of_runs_fits_its_budget_to_the_last_digit_and_one_more_does_not(at, clock, ann):
    row = schedule(at)
    for _ in range(12):
        clock.time = again(at, row).next_at
        fire_due(at.service)
    assert len(runs(at)) == 12
    set_yearly_budget(at.service, ann, "admissions", epsilon=2.9, delta=1e-5)
    clock.time = again(at, row).next_at  # within twelve months of eleven others
    fire_due(at.service)
    found = again(at, row)
    assert (len(runs(at)), found.state, found.next_at) == (12, ScheduleState.PAUSED, None)
    assert found.sentence == (
        "Refused: the release costs epsilon 0.25, delta 1e-7, and within twelve months schedules spent epsilon 2.75, "
        "delta 1.1e-6 of the yearly budget of admissions, which is epsilon 2.9, delta 1e-5."
    )
    assert [one.id for one in overview(at.service, ann).paused] == [row.id]
    with pytest.raises(BudgetExceeded, match="more than its yearly budget"):
        resume_schedule(at.service, at.submitter, row.id)


def test_runs_that_cost_nothing_leave_their_budget(at, clock, ann):
    row = schedule(at)
    clock.time = row.next_at
    fire_due(at.service)
    cancel_run(at.service, at.submitter, runs(at)[0].id)
    set_yearly_budget(at.service, ann, "admissions", epsilon=0.25, delta=1e-7)
    clock.time = again(at, row).next_at
    fire_due(at.service)
    assert [run.state for run in runs(at)] == [RunState.QUEUED, RunState.CANCELLED]


def test_a_cap_that_is_used_up_pauses(at, clock):
    row = schedule(at)
    Ledger(at.service.home).set_cap("admissions", epsilon=0.2)
    clock.time = row.next_at
    fire_due(at.service)
    assert again(at, row).sentence.startswith("Refused: the release costs epsilon 0.25, delta 1e-7, and epsilon 0.2")
    assert runs(at) == []


def test_a_schedule_pauses_when_its_owner_leaves_or_loses_the_role(at, institution, clock):
    row = schedule(at)
    change_roles(at.service, at.admin, at.submitter.person_id, {Role.AUDITOR})
    fire_due(at.service)
    assert again(at, row).sentence == "Sam, who made this schedule, may not ask for releases any more."
    change_roles(at.service, at.admin, at.submitter.person_id, {Role.SUBMITTER})
    resume_schedule(at.service, at.submitter, row.id)
    deactivate(at.service, at.admin, at.submitter.person_id)
    fire_due(at.service)
    assert again(at, row).sentence.startswith("Sam, who made this schedule, has left")
    assert (again(at, row).state, runs(at)) == (ScheduleState.PAUSED, [])


def test_a_retired_source_pauses_when_due(at, clock):
    row = schedule(at)
    retire_source(at.service, at.admin, at.source.id)
    clock.time = row.next_at
    fire_due(at.service)
    assert again(at, row).sentence == "The source Admissions 2024 is retired."


def test_who_pauses_resumes_and_ends(at, institution, clock, ann):
    row, other = schedule(at), institution.person("olga", Role.SUBMITTER)
    with pytest.raises(InputError, match="no such schedule"):
        pause_schedule(at.service, other, row.id)
    assert pause_schedule(at.service, ann, row.id).sentence == "Paused by Ann."
    with pytest.raises(NotAllowed, match="needs the role submitter"):
        resume_schedule(at.service, ann, row.id)
    clock.time = datetime(2027, 2, 10, tzinfo=UTC)
    resume_schedule(at.service, at.submitter, row.id)
    fire_due(at.service)  # nothing that was due while it paused
    assert (runs(at), again(at, row).next_at) == ([], datetime(2027, 2, 28, 6, tzinfo=UTC))
    end_schedule(at.service, at.submitter, row.id)
    for act in (pause_schedule, end_schedule):
        with pytest.raises(InputError, match="has ended"):
            act(at.service, ann, row.id)


def test_one_that_is_resumed_after_the_clock_was_set_back_goes_on_after_what_it_did(at, clock):
    row = schedule(at)
    clock.time = row.next_at
    fire_due(at.service)
    pause_schedule(at.service, at.submitter, row.id)
    clock.move(days=-20)
    assert resume_schedule(at.service, at.submitter, row.id).next_at == datetime(2027, 1, 31, 6, tzinfo=UTC)


def test_workers_at_once_ask_once_on_each_database(each_service, institution, clock, tmp_path):
    institution.service = each_service
    at, ann = desk(institution, tmp_path), institution.person("ann", Role.APPROVER)
    set_yearly_budget(at.service, ann, "admissions", epsilon=3, delta=1.2e-6)
    row = schedule(at)
    clock.time = row.next_at
    begin = threading.Barrier(4)

    def look() -> None:
        begin.wait()
        fire_due(at.service)

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    fire_due(at.service)  # where all but one were told to try again
    assert [run.state for run in runs(at)] == [RunState.QUEUED]
    due = again(at, row).firings[0].due_at
    with pytest.raises(DBAPIError, match=r"(?i)unique"), at.service.database.writing() as session:
        session.add(FiringRow(schedule_id=row.id, due_at=due, at=clock(), run_id=None, sentence="Once more."))
    with pytest.raises(DBAPIError, match="due"), at.service.database.writing() as session:
        session.get_one(ScheduleRow, row.id).next_at = None


def test_a_release_starts_from_the_newest_that_is_published(at):
    wanted = SMALLER.model_copy(update={"from_last_release": True})
    assert prior_of(at.service, wanted, "admissions") is None
    now = at.service.now()
    with at.service.database.engine.connect() as connection:  # as if people had approved
        for trigger in ("insert", "update"):
            connection.exec_driver_sql(f"DROP TRIGGER runs_enough_approvals_{trigger}")
        connection.commit()
    with at.service.database.writing() as session:
        for name, dataset, state in (("run-a", "admissions", "published"), ("run-b", "ADMISSIONS", "published"),
                                     ("run-c", "admissions", "revoked"), ("run-d", "other", "published")):  # fmt: skip
            session.add(
                RunRow(
                    id=name, source_id=at.source.id, dataset=dataset, purpose="p", settings="{}", needed=1, state=state,
                    submitter_id=at.submitter.person_id, made_at=now.replace(minute=ord(name[-1]) % 60),
                )
            )  # fmt: skip
    assert prior_of(at.service, wanted, "admissions") == at.service.release_folder("run-b") / "edition"
    assert prior_of(at.service, SMALLER, "admissions") is None


@pytest.mark.slow
def test_a_refresh_is_made_from_the_last_edition_and_says_so(deciders, tmp_path, clock):
    deciders.log()
    command("log", "append", deciders.draft)
    for name in ("ann", "bob"):
        assert deciders.decide(name, "approved").status_code == 303
    assert deciders.post("ann", f"/runs/{RUN}/publish").status_code == 303
    at = desk(deciders.institution, tmp_path)
    set_yearly_budget(at.service, deciders.ann, "admissions", epsilon=3, delta=1.2e-6)
    wanted = SMALLER.model_copy(update={"from_last_release": True})
    row = make_schedule(at.service, at.submitter, at.source.id, wanted, MONTHLY, purpose="the registry")
    clock.time = row.next_at
    fire_due(at.service)
    assert worker_of(at.service).once()
    (run,) = runs(at)
    assert run.state == RunState.TO_DECIDE, run.sentence
    model = json.loads((at.service.release_folder(run.id) / "draft/public/model/model.json").read_text())
    assert (model["prior"]["kind"], model["prior"]["epsilon"]) == ("release", 3.0)


def test_a_schedule_by_pages(at, institution):
    browser = institution.browser("sam")
    token = form_token(browser.get("/schedules/new").text)
    form = {"form_token": token, "source": at.source.id, "epsilon": "0.25", "delta": "0.0000001", "purpose": "<b>",
            "every": "month", "first": "2026-01-31", "at": "06:00", "generator": "marginal", "once": "x"}  # fmt: skip
    planned = browser.post("/schedules/plan", data=form).text
    assert "Thu 31 Dec 2026, 06:00 UTC" in planned
    assert "epsilon 3, delta 1.2e-6" in planned
    assert "Nothing was spent" in planned
    wrong = browser.post("/schedules", data={**form, "at": "noon"})
    assert (wrong.status_code, "&lt;b&gt;" in wrong.text) == (422, True)
    there = browser.post("/schedules", data=form)
    path = there.headers["location"]
    assert re.fullmatch(r"/schedules/\d+", path)
    assert browser.post("/schedules", data=form).headers["location"] == path
    assert ">Pause<" in browser.get(path).text
    assert browser.post(f"{path}/pause", data={"form_token": token}).status_code == 303
    assert "Paused by Sam." in browser.get("/").text
    assert browser.post(f"{path}/resume", data={"form_token": token}).status_code == 303
    ann = institution.browser("ann")
    assert ">Resume<" not in ann.get(path).text
    told = {"form_token": form_token(ann.get("/schedules").text), "dataset": "Admissions", "delta": "1e-7"}
    assert "part of the dataset" in ann.post("/schedules/budget", data={**told, "epsilon": "99"}).text
    assert ann.post("/schedules/budget", data={**told, "epsilon": "1"}).status_code == 303
    assert "epsilon 1, delta 1e-7" in ann.get("/schedules").text


def test_a_program_does_what_the_pages_do(at, institution):
    acts = frozenset({Act.SEE_SCHEDULES, Act.SCHEDULE, Act.PAUSE_SCHEDULE})
    bearer = {"authorization": f"Bearer {new_token(at.service, at.submitter, 'x', acts, 1)}"}
    program = institution.browser()
    wanted = {"source": at.source.id, "request": SMALLER.model_dump(), "rhythm": MONTHLY.model_dump(mode="json")}
    plan = program.post("/api/v1/schedules/plan", headers=bearer, json=wanted).json()
    assert (plan["yearly"], plan["refused"]) == ({"epsilon": 3.0, "delta": 1.2e-6}, "")
    sent = {**wanted, "purpose": "p"}
    made, same = (
        program.post("/api/v1/schedules", headers=bearer | {"idempotency-key": "k"}, json=sent).json() for _ in range(2)
    )
    assert made == same
    assert program.get("/api/v1/schedules", headers=bearer).json() == [made]
    for act, state in (("pause", "paused"), ("resume", "active"), ("end", "ended")):
        found = program.post(f"/api/v1/schedules/{made['id']}/{act}", headers=bearer).json()
        assert found["state"] == state
    assert program.get(f"/api/v1/schedules/{made['id']}", headers=bearer).json()["next_at"] is None
    (year,) = program.get("/api/v1/yearly-budgets", headers=bearer).json()
    assert (year["dataset"], year["budget"]["epsilon"], year["planned"]["epsilon"]) == ("admissions", 3.0, 0.0)


def test_an_unreadable_ledger_or_database_makes_a_due_time_wait(at, clock):
    row = schedule(at)
    clock.time = row.next_at
    ledger = at.service.home / "ledger.db"
    Ledger(at.service.home).set_cap("admissions", epsilon=9)
    kept = ledger.read_bytes()
    ledger.write_bytes(b"no database")
    fire_due(at.service)
    assert (runs(at), again(at, row).state) == ([], ScheduleState.ACTIVE)
    ledger.write_bytes(kept)
    fire_due(at.service)
    assert len(runs(at)) == 1

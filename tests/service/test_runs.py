"""A day of a run: a source is registered, a release is planned, asked for, made and seen."""

from __future__ import annotations

import json

import pytest
from pipeline.admissions import NEEDLE
from service.people import form_token
from service.releases import SMALL, desk, worker_of
from sqlalchemy import select

from privsynth.errors import BudgetExceeded, InputError, NotAllowed
from privsynth.ledger.ledger import Ledger
from privsynth.service.roles import Act, Role
from privsynth.service.runs.look_up import one_run, some_runs
from privsynth.service.runs.request import fields_of, request_of
from privsynth.service.runs.submit import asked_lately, cancel_run, submit_release
from privsynth.service.states import RunState
from privsynth.service.store.runs import RecordedAct
from privsynth.service.tokens import new_token


def program_of(at, *acts: Act) -> dict[str, str]:
    """Return the header of a program of the submitter."""
    return {"authorization": f"Bearer {new_token(at.service, at.submitter, 'a script', frozenset(acts), 1)}"}


def test_a_release_from_the_source_to_the_decision_by_pages(institution, tmp_path):
    at = desk(institution, tmp_path)
    browser = institution.browser("sam")
    page = browser.get(f"/runs/new?source={at.source.id}").text
    form = {"form_token": form_token(page), "source": at.source.id, "epsilon": "1", "purpose": "a course",
            "generator": "marginal", "audit": "none", "anyway": "true", "once": "one"}  # fmt: skip
    planned = browser.post("/runs/plan", data=form)
    assert planned.status_code == 200
    assert "Each column at epsilon 1" in planned.text
    assert Ledger(at.service.home).accounts() == []  # a plan spends nothing
    there = browser.post("/runs", data=form)
    assert there.status_code == 303
    assert browser.post("/runs", data=form).headers["location"] == there.headers["location"]  # sent twice: one run
    page = browser.get(there.headers["location"]).text
    assert "Waits for a worker." in page
    assert ">Cancel<" in page
    assert worker_of(at.service).once()
    page = browser.get(there.headers["location"]).text
    assert "to decide" in page, page
    assert ">Cancel<" not in page
    run = some_runs(at.service, at.submitter)[0]
    draft = at.service.release_folder(run.id) / "draft"
    assert {path.name for path in draft.iterdir()} == {"public", "officer"}
    assert len({run.manifest, run.officer_manifest, None}) == 3
    assert Ledger(at.service.home).run(run.id).status == "completed"
    assert "admissions.csv" not in page
    assert NEEDLE not in page


def test_what_the_policy_will_refuse_is_said_before_anything_is_spent(institution, tmp_path):
    at = desk(institution, tmp_path)
    browser, bearer = institution.browser("sam"), program_of(at, Act.PLAN)
    page = browser.get("/runs/new").text
    assert "The policy public, version 1, asks for epsilon at most 2, delta at most 1e-06." in page
    form = {"form_token": form_token(page), "source": at.source.id, "epsilon": "3", "purpose": "a course",
            "generator": "marginal", "anyway": "true", "once": "one"}  # fmt: skip
    refuses = "policy public, version 1 will refuse such a release: its epsilon is 3, and the policy asks for at most 2"
    assert refuses in browser.post("/runs/plan", data=form).text
    assert "will refuse" not in browser.post("/runs/plan", data=form | {"epsilon": "1"}).text
    sent = {"source": at.source.id, "request": {"epsilon": 2, "generator": "marginal", "anyway": True}}
    plans = institution.browser().post("/api/v1/plans", headers=bearer, json=sent).json()
    assert [(one["epsilon"], len(one["policy"])) for one in plans] == [(0.5, 0), (1, 0), (2, 0), (4, 1), (8, 1)]
    there = browser.post("/runs", data=form)  # a warning, which forbids nothing
    assert refuses in browser.get(there.headers["location"]).text


def test_the_same_again_within_an_hour_is_asked_about(institution, tmp_path, clock):
    at = desk(institution, tmp_path)
    browser = institution.browser("sam")
    form = {"form_token": form_token(browser.get("/runs/new").text), "source": at.source.id, "epsilon": "1",
            "purpose": "a course", "audit": "none", "anyway": "true"}  # fmt: skip
    first = browser.post("/runs", data=form | {"once": "one"}).headers["location"]
    clock.move(minutes=3)
    assert (
        browser.post("/runs", data=form | {"once": "one"}).headers["location"] == first
    )  # the same form: the same run
    asked = browser.post("/runs", data=form | {"once": "two"})
    assert asked.status_code == 200
    assert "You asked for exactly this 3 minutes ago" in asked.text
    assert f'href="{first}"' in asked.text
    assert len(some_runs(at.service, at.submitter)) == 1
    assert browser.post("/runs", data=form | {"once": "other", "purpose": "another"}).status_code == 303
    assert browser.post("/runs", data=form | {"once": "two", "again": "true"}).status_code == 303
    assert len(some_runs(at.service, at.submitter)) == 3


def test_a_run_that_was_cancelled_is_asked_for_again_without_a_question(institution, tmp_path, clock):
    at = desk(institution, tmp_path)
    told = {"purpose": "a course", "once": ""}
    cancel_run(at.service, at.submitter, submit_release(at.service, at.submitter, at.source.id, SMALL, **told).id)
    assert asked_lately(at.service, at.submitter, at.source.id, SMALL, **told) is None
    run = submit_release(at.service, at.submitter, at.source.id, SMALL, **told)
    assert asked_lately(at.service, at.submitter, at.source.id, SMALL, **told).id == run.id
    clock.move(minutes=61)
    assert asked_lately(at.service, at.submitter, at.source.id, SMALL, **told) is None


def test_a_new_release_begins_with_what_an_earlier_one_was_asked_for(institution, tmp_path):
    at = desk(institution, tmp_path)
    asked = SMALL.model_copy(update={"epsilon": 0.3, "rows": 70, "delta": 2e-7})
    run = submit_release(at.service, at.submitter, at.source.id, asked, purpose="a course")
    assert request_of(fields_of(asked)) == asked
    page = institution.browser("sam").get(f"/runs/new?from={run.id}").text
    for shown in ('value="0.3"', 'value="70"', 'value="2e-07"', ">a course</textarea>", '"marginal" selected',
                  'name="anyway" value="true" checked'):  # fmt: skip
        assert shown in page, shown
    institution.person("olga", Role.SUBMITTER)
    assert "no such run" in institution.browser("olga").get(f"/runs/new?from={run.id}").text


def test_what_happened_to_a_run_is_on_record_without_its_place(institution, tmp_path):
    at = desk(institution, tmp_path)
    run = submit_release(at.service, at.submitter, at.source.id, SMALL, purpose="a course")
    cancel_run(at.service, at.submitter, run.id)
    with at.service.database.reading() as session:
        told = [f"{act.act} {act.about} {act.detail}" for act in session.scalars(select(RecordedAct))]
    assert [line.split()[0] for line in told[-4:]] == ["register_source", "declare_schema", "submit", "cancel"]
    assert not any("admissions.csv" in line for line in told)


def test_a_run_that_waits_is_cancelled_at_once_and_never_made(institution, tmp_path):
    at = desk(institution, tmp_path)
    run = submit_release(at.service, at.submitter, at.source.id, SMALL, purpose="a course")
    cancel_run(at.service, at.submitter, run.id)
    assert one_run(at.service, at.submitter, run.id).state == RunState.CANCELLED
    assert not worker_of(at.service).once()
    with pytest.raises(NotAllowed, match="has ended"):
        cancel_run(at.service, at.submitter, run.id)


def test_who_submits_sees_and_cancels_only_their_own(institution, tmp_path):
    at = desk(institution, tmp_path)
    other = institution.person("olga", Role.SUBMITTER)
    both = institution.person("bea", Role.SUBMITTER, Role.REVIEWER)
    run = submit_release(at.service, at.submitter, at.source.id, SMALL, purpose="a course")
    assert some_runs(at.service, other) == []
    assert len(some_runs(at.service, both)) == 1
    for look in (one_run, cancel_run):
        with pytest.raises(InputError, match="no such run"):
            look(at.service, other, run.id)
    with pytest.raises(NotAllowed, match="only who asked"):
        cancel_run(at.service, both, run.id)


def test_a_failure_is_a_sentence_of_the_pipeline_without_the_place(institution, tmp_path):
    at = desk(institution, tmp_path)
    run = submit_release(at.service, at.submitter, at.source.id, SMALL, purpose="a course")
    (tmp_path / "drop" / "admissions.csv").write_text("other,names\n1,2\n")
    worker_of(at.service).once()
    run = one_run(at.service, at.submitter, run.id)
    assert run.state == RunState.FAILED
    assert run.sentence.startswith("The schema names columns that the table lacks")
    assert "Nothing was spent" in run.sentence
    assert str(tmp_path) not in run.sentence


def test_a_request_that_makes_no_sense_is_refused_before_it_waits(institution, tmp_path):
    at = desk(institution, tmp_path)
    wrong = SMALL.model_copy(update={"generator": "marginal", "epsilon": 11.0})
    with pytest.raises(BudgetExceeded, match="the ledger would refuse"):
        submit_release(at.service, at.submitter, at.source.id, wrong, purpose="a course")
    with pytest.raises(InputError, match="what the release is for"):
        submit_release(at.service, at.submitter, at.source.id, SMALL, purpose=" ")
    submit_release(at.service, at.submitter, at.source.id, SMALL, purpose="a course", once="x")
    with pytest.raises(InputError, match="sent before"):
        submit_release(at.service, at.submitter, at.source.id, SMALL, purpose="another", once="x")
    assert [json.loads(run.settings)["epsilon"] for run in some_runs(at.service, at.submitter)] == [1.0]


def test_a_program_does_what_the_pages_do(institution, tmp_path):
    at = desk(institution, tmp_path)
    bearer = program_of(at, Act.SEE_SOURCES, Act.SUBMIT, Act.SEE_RUNS, Act.CANCEL, Act.PLAN)
    program = institution.browser()
    (source,) = program.get("/api/v1/sources", headers=bearer).json()
    assert source["name"] == "Admissions 2024"
    assert "admissions.csv" not in json.dumps(source)
    wanted = {"source": source["id"], "request": SMALL.model_dump(), "purpose": "a course"}
    plans = program.post("/api/v1/plans", headers=bearer, json={key: wanted[key] for key in ("source", "request")})
    assert [at["epsilon"] for at in plans.json()] == [0.25, 0.5, 1, 2, 4]
    once = bearer | {"idempotency-key": "monday"}
    run, again = (program.post("/api/v1/runs", headers=once, json=wanted).json() for _ in range(2))
    assert run == again
    assert run["state"] == "queued"
    assert program.get("/api/v1/runs?state=queued", headers=bearer).json() == [run]
    assert program.post(f"/api/v1/runs/{run['id']}/cancel", headers=bearer).json()["state"] == "cancelled"
    assert program.get(f"/api/v1/runs/{run['id']}", headers=bearer).json()["sentence"].endswith("nothing was spent.")

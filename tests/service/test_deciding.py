"""People decide on a release: on a page, with their own keys, in the database and beside the release alike."""

from __future__ import annotations

import pytest
from pipeline.admissions import run as command
from service.deciders import PASSPHRASE, RUN
from service.prepared import each_database

from privsynth.approvals.statement import opened
from privsynth.service.oversight.overview import overview
from privsynth.service.states import RunState
from privsynth.service.store.runs import RunRow


@each_database
def test_two_people_approve_on_the_page_and_the_command_line_says_the_same(deciders):
    deciders.log().append([], deciders.clock())
    command("log", "append", deciders.draft)
    page = deciders.institution.browser("ann").get(f"/runs/{RUN}/decide").text
    assert "0 of 2 approvals" in page
    assert deciders.decide("ann", "approved", comment="for the registry").status_code == 303
    assert deciders.run().state == RunState.TO_DECIDE
    assert deciders.decide("bob", "approved").status_code == 303
    assert deciders.run().state == RunState.APPROVED
    said = [opened(path.read_bytes())[0] for path in deciders.files()]
    assert sorted((one.meaning, one.comment) for one in said) == [("approved", ""), ("approved", "for the registry")]
    status = command("status", deciders.draft, "--policy", "public")
    assert "approved by Ann" in status.output
    assert "approved by Bob" in status.output
    assert "(log entry 2)" in status.output
    assert "Approved    2 people who did not make it" in status.output


def test_who_asked_for_it_does_not_decide(deciders):
    assert deciders.decide("sue", "approved").status_code == 403
    with deciders.service.database.writing() as session:
        session.get_one(RunRow, RUN).submitter_id = deciders.ann.person_id
    answer = deciders.decide("ann", "approved")
    assert answer.status_code == 403
    assert "somebody else has to decide" in answer.text
    assert (deciders.rows(), deciders.files()) == ([], [])


def test_the_officers_report_of_ones_own_release_is_for_others(deciders):
    bearer = deciders.bearer("ann")
    browser, program = deciders.institution.browser("ann"), deciders.institution.browser()
    assert "Read and decide" in browser.get(f"/runs/{RUN}").text
    with deciders.service.database.writing() as session:
        session.get_one(RunRow, RUN).submitter_id = deciders.ann.person_id
    pages = [browser.get(f"/runs/{RUN}/{path}") for path in ("decide", "officer/report.html")]
    facts = [program.get(f"/api/v1/runs/{RUN}/{path}", headers=bearer) for path in ("decision", "reports/officer")]
    for answer in (*pages, *facts):
        assert answer.status_code == 403
        assert "ou asked for this release: somebody else has to read the officer" in answer.text
    assert deciders.acts("read_officer_report") == []
    page = browser.get(f"/runs/{RUN}").text
    assert "Read and decide" not in page
    assert "somebody else reads the officer" in page


def test_the_page_says_what_is_missing_and_offers_what_the_person_may_do(deciders):
    decide, run = f"/runs/{RUN}/decide", f"/runs/{RUN}"
    browsers = {name: deciders.institution.browser(name) for name in ("ann", "rita", "sue")}
    deciders.decide("ann", "approved")
    assert "have to approve it before it may leave; 1 of them did." in browsers["sue"].get(run).text
    deciders.decide("bob", "approved")
    page = browsers["ann"].get(decide).text
    assert "It has the 2 approvals that it needs, and may be published." in page
    assert "have to approve it" not in page
    shown = {name: "Publish and hand out" in browser.get(run).text for name, browser in browsers.items()}
    assert shown == {"ann": True, "rita": False, "sue": False}


@pytest.mark.parametrize("meaning", ["approved", "rejected"])
def test_a_reviewer_reviews_and_does_not_approve(deciders, meaning):
    assert deciders.decide("rita", meaning).status_code == 403
    assert deciders.decide("rita", "reviewed").status_code == 303
    assert [row.meaning for row in deciders.rows()] == ["reviewed"]
    assert deciders.run().state == RunState.TO_DECIDE


def test_a_wrong_passphrase_decides_nothing(deciders):
    answer = deciders.decide("ann", "approved", passphrase="another one entirely", comment="I wrote this")
    assert answer.status_code == 422
    assert "rong passphrase for the key person" in answer.text
    assert str(deciders.service.home) not in answer.text
    assert "I wrote this" in answer.text
    assert "another one entirely" not in answer.text
    assert (deciders.rows(), deciders.files()) == ([], [])


def test_the_password_is_asked_for_again_after_five_minutes(deciders):
    from service.people import PASSWORD

    deciders.clock.move(minutes=6)
    assert "Type your password again" in deciders.decide("ann", "approved").text
    assert "rong name or password" in deciders.decide("ann", "approved", password="not the right one").text
    assert deciders.rows() == []
    assert deciders.decide("ann", "reviewed", password=PASSWORD).status_code == 303
    assert deciders.decide("ann", "approved").status_code == 303


def test_whoever_asked_for_changes_asks_until_they_say_something_else(deciders):
    assert "Say what has to change" in deciders.decide("rita", "changes").text
    assert deciders.decide("rita", "changes", comment="fewer columns", passphrase="").status_code == 303
    assert deciders.run().state == RunState.CHANGES_ASKED
    assert deciders.files() == []
    assert deciders.decide("rita", "reviewed").status_code == 303
    assert deciders.run().state == RunState.TO_DECIDE


@each_database
def test_who_asked_for_the_release_answers_and_people_decide_again(deciders):
    sue, run = deciders.institution.browser("sue"), f"/runs/{RUN}"
    assert "nothing to answer" in deciders.post("sue", f"{run}/answer", comment="why?").text
    deciders.decide("rita", "changes", comment="fewer columns")
    page = sue.get(run).text
    assert ("Changes are asked for" in page, "Rita" in page, "fewer columns" in page) == (True, True, True)
    assert "Say what you answer" in deciders.post("sue", f"{run}/answer", comment=" ").text
    assert deciders.post("ann", f"{run}/answer", comment="x").status_code == 403
    assert deciders.post("sue", f"{run}/answer", comment="they need all of them").status_code == 303
    assert deciders.run().state == RunState.TO_DECIDE
    assert "they need all of them" in deciders.institution.browser("ann").get(f"{run}/decide").text
    rita = overview(deciders.service, deciders.rita)
    assert [(one.run.id, one.act) for one in rita.waiting] == [(RUN, "decide")]
    deciders.decide("ann", "approved")
    assert deciders.run().state == RunState.TO_DECIDE  # what was answered is not asked any more
    deciders.decide("rita", "changes", comment="then no age")
    assert deciders.run().state == RunState.CHANGES_ASKED
    program, bearer = deciders.institution.browser(), deciders.bearer("sue")
    told = program.post(f"/api/v1/runs/{RUN}/answer", headers=bearer, json={"comment": "it is needed"}).json()
    assert told["state"] == "to_decide"
    assert [one["comment"] for one in told["answers"]] == ["they need all of them", "it is needed"]
    assert [one["meaning"] for one in told["decisions"]] == ["changes", "approved", "changes"]
    assert program.get(f"/api/v1/runs/{RUN}", headers=bearer).json() == told


@each_database
def test_one_rejection_is_enough_and_is_taken_back_by_the_same_person(deciders):
    deciders.decide("ann", "approved")
    deciders.decide("bob", "rejected", comment="not yet")
    assert deciders.run().state == RunState.REJECTED
    assert "five minutes" in deciders.decide("bob", "approved").text
    deciders.clock.move(minutes=4)
    deciders.decide("bob", "reviewed")
    deciders.clock.move(minutes=1, seconds=30)
    from service.people import PASSWORD

    assert deciders.decide("bob", "approved", password=PASSWORD).status_code == 303
    assert deciders.run().state == RunState.APPROVED


@each_database
def test_what_was_signed_on_the_command_line_is_entered_when_somebody_looks(deciders, monkeypatch):
    monkeypatch.setenv("PRIVSYNTH_PASSPHRASE", PASSPHRASE)
    done = command("approve", deciders.draft, "--as", deciders.ann.key, "--meaning", "approved", "--comment", "by hand")
    assert done.exit_code == 0, done.output
    assert deciders.rows() == []
    assert "by hand" in deciders.institution.browser("bob").get(f"/runs/{RUN}/decide").text
    assert [(row.meaning, row.person_id) for row in deciders.rows()] == [("approved", deciders.ann.person_id)]
    assert deciders.decide("bob", "approved").status_code == 303
    assert deciders.run().state == RunState.APPROVED


def test_an_officers_report_is_for_officers_and_is_a_sandbox(deciders):
    for name, status in (("ann", 200), ("rita", 200), ("sue", 403), ("kim", 403)):
        answer = deciders.institution.browser(name).get(f"/runs/{RUN}/officer/report.html")
        assert answer.status_code == status, name
    deciders_page = deciders.institution.browser("ann").get(f"/runs/{RUN}/officer/report.html")
    assert deciders_page.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert len(deciders.acts("read_officer_report")) == 3
    assert deciders.institution.browser("sue").get(f"/runs/{RUN}/public/report.html").status_code == 200

"""An answer to a request for erasure names the releases by dates, and promises nothing that does not hold."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta

import pytest
from pipeline.admissions import run as command
from service.deciders import RUN

from privsynth.approvals.notices import Notice
from privsynth.errors import InputError
from privsynth.service.erasure.acts import ErasureRequest, answer_request
from privsynth.service.erasure.words import promise_words
from privsynth.service.roles import Act, Role
from privsynth.service.store.runs import RunRow, SourceRow
from privsynth.service.tokens import new_token

ROW = {"epsilon": 1.0, "delta": 1e-6, "unit": "row", "neighbours": "add or remove one row", "max_rows_per_unit": None}


def ask(deciders, caller, **told):
    asked = ErasureRequest(case="DSR-2026/17", datasets=("Admissions",), **told)
    (found,) = answer_request(deciders.service, caller, asked).found
    return [one.run_id for one in found.releases], found


@pytest.fixture
def admin(deciders):
    return deciders.institution.person("ada", Role.ADMINISTRATOR)


def test_the_answer_says_what_the_release_promises_is_signed_and_recorded(deciders, admin, tmp_path):
    form = {"case": "DSR-2026/17", "datasets": "admissions", "entered": "2020-01-31"}
    page = deciders.post("ada", "/erasure", **form)
    assert page.status_code == 200, page.text
    assert "ε = 3" in page.text
    assert "for each patient" in page.text
    assert "if patient does not stand for persons" in page.text
    assert "A draft inside the institution" in page.text
    (act,) = deciders.acts("answer_erasure")
    assert json.loads(act.detail)["case"] == "DSR-2026/17"
    deciders.institution.person("aud", Role.AUDITOR)
    sent = deciders.institution.browser("aud").get("/erasure/1")
    said = Notice.opened(sent.content)[0].said
    assert said["datasets"][0]["releases"][0]["release"] == RUN
    assert "Answer a request" not in deciders.institution.browser("aud").get("/erasure").text
    saved = tmp_path / "answer.dsse.json"
    saved.write_bytes(sent.content)
    told = command("verify", saved)
    assert told.exit_code == 0, told.output
    assert "answer to a request for erasure" in told.output
    assert re.search(r"^Case +DSR-2026/17$", told.output, re.MULTILINE)
    assert f"- Release          {RUN}\n" in told.output
    assert not re.search(r"Officer's part[^ ]|Rows read on[^ ]", told.output)
    other = tmp_path / "t2.json"
    other.write_bytes(sent.content.replace(b'"sig":"', b'"sig":"AA'))
    told = command("verify", other)
    assert told.exit_code == 5, told.output
    assert "does not verify" in told.output


def test_a_release_is_left_out_only_where_its_dates_rule_the_person_out(deciders, admin, clock):
    day = clock().date()
    assert ask(deciders, admin)[0] == [RUN]
    assert ask(deciders, admin, entered=day)[0] == [RUN]
    assert ask(deciders, admin, entered=day + timedelta(days=2))[0] == []
    # A file may be older than the day on which it was read; a database is read as it is.
    assert ask(deciders, admin, removed=day - timedelta(days=30))[0] == [RUN]
    with deciders.service.database.writing() as session:
        session.get_one(SourceRow, session.get_one(RunRow, RUN).source_id).kind = "database"
    runs, found = ask(deciders, admin, removed=day - timedelta(days=30))
    assert (runs, found.excluded) == ([], 1)
    assert ask(deciders, admin, removed=day)[0] == [RUN]
    with pytest.raises(InputError, match="two dates"):
        ask(deciders, admin, entered=day, removed=day - timedelta(days=1))


@pytest.mark.parametrize("case", ["Jane Doe", "jane@example.org", "", "x" * 41])
def test_a_case_is_no_name(deciders, admin, case):
    with pytest.raises(InputError, match="never a name"):
        answer_request(deciders.service, admin, ErasureRequest(case=case, datasets=("admissions",)))
    with pytest.raises(InputError, match="no dataset"):
        answer_request(deciders.service, admin, ErasureRequest(case="A1", datasets=("elsewhere",)))


def test_a_promise_for_rows_is_none_for_a_person_with_several():
    told = " ".join(promise_words(ROW))
    assert "only single rows are protected" in told
    assert "no promise for the person" in told
    assert "For a person with one row:" in told
    assert "For a person who" not in told


@pytest.mark.parametrize(("guarantee", "says"), [(None, "nothing is promised"), ({}, "makes no promise")])
def test_what_is_not_promised_is_not_claimed(guarantee, says):
    (only,) = promise_words(guarantee)
    assert says in only


def test_a_public_part_that_was_changed_promises_nothing(deciders, admin):
    report = deciders.draft / "public" / "report.json"
    report.chmod(0o644)
    report.write_bytes(report.read_bytes().replace(b'"epsilon": 3.0', b'"epsilon": 0.1'))
    _, found = ask(deciders, admin)
    assert "nothing is promised" in found.releases[0].promise[0]


def test_what_a_rule_will_delete_is_not_said_to_be_gone(deciders, admin):
    deciders.decide("ann", "rejected")
    (release,) = ask(deciders, admin)[1].releases
    assert release.officer == "kept; no rule deletes it"
    told = deciders.service.settings.model_copy(update={"keep_officer_days": 730, "keep_rejected_days": 90})
    deciders.service = replace(deciders.service, settings=told)
    (release,) = ask(deciders, admin)[1].releases
    assert release.officer == f"kept; a rule deletes it on {deciders.clock() + timedelta(days=90):%Y-%m-%d}"


def test_programs_ask_and_read(deciders, admin):
    secret = new_token(deciders.service, admin, "t", frozenset({Act.SEE_ERASURES, Act.ANSWER_ERASURE}), 1)
    api = deciders.institution.browser()
    api.headers["authorization"] = f"Bearer {secret}"
    made = api.post("/api/v1/erasure", json={"case": "A-1", "datasets": ["admissions"], "entered": "2020-01-01"})
    assert made.status_code == 201, made.text
    assert made.json()["said"]["datasets"][0]["releases"][0]["release"] == RUN
    assert [one["case"] for one in api.get("/api/v1/erasure").json()] == ["A-1"]
    assert Notice.opened(api.get(f"/api/v1/erasure/{made.json()['id']}").content)[0].kind == "erasure"

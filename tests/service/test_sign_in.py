"""Who gets in, and who does not."""

from __future__ import annotations

import pytest
from argon2 import Type
from service.people import PASSWORD, form_token
from service.prepared import PRODUCTION_HASHER
from sqlalchemy import func, select

from privsynth.errors import InputError, NotAllowed, TooManyRequests
from privsynth.service.people import add_person, deactivate, reinvite
from privsynth.service.record import damaged
from privsynth.service.roles import Act, Role
from privsynth.service.sign_in import (
    WRONG_OF_ADDRESS,
    WRONG_OF_NAME,
    accept_invitation,
    caller_of_session,
    caller_of_token,
    sign_in,
    sign_out,
)
from privsynth.service.store.people import SignedIn
from privsynth.service.store.runs import RecordedAct, SourceRow
from privsynth.service.tokens import new_token


def anna(service):
    """Add a person with a password, and return the secret of the first session."""
    person, link = add_person(service, None, "Anna", "Anna Meier", {Role.SUBMITTER})
    assert person.name == "anna"
    return accept_invitation(service, link, PASSWORD)


def test_guessing_a_password_costs_what_rfc_9106_asks_for():
    hasher = PRODUCTION_HASHER  # section 4, the second recommendation: 64 MiB, three passes, four lanes
    assert (hasher.type, hasher.time_cost, hasher.memory_cost, hasher.parallelism) == (Type.ID, 3, 65536, 4)


def test_a_person_signs_in_and_out(each_service):
    first = anna(each_service)
    second = sign_in(each_service, " ANNA ", PASSWORD, "10.0.0.1")
    assert first != second
    caller = caller_of_session(each_service, second)
    assert (caller.display, caller.roles) == ("Anna Meier", {Role.SUBMITTER})
    sign_out(each_service, second)
    assert caller_of_session(each_service, second) is None
    assert caller_of_session(each_service, first) is not None
    with each_service.database.reading() as session:
        acts = session.scalars(select(RecordedAct).order_by(RecordedAct.id)).all()
        assert [one.act for one in acts] == ["add_person", "choose_password", "sign_in", "sign_in"]
        assert damaged(iter(acts)) is None
        acts[1].detail = '{"edited": true}'
        assert damaged(iter(acts)) == acts[1].id


@pytest.mark.parametrize(("name", "password"), [("anna", "wrong" * 4), ("nobody", PASSWORD), ("", ""), ("anna", "")])
def test_every_refusal_reads_the_same(service, name, password):
    anna(service)
    with pytest.raises(NotAllowed, match=r"^wrong name or password$"):
        sign_in(service, name, password, "10.0.0.1")


def test_guesses_of_one_name_are_slowed_down_and_then_go_on(service, clock):
    anna(service)
    for _ in range(WRONG_OF_NAME):
        with pytest.raises(NotAllowed, match="wrong"):
            sign_in(service, "anna", "wrong" * 4, "10.0.0.1")
    with pytest.raises(TooManyRequests, match="too many"):
        sign_in(service, "anna", PASSWORD, "10.0.0.2")
    clock.move(minutes=16)
    assert sign_in(service, "anna", PASSWORD, "10.0.0.2")


def test_guesses_of_many_names_from_one_address_are_slowed_down(service, monkeypatch):
    anna(service)
    monkeypatch.setattr("privsynth.service.sign_in._fits", lambda password, person: False)
    for n in range(WRONG_OF_ADDRESS):
        with pytest.raises(NotAllowed, match="wrong"):
            sign_in(service, f"name{n}", PASSWORD, "10.0.0.1")
    with pytest.raises(TooManyRequests, match="too many"):
        sign_in(service, "another", PASSWORD, "10.0.0.1")
    with pytest.raises(NotAllowed, match="wrong"):
        sign_in(service, "another", PASSWORD, "10.0.0.2")


def test_a_session_ends_when_idle_and_after_its_hours(service, clock):
    secret = anna(service)
    for _ in range(23):  # 11 h 30 min in steps that are not idle
        clock.move(minutes=29)
        assert caller_of_session(service, secret) is not None
    clock.move(minutes=29)
    clock.move(minutes=29)
    assert caller_of_session(service, secret) is None
    with service.database.reading() as session:
        assert session.scalar(select(func.count()).select_from(SignedIn)) == 0


def test_a_link_is_used_once_ends_and_is_replaced(service, clock, institution):
    boss = institution.person("boss", Role.ADMINISTRATOR)
    person, first = add_person(service, boss, "ben", "Ben", {Role.REVIEWER})
    second = reinvite(service, boss, person.id)
    for link in (first, "unknown"):
        with pytest.raises(NotAllowed, match="used or has ended"):
            accept_invitation(service, link, PASSWORD)
    with pytest.raises(InputError, match="12 to 200"):
        accept_invitation(service, second, "short")
    assert accept_invitation(service, second, PASSWORD)
    with pytest.raises(NotAllowed, match="used or has ended"):
        accept_invitation(service, second, PASSWORD)
    late = reinvite(service, boss, person.id)
    clock.move(hours=73)
    with pytest.raises(NotAllowed, match="used or has ended"):
        accept_invitation(service, late, PASSWORD)


def test_access_that_ends_ends_everywhere(service, institution):
    boss = institution.person("boss", Role.ADMINISTRATOR)
    anna_now = institution.person("anna", Role.SUBMITTER)
    token = new_token(service, anna_now, "nightly", frozenset({Act.SEE_RUNS}), 30)
    assert caller_of_token(service, token) is not None
    deactivate(service, boss, anna_now.person_id)
    assert caller_of_token(service, token) is None
    assert caller_of_session(service, institution.secrets["anna"]) is None
    with pytest.raises(NotAllowed):
        sign_in(service, "anna", PASSWORD, "10.0.0.1")


def test_a_token_has_no_more_rights_than_its_person_and_ends(service, institution, clock):
    anna_now = institution.person("anna", Role.SUBMITTER)
    with pytest.raises(InputError, match="only those that you have"):
        new_token(service, anna_now, "x", frozenset({Act.APPROVE}), 30)
    token = new_token(service, anna_now, "nightly", frozenset({Act.SEE_RUNS}), 30)
    caller = caller_of_token(service, token)
    caller.require(Act.SEE_RUNS)
    with pytest.raises(NotAllowed, match="not for 'submit'"):
        caller.require(Act.SUBMIT)
    clock.move(days=30)
    assert caller_of_token(service, token) is None


def test_a_form_after_the_end_of_its_session_says_that_nothing_was_done(institution):
    browser = institution.browser()
    there = browser.post("/runs/run-1/decide", data={"meaning": "approved", "comment": "I wrote this"})
    assert there.status_code == 303
    page = browser.get(there.headers["location"]).text
    assert "nothing was decided or changed, and what you typed could not be kept" in page
    assert "nothing was decided" not in browser.get("/sign-in").text
    assert browser.post("/sign-out").headers["location"] == "/sign-in"


def test_pages_lead_to_the_form_and_back_out(institution):
    institution.person("boss", Role.ADMINISTRATOR)
    browser = institution.browser()
    assert browser.get("/people").headers["location"] == "/sign-in"
    wrong = browser.post("/sign-in", data={"name": "boss", "password": "wrong"})
    assert wrong.status_code == 403
    assert "Wrong name or password." in wrong.text
    right = browser.post("/sign-in", data={"name": "boss", "password": PASSWORD})
    assert right.status_code == 303
    cookie = right.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    page = browser.get("/people")
    assert page.status_code == 200
    assert browser.post("/sign-out", data={"form_token": "other"}).status_code == 403
    assert browser.post("/sign-out", data={"form_token": form_token(page.text)}).status_code == 303
    assert browser.get("/people").status_code == 303


def test_a_dump_of_the_database_holds_no_secret(service, institution, tmp_path):
    """Passwords, sessions, links, tokens and places of sources: none of them is in the file, or beside it."""
    boss = institution.person("boss", Role.ADMINISTRATOR)
    anna_now = institution.person("anna", Role.SUBMITTER)
    token = new_token(service, anna_now, "nightly", frozenset({Act.SEE_RUNS}), 30)
    _, link = add_person(service, boss, "ben", "Ben", {Role.REVIEWER})
    place = "postgresql://reader:hunter2@db.example.org/hospital"
    with service.database.writing() as session:
        session.add(
            SourceRow(
                name="s", dataset="d", kind="database", place=service.vault.seal(place, "source s"),
                made_by=boss.person_id, made_at=service.now(),
            )
        )  # fmt: skip
    service.database.close()
    dump = b"".join(path.read_bytes() for path in tmp_path.glob("service.db*"))
    secrets = [PASSWORD, token, link, "hunter2", "db.example.org", *institution.secrets.values()]
    assert b"Anna" in dump
    assert [secret for secret in secrets if secret.encode() in dump] == []

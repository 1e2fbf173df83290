"""The first page, the record of acts and tokens: what they show, and to whom."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

import pytest
from service.people import form_token
from service.prepared import each_database
from sqlalchemy import text

from privsynth.errors import InputError, NotAllowed
from privsynth.ledger.ledger import Ledger
from privsynth.ledger.reservation import Reservation
from privsynth.service.oversight.acts import acts, check_chain
from privsynth.service.oversight.budgets import budgets
from privsynth.service.oversight.overview import overview
from privsynth.service.roles import Act, Role
from privsynth.service.sign_in import caller_of_token
from privsynth.service.states import RunState
from privsynth.service.store.runs import DecisionRow, RunRow, SourceRow
from privsynth.service.tokens import new_token, own_tokens, revoke_token
from privsynth.signing.store import NewKey, create_key


@pytest.fixture
def sub(institution):
    return institution.person("sub", Role.SUBMITTER)


def a_run(service, sub, name: str, state: RunState, *, ended: timedelta | None = None) -> None:
    """Add a run of `sub` in a state that needs no approval."""
    now = service.now()
    with service.database.writing() as session:
        source = session.query(SourceRow).first()
        if source is None:
            source = SourceRow(name="s", dataset="wards", kind="file", place=b"x", made_by=sub.person_id, made_at=now)
            session.add(source)
            session.flush()
        session.add(
            RunRow(
                id=name, source_id=source.id, dataset="wards", purpose="p", settings="{}", submitter_id=sub.person_id,
                made_at=now, needed=1, state=state, ended_at=None if ended is None else now - ended,
            )
        )  # fmt: skip


def spend(ledger: Ledger, dataset: str, epsilon: float) -> Reservation:
    """Reserve for a run that draws noise."""
    reservation = ledger.reserve(dataset, epsilon=epsilon, delta=1e-6, unit="row", run_id=f"run {epsilon}")
    reservation.bind(bytes(32))
    reservation.mark_drawn()
    return reservation


def waits(service, caller) -> dict[str, str]:
    return {one.run.id: one.act for one in overview(service, caller).waiting}


@each_database
def test_what_waits_for_whom(service, institution, sub):
    reviewer = institution.person("rev", Role.REVIEWER)
    approver = institution.person("app", Role.APPROVER, Role.SUBMITTER)
    auditor, boss = institution.person("aud", Role.AUDITOR), institution.person("boss", Role.ADMINISTRATOR)
    a_run(service, sub, "r-queued", RunState.QUEUED)
    a_run(service, sub, "r-decide", RunState.TO_DECIDE)
    a_run(service, sub, "r-changes", RunState.CHANGES_ASKED)
    a_run(service, approver, "r-own", RunState.TO_DECIDE)
    a_run(service, sub, "r-failed", RunState.FAILED, ended=timedelta(days=1))
    a_run(service, sub, "r-old", RunState.INTERRUPTED, ended=timedelta(days=15))
    assert waits(service, reviewer) == {"r-decide": "decide", "r-changes": "decide", "r-own": "decide"}
    assert waits(service, approver) == {"r-decide": "decide", "r-changes": "decide"}
    assert waits(service, sub) == {"r-changes": "answer", "r-failed": "read why"}
    assert waits(service, auditor) == waits(service, boss) == {}
    with service.database.writing() as session:
        session.add(
            DecisionRow(run_id="r-decide", submitter_id=sub.person_id, person_id=approver.person_id, meaning="approved",
                     file="a" * 64, comment="", at=service.now())
        )  # fmt: skip
    assert "r-decide" not in waits(service, approver)
    with service.database.writing() as session:
        session.get_one(RunRow, "r-decide").state = RunState.APPROVED
    assert waits(service, approver)["r-decide"] == "publish"
    assert "r-decide" not in waits(service, reviewer)
    assert overview(service, boss).states is None
    assert overview(service, institution.person("two", Role.SUBMITTER)).states == {}  # as the list of their releases
    assert overview(service, auditor).states == {
        RunState.QUEUED: 1, RunState.FAILED: 1, RunState.INTERRUPTED: 1, RunState.TO_DECIDE: 1,
        RunState.CHANGES_ASKED: 1, RunState.APPROVED: 1,
    }  # fmt: skip


def test_budgets_are_those_of_the_ledger_to_the_last_digit(service, sub):
    ledger = Ledger.chosen(service.home)
    a_run(service, sub, "r", RunState.QUEUED)  # of the dataset wards, of which the ledger has not heard yet
    spend(ledger, "admissions", 1).complete()
    with suppress(RuntimeError), spend(ledger, "admissions", 2.5):
        raise RuntimeError
    with ledger.reserve("admissions", epsilon=0.25, delta=1e-6, unit="row", run_id="three"):
        admissions, wards = budgets(service, sub)
    assert (admissions.spent, admissions.left, admissions.cap) == ("3.75", "6.25", "10")
    assert admissions.share == 0.375
    assert admissions.sentences == [
        "runs that are going on have set aside ε 0.25",
        "runs that ended without a release spent ε 2.5",
        "enough for 6 more releases like the latest, which cost ε 1",
    ]
    assert (wards.account.dataset, wards.spent, wards.left, wards.sentences) == ("wards", "0", "10", [])


def test_a_damaged_ledger_leaves_the_rest_of_the_page(service, institution, sub):
    spend(Ledger.chosen(service.home), "a", 1).complete()
    (service.home / "ledger.db").write_bytes(b"no database")
    answer = institution.browser("sub").get("/")
    assert answer.status_code == 200
    assert 'role="alert"' in answer.text
    assert "Ask for the first" in answer.text


def test_keys_that_end_are_told_to_their_person_and_to_who_keeps_the_keys(service, institution, clock):
    anna, keeper = institution.person("anna", Role.REVIEWER), institution.person("kay", Role.KEY_ADMIN)
    for name, days in (("anna", 50), ("far", 700), ("gone", 1)):
        create_key(service.home, name, NewKey(holder=name, days=days), passphrase=None, now=clock())
    with service.database.writing() as session:
        session.execute(text("UPDATE people SET key = 'anna' WHERE name = 'anna'"))
    clock.move(days=2)
    anna = type(anna)(**{**vars(anna), "key": "anna"})
    assert [(key.name, key.ended) for key in overview(service, anna).keys] == [("anna", False)]
    assert {(key.name, key.ended) for key in overview(service, keeper).keys} == {("anna", False), ("gone", True)}
    headers = {"authorization": f"Bearer {new_token(service, keeper, 'x', frozenset({Act.MANAGE_KEYS}), 1)}"}
    told = institution.browser().get("/api/v1/overview", headers=headers).json()["keys"]
    assert {(key["name"], key["ended"]) for key in told} == {("anna", False), ("gone", True)}


def test_who_was_invited_is_told_to_administrators(service, institution):
    from privsynth.service.people import add_person

    boss = institution.person("boss", Role.ADMINISTRATOR)
    add_person(service, boss, "new", "Someone New", {Role.AUDITOR})
    assert [one.name for one in overview(service, boss).invited or []] == ["new"]
    assert "Someone New" in institution.browser("boss").get("/").text


@each_database
def test_the_record_is_read_in_parts_and_by_what_it_is_about(service, institution):
    auditor = institution.person("aud", Role.AUDITOR)
    for n in range(5):
        institution.person(f"p{n}", Role.SUBMITTER)
    everything = acts(service, auditor, most=500).acts
    assert [one.id for one in everything] == sorted((one.id for one in everything), reverse=True)
    first = acts(service, auditor, most=7)
    rest = acts(service, auditor, before=first.older, most=500)
    assert [one.id for one in [*first.acts, *rest.acts]] == [one.id for one in everything]
    assert rest.older is None
    assert {one.about for one in acts(service, auditor, about="person 2").acts} == {"person 2"}
    assert {one.act for one in acts(service, auditor, act="sign_in").acts} == {"sign_in"}
    assert acts(service, auditor, about="%").acts == []
    page = institution.browser("aud").get("/acts", params={"act": "add_person"}).text
    assert page.count('<th scope="row" class="keep">add person</th>') == 6


@each_database
def test_the_check_finds_what_was_changed_behind_the_service(service, institution):
    auditor = institution.person("aud", Role.AUDITOR)
    chain = check_chain(service, auditor)
    assert (chain.count, chain.damaged) == (3, None)
    assert chain.head in institution.browser("aud").get("/acts/check").text
    with service.database.engine.connect() as connection:  # as somebody who may do anything to the database
        if connection.dialect.name == "sqlite":
            connection.execute(text("DROP TRIGGER acts_no_update"))
        else:
            connection.execute(text("ALTER TABLE acts DISABLE TRIGGER ALL"))
        connection.execute(text('UPDATE acts SET detail = \'{"roles": ["approver"]}\' WHERE id = 1'))
        connection.commit()
    assert check_chain(service, auditor).damaged == 1
    assert "does not follow" in institution.browser("aud").get("/acts/check").text


def test_tokens_of_others_are_out_of_reach_and_a_token_makes_no_other(service, institution, sub):
    other = institution.person("other", Role.SUBMITTER)
    secret = new_token(service, sub, " nightly ", frozenset({Act.MANAGE_OWN_TOKENS, Act.SEE_RUNS}), 30)
    (token,) = own_tokens(service, sub)
    assert (token.label, token.prefix) == ("nightly", secret[:10])
    assert own_tokens(service, other) == []
    with pytest.raises(InputError, match="no such token"):
        revoke_token(service, other, token.id)
    with pytest.raises(NotAllowed, match="at a browser"):
        new_token(service, caller_of_token(service, secret), "longer", frozenset({Act.SEE_RUNS}), 366)
    revoke_token(service, sub, token.id)
    assert caller_of_token(service, secret) is None
    assert own_tokens(service, sub) == []


def test_a_token_is_made_and_ended_by_forms_and_shown_once(institution, sub):
    browser = institution.browser("sub")
    form = {"form_token": form_token(browser.get("/tokens").text), "label": "ci", "days": "30", "scopes": ["see_runs"]}
    made = browser.post("/tokens", data=form)
    secret = made.text.partition("<code>")[2].partition("</code>")[0]
    assert secret.startswith("psy_")
    assert secret not in browser.get("/tokens").text
    program = institution.browser()
    me = program.get("/api/v1/me", headers={"authorization": f"Bearer {secret}"})
    assert (me.json()["name"], me.json()["scopes"]) == ("sub", ["see_runs"])
    refused = browser.post("/tokens", data={**form, "scopes": ["approve"]})
    assert refused.status_code == 422
    assert "only those that you have yourself" in refused.text
    assert browser.post("/tokens/1/revoke", data={"form_token": form["form_token"]}).status_code == 303
    assert program.get("/api/v1/me", headers={"authorization": f"Bearer {secret}"}).status_code == 401


@each_database
def test_programs_read_what_pages_show(service, institution, sub):
    auditor = institution.person("aud", Role.AUDITOR)
    a_run(service, sub, "r", RunState.TO_DECIDE)
    scopes = frozenset({Act.SEE_ACTS, Act.SEE_RUNS, Act.SEE_BUDGET})
    headers = {"authorization": f"Bearer {new_token(service, auditor, 'x', scopes, 1)}"}
    program = institution.browser()
    chain = program.get("/api/v1/acts/check", headers=headers).json()
    listed = program.get("/api/v1/acts", headers=headers).json()["acts"]
    assert (chain["count"], chain["head"], chain["damaged"]) == (len(listed), listed[0]["digest"], None)
    assert listed[0]["before"] == listed[1]["digest"]
    here = program.get("/api/v1/overview", headers=headers).json()
    assert here == {
        "waiting": [], "states": {"to_decide": 1}, "paused": [], "disabled": [], "keys": [], "invited": None,
    }  # fmt: skip
    assert [one["dataset"] for one in program.get("/api/v1/budgets", headers=headers).json()] == ["wards"]

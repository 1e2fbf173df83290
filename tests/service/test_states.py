"""Every act on a run, in every state and for every role: done or refused, as the tables of the code say."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from service.deciders import RUN
from service.test_privileges import refusal
from sqlalchemy import text

from privsynth.errors import CheckFailed
from privsynth.service.decisions import answering, deciding, publishing, sheet
from privsynth.service.roles import ALLOWED, Act, Role
from privsynth.service.states import NEXT, WHEN, RunState

REQUESTS = {
    Act.SEE_RUNS: ("", None),
    Act.CANCEL: ("/cancel", {}),
    Act.ANSWER_CHANGES: ("/answer", {"comment": "c"}),
    Act.SEE_OFFICER_REPORT: ("/officer/report.html", None),
    Act.SEE_OFFERS: ("/hand-out", None),
    Act.REVIEW: ("/decide", {"meaning": "reviewed"}),
    Act.APPROVE: ("/decide", {"meaning": "approved"}),
    Act.PUBLISH: ("/publish", {}),
    Act.OFFER: ("/offers", {"recipient": "r", "terms": "t", "days": "1"}),
    Act.REVOKE: ("/revoke", {"reason": "r"}),
}
PEOPLE = {Role.SUBMITTER: "sue", Role.REVIEWER: "rita", Role.APPROVER: "ann", Role.KEY_ADMIN: "kim",
          Role.AUDITOR: "aud", Role.ADMINISTRATOR: "ada"}  # fmt: skip
BEGUN = "the act was begun"


@contextmanager
def _begun(*_):
    raise CheckFailed(BEGUN)
    yield


@pytest.fixture
def stopped(deciders, monkeypatch):
    """Deciders in whose service nothing is signed: an act that is allowed stops where it would begin."""
    deciders.institution.person("aud", Role.AUDITOR)
    deciders.institution.person("ada", Role.ADMINISTRATOR)
    for module in (answering, deciding, publishing):
        monkeypatch.setattr(module, "alone", _begun)
    monkeypatch.setattr(sheet, "settle", lambda *_: None)
    with deciders.service.database.engine.connect() as connection:
        connection.execute(text("DROP TRIGGER runs_enough_approvals_update"))
        connection.commit()
    return deciders


def found(deciders, role: Role, act: Act) -> str:
    path, form = REQUESTS[act]
    browser = deciders.institution.browser(PEOPLE[role])
    if form is None:
        answer = browser.get(f"/runs/{RUN}{path}")
    else:
        answer = browser.post(
            f"/runs/{RUN}{path}", data={"form_token": deciders.again(PEOPLE[role]).form_token, **form}
        )
    if refusal(answer) == "role":
        return "role"
    if answer.status_code in (200, 303) or BEGUN in answer.text.lower():
        return "done"
    return "state" if answer.status_code in (403, 422) and 'class="problem"' in answer.text else answer.text


@pytest.mark.slow
def test_every_act_in_every_state_for_every_role(stopped):
    assert set(REQUESTS) == set(WHEN)
    wrong = []
    for state in RunState:
        for act in WHEN:
            for role in Role:
                with stopped.service.database.writing() as session:
                    session.execute(text("UPDATE runs SET state = :state, cancelled = false"), {"state": state})
                said = found(stopped, role, act)
                if said != ("role" if role not in ALLOWED[act] else "done" if state in WHEN[act] else "state"):
                    wrong.append((state, act, role, said))
                after = RunState(stopped.run().state)
                if after != state and (said != "done" or after not in NEXT[state]):
                    wrong.append((state, act, role, f"is now {after}"))
    assert wrong == []

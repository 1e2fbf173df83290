"""Who asks too often waits, is told for how long, and costs no memory."""

from __future__ import annotations

from dataclasses import replace

import pytest
from service.conftest import Institution

from privsynth.errors import TooManyRequests
from privsynth.service.roles import Act, Role
from privsynth.service.sign_in import WRONG_OF_NAME
from privsynth.service.tokens import new_token
from privsynth.service.web.rates import RateLimit


def served(limit: RateLimit, key: str, now: float) -> bool:
    try:
        limit.require(key, now)
    except TooManyRequests:
        return False
    return True


def test_a_minutes_worth_is_served_at_once_and_then_one_by_one():
    limit = RateLimit(30)
    assert [served(limit, "a", 100.0) for _ in range(31)] == [True] * 30 + [False]
    assert served(limit, "b", 100.0)
    with pytest.raises(TooManyRequests, match="in 2 seconds") as refused:
        limit.require("a", 100.0)
    assert refused.value.retry_after_s == 2
    assert not served(limit, "a", 101.9)
    assert [served(limit, "a", 102.0) for _ in range(2)] == [True, False]
    assert [served(limit, "a", 1000.0) for _ in range(31)] == [True] * 30 + [False]


def test_no_limit_and_a_clock_that_is_set_back():
    assert all(served(RateLimit(0), "a", 0.0) for _ in range(1000))
    limit = RateLimit(1)
    assert served(limit, "a", 10_000.0)
    assert not served(limit, "a", 0.0)
    with pytest.raises(TooManyRequests) as refused:
        limit.require("a", 0.0)
    assert refused.value.retry_after_s <= 60


def test_what_is_remembered_has_a_bound_and_the_busy_are_not_forgotten():
    limit = RateLimit(2, most_keys=10)
    assert [served(limit, "busy", 0.0) for _ in range(2)] == [True, True]
    for number in range(9):
        assert served(limit, f"once {number}", 0.0)
    assert len(limit) == 10
    assert not served(limit, "busy", 0.0)
    assert served(limit, "one more", 0.0)
    assert len(limit) == 10


def strict(service, **limits: int) -> Institution:
    return Institution(replace(service, settings=service.settings.model_copy(update=limits)))


def test_programs_of_one_person_share_their_allowance(service, clock):
    institution = strict(service, person_requests_per_minute=3)
    sub, other = (institution.person(name, Role.SUBMITTER) for name in ("sub", "other"))
    bearers = [
        {"authorization": f"Bearer {new_token(service, who, 'x', frozenset({Act.SEE_RUNS}), 1)}"}
        for who in (sub, sub, other)
    ]
    browser = institution.browser()

    def ask(number: int):
        return browser.get("/api/v1/me", headers=bearers[number])

    assert [ask(number).status_code for number in (0, 1, 0, 1, 2)] == [200, 200, 200, 429, 200]
    refused = ask(0)
    assert refused.json() == {"error": "there were too many requests: try again in 20 seconds", "exit_code": 7}
    assert refused.headers["retry-after"] == "20"
    clock.move(seconds=20)
    assert ask(0).status_code == 200


def test_an_address_is_slowed_down_before_anybody_is_looked_up(service):
    institution = strict(service, address_requests_per_minute=2)
    institution.person("sub", Role.SUBMITTER)
    browser = institution.browser("sub")
    answers = [browser.get("/api/v1/me", headers={"authorization": "Bearer psy_wrong"}) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [401, 401, 429]
    page = browser.post("/sign-in", data={"name": "sub", "password": "x"})
    assert (page.status_code, page.headers["retry-after"]) == (429, "30")
    assert "too many requests: try again in 30 seconds" in page.text
    assert page.headers["content-security-policy"]
    assert browser.get("/runs").status_code == 200  # who has signed in works on


def test_too_many_wrong_passwords_are_told_to_wait(institution):
    institution.person("sub", Role.SUBMITTER)
    browser = institution.browser()
    sent = {"name": "sub", "password": "x"}
    answers = [browser.post("/sign-in", data=sent) for _ in range(WRONG_OF_NAME + 1)]
    assert {answer.status_code for answer in answers[:-1]} == {403}
    assert (answers[-1].status_code, answers[-1].headers["retry-after"]) == (429, "900")
    assert "There were too many attempts to sign in" in answers[-1].text

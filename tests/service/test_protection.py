"""What a request from elsewhere cannot do, and what every answer carries."""

from __future__ import annotations

import pytest
from service.people import form_token

from privsynth.service.roles import Role


@pytest.fixture
def boss(institution):
    institution.person("boss", Role.ADMINISTRATOR)
    return institution.browser("boss")


def test_every_answer_says_what_a_browser_may_do(boss):
    for path in ("/people", "/sign-in", "/nowhere", "/style.css"):
        headers = boss.get(path).headers
        assert headers["content-security-policy"].startswith("default-src 'none'; style-src 'self'")
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "", "origin": "https://evil.example"}, 403),
        ({"sec-fetch-site": "", "origin": "null"}, 403),
        ({"sec-fetch-site": "", "origin": "http://testserver"}, 303),
        ({"sec-fetch-site": "same-origin"}, 303),
        ({"host": "evil.example"}, 403),
    ],
)
def test_forms_of_other_sites_are_refused(boss, headers, status):
    token = form_token(boss.get("/people").text)
    assert boss.post("/sign-out", data={"form_token": token}, headers=headers).status_code == status


def test_a_form_of_another_session_is_refused(institution, boss):
    institution.person("ben", Role.SUBMITTER)
    other = form_token(boss.get("/people").text)
    answer = institution.browser("ben").post("/sign-out", data={"form_token": other})
    assert answer.status_code == 403
    assert "earlier session" in answer.text


def test_what_was_given_is_not_repeated(boss):
    answer = boss.post("/sign-in", data={"password": "hunter2" * 400})
    assert answer.status_code == 422
    assert "hunter2" not in answer.text

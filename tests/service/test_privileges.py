"""Every route, for every role, for a token with and without its scope, and for nobody."""

from __future__ import annotations

import re

import pytest
from service.people import form_token
from service.privileges import MATRIX, POST, Open, Privilege, flattened

from privsynth.service.roles import ALLOWED, Act, Role
from privsynth.service.tokens import new_token
from privsynth.service.web.app import LOST_FORM

FILLERS = {"run_id": "run-0", "secret": "s", "keyid": "0" * 64}  # of things that are not there; others are numbers


def address(privilege: Privilege) -> str:
    return re.sub(r"{(\w+)(?::\w+)?}", lambda found: FILLERS.get(found[1], "999999"), privilege.path)


@pytest.fixture(scope="module")
def rows() -> list[Privilege]:
    return list(MATRIX)


@pytest.fixture
def staff(institution):
    """One person of each role."""
    return {role: institution.person(role.replace("_", "-"), role) for role in Role}


def refusal(answer) -> str:
    """Return how an answer says no: "nobody", "role", "scope", or "" where it does not."""
    if answer.status_code == 303 and answer.headers["location"] in ("/sign-in", LOST_FORM):
        return "" if "set-cookie" in answer.headers else "nobody"  # signing out takes the cookie away
    if answer.status_code == 401:
        return "nobody"
    if answer.status_code != 403:
        return ""
    return (
        "role"
        if re.search("needs (the role|one of the roles)", answer.text)
        else "scope"
        if "token is not for" in answer.text
        else ""
    )


def ask(browser, privilege: Privilege, *, form: dict[str, str] | None = None, **headers: str):
    data = {**privilege.form, **(form or {})} if privilege.method == POST else None
    api_body = {"json": privilege.form or None} if "/api/" in privilege.path and privilege.form else {"data": data}
    return browser.request(privilege.method, address(privilege), params=privilege.query, headers=headers, **api_body)


def test_the_matrix_names_every_route_and_no_other(institution):
    served = {
        (method, route.path)
        for route in flattened(institution.app.routes)
        for method in (route.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert served == {(one.method, one.path) for one in MATRIX}


def test_every_page_is_for_its_roles_and_for_nobody_else(institution, staff, rows):
    wrong = []
    pages = [one for one in rows if "/api/" not in one.path]
    for role in Role:
        browser = institution.browser(role.replace("_", "-"))
        token = form_token(browser.get("/tokens").text)
        for one in pages:
            allowed = isinstance(one.takes, Open) or role in ALLOWED[one.takes]
            found = refusal(ask(browser, one, form={"form_token": token}))
            if found != ("" if allowed else "role"):
                wrong.append((role, one.method, one.path, found))
    nobody = institution.browser()
    for one in pages:
        found, answer = "nobody", ask(nobody, one)
        if one.takes is Open.ANYBODY:
            found = "" if answer.headers.get("location") in (None, "/sign-in", LOST_FORM) else "elsewhere"
            expected = ""
        else:
            found, expected = refusal(answer), "nobody"
        if found != expected:
            wrong.append(("nobody", one.method, one.path, found))
    assert wrong == []


def test_forms_without_the_sessions_own_token_do_nothing(institution, staff, rows):
    for one in rows:
        if one.method != POST or "/api/" in one.path or one.takes is Open.ANYBODY:
            continue
        role = next(iter(ALLOWED[one.takes] if isinstance(one.takes, Act) else Role))
        answer = ask(institution.browser(role.replace("_", "-")), one)
        assert (answer.status_code, "earlier session" in answer.text) == (403, True), one.path


def test_every_part_of_the_api_takes_its_role_and_its_scope(service, institution, staff, rows):
    wrong, browser = [], institution.browser()
    programs = [one for one in rows if "/api/v1/" in one.path]
    for role, person in staff.items():
        for one in programs:
            if isinstance(one.takes, Open):
                scopes, others = frozenset({Act.MANAGE_OWN_TOKENS}), None
            else:
                scopes = frozenset({one.takes}) if person.may(one.takes) else frozenset({Act.MANAGE_OWN_TOKENS})
                others = frozenset(act for act in Act if person.may(act)) - {one.takes}
            secret = new_token(service, person, "with", scopes, 1)
            found = refusal(ask(browser, one, authorization=f"Bearer {secret}"))
            expected = "" if isinstance(one.takes, Open) or person.may(one.takes) else "role"
            if found != expected:
                wrong.append((role, one.method, one.path, found))
            if others and expected == "":
                secret = new_token(service, person, "without", others, 1)
                if refusal(ask(browser, one, authorization=f"Bearer {secret}")) != "scope":
                    wrong.append((role, one.method, one.path, "not by scope"))
    for one in programs:  # no token, a wrong one, and the cookie of somebody who may
        person = next(iter(ALLOWED[one.takes] if isinstance(one.takes, Act) else Role))
        for who, headers in ((browser, {}), (browser, {"authorization": "Bearer psy_x"}),
                             (institution.browser(person.replace("_", "-")), {})):  # fmt: skip
            if refusal(ask(who, one, **headers)) != "nobody":
                wrong.append((person, one.method, one.path, "open"))
    assert wrong == []

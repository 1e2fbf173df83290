"""Signing in through a provider: a real one that the test starts, and answers that somebody forged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest
from fastapi.testclient import TestClient
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey
from oidc_provider_mock import User, run_server_in_thread
from sqlalchemy import select

from privsynth.errors import ConfigError, NotAllowed, ServiceUnavailable
from privsynth.service.context import now_utc
from privsynth.service.oidc import LIFETIME, Provider, _claims, answered, ask
from privsynth.service.people import deactivate
from privsynth.service.roles import Role
from privsynth.service.settings import ServiceSettings, read_settings
from privsynth.service.sign_in import caller_of_session, confirm
from privsynth.service.store.people import Person
from privsynth.service.web.app import create_app

ROLES = {"data-office": (Role.APPROVER,), "analysts": (Role.SUBMITTER,), "keys": (Role.KEY_ADMIN,)}
BACK = "http://testserver/sign-in/answer"


@pytest.fixture(scope="module")
def provider() -> Iterator[tuple[str, User]]:
    """A provider at which Anna is in one group that counts here."""
    anna = User(sub="anna-1", claims={"name": "Anna Meier", "groups": ["analysts", "choir"]})
    nobody = User(sub="nobody-1", claims={"name": "No Body", "groups": ["choir"]})
    torn = User(sub="torn-1", claims={"groups": ["data-office", "keys"]})
    with run_server_in_thread(user_claims=[anna, nobody, torn]) as server:
        yield f"http://localhost:{server.server_port}", anna


@pytest.fixture
def here(service, provider, tmp_path):
    (tmp_path / "client").write_text("a secret of this client\n")
    settings = ServiceSettings(
        public_url="http://testserver",
        oidc_issuer=provider[0],
        oidc_client_id="privsynth",
        oidc_roles=ROLES,
        oidc_client_secret_file=str(tmp_path / "client"),
    )
    return replace(service, settings=settings, now=now_utc)


def at_the_provider(address: str, subject: str) -> dict[str, str]:
    """Sign in at the provider, and return what it sends back."""
    answer = httpx.post(address, data={"sub": subject})
    assert answer.status_code == 302, answer.text
    return dict(httpx.URL(answer.headers["location"]).params)


def sign_in_as(service, subject: str) -> str:
    question = ask(service, BACK)
    told = at_the_provider(question.address, subject)
    return answered(service, question.cookie, told["code"], told["state"])


def test_a_person_gets_the_roles_of_their_groups_and_stays_the_same_person(here, provider):
    first = caller_of_session(here, sign_in_as(here, "anna-1"))
    assert (first.display, first.roles) == ("Anna Meier", {Role.SUBMITTER})
    old = sign_in_as(here, "anna-1")
    provider[1].claims["groups"] = ["data-office"]
    try:
        second = caller_of_session(here, sign_in_as(here, "anna-1"))
    finally:
        provider[1].claims["groups"] = ["analysts", "choir"]
    assert second.person_id == first.person_id
    assert second.roles == {Role.APPROVER}
    assert caller_of_session(here, old) is None  # sessions with other roles ended
    with pytest.raises(NotAllowed, match="sign out, sign in again"):
        confirm(here, second, "", "10.0.0.1")


@pytest.mark.parametrize(("subject", "why"), [("nobody-1", "no role in this service"), ("torn-1", "cannot be")])
def test_who_is_in_no_group_or_in_two_that_are_apart_does_not_get_in(here, subject, why):
    with pytest.raises(NotAllowed, match=why):
        sign_in_as(here, subject)
    with here.database.reading() as session:
        assert session.scalars(select(Person)).all() == []


def test_access_that_ended_here_is_not_regained_there(here, institution):
    anna = caller_of_session(here, sign_in_as(here, "anna-1"))
    deactivate(here, institution.person("boss", Role.ADMINISTRATOR), anna.person_id)
    with pytest.raises(NotAllowed, match="was ended"):
        sign_in_as(here, "anna-1")


def test_an_answer_counts_once_and_only_in_the_browser_that_asked(here):
    question, other = ask(here, BACK), ask(here, BACK)
    told = at_the_provider(question.address, "anna-1")
    with pytest.raises(NotAllowed, match="another browser"):
        answered(here, other.cookie, told["code"], told["state"])
    for cookie in ("", "00", question.cookie[:-2] + "00"):
        with pytest.raises(NotAllowed, match="took too long, or began in another browser"):
            answered(here, cookie, told["code"], told["state"])
    later = replace(here, now=lambda: now_utc() + LIFETIME + timedelta(seconds=1))
    with pytest.raises(NotAllowed, match="took too long"):
        answered(later, question.cookie, told["code"], told["state"])
    assert answered(here, question.cookie, told["code"], told["state"])
    with pytest.raises(NotAllowed, match="did not confirm"):
        answered(here, question.cookie, told["code"], told["state"])


def test_a_code_of_another_question_is_refused(here):
    mine, theirs = ask(here, BACK), ask(here, BACK)
    stolen = at_the_provider(theirs.address, "anna-1")
    state = at_the_provider(mine.address, "anna-1")["state"]
    with pytest.raises(NotAllowed, match="did not confirm"):  # the verifier of PKCE is another one
        answered(here, mine.cookie, stolen["code"], state)


def test_in_a_browser(here):
    browser = TestClient(create_app(here), follow_redirects=False)
    assert "Sign in with localhost" in browser.get("/sign-in").text
    asked = browser.get("/sign-in/provider")
    told = at_the_provider(asked.headers["location"], "anna-1")
    entered = browser.get("/sign-in/answer", params=told, headers={"sec-fetch-site": "cross-site"})
    assert (entered.status_code, entered.headers["location"]) == (303, "/")
    assert "privsynth" in browser.cookies
    assert "privsynth-question" not in browser.cookies
    denied = browser.get("/sign-in/answer", params={"error": "access_denied"})
    assert denied.status_code == 403
    assert "sign in again" in denied.text


def test_without_a_provider_there_are_no_such_pages(institution):
    for path in ("/sign-in/provider", "/sign-in/answer"):
        assert institution.browser().get(path).status_code == 404


@pytest.fixture(scope="module")
def key():
    return ECKey.generate_key("P-256", {"kid": "1"})


def claims(**changes):
    now = int(now_utc().timestamp())
    told = {"iss": "i", "sub": "s", "aud": "privsynth", "nonce": "n", "iat": now, "exp": now + 300, **changes}
    return {name: value for name, value in told.items() if value is not None}


def test_a_token_that_fits_is_believed(here, key):
    token = jwt.encode({"alg": "ES256", "kid": "1"}, claims(), key)
    assert _claims(here, KeySet([key]), token, "n")["sub"] == "s"


@pytest.mark.parametrize(
    "changes",
    [{"aud": "another"}, {"aud": None}, {"nonce": "other"}, {"nonce": None}, {"exp": 1}, {"exp": None}, {"sub": None},
     {"iss": None}, {"azp": "another"}, {"aud": ["privsynth", "x"], "azp": "x"}],
)  # fmt: skip
def test_a_token_in_which_something_does_not_fit_is_not(here, key, changes):
    token = jwt.encode({"alg": "ES256", "kid": "1"}, claims(**changes), key)
    with pytest.raises(NotAllowed, match="did not confirm"):
        _claims(here, KeySet([key]), token, "n")


def test_a_token_of_somebody_else_or_signed_with_what_is_public_is_not(here, key):
    other = ECKey.generate_key("P-256", {"kid": "1"})
    public = OctKey.import_key(key.as_dict(private=False)["x"])
    forged = [
        jwt.encode({"alg": "ES256", "kid": "1"}, claims(), other),
        jwt.encode({"alg": "HS256", "kid": "1"}, claims(), public, algorithms=["HS256"]),
        jwt.encode({"alg": "none"}, claims(), OctKey.import_key("x" * 32), algorithms=["none"]),
        "", "a.b.c",
    ]  # fmt: skip
    for token in forged:
        with pytest.raises(NotAllowed, match="did not confirm"):
            _claims(here, KeySet([key]), token, "n")


@pytest.mark.parametrize("issuer", ["http://login.example.org", "ftp://x", "login.example.org"])
def test_a_provider_without_tls_is_refused(issuer):
    with pytest.raises(ConfigError, match="https"):
        Provider(ServiceSettings(oidc_issuer=issuer, oidc_client_id="c"))


def test_a_provider_that_does_not_answer_is_one_sentence(here):
    settings = here.settings.model_copy(update={"oidc_issuer": "http://localhost:9"})
    with pytest.raises(ServiceUnavailable, match="does not answer"):
        ask(replace(here, settings=settings), BACK)


def test_roles_come_from_the_environment_as_json():
    told = {"PRIVSYNTH_SERVICE_OIDC_ROLES": '{"data-office": ["approver", "reviewer"]}'}
    assert read_settings(None, told).oidc_roles == {"data-office": (Role.APPROVER, Role.REVIEWER)}
    for wrong in ("{", '{"a": ["king"]}'):
        with pytest.raises(ConfigError, match="oidc_roles"):
            read_settings(None, {"PRIVSYNTH_SERVICE_OIDC_ROLES": wrong})

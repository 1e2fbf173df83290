"""Programs are equals of the pages: every act has a twin in the API, and what is sent twice is done once."""

from __future__ import annotations

import io
import zipfile

import pytest
from service.deciders import PASSPHRASE, RUN
from service.privileges import MATRIX
from service.releases import desk

from privsynth.service.keys.people import make_own_key
from privsynth.service.roles import Act, Role
from privsynth.service.tokens import new_token

# Page -> where a program does or reads the same.
TWINS = {
    "GET /": "GET /api/v1/overview",
    "GET /tokens": "GET /api/v1/tokens",
    "POST /tokens/{token_id}/revoke": "POST /api/v1/tokens/{token_id}/revoke",
    "GET /people": "GET /api/v1/people",
    "POST /people": "POST /api/v1/people",
    "POST /people/{person_id}/roles": "PUT /api/v1/people/{person_id}/roles",
    "POST /people/{person_id}/invite": "POST /api/v1/people/{person_id}/invitation",
    "POST /people/{person_id}/deactivate": "POST /api/v1/people/{person_id}/deactivation",
    "GET /retention": "GET /api/v1/retention",
    "POST /retention/holds": "POST /api/v1/retention/holds",
    "POST /retention/holds/{hold_id}/lift": "POST /api/v1/retention/holds/{hold_id}/lift",
    "POST /retention/deletions": "POST /api/v1/retention/deletions",
    "GET /retention/certificates/{deletion_id}": "GET /api/v1/retention/certificates/{deletion_id}",
    "GET /erasure": "GET /api/v1/erasure",
    "POST /erasure": "POST /api/v1/erasure",
    "GET /erasure/{number}": "GET /api/v1/erasure/{number}",
    "GET /acts": "GET /api/v1/acts",
    "GET /acts/check": "GET /api/v1/acts/check",
    "GET /sources": "GET /api/v1/sources",
    "POST /sources": "POST /api/v1/sources",
    "GET /sources/{source_id}": "GET /api/v1/sources/{source_id}",
    "GET /sources/{source_id}/columns": "GET /api/v1/sources/{source_id}/columns",
    "POST /sources/{source_id}/columns": "PUT /api/v1/sources/{source_id}/columns",
    "POST /sources/{source_id}/schema": "PUT /api/v1/sources/{source_id}/schema",
    "POST /sources/{source_id}/retire": "POST /api/v1/sources/{source_id}/retire",
    "POST /sources/upload": "POST /api/v1/sources/upload",
    "GET /runs": "GET /api/v1/runs",
    "POST /runs/plan": "POST /api/v1/plans",
    "POST /runs": "POST /api/v1/runs",
    "GET /runs/{run_id}": "GET /api/v1/runs/{run_id}",
    "POST /runs/{run_id}/answer": "POST /api/v1/runs/{run_id}/answer",
    "POST /runs/{run_id}/cancel": "POST /api/v1/runs/{run_id}/cancel",
    "GET /schedules": "GET /api/v1/schedules",
    "POST /schedules/plan": "POST /api/v1/schedules/plan",
    "POST /schedules": "POST /api/v1/schedules",
    "POST /schedules/budget": "PUT /api/v1/yearly-budgets",
    "GET /schedules/{schedule_id}": "GET /api/v1/schedules/{schedule_id}",
    "POST /schedules/{schedule_id}/pause": "POST /api/v1/schedules/{schedule_id}/pause",
    "POST /schedules/{schedule_id}/resume": "POST /api/v1/schedules/{schedule_id}/resume",
    "POST /schedules/{schedule_id}/end": "POST /api/v1/schedules/{schedule_id}/end",
    "GET /webhooks": "GET /api/v1/webhooks",
    "POST /webhooks": "POST /api/v1/webhooks",
    "GET /webhooks/{webhook_id}": "GET /api/v1/webhooks/{webhook_id}",
    "POST /webhooks/{webhook_id}/secret": "POST /api/v1/webhooks/{webhook_id}/secret",
    "POST /webhooks/{webhook_id}/state": "PUT /api/v1/webhooks/{webhook_id}/state",
    "POST /webhooks/{webhook_id}/test": "POST /api/v1/webhooks/{webhook_id}/test",
    "POST /deliveries/{delivery_id}/again": "POST /api/v1/deliveries/{delivery_id}/again",
    "GET /runs/{run_id}/decide": "GET /api/v1/runs/{run_id}/decision",
    "POST /runs/{run_id}/decide": "POST /api/v1/runs/{run_id}/decision",
    "GET /runs/{run_id}/officer/report.html": "GET /api/v1/runs/{run_id}/reports/officer",
    "GET /runs/{run_id}/public/report.html": "GET /api/v1/runs/{run_id}/reports/public",
    "GET /runs/{run_id}/hand-out": "GET /api/v1/runs/{run_id}/offers",
    "GET /runs/{run_id}/edition.zip": "GET /api/v1/runs/{run_id}/edition",
    "POST /runs/{run_id}/publish": "POST /api/v1/runs/{run_id}/publication",
    "POST /runs/{run_id}/revoke": "POST /api/v1/runs/{run_id}/revocation",
    "POST /runs/{run_id}/offers": "POST /api/v1/runs/{run_id}/offers",
    "POST /offers/{offer_id}/withdraw": "POST /api/v1/offers/{offer_id}/withdrawal",
    "GET /my-key": "GET /api/v1/my-key",
    "POST /runs/{run_id}/decision-request": "POST /api/v1/runs/{run_id}/decision-request",
    "POST /runs/{run_id}/signed-decision": "POST /api/v1/runs/{run_id}/signed-decision",
    "GET /keys": "GET /api/v1/keys",
    "POST /keys/enter/{person_id}": "POST /api/v1/keys",
    "POST /keys/revoke/{keyid}": "POST /api/v1/keys/{keyid}/revocation",
}
# Page -> why a program cannot do the same.
PAGES_ALONE = {
    "POST /sign-in": "a program has a token",
    "GET /sign-in": "a program has a token",
    "GET /sign-in/provider": "a program has a token",
    "GET /sign-in/answer": "a program has a token",
    "POST /sign-out": "a program revokes its token",
    "GET /welcome/{secret}": "a person chooses a password, which is typed",
    "POST /welcome/{secret}": "a person chooses a password, which is typed",
    "POST /tokens": "whoever found a token could outlive its end with another one",
    "POST /my-key": "whoever found a token could put a key of their own in the place of the person's",
    "GET /my-key/challenge": "as above",
    "POST /my-key/attach": "as above",
    "GET /runs/new": "a form; its choices are those of the API's description",
    "GET /schedules/new": "a form; its choices are those of the API's description",
    "GET /download/{secret}": "of a recipient, who has a link and no token; it needs no browser",
    "POST /download/{secret}/accept": "of a recipient, who has a link and no token; it needs no browser",
    "GET /download/{secret}/release.zip": "of a recipient, who has a link and no token; it needs no browser",
    "GET /style.css": "of pages",
    "GET /favicon.svg": "of pages",
    "GET /verify.html": "open to everybody",
    "GET /keyring.json": "open to everybody, and JSON",
    "GET /revocations.json": "open to everybody, and JSON",
    "GET /log/checkpoint": "open to everybody, as readers of logs expect it",
    "GET /log/key": "open to everybody, as readers of logs expect it",
    "GET /log/tile/{name:path}": "open to everybody, as readers of logs expect it",
    "GET /api/openapi.json": "describes the API",
}


def test_every_act_of_the_pages_has_a_twin_in_the_api_that_takes_the_same():
    takes = {f"{one.method} {one.path}": one.takes for one in MATRIX}
    pages = {name for name in takes if "/api/v1/" not in name}
    assert pages == TWINS.keys() | PAGES_ALONE.keys(), "give the new page a twin in the API, or say why it has none"
    assert not TWINS.keys() & PAGES_ALONE.keys()
    weaker = {page: twin for page, twin in TWINS.items() if takes[page] != takes[twin]}
    assert weaker == {"POST /runs/{run_id}/decide": "POST /api/v1/runs/{run_id}/decision"}  # to say what is wrong, the
    # page of the form shows the release again, which takes more than to decide
    several = {"GET /api/v1/me", "GET /api/v1/budgets", "GET /api/v1/yearly-budgets"}  # of every page, or parts of one
    assert set(takes) - pages - set(TWINS.values()) == several


class Client:
    """A program of a person, with a token for all that they may do."""

    def __init__(self, institution, name: str, caller) -> None:
        scopes = frozenset(act for act in Act if caller.may(act))
        self._bearer = {"authorization": f"Bearer {new_token(institution.service, caller, name, scopes, 1)}"}
        self._http = institution.browser()

    def __call__(self, method: str, path: str, *, once: str = "", **more):
        headers = self._bearer | ({"idempotency-key": once} if once else {})
        return self._http.request(method, f"/api/v1{path}", headers=headers, **more)


def test_people_are_managed_by_a_program_and_invited_once(institution):
    boss = Client(institution, "boss", institution.person("boss", Role.ADMINISTRATOR))
    sent = {"name": "ben", "display": "Ben", "roles": ["reviewer"]}
    first, again = (boss("POST", "/people", once="monday", json=sent) for _ in range(2))
    assert (first.status_code, first.json()) == (201, again.json())
    other = boss("POST", "/people", once="monday", json=sent | {"roles": ["auditor"]})
    assert (other.status_code, other.json()["exit_code"]) == (422, 2)
    assert boss("POST", "/people", json=sent).status_code == 422  # without the key it is another request
    number = first.json()["id"]
    links = [boss("POST", f"/people/{number}/invitation", once=once).json()["link"] for once in ("x", "x", "y")]
    assert links[0] == links[1] != links[2]
    assert institution.browser().post(links[2], data={"password": "a horse and a staple"}).status_code == 303
    changed = boss("PUT", f"/people/{number}/roles", json={"roles": ["auditor"]})
    assert changed.json()["roles"] == ["auditor"]
    assert boss("POST", f"/people/{number}/deactivation").json()["active"] is False
    assert [one["name"] for one in boss("GET", "/people").json()] == ["ben", "boss"]
    with institution.service.database.reading() as session:
        from privsynth.service.store.runs import RecordedAct

        invited = [act for act in session.query(RecordedAct) if act.act == "invite_person"]
    assert len(invited) == 2


def test_keys_are_entered_and_revoked_by_a_program(institution):
    rita, kim = institution.person("rita", Role.REVIEWER), institution.person("kim", Role.KEY_ADMIN)
    made = make_own_key(institution.service, rita, PASSPHRASE)
    keeper, reviewer = Client(institution, "kim", kim), Client(institution, "rita", rita)
    assert reviewer("GET", "/my-key").json()["entry"] is None
    wrong = {"person": rita.person_id, "told": "00000000"}
    assert "first eight digits" in keeper("POST", "/keys", json=wrong).json()["error"]
    entered = keeper("POST", "/keys", json=wrong | {"told": made.fingerprint[:8]})
    assert (entered.status_code, entered.json()["entry"]["roles"]) == (201, ["reviewer"])
    keyid = entered.json()["entry"]["keyid"]
    revoked = keeper("POST", f"/keys/{keyid}/revocation", json={"reason": "lost"})
    assert revoked.json()["entry"]["status"] == "revoked"
    assert keeper("GET", "/keys").json() == [revoked.json()]
    assert reviewer("GET", "/my-key").json() == revoked.json()


def test_the_same_source_is_registered_once(institution, tmp_path):
    at = desk(institution, tmp_path)
    boss = Client(institution, "ada", at.admin)
    sent = {"name": "Admissions 2024", "dataset": "admissions", "kind": "file", "place": "admissions.csv"}
    again = boss("POST", "/sources", json=sent)
    assert (again.status_code, again.json()["id"]) == (201, at.source.id)
    for change in ({"dataset": "other"}, {"options": {"encoding": "latin-1"}}, {"place": "other.csv"}):
        (tmp_path / "drop" / "other.csv").write_text("a\n1\n")
        assert "already a source" in boss("POST", "/sources", json=sent | change).json()["error"], change
    query = {"name": "Sent", "dataset": "sent", "file_name": "t.csv"}
    first, same = (boss("POST", "/sources/upload", params=query, content=b"a,b\n1,2\n") for _ in range(2))
    assert first.json() == same.json()
    assert boss("POST", "/sources/upload", params=query, content=b"a,b\n1,3\n").status_code == 422
    assert len(list((at.service.folder / "uploads").iterdir())) == 1


def test_a_program_says_how_a_file_that_it_sends_is_read(institution, tmp_path):
    at = desk(institution, tmp_path)
    boss = Client(institution, "ada", at.admin)
    query = {"name": "Sent", "dataset": "sent", "file_name": "t.csv", "encoding": "cp1252", "delimiter": ";"}
    sent = boss("POST", "/sources/upload", params=query, content="Größe;b\n1;2\n".encode("cp1252"))
    assert (sent.status_code, sent.json()["options"]) == (201, {"encoding": "cp1252", "delimiter": ";"})
    assert "Größe:" in sent.json()["text"]
    query |= {"name": "Others", "encoding": "none such"}
    assert boss("POST", "/sources/upload", params=query, content=b"a;b\n").status_code == 422


@pytest.fixture
def published(deciders):
    for name in ("ann", "bob"):
        assert deciders.decide(name, "approved").status_code == 303
    assert deciders.post("ann", f"/runs/{RUN}/publish").status_code == 303
    return deciders


def test_an_offer_that_is_sent_again_is_the_same_offer(published):
    ann = Client(published.institution, "ann", published.again("ann"))
    sent = {"recipient": "Prof. Koch", "terms": "No linking.", "days": 3}
    first, again = (ann("POST", f"/runs/{RUN}/offers", once="koch", json=sent) for _ in range(2))
    assert first.json() == again.json()
    assert ann("POST", f"/runs/{RUN}/offers", once="koch", json=sent | {"days": 4}).status_code == 422
    assert len(ann("GET", f"/runs/{RUN}/offers").json()) == 1
    assert ann("POST", f"/runs/{RUN}/offers", json=sent).json()["link"] != first.json()["link"]
    assert len(published.acts("offer")) == 2


def test_the_edition_is_downloaded_by_those_who_may_and_only_once_published(published):
    institution = published.institution
    sue = Client(institution, "sue", published.sue)
    page = institution.browser("sue").get(f"/runs/{RUN}/hand-out").text
    assert f'href="/runs/{RUN}/edition.zip"' in page
    sent = sue("GET", f"/runs/{RUN}/edition")
    assert sent.content == institution.browser("sue").get(f"/runs/{RUN}/edition.zip").content
    with zipfile.ZipFile(io.BytesIO(sent.content)) as archive:
        assert "manifest.json" in archive.namelist()
    assert [act.person_id for act in published.acts("download")] == [published.sue.person_id] * 2
    stranger = institution.person("stranger", Role.SUBMITTER)
    assert Client(institution, "stranger", stranger)("GET", f"/runs/{RUN}/edition").status_code == 422
    published.post("ann", f"/runs/{RUN}/revoke", reason="wrong ward")
    revoked = sue("GET", f"/runs/{RUN}/edition")
    assert (revoked.status_code, revoked.json()["exit_code"]) == (409, 9)


def test_nothing_is_downloaded_before_it_is_published(deciders):
    refused = Client(deciders.institution, "sue", deciders.sue)("GET", f"/runs/{RUN}/edition")
    assert (refused.status_code, refused.json()["exit_code"]) == (409, 3)

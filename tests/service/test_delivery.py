"""From an approved release to a recipient: published, offered, downloaded, revoked."""

from __future__ import annotations

import io
import re
import shutil
import zipfile

import pytest
from pipeline.admissions import run as command
from service.deciders import PASSPHRASE, RUN
from service.prepared import each_database

from privsynth.errors import PrivsynthError
from privsynth.service.decisions import publishing
from privsynth.service.roles import Act
from privsynth.service.states import RunState
from privsynth.service.tokens import new_token
from privsynth.signing.verification import verify_folder


@pytest.fixture
def approved(deciders):
    deciders.log()
    command("log", "append", deciders.draft)
    for name in ("ann", "bob"):
        assert deciders.decide(name, "approved").status_code == 303
    return deciders


def link(answer) -> str:
    found = re.search(r"http://testserver(/download/[\w-]+)", answer.text)
    assert found is not None, answer.text
    return found[1]


def offer(deciders, days="14") -> str:
    return link(
        deciders.post("ann", f"/runs/{RUN}/offers", recipient="Prof. Koch", terms="No <b>linking</b>.", days=days)
    )


def test_nothing_is_published_or_offered_before_it_is_approved(deciders):
    deciders.decide("ann", "approved")
    answer = deciders.post("ann", f"/runs/{RUN}/publish")
    assert (answer.status_code, "This release is not approved: its state is" in answer.text) == (422, True)
    answer = deciders.post("ann", f"/runs/{RUN}/offers", recipient="x", terms="y", days="3")
    assert "only a published release" in answer.text.lower()
    assert not (deciders.draft.parent / "edition").exists()


@each_database
def test_a_recipient_gets_the_edition_and_nothing_else(approved, tmp_path):
    assert approved.post("ann", f"/runs/{RUN}/publish").status_code == 303
    assert approved.run().state == RunState.PUBLISHED
    path = offer(approved)
    recipient = approved.institution.browser()
    page = recipient.get(path)
    assert "No &lt;b&gt;linking&lt;/b&gt;." in page.text
    assert "release.zip" not in page.text
    assert recipient.get(f"{path}/release.zip").status_code == 403
    assert recipient.post(f"{path}/accept").status_code == 303
    sent = recipient.get(f"{path}/release.zip")
    assert re.fullmatch(r'attachment; filename="admissions-[0-9a-f]{8}\.zip"', sent.headers["content-disposition"])
    with zipfile.ZipFile(io.BytesIO(sent.content)) as archive:
        archive.extractall(tmp_path / "got")
    names = {str(one.relative_to(tmp_path / "got")) for one in (tmp_path / "got").rglob("*") if one.is_file()}
    public = approved.draft / "public"
    assert names == {str(one.relative_to(public)) for one in public.rglob("*") if one.is_file()}
    (tmp_path / "ring.json").write_bytes(recipient.get("/keyring.json").content)
    done = command("verify", tmp_path / "got", "--keyring", tmp_path / "ring.json")
    assert done.exit_code == 0, done.output
    assert f"approved edition of draft SHA-256 {approved.run().manifest}" in done.output
    assert [(act.person_id, act.about) for act in approved.acts("download")] == [(None, f"run {RUN}")]
    report = approved.institution.browser("sue").get(f"/runs/{RUN}/public/report.html").text
    assert "Approved" in report


@each_database
def test_a_link_ends_is_withdrawn_and_is_never_guessed(approved):
    approved.post("ann", f"/runs/{RUN}/publish")
    first, second, recipient = offer(approved, days="1"), offer(approved), approved.institution.browser()
    number = re.search(r"/offers/(\d+)/withdraw", approved.institution.browser("ann").get(f"/runs/{RUN}/hand-out").text)
    assert approved.post("rita", f"/offers/{number[1]}/withdraw").status_code == 403
    assert approved.post("ann", f"/offers/{number[1]}/withdraw").status_code == 303
    approved.clock.move(days=1, minutes=1)
    refused = [recipient.get(path) for path in (first, second, "/download/guessed")]
    assert [answer.status_code for answer in refused] == [403, 403, 403]
    assert len({answer.text for answer in refused}) == 1


@each_database
def test_what_is_revoked_is_listed_and_handed_out_no_more(approved, tmp_path):
    approved.post("ann", f"/runs/{RUN}/publish")
    path, recipient = offer(approved), approved.institution.browser()
    recipient.post(f"{path}/accept")
    (tmp_path / "before.json").write_bytes(recipient.get("/revocations.json").content)
    told = command("verify", approved.draft.parent / "edition", "--revocations", tmp_path / "before.json")
    assert (told.exit_code, "Revoked     no: not in the list" in told.output) == (0, True), told.output
    assert approved.post("rita", f"/runs/{RUN}/revoke", reason="wrong ward").status_code == 403
    assert approved.post("bob", f"/runs/{RUN}/revoke", reason="wrong ward").status_code == 303
    assert approved.run().state == RunState.REVOKED
    refused = recipient.get(f"{path}/release.zip")
    assert (refused.status_code, "revoked" in refused.text) == (403, True)
    told = {name: approved.institution.browser(name).get(f"/runs/{RUN}/hand-out").text for name in ("ann", "sue")}
    assert all("Revoked by Bob" in page and "wrong ward" in page for page in told.values())
    assert ("ended: the release is revoked" in told["ann"], "Withdraw" in told["ann"]) == (True, False)
    run_page = approved.institution.browser("sue").get(f"/runs/{RUN}").text
    assert ("wrong ward" in run_page, "have to approve it" in run_page) == (True, False)
    (tmp_path / "list.json").write_bytes(recipient.get("/revocations.json").content)
    edition = approved.draft.parent / "edition"
    assert command("verify", edition, "--revocations", tmp_path / "list.json").exit_code == 9
    assert "Revoked" in command("status", approved.draft).output


def test_a_release_that_the_command_line_revoked_is_not_handed_out(approved):
    approved.post("ann", f"/runs/{RUN}/publish")
    path = offer(approved)
    done = command("revoke", approved.draft, "--reason", "wrong ward", "--as", "service")
    assert done.exit_code == 0, done.output
    assert approved.institution.browser().get(path).status_code == 403
    assert "Revoked outside of the service" in approved.institution.browser("ann").get(f"/runs/{RUN}/hand-out").text
    assert approved.run().state == RunState.REVOKED


@each_database
def test_an_edition_that_the_database_missed_is_entered_when_somebody_looks(approved, monkeypatch):
    real, calls = publishing.settle, []

    def settle(service, run_id, done=None):
        calls.append(run_id)
        if len(calls) > 1:
            raise PrivsynthError("the service's database does not answer")
        real(service, run_id)

    monkeypatch.setattr(publishing, "settle", settle)
    answer = approved.post("ann", f"/runs/{RUN}/publish")
    assert (answer.status_code, "The edition is made, and could not be entered" in answer.text) == (503, True)
    assert approved.run().state == RunState.PUBLISHED  # the page that says so has entered it already
    found = verify_folder(approved.draft.parent / "edition", publishing.keyrings_of(approved.service), approved.clock())
    assert found.manifest == approved.run().edition


def test_an_edition_that_was_changed_on_the_disk_is_not_handed_out(approved):
    approved.post("ann", f"/runs/{RUN}/publish")
    path, recipient = offer(approved), approved.institution.browser()
    recipient.post(f"{path}/accept")
    edition = approved.draft.parent / "edition"
    shutil.copy(approved.draft / "officer" / "report.json", edition / "report.json")
    answer = recipient.get(f"{path}/release.zip")
    assert answer.status_code == 409
    assert answer.headers["content-type"].startswith("text/html")


def test_the_verify_page_runs_its_own_script_alone(approved):
    answer = approved.institution.browser().get("/verify.html")
    assert re.search(r"script-src 'sha256-[\w+/=]+'", answer.headers["content-security-policy"])
    assert "privsynth service" in answer.text
    assert "Ann" not in answer.text


@each_database
def test_programs_decide_publish_and_offer_with_a_token_of_that_scope(deciders):
    service, browser = deciders.service, deciders.institution.browser()

    def program(name, *scopes):
        secret = new_token(service, deciders.again(name), "a script", frozenset(scopes), 1)
        return {"authorization": f"Bearer {secret}"}

    sent = {"meaning": "approved", "comment": "by a script", "passphrase": PASSPHRASE}
    path = f"/api/v1/runs/{RUN}"
    assert browser.post(f"{path}/decision", json=sent, headers=program("ann", Act.REVIEW)).status_code == 403
    for name in ("ann", "bob"):
        answer = browser.post(f"{path}/decision", json=sent, headers=program(name, Act.APPROVE))
        assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["state"], told["approvals"], len(told["decisions"])) == ("approved", 2, 2)
    mine = program("ann", Act.PUBLISH, Act.OFFER, Act.SEE_OFFERS, Act.SEE_OFFICER_REPORT)
    assert browser.get(f"{path}/decision", headers=mine).json()["problem"] == ""
    assert browser.post(f"{path}/publication", json={}, headers=mine).json()["state"] == "published"
    made = browser.post(f"{path}/offers", json={"recipient": "r", "terms": "t", "days": 2}, headers=mine).json()
    assert browser.get(made["link"]).status_code == 200
    (listed,) = browser.get(f"{path}/offers", headers=mine).json()
    assert (listed["id"], "link" in listed) == (made["id"], False)
    withdrawn = browser.post(f"/api/v1/offers/{made['id']}/withdrawal", headers=mine)
    assert withdrawn.json()["withdrawn_at"] is not None
    assert browser.get(made["link"]).status_code == 403

"""A key that is made elsewhere is attached by proof, and signs decisions that never bring it here."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from pipeline.admissions import run as command
from service.deciders import RUN

from privsynth.approvals.offline import KeyChallenge, request_from
from privsynth.approvals.statement import Approval
from privsynth.errors import CheckFailed, InputError, VerificationError
from privsynth.service.decisions.deciding import TypedProof
from privsynth.service.decisions.offline import enter_signed
from privsynth.service.keys.attaching import attach_key, challenge
from privsynth.service.keys.people import enter_key, own_key
from privsynth.service.oversight.overview import overview
from privsynth.service.roles import Act
from privsynth.service.tokens import new_token
from privsynth.signing.keys import SigningKey
from privsynth.signing.store import open_key


class Elsewhere:
    """Ann's own machine, with a key under a passphrase, which is attached to her in the service."""

    def __init__(self, deciders, folder, monkeypatch, *init: str) -> None:
        self.deciders, self.folder, self.patch = deciders, folder, monkeypatch
        self.home = folder / "ann"
        self.run("keys", "init", "--name", "mine", "--role", "approver", "--role", "reviewer", *init)
        asked = deciders.institution.browser("ann").get("/my-key/challenge")
        answer = deciders.post("ann", "/my-key/attach", proof=self.sign(asked.text))
        assert answer.status_code == 303, answer.text
        self.ann = deciders.again("ann")
        enter_key(
            deciders.service, deciders.kim, self.ann.person_id, own_key(deciders.service, self.ann).fingerprint[:8]
        )

    def run(self, *told) -> str:
        with self.patch.context() as there:
            there.setenv("PRIVSYNTH_HOME", str(self.home))
            there.setenv("PRIVSYNTH_PASSPHRASE", "a passphrase of her own")
            done = command(*told)
        assert done.exit_code == 0, done.output
        return done.output

    def sign(self, request: str) -> str:
        number = len(list(self.folder.glob("request*")))
        asked, out = self.folder / f"request{number}.json", self.folder / f"signed{number}.json"
        asked.write_text(request)
        self.said = self.run("keys", "sign", asked, out, "--as", "mine")
        return out.read_text()


@pytest.fixture
def elsewhere(deciders, tmp_path, monkeypatch, clock):
    clock.time = datetime.now(UTC)
    found = Elsewhere(deciders, tmp_path, monkeypatch)
    clock.time = datetime.now(UTC) + timedelta(seconds=1)
    return found


def request_for(elsewhere, meaning: str, **form: str) -> str:
    answer = elsewhere.deciders.post("ann", f"/runs/{RUN}/decision-request", meaning=meaning, **form)
    assert answer.status_code == 200, answer.text
    return answer.text


def test_a_decision_is_signed_elsewhere_and_no_private_key_comes_here(elsewhere, deciders):
    service = deciders.service
    page = deciders.institution.browser("ann").get(f"/runs/{RUN}/decide")
    assert "privsynth keys sign decision-run-1.json" in page.text
    assert "Passphrase" not in page.text
    signed = elsewhere.sign(request_for(elsewhere, "approved", comment="for the registry"))
    assert "approved: the release of admissions" in elsewhere.said
    assert "for the registry" in elsewhere.said
    answer = deciders.post("ann", f"/runs/{RUN}/signed-decision", signed=signed)
    assert answer.status_code == 303, answer.text
    (row,) = deciders.rows()
    assert (row.meaning, row.comment, row.person_id) == ("approved", "for the registry", elsewhere.ann.person_id)
    assert len(deciders.files()) == 1
    assert deciders.post("ann", f"/runs/{RUN}/signed-decision", signed=signed).status_code != 303
    name = deciders.again("ann").key
    assert sorted(path.suffix for path in (service.home / "keys").glob(f"{name}.*")) == [".pub"]
    # With somebody else's approval, the release is approved, and the edition can be made.
    assert deciders.decide("bob", "approved").status_code == 303
    assert deciders.run().state == "approved"


def test_a_passphrase_typed_here_opens_nothing_and_changes_need_no_key(elsewhere, deciders):
    assert "sign it where the key is" in deciders.decide("ann", "approved").text
    assert deciders.decide("ann", "changes", comment="fewer columns").status_code == 303
    assert deciders.run().state == "changes_asked"


@pytest.mark.parametrize("what", ["release", "officer", "policy", "early", "key", "bytes", "other"])
def test_what_was_not_asked_is_not_entered(elsewhere, deciders, what):
    service, asked = deciders.service, json.loads(request_for(elsewhere, "approved"))
    if what in ("release", "officer"):
        asked["release"][what == "officer"] = "0" * 64
    if what == "policy":
        asked["policy"] = {"policy": "mine", "version": "1", "sha256": "0" * 64, "verdict": "pass"}
    signed = elsewhere.sign(json.dumps(asked))
    if what == "early":
        with service.database.writing() as session:
            session.merge(deciders.run()).ended_at = service.now() + timedelta(hours=1)
    if what == "key":
        about = tuple(asked["release"])
        approval = Approval("approved", "", service.now().replace(microsecond=0), about)
        signed = approval.signed(SigningKey.generate(), "Ann").to_json().decode()
    if what == "bytes":
        signed = signed.replace("approved", "rejected") if "approved" in signed else signed[:-40] + signed[-38:]
    caller = deciders.bob if what == "other" else elsewhere.ann
    with pytest.raises((CheckFailed, InputError, VerificationError)):
        enter_signed(service, caller, RUN, signed, TypedProof())
    assert deciders.rows() == []
    assert deciders.files() == []


def test_an_earlier_signature_does_not_undo_a_later_one(elsewhere, deciders, clock):
    old = elsewhere.sign(request_for(elsewhere, "reviewed"))
    # As her own machine would sign it half a minute later:
    later = json.loads(request_for(elsewhere, "rejected"))
    clock.move(seconds=30)
    signed = request_from(later).approval(clock().replace(microsecond=0))
    opens, entry = open_key(
        elsewhere.home, "mine", lambda: b"a passphrase of her own", now=clock(), roles=("approver",)
    )
    enter_signed(
        deciders.service, elsewhere.ann, RUN, signed.signed(opens, entry.holder).to_json().decode(), TypedProof()
    )
    assert deciders.run().state == "rejected"
    with pytest.raises(CheckFailed, match="before your last one"):
        enter_signed(deciders.service, elsewhere.ann, RUN, old, TypedProof())


def test_a_proof_answers_the_challenge_of_one_person_for_a_day(deciders, clock):
    service, key = deciders.service, SigningKey.generate()
    asked = challenge(service, deciders.ann)
    proof = asked.signed(key).to_json().decode()
    with pytest.raises(InputError, match="another challenge"):
        attach_key(service, deciders.bob, proof)
    made_up = KeyChallenge("bm9uZQ==", asked.person, asked.service).signed(key).to_json().decode()
    with pytest.raises(InputError, match="another challenge"):
        attach_key(service, deciders.ann, made_up)
    with pytest.raises(VerificationError):
        attach_key(service, deciders.ann, proof.replace("keyid", "keyId"))
    clock.move(hours=25)
    with pytest.raises(InputError, match="older than a day"):
        attach_key(service, deciders.ann, proof)
    again = challenge(service, deciders.ann).signed(key).to_json().decode()
    attach_key(service, deciders.ann, again)
    with pytest.raises(InputError, match="known here already"):
        attach_key(service, deciders.bob, challenge(service, deciders.bob).signed(key).to_json().decode())


def test_a_key_elsewhere_that_ends_is_on_the_overview(elsewhere, deciders, clock):
    assert overview(deciders.service, elsewhere.ann).keys == []
    clock.move(days=700)
    (mine,) = overview(deciders.service, elsewhere.ann).keys
    assert mine.name == elsewhere.ann.key
    assert len(overview(deciders.service, deciders.kim).keys) > 1


def test_programs_fetch_what_is_to_be_signed_and_bring_it_back(elsewhere, deciders):
    secret = new_token(deciders.service, elsewhere.ann, "t", frozenset({Act.REVIEW, Act.APPROVE}), 1)
    api = deciders.institution.browser()
    api.headers["authorization"] = f"Bearer {secret}"
    asked = api.post(f"/api/v1/runs/{RUN}/decision-request", json={"meaning": "approved"})
    assert asked.status_code == 200, asked.text
    signed = elsewhere.sign(asked.text)
    done = api.post(f"/api/v1/runs/{RUN}/signed-decision", json={"signed": signed})
    assert done.status_code == 200, done.text
    assert done.json()["approvals"] == 1

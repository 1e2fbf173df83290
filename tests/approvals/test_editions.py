"""An approved edition: refused until it may leave; then the draft's files, with the decisions on page one, signed."""

import hashlib
import json
import re
from dataclasses import replace

import jsonschema
import pytest
from approvals.conftest import digests
from click.testing import CliRunner
from report.conftest import public
from signed import NOW
from time_authority import Authority, Server

from privsynth.approvals.decisions import decision_facts, standing
from privsynth.approvals.revocations import RevocationList, RevokedRelease, save
from privsynth.cli import main
from privsynth.editions.approved import EditionFacts, edited
from privsynth.errors import InputError
from privsynth.report.records.judgement import ApprovedEdition, SignOff
from privsynth.report.render import DEEDS_END, DEEDS_START, render
from privsynth.report.report_data import json_schema
from privsynth.signing._embedding import Page
from privsynth.signing.envelope import Envelope
from privsynth.signing.release import sign_folder
from privsynth.signing.statement import PAYLOAD_TYPE, Statement
from privsynth.signing.verification import verify_folder
from privsynth.transparency.facts import release_fact
from privsynth.transparency.log import TransparencyLog
from privsynth.transparency.seen import SeenLogs

REPORT = replace(public(), unsigned=False, signer="Data office, key 0123 4567")
HOSTILE = "</dd><!-- /privsynth:deeds --><script>alert(1)</script>\"'&"
FACTS = EditionFacts(
    (SignOff(meaning="approved", name="Anna", at="2026-11-23T12:00:00Z", comment="for the board"),),
    ApprovedEdition(
        draft="a" * 64,
        published_by="Office, key 0123 4567",
        published_at="2026-11-24T12:00:00Z",
        policy="public",
        needed=2,
    ),
)


class Office:
    """A home with the maker's key, everybody's keyring, and a run that waits for two approvals."""

    def __init__(self, home, run, people, out):
        self.home, self.run, self.people, self.out = home, run, people, out

    def trust(self):
        self.people.ring().save(self.home / "keyring.json")

    def command(self, *words):
        self.trust()
        return CliRunner().invoke(main, [str(word) for word in words])

    def publish(self, *more):
        return self.command("publish", self.run, "--policy", "public", "--as", "office", "--out", self.out, *more)

    def log(self):
        return TransparencyLog(self.home / "log", SeenLogs(self.home))

    def enter(self):
        facts = decision_facts(self.run, digests(self.run), [self.people.ring()])
        self.log().append([release_fact(self.run / "public"), *facts], NOW)


@pytest.fixture
def office(tmp_path, key, run, people, monkeypatch):
    home = tmp_path / "home"
    (home / "keys").mkdir(parents=True)
    home.chmod(0o700)
    monkeypatch.setenv("PRIVSYNTH_HOME", str(home))
    key.save(home / "keys" / "office.pem", None)
    (run / "public" / "report.html").write_text(render(REPORT, {}), encoding="utf-8")
    (run / "public" / "report.json").write_text(REPORT.to_json_text(), encoding="utf-8")
    told = {"kind": "public", "dataset": "admissions"}
    sign_folder(run / "public", predicate=told, signer=key, holder="Data office", signed_at=NOW)
    told |= {"kind": "officer", "release": hashlib.sha256((run / "public" / "manifest.json").read_bytes()).hexdigest()}
    sign_folder(run / "officer", predicate=told, signer=key, holder="Data office", signed_at=NOW)
    return Office(home, run, people, tmp_path / "edition")


def approved(office):
    office.people.decide(office.run, "Anna", "reviewed", comment="read it all")
    office.people.decide(office.run, "Anna", "approved", seconds=1, comment="for the board")
    return office.people.decide(office.run, "Bert", "approved", seconds=2)


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def page_one(html):
    return html.partition(DEEDS_START)[2].partition(DEEDS_END)[0]


def test_two_people_approve_and_the_edition_says_so(office):
    approved(office)
    before = files(office.run)
    done = office.publish()
    assert done.exit_code == 0, done.output
    assert files(office.run) == before
    draft, edition = files(office.run / "public"), files(office.out)
    changed = {name for name in draft if draft[name] != edition[name]}
    assert (draft.keys(), changed) == (
        edition.keys(),
        {"report.html", "report.json", "manifest.json", "attestation.dsse.json"},
    )
    digest = digests(office.run)[0]
    found = verify_folder(office.out, [office.people.ring()], NOW.replace(year=2100))
    assert (found.kind, found.dataset, found.holder, found.draft) == ("public", "admissions", "Data office", digest)
    lines = page_one(edition["report.html"].decode())
    assert re.findall(r"<dt>(\w+)</dt><dd><bdi>(Anna|Bert)", lines) == [
        ("Reviewed", "Anna"),
        ("Approved", "Anna"),
        ("Approved", "Bert"),
    ]
    assert f"approved edition of draft SHA-256</bdi> <code>{digest}" in lines
    assert b"for the board" not in edition["report.html"] + edition["report.json"]
    assert f"approved edition of draft SHA-256 {digest}" in office.command("verify", office.out).output
    assert f"Draft       SHA-256 {digest}" in office.command("status", office.run).output


def test_an_edition_carries_a_time_of_its_own_and_not_the_drafts(office, tmp_path):
    approved(office)
    authority = Authority(tmp_path / "authority")
    root = ("--timestamp-root", authority.root)
    with Server(authority.answer) as server:
        stamped = office.command("timestamp", office.run / "public", "--authority", server.url)
        assert stamped.exit_code == 0, stamped.output
        assert office.publish().exit_code == 0
        assert not (office.out / "attestation.tsr").exists()
        office.out = tmp_path / "second"
        assert "Time token  attestation.tsr" in office.publish("--timestamp", server.url).output
    verified = office.command("verify", office.out, *root)
    assert (verified.exit_code, "signed no later than" in verified.output) == (0, True), verified.output
    office.out = tmp_path / "third"
    down = office.publish("--timestamp", server.url)
    assert down.exit_code == 0
    assert "It carries no time: the authority at" in down.stderr
    assert office.command("verify", office.out).exit_code == 0


def test_report_json_is_the_drafts_with_two_fields_more_and_fits_its_schema(office):
    approved(office)
    assert office.publish("--with-comments").exit_code == 0
    told = json.loads((office.out / "report.json").read_bytes())
    jsonschema.Draft202012Validator(json_schema()).validate(told)
    assert [(one["name"], one["comment"]) for one in told["sign_offs"]] == [
        ("Anna", "read it all"),
        ("Anna", "for the board"),
        ("Bert", ""),
    ]
    assert told["edition"]["draft"] == digests(office.run)[0]
    del told["sign_offs"], told["edition"]
    assert told == json.loads(REPORT.to_json_text())
    assert "for the board" in page_one((office.out / "report.html").read_text(encoding="utf-8"))


def test_the_page_is_what_the_report_would_have_been_rendered_to():
    """One way to draw page one: bytes that are filled in are those of a report that has the decisions."""
    text, html = edited(REPORT.to_json_text().encode(), render(REPORT, {}).encode(), FACTS)
    whole = replace(REPORT, sign_offs=FACTS.sign_offs, edition=FACTS.edition)
    assert (text.decode(), html.decode()) == (whole.to_json_text(), render(whole, {}))


def one_is_missing(office):
    approved(office).unlink()


def one_is_the_makers(office):
    approved(office).unlink()
    office.people.decide(office.run, "Data office", "approved", seconds=3)


def one_rejects(office):
    approved(office)
    office.people.decide(office.run, "Cora", "rejected", seconds=3)


def one_does_not_read(office):
    approved(office)
    (office.run / "approvals" / "x.dsse.json").write_bytes(b"junk")


def revoked(office):
    approved(office)
    one = RevokedRelease(digests(office.run)[0], "ward 7 was coded wrongly", NOW)
    made = RevocationList(1, NOW, NOW.replace(year=2027), (one,))
    save(office.home / "revocations.json", made.signed(office.people.key("Data office"), "Data office"))


def revoked_in_the_log(office):
    approved(office)
    TransparencyLog.create(office.home / "log", SeenLogs(office.home), "st-mary.example/log")
    office.enter()
    assert office.command("revoke", office.run, "--reason", "wrong", "--as", "office").exit_code == 0
    (office.home / "revocations.json").unlink()


def logged_and_taken_away(office):
    approved(office)
    gone = office.people.decide(office.run, "Cora", "approved", seconds=3)
    TransparencyLog.create(office.home / "log", SeenLogs(office.home), "st-mary.example/log")
    office.enter()
    gone.unlink()


def not_in_the_log(office):
    approved(office)
    TransparencyLog.create(office.home / "log", SeenLogs(office.home), "st-mary.example/log")
    office.enter()
    office.people.decide(office.run, "Cora", "reviewed", seconds=3)


@pytest.mark.parametrize(
    ("happened", "sentence"),
    [
        (one_is_missing, "1 person who did not make it has approved; it takes 2"),
        (one_is_the_makers, "1 person who did not make it has approved; it takes 2"),
        (one_rejects, "Rejected    by Cora"),
        (one_does_not_read, "may be a rejection"),
        (revoked, "your list of revocations has it"),
        (revoked_in_the_log, "Revoked     it must not be used"),
        (logged_and_taken_away, "Missing     approved by Cora"),
        (not_in_the_log, "not in the log: 2"),
    ],
)
def test_what_may_not_leave_is_not_published(office, happened, sentence):
    happened(office)
    before = files(office.run)
    refused = office.publish()
    assert (refused.exit_code, sentence in refused.output) == (3, True), refused.output
    assert "Nothing was published" in refused.output
    assert (office.out.exists(), files(office.run) == before) == (False, True)


def test_a_changed_draft_is_not_published(office):
    approved(office)
    (office.run / "public" / "data.csv").write_bytes(b"a,b\n1,3\n")
    assert (office.publish().exit_code, office.out.exists()) == (5, False)


def test_an_edition_is_in_the_log_with_its_draft(office):
    TransparencyLog.create(office.home / "log", SeenLogs(office.home), "st-mary.example/log")
    approved(office)
    office.enter()
    assert office.publish().exit_code == 0
    last = office.log().read().entries[-1]
    own = hashlib.sha256((office.out / "manifest.json").read_bytes()).hexdigest()
    assert (last.kind, last.release, last.other) == ("published", own, digests(office.run)[0])
    said = office.command("status", office.run, "--policy", "public")
    assert (said.exit_code, "published, " in said.output, own in said.output) == (0, True, True)
    proof = office.out.with_name("edition.tlog-proof")
    assert office.command("log", "prove", office.out, "--out", proof).exit_code == 0
    assert "is 'published'" in office.command("log", "verify", office.out, "--proof", proof).output


def test_who_revokes_a_draft_revokes_its_edition(office):
    approved(office)
    assert office.publish().exit_code == 0
    assert office.command("revoke", office.run, "--reason", "wrong", "--as", "office").exit_code == 0
    said = office.command("verify", office.out, "--revocations", office.home / "revocations.json")
    assert (said.exit_code, "revoked this release" in said.output) == (9, True)


def test_only_a_makers_key_publishes(office):
    approved(office)
    office.people.key("Anna").save(office.home / "keys" / "anna.pem", None)
    office.trust = lambda: office.people.ring(roles=("approver",)).save(office.home / "keyring.json")
    assert office.publish().exit_code != 0
    assert not office.out.exists()


def test_hostile_names_and_comments_are_text(office):
    office.people.decide(office.run, HOSTILE, "approved", comment=HOSTILE)
    office.people.decide(office.run, "Bert", "approved", seconds=1)
    assert office.publish("--with-comments").exit_code == 0
    html = (office.out / "report.html").read_text(encoding="utf-8")
    bare = Page.split(html.encode()).with_envelope(b"").decode()
    assert (bare.count("<script"), bare.count(DEEDS_START), bare.count(DEEDS_END)) == (1, 1, 1)
    assert page_one(bare).count("&lt;script&gt;alert(1)") == 2
    policy = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
    assert policy.findall(bare) == policy.findall(render(REPORT, {})) != []
    assert json.loads((office.out / "report.json").read_bytes())["sign_offs"][0]["name"] == HOSTILE


def test_the_statement_names_the_draft_and_no_person(office):
    approved(office)
    assert office.publish().exit_code == 0
    envelope = Envelope.from_json((office.out / "attestation.dsse.json").read_bytes())
    predicate = Statement.from_bytes(envelope.payload, payload_type=PAYLOAD_TYPE).predicate
    assert (predicate["kind"], predicate["draft"]) == ("public", digests(office.run)[0])


def test_reports_that_left_no_place_and_editions_are_refused():
    text, html = REPORT.to_json_text().encode(), render(REPORT, {}).encode()
    with pytest.raises(InputError, match="no place for decisions"):
        edited(text, html.replace(DEEDS_END.encode(), b""), FACTS)
    with pytest.raises(InputError, match="no place for decisions"):
        edited(text, html.replace(DEEDS_START.encode(), 2 * DEEDS_START.encode()), FACTS)
    with pytest.raises(InputError, match="approved edition already"):
        edited(*edited(text, html, FACTS), FACTS)
    with pytest.raises(InputError, match="not one that privsynth writes"):
        edited(b"[]", html, FACTS)


def test_of_each_person_the_last_word_is_named_and_the_makers_is_not(run, people):
    people.decide(run, "Anna", "rejected")
    people.decide(run, " anna ", "approved", seconds=1, by=people.key("Anna"))
    people.decide(run, "Data office", "reviewed", seconds=2)
    found = standing(run, [people.ring()], NOW.replace(year=2027), needed=1)
    assert [(entry.holder, said.meaning) for said, entry in found.named] == [("Anna", "approved")]

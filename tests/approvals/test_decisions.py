"""Decisions: who counts, what counts, and what a changed or misplaced one is worth."""

import hashlib
import json
import shutil
from datetime import timedelta

import pytest
from click.testing import CliRunner
from signed import NOW

from privsynth.approvals.decisions import NOT_TOLD, standing
from privsynth.approvals.statement import Approval, opened
from privsynth.approvals.verdict import REPORT, PolicyVerdict, ReportVerdicts, report_verdicts
from privsynth.cli import main
from privsynth.cli.decisions.options import verdict_lines
from privsynth.errors import ConfigError, InputError, OutputError, UnknownSigner, VerificationError
from privsynth.signing.keyring import KeyEntry, Keyring
from privsynth.signing.keys import SigningKey
from privsynth.signing.release import sign_folder
from privsynth.signing.store import load_keyring

LATER = NOW + timedelta(hours=1)


def state(run, people, needed=1, rings=None):
    return standing(run, rings or [people.ring()], LATER, needed=needed)


def test_nobody_decided(run, people):
    found = state(run, people)
    assert (found.state, found.read, found.release.holder) == ("open", (), "Data office")


def test_enough_people_who_did_not_make_it_have_to_approve(run, people):
    people.decide(run, "Anna", "approved", comment="for the registry")
    assert state(run, people).state == "approved"
    assert state(run, people, needed=2).state == "open"
    people.decide(run, "Bert", "approved", seconds=1)
    found = state(run, people, needed=2)
    assert (found.state, found.approved_by) == ("approved", ["Anna", "Bert"])
    assert found.read[0].approval.comment == "for the registry"


def test_a_review_is_no_approval(run, people):
    people.decide(run, "Anna", "approved")
    people.decide(run, "Anna", "reviewed", seconds=1)
    people.decide(run, "Bert", "reviewed", seconds=2)
    assert state(run, people, needed=2).approved_by == ["Anna"]


@pytest.mark.parametrize("holder", ["Data office", "data  OFFICE", "Data o\ufb03ce"])
def test_whoever_made_it_does_not_approve_it_with_another_key_either(run, people, holder):
    people.decide(run, holder, "approved", by=people.key(holder))
    assert state(run, people).state == "open"


def test_of_one_second_a_rejection_is_the_last_word_whatever_the_files_are_called(run, people):
    people.decide(run, "Anna", "rejected")
    people.decide(run, "Anna", "approved").rename(run / "approvals" / "zz.dsse.json")
    assert state(run, people).state == "rejected"
    people.decide(run, "Anna", "approved", seconds=301)
    assert state(run, people).state == "approved"


def test_an_approval_that_is_dated_ahead_does_not_outlive_a_rejection(run, people):
    people.decide(run, "Anna", "approved", seconds=300)  # by a clock that is five minutes ahead
    people.decide(run, "Anna", "rejected", seconds=1)
    assert (state(run, people).state, state(run, people).rejected_by) == ("rejected", ["Anna"])


def test_two_keys_of_one_person_are_one_person(run, people):
    people.decide(run, "Anna", "approved")
    second = SigningKey.generate()
    people.decide(run, "Anna", "approved", seconds=1, by=second)
    assert len(state(run, people, rings=[people.ring(), people.ring(("Anna ", second))]).approved_by) == 1


def test_one_rejection_is_enough_and_the_last_decision_of_each_counts(run, people):
    people.decide(run, "Anna", "approved")
    people.decide(run, "Bert", "rejected", seconds=1)
    assert (state(run, people).state, state(run, people).rejected_by) == ("rejected", ["Bert"])
    people.decide(run, "Bert", "approved", seconds=302)
    assert state(run, people, needed=2).state == "approved"
    people.decide(run, "Anna", "rejected", seconds=303)
    assert state(run, people, needed=2).state == "rejected"


def test_decisions_that_do_not_count_are_named_with_the_reason(run, people, tmp_path):
    stranger = SigningKey.generate()
    people.decide(run, "Anna", "approved", by=stranger)
    people.decide(run, "Cora", "approved", seconds=1, about=("0" * 64, "1" * 64))
    people.decide(run, "Dora", "approved", seconds=3600 + 301)
    changed = people.decide(run, "Emil", "rejected", seconds=2)
    data = json.loads(changed.read_bytes())
    data["signatures"][0]["sig"] = "A" * 86 + "=="
    changed.write_bytes(json.dumps(data, separators=(",", ":")).encode() + b"\n")
    (run / "approvals" / "junk.dsse.json").write_bytes(b"junk")
    found = state(run, people)
    assert found.state == "open"
    reasons = " ".join(one.problem for one in found.read)
    for reason in ("no keyring has its key", "another release", "later than this", "does not fit", "not valid"):
        assert reason in reasons


def test_a_damaged_decision_may_have_been_a_rejection(run, people):
    people.decide(run, "Anna", "approved")
    rejection = people.decide(run, "Bert", "rejected", seconds=1)
    rejection.write_bytes(rejection.read_bytes().replace(b"A", b"B", 1))
    assert state(run, people).state == "open"


def test_a_rejection_with_a_key_that_was_revoked_since_is_no_approval(run, people):
    people.decide(run, "Anna", "approved")
    people.decide(run, "Bert", "rejected", seconds=1)
    revoked = people.ring().revoke(people.key("Bert").public.keyid, at=NOW, reason="lost")
    assert state(run, people, rings=[revoked]).state == "open"


def test_a_decision_stands_only_as_long_as_the_release_verifies(run, people):
    people.decide(run, "Anna", "approved")
    (run / "public" / "data.csv").write_bytes(b"a,b\n9,9\n")
    with pytest.raises(VerificationError, match="changed: data"):
        state(run, people)


def test_a_revoked_key_decides_nothing(run, people):
    people.decide(run, "Anna", "approved")
    revoked = people.ring().revoke(people.key("Anna").public.keyid, at=NOW, reason="lost")
    (one,) = state(run, people, rings=[people.ring(), revoked]).read
    assert (one.entry, "was revoked" in one.problem) == (None, True)


def test_a_key_without_the_role_approves_nothing_and_the_sentence_says_so(run, people):
    people.decide(run, "Anna", "approved")
    maker, anna = people.key("Data office"), people.key("Anna")
    for roles in (("maker",), ("reviewer",), ("key-admin",), ("maker", "reviewer", "key-admin")):
        ring = Keyring(
            keys=(
                KeyEntry.for_key(maker.public, holder="Data office", not_before=NOW),
                KeyEntry.for_key(anna.public, holder="Anna", not_before=NOW, roles=roles),
            )
        )
        found = state(run, people, rings=[ring])
        assert (found.state, found.approved_by) == ("open", [])
        assert "of Anna may" in found.read[0].problem
        assert "and not approve" in found.read[0].problem


def test_a_reviewer_reviews_and_does_no_more(run, people):
    anna = people.key("Anna")
    reviewer = Keyring(keys=(KeyEntry.for_key(anna.public, holder="Anna", not_before=NOW, roles=["reviewer"]),))
    maker = Keyring(keys=(KeyEntry.for_key(people.key("Data office").public, holder="Data office", not_before=NOW),))
    people.decide(run, "Anna", "reviewed")
    assert state(run, people, rings=[maker, reviewer]).read[0].problem == ""
    people.decide(run, "Anna", "rejected", seconds=1)
    found = state(run, people, rings=[maker, reviewer], needed=0)
    assert found.state == "open", "nobody should have to notice that who rejects may not"


def test_a_release_signed_by_an_approver_does_not_stand(run, people):
    with pytest.raises(VerificationError, match="may approve, and not make releases"):
        state(run, people, rings=[people.ring(roles=("approver",))])


def test_one_key_under_two_names_is_not_two_people(run, people):
    """A keyring that calls one key Anna and another that calls it Bert must not make two approvals of it."""
    key = people.key("Anna")
    anna = KeyEntry.for_key(key.public, holder="Anna", not_before=NOW, days=1, roles=["approver"])
    bert = KeyEntry.for_key(key.public, holder="Bert", not_before=NOW + timedelta(2), roles=["approver"])
    maker = Keyring(keys=(KeyEntry.for_key(people.key("Data office").public, holder="Data office", not_before=NOW),))
    people.decide(run, "Anna", "approved")
    people.decide(run, "Bert", "approved", seconds=3 * 86_400, by=key)
    rings = [maker, Keyring(keys=(anna,)), Keyring(keys=(bert,))]
    found = standing(run, rings, NOW + timedelta(4), needed=2)
    assert (found.state, found.approved_by) == ("open", [])
    assert "different holders" in found.read[0].problem


def test_a_maker_under_two_names_approves_under_neither(run, people):
    maker = people.key("Data office")
    second = people.key("Anna")
    rings = [
        Keyring(keys=(KeyEntry.for_key(maker.public, holder="Data office", not_before=NOW),)),
        Keyring(keys=(KeyEntry.for_key(maker.public, holder="Anna", not_before=NOW),)),
        Keyring(keys=(KeyEntry.for_key(second.public, holder="Anna", not_before=NOW, roles=["approver"]),)),
    ]
    people.decide(run, "Anna", "approved")
    assert state(run, people, rings=rings).approved_by == []


def test_nobody_knows_who_made_it(run, people):
    with pytest.raises(UnknownSigner):
        standing(run, [], LATER, needed=1)


def test_a_decision_is_never_written_over_another(run, people):
    people.decide(run, "Anna", "approved")
    with pytest.raises(OutputError, match="there already"):
        people.decide(run, "Anna", "approved")


@pytest.mark.parametrize(("meaning", "comment"), [("maybe", ""), ("approved", "a\nb"), ("approved", "x" * 2_001)])
def test_a_decision_says_one_of_three_things_in_one_paragraph(meaning, comment):
    with pytest.raises(ConfigError):
        Approval(meaning, comment, NOW, ("0" * 64, "1" * 64))


def test_a_release_is_no_decision(run):
    with pytest.raises(VerificationError, match="lacks a part"):
        opened((run / "public" / "attestation.dsse.json").read_bytes())


def test_the_commands_approve_and_tell(run, key, tmp_path, monkeypatch):
    """Three people with a key each on one machine: one makes, two decide."""
    home = tmp_path / "home"
    monkeypatch.setenv("PRIVSYNTH_HOME", str(home))

    def ran(*words):
        return CliRunner().invoke(main, [*words])

    for name in ("anna", "bert"):
        assert ran("keys", "init", "--name", name, "--no-passphrase", "--role", "approver").exit_code == 0
    made_by = KeyEntry.for_key(key.public, holder="Data office", not_before=NOW)
    (tmp_path / "maker.json").write_bytes(Keyring(keys=(made_by,)).to_json())
    mine = ("approve", str(run), "--as", "anna", "--meaning", "approved", "--comment", "for the registry")
    assert ran(*mine).exit_code == 6  # nobody told anna whose key made it
    assert ran(*mine, "--keyring", str(tmp_path / "maker.json")).exit_code == 0
    shutil.rmtree(run / "approvals")
    load_keyring(home).add(made_by).save(home / "keyring.json")
    before = ran("status", str(run))
    assert (before.exit_code, "0 people who did not make it have approved; it takes 1" in before.output) == (3, True)
    told = ran(*mine)
    assert "Decisions   approved by anna" in ran("verify", str(run)).output
    assert (told.exit_code, "anna: approved the release of admissions" in told.output) == (0, True)
    assert ran("status", str(run)).exit_code == 0
    two = ran("status", str(run), "--policy", "public")
    assert (two.exit_code, "1 person who did not make it has approved; it takes 2" in two.output) == (3, True)
    assert ran("approve", str(run), "--as", "bert", "--meaning", "rejected").exit_code == 0
    last = ran("status", str(run), "--json")
    assert last.exit_code == 3
    assert json.loads(last.stdout)["rejected_by"] == ["bert"]
    (run / "officer" / "data.csv").write_bytes(b"changed")
    assert ran("status", str(run)).exit_code == 5


def test_who_made_it_neither_reviews_nor_approves_it_and_may_reject_it(run, key, tmp_path, monkeypatch):
    """The maker has a second key, of an approver."""
    home = tmp_path / "home"
    monkeypatch.setenv("PRIVSYNTH_HOME", str(home))

    def ran(*words):
        return CliRunner().invoke(main, [*words])

    assert ran("keys", "init", "--name", "o", "--holder", "Data office", "--no-passphrase", "--role", "approver",
               "--role", "reviewer").exit_code == 0  # fmt: skip
    made_by = KeyEntry.for_key(key.public, holder="Data office", not_before=NOW)
    load_keyring(home).add(made_by).save(home / "keyring.json")
    for meaning in ("approved", "reviewed"):
        told = ran("approve", str(run), "--as", "o", "--meaning", meaning)
        assert told.exit_code == 3
        assert "Data office made this release, and who made a release neither reviews nor approves it" in told.output
    assert not (run / "approvals").exists()
    assert ran("approve", str(run), "--as", "o", "--meaning", "rejected").exit_code == 0
    assert "Rejected    by Data office" in ran("status", str(run)).output


def test_an_approval_by_who_made_it_is_marked(run, people, tmp_path, monkeypatch):
    home = tmp_path / "home"
    monkeypatch.setenv("PRIVSYNTH_HOME", str(home))
    people.decide(run, "Data office", "approved")  # by another program
    home.mkdir()
    people.ring().save(home / "keyring.json")
    told = CliRunner().invoke(main, ["status", str(run)])
    assert "approved by Data office, 2026-11-22 09:30:00 UTC · does not count: made the release" in told.output
    assert "0 people who did not make it have approved; it takes 1" in told.output


@pytest.mark.parametrize("part", ["public", "officer"])
def test_one_part_is_no_release_to_decide_on(run, part):
    with pytest.raises(InputError, match="is one part of a release: give the folder that holds"):
        standing(run / part, [], NOW, needed=1)


@pytest.mark.parametrize(("asked", "takes"), [(1, 3), (3, 3), (5, 5)])
def test_the_policy_of_the_release_counts_whatever_else_is_named(run, key, people, asked, takes):
    told = {"policy": "st-mary", "version": "4", "digest": "c" * 64, "outcomes": []}
    (run / "officer" / "report.json").write_text(
        json.dumps({"findings": [], "policy": told, "approvals": 3}), encoding="utf-8"
    )
    release = hashlib.sha256((run / "public" / "manifest.json").read_bytes()).hexdigest()
    predicate = {"kind": "officer", "dataset": "admissions", "release": release}
    sign_folder(run / "officer", predicate=predicate, signer=key, holder="Data office", signed_at=NOW)
    for name in ("Anna", "Bert"):
        people.decide(run, name, "approved", policy=PolicyVerdict("st-mary", "4", "c" * 64, "pass"))
    stands = standing(run, [people.ring()], NOW, needed=asked)
    assert (stands.needed, stands.state) == (takes, "open")
    people.decide(run, "Cleo", "approved", policy=PolicyVerdict("st-mary", "4", "c" * 64, "pass"))
    assert standing(run, [people.ring()], NOW, needed=asked).state == ("approved" if takes == 3 else "open")


@pytest.mark.parametrize("approvals", [0, -1, True, "2", 1.5, None])
def test_a_report_that_does_not_say_how_many_is_no_report(run, approvals):
    told = {"policy": "st-mary", "version": "4", "digest": "c" * 64, "outcomes": []}
    (run / "officer" / "report.json").write_text(
        json.dumps({"findings": [], "policy": told, "approvals": approvals}), encoding="utf-8"
    )
    with pytest.raises(VerificationError, match="no report"):
        report_verdicts(run)


REFUSED = {"policy": "partners", "version": "2", "sha256": "c" * 64, "verdict": "fail"}


@pytest.fixture
def refused(run, key):
    """A run of which the policy says no."""
    outcomes = [{"metric": "base_rate", "verdict": "fail"}, {"metric": "tvd_2way", "verdict": "pass"}]
    told = {"policy": "partners", "version": "2", "digest": "c" * 64, "outcomes": outcomes}
    report = {"findings": [{"verdict": "fail"}, {"verdict": "review"}], "policy": told}
    (run / "officer" / "report.json").write_text(json.dumps(report), encoding="utf-8")
    release = hashlib.sha256((run / "public" / "manifest.json").read_bytes()).hexdigest()
    predicate = {"kind": "officer", "dataset": "admissions", "release": release}
    sign_folder(run / "officer", predicate=predicate, signer=key, holder="Data office", signed_at=NOW)
    return run


def test_checks_that_no_finding_answers_are_counted_as_the_report_counts_them(run):
    promise = {"metric": "promised_epsilon", "verdict": "fail", "alone": True}
    told = {"policy": "partners", "version": "2", "digest": "c" * 64}
    told["outcomes"] = [promise, {"metric": "base_rate", "verdict": "fail", "alone": False}]
    report = {"findings": [{"verdict": "fail"}, {"verdict": "pass"}], "policy": told}
    (run / "officer" / "report.json").write_text(json.dumps(report), encoding="utf-8")
    found = report_verdicts(run)
    assert (found.counts["fail"], found.counts["pass"], found.checks) == (2, 1, 2)


@pytest.mark.parametrize(
    ("verdict", "failed", "said"), [("pass", 2, True), ("review", 1, True), ("pass", 0, False), ("fail", 2, False)]
)
def test_what_failed_without_the_policy_is_said_to_have_failed_by_its_own_threshold(verdict, failed, said):
    found = ReportVerdicts(
        PolicyVerdict("partners", "2", "c" * 64, verdict),
        ("base_rate",) if verdict == "fail" else (),
        checks=2,
        counts={"fail": failed, "review": 0, "insufficient": 0, "pass": 1},
    )
    assert any("failed by its own threshold" in line for line in verdict_lines(found)) == said


@pytest.mark.parametrize("verdict", ["FAIL", "refused", "", None])
def test_a_verdict_that_is_not_known_has_not_passed(tmp_path, verdict):
    outcomes = [{"metric": "base_rate", "verdict": verdict}, {"metric": "tvd_2way", "verdict": "pass"}]
    told = {"policy": "partners", "version": "2", "digest": "c" * 64, "outcomes": outcomes}
    (tmp_path / REPORT).parent.mkdir()
    (tmp_path / REPORT).write_text(json.dumps({"findings": [], "policy": told}))
    with pytest.raises(VerificationError, match="no report of privsynth"):
        report_verdicts(tmp_path)


def test_what_the_policy_refuses_is_approved_only_by_a_statement_that_says_so(refused, people):
    people.decide(refused, "Anna", "approved", comment="fine")
    silent = standing(refused, [people.ring()], LATER, needed=1)
    assert (silent.state, silent.read[0].problem) == ("open", NOT_TOLD)
    other = PolicyVerdict("partners", "2", "d" * 64, "fail")  # of another policy
    people.decide(refused, "Anna", "approved", seconds=1, policy=other)
    assert standing(refused, [people.ring()], LATER, needed=1).state == "open"
    people.decide(refused, "Anna", "approved", seconds=2, policy=PolicyVerdict.from_json(REFUSED))
    found = standing(refused, [people.ring()], LATER, needed=1)
    assert found.state == "approved"
    assert found.read[-1].to_json()["policy"] == REFUSED
    people.decide(refused, "Bert", "rejected", seconds=3)
    assert standing(refused, [people.ring()], LATER, needed=1).state == "rejected"


def test_the_commands_say_what_the_policy_refuses_and_ask_for_a_reason(refused, key, tmp_path, monkeypatch):
    home = tmp_path / "home"
    monkeypatch.setenv("PRIVSYNTH_HOME", str(home))

    def ran(*words):
        return CliRunner().invoke(main, [*words])

    assert ran("keys", "init", "--name", "anna", "--no-passphrase", "--role", "approver").exit_code == 0
    made_by = KeyEntry.for_key(key.public, holder="Data office", not_before=NOW)
    load_keyring(home).add(made_by).save(home / "keyring.json")
    said = "Policy      partners, version 2: REFUSES it: 1 of 2 checks failed (base_rate)"
    mine = ("approve", str(refused), "--as", "anna", "--meaning", "approved")
    for lacking in (("--comment", "fine"), ("--against-policy",), ("--against-policy", "--comment", " ")):
        told = ran(*mine, *lacking)
        assert (told.exit_code, said in told.output, "--against-policy" in told.output) == (3, True, True)
    assert not (refused / "approvals").exists()
    before = ran("status", str(refused))
    assert (before.exit_code, said in before.output, "1 failed, 1 for a person" in before.output) == (3, True, True)
    told = ran(*mine, "--against-policy", "--comment", "the ward asked for it")
    assert (told.exit_code, "against its policy" in told.output) == (0, True)
    after = ran("status", str(refused))
    assert (after.exit_code, "approved, against the policy, by anna" in after.output) == (0, True)
    assert json.loads(ran("status", str(refused), "--json").stdout)["policy"] == REFUSED
    (path,) = (refused / "approvals").glob("*.dsse.json")
    assert opened(path.read_bytes())[0].policy.refuses
    assert ran("approve", str(refused), "--as", "anna", "--meaning", "rejected").exit_code == 0

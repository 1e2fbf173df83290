"""Decisions in a log: one that was taken away shows, one that is not entered does not count."""

import json
import shutil
from datetime import timedelta

import pytest
from approvals.conftest import digests
from click.testing import CliRunner
from signed import NOW

from privsynth.approvals.deciding import entered
from privsynth.approvals.decisions import decision_fact, decision_facts, standing
from privsynth.approvals.proofs import check_proofs
from privsynth.approvals.statement import opened
from privsynth.cli import main
from privsynth.errors import LogDamaged, OutputError
from privsynth.signing.keyring import KeyEntry, Keyring
from privsynth.signing.keys import SigningKey
from privsynth.signing.store import load_keyring
from privsynth.transparency import seen, tiles
from privsynth.transparency.entry import LogEntry
from privsynth.transparency.facts import release_fact
from privsynth.transparency.log import TransparencyLog
from privsynth.transparency.seen import SeenLogs

LATER = NOW + timedelta(hours=1)


@pytest.fixture
def log(tmp_path):
    (tmp_path / "keeper").mkdir()
    return TransparencyLog.create(tmp_path / "log", SeenLogs(tmp_path / "keeper"), "st-mary.example/releases")


def enter(log, run, people):
    return log.append([release_fact(run / "public"), *decision_facts(run, digests(run), [people.ring()])], NOW)


def state(run, people, log, needed=1):
    return standing(run, [people.ring()], LATER, needed=needed, log=log.read())


def test_what_is_entered_counts_and_has_its_place(run, people, log):
    people.decide(run, "Anna", "approved", comment="never in the log")
    enter(log, run, people)
    found = state(run, people, log)
    assert (found.state, [one.index for one in found.read], found.missing) == ("approved", [1], ())
    assert b"never" not in b"".join(log.read().raw)


def test_a_rejection_that_is_entered_blocks_a_reader_who_lacks_its_key(run, people, log):
    people.decide(run, "Anna", "approved")
    people.decide(run, "Bert", "rejected", seconds=1)
    log.append([release_fact(run / "public"), *decision_facts(run, digests(run), [people.ring()])], NOW)
    known = [Keyring(keys=tuple(key for key in people.ring().keys if key.holder != "Bert"))]
    found = standing(run, known, LATER, needed=1, log=log.read())
    assert (found.state, found.approved_by, found.missing) == ("open", ["Anna"], ())


def test_an_entry_has_no_digest_of_the_officers_folder(run, people, log):
    public, officer = digests(run)[0], "1" * 64
    people.decide(run, "Anna", "rejected", about=(public, officer))
    said = b"".join(log.append(decision_facts(run, (public, officer), [people.ring()]), NOW).raw).decode()
    assert (public in said, officer in said, "admissions" in said, "Anna" in said) == (True, False, False, False)


def test_what_nobody_entered_does_not_count_and_a_rejection_still_blocks(run, people, log):
    people.decide(run, "Anna", "approved")
    assert (state(run, people, log).state, "not in the log" in state(run, people, log).read[0].problem) == (
        "open",
        True,
    )
    enter(log, run, people)
    assert state(run, people, log).state == "approved"
    people.decide(run, "Bert", "rejected", seconds=1)
    assert state(run, people, log).state == "open"


@pytest.mark.parametrize("meaning", ["reviewed", "approved", "rejected"])
def test_a_decision_that_was_taken_away_is_missing(run, people, log, meaning):
    people.decide(run, "Anna", "approved")
    gone = people.decide(run, "Bert", meaning, seconds=1)
    enter(log, run, people)
    kept = gone.read_bytes()
    gone.unlink()
    found = state(run, people, log)
    assert (found.state, [(one.index, one.holder, one.entry.kind) for one in found.missing]) == (
        "open",
        [(2, "Bert", meaning)],
    )
    gone.write_bytes(kept)
    assert state(run, people, log).missing == ()


def test_a_decision_is_not_moved_to_another_release_by_the_log_either(run, people, log):
    people.decide(run, "Anna", "approved", about=("0" * 64, digests(run)[1]))
    people.decide(run, "Bert", "approved", seconds=1, about=(digests(run)[0], "1" * 64))  # another officer's report
    assert decision_facts(run, digests(run), [people.ring()]) == []
    people.decide(run, "Cora", "approved", seconds=2, by=SigningKey.generate())  # a key that nobody knows
    assert len(enter(log, run, people).entries) == 1
    assert state(run, people, log).approved_by == []


def test_an_entry_alone_is_no_approval(run, people, log):
    """Who may write the log, and has nobody's key, approves nothing: the signed decision has to be there."""
    fact = LogEntry("approved", digests(run)[0], people.key("Anna").public.keyid, NOW)
    log.append([fact], NOW)
    found = state(run, people, log)
    assert (found.state, len(found.missing), found.approved_by) == ("open", 1, [])


def test_a_damaged_decision_is_missing_as_well(run, people, log):
    rejection = people.decide(run, "Bert", "rejected")
    enter(log, run, people)
    rejection.write_bytes(b"junk")
    found = state(run, people, log)
    assert (found.state, len(found.missing)) == ("open", 1)


def test_proofs_of_a_log_that_starts_again_with_its_own_key_do_not_fit(run, people, log, tmp_path):
    approval, key = opened(people.decide(run, "Anna", "rejected").read_bytes())
    shutil.copytree(log.folder, tmp_path / "empty")
    known = log.append([decision_fact(approval, key)], NOW)
    (run / "approvals" / "one.tlog-proof").write_text(known.proof(0).to_text())
    (run / "approvals" / "two.tlog-proof").write_text("damaged: it proves nothing")
    assert check_proofs(run, log.key, log.read()) == 1
    (tmp_path / "stranger").mkdir()
    again = TransparencyLog(tmp_path / "empty", SeenLogs(tmp_path / "stranger"), log.key)
    with pytest.raises(LogDamaged, match=r"rolled back.*one\.tlog-proof"):
        check_proofs(run, log.key, again.read())
    other = again.append([LogEntry("approved", digests(run)[0], key.keyid, NOW)], NOW)
    with pytest.raises(LogDamaged, match="rewritten"):
        check_proofs(run, log.key, other)


def test_a_link_that_was_planted_for_the_proof_is_not_written_through(run, people, log, tmp_path):
    path = people.decide(run, "Anna", "approved")
    (fact,) = decision_facts(run, digests(run), [people.ring()])
    theirs = tmp_path / "theirs.txt"
    theirs.write_text("as it was")
    path.with_suffix("").with_suffix(".tlog-proof").symlink_to(theirs)
    with pytest.raises(OutputError, match="The decision itself is made, and in the log"):
        entered(log, fact, path, NOW)
    assert theirs.read_text() == "as it was"


def test_the_commands_keep_a_log(run, key, tmp_path, monkeypatch):
    home = tmp_path / "home"
    monkeypatch.setenv("PRIVSYNTH_HOME", str(home))

    def ran(*words):
        return CliRunner().invoke(main, [str(word) for word in words])

    assert ran("keys", "init", "--name", "anna", "--role", "approver", "--no-passphrase").exit_code == 0
    made_by = KeyEntry.for_key(key.public, holder="Data office", not_before=NOW)
    load_keyring(home).add(made_by).save(home / "keyring.json")
    assert ran("log", "show").exit_code == 7  # there is none
    assert "none: a decision that was taken away would not show" in ran("status", run).output
    assert ran("log", "init", "--origin", "st-mary.example/log").exit_code == 0
    assert "this release is not in it" in ran("status", run).output
    assert ran("log", "append", run).output.startswith("Entered 1 of 1")
    before = ran("log", "checkpoint").stdout
    (tmp_path / "kept.txt").write_text(before)
    done = ran("approve", run, "--as", "anna", "--meaning", "approved")
    assert (done.exit_code, "In the log  entry 1 of 2" in done.output) == (0, True)
    assert ran("status", run).exit_code == 0
    assert "(log entry 1)" in ran("status", run).output
    assert [one["kind"] for one in json.loads(ran("log", "show", run, "--json").stdout)["entries"]] == [
        "release",
        "approved",
    ]
    assert ran("log", "verify", "--checkpoint", tmp_path / "kept.txt").exit_code == 0
    (tmp_path / "update.txt").write_text(ran("log", "checkpoint", "--since", tmp_path / "kept.txt").stdout)
    update = ("log", "verify", "--update", tmp_path / "update.txt", "--checkpoint", tmp_path / "kept.txt")
    assert "grew from 1 to 2" in ran(*update).output

    proof = tmp_path / "release.tlog-proof"
    assert ran("log", "prove", run, "--out", proof).exit_code == 0
    shown = ran("log", "verify", run / "public", "--proof", proof)
    assert "entry 0 of 2 in st-mary.example/log is 'release'" in shown.output
    (decision,) = (run / "approvals").glob("*.tlog-proof")
    assert ran("log", "verify", run, "--proof", decision).exit_code == 0
    other = shutil.copytree(run / "public", tmp_path / "other")
    (other / "manifest.json").write_bytes(b"other")
    assert ran("log", "verify", other, "--proof", proof).exit_code == 5

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tiles, "atomic_write", full)
    files = sorted((run / "approvals").iterdir())
    refused = ran("approve", run, "--as", "anna", "--meaning", "rejected")
    assert (refused.exit_code, sorted((run / "approvals").iterdir())) == (7, files)
    monkeypatch.undo()
    monkeypatch.setenv("PRIVSYNTH_HOME", str(home))
    monkeypatch.setattr(seen, "atomic_write", full)  # the decision is entered, and what follows fails
    late = ran("approve", run, "--as", "anna", "--meaning", "reviewed")
    assert (late.exit_code, "in the log" in late.output) == (7, True)
    assert len(list((run / "approvals").glob("*reviewed*.dsse.json"))) == 1
    monkeypatch.undo()
    monkeypatch.setenv("PRIVSYNTH_HOME", str(home))
    assert ran("status", run).exit_code == 0
    for path in files:
        path.unlink()
    gone = ran("status", run)
    assert (gone.exit_code, "Missing     approved by anna" in gone.output) == (3, True)
    (home / "log" / "public" / "checkpoint").write_text(before)
    assert ran("status", run).exit_code == 5

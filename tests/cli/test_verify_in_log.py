"""`privsynth verify --log`: the release was entered, nobody took it back, and verifications can be entered, too."""

from __future__ import annotations

import hashlib
import json
import shutil
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner
from signed import NOW, key, make_release, other_key  # noqa: F401

from privsynth.cli import main
from privsynth.signing.keyring import KeyEntry
from privsynth.signing.store import load_keyring
from privsynth.transparency.entry import LogEntry
from privsynth.transparency.log import TransparencyLog
from privsynth.transparency.seen import SeenLogs
from privsynth.workspace import privsynth_home as home_of


def ran(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.fixture
def release(tmp_path, key, make_release):  # noqa: F811
    """Return a release that verifies by the person's own keyring."""
    made = make_release(tmp_path / "public", key)
    assert ran("keys", "init", "--name", "anna", "--no-passphrase").exit_code == 0
    ring = load_keyring(home_of()).add(KeyEntry.for_key(key.public, holder="Data office", not_before=NOW))
    ring.save(home_of() / "keyring.json")
    return tmp_path / "public" if made is None else made


@pytest.fixture
def log(tmp_path, release):
    folder = tmp_path / "log"
    assert ran("log", "init", "--origin", "st-mary.example/log", "--log", folder).exit_code == 0
    assert ran("log", "append", release, "--log", folder).exit_code == 0
    return folder


def digest(release):
    return hashlib.sha256((release / "manifest.json").read_bytes()).hexdigest()


def enter(log, *facts):
    TransparencyLog(log, SeenLogs(home_of())).append(list(facts), datetime.now(UTC))


def test_a_release_that_is_in_it_verifies_and_the_entry_is_named(release, log):
    done = ran("verify", release, "--log", log)
    assert (done.exit_code, "Log         st-mary.example/log, entry 0 of 1" in done.output) == (0, True), done.output
    told = json.loads(ran("verify", release, "--log", log, "--json").stdout)["log"]
    assert told == {
        "origin": "st-mary.example/log", "size": 1, "index": 0, "superseded_by": None, "recorded": False,
    }  # fmt: skip


def test_without_a_log_nothing_is_said_of_one(release):
    assert json.loads(ran("verify", release, "--json").stdout)["log"] is None
    for option in (("--record",), ("--log-key", "x+00000000+AA")):
        done = ran("verify", release, *option)
        assert (done.exit_code, "--log" in done.output) == (2, True)


def test_a_release_that_is_not_in_it_is_refused(release, log, tmp_path):
    empty = tmp_path / "empty"
    assert ran("log", "init", "--origin", "st-mary.example/other", "--log", empty).exit_code == 0
    done = ran("verify", release, "--log", empty)
    assert (done.exit_code, "does not have it by this key" in done.output) == (5, True)


def test_an_entry_by_another_key_is_none(release, tmp_path, other_key):  # noqa: F811
    other = tmp_path / "other"
    assert ran("log", "init", "--origin", "st-mary.example/other", "--log", other).exit_code == 0
    enter(other, LogEntry("release", digest(release), other_key.public.keyid, NOW))
    assert ran("verify", release, "--log", other).exit_code == 5


def test_what_the_log_has_as_revoked_is_revoked_and_as_superseded_is_named(release, log, key):  # noqa: F811
    enter(log, LogEntry("superseded", digest(release), key.public.keyid, NOW, "a" * 64))
    done = ran("verify", release, "--log", log)
    assert (done.exit_code, f"by the release {'a' * 16}" in done.output) == (0, True)
    enter(log, LogEntry("revoked", digest(release), key.public.keyid, NOW))
    assert ran("verify", release, "--log", log).exit_code == 9


def test_a_log_that_was_rolled_back_is_refused(release, log, tmp_path):
    shutil.copytree(log / "public", tmp_path / "older")
    assert ran("verify", release, "--log", log, "--record").exit_code == 0
    assert ran("verify", release, "--log", log).exit_code == 0
    done = ran("verify", release, "--log", tmp_path / "older")
    assert (done.exit_code, "Traceback" in done.output) == (5, False)


def test_a_verification_is_entered_once_each_time_and_status_of_the_log_counts_them(release, log):
    done = ran("verify", release, "--log", log, "--record")
    assert (done.exit_code, "this verification was entered" in done.output) == (0, True)
    kinds = [one["kind"] for one in json.loads(ran("log", "show", "--log", log, "--json").stdout)["entries"]]
    assert kinds == ["release", "verified"]


def test_a_release_that_does_not_verify_enters_nothing(release, log):
    (release / "data.csv").write_bytes(b"a,b\n9,9\n")
    assert ran("verify", release, "--log", log, "--record").exit_code == 5
    assert len(json.loads(ran("log", "show", "--log", log, "--json").stdout)["entries"]) == 1


def test_recipients_read_the_public_part_with_the_key_that_they_were_given(release, log, tmp_path):
    given = str(TransparencyLog(log, SeenLogs(home_of())).key)
    shutil.copytree(log / "public", tmp_path / "copy")
    assert ran("verify", release, "--log", tmp_path / "copy", "--log-key", given).exit_code == 0
    stranger = tmp_path / "stranger"
    assert ran("log", "init", "--origin", "st-mary.example/else", "--log", stranger).exit_code == 0
    wrong = str(TransparencyLog(stranger, SeenLogs(home_of())).key)
    assert ran("verify", release, "--log", tmp_path / "copy", "--log-key", wrong).exit_code == 5
    done = ran("verify", release, "--log", tmp_path / "copy", "--log-key", given, "--record")
    assert (done.exit_code, "Traceback" in done.output) == (7, False), done.output

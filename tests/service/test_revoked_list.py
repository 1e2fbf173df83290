"""The list of revocations is there before anything is revoked, is renewed, and forgets nothing after a restore."""

from __future__ import annotations

import threading

import pytest
from pipeline.admissions import run as command
from service.deciders import RUN
from service.prepared import each_database

from privsynth.approvals.revocations import RevocationList
from privsynth.approvals.revoking import LIST
from privsynth.service.decisions.revoked_list import LOST_REASON, keep_list
from privsynth.service.worker.worker import RunWorker


@pytest.fixture
def listed(deciders):
    """What reads the list that everybody gets."""

    def read() -> RevocationList:
        return RevocationList.opened(deciders.institution.browser().get("/revocations.json").content)[0]

    return read


def publish(deciders) -> None:
    for name in ("ann", "bob"):
        assert deciders.decide(name, "approved").status_code == 303
    assert deciders.post("ann", f"/runs/{RUN}/publish").status_code == 303


def test_a_worker_makes_the_first_list_and_renews_it(deciders, listed):
    RunWorker(deciders.service, 1, threading.Event())._sweep()
    first = listed()
    assert first.revoked == ()
    deciders.clock.move(days=19)
    assert keep_list(deciders.service) is None
    deciders.clock.move(days=2)
    RunWorker(deciders.service, 1, threading.Event())._sweep()
    assert listed().number > first.number
    assert listed().expires_at > first.expires_at
    assert len(deciders.acts("sign_revocations")) == 2


@each_database
def test_what_the_database_knows_as_revoked_is_entered_again_as_it_was(deciders, listed, tmp_path):
    publish(deciders)
    older = (deciders.service.home / LIST).read_bytes()
    deciders.clock.move(minutes=1)
    assert deciders.post("bob", f"/runs/{RUN}/revoke", reason="wrong ward").status_code == 303
    (tmp_path / "seen.json").write_bytes((deciders.service.home / LIST).read_bytes())
    edition = deciders.draft.parent / "edition"
    assert command("verify", edition, "--revocations", tmp_path / "seen.json").exit_code == 9
    seen = listed()
    for brought_back in (older, None):
        (deciders.service.home / LIST).unlink()
        if brought_back is not None:
            (deciders.service.home / LIST).write_bytes(brought_back)
        deciders.clock.move(minutes=1)
        keep_list(deciders.service)
        assert listed().revoked == seen.revoked
        assert listed().number > seen.number
    (tmp_path / "later.json").write_bytes((deciders.service.home / LIST).read_bytes())
    done = command("verify", edition, "--revocations", tmp_path / "later.json")
    assert (done.exit_code, "wrong ward" in done.output) == (9, True), done.output  # to who remembers the earlier one


def test_what_the_log_alone_knows_as_revoked_is_entered_again(deciders, listed):
    deciders.log()
    command("log", "append", deciders.draft)
    done = command("revoke", deciders.draft, "--reason", "wrong ward", "--as", "service")
    assert done.exit_code == 0, done.output
    (deciders.service.home / LIST).unlink()
    deciders.clock.move(minutes=1)
    keep_list(deciders.service)
    assert [(one.release, one.reason) for one in listed().revoked] == [(deciders.run().manifest, LOST_REASON)]

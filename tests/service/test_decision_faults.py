"""A decision is a signed file and a row; what happens when one of the two cannot be."""

from __future__ import annotations

import errno
from types import SimpleNamespace

import pytest
from service.deciders import RUN
from service.prepared import each_database
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from privsynth.approvals import decisions
from privsynth.errors import LogUnavailable
from privsynth.service.decisions import deciding
from privsynth.service.states import RunState
from privsynth.transparency import log as log_module
from privsynth.transparency.log import TransparencyLog


def full(*args, **more):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_leaves_neither_file_nor_row(deciders, monkeypatch):
    monkeypatch.setattr(decisions, "atomic_write", full)
    answer = deciders.decide("ann", "approved")
    assert answer.status_code == 503
    assert "No space left on device" in answer.text
    assert (deciders.rows(), deciders.files(), deciders.acts("decide")) == ([], [], [])


def test_half_a_decision_is_never_left_beside_a_release(deciders, monkeypatch):
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(decisions.OutputError):
        decisions.write_decision(deciders.draft, _approval(deciders), _key(deciders), b"{}")
    assert list((deciders.draft / decisions.FOLDER).iterdir()) == []


def _approval(deciders):
    from privsynth.approvals.statement import Approval

    return Approval("approved", "", deciders.clock(), ("a" * 64, "b" * 64))


def _key(deciders):
    from privsynth.signing.devices.files import read_public

    return read_public(deciders.service.home / "keys" / f"{deciders.ann.key}.pub")


def test_a_log_that_cannot_be_written_leaves_neither_file_nor_row(deciders, monkeypatch):
    deciders.log()

    def unavailable(self, facts, now):
        raise LogUnavailable("the log cannot be written: its disk is full")

    monkeypatch.setattr(TransparencyLog, "append", unavailable)
    answer = deciders.decide("ann", "approved")
    assert (answer.status_code, "its disk is full. Nothing was decided" in answer.text) == (503, True)
    assert (deciders.rows(), deciders.files(), deciders.acts("decide")) == ([], [], [])


def test_what_the_log_has_is_decided_and_said_so(deciders, monkeypatch):
    deciders.log()
    monkeypatch.setattr(log_module, "drop_partial", full)
    answer = deciders.decide("ann", "approved")
    assert "The decision itself is made, and in the log" in answer.text
    assert [row.meaning for row in deciders.rows()] == ["approved"]
    assert len(deciders.files()) == 1


@pytest.fixture
def database_goes(monkeypatch):
    """Let the database refuse commits from the moment at which a decision is written."""
    down = SimpleNamespace(commits=0, refused=0)
    real_commit, real_write = Session.commit, deciding.write

    def commit(self):
        if down.commits:
            down.commits -= 1
            raise OperationalError("COMMIT", {}, Exception("the connection is gone"))
        real_commit(self)

    def fail(commits):
        down.refused = commits

        def write(prepared):
            done = real_write(prepared)
            down.commits = down.refused
            return done

        monkeypatch.setattr(deciding, "write", write)
        monkeypatch.setattr(Session, "commit", commit)
        return down

    return fail


@each_database
def test_a_commit_that_fails_once_is_made_up_for_at_once(deciders, database_goes):
    database_goes(commits=1)
    assert deciders.decide("ann", "approved").status_code == 303
    (row,) = deciders.rows()
    assert (row.meaning, row.person_id, len(deciders.files())) == ("approved", deciders.ann.person_id, 1)


def test_a_database_that_is_gone_is_told_later_and_the_person_is_told_now(deciders, database_goes):
    down = database_goes(commits=1_000)
    answer = deciders.decide("ann", "approved")
    assert answer.status_code == 503
    assert "Your decision is signed and kept" in answer.text
    assert (deciders.rows(), len(deciders.files())) == ([], 1)
    down.commits = down.refused = 0
    assert "approved" in deciders.institution.browser("bob").get(f"/runs/{RUN}/decide").text
    assert [row.person_id for row in deciders.rows()] == [deciders.ann.person_id]
    assert [act.person_id for act in deciders.acts("enter_decision")] == [None]
    deciders.decide("bob", "approved")
    assert deciders.run().state == RunState.APPROVED


def test_a_file_that_somebody_changed_counts_for_nothing_and_is_named(deciders):
    deciders.decide("ann", "approved")
    (path,) = deciders.files()
    path.write_bytes(path.read_bytes().replace(b"a", b"b", 1))
    page = deciders.institution.browser("bob").get(f"/runs/{RUN}/decide").text
    assert "does not count here" in page
    deciders.decide("bob", "approved")
    assert "may not leave" in deciders.post("ann", f"/runs/{RUN}/publish").text
    assert deciders.run().state == RunState.APPROVED

"""A disk or a database that is full or away: each act says so in a sentence, and leaves nothing half done."""

from __future__ import annotations

import errno
import os
import shutil
import sys
from pathlib import Path

import pytest
from service.deciders import RUN
from service.releases import SMALL, desk, worker_of
from sqlalchemy import event

from privsynth.editions import publishing as editions
from privsynth.errors import LedgerUnavailable, LogUnavailable, OutputError, ServiceUnavailable
from privsynth.ledger.ledger import Ledger
from privsynth.ledger.stores import folder
from privsynth.service.oversight.backup import back_up
from privsynth.service.roles import Act
from privsynth.service.runs.look_up import one_run, some_runs
from privsynth.service.runs.submit import submit_release
from privsynth.service.sources import uploads
from privsynth.service.states import RunState
from privsynth.service.tokens import new_token
from privsynth.workspace import PARTIAL


def full(*_args, **_more):
    raise OSError(errno.ENOSPC, "No space left on device")


def away(*_args, **_more):
    raise LedgerUnavailable("its disk is full")


@pytest.fixture
def no_room():
    """Let an SQLite database take no further page, until its `clear` is called."""
    engines = []

    def fill(service):
        engine = service.database.engine
        with engine.connect() as connection:  # so that no row fits into what is free
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        engine.dispose()
        listener = lambda connection, _: connection.execute("PRAGMA max_page_count=1")  # noqa: E731  the least there is
        event.listen(engine, "connect", listener)
        engines.append((engine, listener))

    def clear():
        for engine, listener in engines:
            event.remove(engine, "connect", listener)
            engine.dispose()
        engines.clear()

    fill.clear = clear
    yield fill
    clear()


def _submit_until_full(at):
    for _ in range(50):  # what is free in the last pages is used up
        submit_release(at.service, at.submitter, at.source.id, SMALL, purpose="a course " * 200)


def test_a_submission_that_the_database_has_no_room_for_is_none(institution, tmp_path, no_room):
    at = desk(institution, tmp_path)
    no_room(at.service)
    with pytest.raises(ServiceUnavailable, match="does not answer"):
        _submit_until_full(at)
    made = len(some_runs(at.service, at.submitter))
    no_room.clear()
    submit_release(at.service, at.submitter, at.source.id, SMALL, purpose="a course")
    assert len(some_runs(at.service, at.submitter)) == made + 1


@pytest.mark.parametrize("where", ["write", "fsync"])
def test_an_upload_that_the_disk_has_no_room_for_leaves_no_file(institution, tmp_path, monkeypatch, where):
    at = desk(institution, tmp_path)
    bearer = {"authorization": f"Bearer {new_token(at.service, at.admin, 'x', frozenset({Act.REGISTER_SOURCE}), 1)}"}
    monkeypatch.setattr(uploads.os, where, full)
    query = {"name": "More", "dataset": "more", "file_name": "a.csv"}
    answer = institution.browser().post("/api/v1/sources/upload", params=query, content=b"a\n1\n", headers=bearer)
    assert (answer.status_code, answer.json()["exit_code"], "is full" in answer.text) == (503, 7, True)
    assert str(at.service.home) not in answer.text
    form = {"form_token": at.admin.form_token, "name": "More", "dataset": "more"}
    page = institution.browser("ada").post("/sources/upload", data=form, files={"file": ("a.csv", b"a\n1\n")})
    assert (page.status_code, "is full" in page.text) == (503, True)
    assert str(at.service.home) not in page.text
    assert list((at.service.folder / "uploads").iterdir()) == []


def test_a_ledger_that_cannot_be_used_is_away_and_refuses_nothing(institution, tmp_path, monkeypatch):
    at = desk(institution, tmp_path)
    scopes = frozenset({Act.SEE_BUDGET, Act.SCHEDULE})
    bearer = {"authorization": f"Bearer {new_token(at.service, at.submitter, 'x', scopes, 1)}"}
    monkeypatch.setattr(folder.FolderStore, "read", away)
    answer = institution.browser().get("/api/v1/budgets", headers=bearer)
    assert (answer.status_code, answer.json()) == (503, {"error": "its disk is full", "exit_code": 7})
    form = {"form_token": at.submitter.form_token, "source": at.source.id, "epsilon": 1, "purpose": "p",
            "every": "month", "first": "2026-12-31", "at": "06:00"}  # fmt: skip
    page = institution.browser("sam").post("/schedules", data=form)
    assert (page.status_code, "Its disk is full." in page.text) == (503, True)


def test_where_the_service_keeps_its_files_is_not_said_to_who_asks(institution, tmp_path, monkeypatch):
    at = desk(institution, tmp_path)
    bearer = {"authorization": f"Bearer {new_token(at.service, at.submitter, 'x', frozenset({Act.SEE_BUDGET}), 1)}"}
    for place in (at.service.home, "/srv/the ward's files/privsynth/ledger.json", "/var"):
        for kind in (LedgerUnavailable, LogUnavailable, OutputError):

            def fail(*_args, kind=kind, place=place):
                raise kind(f"the file ({place}) cannot be read: its disk, {place}, is full and/or gone")

            monkeypatch.setattr(folder.FolderStore, "read", fail)
            answer = institution.browser().get("/api/v1/budgets", headers=bearer)
            told = "the file (its folder) cannot be read: its disk, its folder, is full and/or gone"
            assert (answer.status_code, answer.json()["error"]) == (503, told)


LIMITED_JOB = """
import resource, signal
from privsynth.service.worker.job import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
main()
"""


def test_a_run_that_the_disk_has_no_room_for_fails_with_a_sentence(institution, tmp_path, monkeypatch):
    at = desk(institution, tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    run = submit_release(at.service, at.submitter, at.source.id, SMALL, purpose="a course")
    assert worker_of(at.service, command=(sys.executable, "-c", LIMITED_JOB)).once()
    run = one_run(at.service, at.submitter, run.id)
    assert run.state == RunState.FAILED
    assert "File too large" in run.sentence
    assert str(at.service.home) not in run.sentence
    spent = Ledger(at.service.home).account("admissions").spent_epsilon_units
    assert ("Nothing was spent" in run.sentence) == (spent == 0)
    assert not (at.service.release_folder(run.id) / "draft").exists()
    assert not [*at.service.home.glob("work/run-*"), *at.service.home.rglob(f"*{PARTIAL}*")]


@pytest.mark.parametrize("where", ["copyfile", "rename"])
def test_an_edition_that_the_disk_has_no_room_for_is_not_published(deciders, monkeypatch, where):
    for name in ("ann", "bob"):
        assert deciders.decide(name, "approved").status_code == 303
    with monkeypatch.context() as patch:
        patch.setattr(editions.shutil if where == "copyfile" else os, where, full)
        answer = deciders.post("ann", f"/runs/{RUN}/publish")
    assert (answer.status_code, 'class="problem"' in answer.text) == (503, True)
    assert str(deciders.service.home) not in answer.text
    assert deciders.run().state == RunState.APPROVED
    assert not (deciders.draft.parent / "edition").exists()
    assert not list(deciders.service.home.rglob(f"*{PARTIAL}*"))
    assert deciders.post("ann", f"/runs/{RUN}/publish").status_code == 303


@pytest.mark.parametrize("where", ["copytree", "copy2"])
def test_a_backup_that_the_disk_has_no_room_for_is_none(deciders, tmp_path, monkeypatch, where):
    shutil.copy(tmp_path / "service.db", deciders.service.folder / "service.db")
    target, real = tmp_path / "copy", shutil.copyfile
    if where == "copytree":
        monkeypatch.setattr(
            shutil, "copyfile", lambda source, to, **more: full() if "draft" in str(to) else real(source, to, **more)
        )
    else:
        monkeypatch.setattr(shutil, "copytree", full)
    with pytest.raises(OutputError, match=r"full|No space"):
        back_up(deciders.service.settings, deciders.service.home, target)
    assert not target.exists()

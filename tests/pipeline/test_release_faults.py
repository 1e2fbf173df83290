"""What disks, ledgers and signals do to a run that has paid: a finished release is neither thrown away nor disowned."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import sqlite3
import stat
from collections import namedtuple
from pathlib import Path

import pytest
from pipeline.admissions import FAST, RELEASED, admissions, left_in_workspace, run, schema, spent, tree, write

from privsynth.cli import STOPPED_LATE
from privsynth.errors import LedgerUnavailable
from privsynth.ledger.ledger import Ledger
from privsynth.ledger.stores.folder import FolderStore
from privsynth.pipeline import synthesize as synthesize_module
from privsynth.pipeline.writing import write as write_module
from privsynth.release import out_folder
from privsynth.release.folder import Release
from privsynth.release.out_folder import OutFolder
from privsynth.transparency import tiles
from privsynth.transparency.log import TransparencyLog, log_folder
from privsynth.transparency.seen import SeenLogs
from privsynth.workspace import Workspace, privsynth_home

INPUTS = {"admissions.csv", "schema.yaml"}


@pytest.fixture
def job(tmp_path):
    """Run a small release into `out`."""
    table, declared = write(tmp_path, "admissions.csv", admissions()), write(tmp_path, "schema.yaml", schema())

    def _job(*args, out="out"):
        return run("synthesize", table, "--schema", declared, "--epsilon", 1, "--out", tmp_path / out, *FAST, *args)

    return _job


def last_event(home) -> str:
    return Ledger(home).history("admissions")[-1].kind


def after_publish(monkeypatch, act):
    """Do something at once after a release has appeared."""
    publish = OutFolder.publish

    def publish_and_act(self):
        publish(self)
        act()

    monkeypatch.setattr(OutFolder, "publish", publish_and_act)


def no_space(*args, **more):
    raise OSError(errno.ENOSPC, "No space left on device")


def other_disk(monkeypatch):
    """Let the private workspace be on a disk of its own."""
    rename = os.rename

    def at_home(path):
        return bool({"work", "kept"} & set(Path(path).parts))

    def apart(source, target):
        if at_home(source) != at_home(target):
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        rename(source, target)

    monkeypatch.setattr(out_folder.os, "rename", apart)


# --- the ledger fails after the release has appeared --------------------------------------------------------------


def broken_sqlite(code):
    def fail(*args, **more):
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = code
        raise error

    return fail


FAULTS = {
    "no connection": ("_connect", broken_sqlite(sqlite3.SQLITE_IOERR)),
    "no lock": ("_connect", broken_sqlite(sqlite3.SQLITE_IOERR_LOCK)),
    "table full": ("_insert", broken_sqlite(sqlite3.SQLITE_FULL)),
    "head full": ("_write_head", no_space),
    "key unreadable": ("_chain_key", lambda self: (_ for _ in ()).throw(OSError(errno.EIO, "Input/output error"))),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_ledger_that_fails_after_the_release_appeared_is_a_warning(job, tmp_path, privsynth_home, monkeypatch, fault):
    name, fail = FAULTS[fault]
    with monkeypatch.context() as patch:
        after_publish(patch, lambda: patch.setattr(FolderStore, name, fail))
        made = job("--json")
    assert made.exit_code in RELEASED, made.output
    assert "Warning: The release is complete" in made.stderr
    assert Release.open(tmp_path / "out").epsilon == 1
    assert last_event(privsynth_home) in ("drawn", "completed")
    assert spent() == {"admissions": 1.0}


def test_what_could_not_be_recorded_at_once_is_recorded_at_the_end(job, privsynth_home, monkeypatch):
    append, failed = FolderStore.append, []

    def once(self, *args, **more):
        if not failed:
            failed.append(True)
            raise LedgerUnavailable("the disk is full")
        return append(self, *args, **more)

    with monkeypatch.context() as patch:
        after_publish(patch, lambda: patch.setattr(FolderStore, "append", once))
        assert job().exit_code in RELEASED
    assert last_event(privsynth_home) == "completed"


def test_a_ledger_that_cannot_be_written_has_an_exit_code_of_its_own(job, tmp_path, privsynth_home, monkeypatch):
    assert run("budget", "set", "admissions", "--epsilon", 5).exit_code == 0
    with monkeypatch.context() as patch:
        patch.setattr(FolderStore, "_write", no_space)
        refused = job()
    assert refused.exit_code == 7
    assert tree(tmp_path) == INPUTS
    (privsynth_home / "ledger.head").unlink()  # damaged, which no second try will mend
    assert job().exit_code == 4


def test_the_ledger_is_not_read_between_the_first_noise_and_the_release(job, tmp_path, monkeypatch):
    mark_drawn = synthesize_module.Reservation.mark_drawn

    def then_unreadable(self):
        mark_drawn(self)
        monkeypatch.setattr(FolderStore, "read", broken_sqlite(sqlite3.SQLITE_IOERR))

    monkeypatch.setattr(synthesize_module.Reservation, "mark_drawn", then_unreadable)
    assert job().exit_code in RELEASED
    assert (tmp_path / "out" / "public").is_dir()


# --- signals ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_who_stops_a_run_that_has_just_published_gets_the_release(job, tmp_path, privsynth_home, monkeypatch, number):
    after_publish(monkeypatch, lambda: os.kill(os.getpid(), number))
    assert job().exit_code in RELEASED
    assert last_event(privsynth_home) == "completed"
    assert left_in_workspace() == set()
    assert (tmp_path / "out" / "public").is_dir()


def test_who_stops_the_printing_is_told_that_the_release_is_whole(job, tmp_path, privsynth_home, monkeypatch):
    monkeypatch.setattr("privsynth.cli.synthesize._say", lambda *_: os.kill(os.getpid(), signal.SIGINT))
    stopped = job()
    assert (stopped.exit_code, stopped.stderr) == (130, STOPPED_LATE + "\n")
    assert last_event(privsynth_home) == "completed"


# --- disks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", ["bring", "copy", "publish"])
def test_a_release_that_cannot_appear_is_kept(job, tmp_path, privsynth_home, monkeypatch, at):
    with monkeypatch.context() as patch:
        if at == "copy":
            other_disk(patch)
            copy = out_folder.shutil.copy2

            def half_a_copy(source, target, **more):
                copy(source, target)
                no_space()

            patch.setattr(out_folder.shutil, "copy2", half_a_copy)
        else:
            rename = os.rename

            def full(source, target):
                if "kept" not in Path(target).parts and (at == "bring" or Path(source).name == "whole"):
                    no_space()
                rename(source, target)

            patch.setattr(out_folder.os, "rename", full)
        result = job()
    assert result.exit_code == 2, result.output
    assert result.stderr.count("\n") == 1
    assert "the disk is full" in result.stderr
    assert tree(tmp_path) == INPUTS
    assert left_in_workspace() == set()
    (kept,) = (privsynth_home / "kept").iterdir()
    assert f"mv {kept} PLACE" in result.stderr
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    assert last_event(privsynth_home) == "completed"
    assert spent() == {"admissions": 1.0}
    with Workspace(privsynth_home):
        pass  # the next start leaves it alone
    os.rename(kept, tmp_path / "fetched")
    assert Release.open(tmp_path / "fetched").epsilon == 1
    assert run("verify", tmp_path / "fetched" / "public").exit_code == 5  # whole, but UNSIGNED
    assert "UNSIGNED" in run("verify", tmp_path / "fetched" / "public").stderr


def test_a_full_private_disk_does_not_stop_a_release_that_has_room_at_its_place(job, tmp_path, monkeypatch):
    rows = write_module.write_rows

    def full_at_home(found, path, label):
        if "work" in path.parts:
            no_space()
        rows(found, path, label)

    monkeypatch.setattr(write_module, "write_rows", full_at_home)
    assert job().exit_code in RELEASED
    assert tree(tmp_path) & {"out", ".out.privsynth-partial"} == {"out"}
    assert stat.S_IMODE((tmp_path / "out" / "officer").stat().st_mode) == 0o700


def test_where_no_disk_has_room_one_sentence_says_so(job, tmp_path, privsynth_home, monkeypatch):
    monkeypatch.setattr(write_module, "write_rows", no_space)
    result = job()
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "No space left" in result.stderr
    assert tree(tmp_path) == INPUTS
    assert last_event(privsynth_home) == "failed"


def test_a_model_that_cannot_be_written_is_a_full_disk_and_no_surprise(job, monkeypatch):
    write_bytes = Path.write_bytes

    def full(path, data):
        if path.name == "model.safetensors":
            no_space()
        return write_bytes(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    result = job()
    assert result.exit_code == 2
    assert "No space left" in result.stderr


Usage = namedtuple("Usage", "free")


@pytest.mark.parametrize("full", ["out", "home"])
def test_a_disk_that_is_full_already_stops_a_run_before_it_pays(job, tmp_path, privsynth_home, monkeypatch, full):
    where = tmp_path if full == "out" else privsynth_home
    monkeypatch.setattr(out_folder.shutil, "disk_usage", lambda path: Usage(10_000 if path == where else 10**12))
    result = job()
    assert result.exit_code == 2
    assert "MB left" in result.stderr
    assert spent() == {}
    assert tree(tmp_path) == INPUTS


def test_a_csv_of_declared_size_must_fit(job, tmp_path, monkeypatch):
    monkeypatch.setattr(out_folder.shutil, "disk_usage", lambda path: Usage(10**9))
    assert "the release takes" in job("--rows", 10**9, "--format", "csv").stderr
    assert spent() == {}
    assert job("--rows", 100, "--format", "csv").exit_code in RELEASED


def test_a_name_that_is_too_long_to_be_written_to_stops_a_run_before_it_pays(job, tmp_path):
    result = job(out="x" * 245)
    assert result.exit_code == 2
    assert "the name is too long" in result.stderr
    assert spent() == {}
    assert tree(tmp_path) == INPUTS


def test_an_output_on_another_disk_carries_the_one_time_of_the_release(job, tmp_path, monkeypatch):
    other_disk(monkeypatch)
    assert job().exit_code in RELEASED
    assert tree(tmp_path) & {"out", ".out.privsynth-partial"} == {"out"}
    assert stat.S_IMODE((tmp_path / "out" / "officer").stat().st_mode) == 0o700
    times = {path.stat().st_mtime for path in (tmp_path / "out", *(tmp_path / "out").rglob("*"))}
    assert len(times) == 1
    assert times.pop() % 1 == 0  # the start of the run in whole seconds, and not when the files were copied


# --- the log of releases ------------------------------------------------------------------------------------------


@pytest.fixture
def kept_log():
    """Make a log in this test's home."""
    return TransparencyLog.create(log_folder(privsynth_home()), SeenLogs(privsynth_home()), "st-mary.example/log")


def test_a_release_is_in_the_log_before_it_appears(job, tmp_path, kept_log, monkeypatch):
    seen = []
    publish = OutFolder.publish

    def look_and_publish(self):
        seen.append((kept_log.read().entries, self.out.exists()))
        publish(self)

    monkeypatch.setattr(OutFolder, "publish", look_and_publish)
    done = job()
    assert (done.exit_code, f"synthetic data   {tmp_path / 'out/public/data.parquet'}" in done.stdout) == (0, True)
    (((entry,), there),) = seen
    manifest = hashlib.sha256((tmp_path / "out" / "public" / "manifest.json").read_bytes()).hexdigest()
    assert (there, entry.kind, entry.release, entry.by) == (False, "release", manifest, "")


def test_a_log_that_cannot_be_written_stops_a_run_before_it_costs(job, tmp_path, kept_log, monkeypatch):
    monkeypatch.setattr(tiles, "atomic_write", no_space)
    done = job()
    assert (done.exit_code, "the log in" in done.stderr, "disk is full" in done.stderr) == (7, True, True)
    assert spent() == {}
    assert not (tmp_path / "out").exists()


def test_a_log_that_fails_at_the_last_moment_delivers_nothing_and_keeps_the_release(
    job, tmp_path, kept_log, monkeypatch
):
    ready, written = TransparencyLog.require_ready, tiles.atomic_write

    def ready_and_then_not(self, now):
        ready(self, now)
        monkeypatch.setattr(tiles, "atomic_write", no_space)

    monkeypatch.setattr(TransparencyLog, "require_ready", ready_and_then_not)
    done = job()
    monkeypatch.setattr(tiles, "atomic_write", written)
    assert done.exit_code == 7, done.output
    (kept,) = (privsynth_home() / "kept").iterdir()
    assert f"privsynth log append {kept}" in done.stderr
    assert not (tmp_path / "out").exists()
    assert kept_log.read().checkpoint.size == 0
    assert spent() == {"admissions": 1}
    assert run("log", "append", kept).exit_code == 5  # nobody signed it, so nobody can vouch for it now

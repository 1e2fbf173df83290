"""The private folder: closed to others, wiped at the end, and wiped by the next run after a kill."""

from __future__ import annotations

import errno
import os
import resource
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

import privsynth.errors
from privsynth.errors import OutputError, SourceError
from privsynth.workspace import Workspace, privsynth_home

SCHEMA = pa.schema([("a", pa.string())])


def batch(*cells):
    return pa.record_batch([pa.array(cells, pa.string())], schema=SCHEMA)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def runs(home):
    return sorted((home / "work").glob("run-*"))


@pytest.fixture
def open_umask():
    """The most careless umask: whatever is private is so by its own mode."""
    before = os.umask(0)
    yield
    os.umask(before)


def test_spilled_rows_come_back_mapped(tmp_path):
    with Workspace(tmp_path) as workspace:
        before = pa.total_allocated_bytes()
        table = workspace.spill(iter([batch("x", None), batch("y" * 100_000)]), SCHEMA)
        assert pa.total_allocated_bytes() - before < 100_000
        assert table.column("a").to_pylist() == ["x", None, "y" * 100_000]
    # The pages live as long as the table: one that outlives the block can still be read.
    assert table.column("a").to_pylist()[0] == "x"


def test_pages_that_were_read_can_be_let_go_and_come_back(tmp_path):
    with Workspace(tmp_path) as workspace:
        table = workspace.spill((batch("x" * 100_000) for _ in range(200)), SCHEMA)
        read = table.column("a").to_pylist()
        held = resident(workspace.folder)
        workspace.let_go()
        assert held > 15_000
        assert resident(workspace.folder) < 1_000
        assert table.column("a").to_pylist() == read


def resident(folder):
    """Return how much of the files in a folder is mapped into memory, in KiB."""
    total, ours = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if not line.split()[0].endswith(":"):
            ours = str(folder) in line
        elif ours and line.startswith("Rss:"):
            total += int(line.split()[1])
    return total


def test_batches_are_written_one_at_a_time(tmp_path):
    with Workspace(tmp_path) as workspace:

        def batches():
            for _ in range(20):
                yield pa.record_batch([pa.array(["z" * 1000] * 1000)], schema=SCHEMA)
                assert pa.total_allocated_bytes() - before < 3_000_000

        before = pa.total_allocated_bytes()
        assert workspace.spill(batches(), SCHEMA).num_rows == 20_000


def test_an_empty_spill_is_an_empty_table(tmp_path):
    with Workspace(tmp_path) as workspace:
        table = workspace.spill(iter([]), SCHEMA)
        assert (table.num_rows, table.schema) == (0, SCHEMA)


def test_spilled_rows_never_have_a_name(tmp_path):
    with Workspace(tmp_path) as workspace:

        def batches():
            for _ in range(3):
                yield batch("SECRET" * 10_000)
                assert [path.name for path in workspace.folder.iterdir()] == ["lock"]

        table = workspace.spill(batches(), SCHEMA)
        assert [path.name for path in workspace.folder.iterdir()] == ["lock"]
        assert table.num_rows == 3


def test_everything_is_private(tmp_path, open_umask):
    home = tmp_path / "home"
    with Workspace(home) as workspace:
        workspace.spill(iter([batch("x")]), SCHEMA)
        workspace.new_file(".tmp")
        assert mode(home / "work") == mode(workspace.folder) == 0o700
        files = list(workspace.folder.iterdir())
        assert len(files) == 2
        assert {mode(path) for path in files} == {0o600}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_it_is_wiped_at_the_end_and_after_any_error(tmp_path, error):
    with Workspace(tmp_path) as workspace:
        workspace.spill(iter([batch("x")]), SCHEMA)
        assert len(runs(tmp_path)) == 1
    assert runs(tmp_path) == []

    def run():
        with Workspace(tmp_path) as workspace:
            workspace.spill(iter([batch("x")]), SCHEMA)
            raise error

    with pytest.raises(error):
        run()
    assert runs(tmp_path) == []


def test_it_is_of_no_use_outside_its_block(tmp_path):
    workspace = Workspace(tmp_path)
    with pytest.raises(RuntimeError, match="with block"):
        workspace.spill(iter([]), SCHEMA)
    with workspace:
        pass
    with pytest.raises(RuntimeError, match="with block"):
        _ = workspace.folder


HOLD = """
import sys, pyarrow as pa
from pathlib import Path
from privsynth.workspace import Workspace
with Workspace(Path(sys.argv[1])) as workspace:
    schema = pa.schema([("a", pa.string())])
    workspace.spill(iter([pa.record_batch([pa.array(["SECRET"])], schema=schema)]), schema)
    print("ready", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def other_run(tmp_path):
    """Start a run of another process that holds a workspace with rows."""
    started = []

    def _start():
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(privsynth.errors.__file__).parents[1])},
        )
        started.append(process)
        assert process.stdout.readline() == "ready\n"
        return process

    yield _start
    for process in started:
        process.kill()
        process.communicate()


def test_a_killed_run_is_wiped_by_the_next_and_a_living_one_is_not(tmp_path, other_run):
    killed, living = other_run(), other_run()
    assert len(runs(tmp_path)) == 2
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert len(runs(tmp_path)) == 2  # nobody could wipe it yet, but no row is in it
    assert not [path for path in (tmp_path / "work").rglob("*") if path.is_file() and path.stat().st_size]
    with Workspace(tmp_path) as workspace:
        (left,) = set(runs(tmp_path)) - {workspace.folder}
        assert f"{left}/00000.arrow (deleted)" in Path(f"/proc/{living.pid}/maps").read_text()
    assert runs(tmp_path) == [left]
    living.communicate("")
    assert living.returncode == 0
    assert runs(tmp_path) == []


def test_a_folder_whose_run_died_before_it_had_a_lock_is_wiped(tmp_path):
    (tmp_path / "work" / "run-0123456789abcdef").mkdir(parents=True)
    with Workspace(tmp_path) as workspace:
        assert runs(tmp_path) == [workspace.folder]


def test_what_is_not_ours_is_never_wiped(tmp_path):
    work, elsewhere = tmp_path / "work", tmp_path / "elsewhere"
    (work / "thesis").mkdir(parents=True)
    (work / "thesis" / "chapter.txt").write_text("x")
    (work / "run-not-ours").mkdir()
    elsewhere.mkdir()
    (elsewhere / "precious").write_text("x")
    (work / "run-0123456789abcdef").symlink_to(elsewhere)
    with Workspace(tmp_path):
        pass
    assert (work / "thesis" / "chapter.txt").exists()
    assert (work / "run-not-ours").exists()
    assert [path.name for path in elsewhere.iterdir()] == ["precious"]


def test_a_forked_child_does_not_wipe_what_its_parent_reads(tmp_path):
    with Workspace(tmp_path) as workspace:
        child = os.fork()
        if child == 0:
            try:
                workspace.__exit__(None, None, None)
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        assert workspace.folder.is_dir()
    assert runs(tmp_path) == []


def test_a_file_beyond_what_may_be_written_says_so(tmp_path):
    """The limit of the process stands in for a full disk: the system refuses the write all the same."""
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Workspace(tmp_path) as workspace:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, limit[1]))
        try:
            with pytest.raises(OutputError, match="is full; free some space, or set PRIVSYNTH_HOME"):
                workspace.spill((batch("SECRET" * 10_000) for _ in range(10)), SCHEMA)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        assert [path.name for path in workspace.folder.iterdir()] == ["lock"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_says_so(tmp_path, monkeypatch, number):
    class Full:
        def write_batch(self, batch):
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr("pyarrow.ipc.new_file", lambda file, schema: Full())
    with Workspace(tmp_path) as workspace, pytest.raises(OutputError, match="is full"):
        workspace.spill(iter([batch("x")]), SCHEMA)


def test_an_error_of_the_source_is_not_taken_for_a_full_disk(tmp_path):
    def broken():
        yield batch("x")
        raise SourceError("the source broke")

    with Workspace(tmp_path) as workspace:
        with pytest.raises(SourceError, match="the source broke"):
            workspace.spill(broken(), SCHEMA)
        assert [path.name for path in workspace.folder.iterdir()] == ["lock"]


def test_a_home_that_cannot_be_made_says_so(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="PRIVSYNTH_HOME"), Workspace(tmp_path / "file"):
        pass
    monkeypatch.setenv("PRIVSYNTH_HOME", str(tmp_path / "file" / "home"))
    with pytest.raises(OutputError, match="cannot be written"):
        privsynth_home()


def test_home_is_chosen_by_the_environment(tmp_path, monkeypatch, open_umask):
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    monkeypatch.delenv("PRIVSYNTH_HOME", raising=False)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    assert privsynth_home() == tmp_path / "user" / ".local" / "share" / "privsynth"
    assert mode(privsynth_home()) == 0o700
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    assert privsynth_home() == tmp_path / "user" / ".local" / "share" / "privsynth"
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert privsynth_home() == tmp_path / "data" / "privsynth"
    monkeypatch.setenv("PRIVSYNTH_HOME", str(tmp_path / "mine"))
    assert privsynth_home() == tmp_path / "mine"
    (tmp_path / "mine").chmod(0o755)
    assert mode(privsynth_home()) == 0o755  # shared on purpose: left alone

"""The name of an output folder is held by one run at a time, and what a killed run left there is wiped."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import privsynth.errors
from privsynth import workspace
from privsynth.errors import OutputError
from privsynth.release import out_folder
from privsynth.release.out_folder import OutFolder
from privsynth.workspace import Workspace

HOLD = """
import sys
from pathlib import Path
from privsynth.release.out_folder import OutFolder
with OutFolder(Path(sys.argv[1]), Path(sys.argv[2])) as place:
    place.whole.mkdir()
    (place.whole / "half.csv").write_text("half")
    print("ready", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Start a run of another process that holds the name `out` and has half a folder there."""
    started = []

    def _start(home="home"):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(tmp_path / "out"), str(tmp_path / home)],
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


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("home", ["home", "another home"])
def test_a_second_run_is_refused_while_the_first_lives(tmp_path, holder, home):
    first = holder()
    with (
        pytest.raises(OutputError, match="another run is about to write"),
        OutFolder(tmp_path / "out", tmp_path / home),
    ):
        pass
    assert (tmp_path / ".out.privsynth-partial" / "whole" / "half.csv").exists()
    first.communicate("")
    assert first.returncode == 0
    with OutFolder(tmp_path / "out", tmp_path / home):
        pass
    assert set(names(tmp_path)) == {"home", home}


def test_what_a_killed_run_left_is_wiped_at_the_next_start(tmp_path, holder):
    killed = holder()
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert ".out.privsynth-partial" in names(tmp_path)
    with Workspace(tmp_path / "home"):
        assert names(tmp_path) == ["home"]
    assert names(tmp_path / "home" / "work") == [".sweep"]


def test_what_a_living_run_holds_is_not_wiped(tmp_path, holder):
    holder()
    with Workspace(tmp_path / "home"):
        assert (tmp_path / ".out.privsynth-partial" / "whole" / "half.csv").exists()
    assert any(name.startswith("out-") for name in names(tmp_path / "home" / "work"))


def test_a_run_with_another_home_takes_over_what_a_killed_one_left(tmp_path, holder):
    killed = holder()
    killed.kill()
    killed.wait()
    with OutFolder(tmp_path / "out", tmp_path / "other") as place:
        assert not place.whole.exists()
    assert names(tmp_path) == ["home", "other"]


def test_only_what_looks_like_ours_is_wiped(tmp_path):
    work, thesis = tmp_path / "home" / "work", tmp_path / "thesis"
    work.mkdir(parents=True)
    thesis.mkdir()
    (tmp_path / ".link.privsynth-partial").symlink_to(thesis)
    (work / "out-0123456789abcdef").write_bytes(os.fsencode(thesis))
    (work / "out-0123456789abcde0").write_bytes(os.fsencode(tmp_path / ".link.privsynth-partial"))
    (work / "out-0123456789abcde1").write_bytes(os.fsencode(tmp_path / "away" / ".x.privsynth-partial"))
    (work / "out-0123456789abcde2").write_bytes(b"\0")
    with Workspace(tmp_path / "home"):
        pass
    assert thesis.is_dir()
    # One whose disk is away is tried again.
    assert {"out-0123456789abcde1", "out-0123456789abcde2"} >= {n for n in names(work) if n != ".sweep"}
    assert "out-0123456789abcde1" in names(work)


def test_folders_on_the_way_are_made_and_taken_away_again(tmp_path):
    with OutFolder(tmp_path / "a" / "b" / "out", tmp_path / "home"):
        assert (tmp_path / "a" / "b").is_dir()
    assert names(tmp_path) == ["home"]
    with OutFolder(tmp_path / "a" / "b" / "out", tmp_path / "home") as place:
        place.whole.mkdir()
        place.publish()
    assert names(tmp_path / "a" / "b") == ["out"]


def test_a_name_that_somebody_took_meanwhile_is_left_alone(tmp_path):
    with OutFolder(tmp_path / "out", tmp_path / "home") as place:
        place.whole.mkdir()
        (tmp_path / "out").mkdir()
        with pytest.raises(OutputError, match="left alone"):
            place.publish()
    assert names(tmp_path) == ["home", "out"]


def test_a_disk_without_locks_can_be_written_to_by_one_run(tmp_path, monkeypatch):
    lock = out_folder.open_locked

    def no_locks(path, *, wait):
        if path.parent.name.endswith(workspace.PARTIAL):
            os.close(lock(path, wait=False))
            raise OSError(errno.ENOLCK, "No locks available")
        return lock(path, wait=wait)

    monkeypatch.setattr(out_folder, "open_locked", no_locks)
    monkeypatch.setattr(workspace, "open_locked", no_locks)
    with OutFolder(tmp_path / "out", tmp_path / "home") as place:
        with pytest.raises(OutputError, match="No locks"), OutFolder(tmp_path / "out", tmp_path / "home"):
            pass
        place.whole.mkdir()
        place.publish()
    assert names(tmp_path) == ["home", "out"]

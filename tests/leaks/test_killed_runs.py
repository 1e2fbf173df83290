"""A run that is killed at any moment: no folder, no rows left behind, and the budget stays spent."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner
from leaks.needles import assert_no_needle, files_of
from leaks.world import TEXTS, csv_bytes, rows_with_needles

from privsynth.cli import main
from privsynth.workspace import Workspace

ROOT = Path(__file__).resolve().parents[2]
# A run that waits at a chosen stage for its end, so that the moment of the kill is no matter of luck.
WAITS = """
import sys, time
stage = sys.argv.pop(1)
import privsynth.cli.output as output
real = output.Steps.__call__
def waiting(self, step, *more):
    real(self, step, *more)
    if step == stage:
        sys.stderr.flush()
        print("WAITING", file=sys.stderr, flush=True)
        time.sleep(600)
output.Steps.__call__ = waiting
from pytest import MonkeyPatch
from leaks.proof import small_generators
small_generators(MonkeyPatch(), arn=False)
from privsynth.cli import main
main(sys.argv[1:], prog_name="privsynth")
"""


def killed(stage: str, folder: Path, home: Path) -> None:
    """Start a run, and kill it when it has come to a stage."""
    source = folder / "table.csv"
    source.write_bytes(csv_bytes(rows_with_needles()))
    line = ["-v", "synthesize", source, "--unit", "patient", "--max-rows-per-unit", "3", "--epsilon", "2",
            "--out", folder / "out",
            "--audit", "none", "--generator", "marginal",
            "--dataset", "admissions"]  # fmt: skip
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    env = {**os.environ, "PRIVSYNTH_HOME": str(home), "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-c", WAITS, stage, *map(str, line)],
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    limit = threading.Timer(120, process.kill)
    limit.start()
    try:
        assert process.stderr is not None
        seen = []
        for text in process.stderr:
            seen.append(text)
            if text.strip() == b"WAITING":
                break
        else:
            pytest.fail(f"the run never came to '{stage}': {seen}")
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    finally:
        limit.cancel()
        process.kill()
        process.stderr.close()


@pytest.mark.parametrize(
    "stage",
    [
        pytest.param("learning the columns", marks=pytest.mark.slow),
        pytest.param("planning", marks=pytest.mark.slow),
        pytest.param("reading", marks=pytest.mark.slow),
        pytest.param("dividing", marks=pytest.mark.slow),
        pytest.param("fitting", marks=pytest.mark.slow),
        pytest.param("measuring the public figures", marks=pytest.mark.slow),
        "writing",
    ],
)
def test_a_killed_run_leaves_nothing_but_its_bill(tmp_path, privsynth_home, stage):
    killed(stage, tmp_path, privsynth_home)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["table.csv"]
    # The next start wipes what the killed run could not.
    with Workspace(privsynth_home):
        pass
    assert not list((privsynth_home / "work").glob("run-*"))
    assert_no_needle(TEXTS, [], files_of(privsynth_home))
    shown = CliRunner().invoke(main, ["budget", "show", "--json"])
    assert shown.exit_code == 0
    accounts = json.loads(shown.stdout)["accounts"]
    if stage == "planning":  # before the reservation
        assert not accounts
        return
    (account,) = accounts
    assert account["dataset"] == "admissions"
    assert account["spent_epsilon"] == 2.0
    assert account["spent_delta"] == 1e-6
    assert account["completed"] == 0


def test_the_next_run_after_a_kill_is_whole(tmp_path, privsynth_home):
    killed("dividing", tmp_path, privsynth_home)
    # The killed run's rows are still there: this is what the next start is for.
    assert list((privsynth_home / "work").glob("run-*/*.arrow"))
    line = ["synthesize", str(tmp_path / "table.csv"), "--unit", "row", "--epsilon", "2",
            "--out", str(tmp_path / "out"), "--audit", "none", "--generator", "marginal",
            "--dataset", "admissions"]  # fmt: skip
    done = CliRunner().invoke(main, line)
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "table.csv"]
    assert not list((privsynth_home / "work").glob("run-*"))
    (account,) = json.loads(CliRunner().invoke(main, ["budget", "show", "--json"]).stdout)["accounts"]
    assert 2.0 < account["spent_epsilon"] <= 4.0

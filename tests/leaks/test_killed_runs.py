"""A run that is killed at any moment: no folder, no rows left behind, and the budget stays spent.

One that is asked to end (SIGTERM, SIGHUP, Ctrl-C) cleans up itself, and gives back what it has not drawn on.
"""

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

from privsynth.cli import STOPPED_WITHOUT, main
from privsynth.ledger.ledger import Ledger
from privsynth.ledger.reservation import GIVEN_BACK, STAYS_SPENT
from privsynth.workspace import Workspace

ROOT = Path(__file__).resolve().parents[2]
# A run that waits at a chosen stage for its end, so that the moment of the kill is no matter of luck.
WAITS = """
import sys, time
stage = sys.argv.pop(1)
import privsynth.cli.terminal.output as output
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


def stopped(stage: str, folder: Path, home: Path, by: signal.Signals, code: int) -> bytes:
    """Start a run, send it a signal when it has come to a stage, and return what it said after that."""
    source = folder / "table.csv"
    source.write_bytes(csv_bytes(rows_with_needles()))
    line = ["-v", "synthesize", source, "--anyway", "--unit", "patient", "--max-rows-per-unit", "3", "--epsilon", "2",
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
        process.send_signal(by)
        said = process.stderr.read()
        assert process.wait() == code, said
        return said
    finally:
        limit.cancel()
        process.kill()
        process.stderr.close()


def killed(stage: str, folder: Path, home: Path) -> None:
    stopped(stage, folder, home, signal.SIGKILL, -signal.SIGKILL)


def rows_in(home: Path) -> list[Path]:
    """Return the files of the private workspace that hold anything of a row."""
    texts = [text.encode() for text in TEXTS]
    files = [path for path in (home / "work").rglob("*") if path.is_file()]
    return [path for path in files if any(text in path.read_bytes() for text in texts)]


def accounts() -> list[dict]:
    shown = CliRunner().invoke(main, ["budget", "show", "--json"])
    assert shown.exit_code == 0
    return json.loads(shown.stdout)["accounts"]


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
    # The name of the output was held by a folder, which has nothing in it but a lock.
    held = set() if stage == "planning" else {".out.privsynth-partial", ".out.privsynth-partial/lock"}
    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")} == held | {"table.csv"}
    assert not list((privsynth_home / "work").rglob("*.arrow"))
    assert not rows_in(privsynth_home)
    # The next start wipes what the killed run could not.
    with Workspace(privsynth_home):
        pass
    assert os.listdir(privsynth_home / "work") == [".sweep"]
    assert os.listdir(tmp_path) == ["table.csv"]
    assert_no_needle(TEXTS, [], files_of(privsynth_home))
    if stage == "planning":  # before the reservation
        assert not accounts()
        return
    (account,) = accounts()
    assert account["dataset"] == "admissions"
    assert account["spent_epsilon"] == 2.0
    assert account["spent_delta"] == 1e-6
    assert account["completed"] == 0


def test_the_next_run_after_a_kill_is_whole(tmp_path, privsynth_home):
    killed("dividing", tmp_path, privsynth_home)
    assert list((privsynth_home / "work").glob("run-*"))
    line = ["synthesize", str(tmp_path / "table.csv"), "--anyway", "--unit", "row", "--epsilon", "2",
            "--out", str(tmp_path / "out"), "--audit", "none", "--generator", "marginal",
            "--dataset", "admissions"]  # fmt: skip
    done = CliRunner().invoke(main, line)
    assert done.exit_code in (0, 3), done.output  # 3: a check failed, as it may on a small table
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "table.csv"]
    assert not list((privsynth_home / "work").glob("run-*"))
    (account,) = accounts()
    assert 2.0 < account["spent_epsilon"] <= 4.0


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
@pytest.mark.parametrize("stage", ["dividing", pytest.param("writing", marks=pytest.mark.slow)])
def test_a_run_that_is_asked_to_end_cleans_up_and_settles(tmp_path, privsynth_home, stage, by):
    said = stopped(stage, tmp_path, privsynth_home, by, 130)
    became = GIVEN_BACK if stage == "dividing" else STAYS_SPENT
    assert said.decode().strip() == f"{STOPPED_WITHOUT} {became}"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["table.csv"]
    assert os.listdir(privsynth_home / "work") == [".sweep"]
    events = [event.kind for event in Ledger(privsynth_home).history("admissions")]
    assert events[-1] == ("refunded" if stage == "dividing" else "failed")
    assert sum(account["spent_epsilon"] for account in accounts()) == (0 if stage == "dividing" else 2)

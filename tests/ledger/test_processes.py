"""Several processes on one ledger, and processes that die."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest
from ledger.accounts import ROOT, finish, reserve, spent

from privsynth.ledger.ledger import Ledger

_ASK = """
import sys
from pathlib import Path
from privsynth.errors import BudgetExceeded
from privsynth.ledger.ledger import Ledger
ledger = Ledger(Path(sys.argv[1]), timeout_s=120)
print("ready", flush=True)
sys.stdin.readline()
try:
    ledger.reserve("adm", epsilon=3, delta=1e-6, unit="row", run_id=sys.argv[2])
    print("yes")
except BudgetExceeded:
    print("no")
"""

_DRAW = """
import sys
from pathlib import Path
from privsynth.ledger.ledger import Ledger
reservation = Ledger(Path(sys.argv[1])).reserve("adm", epsilon=3, delta=1e-6, unit="row", run_id="killed")
if sys.argv[2] == "drawn":
    reservation.bind(b"a" * 32)
    reservation.mark_drawn()
print("ready", flush=True)
sys.stdin.readline()
reservation.close()
"""

_DIE = """
import os, sys
from pathlib import Path
from privsynth.ledger.ledger import Ledger
from privsynth.ledger.stores.folder import FolderStore
setattr(FolderStore, sys.argv[2], lambda *args, **kwargs: os._exit(9))
Ledger(Path(sys.argv[1])).reserve("adm", epsilon=1, delta=1e-6, unit="row", run_id=sys.argv[3])
"""


def start(script, *args):
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, args)],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_eight_processes_at_once_cannot_overspend(tmp_path):
    """Also the very first writes race: the folder, the key and the head do not exist yet."""
    workers = [start(_ASK, tmp_path / "home", f"run-{i}") for i in range(8)]
    for worker in workers:
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        worker.stdin.write("go\n")
        worker.stdin.flush()
    answers = [worker.communicate(timeout=300)[0].strip() for worker in workers]
    assert sorted(answers) == ["no"] * 5 + ["yes"] * 3
    ledger = Ledger(tmp_path / "home")
    assert spent(ledger) == 9
    assert len(ledger.history("adm")) == 3


@pytest.mark.parametrize("when", ["reserved", "drawn"])
def test_a_killed_process_has_spent_what_it_reserved(tmp_path, when):
    worker = start(_DRAW, tmp_path / "home", when)
    assert worker.stdout.readline() == "ready\n"
    worker.send_signal(signal.SIGKILL)
    worker.communicate(timeout=60)
    ledger = Ledger(tmp_path / "home")
    assert spent(ledger) == 3
    assert ledger.run("killed").status == when


@pytest.mark.parametrize(("dies_in", "survives"), [("_insert", False), ("_settle", True), ("_write", False)])
def test_a_crash_between_the_writes_is_no_damage(ledger, dies_in, survives):
    """Before the commit nothing happened; after it, and before the head is written, the event stands."""
    if dies_in != "_write":  # `_write` is the very first step of a new ledger: its key
        finish(ledger, "earlier")
    head = ledger.home / "ledger.head"
    before = head.read_bytes() if head.exists() else None
    assert start(_DIE, ledger.home, dies_in, "dies").wait(timeout=60) == 9
    assert (head.read_bytes() if head.exists() else None) == before
    base = spent(ledger) - survives
    assert base == (0 if dies_in == "_write" else 1)
    reserve(ledger, "next")
    assert spent(ledger) == base + survives + 1
    assert json.loads(head.read_bytes())["seq"] == len(ledger.history("adm"))


def test_a_second_crash_is_no_damage_either(ledger):
    """The head never falls behind by two: each writer brings it up to date before it appends."""
    finish(ledger, "earlier")
    for run_id in ("dies", "dies too"):
        assert start(_DIE, ledger.home, "_settle", run_id).wait(timeout=60) == 9
    assert spent(ledger) == 3

"""`World`: a service with one run whose process stops at a step, where a test ends it, its worker or a server."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from threading import Event, Thread

from service.releases import SMALL, desk, worker_of

from privsynth.ledger.events import EPSILON_UNITS
from privsynth.ledger.ledger import Ledger
from privsynth.service.runs.look_up import one_run
from privsynth.service.runs.submit import submit_release
from privsynth.service.states import RunState
from privsynth.service.store.runs import RunRow
from privsynth.workspace import PARTIAL, open_locked

HERE = Path(__file__).parent
# What a run that was lost at a step has cost, and whether there is a release.
COSTS = {"begun": 0, "reserved": 0, "drawn": 1, "published": 1, "completed": 1}
MADE = {"published", "completed"}


class World:
    """A service with one run that waits, and a process that stops at a step of it."""

    def __init__(self, institution, tmp_path, step: str, **settings) -> None:
        self.at = desk(institution, tmp_path, **settings)
        self.service = self.at.service
        self.run_id = submit_release(self.service, self.at.submitter, self.at.source.id, SMALL, purpose="a test").id
        self._pipe = tmp_path / "pipe"
        os.mkfifo(self._pipe)
        self.command = (sys.executable, str(HERE / "stopping_job.py"), step, str(self._pipe))
        self._secret = tmp_path / "secret"
        self.environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE.parents[1]), str(HERE.parent)])}
        self.stop = Event()

    def start_worker(self) -> Thread:
        """Let a worker of this process make the run."""
        os.environ["PYTHONPATH"] = self.environ["PYTHONPATH"]
        thread = Thread(target=worker_of(self.service, self.stop, command=self.command).once, daemon=True)
        thread.start()
        return thread

    def start_other_worker(self) -> subprocess.Popen:
        """Let a worker of another process make it."""
        told = [self.service.settings.model_dump_json(), self.service.home, self.service.database.engine.url]
        told += [self._secret, self.service.now().isoformat(), *self.command]
        line = [sys.executable, str(HERE / "lost_worker.py"), *map(str, told)]
        return subprocess.Popen(line, env=self.environ)

    def job(self) -> int:
        """Wait until the process has come to its step, and return its number."""
        return int(self._pipe.read_text())

    def wait_for_its_end(self) -> None:
        """Return when the process of the run is gone, and its worker too."""
        os.close(open_locked(self.service.folder / "locks" / self.run_id, wait=True))

    @property
    def run(self) -> RunRow:
        return one_run(self.service, self.at.submitter, self.run_id)

    def check(self, step: str, state: RunState) -> None:
        """Check the state of a run that was lost at a step, its sentence, what it cost, and what lies about."""
        run, account = self.run, Ledger(self.service.home).account("admissions")
        assert run.state == (RunState.TO_DECIDE if step in MADE else state), run.sentence
        assert account.spent_epsilon_units == COSTS[step] * EPSILON_UNITS
        said = "Nothing was spent." if not COSTS[step] else "The release is made" if step in MADE else "stay spent"
        assert said in run.sentence
        assert (run.manifest is not None) == (run.officer_manifest is not None) == (step in MADE)
        work = self.service.home / "work"
        assert not [path for path in work.rglob("*") if path.name.startswith(("run-", "out-"))]
        assert not list(self.service.home.rglob(f"*{PARTIAL}*"))

"""`RunWorker`: looks for runs that wait, and makes one at a time."""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
import time
from collections.abc import Sequence
from datetime import timedelta
from time import monotonic

from privsynth.errors import STOPPED, PrivsynthError, ServiceUnavailable
from privsynth.service.context import Service
from privsynth.service.decisions.revoked_list import keep_list
from privsynth.service.retention.sweep import EVERY_S, sweep
from privsynth.service.runs.prior import prior_of
from privsynth.service.runs.request import ReleaseRequest
from privsynth.service.runs.submit import origin_of
from privsynth.service.sources.places import unplaced
from privsynth.service.sources.registry import known_source
from privsynth.service.states import RunState
from privsynth.service.store.runs import RunRow
from privsynth.service.worker.errands import POLL_S, errands_of, run_errand
from privsynth.service.worker.job import GRACE_S, JobOrder
from privsynth.service.worker.lease import (
    BEAT_S,
    Heard,
    abandoned,
    beat,
    end,
    forget_ended,
    forget_lock,
    run_lock,
    take,
)
from privsynth.service.worker.outcome import RunOutcome, outcome_of
from privsynth.service.worker.process import JOB, JobProcess
from privsynth.workspace import sweeping

ERRANDS_STOP_S = 1.0  # for the errands (own), most of which take milliseconds
STOP_S = 8.0  # for a run to end when the service is stopped (own): `docker stop` waits for ten
LOST = "Interrupted: the worker was lost, as when the service or its machine is stopped."
FROM_OUTSIDE = "Interrupted: the run was ended from outside, as by the system when memory runs out."
SERVICE_STOPPED = "Interrupted: the service was stopped."
CANCELLED = "Cancelled while it ran."
UNFINISHED = "Its audit was stopped early: the officer's report says what is missing."
_log = logging.getLogger(__name__)


class RunWorker:
    """Makes runs, one after the other, until it is stopped.

    Args:
      number: of those in this process.
      stop: set when the service ends.
      command: of the process that makes a release; tests replace it.
    """

    def __init__(self, service: Service, number: int, stop: threading.Event, *, command: Sequence[str] = JOB) -> None:
        self.name = f"{socket.gethostname()[:50]}-{os.getpid()}-{number}"
        self._service, self._stop, self._command = service, stop, command
        self._next_sweep = 0.0

    def work(self) -> None:
        """Work until the service ends. Whatever goes wrong with one look, the next one is made."""
        while not self._stop.is_set():
            try:
                self._sweep()
                if self.once():
                    continue
            except Exception as problem:  # a message may hold a value: its kind is enough to find the place
                _log.warning("a worker met %s and goes on", type(problem).__name__)
            self._stop.wait(POLL_S)

    def _sweep(self) -> None:
        """Delete what is due, and keep the list of revocations, once a minute; a failure keeps no run waiting."""
        if monotonic() < self._next_sweep:
            return
        self._next_sweep = monotonic() + EVERY_S
        looks = ((sweep, "what is due was not deleted"), (keep_list, "the list of revocations was not looked after"))
        for look, failed in looks:
            try:
                look(self._service)
            except PrivsynthError as problem:  # its sentences hold no private value
                _log.warning("%s: %s", failed, problem)

    def once(self) -> bool:
        """Settle what others left, make the run that has waited longest, and say whether there was one."""
        recover(self._service)
        run_id = take(self._service, self.name)
        if run_id is None:
            return False
        with run_lock(self._service, run_id) as lock:
            if lock is not None and beat(self._service, run_id, self.name, "starting", 0.0) != Heard.LOST:
                outcome = self._made(run_id, lock)
                if outcome is not None:
                    _wipe_left_overs(self._service)
                    self._end(run_id, outcome)
        return True

    def _made(self, run_id: str, lock: int) -> RunOutcome | None:
        """Make the release of a run, and return what became of it; None where the run is not ours to end."""
        with self._service.database.reading() as session:
            run = session.get_one(RunRow, run_id)
        try:
            known_source(run.source)
            order = self._order(run)
        except PrivsynthError as problem:
            return outcome_of(self._service, run_id, RunState.FAILED, _as_sentence(str(problem)), problem.exit_code)
        process = JobProcess(order, lock, self._command)
        state, why = self._watch(run_id, process)
        if not process.ended(0):  # the service stops and cannot wait: the run ends by itself, and is settled later
            process.let_go()
            return None
        said = process.said
        exit_code = int(said.get("exit_code", STOPPED))
        if said.get("end") == "released":
            state, why = (RunState.INTERRUPTED, UNFINISHED) if said.get("unfinished") else (RunState.TO_DECIDE, "")
        elif said.get("end") == "failed":
            hidden = unplaced(str(said["sentence"]), run.source.kind, order.origin.place, self._service.home)
            state, why = RunState.FAILED, _as_sentence(hidden)
        return outcome_of(self._service, run_id, state, why, exit_code)

    def _order(self, run: RunRow) -> JobOrder:
        settings, folder = self._service.settings, self._service.release_folder(run.id)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        request = ReleaseRequest(**json.loads(run.settings))
        return JobOrder(
            run_id=run.id, home=self._service.home, out=folder / "draft", origin=origin_of(self._service, run.source),
            request=request, policy=settings.policy, key=settings.key,
            key_passphrase_file=settings.key_passphrase_file, prior=prior_of(self._service, request, run.dataset),
        )  # fmt: skip

    def _watch(self, run_id: str, process: JobProcess) -> tuple[RunState, str]:
        """Wait for the end of a process, say that we live, and end it where that is asked for; return why it ended."""
        hours = self._service.settings.run_hours
        began, asked_at = monotonic(), 0.0
        state, why = RunState.INTERRUPTED, FROM_OUTSIDE
        while not process.ended(BEAT_S):
            order = beat(self._service, run_id, self.name, process.stage, process.share)
            if order == Heard.LOST:
                process.kill()
            elif asked_at:
                if monotonic() - asked_at > GRACE_S:
                    process.kill()
                continue
            elif order == Heard.STOP:
                state, why = RunState.CANCELLED, CANCELLED
            elif timedelta(seconds=monotonic() - began) > timedelta(hours=hours):
                state, why = RunState.FAILED, f"It took longer than {hours:g} hours, after which a run is stopped."
            elif self._stop.is_set():
                process.ask_to_end()
                process.ended(STOP_S)
                return RunState.INTERRUPTED, SERVICE_STOPPED
            else:
                continue
            process.ask_to_end()
            asked_at = monotonic()
        return state, why

    def _end(self, run_id: str, outcome: RunOutcome) -> None:
        """Write what became of a run, as soon as the database answers; else whoever comes next finds out."""
        while True:
            try:
                end(self._service, run_id, self.name, outcome)
            except ServiceUnavailable:
                if self._stop.wait(POLL_S):
                    return
            else:
                forget_lock(self._service, run_id)
                return


def recover(service: Service) -> None:
    """End the runs whose worker and process are gone, and wipe what they left."""
    for run_id, worker in abandoned(service):
        with run_lock(service, run_id) as lock:
            if lock is None:
                continue  # it lives, and could not say so
            end(service, run_id, worker, outcome_of(service, run_id, RunState.INTERRUPTED, LOST))
            forget_lock(service, run_id)
        _wipe_left_overs(service)
    forget_ended(service)


def _wipe_left_overs(service: Service) -> None:
    """Wipe what processes left in the private folder that were killed."""
    with sweeping(service.home):
        pass


def _as_sentence(text: str) -> str:
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


class Workers:
    """Workers in threads of this process, inside a `with` block; where there are any, more run the errands."""

    def __init__(self, service: Service, count: int) -> None:
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=RunWorker(service, number, self._stop).work, name=f"worker {number}")
            for number in range(1, count + 1)
        ]
        # A daemon: a receiver may take longer to answer than the service to stop; it is told the same again.
        self._errands = [
            threading.Thread(target=run_errand, args=(service, self._stop, errand), name=name, daemon=True)
            for name, errand in (errands_of(self._stop) if count else ())
        ]

    def __enter__(self) -> threading.Event:
        """Start them, and return what stops them."""
        for thread in (*self._threads, *self._errands):
            thread.start()
        return self._stop

    def __exit__(self, *_: object) -> None:
        """Stop them; a run that is being made ends, or is left to end by itself."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        until = time.monotonic() + ERRANDS_STOP_S
        for thread in self._errands:
            thread.join(max(0.0, until - time.monotonic()))

"""Runs whose process or worker is killed, stopped or slept: nothing is spent twice, made twice or left lying about.

No test waits for a time: a process says on a pipe that it has come to its step, and its lock is free when it is gone.
"""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest
from service.releases import SMALL, desk, worker_of
from service.stopped_runs import World
from service.stopping_job import STEPS

from privsynth.errors import ServiceUnavailable
from privsynth.service.runs.submit import cancel_run, submit_release
from privsynth.service.states import RunState
from privsynth.service.worker import lease, worker
from privsynth.service.worker.lease import Heard, beat, take
from privsynth.service.worker.outcome import RunOutcome
from privsynth.service.worker.worker import recover

LIMIT_S = 120  # of a test that would wait for ever (own)


@pytest.fixture
def world(institution, tmp_path, monkeypatch):
    monkeypatch.setattr(worker, "BEAT_S", 0.01)  # nobody waits for a beat
    monkeypatch.setenv("PYTHONPATH", os.environ.get("PYTHONPATH", ""))
    signal.signal(signal.SIGALRM, lambda *_: pytest.fail("the run never came to its step"))
    signal.alarm(LIMIT_S)
    yield lambda step, **settings: World(institution, tmp_path, step, **settings)
    signal.alarm(0)


@pytest.mark.parametrize("step", STEPS)
def test_a_process_that_is_killed_ends_its_run_and_what_it_cost_is_said(world, step):
    here = world(step)
    thread = here.start_worker()
    os.kill(here.job(), signal.SIGKILL)
    thread.join()
    here.check(step, RunState.INTERRUPTED)
    assert not worker_of(here.service, command=here.command).once()  # and is never made again


@pytest.mark.parametrize("step", STEPS)
def test_a_worker_and_a_process_that_are_killed_leave_a_run_that_the_next_one_settles(world, clock, step):
    here = world(step)
    other = here.start_other_worker()
    job = here.job()
    other.kill()
    other.wait()
    os.kill(job, signal.SIGKILL)
    here.wait_for_its_end()
    assert here.run.state == RunState.RUNNING
    recover(here.service)
    assert here.run.state == RunState.RUNNING  # its lease has not passed
    clock.move(minutes=1)
    recover(here.service)
    here.check(step, RunState.INTERRUPTED)
    recover(here.service)  # a second look changes nothing
    here.check(step, RunState.INTERRUPTED)


def test_a_run_that_was_lost_before_the_clock_was_set_back_is_settled_at_once(world, clock):
    here = world("drawn")
    other = here.start_other_worker()
    job = here.job()
    other.kill()
    other.wait()
    os.kill(job, signal.SIGKILL)
    here.wait_for_its_end()
    clock.move(days=-1)
    recover(here.service)
    here.check("drawn", RunState.INTERRUPTED)


@pytest.mark.parametrize("step", ["begun", "reserved", "drawn"])
def test_a_process_ends_by_itself_when_its_worker_is_killed(world, clock, step):
    here = world(step)
    other = here.start_other_worker()
    here.job()
    other.kill()
    other.wait()
    here.wait_for_its_end()
    clock.move(minutes=1)
    recover(here.service)
    here.check(step, RunState.INTERRUPTED)


def test_a_worker_that_lives_keeps_its_run_however_late_it_is(world, clock):
    here = world("drawn")
    thread = here.start_worker()
    job = here.job()
    clock.move(hours=5)  # or the clock was set
    recover(here.service)
    assert here.run.state == RunState.RUNNING
    os.kill(job, signal.SIGKILL)
    thread.join()
    here.check("drawn", RunState.INTERRUPTED)


def test_a_worker_that_slept_between_taking_a_run_and_starting_it_has_lost_it(world, clock):
    here = world("drawn")
    assert take(here.service, "sleeper") == here.run_id
    clock.move(minutes=1)
    recover(here.service)
    assert here.run.state == RunState.INTERRUPTED
    assert beat(here.service, here.run_id, "sleeper", "reading", 0.0) == Heard.LOST
    lease.end(here.service, here.run_id, "sleeper", RunOutcome(RunState.TO_DECIDE, "late"))
    assert here.run.state == RunState.INTERRUPTED


@pytest.mark.parametrize("step", ["reserved", "drawn"])
def test_a_run_that_is_cancelled_ends_politely(world, step):
    here = world(step)
    thread = here.start_worker()
    here.job()
    cancel_run(here.service, here.at.submitter, here.run_id)
    thread.join()
    here.check(step, RunState.CANCELLED)
    assert here.run.sentence.startswith("Cancelled while it ran.")


def test_a_run_that_takes_too_long_is_ended(world):
    here = world("nowhere", run_hours=1e-9)
    here.start_worker().join()
    here.check("begun", RunState.FAILED)
    assert "longer than" in here.run.sentence


def test_a_service_that_stops_ends_its_run(world):
    here = world("drawn")
    thread = here.start_worker()
    here.job()
    here.stop.set()
    thread.join()
    here.check("drawn", RunState.INTERRUPTED)
    assert "the service was stopped" in here.run.sentence


def test_the_end_is_written_when_the_database_is_back(world, monkeypatch):
    here, away = world("nowhere"), [True, True]

    def end(*args):
        if away and away.pop():
            raise ServiceUnavailable("the service's database does not answer")
        lease.end(*args)

    monkeypatch.setattr(worker, "end", end)
    monkeypatch.setattr(worker, "POLL_S", 0.01)
    here.start_worker().join()
    assert not away
    here.check("completed", RunState.TO_DECIDE)


def test_neither_the_command_line_nor_the_environment_of_a_process_says_where_the_rows_are(world):
    here = world("begun")
    thread = here.start_worker()
    job = here.job()
    shown = b"".join(Path(f"/proc/{job}/{name}").read_bytes() for name in ("cmdline", "environ"))
    os.kill(job, signal.SIGKILL)
    thread.join()
    assert b"admissions" not in shown
    assert not [path for path in here.service.folder.rglob("*.json") if "admissions" in path.read_text()]


def test_workers_side_by_side_never_take_one_run_twice(each_service, tmp_path):
    from service.conftest import Institution

    at = desk(Institution(each_service), tmp_path)
    wanted = {submit_release(at.service, at.submitter, at.source.id, SMALL, purpose=str(n)).id for n in range(6)}
    taken: list[str] = []

    def look(name: str) -> None:
        while len(taken) < len(wanted):
            if (run_id := take(replace(at.service), name)) is not None:
                taken.append(run_id)

    threads = [Thread(target=look, args=(f"worker {n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == sorted(wanted)

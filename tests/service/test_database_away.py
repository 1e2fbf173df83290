"""A service whose PostgreSQL is stopped and started: each answer is a sentence, and nothing is lost or made twice."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from threading import Event, Semaphore, Thread

import pytest
from postgresql_server import stoppable_server
from service.conftest import service_of
from service.people import form_token
from service.prepared import Databases
from service.releases import desk, worker_of
from service.stopped_runs import World
from sqlalchemy import event
from sqlalchemy.orm import Session

from privsynth.errors import ServiceUnavailable
from privsynth.service.oversight.acts import check_chain
from privsynth.service.roles import Act, Role
from privsynth.service.runs import submit
from privsynth.service.runs.look_up import some_runs
from privsynth.service.states import RunState
from privsynth.service.tokens import new_token
from privsynth.service.worker import worker

pytestmark = pytest.mark.slow
LIMIT_S = 120  # of a wait that would be for ever (own)


@pytest.fixture(scope="module")
def server():
    with stoppable_server() as found:
        yield found


@pytest.fixture(scope="module")
def copies(server, tmp_path_factory):
    return Databases(tmp_path_factory.mktemp("kept"), lambda: server.port)


@pytest.fixture
def service(server, copies, tmp_path, privsynth_home, clock):
    """A service on a server of its own, which a test may leave stopped."""
    server.start()
    database = copies.copy("postgresql", tmp_path, "tables")
    yield service_of(database, tmp_path, privsynth_home, clock)
    database.close()


@pytest.fixture
def desk_of(institution, tmp_path):
    """A desk, a browser at it, and the form of a release."""
    at, browser = desk(institution, tmp_path), institution.browser("sam")
    form = {"form_token": form_token(browser.get("/runs/new").text), "source": at.source.id, "epsilon": "1",
            "purpose": "a test", "generator": "marginal", "audit": "none", "anyway": "true", "once": "one"}  # fmt: skip
    return at, browser, form


def says_so(answer) -> bool:
    return answer.status_code == 503 and "oes not answer; try again in a moment" in answer.text


@pytest.mark.parametrize("how", ["immediate", "fast"])
def test_pages_say_that_the_database_is_away_and_are_back_with_it(server, desk_of, how):
    at, browser, _ = desk_of
    token = {
        "authorization": f"Bearer {new_token(at.service, at.submitter, 'a program', frozenset({Act.SEE_RUNS}), 1)}"
    }
    assert browser.get("/runs").status_code == 200
    server.stop(how)
    assert says_so(browser.get("/runs"))
    assert says_so(browser.get("/runs/new"))
    assert says_so(browser.get("/api/v1/runs", headers=token))
    server.start()
    assert [browser.get("/runs").status_code for _ in range(3)] == [200] * 3
    server.stop(how)
    server.start()  # nobody asked meanwhile: connections that are kept are dead
    assert [browser.get("/runs").status_code for _ in range(3)] == [200] * 3


@pytest.mark.parametrize("how", ["immediate", "fast"])
@pytest.mark.parametrize("moment", ["commit", "after_commit"])
def test_a_form_that_is_sent_again_after_the_database_went_is_one_run(
    server, institution, desk_of, monkeypatch, moment, how
):
    at, browser, form = desk_of
    enter, armed = submit.enter_run, []

    def arm(*given, **named):
        enter(*given, **named)
        armed.append(server.stop)

    def stop(*_):
        if armed:
            armed.pop()(how)

    monkeypatch.setattr(submit, "enter_run", arm)
    where = at.service.database.engine if moment == "commit" else Session
    auditor = institution.person("aud", Role.AUDITOR)
    event.listen(where, moment, stop)
    try:
        answer = browser.post("/runs", data=form)
    finally:
        event.remove(where, moment, stop)
    assert says_so(answer) if moment == "commit" else answer.status_code == 303
    monkeypatch.undo()
    assert says_so(browser.post("/runs", data=form))
    server.start()
    again = browser.post("/runs", data=form)
    assert again.status_code == 303
    assert browser.get(again.headers["location"]).status_code == 200
    assert len(some_runs(at.service, at.submitter)) == 1
    assert check_chain(at.service, auditor).damaged is None


def vainly(function: Callable, met: Event) -> Callable:
    """Return a function that says when the database did not answer it."""

    def called(*given, **named):
        try:
            return function(*given, **named)
        except ServiceUnavailable:
            met.set()
            raise

    return called


@pytest.mark.parametrize("step", ["reserved", "drawn", "completed"])
def test_a_run_outlives_its_database(server, institution, tmp_path, monkeypatch, step):
    """It waits while the database is away, goes on, and its end is written when the database is back."""
    looked, ended, beats = Event(), Event(), Semaphore(0)
    heard = worker.beat

    def beat(*given):
        found = heard(*given)
        beats.release()
        return found

    monkeypatch.setattr(worker, "BEAT_S", 0.01)
    monkeypatch.setattr(worker, "POLL_S", 0.01)
    monkeypatch.setattr(worker, "beat", beat)
    monkeypatch.setattr(worker, "recover", vainly(worker.recover, looked))
    monkeypatch.setattr(worker, "end", vainly(worker.end, ended))
    here = World(institution, tmp_path, step)
    monkeypatch.setenv("PYTHONPATH", here.environ["PYTHONPATH"])
    server.stop()
    thread = Thread(target=worker_of(here.service, here.stop, command=here.command).work, daemon=True)
    thread.start()
    try:
        assert looked.wait(LIMIT_S)
        server.start()
        job = here.job()
        server.stop()
        while beats.acquire(blocking=False):
            pass
        assert all(beats.acquire(timeout=LIMIT_S) for _ in range(3))  # of which two began after the stop
        os.kill(job, signal.SIGKILL)
        assert ended.wait(LIMIT_S)
        server.start()
        here.wait_for_its_end()
    finally:
        here.stop.set()
        thread.join(LIMIT_S)
    here.check(step, RunState.INTERRUPTED)

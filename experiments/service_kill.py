"""Servers, workers and the processes of runs, killed at random moments: what is left, and what the next start makes.

    python experiments/service_kill.py --moments 300 --seed 1
    python experiments/service_kill.py --moments 20 --real --seed 2

A moment is a service of its own: a program asks for a release and sends a file, while the server with its worker, the
process of the run, or both are killed. Then the service starts again, and what must hold is checked. Without `--real`
the process of a run spends in the real ledger and writes a release of two small files, in the order of the pipeline.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import uvicorn
import yaml
from fastapi import FastAPI

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from pipeline.admissions import admissions, schema

from privsynth.ledger.events import EPSILON_UNITS
from privsynth.ledger.ledger import Ledger
from privsynth.service.caller import Caller
from privsynth.service.context import Service, now_utc, open_service
from privsynth.service.maker_key import ensure_maker_key
from privsynth.service.oversight.acts import check_chain
from privsynth.service.people import add_person
from privsynth.service.roles import Act, Role
from privsynth.service.settings import ServiceSettings
from privsynth.service.sign_in import accept_invitation, caller_of_session
from privsynth.service.sources.registry import NewSource, declare_schema, register_source
from privsynth.service.sources.uploads import wipe_lost_uploads
from privsynth.service.states import RunState
from privsynth.service.store.runs import RunRow, SourceRow
from privsynth.service.tokens import new_token
from privsynth.service.web.app import create_app
from privsynth.service.worker import worker
from privsynth.service.worker.process import JOB
from privsynth.service.worker.worker import RunWorker, recover
from privsynth.signing._files import digest_file
from privsynth.workspace import PARTIAL, open_locked

STAND_IN = (sys.executable, str(Path(__file__).parent.resolve() / "service_kill_job.py"))
LATER = timedelta(minutes=1)  # when the service starts again: the lease of a lost worker has passed
LIMIT_S = 300  # of one moment; then something hangs, which fails the experiment
ENDED = {RunState.TO_DECIDE, RunState.FAILED, RunState.INTERRUPTED}
REQUEST = {"epsilon": 1.0, "audit": "none", "generator": "marginal", "anyway": True}
VICTIMS = ("server", "job", "both")


@dataclass(frozen=True)
class Template:
    """A service in which nothing has happened yet, and the secrets of who may act in it."""

    folder: Path
    settings: ServiceSettings
    submitter: str  # token
    administrator: str  # token
    auditor: Caller
    app: FastAPI

    def copy(self, target: Path) -> Path:
        """Copy the home, and return the copy."""
        shutil.copytree(self.folder, target)
        return target

    def open(self, home: Path, later: timedelta = timedelta()) -> Service:
        """Return the service of a home, whose clock is late by so much."""
        return replace(open_service(self.settings, home), now=lambda: now_utc() + later)


def make_template(folder: Path) -> Template:
    """Make a service with a source, a submitter, an administrator and an auditor."""
    drop, home = folder / "drop", folder / "home"
    drop.mkdir()
    (drop / "admissions.csv").write_text(admissions())
    settings = ServiceSettings(source_folder=str(drop), public_url="http://127.0.0.1")
    service = open_service(settings, home)
    ensure_maker_key(service)

    def person(name: str, role: Role) -> Caller:
        _, link = add_person(service, None, name, name.title(), {role})
        found = caller_of_session(service, accept_invitation(service, link, "a horse and a staple"))
        assert found is not None
        return found

    ada, sam, aud = person("ada", Role.ADMINISTRATOR), person("sam", Role.SUBMITTER), person("aud", Role.AUDITOR)
    new = NewSource(name="Admissions", dataset="admissions", kind="file", place="admissions.csv")
    source = register_source(service, ada, new)
    declare_schema(service, ada, source.id, yaml.safe_dump(schema()))
    tokens = [
        new_token(service, who, "a program", frozenset(acts), 1)
        for who, acts in ((sam, {Act.SUBMIT, Act.SEE_RUNS}), (ada, {Act.REGISTER_SOURCE, Act.SEE_SOURCES}))
    ]
    service.database.close()
    return Template(home, settings, tokens[0], tokens[1], aud, create_app(service))


def forked(work: Callable[[], None]) -> int:
    """Do something in a process of its own, and return its number."""
    sys.stdout.flush()
    number = os.fork()
    if number:
        return number
    try:
        work()
    finally:
        os._exit(0)


def serve(template: Template, home: Path, bound: socket.socket, command: tuple[str, ...]) -> None:
    """Serve, with one worker, until killed."""
    worker.POLL_S = 0.05
    template.app.state.service = service = template.open(home)
    threading.Thread(target=RunWorker(service, 1, threading.Event(), command=command).work, daemon=True).start()
    uvicorn.Server(uvicorn.Config(template.app, log_level="critical")).run(sockets=[bound])


def use(template: Template, port: int, told: Path) -> None:
    """Ask for a release, then send files until nobody answers; what was answered is noted in a file."""
    bearer = {"authorization": f"Bearer {template.submitter}", "idempotency-key": "once"}
    with suppress(httpx.HTTPError), told.open("a", buffering=1) as notes:
        client = httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", timeout=60)
        wanted = {"source": 1, "request": REQUEST, "purpose": "an experiment"}
        notes.write(f"run {client.post('/runs', json=wanted, headers=bearer).json()['id']}\n")
        bearer = {"authorization": f"Bearer {template.administrator}"}
        for number in range(10_000):
            query = {"name": f"upload {number}", "dataset": "others", "file_name": "a.csv"}
            sent = client.post("/sources/upload", params=query, content=b"a,b\n" + b"1,2\n" * 50_000, headers=bearer)
            notes.write(f"source {sent.json()['id']}\n")


def children_of(number: int) -> list[int]:
    """Return the processes that a process started."""
    with suppress(OSError):
        return [
            int(child)
            for task in Path(f"/proc/{number}/task").iterdir()
            for child in (task / "children").read_text().split()
        ]
    return []


def kill(number: int) -> None:
    """End a process at once."""
    with suppress(ProcessLookupError):
        os.kill(number, signal.SIGKILL)


def one_moment(template: Template, folder: Path, rng: random.Random, longest: float, command: tuple[str, ...]) -> str:
    """Let a service be killed once, start it again, check it, and return what became of its run."""
    victim, delay = rng.choice(VICTIMS), rng.uniform(0, longest)
    home = template.copy(folder / "home")
    with socket.create_server(("127.0.0.1", 0)) as bound:
        server = forked(lambda: serve(template, home, bound, command))
        client = forked(lambda: use(template, bound.getsockname()[1], folder / "told"))
        time.sleep(delay)
        jobs = children_of(server)
        for number in ([server] if victim != "job" else []) + (jobs if victim != "server" else []):
            kill(number)
        if victim == "job":
            wait_for_end(template, home)
            kill(server)
    for number in (server, client):
        os.waitpid(number, 0) if number == server else (kill(number), os.waitpid(number, 0))
    for lock in (home / "service" / "locks").glob("run-*"):
        os.close(open_locked(lock, wait=True))  # the process of a run that lost its worker ends by itself
    return f"{victim}: {started_again(template, home, folder / 'told', command)}"


def wait_for_end(template: Template, home: Path) -> None:
    """Return when the one run has ended, or there is none."""
    service = template.open(home)
    until = time.monotonic() + LIMIT_S / 2
    while time.monotonic() < until:
        with service.database.reading() as session:
            run = session.query(RunRow).first()
        if run is not None and RunState(run.state) in ENDED:
            break
        time.sleep(0.02)
    service.database.close()


def started_again(template: Template, home: Path, told: Path, command: tuple[str, ...]) -> str:
    """Start a service again as a server and a worker do, check what must hold, and return the state of the run."""
    service = template.open(home, LATER)
    wipe_lost_uploads(service)
    recover(service)
    while RunWorker(service, 1, threading.Event(), command=command).once():
        pass
    noted = [line.split() for line in told.read_text().splitlines()] if told.exists() else []
    with service.database.reading() as session:
        runs, sources = session.query(RunRow).all(), session.query(SourceRow).all()
    assert {key for kind, key in noted if kind == "run"} <= {run.id for run in runs}, "a run that was confirmed is lost"
    assert {int(key) for kind, key in noted if kind == "source"} <= {one.id for one in sources}, "a source is lost"
    kept = {service.vault.open(one.place, f"source {one.name}") for one in sources if one.kind == "upload"}
    assert {str(path.resolve()) for path in (home / "service" / "uploads").glob("*")} == kept, "an upload lies about"
    assert check_chain(service, template.auditor).damaged is None, "the record does not follow"
    for pattern in ("work/run-*", "work/out-*", f"**/*{PARTIAL}*", "service/locks/*"):
        assert not list(home.glob(pattern)), f"left behind: {list(home.glob(pattern))}"
    spent = Ledger(home).account("admissions").spent_epsilon_units / EPSILON_UNITS
    assert len(runs) <= 1
    assert runs or spent == 0
    state = checked_run(service, runs[0], spent) if runs else "never asked for"
    service.database.close()
    return state


def checked_run(service: Service, run: RunRow, spent: float) -> str:
    """Check the one run of a service against its ledger and its files, and return what became of it."""
    draft = service.release_folder(run.id) / "draft"
    made = RunState(run.state) == RunState.TO_DECIDE
    assert RunState(run.state) in ENDED, f"still {run.state}"
    assert run.sentence.endswith("."), "no sentence"
    assert draft.is_dir() == made, "a release that nobody knows of, or none"
    if made:
        digests = [digest_file(draft / part / "manifest.json").sha256 for part in ("public", "officer")]
        assert digests == [run.manifest, run.officer_manifest]
        assert spent == 1.0
        return "released"
    if "Nothing was spent" in run.sentence:
        assert spent == 0.0, "more is spent than the page says"
        return f"{run.state}, nothing spent"
    assert spent == 1.0, "less is spent than the page says"
    return f"{run.state}, spent"


def longest_of(template: Template, folder: Path, command: tuple[str, ...]) -> float:
    """Return how long a run takes that nobody kills, from the start of its server, in seconds."""
    home, began = template.copy(folder / "home"), time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as bound:
        server = forked(lambda: serve(template, home, bound, command))
        client = forked(lambda: use(template, bound.getsockname()[1], folder / "told"))
        wait_for_end(template, home)
        took = time.monotonic() - began
        for number in (server, client):
            kill(number)
            os.waitpid(number, 0)
    assert started_again(template, home, folder / "told", command) == "released"
    return took


def main() -> None:
    """Kill, check and count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moments", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--real", action="store_true", help="with the pipeline, not with a stand-in for it")
    told = parser.parse_args()
    command = JOB if told.real else STAND_IN
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    for name in ("PRIVSYNTH_LEDGER", "PRIVSYNTH_LEDGER_HEAD"):
        os.environ.pop(name, None)
    rng, found, began = random.Random(told.seed), Counter[str](), time.monotonic()
    with tempfile.TemporaryDirectory() as place:
        template = make_template(Path(place))
        (Path(place) / "first").mkdir()
        longest = longest_of(template, Path(place) / "first", command)
        for number in range(told.moments):
            folder = Path(place) / f"moment{number}"
            folder.mkdir()
            signal.alarm(LIMIT_S)
            try:
                found[one_moment(template, folder, rng, longest, command)] += 1
            except AssertionError as problem:
                raise SystemExit(f"moment {number} of seed {told.seed}: {problem}") from problem
            signal.alarm(0)
            shutil.rmtree(folder)
    took: dict[str, Any] = {"moments": told.moments, "seed": told.seed, "real": told.real}
    print(json.dumps(took | {"within_s": round(longest, 2), "took_s": round(time.monotonic() - began), "found": found}))


if __name__ == "__main__":
    main()

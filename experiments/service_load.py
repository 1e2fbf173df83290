"""How long pages take while 50 people click and a worker makes the first of 20 releases that wait.

    python experiments/service_load.py --seconds 60

Everything is opened once before. Then each person opens a page, chosen at random among those of their role, waits a
second or two, and opens the next one. Prints percentiles in milliseconds, of each page and of all; `baseline` is the
style sheet before anybody clicks, on the same machine, and `load` what else the machine did (the load average before
and after).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import socket
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import httpx
import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from service_kill import REQUEST, Template, forked, kill, make_template

from privsynth.service.people import add_person
from privsynth.service.roles import Role
from privsynth.service.runs.request import ReleaseRequest
from privsynth.service.runs.submit import submit_release
from privsynth.service.sign_in import caller_of_session, new_session
from privsynth.service.web.server import run as serve

PEOPLE, WAITING = 50, 20
THINK_S = (1.0, 2.0)  # between two pages of a person
PAGES = {
    Role.SUBMITTER: ("/", "/runs", "/runs/{run}", "/runs/new", "/sources"),
    Role.REVIEWER: ("/", "/runs", "/runs/{run}", "/my-key"),
    Role.AUDITOR: ("/", "/runs", "/acts", "/acts/check"),
}


def people_of(template: Template) -> tuple[list[tuple[Role, str]], list[str]]:
    """Add people who have signed in, and releases that wait; return role and cookie of each, and the runs."""
    service = template.open(template.folder)
    found: list[tuple[Role, str]] = []
    for number in range(PEOPLE):
        role = list(PAGES)[number % len(PAGES)]
        person, _ = add_person(service, None, f"person{number}", f"Person {number}", {role})
        with service.database.writing() as session:
            found.append((role, new_session(session, person.id, service.now(), how="password")))
    caller = caller_of_session(service, next(cookie for role, cookie in found if role == Role.SUBMITTER))
    assert caller is not None
    wanted = ReleaseRequest(**REQUEST | {"epsilon": 0.1, "audit": "quick"})
    runs = [submit_release(service, caller, 1, wanted, purpose=f"run {number}").id for number in range(WAITING)]
    service.database.close()
    return found, runs


async def one_person(
    client: httpx.AsyncClient, role: Role, runs: list[str], until: float, times: dict[str, list[float]]
) -> None:
    """Open pages until it is late."""
    rng = random.Random(f"{role}{id(client)}")
    while time.monotonic() < until:
        await asyncio.sleep(rng.uniform(*THINK_S))
        page = rng.choice(PAGES[role])
        began = time.perf_counter()
        answer = await client.get(page.format(run=rng.choice(runs)))
        ok = answer.status_code == 200 or (answer.status_code == 422 and "/runs/" in page)  # a run of somebody else
        times[page if ok else f"{page}: {answer.status_code}"].append(1000 * (time.perf_counter() - began))


async def click(
    address: str, people: list[tuple[Role, str]], runs: list[str], seconds: float
) -> dict[str, list[float]]:
    """Let everybody click for so long; return the milliseconds of each page."""
    times: dict[str, list[float]] = defaultdict(list)
    async with httpx.AsyncClient(base_url=address) as client:
        for _ in range(100):
            try:
                await client.get("/style.css")
                break
            except httpx.TransportError:
                await asyncio.sleep(0.2)
        for role, cookie in people[: len(PAGES)]:  # what a server loads for the first person who opens a page
            for page in PAGES[role]:
                await client.get(page.format(run=runs[0]), cookies={"privsynth": cookie}, timeout=60)
        for _ in range(50):
            began = time.perf_counter()
            await client.get("/style.css")
            times["baseline"].append(1000 * (time.perf_counter() - began))
    until = time.monotonic() + seconds
    clients = [httpx.AsyncClient(base_url=address, cookies={"privsynth": cookie}, timeout=60) for _, cookie in people]
    tasks = (one_person(client, role, runs, until, times) for client, (role, _) in zip(clients, people, strict=True))
    await asyncio.gather(*tasks)
    for client in clients:
        await client.aclose()
    return times


def percentiles(times: list[float]) -> dict[str, float]:
    """Return how many there are, and their middle and upper percentiles."""
    return {"n": len(times)} | {f"p{at}": round(float(np.percentile(times, at))) for at in (50, 95, 99)}


def main() -> None:
    """Serve, click and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--workers", type=int, default=1)
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        template = make_template(Path(place))
        people, runs = people_of(template)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        more = {"port": port, "workers": told.workers, "public_url": ""}
        settings = template.settings.model_copy(update=more)
        before = os.getloadavg()[0]
        server = forked(lambda: serve(settings, template.folder, lambda _: None))
        try:
            times = asyncio.run(click(f"http://127.0.0.1:{port}", people, runs, told.seconds))
        finally:
            os.kill(server, signal.SIGTERM)
            os.waitpid(server, 0)
            kill(server)
        everything = [one for page, some in times.items() if page != "baseline" for one in some]
        print(json.dumps({page: percentiles(some) for page, some in sorted(times.items())}, indent=1))
        print(json.dumps({"all": percentiles(everything), "load": [before, os.getloadavg()[0]]}))


if __name__ == "__main__":
    main()

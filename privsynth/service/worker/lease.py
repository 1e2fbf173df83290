"""Taking a run, keeping it, and its end, in the database; and the lock of a run, on the disk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from enum import Enum
from pathlib import Path

from sqlalchemy import or_, select

from privsynth.errors import ServiceUnavailable
from privsynth.service.context import Service
from privsynth.service.record import record
from privsynth.service.runs.transitions import to_state
from privsynth.service.states import RunState
from privsynth.service.store.runs import RunRow
from privsynth.service.worker.outcome import RunOutcome
from privsynth.workspace import open_locked

LEASE = timedelta(seconds=30)  # without a word of the worker (own): then somebody looks whether it lives
BEAT_S = 3.0  # between two words of a worker (own); also how long a person waits until a cancel is heard


class Heard(Enum):
    """What a worker hears when it says that it lives."""

    GO_ON = "go on"
    STOP = "stop"  # a person cancelled
    LOST = "lost"  # the run is not this worker's any more


def take(service: Service, worker: str) -> str | None:
    """Give the worker the run that has waited longest, and return its id; None where none waits."""
    waiting = select(RunRow).where(RunRow.state == RunState.QUEUED).order_by(RunRow.made_at, RunRow.id).limit(1)
    try:
        with service.database.reading() as session:  # most looks find nothing, and writers exclude each other
            if session.scalars(waiting).first() is None:
                return None
        now = service.now()
        with service.database.writing() as session:
            run = session.scalars(waiting).first()
            if run is None:
                return None
            to_state(session, run, RunState.RUNNING, now)
            run.worker, run.started_at, run.lease_until = worker, now, now + LEASE
            run.stage, run.sentence = "starting", "A worker makes the release."
            return run.id
    except ServiceUnavailable:  # another worker was faster, or the database is away: the next look finds out
        return None


def beat(service: Service, run_id: str, worker: str, stage: str, share: float) -> Heard:
    """Say that the worker lives and how far the run is, and hear whether to go on."""
    try:
        with service.database.writing() as session:
            run = session.get_one(RunRow, run_id)
            if run.state != RunState.RUNNING or run.worker != worker:
                return Heard.LOST
            run.lease_until, run.stage, run.share = service.now() + LEASE, stage, share
            return Heard.STOP if run.cancelled else Heard.GO_ON
    except ServiceUnavailable:  # the lock is held: nobody takes the run away meanwhile
        return Heard.GO_ON


def end(service: Service, run_id: str, worker: str | None, outcome: RunOutcome) -> None:
    """Write what became of a run, if it is still running as that worker's. The caller holds its lock.

    Raises:
      ServiceUnavailable: the database does not answer.
    """
    now = service.now()
    with service.database.writing() as session:
        run = session.get_one(RunRow, run_id)
        if run.state != RunState.RUNNING or run.worker != worker:
            return
        to_state(session, run, outcome.state, now)
        run.sentence, run.ended_at, run.lease_until = outcome.sentence, now, None
        run.manifest, run.officer_manifest = outcome.manifest, outcome.officer_manifest
        run.exit_code = outcome.exit_code
        run.stage, run.share = "", 1.0 if outcome.state == RunState.TO_DECIDE else run.share
        record(
            session, "end_run", f"run {run_id}", person_id=None, at=now, state=outcome.state, sentence=outcome.sentence
        )


def abandoned(service: Service) -> list[tuple[str, str | None]]:
    """Return the runs of whose workers nothing was heard for longer than a lease, each with its worker.

    A lease that ends later than any that is given now is of a clock that was set back: nothing is known of its worker.
    """
    now = service.now()
    late = select(RunRow.id, RunRow.worker).where(
        RunRow.state == RunState.RUNNING, or_(RunRow.lease_until < now, RunRow.lease_until > now + LEASE)
    )  # fmt: skip
    with service.database.reading() as session:
        return [(run_id, worker) for run_id, worker in session.execute(late)]


@contextmanager
def run_lock(service: Service, run_id: str) -> Iterator[int | None]:
    """Hold the lock of a run inside the block; yields its descriptor, or None while somebody else holds it."""
    path = _lock_file(service, run_id)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        held = open_locked(path, wait=False)
    except BlockingIOError:
        yield None
        return
    try:
        yield held
    finally:
        os.close(held)


def forget_lock(service: Service, run_id: str) -> None:
    """Remove the lock of a run that has ended: whoever takes the lock looks at the state next."""
    with suppress(OSError):
        _lock_file(service, run_id).unlink()


def forget_ended(service: Service) -> None:
    """Remove the locks of runs whose worker was lost between writing their end and removing their lock."""
    names = {path.name for path in (service.folder / "locks").glob("*")}
    if not names:
        return
    going_on = select(RunRow.id).where(RunRow.id.in_(names), RunRow.state == RunState.RUNNING)
    with service.database.reading() as session:
        names -= set(session.scalars(going_on))
    for name in names:
        forget_lock(service, name)


def _lock_file(service: Service, run_id: str) -> Path:
    return service.folder / "locks" / run_id

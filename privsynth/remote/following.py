"""Following a run on a service until it ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic, sleep
from typing import Any

from privsynth.errors import STOPPED, ServiceUnavailable, TooManyRequests
from privsynth.remote.connection import Connection

BUSY = frozenset({"queued", "running"})
LOOK_S = 2.0  # between two looks (own): well below what a service allows in a minute
SILENT_S = 600.0  # a service that restarts, or a network that breaks, is waited for so long (own)
# Of runs that ended before services kept exit codes: state -> the code of the command line for it.
_CODES = {"failed": 2, "interrupted": STOPPED, "cancelled": STOPPED}


@dataclass(frozen=True)
class Pacing:
    """How somebody waits: tests replace the clock."""

    pause: Callable[[float], None] = sleep
    clock: Callable[[], float] = monotonic


def follow(
    connection: Connection, run_id: str, progress: Callable[[str, float], None], pacing: Pacing | None = None
) -> dict[str, Any]:
    """Return a run when it has ended; it goes on whatever becomes of who follows it.

    Raises:
      ServiceUnavailable: the service has not answered for a while.
    """
    here = pacing or Pacing()
    heard = here.clock()
    while True:
        try:
            run: dict[str, Any] = connection.get(f"/runs/{run_id}")
        except TooManyRequests as problem:
            heard = here.clock()
            here.pause(problem.retry_after_s)
        except ServiceUnavailable:
            if here.clock() - heard > SILENT_S:
                raise
            here.pause(LOOK_S)
        else:
            heard = here.clock()
            if run["state"] not in BUSY:
                return run
            progress(run["stage"] or "waits for a worker", run["share"])
            here.pause(LOOK_S)


def exit_code_of(run: dict[str, Any]) -> int:
    """Return with which exit code the command line would have ended, had it made this run itself."""
    code = run.get("exit_code")
    return int(code) if code is not None else _CODES.get(run["state"], 0)

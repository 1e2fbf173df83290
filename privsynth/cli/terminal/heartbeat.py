"""A line now and then on a stderr that nobody watches: which step a long run is at, and how long it takes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain, repeat

# Seconds until the first line and between the next ones; the last goes on. A run of minutes says a few lines, one of
# hours twelve in an hour, and one of seconds none, so that scripts which take stderr for trouble stay quiet.
PAUSES_S = (30.0, 60.0, 120.0, 300.0)
# Steps whose share done grows evenly with time: of others an estimate would be a guess.
EVEN_STEPS = frozenset({"training", "sampling", "filling"})
LEAST_SHARE = 0.05  # of a step, before its pace says anything


class Heartbeat:
    """What the lines say: told of progress by the run, asked by the thread that prints.

    Args:
      clock: seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._start = clock()
        self._step, self._since, self._share = "", self._start, 0.0

    def __call__(self, step: str, share: float) -> None:
        """Note that `share` of a step is done."""
        if step != self._step:
            self._step, self._since = step, self._clock()
        self._share = share

    def line(self) -> str:
        """Return the line of this moment; "" before the first step."""
        if not self._step:
            return ""
        now, share = self._clock(), self._share
        text = f"{self._step}: {_span(now - self._start)} so far"
        if self._step in EVEN_STEPS and LEAST_SHARE <= share < 1:
            left = (now - self._since) * (1 - share) / share
            text += f", {share:.0%} of this step done, about {_span(left)} of it left"
        return text


@contextmanager
def beating(heartbeat: Heartbeat, say: Callable[[str], None]) -> Iterator[None]:
    """Say a line at long intervals while the block runs."""
    over = threading.Event()

    def beat() -> None:
        for pause in chain(PAUSES_S[:-1], repeat(PAUSES_S[-1])):
            if over.wait(pause):
                return
            if line := heartbeat.line():
                with suppress(OSError, ValueError):  # whoever read stderr is gone; the run goes on
                    say(line)

    threading.Thread(target=beat, daemon=True, name="heartbeat").start()
    try:
        yield
    finally:
        over.set()


def _span(seconds: float) -> str:
    """Return a length of time in the largest unit of which there are two."""
    for length, unit in ((3600, "h"), (60, "min")):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 1):.0f} s"

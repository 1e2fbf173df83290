"""`JobProcess`: the worker's side of the process of a run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from privsynth.service.settings import PREFIX
from privsynth.service.worker.job import JobOrder

JOB = (sys.executable, "-m", "privsynth.service.worker.job")
_LONGEST_STAGE = 80  # characters: the column's width


class JobProcess:
    """A process that makes one release.

    Attributes:
      stage, share: how far it is.
      said: its last message, {"end": released, failed or stopped}; {} where it ended without one.
    """

    def __init__(self, order: JobOrder, lock: int, command: Sequence[str] = JOB) -> None:
        self.stage, self.share = "starting", 0.0
        self.said: dict[str, Any] = {}
        self._done = threading.Event()
        # What the service knows is not for a process that reads foreign files; the ledger's address is.
        env = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=(lock,), start_new_session=True,
            env=env | {"PRIVSYNTH_HOME": str(order.home)},
        )  # fmt: skip
        assert self._process.stdin is not None
        with suppress(OSError):  # it is gone already
            self._process.stdin.write(order.model_dump_json().encode() + b"\n")
            self._process.stdin.flush()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    @property
    def pid(self) -> int:
        """Its number, which is also that of its group."""
        return self._process.pid

    def ended(self, within_s: float) -> bool:
        """Wait so long, and say whether it has ended."""
        return self._done.wait(within_s)

    def ask_to_end(self) -> None:
        """Ask it to end: it cleans up, and gives back what it has not drawn on."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it, and all that it started."""
        self._signal(signal.SIGKILL)
        self._listener.join()

    def let_go(self) -> None:
        """Close its input, on which it ends by itself."""
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()

    def _signal(self, number: int) -> None:
        if not self._done.is_set():
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with suppress(ValueError, TypeError, KeyError):
                self._hear(json.loads(line))
        # Its number stays taken until it is waited for, and with it that of its group.
        os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process.stdout.close()
        self.let_go()
        self._done.set()

    def _hear(self, message: dict[str, Any]) -> None:
        if "end" in message:
            self.said = message
        else:
            self.stage = str(message["stage"])[:_LONGEST_STAGE]
            self.share = min(1.0, max(0.0, float(message["share"])))

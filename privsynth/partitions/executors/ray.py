"""`ray`: tasks run where Ray runs them (extra `ray`)."""

from __future__ import annotations

import logging
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any, ClassVar, Self

from privsynth import __version__
from privsynth.errors import WorkerError
from privsynth.extras import needs
from privsynth.parallel import processors
from privsynth.partitions.executors.processes import AHEAD, TRIES
from privsynth.partitions.executors.protocol import In, Out
from privsynth.partitions.executors.remote import import_path, lost, received, run_sent, sent, starting

STORE_BYTES = 256 << 20  # of shared memory, for a task and the few results that wait; Ray would take 30% of all memory
STARTS = 3  # tries on this machine: Ray gives a node 30 s to start, which a busy machine may not do at once


class RayExecutor:
    """Runs tasks of Ray core: in the cluster that this process has joined, at an address, or else started here.

    What was there stays. Ray itself runs lost tasks again.

    Args:
      address: of a cluster; if "", one is started on this machine when the first task comes.
    """

    name: ClassVar[str] = "ray"
    shares_memory: ClassVar[bool] = False

    def __init__(self, address: str = "") -> None:
        self._address = address
        self._ray: Any = None
        self._stack = ExitStack()

    @property
    def workers(self) -> int:
        """How many tasks run at the same time, about."""
        return max(1, int(self._started().cluster_resources().get("CPU", 1)))

    def map(self, task: Callable[[In], Out], items: Sequence[In]) -> Iterator[Out]:
        """Yield what the task returns for each item, in the order of the items."""
        if not items:
            return
        ray, at_once = self._started(), self.workers * AHEAD
        task_sent = sent(task)
        try:
            put, run = ray.put(task_sent), ray.remote(num_cpus=1, max_retries=TRIES - 1)(run_sent)
            waiting = deque(run.remote(put, sent(item), __version__) for item in items[:at_once])
            for at in range(len(items)):
                outcome = ray.get(waiting.popleft())
                if (later := at + at_once) < len(items):
                    waiting.append(run.remote(put, sent(items[later]), __version__))
                yield received(outcome)  # type: ignore[misc]
        except ray.exceptions.RayError as error:
            raise lost("Ray", error) from None

    def _started(self) -> Any:
        if self._ray is None:
            # Read when it is imported: Ray would print a warning, and each lost worker on the standard output.
            quiet = {"RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0", "RAY_DEDUP_LOGS": "1", "RAY_DEDUP_LOGS_SKIP_REGEX": "."}
            with needs("ray"), starting(**quiet):
                import ray

            if not ray.is_initialized():
                self._start(ray)
            self._ray = ray
        return self._ray

    def _start(self, ray: Any) -> None:
        quiet = {"log_to_driver": False, "logging_level": logging.CRITICAL}
        if self._address:
            where: dict[str, Any] = {"address": self._address}
        else:
            # 0700; sockets are in it, whose path may have 107 characters at most: a folder of a run is too deep.
            folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="privsynth-ray-", dir="/tmp"))
            where = {
                "address": "local",
                "num_cpus": processors(),
                "include_dashboard": False,
                "object_store_memory": STORE_BYTES,
                "runtime_env": {"env_vars": {"PYTHONPATH": import_path()}},
                "_temp_dir": folder,
            }
        for left in reversed(range(1 if self._address else STARTS)):
            try:
                with starting(RAY_USAGE_STATS_ENABLED="0"):  # nothing is reported to Ray's makers
                    ray.init(**where, **quiet)
                break
            except Exception as error:  # ConnectionError, RuntimeError, ValueError, errors of gRPC: Ray promises none
                ray.shutdown()  # of what it has started
                if not left:
                    self._stack.close()
                    raise WorkerError(
                        f"Ray does not start, or no cluster answers ({type(error).__name__}); see that its address is "
                        "right and within reach"
                    ) from None
        self._stack.callback(ray.shutdown)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ray = None
        self._stack.close()

"""`processes`: tasks run in processes of this machine."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from types import TracebackType
from typing import ClassVar, Self

from privsynth.errors import WorkerError
from privsynth.parallel import processors
from privsynth.partitions.executors.protocol import In, Out, Outcome

TRIES = 4  # of a task whose workers are killed, as Spark's default for spark.task.maxFailures
AHEAD = 2  # tasks a worker that wait for it: it never idles, and few results wait in memory


class ProcessesExecutor:
    """Runs tasks in processes that are started when the first task comes.

    A killed process takes its tasks along: they are run again in new ones.

    Args:
      workers: how many processes; as many as there are processors if None.
    """

    name: ClassVar[str] = "processes"
    shares_memory: ClassVar[bool] = False

    def __init__(self, workers: int | None = None) -> None:
        self.workers = workers or processors()
        self._pool: ProcessPoolExecutor | None = None

    def map(self, task: Callable[[In], Out], items: Sequence[In]) -> Iterator[Out]:
        """Yield what the task returns for each item, in the order of the items."""
        run: Callable[[In], Outcome] = partial(Outcome.of, task)
        done, lost = 0, 0
        while done < len(items):
            try:
                for outcome in self._ordered(run, items[done:]):
                    yield outcome.result()  # type: ignore[misc]
                    done, lost = done + 1, 0
            except BrokenProcessPool:
                self._close()
                lost += 1
                if lost == TRIES:
                    raise WorkerError(
                        f"a task lost its process {TRIES} times; it was killed, perhaps since memory ran out: use "
                        "fewer workers"
                    ) from None

    def _ordered(self, run: Callable[[In], Outcome], items: Sequence[In]) -> Iterator[Outcome]:
        pool = self._started()
        waiting = [pool.submit(run, item) for item in items[: self.workers * AHEAD]]
        for at in range(len(items)):
            outcome = waiting.pop(0).result()
            if (later := at + self.workers * AHEAD) < len(items):
                waiting.append(pool.submit(run, items[later]))
            yield outcome

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            # Forking would copy the locks of threads that run here.
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self.workers, mp_context=context, initializer=_begin)
        return self._pool

    def _close(self) -> None:
        if self._pool is not None:
            pool, self._pool = self._pool, None
            pool.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()


def _begin() -> None:
    """Let a worker use one thread: the processes are as many as the processors. Ctrl-C is the parent's to handle.

    A worker ends with its parent, also one that is killed: it holds private rows.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["OMP_NUM_THREADS"] = "1"
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        os._exit(1)

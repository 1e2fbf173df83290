"""`spark`: tasks run where Apache Spark runs them (extra `spark`)."""

from __future__ import annotations

import os
import re
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, ClassVar, Self

import pyarrow as pa

from privsynth import __version__
from privsynth.errors import ConfigError, WorkerError
from privsynth.extras import needs
from privsynth.partitions.executors.processes import TRIES
from privsynth.partitions.executors.protocol import In, Out
from privsynth.partitions.executors.remote import import_path, lost, received, run_sent, sent, starting

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

MASTER = re.compile(
    r"local(\[(\d+|\*)(, *\d+)?\])?|local-cluster\[\d+, *\d+, *\d+\]|spark://[\w.,:\[\]-]+:\d+|yarn|k8s://\S+"
)
# Tasks a worker in one job: their results wait in memory together, while a worker idles at the end of a job only.
IN_A_JOB = 4
REACHED_WITHIN_S = 10.0  # of a master that lives (own)


class SparkExecutor:
    """Runs tasks in a session of Spark: the one that is there, or else one that is started when the first task comes.

    A session that was there is used as it is, and stays. Spark itself runs lost tasks again, and slow ones twice where
    `spark.speculation` says so.

    Args:
      master: as Spark writes it; if "", what a session that is there uses, what `spark-submit` says, or this machine.
    Raises:
      ConfigError: this is no master.
    """

    name: ClassVar[str] = "spark"
    shares_memory: ClassVar[bool] = False

    def __init__(self, master: str = "") -> None:
        if master and not MASTER.fullmatch(master):
            raise ConfigError("after 'spark:' comes a master, for example spark:local[4] or spark:spark://host:7077")
        self._master = master
        self._session: SparkSession | None = None
        self._stack = ExitStack()

    @property
    def workers(self) -> int:
        """How many tasks run at the same time, about."""
        return max(1, self._started().sparkContext.defaultParallelism)

    def map(self, task: Callable[[In], Out], items: Sequence[In]) -> Iterator[Out]:
        """Yield what the task returns for each item, in the order of the items."""
        if not items:
            return
        at_once, task_sent = self.workers * IN_A_JOB, sent(task)
        for start in range(0, len(items), at_once):
            for outcome in self._job(task_sent, items[start : start + at_once]):
                yield received(outcome)  # type: ignore[misc]

    def _job(self, task: bytes, items: Sequence[In]) -> list[bytes]:
        """Run one task for each item, each in a partition of its own."""
        from py4j.protocol import Py4JError
        from pyspark.errors import PySparkException

        run = partial(_run, task, [sent(item) for item in items], __version__)
        try:
            numbers = self._started().range(0, len(items), 1, numPartitions=len(items))
            done = numbers.mapInArrow(run, "id long, outcome binary").toArrow()
        except (Py4JError, PySparkException, OSError) as error:  # OSError: its process on this machine is gone
            raise lost("Spark", error) from None
        outcomes = dict(zip(done["id"].to_pylist(), done["outcome"].to_pylist(), strict=True))
        return [outcomes[at] for at in range(len(items))]

    def _started(self) -> SparkSession:
        if self._session is None:
            with needs("spark"):
                from pyspark.sql import SparkSession

            self._session = SparkSession.getActiveSession() or self._start()
        return self._session

    def _start(self) -> SparkSession:
        from py4j.protocol import Py4JError
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession

        submitted = "PYSPARK_GATEWAY_PORT" in os.environ  # this process belongs to spark-submit
        if not submitted:
            refuse_without_java()
        if self._master.startswith("spark://"):
            refuse_unreachable(self._master)
        master = self._master or ("" if submitted else "local[*]")
        builder = SparkSession.builder.appName("privsynth").config("spark.ui.showConsoleProgress", "false")
        environment = {}
        if master:
            builder = builder.master(with_tries(master))
        if master.startswith("local"):
            folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="privsynth-spark-"))  # 0700
            environment = {"PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
            own = {
                "spark.ui.enabled": "false",
                "spark.local.dir": folder,
                "spark.driver.host": "127.0.0.1",
                "spark.driver.bindAddress": "127.0.0.1",
                "spark.executorEnv.PYTHONPATH": import_path(),
            }
            for key, value in own.items():
                builder = builder.config(key, value)
        try:
            with starting(**environment):
                session = builder.getOrCreate()
                session.sparkContext.setLogLevel("OFF")  # errors of tasks are told by privsynth
        except (Py4JError, PySparkException, OSError) as error:
            self._stack.close()
            raise WorkerError(
                f"Spark does not start ({type(error).__name__}); see that the master is right and within reach, and "
                "that Java is one that this version of Spark takes (17 or newer)"
            ) from None
        self._stack.callback(session.stop)
        return session

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session = None
        self._stack.close()


def _run(task: bytes, items: list[bytes], version: str, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Run, in a worker, a task for the items of some numbers."""
    for batch in batches:
        for at in batch.column(0).to_pylist():
            outcome = run_sent(task, items[at], version)
            yield pa.RecordBatch.from_arrays(
                [pa.array([at], pa.int64()), pa.array([outcome], pa.binary())], ["id", "outcome"]
            )


def with_tries(master: str) -> str:
    """Return a master that runs lost tasks again also on this machine, where Spark would not.

    >>> with_tries("local"), with_tries("local[*]"), with_tries("local[2,1]"), with_tries("yarn")
    ('local[1,4]', 'local[*,4]', 'local[2,1]', 'yarn')
    """
    if master == "local":
        return f"local[1,{TRIES}]"
    threads = re.fullmatch(r"local\[(\d+|\*)\]", master)
    return f"local[{threads.group(1)},{TRIES}]" if threads else master


def refuse_without_java() -> None:
    """Raise ConfigError if there is no Java, in which Spark runs."""
    home = os.environ.get("JAVA_HOME")
    if not (shutil.which("java") if not home else (Path(home) / "bin" / "java").exists()):
        raise ConfigError(
            "Spark runs in Java 17 or newer, which is not found; install it (Debian: openjdk-17-jre-headless), or set "
            "JAVA_HOME to where it is"
        )


def refuse_unreachable(master: str) -> None:
    """Raise WorkerError if no master of spark://host:port,host:port answers; Spark itself would try for a minute."""
    for address in master.removeprefix("spark://").split(","):
        host, _, port = address.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), REACHED_WITHIN_S).close()
        except (OSError, ValueError):
            continue
        return
    raise WorkerError(f"no master of Spark answers at {master}; see that it runs, and that this machine reaches it")

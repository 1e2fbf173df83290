"""What executors share whose workers are started by an engine, perhaps on other machines."""

from __future__ import annotations

import contextlib
import errno
import os
import pickle
import signal
import sys
import threading
from collections.abc import Iterator

from privsynth import __version__
from privsynth.errors import Option, PrivsynthError, WorkerError
from privsynth.partitions.executors.protocol import Outcome

# What a worker says of a file that it does not see, or may not read: here it is there.
OUT_OF_REACH = {errno.ENOENT, errno.EACCES, errno.EPERM}


def run_sent(task: bytes, item: bytes, version: str) -> bytes:
    """Run a task in a worker, and return its `Outcome`; all three are pickled.

    Args:
      version: of privsynth, where the task comes from.
    """
    outcome = Outcome.of(_checked, (task, item, version))
    try:
        return pickle.dumps(outcome)
    except Exception as error:
        return pickle.dumps(Outcome(error=_not_sent(error)))


def _checked(sent: tuple[bytes, bytes, str]) -> object:
    task, item, version = sent
    if version != __version__:
        raise WorkerError(
            f"a worker has privsynth {__version__}, but {version} runs here; install the same version for all workers"
        )
    try:
        return pickle.loads(task)(pickle.loads(item))  # noqa: S301, what privsynth has sent
    except OSError as error:
        if error.errno not in OUT_OF_REACH:
            raise
        raise WorkerError(
            "a worker cannot reach the private folder of this run; run workers as the same user, and name a folder "
            "that all of them see under the same path with ",
            Option("scratch", "FOLDER"),
        ) from None


def sent(thing: object) -> bytes:
    """Return a task or an item as it is sent.

    Raises:
      WorkerError: it cannot be sent.
    """
    try:
        return pickle.dumps(thing)
    except Exception as error:
        raise _not_sent(error) from None


def received(outcome: bytes) -> object:
    """Return what a task returned elsewhere, or raise what it raised."""
    return pickle.loads(outcome).result()  # noqa: S301, what privsynth has sent


def _not_sent(error: Exception) -> WorkerError:
    return WorkerError(f"what a task takes or returns cannot be sent ({type(error).__name__}); report this as a bug")


def lost(engine: str, error: BaseException) -> PrivsynthError:
    """Return what to say when an engine gives up; its own text may quote the data, and is left out."""
    if "No module named 'privsynth'" in str(error):
        return WorkerError(f"{engine} has workers without privsynth; install the version {__version__} for all of them")
    return WorkerError(
        f"{engine} gave up ({type(error).__name__}): its workers were lost again and again, perhaps since memory ran "
        "out, or they are not there any more; use fewer or larger workers"
    )


def import_path() -> str:
    """Return where workers of this machine find what can be imported here."""
    return os.pathsep.join(os.path.abspath(folder) for folder in sys.path if os.path.isdir(folder or "."))


@contextlib.contextmanager
def starting(**environment: str) -> Iterator[None]:
    """Let an engine start with some environment, quietly: its log may quote the data.

    What it starts keeps that environment and its silence; PRIVSYNTH_DEBUG=1 lets it speak. Handlers of signals that it
    sets are set back, since a run must be able to clean up.
    """
    before = {name: os.environ.get(name) for name in environment}
    handlers = {}
    if threading.current_thread() is threading.main_thread():
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    os.environ.update(environment)
    try:
        with _silence() if os.environ.get("PRIVSYNTH_DEBUG") != "1" else contextlib.nullcontext():
            yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        for number, handler in handlers.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Send what is written to the standard error, by this process and those that it starts inside, to nowhere."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)

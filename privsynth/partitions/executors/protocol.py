"""`Executor`: what runs pure functions of parts. It schedules and retries; it never sees noise, a key or the ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import ClassVar, Protocol, Self, TypeVar

from privsynth.errors import PrivsynthError, WorkerError

In = TypeVar("In")
Out = TypeVar("Out")


class Executor(Protocol):
    """Runs a task for each of some items.

    Tasks are pure: a task may be killed and run again, or run twice at the same time, and which worker runs it changes
    nothing. What it returns is small, unless it stays where it is made.

    Attributes:
      name: as it is asked for.
      shares_memory: whether tasks run in this process, so that they may be given rows in memory.
    """

    name: ClassVar[str]
    shares_memory: ClassVar[bool]

    @property
    def workers(self) -> int:
        """How many tasks run at the same time, about; an engine is started to know it."""
        ...

    def map(self, task: Callable[[In], Out], items: Sequence[In]) -> Iterator[Out]:
        """Yield what the task returns for each item, in the order of the items.

        Raises:
          PrivsynthError: what a task raised; of any other error only its type is told, since it may quote a cell.
          WorkerError: workers are lost again and again.
        """
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Outcome:
    """What a task returned or raised, as it travels from a worker; no traceback, and no value of a cell in it."""

    def __init__(self, result: object = None, error: PrivsynthError | OSError | MemoryError | None = None) -> None:
        self._result, self._error = result, error

    @classmethod
    def of(cls, task: Callable[[In], object], item: In) -> Outcome:
        """Run a task."""
        try:
            return cls(task(item))
        except (PrivsynthError, MemoryError) as error:
            return cls(error=error)
        except OSError as error:
            return cls(error=OSError(error.errno, error.strerror))
        except Exception as error:
            return cls(error=WorkerError(f"a task failed in a worker ({type(error).__name__}); report this as a bug"))

    def result(self) -> object:
        """Return what the task returned, or raise what it raised."""
        if self._error is not None:
            raise self._error
        return self._result

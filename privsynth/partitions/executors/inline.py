"""`inline`: tasks run one after another in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import ClassVar, Self

from privsynth.partitions.executors.protocol import In, Out


class InlineExecutor:
    """Runs tasks one after another. Threads within a task are its own matter."""

    name: ClassVar[str] = "inline"
    shares_memory: ClassVar[bool] = True
    workers = 1

    def map(self, task: Callable[[In], Out], items: Sequence[In]) -> Iterator[Out]:
        """Yield what the task returns for each item."""
        return (task(item) for item in items)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

"""Work in several threads: numpy and matrix products release the interpreter's lock while they compute."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

import numpy as np

MAX_THREADS = 4  # at most, whatever the machine has: each holds arrays of its own (own)
_In = TypeVar("_In")
_Out = TypeVar("_Out")


class ThreadMap(Protocol):
    """Map a function over items."""

    def __call__(self, work: Callable[[_In], _Out], things: Iterable[_In], /) -> list[_Out]:
        """Return the results in the order of the items; the first error is raised."""
        ...


def processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def most_threads() -> int:
    """Return how many threads may work at once: `OMP_NUM_THREADS` holds for these too."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, min(processors(), MAX_THREADS, int(asked) if asked.isdecimal() else MAX_THREADS))


def one_by_one(work: Callable[[_In], _Out], things: Iterable[_In], /) -> list[_Out]:
    """Return the results in order, all computed in this thread."""
    return [work(thing) for thing in things]


@contextmanager
def threads(at_most: int) -> Iterator[ThreadMap]:
    """Yield a map over items that uses at most `at_most` and `most_threads` threads."""
    count = min(at_most, most_threads())
    if count < 2:
        yield one_by_one
        return
    with ThreadPoolExecutor(count) as pool:
        yield lambda work, things: list(pool.map(work, things))


class Scratch:
    """Memory that one thread reuses, by name."""

    def __init__(self) -> None:
        self._kept: dict[str, np.ndarray] = {}

    def get(self, name: str, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """Return an array of this shape, not initialised; it reuses the memory of the last array of that name."""
        size = math.prod(shape)
        kept = self._kept.get(name)
        if kept is None or kept.size < size or kept.dtype != dtype:
            kept = self._kept[name] = np.empty(size, dtype)
        return kept[:size].reshape(shape)

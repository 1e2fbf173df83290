"""Tasks that workers import, and a table for the whole private core."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from privsynth.errors import SchemaError

CELL = "needle-4711"


def squared(number: int) -> int:
    return number * number


def refusing(number: int) -> int:
    if number == 3:
        raise SchemaError("the column 'age' has no bounds")
    return number


def failing(number: int) -> int:
    raise ValueError(f"{CELL} is no number")


def reading(path: Path) -> int:
    return len(path.read_bytes())


def unsendable(number: int) -> object:
    return lambda: number


def dying_once(task: tuple[Path, int]) -> int:
    """Kill the worker at the number 2, the first time."""
    mark, number = task
    if number == 2 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number

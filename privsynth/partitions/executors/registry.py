"""Executors by the names under which they are asked for: inline, processes:4, ray, spark:local[4]."""

from __future__ import annotations

from collections.abc import Callable

from privsynth.errors import ConfigError, Option
from privsynth.partitions.executors.inline import InlineExecutor
from privsynth.partitions.executors.processes import ProcessesExecutor
from privsynth.partitions.executors.protocol import Executor
from privsynth.partitions.executors.ray import RayExecutor
from privsynth.partitions.executors.spark import SparkExecutor

MOST_WORKERS = 10_000  # that can be asked for (own): a slip of the keyboard is no cluster


def executor_of(asked: str) -> Executor:
    """Return the executor that is asked for; nothing is started yet.

    Args:
      asked: its name; after a colon what it takes, such as the number of processes.
    Raises:
      ConfigError: there is no such executor, or it does not take that.
    """
    name, _, argument = asked.partition(":")
    make = EXECUTORS.get(name)
    if make is None:
        raise ConfigError(f"there is no executor '{name}'; choose {', '.join(EXECUTORS)} with ", Option("executor"))
    return make(argument)


def _inline(argument: str) -> Executor:
    if argument:
        raise ConfigError("the executor 'inline' takes nothing after its name")
    return InlineExecutor()


def _processes(argument: str) -> Executor:
    if argument and not (argument.isdecimal() and 1 <= int(argument) <= MOST_WORKERS):
        raise ConfigError("after 'processes:' comes how many processes, for example processes:4")
    return ProcessesExecutor(int(argument) if argument else None)


EXECUTORS: dict[str, Callable[[str], Executor]] = {
    "inline": _inline,
    "processes": _processes,
    "ray": RayExecutor,
    "spark": SparkExecutor,
}
DEFAULT = "processes"

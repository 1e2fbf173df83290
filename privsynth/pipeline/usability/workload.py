"""What a release takes to compute, from public facts: processors, memory, bytes and money, for a guessed size."""

from __future__ import annotations

import math
from dataclasses import dataclass

from privsynth.errors import ConfigError, Option
from privsynth.parallel import processors
from privsynth.partitions.executors.registry import EXECUTORS, MOST_WORKERS

# Measured by `experiments/scale.py`, see docs/scale.md: Parquet of numbers, categories and times, one row a unit, on
# one core of a server. CSV takes longer to read.
FIXED_CPU_S = 25.0  # whatever the rows: libraries, the fit, reports
CPU_US_OF_CELL = 0.9  # reading to counting, of each cell, by workers
DRIVER_US_OF_ROW = 0.7  # of each row, by the one process that draws who is held out
BYTES_OF_CELL = 19.0  # of scratch files, and as many are written and read once
WORKER_MIB, DRIVER_MIB = 400.0, 1_100.0  # of resident memory, which does not grow with rows
DRIVER_BYTES_OF_ROW = 16.0  # beyond that, where each row is a unit and some are held out: a word and a number each
DRIVER_LIMIT_BYTES = 64e9  # of one process, where a machine is hard to find (own)
SECONDS_OF_HOUR = 3600.0  # by which a rate is said


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What a release of one table takes to compute; an estimate.

    Attributes:
      workers: how many tasks run at the same time.
      cpu_s: seconds of all processors together.
      wall_s: seconds until it is done, if workers are otherwise idle.
      worker_mib, driver_mib: resident memory of a worker, and of the process that holds the ledger.
      scratch_bytes: of private files, written and read.
      money: at the rate that was given; None without one.
      limit: what is met first at this size, in a sentence; "" if nothing is.
    """

    rows: int
    executor: str
    workers: int
    cpu_s: float
    wall_s: float
    worker_mib: float
    driver_mib: float
    scratch_bytes: float
    money: float | None
    limit: str


def workload(rows: int, columns: int, executor: str, *, draws_rows: bool, rate: float | None = None) -> Workload:
    """Return what a release takes to compute.

    Args:
      executor: its name, and after a colon how many workers it has.
      draws_rows: each row is a unit, and some are held out.
      rate: money for an hour of one processor.
    Raises:
      ConfigError: there is no such executor, or it is not said how many workers it has.
    """
    name, workers = _workers(executor)
    driver = rows * DRIVER_US_OF_ROW * 1e-6 if draws_rows else 0.0
    counted = rows * columns * CPU_US_OF_CELL * 1e-6
    cpu = FIXED_CPU_S + driver + counted
    memory = DRIVER_MIB + (rows * DRIVER_BYTES_OF_ROW / 2**20 if draws_rows else 0.0)
    return Workload(
        rows=rows,
        executor=name,
        workers=workers,
        cpu_s=cpu,
        wall_s=FIXED_CPU_S + driver + counted / workers,
        worker_mib=WORKER_MIB,
        driver_mib=memory,
        scratch_bytes=rows * columns * BYTES_OF_CELL,
        money=None if rate is None else rate * cpu / SECONDS_OF_HOUR,
        limit=_limit(memory, driver, counted / workers),
    )


def _limit(driver_mib: float, driver_s: float, counted_s: float) -> str:
    if driver_mib * 2**20 > DRIVER_LIMIT_BYTES:
        return (
            "the memory of the process that draws who is held out is met first: hold nobody out, or declare a column "
            "as the unit"
        )
    if driver_s > counted_s:
        return "that process is met first: more workers would hardly shorten the run"
    return ""


def _workers(executor: str) -> tuple[str, int]:
    name, _, argument = executor.partition(":")
    if name not in EXECUTORS:
        raise ConfigError(f"there is no executor '{name}'; choose {', '.join(EXECUTORS)} with ", Option("executor"))
    if name == "inline" and not argument:
        return name, 1
    if name == "processes" and not argument:
        return name, processors()
    if not (argument.isdecimal() and 1 <= int(argument) <= MOST_WORKERS):
        raise ConfigError(f"say how many workers a plan is for, for example {name}:16, with ", Option("executor"))
    return name, int(argument)


def duration(seconds: float) -> str:
    """Return seconds as a person would say them."""
    for size, unit in ((86_400.0, "days"), (3_600.0, "hours"), (60.0, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:,.1f} {unit}"
    return f"{seconds:,.0f} s"


def memory(mib: float) -> str:
    """Return an amount of memory as a person would say it."""
    return f"{mib / 1024:,.1f} GiB" if mib >= 1024 else f"{mib:,.0f} MiB"


def size(number: float) -> str:
    """Return bytes as a person would say them."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if number < 1000 or unit == "TB":
            return f"{number:,.0f} {unit}" if math.floor(number) >= 10 else f"{number:,.1f} {unit}"
        number /= 1000
    raise AssertionError

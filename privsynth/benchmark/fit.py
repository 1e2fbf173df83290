"""Fits one generator on the training rows, with timing; writes the synthetic rows to a private file."""

from __future__ import annotations

import resource
import time
from dataclasses import dataclass
from pathlib import Path

from privsynth.benchmark.config import BenchmarkConfig, Case
from privsynth.benchmark.splits import RealTables, budget_of, typed_train
from privsynth.generators.registry import load_generator
from privsynth.partitions.rows import PrivateRows
from privsynth.pipeline.learning.learn import learn
from privsynth.pipeline.learning.request import Request
from privsynth.privacy.budget import Bill
from privsynth.privacy.mechanisms import GaussianMechanisms
from privsynth.progress import Progress
from privsynth.randomness import KeyedFunction
from privsynth.release.folder import write_rows
from privsynth.table import Table

REFERENCE_STAGE = "fitting a reference without privacy"


@dataclass(frozen=True, kw_only=True)
class FitCost:
    """Time, memory and epsilon of a fit.

    Attributes:
      rows: of the synthetic table; of linked tables those of the persons.
      fit_s: seconds from rows in memory to the model, public figures included.
      fit_cpu_s: CPU seconds of all threads in that time; more reliable on a busy machine.
      sample_s: seconds to sample as many rows; None if included in `fit_s`.
      peak_mib: peak memory of the process so far, the table included; None if unknown.
      epsilon_spent: by our accountant; None without privacy.
    """

    rows: int
    fit_s: float
    fit_cpu_s: float
    sample_s: float | None
    peak_mib: int | None
    epsilon_spent: float | None


def fit(sides: RealTables, config: BenchmarkConfig, case: Case, path: Path, progress: Progress) -> FitCost:
    """Fit the case's generator on the training rows and write as many synthetic rows to `path` (Parquet).

    Guarantee: the rows of a private run are (epsilon, delta)-DP; nobody accounts for the benchmark as a whole. A
      reference has no guarantee.
    """
    if case.epsilon is None:
        return _fit_reference(sides, config, case, path, progress)
    budget = budget_of(config, sides.schema, epsilon=case.epsilon)
    generator = load_generator(case.generator)
    request = Request.on_all_rows(sides.schema, sides.physical, budget, generator, seed=case.seed)
    return fit_private(sides.train, request, path, progress)


def fit_private(train: Table, request: Request, path: Path, progress: Progress) -> FitCost:
    """Fit what a request asks for on training rows and write as many synthetic rows to `path` (Parquet).

    Guarantee: the budget of the request covers the rows.
    """
    watch, bill = Watch(), Bill(request.plan)
    rows = PrivateRows.held(train.data)
    public, _ = learn(rows, request, GaussianMechanisms(bill), KeyedFunction(), progress=progress)
    watch.lap()
    public.model.draw_all(public.model.order(public.rows.n_rows), seed=request.seed)
    watch.lap()
    write_rows(public.rows, path)
    return watch.cost(rows=public.rows.n_rows, epsilon_spent=bill.epsilon_spent())


def _fit_reference(sides: RealTables, config: BenchmarkConfig, case: Case, path: Path, progress: Progress) -> FitCost:
    from privsynth.generators.sdv import reference_rows

    frame, kinds = typed_train(sides, budget_of(config, sides.schema, epsilon=1.0).unit)
    progress(REFERENCE_STAGE, 0.0)
    watch = Watch()
    rows = reference_rows(
        case.generator, frame, kinds, n_rows=len(frame), seed=case.seed, epochs=config.reference_epochs
    )
    watch.lap()
    rows.to_parquet(path, index=False)
    return watch.cost(rows=len(rows))


class Watch:
    """Takes the time of a fit: from its making to the first lap, and of sampling to a second one if there is one."""

    def __init__(self) -> None:
        self._laps: list[tuple[float, float]] = []
        self.lap()

    def lap(self) -> None:
        """Remember wall-clock seconds and the CPU seconds of this process."""
        self._laps.append((time.monotonic(), time.process_time()))

    def cost(self, *, rows: int, epsilon_spent: float | None = None) -> FitCost:
        """Return what the fit cost. If sampling was timed, the fit sampled once too, and that is taken off."""
        start, learned, *rest = self._laps
        sampled = [(now - then) for now, then in zip(rest[0], learned, strict=True)] if rest else [0.0, 0.0]
        spent = [max(now - then - less, 0.0) for now, then, less in zip(learned, start, sampled, strict=True)]
        return FitCost(
            rows=rows,
            fit_s=spent[0],
            fit_cpu_s=spent[1],
            sample_s=sampled[0] if rest else None,
            peak_mib=peak_mib(),
            epsilon_spent=epsilon_spent,
        )


def peak_mib() -> int | None:
    """Return the peak memory of this process in MiB."""
    try:
        # Of this process alone: `getrusage` starts from the parent's peak.
        with open("/proc/self/status", encoding="ascii") as lines:
            return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most // 1024 if most else None

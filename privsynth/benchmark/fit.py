"""Fits one generator on the training rows, with timing; writes the synthetic rows to a private file."""

from __future__ import annotations

import resource
import time
from dataclasses import dataclass
from pathlib import Path

from privsynth.benchmark.config import BenchmarkConfig, Case
from privsynth.benchmark.splits import RealTables, budget_of, typed_train
from privsynth.generators.registry import generator_info, load_generator
from privsynth.pipeline.learning.learn import learn
from privsynth.pipeline.learning.request import Request
from privsynth.privacy.budget import Bill
from privsynth.privacy.mechanisms import GaussianMechanisms
from privsynth.progress import Progress
from privsynth.randomness import KeyedFunction
from privsynth.release.folder import write_rows


@dataclass(frozen=True, kw_only=True)
class FitCost:
    """Time, memory and epsilon of a fit.

    Attributes:
      rows: of the synthetic table.
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
    if not generator_info(case.generator).private:
        return _fit_reference(sides, config, case, path, progress)
    assert case.epsilon is not None
    budget = budget_of(config, sides.schema, epsilon=case.epsilon)
    generator = load_generator(case.generator)
    start = _clocks()
    request = Request.on_all_rows(sides.schema, sides.physical, budget, generator, seed=case.seed)
    bill = Bill(request.plan)
    public, _ = learn(sides.train, request, GaussianMechanisms(bill), KeyedFunction(), progress=progress)
    learned = _clocks()
    public.model.draw_all(public.model.order(public.rows.n_rows), seed=case.seed)
    sampled = _clocks()
    write_rows(public.rows, path)
    # `learn` samples once too.
    fit_s, fit_cpu_s = (max(2 * b - a - c, 0.0) for a, b, c in zip(start, learned, sampled, strict=True))
    return FitCost(
        rows=public.rows.n_rows,
        fit_s=fit_s,
        fit_cpu_s=fit_cpu_s,
        sample_s=sampled[0] - learned[0],
        peak_mib=peak_mib(),
        epsilon_spent=bill.epsilon_spent(),
    )


def _fit_reference(sides: RealTables, config: BenchmarkConfig, case: Case, path: Path, progress: Progress) -> FitCost:
    from privsynth.generators.sdv import reference_rows

    frame, kinds = typed_train(sides, budget_of(config, sides.schema, epsilon=1.0).unit)
    progress("fitting a reference without privacy", 0.0)
    start = _clocks()
    rows = reference_rows(
        case.generator, frame, kinds, n_rows=len(frame), seed=case.seed, epochs=config.reference_epochs
    )
    fit_s, fit_cpu_s = (now - then for now, then in zip(_clocks(), start, strict=True))
    rows.to_parquet(path, index=False)
    return FitCost(
        rows=len(rows),
        fit_s=fit_s,
        fit_cpu_s=fit_cpu_s,
        sample_s=None,
        peak_mib=peak_mib(),
        epsilon_spent=None,
    )


def _clocks() -> tuple[float, float]:
    """Return wall-clock seconds and the CPU seconds of this process."""
    return time.monotonic(), time.process_time()


def peak_mib() -> int | None:
    """Return the peak memory of this process in MiB."""
    try:
        # Of this process alone: `getrusage` starts from the parent's peak.
        with open("/proc/self/status", encoding="ascii") as lines:
            return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most // 1024 if most else None

"""What each stage of a release costs as rows grow: python experiments/scale.py [--rows 1e5 1e6] [--out FIGURES.json].

Makes seeded tables of numbers, categories and times, written in parts so that memory does not grow with them, and
releases each in a process of its own. Prints for each stage the wall clock, the processor's time and the peak memory
of the process until its end; then, for each format and stage, the straight line of processor time over rows, fitted by
relative errors, and by how much it misses at most. The figures of all runs go to `--out` as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

PART = 100_000  # rows made at once
CATEGORIES = (2, 3, 4, 5, 8, 12, 20, 40, 60, 100, 200, 400)
# What is timed, by where the pipeline looks a function up; a stage that lies in another one is part of it, too.
STAGES = {
    "read": "privsynth.pipeline.synthesize.read_rows",
    "fingerprint": "privsynth.pipeline.synthesize.content_fingerprints",
    "learn": "privsynth.pipeline.synthesize._learn",
    "learn: divide": "privsynth.pipeline.learning.learn.divide",
    "learn: columns": "privsynth.pipeline.learning.learn.learn_columns",
    "learn: fit": "privsynth.pipeline.learning.learn._fit",
    "audit": "privsynth.pipeline.synthesize._audit",
    "write": "privsynth.pipeline.synthesize.stage",
}


def main() -> None:
    """Measure every size and format, or one release where `--one` asks for it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=float, nargs="+", default=[1e5, 1e6, 1e7])
    parser.add_argument("--columns", type=int, default=15)
    parser.add_argument("--formats", nargs="+", default=["parquet", "csv"], choices=["parquet", "csv"])
    parser.add_argument("--audit", default="standard")
    parser.add_argument("--executor", default="inline", help="other processes' time is seen in the whole alone")
    parser.add_argument("--synthetic", type=int, help="synthetic rows; as many as real ones if left out")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(release(options.one, options)))
        return
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for form in options.formats:
            for rows in sorted(map(int, options.rows)):
                path = Path(folder) / f"table.{form}"
                write_table(path, rows, options.columns)
                for figures in in_own_process(path, options):
                    found.append({"format": form, "rows": rows, "columns": options.columns, **figures})
                    print(line(found[-1]), flush=True)
    slopes = fitted_lines(found)
    for slope in slopes:
        print("{format:8} {stage:16} {us_per_row:9.2f} µs a row + {fixed_s:6.1f} s, within {error:.0%}".format(**slope))
    if options.out:
        options.out.write_text(json.dumps({"runs": found, "lines": slopes}, indent=1) + "\n")


def parts(rows: int, columns: int) -> Iterator[pa.Table]:
    """Yield the table: a third numbers, a sixth times, the rest categories; later columns depend on earlier ones."""
    for number, start in enumerate(range(0, rows, PART)):
        rng, n = np.random.default_rng([7, number]), min(PART, rows - start)
        hidden = rng.normal(size=n)
        made: dict[str, Any] = {}
        for at in range(columns):
            if at % 6 in (0, 3):
                made[f"number_{at}"] = np.round(np.exp(8 + 0.4 * hidden + 0.5 * rng.normal(size=n)), at % 3)
            elif at % 6 == 1:
                second = rng.integers(0, 5 * 365 * 86_400, n) // (86_400 if at % 12 == 1 else 1)
                unit = "D" if at % 12 == 1 else "s"
                made[f"time_{at}"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(second, unit=unit)
            else:
                many = CATEGORIES[at % len(CATEGORIES)]
                code = np.floor(many * (1 / (1 + np.exp(-hidden - rng.normal(size=n)))) ** 2).astype(int)
                made[f"category_{at}"] = np.char.add(f"c{at}_", code.astype(str))
        yield pa.table(made)


def write_table(path: Path, rows: int, columns: int) -> None:
    """Write the table to a file of the format that its name says."""
    writer = None
    for part in parts(rows, columns):
        if path.suffix == ".csv":
            writer = writer or pa_csv.CSVWriter(path, part.schema)
        else:
            writer = writer or pq.ParquetWriter(path, part.schema)
        writer.write_table(part)
    if writer is not None:
        writer.close()


def in_own_process(path: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Return the figures of one release; a new process, since peak memory is that of a process."""
    command = [sys.executable, __file__, "--one", str(path), "--audit", options.audit, "--executor", options.executor]
    command += [] if options.synthetic is None else ["--synthetic", str(options.synthetic)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return found


def release(path: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Make a release, and return the figures of each stage and of the whole."""
    import privsynth

    found: list[dict[str, Any]] = []

    def timed(stage: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **more: Any) -> Any:
            start = clocks()
            try:
                return work(*args, **more)
            finally:
                wall, cpu = clocks() - start
                peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
                found.append({"stage": stage, "wall_s": round(wall, 2), "cpu_s": round(cpu, 2), "peak_mib": peak})

        return run

    with tempfile.TemporaryDirectory() as folder:
        os.environ["PRIVSYNTH_HOME"] = f"{folder}/home"
        patches = []
        for stage, place in STAGES.items():
            patches.append(patch(place, timed(stage, looked_up(place))))
            patches[-1].start()
        make = timed("whole", privsynth.synthesize)
        told: dict[str, Any] = {"audit": options.audit, "executor": options.executor, "rows": options.synthetic}
        make(path, out=f"{folder}/out", unit="row", epsilon=3.0, seed=1, **told)
        for one in patches:
            one.stop()
    return found


def looked_up(place: str) -> Callable[..., Any]:
    """Return a function by its full name."""
    import importlib

    module, _, name = place.rpartition(".")
    found: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return found


def clocks() -> np.ndarray:
    """Return the wall clock and the processor's time of this process and of those it has waited for."""
    used = os.times()
    return np.array([time.monotonic(), used.user + used.system + used.children_user + used.children_system])


def line(run: dict[str, Any]) -> str:
    """Return a line of the table."""
    return "{format:8} {rows:>12,} {stage:16} {wall_s:9.1f} s wall {cpu_s:9.1f} s cpu {peak_mib:7,} MiB".format(**run)


def fitted_lines(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return for each format and stage the straight line of processor time over rows, and its largest error."""
    found = []
    for (form, stage), some in groupby(sorted(runs, key=key), key=key):
        rows, cpu = np.array([(run["rows"], max(run["cpu_s"], 0.01)) for run in some]).T
        if len(rows) > 1:
            design = np.stack([rows / cpu, 1 / cpu], axis=1)  # relative errors: else the largest table alone decides
            (slope, fixed), *_ = np.linalg.lstsq(design, np.ones(len(rows)), rcond=None)
            error = float(np.abs((slope * rows + fixed) / cpu - 1).max())
            found.append(
                {
                    "format": form,
                    "stage": stage,
                    "us_per_row": round(float(slope) * 1e6, 3),
                    "fixed_s": round(float(fixed), 2),
                    "error": round(error, 3),
                }
            )
    return found


def key(run: dict[str, Any]) -> tuple[str, str]:
    """Return what runs are grouped by."""
    return run["format"], run["stage"]


if __name__ == "__main__":
    main()

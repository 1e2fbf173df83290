"""How fast rows come out of a model: python experiments/sampling.py MODEL [MODEL …] [--rows N].

For each model and each number of workers prints one JSON line: rows a second from the model to Parquet on disk
(everything from loading the model to the finished folder), and the time as a multiple of what pyarrow takes to write
the same rows, which are in memory already, into the same files, on one core. Reads the clock of the whole process, so
run it alone on the machine; `cpu_ratio`, the multiple of the processor's time, also serves on one that others use.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from privsynth.release.parts.writing import Writing
from privsynth.release.sample import available_cores, sample
from privsynth.release.tables import Wanted


def main() -> None:
    """Measure each model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--given", action="append", default=[])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PRIVSYNTH_HOME"] = str(Path(folder) / "home")
        for model in options.models:
            measure(model, options.rows, options.given, Path(folder))


def measure(model: Path, rows: int, given: list[str], folder: Path) -> None:
    """Print the figures of one model."""
    conditions = tuple(given)
    # Modules are loaded by then.
    sample(model, folder / f"{model.name}-warm", Wanted(rows=1_000, seed=1, given=conditions))
    tables: list[pa.Table] = []
    for workers in sorted({1, available_cores()}):
        out = folder / f"{model.name}-{workers}"
        start = clocks()
        made = sample(model, out, Wanted(rows=rows, seed=1, given=conditions), Writing(workers=workers))
        seconds, work = clocks() - start
        tables = tables or [pq.read_table(path) for path in made.files]
        start = clocks()
        for number, table in enumerate(tables):
            pq.write_table(table, folder / f"again-{number}.parquet", compression="zstd", write_statistics=False)
        writing, work_of_writing = clocks() - start
        print(
            json.dumps(
                {
                    "model": model.name,
                    "columns": tables[0].num_columns,
                    "rows": rows,
                    "workers": workers,
                    "rows_per_s": round(rows / seconds),
                    "seconds": round(seconds, 2),
                    "pyarrow_write_s": round(writing, 2),
                    "ratio": round(seconds / writing, 2),
                    "cpu_ratio": round(work / work_of_writing, 2),
                }
            )
        )


def clocks() -> np.ndarray:
    """Return the seconds of the clock on the wall and of the processor."""
    return np.array([time.monotonic(), time.process_time()])


if __name__ == "__main__":
    main()

"""One run in a process of its own: `python -m privsynth.benchmark.worker`, a job on stdin, JSON lines on stdout.

Memory, crashes and threads of a run end with its process. What libraries print is kept out of the channel. Our errors
are returned as their sentence, others as their type alone, since their text may quote a cell.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from privsynth.errors import PrivsynthError


def main() -> None:
    """Read a job, run it, and write its result as the last line."""
    job = json.loads(sys.stdin.read())
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def progress(stage: str, share: float) -> None:
        _send(channel, {"stage": stage, "share": share})

    try:
        result = run_job(job, progress)
    except PrivsynthError as error:
        result = {"error": str(error)}
    except MemoryError:
        result = {"error": "there was not enough memory"}
    except Exception as error:
        if os.environ.get("PRIVSYNTH_DEBUG") == "1":
            raise
        result = {"error": f"it stopped with an error of type {type(error).__name__}"}
    _send(channel, {"result": result})


def _send(channel: TextIO, message: Mapping[str, Any]) -> None:
    channel.write(json.dumps(message) + "\n")
    channel.flush()


def run_job(job: Mapping[str, Any], progress: Any) -> dict[str, Any]:
    """Return the result of a job: a fit and its figures, the figures of rows from elsewhere, or the ceiling.

    Args:
      job: `config` (fields of `BenchmarkConfig`), and one of `case` (fields of `Case`), `rows_file`, or neither for the
        ceiling; `keep`: where to keep the rows of a case, or None.
    """
    from privsynth.benchmark.config import BenchmarkConfig, Case
    from privsynth.benchmark.fit import fit
    from privsynth.benchmark.judge import ceiling, judge
    from privsynth.benchmark.splits import align, budget_of, read_real_tables, read_rows
    from privsynth.workspace import Workspace, privsynth_home

    config = BenchmarkConfig(**_as_config(job["config"]))
    with Workspace(privsynth_home()) as workspace:
        progress("reading", 0.0)
        sides = read_real_tables(config, workspace)
        unit = budget_of(config, sides.schema, epsilon=1.0).unit
        if "case" in job:
            path = Path(job["keep"]) if job["keep"] else workspace.folder / "rows.parquet"
            fitted = fit(sides, config, Case(**job["case"]), path, progress)
            result = dataclasses.asdict(fitted)
        elif "rows_file" in job:
            path, result = Path(job["rows_file"]), {}
        else:
            found = ceiling(align(sides, sides.train, unit), max_rows=config.judge_rows, progress=progress)
            table = {"columns": len(sides.train.names), "train_rows": sides.train.n_rows}
            return {"figures": found, **table, "holdout_rows": sides.holdout.n_rows, "targets": sides.targets}
        synthetic = read_rows(path, workspace, sides.train.names)
        figures = judge(align(sides, synthetic, unit), max_rows=config.judge_rows, progress=progress)
        return {**result, "figures": figures, "rows": synthetic.n_rows}


def _as_config(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a `BenchmarkConfig` after a round trip through JSON."""
    paths = {"out": Path(data["out"]), "schema": Path(data["schema"]) if data["schema"] else None}
    lists = {name: tuple(data[name]) for name in ("generators", "epsilons", "targets")}
    lists["compare"] = tuple(Path(path) for path in data["compare"])
    options = dict(data["source_options"])
    if options.get("columns") is not None:
        options["columns"] = tuple(options["columns"])
    return {**data, **paths, **lists, "source_options": options}


if __name__ == "__main__":
    main()

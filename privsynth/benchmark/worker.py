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
from typing import TYPE_CHECKING, Any, TextIO

from privsynth.errors import PrivsynthError

if TYPE_CHECKING:
    from privsynth.benchmark.config import BenchmarkConfig, Case
    from privsynth.benchmark.fit import FitCost
    from privsynth.schema.linked import LinkedSchema
    from privsynth.workspace import Workspace


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
    from privsynth.schema.linked import linked_schema
    from privsynth.workspace import Workspace, privsynth_home

    config = BenchmarkConfig(**_as_config(job["config"]))
    schema = linked_schema(config.schema)
    with Workspace(privsynth_home()) as workspace:
        progress("reading", 0.0)
        subject = _OneTable(config, workspace) if schema is None else _Persons(config, schema, workspace)
        if "case" in job:
            path = Path(job["keep"]) if job["keep"] else workspace.folder / f"rows{subject.suffix}"
            result = dataclasses.asdict(subject.fit(Case(**job["case"]), path, progress))
        elif "rows_file" in job:
            path, result = Path(job["rows_file"]), {}
        else:
            return {"figures": subject.ceiling(progress), **subject.info()}
        figures, rows = subject.judge(path, progress)
        return {**result, "figures": figures, "rows": rows}


class _OneTable:
    """One table, read and divided."""

    suffix = ".parquet"  # of a file of synthetic rows

    def __init__(self, config: BenchmarkConfig, workspace: Workspace) -> None:
        from privsynth.benchmark.splits import budget_of, read_real_tables

        self._config, self._workspace = config, workspace
        self._sides = read_real_tables(config, workspace)
        self._unit = budget_of(config, self._sides.schema, epsilon=1.0).unit

    def info(self) -> dict[str, Any]:
        """Return the fields of `TableInfo` but the name."""
        train, holdout = self._sides.train, self._sides.holdout
        rows = {"train_rows": train.n_rows, "holdout_rows": holdout.n_rows}
        return {"columns": len(train.names), **rows, "targets": self._sides.targets}

    def fit(self, case: Case, path: Path, progress: Any) -> FitCost:
        """Fit a case and write its rows."""
        from privsynth.benchmark.fit import fit

        return fit(self._sides, self._config, case, path, progress)

    def judge(self, path: Path, progress: Any) -> tuple[dict[str, float], int]:
        """Return the figures of synthetic rows, and how many there are."""
        from privsynth.benchmark.judge import judge
        from privsynth.benchmark.splits import align, read_rows

        synthetic = read_rows(path, self._workspace, self._sides.train.names)
        tables = align(self._sides, synthetic, self._unit)
        return judge(tables, max_rows=self._config.judge_rows, progress=progress), synthetic.n_rows

    def ceiling(self, progress: Any) -> dict[str, float]:
        """Return the figures of real rows."""
        from privsynth.benchmark.judge import ceiling
        from privsynth.benchmark.splits import align

        tables = align(self._sides, self._sides.train, self._unit)
        return ceiling(tables, max_rows=self._config.judge_rows, progress=progress)


class _Persons:
    """Linked tables, read, their persons divided; methods as of `_OneTable`."""

    suffix = ""  # a folder

    def __init__(self, config: BenchmarkConfig, schema: LinkedSchema, workspace: Workspace) -> None:
        from privsynth.benchmark.linked.persons import read_persons

        self._config, self._workspace = config, workspace
        self._real = read_persons(config, schema, workspace)

    def info(self) -> dict[str, Any]:
        """Return the fields of `TableInfo` but the name."""
        real = self._real
        rows = {
            f"{side}_rows": sum(table.n_rows for table in tables.values())
            for side, tables in (("train", real.train), ("holdout", real.holdout))
        }
        root = real.schema.root
        persons = {"train_persons": real.train[root].n_rows, "holdout_persons": real.holdout[root].n_rows}
        columns = sum(len(table.names) for table in real.train.values())
        return {"columns": columns, **rows, **persons, "tables": list(real.train), "targets": real.targets}

    def fit(self, case: Case, path: Path, progress: Any) -> FitCost:
        """Fit a case and write its tables."""
        from privsynth.benchmark.linked.fit import fit_persons

        return fit_persons(self._real, self._config, case, path, self._workspace, progress)

    def judge(self, path: Path, progress: Any) -> tuple[dict[str, float], int]:
        """Return the figures of synthetic tables, and how many persons there are."""
        from privsynth.benchmark.linked.judge import judge_persons

        tables = self._real.beside(self._real.read(path, self._workspace))
        most = self._config.judge_rows
        return judge_persons(tables, self._real.targets, max_rows=most, progress=progress), tables.synthetic.n

    def ceiling(self, progress: Any) -> dict[str, float]:
        """Return the figures of real persons."""
        from privsynth.benchmark.linked.judge import ceiling_of_persons

        tables = self._real.beside(self._real.train)
        return ceiling_of_persons(tables, self._real.targets, max_rows=self._config.judge_rows, progress=progress)


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

"""Runs the cases of a benchmark one after another, each in its own process, and writes the results after each.

A benchmark with the same settings in the folder is continued: finished runs are kept, so an interrupt loses at most one
run, and generators, epsilons, seeds and files to compare with can be added later.
"""

from __future__ import annotations

import dataclasses
import fcntl
import hashlib
import json
import os
import platform
import resource
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from privsynth import __version__
from privsynth.benchmark.config import BenchmarkConfig, Case
from privsynth.benchmark.page import render
from privsynth.benchmark.results import Document, Run, TableInfo, load_runs, read_json, summarise
from privsynth.benchmark.subjects import digest, identity_of_rows, settle, unit_of
from privsynth.errors import ConfigError, Option, OutputError
from privsynth.parallel import processors
from privsynth.schema.definition import Schema
from privsynth.schema.linked import LinkedSchema

Progress = Callable[[str, int, int], None]
_VERSIONS = ("numpy", "pandas", "scikit-learn", "torch", "opacus", "sdv")
_ROOT = Path(__file__).resolve().parents[2]
_PAGE, _TWIN, _SETTINGS, _LOCK = "benchmark.html", "benchmark.json", "settings.json", ".lock"


def benchmark(config: BenchmarkConfig, progress: Progress = lambda text, done, of: None) -> Document:
    """Run what is missing and return all results; the folder holds the page, its JSON twin and a file per run.

    Guarantee: none; the folder is the officer's alone.
    Args:
      progress: called with what is running, the number of finished runs, and the number of all.
    Raises:
      InputError: a setting, the table, the schema or a file to compare with cannot be used. A run that fails is no
        error: it is listed with its reason.
    """
    schema = settle(config)
    others = [run for path in config.compare for run in load_runs(path)]
    with _folder(config, schema) as folder:
        suffix = "" if isinstance(schema, LinkedSchema) else ".parquet"
        jobs = _jobs(config, others, folder, suffix)
        reused = {key: found for key in jobs if (found := _stored(folder, key, config)) is not None}
        results = dict(reused)
        document = _write(folder, config, schema, others, results)
        for key, job in jobs.items():
            if key in results:
                continue
            results[key] = _run(job, config, _Reporter(progress, _title(job), len(results), len(jobs)))
            _replace(folder / "runs" / f"{key}.json", json.dumps(results[key], indent=1) + "\n")
            document = _write(folder, config, schema, others, results)
            if key == "ceiling" and "error" in results[key]:
                raise ConfigError(f"the real rows cannot be judged: {results[key]['error']}")
        progress("done", len(results), len(jobs))
    return document


def _jobs(config: BenchmarkConfig, others: list[Run], folder: Path, suffix: str) -> dict[str, dict[str, Any]]:
    """Return key -> job for the ceiling, our cases, and rows of other programs that are still to be evaluated.

    Args:
      suffix: of a file of synthetic rows; none of a folder of tables.
    """
    asked = dataclasses.asdict(config) | {"out": str(config.out), "compare": [str(path) for path in config.compare]}
    asked["schema"] = None if config.schema is None else str(config.schema)
    jobs: dict[str, dict[str, Any]] = {"ceiling": {"config": asked}}
    for case in config.cases():
        keep = str(folder / "rows" / f"{case.key}{suffix}") if config.keep_rows else None
        jobs[case.key] = {"config": asked, "case": dataclasses.asdict(case), "keep": keep}
    for run in others:
        if run.rows_file is not None:
            jobs[_elsewhere_key(run)] = {"config": asked, "rows_file": run.rows_file}
    return jobs


def _elsewhere_key(run: Run) -> str:
    path = Path(str(run.rows_file))
    return "elsewhere_" + hashlib.sha256(f"{path}{digest(path)}".encode()).hexdigest()[:16]


def _title(job: Mapping[str, Any]) -> str:
    if "case" in job:
        case = Case(**job["case"])
        budget = "no privacy" if case.epsilon is None else f"ε {case.epsilon:g}"
        return f"{case.generator}, {budget}, seed {case.seed}"
    return f"rows of {Path(job['rows_file']).name}" if "rows_file" in job else "real rows"


def _run(job: Mapping[str, Any], config: BenchmarkConfig, progress: Callable[[str], None]) -> dict[str, Any]:
    """Run a job in a new process and return its result, or `{"error": reason}` for any failure."""
    quiet, before = None if os.environ.get("PRIVSYNTH_DEBUG") == "1" else subprocess.DEVNULL, _seconds_of_children()
    paths = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    process = subprocess.Popen(
        [sys.executable, "-m", "privsynth.benchmark.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=quiet,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},  # this privsynth, also from a bare checkout
        start_new_session=True,  # an interrupt comes to us, and we pass it on
    )
    late = threading.Event()

    def stop() -> None:
        late.set()
        process.kill()

    clock = threading.Timer(config.timeout_s, stop)
    clock.start()
    found: dict[str, Any] | None = None
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(BrokenPipeError):  # if it dies at once, its exit code says so below
            process.stdin.write(json.dumps(job))
            process.stdin.close()
        for line in process.stdout:
            message = json.loads(line)
            found = message.get("result", found)
            if "stage" in message:
                progress(message["stage"])
        code = process.wait()
    finally:
        clock.cancel()
        if process.poll() is None:
            process.kill()
            process.wait()
    if late.is_set():
        spent = _seconds_of_children() - before
        return {"error": f"it was stopped after {config.timeout_s / 60:g} minutes ({spent:.0f} s of CPU)"}
    if found is not None and code == 0:
        return found
    if code < 0:
        hint = ", perhaps for want of memory" if code == -9 else ""
        return {"error": f"its process was killed by signal {-code}{hint}"}
    return {"error": f"its process ended with exit code {code}"}


def _seconds_of_children() -> float:
    """Return the CPU seconds of all processes that were started here and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@dataclasses.dataclass(frozen=True)
class _Reporter:
    """Reports the stages of one run."""

    progress: Progress
    title: str
    done: int
    of: int

    def __call__(self, stage: str) -> None:
        self.progress(f"{self.title}: {stage}", self.done, self.of)


def _write(
    folder: Path,
    config: BenchmarkConfig,
    schema: Schema | LinkedSchema,
    others: list[Run],
    results: Mapping[str, Mapping[str, Any]],
) -> Document:
    """Write the page and its twin from the results so far, and return the document."""
    runs = [_as_run(case, config, results[case.key]) for case in config.cases() if case.key in results]
    for run in others:
        if run.rows_file is None:
            runs.append(run)
        elif (result := results.get(_elsewhere_key(run))) is not None:
            runs.append(_judged(run, result))
    real = results.get("ceiling", {})
    document = Document(
        created=datetime.now(UTC).replace(microsecond=0).isoformat(),
        versions=_versions(),
        machine=_machine(),
        settings=_settings(config, schema),
        table=None if "figures" not in real else _table_info(config, real),
        ceiling=real.get("figures", {}),
        planned=len(config.cases()),
        runs=tuple(runs),
        summary=summarise(runs),
    )
    _replace(folder / _TWIN, document.to_json_text())
    _replace(folder / _PAGE, render(document))
    return document


def _as_run(case: Case, config: BenchmarkConfig, result: Mapping[str, Any]) -> Run:
    shared: dict[str, Any] = {
        "generator": case.generator,
        "private": case.epsilon is not None,
        "epsilon": case.epsilon,
        "delta": None if case.epsilon is None else config.delta,
        "seed": case.seed,
    }
    if "error" in result:
        return Run(status="failed", reason=result["error"], **shared)
    return Run(**shared, **result)


def _judged(run: Run, result: Mapping[str, Any]) -> Run:
    """Return a run of another program with the figures that we measured on its rows."""
    bare = run.model_copy(update={"rows_file": None})
    if "error" in result:
        return bare.model_copy(update={"status": "failed", "reason": f"its rows cannot be judged: {result['error']}"})
    return bare.model_copy(update={"figures": result["figures"], "rows": result["rows"], "judge": "privsynth"})


def _table_info(config: BenchmarkConfig, real: Mapping[str, Any]) -> TableInfo:
    return TableInfo(name=_table_name(config), **{name: found for name, found in real.items() if name != "figures"})


def _table_name(config: BenchmarkConfig) -> str:
    return "database" if "://" in config.table else Path(config.table).name


def _settings(config: BenchmarkConfig, schema: Schema | LinkedSchema) -> dict[str, Any]:
    return {
        "table": _table_name(config),
        "holdout": f"a share of {config.split:g}, split off" if config.split else Path(str(config.holdout)).name,
        "schema": config.schema.name if config.schema else "none: nothing is declared",
        **unit_of(config, schema),
        "generators": list(config.generators),
        "epsilons": [f"{epsilon:g}" for epsilon in config.epsilons],
        "delta": f"{config.delta:g}",
        "seeds": config.seeds,
        "judge_rows": config.judge_rows,
        "reference_epochs": config.reference_epochs or "their own default",
        "timeout_minutes": round(config.timeout_s / 60, 3),
    }


def _versions() -> dict[str, str]:
    found = {"privsynth": __version__, "python": platform.python_version()}
    for name in _VERSIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _machine() -> dict[str, str]:
    cores = processors()
    found = {"cores": str(cores), "system": f"{platform.system()} {platform.machine()}"}
    if threads := os.environ.get("OMP_NUM_THREADS"):
        found["OMP_NUM_THREADS"] = threads
    with suppress(ValueError, OSError):
        found["memory"] = f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"
    return found


@contextmanager
def _folder(config: BenchmarkConfig, schema: Schema | LinkedSchema) -> Iterator[Path]:
    """Yield the folder of the results, made or found, and locked against a second run.

    Raises:
      OutputError: it cannot be made, belongs to something else, or another run is at work in it.
      ConfigError: it holds a benchmark with other settings.
    """
    folder = config.out
    try:
        if folder.exists() and not (folder / _SETTINGS).exists() and any(folder.iterdir()):
            raise OutputError(f"the folder {folder} holds something else; choose a new one with ", Option("out"))
        for path in (folder, folder / "runs", *([folder / "rows"] if config.keep_rows else [])):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        reason = f"the folder {folder} cannot be used: {error.strerror}; choose another with "
        raise OutputError(reason, Option("out")) from None
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OutputError(f"another benchmark is at work in {folder}; wait for it, or choose another") from None
        identity = _identity(config, schema)
        if (folder / _SETTINGS).exists():
            if read_json(folder / _SETTINGS) != identity:
                raise ConfigError(
                    f"{folder} holds a benchmark of another table or with other settings; choose another with ",
                    Option("out"),
                )
        else:
            _replace(folder / _SETTINGS, json.dumps(identity, indent=1) + "\n")
        yield folder
    finally:
        os.close(lock)


def _identity(config: BenchmarkConfig, schema: Schema | LinkedSchema) -> dict[str, Any]:
    """Return what all runs of a page must share; generators, epsilons and seeds may be added."""
    options = {k: list(v) if isinstance(v, tuple) else v for k, v in sorted(config.source_options.items())}
    return {
        **identity_of_rows(config, schema),
        "split": config.split,
        "schema": schema.model_dump(mode="json"),
        **unit_of(config, schema),
        "targets": list(config.targets),
        "delta": config.delta,
        "judge_rows": config.judge_rows,
        "reference_epochs": config.reference_epochs,
        "source_options": options,
    }


def _stored(folder: Path, key: str, config: BenchmarkConfig) -> dict[str, Any] | None:
    """Return the stored result of a run; None if there is none, or it failed and is to be retried."""
    path = folder / "runs" / f"{key}.json"
    if not path.exists():
        return None
    found: dict[str, Any] = read_json(path)
    again = "error" in found and (config.retry_failed or key == "ceiling")
    return None if again else found


def _replace(path: Path, text: str) -> None:
    """Write a private file atomically: readers see the old or the new one, and a kill leaves the old one."""
    part = path.with_name(f".{path.name}.part")
    try:
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(part, path)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}") from None

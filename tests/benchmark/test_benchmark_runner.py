"""Running cases: failures stay apart, an interrupt loses nothing, a folder belongs to one benchmark."""

from __future__ import annotations

import dataclasses
import json
import re
import stat
import sys
from pathlib import Path

import pytest

from privsynth.benchmark import runner
from privsynth.benchmark.config import BenchmarkConfig
from privsynth.benchmark.runner import benchmark
from privsynth.errors import ConfigError, OutputError

CEILING = {"figures": {"acc2": 0.95}, "columns": 4, "train_rows": 240, "holdout_rows": 60, "targets": ["back"]}
RESULT = {"figures": {"acc2": 0.9}, "rows": 240, "fit_s": 1.0, "sample_s": 0.1, "peak_mib": 9, "epsilon_spent": 0.99}


class Workers:
    """Stands in for the processes: remembers the jobs, and does with each what it is told to."""

    def __init__(self) -> None:
        self.jobs: list[str] = []
        self.answers: dict[str, object] = {}

    def __call__(self, job, config, progress):
        key = "rows" if "rows_file" in job else "real" if "case" not in job else job["case"]["generator"]
        if "case" in job:
            key = f"{job['case']['epsilon']:g}/{job['case']['seed']}"
        self.jobs.append(key)
        answer = self.answers.get(key, CEILING if key == "real" else RESULT)
        if isinstance(answer, BaseException):
            raise answer
        return answer


@pytest.fixture
def workers(monkeypatch):
    found = Workers()
    monkeypatch.setattr(runner, "_run", found)
    return found


@pytest.fixture
def wanted(table, tmp_path):
    """Return a function that makes the configuration of two epsilons and two seeds."""

    def make(**more) -> BenchmarkConfig:
        options = {"epsilons": (1.0, 3.0), "seeds": 2, "unit": "row", "generators": ("marginal",), **more}
        return BenchmarkConfig(table=str(table), out=tmp_path / "out", **options)

    return make


def test_an_interrupt_loses_nothing_and_the_same_command_goes_on(workers, wanted, tmp_path):
    workers.answers["1/2"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        benchmark(wanted())
    assert workers.jobs == ["real", "1/1", "3/1", "1/2"]
    page = (tmp_path / "out" / "benchmark.html").read_text(encoding="utf-8")
    assert "2 of 4 here" in page
    workers.jobs.clear()
    del workers.answers["1/2"]
    document = benchmark(wanted())
    assert workers.jobs == ["1/2", "3/2"]
    assert [(run.epsilon, run.seed) for run in document.runs] == [(1, 1), (3, 1), (1, 2), (3, 2)]


def test_a_benchmark_grows(workers, wanted):
    benchmark(wanted())
    workers.jobs.clear()
    document = benchmark(wanted(epsilons=(1.0, 3.0, 10.0), seeds=1))
    assert workers.jobs == ["10/1"]
    assert len(document.runs) == 3  # what was asked for now; the others stay in the folder
    assert len(benchmark(wanted(seeds=3)).runs) == 6


def test_a_run_that_fails_stops_no_other_and_is_listed(workers, wanted, tmp_path):
    reason = "its process was killed by signal 9"
    workers.answers["1/1"] = {"error": reason}
    document = benchmark(wanted())
    assert len(workers.jobs) == 5
    assert document.summary[0].failed == 1
    assert document.summary[0].done == 1
    data = json.loads((tmp_path / "out" / "benchmark.json").read_text(encoding="utf-8"))
    assert [run["reason"] for run in data["runs"] if run["status"] == "failed"] == [
        "its process was killed by signal 9"
    ]
    workers.jobs.clear()
    benchmark(wanted())
    assert workers.jobs == []  # a failure is a result
    del workers.answers["1/1"]
    assert benchmark(wanted(retry_failed=True)).summary[0].failed == 0
    assert workers.jobs == ["1/1"]


def test_nothing_is_run_where_the_real_rows_cannot_be_judged(workers, wanted):
    workers.answers["real"] = {"error": "nothing to measure"}
    with pytest.raises(ConfigError, match="nothing to measure"):
        benchmark(wanted())
    assert workers.jobs == ["real"]
    del workers.answers["real"]
    assert len(benchmark(wanted()).runs) == 4


@pytest.mark.parametrize(
    "change",
    [{"delta": 1e-7}, {"targets": ("back",)}, {"holdout_fraction": 0.3}, {"judge_rows": 9}],
    ids=["delta", "targets", "holdout", "judge"],
)
def test_a_folder_of_other_settings_is_refused(workers, wanted, change):
    benchmark(wanted())
    with pytest.raises(ConfigError, match="other settings"):
        benchmark(wanted(**change))


def test_a_folder_of_another_table_is_refused(workers, wanted, table):
    benchmark(wanted())
    table.write_text(table.read_text() + "33,ER,1.0,no\n")
    with pytest.raises(ConfigError, match="another table"):
        benchmark(wanted())


def test_a_folder_of_something_else_is_left_alone(workers, wanted, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("mine")
    with pytest.raises(OutputError, match="something else"):
        benchmark(wanted())
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.txt"]


def test_two_benchmarks_do_not_share_a_folder(workers, wanted):
    def second(text, done, of):
        with pytest.raises(OutputError, match="another benchmark is at work"):
            benchmark(wanted())
        seen.append(text)

    seen: list[str] = []
    benchmark(wanted(), second)
    assert seen


def test_what_is_written_is_private(workers, wanted, tmp_path):
    benchmark(wanted(keep_rows=True))
    for path in [tmp_path / "out", *(tmp_path / "out").rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    assert not [path for path in (tmp_path / "out").rglob("*.part")]


def test_runs_from_elsewhere_are_shown_and_their_rows_judged(workers, wanted, tmp_path):
    shared = {"private": True, "epsilon": 1.0, "delta": 1e-5, "judge": "theirs"}
    listed = [
        {"generator": "quoted", "figures": {"acc2": 0.7}, **shared},
        {"generator": "with rows", "rows_file": "rows.csv", **shared},
    ]
    (tmp_path / "others.json").write_text(json.dumps({"runs": listed}))
    (tmp_path / "rows.csv").write_text("age,ward,lab,back\n1,ER,1.0,no\n")
    workers.answers["rows"] = {"figures": {"acc2": 0.8}, "rows": 1}
    document = benchmark(wanted(compare=(tmp_path / "others.json",)))
    quoted, judged = document.runs[-2:]
    assert (quoted.figures, quoted.judge, quoted.origin) == ({"acc2": 0.7}, "theirs", "elsewhere")
    assert (judged.figures, judged.judge, judged.rows) == ({"acc2": 0.8}, "privsynth", 1)
    workers.jobs.clear()
    benchmark(wanted(compare=(tmp_path / "others.json",)))
    assert workers.jobs == []
    (tmp_path / "rows.csv").write_text("age,ward,lab,back\n2,ER,1.0,no\n")
    workers.answers["rows"] = {"error": "the synthetic rows lack the column 'lab'"}
    failed = benchmark(wanted(compare=(tmp_path / "others.json",))).runs[-1]
    assert workers.jobs == ["rows"]
    assert "lack the column 'lab'" in failed.reason
    workers.jobs.clear()
    alone = benchmark(wanted(generators=(), compare=(tmp_path / "others.json",)))  # none of ours is run for it
    assert [run.generator for run in alone.runs] == ["quoted", "with rows"]
    assert (workers.jobs, alone.planned) == ([], 0)


def python_that(does: str, tmp_path: Path, monkeypatch) -> None:
    """Let the runner start a process that does something else than to run a case."""
    script = tmp_path / "python"
    script.write_text(f"#!/bin/sh\n{does}\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))


@pytest.mark.parametrize(
    ("does", "reason"),
    [
        ("kill -9 $$", "killed by signal 9, perhaps for want of memory"),
        ("kill -11 $$", "killed by signal 11"),
        ("cat >/dev/null; exit 7", "exit code 7"),
        ("cat >/dev/null; exit 0", "exit code 0"),  # no result is no result
        ('cat >/dev/null; echo \'{"result": {"error": "too bad"}}\'', "too bad"),
    ],
    ids=["killed", "crashed", "gave up", "silent", "error"],
)
def test_whatever_happens_to_a_process_is_a_reason(does, reason, wanted, tmp_path, monkeypatch):
    python_that(does, tmp_path, monkeypatch)
    assert reason in runner._run({}, wanted(), lambda stage: None)["error"]


def test_a_run_that_takes_too_long_is_stopped(wanted, tmp_path, monkeypatch):
    python_that("exec sleep 60", tmp_path, monkeypatch)
    told = runner._run({}, wanted(timeout_s=0.1), lambda stage: None)["error"]
    assert re.fullmatch(r"it was stopped after 0\.0016\d* minutes \(\d+ s of CPU\)", told)


def test_an_interrupted_run_leaves_no_process(wanted, tmp_path, monkeypatch):
    python_that(f'echo $$ > {tmp_path}/pid; echo \'{{"stage": "fitting"}}\'; exec sleep 60', tmp_path, monkeypatch)

    def interrupt(stage):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        runner._run({}, wanted(), interrupt)
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}").exists()


@pytest.mark.slow
def test_a_small_table_from_end_to_end(wanted, tmp_path):
    stages = []
    kept = wanted(epsilons=(3.0,), seeds=2, targets=("back",), keep_rows=True, holdout_fraction=0.25)
    document = benchmark(kept, lambda text, done, of: stages.append((done, of)))
    assert [run.status for run in document.runs] == ["done", "done"], document.runs
    for run in document.runs:
        assert set(run.figures) == {"acc1", "acc2", "acc3", "tstr:back", "c2st"}
        assert run.epsilon_spent is not None
        assert 0 < run.epsilon_spent <= 3.0
        assert run.fit_s is not None
        assert run.fit_s > 0
        assert run.fit_cpu_s is not None
        assert run.fit_cpu_s > 0
        assert run.peak_mib is None or run.peak_mib > 20
        assert run.figures["acc1"] <= 1.0
    assert document.runs[0].figures != document.runs[1].figures
    assert document.ceiling["acc1"] > 0.8
    assert document.summary[0].figures["acc2"].n == 2
    assert stages[-1] == (3, 3)
    rows = sorted((tmp_path / "out" / "rows").iterdir())
    assert [path.name for path in rows] == ["marginal_eps3_seed1.parquet", "marginal_eps3_seed2.parquet"]
    written = (tmp_path / "out" / "benchmark.html").read_text(encoding="utf-8")
    assert "2 of 2 here" in written
    record = {"generator": "same", "private": True, "epsilon": 3.0, "rows_file": f"out/rows/{rows[0].name}"}
    (tmp_path / "same.json").write_text(json.dumps(record))
    (judged,) = benchmark(dataclasses.replace(kept, generators=(), compare=(tmp_path / "same.json",))).runs
    assert judged.figures == document.runs[0].figures  # the same rows, the same judge, and no fit

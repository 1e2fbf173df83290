"""What every executor must do, whatever runs the tasks.

Where an engine is not installed its tests are skipped; PRIVSYNTH_REQUIRE_SPARK=1 and PRIVSYNTH_REQUIRE_RAY=1 make that
a failure.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import sys
from functools import cache
from pathlib import Path

import pytest
from leaks.world import BARE
from partitions import tasks
from partitions.test_learned_in_parts import in_parts, shown, world

from privsynth.errors import ConfigError, MissingPackageError, SchemaError, WorkerError
from privsynth.partitions.executors import spark as spark_executor
from privsynth.partitions.executors.registry import EXECUTORS, executor_of
from privsynth.partitions.executors.remote import lost, received, run_sent, sent

ENGINES = {"spark": "pyspark", "ray": "ray"}
ASKED = ["inline", "processes:2", "ray", "spark:local[2]", "spark:local-cluster[2,1,1024]"]


def need(name: str) -> None:
    """Skip, or fail where it is required, if an engine is not installed."""
    if name not in ENGINES:
        return
    missing = [ENGINES[name]] if importlib.util.find_spec(ENGINES[name]) is None else []
    if name == "spark" and not (shutil.which("java") or os.environ.get("JAVA_HOME")):
        missing.append("Java")
    if missing:
        required = f"PRIVSYNTH_REQUIRE_{name.upper()}"
        what = f"{' and '.join(missing)} is not installed"
        if os.environ.get(required):
            pytest.fail(f"{what}, and {required} asks for it")
        pytest.skip(f"{what}; {required}=1 makes this a failure")


@pytest.fixture(scope="module", params=ASKED)
def executor(request):
    name = request.param.partition(":")[0]
    need(name)
    with executor_of(request.param) as executor:
        yield executor
    if "local-cluster" in request.param:  # Spark's own simulation leaves the logs of its workers with the package
        home = Path(importlib.util.find_spec("pyspark").origin).parent / "work"
        shutil.rmtree(home, ignore_errors=True)


def test_every_executor_is_tested():
    assert {asked.partition(":")[0] for asked in ASKED} == EXECUTORS.keys()


def test_more_items_than_workers_come_in_their_order(executor):
    assert executor.workers <= 4
    assert list(executor.map(tasks.squared, range(19))) == [number * number for number in range(19)]


def test_no_items_have_no_results(executor):
    assert list(executor.map(tasks.squared, [])) == []


def test_what_a_task_says_is_what_is_raised(executor):
    results = executor.map(tasks.refusing, range(6))
    with pytest.raises(SchemaError, match=r"^the column 'age' has no bounds$"):
        list(results)
    assert list(executor.map(tasks.squared, [4])) == [16]


def test_of_another_error_only_its_type_is_told(executor):
    if executor.shares_memory:
        pytest.skip("it is raised where it happens, as without an executor")
    with pytest.raises(WorkerError, match="ValueError") as caught:
        list(executor.map(tasks.failing, [1]))
    told = repr(caught.value) + str(caught.value.__context__) + str(caught.value.__cause__)
    assert tasks.CELL not in told


def test_a_killed_worker_changes_nothing(executor, tmp_path, capfd):
    if executor.shares_memory:
        pytest.skip("its worker is this process")
    mark = tmp_path / "killed"
    assert list(executor.map(tasks.dying_once, [(mark, number) for number in range(5)])) == [0, 1, 2, 3, 4]
    assert mark.exists()
    assert capfd.readouterr() == ("", "")


@cache
def learned_inline() -> tuple[object, list]:
    from privsynth.partitions.rows import PrivateRows

    return shown(PrivateRows.held(world()), BARE, "patient")


def test_the_release_is_the_same(executor, tmp_path):
    assert shown(in_parts(world(), 3, tmp_path, executor), BARE, "patient") == learned_inline()


# --- what remote workers say ------------------------------------------------------------------------------------------


def remotely(task, item, version=None):
    from privsynth import __version__

    return received(run_sent(sent(task), sent(item), version or __version__))


def test_a_worker_with_another_version_refuses():
    assert remotely(tasks.squared, 3) == 9
    with pytest.raises(WorkerError, match="install the same version"):
        remotely(tasks.squared, 3, "0.0.0")


def test_a_worker_that_does_not_reach_the_folder_says_so_without_a_path(tmp_path):
    with pytest.raises(WorkerError, match="cannot reach the private folder") as caught:
        remotely(tasks.reading, tmp_path / tasks.CELL)
    assert tasks.CELL not in str(caught.value)


def test_what_cannot_be_sent_is_an_error_of_ours():
    with pytest.raises(WorkerError, match="cannot be sent"):
        remotely(tasks.unsendable, 3)
    with pytest.raises(WorkerError, match="cannot be sent"):
        sent(lambda: 3)


def test_an_engine_that_gives_up_quotes_nothing():
    assert "without privsynth" in str(lost("Spark", RuntimeError("ModuleNotFoundError: No module named 'privsynth'")))
    said = lost("Spark", RuntimeError(tasks.CELL))
    assert "RuntimeError" in str(said)
    assert tasks.CELL not in str(said)


# --- engines that are not there ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ENGINES)
def test_an_extra_that_is_missing_is_named(name, monkeypatch):
    monkeypatch.setitem(sys.modules, ENGINES[name], None)
    monkeypatch.setitem(sys.modules, f"{ENGINES[name]}.sql", None)
    with executor_of(name) as executor, pytest.raises(MissingPackageError, match=rf"privsynth\[{name}\]"):
        list(executor.map(tasks.squared, [1]))


@pytest.mark.parametrize("argument", ["foo", "local[", "local[x]", "http://host", "spark://host", "local-cluster[2]"])
def test_what_is_no_master_is_refused(argument):
    with pytest.raises(ConfigError, match="comes a master"):
        executor_of(f"spark:{argument}")


@pytest.mark.parametrize(
    "argument", ["local", "local[*]", "local[2,3]", "spark://a:1,b:2", "yarn", "k8s://https://host:1"]
)
def test_masters_are_taken_as_spark_writes_them(argument):
    executor_of(f"spark:{argument}")


def test_without_java_one_sentence_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(ConfigError, match="Java 17"):
        spark_executor.refuse_without_java()
    monkeypatch.delenv("JAVA_HOME")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="Java 17"):
        spark_executor.refuse_without_java()


def test_a_master_that_does_not_answer_is_told_at_once():
    with socket.socket() as nobody, socket.create_server(("127.0.0.1", 0)) as somebody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        dead, alive = (f"127.0.0.1:{one.getsockname()[1]}" for one in (nobody, somebody))
        with pytest.raises(WorkerError, match="no master of Spark answers"):
            spark_executor.refuse_unreachable(f"spark://{dead}")
        spark_executor.refuse_unreachable(f"spark://{dead},{alive}")

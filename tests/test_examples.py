"""The examples for schedulers in docs/examples are what they say: their files parse, and so do their commands."""

from __future__ import annotations

import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from test_docs import SERVER, parse

from privsynth.schema import Schema

EXAMPLES = Path(__file__).parent.parent / "docs" / "examples"
DBT = EXAMPLES / "dbt"


def filled_in(script: str) -> str:
    """Return a shell script of Airflow with examples of what it fills in."""
    filled = {"{{ var.value.privsynth_server }}": SERVER, "{{ ti.xcom_pull(task_ids='ask') }}": "run-1"}
    for name, value in filled.items():
        script = script.replace(name, value)
    return re.sub(r"{{.*?}}", "x", script)


def commands_of(script: str) -> list[list[str]]:
    """Return the words of the privsynth commands of a shell script."""
    lines = [
        line for line in filled_in(script).replace("\\\n", " ").splitlines() if re.match(r"(exec )?privsynth ", line)
    ]
    return [shlex.split(re.split(r"\s(?:>|\|\|)\s", line.removeprefix("exec "))[0])[1:] for line in lines]


class Task:
    """A task of Airflow, as far as the example uses one."""

    made: list[Task]

    def __init__(self, **told) -> None:
        self.told, self.after = told, None
        Task.made.append(self)

    def __rshift__(self, other: Task) -> Task:
        self.after = other
        return other


class Dag(Task):
    def __enter__(self) -> Dag:
        return self

    def __exit__(self, *_) -> None:
        pass


@pytest.fixture
def tasks(monkeypatch) -> list[Task]:
    """The tasks of the DAG, which is run with stand-ins for the classes of Airflow."""
    Task.made = []
    names = ("airflow", "airflow.sdk", "airflow.providers", "airflow.providers.standard",
             "airflow.providers.standard.operators", "airflow.providers.standard.operators.bash",
             "airflow.providers.standard.sensors", "airflow.providers.standard.sensors.bash")  # fmt: skip
    for name in names:
        module = ModuleType(name)
        module.DAG, module.BashOperator, module.BashSensor = Dag, Task, Task
        monkeypatch.setitem(sys.modules, name, module)
    runpy.run_path(str(EXAMPLES / "airflow" / "privsynth_release.py"))
    return [task for task in Task.made if "task_id" in task.told]


def test_the_tasks_of_airflow_follow_each_other_and_their_commands_parse(tasks):
    ask, published, fetch = tasks
    assert (ask.after, published.after, fetch.after) == (published, fetch, None)
    for task in tasks:
        script = task.told["bash_command"]
        found = commands_of(script)
        assert found
        for words in found:
            parse([word for word in words if word])
        done = subprocess.run(["bash", "-n", "-c", filled_in(script)], capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stderr


def test_airflow_asks_once_and_knows_the_exit_codes(tasks, tmp_path):
    """Run the script with a stand-in for privsynth that ends as it is told."""
    ask = tasks[0].told
    assert '--once "{{ run_id }}"' in ask["bash_command"]
    assert ask["skip_on_exit_code"] == 8
    stand_in = tmp_path / "privsynth"
    stand_in.write_text('#!/bin/sh\necho \'{"id": "run-1", "state": "to_decide"}\'\nexit $CODE\n')
    stand_in.chmod(0o755)
    for code, expected in ((0, 0), (3, 0), (8, 8), (7, 7)):
        done = subprocess.run(
            ["bash", "-c", ask["bash_command"]], cwd=tmp_path, capture_output=True, text=True, timeout=30,
            env={"PATH": f"{tmp_path}:/usr/bin:/bin", "CODE": str(code)},
        )  # fmt: skip
        assert done.returncode == expected
        assert expected or done.stdout.splitlines()[-1] == "run-1"  # what the next tasks pull


def test_the_project_of_dbt_parses_and_its_step_releases_what_it_builds():
    script = (DBT / "release.sh").read_text(encoding="utf-8")
    (words,) = commands_of(script)
    parse(words)
    assert subprocess.run(["sh", "-n", str(DBT / "release.sh")], timeout=30).returncode == 0
    model = (DBT / "models" / "admissions_for_release.sql").read_text(encoding="utf-8")
    assert f'location="{words[1]}"' in model
    declared = Schema.model_validate(yaml.safe_load((DBT / words[words.index("--schema") + 1]).read_text()))
    (selected,) = re.findall(r"^select (.*)$", model, flags=re.M)
    assert set(declared.columns) == set(selected.split(", "))
    exposure = yaml.safe_load((DBT / "models" / "exposures.yml").read_text(encoding="utf-8"))["exposures"][0]
    assert exposure["depends_on"] == ["ref('admissions_for_release')"]
    for name in ("dbt_project.yml", "profiles.yml"):
        assert yaml.safe_load((DBT / name).read_text(encoding="utf-8"))

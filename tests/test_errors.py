"""Errors speak of `dataset=…` to a caller of the library and of `--dataset` to a person at a terminal."""

from __future__ import annotations

import ast
import copy
import doctest
import pickle
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

import privsynth
from privsynth import errors
from privsynth.cli import main
from privsynth.errors import ConfigError, Option, PrivsynthError

PACKAGE = Path(privsynth.__file__).parent


def every_error() -> list[type[PrivsynthError]]:
    return [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, PrivsynthError)]


def test_the_example_of_an_option_is_right():
    assert doctest.testmod(errors).failed == 0


def test_an_option_is_named_as_the_reader_writes_it():
    assert Option("max_rows_per_unit", "K").in_python() == "max_rows_per_unit=K"
    assert Option("max_rows_per_unit", 3).in_shell() == "--max-rows-per-unit 3"
    assert Option("dataset").in_python() == "dataset=…"
    assert Option("balance", "two words=0.3").in_shell() == "--balance 'two words=0.3'"
    assert Option("keyring", python="that keyring").in_python() == "that keyring"


@pytest.mark.parametrize("error", every_error())
def test_a_message_survives_copies_and_other_processes(error):
    raised = error("say it with ", Option("dataset"), "; {unit} stays as it is")
    for same in (raised, copy.copy(raised), pickle.loads(pickle.dumps(raised))):  # noqa: S301
        assert str(same) == "say it with dataset=…; {unit} stays as it is"
        assert same.in_shell() == "say it with --dataset; {unit} stays as it is"


@pytest.fixture
def visits(tmp_path) -> Path:
    path = tmp_path / "visits.csv"
    path.write_text("ward,age\nICU,40\n", encoding="utf-8")
    return path


def test_the_library_and_the_command_line_name_the_same_option_each_in_its_own_way(visits):
    with pytest.raises(ConfigError) as caught:
        privsynth.plan(visits, epsilon=1)
    assert 'unit=COLUMN names the person or account, unit="row" says' in str(caught.value)
    assert "--" not in str(caught.value)
    said = CliRunner().invoke(main, ["plan", str(visits), "--epsilon", "1"])
    assert said.exit_code == 2
    assert "--unit COLUMN names the person or account, --unit row says" in said.stderr


def test_no_message_outside_the_command_line_names_an_option_of_it():
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.is_relative_to(PACKAGE / "cli"):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
        found += [
            f"{path.name}:{node.lineno}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose
            if re.search(r"(?<![\w-])--[a-z]", node.value)
        ]
    assert not found, "name it by an Option among the parts of the error"

"""`privsynth benchmark` on the command line."""

from __future__ import annotations

import json

import pytest
from benchmark.invented import a_document, a_run
from pipeline.admissions import run

from privsynth.benchmark import runner
from privsynth.benchmark.results import WATERMARK


@pytest.fixture
def made(monkeypatch):
    """Return what the command asked for; nothing is run."""
    asked = []

    def instead(config, progress):
        asked.append(config)
        progress("marginal, ε 1, seed 1: fitting", 0, 2)
        return a_document(a_run(), a_run("copula", None), a_run(seed=2, status="failed", reason="broke", figures={}))

    monkeypatch.setattr(runner, "benchmark", instead)
    return asked


def test_options_become_the_configuration(made, tmp_path):
    result = run(
        *("benchmark", "a.csv", "--unit", "row", "--generators", "marginal, arn", "--epsilons", "0.5,3"),
        *("--seeds", 2, "--target", "back", "--target", "ward", "--delimiter", ";", "--table", "t"),
        *("--timeout-minutes", 2, "--out", tmp_path / "out"),
    )
    assert result.exit_code == 0, result.output
    (config,) = made
    assert config.table == "a.csv"
    assert config.generators == ("marginal", "arn")
    assert config.epsilons == (0.5, 3.0)
    assert config.targets == ("back", "ward")
    assert config.timeout_s == 120.0
    assert config.source_options == {"delimiter": ";", "table": "t"}


def test_the_watermark_is_said_before_anything_else(made, tmp_path):
    result = run("benchmark", "a.csv", "--unit", "row", "--out", tmp_path / "out")
    assert result.stderr.startswith(WATERMARK)
    assert "not private: copula" in result.stdout
    assert "Failed: marginal, ε 1, seed 2: broke" in result.stdout
    assert "keep it inside" in result.stdout


def test_many_figures_have_a_line_each(monkeypatch, tmp_path):
    figures = {f"figure{i}": i / 10 for i in range(9)}
    found = a_document(a_run("flat:marginal", figures=figures), ceiling=figures)
    monkeypatch.setattr(runner, "benchmark", lambda config, progress: found)
    shown = run("benchmark", "a.csv", "--unit", "row", "--out", tmp_path / "out").stdout
    assert "flat:marginal" in shown
    assert [line.split() for line in shown.splitlines() if "figure3" in line] == [["figure3", "0.3000", "0.3000"]]


def test_json_is_one_object_and_still_watermarked(made, tmp_path):
    result = run("benchmark", "a.csv", "--unit", "row", "--out", tmp_path / "out", "--json")
    data = json.loads(result.stdout)
    assert data["warning"] == WATERMARK
    assert data["visibility"] == "internal"
    assert WATERMARK in result.stderr


def test_an_interrupt_says_that_nothing_is_lost(monkeypatch, tmp_path):
    def stop(config, progress):
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "benchmark", stop)
    result = run("benchmark", "a.csv", "--unit", "row", "--out", tmp_path / "out")
    assert result.exit_code == 130
    assert "continues from there" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--unit", "row", "--generators", "nobody"), "there is no generator 'nobody'"),
        (("--unit", "row", "--epsilons", "one"), "needs numbers with commas"),
        (("--unit", "row", "--compare", "nothing.json"), "cannot be read"),
        ((), "whose privacy"),
    ],
    ids=["generator", "epsilons", "compare", "unit"],
)
def test_what_cannot_be_run_is_one_sentence(table, tmp_path, words, said):
    result = run("benchmark", table, *words, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stderr.count("Error: ") == 1
    assert not (tmp_path / "out").exists()

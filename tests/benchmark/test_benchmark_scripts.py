"""The programs in `experiments/`: lists of tables, and other people's generators in environments of their own."""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from pathlib import Path

import pytest
from benchmark.invented import a_document, a_run

from privsynth.benchmark.results import WATERMARK, load_runs

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


def script(path: str):
    """Return a program of `experiments/` as a module."""
    name = "script_" + path.replace("/", "_").removesuffix(".py")
    spec = importlib.util.spec_from_file_location(name, EXPERIMENTS / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_a_list_becomes_one_benchmark_a_table(tmp_path):
    entry = {
        "train": "a.csv",
        "holdout": "b.csv",
        "unit": "row",
        "target": "y",
        "schema": "s.yaml",
        "compare": "c.json",
    }
    (tmp_path / "peers" / "a").mkdir(parents=True)
    options = argparse.Namespace(
        list=tmp_path / "list.yaml",
        tables=Path("t"),
        out=Path("out"),
        compare=[Path("more")],
        peers=tmp_path / "peers",
        peers_only=False,
        timeout_minutes=2,
    )
    wanted = {"generators": ["marginal"], "epsilons": ["0.5", 1], "seeds": 3, "tables": {"a": entry}}
    config = script("run.py").config_of("a", wanted, options)
    assert (config.table, config.holdout, config.out) == ("t/a.csv", "t/b.csv", Path("out/a"))
    assert config.schema == tmp_path / "s.yaml"
    assert config.compare == (tmp_path / "c.json", Path("more"), tmp_path / "peers" / "a")
    assert config.generators == ("marginal",)
    options.peers_only = True
    assert script("run.py").config_of("a", wanted, options).cases() == []
    assert (config.epsilons, config.seeds, config.targets, config.timeout_s) == ((0.5, 1.0), 3, ("y",), 120)


def test_the_overview_sets_tables_side_by_side():
    document = a_document(a_run(), a_run(seed=2, status="failed", reason="x", figures={}), a_run("copula", None))
    lines = script("run.py").overview({"one": document, "two": document}).splitlines()
    assert WATERMARK in lines[0]
    assert lines[2].count("|") == lines[3].count("|") == lines[4].count("|") == 10
    assert lines[5] == "| one | marginal | 1 | 1, 1 failed | 0.9010 | – | 0.8000 | 0.6000 | 3.0 |"
    assert lines[6].startswith("| one | not private: copula | none |")
    assert len(lines) == 10


@pytest.fixture
def peers(tmp_path):
    """Return the program of peers, its options, and a function that makes a peer's Python out of a shell script."""
    (tmp_path / "out").mkdir()
    options = argparse.Namespace(
        out=tmp_path / "out",
        train=tmp_path / "train.csv",
        delta=1e-6,
        source=None,
        timeout_minutes=0.5,
        cpu_seconds=True,
        cpu_minutes=None,
    )

    def python(does: str) -> Path:
        path = tmp_path / "python"
        path.write_text(f"#!/bin/sh\n{does}\n")
        path.chmod(0o755)
        return path

    return script("peers/run.py"), options, python


def test_a_run_of_a_peer_is_a_record_that_the_page_takes(peers, tmp_path):
    program, options, python = peers
    says = python('cat > /dev/null; echo noise; echo \'{"fit_s": 2.5, "sample_s": 1, "peak_mib": 9, "rows": 7}\'')
    program.run("mostly", 1.0, 1, says, options)
    program.run("sdv-tvae", None, 1, says, options)
    private, reference = load_runs(tmp_path / "out")
    assert (private.epsilon, private.delta, private.fit_s) == (1.0, 1e-5, 2.5)  # its floor, not what was asked for
    assert private.note.endswith("CPU seconds.")
    assert private.rows_file == str(tmp_path / "out" / "mostly_eps1_seed1.csv")
    assert (reference.private, reference.epsilon, reference.delta) == (False, None, None)


def test_a_peer_that_fails_leaves_its_reason_and_is_not_run_again(peers, tmp_path):
    program, options, python = peers
    program.run("dpmm-mst", 1.0, 1, python("cat > /dev/null; exit 3"), options)
    options.timeout_minutes = 0.001
    program.run("dpmm-mst", 3.0, 1, python("exec sleep 30"), options)
    program.run("dpmm-mst", 1.0, 1, tmp_path / "nothing", options)
    options.cpu_minutes = 0
    program.run("dpmm-mst", 10.0, 1, python("while :; do :; done"), options)
    assert [run.reason for run in load_runs(tmp_path / "out")] == [
        "stopped after 0 minutes of the processor",
        "its process ended with exit code 3",
        "stopped after 0.001 minutes, 0 s of them on the processor",
    ]


def test_every_peer_has_an_environment_and_an_adapter(peers):
    program, _, _ = peers
    adapters = script("peers/adapters.py")
    for name, peer in program.PEERS.items():
        assert peer.environment in program.ENVIRONMENTS
        assert callable(adapters.adapter(name))
        assert peer.note
    assert not any(peer.private for name, peer in program.PEERS.items() if name.startswith("sdv"))


def test_an_environment_from_a_checkout_needs_to_know_where(peers, tmp_path):
    program, _, _ = peers
    with pytest.raises(SystemExit, match="--source"):
        program.environment("private-pgm", tmp_path, sys.executable, None)
    ready = tmp_path / "dpmm" / "ready.json"
    ready.parent.mkdir()
    ready.write_text(json.dumps([list(call) for call in program.ENVIRONMENTS["dpmm"]]))
    assert program.environment("dpmm", tmp_path, sys.executable, None) == tmp_path / "dpmm" / "bin" / "python"


def test_bins_of_a_peer_lead_back_to_values_in_range():
    import numpy as np
    import pandas as pd

    adapters = script("peers/adapters.py")
    column = pd.Series([*np.arange(100.0), np.nan])
    codes, size, back = adapters._bins(column, True)
    assert size == 33
    assert codes[-1] == 32
    assert (codes[:-1] < 32).all()
    found = back(codes, np.random.default_rng(0))
    assert np.isnan(found[-1])
    assert np.abs(found[:-1] - column[:-1]).max() < 4.0
    spent = pd.Series([0.0] * 50 + [*np.arange(1.0, 51.0)])
    codes, _, back = adapters._bins(spent, True)
    assert (back(codes, np.random.default_rng(0)) == 0).sum() == 50  # the zeros, and they alone
    words, size, back = adapters._bins(pd.Series(["a", "b", None]), False)
    assert size == 3
    assert list(back(words, np.random.default_rng(0))) == ["a", "b", "nan"]


@pytest.mark.slow
def test_every_case_of_the_ablation_runs_and_puts_back_what_it_replaced(tmp_path):
    from dataclasses import replace

    import numpy as np
    import pandas as pd

    from privsynth.benchmark.config import BenchmarkConfig
    from privsynth.benchmark.splits import read_real_tables
    from privsynth.domain import learn_codecs
    from privsynth.generators.marginal import generator, mixture, rounds
    from privsynth.generators.marginal.loss import MarginalLoss
    from privsynth.workspace import Workspace

    program = script("ablation.py")
    rng = np.random.default_rng(0)
    x = np.where(rng.random(1_200) < 0.5, 0, rng.integers(0, 1_000, 1_200))
    pd.DataFrame({"x": x, "z": rng.integers(0, 40, 1_200), "y": np.where(x > 300, "high", "low")}).to_csv(
        tmp_path / "rows.csv", index=False
    )
    config = BenchmarkConfig(
        table=str(tmp_path / "rows.csv"),
        holdout=str(tmp_path / "rows.csv"),
        out=tmp_path,
        generators=("marginal",),
        epsilons=(5.0,),
        unit="row",
        targets=("y",),
    )
    owners = (learn_codecs, rounds, mixture, MarginalLoss)
    found, replaced = {}, {}
    quick = replace(generator.GENERATOR, fit_settings=mixture.FitSettings(components=16, max_steps=30))
    with Workspace(tmp_path / "home") as workspace, pytest.MonkeyPatch.context() as patch:
        patch.setattr(generator, "GENERATOR", quick)
        sides = read_real_tables(config, workspace)
        before = [dict(vars(owner)) for owner in owners]
        for case, without in program.CASES.items():
            with without():
                replaced[case] = sum(
                    vars(o)[key] is not b[key] for o, b in zip(owners, before, strict=True) for key in b
                )
            found[case] = [program.run(case, sides, config, workspace, 5.0, seed=1)]
            assert [dict(vars(owner)) for owner in owners] == before
    assert [case for case, count in replaced.items() if count == 0] == ["as it is"]
    assert all(0 <= figures["acc2"] <= 1 for (figures,) in found.values())
    assert program.page(found).count("\n") == 4 + len(program.CASES)

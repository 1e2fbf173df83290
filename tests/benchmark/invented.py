"""Runs that were never run, and a document of them."""

from __future__ import annotations

from privsynth.benchmark.results import Document, Run, TableInfo, summarise


def a_run(generator: str = "marginal", epsilon: float | None = 1.0, seed: int = 1, **more: object) -> Run:
    """Return a run that was never run."""
    shared = {"private": epsilon is not None, "epsilon": epsilon, "delta": None if epsilon is None else 1e-6}
    figures = {"acc2": 0.9 + 0.001 * seed, "tstr:back": 0.8, "c2st": 0.6}
    return Run.model_validate(
        {"generator": generator, **shared, "seed": seed, "figures": figures, "fit_s": 2.0 + seed, **more}
    )


def a_document(*runs: Run, ceiling: dict[str, float] | None = None) -> Document:
    """Return a document of some runs."""
    return Document(
        created="2026-11-23T00:00:00+00:00",
        versions={"privsynth": "0.0", "python": "3"},
        machine={"cores": "2"},
        settings={"table": "admissions.csv", "epsilons": [1.0, 3.0], "unit": "row"},
        table=TableInfo(name="admissions.csv", columns=4, train_rows=240, holdout_rows=60, targets=("back",)),
        ceiling={"acc2": 0.95, "tstr:back": 0.85, "c2st": 0.5} if ceiling is None else ceiling,
        planned=len(runs),
        runs=runs,
        summary=summarise(runs),
    )

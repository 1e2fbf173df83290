"""What a prior brings: python experiments/prior.py TABLE --holdout ROWS --target COLUMN --out OUT.jsonl [options].

The table is divided into two halves, by units. The first makes the prior: a release at some ε, or its rows as a public
table. The second is released at another ε, with and without it. Wrong priors are made of the first half: `shuffled` has
every other column in an order of its own; `swapped` has the categories of every other column, and the order of its
numbers, turned round; `tilted` has the rows of one value of the target three times as often. One JSON line a run, with
acc1 to acc3 and the usefulness of `privsynth.benchmark.judge`, against the second half and the holdout.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from privsynth.benchmark.config import BenchmarkConfig
from privsynth.benchmark.judge import accuracy, usefulness
from privsynth.benchmark.splits import RealTables, align, budget_of, read_real_tables, read_rows
from privsynth.generators.registry import load_generator
from privsynth.pipeline.learning.learn import learn
from privsynth.pipeline.learning.request import Public, Request
from privsynth.pipeline.prior.known import KnownTable
from privsynth.pipeline.prior.load import load_prior
from privsynth.privacy.budget import Bill
from privsynth.privacy.mechanisms import GaussianMechanisms
from privsynth.randomness import KeyedFunction
from privsynth.release.folder import write_rows
from privsynth.workspace import Workspace

WRONG = ("shuffled", "swapped", "tilted")
TILT = 3  # times as often


def main() -> None:
    """Run every case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path)
    parser.add_argument("--holdout", type=Path, required=True)
    parser.add_argument("--target", required=True)
    parser.add_argument("--schema", type=Path)
    parser.add_argument("--unit", default="row")
    parser.add_argument("--max-rows-per-unit", type=int)
    parser.add_argument("--share", type=float, default=0.5, help="of the units in the first half")
    parser.add_argument("--priors", default="none,release:3,release:1,table", help="with commas; see the top")
    parser.add_argument("--epsilons", default="0.3,1")
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    for seed in map(int, options.seeds.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            halves(options, Path(folder), seed)
            for prior in options.priors.split(","):
                for epsilon in map(float, options.epsilons.split(",")):
                    line = run(options, Path(folder), prior, epsilon, seed)
                    with options.out.open("a", encoding="utf-8") as out:
                        out.write(json.dumps(line) + "\n")
                    print(json.dumps(line), flush=True)


def halves(options: argparse.Namespace, folder: Path, seed: int) -> None:
    """Write both halves."""
    frame = pd.read_csv(options.table, dtype=str, keep_default_na=False)
    rng = np.random.default_rng(seed)
    units = np.arange(len(frame)) if options.unit == "row" else pd.factorize(frame[options.unit])[0]
    first = (rng.random(units.max() + 1) < options.share)[units]
    frame[first].to_csv(folder / "first.csv", index=False)
    frame[~first].to_csv(folder / "second.csv", index=False)


def wrong(options: argparse.Namespace, folder: Path, how: str, seed: int) -> Path:
    """Return the first half, spoilt."""
    frame = pd.read_csv(folder / "first.csv", dtype=str, keep_default_na=False)
    rng = np.random.default_rng(seed)
    columns = [name for name in frame.columns if name != options.unit][::2]
    if how == "tilted":
        heavy = frame[frame[options.target] == frame[options.target].value_counts().index[-1]]
        frame = pd.concat([frame, *[heavy] * (TILT - 1)], ignore_index=True)
    for name in columns if how != "tilted" else ():
        if how == "shuffled":
            frame[name] = rng.permutation(frame[name].to_numpy())
            continue
        numbers = pd.to_numeric(frame[name], errors="coerce")
        values = frame[name].unique()
        order = (
            values if numbers.isna().mean() > 0.5 else values[np.argsort(numbers.groupby(frame[name]).first()[values])]
        )
        frame[name] = frame[name].map(dict(zip(order, order[::-1], strict=True)))
    path = folder / f"{how}.csv"
    frame.to_csv(path, index=False)
    return path


def config_of(options: argparse.Namespace, table: Path, folder: Path) -> BenchmarkConfig:
    """Return the benchmark of one half."""
    return BenchmarkConfig(
        table=str(table),
        holdout=str(options.holdout),
        out=folder / "out",
        generators=("marginal",),
        schema=options.schema,
        unit=options.unit,
        max_rows_per_unit=options.max_rows_per_unit,
        targets=(options.target,),
    )


def fitted(sides: RealTables, config: BenchmarkConfig, epsilon: float, seed: int, known: KnownTable | None) -> Public:
    """Return what a run with and without a prior learns."""
    budget = budget_of(config, sides.schema, epsilon=epsilon)
    request = Request.on_all_rows(sides.schema, sides.physical, budget, load_generator("marginal"), seed=seed)
    request = replace(request, known=known)
    return learn(sides.train, request, GaussianMechanisms(Bill(request.plan)), KeyedFunction())[0]


def run(options: argparse.Namespace, folder: Path, prior: str, epsilon: float, seed: int) -> dict[str, Any]:
    """Run one case and return its figures."""
    config = config_of(options, folder / "second.csv", folder)
    with Workspace(folder) as workspace:
        sides = read_real_tables(config, workspace)
        unit = budget_of(config, sides.schema, epsilon=epsilon).unit
        source = None if prior == "none" else made(options, folder, prior, seed)
        start, known = time.monotonic(), None
        if source is not None:
            loaded, _ = load_prior(source, sides.schema, unit=unit, home=folder)
            known = KnownTable.of(loaded, sides.schema, sides.train.names, unit)
        public = fitted(sides, config, epsilon, seed, known)
        took = time.monotonic() - start
        write_rows(public.rows, folder / "rows.parquet")
        rows = read_rows(folder / "rows.parquet", workspace, sides.train.names)
        tables = align(sides, rows, unit)
        figures = accuracy(tables) | usefulness(tables, options.target, max_rows=config.judge_rows)
    use = public.prior
    more = {} if use is None else {"from_prior": len(use.columns), "bought": len(use.bought), "agreed": use.agreement}
    return {
        "table": options.table.name.partition(".")[0],
        "prior": prior,
        "epsilon": epsilon,
        "seed": seed,
        **{name: round(value, 4) for name, value in figures.items()},
        **more,
        "s": round(took, 1),
    }


def made(options: argparse.Namespace, folder: Path, prior: str, seed: int) -> Path:
    """Return where a prior lies, made from the first half: `table`, a wrong one, or `release:ε`, once a seed."""
    how, _, epsilon = prior.partition(":")
    table = folder / "first.csv" if how in ("table", "release") else wrong(options, folder, how, seed)
    if not epsilon:
        return table
    model = folder / f"{how}-{epsilon}"
    if not model.exists():
        config = config_of(options, table, folder)
        with Workspace(folder) as workspace:
            public = fitted(read_real_tables(config, workspace), config, float(epsilon), seed, None)
        model.mkdir()
        public.model.save(model)
    return model


if __name__ == "__main__":
    main()

"""What each stage of `arn` is worth: python experiments/ablation_arn.py TABLE --holdout FILE --target COLUMN [options].

Fits `arn` whole and with one stage left out at a time, all for the same promise, and `marginal`, which is `arn` without
a network. Prints one JSON line for each run: the figures of the judge (docs/benchmark.md), and the
seconds of the fit. The figures are exact, about real rows.

    no warm start      the network starts from the one-way tables, not from rows of the marginal model
    no tilting         rows are drawn from the network as it is
    no interactions    what DP-SGD found is thrown away, and paid for nevertheless
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from privsynth.benchmark.config import BenchmarkConfig
from privsynth.benchmark.judge import judge
from privsynth.benchmark.splits import align, budget_of, read_real_tables, read_rows
from privsynth.generators.arn.calibration import TiltSettings
from privsynth.generators.arn.generator import ArnGenerator, FittedArn
from privsynth.generators.arn.pretraining import WarmSettings
from privsynth.generators.arn.training import TrainSettings
from privsynth.generators.marginal.generator import MarginalGenerator
from privsynth.generators.registry import Generator
from privsynth.pipeline.learning.learn import learn
from privsynth.pipeline.learning.request import Request
from privsynth.privacy.budget import Bill
from privsynth.privacy.mechanisms import GaussianMechanisms
from privsynth.progress import no_progress
from privsynth.randomness import KeyedFunction
from privsynth.release.folder import write_rows
from privsynth.workspace import Workspace


class _Untilted(ArnGenerator):
    """`arn` whose rows are those of the network."""

    def fit(self, *arguments, **named) -> FittedArn:  # type: ignore[no-untyped-def]
        return replace(super().fit(*arguments, **named), potentials=(), ceiling=0.0)


WAYS: dict[str, Callable[[], Generator]] = {
    "arn": ArnGenerator,
    "no warm start": lambda: ArnGenerator(warm=WarmSettings(steps=0)),
    "no tilting": lambda: _Untilted(tilt=TiltSettings(oversample=1)),
    "no interactions": lambda: ArnGenerator(training=TrainSettings(threshold=1e9)),
    "marginal": MarginalGenerator,
}


def main() -> None:
    """Run all ways with all seeds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table")
    parser.add_argument("--holdout", required=True)
    parser.add_argument("--target", required=True)
    parser.add_argument("--epsilon", type=float, default=3.0)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home, Workspace(Path(home)) as workspace:
        config = BenchmarkConfig(
            table=options.table,
            out=Path(home),
            generators=("arn",),
            holdout=options.holdout,
            targets=(options.target,),
            unit="row",
        )
        sides = read_real_tables(config, workspace)
        budget = budget_of(config, sides.schema, epsilon=options.epsilon)
        for seed in range(1, options.seeds + 1):
            for way in options.ways:
                generator = WAYS[way]()
                request = Request.on_all_rows(sides.schema, sides.physical, budget, generator, seed=seed)
                start = time.monotonic()
                mechanisms = GaussianMechanisms(Bill(request.plan))
                public, _ = learn(sides.train, request, mechanisms, KeyedFunction(), progress=no_progress)
                seconds = time.monotonic() - start
                path = Path(home) / "rows.parquet"
                write_rows(public.rows, path)
                rows = read_rows(path, workspace, sides.train.names)
                figures = judge(align(sides, rows, budget.unit), max_rows=config.judge_rows)
                found = {name: round(value, 4) for name, value in figures.items()}
                line = {"way": way, "epsilon": options.epsilon, "seed": seed, **found, "seconds": round(seconds, 1)}
                print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()

"""Fit one generator on one table and write its rows: python experiments/fit.py TABLE OUT.csv [options].

Prints one JSON line: seconds for fitting (everything from reading the header to the model, the public figures
included) and for sampling once more as many rows, peak memory, epsilon by our accountant. Reads the clock of the whole
process, so run it alone on the machine. No row is held out, so that all of them are learned from.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path

from privsynth.generators.registry import choose, load_generator
from privsynth.partitions.rows import PrivateRows
from privsynth.pipeline.learning.learn import learn
from privsynth.pipeline.learning.request import Request
from privsynth.pipeline.reading.inputs import physical_types
from privsynth.privacy.budget import Bill, Budget
from privsynth.privacy.mechanisms import GaussianMechanisms
from privsynth.randomness import KeyedFunction
from privsynth.release.folder import write_rows
from privsynth.schema.definition import Schema
from privsynth.schema.files import load_schema
from privsynth.sources.registry import SourceOptions, open_source, read_table
from privsynth.workspace import Workspace


def main() -> None:
    """Run once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table")
    parser.add_argument("out", type=Path)
    parser.add_argument("--schema", type=Path)
    parser.add_argument("--epsilon", type=float, default=1.0)
    parser.add_argument("--delta", type=float, default=1e-6)
    parser.add_argument("--unit", default="row")
    parser.add_argument("--generator", default="marginal")
    options = parser.parse_args()
    schema = load_schema(options.schema) if options.schema else Schema()
    k = schema.max_rows_per_unit or 1 if options.unit != "row" else 1
    budget = Budget(epsilon=options.epsilon, delta=options.delta, unit=options.unit, max_rows_per_unit=k)
    generator = load_generator(choose(options.generator))
    with tempfile.TemporaryDirectory() as home, Workspace(Path(home)) as workspace:
        start = time.monotonic()
        source = open_source(options.table, SourceOptions())
        table, _ = read_table(source, workspace)
        request = Request.on_all_rows(schema, physical_types(source), budget, generator, seed=1)
        bill = Bill(request.plan)
        public, _ = learn(PrivateRows.held(table.data), request, GaussianMechanisms(bill), KeyedFunction())
        learned = time.monotonic()
        public.model.draw_all(public.model.order(public.rows.n_rows), seed=2)
        sampled = time.monotonic()
    write_rows(public.rows, options.out)
    print(
        json.dumps(
            {
                "table": Path(options.table).name,
                "generator": generator.name,
                "schema": bool(options.schema),
                "epsilon": options.epsilon,
                "epsilon_spent": round(bill.epsilon_spent(), 4),
                "rows": public.rows.n_rows,
                "fit_s": round(learned - start - (sampled - learned), 1),
                "sample_s": round(sampled - learned, 2),
                "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            }
        )
    )


if __name__ == "__main__":
    main()

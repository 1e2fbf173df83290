"""What noise leaves of one pair, and what the fit makes of it: python experiments/pair_noise.py TABLE A,B --schema S.

Fits `marginal` some times, and sets beside each other, as distances from the table of the pair that was counted: the
noisy table by itself (the nearest one without negative entries), the table of the model, and noisy tables by
themselves at other prices, up to all that is spent on tables. What it prints is exact, about the rows of the table.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from privsynth.benchmark.config import BenchmarkConfig, Case
from privsynth.benchmark.fit import fit
from privsynth.benchmark.splits import read_real_tables
from privsynth.codecs.contingency import contingency_tables
from privsynth.codecs.encoded_table import Encoded
from privsynth.generators.marginal import generator
from privsynth.generators.marginal.loss import LogitBlocks, model_table
from privsynth.generators.marginal.measure import Measurement, to_simplex
from privsynth.generators.marginal.mixture import Mixture
from privsynth.privacy.unit_weights import weight_of_row
from privsynth.progress import no_progress
from privsynth.workspace import Workspace, privsynth_home

DRAWS = 20  # of noise at other prices


@dataclass(frozen=True)
class Fitted:
    """The end of a fit: the rows, the noisy tables of both rounds, and the mixture."""

    data: Encoded
    tables: list[Measurement]
    mixture: Mixture


def main() -> None:
    """Print a line for each run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table")
    parser.add_argument("pair", help="two columns with a comma between them")
    parser.add_argument("--schema", type=Path, required=True)
    parser.add_argument("--epsilon", type=float, default=3.0)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    pair = set(options.pair.split(","))
    print(_row("entries", "of the price", "σ, rows", "model", "noisy table", "at 2 ×", "at 4 ×", "for all"))
    print(_row(*["---"] * 8))
    for run in range(options.runs):
        print(line(fitted(options.table, options.schema, options.epsilon, seed=run + 1), pair))


def fitted(table: str, schema: Path, epsilon: float, *, seed: int) -> Fitted:
    """Return what one run measured and fitted."""
    found: list[Fitted] = []
    real = generator.fit_common

    def seen(data: Encoded, one_way: Any, groups: Sequence[list[Measurement]], *given: Any, **more: Any) -> Mixture:
        mixture = real(data, one_way, groups, *given, **more)
        found.append(Fitted(data, [table for group in groups[:2] for table in group], mixture))
        return mixture

    with tempfile.TemporaryDirectory() as folder, Workspace(privsynth_home()) as workspace:
        config = BenchmarkConfig(
            table=table, out=Path(folder), generators=("marginal",), epsilons=(epsilon,), schema=schema
        )
        sides = read_real_tables(config, workspace)
        case = Case(generator="marginal", epsilon=epsilon, seed=seed)
        with patch.object(generator, "fit_common", seen):
            fit(sides, config, case, Path(folder) / "rows.parquet", no_progress)
    return found[0]


def line(run: Fitted, pair: set[str]) -> str:
    """Return what became of the pair in one run; of two tables of it the one with less noise."""
    data = run.data
    bought = [t for t in run.tables if {data.attributes[a].name for a in t.attributes} == pair]
    if not bought:
        return _row("not bought", *["–"] * 7)
    table = min(bought, key=lambda table: float(np.mean(table.sigma)))
    _, unit, rows = np.unique(data.gathered().unit, return_inverse=True, return_counts=True)
    counted = contingency_tables(data.gathered().codes, [table.marginal], weight_of_row(rows)[unit])[0]
    real = (counted / counted.sum()).ravel()
    model = model_table(run.mixture.p, LogitBlocks(tuple(data.sizes)), table.marginal).ravel()
    sigma = float(np.mean(table.sigma)) / data.n_rows
    precision = [float(np.mean(other.sigma)) ** -2 for other in run.tables]
    share = float(np.mean(table.sigma)) ** -2 / sum(precision)
    rng = np.random.default_rng(0)
    at = [_alone(real, sigma * scale, rng) for scale in (2**-0.5, 0.5, share**0.5)]
    own = to_simplex(np.asarray(table.counts).ravel() / data.n_rows)
    distances = [_tvd(real, model), _tvd(real, own), *at]
    shape = " × ".join(str(size) for size in table.marginal.shape)
    return _row(shape, f"{share:.1%}", f"{sigma * data.n_rows:.1f}", *(f"{distance:.3f}" for distance in distances))


def _alone(real: np.ndarray, sigma: float, rng: np.random.Generator) -> float:
    """Return the mean distance of a noisy table by itself."""
    return float(np.mean([_tvd(real, to_simplex(real + rng.normal(0, sigma, len(real)))) for _ in range(DRAWS)]))


def _tvd(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one - other).sum() / 2)


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()

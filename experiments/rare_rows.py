"""What noise lets a release know of rows with a rare target value: python experiments/rare_rows.py TABLE --schema S.

Runs `marginal` up to the point where it measures those rows (`rare_values.rare_rows`), and draws the noise of that
measurement anew many times, with its real price. For the group of each attribute in which rare rows stand out most, it
prints its share among them, what is left of it when each unit counts once, the mean and spread of the estimates, how
many come within ten points, and how many of an estimate without bias could: at the price that all attributes
share, and if nothing but this one share were asked. What it prints is exact, about the rows of the table.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from privsynth.benchmark.config import BenchmarkConfig, Case
from privsynth.benchmark.fit import fit
from privsynth.benchmark.splits import read_real_tables
from privsynth.codecs.encoded_table import Encoded
from privsynth.generators.marginal import rounds
from privsynth.generators.marginal.rare_values.profile import Look, look_of
from privsynth.generators.marginal.rare_values.rare_rows import LEVEL_PRICE, measure_rare
from privsynth.privacy.mechanisms import Mechanisms, Noisy
from privsynth.progress import no_progress
from privsynth.workspace import Workspace, privsynth_home

NEAR = 0.1  # ten points


def main() -> None:
    """Print the table for each target with rare values."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table")
    parser.add_argument("--schema", type=Path, required=True, help="it names the unit and the target")
    parser.add_argument("--holdout", help="its rows; a fifth of the units if it is not given")
    parser.add_argument("--epsilon", type=float, default=3.0)
    parser.add_argument("--draws", type=int, default=300)
    options = parser.parse_args()
    found = asked(options.table, options.schema, options.holdout, options.epsilon)
    if found is None:
        raise SystemExit("no target of this table has rare values where a unit has many rows")
    for target, common in found.targets:
        print(page(found, target, common, options.draws))


@dataclass(frozen=True)
class Asked:
    """What the generator asks of its rare rows, and at which price."""

    data: Encoded
    targets: list[tuple[int, int]]
    shares: list[np.ndarray]
    mu_squared: float


class _Stopped(Exception):
    """The generator has asked, and need not go on."""


def asked(table: str, schema: Path, holdout: str | None, epsilon: float) -> Asked | None:
    """Return what `marginal` asks of the rare rows of a table; None if it asks nothing."""
    found: list[Asked] = []

    def stop(
        data: Encoded, targets: list[tuple[int, int]], shares: list[np.ndarray], _: Mechanisms, *, mu_squared: float
    ) -> Any:
        found.append(Asked(data, targets, shares, mu_squared))
        raise _Stopped

    with tempfile.TemporaryDirectory() as folder, Workspace(privsynth_home()) as workspace:
        config = BenchmarkConfig(
            table=table, out=Path(folder), generators=("marginal",), epsilons=(epsilon,), holdout=holdout, schema=schema
        )
        sides = read_real_tables(config, workspace)
        case = Case(generator="marginal", epsilon=epsilon, seed=1)
        with patch.object(rounds, "measure_rare", stop), suppress(_Stopped):
            fit(sides, config, case, Path(folder) / "rows.parquet", no_progress)
    return found[0] if found else None


@dataclass
class SeededMechanisms:
    """Gaussian noise from a seed: to see what an estimate makes of it, not to release anything."""

    rng: np.random.Generator

    def gaussian(self, values: np.ndarray, *, l2_sensitivity: float, part: str, mu_squared: float, label: str) -> Noisy:
        """Return noisy values."""
        sigma = l2_sensitivity / math.sqrt(mu_squared)
        return Noisy(values + self.rng.normal(0.0, sigma, len(values)), sigma)


def page(found: Asked, target: int, common: int, draws: int) -> str:
    """Return what is known of each attribute of the rare rows, as Markdown."""
    data, shares = found.data, found.shares
    rows = np.flatnonzero(data.gathered().codes[target] != common)
    others = [a for a in range(len(data.sizes)) if a != target]
    looks = [look_of(data, a, shares[a]) for a in others]
    weight = np.array([look.weight for look in looks])
    profiles = [
        measure_rare(data, [(target, common)], shares, _seeded(draw), mu_squared=found.mu_squared)[0].profile
        for draw in range(draws)
    ]
    units = _weights(data, rows, others, looks, weight)
    alone = 1 / math.sqrt(found.mu_squared * (1 - LEVEL_PRICE))
    lines = [
        f"{data.attributes[target].name}: {len(rows)} rare rows of {len(np.unique(data.gathered().unit[rows]))} units, "
        f"which weigh {units.sum():.1f} together. Noise of all attributes together: {alone:.2f} units.",
        "",
        _row("attribute", "of all", "of rare", "units", "estimate", "near", "unbiased", "if asked alone"),
        _row(*["---"] * 8),
    ]
    for a, look, own in zip(others, looks, weight.tolist(), strict=True):
        real = np.bincount(look.group[data.gathered().codes[a, rows]], minlength=look.size) / len(rows)
        at = int(np.argmax(real - look.of_all))
        by_units = (
            np.bincount(look.group[data.gathered().codes[a, rows]], weights=units, minlength=look.size) / units.sum()
        )
        seen = np.array([profile[a][look.group == at].sum() for profile in profiles])
        sigma = alone / units.sum()
        chances = (_near(sigma * math.sqrt(weight.sum() / own)), _near(sigma))
        lines.append(
            _row(
                data.attributes[a].name,
                *(f"{share:.2f}" for share in (look.of_all[at], real[at], by_units[at])),
                f"{seen.mean():.2f} ± {seen.std(ddof=1):.2f}",
                f"{np.mean(np.abs(seen - real[at]) <= NEAR):.0%}",
                *(f"{chance:.0%}" for chance in chances),
            )
        )
    return "\n".join(lines) + "\n"


def _weights(
    data: Encoded, rows: np.ndarray, others: Sequence[int], looks: Sequence[Look], weight: np.ndarray
) -> np.ndarray:
    """Return (rows,) what each rare row weighs once the vector of its unit is scaled down to one."""
    _, unit = np.unique(data.gathered().unit[rows], return_inverse=True)
    square = np.zeros(int(unit.max()) + 1)
    for a, look, share in zip(others, looks, (weight / weight.sum()).tolist(), strict=True):
        _, entry, times = np.unique(
            unit * look.size + look.group[data.gathered().codes[a, rows]], return_inverse=True, return_counts=True
        )
        square += share * np.bincount(unit, weights=times[entry].astype(float))
    found: np.ndarray = np.minimum(1.0, 1 / np.sqrt(square))[unit]
    return found


def _seeded(draw: int) -> Any:
    return SeededMechanisms(np.random.default_rng(draw))


def _near(sigma: float) -> float:
    """Return the probability that a normal error is at most ten points."""
    return math.erf(NEAR / sigma / math.sqrt(2))


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()

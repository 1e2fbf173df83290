"""A person as canary: how much of ε an attacker sees who knows everybody else, and the canary, and reads all releases.

Runs of the private core on a small clinic, half of them with one more person, whose history is extreme. The answers of
each run are replayed on the other tables: so the likelihood ratio of all answers is known exactly, and no attacker can
do better than to compare it with a threshold. That of the bound by counts is chosen on one half of the runs and judged
on the other.

    python experiments/person_canary.py --runs 400 --epsilon 3
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from privsynth.generators.marginal.fitted import FitSettings
from privsynth.generators.marginal.generator import MarginalGenerator
from privsynth.pipeline.linked.learn import learn_linked
from privsynth.pipeline.linked.one_table.stage import LinkedRequest
from privsynth.pipeline.linked.plan import make_linked_plan
from privsynth.pipeline.linked.views import table_schema, view_types
from privsynth.privacy.accounting import gdp_mu
from privsynth.privacy.budget import Bill, Budget
from privsynth.privacy.mechanisms import GaussianMechanisms, Noisy, StableKeys
from privsynth.randomness import KeyedFunction
from privsynth.schema.linked import LinkedSchema
from privsynth.stats.epsilon_bounds import clopper_pearson_epsilon, epsilon_of_mu, gdp_mu_bound
from privsynth.table import Table

PERSONS, STAYS, TESTS = 200, 6, 10  # people in the clinic, and rows of a person that are used
WARDS, NAMES = ["medicine", "surgery", "intensive"], ["blood", "urine", "x-ray"]
SCHEMA = {
    "tables": {
        "patients": {
            "key": "patient_id",
            "columns": {
                "patient_id": {"kind": "id"},
                "sex": {"kind": "categorical", "categories": ["F", "M"]},
                "born": {"kind": "integer", "minimum": 1920, "maximum": 2020},
            },
        },
        "stays": {
            "key": "stay_id",
            "parent": {"table": "patients", "column": "patient"},
            "order": "admitted",
            "max_children": STAYS,
            "columns": {
                "stay_id": {"kind": "id"},
                "admitted": {"kind": "date", "minimum": "2020-01-01", "maximum": "2023-12-31"},
                "ward": {"kind": "categorical", "categories": WARDS},
                "days": {"kind": "integer", "minimum": 0, "maximum": 60},
            },
        },
        "tests": {
            "parent": {"table": "stays", "column": "stay"},
            "max_children": TESTS,
            "columns": {
                "name": {"kind": "categorical"},  # bought
                "value": {"kind": "numeric", "precision": 0.1, "minimum": 0, "maximum": 20},
            },
        },
    }
}
Lines = dict[str, list[dict[str, Any]]]


def clinic(rng: np.random.Generator) -> Lines:
    """Return the rows of everybody else."""
    lines: Lines = {"patients": [], "stays": [], "tests": []}
    for i in range(PERSONS):
        born = int(rng.integers(1930, 2010))
        lines["patients"].append({"patient_id": f"p{i}", "sex": str(rng.choice(["F", "M"])), "born": born})
        for n in range(min(int(rng.geometric(0.5)) - 1, STAYS)):
            ward = str(rng.choice(WARDS, p=[0.6, 0.35, 0.05]))
            day = str(np.datetime64("2020-01-01") + int(rng.integers(0, 1_400)))
            days = int(rng.poisson(4))
            lines["stays"].append(
                {"stay_id": f"s{i}-{n}", "patient": f"p{i}", "admitted": day, "ward": ward, "days": days}
            )
            for _ in range(int(rng.integers(0, 3))):
                value = round(float(rng.uniform(2, 12)), 1)
                lines["tests"].append({"stay": f"s{i}-{n}", "name": str(rng.choice(NAMES)), "value": value})
    return lines


def with_canary(lines: Lines) -> Lines:
    """Return the rows with a person at all limits: as many rows as are used, all alike, and where nobody else is."""
    key = "canary"
    stay = {"patient": key, "admitted": "2023-12-31", "ward": "intensive", "days": 60}
    tests = [{"stay": f"{key}-{n % STAYS}", "name": "x-ray", "value": 20.0} for n in range(TESTS)]
    return {
        "patients": [*lines["patients"], {"patient_id": key, "sex": "F", "born": 1920}],
        "stays": [*lines["stays"], *({"stay_id": f"{key}-{n}", **stay} for n in range(STAYS))],
        "tests": [*lines["tests"], *tests],
    }


class Recorded:
    """The real mechanisms, and what they were given and gave."""

    def __init__(self, bill: Bill) -> None:
        self.real = GaussianMechanisms(bill)
        self.calls: list[tuple[Any, Any]] = []

    def gaussian(self, values: np.ndarray, **told: Any) -> Noisy:
        """Release, and note it."""
        gave = self.real.gaussian(values, **told)
        self.calls.append((values.astype(np.float64), gave))
        return gave

    def stable_keys(self, counts: Sequence[Mapping[str, int]], **told: Any) -> StableKeys:
        """Release, and note it."""
        gave = self.real.stable_keys(counts, **told)
        self.calls.append(([dict(column) for column in counts], gave))
        return gave

    def share_out(self, parts: Mapping[str, float]) -> None:
        """Cut the plan anew."""
        self.real.share_out(parts)


class Replayed(Recorded):
    """The answers of a record."""

    def __init__(self, record: Recorded) -> None:
        self.answers, self.calls = [gave for _, gave in record.calls], []

    def gaussian(self, values: np.ndarray, **told: Any) -> Noisy:
        """Note what is given, and answer as before."""
        return self._again(values.astype(np.float64))

    def stable_keys(self, counts: Sequence[Mapping[str, int]], **told: Any) -> StableKeys:
        """Note what is given, and answer as before."""
        return self._again([dict(column) for column in counts])

    def share_out(self, parts: Mapping[str, float]) -> None:
        """Do nothing."""

    def _again(self, given: Any) -> Any:
        self.calls.append((given, self.answers[len(self.calls)]))
        return self.calls[-1][1]


def figures(given: Any, gave: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return what was given and what was released, number by number."""
    if isinstance(gave, Noisy):
        return given.ravel(), np.asarray(gave.values, dtype=np.float64).ravel()
    exact, noisy = [], []
    for column, kept, known in zip(given, gave.counts, gave.known, strict=True):
        for key, value in {**known, **kept}.items():
            exact.append(column.get(key, 0))
            noisy.append(value)
    return np.array(exact, dtype=np.float64), np.array(noisy, dtype=np.float64)


def log_ratio(inside: Recorded, outside: Recorded) -> tuple[float, float]:
    """Return the log likelihood ratio of all answers, and the squared distance in standard deviations."""
    ratio = moved = 0.0
    for (one, gave), (other, _) in zip(inside.calls, outside.calls, strict=True):
        with_, noisy = figures(one, gave)
        without, _ = figures(other, gave)
        ratio += float(((noisy - without) ** 2 - (noisy - with_) ** 2).sum()) / (2 * gave.sigma**2)
        moved += float(((with_ - without) ** 2).sum()) / gave.sigma**2
    return ratio, moved


def main() -> None:
    """Print what the attacker sees."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=400)
    parser.add_argument("--epsilon", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=0, help="of the clinic")
    asked = parser.parse_args()
    schema = LinkedSchema.model_validate(SCHEMA)
    lines = clinic(np.random.default_rng(asked.seed))
    worlds = [
        {name: Table(pa.Table.from_pylist(rows)) for name, rows in one.items()} for one in (lines, with_canary(lines))
    ]
    types = {name: {f.name: f.type for f in table.data.schema} for name, table in worlds[0].items()}
    schemas = {name: table_schema(schema, name) for name in schema.modelled}
    budget = Budget(epsilon=asked.epsilon)
    plan = make_linked_plan(schema, schemas, {n: view_types(schema, n, types[n]) for n in types}, budget)
    request = LinkedRequest(
        schema=schema,
        plan=plan,
        generator=MarginalGenerator(FitSettings(components=16, max_steps=6)),  # what is released does not depend on it
        dataset="clinic",
        holdout_fraction=0.0,
        seed=1,
        n_persons=20,
    )
    ratios: list[tuple[bool, float]] = []
    moved = []
    for run in range(asked.runs):
        there, keyed = bool(run % 2), KeyedFunction()
        record = Recorded(Bill(plan.whole))
        learn_linked(worlds[there], request, record, keyed)
        replay = Replayed(record)
        learn_linked(worlds[not there], request, replay, keyed)
        ratio, squares = log_ratio(record, replay) if there else log_ratio(replay, record)
        ratios.append((there, ratio))
        moved.append(squares)
        if run % 50 == 49:
            print(f"{run + 1} runs: {judged(ratios, asked.epsilon, budget.delta)}", flush=True)
    whole = gdp_mu(asked.epsilon, plan.whole.gaussian_delta)
    mean = math.sqrt(float(np.mean(moved)))
    print(f"all releases together move by mu = {mean:.3f}, at most {math.sqrt(max(moved)):.3f}, of {whole:.3f}")
    print(f"that is epsilon {epsilon_of_mu(mean, budget.delta):.2f} of {asked.epsilon:g} at delta {budget.delta:g}")


def judged(ratios: list[tuple[bool, float]], epsilon: float, delta: float) -> str:
    """Return lower bounds, each wrong with probability at most 5 %."""
    first, second = ratios[: len(ratios) // 2], ratios[len(ratios) // 2 :]

    def counts(at: float, some: list[tuple[bool, float]]) -> tuple[int, int, int, int]:
        inside = [r for there, r in some if there]
        outside = [r for there, r in some if not there]
        return sum(r > at for r in inside), len(inside), sum(r > at for r in outside), len(outside)

    tried = sorted(r for _, r in first)
    best = max(tried, key=lambda at: clopper_pearson_epsilon(*counts(at, first), delta=delta))
    bound = clopper_pearson_epsilon(*counts(best, second), delta=delta)
    hits, inside, alarms, outside = counts(0.0, ratios)  # the threshold of equal odds needs no choice
    mu = gdp_mu_bound(hits, inside, alarms, outside)
    return (
        f"right about {hits}/{inside} with and {outside - alarms}/{outside} without; epsilon >= {bound:.2f} by counts, "
        f">= {epsilon_of_mu(mu, delta):.2f} if Gaussian (mu >= {mu:.3f}), of {epsilon:g}"
    )


if __name__ == "__main__":
    main()

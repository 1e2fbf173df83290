"""How often the intervals of `privsynth answer` hold the figure of all rows: python experiments/answer_coverage.py.

The same small table is released again and again by the real marginal generator, with its choice of tables and fresh
noise, and with other units held out each time; each release is asked the same questions. Three kinds of tables: rows
that are units, persons with several rows, and linked tables. Persons with more rows have them in other wards, and a
person's rows are alike, so that what the weighing of rows moves shows. The truth is that of all rows: training and
holdout.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
import pyarrow as pa

from privsynth.errors import ConfigError
from privsynth.generators.marginal.fitted import FitSettings
from privsynth.generators.marginal.generator import MarginalGenerator
from privsynth.partitions.rows import PrivateRows
from privsynth.pipeline.learning.learn import learn
from privsynth.pipeline.learning.request import Request
from privsynth.pipeline.linked.learn import learn_linked
from privsynth.pipeline.linked.one_table.stage import LinkedRequest
from privsynth.pipeline.linked.plan import make_linked_plan
from privsynth.pipeline.linked.views import table_schema, view_types
from privsynth.pipeline.spending_plan import make_plan
from privsynth.privacy.budget import Bill, Budget
from privsynth.privacy.mechanisms import GaussianMechanisms
from privsynth.randomness import KeyedFunction
from privsynth.release.noisy.answer import answer_from
from privsynth.release.noisy.tables import PublishedTables
from privsynth.schema.definition import Schema
from privsynth.schema.linked import LinkedSchema
from privsynth.table import Table

WARDS = ("surgery", "medicine", "ent", "burns")
EDGES = (0, 20, 40, 60, 80, 100)
QUICK = MarginalGenerator(FitSettings(components=16, max_steps=6))  # fitting follows the noise, and costs the time
MOST = 6  # rows of a person
QUESTIONS = (
    "count by ward",
    "share by ward",
    "share(sex = F) by ward",
    "mean(age) by ward",
    "median(age)",
    "count where sex = F",
    "count",
)
COLUMNS = {
    "ward": {"kind": "categorical", "categories": list(WARDS), "nullable": False},
    "sex": {"kind": "categorical", "categories": ["F", "M"], "nullable": False},
    "age": {"kind": "integer", "minimum": 0, "maximum": 99, "nullable": False},
    "weekday": {"kind": "categorical", "categories": ["Mon", "Tue", "Wed", "Thu", "Fri"], "nullable": False},
}


def persons(n: int, *, most: int, seed: int = 0) -> pd.DataFrame:
    """Return the rows of n persons; with `most` above 1, those with more rows are older and elsewhere."""
    rng = np.random.default_rng(seed)
    rows = rng.choice(np.arange(1, most + 1), n, p=_shares(most))
    many = rows > (1 + most) / 2
    ward = np.where(many, rng.choice(4, n, p=[0.2, 0.45, 0.3, 0.05]), rng.choice(4, n, p=[0.65, 0.25, 0.09, 0.01]))
    age = np.clip(rng.normal(45 + 8 * ward + 10 * many, 18), 0, 99).astype(int)
    at = np.repeat(np.arange(n), rows)
    stays = rng.random(len(at)) < 0.8  # the ward of the person; else any
    other = rng.choice(4, len(at), p=[0.5, 0.3, 0.15, 0.05])
    return pd.DataFrame(
        {
            "person": [f"p{i:05d}" for i in at],
            "ward": np.array(WARDS)[np.where(stays, ward[at], other)],
            "sex": np.where(rng.random(n) < 0.4 + 0.08 * ward, "F", "M")[at],
            "age": age[at].astype(str),
            "weekday": np.array(COLUMNS["weekday"]["categories"])[rng.integers(0, 5, len(at))],
        },
        dtype=object,
    )


def _shares(most: int) -> np.ndarray:
    share = 1.0 / np.arange(1, most + 1)
    return np.asarray(share / share.sum())


def text_table(frame: pd.DataFrame) -> Table:
    """Return a frame of texts as a CSV file delivers it."""
    return Table(pa.table({name: pa.array(frame[name].tolist(), pa.string()) for name in frame}))


def released_rows(frame: pd.DataFrame, *, most: int, epsilon: float, holdout: float) -> Iterator[PublishedTables]:
    """Yield the noisy tables of one release after another of a table; without `most`, each row is a unit."""
    told = {"dataset": "wards", "columns": COLUMNS}
    if most > 1:
        columns = {"person": {"kind": "id"}, **COLUMNS}
        told |= {"unit": "person", "max_rows_per_unit": most, "columns": columns}
    else:
        frame = frame.drop(columns="person")
    schema = Schema.model_validate(told)
    table = text_table(frame)
    budget = Budget(epsilon=epsilon, unit="person" if most > 1 else "row", max_rows_per_unit=most)
    types = {field.name: field.type for field in table.data.schema}
    plan = make_plan(schema, types, budget, QUICK.training_spec())
    request = Request(
        schema=schema,
        budget=budget,
        plan=plan,
        generator=QUICK,
        dataset="wards",
        holdout_fraction=holdout,
        n_synthetic=10,
        seed=7,
        figures=False,
    )
    while True:
        public, _ = learn(PrivateRows.held(table.data), request, GaussianMechanisms(Bill(plan)), KeyedFunction())
        assert public.noisy is not None
        yield public.noisy


def released_linked(frame: pd.DataFrame, *, most: int, epsilon: float, holdout: float) -> Iterator[PublishedTables]:
    """Yield the noisy tables of one linked release after another: persons, and their stays."""
    heads = frame.drop_duplicates("person")[["person", "sex"]]
    stays = frame[["person", "ward", "age", "weekday"]]
    schema = LinkedSchema.model_validate(
        {
            "dataset": "wards",
            "tables": {
                "persons": {
                    "key": "person",
                    "columns": {"person": {"kind": "id"}, "sex": COLUMNS["sex"]},
                },
                "stays": {
                    "parent": {"table": "persons", "column": "person"},
                    "max_children": most,
                    "columns": {name: COLUMNS[name] for name in ("ward", "age", "weekday")},
                },
            },
        }
    )
    tables = {"persons": text_table(heads), "stays": text_table(stays)}
    plan = make_linked_plan(
        schema,
        {name: table_schema(schema, name) for name in schema.modelled},
        {
            name: view_types(schema, name, {field.name: field.type for field in tables[name].data.schema})
            for name in schema.modelled
        },
        Budget(epsilon=epsilon),
        None,
    )
    request = LinkedRequest(
        schema=schema, plan=plan, generator=QUICK, dataset="wards", holdout_fraction=holdout, seed=7, n_persons=10
    )
    while True:
        public = learn_linked(tables, request, GaussianMechanisms(Bill(plan.whole)), KeyedFunction())
        assert public.noisy is not None
        yield public.noisy


def truth_of(frame: pd.DataFrame, question: str) -> dict[tuple[str, ...], float]:
    """Return what is asked, of all rows; amounts as they are."""
    age = frame["age"].astype(float)
    by = frame["ward"]
    if question == "count":
        return {(): float(len(frame))}
    if question == "count where sex = F":
        return {(): float((frame["sex"] == "F").sum())}
    if question == "median(age)":
        return {(): float(np.quantile(age, 0.5, method="inverted_cdf"))}
    of: dict[str, Callable[[str], float]] = {
        "count by ward": lambda w: float((by == w).sum()),
        "share by ward": lambda w: float((by == w).mean()),
        "share(sex = F) by ward": lambda w: float((frame["sex"][by == w] == "F").mean()),
        "mean(age) by ward": lambda w: float(age[by == w].mean()),
    }
    return {(ward,): of[question](ward) for ward in WARDS}


Covered = dict[str, dict[tuple[str, ...], list[float]]]


def coverage(
    releases: Iterator[PublishedTables],
    frame: pd.DataFrame,
    n: int,
    *,
    seconds: float = math.inf,
    table: str | None = None,
) -> tuple[Covered, int]:
    """Return question -> group -> [intervals that held the truth, intervals, the mean error and width, both summed].

    A question that no table of a release answers is left out there.
    """
    start, done = time.monotonic(), 0
    found: Covered = {}
    for tables in releases:
        for question in QUESTIONS:
            if table is not None and "sex" in question:
                continue
            try:
                rows = answer_from(tables, question, table=table).rows
            except ConfigError:
                continue
            truth = truth_of(frame, question)
            for row in rows:
                if row.group not in truth:
                    continue
                low, high = (row.bins_low, row.bins_high) if question.startswith("mean") else (row.low, row.high)
                low, high = -math.inf if low is None else low, math.inf if high is None else high
                cell = found.setdefault(question, {}).setdefault(row.group, [0, 0, 0.0, 0.0])
                cell[0] += low <= truth[row.group] <= high
                cell[1] += 1
                cell[2] += math.nan if row.value is None else row.value - truth[row.group]
                cell[3] += high - low
        done += 1
        if done >= n or time.monotonic() - start > seconds:
            break
    return found, done


CASES = {
    "rows": (1, released_rows),
    "persons with several rows": (MOST, released_rows),
    "linked": (MOST, released_linked),
}


def main() -> None:
    """Print for each kind of table, question and group how many intervals held the figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--releases", type=int, default=300)
    parser.add_argument("--persons", type=int, default=2_000)
    parser.add_argument("--epsilon", type=float, default=2.0)
    parser.add_argument("--holdout", type=float, default=0.2)
    parser.add_argument("--case", choices=CASES, action="append")
    parser.add_argument("--seconds", type=float, default=math.inf, help="at most for each case")
    options = parser.parse_args()
    for name in options.case or CASES:
        most, released = CASES[name]
        frame = persons(options.persons, most=most)
        releases = released(frame, most=most, epsilon=options.epsilon, holdout=options.holdout)
        table = "stays" if name == "linked" else None
        found, done = coverage(releases, frame, options.releases, seconds=options.seconds, table=table)
        print(f"{name}: {len(frame):,} rows of {options.persons:,} persons, {done} releases")
        for question, groups in found.items():
            for group, (held, asked, error, width) in groups.items():
                truth = truth_of(frame, question)[group]
                print(
                    f"  {question:24} {' '.join(group):10} truth {truth:9.4g}  covered {held / asked:6.1%} of {asked}  "
                    f"mean error {error / asked:8.3g}  mean width {width / asked:8.3g}",
                    flush=True,
                )


if __name__ == "__main__":
    main()

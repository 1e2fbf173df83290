"""Linked tables with little declared, persons who come or go, and two runs of the core side by side."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from leaks.long_text import LongText
from leaks.proof import EPSILON, Charged, FixedKey, Recording, Replaying, assert_within_sensitivity
from linked.clinic import request_of

from privsynth.generators.marginal.fitted import FitSettings
from privsynth.generators.marginal.generator import MarginalGenerator
from privsynth.generators.registry import Generator
from privsynth.pipeline.linked.learn import PublicTables, learn_linked
from privsynth.privacy.budget import Bill
from privsynth.sampling.linked.written import written_texts
from privsynth.schema.linked import LinkedSchema
from privsynth.table import Table

Frames = dict[str, pd.DataFrame]
Rows = dict[str, list[tuple[str | None, ...]]]
STAYS, TESTS = 4, 12  # rows of a person that are used: a few, and many
# What must be declared, and no more: kinds, categories and bounds are bought.
SPEC: dict[str, Any] = {
    "dataset": "clinic",
    "tables": {
        "patients": {"key": "patient_id", "columns": {"patient_id": {"kind": "id"}}},
        "stays": {
            "key": "stay_id",
            "parent": {"table": "patients", "column": "patient"},
            "order": "admitted",
            "max_children": STAYS,
            # The ward is told from the row before, too; the kind of the cost is bought.
            "columns": {"stay_id": {"kind": "id"}, "admitted": {"kind": "datetime"}, "ward": {"kind": "categorical"}},
        },
        "tests": {"parent": {"table": "stays", "column": "stay"}, "order": "taken", "max_children": TESTS,
                  "columns": {"taken": {"kind": "datetime", "precision": 1},
                              "value": {"kind": "numeric", "precision": 0.01}}},
        "consents": {"parent": {"table": "patients", "column": "patient"}, "max_children": 1},
        "wards": {"reference": True},
    },
}  # fmt: skip
SCHEMA = LinkedSchema.model_validate(SPEC)
COLUMNS = {
    "patients": ["patient_id", "sex", "town", "born"],
    "stays": ["stay_id", "patient", "admitted", "ward", "cost"],
    "tests": ["stay", "name", "value", "taken"],
    "consents": ["patient", "given"],
}
PERSON = {"patients": "patient_id", "stays": "patient", "consents": "patient"}  # where a person's key is in the row


NEW = "p-new"
ODD = [
    "1e400", "-1e308", "9" * 40, "NaN", "-inf", "0.1234567890123", "1,5", "0001-01-01", "31/12/9999", "", None,
    "2016-12-31T23:59:60", "12/31/2024", "9999-12-31T23:59", "true", "007", "x" * 9_999, "medicine", "F", "yes",
]  # fmt: skip


def clinic(persons: int = 60, seed: int = 0) -> Frames:
    """Return four tables of texts: persons with up to 4 stays, up to 3 tests each, and some consents."""
    rng = np.random.default_rng(seed)
    rows: Rows = {name: [] for name in COLUMNS}
    for i in range(persons):
        key = f"p{i:03d}"
        town = str(rng.choice(["Bern", "Basel", "Thun"], p=[0.5, 0.3, 0.2]))
        rows["patients"].append((key, str(rng.choice(["F", "M"])), town, f"{1930 + int(rng.integers(0, 80))}-05-01"))
        day = int(rng.integers(0, 300))
        for n in range(int(rng.integers(0, STAYS + 1))):
            rows["stays"].append(stay(f"s{i:03d}-{n}", key, day, rng))
            rows["tests"] += [test(f"s{i:03d}-{n}", rng) for _ in range(int(rng.integers(0, 4)))]
            day += int(rng.integers(1, 90))
        if rng.random() < 0.6:
            rows["consents"].append((key, str(rng.choice(["yes", "no"]))))
    return {name: pd.DataFrame(rows[name], columns=columns, dtype=object) for name, columns in COLUMNS.items()}


def stay(key: str, patient: str, day: int, rng: np.random.Generator) -> tuple[str, ...]:
    """Return a row of `stays`."""
    admitted = (pd.Timestamp("2021-01-01") + pd.Timedelta(days=day)).strftime("%Y-%m-%dT08:30")
    return key, patient, admitted, str(rng.choice(["medicine", "surgery"])), f"{rng.lognormal(6, 1):.2f}"


def test(stay_id: str, rng: np.random.Generator) -> tuple[str, ...]:
    """Return a row of `tests`."""
    taken = (pd.Timestamp("2021-03-01") + pd.Timedelta(seconds=int(rng.integers(0, 10**7)))).isoformat()
    return stay_id, str(rng.choice(["blood", "hcg", "x-ray"])), f"{rng.uniform(0, 9):.2f}", taken


test.__test__ = False  # type: ignore[attr-defined]


def without(frames: Frames, person: str) -> Frames:
    """Return the tables without a person, and without the rows that belong to that person alone."""
    fewer = {name: frames[name][~_is(frames[name][PERSON[name]], person)] for name in PERSON}
    gone = set(frames["stays"]["stay_id"].dropna().str.strip()) - set(fewer["stays"]["stay_id"].dropna().str.strip())
    tests = frames["tests"]
    return {**fewer, "tests": tests[~tests["stay"].str.strip().isin(gone)]}


def in_every_table(frames: Frames) -> str:
    """Return a person with rows in every table."""
    owners = frames["stays"]["patient"][frames["stays"]["stay_id"].isin(frames["tests"]["stay"])]
    return next(p for p in owners if (frames["consents"]["patient"] == p).any())


def _is(keys: pd.Series, person: str) -> pd.Series:
    return keys.str.strip().eq(person).fillna(False)


def with_rows(frames: Frames, more: Rows, seed: int = 0, *, first: bool = False) -> Frames:
    """Return the tables with more rows, in their order, at random places or before all others."""
    rng, found = np.random.default_rng(seed), {}
    for name, frame in frames.items():
        extra = pd.DataFrame(more.get(name, []), columns=COLUMNS[name], dtype=object)
        at = np.concatenate(
            [np.arange(len(frame)), np.sort(rng.integers(0, 1 if first else len(frame) + 1, len(extra))) - 0.5]
        )
        both = pd.concat([frame, extra], ignore_index=True)
        found[name] = both.iloc[np.argsort(at, kind="stable")].reset_index(drop=True)
    return found


def alike(stays: int, tests: int) -> Rows:
    """Return the rows of a new person whose stays are alike but for their keys, with so many equal tests each."""
    keys = [f"new-{n}" for n in range(stays)]
    return {
        "patients": [(NEW, "F", "Bern", "1960-05-01")],
        "stays": [(key, NEW, "2021-06-01T08:30", "surgery", "100.00") for key in keys],
        "tests": [(key, "hcg", "5.0", "2021-06-02T10:00:01") for key in keys for _ in range(tests)],
        "consents": [(NEW, "yes")],
    }


def odd(stays: int) -> Rows:
    """Return the rows of a new person whose cells are hard to read, with decades between them."""

    rng = np.random.default_rng(stays)

    def cells(n: int) -> list[str | None]:
        return [ODD[rng.integers(len(ODD))] for _ in range(n)]

    when = ["0001-01-01", "9999-12-31T23:59", None, "2021-06-01T08:30", "2021-06-01T08:30", "NaT"]
    rows = [(f"new-{n}", NEW, when[n % len(when)], *cells(2)) for n in range(stays)]
    return {
        "patients": [(NEW, *cells(3))],
        "stays": rows,
        "tests": [(str(row[0]), *cells(2), when[(n + i) % len(when)]) for i, row in enumerate(rows) for n in range(5)],
        "consents": [(NEW, *cells(1)) for _ in range(3)],
    }


def shared_keys(frames: Frames) -> Rows:
    """Return the rows of a new person whose stays have the keys of other persons' stays, some of them twice."""
    rng = np.random.default_rng(8)
    theirs = frames["stays"]["stay_id"].iloc[:6].tolist()
    return {
        "patients": [(NEW, "M", "Thun", "1971-05-01"), (f" {NEW} ", "F", "Basel", "1930-05-01")],
        "stays": [stay(key, NEW, 10 * n, rng) for n, key in enumerate([*theirs, *theirs])],
        "tests": [],
        "consents": [(NEW, "no"), (f"{NEW} ", "no")],
    }


def as_text(frames: Frames) -> dict[str, Table]:
    """Return the tables as a CSV file delivers them."""
    return {
        name: Table(pa.table({c: pa.array([None if pd.isna(v) else v for v in frame[c]], pa.string()) for c in frame}))
        for name, frame in frames.items()
    }


def as_typed(frames: Frames) -> dict[str, Table]:
    """Return the tables as a database delivers them: times and numbers have types."""
    tables = as_text(frames)

    def typed(name: str, column: str, values: Any, kind: pa.DataType) -> None:
        data = tables[name].data
        at = data.column_names.index(column)
        tables[name] = Table(data.set_column(at, column, pa.array(values, kind, from_pandas=True)))

    for name, column in (("stays", "admitted"), ("tests", "taken")):
        times = pd.to_datetime(frames[name][column], errors="coerce", format="ISO8601")
        typed(name, column, times, pa.timestamp("ns"))
    typed("stays", "cost", pd.to_numeric(frames["stays"]["cost"], errors="coerce").astype(float), pa.float64())
    typed("tests", "value", pd.to_numeric(frames["tests"]["value"], errors="coerce").astype(float), pa.float64())
    return tables


QUICK = MarginalGenerator(FitSettings(components=16, max_steps=6))


def quick_network() -> Any:
    """Return the network of next events, with little that is free before and after the noise."""
    from privsynth.generators.arn.generator import ArnGenerator
    from privsynth.generators.arn.next_event.generator import NextEventSettings
    from privsynth.generators.arn.next_event.training import NextEventTraining, NextEventWarmStart

    warm, training = NextEventWarmStart(rows=256, steps=3, batch=32), NextEventTraining(persons=32)
    return ArnGenerator(marginal=QUICK, next_event=NextEventSettings(steps=4, warm=warm, training=training))


def learn(
    double: Any,
    tables: dict[str, Table],
    *,
    schema: LinkedSchema = SCHEMA,
    epsilon: float = EPSILON,
    holdout: float = 0.2,
    generator: Generator = QUICK,
) -> PublicTables:
    """Return what the core lets out with the answers of a double; all is entered in a bill."""
    request = request_of(
        schema, tables, epsilon, generator=generator, of_persons=QUICK, holdout_fraction=holdout, n_persons=12
    )
    return learn_linked(tables, request, Charged(double, Bill(request.plan.whole)), FixedKey())


def everything_public(public: PublicTables) -> LongText:
    """Return all that the core lets out: every digit of every number counts."""
    model = public.model
    found = [repr((model.n_persons, model.schema, model.dataset, public.facts, public.layouts, public.findings))]
    for name, one in model.models.items():
        tensors = {key: (a.dtype.str, a.shape, a.tobytes().hex()) for key, a in one.fitted.tensors().items()}
        settings = one.fitted.settings(), one.codec.to_json(), one.rows_per_unit, one.keys, one.columns
        drawn = public.drawn[name]
        found += [name, repr(tensors), repr((*settings, one.source_format)), repr(drawn.parent.tolist())]
        found += [
            one.codec.frame(drawn.rows).to_csv(),
            *(t.to_csv() for t in written_texts(model, name, public.drawn, seed=3)),
        ]
    if public.noisy is not None:
        found += [repr((t.axes, t.counts.tolist(), t.sigma.tolist(), t.noise_multiplier)) for t in public.noisy.tables]
        found.append(repr((public.noisy.axes, public.noisy.rows)))
    return LongText("\n".join(found))


def moved_by_one(
    one: Frames,
    other: Frames,
    *,
    schema: LinkedSchema = SCHEMA,
    read: Callable[[Frames], dict[str, Table]] = as_text,
    holdout: float = 0.2,
    generator: Generator = QUICK,
) -> dict[str, float]:
    """Fail unless what a person moves is within what was declared, and nothing that leaves differs.

    Returns:
      Label of each release that moved -> how far, in standard deviations of its noise; several of a label together.
    """
    from doubles import distance

    record = Recording(5)
    first = learn(record, read(one), schema=schema, holdout=holdout, generator=generator)
    replay = Replaying(record)
    second = learn(replay, read(other), schema=schema, holdout=holdout, generator=generator)
    assert len(replay.calls) == len(record.calls)
    for mine, theirs in zip(replay.calls, record.calls, strict=True):
        keys = mine.public[5] if mine.public[0] == "stable_keys" else 0  # the most rows of a person in that table
        assert_within_sensitivity([mine], [theirs], k=keys)
    assert everything_public(first) == everything_public(second), "what leaves differs"
    moved: dict[str, float] = {}
    for mine, theirs in zip(replay.calls, record.calls, strict=True):
        if far := distance(mine.given, theirs.given):
            moved[mine.public[1]] = math.hypot(moved.get(mine.public[1], 0.0), far / theirs.gave.sigma)
    return moved

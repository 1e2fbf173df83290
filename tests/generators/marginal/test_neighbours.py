"""Same answers, one unit more: what mechanisms are given moves by at most what was declared, and nothing else moves."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
from buying import codecs_of, facts_of
from doubles import RecordingMechanisms, ReplayMechanisms, StubMechanisms

from privsynth.codecs.encoded_table import CodedRows, Encoded
from privsynth.codecs.parsed_table import parse_table
from privsynth.codecs.table import TableCodec
from privsynth.domain.layout import lay_out
from privsynth.generators.marginal.fitted import FitSettings
from privsynth.generators.marginal.rounds import MeasureRequest, select_and_measure
from privsynth.privacy.budget import Budget, plan_spending
from privsynth.schema import Schema
from privsynth.table import Table

N, K = 240, 3
PARTS = {"votes": 0.1, "domain": 0.3, "one_way": 0.2, "selection": 0.1, "measurement": 0.3}


def units_of(table: Table) -> np.ndarray:
    """Return the unit of each row; all rows that have none of the usual names belong to the one that was added."""
    known = {str(u) for i in range(N) for u in (f"u{i}", i)}
    texts = [str(u) for u in table.column("u").to_pylist()]
    return np.array([int(u.removeprefix("u")) if u in known else -1 for u in texts], dtype=np.int64)


def run(table: Table, schema: Schema, mechanisms, *, k: int = K, epsilon: float = 3.0) -> str:
    """Run everything from cells to noisy tables, and return all that could become public, as text."""
    budget = Budget(epsilon=epsilon, unit="u", max_rows_per_unit=k)
    plan = plan_spending(budget, PARTS, open_domain=True)
    names = table.names
    facts = facts_of(table, schema, mechanisms, max_rows_per_unit=k, mu_squared=plan.parts["votes"])
    layout = lay_out(names, schema, facts, "u")
    parsed = parse_table(table, schema, facts, layout.modelled)
    codecs = codecs_of(
        parsed,
        schema,
        facts,
        mechanisms,
        unit="u",
        max_rows_per_unit=k,
        n_rows=float(N),
        mu_squared=plan.parts["domain"],
        delta=plan.discovery_delta,
        bins=8,
    )
    codec = TableCodec(tuple(codecs))
    owners = [i for i, name in enumerate(codec.names) for _ in codec.attributes_of(name)]
    data = Encoded(
        rows=CodedRows(codec.encode(parsed), units_of(table)),
        attributes=tuple(codec.attributes),
        max_rows_per_unit=k,
        n_rows=float(N),
        columns=tuple(owners),
    )
    fit = FitSettings(components=8, max_steps=10)
    measurements = select_and_measure(
        MeasureRequest(data=data, mechanisms=mechanisms, plan=plan, settings=fit, rng=np.random.default_rng(0))
    )
    tables = [
        (m.attributes, m.counts.tolist(), np.asarray(m.sigma).tolist())
        for m in (*measurements.one_way, *measurements.tables)
    ]
    return json.dumps([repr(facts), repr(layout), codec.to_json(), repr(codec.attributes), tables])


TEXT_SCHEMA = {
    "columns": {
        "u": {"kind": "id"}, "ward": None, "code": {"kind": "categorical"}, "age": {"kind": "integer", "minimum": 0,
        "maximum": 120}, "lab": None, "cost": {"kind": "numeric"}, "in": {"kind": "datetime"}, "out": None,
        "born": {"kind": "date", "minimum": "1900-01-01"}, "flag": {"kind": "boolean"}, "note": {"kind": "text"},
        "sex": {"categories": ["F", "M"]}, "stay": {"kind": "numeric"}, "low": {"kind": "integer"},
        "high": {"kind": "integer", "maximum": 500},
    },
    "rules": ["high >= low", "stay = in - born"],
}  # fmt: skip


def ordinary_texts(rng: np.random.Generator, n: int) -> dict[str, list[str | None]]:
    def day() -> str:
        return str(np.datetime64("2024-01-01") + rng.integers(0, 400))

    low = rng.integers(0, 200, n)
    return {
        "u": [f"u{i // K}" for i in range(n)],
        "ward": [["ICU", "ER", "", "surgery"][i] for i in rng.integers(0, 4, n)],
        "code": [f"{i:03d}" for i in rng.zipf(1.5, n) % 50],
        "age": [str(a) for a in rng.integers(0, 100, n)],
        "lab": [f"{x:.2f}" if x < 2 else "" for x in rng.lognormal(0, 1, n)],
        "cost": [f"{x:.1f}" for x in rng.normal(100, 30, n)],
        "in": [f"{day()} {rng.integers(0, 24):02d}:{rng.integers(0, 60):02d}" for _ in range(n)],
        "out": [day() for _ in range(n)],
        "born": [f"19{y}-05-01" for y in rng.integers(30, 99, n)],
        "flag": [["yes", "no", "maybe"][i] for i in rng.integers(0, 3, n)],
        "note": ["free text"] * n,
        "sex": [["F", "M", "X"][i] for i in rng.integers(0, 3, n)],
        "stay": ["1"] * n,
        "low": [str(a) for a in low],
        "high": [str(a + b) if b else "" for a, b in zip(low, rng.integers(0, 30, n), strict=True)],
    }


# Cells that readers of whole columns stumble over, or that stretch whatever is learned from a column.
NASTY = [
    "1e400", "-1e308", "9" * 40, "18446744073709551615", "-1", "NaN", "inf", "0.1234567890123", "1,5", "1.234,5",
    "0001-01-01", "9999-12-31T23:59:59Z", "2024-06-30T23:59:60", "2024-01-01T00:00+14:00", "31/12/2024", "12/31/2024",
    "2024-02-30", "\u0663\u0664", "NEEDLE", "true", "\u00a0 x \u2003", "007", "'", "a" * 9_000, "", None,
]  # fmt: skip


def with_unit(columns: dict[str, list], entries: list[dict]) -> Table:
    return Table(pa.table({n: pa.array([*c, *[x[n] for x in entries]], pa.string()) for n, c in columns.items()}))


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("same_rows", [True, False])
def test_a_unit_of_k_rows_moves_text_tables_within_the_declared_sensitivity(seed, same_rows):
    rng = np.random.default_rng([seed, same_rows])
    columns = ordinary_texts(rng, N)
    extra = [{name: NASTY[rng.integers(len(NASTY))] for name in columns} for _ in range(K)]
    if same_rows:
        extra = [extra[0]] * K
    schema = Schema.model_validate(TEXT_SCHEMA)
    record = RecordingMechanisms(seed)
    public = run(with_unit(columns, []), schema, record)
    replay = ReplayMechanisms(record)
    assert run(with_unit(columns, extra), schema, replay) == public
    assert replay.violations() == []
    assert len(record.calls) > 10


def test_an_ordinary_unit_that_leaves_moves_tables_within_the_declared_sensitivity():
    rng = np.random.default_rng(5)
    columns = ordinary_texts(rng, N)
    schema = Schema.model_validate(TEXT_SCHEMA)
    record = RecordingMechanisms(5)
    public = run(with_unit(columns, []), schema, record)
    replay = ReplayMechanisms(record)
    assert run(with_unit({n: c[:-K] for n, c in columns.items()}, []), schema, replay) == public
    assert replay.violations() == []


def test_typed_columns_with_extreme_values_stay_within_the_declared_sensitivity():
    rng = np.random.default_rng(6)
    types = {
        "u": pa.int64(), "i": pa.int64(), "f": pa.float64(), "b": pa.bool_(), "t": pa.timestamp("us"), "d": pa.date32()
    }  # fmt: skip
    columns = {
        "u": list(range(N)), "i": rng.integers(0, 9, N).tolist(), "f": rng.normal(0, 1, N).tolist(),
        "b": (rng.random(N) < 0.3).tolist(), "t": rng.integers(0, 2**50, N).tolist(),
        "d": rng.integers(0, 20_000, N).tolist(),
    }  # fmt: skip
    limit = 253_402_300_799_000_000  # the last microsecond but some of year 9999
    extra = {
        "u": [-1, None, -1], "i": [2**63 - 1, -(2**63), None], "f": [1e308, float("inf"), float("nan")],
        "b": [None, True, False], "t": [limit, -62_135_596_800_000_000, None], "d": [2_932_896, -719_162, None],
    }  # fmt: skip

    def table(more: dict[str, list]) -> Table:
        return Table(pa.table({n: pa.array(columns[n] + more.get(n, []), t) for n, t in types.items()}))

    for kinds in ({}, {"i": {"kind": "numeric"}, "f": {"kind": "categorical"}, "t": {"kind": "date"}}):
        schema = Schema.model_validate({"columns": {n: kinds.get(n) for n in types}})
        record = RecordingMechanisms(6)
        public = run(table({}), schema, record)
        replay = ReplayMechanisms(record)
        assert run(table(extra), schema, replay) == public
        assert replay.violations() == []


def test_the_proof_would_see_a_sensitivity_that_is_too_small():
    rng = np.random.default_rng(8)
    columns = ordinary_texts(rng, N)
    schema = Schema.model_validate(TEXT_SCHEMA)
    # K equal rows, while one row a unit is declared.
    row = {name: entries[0] for name, entries in columns.items()}
    record = RecordingMechanisms(8)
    public = run(with_unit(columns, []), schema, record, k=1)
    replay = ReplayMechanisms(record)
    assert run(with_unit(columns, [row] * K), schema, replay, k=1) == public
    labels = " ".join(replay.violations())
    for label in ("what the cells", "level 1", "frequent", "one-way", "distance of each pair"):
        assert label in labels


@pytest.mark.parametrize("keys", [(), ("7", "19")])
def test_with_constant_answers_nothing_depends_on_the_rows(keys):
    rng = np.random.default_rng(9)
    columns = ordinary_texts(rng, N)
    schema = Schema.model_validate(TEXT_SCHEMA)
    extra = [{name: entry for name in columns} for entry in NASTY]
    tables = [
        with_unit(columns, []),
        with_unit(columns, extra),
        with_unit({n: c[::-1] for n, c in columns.items()}, extra),
        with_unit({n: c[:1] for n, c in columns.items()}, []),
        with_unit({n: [] for n in columns}, []),
        with_unit({n: [None] * 5 for n in columns}, []),
    ]
    public = [run(table, schema, StubMechanisms(keys=keys)) for table in tables]
    assert len(set(public)) == 1


def test_the_order_of_rows_does_not_show():
    rng = np.random.default_rng(10)
    columns = ordinary_texts(rng, N)
    order = rng.permutation(N)
    schema = Schema.model_validate(TEXT_SCHEMA)
    one, other = RecordingMechanisms(1), RecordingMechanisms(1)
    first = run(with_unit(columns, []), schema, one)
    shuffled = {name: [entries[i] for i in order] for name, entries in columns.items()}
    assert run(with_unit(shuffled, []), schema, other) == first

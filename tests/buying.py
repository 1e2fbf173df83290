"""Short forms of the stages that buy what nobody declared, for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from privsynth.codecs.column_facts import ColumnFacts
from privsynth.codecs.columns import ColumnCodec
from privsynth.codecs.parsed_table import ParsedTable
from privsynth.domain.bounding import Partition, everyone, marked
from privsynth.domain.column_kinds import FactsRequest, learn_facts
from privsynth.domain.domain_request import DomainRequest
from privsynth.domain.layout import lay_out
from privsynth.domain.learn_codecs import learn_codecs
from privsynth.domain.numbers.quantile_tree import Dimension, Leaves, TreeRequest, grow
from privsynth.partitions.marks import STEPS
from privsynth.partitions.rows import PrivateRows
from privsynth.privacy.mechanisms import Mechanisms
from privsynth.privacy.unit_weights import Weighting
from privsynth.schema import Schema
from privsynth.table import Table


def in_training(table: Table, unit: np.ndarray) -> PrivateRows:
    """Return the rows of a table with marks, all in training, by (n,) units of rows."""
    nobody, units = np.zeros(0, dtype=np.int64), int(unit.max(initial=-1)) + 1
    return marked(table, Partition(np.arange(table.n_rows), nobody, unit, np.zeros(units, dtype=bool), 0))


def parsed_everyone(parsed: ParsedTable) -> PrivateRows:
    """Return parsed rows with marks, each a unit of its own, and in training."""
    return everyone(Table(parsed.to_arrow()))


def facts_of(
    table: Table, schema: Schema, mechanisms: Mechanisms, *, mu_squared: float, max_rows_per_unit: int = 1
) -> dict[str, ColumnFacts]:
    """Return the facts of all columns of a table."""
    request = FactsRequest(schema=schema, names=table.names, mu_squared=mu_squared)
    return learn_facts(everyone(table), request, Weighting(max_rows_per_unit), mechanisms)


def codecs_of(
    parsed: ParsedTable,
    schema: Schema,
    facts: Mapping[str, ColumnFacts],
    mechanisms: Mechanisms,
    *,
    unit: str = "row",
    max_rows_per_unit: int = 1,
    **request: Any,
) -> list[ColumnCodec]:
    """Return the codecs of all columns whose facts are known."""
    layout = lay_out(list(facts), schema, facts, unit)
    asked = DomainRequest(schema=schema, layout=layout, facts=facts, **request)
    return learn_codecs(parsed_everyone(parsed), asked, Weighting(max_rows_per_unit), mechanisms)


def dimension(name: str, values: np.ndarray, *bounds: int | None, **known: Any) -> tuple[Dimension, np.ndarray]:
    """Return a dimension and the (n,) places of its rows."""
    return Dimension(name, *bounds, **known), values


def leaves_of(
    lines: Sequence[tuple[Dimension, np.ndarray]], mechanisms: Mechanisms, *, unit_weight: int = 1, **request: Any
) -> list[Leaves]:
    """Return the leaves of one tree a dimension; some may have fewer rows than others."""
    rows = PrivateRows.held(places_of({one.name: values for one, values in lines}))
    asked = TreeRequest(unit_weight=unit_weight, **request)
    return grow([one for one, _ in lines], rows, asked, mechanisms)


def places_of(columns: Mapping[str, np.ndarray], steps: np.ndarray | None = None) -> pa.Table:
    """Return places in dimensions as a part of rows; the shorter columns end in nulls."""
    longest = max(map(len, columns.values()))
    filled = {name: pa.array([*of.tolist(), *[None] * (longest - len(of))], pa.int64()) for name, of in columns.items()}
    return pa.table({**filled, STEPS: np.ones(longest, dtype=np.int64) if steps is None else steps})

"""Short forms of the stages that buy what nobody declared, for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from privsynth.codecs.column_facts import ColumnFacts
from privsynth.codecs.columns import ColumnCodec
from privsynth.codecs.parsed_table import ParsedTable
from privsynth.domain.column_kinds import FactsRequest, learn_facts
from privsynth.domain.domain_request import DomainRequest
from privsynth.domain.layout import lay_out
from privsynth.domain.learn_codecs import learn_codecs
from privsynth.domain.numbers.quantile_tree import Dimension, Leaves, TreeRequest, grow
from privsynth.privacy.mechanisms import Mechanisms
from privsynth.privacy.unit_weights import Weighting
from privsynth.schema import Schema
from privsynth.table import Table


def facts_of(
    table: Table, schema: Schema, mechanisms: Mechanisms, *, mu_squared: float, max_rows_per_unit: int = 1
) -> dict[str, ColumnFacts]:
    """Return the facts of all columns of a table."""
    request = FactsRequest(schema=schema, names=table.names, mu_squared=mu_squared)
    return learn_facts(table, request, Weighting(max_rows_per_unit), mechanisms)


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
    return learn_codecs(parsed, asked, Weighting(max_rows_per_unit), mechanisms)


def leaves_of(
    dimensions: Sequence[Dimension], mechanisms: Mechanisms, *, unit_weight: int = 1, **request: Any
) -> list[Leaves]:
    """Return the leaves of one tree a dimension."""
    return grow(dimensions, TreeRequest(unit_weight=unit_weight, **request), mechanisms)

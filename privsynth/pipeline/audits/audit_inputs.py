"""Tables from anywhere, laid side by side for an audit: one type for each column, declared or read off the rows.

Guarantee: none; everything here reads exact rows, for the officer alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from privsynth.audit.common.audit_tables import AuditTables
from privsynth.codecs.column_facts import ColumnFacts, Hints, declared_facts, exact_facts, needs_votes
from privsynth.codecs.parse import as_numbers, is_text
from privsynth.codecs.parsed_table import clean_frame, parse_table
from privsynth.schema.code_names import names_codes
from privsynth.schema.definition import NUMERIC_KINDS, UNMODELLED_KINDS, Schema
from privsynth.table import Table


def compared_facts(table: Table, schema: Schema, names: Iterable[str]) -> dict[str, ColumnFacts]:
    """Return what each column holds, by the schema or by its cells; identifiers and free text are left out."""
    facts = {name: _facts(table, schema, name) for name in names}
    return {name: fact for name, fact in facts.items() if fact.kind not in UNMODELLED_KINDS}


def _facts(table: Table, schema: Schema, name: str) -> ColumnFacts:
    column, physical = schema.column(name), table.column(name).type
    if not needs_votes(column, physical):
        return declared_facts(column, physical)
    exact = exact_facts(table.column(name), Hints(codes=names_codes(name)))
    if column.kind is None:
        return exact
    return declared_facts(column.model_copy(update={"precision": exact.precision}), physical)


def typed_frame(table: Table, schema: Schema, facts: Mapping[str, ColumnFacts]) -> pd.DataFrame:
    """Return the columns of `facts` as numbers, times and texts; dates as this table writes them."""
    own = {name: _as_stored(table, fact, name) for name, fact in facts.items()}
    return clean_frame(parse_table(table, schema, own, list(own)), own)


def _as_stored(table: Table, fact: ColumnFacts, name: str) -> ColumnFacts:
    """Return the facts with the date format or the decimal sign of this table: another tool may write another one."""
    if fact.kind in NUMERIC_KINDS:
        return _with_sign(table.column(name), fact)
    if fact.kind not in ("datetime", "date"):
        return fact
    return ColumnFacts(kind=fact.kind, precision=fact.precision, format=exact_facts(table.column(name)).format or None)


def _with_sign(column: pa.ChunkedArray, fact: ColumnFacts) -> ColumnFacts:
    """Return the facts with a decimal point where commas are expected and more cells can be read with points.

    Not the other way round: a comma where points are expected may part thousands.
    """
    if fact.decimal == "." or not is_text(column):
        return fact
    other = replace(fact, decimal=".")
    unread = [as_numbers(column, precision=f.precision, decimal=f.decimal).null.sum() for f in (fact, other)]
    return other if unread[1] < unread[0] else fact


def side_by_side(
    frames: Mapping[str, pd.DataFrame | None], facts: Mapping[str, ColumnFacts], schema: Schema, **more: Any
) -> AuditTables:
    """Return the tables of an audit, with what the schema says of their columns.

    Args:
      frames: `train`, `synthetic` and, where there is one, `holdout`, all of the same columns.
      facts: what each column holds.
      more: further fields of `AuditTables`; they go before the schema's.
    """
    train, synthetic = frames["train"], frames["synthetic"]
    assert train is not None
    assert synthetic is not None
    names = [str(name) for name in train.columns]
    said: dict[str, Any] = {
        "kinds": {name: facts[name].kind for name in names},
        "roles": {name: schema.column(name).roles for name in names},
        "targets": tuple(name for name in schema.with_role("target") if name in names),
        "protected": tuple(name for name in schema.with_role("protected") if name in names),
    }
    return AuditTables(train=train, holdout=frames.get("holdout"), synthetic=synthetic, **{**said, **more})


def columns_apart(table: Table, modelled: Iterable[str], rows: np.ndarray) -> pd.DataFrame:
    """Return some rows of the columns that are not modelled, as text, None where a cell is empty. Private."""
    modelled = set(modelled)
    names = [name for name in table.names if name not in modelled]
    frame = table.select(names).take(rows).data.to_pandas()
    return pd.DataFrame({name: frame[name].astype(object).where(frame[name].notna(), None) for name in names}).map(
        lambda cell: None if cell is None else str(cell)
    )

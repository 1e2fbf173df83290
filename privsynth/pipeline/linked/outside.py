"""Linked tables from anywhere, audited: synthetic persons beside real ones, put together by their keys. Exact figures.

Guarantee: none; everything here reads exact rows, for the officer alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from privsynth.audit.common.running import not_run
from privsynth.audit.common.settings import AuditSettings
from privsynth.audit.linked.linked_tables import (
    KeyedReference,
    KeyedRows,
    LinkedPersons,
    LinkedTables,
    one_key,
    people_by_keys,
)
from privsynth.audit.linked.registry import linked_left_out, run_linked_audits, thinned
from privsynth.audit.rules import rule_findings
from privsynth.codecs.column_facts import ColumnFacts
from privsynth.codecs.parse import as_categories
from privsynth.errors import ConfigError, SchemaError
from privsynth.findings.finding import Finding
from privsynth.pipeline.audits.audit_inputs import compared_facts, typed_frame
from privsynth.progress import Progress
from privsynth.report.records.inside import AuditRun
from privsynth.report.records.tables import TableRecord
from privsynth.schema.linked import LinkedSchema
from privsynth.sources.protocol import SourceOptions
from privsynth.sources.registry import open_tables, read_tables
from privsynth.table import Table
from privsynth.workspace import Workspace

TablesOrigin = str | Path | Mapping[str, str | Path | pd.DataFrame]
_Facts = Mapping[str, Mapping[str, ColumnFacts]]


@dataclass(frozen=True, kw_only=True, repr=False)
class OutsideTables:
    """What the audits of linked tables from anywhere found.

    Attributes:
      findings: all of them.
      done: how much was done.
      tables: the synthetic ones, with their numbers of rows.
      not_compared: columns of the real tables that the synthetic ones lack.
    """

    findings: list[Finding]
    done: AuditRun
    tables: tuple[TableRecord, ...]
    not_compared: tuple[str, ...]


def read_sides(
    schema: LinkedSchema, origins: Mapping[str, object], options: SourceOptions, workspace: Workspace
) -> dict[str, dict[str, Table]]:
    """Return side -> name -> table, of the tables that hold persons' rows.

    Args:
      origins: "real", "synthetic" and, where there is one, "holdout" -> where the tables are.
      options: how to read all but the synthetic ones.
    Raises:
      SourceError: a table is not there.
      SchemaError: a column is not there that holds a key or the order.
    """
    found: dict[str, dict[str, Table]] = {}
    for side, origin in origins.items():
        asked = replace(SourceOptions() if side == "synthetic" else options, tables=schema.modelled)
        if not isinstance(origin, str | Path | Mapping):
            raise ConfigError("a schema of linked tables needs several: give folders, databases, or names and frames")
        read = read_tables(open_tables(origin, asked), workspace, may_be_empty=True)
        found[side] = {name: read[name][0] for name in schema.modelled}
        for name, table in found[side].items():
            needed = {*schema.tables[name].key, *schema.links(name), schema.tables[name].order} - {None}
            if lost := sorted(column for column in map(str, needed) if column not in table.names):
                raise SchemaError(f"the {side} table '{name}' has no column '{lost[0]}', by which its rows are linked")
    return found


def audit_sides(
    schema: LinkedSchema, sides: Mapping[str, Mapping[str, Table]], settings: AuditSettings, progress: Progress
) -> OutsideTables:
    """Return what the audits of linked tables find.

    Raises:
      SchemaError: the tables have nothing in common that could be compared.
    """
    everybody, lacking = linked_sides(schema, sides)
    fewer = thinned(everybody, settings.level, np.random.default_rng())
    findings = run_linked_audits(
        fewer, settings, progress=lambda name, number, of: progress(f"auditing: {name}", (number - 1) / of)
    )
    findings += [replace(one, group=f"{name}: {one.group}") for name, one in _rules(schema, everybody.synthetic)]
    done = AuditRun(
        level=settings.level,
        left_out=linked_left_out(settings.level),
        thinned=fewer.thinned,
        unfinished=tuple(not_run(findings)),
        not_compared=lacking,
    )
    records = tuple(_record(schema, name, table) for name, table in sides["synthetic"].items())
    return OutsideTables(findings=findings, done=done, tables=records, not_compared=lacking)


def linked_sides(
    schema: LinkedSchema, sides: Mapping[str, Mapping[str, Table]]
) -> tuple[LinkedTables, tuple[str, ...]]:
    """Return real and synthetic persons side by side, and which columns the synthetic tables lack.

    Args:
      sides: "real", "synthetic" and, where there is one, "holdout" -> name -> table.
    Raises:
      SchemaError: the tables have nothing in common that could be compared.
    """
    facts, lacking = _facts(schema, sides)
    frames = {
        side: {name: _frame(schema, name, table, facts[name]) for name, table in tables.items()}
        for side, tables in sides.items()
    }
    above = {name: parent.table for name in schema.modelled if (parent := schema.tables[name].parent) is not None}
    people = {
        side: people_by_keys({name: _keyed(schema, name, tables[name], frames[side][name]) for name in tables}, above)
        for side, tables in sides.items()
    }
    orders = {name: order for name in schema.modelled if (order := schema.tables[name].order) is not None}
    found = LinkedTables(
        train=people["real"],
        holdout=people.get("holdout"),
        synthetic=people["synthetic"],
        root=schema.root,
        above=above,
        orders=orders,
        kinds={name: {column: fact.kind for column, fact in of.items()} for name, of in facts.items()},
        roles={name: {c: schema.of_table(name).column(c).roles for c in of} for name, of in facts.items()},
    )
    return found, lacking


def _facts(schema: LinkedSchema, sides: Mapping[str, Mapping[str, Table]]) -> tuple[_Facts, tuple[str, ...]]:
    """Return what the compared columns of each table hold, and which columns the synthetic tables lack."""
    found, lacking = {}, []
    for name, real in sides["real"].items():
        keys = set(schema.links(name))
        shared = [c for c in real.names if c in sides["synthetic"][name].names and c not in keys]
        lacking += [f"{name}: {c}" for c in real.names if c not in keys and c not in shared]
        for side in sides.keys() - {"real", "synthetic"}:
            if lost := [c for c in shared if c not in sides[side][name].names]:
                raise SchemaError(
                    f"the {side} table '{name}' lacks the column '{lost[0]}'; give rows with the columns of the real "
                    "tables"
                )
        found[name] = compared_facts(real, schema.of_table(name), shared)
    if not any(found.values()):
        raise SchemaError("every column that the tables share is a key or free text; there is nothing to audit")
    return found, tuple(lacking)


def _frame(schema: LinkedSchema, name: str, table: Table, facts: Mapping[str, ColumnFacts]) -> pd.DataFrame:
    if not facts:
        return pd.DataFrame(index=pd.RangeIndex(table.n_rows))
    return typed_frame(table, schema.of_table(name), facts)


def _keyed(schema: LinkedSchema, name: str, table: Table, frame: pd.DataFrame) -> KeyedRows:
    declared = schema.tables[name]

    def key(columns: tuple[str, ...]) -> pd.Series:
        return one_key([_texts(table, column) for column in columns])

    return KeyedRows(
        frame,
        key=key(declared.key) if declared.key else None,
        parent=None if declared.parent is None else key(declared.parent.columns),
        order=declared.order or "",
        references=[
            KeyedReference(one.table, ", ".join(one.columns), key(one.columns), one.whose == "own")
            for one in declared.refers_to
        ],
    )


def _texts(table: Table, column: str) -> pd.Series:
    """Return the cells of a key as texts without blanks around them, as those of one kind are compared."""
    parsed = as_categories(table.column(column))
    return pd.Series(np.array([*parsed.values, None], dtype=object)[parsed.codes.astype(np.int64)])


def _rules(schema: LinkedSchema, people: LinkedPersons) -> Iterator[tuple[str, Finding]]:
    """Yield table and finding for each rule whose columns are all there, of the synthetic rows of persons."""
    for name, rows in people.rows.items():
        frame, parent = rows.frame, schema.tables[name].parent
        if parent is not None:
            above = people.rows[parent.table].frame.iloc[rows.parent].reset_index(drop=True)
            before = rows.frame.iloc[np.maximum(np.arange(len(rows)) - 1, 0)].reset_index(drop=True)
            frame = frame.join(above.add_prefix("parent.")).join(before.add_prefix("previous."))
        for rule in schema.rules_schema(name).parsed_rules():
            if set(rule.columns) <= set(frame.columns):
                of_previous = any(column.startswith("previous.") for column in rule.columns)
                held = rule.holds(frame) | (rows.is_first & of_previous)
                yield from ((name, finding) for finding in rule_findings([(rule.text, held)]))


def _record(schema: LinkedSchema, name: str, table: Table) -> TableRecord:
    declared = schema.tables[name]
    return TableRecord(
        name=name,
        parent="" if declared.parent is None else declared.parent.table,
        order=declared.order or "",
        max_children=None if declared.parent is None else declared.max_children,
        n_rows=table.n_rows,
    )

"""The officer's audit of linked tables: exact figures on real persons, which never leave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from privsynth.audit.common.running import not_run
from privsynth.audit.common.settings import AuditSettings, Level
from privsynth.audit.linked.linked_tables import (
    KeyedReference,
    KeyedRows,
    LinkedPersons,
    LinkedTables,
    Rows,
    one_key,
    people_by_keys,
)
from privsynth.audit.linked.registry import linked_left_out, run_linked_audits, thinned
from privsynth.codecs.parsed_table import clean_frame, parse_table
from privsynth.domain import linking
from privsynth.findings.finding import Finding
from privsynth.pipeline.audits.refit import plain_frame
from privsynth.pipeline.linked.learn import PublicTables, link_people
from privsynth.pipeline.linked.one_table.stage import LinkedRequest
from privsynth.pipeline.linked.views import table_schema
from privsynth.progress import Progress
from privsynth.randomness import KeyedFunction
from privsynth.report.records.inside import AuditRun
from privsynth.sampling.linked.written import own_key, written_keys
from privsynth.schema.linked import LinkedSchema
from privsynth.table import Table


@dataclass(frozen=True)
class LinkedAudited:
    """What the officer's audit found.

    Attributes:
      findings: for the officer alone.
      done: how much was done.
      pool: part of the audit's pool -> persons.
    """

    findings: list[Finding]
    done: AuditRun
    pool: dict[str, int]


def audit_linked(
    tables: Mapping[str, Table],
    public: PublicTables,
    request: LinkedRequest,
    keyed: KeyedFunction,
    *,
    level: Level,
    progress: Progress,
) -> LinkedAudited:
    """Return the officer's findings of a release of linked tables, and how much was done.

    Guarantee: none. The findings are personal data.
    Args:
      tables: as they were read.
      keyed: by which persons were held out.
    """
    progress("auditing: linking persons", 0.0)
    everybody, pool = audited_tables(tables, public, request, keyed)
    fewer = thinned(everybody, level, np.random.default_rng())
    budget = request.plan.whole.budget
    findings = run_linked_audits(
        fewer,
        AuditSettings(level=level, claimed=(budget.epsilon, budget.delta)),
        progress=lambda name, number, of: progress(f"auditing: {name}", (number - 1) / of),
    )
    done = AuditRun(
        level=level, left_out=linked_left_out(level), thinned=fewer.thinned, unfinished=tuple(not_run(findings))
    )
    return LinkedAudited(findings, done, pool)


def audited_tables(
    tables: Mapping[str, Table], public: PublicTables, request: LinkedRequest, keyed: KeyedFunction
) -> tuple[LinkedTables, dict[str, int]]:
    """Return real and synthetic persons side by side, and how many persons fell where.

    Args:
      tables: as they were read.
      keyed: by which persons were held out.
    """
    schema, (linked, rows, people) = request.schema, link_people(tables, request, keyed)
    names = {name: _compared(public, name) for name in schema.modelled}
    real = _real_people({name: linked[name] for name in schema.modelled}, rows, names, public, schema)
    above = {name: parent.table for name in schema.modelled if (parent := schema.tables[name].parent) is not None}
    held = people.held
    found = LinkedTables(
        train=real.take(np.flatnonzero(~held), above),
        holdout=real.take(np.flatnonzero(held), above) if held.any() else None,
        synthetic=_synthetic_people(names, public, request, above),
        root=schema.root,
        above=above,
        orders=_orders(schema, names),
        kinds={name: {c: public.facts[name][c].kind for c in columns} for name, columns in names.items()},
        roles={
            name: {c: schema.tables[name].columns[c].roles for c in columns if c in schema.tables[name].columns}
            for name, columns in names.items()
        },
        pool_in_train=people.pool[~held] if people.pool.any() else None,
    )
    pooled, out = int(people.pool.sum()), int(held.sum())
    return found, {"training": pooled - out, "holdout": out, "outside": len(held) - pooled}


def _compared(public: PublicTables, name: str) -> list[str]:
    """Return the columns of a table that are compared: those that are modelled and written."""
    visible, layout = public.model.models[name].visible.by_name, public.layouts[name]
    parsed = {*layout.modelled, *layout.derived, *layout.follows}
    return [column for column in layout.names if column in visible and column in parsed]


def _orders(schema: LinkedSchema, names: Mapping[str, list[str]]) -> dict[str, str]:
    found = {name: schema.tables[name].order for name in schema.modelled}
    return {name: order for name, order in found.items() if order is not None and order in names[name]}


def _real_people(
    tables: Mapping[str, Table],
    rows: Mapping[str, linking.LinkedRows],
    names: Mapping[str, list[str]],
    public: PublicTables,
    schema: LinkedSchema,
) -> LinkedPersons:
    """Return all real persons, training and holdout. Private."""
    found: dict[str, Rows] = {}
    places: dict[str, np.ndarray] = {}
    for name, table in tables.items():
        linked, facts = rows[name], public.facts[name]
        above = schema.tables[name].parent
        parent = linked.parent if above is None else places[above.table][linked.parent]
        order = np.lexsort((linked.place, parent))
        parent, places[name] = parent[order], np.argsort(order)
        parsed = parse_table(table, table_schema(schema, name), facts, names[name])
        frame = clean_frame(parsed, facts)[names[name]].iloc[order].reset_index(drop=True)
        found[name] = Rows(frame, linked.person[order], parent)
    return LinkedPersons(found)


def _synthetic_people(
    names: Mapping[str, list[str]], public: PublicTables, request: LinkedRequest, above: Mapping[str, str]
) -> LinkedPersons:
    """Return the persons of the release, put together by the keys that it is written with."""
    schema, model = request.schema, public.model
    orders, tables = _orders(schema, names), {}
    for name in schema.modelled:
        declared, drawn = schema.tables[name], public.drawn[name]
        frame = model.models[name].codec.frame(drawn.rows, names=names[name])[names[name]]
        written = own_key(model, name, public.drawn, seed=request.seed)
        written |= written_keys(model, name, public.drawn, seed=request.seed)
        keys = {c: values.cast(pa.string()).to_pandas() for c, values in written.items()}  # 10 is 10 among gaps, too
        tables[name] = KeyedRows(
            plain_frame(frame),
            key=one_key([keys[c] for c in declared.key]) if declared.key else None,
            parent=None if declared.parent is None else one_key([keys[c] for c in declared.parent.columns]),
            order=orders.get(name, ""),
            references=[
                KeyedReference(
                    one.table, ", ".join(one.columns), one_key([keys[c] for c in one.columns]), one.whose == "own"
                )
                for one in declared.refers_to
            ],
        )
    return people_by_keys(tables, above)

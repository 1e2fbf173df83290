"""The officer's audit of a run: exact figures on real rows, which never leave."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from privsynth.audit.common.audit_tables import AuditTables, Level
from privsynth.audit.registry import AUDITS, left_out, not_run, run_audits, thinning
from privsynth.codecs.parsed_table import clean_frame, parse_table
from privsynth.findings.finding import Finding
from privsynth.pipeline.learn import Private, Public, Request
from privsynth.pipeline.refit import plain_frame, refit_of_model
from privsynth.progress import Progress
from privsynth.report.report_data import AuditRun
from privsynth.table import Table

ROWS_APART = 20_000


def officer_findings(
    public: Public, private: Private, request: Request, *, level: Level, progress: Progress
) -> tuple[list[Finding], AuditRun]:
    """Return the officer's findings of a release, and how much was done.

    Guarantee: none. The findings are personal data.
    """
    tables = audit_tables(public, private, request)
    findings = run_audits(
        tables,
        rng=np.random.default_rng(),
        names=[name for name in AUDITS if name != "rules"],  # rules need no real row and are in the public report
        claimed=(request.budget.epsilon, request.budget.delta),
        progress=lambda name, number, of: progress(f"auditing: {name}", (number - 1) / of),
        level=level,
        model=public.model,
        refit=refit_of_model(
            public.model,
            promise=(request.budget.epsilon, request.budget.delta),
            k=request.budget.max_rows_per_unit,
            schema=request.schema,
            facts=public.facts,
        ),
    )
    # What is public is in the public report already, and the officer's report repeats that.
    return [f for f in findings if f.visibility == "officer"], audit_run(tables, findings, level)


def audit_run(tables: AuditTables, findings: Sequence[Finding], level: Level) -> AuditRun:
    """Return what the report says of how much was done."""
    return AuditRun(
        level=level,
        left_out=left_out(level),
        thinned=thinning(tables, level),
        unfinished=tuple(not_run(findings)),
    )


def audit_tables(public: Public, private: Private, request: Request) -> AuditTables:
    """Return the real and the synthetic rows, side by side, in the same columns and types."""
    schema, layout, partition = request.schema, public.layout, private.partition
    parsed = parse_table(private.table, schema, public.facts, [*layout.modelled, *layout.derived, *layout.follows])
    names = [n for n in layout.names if n in parsed.columns and n in public.rows.names]
    train = clean_frame(parsed.take(partition.train), public.facts)[names]
    holdout = clean_frame(parsed.take(partition.holdout), public.facts)[names] if len(partition.holdout) else None
    row_units = request.budget.unit == "row"
    unit_train, unit_holdout = partition.unit[partition.train], partition.unit[partition.holdout]
    return AuditTables(
        train=train,
        holdout=holdout,
        synthetic=plain_frame(public.rows.frame(names)[names]),
        kinds={n: public.facts[n].kind for n in names},
        roles={n: schema.column(n).roles for n in names},
        targets=tuple(n for n in schema.with_role("target") if n in names),
        protected=tuple(n for n in schema.with_role("protected") if n in names),
        unit_train=None if row_units else unit_train,
        unit_holdout=None if row_units or holdout is None else unit_holdout,
        unit=request.budget.unit,
        pool_in_train=partition.pool[unit_train] if len(partition.pool) else None,
        apart=columns_apart(private.table, names, partition.train[:ROWS_APART]),
    )


def columns_apart(table: Table, modelled: Sequence[str], rows: np.ndarray) -> pd.DataFrame:
    """Return some rows of the columns that are not modelled, as text, None where a cell is empty. Private."""
    names = [name for name in table.names if name not in modelled]
    frame = table.select(names).take(rows).data.to_pandas()
    return pd.DataFrame({name: frame[name].astype(object).where(frame[name].notna(), None) for name in names}).map(
        lambda cell: None if cell is None else str(cell)
    )


def pool_sizes(private: Private) -> dict[str, int]:
    """Return how many units fell where; for the officer."""
    partition = private.partition
    held = len(np.unique(partition.unit[partition.holdout]))
    pooled = int(partition.pool.sum())
    return {"training": pooled - held, "holdout": held, "outside": len(partition.pool) - pooled}

"""The officer's audit of a run: exact figures on real rows, which never leave."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from privsynth.audit.common.audit_tables import AuditTables
from privsynth.audit.common.running import not_run
from privsynth.audit.common.settings import AuditSettings, Level
from privsynth.audit.registry import all_audits, left_out, run_audits, thinning
from privsynth.codecs.parsed_table import clean_frame, parse_table
from privsynth.findings.finding import Finding
from privsynth.pipeline.audits.audit_inputs import columns_apart, side_by_side
from privsynth.pipeline.audits.refit import plain_frame, refit_of_model
from privsynth.pipeline.learning.request import Private, Public, Request
from privsynth.progress import Progress
from privsynth.report.records.inside import AuditRun

ROWS_APART = 20_000  # synthetic rows of one table beyond which the audits get a sample (own)


def officer_findings(
    public: Public, private: Private, request: Request, *, level: Level, progress: Progress
) -> tuple[list[Finding], AuditRun]:
    """Return the officer's findings of a release, and how much was done.

    Guarantee: none. The findings are personal data.
    """
    tables = audit_tables(public, private, request)
    promise = (request.budget.epsilon, request.budget.delta)
    max_rows_per_unit, facts = request.budget.max_rows_per_unit, public.facts
    settings = AuditSettings(
        names=tuple(name for name in all_audits() if name != "rules"),  # needs no real row and is in the public report
        level=level,
        claimed=promise,
        model=public.model,
        refit=refit_of_model(
            public.model, promise=promise, max_rows_per_unit=max_rows_per_unit, schema=request.schema, facts=facts
        ),
    )
    findings = run_audits(
        tables, settings, progress=lambda name, number, of: progress(f"auditing: {name}", (number - 1) / of)
    )
    # What is public is in the public report already, and the officer's report repeats that.
    return [f for f in findings if f.visibility == "officer"], audit_run(tables, findings, settings)


def audit_run(tables: AuditTables, findings: Sequence[Finding], settings: AuditSettings) -> AuditRun:
    """Return what the report says of how much was done."""
    return AuditRun(
        level=settings.level,
        left_out=left_out(settings),
        thinned=thinning(tables, settings.level),
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
    return side_by_side(
        {"train": train, "holdout": holdout, "synthetic": plain_frame(public.rows.frame(names)[names])},
        public.facts,
        schema,
        unit_train=None if row_units else unit_train,
        unit_holdout=None if row_units or holdout is None else unit_holdout,
        unit=request.budget.unit,
        pool_in_train=partition.pool[unit_train] if len(partition.pool) else None,
        apart=columns_apart(private.table, names, partition.train[:ROWS_APART]),
    )


def pool_sizes(private: Private) -> dict[str, int]:
    """Return how many units fell where; for the officer."""
    partition = private.partition
    held = len(np.unique(partition.unit[partition.holdout]))
    pooled = int(partition.pool.sum())
    return {"training": pooled - held, "holdout": held, "outside": len(partition.pool) - pooled}

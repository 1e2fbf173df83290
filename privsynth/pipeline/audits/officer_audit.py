"""The officer's audit of a run: exact figures on real rows, which never leave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from privsynth.audit.common.audit_tables import AuditTables
from privsynth.audit.common.running import not_run
from privsynth.audit.common.settings import AuditSettings, Level
from privsynth.audit.registry import all_audits, left_out, run_audits, thinning
from privsynth.codecs.parsed_table import clean_frame, parse_table
from privsynth.findings.finding import Finding
from privsynth.partitions.marks import HELD_OUT, POOL, ROW, SIDE, TRAINING, UNIT, cells, values
from privsynth.partitions.rows import PrivateRows
from privsynth.pipeline.audits.audit_inputs import columns_apart, side_by_side
from privsynth.pipeline.audits.refit import plain_frame, refit_of_model
from privsynth.pipeline.learning.request import Private, Public, Request
from privsynth.pipeline.learning.sizes import count_rows
from privsynth.progress import Progress
from privsynth.randomness import SecureStream, poisson_mask
from privsynth.report.records.inside import AuditRun
from privsynth.table import Table

AUDITED_ROWS = 500_000  # beyond which the audits get a sample of units (own): as many as `deep` looks at
SAMPLED = (
    f"The table is long: a sample of about {AUDITED_ROWS:,} of its rows, whole units drawn at random, stands for all "
    "of them in every audit, also where copies are sought."
)
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
    done = audit_run(tables, findings, settings)
    if n_used(private.rows) > AUDITED_ROWS:
        done = replace(done, thinned=" ".join(filter(None, [SAMPLED, done.thinned])))
    return [f for f in findings if f.visibility == "officer"], done


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
    schema, layout = request.schema, public.layout
    part = sampled(private.rows, AUDITED_ROWS)
    table, side = Table(cells(part)), values(part, SIDE)
    in_training, held_out = np.flatnonzero(side == TRAINING), np.flatnonzero(side == HELD_OUT)
    parsed = parse_table(table, schema, public.facts, [*layout.modelled, *layout.derived, *layout.follows])
    names = [n for n in layout.names if n in parsed.columns and n in public.rows.names]
    train = clean_frame(parsed.take(in_training), public.facts)[names]
    holdout = clean_frame(parsed.take(held_out), public.facts)[names] if len(held_out) else None
    row_units, unit = request.budget.unit == "row", values(part, UNIT)
    return side_by_side(
        {"train": train, "holdout": holdout, "synthetic": plain_frame(public.rows.frame(names)[names])},
        public.facts,
        schema,
        unit_train=None if row_units else unit[in_training],
        unit_holdout=None if row_units or holdout is None else unit[held_out],
        unit=request.budget.unit,
        pool_in_train=values(part, POOL)[in_training] if part.num_rows else None,
        apart=columns_apart(table, names, in_training[:ROWS_APART]),
    )


def pool_sizes(private: Private) -> dict[str, int]:
    """Return how many units fell where; for the officer."""
    units, pooled, held = private.rows.add_up(_units, [UNIT, SIDE, POOL]).tolist()
    return {"training": pooled - held, "holdout": held, "outside": units - pooled}


def _units(part: pa.Table) -> np.ndarray:
    """Return the numbers of units, of those in the pool, and of those held out."""
    unit = values(part, UNIT)
    chosen = (unit >= 0, values(part, POOL), values(part, SIDE) == HELD_OUT)
    found = []
    for these in chosen:
        there = np.zeros(int(unit.max(initial=-1)) + 1, dtype=bool)
        there[unit[these & (unit >= 0)]] = True
        found.append(there.sum())
    return np.array(found, dtype=np.int64)


def n_used(rows: PrivateRows) -> int:
    """Return how many rows are used, in training or in the holdout. Private."""
    return int(rows.add_up(count_rows, [SIDE]).sum())


def sampled(rows: PrivateRows, at_most: int) -> pa.Table:
    """Return the rows with marks in the order of the table; of more than so many used ones, those of some units.

    Units are numbered through all parts.
    """
    rate, bits = at_most / max(n_used(rows), 1), SecureStream()
    parts, before = [], 0
    for part in rows.load():
        unit = values(part, UNIT)
        units = int(unit.max(initial=-1)) + 1
        numbers = np.where(unit >= 0, unit + before, unit)
        part = part.set_column(part.column_names.index(UNIT), UNIT, pa.array(numbers))
        if rate < 1.0:
            part = part.filter(pa.array(np.append(poisson_mask(units, rate, bits), False)[unit]))
        parts.append(part)
        before += units
    if len(parts) == 1:
        return parts[0]
    return pa.concat_tables(parts).sort_by(ROW)

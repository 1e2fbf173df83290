"""Do the tables of a release hold together? Keys that lead to a row, keys that tell rows apart, rows in their order."""

from __future__ import annotations

import numpy as np

from privsynth.audit.common.settings import AuditContext
from privsynth.audit.linked.entry import LinkedAudit
from privsynth.audit.linked.linked_tables import LinkedTables
from privsynth.findings.finding import Finding

_MEANINGS = {
    "orphans": "Share of synthetic rows whose key leads to no row of the parent table.",
    "repeated": "Share of synthetic rows whose key an earlier row has.",
    "disordered": "Share of synthetic rows that stand, as written, directly after a later row of the same parent.",
}
_NAMES = {"orphans": "orphans", "repeated": "repeated_keys", "disordered": "rows_out_of_order"}


def integrity(tables: LinkedTables, *, rng: np.random.Generator, context: AuditContext) -> list[Finding]:
    """Return how many rows of each synthetic table lead nowhere, repeat a key, or stand after a later one."""
    counted = [
        (kind, table, getattr(faults, kind), faults.n_rows)
        for kind in _MEANINGS
        for table, faults in tables.synthetic.faults.items()
    ]
    return [_fault(kind, table, count, n) for kind, table, count, n in counted if count is not None]


def _fault(kind: str, table: str, count: int, n: int) -> Finding:
    share = count / n if n else 0.0
    return Finding(
        family="histories",
        name=_NAMES[kind],
        group=table,
        value=share,
        low=share,
        high=share,
        n=n,
        visibility="officer",
        better="lower",
        baseline=0.0,
        baseline_label="none",
        verdict="fail" if count else "pass",
        threshold="there must be none: a release that has any is broken (own)",
        meaning=f"{_MEANINGS[kind]} All rows of the release were looked at, so that the figure is exact.",
        detail={"rows": count},
    )


INTEGRITY = LinkedAudit(
    name="integrity",
    family="histories",
    run=integrity,
    titles={
        "orphans": "Rows that lead to no row of the parent table",
        "repeated_keys": "Rows whose key another row has",
        "rows_out_of_order": "Rows after a later one of the same parent",
    },
)

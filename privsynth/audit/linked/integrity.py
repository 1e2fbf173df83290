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
    "dangling": "Share of synthetic rows that refer to a row that is not there, to one of another person where it must "
    "be of the same, or to themselves.",
}
_NAMES = {
    "orphans": "orphans",
    "repeated": "repeated_keys",
    "disordered": "rows_out_of_order",
    "dangling": "dangling_references",
}


def integrity(tables: LinkedTables, *, rng: np.random.Generator, context: AuditContext) -> list[Finding]:
    """Return how many rows of each synthetic table lead nowhere, repeat a key, or stand after a later one."""
    counted = [
        (kind, table, getattr(faults, kind), faults.n_rows)
        for kind in ("orphans", "repeated", "disordered")
        for table, faults in tables.synthetic.faults.items()
    ]
    counted += [
        ("dangling", f"{table}: {columns}", count, faults.n_rows)
        for table, faults in tables.synthetic.faults.items()
        for columns, count in faults.dangling.items()
    ]
    return [_fault(kind, group, count, n) for kind, group, count, n in counted if count is not None]


def _fault(kind: str, group: str, count: int, n: int) -> Finding:
    share = count / n if n else 0.0
    return Finding(
        family="histories",
        name=_NAMES[kind],
        group=group,
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
        "dangling_references": "Rows that refer to no row that they may refer to",
    },
)

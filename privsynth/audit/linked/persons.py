"""One-table audits on persons as rows: can a classifier tell them apart, and are whole persons copied?"""

from __future__ import annotations

import numpy as np

from privsynth.audit.common.audit import Audit
from privsynth.audit.common.settings import AuditContext
from privsynth.audit.disclosure import copies
from privsynth.audit.fidelity import two_sample_test
from privsynth.audit.linked.entry import LinkedAudit
from privsynth.audit.linked.linked_tables import LinkedTables
from privsynth.audit.linked.person_rows import of_persons, person_rows
from privsynth.findings.finding import Finding

WHO = "A row here is a person, with what sums up all rows. "


def _on_persons(audit: Audit) -> LinkedAudit:
    """Return a one-table audit that is run on persons."""

    def run(tables: LinkedTables, *, rng: np.random.Generator, context: AuditContext) -> list[Finding]:
        found = audit.run(person_rows(tables, context), rng=rng, context=context)
        return [of_persons(finding, tables.root, WHO) for finding in found]

    return LinkedAudit(name=audit.name, family=audit.family, run=run, titles=audit.titles, left_out=audit.left_out)


TWO_SAMPLE = _on_persons(two_sample_test.AUDIT)
COPIES = _on_persons(copies.AUDIT)

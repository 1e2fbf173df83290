"""Rules: does every synthetic row obey the sentences of the schema? Uses no real row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from privsynth.audit.common.audit import Audit
from privsynth.audit.common.audit_tables import AuditTables
from privsynth.audit.common.settings import AuditContext
from privsynth.findings.finding import Finding
from privsynth.findings.insufficient import insufficient
from privsynth.stats.intervals import clopper_pearson


def rules(tables: AuditTables, *, rng: np.random.Generator, context: AuditContext) -> list[Finding]:
    """Return one finding for each rule of the settings; none if there are no rules."""
    return rule_findings(context.settings.rules)


def rule_findings(checks: Sequence[tuple[str, np.ndarray]]) -> list[Finding]:
    """Return the share of violating synthetic rows, a rule each; any violation fails.

    Args:
      checks: (sentence, (n_synthetic,) booleans: the row satisfies it).
    """
    return [_one(text, np.asarray(satisfied, dtype=bool)) for text, satisfied in checks]


def _one(text: str, satisfied: np.ndarray) -> Finding:
    n = len(satisfied)
    if n == 0:
        return insufficient("rules", "rule_violations", "there are no synthetic rows.", visibility="public", group=text)
    violations = int(n - satisfied.sum())
    interval = clopper_pearson(violations, n)
    return Finding.of(
        interval,
        family="rules",
        name="rule_violations",
        group=text,
        n=n,
        visibility="public",
        baseline=0.0,
        baseline_label="no violation",
        better="lower",
        verdict="fail" if violations else "pass",
        threshold="no synthetic row may break a declared rule (schema)",
        meaning=f"{violations} of {n} synthetic rows break this rule."
        if violations
        else f"All {n} synthetic rows obey this rule. The interval says what a larger sample could still show.",
        source="declared rule; Clopper & Pearson (1934)",
        detail={"violations": violations},
    )


AUDIT = Audit(
    name="rules",
    family="rules",
    run=rules,
    titles={
        "rule_violations": "Rows that break a rule",
    },
)

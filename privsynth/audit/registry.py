"""The audits by name, and the one function that runs them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from functools import cache, partial

import numpy as np

from privsynth.audit import decay, rules
from privsynth.audit.common.audit import Audit
from privsynth.audit.common.audit_tables import AuditTables
from privsynth.audit.common.running import AuditProgress, run_in_order
from privsynth.audit.common.settings import AuditContext, AuditSettings, Level
from privsynth.audit.coverage import coverage
from privsynth.audit.disclosure import attribute_inference, copies, criteria, pii_screen
from privsynth.audit.fairness import bias
from privsynth.audit.fidelity import marginal_distance, two_sample_test
from privsynth.audit.linked.registry import LINKED_AUDITS
from privsynth.audit.membership import epsilon_lower_bound, membership
from privsynth.audit.utility import train_synthetic_test_real
from privsynth.errors import ConfigError
from privsynth.extensions import Extension, Loaded, load_all
from privsynth.findings.finding import Finding

# Rows of a table that the audits of a level are given; a longer table is thinned, and the report says so.
MAX_TABLE_ROWS: Mapping[Level, int] = {"quick": 50_000, "standard": 200_000, "deep": 500_000}

# In the order in which they run; after them those of other packages, see `all_audits`.
AUDITS: dict[str, Audit] = {
    audit.name: audit
    for audit in (
        marginal_distance.AUDIT,
        two_sample_test.AUDIT,
        train_synthetic_test_real.AUDIT,
        membership.AUDIT,
        epsilon_lower_bound.AUDIT,
        bias.AUDIT,
        rules.AUDIT,
        copies.AUDIT,
        criteria.AUDIT,
        attribute_inference.AUDIT,
        coverage.AUDIT,
        decay.AUDIT,
        pii_screen.AUDIT,
    )
}


@cache
def _installed() -> tuple[Loaded[Audit], ...]:
    """Return the audits that other packages bring, by name; looked for once, so that a run keeps to them.

    Raises:
      ConfigError: a package brings something else than an audit, or takes a name that is not its own.
    """
    found = load_all("audit", Audit, builtin=AUDITS)
    named = Counter(name for audit in (*AUDITS.values(), *(loaded.value for loaded in found)) for name in audit.titles)
    for loaded in found:
        audit, label = loaded.value, loaded.extension.label
        if audit.name != loaded.extension.name:
            raise ConfigError(f"{label} calls itself '{audit.name}'; ask its makers to correct it")
        if taken := [name for name in audit.titles if named[name] > 1]:
            raise ConfigError(f"{label} has a finding of a name that is taken, '{taken[0]}'; uninstall it")
    return tuple(found)


def all_audits() -> dict[str, Audit]:
    """Return the audits by name: those of privsynth, then those of other packages; see `_installed` for errors."""
    return AUDITS | {loaded.value.name: loaded.value for loaded in _installed()}


def audit_extensions() -> tuple[Extension, ...]:
    """Return which audits other packages bring; see `_installed` for errors."""
    return tuple(loaded.extension for loaded in _installed())


def finding_titles() -> dict[str, str]:
    """Return name of a finding -> its title for people, of all that an audit may emit."""
    audits = (*LINKED_AUDITS.values(), *all_audits().values())
    return {name: title for audit in audits for name, title in audit.titles.items()}


def thinning(tables: AuditTables, level: Level) -> str:
    """Return the sentence that says how the tables were thinned at a level, "" if they were not."""
    most = MAX_TABLE_ROWS[level]
    if tables.largest <= most:
        return ""
    whole = " and ".join(name for name, audit in all_audits().items() if audit.whole)
    return f"At most {most:,} rows of each table, whole units drawn at random, were audited; {whole} saw all rows."


def left_out(settings: AuditSettings) -> dict[str, str]:
    """Return audit -> what it leaves out in a run; audits that run whole are not named."""
    return {name: text for name, audit in all_audits().items() if (text := audit.omissions(settings))}


def run_audits(tables: AuditTables, settings: AuditSettings, *, progress: AuditProgress | None = None) -> list[Finding]:
    """Return the findings of all audits of a level, or of those named, in the order of `all_audits`.

    An audit that fails or is stopped becomes a finding; see `run_in_order`.

    Guarantee: none; the findings of visibility `officer` are personal data themselves.
    Args:
      tables: the real and the synthetic rows.
      settings: which audits run, and how; each audit gets a stream of randomness of its own.
      progress: called before each audit.
    Raises:
      ConfigError: a name is not in the registry.
    """
    known = all_audits()
    wanted = list(known) if settings.names is None else settings.names
    for name in wanted:
        if name not in known:
            raise ConfigError(f"there is no audit '{name}'; choose from {', '.join(known)}")
    rng, context = np.random.default_rng(settings.seed), AuditContext(settings)
    streams = dict(zip(known, rng.spawn(len(known)), strict=True))
    fewer = tables.thinned(MAX_TABLE_ROWS[settings.level], rng)
    ordered = [audit for name, audit in known.items() if name in wanted and settings.level in audit.levels]

    def run(audit: Audit) -> list[Finding]:
        findings = audit.run(tables if audit.whole else fewer, rng=streams[audit.name], context=context)
        return findings if audit.name in AUDITS else _as_of_outside(audit, findings)

    return run_in_order([(audit, partial(run, audit)) for audit in ordered], progress)


def _as_of_outside(audit: Audit, findings: list[Finding]) -> list[Finding]:
    """Return the findings of an audit of another package: for the officer alone, and under no name but its own.

    Raises:
      ConfigError: it emits a finding that its titles do not announce.
    """
    if not all(isinstance(finding, Finding) and finding.name in audit.titles for finding in findings):
        raise ConfigError(f"the audit '{audit.name}' emits a finding that its titles do not name")
    return [replace(finding, visibility="officer") for finding in findings]

"""The audits of linked tables by name, and the one function that runs them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np

from privsynth.audit.common.running import AuditProgress, run_in_order
from privsynth.audit.common.settings import AuditContext, AuditSettings, Level
from privsynth.audit.linked import fidelity, integrity, linkability, membership, persons
from privsynth.audit.linked.entry import LinkedAudit
from privsynth.audit.linked.linked_tables import LinkedTables
from privsynth.errors import ConfigError
from privsynth.findings.finding import Finding

# Persons on a side that the audits of a level are given; more are thinned, and the report says so (own).
MAX_PERSONS: Mapping[Level, int] = {"quick": 5_000, "standard": 20_000, "deep": 50_000}
# Rows of a table, about: as in `privsynth.audit.registry`, but persons are left out whole.
MAX_ROWS: Mapping[Level, int] = {"quick": 50_000, "standard": 200_000, "deep": 500_000}

# In the order in which they run.
LINKED_AUDITS: dict[str, LinkedAudit] = {
    audit.name: audit
    for audit in (
        integrity.INTEGRITY,
        fidelity.ROWS,
        fidelity.HISTORIES,
        persons.TWO_SAMPLE,
        membership.MEMBERSHIP,
        membership.EPSILON,
        persons.COPIES,
        linkability.LINKABILITY,
    )
}


def linked_left_out(level: Level) -> dict[str, str]:
    """Return audit -> what it leaves out at a level; audits that run whole are not named."""
    return {name: audit.left_out[level] for name, audit in LINKED_AUDITS.items() if level in audit.left_out}


def run_linked_audits(
    tables: LinkedTables, settings: AuditSettings, *, progress: AuditProgress | None = None
) -> list[Finding]:
    """Return the findings of all audits of linked tables, or of those that `settings` names.

    An audit that fails or is stopped becomes a finding; see `run_in_order`.

    Guarantee: none; the findings are personal data themselves.
    Args:
      tables: see `thinned`.
      settings: which audits run, and how; each audit gets a stream of randomness of its own.
      progress: called before each audit.
    Raises:
      ConfigError: a name is not in the registry.
    """
    for name in settings.names or ():
        if name not in LINKED_AUDITS:
            raise ConfigError(f"there is no audit '{name}' of linked tables; choose from {', '.join(LINKED_AUDITS)}")
    rng, context = np.random.default_rng(settings.seed), AuditContext(settings)
    streams = dict(zip(LINKED_AUDITS, rng.spawn(len(LINKED_AUDITS)), strict=True))

    def run(audit: LinkedAudit) -> list[Finding]:
        return audit.run(tables, rng=streams[audit.name], context=context)

    wanted = [audit for name, audit in LINKED_AUDITS.items() if settings.names is None or name in settings.names]
    return run_in_order([(audit, partial(run, audit)) for audit in wanted], progress)


def thinned(tables: LinkedTables, level: Level, rng: np.random.Generator) -> LinkedTables:
    """Return as many persons as the audits of a level are given."""
    return tables.fewer(persons=MAX_PERSONS[level], rows=MAX_ROWS[level], rng=rng)

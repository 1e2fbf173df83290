"""`LinkedAudit`: an entry of the registry of audits of linked tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from privsynth.audit.common.audit import AuditEntry
from privsynth.audit.common.settings import AuditContext
from privsynth.audit.linked.linked_tables import LinkedTables
from privsynth.findings.finding import Finding


class LinkedAuditFunction(Protocol):
    """An audit as a function: persons, randomness and the context of the run in, findings out."""

    def __call__(self, tables: LinkedTables, *, rng: np.random.Generator, context: AuditContext) -> list[Finding]: ...


@dataclass(frozen=True, kw_only=True)
class LinkedAudit(AuditEntry):
    """An audit of linked tables.

    Attributes:
      run: the audit itself.
    """

    run: LinkedAuditFunction

"""The three criteria of WP216: singling out, linkability and inference, each compared with people outside the data.

An attack that works as well on people outside the data shows knowledge about a population, not a leak. So each attack
is run on training rows, on as many holdout rows, and without the release. The finding is the excess.

Source: Article 29 Working Party, Opinion 05/2014 (WP216); the frame of attack, control and naive attacker is that of
Giomi et al. (2023).
"""

from __future__ import annotations

import numpy as np

from privsynth.audit.common.audit import Audit
from privsynth.audit.common.audit_tables import AuditTables
from privsynth.audit.common.settings import AuditContext
from privsynth.audit.disclosure.inference import inference
from privsynth.audit.disclosure.linkability import linkability
from privsynth.audit.disclosure.singling_out import singling_out
from privsynth.findings.finding import Finding


def criteria(tables: AuditTables, *, rng: np.random.Generator, context: AuditContext) -> list[Finding]:
    """Return the excess risk of each criterion; `insufficient` without a holdout. All for the officer."""
    parts = zip((singling_out, linkability, inference), rng.spawn(3), strict=True)
    return [finding for audit, stream in parts for finding in audit(tables, rng=stream, context=context)]


AUDIT = Audit(
    name="criteria",
    family="disclosure",
    run=criteria,
    titles={
        "singling_out": "Singling out a person",
        "linkability": "Linking two parts of a person's record",
        "inference": "Inferring a sensitive value from the nearest synthetic row",
    },
    left_out={"quick": "One sensitive column instead of three; a third of the attacks."},
)

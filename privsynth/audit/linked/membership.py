"""Membership of persons: do the synthetic persons reveal who was in training? The target is a person with all rows.

The attacks are those on single rows, on what sums up a person, and one on histories, event by event. Tests, thresholds
and bounds are those of `privsynth.audit.membership`, so that the promise for a person is what they are judged by.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from privsynth.audit.common.settings import AuditContext
from privsynth.audit.linked.entry import LinkedAudit
from privsynth.audit.linked.history_match import history_scores
from privsynth.audit.linked.linked_tables import LinkedTables
from privsynth.audit.linked.person_rows import of_persons, person_rows
from privsynth.audit.membership import epsilon_lower_bound, membership
from privsynth.audit.membership.attacks import SCORES, AttackScores, attack
from privsynth.findings.finding import Finding

SHADOW = "membership_shadow_auc"  # needs the generator anew, many times
WHO = "A target is a person with all rows: "


def membership_of_persons(tables: LinkedTables, *, rng: np.random.Generator, context: AuditContext) -> list[Finding]:
    """Return the findings of `membership` on persons; no shadow models."""
    _scores(tables, rng, context)
    found = membership.membership(person_rows(tables, context), rng=rng, context=context)
    return [of_persons(finding, tables.root, WHO) for finding in found if finding.name != SHADOW]


def epsilon_of_persons(tables: LinkedTables, *, rng: np.random.Generator, context: AuditContext) -> list[Finding]:
    """Return the lower bounds on epsilon that the same attacks show."""
    _scores(tables, rng, context)
    found = epsilon_lower_bound.epsilon(person_rows(tables, context), rng=rng, context=context)
    return [of_persons(finding, tables.root, WHO) for finding in found]


def _scores(tables: LinkedTables, rng: np.random.Generator, context: AuditContext) -> AttackScores | None:
    """Return the scores of all attacks on persons, and leave them where `attack_scores` finds them."""

    def compute() -> AttackScores | None:
        found = attack(person_rows(tables, context), rng, context)
        if found is None or found.game is None or not tables.children:
            return found
        return replace(found, scores={**found.scores, "histories": history_scores(tables, found.game, rng, context)})

    scores: AttackScores | None = context.once(SCORES, compute)
    return scores


MEMBERSHIP = LinkedAudit(
    name="membership",
    family="membership",
    run=membership_of_persons,
    titles={name: title for name, title in membership.AUDIT.titles.items() if name != SHADOW},
    left_out={
        "quick": "At most 1,000 members and 1,000 non-members are attacked; no Gen-LRA attack, no classifier, "
        "no shadow models.",
        "standard": "No shadow models, and no MAMA-MIA attack.",
        "deep": "No shadow models, and no MAMA-MIA attack.",
    },
)
EPSILON = LinkedAudit(
    name="epsilon", family="membership", run=epsilon_of_persons, titles=epsilon_lower_bound.AUDIT.titles
)

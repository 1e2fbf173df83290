"""Membership inference within protected groups: minorities are often easier to recognise."""

from __future__ import annotations

import numpy as np

from privsynth.audit.common.audit_tables import AuditTables
from privsynth.audit.common.protected_groups import grouping, label_rows
from privsynth.audit.membership.attacks import AttackScores
from privsynth.findings.finding import Finding
from privsynth.findings.insufficient import insufficient, percent
from privsynth.stats.epsilon_bounds import ALPHA
from privsynth.stats.intervals import auc_influence, clopper_pearson, lower_bound, upper_bound

RATE = 0.1  # of false alarms: a lower one would leave too few members of a small group (own)
MIN_MEMBERS = 50  # and as many non-members, as `MIN_ROWS` of a group (own)


def by_group(tables: AuditTables, scores: AttackScores, *, rng: np.random.Generator) -> list[Finding]:
    """Return the share of members recognised at 10 % false alarms, for each group of each protected column.

    One threshold serves all groups, as for an attacker without labels. Attack and threshold are chosen on one half of
    the targets and evaluated on the other.
    """
    first = rng.random(len(scores.member)) < 0.5
    member = scores.member
    if min(int((~member & first).sum()), int((~member & ~first).sum()), int((member & first).sum())) < 1 / RATE:
        return []
    attack = max(scores.scores, key=lambda name: auc_influence(scores.scores[name][first], member[first])[0])
    guess = scores.scores[attack]
    others = np.sort(guess[~member & first])[::-1]
    accused = guess > others[int(RATE * len(others))]
    overall = float(accused[member & ~first].mean()) if (member & ~first).any() else 0.0
    findings = []
    every = [grouping(tables, (column,)) for column in tables.protected]
    tests = sum(len(groups.labels) for groups in every)
    for column, groups in zip(tables.protected, every, strict=True):
        codes = groups.of(label_rows(tables, column, scores.rows))
        for g, label in enumerate(groups.labels):
            own = (codes == g) & ~first
            findings.append(_group(label, accused[own], member[own], attack, overall, tests))
    return findings


def _group(label: str, accused: np.ndarray, member: np.ndarray, attack: str, overall: float, tests: int) -> Finding:
    n, n_others = int(member.sum()), int((~member).sum())
    if min(n, n_others) < MIN_MEMBERS:
        why = f"fewer than {MIN_MEMBERS} members or non-members of this group are counted."
        return insufficient("membership", "membership_tpr_by_group", why, group=label, n=n)
    hits, false = int(accused[member].sum()), int(accused[~member].sum())
    interval = clopper_pearson(hits, n)
    share = ALPHA / tests / 2
    low, chance = lower_bound(hits, n, share), upper_bound(false, n_others, share)
    return Finding.of(
        interval,
        family="membership",
        name="membership_tpr_by_group",
        group=label,
        n=n,
        visibility="officer",
        baseline=overall,
        baseline_label="all targets",
        better="lower",
        verdict="review" if low > max(overall, chance) else "info",
        threshold="no group is recognised more often than all targets together, and than its own false alarms "
        f"explain; alpha = {ALPHA} shared by the {tests} groups of all protected columns",
        meaning=f"Share of the group's members whom the attack '{attack}' recognises, at the threshold that "
        f"{percent(RATE)} of all others pass. In this group {percent(false / n_others)} of the others pass it.",
        source="Clopper & Pearson (1934)",
        detail={"hits": hits, "false_alarms": false, "others": n_others},
    )

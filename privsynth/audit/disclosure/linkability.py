"""Linkability: two sources hold different columns of the same people. Which records belong together?

The records of ten people are cut in two. For one half of a record the attacker picks the other half among the ten: the
pair that is nearest to a synthetic row. A random guess is right in one of ten cases. Ties are broken at random, so that
the order of rows never helps.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from privsynth.audit.common.audit_tables import AuditTables, thin
from privsynth.audit.common.settings import AuditContext, Level
from privsynth.audit.disclosure.attacker_knowledge import SAME, Space, distance_chunks, space_of, usable, with_role
from privsynth.audit.disclosure.excess_risk import Arm, Attack, arm, risk_finding
from privsynth.audit.disclosure.targets import NO_ROWS, AttackTargets, choose_targets
from privsynth.findings.finding import Finding
from privsynth.findings.insufficient import insufficient

CANDIDATES = 10  # halves to pick from: guessing is right in one of ten cases (own)
ROUNDS = 4  # random ways of cutting a record where no quasi-identifier is declared (own)
# People attacked on each side; bounds the time (own).
TARGETS: dict[Level, int] = {"quick": 300, "standard": 1_000, "deep": 3_000}
MEANING = (
    f"Half of a person's record is known, and the other half has to be picked among those of {CANDIDATES} people. "
    "The attacker takes the pair that is nearest to a synthetic row."
)


Cuts = list[tuple[list[str], list[str]]]  # ways to cut a record in two: the columns that are known, and the others


def linkability(tables: AuditTables, *, rng: np.random.Generator, context: AuditContext) -> list[Finding]:
    """Return the excess risk of linking two halves of a record."""
    who = choose_targets(tables, rng=rng, at_most=n_targets(context))
    if who is None:
        return [insufficient("disclosure", "linkability", NO_ROWS)]
    cuts, how = _cuts(tables, rng)
    if not cuts:
        return [insufficient("disclosure", "linkability", "a record of fewer than two columns cannot be cut in two.")]
    return [linking_risk(tables, who, cuts, f"{MEANING} {how}", rng=rng, context=context)]


def n_targets(context: AuditContext) -> int:
    """Return the most people who are attacked on a side."""
    return min(TARGETS[context.settings.level], context.settings.max_targets)


def linking_risk(
    tables: AuditTables,
    who: AttackTargets,
    cuts: Cuts,
    meaning: str,
    *,
    rng: np.random.Generator,
    context: AuditContext,
) -> Finding:
    """Return the excess risk of linking what is known of some people to the rest.

    Args:
      cuts: at least one; each is tried on a part of the people.
      meaning: what the attack does, without figures.
    """
    synthetic = tables.synthetic.iloc[thin(len(tables.synthetic), context.settings.max_rows, rng)]
    space = space_of(tables, context)
    members = _attack(space, cuts, synthetic, who.members, rng)
    others = _attack(space, cuts, synthetic, who.others, rng)
    population = _attack(space, cuts, who.reference, who.others, rng)
    return risk_finding(
        Attack(
            name="linkability",
            group="",
            members=members,
            others=others,
            naive=population.rate,
            naive_label=f"uses {len(who.reference)} real rows of other people in place of the release",
            meaning=meaning,
            source="own; WP216; the risk is that of Giomi et al. (2023)",
            bounded=True,
            detail={"chance": 1 / CANDIDATES, "synthetic_rows": len(synthetic), "cuts": len(cuts)},
        ),
        claimed=context.settings.claimed,
        tests=1,
    )


def _cuts(tables: AuditTables, rng: np.random.Generator) -> tuple[Cuts, str]:
    """Return the ways to cut a record in two, and a sentence on them."""
    columns = usable(tables)
    declared = with_role(tables, "quasi_identifier")
    rest = [name for name in columns if name not in declared]
    if declared and rest:
        return [(declared, rest)], "The cut is between the declared quasi-identifiers and the other columns."
    if len(columns) < 2:
        return [], ""
    halves = []
    for _ in range(ROUNDS):
        mixed = [columns[i] for i in rng.permutation(len(columns))]
        halves.append((mixed[: len(mixed) // 2], mixed[len(mixed) // 2 :]))
    return halves, f"Records are cut at random, in {ROUNDS} ways, each tried on a part of the people."


def _attack(
    space: Space,
    cuts: Cuts,
    base: pd.DataFrame,
    targets: pd.DataFrame,
    rng: np.random.Generator,
) -> Arm:
    """Return how often the right half was picked; attacks in one group of ten are dependent."""
    right: list[np.ndarray] = []
    groups: list[np.ndarray] = []
    at, to = space.points(targets), space.points(base)
    for turn, cut in enumerate(cuts):
        own = np.arange(len(targets))[turn :: len(cuts)]
        own = own[: len(own) // CANDIDATES * CANDIDATES]
        if len(own) == 0:
            continue
        one, two = (space.axes(columns) for columns in cut)
        costs = pair_costs((to[:, one], at[own][:, one]), (to[:, two], at[own][:, two]))
        lots = rng.random(costs.shape)
        picked = np.argmin(np.where(costs <= costs.min(axis=1, keepdims=True) + SAME, lots, 2.0), axis=1)
        right.append(picked == np.arange(len(own)) % CANDIDATES)
        groups.append(len(groups) * len(targets) + np.arange(len(own)) // CANDIDATES)
    return arm(np.concatenate(right), np.concatenate(groups)) if right else Arm(0, 0)


def pair_costs(one: tuple[np.ndarray, np.ndarray], two: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Return (n, 10) squared distances from (first half of i, second half of the j-th of i's group) to the base.

    Args:
      one, two: (base, targets) as points of either half, the n targets in groups of ten.
    """
    costs = np.empty((len(one[1]), CANDIDATES), dtype=np.float32)
    for a, b in zip(
        distance_chunks(*one, multiple=CANDIDATES), distance_chunks(*two, multiple=CANDIDATES), strict=True
    ):
        for i in range(len(a.own)):
            group = slice(i // CANDIDATES * CANDIDATES, i // CANDIDATES * CANDIDATES + CANDIDATES)
            costs[a.rows.start + i] = (b.partial[group] + a.partial[i]).min(axis=1) + a.own[i] + b.own[group]
    return costs

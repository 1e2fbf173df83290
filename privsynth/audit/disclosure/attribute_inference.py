"""Attribute inference: does a model trained on synthetic rows predict members better than other people?

A model trained on the release may well predict a secret: that is what the release is for. If it predicts secrets of
people in the data better than those of others, it leaks. The same model trained on real rows of other people shows what
can be inferred without a release.

Source: research on model-based attribute inference, for example Stadler, Oprisanu & Troncoso (2022).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from privsynth.audit.common.audit import Audit
from privsynth.audit.common.audit_tables import AuditTables, thin
from privsynth.audit.common.predictors import TREES, Task, fit, make_task
from privsynth.audit.common.protected_groups import label_rows
from privsynth.audit.common.settings import AuditContext, Level
from privsynth.audit.disclosure.attacker_knowledge import auxiliary, secrets
from privsynth.audit.disclosure.excess_risk import Attack, arm, risk_finding
from privsynth.audit.disclosure.targets import MIN_SIDE, NO_ROWS, AttackTargets, choose_targets
from privsynth.findings.finding import Finding
from privsynth.findings.insufficient import insufficient

# Synthetic rows that train a model; bounds the time (own).
MAX_TRAIN: dict[Level, int] = {"quick": 2_000, "standard": 8_000, "deep": 20_000}
MAX_GROUPS = 12  # of a protected column, the largest, with a figure each (own)
NAME, BY_GROUP = "attribute_inference", "attribute_inference_by_group"
SOURCE = "own; after Stadler, Oprisanu & Troncoso (2022)"
NAIVE = "trains on real rows of other people in place of the release"


def attribute_inference(tables: AuditTables, *, rng: np.random.Generator, context: AuditContext) -> list[Finding]:
    """Return the excess risk of each secret, and of each protected group; all for the officer."""
    who = choose_targets(tables, rng=rng, at_most=context.settings.max_targets)
    if who is None:
        return [insufficient("disclosure", NAME, NO_ROWS)]
    chosen, why = secrets(tables, context.settings)
    findings: list[Finding] = []
    for secret in chosen:
        findings += _secret(tables, secret, why, who, rng, context, tests=len(chosen))
    return findings


@dataclass(frozen=True, repr=False, eq=False)
class Guesses:
    """(n,) booleans: secrets guessed right for members, for others, and for others without the release."""

    members: np.ndarray
    others: np.ndarray
    naive: np.ndarray


def _secret(
    tables: AuditTables,
    secret: str,
    why: str,
    who: AttackTargets,
    rng: np.random.Generator,
    context: AuditContext,
    *,
    tests: int,
) -> list[Finding]:
    columns, known = auxiliary(tables, secret)
    task = make_task(tables, secret)
    if task is None or not columns:
        return [insufficient("disclosure", NAME, "the column has one value, or nothing else is known.", group=secret)]
    who = _known(who, task)
    if min(len(who.members), len(who.others), len(who.reference)) < MIN_SIDE:
        return [insufficient("disclosure", NAME, "too few people have a known value.", group=secret)]
    most = min(MAX_TRAIN[context.settings.level], context.settings.max_rows)
    found, rows = _guess(_narrow(tables, [*columns, secret]), task, who, most, rng)
    meaning = f"Boosted trees trained on {rows} synthetic rows guess this column of a person. {why} {known}" + (
        " A number is guessed as above or below the median." if task.cut is not None else ""
    )
    findings = [_finding(NAME, secret, found, meaning, context, tests)]
    for column in tables.protected:
        if column != secret:
            findings += _groups(tables, column, secret, who, found, meaning, context)
    return findings


def _known(who: AttackTargets, task: Task) -> AttackTargets:
    """Return the targets whose secret is known."""
    return AttackTargets(*(frame[task.labels(frame) >= 0] for frame in (who.members, who.others, who.reference)))


def _narrow(tables: AuditTables, columns: list[str]) -> AuditTables:
    """Return the tables cut to the known columns and the secret."""
    kept = [name for name in tables.columns if name in columns]
    return AuditTables(train=tables.train[kept], holdout=None, synthetic=tables.synthetic[kept], kinds=tables.kinds)


def _guess(
    tables: AuditTables, task: Task, who: AttackTargets, most: int, rng: np.random.Generator
) -> tuple[Guesses, int]:
    """Return the guesses, and how many synthetic rows trained the model.

    The model without the release is trained on as many rows, or on all that there are.
    """
    synthetic = tables.synthetic.iloc[thin(len(tables.synthetic), most, rng)]
    reference = who.reference.iloc[thin(len(who.reference), most, rng)]
    seed = int(rng.integers(2**31))
    ours = fit(tables, task, TREES, synthetic, seed=seed)
    theirs = fit(tables, task, TREES, reference[tables.columns], seed=seed)
    right = [
        model.predict(frame[tables.columns]).argmax(axis=1) == task.labels(frame)
        for model, frame in ((ours, who.members), (ours, who.others), (theirs, who.others))
    ]
    return Guesses(*right), len(synthetic)


def _groups(
    tables: AuditTables,
    column: str,
    secret: str,
    who: AttackTargets,
    found: Guesses,
    meaning: str,
    context: AuditContext,
) -> list[Finding]:
    """Return the excess risk in each group of a protected column; small groups are listed as insufficient."""
    inside, outside = label_rows(tables, column, who.members), label_rows(tables, column, who.others)
    labels = [str(label) for label in pd.Series(np.concatenate([inside, outside])).value_counts().index[:MAX_GROUPS]]
    findings = []
    for label in labels:
        m, o = inside == label, outside == label
        group = f"{label} · {secret}"
        if min(m.sum(), o.sum()) < MIN_SIDE:
            why = f"the group has fewer than {MIN_SIDE} people on one side."
            findings.append(insufficient("disclosure", BY_GROUP, why, group=group, n=int(m.sum())))
            continue
        part = Guesses(found.members[m], found.others[o], found.naive[o])
        findings.append(_finding(BY_GROUP, group, part, meaning, context, len(labels)))
    return findings


def _finding(name: str, group: str, found: Guesses, meaning: str, context: AuditContext, tests: int) -> Finding:
    attack = Attack(
        name=name,
        group=group,
        members=arm(found.members),
        others=arm(found.others),
        naive=float(found.naive.mean()),
        naive_label=NAIVE,
        meaning=meaning,
        source=SOURCE,
        bounded=True,
        detail={},
    )
    return risk_finding(attack, claimed=context.settings.claimed, tests=tests)


AUDIT = Audit(
    name="attribute_inference",
    family="disclosure",
    run=attribute_inference,
    titles={
        "attribute_inference": "Inferring a sensitive value with a model",
        "attribute_inference_by_group": "Inferring a sensitive value, within a group",
    },
    left_out={"quick": "Only one sensitive column is attacked; models see at most 2,000 rows."},
)

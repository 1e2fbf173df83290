"""Bias: representation of groups, their outcomes, and how a model treats them.

Groups with too few rows are marked 'insufficient', never left out. Protected columns are also crossed in pairs. Nothing
here repairs the data. Attacks within groups are among the membership findings.
"""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
from scipy.special import ndtri

from privsynth.audit.common.audit import Audit
from privsynth.audit.common.audit_tables import AuditTables
from privsynth.audit.common.discretise import Coded
from privsynth.audit.common.jackknife import assign_blocks
from privsynth.audit.common.marginals import coded
from privsynth.audit.common.protected_groups import MIN_ROWS, Grouping, grouping
from privsynth.audit.common.settings import AuditContext, Level
from privsynth.audit.fairness.base_rates import log_ratio, outcomes
from privsynth.audit.fairness.downstream_gaps import downstream
from privsynth.audit.fidelity.association import strength_differences, strengths
from privsynth.audit.fidelity.subgroups import subgroup_fidelity
from privsynth.findings.finding import Finding
from privsynth.findings.group_share import beside_real, effective
from privsynth.findings.insufficient import insufficient
from privsynth.findings.severity import BEYOND, either_way, excess
from privsynth.stats.intervals import Interval, share_difference, wilson

FLAG = math.log(1.25)  # factor 1.25 on shares, after the four-fifths rule of thumb, 29 CFR 1607.4(D) (own)
TWOFOLD = math.log(2)  # a group that is surely halved or doubled fails (own)
# Pairs of protected columns; bounds the time (own).
MAX_CROSSINGS: dict[Level, int] = {"quick": 0, "standard": 3, "deep": 10}
MAX_CELLS = 1 << 15  # bins of a pair of columns; with more, nearly all are empty (own)
WORST_TIES = 5  # columns shown beside the targets (own)
SURE_TO_SHOW = 10  # expected rows of a group that vanished, for a failure: none of 10 has probability e^-10 = 5e-5
PARITY = (
    "share within a factor of 1.25 of the real one, or the difference is within chance (95 %, shared); fail if surely "
    f"halved or doubled; {MIN_ROWS} "
)


def bias(tables: AuditTables, *, rng: np.random.Generator, context: AuditContext) -> list[Finding]:
    """Return representation, outcomes, associations, fidelity and model errors by group.

    The level "quick" crosses no columns.
    """
    if not tables.protected:
        return [insufficient("bias", "representation", "no column has the role 'protected'.")]
    if min(len(tables.train), len(tables.synthetic)) == 0:
        return [insufficient("bias", "representation", "a table has no rows.")]
    codes = coded(tables, context)
    crossings = list(combinations(tables.protected, 2))
    measured = crossings[: MAX_CROSSINGS[context.settings.level]]
    findings: list[Finding] = []
    for columns in [*((name,) for name in tables.protected), *measured]:
        groups = grouping(tables, columns)
        findings += _representation(tables, groups)
        for target in tables.targets:
            if target not in columns:
                findings += outcomes(tables, groups, target, rng=rng)
        if len(columns) == 1:
            findings += _ties(tables, codes, columns[0], rng)
        findings += subgroup_fidelity(tables, codes, groups, rng=rng)
        findings += downstream(tables, groups, rng=rng, context=context)
    for pair in crossings[len(measured) :]:
        level = context.settings.level
        why = f"at the level '{level}' at most {MAX_CROSSINGS[level]} pairs of protected columns are crossed."
        findings.append(insufficient("bias", "representation", why, group=" × ".join(pair)))
    return findings


def _representation(tables: AuditTables, groups: Grouping) -> list[Finding]:
    ours, real = groups.counts("synthetic"), groups.counts("train")
    n_ours = int(ours.sum())
    everybody = np.ones(len(groups.train), dtype=bool)
    z = float(ndtri(1 - 0.025 / len(groups.labels)))
    findings = []
    for g, label in enumerate(groups.labels):
        of_real = effective(groups.train == g, everybody, tables.units("train"))
        own = wilson(int(ours[g]), n_ours)
        share = float(real[g] / len(groups.train))
        ratio = log_ratio((float(ours[g]), float(n_ours)), of_real, z=z)
        verdict, words = _presence((int(ours[g]), n_ours), of_real, ratio)
        findings.append(
            beside_real(
                own,
                share,
                name="representation",
                group=label,
                n=n_ours,
                visibility="officer",
                baseline_label="training rows",
                verdict=verdict,
                threshold=PARITY + "rows on both sides at least; and no group vanishes of which "
                f"{SURE_TO_SHOW} rows were to be expected (own)",
                meaning=words,
                detail={
                    "log_disparity": ratio[0] if ratio else None,
                    "log_disparity_half_width": ratio[1] if ratio else None,
                    "vanished": bool(ours[g] == 0 and real[g] > 0),
                    "column": groups.column,
                    **_apart(ratio),
                },
            )
        )
    return findings


def _apart(ratio: tuple[float, float] | None) -> dict[str, object]:
    """Return how far the logarithm of a ratio (value, half width) lies from zero, to rank groups by."""
    if ratio is None:
        return {}
    value, half = ratio
    return {BEYOND: excess(either_way(Interval(value, value - half, value + half)), TWOFOLD)}


def _presence(ours: tuple[int, int], real: tuple[float, float], ratio: tuple[float, float] | None) -> tuple[str, str]:
    """Return the verdict on a group's share and its meaning, from (rows, all rows) of both tables."""
    words = "Share of the rows that belong to this group."
    if ours[0] == 0 and real[0] > 0:
        expected = real[0] / real[1] * ours[1]
        gone = "This group is in the real rows and has vanished from the synthetic rows. Nothing can be learned about "
        return ("fail" if expected >= SURE_TO_SHOW else "review"), gone + "it from them."
    if real[0] == 0:
        if ours[0] and share_difference(*ours, *real).low > 0:
            return "review", "No real row belongs to this group: the synthetic rows have invented it."
        return "insufficient", words + " No real row belongs to it: too few to say whether it is invented."
    if ratio and abs(ratio[0]) - ratio[1] > TWOFOLD:
        return "fail", words
    if ratio and abs(ratio[0]) > max(FLAG, ratio[1]):
        return "review", words
    if min(ours[0], real[0]) < MIN_ROWS:
        return "insufficient", words + " Too few rows for a verdict."
    return "pass", words


def _ties(tables: AuditTables, codes: Coded, column: str, rng: np.random.Generator) -> list[Finding]:
    """Return the shifts in association of a protected column with every target and the most shifted others."""
    own = codes.columns.index(column)
    others = [i for i in range(len(codes.columns)) if i != own and codes.sizes[own] * codes.sizes[i] <= MAX_CELLS]
    if not others:
        why = "there is no other column, or the columns have too many values."
        return [insufficient("bias", "association_shift", why, group=column)]
    pairs = [(own, i) for i in others]
    units = {"synthetic": np.arange(codes.synthetic.shape[1]), "train": tables.units("train")}
    ours, real = (strengths(getattr(codes, p), codes.sizes, pairs, assign_blocks(u, rng)) for p, u in units.items())
    fresh = None
    if codes.holdout is not None and codes.holdout.shape[1] >= MIN_ROWS:
        fresh = (
            strengths(codes.holdout, codes.sizes, pairs, assign_blocks(tables.units("holdout"), rng))[:, 0] - real[:, 0]
        )
    shifts = strength_differences(ours, real)
    worst = sorted(range(len(pairs)), key=lambda i: -abs(shifts[i].value))[:WORST_TIES]
    targets = [i for i, (_, other) in enumerate(pairs) if codes.columns[other] in tables.targets]
    return [
        _tie(
            f"{column} × {codes.columns[pairs[i][1]]}",
            shifts[i],
            None if fresh is None else float(fresh[i]),
            {"synthetic": float(ours[i, 0]), "train": float(real[i, 0]), "target": i in targets, "of": len(pairs)},
            codes.synthetic.shape[1],
        )
        for i in dict.fromkeys([*targets, *worst])
    ]


def _tie(group: str, shift: Interval, fresh: float | None, detail: dict[str, object], n: int) -> Finding:
    return Finding.of(
        shift.within(-1.0, 1.0),
        family="bias",
        name="association_shift",
        group=group,
        n=n,
        visibility="officer",
        baseline=fresh,
        baseline_label="holdout" if fresh is not None else "",
        better="target",
        meaning="Strength of the association of a protected column with another column (Cramér's V), synthetic minus "
        "real. Above zero the synthetic rows tie the two more than the real ones do, and a column may give the group "
        f"away. Targets, and the most shifted of {detail['of']} columns; the interval allows for the choice.",
        source="Bergsma (2013); delete-a-group jackknife by unit",
        detail=dict(detail),
    )


AUDIT = Audit(
    name="bias",
    family="bias",
    run=bias,
    titles={
        "association_shift": "Shift in the association of group and outcome",
        "bias_amplification": "Bias amplification",
        "equalized_odds_gap": "Equalised odds: gap between groups",
        "worst_group_accuracy": "Accuracy for the group served worst",
        "calibration_by_group": "Calibration error in a group",
        "calibration_gap": "Calibration gap between groups",
        "representation": "Share of each group",
        "base_rate": "Rate of the outcome in each group",
        "base_rate_gap": "Gap in outcome rates between groups",
        "subgroup_fidelity": "Distance within a group",
        "subgroup_fidelity_gap": "Gap in distances between groups",
        "selection_rate": "Selection rate in a group",
        "selection_rate_gap": "Gap in selection rates between groups",
        "true_positive_rate": "True positive rate in a group",
        "true_positive_rate_gap": "Gap in true positive rates between groups",
        "false_positive_rate": "False positive rate in a group",
        "false_positive_rate_gap": "Gap in false positive rates between groups",
    },
    left_out={"quick": "Combinations of protected columns are not examined."},
)

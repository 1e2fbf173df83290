"""Is the membership game fair? Attacks mean something only if members and non-members come from one population.

A *blind* classifier sees the targets' rows, but no synthetic row. If it can tell members from others (because the
holdout is from a later time or another place), any attack can, whatever the generator did.
"""

from __future__ import annotations

import numpy as np

from privsynth.audit.membership.data_only_scores import boosted_scores
from privsynth.findings.finding import Finding
from privsynth.findings.insufficient import insufficient
from privsynth.stats.intervals import auc_interval

CONFIDENCE = 0.99  # two-sided: a fair game is called unfair with probability 0.5 % (own)


def blind_scores(
    points: np.ndarray, member: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return scores and truth of the half of the targets that did not train the blind classifier; None with too few.

    Args:
      points: (n, width) the targets' rows.
      member: (n,) booleans.
    """
    half = rng.random(len(member)) < 0.5
    if min(member[half].sum(), (~member[half]).sum()) < 5 or len(np.unique(member[~half])) < 2:
        return None
    guess = boosted_scores(points[half], member[half].astype(float), points[~half], iterations=40, rng=rng)
    return guess, member[~half]


def is_fair(blind: tuple[np.ndarray, np.ndarray] | None) -> bool:
    """Return whether the blind classifier's AUC is compatible with 0.5 (one-sided test at 0.5 %)."""
    return blind is None or auc_interval(*blind, confidence=CONFIDENCE).low <= 0.5


def blind_finding(blind: tuple[np.ndarray, np.ndarray] | None) -> Finding:
    """Return the finding on the blind classifier."""
    if blind is None:
        return insufficient("membership", "membership_blind_auc", "there are too few targets for the fairness check.")
    interval, fair = auc_interval(*blind), is_fair(blind)
    return Finding.of(
        interval,
        family="membership",
        name="membership_blind_auc",
        n=len(blind[1]),
        visibility="officer",
        baseline=0.5,
        baseline_label="chance",
        better="target",
        verdict="pass" if fair else "review",
        threshold="the 99 % interval must reach down to 0.5 (own)",
        meaning="A classifier that saw no synthetic row tried to tell members from non-members and could not: the "
        "game is fair."
        if fair
        else "A classifier that saw no synthetic row can tell members from non-members. The two groups differ of "
        "themselves (for example in time), so the attacks below overstate or understate.",
    )

"""The most vulnerable targets: rows that are far from all others, by the Achilles score.

A few isolated records carry the risk of a release; an average over everybody hides them.
"""

from __future__ import annotations

import numpy as np

NEIGHBOURS = 5  # k = 5, as in Meeus et al. (2023)
SHARE = 0.1  # of the targets that count as the most vulnerable (own)


def achilles(near: np.ndarray) -> np.ndarray:
    """Return (n,) mean distance of each target to its 5 nearest real rows; larger is more vulnerable.

    The neighbours must not include the target. They come from the reference sample, which has no targets, so the score
    tells nothing about membership, and choosing by it keeps the game fair.

    Args:
      near: (n, k) distances to real rows, nearest first, k at least 1.
    Source: Meeus et al. (2023), Achilles' heels.
    """
    return np.asarray(near[:, :NEIGHBOURS].mean(axis=1))


def most_vulnerable(score: np.ndarray, share: float = SHARE) -> np.ndarray:
    """Return (n,) booleans: the share of targets with the highest score, at least one."""
    count = max(1, round(share * len(score)))
    chosen = np.zeros(len(score), dtype=bool)
    chosen[np.argsort(-score, kind="stable")[:count]] = True
    return chosen

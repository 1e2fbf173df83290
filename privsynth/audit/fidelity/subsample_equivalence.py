"""Subsample equivalence: the synthetic table is as good as a sample of which share of the real rows?

The smaller a sample of the training rows, the further it is from them. The figure is the share at which the mean
distance of a sample equals that of the synthetic rows. Fresh rows of the same population, as many as the training rows,
reach about a third: both samples vary. A copy reaches 1.

Source: own, after the sampling-error equivalence of NIST's SDNist.
"""

from __future__ import annotations

import numpy as np

from privsynth.audit.common.audit_tables import AuditTables
from privsynth.audit.common.discretise import Coded, cell_keys, distances
from privsynth.audit.common.marginals import WAYS, distance_interval
from privsynth.findings.finding import Finding

LEAST_ROWS = 25  # of the smallest sample on the curve (own)
STEPS = 12  # sizes of samples, in equal factors up to half of the rows (own)
DRAWS = 2  # orders of the rows that the curve is averaged over (own)


def subsample_equivalence(
    codes: Coded, tables: AuditTables, marginals: list[tuple[int, ...]], *, rng: np.random.Generator
) -> list[Finding]:
    """Return the share of real rows whose samples are as far from all of them as the synthetic rows are.

    Args:
      codes: of `tables`, row for row.
      marginals: sets of columns, all of the same number.
    """
    n = codes.train.shape[1]
    if n < 2 * LEAST_ROWS:
        return []
    shares, curve = sample_curve(codes.train, codes.sizes, marginals, rng=rng)
    ours = distances(codes.train, codes.synthetic, codes.sizes, marginals)
    interval = distance_interval(ours, tables.units("train"))
    value, low, high = (share_at(d, shares, curve) for d in (interval.value, interval.high, interval.low))
    baseline, size = None, 0
    if codes.holdout is not None:
        size = codes.holdout.shape[1]
        baseline = share_at(distances(codes.train, codes.holdout, codes.sizes, marginals).mean, shares, curve)
    ways = len(marginals[0])
    return [
        Finding(
            family="fidelity",
            name=f"subsample_equivalence_{ways}way",
            value=value,
            low=low,
            high=high,
            n=codes.synthetic.shape[1],
            visibility="officer",
            baseline=baseline,
            baseline_label=f"holdout ({size} rows)" if codes.holdout is not None else "",
            better="higher",
            meaning=f"Over {WAYS[ways]}, the synthetic rows are as near to the training rows as a random sample of "
            f"this share of them, {round(value * n)} rows. Fresh real rows, as many as the training rows, reach about "
            "a third; much more is a sign of copying.",
            source="own, after the sampling-error equivalence of NIST's SDNist",
            detail={"rows": round(value * n), "shares": shares.tolist(), "distances": curve.tolist()},
        )
    ]


def sample_curve(
    train: np.ndarray, sizes: tuple[int, ...], marginals: list[tuple[int, ...]], *, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return (k,) rising shares up to 1 and the (k,) falling mean distances of such samples from all rows.

    Args:
      train: (n_columns, n) codes, n at least 50.
    """
    n = train.shape[1]
    grid = np.unique(np.geomspace(LEAST_ROWS, n / 2, STEPS).astype(int))
    curve = np.zeros(len(grid))
    orders = [rng.permutation(n) for _ in range(DRAWS)]
    for columns in marginals:
        key, cells = cell_keys(train, sizes, columns)
        if cells > n:
            seen, key = np.unique(key, return_inverse=True)
            cells = len(seen)
        whole = np.bincount(key, minlength=cells) / n
        for order in orders:
            shuffled, counts, start = key[order], np.zeros(cells), 0
            for i, size in enumerate(grid):  # samples are nested, so each row is counted once
                counts += np.bincount(shuffled[start:size], minlength=cells)
                start = size
                curve[i] += 0.5 * float(np.abs(counts / size - whole).sum())
    curve /= DRAWS * len(marginals)
    shares = np.append(grid / n, 1.0)
    return shares, np.minimum.accumulate(np.append(curve, 0.0))


def share_at(distance: float, shares: np.ndarray, curve: np.ndarray) -> float:
    """Return the share whose samples are at `distance`; the smallest of `shares` if `distance` is larger still.

    Between points of the curve, the distance is interpolated as proportional to √(1/share - 1), its law for samples
    without replacement.
    """
    if distance >= curve[0]:
        return float(shares[0])
    right = int(np.argmax(curve <= distance))
    left = right - 1
    root = np.sqrt(1 / shares[[left, right]] - 1)
    part = (curve[left] - distance) / (curve[left] - curve[right])
    at = root[0] + part * (root[1] - root[0])
    return float(1 / (1 + at**2))

"""Membership scores from the synthetic rows and a reference sample alone; higher means 'was a member'.

No score depends on who was a member or on other targets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from privsynth.audit.common.audit_tables import AuditTables, thin
from privsynth.audit.common.discretise import encode, fit_coders
from privsynth.audit.common.predictors import one_thread

MAX_PAIRS = 200  # of columns; bounds the time (own)
_CHUNK_CELLS = 1 << 24  # kernel values at once: 64 MiB in single precision (own)
_COPY = 0.01  # distances below it count as none: a number that was moved by a hundredth of its range (own)
_SAME = 1e-6  # distances that differ by less are equal: rounding leaves some 1e-7


def distance(near_s: np.ndarray, near_r: np.ndarray) -> np.ndarray:
    """Return (n,) distance to the nearest reference row minus distance to the nearest synthetic row (calibrated DCR).

    Args:
      near_s, near_r: (n, k) distances to the nearest synthetic and reference rows, nearest first.
    """
    return near_r[:, 0] - near_s[:, 0]


def ratio(near_s: np.ndarray, near_r: np.ndarray) -> np.ndarray:
    """Return (n,) log of the ratio of these two distances, which is high for copies in sparse and dense places."""
    return np.log(near_r[:, 0] + _COPY) - np.log(near_s[:, 0] + _COPY)


def density(near_s: np.ndarray, near_r: np.ndarray) -> np.ndarray:
    """Return (n,) log ratio of the local densities of synthetic and reference rows, by their k-th neighbour.

    Source: DOMIAS, van Breugel et al. (2023), with neighbours instead of kernels.
    """
    return np.log(near_r[:, -1] + _SAME) - np.log(near_s[:, -1] + _SAME)


def plagiarism(near_s: np.ndarray, near_r: np.ndarray, *, n_synthetic: int, n_reference: int) -> np.ndarray:
    """Return (n,) log odds that one of the k nearest rows of both tables is synthetic, against their sizes.

    Rows tied at the k-th distance share the remaining places, so that ties favour no table.

    Source: data plagiarism index, Ward et al. (2024); scaled to tables of different size.
    """
    k = min(near_s.shape[1], near_r.shape[1])
    cut = np.partition(np.concatenate([near_s, near_r], axis=1), k - 1, axis=1)[:, k - 1 : k]
    nearer = [(near < cut - _SAME).sum(axis=1) for near in (near_s, near_r)]
    at = [(np.abs(near - cut) <= _SAME).sum(axis=1) for near in (near_s, near_r)]
    left = (k - nearer[0] - nearer[1]) / np.maximum(at[0] + at[1], 1)
    ours, theirs = nearer[0] + at[0] * left, nearer[1] + at[1] * left
    return np.log((ours + 0.5) / n_synthetic) - np.log((theirs + 0.5) / n_reference)


def gen_lra(s: np.ndarray, r: np.ndarray, x: np.ndarray, at: np.ndarray, *, bandwidth: float) -> np.ndarray:
    """Return (n,) how much likelier the synthetic rows near a target are if the target joins the reference.

    With p0 the kernel density of the reference and p1 that of the reference and the target, both with one fixed
    bandwidth, p1(s) = (|R|·p0(s) + K(s − x)) / (|R| + 1), so that the score needs no density per target:
    Σ over the synthetic rows near x of log[(|R| + K(s − x) / p0(s)) / (|R| + 1)].

    Args:
      s, r, x: (m, w), (|R|, w), (n, w) points.
      at: (n, k) positions in `s` of the rows near each target.
      bandwidth: of the Gaussian kernel; see `kernel_bandwidth`.
    Source: Gen-LRA, Ward et al. (2025); closed form: own.
    """
    used, place = np.unique(at, return_inverse=True)
    place = place.reshape(at.shape)
    near = s[used]
    log_r = np.log(len(r))
    base = _log_kernel_sums(near, r, bandwidth) - log_r
    score = np.zeros(len(x))
    for column in range(at.shape[1]):
        gap = ((near[place[:, column]] - x) ** 2).sum(axis=1)
        log_kernel = -gap / (2 * bandwidth**2)
        score += np.logaddexp(log_r, log_kernel - base[place[:, column]]) - np.log(len(r) + 1)
    return score


def kernel_bandwidth(gaps: np.ndarray) -> float:
    """Return the bandwidth of `gen_lra`: half the median distance of reference rows to the nearest other one.

    Args:
      gaps: (n,) those distances; zeros are ignored.
    """
    positive = gaps[gaps > _SAME]
    return float(max(0.5 * np.median(positive), 0.02)) if len(positive) else 0.02


def _log_kernel_sums(points: np.ndarray, base: np.ndarray, bandwidth: float) -> np.ndarray:
    """Return (n,) log Σ_b exp(−|p − b|² / 2h²), stable where every term underflows."""
    base32 = base.astype(np.float32)
    squares = (base32**2).sum(axis=1)
    out = np.empty(len(points))
    size = max(1, _CHUNK_CELLS // max(1, len(base)))
    for start in range(0, len(points), size):
        part = points[start : start + size].astype(np.float32)
        gap = part @ base32.T
        gap *= -2
        gap += squares
        gap += (part**2).sum(axis=1)[:, None]
        least = np.maximum(gap.min(axis=1), 0.0)
        gap -= least[:, None]
        gap *= np.float32(-1 / (2 * bandwidth**2))
        np.exp(gap, out=gap)
        out[start : start + size] = np.log(gap.sum(axis=1, dtype=np.float64)) - least / (2 * bandwidth**2)
    return out


def marginals(
    tables: AuditTables,
    reference: pd.DataFrame,
    targets: pd.DataFrame,
    rng: np.random.Generator,
    *,
    weights: Mapping[tuple[str, ...], float] | None = None,
) -> np.ndarray:
    """Return (n,) scores from the frequencies, in both tables, of a target's values in marginals.

    Without weights: the mean of log P_synthetic − log P_reference over pairs. With weights (MAMA-MIA): the weighted
    sum of the ratio itself over the marginals that the generator measured, its focal points. Add-one-half smoothing.

    Source: MAMA-MIA, Golob et al. (2024).
    """
    coders = fit_coders(tables, fit="synthetic", bins=20)
    s, r, x = (encode(frame, coders).astype(np.int64) for frame in (tables.synthetic, reference, targets))
    sizes = [coder.size for coder in coders]
    if weights is None:
        d = len(coders)
        pairs: list[tuple[int, ...]] = [(a, b) for a in range(d) for b in range(a + 1, d)] or [(0,)]
        focal: list[tuple[tuple[int, ...], float]] = [(pairs[i], 1.0) for i in thin(len(pairs), MAX_PAIRS, rng)]
    else:
        place = {name: i for i, name in enumerate(tables.columns)}
        focal = [(tuple(place[name] for name in names), weight) for names, weight in weights.items()]
    total = np.zeros(x.shape[1])
    for columns, weight in focal:
        gap = log_ratio(s, r, x, sizes, columns)
        total += weight * (gap if weights is None else np.exp(gap))
    return total / max(sum(weight for _, weight in focal), 1e-12)


def log_ratio(s: np.ndarray, r: np.ndarray, x: np.ndarray, sizes: Sequence[int], columns: Sequence[int]) -> np.ndarray:
    """Return (n,) log P_s − log P_r of the targets' values in one marginal."""
    keys = []
    for part in (s, r, x):
        key = part[columns[0]]
        for column in columns[1:]:
            key = key * sizes[column] + part[column]
        keys.append(key)
    seen, codes = np.unique(np.concatenate(keys), return_inverse=True)
    n_s, n_r = len(keys[0]), len(keys[1])
    cells = codes[n_s + n_r :]
    counts_s = np.bincount(codes[:n_s], minlength=len(seen))[cells]
    counts_r = np.bincount(codes[n_s : n_s + n_r], minlength=len(seen))[cells]
    prior = 0.5 * len(seen)
    return np.log((counts_s + 0.5) / (n_s + prior)) - np.log((counts_r + 0.5) / (n_r + prior))


def classifier(s: np.ndarray, r: np.ndarray, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return (n,) log odds of 'synthetic' by boosted trees trained on synthetic against reference rows (LOGAN)."""
    s = s[thin(len(s), max(4 * len(r), 1_000), rng)]
    y = np.concatenate([np.ones(len(s)), np.zeros(len(r))])
    return boosted_scores(np.concatenate([s, r]), y, x, iterations=80, rng=rng)


def boosted_scores(
    x: np.ndarray, y: np.ndarray, judge: np.ndarray, *, iterations: int, rng: np.random.Generator
) -> np.ndarray:
    """Return (n_judge,) log odds of y = 1 by boosted trees, with equally weighted classes."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    weights = np.where(y == 1, 0.5 / max(1, (y == 1).sum()), 0.5 / max(1, (y == 0).sum())) * len(y)
    model = HistGradientBoostingClassifier(
        max_iter=iterations, early_stopping=False, random_state=int(rng.integers(2**31))
    )
    with one_thread():
        return np.asarray(model.fit(x, y, sample_weight=weights).decision_function(judge))

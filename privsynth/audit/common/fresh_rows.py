"""How much further the synthetic rows are from the training rows than fresh real rows are, and in which entry most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtri

from privsynth.audit.common.audit_tables import AuditTables, thin
from privsynth.audit.common.discretise import DENSE_CELLS, Coded, cell_keys, distances
from privsynth.findings.severity import ALPHA
from privsynth.stats.intervals import Interval, cluster_variance, normal

LEAST_ROWS = 30  # with a value, on either side, to speak of shares among them (own)
MOST_FRESH = 0.5  # distance of fresh rows above which being near says nothing: half of the rows are misplaced (own)
TELLING = 0.1  # by which a share must surely be off to be told: one row in ten (own)


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class FreshRows:
    """Training rows, and equally many synthetic and held-out rows to compare with them.

    Attributes:
      train, synthetic, holdout: (n_columns, n) codes. sizes: number of codes of each column.
      units_train, units_holdout: (n,) unit codes of the real rows; synthetic rows are independent.
    """

    train: np.ndarray
    synthetic: np.ndarray
    holdout: np.ndarray
    sizes: tuple[int, ...]
    units_train: np.ndarray
    units_holdout: np.ndarray

    @classmethod
    def of(cls, codes: Coded, tables: AuditTables, rng: np.random.Generator) -> FreshRows | None:
        """Return the rows of coded tables, cut to equal numbers at random; None without a holdout."""
        if codes.holdout is None:
            return None
        size = min(codes.holdout.shape[1], codes.synthetic.shape[1])
        held, ours = thin(codes.holdout.shape[1], size, rng), thin(codes.synthetic.shape[1], size, rng)
        return cls(
            train=codes.train,
            synthetic=codes.synthetic[:, ours],
            holdout=codes.holdout[:, held],
            sizes=codes.sizes,
            units_train=tables.units("train"),
            units_holdout=tables.units("holdout")[held],
        )

    @property
    def size(self) -> int:
        """Rows of either side."""
        return int(self.holdout.shape[1])

    def beyond(self, marginals: list[tuple[int, ...]], *, confidence: float = 0.95) -> tuple[Interval, float, float]:
        """Return the mean distance of the synthetic rows less that of fresh ones, with its interval; then both."""
        ours = distances(self.train, self.synthetic, self.sizes, marginals)
        real = distances(self.train, self.holdout, self.sizes, marginals)
        variance = (
            cluster_variance(ours.influence_a - real.influence_a, self.units_train)
            + cluster_variance(ours.influence_b)
            + cluster_variance(real.influence_b, self.units_holdout)
        )
        gap = normal(ours.mean - real.mean, variance, confidence=confidence)
        return without_room(gap, real.mean), ours.mean, real.mean


def without_room(beyond: Interval, fresh: float) -> Interval:
    """Return an excess, with an open upper end where fresh rows are so far away that no table could be much further."""
    return beyond if fresh <= MOST_FRESH else Interval(beyond.value, beyond.low, max(beyond.high, 1.0))


def strict(shared: int = 1) -> float:
    """Return the confidence of an interval that a verdict rests on, picked among so many figures."""
    return 1 - ALPHA / max(shared, 1)


def telling_entry(codes: Coded, units: np.ndarray, pair: tuple[int, int]) -> dict[str, Any]:
    """Return the share among the rows with one value that is furthest from the real share, beyond chance.

    Either column may be the one that is given. Intervals allow for the choice among all entries. Empty if no share is
    surely off by `TELLING`.

    Args:
      units: (n,) unit codes of the training rows.
    """
    found: list[tuple[float, dict[str, Any]]] = []
    if codes.sizes[pair[0]] * codes.sizes[pair[1]] > DENSE_CELLS:
        return {}
    for given, of in (pair, pair[::-1]):
        shape = (codes.sizes[given], codes.sizes[of])
        ours, real = (
            np.bincount(key, minlength=cells).reshape(shape)
            for key, cells in (cell_keys(part, codes.sizes, (given, of)) for part in (codes.synthetic, codes.train))
        )
        alike = codes.train.shape[1] / max(len(np.unique(units)), 1)
        if (entry := _furthest(ours, real, alike)) is not None:
            low, a, b = entry
            words = {
                "given": f"{codes.columns[given]} = {codes.labels[given][a]}",
                "of": f"{codes.columns[of]} = {codes.labels[of][b]}",
                "synthetic": float(ours[a, b] / ours[a].sum()),
                "real": float(real[a, b] / real[a].sum()),
                "rows": int(ours[a].sum()),
            }
            found.append((low, words))
    return max(found, key=lambda one: one[0], default=(0.0, {}))[1]


def _furthest(ours: np.ndarray, real: np.ndarray, alike: float) -> tuple[float, int, int] | None:
    """Return the near end of the largest difference of row shares, and where; None if none is surely large.

    Wilson's intervals of both shares, with the difference by Newcombe (1998).
    """
    n_ours, n_real = ours.sum(axis=1), real.sum(axis=1)
    enough = np.flatnonzero((n_ours >= LEAST_ROWS) & (n_real >= LEAST_ROWS * alike))
    if not len(enough):
        return None
    z = float(ndtri(0.5 + strict(ours.size) / 2))
    p, p_low, p_high = _wilson(ours[enough], n_ours[enough, None], z)
    q, q_low, q_high = _wilson(real[enough] / alike, n_real[enough, None] / alike, z)
    above = p - q - np.hypot(p - p_low, q_high - q)
    below = q - p - np.hypot(q - q_low, p_high - p)
    near = np.maximum(above, below)
    a, b = np.unravel_index(int(near.argmax()), near.shape)
    return (float(near[a, b]), int(enough[a]), int(b)) if near[a, b] > TELLING else None


def _wilson(k: np.ndarray, n: np.ndarray, z: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    share = k / n
    centre = (k + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * np.sqrt(k * (n - k) / n + z * z / 4)
    return share, np.maximum(centre - half, 0.0), np.minimum(centre + half, 1.0)

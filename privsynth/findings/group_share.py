"""A share of the synthetic rows, with the same share of the real rows as its baseline, exact or noisy."""

from __future__ import annotations

from typing import Any

import numpy as np

from privsynth.findings.finding import Finding
from privsynth.stats.intervals import Interval, cluster_variance


def beside_real(own: Interval, real: float, **more: Any) -> Finding:
    """Return the finding of a group: the synthetic share with its interval, and the real share as the baseline.

    Args:
      own: share of the synthetic rows.
      real: share of the real rows, exact or noisy.
      more: the other fields of the finding; `name` is "representation" or "base_rate".
    """
    return Finding.of(
        own,
        family="bias",
        baseline=real,
        better="target",
        **more,
    )


def effective(hit: np.ndarray, among: np.ndarray, units: np.ndarray) -> tuple[float, float]:
    """Return effective (k, n) of a share: as many independent rows as have the variance that units give.

    Args:
      hit, among: (n,) booleans; the share is that of `hit` among the rows of `among`.
      units: (n,) codes of rows that may depend on each other.

    Source: the design effect; Kish (1965).
    """
    rows = int(among.sum())
    k = int((hit & among).sum())
    codes = units[among]
    if rows < 2 or k in (0, rows) or len(np.unique(codes)) == rows:
        # A share of 0 or 1 has no variance to compare; its rows count once a unit.
        whole = len(np.unique(codes)) if rows else 0
        return (k / rows * whole if rows else 0.0), float(whole)
    share = k / rows
    spread = cluster_variance(hit[among].astype(float), codes)
    n = min(float(rows), share * (1 - share) / max(spread, 1e-300))
    return share * n, n

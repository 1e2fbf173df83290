"""Single columns: shares of missing values, and the Wasserstein distance of numbers and times."""

from __future__ import annotations

import numpy as np

from privsynth.audit.common.audit_tables import AuditTables, numbers
from privsynth.audit.common.fresh_rows import strict
from privsynth.findings.finding import Finding
from privsynth.findings.group_share import effective
from privsynth.findings.severity import MISPLACED, SHIFTED, either_way, judged
from privsynth.stats.intervals import Interval, cluster_variance, difference, normal, share_difference

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)  # listed in the detail for the reader: median, quartiles, tails


def column_differences(tables: AuditTables) -> list[Finding]:
    """Return the difference of the missing share and, for numbers and times, the Wasserstein distance."""
    findings = []
    for name in tables.columns:
        missing = _missing(tables, name)
        if missing is not None:
            findings.append(missing)
        if tables.is_number(name):
            distance = _wasserstein_finding(tables, name)
            if distance is not None:
                findings.append(distance)
    return findings


def _missing(tables: AuditTables, name: str) -> Finding | None:
    gone = tables.train[name].isna().to_numpy(dtype=bool)
    k_real, n_real = int(gone.sum()), len(gone)
    k_ours, n_ours = int(tables.synthetic[name].isna().sum()), len(tables.synthetic)
    if k_real == k_ours == 0:
        return None
    real = effective(gone, np.ones(n_real, dtype=bool), tables.units("train"))
    interval = share_difference(k_ours, n_ours, *real)
    baseline = None
    if tables.holdout is not None and len(tables.holdout):
        baseline = float(tables.holdout[name].isna().mean()) - k_real / n_real
    finding = Finding.of(
        interval,
        family="fidelity",
        name="missing_share_difference",
        group=name,
        visibility="officer",
        n=n_ours,
        baseline=baseline,
        baseline_label="holdout" if baseline is not None else "",
        better="target",
        meaning="Share of missing values, synthetic minus real.",
        source="Newcombe (1998), by unit",
        detail={"synthetic": k_ours / n_ours, "train": k_real / n_real},
    )
    beyond = share_difference(k_ours, n_ours, *real, confidence=strict(len(tables.columns)))
    return judged(finding, either_way(beyond), MISPLACED)


def wasserstein(
    a: np.ndarray, b: np.ndarray, units_a: np.ndarray | None = None, *, confidence: float = 0.95
) -> Interval:
    """Return the first Wasserstein distance of two samples, with an interval by the infinitesimal jackknife.

    Args:
      a, b: (n,) finite numbers, each with at least one.
      units_a: (n_a,) unit codes of the rows of `a`.
    """
    grid = np.unique(np.concatenate([a, b]))
    if len(grid) < 2:
        return Interval(0.0, 0.0, 0.0)
    width = np.diff(grid)
    cdf_a = np.searchsorted(np.sort(a), grid[:-1], side="right") / len(a)
    cdf_b = np.searchsorted(np.sort(b), grid[:-1], side="right") / len(b)
    gap = cdf_a - cdf_b
    value = float(np.dot(np.abs(gap), width))
    above = np.append(np.cumsum((np.sign(gap) * width)[::-1])[::-1], 0.0)
    pull_a, pull_b = above[np.searchsorted(grid, a)], -above[np.searchsorted(grid, b)]
    return normal(value, cluster_variance(pull_a, units_a) + cluster_variance(pull_b), confidence=confidence, floor=0.0)


def _wasserstein_finding(tables: AuditTables, name: str) -> Finding | None:
    real, ours = numbers(tables.train[name]), numbers(tables.synthetic[name])
    seen = np.isfinite(real)
    units, real, ours = tables.units("train")[seen], real[seen], ours[np.isfinite(ours)]
    if len(real) < 2 or len(ours) < 1 or np.ptp(real) == 0:
        return None
    scale = float(real.std())
    interval = wasserstein(real, ours, units)
    confidence = strict(len(tables.columns))
    beyond, baseline = wasserstein(real, ours, units, confidence=confidence), None
    if tables.holdout is not None:
        fresh = numbers(tables.holdout[name])
        fresh = fresh[np.isfinite(fresh)]
        if len(fresh):
            reached = wasserstein(real, fresh, units, confidence=confidence)
            beyond, baseline = difference(beyond, reached), reached.value / scale
    finding = Finding.of(
        interval.over(scale),
        family="fidelity",
        name="wasserstein",
        group=name,
        visibility="officer",
        n=len(ours),
        baseline=baseline,
        baseline_label="holdout" if baseline is not None else "",
        better="lower",
        meaning="How far values of this column would have to move, on average, to turn the synthetic "
        "column into the real one, in standard deviations of the real column.",
        source="Wasserstein (1969)",
        unit="standard deviations",
        detail={
            "levels": list(QUANTILES),
            "train": [float(q) for q in np.quantile(real, QUANTILES)],
            "synthetic": [float(q) for q in np.quantile(ours, QUANTILES)],
        },
    )
    return judged(finding, beyond.over(scale), SHIFTED)

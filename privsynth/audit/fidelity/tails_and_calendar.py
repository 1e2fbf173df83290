"""What bins do not show: the tails of numbers, and the calendar of times.

Tails are compared at the 1 % and 99 % points of the training rows: where the synthetic points lie, how many rows lie
beyond them, and how far. Times are compared by month, weekday and hour.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri

from privsynth.audit.common.audit_tables import AuditTables, numbers
from privsynth.audit.common.discretise import distances
from privsynth.audit.common.fresh_rows import FreshRows, strict
from privsynth.audit.common.marginals import chance_distances, distance_interval
from privsynth.findings.finding import Finding
from privsynth.findings.severity import MISPLACED, SHIFTED, TAILS, either_way, judged
from privsynth.schema.definition import TIME_KINDS
from privsynth.stats.intervals import Interval, cluster_variance, difference, upper_bound

TAIL = 0.01  # share of the values on either side: the 1 % and the 99 % point (own)
LEAST_ROWS = 200  # values of a column: two are then expected in a tail (own)
MOST_COLUMNS = 40  # findings of a kind that are kept, the worst (own)
_Z = 1.959963984540054  # 97.5 % point of the normal: two-sided 95 %
# Part of the calendar -> how many values it has, and how it is read.
_PARTS: dict[str, tuple[int, Callable[[pd.Series], pd.Series]]] = {
    "month": (12, lambda times: times.dt.month - 1),
    "weekday": (7, lambda times: times.dt.weekday),
    "hour": (24, lambda times: times.dt.hour),
}


def shapes(tables: AuditTables, *, rng: np.random.Generator) -> list[Finding]:
    """Return the differences in the tails of numeric columns and in the calendar of times, worst first."""
    tails: dict[str, list[Finding]] = {"quantile_error": [], "tail_share": [], "tail_weight": []}
    calendar = []
    for name in tables.columns:
        if not tables.is_number(name):
            continue
        if tables.kinds.get(name) in TIME_KINDS:
            calendar += _calendar(tables, name, rng)
        for finding in _tails(tables, name):
            tails[finding.name].append(finding)
    findings = []
    for found in (*tails.values(), calendar):
        findings += sorted(found, key=_badness)[:MOST_COLUMNS]
    return findings


def _badness(finding: Finding) -> float:
    """Return a sort key, worst first: distance from the baseline over width of the interval."""
    target = 1.0 if finding.name == "tail_weight" else 0.0
    return -abs((finding.value or 0.0) - target) / max((finding.high or 0.0) - (finding.low or 0.0), 1e-12)


def _column(tables: AuditTables, name: str, part: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the finite numbers of a column, and the units of their rows (None for the synthetic rows)."""
    frame = {"train": tables.train, "holdout": tables.holdout, "synthetic": tables.synthetic}[part]
    if frame is None:
        return np.zeros(0), None
    cells = numbers(frame[name])
    seen = np.isfinite(cells)
    return cells[seen], None if part == "synthetic" else tables.units(part)[seen]


def _tails(tables: AuditTables, name: str) -> list[Finding]:
    (real, units), (ours, _), (fresh, _) = (_column(tables, name, part) for part in ("train", "synthetic", "holdout"))
    if min(len(real), len(ours)) < LEAST_ROWS or real.std() == 0:
        return []
    has_fresh = len(fresh) >= LEAST_ROWS
    points = np.quantile(real, [TAIL, 1 - TAIL], method="inverted_cdf")
    findings = []
    for share, point in zip((TAIL, 1 - TAIL), points, strict=True):
        findings.append(_quantile_error(tables, name, share, point))
        beyond = [c < point if share < 0.5 else c > point for c in (ours, real, fresh)]
        if not (beyond[0].any() or beyond[1].any()):
            continue
        gap = mean_difference(beyond[0], beyond[1], units)
        findings.append(
            Finding.of(
                gap,
                name="tail_share",
                group=f"{name} ({'below' if share < 0.5 else 'above'} the {100 * share:g} % point)",
                baseline=float(beyond[2].mean() - beyond[1].mean()) if has_fresh else None,
                meaning=f"Share of values beyond the real {100 * share:g} % point, synthetic minus real. Below zero "
                "the tail is too thin.",
                source="own; infinitesimal jackknife by unit",
                detail={"synthetic": float(beyond[0].mean()), "train": float(beyond[1].mean())},
                **_shared(ours, has_fresh),
            )
        )
    weight = _tail_weight(tables, name, points)
    return findings if weight is None else [*findings, weight]


def _quantile_error(tables: AuditTables, name: str, share: float, point: float) -> Finding:
    """Return where the synthetic quantile lies, seen from the real one at `point`."""
    (real, units), (ours, _), (fresh, _) = (_column(tables, name, part) for part in ("train", "synthetic", "holdout"))
    scale, has_fresh = float(real.std()), len(fresh) >= LEAST_ROWS
    finding = Finding.of(
        quantile_difference(ours, real, share, units).over(scale),
        name="quantile_error",
        group=f"{name} ({100 * share:g} % point)",
        baseline=float(np.quantile(fresh, share, method="inverted_cdf") - point) / scale if has_fresh else None,
        meaning=f"Where {100 * share:g} % of the values lie below, synthetic minus real, in standard deviations of the "
        "real column.",
        source="Woodruff (1952), by unit; difference: Zou & Donner (2008)",
        unit="standard deviations",
        **_shared(ours, has_fresh),
    )
    surely = quantile_difference(ours, real, share, units, z=_strict_z(tables)).over(scale)
    return judged(finding, either_way(surely), SHIFTED)


def _shared(ours: np.ndarray, has_fresh: bool) -> dict[str, Any]:
    return {
        "family": "fidelity",
        "visibility": "officer",
        "n": len(ours),
        "baseline_label": "holdout" if has_fresh else "",
        "better": "target",
    }


def _strict_z(tables: AuditTables) -> float:
    """Return the standard deviations of an interval that a verdict rests on; every column has two tails."""
    return float(ndtri(0.5 + strict(2 * len(tables.columns)) / 2))


def quantile_interval(cells: np.ndarray, share: float, units: np.ndarray | None = None, *, z: float = _Z) -> Interval:
    """Return a quantile of (n,) numbers, with an interval from the sampling error of its share.

    Needs no density and allows ties. Source: Woodruff (1952); units enter by the variance of the share.
    """
    value = float(np.quantile(cells, share, method="inverted_cdf"))
    spread = math.sqrt(max(cluster_variance((cells <= value).astype(float), units), share * (1 - share) / len(cells)))
    ends = np.clip([share - z * spread, share + z * spread], 0.0, 1.0)
    low, high = np.quantile(cells, ends, method="inverted_cdf")
    return Interval(value, min(value, float(low)), max(value, float(high)))


def quantile_difference(
    ours: np.ndarray, real: np.ndarray, share: float, units: np.ndarray | None = None, *, z: float = _Z
) -> Interval:
    """Return quantile(ours) - quantile(real) with an interval. Source: Zou & Donner (2008), the recovered variance."""
    return difference(quantile_interval(ours, share, z=z), quantile_interval(real, share, units, z=z))


def mean_difference(ours: np.ndarray, real: np.ndarray, units: np.ndarray | None = None) -> Interval:
    """Return mean(ours) - mean(real) of two samples; rows of `real` with one unit code may depend on each other.

    A variance of three rows is added, so that the interval stays open where a share is 0 or 1.
    """
    value = float(np.mean(ours) - np.mean(real))
    variance = cluster_variance(np.asarray(ours, dtype=float)) + cluster_variance(np.asarray(real, dtype=float), units)
    bounded = np.asarray(ours).dtype == bool
    slack = 3 / len(ours) ** 2 + 3 / len(real) ** 2 if bounded else 0.0
    half = _Z * math.sqrt(variance + slack)
    return Interval(value, value - half, value + half)


def _tail_weight(tables: AuditTables, name: str, points: np.ndarray) -> Finding | None:
    """Return the mean distance beyond the two tail points, synthetic divided by real."""
    (real, units), (ours, _), (fresh, _) = (_column(tables, name, part) for part in ("train", "synthetic", "holdout"))
    excess = [np.maximum(c - points[1], 0) + np.maximum(points[0] - c, 0) for c in (ours, real, fresh)]
    if excess[1].mean() == 0:
        return None
    ratio = mean_ratio(excess[0], excess[1], units)
    has_fresh = len(fresh) >= LEAST_ROWS
    finding = Finding.of(
        ratio,
        family="fidelity",
        name="tail_weight",
        group=name,
        visibility="officer",
        n=len(ours),
        baseline=1.0,
        baseline_label="as heavy as the real tails",
        better="target",
        meaning="How far values lie beyond the real 1 % and 99 % points, on average, as a multiple of the real "
        "column's. Below 1 the extremes are missing.",
        source="mean excess; Embrechts, Klüppelberg & Mikosch (1997), chapter 6",
        detail=({"holdout": float(excess[2].mean() / excess[1].mean())} if has_fresh else {})
        | ({} if tables.kinds.get(name) in TIME_KINDS else {"usual": [float(point) for point in points]}),
    )
    beyond = mean_ratio(excess[0], excess[1], units, z=_strict_z(tables))
    return judged(finding, either_way(_logarithm(beyond)), TAILS)


def _logarithm(ratio: Interval) -> Interval:
    """Return the natural logarithm of a ratio; that of zero is taken at its upper end, the least that can be said."""
    low, value, high = (math.log(max(end, ratio.high if ratio.value == 0 else 0.0, 1e-9)) for end in _ends(ratio))
    return Interval(value, low, high)


def _ends(interval: Interval) -> tuple[float, float, float]:
    return interval.low, interval.value, interval.high


def mean_ratio(ours: np.ndarray, real: np.ndarray, units: np.ndarray | None = None, *, z: float = _Z) -> Interval:
    """Return mean(ours) / mean(real) of non-negative numbers; `real` has a mean above zero.

    The interval is symmetric on the log scale. If no row of `ours` is above zero, its upper end is the exact bound of
    the share of such rows (97.5 % at z = 1.96), divided by the real share.
    """
    below = float(real.mean())
    value = float(ours.mean()) / below
    if value == 0:
        return Interval(0.0, 0.0, upper_bound(0, len(ours), float(ndtr(-z))) / float(np.mean(real > 0)))
    variance = cluster_variance(ours) / float(ours.mean()) ** 2 + cluster_variance(real, units) / below**2
    factor = math.exp(min(z * math.sqrt(variance), 700.0))
    return Interval(value, value / factor, value * factor)


def _calendar(tables: AuditTables, name: str, rng: np.random.Generator) -> list[Finding]:
    findings = []
    frames = [tables.train[name], tables.synthetic[name], None if tables.holdout is None else tables.holdout[name]]
    for part, (size, read) in _PARTS.items():
        codes = [_calendar_codes(series, read) for series in frames if series is not None]
        seen = [np.flatnonzero(c >= 0) for c in codes]
        if min(len(seen[0]), len(seen[1])) < LEAST_ROWS:
            return []
        real, ours = codes[0][None, seen[0]], codes[1][None, seen[1]]
        if part == "hour" and not real.any() and not ours.any():
            continue
        chance = chance_distances(real, ours, (size,), [(0,)], rng=rng, draws=3).mean()
        found = distances(real, ours, (size,), [(0,)])
        interval = distance_interval(found, tables.units("train")[seen[0]])
        fresh = codes[2][None, seen[2]] if len(codes) > 2 and len(seen[2]) >= LEAST_ROWS else None
        bound = float(chance) if fresh is None else distances(real, fresh, (size,), [(0,)]).mean
        one = Finding.of(
            interval,
            family="fidelity",
            name="calendar_distance",
            group=f"{name} ({part})",
            visibility="officer",
            n=len(seen[1]),
            baseline=bound,
            baseline_label="sampling alone" if fresh is None else "holdout",
            better="lower",
            meaning=f"Share of rows that would have to change their {part} for the synthetic counts of each "
            f"{part} to equal the real ones.",
            detail={"sampling_alone": float(chance)},
        )
        findings.append(
            judged(one, _calendar_excess(tables, (real, ours, fresh), seen, float(chance), size), MISPLACED)
        )
    return findings


def _calendar_excess(
    tables: AuditTables,
    codes: tuple[np.ndarray, np.ndarray, np.ndarray | None],
    seen: list[np.ndarray],
    chance: float,
    size: int,
) -> Interval:
    """Return the distance of a calendar part beyond that of fresh rows, or beyond chance."""
    real, ours, fresh = codes
    confidence = strict(len(_PARTS) * len(tables.columns))
    units = tables.units("train")[seen[0]]
    if fresh is None:
        found = distance_interval(distances(real, ours, (size,), [(0,)]), units, confidence=confidence)
        return Interval(found.value - chance, found.low - chance, found.high - chance)
    rows = FreshRows(
        train=real,
        synthetic=ours,
        holdout=fresh,
        sizes=(size,),
        units_train=units,
        units_holdout=tables.units("holdout")[seen[2]],
    )
    return rows.beyond([(0,)], confidence=confidence)[0]


def _calendar_codes(series: pd.Series, read: Callable[[pd.Series], pd.Series]) -> np.ndarray:
    """Return (n,) codes of a calendar part, -1 where the time is missing."""
    return np.asarray(read(series).fillna(-1).to_numpy(dtype=np.int64))

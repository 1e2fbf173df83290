"""Calibration by group: if a model trained on synthetic rows says 30 %, is it 30 % in every group?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from privsynth.audit.common.protected_groups import MIN_ROWS, Grouping
from privsynth.findings.finding import Finding
from privsynth.findings.insufficient import insufficient
from privsynth.stats.intervals import Interval, cluster_variance, normal

BINS = 10  # of equally many rows: deciles, as is usual for this figure
TOLERANCE = 0.05  # 5 points more than the model trained on real rows (own)
SOURCE = "expected calibration error; Naeini et al. (2015); infinitesimal jackknife by unit"


@dataclass(frozen=True, repr=False, eq=False)
class CalibrationError:
    """The expected calibration error of (n,) probabilities.

    Attributes:
      value: mean over bins of |mean probability - rate of the outcome|, weighted by rows.
      influence: (n,) influence of each row.
      chance: expected value for a perfectly calibrated model with as many rows.
      lean: mean probability - rate; above zero, the outcome is overestimated.
      lean_influence: (n,).
    """

    value: float
    influence: np.ndarray
    chance: float
    lean: float
    lean_influence: np.ndarray


def calibration_error(probability: np.ndarray, y: np.ndarray) -> CalibrationError:
    """Return the calibration error over ten bins of about equally many rows.

    Args:
      probability: (n,) of the outcome; y: (n,) outcomes 0/1; at least one row.
    """
    n = len(y)
    edges = np.unique(np.quantile(probability, np.linspace(0, 1, BINS + 1)[1:-1]))
    bins = np.searchsorted(edges, probability, side="right")
    error = probability - y
    sums = np.bincount(bins, weights=error)
    spread = np.bincount(bins, weights=probability * (1 - probability))
    chance = float(np.sqrt(2 / np.pi * spread).sum() / n)
    pull = np.sign(sums)[bins] * error
    return CalibrationError(float(np.abs(sums).sum() / n), pull, chance, float(error.mean()), error)


def calibration(
    groups: Grouping,
    event: str,
    outcomes: tuple[np.ndarray, dict[str, np.ndarray]],
    rows: tuple[np.ndarray, np.ndarray],
) -> list[Finding]:
    """Return the calibration error in each group, with that of a model trained on real rows, and the gap.

    Args:
      event: the outcome in words.
      outcomes: (n,) 0/1, and "synthetic" and "real" -> (n,) probabilities of the model trained on either table.
      rows: (n,) group numbers and (n,) unit codes.
    """
    (y, scores), (member, units) = outcomes, rows
    findings = []
    found: dict[str, dict[str, tuple[CalibrationError, float]]] = {"synthetic": {}, "real": {}}
    for g, label in enumerate(groups.labels):
        own = member == g
        n = int(own.sum())
        if n < MIN_ROWS:
            why = f"{n} holdout rows of this group are known; {MIN_ROWS} are needed."
            findings.append(insufficient("bias", "calibration_by_group", why, group=f"{label} · {event}", n=n))
            continue
        for part, guess in scores.items():
            error = calibration_error(guess[own], y[own])
            found[part][label] = (error, cluster_variance(error.influence, units[own]))
        ours, real = (found[part][label][0] for part in ("synthetic", "real"))
        findings.append(_one(f"{label} · {event}", ours, real, units[own]))
    if len(found["synthetic"]) < 2:
        why = f"fewer than two groups have {MIN_ROWS} holdout rows."
        return [*findings, insufficient("bias", "calibration_gap", why, group=f"{groups.column} · {event}")]
    return [*findings, _gap(f"{groups.column} · {event}", found, len(y))]


def _one(group: str, ours: CalibrationError, real: CalibrationError, units: np.ndarray) -> Finding:
    interval = normal(ours.value, cluster_variance(ours.influence, units), floor=0.0)
    more = normal(ours.value - real.value, cluster_variance(ours.influence - real.influence, units))
    lean = normal(ours.lean, cluster_variance(ours.lean_influence, units))
    way = "over" if lean.low > 0 else "under" if lean.high < 0 else ""
    return Finding.of(
        interval.within(high=1.0),
        family="bias",
        name="calibration_by_group",
        group=group,
        n=len(units),
        visibility="officer",
        baseline=real.value,
        baseline_label="model trained on real rows",
        better="lower",
        verdict="review" if more.low > TOLERANCE else "pass",
        threshold=f"not further off than the model trained on real rows by more than {TOLERANCE} (95 %, own)",
        meaning="How far the probabilities of a model trained on synthetic rows are from the rates among the real "
        f"people of this group. A perfect model would show {ours.chance:.3f} by chance."
        + (f" On the whole the outcome is {way}estimated in this group." if way else ""),
        source=SOURCE,
        detail={
            "chance": ours.chance,
            "lean": ours.lean,
            "lean_low": lean.low,
            "lean_high": lean.high,
            "change": more.value,
            "change_low": more.low,
            "change_high": more.high,
        },
    )


def _gap(group: str, found: dict[str, dict[str, tuple[CalibrationError, float]]], n: int) -> Finding:
    """Return the gap: worst minus best group, each less the error by chance at its size."""
    gaps: dict[str, tuple[Interval, str]] = {}
    for part, groups in found.items():
        beyond = {label: error.value - error.chance for label, (error, _) in groups.items()}
        worst, best = max(beyond, key=lambda k: beyond[k]), min(beyond, key=lambda k: beyond[k])
        pairs = len(beyond) * (len(beyond) - 1) / 2
        variance = groups[worst][1] + groups[best][1]
        gaps[part] = (
            normal(beyond[worst] - beyond[best], variance, floor=0.0, confidence=1 - 0.05 / pairs),
            worst,
        )
    ours, real = gaps["synthetic"][0], gaps["real"][0]
    return Finding.of(
        ours,
        family="bias",
        name="calibration_gap",
        group=group,
        n=n,
        visibility="officer",
        baseline=real.value,
        baseline_label="model trained on real rows",
        better="lower",
        verdict="review" if ours.low > real.high + TOLERANCE else "pass",
        threshold=f"above the interval of the model trained on real rows by no more than {TOLERANCE} (95 %, own)",
        meaning="How much worse the probabilities of a model trained on synthetic rows are for the worst group than "
        "for the best, beyond what their sizes explain. The interval allows for the choice of the two.",
        source=SOURCE,
        detail={"worst": gaps["synthetic"][1]},
    )

"""Downstream gaps: how models trained on synthetic and on real rows treat groups of real people."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from privsynth.audit.common.audit_tables import AuditTables
from privsynth.audit.common.predictors import TREES, HoldoutPredictions, Task, holdout_predictions
from privsynth.audit.common.protected_groups import MIN_ROWS, Grouping
from privsynth.audit.common.settings import AuditContext
from privsynth.audit.fairness.calibration import calibration
from privsynth.findings.finding import Finding
from privsynth.findings.group_share import effective
from privsynth.findings.insufficient import insufficient
from privsynth.stats.intervals import wilson
from privsynth.stats.prediction_metrics import with_draws

DRAWS = 200  # of the bootstrap over units: 5 lie beyond either end of a 95 % interval (own)
TOLERANCE = 0.05  # 5 points more than the model trained on real rows (own)
MEANINGS = {
    "selection_rate": "Share of the group for which the model says yes.",
    "true_positive_rate": "Share of the group's true cases that the model finds.",
    "false_positive_rate": "Share of the group's other members that the model wrongly takes for cases.",
    "accuracy": "Share of the group for which the model is right.",
}
SHOWN = ("selection_rate", "true_positive_rate", "false_positive_rate")
SOURCE = "fairlearn; Hardt et al. (2016); bootstrap over units of the holdout, and over training draws"


def downstream(
    tables: AuditTables, groups: Grouping, *, rng: np.random.Generator, context: AuditContext
) -> list[Finding]:
    """Return, for each target, rates by group, their gaps, the worst group's accuracy, and calibration by group."""
    findings: list[Finding] = []
    for target in tables.targets:
        if target in groups.columns:
            continue
        found = holdout_predictions(tables, target, rng=rng, context=context)
        if found is None or len(found.y) < MIN_ROWS:
            why = f"needs at least {MIN_ROWS} holdout rows and a target with two values."
            name = f"{groups.column} · {target}"
            findings.append(insufficient("bias", "selection_rate_gap", why, group=name))
            continue
        case = _Case.of(tables, groups, found)
        findings += _rates(case)
        findings += _gaps(case, rng)
        scores = {part: guess[TREES][:, case.positive] for part, guess in found.parts().items()}
        findings += calibration(groups, case.event, (case.y, scores), (case.member, case.units))
    return findings


@dataclass(frozen=True, repr=False, eq=False)
class _Case:
    """A binary outcome for one grouping.

    Attributes:
      groups: the grouping. event: the outcome in words. positive: its class.
      y, member, units: (n,) outcomes 0/1, group numbers and unit codes of the holdout rows.
      said: "synthetic" and "real" -> (1 + draws, n) 0/1 predictions: of the model, then of its bootstrap models.
      shrink: "synthetic" and "real" -> factor from the variance over draws to that of a whole table.
    """

    groups: Grouping
    event: str
    positive: int
    y: np.ndarray
    member: np.ndarray
    units: np.ndarray
    said: dict[str, np.ndarray]
    shrink: dict[str, float]

    @classmethod
    def of(cls, tables: AuditTables, groups: Grouping, found: HoldoutPredictions) -> _Case:
        assert isinstance(found.task, Task)
        positive = 1 if len(found.task.classes) == 2 else 0
        said = {}
        for part, guess in found.parts().items():
            every = np.concatenate(
                [guess[TREES][None], *([found.draws[part].predictions[TREES]] if found.n_draws else [])]
            )
            said[part] = (every.argmax(axis=2) == positive).astype(np.int64)
        return cls(
            groups,
            found.task.event(positive),
            positive,
            (found.y == positive).astype(np.int64),
            groups.holdout[found.rows],
            np.unique(tables.units("holdout")[found.rows], return_inverse=True)[1],
            said,
            {part: draws.shrink for part, draws in found.draws.items()},
        )

    @property
    def size(self) -> int:
        """Number of groups."""
        return len(self.groups.labels)

    def counts(self, part: str, draw: int = 0, weights: np.ndarray | None = None) -> np.ndarray:
        """Return (groups, 2, 2) weighted counts by outcome and prediction."""
        cell = (self.member * 2 + self.y) * 2 + self.said[part][draw]
        return np.bincount(cell, weights=weights, minlength=self.size * 4).reshape(-1, 2, 2)


def rate_parts(metric: str, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (groups,) numerators and denominators of a rate, from (groups, 2, 2) counts by outcome and prediction."""
    if metric == "selection_rate":
        return counts[:, :, 1].sum(axis=1), counts.sum(axis=(1, 2))
    if metric == "accuracy":
        return counts[:, 0, 0] + counts[:, 1, 1], counts.sum(axis=(1, 2))
    row = 1 if metric == "true_positive_rate" else 0
    return counts[:, row, 1], counts[:, row].sum(axis=1)


def _among(metric: str, y: np.ndarray) -> np.ndarray:
    """Return the (n,) mask of the rows over which a rate is taken."""
    if metric == "true_positive_rate":
        return np.asarray(y == 1)
    return np.asarray(y == 0) if metric == "false_positive_rate" else np.ones(len(y), dtype=bool)


def _rate(metric: str, counts: np.ndarray, enough: np.ndarray) -> np.ndarray:
    hits, rows = rate_parts(metric, counts)
    return np.asarray(hits[enough] / np.maximum(rows[enough], 1e-12))


def _rates(case: _Case) -> list[Finding]:
    from fairlearn.metrics import MetricFrame, false_positive_rate, selection_rate, true_positive_rate

    metrics = dict(zip(SHOWN, (selection_rate, true_positive_rate, false_positive_rate), strict=True))
    frames = {
        part: MetricFrame(metrics=metrics, y_true=case.y, y_pred=said[0], sensitive_features=case.member).by_group
        for part, said in case.said.items()
    }
    counts = case.counts("synthetic")
    findings = []
    for metric in SHOWN:
        rows = rate_parts(metric, counts)[1]
        for g, label in enumerate(case.groups.labels):
            group, n = f"{label} · {case.event}", int(rows[g])
            if n < MIN_ROWS:
                why = f"{n} holdout rows of this group count for this rate; {MIN_ROWS} are needed."
                findings.append(insufficient("bias", metric, why, group=group, n=n))
                continue
            among = (case.member == g) & _among(metric, case.y)
            interval = wilson(*effective(case.said["synthetic"][0] == 1, among, case.units))
            findings.append(
                Finding(
                    family="bias",
                    name=metric,
                    group=group,
                    value=float(frames["synthetic"].loc[g, metric]),
                    low=interval.low,
                    high=interval.high,
                    n=n,
                    visibility="officer",
                    baseline=float(frames["real"].loc[g, metric]),
                    baseline_label="model trained on real rows",
                    better="target",
                    meaning=f"{MEANINGS[metric]} The model was trained on synthetic rows and judged on real ones.",
                    source="fairlearn; Hardt et al. (2016)",
                    detail={"model": TREES},
                )
            )
    return findings


def _gaps(case: _Case, rng: np.random.Generator) -> list[Finding]:
    """Return the gaps of the rates, equalised odds, and the worst group's accuracy."""
    whole = case.counts("synthetic")
    enough = {metric: rate_parts(metric, whole)[1] >= MIN_ROWS for metric in MEANINGS}
    odds = enough["true_positive_rate"] & enough["false_positive_rate"]
    plans: list[tuple[str, str, np.ndarray, Callable[[np.ndarray], float]]] = [
        (f"{metric}_gap", MEANINGS[metric], enough[metric], _spread(metric, enough[metric])) for metric in SHOWN
    ]
    plans.append(
        (
            "equalized_odds_gap",
            "The larger of the gaps in the share of true cases found and in the share of others wrongly taken.",
            odds,
            lambda counts: max(_spread(metric, odds)(counts) for metric in SHOWN[1:]),
        )
    )
    samples = _samples(case, rng)
    findings = [_gap(case, name, words, kept, figure, samples) for name, words, kept, figure in plans]
    return [*findings, _worst(case, enough["accuracy"], samples)]


def _spread(metric: str, enough: np.ndarray) -> Callable[[np.ndarray], float]:
    return lambda counts: float(np.ptp(_rate(metric, counts, enough)))


def _samples(case: _Case, rng: np.random.Generator) -> dict[str, list[np.ndarray]]:
    """Return the counts of either model on the same DRAWS holdouts, made of whole units drawn with replacement."""
    n_units = int(case.units.max()) + 1
    samples: dict[str, list[np.ndarray]] = {part: [] for part in case.said}
    for _ in range(DRAWS):
        weights = np.bincount(rng.integers(0, n_units, n_units), minlength=n_units)[case.units].astype(float)
        for part in case.said:
            samples[part].append(case.counts(part, weights=weights))
    return samples


@dataclass(frozen=True)
class _Compared:
    """A figure of the model trained on synthetic rows, of that trained on real rows, and their difference."""

    ours: float
    low: float
    high: float
    real: float
    change: tuple[float, float, float]


def _compare(case: _Case, figure: Callable[[np.ndarray], float], samples: dict[str, list[np.ndarray]]) -> _Compared:
    """Return a figure with intervals: bootstrap variance over holdout units plus the variance over training draws."""
    value = {part: figure(case.counts(part)) for part in case.said}
    drawn = {
        part: (np.array([figure(case.counts(part, d)) for d in range(1, len(said))]), case.shrink[part])
        for part, said in case.said.items()
    }
    boot = {part: np.array([figure(counts) for counts in found]) for part, found in samples.items()}
    own = with_draws(value["synthetic"], float(np.var(boot["synthetic"])), [drawn["synthetic"]])
    variance = float(np.var(boot["synthetic"] - boot["real"]))
    change = with_draws(value["synthetic"] - value["real"], variance, list(drawn.values()))
    low, high = max(0.0, own.low), min(1.0, own.high)
    return _Compared(own.value, low, high, value["real"], (change.value, change.low, change.high))


def _gap(
    case: _Case,
    name: str,
    words: str,
    enough: np.ndarray,
    figure: Callable[[np.ndarray], float],
    samples: dict[str, list[np.ndarray]],
) -> Finding:
    group = f"{case.groups.column} · {case.event}"
    if enough.sum() < 2:
        why = f"fewer than two groups have {MIN_ROWS} holdout rows for this rate."
        return insufficient("bias", name, why, group=group)
    found = _compare(case, figure, samples)
    return Finding(
        family="bias",
        name=name,
        group=group,
        value=found.ours,
        low=found.low,
        high=found.high,
        n=len(case.y),
        visibility="officer",
        baseline=found.real,
        baseline_label="model trained on real rows",
        better="lower",
        verdict="review" if found.change[1] > TOLERANCE else "pass",
        threshold=f"the gap may not exceed that of the model trained on real rows by more than {TOLERANCE} (95 %, own)",
        meaning=f"Difference between the groups with the highest and the lowest rate. {words} The baseline is the same "
        f"model trained on real rows. {int(enough.sum())} of {case.size} groups have enough rows.",
        source=SOURCE,
        detail={"change": found.change[0], "change_low": found.change[1], "change_high": found.change[2]},
    )


def _worst(case: _Case, enough: np.ndarray, samples: dict[str, list[np.ndarray]]) -> Finding:
    group = f"{case.groups.column} · {case.event}"
    if not enough.any():
        why = f"no group has {MIN_ROWS} holdout rows."
        return insufficient("bias", "worst_group_accuracy", why, group=group)
    found = _compare(case, lambda counts: float(_rate("accuracy", counts, enough).min()), samples)
    rates = _rate("accuracy", case.counts("synthetic"), enough)
    return Finding(
        family="bias",
        name="worst_group_accuracy",
        group=group,
        value=found.ours,
        low=found.low,
        high=found.high,
        n=len(case.y),
        visibility="officer",
        baseline=found.real,
        baseline_label="model trained on real rows",
        better="higher",
        verdict="review" if found.change[2] < -TOLERANCE else "pass",
        threshold=f"the worst group may not be served worse by more than {TOLERANCE} than by the model trained on real "
        "rows (95 %, own)",
        meaning="How often a model trained on synthetic rows is right for the group that it serves worst. "
        f"{int(enough.sum())} of {case.size} groups have enough rows.",
        source=SOURCE,
        detail={
            "worst": [label for label, kept in zip(case.groups.labels, enough, strict=True) if kept][
                int(rates.argmin())
            ],
            "change": found.change[0],
            "change_low": found.change[1],
            "change_high": found.change[2],
        },
    )

"""Utility: does a model trained on synthetic rows predict real ones as well as one trained on real rows?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from privsynth.audit.common.audit import Audit
from privsynth.audit.common.audit_tables import AuditTables
from privsynth.audit.common.predictors import MODELS, HoldoutPredictions, NumberTask, Task, holdout_predictions
from privsynth.audit.common.settings import AuditContext
from privsynth.audit.utility.feature_importance import importance_agreement
from privsynth.findings.finding import Finding
from privsynth.findings.insufficient import insufficient
from privsynth.stats.intervals import cluster_variance
from privsynth.stats.prediction_metrics import Measure, macro_auc, r2, rare_classes, rare_precision, rmse, with_draws

MIN_ROWS = 30  # of the holdout (own)


@dataclass(frozen=True)
class _Metric:
    """A metric, its finding names and its description."""

    name: str
    gap: str
    measure: Measure
    better: Literal["higher", "lower"]
    words: str
    bounded: bool
    unit: str = ""


_AUC = _Metric(
    "utility_auc",
    "utility_gap",
    macro_auc,
    "higher",
    "How well a model trained on synthetic rows ranks real people by this target (AUROC, the mean over classes if "
    "there are more than two; 0.5 is guessing, 1 is perfect).",
    True,
)
_PRECISION = _Metric(
    "utility_average_precision",
    "utility_average_precision_gap",
    rare_precision,
    "higher",
    "How many of the people that a model trained on synthetic rows names are true cases of the rare outcome, on "
    "average over all lengths of its list (average precision; guessing gives the share of cases).",
    True,
)
_R2 = _Metric(
    "utility_r2",
    "utility_r2_gap",
    r2,
    "higher",
    "Share of the variance of this number among real people that a model trained on synthetic rows explains (R²; 0 is "
    "no better than the mean, below 0 worse).",
    False,
)
_RMSE = _Metric(
    "utility_rmse",
    "utility_rmse_gap",
    rmse,
    "lower",
    "Typical error of a model trained on synthetic rows when it predicts this number for real people, in standard "
    "deviations of the real column.",
    False,
    "standard deviations",
)


def utility(tables: AuditTables, *, rng: np.random.Generator, context: AuditContext) -> list[Finding]:
    """Return, for each target, how well models of two families trained on synthetic rows predict the holdout.

    Classes by AUROC and, where a class is rare, average precision; numbers by R² and RMSE. The baseline is the same
    model trained on real rows. The level "quick" has no bootstrap samples and no importance of columns.
    """
    if not tables.targets:
        return [insufficient("utility", "utility_auc", "no column has the role 'target', so nothing was predicted.")]
    findings = []
    for target in tables.targets:
        if tables.holdout is None or len(tables.holdout) < MIN_ROWS:
            why = f"needs a holdout of at least {MIN_ROWS} real rows that were kept out of training."
            findings.append(insufficient("utility", "utility_auc", why, group=target))
            continue
        found = holdout_predictions(tables, target, rng=rng, context=context, as_number=True)
        if found is None:
            found = holdout_predictions(tables, target, rng=rng, context=context)
        if found is None or len(np.unique(found.y)) < 2:
            why = "the target has fewer than two different values in the real rows."
            findings.append(insufficient("utility", "utility_auc", why, group=target))
            continue
        units = tables.units("holdout")[found.rows]
        for scale in _scales(found):
            for model in MODELS:
                findings += _compare(found, scale, model, units)
        if context.settings.level != "quick":
            findings += importance_agreement(tables, found, rng=rng)
    return findings


def _scales(found: HoldoutPredictions) -> tuple[_Metric, ...]:
    if isinstance(found.task, NumberTask):
        return (_R2, _RMSE)
    return (_AUC, _PRECISION) if rare_classes(found.y, len(found.task.classes)) else (_AUC,)


def _compare(found: HoldoutPredictions, scale: _Metric, model: str, units: np.ndarray) -> list[Finding]:
    ours, pull_ours = scale.measure(found.synthetic[model], found.y)
    real, pull_real = scale.measure(found.real[model], found.y)
    drawn = {
        part: (np.array([scale.measure(p, found.y)[0] for p in draws.predictions[model]]), draws.shrink)
        for part, draws in found.draws.items()
    }
    interval = with_draws(ours, cluster_variance(pull_ours, units), [drawn["synthetic"]], bounded=scale.bounded)
    sign = 1 if scale.better == "higher" else -1
    loss = with_draws(sign * (real - ours), cluster_variance(pull_real - pull_ours, units), list(drawn.values()))
    group = f"{found.task.target} ({model})"
    detail = _detail(found, scale, model, drawn["synthetic"][0])
    covers = (
        "The interval covers the choice of test rows and of training rows."
        if len(drawn["synthetic"][0]) > 1
        else "The interval covers the choice of test rows, not a second draw of synthetic rows."
    )
    shared = {"group": group, "n": len(found.y), "detail": detail, "unit": scale.unit}
    source = "train on synthetic, test on real: Esteban et al. (2017); influence of rows, by unit; draws by bootstrap"
    return [
        Finding.of(
            interval,
            family="utility",
            name=scale.name,
            visibility="officer",
            baseline=real,
            baseline_label="trained on real rows",
            better=scale.better,
            meaning=f"{scale.words} The baseline is the same model trained on real rows. {covers}",
            source=source,
            **shared,  # type: ignore[arg-type]
        ),
        Finding.of(
            loss,
            family="utility",
            name=scale.gap,
            visibility="officer",
            baseline=0.0,
            baseline_label="no loss",
            better="lower",
            meaning=f"What is lost by training on synthetic instead of real rows, on the scale of "
            f"{scale.name.removeprefix('utility_').replace('_', ' ')}. {covers}",
            source=source,
            **shared,  # type: ignore[arg-type]
        ),
    ]


def _detail(found: HoldoutPredictions, scale: _Metric, model: str, drawn: np.ndarray) -> dict[str, Any]:
    detail: dict[str, Any] = {"target": found.task.target, "model": model, "draws": drawn.tolist()}
    if isinstance(found.task, Task):
        classes = len(found.task.classes)
        detail["classes"] = classes
        if scale is _PRECISION:
            detail["guessing"] = float(np.mean([np.mean(found.y == c) for c in rare_classes(found.y, classes)]))
    return detail


AUDIT = Audit(
    name="utility",
    family="utility",
    run=utility,
    titles={
        "utility_average_precision": "Finding rare cases (average precision)",
        "utility_average_precision_gap": "Utility lost for rare cases",
        "utility_r2": "Predicting a number (R²)",
        "utility_r2_gap": "Utility lost for a number (R²)",
        "utility_rmse": "Predicting a number (typical error)",
        "utility_rmse_gap": "Utility lost for a number (typical error)",
        "importance_agreement": "Do the same columns matter to a model?",
        "utility_auc": "Trained on synthetic, tested on real (AUROC)",
        "utility_gap": "Utility lost, compared with training on real rows",
    },
    left_out={"quick": "Models see at most 10,000 rows; no bootstrap samples; no comparison of feature importance."},
)

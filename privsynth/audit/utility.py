"""Utility: does a model trained on the synthetic rows serve on real ones as well as one trained on real rows?"""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from privsynth.audit.finding import Finding
from privsynth.audit.intervals import Interval, auc_influence, cluster_variance, normal
from privsynth.audit.learners import MODELS, Judged, judged
from privsynth.audit.tables import AuditSettings, AuditTables
from privsynth.audit.wording import insufficient

MIN_ROWS = 30


def utility(tables: AuditTables, *, rng: np.random.Generator, settings: AuditSettings) -> list[Finding]:
    """Return the AUROC on the holdout of two kinds of models trained on synthetic rows, and the gap to real
    ones.
    """
    if not tables.targets:
        return [insufficient("utility", "utility_auc", "no column has the role 'target', so nothing was predicted.")]
    findings = []
    for target in tables.targets:
        if tables.holdout is None or len(tables.holdout) < MIN_ROWS:
            why = f"needs a holdout of at least {MIN_ROWS} real rows that were kept out of training."
            findings.append(insufficient("utility", "utility_auc", why, group=target))
            continue
        found = judged(tables, target, rng=rng, settings=settings)
        if found is None or len(np.unique(found.y)) < 2:
            why = "the target has fewer than two different values in the real rows."
            findings.append(insufficient("utility", "utility_auc", why, group=target))
            continue
        units = tables.units("holdout")[found.rows]
        for model in MODELS:
            findings += _compare(found, model, units)
    return findings


def macro_auc(probabilities: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the AUROC (mean of one class against the rest if there are more than two) and its row
    influences.

    Args:
      probabilities: (n, n_classes); y: (n,) true classes, at least two different ones.
    """
    classes = np.unique(y)
    classes = classes[-1:] if len(classes) == 2 else classes
    parts = [auc_influence(probabilities[:, c], y == c) for c in classes]
    return float(np.mean([auc for auc, _ in parts])), np.mean([influence for _, influence in parts], axis=0)


def _logit_interval(auc: float, influence: np.ndarray, units: np.ndarray) -> Interval:
    if not 0 < auc < 1:
        return Interval(auc, auc, auc)
    half = 1.959963984540054 * math.sqrt(cluster_variance(influence, units)) / (auc * (1 - auc))
    centre = float(special.logit(auc))
    return Interval(auc, min(auc, float(special.expit(centre - half))), max(auc, float(special.expit(centre + half))))


def _compare(found: Judged, model: str, units: np.ndarray) -> list[Finding]:
    ours, pull_ours = macro_auc(found.synthetic[model], found.y)
    real, pull_real = macro_auc(found.real[model], found.y)
    interval = _logit_interval(ours, pull_ours, units)
    gap = normal(real - ours, cluster_variance(pull_real - pull_ours, units))
    group = f"{found.task.target} ({model})"
    source = "train on synthetic, test on real: Esteban et al. (2017); interval: DeLong et al. (1988), by unit"
    detail = {"target": found.task.target, "model": model, "classes": len(found.task.classes)}
    return [
        Finding(
            family="utility",
            name="utility_auc",
            group=group,
            value=interval.value,
            low=interval.low,
            high=interval.high,
            n=len(found.y),
            visibility="officer",
            baseline=real,
            baseline_label="trained on real rows",
            better="higher",
            meaning="How well a model trained on synthetic rows ranks real people by this target (AUROC; "
            "0.5 is guessing, 1 is perfect). The baseline is the same model trained on real rows.",
            source=source,
            detail=detail,
        ),
        Finding(
            family="utility",
            name="utility_gap",
            group=group,
            value=gap.value,
            low=gap.low,
            high=gap.high,
            n=len(found.y),
            visibility="officer",
            baseline=0.0,
            baseline_label="no loss",
            better="lower",
            meaning="What is lost by training on synthetic instead of real rows, in AUROC. The interval "
            "covers the choice of test rows, not a second draw of synthetic rows.",
            source=source,
            detail=detail,
        ),
    ]

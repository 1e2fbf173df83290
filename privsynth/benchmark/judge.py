"""Evaluation of a benchmark: figures of a synthetic table, by the definitions of the audit.

    acc1, acc2, acc3   1 − mean total variation distance over single columns, pairs, and 200 fixed triples of columns;
                       numbers in deciles of the training rows (`privsynth.audit.common.discretise`)
    tstr:COLUMN        AUROC on the holdout of boosted trees trained on the synthetic rows; mean of one class against
                       the rest; a number is split at its median (`privsynth.audit.common.predictors`)
    ap:COLUMN          average precision of the same trees for the rare classes, where there are any
    r2:COLUMN          for numbers: R² on the holdout of boosted trees trained on the synthetic rows
    c2st               AUROC of boosted trees that tell synthetic from holdout rows, cross-fitted; 0.5 is best
                       (`privsynth.audit.fidelity.two_sample_test`)

Real rows evaluated in the same way are the ceiling: the holdout in place of the synthetic rows for acc, the training
rows for the others.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from privsynth.audit.common.audit_tables import AuditTables, thin
from privsynth.audit.common.discretise import discretise, distances
from privsynth.audit.common.marginals import choose_marginals
from privsynth.audit.common.predictors import TREES, fit, make_number_task, make_task
from privsynth.audit.fidelity.two_sample_test import tell_apart
from privsynth.progress import Progress, no_progress
from privsynth.stats.prediction_metrics import macro_auc, r2, rare_classes, rare_precision

MAX_MARGINALS = {1: 2_000, 2: 1_500, 3: 200}  # single columns, pairs and triples; bounds the time (own)
APART_ROWS = 10_000  # a side, as at the level "standard" of the audit
LEAST_ROWS = 20  # of each table, to tell two apart (own)


def judge(tables: AuditTables, *, max_rows: int, progress: Progress = no_progress) -> dict[str, float]:
    """Return the figures of the synthetic rows, cut to as many as there are training rows.

    Guarantee: none; every figure is exact, about real rows.
    Args:
      tables: with a holdout of at least one row.
      max_rows: at most this many rows of a table train a model.
    """
    kept = thin(len(tables.synthetic), len(tables.train), np.random.default_rng(0))  # more rows must be no advantage
    tables = replace(tables, synthetic=tables.synthetic.iloc[kept].reset_index(drop=True))
    progress("judging: marginals", 0.0)
    found = accuracy(tables)
    for target in tables.targets:
        progress(f"judging: models of {target}", 0.0)
        found |= usefulness(tables, target, max_rows=max_rows)
    progress("judging: told apart", 0.0)
    return found | told_apart(tables)


def ceiling(tables: AuditTables, *, max_rows: int, progress: Progress = no_progress) -> dict[str, float]:
    """Return the figures of real rows; `tables.synthetic` is not used."""
    assert tables.holdout is not None
    progress("judging: real rows", 0.0)
    found = accuracy(replace(tables, synthetic=tables.holdout))
    real = replace(tables, synthetic=tables.train)
    for target in tables.targets:
        found |= usefulness(real, target, max_rows=max_rows)
    return found | told_apart(real)


def accuracy(tables: AuditTables) -> dict[str, float]:
    """Return acc1, acc2 and acc3, as far as there are columns; the marginals are the same in every run."""
    coded = discretise(replace(tables, holdout=None))
    found = {}
    for ways in range(1, min(3, len(coded.columns)) + 1):
        chosen = choose_marginals(len(coded.columns), ways, np.random.default_rng(ways), MAX_MARGINALS[ways])
        found[f"acc{ways}"] = 1.0 - distances(coded.train, coded.synthetic, coded.sizes, chosen).mean
    return found


def usefulness(tables: AuditTables, target: str, *, max_rows: int) -> dict[str, float]:
    """Return how well models trained on the synthetic rows predict a target of the holdout; {} if none can."""
    judged = tables.holdout
    assert judged is not None
    rows = tables.synthetic.iloc[thin(len(tables.synthetic), max_rows, np.random.default_rng(1))]
    found = {}
    task = make_task(tables, target)
    if task is not None:
        labels = task.labels(judged)
        known = task.known(labels)
        y = labels[known]
        if len(np.unique(y)) >= 2:
            probabilities = fit(tables, task, TREES, rows, seed=0).predict(judged[known])
            found[f"tstr:{target}"] = macro_auc(probabilities, y)[0]
            if rare_classes(y, len(task.classes)):
                found[f"ap:{target}"] = rare_precision(probabilities, y)[0]
    number = make_number_task(tables, target)
    if number is not None:
        values = number.labels(judged)
        known = number.known(values)
        if len(np.unique(values[known])) >= 2:
            predicted = fit(tables, number, TREES, rows, seed=0).predict(judged[known])
            found[f"r2:{target}"] = r2(predicted, values[known])[0]
    return found


def told_apart(tables: AuditTables) -> dict[str, float]:
    """Return c2st: how well trees tell synthetic rows from the holdout; {} for too few rows."""
    assert tables.holdout is not None
    size = min(len(tables.holdout), len(tables.synthetic), APART_ROWS)
    if size < LEAST_ROWS:
        return {}
    rng = np.random.default_rng(2)
    real, ours = (frame.iloc[thin(len(frame), size, rng)] for frame in (tables.holdout, tables.synthetic))
    return {"c2st": tell_apart(tables, real, ours, np.arange(2 * size), rng=rng).auc}

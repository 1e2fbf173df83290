"""The judge of a benchmark: a handful of figures for a synthetic table, by the definitions of the audit.

    acc1, acc2, acc3   1 − mean total variation distance over single columns, pairs, and 200 fixed triples of columns;
                       numbers in deciles of the training rows (`privsynth.audit.codes`)
    tstr:COLUMN        AUROC on the holdout of boosted trees trained on the synthetic rows; mean of one class against
                       the rest; a number is split at its median (`privsynth.audit.learners`)
    r2:COLUMN          for numbers: R² on the holdout of boosted trees trained on the synthetic rows
    c2st               AUROC of boosted trees that tell synthetic from holdout rows, in 5 folds; 0.5 is best

Real rows judged in the same way give the ceiling: the holdout in place of the synthetic rows for acc and c2st (against
training rows), the training rows in place of the synthetic ones for tstr and r2.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from privsynth.audit.codes import discretise, distances
from privsynth.audit.fidelity import MAX_MARGINALS, choose_marginals
from privsynth.audit.learners import fit_and_score, make_task, one_thread
from privsynth.audit.tables import AuditTables, numbers, texts, thin
from privsynth.audit.utility import macro_auc
from privsynth.generators.encoded import Progress, no_progress

C2ST_ROWS = 10_000
MAX_LEVELS = 200
FEW_VALUES = 20
MIN_CLASS_ROWS = 5  # of each of two classes, for five folds
TREES = "boosted trees"


def judge(tables: AuditTables, *, max_rows: int, progress: Progress = no_progress) -> dict[str, float]:
    """Return the figures of the synthetic rows, cut to as many as there are training rows.

    Guarantee: none; every figure is exact, about real rows.
    Args:
      tables: with a holdout of at least one row.
      max_rows: at most this many rows of a table train a model.
    """
    tables = _cut(tables, len(tables.train))
    progress("judging: marginals", 0.0)
    found = accuracy(tables)
    for target in tables.targets:
        progress(f"judging: models of {target}", 0.0)
        found |= usefulness(tables, target, max_rows=max_rows)
    progress("judging: told apart", 0.0)
    apart = told_apart(tables.holdout, tables)
    return found if apart is None else found | {"c2st": apart}


def ceiling(tables: AuditTables, *, max_rows: int, progress: Progress = no_progress) -> dict[str, float]:
    """Return the figures of real rows; `tables.synthetic` is not looked at."""
    assert tables.holdout is not None
    progress("judging: real rows", 0.0)
    found = accuracy(replace(tables, synthetic=tables.holdout))
    real = replace(tables, synthetic=tables.train)
    for target in tables.targets:
        found |= usefulness(real, target, max_rows=max_rows)
    apart = told_apart(tables.holdout, real)
    return found if apart is None else found | {"c2st": apart}


def _cut(tables: AuditTables, n_rows: int) -> AuditTables:
    """Return the tables with at most n_rows synthetic rows: a larger table must not be flattered."""
    kept = thin(len(tables.synthetic), n_rows, np.random.default_rng(0))
    return replace(tables, synthetic=tables.synthetic.iloc[kept].reset_index(drop=True))


def accuracy(tables: AuditTables) -> dict[str, float]:
    """Return acc1, acc2 and acc3; as many as there are columns. The marginals are the same in every run."""
    coded = discretise(replace(tables, holdout=None))
    found = {}
    for ways in range(1, min(3, len(coded.columns)) + 1):
        chosen = choose_marginals(len(coded.columns), ways, np.random.default_rng(ways), MAX_MARGINALS[ways])
        found[f"acc{ways}"] = 1.0 - distances(coded.train, coded.synthetic, coded.sizes, chosen).mean
    return found


def usefulness(tables: AuditTables, target: str, *, max_rows: int) -> dict[str, float]:
    """Return how well models trained on the synthetic rows predict a target of the holdout; nothing if none can."""
    task, judged = make_task(tables, target), tables.holdout
    assert judged is not None
    if task is None:
        return {}
    y = task.labels(judged)
    known = np.flatnonzero(y >= 0)
    known = known[thin(len(known), max_rows, np.random.default_rng(1))]
    rows = tables.synthetic.iloc[thin(len(tables.synthetic), max_rows, np.random.default_rng(2))]
    rows = _without_empty_numbers(rows, tables, target)
    found: dict[str, float] = {}
    if len(np.unique(y[known])) >= 2:
        probabilities = fit_and_score(tables, task, TREES, train_on=rows, judge=judged.iloc[known], seed=0)
        found[f"tstr:{target}"] = macro_auc(probabilities, y[known])[0]
    if tables.is_number(target) and tables.train[target].nunique() > FEW_VALUES:
        found[f"r2:{target}"] = _r_squared(tables, target, rows, judged.iloc[known])
    return found


def _without_empty_numbers(rows: pd.DataFrame, tables: AuditTables, target: str) -> pd.DataFrame:
    """Return the rows with a constant where a number is missing in all of them: trees cannot bin such a column."""
    lines = [n for n in tables.columns if tables.is_number(n) and n != target]
    empty = [n for n in lines if not np.isfinite(numbers(rows[n])).any()]
    return rows.assign(**dict.fromkeys(empty, 0.0))


def _r_squared(tables: AuditTables, target: str, rows: pd.DataFrame, judged: pd.DataFrame) -> float:
    """Return R² on `judged` of trees trained on `rows`; a model that cannot be trained predicts nothing: R² of 0."""
    from sklearn.ensemble import HistGradientBoostingRegressor
    from sklearn.metrics import r2_score

    others = [n for n in tables.columns if n != target]
    y = numbers(rows[target])
    usable = np.isfinite(y)
    if usable.sum() < 2 or not others:
        return 0.0
    train, test = _features([rows[usable], judged], tables, others)
    model = HistGradientBoostingRegressor(
        max_iter=150, early_stopping=False, random_state=0, categorical_features="from_dtype"
    )
    with one_thread():
        predicted = model.fit(train, y[usable]).predict(test)
    return float(r2_score(numbers(judged[target]), predicted))


def told_apart(real: pd.DataFrame | None, tables: AuditTables) -> float | None:
    """Return the AUROC of trees that tell `tables.synthetic` from `real`; None for too few rows."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import cross_val_predict

    assert real is not None
    size = min(len(real), len(tables.synthetic), C2ST_ROWS)
    if size < MIN_CLASS_ROWS:
        return None
    rng = np.random.default_rng(3)
    sides = [frame.iloc[thin(len(frame), size, rng)] for frame in (real, tables.synthetic)]
    x = pd.concat(_features(sides, tables, tables.columns), ignore_index=True)
    y = np.repeat([0, 1], size)
    model = HistGradientBoostingClassifier(max_iter=100, random_state=0, categorical_features="from_dtype")
    with one_thread():
        probabilities = cross_val_predict(model, x, y, cv=5, method="predict_proba")
    return float(roc_auc_score(y, probabilities[:, 1]))


def _features(frames: list[pd.DataFrame], tables: AuditTables, names: list[str]) -> list[pd.DataFrame]:
    """Return frames for trees: numbers, and categories of the 200 most frequent levels of the training rows."""
    out: list[dict[str, object]] = [{} for _ in frames]
    for name in names:
        if tables.is_number(name):
            for columns, frame in zip(out, frames, strict=True):
                columns[name] = numbers(frame[name])
            continue
        words, missing = texts(tables.train[name])
        levels = pd.Series(words[~missing], dtype=object).value_counts().index[:MAX_LEVELS]
        for columns, frame in zip(out, frames, strict=True):
            words, missing = texts(frame[name])
            columns[name] = pd.Categorical(pd.Series(words, dtype=object).mask(missing), categories=levels)
    return [pd.DataFrame(columns) for columns in out]

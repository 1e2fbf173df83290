"""A two-sample classifier: can a model tell the synthetic rows from the holdout, and by which columns?

Compared with the holdout, not with training rows, so that a copy looks real, as it is. The baseline is the same
classifier on training rows against the holdout, with as many rows each: what a perfect release would reach.

Source: Lopez-Paz & Oquab (2017); permutation importance: Breiman (2001); propensity error: Snoke et al. (2018).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from privsynth.audit.common.audit import Audit
from privsynth.audit.common.audit_tables import AuditTables, thin
from privsynth.audit.common.fresh_rows import strict
from privsynth.audit.common.predictors import one_thread, tree_points
from privsynth.audit.common.settings import AuditContext, Level
from privsynth.findings.finding import Finding
from privsynth.findings.insufficient import insufficient
from privsynth.findings.severity import TOLD_APART, judged
from privsynth.stats.intervals import auc_influence, cluster_variance, normal
from privsynth.stats.prediction_metrics import with_draws

FOLDS = 3  # of the cross-fit: two thirds of the rows train (own)
MIN_ROWS = 100  # of each table (own)
ROWS: dict[Level, int] = {"quick": 3_000, "standard": 10_000, "deep": 40_000}  # of each table; bounds the time (own)
SHOWN = 20  # columns with a figure of their own (own)
DROP_ROWS = 2_000  # of a fold whose columns are shuffled; bounds the time (own)
TREES = 60  # of the classifier; bounds the time (own)
SOURCE = "Lopez-Paz & Oquab (2017); DeLong et al. (1988) by unit and fold"


def two_sample(tables: AuditTables, *, rng: np.random.Generator, context: AuditContext) -> list[Finding]:
    """Return the AUROC of telling synthetic from held-out rows, and the contribution of each column, largest first."""
    n_holdout = 0 if tables.holdout is None else len(tables.holdout)
    size = min(n_holdout, len(tables.synthetic), ROWS[context.settings.level], context.settings.max_rows)
    if tables.holdout is None or size < MIN_ROWS or not tables.columns:
        why = f"needs at least {MIN_ROWS} held-out rows, {MIN_ROWS} synthetic ones and a column."
        return [insufficient("fidelity", "c2st_auroc", why)]
    held = thin(n_holdout, size, rng)
    fresh, units = tables.holdout.iloc[held], tables.units("holdout")[held]
    ours = tables.synthetic.iloc[thin(len(tables.synthetic), size, rng)]
    found = tell_apart(tables, fresh, ours, units, rng=rng, drops=True)
    baseline = None
    if len(tables.train) >= MIN_ROWS:
        real = thin(len(tables.train), size, rng)
        codes = np.concatenate([units, tables.units("train")[real] + units.max() + 1])
        baseline = tell_apart(tables, fresh, tables.train.iloc[real], codes, rng=rng)
    return [_overall(found, baseline, size), *_columns(tables.columns, found, size)]


@dataclass(frozen=True, repr=False, eq=False)
class TwoSampleResult:
    """Result of a cross-fitted classifier of two tables.

    Attributes:
      auc: mean over folds of the AUROC on the fold that was left out.
      influence: (n,) influence of each row on it.
      propensity_error: mean of (p - share)² over the rows, p being the probability of the second table.
      drops: (n_columns,) AUROC lost when a column is shuffled in the fold; empty if not requested.
      drop_influence: (n_columns, n) influence of each row on `drops`.
      units: (n,) unit codes.
    """

    auc: float
    influence: np.ndarray
    propensity_error: float
    drops: np.ndarray
    drop_influence: np.ndarray
    units: np.ndarray


def tell_apart(
    tables: AuditTables,
    first: pd.DataFrame,
    second: pd.DataFrame,
    units: np.ndarray,
    *,
    rng: np.random.Generator,
    drops: bool = False,
) -> TwoSampleResult:
    """Train boosted trees to tell two tables apart and test them on rows they did not see.

    Args:
      tables: for the kinds of the columns.
      first, second: frames of those columns; both are stacked in this order.
      units: unit codes of the rows of both, or of `first` alone if rows of `second` are units. A unit is in one fold.
      drops: also shuffle each column in turn.
    """
    rows = pd.concat([first, second], ignore_index=True)
    y = np.repeat([0, 1], [len(first), len(second)])
    if len(units) < len(rows):
        units = np.concatenate([units, units.max() + 1 + np.arange(len(rows) - len(units))])
    folds = _folds(units, y, rng)
    n, n_columns = len(rows), len(tables.columns) if drops else 0
    auc, influence, spread = 0.0, np.zeros(n), 0.0
    lost, pull = np.zeros(n_columns), np.zeros((n_columns, n))
    for fold in range(FOLDS):
        out = np.flatnonzero(folds == fold)
        model, x = _model(tables, rows, y, folds != fold, int(rng.integers(2**31)))
        inside = x[out]
        score = _score(model, inside)
        part, part_pull = auc_influence(score, y[out] == 1)
        scale = n / len(out) / FOLDS
        auc += part / FOLDS
        influence[out] = part_pull * scale
        spread += float(np.sum((score - y.mean()) ** 2)) / n
        if drops:
            few = thin(len(out), DROP_ROWS, rng)
            gone, gone_pull = _drops(model, inside[few], score[few], y[out[few]] == 1, rng)
            lost += gone / FOLDS
            pull[:, out[few]] = gone_pull * (n / len(few) / FOLDS)
    return TwoSampleResult(auc, influence, spread, lost, pull, units)


def _drops(
    model: Any, x: np.ndarray, score: np.ndarray, positive: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return (n_columns,) AUROC lost when a column is shuffled, and (n_columns, n) influences."""
    whole, whole_pull = auc_influence(score, positive)
    lost, pull = np.empty(x.shape[1]), np.empty((x.shape[1], len(x)))
    for column in range(x.shape[1]):
        shuffled = x.copy()
        shuffled[:, column] = x[rng.permutation(len(x)), column]
        without, without_pull = auc_influence(_score(model, shuffled), positive)
        lost[column], pull[column] = whole - without, whole_pull - without_pull
    return lost, pull


def _folds(units: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the (n,) fold of each row: whole units, both tables spread evenly."""
    codes = np.unique(units, return_inverse=True)[1]
    last = np.zeros(codes.max() + 1, dtype=np.int64)
    np.maximum.at(last, codes, y)
    fold = np.empty(len(last), dtype=np.int64)
    for part in (0, 1):
        of = np.flatnonzero(last == part)
        fold[of] = rng.permutation(len(of)) % FOLDS
    return fold[codes]


def _model(
    tables: AuditTables, rows: pd.DataFrame, y: np.ndarray, train: np.ndarray, seed: int
) -> tuple[Any, np.ndarray]:
    from sklearn.ensemble import HistGradientBoostingClassifier

    points = tree_points(rows[train], tables, list(tables.columns))
    x = points(rows)
    categorical = [i for i, name in enumerate(tables.columns) if not tables.is_number(name)]
    learner = HistGradientBoostingClassifier(
        max_iter=TREES, early_stopping=False, random_state=seed, categorical_features=categorical or None
    )
    with one_thread():
        return learner.fit(x[train], y[train]), x


def _score(model: Any, x: np.ndarray) -> np.ndarray:
    with one_thread():
        return np.asarray(model.predict_proba(x)[:, 1])


def _overall(found: TwoSampleResult, baseline: TwoSampleResult | None, size: int) -> Finding:
    variance = cluster_variance(found.influence, found.units)
    interval = with_draws(found.auc, variance, [], bounded=True)
    fresh = 0.5 if baseline is None else max(baseline.auc, 0.5)  # a classifier below a coin has found nothing
    spread = variance if baseline is None else variance + cluster_variance(baseline.influence, baseline.units)
    finding = Finding.of(
        interval,
        family="fidelity",
        name="c2st_auroc",
        n=2 * size,
        visibility="officer",
        baseline=0.5 if baseline is None else baseline.auc,
        baseline_label="a coin" if baseline is None else "training rows against the holdout",
        better="lower",
        meaning=f"Can a model (boosted trees) tell synthetic rows from held-out real ones, {size} of each? 0.5 is a "
        "coin, 1 is always. A perfect release reaches the baseline. Rows alike to this model may still differ in "
        "ways that it cannot see.",
        source=SOURCE,
        detail={
            "folds": FOLDS,
            "propensity_error": found.propensity_error,
            "propensity_error_baseline": None if baseline is None else baseline.propensity_error,
        },
    )
    return judged(finding, normal(found.auc - fresh, spread, confidence=strict()), TOLD_APART)


def _columns(columns: list[str], found: TwoSampleResult, size: int) -> list[Finding]:
    findings = []
    for i in np.argsort(-found.drops, kind="stable")[:SHOWN]:
        variance = cluster_variance(found.drop_influence[i], found.units)
        interval = normal(float(found.drops[i]), variance, confidence=1 - 0.05 / len(columns))
        findings.append(
            Finding.of(
                interval,
                family="fidelity",
                name="c2st_column",
                group=columns[i],
                n=2 * size,
                visibility="officer",
                baseline=0.0,
                baseline_label="gives nothing away",
                better="lower",
                meaning="How much worse the model tells synthetic from real rows when the values of this column are "
                "shuffled among them: what this column, alone or with others, gives away. Columns that say the same "
                "share what they give. The interval allows for the choice of the largest.",
                source="permutation importance: Breiman (2001)",
            )
        )
    return findings


AUDIT = Audit(
    name="two_sample",
    family="fidelity",
    run=two_sample,
    titles={
        "c2st_column": "Columns that give synthetic rows away",
        "c2st_auroc": "Can a model tell synthetic rows from real ones? (AUROC)",
    },
    left_out={"quick": "At most 3,000 rows of each table train the classifier."},
)

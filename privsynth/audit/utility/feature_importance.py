"""Do the same columns matter to models trained on synthetic and on real rows?

The importance of a column is the growth of the loss on the holdout when its values are shuffled. The figure is the rank
correlation of importances over columns, with those that are not significant tied at zero; the baseline is that of two
models both trained on real rows. A column that a model uses without being right about real people has no importance.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

from privsynth.audit.common.audit_tables import AuditTables, thin
from privsynth.audit.common.predictors import HoldoutPredictions, NumberTask, Predictor
from privsynth.findings.finding import Finding
from privsynth.findings.insufficient import insufficient
from privsynth.stats.intervals import cluster_variance

MAX_JUDGED = 2_000  # holdout rows; bounds the time (own)
MIN_COLUMNS = 3  # two columns have two orders, so that agreement says nothing (own)
DRAWS = 200  # of the bootstrap over units: 5 lie beyond either end of a 95 % interval (own)
TOP = 5  # columns named for each model (own)
NAME = "importance_agreement"
NOTHING_MATTERS = (
    " Here no column matters beyond chance, on real rows, to the model trained on synthetic rows: what it learned does "
    "not hold there, and it has no order that could agree."
)
SURE = 2.0  # standard deviations beyond which a column matters: about 95 %
_LEAST = 1e-6  # probability: keeps the log loss finite


def importance_agreement(tables: AuditTables, found: HoldoutPredictions, *, rng: np.random.Generator) -> list[Finding]:
    """Return how well two boosted-tree models, for one target, agree in their ranking of columns."""
    target = found.task.target
    models = {part: found.trees[part] for part in ("real", "synthetic")}
    features = models["real"].features
    if len(features) < MIN_COLUMNS:
        why = f"a ranking needs at least {MIN_COLUMNS} columns beside the target."
        return [insufficient("utility", NAME, why, group=target)]
    if any(model.learner is None for model in models.values()):
        why = "one of the two models is a constant, to which no column matters."
        return [insufficient("utility", NAME, why, group=target)]
    again = found.draws["real"].first
    if again is not None and again.learner is not None:
        models["again"] = again
    assert tables.holdout is not None
    at = thin(len(found.rows), MAX_JUDGED, rng)
    frame, y, units = tables.holdout.iloc[found.rows[at]], found.y[at], tables.units("holdout")[found.rows[at]]
    orders = [rng.permutation(len(at)) for _ in features]
    growth = {part: loss_growth(model, model.points(frame), y, orders) for part, model in models.items()}
    growth = {part: np.where(matters(rows, units)[:, None], rows, 0.0) for part, rows in growth.items()}
    if not growth["real"].any():
        why = "no column matters beyond chance to the model trained on real rows."
        return [insufficient("utility", NAME, why, group=target, n=len(at))]
    return [_agreement(growth, features, units, rng, group=target)]


def _agreement(
    growth: dict[str, np.ndarray], features: tuple[str, ...], units: np.ndarray, rng: np.random.Generator, *, group: str
) -> Finding:
    """Return the finding, from (n_columns, n) growth of each row's loss for each model; some column is real."""
    means = {part: rows.mean(axis=1) for part, rows in growth.items()}
    value = rank_agreement(means["real"], means["synthetic"])
    lost = not growth["synthetic"].any()
    # Without an order there is nothing to draw again: an interval of 0 to 0 would look like a figure that was measured.
    low, high = (None, None) if lost else _interval(growth["real"], growth["synthetic"], units, value, rng)
    has_order = "again" in growth and bool(growth["again"].any())
    baseline = rank_agreement(means["real"], means["again"]) if has_order else None
    return Finding(
        family="utility",
        name=NAME,
        group=group,
        value=value,
        low=low,
        high=high,
        n=len(units),
        visibility="officer",
        baseline=baseline,
        baseline_label="two models trained on real rows" if baseline is not None else "",
        better="higher",
        meaning="Whether the same columns matter to a model (boosted trees) trained on synthetic rows as to one "
        "trained on real rows: rank correlation, 1 is the same order, 0 no relation."
        + (NOTHING_MATTERS if lost else ""),
        source="permutation importance: Breiman (2001); Spearman; bootstrap over units of the holdout",
        detail={
            "columns": list(features),
            "real": means["real"].tolist(),
            "synthetic": means["synthetic"].tolist(),
            "top_real": _top(features, means["real"]),
            "top_synthetic": _top(features, means["synthetic"]),
        },
    )


def _top(features: tuple[str, ...], growth: np.ndarray) -> list[str]:
    return [features[i] for i in np.argsort(-growth, kind="stable")[:TOP] if growth[i] > 0]


def loss_growth(model: Predictor, x: np.ndarray, y: np.ndarray, orders: list[np.ndarray]) -> np.ndarray:
    """Return (n_columns, n) growth of each row's loss when a column is shuffled.

    The loss is -log of the probability of the true class, or the squared error of a number.

    Args:
      x: (n, n_columns) inputs of the model; orders: for each column the (n,) order of its shuffled rows.
    """
    before = _loss(model, x, y)
    out = np.empty((x.shape[1], len(y)))
    for column, order in enumerate(orders):
        shuffled = x.copy()
        shuffled[:, column] = x[order, column]
        out[column] = _loss(model, shuffled, y) - before
    return out


def matters(growth: np.ndarray, units: np.ndarray) -> np.ndarray:
    """Return (n_columns,) booleans: the mean loss grows by more than two standard deviations, by unit.

    The others share the last rank, for their order would be noise.
    """
    return np.array([rows.mean() > SURE * np.sqrt(cluster_variance(rows, units)) for rows in growth])


def _loss(model: Predictor, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    guess = model.predict_points(x)
    if isinstance(model.task, NumberTask):
        return np.asarray((guess[:, 0] - y) ** 2)
    return np.asarray(-np.log(np.maximum(guess[np.arange(len(y)), y], _LEAST)))


def rank_agreement(one: np.ndarray, two: np.ndarray) -> float:
    """Return Spearman's rank correlation; 0 if one side is constant."""
    if np.ptp(one) == 0 or np.ptp(two) == 0:
        return 0.0
    return float(np.clip(np.corrcoef(stats.rankdata(one), stats.rankdata(two))[0, 1], -1.0, 1.0))


def _interval(
    real: np.ndarray, ours: np.ndarray, units: np.ndarray, value: float, rng: np.random.Generator
) -> tuple[float, float]:
    codes = np.unique(units, return_inverse=True)[1]
    found = []
    for _ in range(DRAWS):
        weights = np.bincount(rng.integers(0, codes.max() + 1, codes.max() + 1), minlength=codes.max() + 1)[codes]
        found.append(rank_agreement(real @ weights, ours @ weights))
    low, high = np.quantile(found, [0.025, 0.975])
    return min(value, float(low)), max(value, float(high))

"""Models that are trained on one table and judged on another. Each model brings encoders fitted on its own
rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from privsynth.audit.tables import AuditSettings, AuditTables, numbers, texts, thin

MAX_CLASSES = 10
OTHER = "(other)"
MODELS = ("boosted trees", "logistic regression")
_LEVELS = {"boosted trees": 200, "logistic regression": 50}


@dataclass(frozen=True, repr=False, eq=False)
class Task:
    """A target as classes: labels fixed by the real training rows, so that all tables mean the same.

    Attributes:
      target: the column.
      classes: names of the classes, most frequent first; for a number: below or above its median.
      cut: the median of a numeric target; None for categories.
    """

    target: str
    classes: tuple[str, ...]
    cut: float | None = None

    def labels(self, frame: pd.DataFrame) -> np.ndarray:
        """Return (n,) class positions; -1 where the target is missing or a value that real rows never have."""
        if self.cut is not None:
            cells = numbers(frame[self.target])
            return np.where(np.isnan(cells), -1, (cells > self.cut).astype(int))
        words, missing = texts(frame[self.target])
        codes = pd.Index(self.classes, dtype=object).get_indexer(pd.Index(words, dtype=object))
        if self.classes[-1] == OTHER:
            codes = np.where(codes < 0, len(self.classes) - 1, codes)
        return np.where(missing, -1, codes)


def make_task(tables: AuditTables, target: str) -> Task | None:
    """Return the classes of a target: the 9 most frequent values and the rest, or the two sides of the
    median.
    """
    series = tables.train[target]
    if tables.is_number(target):
        cells = numbers(series)
        cells = cells[np.isfinite(cells)]
        if len(cells) == 0 or np.ptp(cells) == 0:
            return None
        cut = float(np.median(cells))
        if not (cells > cut).any():
            cut = float(np.max(cells[cells < cut]))
        return Task(target, ("at or below the median", "above the median"), cut)
    counts = series.dropna().astype(str).value_counts()
    if len(counts) < 2:
        return None
    names = [str(value) for value in counts.index]
    return Task(target, tuple(names) if len(names) <= MAX_CLASSES else (*names[: MAX_CLASSES - 1], OTHER))


def _trees(frame: pd.DataFrame, tables: AuditTables, features: list[str]) -> Callable[[pd.DataFrame], np.ndarray]:
    levels = {name: _top(frame[name], "boosted trees") for name in features if not tables.is_number(name)}

    def points(rows: pd.DataFrame) -> np.ndarray:
        out = np.empty((len(rows), len(features)))
        for i, name in enumerate(features):
            out[:, i] = numbers(rows[name]) if name not in levels else _codes(rows[name], levels[name])
        return out

    return points


def _top(series: pd.Series, model: str) -> pd.Index:
    counts = series.dropna().astype(str).value_counts()
    levels: pd.Index = pd.Index(counts.index[: _LEVELS[model]], dtype=object)
    return levels


def _codes(series: pd.Series, levels: pd.Index) -> np.ndarray:
    words, missing = texts(series)
    codes = levels.get_indexer(pd.Index(words, dtype=object)).astype(float)
    return np.where(missing | (codes < 0), np.nan, codes)


def _onehot(frame: pd.DataFrame, tables: AuditTables, features: list[str]) -> Callable[[pd.DataFrame], np.ndarray]:
    plans: list[tuple[str, Any]] = []
    for name in features:
        if tables.is_number(name):
            cells = numbers(frame[name])
            cells = cells[np.isfinite(cells)]
            middle = float(np.median(cells)) if len(cells) else 0.0
            low, high = np.quantile(cells, [0.01, 0.99]) if len(cells) else (0.0, 0.0)
            plans.append((name, (middle, float(low), float(high), float(np.std(np.clip(cells, low, high))) or 1.0)))
        else:
            plans.append((name, _top(frame[name], "logistic regression")))

    def points(rows: pd.DataFrame) -> np.ndarray:
        parts = []
        for name, plan in plans:
            if isinstance(plan, tuple):
                cells, (middle, low, high, scale) = numbers(rows[name]), plan
                missing = np.isnan(cells)
                parts.append((np.clip(np.where(missing, middle, cells), low, high) - middle)[:, None] / scale)
                parts.append(missing[:, None].astype(float))
            else:
                codes = _codes(rows[name], plan)
                parts.append((codes[:, None] == np.arange(len(plan))[None, :]).astype(float))
        return np.concatenate(parts, axis=1)

    return points


def fit_and_score(
    tables: AuditTables, task: Task, model: str, *, train_on: pd.DataFrame, judge: pd.DataFrame, seed: int
) -> np.ndarray:
    """Return (n_judge, n_classes) probabilities of a model trained on one table.

    A training table with one class yields a constant; one without usable rows yields equal probabilities.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression

    y = task.labels(train_on)
    rows, y = train_on[y >= 0], y[y >= 0]
    out = np.full((len(judge), len(task.classes)), 1 / len(task.classes))
    seen = np.unique(y)
    if len(seen) < 2:
        if len(seen) == 1:
            out[:] = np.eye(len(task.classes))[seen[0]]
        return out
    features = [name for name in tables.columns if name != task.target]
    if not features:
        return out
    if model == "boosted trees":
        points = _trees(rows, tables, features)
        categorical = [i for i, name in enumerate(features) if not tables.is_number(name)]
        learner: Any = HistGradientBoostingClassifier(
            max_iter=150 if len(seen) == 2 else 40,
            early_stopping=False,
            random_state=seed,
            categorical_features=categorical or None,
        )
    else:
        points = _onehot(rows, tables, features)
        learner = LogisticRegression(max_iter=150, tol=1e-3)
    probabilities = _quietly(learner, points(rows), y, points(judge))
    out[:] = 0.0
    out[:, learner.classes_.astype(int)] = probabilities
    return out


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep the boosting loops on one thread: on a busy machine their many short barriers cost 10 times more."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1, user_api="openmp"):
        yield


def _quietly(learner: Any, x: np.ndarray, y: np.ndarray, judge: np.ndarray) -> np.ndarray:
    """Fit and predict; that the solver stopped at its limit of steps is of no consequence here."""
    import warnings

    with warnings.catch_warnings(), one_thread():
        warnings.simplefilter("ignore")
        return np.asarray(learner.fit(x, y).predict_proba(judge))


@dataclass(frozen=True, repr=False, eq=False)
class Judged:
    """Predictions for the holdout rows whose target is known.

    Attributes:
      task: the classes.
      rows: (n,) positions of those rows in the holdout.
      y: (n,) true classes.
      synthetic, real: model -> (n, n_classes) probabilities of the model trained on either table.
    """

    task: Task
    rows: np.ndarray
    y: np.ndarray
    synthetic: dict[str, np.ndarray]
    real: dict[str, np.ndarray]


def judged(tables: AuditTables, target: str, *, rng: np.random.Generator, settings: AuditSettings) -> Judged | None:
    """Return predictions for the holdout, shared by the audits of a run; None if the target cannot be judged."""
    found: Judged | None = settings.once(("judged", target), lambda: _judge(tables, target, rng, settings))
    return found


def _judge(tables: AuditTables, target: str, rng: np.random.Generator, settings: AuditSettings) -> Judged | None:
    task = make_task(tables, target)
    if task is None or tables.holdout is None or len(tables.synthetic) == 0:
        return None
    y = task.labels(tables.holdout)
    rows = np.flatnonzero(y >= 0)
    if len(rows) == 0:
        return None
    rows = rows[thin(len(rows), settings.max_rows, rng)]
    judge = tables.holdout.iloc[rows]
    sources = {
        "synthetic": tables.synthetic.iloc[thin(len(tables.synthetic), settings.max_rows, rng)],
        "real": tables.train.iloc[thin(len(tables.train), settings.max_rows, rng)],
    }
    seed = int(rng.integers(2**31))
    found = {
        part: {m: fit_and_score(tables, task, m, train_on=frame, judge=judge, seed=seed) for m in MODELS}
        for part, frame in sources.items()
    }
    return Judged(task, rows, y[rows], found["synthetic"], found["real"])

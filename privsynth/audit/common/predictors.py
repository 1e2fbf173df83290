"""Models trained on one table and tested on another. Each encodes its features with what its own rows showed.

Two families: boosted trees, and a linear model (logistic for classes, ridge for numbers). Figures come from models
trained on all rows (at most `max_rows`). Models trained on bootstrap samples of at most 10,000 rows show how much the
figures vary with the training table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from privsynth.audit.common.audit_tables import AuditTables, numbers, texts, thin
from privsynth.audit.common.settings import AuditContext, Level
from privsynth.stats.leaf_penalty import leaf_penalty

MAX_CLASSES = 10  # of a target: the 9 most frequent values and the rest (own)
OTHER = "(other)"
TREES, LINEAR = "boosted trees", "linear model"
MODELS = (TREES, LINEAR)
# Training tables drawn again; bounds the time. Two are the fewest that have a variance (own).
DRAWS: dict[Level, int] = {"quick": 0, "standard": 2, "deep": 10}
DRAW_ROWS = 10_000  # of a table drawn again; bounds the time. The variance is scaled to the whole table (own)
QUICK_ROWS = 10_000  # that train a model at the level "quick"; bounds the time (own)
MIN_DISTINCT = 20  # a number with at most so many different values is predicted as classes; as `FEW_VALUES` (own)
# Levels of a feature, the most frequent: scikit-learn's trees take 255, a linear model one input each.
_LEVELS = {TREES: 200, LINEAR: 50}


@dataclass(frozen=True, repr=False, eq=False)
class Task:
    """A classification target; the classes are those of the real training rows, the same for all tables.

    Attributes:
      target: the column.
      classes: names of the classes, most frequent first; for a number: below or above its median.
      cut: the median of a numeric target; None for categories.
    """

    target: str
    classes: tuple[str, ...]
    cut: float | None = None

    def event(self, positive: int) -> str:
        """Return the name of a class as an event, "ill=true" or "income above the median"."""
        if self.cut is not None:
            return f"{self.target} {self.classes[positive]}"
        return f"{self.target}={self.classes[positive]}"

    def labels(self, frame: pd.DataFrame) -> np.ndarray:
        """Return (n,) class positions; -1 where the target is missing or not among the classes."""
        if self.cut is not None:
            cells = numbers(frame[self.target])
            return np.where(np.isnan(cells), -1, (cells > self.cut).astype(int))
        words, missing = texts(frame[self.target])
        codes = pd.Index(self.classes, dtype=object).get_indexer(pd.Index(words, dtype=object))
        if self.classes[-1] == OTHER:
            codes = np.where(codes < 0, len(self.classes) - 1, codes)
        return np.where(missing, -1, codes)

    def known(self, labels: np.ndarray) -> np.ndarray:
        """Return (n,) booleans: the label is known."""
        return np.asarray(labels >= 0)


@dataclass(frozen=True, repr=False, eq=False)
class NumberTask:
    """A numeric target as a number, in standard deviations of the real training rows.

    Attributes:
      target: the column.
      scale: the standard deviation.
    """

    target: str
    scale: float

    def labels(self, frame: pd.DataFrame) -> np.ndarray:
        """Return (n,) floats; NaN where the target is missing."""
        return numbers(frame[self.target]) / self.scale

    def known(self, labels: np.ndarray) -> np.ndarray:
        """Return (n,) booleans: the label is known."""
        return np.isfinite(labels)


def make_number_task(tables: AuditTables, target: str) -> NumberTask | None:
    """Return a regression task; None if the target is no number or has at most 20 different values."""
    if not tables.is_number(target):
        return None
    cells = numbers(tables.train[target])
    cells = cells[np.isfinite(cells)]
    return NumberTask(target, float(cells.std())) if len(np.unique(cells)) > MIN_DISTINCT else None


def make_task(tables: AuditTables, target: str) -> Task | None:
    """Return a classification task: the 9 most frequent values and the rest, or the two sides of the median."""
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


def tree_points(frame: pd.DataFrame, tables: AuditTables, features: list[str]) -> Callable[[pd.DataFrame], np.ndarray]:
    """Return a function from frames to (n, n_features) floats for trees; categories get the codes of `frame`."""
    levels = {name: _top(frame[name], TREES) for name in features if not tables.is_number(name)}
    # Trees refuse a column that is missing in all rows; a constant says the same.
    empty = {name for name in features if not frame[name].notna().any()}

    def points(rows: pd.DataFrame) -> np.ndarray:
        out = np.zeros((len(rows), len(features)))
        for i, name in enumerate(features):
            if name not in empty:
                out[:, i] = _codes(rows[name], levels[name]) if name in levels else numbers(rows[name])
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
            if len(cells) == 0:
                cells = np.zeros(1)
            low, high = np.quantile(cells, [0.01, 0.99])
            spread = float(np.std(np.clip(cells, low, high))) or 1.0
            plans.append((name, (float(np.median(cells)), float(low), float(high), spread)))
        else:
            plans.append((name, _top(frame[name], LINEAR)))

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


@dataclass(frozen=True, repr=False, eq=False)
class Predictor:
    """A trained model, or a constant where the training table has a single class.

    Attributes:
      task: what it predicts.
      features: its input columns, in order.
      points: maps a frame to (n, width) inputs.
      learner: a scikit-learn model; None for a constant.
      constant: (n_outputs,) prediction of a constant.
    """

    task: Task | NumberTask
    features: tuple[str, ...]
    points: Callable[[pd.DataFrame], np.ndarray]
    learner: Any
    constant: np.ndarray

    def predict(self, frame: pd.DataFrame) -> np.ndarray:
        """Return (n, n_classes) probabilities, or (n, 1) predictions of a number."""
        return self.predict_points(self.points(frame)) if self.learner is not None else self._same(len(frame))

    def predict_points(self, x: np.ndarray) -> np.ndarray:
        """Return the predictions for (n, width) inputs made by `points`."""
        if self.learner is None:
            return self._same(len(x))
        with one_thread():
            if isinstance(self.task, NumberTask):
                return np.asarray(self.learner.predict(x))[:, None]
            out = np.zeros((len(x), len(self.constant)))
            out[:, self.learner.classes_.astype(int)] = self.learner.predict_proba(x)
            return out

    def _same(self, n: int) -> np.ndarray:
        return np.tile(self.constant, (n, 1))


def fit(tables: AuditTables, task: Task | NumberTask, model: str, train_on: pd.DataFrame, *, seed: int) -> Predictor:
    """Return a model of one family trained on one table.

    A training table with one class gives a constant; one without usable rows gives equal probabilities, or zero.
    """
    labels = task.labels(train_on)
    known = task.known(labels)
    rows, y = train_on[known], labels[known]
    features = [name for name in tables.columns if name != task.target]
    if isinstance(task, Task):
        constant = np.full(len(task.classes), 1 / len(task.classes))
        if len(y):
            constant = np.bincount(y, minlength=len(task.classes)) / len(y)
    else:
        constant = np.array([float(y.mean()) if len(y) else 0.0])
    if len(np.unique(y)) < 2 or not features:
        return Predictor(task, tuple(features), lambda frame: np.zeros((len(frame), 1)), None, constant)
    points = tree_points(rows, tables, features) if model == TREES else _onehot(rows, tables, features)
    learner = _trees(tables, task, features, y, seed) if model == TREES else _linear(task)
    _quietly(learner, points(rows), y)
    return Predictor(task, tuple(features), points, learner, constant)


def _trees(tables: AuditTables, task: Task | NumberTask, features: list[str], y: np.ndarray, seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    categorical = [i for i, name in enumerate(features) if not tables.is_number(name)]
    several = isinstance(task, Task) and len(np.unique(y)) > 2
    kind = HistGradientBoostingClassifier if isinstance(task, Task) else HistGradientBoostingRegressor
    return kind(
        max_iter=40 if several else 100,
        early_stopping=False,
        random_state=seed,
        categorical_features=categorical or None,
        l2_regularization=leaf_penalty(y) if isinstance(task, Task) else 0.0,
    )


def _linear(task: Task | NumberTask) -> Any:
    from sklearn.linear_model import LogisticRegression, Ridge

    return LogisticRegression(max_iter=150, tol=1e-3) if isinstance(task, Task) else Ridge()


@contextmanager
def one_thread() -> Iterator[None]:
    """Run boosting on one thread: its many short barriers are slow on a busy machine."""
    with _threads().limit(limits=1, user_api="openmp"):
        yield


@cache
def _threads() -> Any:
    """Return the controller of the loaded thread pools; finding them costs more than a prediction, so once."""
    import sklearn.ensemble  # noqa: F401  the pools have to be loaded to be found
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _quietly(learner: Any, x: np.ndarray, y: np.ndarray) -> None:
    """Fit without warnings: it is fine if the solver stops at its iteration limit."""
    import warnings

    with warnings.catch_warnings(), one_thread():
        warnings.simplefilter("ignore")
        learner.fit(x, y)


@dataclass(frozen=True, repr=False, eq=False)
class RetrainedPredictions:
    """Predictions, (draws, n, n_outputs), of models trained on bootstrap samples of a table.

    Attributes:
      predictions: model -> predictions.
      shrink: sample size over table size; the variance over draws times this is the variance for the whole table.
      first: the boosted trees of the first sample; None without samples.
    """

    predictions: dict[str, np.ndarray]
    shrink: float
    first: Predictor | None


@dataclass(frozen=True, repr=False, eq=False)
class HoldoutPredictions:
    """Predictions for the holdout rows whose target is known.

    Attributes:
      task: what is predicted.
      rows: (n,) positions of those rows in the holdout.
      y: (n,) true classes or numbers.
      synthetic, real: model -> (n, n_outputs) predictions of the model trained on either table.
      draws: "synthetic" and "real" -> the same from bootstrap samples of the training table.
      trees: "synthetic" and "real" -> the boosted trees themselves.
    """

    task: Task | NumberTask
    rows: np.ndarray
    y: np.ndarray
    synthetic: dict[str, np.ndarray]
    real: dict[str, np.ndarray]
    draws: dict[str, RetrainedPredictions]
    trees: dict[str, Predictor]

    def parts(self) -> dict[str, dict[str, np.ndarray]]:
        """Return "synthetic" and "real" -> model -> predictions."""
        return {"synthetic": self.synthetic, "real": self.real}

    @property
    def n_draws(self) -> int:
        """Number of bootstrap samples."""
        return len(self.draws["real"].predictions[TREES])


def holdout_predictions(
    tables: AuditTables,
    target: str,
    *,
    rng: np.random.Generator,
    context: AuditContext,
    as_number: bool = False,
) -> HoldoutPredictions | None:
    """Return predictions for the holdout, shared by the audits of a run; None if the target cannot be predicted.

    Args:
      as_number: predict a numeric target by regression, not as a side of its median.
    """

    def compute() -> HoldoutPredictions | None:
        task = make_number_task(tables, target) if as_number else make_task(tables, target)
        return None if task is None else _judge(tables, task, rng, context)

    found: HoldoutPredictions | None = context.once(("judged", target, as_number), compute)
    return found


def _judge(
    tables: AuditTables, task: Task | NumberTask, rng: np.random.Generator, context: AuditContext
) -> HoldoutPredictions | None:
    if tables.holdout is None or len(tables.synthetic) == 0:
        return None
    y = task.labels(tables.holdout)
    rows = np.flatnonzero(task.known(y))
    if len(rows) == 0:
        return None
    rows = rows[thin(len(rows), context.settings.max_rows, rng)]
    judge = tables.holdout.iloc[rows]
    at_most = context.settings.max_rows
    if context.settings.level == "quick":
        at_most = min(at_most, QUICK_ROWS)
    sources = {
        "synthetic": (tables.synthetic, np.arange(len(tables.synthetic))),
        "real": (tables.train, tables.units("train")),
    }
    found, draws, trees = {}, {}, {}
    for part, (frame, units) in sources.items():
        used = thin(len(frame), at_most, rng)
        frame, units = frame.iloc[used], units[used]
        seed = int(rng.integers(2**31))
        models = {model: fit(tables, task, model, frame, seed=seed) for model in MODELS}
        found[part] = {model: fitted.predict(judge) for model, fitted in models.items()}
        trees[part] = models[TREES]
        draws[part] = _draw(tables, task, (frame, units), judge, DRAWS[context.settings.level], rng)
    return HoldoutPredictions(task, rows, y[rows], found["synthetic"], found["real"], draws, trees)


def _draw(
    tables: AuditTables,
    task: Task | NumberTask,
    source: tuple[pd.DataFrame, np.ndarray],
    judge: pd.DataFrame,
    draws: int,
    rng: np.random.Generator,
) -> RetrainedPredictions:
    """Train on units drawn with replacement, at most 10,000 rows. Source: Bickel, Götze & van Zwet (1997)."""
    frame, units = source
    size = min(len(frame), DRAW_ROWS)
    made: dict[str, list[np.ndarray]] = {model: [] for model in MODELS}
    first = None
    for _ in range(draws):
        again = frame.iloc[draw_units(units, size, rng)]
        seed = int(rng.integers(2**31))
        for model in MODELS:
            fitted = fit(tables, task, model, again, seed=seed)
            made[model].append(fitted.predict(judge))
            first = fitted if first is None else first
    return RetrainedPredictions({m: np.array(p) for m, p in made.items()}, size / max(1, len(frame)), first)


def draw_units(units: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Return about `size` row positions: whole units of the (n,) codes, drawn with replacement."""
    codes = np.unique(units, return_inverse=True)[1]
    order = np.argsort(codes, kind="stable")
    sizes = np.bincount(codes)
    starts = np.cumsum(sizes) - sizes
    pick = rng.integers(0, len(sizes), max(1, round(size * len(sizes) / len(units))))
    lengths = sizes[pick]
    offsets = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return np.asarray(order[np.repeat(starts[pick], lengths) + offsets])

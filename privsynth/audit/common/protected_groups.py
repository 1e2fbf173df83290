"""Groups of protected columns: categories, four bins of a number, and crossings of two columns."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from privsynth.audit.common.audit_tables import AuditTables, numbers, texts

MAX_GROUPS = 30  # of a column or a crossing; the smaller ones are pooled: what a reader can take in (own)
MIN_ROWS = 50  # of a group, for a verdict: the 95 % interval of a share of a half is then ±14 points (own)
MISSING = "(missing)"
POOLED = "(smaller groups, pooled)"


@dataclass(frozen=True, repr=False, eq=False)
class Grouping:
    """A protected column, or a crossing of two, as group numbers.

    Attributes:
      column: its name, "sex" or "sex × race".
      labels: group names, "sex=F".
      train, holdout, synthetic: (n,) group numbers; holdout is empty if there is none.
      columns: the columns it is made of.
    """

    column: str
    labels: tuple[str, ...]
    train: np.ndarray
    holdout: np.ndarray
    synthetic: np.ndarray
    columns: tuple[str, ...]

    def counts(self, part: str) -> np.ndarray:
        """Return (n_groups,) rows of each group in `train`, `holdout` or `synthetic`."""
        return np.bincount(getattr(self, part), minlength=len(self.labels))

    def of(self, words: np.ndarray) -> np.ndarray:
        """Return the group numbers of (n,) labels from `label_rows`; unknown labels count to the last group."""
        codes = pd.Index(self.labels, dtype=object).get_indexer(pd.Index(words, dtype=object))
        return np.where(codes < 0, len(self.labels) - 1, codes)


def label_rows(tables: AuditTables, column: str, frame: pd.DataFrame) -> np.ndarray:
    """Return the (n,) group names of rows: the category, or a bin between quartiles of the synthetic rows."""
    if not tables.is_number(column):
        words, missing = texts(frame[column])
        return np.where(missing, f"{column}={MISSING}", np.array([f"{column}={w}" for w in words], dtype=object))
    ours = numbers(tables.synthetic[column])
    ours = ours[np.isfinite(ours)]
    edges = np.unique(np.quantile(ours, [0.25, 0.5, 0.75])) if len(ours) else np.zeros(0)
    names = _bin_names(column, edges, is_time=tables.kinds.get(column) in ("date", "datetime"))
    cells = numbers(frame[column])
    missing = np.isnan(cells)
    codes = np.searchsorted(edges, np.where(missing, 0.0, cells), side="left")
    return np.where(missing, f"{column}={MISSING}", np.array(names, dtype=object)[codes])


def _bin_names(column: str, edges: np.ndarray, *, is_time: bool) -> list[str]:
    shown = [str(np.datetime64(int(e), "s"))[:10] if is_time else f"{e:g}" for e in edges]
    if not shown:
        return [f"{column} (all)"]
    middle = [f"{a} < {column} ≤ {b}" for a, b in pairwise(shown)]
    return [f"{column} ≤ {shown[0]}", *middle, f"{column} > {shown[-1]}"]


def grouping(tables: AuditTables, columns: tuple[str, ...]) -> Grouping:
    """Return the groups of a protected column or of a crossing; the smallest of more than 30 are pooled."""
    parts = {}
    frames = {"train": tables.train, "holdout": tables.holdout, "synthetic": tables.synthetic}
    for part, frame in frames.items():
        if frame is None:
            parts[part] = np.zeros(0, dtype=object)
            continue
        words = [label_rows(tables, column, frame) for column in columns]
        parts[part] = (
            words[0] if len(words) == 1 else np.array([", ".join(p) for p in zip(*words, strict=True)], object)
        )
    counts = pd.Series(np.concatenate([parts["train"], parts["holdout"]])).value_counts()
    extra = [word for word in pd.unique(parts["synthetic"]) if word not in counts.index]
    names = [str(word) for word in counts.index] + sorted(map(str, extra))
    name = " × ".join(columns)
    if len(names) > MAX_GROUPS:
        names = [*names[: MAX_GROUPS - 1], f"{name}={POOLED}"]
    index = pd.Index(names, dtype=object)
    coded = {}
    for part, labels in parts.items():
        codes = index.get_indexer(pd.Index(labels, dtype=object))
        coded[part] = np.where(codes < 0, len(names) - 1, codes).astype(np.int64)
    return Grouping(name, tuple(names), coded["train"], coded["holdout"], coded["synthetic"], columns)

"""Shared discretisation to integer codes, and total variation distances between coded tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import pandas as pd

from privsynth.audit.common.audit_tables import AuditTables, numbers, texts
from privsynth.schema.definition import TIME_KINDS

DENSE_CELLS = 1 << 20  # bins of a contingency table that is counted with a place for each: 8 MiB of int64 (own)
FEW_VALUES = 20  # a number with at most so many different values is coded by value, not by quantile (own)


@dataclass(frozen=True, repr=False, eq=False)
class Coder:
    """Maps the values of one column to codes 0 … size-1; the last two are 'not seen before' and 'missing'."""

    is_number: bool
    edges: np.ndarray | None = None
    values: pd.Index | None = None

    @property
    def size(self) -> int:
        """Number of codes."""
        return (len(self.edges) + 1 if self.edges is not None else len(self.values)) + 2  # type: ignore[arg-type]

    def labels(self, *, is_time: bool = False) -> tuple[str, ...]:
        """Return what each code stands for, in words; numbers of a time are seconds."""
        if self.edges is None:
            own = [_written(value, is_time) for value in self.values]  # type: ignore[union-attr]
        else:
            ends = [_written(edge, is_time) for edge in self.edges]
            own = [f"at most {ends[0]}", *(f"{a} to {b}" for a, b in pairwise(ends)), f"above {ends[-1]}"]
        return (*own, "a value of no real row", "missing")

    def apply(self, series: pd.Series) -> np.ndarray:
        """Return the (n,) int32 codes of a column."""
        if self.is_number:
            cells = numbers(series)
            missing = np.isnan(cells)
            if self.edges is not None:
                codes = np.searchsorted(self.edges, np.where(missing, 0.0, cells), side="left")
            else:
                codes = self.values.get_indexer(pd.Index(np.round(cells, 6)))  # type: ignore[union-attr]
        else:
            words, missing = texts(series)
            codes = self.values.get_indexer(pd.Index(words, dtype=object))  # type: ignore[union-attr]
        codes = np.where(codes < 0, self.size - 2, codes)
        return np.where(missing, self.size - 1, codes).astype(np.int32)


def _written(value: object, is_time: bool) -> str:
    if not isinstance(value, float):
        return str(value)
    return str(np.datetime64(int(value), "s")).replace("T", " ") if is_time else f"{value:g}"


def fit_coder(series: pd.Series, *, is_number: bool, bins: int = 10) -> Coder:
    """Return the coder of a column: quantile bins if it has more than 20 different numbers, else its values."""
    if is_number:
        cells = numbers(series)
        cells = cells[np.isfinite(cells)]
        distinct = np.unique(np.round(cells, 6))
        if len(distinct) > FEW_VALUES:
            return Coder(True, edges=np.unique(np.quantile(cells, np.linspace(0, 1, bins + 1)[1:-1])))
        return Coder(True, values=pd.Index(distinct))
    words, missing = texts(series)
    return Coder(False, values=pd.Index(sorted(set(words[~missing])), dtype=object))


@dataclass(frozen=True, repr=False, eq=False)
class Coded:
    """The three tables as (n_columns, n_rows) int32 codes, with the number of codes of each column, and their names."""

    columns: tuple[str, ...]
    sizes: tuple[int, ...]
    train: np.ndarray
    holdout: np.ndarray | None
    synthetic: np.ndarray
    labels: tuple[tuple[str, ...], ...] = ()


def fit_coders(tables: AuditTables, *, fit: Literal["train", "synthetic"] = "train", bins: int = 10) -> list[Coder]:
    """Return a coder for each column, fitted on the training rows or on the synthetic rows only."""
    source = tables.train if fit == "train" else tables.synthetic
    return [fit_coder(source[name], is_number=tables.is_number(name), bins=bins) for name in tables.columns]


def encode(frame: pd.DataFrame, coders: Sequence[Coder]) -> np.ndarray:
    """Return a table as (n_columns, n_rows) int32 codes."""
    if not coders:
        return np.zeros((0, len(frame)), dtype=np.int32)
    return np.stack([coder.apply(frame.iloc[:, i]) for i, coder in enumerate(coders)])


def discretise(tables: AuditTables, *, fit: Literal["train", "synthetic"] = "train", bins: int = 10) -> Coded:
    """Return the three tables as codes under one set of coders."""
    coders = fit_coders(tables, fit=fit, bins=bins)
    return Coded(
        columns=tuple(tables.columns),
        sizes=tuple(coder.size for coder in coders),
        train=encode(tables.train, coders),
        holdout=None if tables.holdout is None else encode(tables.holdout, coders),
        synthetic=encode(tables.synthetic, coders),
        labels=tuple(
            coder.labels(is_time=tables.kinds.get(name) in TIME_KINDS)
            for name, coder in zip(tables.columns, coders, strict=True)
        ),
    )


def cell_keys(codes: np.ndarray, sizes: Sequence[int], columns: Sequence[int]) -> tuple[np.ndarray, int]:
    """Return the (n,) joint code of each row over some columns, and the number of possible joint codes."""
    key = codes[columns[0]].astype(np.int64)
    total = int(sizes[columns[0]])
    for column in columns[1:]:
        key = key * int(sizes[column]) + codes[column]
        total *= int(sizes[column])
    return key, total


def _dense(a: np.ndarray, b: np.ndarray, cells: int) -> tuple[np.ndarray, np.ndarray, int]:
    if cells <= DENSE_CELLS:
        return a, b, cells
    seen, inverse = np.unique(np.concatenate([a, b]), return_inverse=True)
    return inverse[: len(a)], inverse[len(a) :], len(seen)


@dataclass(frozen=True, repr=False, eq=False)
class Distances:
    """Total variation distances of a list of marginals between two tables.

    Attributes:
      values: (m,) distances in 0 … 1.
      influence_a, influence_b: (n,) influence of each row on the mean of `values` (see `cluster_variance`).
      floors: (m,) expected distances if both tables were samples of one distribution.
    """

    values: np.ndarray
    influence_a: np.ndarray
    influence_b: np.ndarray
    floors: np.ndarray

    @property
    def mean(self) -> float:
        """Mean distance."""
        return float(self.values.mean())


def distances(a: np.ndarray, b: np.ndarray, sizes: Sequence[int], marginals: Sequence[Sequence[int]]) -> Distances:
    """Return the total variation distance of each marginal between two coded tables.

    Args:
      a, b: (n_columns, n_rows) codes; both with at least one row.
      sizes: number of codes of each column.
      marginals: column positions, one sequence a marginal; at least one.
    """
    n_a, n_b = a.shape[1], b.shape[1]
    pull_a, pull_b = np.zeros(n_a), np.zeros(n_b)
    values, floors = np.empty(len(marginals)), np.empty(len(marginals))
    for i, columns in enumerate(marginals):
        key_a, cells = cell_keys(a, sizes, columns)
        key_b, _ = cell_keys(b, sizes, columns)
        key_a, key_b, cells = _dense(key_a, key_b, cells)
        count_a, count_b = np.bincount(key_a, minlength=cells), np.bincount(key_b, minlength=cells)
        gap = count_a / n_a - count_b / n_b
        values[i] = 0.5 * np.abs(gap).sum()
        pooled = (count_a + count_b) / (n_a + n_b)
        spread = np.sqrt(pooled * (1 - pooled)).sum()
        floors[i] = min(1.0, 0.5 * spread * np.sqrt(2 / np.pi * (1 / n_a + 1 / n_b)))
        sign = 0.5 * np.sign(gap)
        pull_a += sign[key_a]
        pull_b -= sign[key_b]
    return Distances(values, pull_a / len(marginals), pull_b / len(marginals), floors)

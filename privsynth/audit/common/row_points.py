"""Rows as points: an encoding for distances and classifiers, fitted on the synthetic rows only.

An encoding fitted on real rows would make scores depend on their extremes. Source: research on membership attacks, for
example Houssiau et al. (2022); the option `fit_target='synth'` of Synth-MIA.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from privsynth.audit.common.audit_tables import AuditTables, numbers, texts

MAX_LEVELS = 60  # of a category, the most frequent, with a coordinate each; bounds the width (own)


@dataclass(frozen=True, repr=False, eq=False)
class _ColumnPoints:
    """The coordinates of one column: a rank and a flag for numbers, one coordinate a level for categories."""

    name: str
    is_number: bool
    grid: np.ndarray | None = None
    ranks: np.ndarray | None = None
    levels: pd.Index | None = None

    def points(self, frame: pd.DataFrame) -> np.ndarray:
        """Return (n, width) coordinates; two rows that differ in this column are at most 1 apart."""
        if self.is_number:
            cells = numbers(frame[self.name])
            missing = np.isnan(cells)
            place = np.interp(np.where(missing, 0.0, cells), self.grid, self.ranks)  # type: ignore[arg-type]
            return np.column_stack([np.where(missing, 0.5, place), np.where(missing, 0.866, 0.0)])
        words, missing = texts(frame[self.name])
        codes = self.levels.get_indexer(pd.Index(words, dtype=object))  # type: ignore[union-attr]
        width = len(self.levels) + 2  # type: ignore[arg-type]
        codes = np.where(missing, width - 1, np.where(codes < 0, width - 2, codes))
        out = np.zeros((len(codes), width))
        out[np.arange(len(codes)), codes] = np.sqrt(0.5)
        return out

    def compact(self, frame: pd.DataFrame) -> np.ndarray:
        """Return (n,) one number per row: the rank, or the level's rank by frequency; -1 if missing."""
        if self.is_number:
            cells = numbers(frame[self.name])
            place = np.interp(np.where(np.isnan(cells), 0.0, cells), self.grid, self.ranks)  # type: ignore[arg-type]
            return np.where(np.isnan(cells), -1.0, place)
        words, missing = texts(frame[self.name])
        codes = self.levels.get_indexer(pd.Index(words, dtype=object))  # type: ignore[union-attr]
        return np.where(missing, -1.0, np.where(codes < 0, len(self.levels), codes))  # type: ignore[arg-type]


@dataclass(frozen=True, repr=False, eq=False)
class Encoder:
    """Maps frames to (n, width) points; see `fit_encoder`."""

    blocks: tuple[_ColumnPoints, ...]

    def points(self, frame: pd.DataFrame) -> np.ndarray:
        """Return a frame as (n, width) float64 points."""
        if not self.blocks:
            return np.zeros((len(frame), 1))
        return np.concatenate([block.points(frame) for block in self.blocks], axis=1)

    def compact(self, frame: pd.DataFrame) -> np.ndarray:
        """Return a frame as (n, columns) float64, one number a column, for trees."""
        if not self.blocks:
            return np.zeros((len(frame), 1))
        return np.stack([block.compact(frame) for block in self.blocks], axis=1)


def fit_encoder(tables: AuditTables, *, linear: bool = False) -> Encoder:
    """Return an encoder fitted on the synthetic rows: numbers by rank or range, the 60 most frequent levels for text.

    Args:
      linear: scale numbers between their 1 % and 99 % quantile instead of by mid-rank. Ranks spread rows evenly, but
        put a value next to a frequent one (0 in capital gain) far from it.
    """
    blocks = []
    for name in tables.columns:
        series = tables.synthetic[name]
        if tables.is_number(name):
            cells = numbers(series)
            cells = np.sort(cells[np.isfinite(cells)])
            blocks.append(_number_points(name, cells if len(cells) else np.zeros(1), linear=linear))
        else:
            words, missing = texts(series)
            top = pd.Series(words[~missing], dtype=object).value_counts().index[:MAX_LEVELS]
            blocks.append(_ColumnPoints(name, False, levels=pd.Index(top, dtype=object)))
    return Encoder(tuple(blocks))


def _number_points(name: str, cells: np.ndarray, *, linear: bool) -> _ColumnPoints:
    """Return the coordinates of a number from its sorted values, at least one."""
    if linear:
        ends = np.quantile(cells, [0.01, 0.99])
        if ends[0] == ends[1]:
            ends = cells[[0, -1]]
        if ends[0] < ends[1]:
            return _ColumnPoints(name, True, grid=ends, ranks=np.array([0.0, 1.0]))
    grid, counts = np.unique(cells, return_counts=True)
    return _ColumnPoints(name, True, grid=grid, ranks=(np.cumsum(counts) - counts / 2) / len(cells))


def nearest(base: np.ndarray, points: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the (n, k) distances to, and positions of, the k nearest rows of `base`, nearest first."""
    from sklearn.neighbors import NearestNeighbors

    k = min(k, len(base))
    found = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(base)
    distances, positions = found.kneighbors(points)
    # Rounding in the matrix product leaves about 1e-7 between equal rows.
    return np.where(distances < 1e-6, 0.0, distances), positions

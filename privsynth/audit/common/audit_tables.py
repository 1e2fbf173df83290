"""The input of the officer's audits: three clean tables, and what is known of their columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from privsynth.errors import ConfigError
from privsynth.schema.definition import NUMERIC_KINDS, TIME_KINDS


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class AuditTables:
    """Real and synthetic rows, side by side. Everything here but `synthetic` is private.

    Attributes:
      train: the real rows that the generator saw.
      holdout: real rows of the same population that it did not see; None if there are none.
      synthetic: the rows of the release.
      kinds: column -> kind (`privsynth.schema.definition.Kind`); numbers are float64 with NaN, times datetime64
        with NaT, everything else is text with None or NaN for a missing value.
      roles: column -> roles, for the reader of the report.
      targets: columns to predict.
      protected: columns whose groups must be treated alike.
      unit_train, unit_holdout: (n,) integer codes of the privacy unit of each row; None: each row is a unit.
      unit: "row", or the name of the unit column.
      pool_in_train: (n_train,) booleans: the row's unit was in the audit pool, and a fair coin sent it to training (the
        rest of the pool is the holdout). None: there was no such pool.
      apart: a sample of real cells of columns that are not modelled (identifiers, free text), for the identifier
        screen.
    """

    train: pd.DataFrame
    holdout: pd.DataFrame | None
    synthetic: pd.DataFrame
    kinds: Mapping[str, str]
    roles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    targets: tuple[str, ...] = ()
    protected: tuple[str, ...] = ()
    unit_train: np.ndarray | None = None
    unit_holdout: np.ndarray | None = None
    unit: str = "row"
    pool_in_train: np.ndarray | None = None
    apart: pd.DataFrame | None = None

    def __post_init__(self) -> None:
        columns = list(self.train.columns)
        for label, frame in (("synthetic", self.synthetic), ("holdout", self.holdout)):
            if frame is not None and list(frame.columns) != columns:
                raise ConfigError(f"the {label} table has other columns than the training table; align them first")
        unknown = [name for name in (*self.targets, *self.protected) if name not in columns]
        if unknown:
            raise ConfigError(f"targets or protected name the column '{unknown[0]}', which the tables lack")
        for label, codes, frame in (
            ("unit_train", self.unit_train, self.train),
            ("unit_holdout", self.unit_holdout, self.holdout),
            ("pool_in_train", self.pool_in_train, self.train),
        ):
            if codes is not None and (frame is None or len(codes) != len(frame)):
                raise ConfigError(f"{label} must have one entry for each row of its table")

    def __repr__(self) -> str:
        """Show the number of columns, never a value or a number of rows."""
        return f"AuditTables({len(self.columns)} columns)"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("AuditTables holds private rows and is never pickled")

    @property
    def columns(self) -> list[str]:
        """Column names, in table order."""
        return [str(name) for name in self.train.columns]

    def is_number(self, column: str) -> bool:
        """Return whether a column holds numbers or times, which have an order and a distance."""
        return self.kinds.get(column, "categorical") in (*NUMERIC_KINDS, *TIME_KINDS)

    def units(self, part: str) -> np.ndarray:
        """Return the (n,) unit codes of `train` or `holdout`; every row its own unit if none were given."""
        codes = self.unit_train if part == "train" else self.unit_holdout
        frame = self.train if part == "train" else self.holdout
        return np.arange(0 if frame is None else len(frame)) if codes is None else np.asarray(codes)

    def thinned(self, at_most: int, rng: np.random.Generator) -> AuditTables:
        """Return the tables cut to at most `at_most` rows each, by dropping whole units at random.

        Units of the audit pool are drawn first, from training and holdout together, so that being drawn does not depend
        on the coin: given that it was drawn, a unit is still in training with probability one half.
        """
        if self.largest <= at_most:
            return self
        train, held, ours = self.drawn(at_most, rng)
        return replace(
            self,
            train=self.train.iloc[train].reset_index(drop=True),
            holdout=None if self.holdout is None else self.holdout.iloc[held].reset_index(drop=True),
            synthetic=self.synthetic.iloc[ours].reset_index(drop=True),
            unit_train=None if self.unit_train is None else self.unit_train[train],
            unit_holdout=None if self.unit_holdout is None else self.unit_holdout[held],
            pool_in_train=None if self.pool_in_train is None else self.pool_in_train[train],
        )

    def drawn(self, at_most: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the sorted rows of training, holdout and synthetic table that `thinned` keeps."""
        train, held = self._drawn(at_most, rng)
        return train, held, thin(len(self.synthetic), at_most, rng)

    def _drawn(self, at_most: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return the sorted rows of training and of holdout that are drawn, at most `at_most` each."""
        train, held = self.units("train"), self.units("holdout")
        if self.pool_in_train is None:
            return _rows_of_units(train, at_most, rng), _rows_of_units(held, at_most, rng)
        pool, rest = np.flatnonzero(self.pool_in_train), np.flatnonzero(~self.pool_in_train)
        # A unit is on one side only. The sign keeps apart equal codes of rows that are units of their own.
        drawn = _rows_of_units(np.concatenate([train[pool], -1 - held]), at_most, rng)
        inside, outside = pool[drawn[drawn < len(pool)]], drawn[drawn >= len(pool)] - len(pool)
        left = at_most - len(inside)
        others = rest[_rows_of_units(train[rest], left, rng)] if left > 0 else rest[:0]
        return np.sort(np.concatenate([inside, others])), outside

    @property
    def largest(self) -> int:
        """Rows of the longest table."""
        return max(len(self.train), len(self.synthetic), 0 if self.holdout is None else len(self.holdout))


def _rows_of_units(units: np.ndarray, at_most: int, rng: np.random.Generator) -> np.ndarray:
    """Return the sorted rows of units drawn at random, as many units as fit into `at_most` rows (at least one)."""
    if len(units) <= at_most:
        return np.arange(len(units))
    codes, sizes = np.unique(units, return_inverse=True, return_counts=True)[1:]
    order = rng.permutation(len(sizes))
    fits = max(1, int(np.searchsorted(np.cumsum(sizes[order]), at_most, side="right")))
    chosen = np.zeros(len(sizes), dtype=bool)
    chosen[order[:fits]] = True
    return np.flatnonzero(chosen[codes])


def numbers(series: pd.Series) -> np.ndarray:
    """Return a column of numbers or times as (n,) float64 (times in seconds), NaN where it is missing."""
    if pd.api.types.is_datetime64_any_dtype(series.dtype):
        values = series.to_numpy(dtype="datetime64[s]")
        return np.where(np.isnat(values), np.nan, values.astype(np.int64).astype(np.float64))
    return np.asarray(pd.to_numeric(series, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan))


def texts(series: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Return a column of categories as (n,) texts and an (n,) mask of the missing ones."""
    return series.astype(str).to_numpy(dtype=object), series.isna().to_numpy(dtype=bool)


def thin(n: int, at_most: int, rng: np.random.Generator) -> np.ndarray:
    """Return the sorted indices of at most `at_most` of n rows, each equally likely."""
    return np.arange(n) if n <= at_most else np.sort(rng.choice(n, at_most, replace=False))

"""`DecodedRows`: synthetic rows as integers, before they become a frame or an Arrow table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from privsynth.codecs.parse import narrowest


@dataclass(frozen=True, repr=False)
class Decoded:
    """One column of values.

    Attributes:
      values: (n,) integers: places in the codec's texts, grid steps of a number, or seconds of a time.
      null: (n,) booleans; the value of a null means nothing.
    """

    values: np.ndarray
    null: np.ndarray

    def packed(self) -> Decoded:
        """Return the same values in few bytes, read-only: the narrowest type, and no mask if there are no nulls."""
        null = self.null if self.null.any() else np.broadcast_to(np.False_, len(self.null))
        return Decoded(narrowest(self.values), null)


@dataclass(frozen=True, repr=False)
class DecodedRows:
    """Rows, column by column. Invented columns are absent, since they are made when rows are written.

    An identifier that several rows share, such as that of a synthetic unit, is there as its number.

    Attributes:
      columns: column name -> its values.
      n_rows: number of rows.
    """

    columns: Mapping[str, Decoded]
    n_rows: int

    def numbers(self, name: str, first_row: int = 0) -> np.ndarray:
        """Return (n,) int64 numbers from which an invented column is made: its own, else those of the rows."""
        if name in self.columns:
            return self.columns[name].values.astype(np.int64, copy=False)
        return np.arange(first_row, first_row + self.n_rows, dtype=np.int64)

    def packed(self) -> DecodedRows:
        """Return the same rows in few bytes, read-only."""
        return DecodedRows({name: column.packed() for name, column in self.columns.items()}, self.n_rows)

    def only(self, name: str) -> DecodedRows:
        """Return one column of the rows."""
        return DecodedRows({name: self.columns[name]}, self.n_rows)

    def take(self, rows: np.ndarray) -> DecodedRows:
        """Return the rows of an index array, in that order."""
        return DecodedRows({n: Decoded(c.values[rows], c.null[rows]) for n, c in self.columns.items()}, len(rows))

    def put(self, rows: np.ndarray, others: DecodedRows) -> None:
        """Overwrite the rows of an index array by as many others, in place."""
        for name, column in self.columns.items():
            column.values[rows] = others.columns[name].values
            column.null[rows] = others.columns[name].null


def join(parts: Sequence[DecodedRows]) -> DecodedRows:
    """Return the rows of several tables with the same columns, one after the other."""
    if len(parts) == 1:
        return parts[0]
    columns = {
        name: Decoded(
            np.concatenate([part.columns[name].values for part in parts]),
            np.concatenate([part.columns[name].null for part in parts]),
        )
        for name in parts[0].columns
    }
    return DecodedRows(columns, sum(part.n_rows for part in parts))

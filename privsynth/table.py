"""`Table`: the only holder of private rows.

A table is an Arrow table, as a source delivered it (text where the source has only text), often mapped from a private
spill file so that a million rows do not live in memory. Nothing else in the package may keep rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa


class Table:
    """Private rows, column by column.

    Attributes:
      data: the Arrow table, of (n_rows, n_columns).
    """

    __slots__ = ("_let_go", "data")

    def __init__(self, data: pa.Table, let_go: Callable[[], None] | None = None) -> None:
        self.data = data
        self._let_go = let_go

    def let_go(self) -> None:
        """Take what was read of a spill file out of memory; nothing changes but that. To be called between columns."""
        if self._let_go is not None:
            self._let_go()

    @property
    def names(self) -> list[str]:
        """Column names, in the order of the source."""
        return list(self.data.column_names)

    @property
    def n_rows(self) -> int:
        """Number of rows. Private: print it only where the officer alone reads."""
        return int(self.data.num_rows)

    def column(self, name: str) -> pa.ChunkedArray:
        """Return one column as Arrow data."""
        return self.data.column(name)

    def select(self, names: Sequence[str]) -> Table:
        """Return the table with these columns only, in this order."""
        return Table(self.data.select(list(names)), self._let_go)

    def take(self, rows: np.ndarray) -> Table:
        """Return the rows of a boolean mask or of an index array, in that order."""
        if is_all(rows, self.n_rows):
            return self
        if rows.dtype == np.bool_:
            return Table(self.data.filter(pa.array(rows)))
        return Table(self.data.take(pa.array(rows)))

    def __repr__(self) -> str:
        """Say the number of columns; never a value and never the number of rows."""
        return f"Table({self.data.num_columns} columns)"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a Table holds private rows and is never pickled")


def is_all(rows: np.ndarray, n_rows: int) -> bool:
    """Return whether a mask or an index array takes every row as it stands, so that nothing need be copied."""
    if len(rows) != n_rows:
        return False
    return bool(rows.all()) if rows.dtype == np.bool_ else np.array_equal(rows, np.arange(n_rows))

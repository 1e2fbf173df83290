"""What is known of each row beside its cells: columns with names that no source can have. Private."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

_PREFIX = "\0"  # no source has it in a name: headers are texts without NUL

UNIT, SIDE, STEPS, OF_UNIT, POOL, ROW = (f"{_PREFIX}{n}" for n in ("unit", "side", "steps", "of unit", "pool", "row"))
# ROW: (n,) int64 number of the row in the table, in the order of the source.
UNUSED, TRAINING, HELD_OUT = -1, 0, 1  # values of SIDE

MARKS = pa.schema(
    [
        (UNIT, pa.int64()),
        (SIDE, pa.int8()),
        (STEPS, pa.int64()),
        (OF_UNIT, pa.int64()),
        (POOL, pa.bool_()),
    ]
)


@dataclass(frozen=True, repr=False)
class Marks:
    """What is known of each row of a part beside its cells.

    Attributes:
      unit: (n,) int64 unit of each row; all rows of a unit lie in one part, and other parts may use its number again.
      side: (n,) int8 `TRAINING`, `HELD_OUT` or `UNUSED`.
      steps: (n,) int64 whole steps that a row weighs, so that those of its unit weigh one together.
      of_unit: (n,) int64 rows of the row's unit in the table, used or not.
      pool: (n,) booleans: the unit entered the pool, from which a fair coin sent it to training or holdout.
    """

    unit: np.ndarray
    side: np.ndarray
    steps: np.ndarray
    of_unit: np.ndarray
    pool: np.ndarray

    def to_arrow(self) -> pa.Table:
        """Return them as columns."""
        values = (self.unit, self.side, self.steps, self.of_unit, self.pool)
        return pa.table([pa.array(v, kind.type) for v, kind in zip(values, MARKS, strict=True)], schema=MARKS)


def is_mark(name: str) -> bool:
    """Return whether a column holds what is known of rows, and no cells."""
    return name.startswith(_PREFIX)


def cell_fields(schema: pa.Schema) -> pa.Schema:
    """Return the fields of the columns that hold cells."""
    return pa.schema([field for field in schema if not is_mark(field.name)])


def cells(part: pa.Table) -> pa.Table:
    """Return the columns of a part that hold cells."""
    return part.select([name for name in part.column_names if not is_mark(name)])


def marks(part: pa.Table) -> pa.Table:
    """Return the columns of a part that hold none."""
    return part.select([name for name in part.column_names if is_mark(name)])


def used(part: pa.Table) -> pa.Table:
    """Return the rows of a part that are used."""
    return on_side(part, TRAINING, HELD_OUT)


def on_side(part: pa.Table, *sides: int) -> pa.Table:
    """Return the rows of a part that are on some sides, in their order."""
    keep = np.isin(values(part, SIDE), sides)
    return part if keep.all() else part.filter(pa.array(keep))


def values(part: pa.Table, name: str) -> np.ndarray:
    """Return (n,) the values of a mark."""
    column: np.ndarray = part.column(name).to_numpy()
    return column


def weights(part: pa.Table, weighed: bool) -> np.ndarray | None:
    """Return (n,) whole steps that rows weigh; None where they count one each."""
    return values(part, STEPS) if weighed else None

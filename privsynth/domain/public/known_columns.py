"""Columns whose categories and bins a public table tells: how well they suit the private rows, by one small release.

For each such column rows are counted by where the public table puts them: in a few groups of its bins, or outside of
all it knows, or nowhere. Where the public table knows less of the rows than a purchase would show, the column is bought
as if there were no public table.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Self

import numpy as np
import pyarrow as pa

from privsynth.codecs.columns import DAY, CategoryCodec, ColumnCodec, NumberCodec, TiedCodec, TimeCodec, split_week
from privsynth.codecs.parse import Categories, Grid
from privsynth.codecs.parsed_table import ParsedTable
from privsynth.partitions.marks import TRAINING, on_side, weights
from privsynth.partitions.rows import PrivateRows
from privsynth.privacy.accounting import round_up
from privsynth.privacy.mechanisms import Mechanisms
from privsynth.privacy.unit_weights import Weighting, count

GROUPS = 8  # of bins that a line is checked by: enough to see that most rows lie in one of them
CLEAR = 2.0  # standard deviations of noise, from which on rows outside count against the public table


@dataclass(frozen=True, kw_only=True)
class KnownColumn:
    """A column as a public table tells it.

    Attributes:
      codec: its categories or bins.
      share: (size,) shares of the codes of its first attribute among the public rows, nulls apart.
      null_share: share of nulls among the public rows.
    """

    codec: ColumnCodec
    share: np.ndarray
    null_share: float

    @classmethod
    def of(
        cls, codec: ColumnCodec, columns: Mapping[str, Categories | Grid], by_name: Mapping[str, ColumnCodec]
    ) -> Self:
        """Return a column as public rows tell it.

        Args:
          columns: parsed public rows.
          by_name: column -> its codec.
        """
        code, null = places(codec, columns, by_name)
        size = len(codec.values) if isinstance(codec, CategoryCodec) else _line(codec).bins.size
        there = ~null & (code >= 0)
        share = np.bincount(code[there], minlength=size) / max(int(there.sum()), 1)
        return cls(codec=codec, share=share, null_share=float(null.mean()) if len(null) else 0.0)

    def groups(self) -> np.ndarray:
        """Return (size,) the group of each code: bins side by side that hold about equally many public rows."""
        if isinstance(self.codec, CategoryCodec):
            return np.zeros(len(self.share), dtype=np.int64)
        middle = np.cumsum(self.share) - self.share / 2
        place = np.minimum((middle * GROUPS).astype(np.int64), GROUPS - 1)
        dense: np.ndarray = np.unique(place, return_inverse=True)[1]
        return dense

    @property
    def share_of_groups(self) -> np.ndarray:
        """(groups,) shares of the public rows."""
        return np.bincount(self.groups(), weights=self.share)

    def cells(self, columns: Mapping[str, Categories | Grid], by_name: Mapping[str, ColumnCodec]) -> np.ndarray:
        """Return (n,) where each value lies: its group; then outside, then nowhere, the last two. Private."""
        code, null = places(self.codec, columns, by_name)
        group = np.append(self.groups(), 0)
        outside = int(group.max()) + 1
        return np.where(null, outside + 1, np.where(code < 0, outside, group[code]))


def places(
    codec: ColumnCodec, columns: Mapping[str, Categories | Grid], by_name: Mapping[str, ColumnCodec]
) -> tuple[np.ndarray, np.ndarray]:
    """Return (n,) the category or the bin of each value, −1 outside of all of them, and which are null.

    A row-by-row function.
    """
    column = columns[codec.name]
    if isinstance(codec, CategoryCodec):
        assert isinstance(column, Categories)
        (code,) = codec.encode(column)
        return np.where(code < len(codec.values), code, -1), column.codes < 0
    line = _line(codec)
    found = line.known(column)
    steps, null = found.values, found.null
    if isinstance(line, TiedCodec) or line.base is None:
        steps = split_week(steps // DAY)[0] if isinstance(line, TimeCodec) else steps
    else:
        base = by_name[line.base].known(columns[line.base])
        null = null | base.null
        above = isinstance(line, TimeCodec)
        steps = line.scale.place(steps, base.values) if above else np.maximum(steps - base.values, 0)  # type: ignore[union-attr]
    first, last = line.bins.ends
    return np.where((steps < first[0]) | (steps > last[-1]), -1, line.bins.encode(steps)), null


def _line(codec: ColumnCodec) -> NumberCodec | TiedCodec | TimeCodec:
    assert isinstance(codec, NumberCodec | TiedCodec | TimeCodec)
    return codec


@dataclass(frozen=True, kw_only=True)
class Bought:
    """What a purchase would show, from public facts and released numbers.

    Attributes:
      category_rows: a category with fewer rows than this would be lost.
      bins: of a line.
      n_rows: the released number of rows.
    """

    category_rows: float
    bins: int
    n_rows: float


def unsuited(
    known: Mapping[str, KnownColumn],
    parsed: PrivateRows,
    bought: Bought,
    weighting: Weighting,
    mechanisms: Mechanisms,
    *,
    mu_squared: float,
) -> tuple[str, ...]:
    """Return the columns of which a purchase would show more than the public table tells.

    Guarantee: one Gaussian release of part "domain" at `mu_squared`: a row is in one cell of each column, so a unit
      moves the counts by what its rows weigh together, times √columns. The rest is post-processing.
    """
    if not known:
        return ()
    by_name = {name: column.codec for name, column in known.items()}
    sizes = [int(column.groups().max(initial=0)) + 3 for column in known.values()]
    release = mechanisms.gaussian(
        parsed.add_up(partial(_counts, list(known.values()), by_name, sizes, weighting.weighed)),
        l2_sensitivity=round_up(weighting.unit_weight * math.sqrt(len(known)), 12),
        part="domain",
        mu_squared=mu_squared,
        label="rows of each column that the prior's values hold",
    )
    rows, sigma = release.values * weighting.rows_per_step, release.sigma * weighting.rows_per_step
    noisy = np.split(rows, np.cumsum(sizes)[:-1])
    return tuple(
        name for (name, column), of in zip(known.items(), noisy, strict=True) if _shows_less(column, of, sigma, bought)
    )


def _counts(
    known: Sequence[KnownColumn],
    by_name: Mapping[str, ColumnCodec],
    sizes: Sequence[int],
    weighed: bool,
    part: pa.Table,
) -> np.ndarray:
    """Return the training rows in each cell of each column, side by side, or what they weigh. Private."""
    part = on_side(part, TRAINING)
    columns, steps = ParsedTable.of_arrow(part).columns, weights(part, weighed)
    cells = [column.cells(columns, by_name) for column in known]
    return np.concatenate([count(cell, size, steps) for cell, size in zip(cells, sizes, strict=True)])


def _shows_less(column: KnownColumn, rows: np.ndarray, sigma: float, bought: Bought) -> bool:
    """Return whether a purchase would show more of a column; a pure function of noisy counts."""
    inside, outside, nowhere = rows[:-2], float(rows[-2]), float(rows[-1])
    # Cells that cannot be read as the public table has them look like nulls.
    unread = max(nowhere - CLEAR * sigma - column.null_share * bought.n_rows, 0.0)
    missed = outside - CLEAR * sigma + unread
    if isinstance(column.codec, CategoryCodec):
        rare = column.share[column.share * bought.n_rows < bought.category_rows]
        return missed > float(rare.sum()) * bought.n_rows
    moved = _moved(column, inside, sigma) * bought.n_rows
    return missed + moved > bought.n_rows / bought.bins


def _moved(column: KnownColumn, rows: np.ndarray, sigma: float) -> float:
    """Return the distance of noisy groups from the public ones, as far as noise does not explain it.

    Rows that the public table has elsewhere lie in bins of whose inside it knows little.
    """
    held = max(float(rows.sum()), 1.0)
    apart = rows / held - column.share_of_groups
    squares, noise = float((apart**2).sum()), len(rows) * (sigma / held) ** 2
    keep = max(0.0, 1.0 - noise / squares) if squares > 0 else 0.0
    return 0.5 * keep * float(np.abs(apart).sum())


def names_needing(codecs: Sequence[ColumnCodec], gone: set[str]) -> set[str]:
    """Return the columns in `gone`, and those that are coded by one of them."""
    before = -1
    while len(gone) != before:
        before = len(gone)
        gone = gone | {codec.name for codec in codecs if gone & set(codec.needs)}
    return gone

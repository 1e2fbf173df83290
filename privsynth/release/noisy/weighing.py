"""How far figures of weighed rows may be from those of rows, where units have several: bounds, whatever the rows are.

Of units with many rows each row weighs less, and units whose rows are alike are scaled down further. So noisy tables
count weighed rows, and what is asked is rows. How much a row weighs is bounded: by the most and the least weight, by
how many units there are of each number of rows, and by how much weight was cut off in all; all are paid for or public.
Every bound below holds for any rows that these allow. Pure functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from privsynth.errors import ConfigError
from privsynth.release.noisy.tables import CountedRows, PublishedTable, PublishedTables

UNIT_ROWS = "rows of the unit"  # the axis that tells how many
# Relative, of the number of rows (own): by simulation intervals hold at 5 to 8 %, and not always at 20 %.
MOST_SIZE_ERROR = 0.1
NEGLIGIBLE = 1e-9  # of a factor: rounding, where no codes are joined
HALVINGS = 50  # of an interval of levels: to 1e-15


@dataclass(frozen=True, kw_only=True)
class WeighingBounds:
    """How weighed shares and shares of rows may differ.

    Attributes:
      least: for how many rows one counted row stands, at least.
      most: likewise at most, where nothing was cut off.
      hidden: for what part of all rows the weight may stand, at most, that was cut off units whose rows are alike.
      moved: how far a share of all rows may be moved, at most: by weights, and by what was cut off.
      total: whether counted rows add up to the number of all rows, as those do that were scaled to it.
    """

    least: float
    most: float
    hidden: float
    moved: float
    total: bool = True

    @classmethod
    def of(cls, rows: CountedRows, tables: Sequence[PublishedTable]) -> WeighingBounds:
        """Return the bounds of counts of weighed rows."""
        least, cut = _mean_weight(tables), _cut(rows, tables)
        most = max(max((table.mean_weight for table in tables), default=1.0) / max(rows.least_weight, 1e-300), 1.0)
        return cls(least=least, most=most, hidden=_hidden(rows, cut), moved=min(rows.shift + cut, 1.0))

    @classmethod
    def by_code(cls, rows: CountedRows, tables: Sequence[WeighedBack]) -> WeighingBounds:
        """Return the bounds of tables that were weighed back by the number of rows of the unit."""
        least, most, hidden = 1.0, 1.0, 0.0
        for table in tables:
            if table.group is None:
                continue
            factor = _rows_of_group(rows, table.group)
            inside = list(zip(rows.codes, factor[table.group], strict=True))
            least = min([least, *(1.0 / (one.most * back) for one, back in inside)])
            most = max([most, *(1.0 / (one.least * back) for one, back in inside)])
            hidden = max(hidden, _hidden(rows, _cut(rows, [table.paid])))
        # Where codes are joined, how their rows divide up here is not known: a factor may hold for all of them.
        moved = hidden if most - least < NEGLIGIBLE else 1.0
        return cls(least=least, most=most, hidden=hidden, moved=moved, total=False)

    def most_of_all(self, share: float) -> float:
        """Return the largest number of rows that a weighed one may stand for, both as shares of all counted rows."""
        found = min(self.most * share + self.hidden, share + self.moved)
        return min(found, 1.0 - self.least * (1.0 - share)) if self.total else found

    def least_of_all(self, share: float) -> float:
        """Return the least number of rows that a weighed one may stand for."""
        return 1.0 - self.most_of_all(1.0 - share) if self.total else max(self.least * share, share - self.moved)

    def most_of_part(self, share: float, size: float) -> float:
        """Return the largest share of some rows, such as those of a ward, which are a share `size` of all; it grows."""
        hidden, moved = (one / max(size, 1e-9) for one in (self.hidden, self.moved))
        above, beside = self.most * share + hidden, self.least * (1.0 - share)
        found = min(above / max(above + beside, 1e-300), share + moved)
        return min(found, self.most_of_all(share)) if size >= 1.0 and self.total else found

    def ends_of_all(self, low: float, high: float) -> tuple[float, float]:
        """Return an interval of a weighed number of rows as one of rows, both as shares of all counted rows."""
        return self.least_of_all(low), self.most_of_all(high)

    def ends_of_part(self, low: float, high: float, size: float) -> tuple[float, float]:
        """Return an interval of a share of some weighed rows as one of rows."""
        low, high = min(max(low, 0.0), 1.0), min(max(high, 0.0), 1.0)
        return 1.0 - self.most_of_part(1.0 - low, size), self.most_of_part(high, size)

    def levels(self, level: float, size: float) -> tuple[float, float]:
        """Return the least and the largest weighed share that may stand for a share of some rows."""
        return self._least_level(level, size), 1.0 - self._least_level(1.0 - level, size)

    def _least_level(self, level: float, size: float) -> float:
        low, high = 0.0, 1.0
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            low, high = (low, middle) if self.most_of_part(middle, size) >= level else (middle, high)
        return high if high < level else level

    def reach_of_mean(self, counts: np.ndarray, amounts: np.ndarray, size: float) -> tuple[float, float]:
        """Return by how much a mean of rows may lie below and above that of weighed rows.

        A mean is its least amount and, for each step to the next, the step times the share of rows beyond it.

        Args:
          counts: (m,) weighed rows, noisy. amounts: (m,) finite.
        """
        order = np.argsort(amounts, kind="stable")
        steps, held = np.diff(amounts[order]), np.maximum(counts[order], 0.0)
        beyond = 1.0 - np.cumsum(held)[:-1] / max(float(held.sum()), 1e-300)
        ends = [self.ends_of_part(share, share, size) for share in beyond.tolist()]
        low, high = np.array([e[0] for e in ends]), np.array([e[1] for e in ends])
        return float(steps @ (beyond - low)), float(steps @ (high - beyond))

    def reach_of_sum(self, shares: np.ndarray, amounts: np.ndarray) -> tuple[float, float]:
        """Return by how much a sum over rows may lie below and above that over weighed rows.

        A sum of amounts above zero is, for each step from zero up, the step times the share of rows beyond it; of
        amounts below zero likewise.

        Args:
          shares: (m,) weighed shares of all rows, noisy. amounts: (m,) finite, times the number of rows.
        """
        below = above = 0.0
        for sign in (1.0, -1.0):
            order = np.argsort(sign * amounts, kind="stable")
            steps = np.diff(np.maximum(sign * amounts[order], 0.0), prepend=0.0)
            beyond = np.cumsum(np.maximum(shares[order], 0.0)[::-1])[::-1]
            ends = np.array([self.ends_of_all(share, share) for share in beyond.tolist()])
            less, more = float(steps @ (beyond - ends[:, 0])), float(steps @ (ends[:, 1] - beyond))
            below, above = (below + less, above + more) if sign > 0 else (below + more, above + less)
        return below, above


@dataclass(frozen=True, eq=False)
class WeighedBack:
    """A paid table, and how its rows were weighed back.

    Attributes:
      group: (codes,) the group of each code of how many rows the unit has; None where each row counts one.
    """

    paid: PublishedTable
    group: np.ndarray | None

    @property
    def exact(self) -> bool:
        """Whether no numbers of rows are joined in it that weigh differently."""
        return self.group is None or len(set(self.group.tolist())) == len(self.group)


def weighed_back(tables: PublishedTables, name: str) -> dict[PublishedTable, WeighedBack]:
    """Return the tables of a data table that tell numbers of rows, and what each was made of.

    Where each row counts one, as do first rows that were counted apart, they are the paid ones. Else those that tell
    how many rows the unit has are summed over it, each row times one over what such a row weighs. The paid number of
    rows, to which weighed rows were scaled, cancels out.
    """
    rows, axes = tables.rows[name], tables.axes[name]
    unit = next((at for at, axis in enumerate(axes) if axis.kind == "code" and axis.name == UNIT_ROWS), None)
    found: dict[PublishedTable, WeighedBack] = {}
    for table in tables.tables:
        if table.data_table != name:
            continue
        if table.scale_error == 0.0:
            found[table] = WeighedBack(table, None)
        elif rows.codes and unit in table.axes:
            at = table.axes.index(unit)
            group = table.groups[at]
            factor = np.zeros(table.counts.shape[at])
            told = _rows_of_group(rows, group)
            factor[: len(told)] = told * table.mean_weight
            counts, squares = (np.moveaxis(one, at, -1) for one in (table.counts, table.sigma**2))
            summed = replace(
                table,
                axes=(*table.axes[:at], *table.axes[at + 1 :]),
                groups=(*table.groups[:at], *table.groups[at + 1 :]),
                counts=counts @ factor,
                sigma=np.sqrt(squares @ factor**2),
            )
            found[summed] = WeighedBack(table, group[: len(rows.codes)])
    return found


def refuse_unless_told(rows: CountedRows, name: str) -> None:
    """Refuse where too little is known of how many rows units have.

    Raises:
      ConfigError: no interval would be true; the message says why.
    """
    if not rows.sizes_told:
        raise ConfigError(
            f"of '{name}' no interval would be true: first rows were counted apart, and how many there are was not "
            "paid for but told by the model of the table above; ask about the root table, or the one right below it"
        )
    if rows.size_error > MOST_SIZE_ERROR:
        raise ConfigError(
            "no interval would be true: how many rows units have was bought with so little budget that the number of "
            f"rows has an error of {rows.size_error:.0%}; with more than {MOST_SIZE_ERROR:.0%} it cannot be undone "
            "that rows of units with many were counted for less. The synthetic rows have an answer, without an interval"
        )


def _rows_of_group(rows: CountedRows, group: np.ndarray) -> np.ndarray:
    """Return (groups,) for how many rows a weight of one stands, of units whose number of rows is in each group."""
    share, mean = np.array([(max(one.rows, 1e-9), one.mean) for one in rows.codes]).T
    inside = group[: len(rows.codes)]
    held = np.bincount(inside, weights=share * mean)
    return np.asarray(np.bincount(inside, weights=share) / np.maximum(held, 1e-300))


def _mean_weight(tables: Sequence[PublishedTable]) -> float:
    return min((table.mean_weight for table in tables), default=1.0)


def _cut(rows: CountedRows, tables: Sequence[PublishedTable]) -> float:
    """Return the part of the weight that was cut off units whose rows are alike, as the noisy tables tell it."""
    return min(max(1.0 - _mean_weight(tables) / max(rows.mean_weight, 1e-300), 0.0), 1.0)


def _hidden(rows: CountedRows, cut: float) -> float:
    return min(cut * rows.mean_weight / max(rows.least_weight, 1e-300), 1.0)

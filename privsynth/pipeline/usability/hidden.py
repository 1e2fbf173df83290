"""What noise hides: columns and pairs, with the rows that would resolve them; from paid tables and public numbers."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from itertools import combinations

import numpy as np

from privsynth.findings.usability import HiddenTie
from privsynth.pipeline.usability.outlook import CLEAR, LOST
from privsynth.release.noisy.tables import PublishedTable, PublishedTables

# What noise of standard deviation 1 in every cell adds to a distance: half of E|X| of a standard normal.
OF_SIGMA = 0.5 * math.sqrt(2 / math.pi)
_ORDER = ("noise", "not bought", "passed over")
DIGITS = 2  # of a number of rows (own): it is an estimate


def hidden_column(name: str, noise: float, n_rows: float) -> HiddenTie:
    """Return what is said of a column that is noise.

    Args:
      noise: the distance that noise makes, expected or paid; n_rows: at so many rows.
    """
    return HiddenTie(name=name, why="noise", noise=round(min(noise, 1.0), 4), rows=rows_needed(noise, n_rows))


def hidden_pairs(
    tables: PublishedTables, data_table: str, owners: Mapping[str, str], n_rows: float, first: Collection[str] = ()
) -> tuple[int, list[HiddenTie]]:
    """Return how many pairs there are, and those that noise hides.

    A pair is hidden where no table that was bought holds both columns, or where noise alone would misplace more than
    `LOST` of the rows in each that does.

    Args:
      data_table: whose rows are counted; "" where there is one.
      owners: attribute -> its column; two parts of one column are no pair.
      n_rows: released or declared.
      first: columns whose pairs come first, such as targets.
    """
    own = [table for table in tables.tables if table.data_table == data_table]
    names = [axis.name for axis in tables.axes[data_table]]
    usual = [float(np.median(table.sigma)) for table in own if len(table.axes) > 1]
    if not usual or n_rows <= 0:
        return 0, []
    axes = [at for at, name in enumerate(names) if name in owners]
    pairs = [pair for pair in combinations(axes, 2) if len({owners[names[at]] for at in pair}) == len(pair)]
    bought = _noise_of_pairs(own, n_rows)
    strata = {table.stratum for table in own}
    found = []
    for pair in pairs:
        parts = [bought.get((stratum, pair)) for stratum in strata]
        words = " × ".join(names[at] for at in pair)
        if None in parts:
            cells = math.prod(tables.axes[data_table][at].size for at in pair)
            found.append((pair, _without_table(words, OF_SIGMA * float(np.median(usual)) * cells / n_rows, n_rows)))
            continue
        noise = math.hypot(*(part for part in parts if part is not None))
        if noise > LOST:
            found.append((pair, HiddenTie(name=words, why="noise", noise=noise, rows=rows_needed(noise, n_rows))))
    ranked = sorted(found, key=lambda one: _rank(one[1], [owners[names[at]] in first for at in one[0]]))
    return len(pairs), [_rounded(one) for _, one in ranked]


def _without_table(words: str, noise: float, n_rows: float) -> HiddenTie:
    if noise <= CLEAR:
        return HiddenTie(name=words, why="passed over", noise=noise, rows=0)
    return HiddenTie(name=words, why="not bought", noise=noise, rows=rows_needed(noise, n_rows))


def rows_needed(noise: float, n_rows: float) -> int:
    """Return at how many rows noise would misplace no more than `CLEAR` of them: its share falls as rows are more."""
    needed = max(n_rows * noise / CLEAR, 1.0)
    step = 10 ** max(math.floor(math.log10(needed)) - DIGITS + 1, 0)
    return math.ceil(needed / step) * step


def _rank(one: HiddenTie, matters: Sequence[bool]) -> tuple[bool, int, float, str]:
    return not any(matters), _ORDER.index(one.why), -one.noise, one.name


def _rounded(one: HiddenTie) -> HiddenTie:
    return HiddenTie(name=one.name, why=one.why, noise=round(min(one.noise, 1.0), 4), rows=one.rows)


def _noise_of_pairs(tables: Sequence[PublishedTable], n_rows: float) -> dict[tuple[str, tuple[int, int]], float]:
    """Return (stratum, pair of axes) -> the least share of rows that noise misplaces in a table that holds both."""
    found: dict[tuple[str, tuple[int, int]], float] = {}
    for table in tables:
        variance = table.sigma**2
        for one, other in combinations(range(len(table.axes)), 2):
            rest = tuple(at for at in range(len(table.axes)) if at not in (one, other))
            noise = OF_SIGMA * float(np.sqrt(variance.sum(axis=rest)).sum()) / n_rows
            a, b = sorted((table.axes[one], table.axes[other]))
            key = (table.stratum, (a, b))
            found[key] = min(found.get(key, math.inf), noise)
    return found

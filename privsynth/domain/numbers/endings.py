"""Which endings the numbers of a column have, where the schema lists none: prices in .99, cash in tens.

One release for all columns: how many values end in each two digits of their grid, and how many are multiples of 500,
1,000 and 10,000 grid steps. Where values have no favourite endings each two digits are a hundredth of them. What stands
out of that becomes an ending, and the column gets an attribute for it, if enough of its rows have one.

A column of few different values, such as distances between airports, has digits that stand out too, and no endings. So
values are counted in thirds, by their hundreds: an ending is one that stands out in all of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pyarrow as pa

from privsynth.codecs.column_facts import ColumnFacts
from privsynth.codecs.columns import ColumnCodec, Endings, NumberCodec, declared_endings
from privsynth.domain.layout import Layout
from privsynth.domain.numbers.places import places
from privsynth.partitions.marks import STEPS, weights
from privsynth.partitions.rows import PrivateRows
from privsynth.privacy.mechanisms import Mechanisms
from privsynth.privacy.unit_weights import Weighting, count
from privsynth.schema.definition import Schema

CYCLE = 100  # of the last two digits
THIRDS = 3  # parts in which values are counted: two values of one ending leave at least one of them empty
EACH_THIRD = 0.4  # of the mean of the three, that an ending has to hold in each beyond chance (own)
ROUND = (10_000, 1_000, 500)  # multiples of these are counted apart, the coarsest first
# Values from which on endings are counted: the density changes little over a hundred steps there, while below the last
# two digits are most of the value (own).
COUNTED_FROM = 10 * CYCLE
CLEAR = 0.002  # standard deviation of a count that is paid for, as a share of the rows: 1 % is five of them
DULL = 0.015  # and with more than this nothing is asked: only endings of 7 % of the rows would stand out
MOST_OF_DOMAIN = 0.1  # of the domain's μ² (own), above which endings are too dear for what most tables have
SOLID = 4.5  # standard deviations: noise alone makes one of 30 columns' counts stand out once in a hundred runs
QUARTILES_APART = 1.349  # standard deviations, of a normal distribution
FEWEST = 0.01  # share of the counted rows that an ending holds beyond chance: fewer change no figure (own)
# Share of the counted rows whose endings are more than chance: with fewer an attribute of their own costs the others
# more than the rows gain (own).
ENOUGH = 0.1
MOST = 8  # endings of a column, the heaviest (own): each is another code in every table of the attribute
OF_TEN = 6  # of ten two-digit endings that share their last digit: so many are one ending, the digit (own)
STANDS_OUT = 2.0  # times as heavy as the others of its digit, an ending remains one of its own (own)


@dataclass(frozen=True, kw_only=True)
class EndingsRequest:
    """Which columns are asked about, and what it costs; from public facts and released numbers.

    Attributes:
      names: columns of numbers whose endings nobody declared.
      n_rows: the released number of rows.
      mu_squared: of part "domain"; zero if nothing is asked.
    """

    names: tuple[str, ...]
    n_rows: float
    mu_squared: float = 0.0

    def priced(self, weighting: Weighting, mu_squared: float) -> EndingsRequest:
        """Return the request with its price, of `mu_squared` for part "domain"."""
        if not self.names or mu_squared <= 0:
            return self
        rows = weighting.unit_weight * weighting.rows_per_step * math.sqrt(len(self.names)) / max(self.n_rows, 1.0)
        paid = min((rows / CLEAR) ** 2, MOST_OF_DOMAIN * mu_squared)
        return replace(self, mu_squared=paid) if rows / math.sqrt(paid) <= DULL else self


def may_have_endings(schema: Schema, layout: Layout, facts: Mapping[str, ColumnFacts]) -> tuple[str, ...]:
    """Return the columns of numbers whose endings may be asked about: wide, undeclared, coded by themselves."""
    found = []
    for name in layout.modelled:
        column, fact = schema.column(name), facts[name]
        number = fact.kind in ("numeric", "integer") and name not in layout.bases and column.endings is None
        bounds = (column.minimum, column.maximum)
        narrow = all(isinstance(b, int | float) and abs(b) < COUNTED_FROM * fact.precision for b in bounds)
        # Figures of a target and of groups are by the values of one attribute.
        if number and not narrow and not (column.has_role("target") or column.has_role("protected")):
            found.append(name)
    return tuple(found)


def with_endings(codec: ColumnCodec, schema: Schema, found: Mapping[str, Endings]) -> ColumnCodec:
    """Return a column of numbers with its endings, declared or found; any other as it is."""
    if not isinstance(codec, NumberCodec) or codec.base is not None:
        return codec
    declared = schema.column(codec.name).endings
    endings = found.get(codec.name) if declared is None else declared_endings(declared)
    return codec if endings is None else replace(codec, endings=endings)


def find_endings(
    dimensions: Mapping[str, str],
    rows: PrivateRows,
    request: EndingsRequest,
    weighting: Weighting,
    mechanisms: Mechanisms,
) -> dict[str, Endings]:
    """Return the endings of the columns that have some.

    Guarantee: one Gaussian release of part "domain" at `request.mu_squared`. A row is in at most one entry of each
      column, so a unit moves it by at most what its rows weigh together, times √columns.
    """
    if not request.mu_squared:
        return {}
    asked = [dimensions[name] for name in request.names]
    counts = rows.add_up(partial(count_endings, asked, weighting.weighed), [*asked, STEPS])
    release = mechanisms.gaussian(
        counts.ravel(),
        l2_sensitivity=math.sqrt(len(counts)) * weighting.unit_weight,
        part="domain",
        mu_squared=request.mu_squared,
        label="endings of numbers",
    )
    noisy = release.values.astype(np.float64).reshape(counts.shape) * weighting.rows_per_step
    sigma = release.sigma * weighting.rows_per_step
    found = {name: chosen(table, sigma) for name, table in zip(request.names, noisy, strict=True)}
    return {name: endings for name, endings in found.items() if endings is not None}


def count_endings(dimensions: Sequence[str], weighed: bool, part: pa.Table) -> np.ndarray:
    """Return (dimensions, 3, 103) exact counts: by the last two digits, and of the multiples of `ROUND`; in thirds.

    Private.
    """
    steps, found = weights(part, weighed), []
    for name in dimensions:
        values, known = places(part, name)
        amount = np.abs(values.astype(np.int64))
        large = known & (amount >= COUNTED_FROM)
        found.append(_counts(amount[large], None if steps is None else steps[large]))
    return np.stack(found)


def _counts(amount: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    entry = amount % CYCLE
    for i, modulus in reversed(list(enumerate(ROUND))):
        entry[amount % modulus == 0] = CYCLE + i
    entries = CYCLE + len(ROUND)
    entry += amount // CYCLE % THIRDS * entries
    return count(entry, THIRDS * entries, weight).reshape(THIRDS, entries)


def chosen(thirds: np.ndarray, sigma: float) -> Endings | None:
    """Return the endings that stand out in (3, 103) noisy counts; None if they are too few rows. Post-processing."""
    beyond = [_beyond_chance(third) for third in thirds]
    total = {pattern: sum(third[pattern] for third in beyond) for pattern in beyond[0]}
    spread = {p for p, e in total.items() if min(third[p] for third in beyond) > EACH_THIRD * e / THIRDS}
    rows, noise = float(thirds.sum()), sigma * math.sqrt(THIRDS)
    least = max(SOLID * max(noise, _spread([total[CYCLE, i] for i in range(CYCLE)])), FEWEST * rows)
    found = _by_last_digit({p: e for p, e in total.items() if p in spread and e > least})
    found |= _joint(thirds, found, max(SOLID * noise * math.sqrt(CYCLE / 10), FEWEST * rows))
    if sum(found.values()) < ENOUGH * rows or rows <= 0:
        return None
    heaviest = sorted(found, key=lambda pattern: -found[pattern])[:MOST]
    return Endings(tuple(sorted(heaviest, key=lambda pattern: (-pattern[0], pattern[1]))))


def _beyond_chance(table: np.ndarray) -> dict[tuple[int, int], float]:
    """Return ending -> its noisy rows of (103,) counts less those that it has by chance: most are no favourites."""
    digits, multiples = table[:CYCLE], table[CYCLE:]
    even = max(float(np.median(digits)), 0.0)
    chance = np.diff([0.0, *(even * CYCLE / modulus for modulus in ROUND)])  # each less the coarser ones
    beyond = {(modulus, 0): float(excess) for modulus, excess in zip(ROUND, multiples - chance, strict=True)}
    return beyond | {(CYCLE, i): float(digits[i]) - even for i in range(CYCLE)}


def _by_last_digit(found: dict[tuple[int, int], float]) -> dict[tuple[int, int], float]:
    """Return the endings, those of two digits joined where most of one last digit are among them."""
    result = dict(found)
    for digit in range(10):
        alike = {p: excess for p, excess in found.items() if p[0] == CYCLE and p[1] % 10 == digit}
        if len(alike) < OF_TEN:
            continue
        usual = float(np.median(list(alike.values())))
        joined = {p: excess for p, excess in alike.items() if excess < STANDS_OUT * usual}
        result = {p: excess for p, excess in result.items() if p not in joined} | {(10, digit): sum(joined.values())}
    return result


def _joint(thirds: np.ndarray, found: dict[tuple[int, int], float], least: float) -> dict[tuple[int, int], float]:
    """Return the last digits that stand out over the two-digit endings that do not by themselves."""
    left = np.array([(CYCLE, i) not in found and (10, i % 10) not in found for i in range(CYCLE)])
    sums = (thirds[:, :CYCLE] * left).reshape(THIRDS, 10, 10).sum(axis=1)  # by the last digit
    beyond = sums - np.median(sums, axis=1, keepdims=True)
    total = beyond.sum(axis=0)
    clear = (total > max(least, SOLID * _spread(total))) & (beyond.min(axis=0) > EACH_THIRD * total / THIRDS)
    return {(10, digit): float(total[digit]) for digit in np.flatnonzero(clear).tolist()}


def _spread(values: np.ndarray | list[float]) -> float:
    """Return the standard deviation that the middle half of some values shows, whatever stands out beside it."""
    low, high = np.quantile(values, [0.25, 0.75])
    return float(high - low) / QUARTILES_APART

"""Drawing the rows of synthetic units together: units first, by how many rows they have, then the rows of each.

Columns that are constant within a unit are drawn once a unit, and its other columns given them, row by row. Rows that
break a rule are mended; what is constant stays (see `repair`). Beyond that, rows of a unit are as alike as its number
of rows makes them: histories in order are not modelled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from privsynth.codecs.decoded_rows import Decoded, DecodedRows
from privsynth.codecs.table import TableCodec
from privsynth.errors import ConfigError
from privsynth.generators.registry import FittedGenerator
from privsynth.sampling.conditional import complete
from privsynth.sampling.draw import rules_hold
from privsynth.sampling.likelihood import Conditioned
from privsynth.sampling.repair import Repairs
from privsynth.sampling.unit_rows import ModelOfUnits
from privsynth.schema.rules import Rule

ROUNDS = 20  # in which rows that break a rule are drawn again before other rows replace them (own)
FRESH_UNITS = 4  # rounds after which units are drawn anew if a row of theirs still breaks a rule (own)


@dataclass(frozen=True)
class Places:
    """Which unit each of n rows belongs to.

    Attributes:
      owner: (n,) the unit of each row; rows of a unit are side by side.
      first: (units,) where each unit's rows begin.
      kind: (units,) its code in the model, by how many rows it has.
    """

    owner: np.ndarray
    first: np.ndarray
    kind: np.ndarray

    @classmethod
    def draw(cls, units: ModelOfUnits, n_rows: int, rng: np.random.Generator) -> Places:
        """Return units that have `n_rows` rows together; the last one has as many as are left.

        Within a class, a unit of n rows is as likely as 1/n (see `RowsPerUnit.rows`).
        """
        share = np.array(units.rows_per_unit.units)
        ends = np.array(units.rows_per_unit.classes)
        kinds, sizes, total = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], 0
        while total < n_rows:
            kind = rng.choice(len(share), size=1_024, p=share / share.sum())
            low, high = ends[kind, 0], ends[kind, 1] + 1.0
            size = np.minimum((low * (high / low) ** rng.random(len(kind))).astype(np.int64), ends[kind, 1])
            kinds.append(kind)
            sizes.append(size)
            total += int(size.sum())
        last = np.cumsum(np.concatenate(sizes))
        first = (last - np.concatenate(sizes))[: int(np.searchsorted(last, n_rows)) + 1]
        owner = np.repeat(np.arange(len(first)), np.diff(np.append(first, n_rows)))
        return cls(owner, first, units.rows_per_unit.codes[np.concatenate(kinds)[: len(first)]])


def draw_units(
    codec: TableCodec,
    fitted: FittedGenerator,
    units: ModelOfUnits,
    rules: Sequence[Rule],
    n_rows: int,
    rng: np.random.Generator,
) -> tuple[DecodedRows, np.ndarray, np.ndarray]:
    """Return rows, their (attributes, n) codes, and the row with which each row's unit begins.

    Args:
      fitted: a model whose last attribute is the code of the unit's number of rows, if units are told apart.
      rules: that hold in every row; those that break one are mended, else drawn again.
    Raises:
      ConfigError: no row keeps the rules.
    """
    drawing = _Drawing(codec, fitted, units, rules, rng)
    places = Places.draw(units, n_rows, rng)
    own = drawing.units_of(places.kind)
    rows, codes = drawing.rows_of(places, own, np.arange(n_rows))
    good = rules_hold(codec, rules, rows)
    for tried in range(1, ROUNDS + 1):
        if good.all():
            break
        again = ~good
        if tried % FRESH_UNITS == 0 and units.constant:
            broken = np.unique(places.owner[~good])
            own = own.with_others(broken, drawing.units_of(places.kind[broken]))
            again = np.isin(places.owner, broken)
        at = np.flatnonzero(again)
        fresh, fresh_codes = drawing.rows_of(places, own, at)
        rows.put(at, fresh)
        codes[:, at] = fresh_codes
        good[at] = rules_hold(codec, rules, fresh)
    if not good.all():
        chosen = _instead(places, good, rng)
        rows, codes = rows.take(chosen), codes[:, chosen]
    return rows, codes, places.first[places.owner]


@dataclass(frozen=True)
class _Units:
    """What is drawn once a unit: (attributes, units) codes, −1 for the others, and values of constant columns."""

    codes: np.ndarray
    values: dict[str, Decoded]

    def with_others(self, at: np.ndarray, others: _Units) -> _Units:
        """Return the units with those at some places replaced."""
        codes = self.codes.copy()
        codes[:, at] = others.codes
        values = {name: Decoded(one.values.copy(), one.null.copy()) for name, one in self.values.items()}
        for name, one in values.items():
            one.values[at], one.null[at] = others.values[name].values, others.values[name].null
        return _Units(codes, values)


@dataclass(frozen=True)
class _Drawing:
    codec: TableCodec
    fitted: FittedGenerator
    units: ModelOfUnits
    rules: Sequence[Rule]
    rng: np.random.Generator

    def units_of(self, kind: np.ndarray) -> _Units:
        """Return what is constant within units of some kinds; what rules say of constants alone is mended."""
        known = np.full((len(self.codec.attributes), len(kind)), -1, dtype=np.int32)
        if self.units.sizes:
            known = np.concatenate([known, kind[None].astype(np.int32)])
        if not self.units.constant:
            return _Units(known, {})
        codes = self._completed(known)
        rows = self.codec.draw(codes, self.rng)
        constant = set(self.units.constant)
        self._mend(rows, codes, [rule for rule in self.rules if constant.issuperset(rule.columns)], ())
        kept = [at for name in self.units.constant for at in self.codec.attributes_of(name)]
        known[kept] = codes[kept]
        return _Units(known, {name: rows.columns[name] for name in self.units.constant})

    def rows_of(self, places: Places, units: _Units, at: np.ndarray) -> tuple[DecodedRows, np.ndarray]:
        """Return rows at some places, given what is constant in their units."""
        owner = places.owner[at]
        codes = self._completed(units.codes[:, owner])
        known = {name: Decoded(one.values[owner], one.null[owner]) for name, one in units.values.items()}
        rows = self.codec.draw(codes, self.rng, known)
        self._mend(rows, codes, self.rules, self.units.constant)
        return rows, codes[: len(self.codec.attributes)]

    def _mend(self, rows: DecodedRows, codes: np.ndarray, rules: Sequence[Rule], fixed: Sequence[str]) -> None:
        """Mend rows in place, and their codes, whose last attribute, the kind of unit, stays as it is."""
        if rules:
            Repairs(Conditioned((), self.codec, {}), self.fitted, rules, fixed).mend(rows, codes, self.rng)

    def _completed(self, known: np.ndarray) -> np.ndarray:
        """Return codes of all attributes; rows that all know the same are drawn together, with less chance."""
        if (known[: len(self.codec.attributes)] >= 0).any() or not self.units.sizes:
            return complete(self.fitted, known, {}, self.rng)
        codes = np.empty(known.shape, dtype=np.uint16)
        for kind in np.unique(known[-1]):
            rows = np.flatnonzero(known[-1] == kind)
            codes[:, rows] = complete(self.fitted, known[:, rows], {}, self.rng)
        return codes


def _instead(places: Places, good: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return (n,) rows that stand in for rows: those of another unit for a unit with a row that breaks a rule."""
    size = np.diff(np.append(places.first, len(good)))
    bad = np.bincount(places.owner, weights=~good, minlength=len(size)) > 0
    if bad.all():
        raise ConfigError("no synthetic unit satisfies the rules in all its rows; check that they do not contradict")
    donor = np.arange(len(size))
    donor[bad] = rng.choice(np.flatnonzero(~bad), size=int(bad.sum()))
    donor = donor[places.owner]
    within = np.arange(len(good)) - places.first[places.owner]
    chosen: np.ndarray = places.first[donor] + within % size[donor]
    return chosen


def numbered(rows: DecodedRows, column: str, first_row: np.ndarray) -> DecodedRows:
    """Return the rows with a column that numbers their units, by the row with which each begins."""
    return DecodedRows({**rows.columns, column: Decoded(first_row, np.zeros(rows.n_rows, dtype=bool))}, rows.n_rows)


def constant_columns(codec: TableCodec, names: Sequence[str]) -> tuple[str, ...]:
    """Return those of some columns that are drawn; one that follows from others is as constant as they are."""
    return tuple(name for name in names if codec.attributes_of(name))

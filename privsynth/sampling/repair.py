"""Rows that break a rule are mended where that is cheap, so that few have to be drawn again.

Drawing a row again until it keeps a rule leaves out what the model drew: were a third of the obstetric rows men, an
obstetric row would become rarer by a third. Where a rule says what a column must be, that column alone is drawn again
from the model, given the rest of the row and the rule: the obstetric row stays and becomes a woman's. As many rows of
whom the rule says nothing have their column drawn again the other way, as far as the model finds that likely, so that
the column's shares, which were paid for, stay as they were. Where a rule says that a number is a multiple, the number
moves to the nearest one. What still breaks a rule is left to rejection.

Where the column is the same in all rows of a unit, it stays, and the rule is read the other way round: what it is said
of is drawn again. In a man's unit the obstetric row gets another diagnosis, and as many rows of women an obstetric one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from privsynth.codecs.columns import CategoryCodec, NumberCodec
from privsynth.codecs.decoded_rows import Decoded, DecodedRows
from privsynth.codecs.parse import GRID_LIMIT
from privsynth.codecs.table import TableCodec
from privsynth.errors import ConfigError
from privsynth.sampling.conditional import DrawsCodes, complete
from privsynth.sampling.conditions import Clause, checked
from privsynth.sampling.likelihood import Conditioned, condition
from privsynth.sampling.unit_rows import RowsOfUnits
from privsynth.schema.calculations import SAME, Amount, ColumnTerm, Operation
from privsynth.schema.rules import Condition, Operator, Rule

PASSES = 3  # over all rules (own): mending one may break another, and chains of three rules are long
CANDIDATES = 4  # rows that are drawn again for each that is wanted (own): many come out as they were
OPPOSITE: Mapping[Operator, Operator] = {
    "=": "!=", "!=": "=", "<": ">=", ">=": "<", ">": "<=", "<=": ">", "in": "not in", "not in": "in",
    "is null": "is not null", "is not null": "is null",
}  # fmt: skip


@dataclass(frozen=True)
class _Redraw:
    """What several rules say of one column, under the same conditions: it is drawn again inside them.

    Attributes:
      rules: each with its premise, and the conditions as its conclusion.
      columns: that are drawn again: the column, or what it is computed from.
      attributes: those of the columns.
      inside: what the conditions mean for the model's codes.
      before: what holds without them.
      turned: whether the rules were read the other way round.
    """

    rules: tuple[Rule, ...]
    columns: frozenset[str]
    attributes: tuple[int, ...]
    inside: Conditioned
    before: Conditioned
    turned: bool = False

    def broken(self, rows: DecodedRows) -> np.ndarray:
        """Return (n,) booleans: the row breaks one of the rules."""
        return ~_hold(self.before.codec, rows, self.rules)

    def mend(
        self, rows: DecodedRows, codes: np.ndarray, at: np.ndarray, fitted: DrawsCodes, rng: np.random.Generator
    ) -> None:
        """Draw the columns of some rows again inside the conditions, in place."""
        self._draw(self.inside, rows, codes, at, fitted, rng)

    def compensate(
        self, rows: DecodedRows, codes: np.ndarray, count: int, fitted: DrawsCodes, rng: np.random.Generator
    ) -> tuple[DecodedRows, np.ndarray, np.ndarray]:
        """Return rows whose columns were drawn again and left the conditions, their codes, and where they stood.

        Args:
          count: how many are wanted; as many or fewer come.
        """
        frame = self.before.codec.frame(rows, names={name for rule in self.rules for name in rule.columns})
        free = self._inside(rows)
        for rule in self.rules:
            free &= ~rule.meets_premise(frame)
        chosen = np.flatnonzero(free)
        if not self.turned:  # there nearly all rows come out inside, and all may be needed
            chosen = rng.choice(chosen, size=min(len(chosen), CANDIDATES * count), replace=False)
        some, fresh = rows.take(chosen), codes[:, chosen]
        if len(chosen):
            self._draw(self.before, some, fresh, np.arange(len(chosen)), fitted, rng)
        left = np.flatnonzero(~self._inside(some))
        return some.take(left), fresh[:, left], chosen[left]

    def _inside(self, rows: DecodedRows) -> np.ndarray:
        """Return (n,) booleans: the row meets the conditions."""
        alone = Rule(text="", shape="check", conditions=self.rules[0].conditions)
        return _hold(self.before.codec, rows, [alone])

    def _draw(
        self,
        inside: Conditioned,
        rows: DecodedRows,
        codes: np.ndarray,
        at: np.ndarray,
        fitted: DrawsCodes,
        rng: np.random.Generator,
    ) -> None:
        known = codes[:, at].astype(np.int32)
        known[list(self.attributes)] = -1
        evidence = {a: weight for a, weight in inside.evidence.items() if a in self.attributes}
        try:
            fresh = complete(fitted, known, evidence, rng)
        except ConfigError:  # the model has no mass there: left to rejection
            return
        _put(inside.codec, rows, codes, at, fresh, self.columns, rng)


@dataclass(frozen=True)
class _Step:
    """A column of numbers that a rule puts on multiples of `modulus`, plus `rest`."""

    rules: tuple[Rule, ...]
    codec: TableCodec
    column: NumberCodec
    modulus: float
    rest: float

    def broken(self, rows: DecodedRows) -> np.ndarray:
        """Return (n,) booleans: the row breaks the rule."""
        return ~_hold(self.codec, rows, self.rules)

    def mend(
        self, rows: DecodedRows, codes: np.ndarray, at: np.ndarray, fitted: DrawsCodes, rng: np.random.Generator
    ) -> None:
        """Move the numbers of some rows to the nearest multiple inside the bounds, in place."""
        column, name = self.column, self.column.name
        before = rows.columns[name]
        step, start = round(self.modulus / column.precision), round(self.rest / column.precision)
        steps = np.rint((before.values[at] - start) / step).astype(np.int64) * step + start
        if column.low is not None:
            steps += np.where(steps < column.low, step, 0)
        if column.high is not None:
            steps -= np.where(steps > column.high, step, 0)
        moved = Decoded(steps, before.null[at])
        base = None if column.base is None else rows.take(at).columns[column.base]
        fresh = codes[:, at].copy()
        fresh[self.codec.attributes_of(name)] = column.encode(column.parsed(moved), base)
        before.values[at] = steps
        _put(self.codec, rows, codes, at, fresh, frozenset(), rng, moved=name)


def _put(
    codec: TableCodec,
    rows: DecodedRows,
    codes: np.ndarray,
    at: np.ndarray,
    fresh: np.ndarray,
    drawn: frozenset[str],
    rng: np.random.Generator,
    moved: str = "",
) -> None:
    """Put fresh codes into some rows, with values for the columns that are drawn, or computed from one that changed."""
    changed = set(drawn) | {moved}
    for _ in codec.codecs:  # columns may be computed from computed ones
        changed |= {column.name for column in codec.codecs if changed & set(column.needs)}
    some = rows.take(at)
    kept = {name: column for name, column in some.columns.items() if name not in changed or name == moved}
    codes[:, at] = fresh
    rows.put(at, codec.draw(fresh, rng, kept))


def _hold(codec: TableCodec, rows: DecodedRows, rules: Sequence[Rule]) -> np.ndarray:
    """Return (n,) booleans: the row keeps all the rules."""
    frame = codec.frame(rows, names={name for rule in rules for name in rule.columns})
    held = np.ones(rows.n_rows, dtype=bool)
    for rule in rules:
        held &= rule.holds(frame)
    return held


class Repairs:
    """Mends rows that break rules.

    Args:
      conditioned: the conditions under which rows are drawn; a mended row meets them as far as one column decides.
      fitted: codes may have an attribute more than the columns, the last, if the model has; it stays as it is.
      fixed: columns that stay as they are.
    """

    def __init__(
        self, conditioned: Conditioned, fitted: DrawsCodes, rules: Sequence[Rule], fixed: Collection[str] = ()
    ) -> None:
        self._codec, self._fitted, self._rules = conditioned.codec, fitted, rules
        # Other models answer conditions by approximations, or slowly; they draw rows again.
        model = fitted.fitted if isinstance(fitted, RowsOfUnits) else fitted
        able = getattr(model, "name", "") == "marginal"
        self._redraws = list(_redraws(rules, conditioned, frozenset(fixed))) if able else []
        steps = (_step(rule, one, conditioned.codec) for rule in rules for one in rule.conditions)
        self._steps = [step for step in steps if step is not None and step.column.name not in fixed]

    def mend(self, rows: DecodedRows, codes: np.ndarray, rng: np.random.Generator) -> None:
        """Mend rows in place, with their (attributes, n) codes."""
        repairs: list[_Redraw | _Step] = [*self._redraws, *self._steps]
        if not repairs:
            return
        bad = np.flatnonzero(~_hold(self._codec, rows, self._rules))
        mended = np.zeros(len(repairs), dtype=np.int64)
        for _ in range(PASSES):
            some, part = rows.take(bad), codes[:, bad]
            for i, repair in enumerate(repairs):
                at = np.flatnonzero(repair.broken(some)) if some.n_rows else bad[:0]
                if len(at):
                    repair.mend(some, part, at, self._fitted, rng)
                    mended[i] += len(at)
            rows.put(bad, some)
            codes[:, bad] = part
            bad = bad[~_hold(self._codec, some, self._rules)]
        for count, redraw in zip(mended.tolist(), self._redraws, strict=False):
            if count:
                self._compensate(redraw, count, rows, codes, rng)

    def _compensate(
        self, redraw: _Redraw, count: int, rows: DecodedRows, codes: np.ndarray, rng: np.random.Generator
    ) -> None:
        """Move as many rows out of a rule's conditions as were moved into them, where that breaks no rule."""
        some, fresh, at = redraw.compensate(rows, codes, count, self._fitted, rng)
        good = np.flatnonzero(_hold(self._codec, some, self._rules))[:count]
        rows.put(at[good], some.take(good))
        codes[:, at[good]] = fresh[:, good]


def _redraws(rules: Sequence[Rule], conditioned: Conditioned, fixed: frozenset[str]) -> Iterator[_Redraw]:
    """Yield what rules say of one column each, by values, sets and groups; a comparison of columns is not mended."""
    found: dict[tuple[bool, tuple[Condition, ...]], list[Rule]] = {}
    for rule in rules:
        for name in dict.fromkeys(one.column for one in rule.conditions if _plain(one)):
            of_one = replace(rule, conditions=tuple(one for one in rule.conditions if _plain(one, name)))
            if fixed.isdisjoint(_sources(name, conditioned.codec)):
                found.setdefault((False, of_one.conditions), []).append(of_one)
                continue
            for other in _turned(of_one, conditioned.codec, fixed):
                found.setdefault((True, other.conditions), []).append(other)
    for (turned, conditions), parts in found.items():
        try:
            spelt = [
                checked(without_unknown(one, conditioned.codec), parts[0].text, conditioned.codec) for one in conditions
            ]
        except ConfigError:  # a category that the model does not have, or an identifier
            continue
        yield replace(_redraw(parts, spelt, conditioned), turned=turned)


def _plain(one: Condition, name: str = "") -> bool:
    """Return whether a condition compares a column, perhaps that of some name, with values."""
    return not one.calculates and one.other is None and name in ("", one.column)


def _turned(rule: Rule, codec: TableCodec, fixed: frozenset[str]) -> Iterator[Rule]:
    """Yield rules that together say the same of the first column before `=>` that is not fixed, if there is one."""
    free = [one for one in rule.premise if _plain(one) and fixed.isdisjoint(_sources(one.column, codec))]
    for concluded in rule.conditions if free else ():
        others = tuple(one for one in rule.premise if one is not free[0])
        yield replace(rule, premise=(*others, negated(concluded)), conditions=(negated(free[0]),))


def negated(one: Condition) -> Condition:
    """Return the opposite condition; neither is met by a missing value."""
    return replace(one, operator=OPPOSITE[one.operator])


def without_unknown(one: Condition, codec: TableCodec) -> Condition:
    """Return a condition without the values that the model does not have."""
    column = codec.by_name[one.column]
    if one.within is None or not isinstance(column, CategoryCodec):
        return one
    return replace(one, within=replace(one.within, values=tuple(v for v in one.within.values if v in column.texts)))


def _redraw(rules: Sequence[Rule], conditions: Sequence[Condition], conditioned: Conditioned) -> _Redraw:
    codec = conditioned.codec
    narrowed = condition([Clause("", (one,)) for one in conditions], codec)
    evidence = dict(narrowed.evidence)
    for attribute, weight in conditioned.evidence.items():
        evidence[attribute] = evidence.get(attribute, 1.0) * weight
    columns = frozenset(source for one in conditions for source in _sources(one.column, codec))
    attributes = tuple(at for name in sorted(columns) for at in codec.attributes_of(name))
    return _Redraw(tuple(rules), columns, attributes, replace(narrowed, evidence=evidence), conditioned)


def _sources(name: str, codec: TableCodec) -> list[str]:
    """Return the columns that are drawn again to change one: itself, or those that determine it."""
    column = codec.by_name[name]
    if isinstance(column, CategoryCodec) and column.source is not None:
        return [column.source]
    return [name] if column.attributes() else list(column.needs)


def _step(rule: Rule, one: Condition, codec: TableCodec) -> _Step | None:
    """Return the repair for a condition `column % modulus = rest`, if multiples lie on the column's grid."""
    left, right = one.left, one.right
    if one.operator != "=" or not isinstance(left, Operation) or left.operator != "%" or not isinstance(right, Amount):
        return None
    if not isinstance(left.left, ColumnTerm) or left.left.part is not None or not isinstance(left.right, Amount):
        return None
    column = codec.by_name[left.left.name]
    modulus, rest = float(left.right.text), float(right.text)
    if not isinstance(column, NumberCodec) or not 0 <= rest < modulus:
        return None
    in_steps = np.array([modulus, rest]) / column.precision
    if not (np.isfinite(in_steps).all() and 1 <= in_steps[0] <= GRID_LIMIT):  # beyond, left to rejection
        return None
    if np.abs(in_steps - np.rint(in_steps)).max() > SAME * max(1.0, in_steps.max()):
        return None
    return _Step((rule,), codec, column, modulus, rest)

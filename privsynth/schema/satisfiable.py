"""Whether the rules of a schema can all hold in one row of the declared domain: checked before anything is spent.

Rules are tried on rows of critical values: bounds, literals, values just beside and between them, and what derived
columns make of these. A missing value keeps most rules, but rules that only missing values could keep are useless: a
column is missing in a tried row only where a rule says `is null` or `is not null` of it. Of rules that calculate, only
remainders (`amount % 10 = 0`) are judged; others are tried, and let pass if no tried row keeps them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from privsynth.schema.calculations import Amount, Calculation, ColumnTerm, Operation, calculate, columns_of
from privsynth.schema.definition import NUMERIC_KINDS, TIME_KINDS, Column, Schema
from privsynth.schema.rules import Condition, Rule, amounts_of, utc

if TYPE_CHECKING:
    import pandas as pd

MOST_ROWS = 200_000  # tried for a group of columns (own): a second's work; a group with more is not judged
_FAR = 1e5  # how far rows are tried beyond a column without a bound (own): 270 years, where it holds days
_FAR_TIME = datetime(2000, 1, 1)  # from which times without a bound are tried (own): any date does
_OTHER = "\N{REPLACEMENT CHARACTER}"  # a text that no rule names


def contradiction(schema: Schema) -> tuple[str, ...]:
    """Return rules that no row of the declared domain can keep together; nothing if there is such a row.

    Rules that share no column are judged apart. A group that is too large to be tried out is not judged.

    Raises:
      ValueError: a rule cannot be judged at all on a row of declared kinds.
    """
    for rules in _groups(schema.parsed_rules()):
        if not _possible(rules, schema):
            return tuple(rule.text for rule in rules)
    return ()


def _groups(rules: Sequence[Rule]) -> list[list[Rule]]:
    """Return the rules in groups that share no column."""
    groups: list[tuple[set[str], list[Rule]]] = []
    for rule in rules:
        names, members = set(rule.columns), [rule]
        apart = []
        for other_names, other in groups:
            if other_names & names:
                names, members = names | other_names, other + members
            else:
                apart.append((other_names, other))
        groups = [*apart, (names, members)]
    return [members for _, members in groups]


def _possible(rules: Sequence[Rule], schema: Schema) -> bool:
    """Return whether a row keeps all the rules, or there are too many rows to try."""
    import numpy as np

    computed = {result: calculation for rule in rules if rule.computes for result, calculation in [rule.computes]}
    names = [name for name in dict.fromkeys(n for rule in rules for n in rule.columns) if name not in computed]
    values = _values(rules, schema, names, computed)
    sizes = [len(values[name]) for name in names]
    n_rows = int(np.prod([float(size) for size in sizes]))
    all_of_them = n_rows <= MOST_ROWS
    if all_of_them:
        places = np.array(list(itertools.product(*map(range, sizes))), dtype=int).T
    else:  # fixed: the same schema gets the same answer
        places = np.random.default_rng(0).integers(0, np.array(sizes)[:, None], size=(len(sizes), MOST_ROWS))
    frame = _frame({n: [values[n][i] for i in place] for n, place in zip(names, places, strict=True)}, schema)
    for result, calculation in _in_order(computed):
        found = calculate(calculation, lambda name: amounts_of(frame[name], name))
        frame[result] = np.broadcast_to(found, len(frame))
    kept = np.ones(len(frame), dtype=bool)
    for rule in rules:
        kept &= rule.holds(frame)
    return bool(kept.any()) or not all_of_them or not _is_judged(rules)


def _is_judged(rules: Sequence[Rule]) -> bool:
    """Return whether a row that keeps the rules is among those that are tried, if there is one."""
    moduli: dict[str, str] = {}
    for condition in (c for rule in rules for c in (*rule.premise, *rule.conditions) if c.calculates):
        found = _remainder(condition)
        if found is None or moduli.setdefault(condition.column, found) != found:
            return False
    return all(rule.computed is None for rule in rules)


def _remainder(condition: Condition) -> str | None:
    """Return m of a condition `column % m = r`."""
    left, right = condition.left, condition.right
    if not isinstance(left, Operation) or left.operator != "%" or not isinstance(right, Amount):
        return None
    plain = isinstance(left.left, ColumnTerm) and left.left.part is None and isinstance(left.right, Amount)
    return left.right.text if plain and isinstance(left.right, Amount) else None


def _in_order(computed: dict[str, Calculation]) -> Iterator[tuple[str, Calculation]]:
    """Yield computed columns after those that they are computed from; those that wait for each other are left out."""
    waiting = dict(computed)
    while ready := [name for name, made in waiting.items() if not waiting.keys() & set(columns_of(made))]:
        for name in ready:
            yield name, waiting.pop(name)


def _frame(values: dict[str, list[Any]], schema: Schema) -> pd.DataFrame:
    import numpy as np
    import pandas as pd

    # The types of synthetic rows, see `TableCodec.frame`.
    types = {name: "float64" for name in values if schema.column(name).kind in NUMERIC_KINDS}
    types |= {name: "datetime64[s]" for name in values if schema.column(name).kind in TIME_KINDS}
    return pd.DataFrame({n: np.array(cells, dtype=types.get(n, "object")) for n, cells in values.items()})


def _values(
    rules: Sequence[Rule], schema: Schema, names: Sequence[str], computed: dict[str, Calculation]
) -> dict[str, list[Any]]:
    """Return the values of each column that are tried."""
    conditions = [c for rule in rules for c in (*rule.premise, *rule.conditions)]
    numbers, times = _points(rules, schema, sums=bool(computed))
    tied = {name for c in conditions if c.other or c.calculates for name in c.columns}
    tied |= {name for rule in rules if rule.computes for name in rule.columns}
    values: dict[str, list[Any]] = {}
    for name in names:
        column = schema.column(name)
        if column.kind in NUMERIC_KINDS or column.kind in TIME_KINDS:
            points = numbers if column.kind in NUMERIC_KINDS else times
            if name not in tied:  # compared with values alone: one value between each two is enough
                points = _own_points(name, column, conditions)
            near = _between(points, len(names) + 1 if name in tied else 1)
            values[name] = _inside(near + _multiples([c for c in conditions if c.column == name], near), column)
        else:
            values[name] = _texts(column, [c for c in conditions if c.column == name])
        if column.nullable and any(c.operator in ("is null", "is not null") for c in conditions if c.column == name):
            values[name] = [*values[name], None]
    return values


def _points(rules: Sequence[Rule], schema: Schema, *, sums: bool) -> tuple[list[float], list[float]]:
    """Return the bounds and literals of all numbers and of all times, the latter in days; perhaps sums and gaps too."""
    found: tuple[set[float], set[float]] = (set(), set())
    for rule in rules:
        conditions = (*rule.premise, *rule.conditions)
        for name in rule.columns:
            column = schema.column(name)
            if column.kind not in (*NUMERIC_KINDS, *TIME_KINDS):
                continue
            mine = found[column.kind in TIME_KINDS]
            mine |= set(_own_points(name, column, conditions))
        sides = [side for c in conditions for side in (c.left, c.right) if side is not None]
        found[0].update(
            amount for side in (*sides, *([rule.computed[1]] if rule.computed else [])) for amount in _amounts(side)
        )
    numbers, times = found
    if sums:  # where a bound of the difference meets one of a column
        lengths = {*numbers, 0.0}
        shifted = {base + sign * length for base in times for length in lengths for sign in (1, -1)}
        times |= shifted
        if not shifted:
            numbers |= {a + sign * b for a, b in itertools.product(lengths, repeat=2) for sign in (1, -1)}
    return sorted(numbers) or [0.0], sorted(times) or [0.0]


def _own_points(name: str, column: Column, conditions: Sequence[Condition]) -> list[float]:
    """Return the bounds of a column of numbers or times, and the values with which it is compared."""
    found = {_number(bound) for bound in (column.minimum, column.maximum) if bound is not None}
    found |= {_literal(text, column) for c in conditions if c.column == name for text in c.literals}
    return sorted(found) or [0.0]


def _amounts(calculation: Calculation) -> Iterator[float]:
    """Yield the numbers that stand in a calculation."""
    if isinstance(calculation, Amount):
        yield float(calculation.text)
    elif isinstance(calculation, Operation):
        yield from _amounts(calculation.left)
        yield from _amounts(calculation.right)


def _multiples(conditions: Sequence[Condition], points: Sequence[float]) -> list[float]:
    """Return values just below and above points whose remainder is one that a condition asks for."""
    found: set[float] = set()
    for condition in conditions:
        modulus = float(_remainder(condition) or 0)
        if modulus > 0 and condition.right is not None:
            (rest,) = _amounts(condition.right)
            found |= {(p // modulus + more) * modulus + rest for p in points for more in (-1, 0, 1)}
    return sorted(found)


def _between(points: Sequence[float], count: int) -> list[float]:
    """Return points with `count` more between each two, and beyond both ends."""
    ends = [points[0] - _FAR, *points, points[-1] + _FAR]
    found = {float(p) for p in points}
    for low, high in itertools.pairwise(ends):
        found |= {low + (high - low) * step / (count + 1) for step in range(1, count + 1)}
        if high - low > 2 * count:  # whole numbers beside the ends
            found |= {side for step in range(1, count + 1) for side in (low + step, high - step)}
    return sorted(found)


def _inside(points: Sequence[float], column: Column) -> list[Any]:
    """Return the points as values that the column can have."""
    low = -float("inf") if column.minimum is None else _number(column.minimum)
    high = float("inf") if column.maximum is None else _number(column.maximum)
    whole = column.kind in ("integer", "date")
    kept = sorted({float(round(p)) if whole else p for p in points})
    kept = [p for p in kept if low <= p <= high] or [p for p in (low, high) if abs(p) < float("inf")] or [0.0]
    if column.kind not in TIME_KINDS:
        return list(kept)
    first, last = _number(datetime.min), _number(datetime.max.replace(microsecond=0))
    return [_FAR_TIME + timedelta(seconds=round(p * 86_400)) for p in kept if first <= p <= last]


def _texts(column: Column, conditions: Sequence[Condition]) -> list[str]:
    """Return the texts of which rules say different things: those named, and one for each mixture of groups."""
    if column.kind == "boolean":
        return [spelt[0] for spelt in column.spellings]
    literals = {text for c in conditions for text in c.literals}
    groups = [c.within for c in conditions if c.within is not None and c.within.level]
    if column.categories is None:
        return [*sorted(literals), *dict.fromkeys(within.group for within in groups), _OTHER]
    seen: dict[tuple[bool, ...], str] = {}
    for text in column.categories:
        if text not in literals:
            seen.setdefault(tuple(within.holds(text) for within in groups), text)
    return [text for text in column.categories if text in literals] + list(seen.values())


def _literal(text: str, column: Column) -> float:
    return _number(utc(datetime.fromisoformat(text)) if column.kind in TIME_KINDS else float(text))


def _number(bound: Any) -> float:
    """Return a number as it is, and a time in days."""
    return (bound - _FAR_TIME) / timedelta(days=1) if isinstance(bound, datetime) else float(bound)

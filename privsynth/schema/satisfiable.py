"""Whether the rules of a schema can all hold in one row of the declared domain: checked before anything is spent.

Rules are tried on rows of critical values: bounds, literals, values just beside and between them, and what derived
columns make of these. A missing value keeps most rules, but rules that only missing values could keep are useless: a
column is missing in a tried row only where a rule says `is null` or `is not null` of it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from privsynth.schema.definition import NUMERIC_KINDS, TIME_KINDS, Column, Schema
from privsynth.schema.rules import Rule, utc

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

    derived = {rule.derived[0]: rule.derived for rule in rules if rule.derived is not None}
    names = [name for name in dict.fromkeys(n for rule in rules for n in rule.columns) if name not in derived]
    values = _values(rules, schema, names, derived)
    sizes = [len(values[name]) for name in names]
    n_rows = int(np.prod([float(size) for size in sizes]))
    all_of_them = n_rows <= MOST_ROWS
    if all_of_them:
        places = np.array(list(itertools.product(*map(range, sizes))), dtype=int).T
    else:  # fixed: the same schema gets the same answer
        places = np.random.default_rng(0).integers(0, np.array(sizes)[:, None], size=(len(sizes), MOST_ROWS))
    frame = _frame({n: [values[n][i] for i in place] for n, place in zip(names, places, strict=True)}, schema)
    for result, minuend, subtrahend in _in_order(derived):
        gap = frame[minuend] - frame[subtrahend]
        frame[result] = gap.dt.total_seconds() / 86_400 if gap.dtype.kind == "m" else gap
    kept = np.ones(len(frame), dtype=bool)
    for rule in rules:
        kept &= rule.holds(frame)
    return bool(kept.any()) or not all_of_them


def _in_order(derived: dict[str, tuple[str, str, str]]) -> Iterator[tuple[str, str, str]]:
    """Yield derived columns after those that they are derived from; those that wait for each other are left out."""
    waiting = dict(derived)
    while ready := [name for name, (_, *sources) in waiting.items() if not waiting.keys() & set(sources)]:
        for name in ready:
            yield waiting.pop(name)


def _frame(values: dict[str, list[Any]], schema: Schema) -> pd.DataFrame:
    import numpy as np
    import pandas as pd

    # The types of synthetic rows, see `TableCodec.frame`.
    types = {name: "float64" for name in values if schema.column(name).kind in NUMERIC_KINDS}
    types |= {name: "datetime64[s]" for name in values if schema.column(name).kind in TIME_KINDS}
    return pd.DataFrame({n: np.array(cells, dtype=types.get(n, "object")) for n, cells in values.items()})


def _values(
    rules: Sequence[Rule], schema: Schema, names: Sequence[str], derived: dict[str, tuple[str, str, str]]
) -> dict[str, list[Any]]:
    """Return the values of each column that are tried."""
    conditions = [c for rule in rules for c in (*rule.premise, *rule.conditions)]
    numbers, times = _points(rules, schema, derived)
    values: dict[str, list[Any]] = {}
    for name in names:
        column = schema.column(name)
        if column.kind in NUMERIC_KINDS or column.kind in TIME_KINDS:
            points = numbers if column.kind in NUMERIC_KINDS else times
            values[name] = _inside(_between(points, len(names) + 1), column)
        else:
            literals = [c.literal for c in conditions if c.literal is not None and c.column == name]
            values[name] = _texts(column, literals)
        if column.nullable and any(c.operator in ("is null", "is not null") for c in conditions if c.column == name):
            values[name] = [*values[name], None]
    return values


def _points(
    rules: Sequence[Rule], schema: Schema, derived: dict[str, tuple[str, str, str]]
) -> tuple[list[float], list[float]]:
    """Return the bounds and literals of all numbers and of all times, the latter in days; with their sums and gaps."""
    found: tuple[set[float], set[float]] = (set(), set())
    for rule in rules:
        for name in rule.columns:
            column = schema.column(name)
            if column.kind not in (*NUMERIC_KINDS, *TIME_KINDS):
                continue
            mine = found[column.kind in TIME_KINDS]
            mine |= {_number(bound) for bound in (column.minimum, column.maximum) if bound is not None}
            literals = [c.literal for c in (*rule.premise, *rule.conditions) if c.column == name]
            mine |= {_literal(text, column) for text in literals if text is not None}
    numbers, times = found
    if derived:  # where a bound of the difference meets one of a column
        lengths = {*numbers, 0.0}
        sums = {base + sign * length for base in times for length in lengths for sign in (1, -1)}
        times |= sums
        if not sums:
            numbers |= {a + sign * b for a, b in itertools.product(lengths, repeat=2) for sign in (1, -1)}
    return sorted(numbers) or [0.0], sorted(times) or [0.0]


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


def _texts(column: Column, literals: Sequence[str]) -> list[str]:
    if column.kind == "boolean":
        return [(column.false_values or ("false",))[0], (column.true_values or ("true",))[0]]
    if column.categories is None:
        return [*dict.fromkeys(literals), _OTHER]
    named = [text for text in column.categories if text in literals]
    return named + [text for text in column.categories if text not in literals][:1]


def _literal(text: str, column: Column) -> float:
    return _number(utc(datetime.fromisoformat(text)) if column.kind in TIME_KINDS else float(text))


def _number(bound: Any) -> float:
    """Return a number as it is, and a time in days."""
    return (bound - _FAR_TIME) / timedelta(days=1) if isinstance(bound, datetime) else float(bound)

"""Conditions on rows, as a person writes them: `fraud = 1`, `age >= 60 and ward in (ICU, ER)`, `admitted < 2024-03-01`.

The grammar is that of the rules (`privsynth.schema.rules`), with `in (…)` and `not in (…)` in addition. Unlike a rule,
a condition is not met by a missing value, unless it says `is null`. `privsynth.sampling.likelihood` says what a
condition means for the codes of a model.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from privsynth.codecs.columns import CategoryCodec, ColumnCodec
from privsynth.codecs.parsed_table import FALSE_TEXTS, TRUE_TEXTS
from privsynth.codecs.table import TableCodec
from privsynth.errors import ConfigError
from privsynth.schema.rules import Condition, Rule, parse_rule

if TYPE_CHECKING:
    import pandas as pd

_QUOTED = r"`[^`]*`|'[^']*'|\"[^\"]*\""
_MEMBER = re.compile(
    r"\s*(?:`(?P<name>[^`]+)`|(?P<word>[^\s`'\"=<>!]+))\s+(?P<no>not\s+)?in\s*(?P<list>\(.*\)|[^(].*)\s*",
    flags=re.IGNORECASE | re.DOTALL,
)
SHOWN = 12  # categories in a message (own): one or two lines of a terminal
MAX_TEXT = 100_000  # characters of a condition (own): a list of some thousand values


@dataclass(frozen=True)
class Clause:
    """Alternative conditions on one column: at least one must be met, or, if negated, none.

    Attributes:
      text: as written.
      conditions: alternatives.
      negated: whether none may be met; a missing value then counts as met.
    """

    text: str
    conditions: tuple[Condition, ...]
    negated: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns in it; the first is the one that it restricts."""
        names = [name for c in self.conditions for name in (c.column, c.other) if name]
        return tuple(dict.fromkeys(names))

    @property
    def literals(self) -> list[str]:
        """The values with which it compares."""
        return [c.literal for c in self.conditions if c.literal is not None]

    def met(self, frame: pd.DataFrame) -> np.ndarray:
        """Return (n_rows,) booleans, one for each row of a clean frame that has the columns."""
        found = np.zeros(len(frame), dtype=bool)
        for condition in self.conditions:
            found |= _strict(condition).holds(frame)
        return found ^ self.negated


def _strict(condition: Condition) -> Rule:
    """Return a rule that holds exactly where the condition is met: a rule by itself lets missing values pass."""
    if condition.operator in ("is null", "is not null"):
        return Rule(text="", shape="check", conditions=(condition,))
    names = (condition.column, *([condition.other] if condition.other else []))
    known = tuple(Condition(name, "is not null") for name in names)
    return Rule(text="", shape="check", conditions=(condition, *known))


def parse_clauses(text: str, codec: TableCodec) -> tuple[Clause, ...]:
    """Return the clauses of a text, which are joined by `and`.

    Args:
      codec: of the model; its columns and categories are public, and a message may name them.
    Raises:
      ConfigError: the text cannot be read, or names a column or a value that the model does not have.
    """
    refuse_long(text)
    clauses: list[Clause] = []
    for part in _split_and(text):
        clauses += _parse_part(part, codec)
    return tuple(clauses)


def refuse_long(text: str) -> None:
    """Raises:
    ConfigError: a text is longer than a person would write.
    """
    if len(text) > MAX_TEXT:
        raise ConfigError(f"a condition or balance has more than {MAX_TEXT:,} characters; write a shorter one")


def _split_and(text: str) -> list[str]:
    """Return the parts between `and`s that stand outside quotes."""
    parts, start = [], 0
    for match in re.finditer(rf"{_QUOTED}|(?P<and>(?<=\s)and(?=\s))", text, flags=re.IGNORECASE):
        if match.group("and"):
            parts.append(text[start : match.start()])
            start = match.end()
    return [*parts, text[start:]]


def _parse_part(part: str, codec: TableCodec) -> list[Clause]:
    member = _MEMBER.fullmatch(part)
    if member:
        name = member["name"] or member["word"]
        items = [_unquoted(item) for item in re.findall(rf"{_QUOTED}|[^,\s][^,]*", member["list"].strip().strip("()"))]
        if not items:
            raise ConfigError(f"the condition '{part.strip()}' needs values: write `{name} in (a, b)`")
        found = tuple(_checked(Condition(name, "=", literal=item), part, codec) for item in items)
        missing = Clause(part.strip(), (Condition(name, "is not null"),))
        return [Clause(part.strip(), found, negated=True), missing] if member["no"] else [Clause(part.strip(), found)]
    try:
        rule = parse_rule(part, codec.names)
    except ValueError as error:
        raise ConfigError(f"the condition '{part.strip()}' cannot be read: {_reason(error)}") from None
    if rule.shape != "check" or not rule.conditions:
        raise ConfigError(
            f"'{part.strip()}' is no condition; write `column = value`, `column >= value` or `column in (a, b)`"
        )
    return [Clause(part.strip(), (_checked(condition, part, codec),)) for condition in rule.conditions]


def _reason(error: ValueError) -> str:
    hint = "write `column = value`, `column >= value`, `column in (a, b)` or `column is null`"
    return "it needs a column name on the left" if "column name" in str(error) else hint


def _unquoted(item: str) -> str:
    item = item.strip()
    return item[1:-1] if len(item) >= 2 and item[0] == item[-1] and item[0] in "'\"" else item


def column_codec(name: str, codec: TableCodec) -> ColumnCodec:
    """Return the codec of a column that a condition may name.

    Raises:
      ConfigError: there is no such column, or its values are made fresh.
    """
    for found in codec.codecs:
        if found.name == name:
            if found.family == "identifier":
                raise ConfigError(f"'{name}' holds fresh identifiers; no condition can be put on it")
            return found
    raise ConfigError(f"the model has no column '{name}'; it has {', '.join(codec.names)}")


def _checked(condition: Condition, text: str, codec: TableCodec) -> Condition:
    """Return the condition with its literal as the rows write it."""
    column = column_codec(condition.column, codec)
    if condition.operator in ("is null", "is not null"):
        return condition
    if condition.other is not None:
        if column.family != column_codec(condition.other, codec).family:
            raise ConfigError(f"the condition '{text.strip()}' compares columns of different kinds")
        return condition
    literal = condition.literal or ""
    if isinstance(column, CategoryCodec):
        if condition.operator not in ("=", "!="):
            raise ConfigError(f"'{column.name}' is a column of categories; compare it with =, != or in")
        return replace(condition, literal=category(column, literal))
    try:
        if column.family == "time":
            time = datetime.fromisoformat(literal)
            return replace(
                condition, literal=(time.astimezone(UTC) if time.tzinfo else time).replace(tzinfo=None).isoformat()
            )
        if math.isfinite(float(literal)):
            return condition
    except (ValueError, OverflowError):  # in UTC a time may lie beyond the calendar
        pass
    kind = "dates, like 2024-03-01" if column.family == "time" else "numbers"
    raise ConfigError(f"'{column.name}' holds {kind}; '{literal}' is none")


def category(column: CategoryCodec, literal: str) -> str:
    """Return a category as the model spells it; `1` and `yes` may stand for true.

    Raises:
      ConfigError: the model has no such category.
    """
    if literal in column.texts:
        return literal
    if len(column.values) == 2 and not column.other:
        for texts in (TRUE_TEXTS, FALSE_TEXTS):
            same = [value for value in column.values if value.lower() in texts]
            if literal.lower() in texts and len(same) == 1:
                return same[0]
    shown = ", ".join(column.texts[:SHOWN]) + (" …" if len(column.texts) > SHOWN else "")
    raise ConfigError(f"'{column.name}' has no category '{literal}' in the model; it has {shown}")


def parse_given(texts: Sequence[str], codec: TableCodec) -> tuple[Clause, ...]:
    """Return the clauses of several conditions, all of which have to be met (see `parse_clauses`)."""
    return tuple(clause for text in texts for clause in parse_clauses(text, codec))

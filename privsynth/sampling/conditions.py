"""Conditions on rows, as a person writes them: `fraud = 1`, `age >= 60 and ward in (ICU, ER)`, `admitted < 2024-03-01`.

The grammar is that of the rules (`privsynth.schema.rule_parser`). Unlike a rule, a condition is not met by a missing
value, unless it says `is null`. `privsynth.sampling.likelihood` says what a condition means for the codes of a model.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from privsynth.codecs.columns import CategoryCodec, ColumnCodec
from privsynth.codecs.table import TableCodec
from privsynth.errors import ConfigError
from privsynth.schema.booleans import boolean_text
from privsynth.schema.calculations import Calculation, columns_of, family_of
from privsynth.schema.rule_parser import MAX_TEXT, Vocabulary, parse_conditions
from privsynth.schema.rules import Condition, Rule

if TYPE_CHECKING:
    import pandas as pd

SHOWN = 12  # categories in a message (own): one or two lines of a terminal


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
        return tuple(dict.fromkeys(name for c in self.conditions for name in c.columns))

    @property
    def literals(self) -> list[str]:
        """The values with which it compares."""
        return [literal for c in self.conditions for literal in c.literals]

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
    known = tuple(Condition(name, "is not null") for name in condition.columns)
    return Rule(text="", shape="check", conditions=(condition, *known))


def parse_clauses(text: str, codec: TableCodec) -> tuple[Clause, ...]:
    """Return the clauses of a text, which are joined by `and`.

    Args:
      codec: of the model; its columns and categories are public, and a message may name them.
    Raises:
      ConfigError: the text cannot be read, or names a column or a value that the model does not have.
    """
    refuse_long(text)
    try:
        conditions = parse_conditions(text, vocabulary(codec))
    except ValueError as error:
        raise ConfigError(str(error)) from None
    return tuple(Clause(text.strip(), (checked(condition, text, codec),)) for condition in conditions)


def vocabulary(codec: TableCodec) -> Vocabulary:
    """Return what the words of a sentence about a model's rows may stand for."""
    texts = [column for column in codec.codecs if isinstance(column, CategoryCodec)]
    return Vocabulary(
        names=codec.names,
        hierarchies={column.name: column.hierarchy for column in texts if column.hierarchy is not None},
        booleans={c.name: ((c.booleans[0],), (c.booleans[1],)) for c in texts if c.booleans is not None},
    )


def refuse_long(text: str) -> None:
    """Raises:
    ConfigError: a text is longer than a person would write.
    """
    if len(text) > MAX_TEXT:
        raise ConfigError(f"a condition or balance has more than {MAX_TEXT:,} characters; write a shorter one")


def column_codec(name: str, codec: TableCodec) -> ColumnCodec:
    """Return the codec of a column that a condition may name.

    Raises:
      ConfigError: there is no such column, or its values are made fresh.
    """
    for found in codec.codecs:
        if found.name == name:
            if found.family == "invented":
                raise ConfigError(f"'{name}' holds values invented for each row; no condition can be put on it")
            return found
    raise ConfigError(f"the model has no column '{name}'; it has {', '.join(codec.names)}")


def checked(condition: Condition, text: str, codec: TableCodec) -> Condition:
    """Return the condition with its literals as the rows write them.

    Raises:
      ConfigError: it names a column or value that the model does not have.
    """
    if condition.left is not None and condition.right is not None:
        _check_calculation(condition.left, condition.right, text, codec)
        return condition
    column = column_codec(condition.column, codec)
    if condition.operator in ("is null", "is not null"):
        return condition
    if condition.other is not None:
        if column.family != column_codec(condition.other, codec).family:
            raise ConfigError(f"the condition '{text.strip()}' compares columns of different kinds")
        return condition
    if condition.within is not None:
        values = tuple(dict.fromkeys(_literal(column, literal) for literal in condition.within.values))
        return replace(condition, within=replace(condition.within, values=values))
    if isinstance(column, CategoryCodec) and condition.operator not in ("=", "!="):
        raise ConfigError(f"'{column.name}' is a column of categories; compare it with =, != or in")
    return replace(condition, literal=_literal(column, condition.literal or ""))


def _check_calculation(left: Calculation, right: Calculation, text: str, codec: TableCodec) -> None:
    families = {name: column_codec(name, codec).family for side in (left, right) for name in columns_of(side)}
    try:
        alike = family_of(left, families) == family_of(right, families)
    except ValueError as error:
        raise ConfigError(f"the condition '{text.strip()}' {error}") from None
    if not alike:
        raise ConfigError(f"the condition '{text.strip()}' compares a time with a number")


def _literal(column: ColumnCodec, literal: str) -> str:
    """Return a value with which a column is compared, as the rows write it."""
    if isinstance(column, CategoryCodec):
        return category(column, literal)
    try:
        if column.family == "time":
            time = datetime.fromisoformat(literal)
            return (time.astimezone(UTC) if time.tzinfo else time).replace(tzinfo=None).isoformat()
        if math.isfinite(float(literal)):
            return literal
    except (ValueError, OverflowError):  # in UTC a time may lie beyond the calendar
        pass
    kind = "dates, like 2024-03-01" if column.family == "time" else "numbers"
    raise ConfigError(f"'{column.name}' holds {kind}; '{literal}' is none")


def category(column: CategoryCodec, literal: str) -> str:
    """Return a category as the model spells it; of booleans, `1` and `yes` stand for true, `0` and `no` for false.

    Raises:
      ConfigError: the model has no such category.
    """
    if literal in column.texts:
        return literal
    if column.booleans is not None:
        false, true = column.booleans
        if (spelt := boolean_text(literal, (false,), (true,))) is not None:
            return spelt
    shown = ", ".join(column.texts[:SHOWN]) + (" …" if len(column.texts) > SHOWN else "")
    raise ConfigError(f"'{column.name}' has no category '{literal}' in the model; it has {shown}")


def parse_given(texts: Sequence[str], codec: TableCodec) -> tuple[Clause, ...]:
    """Return the clauses of several conditions, all of which have to be met (see `parse_clauses`)."""
    return tuple(clause for text in texts for clause in parse_clauses(text, codec))

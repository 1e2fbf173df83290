"""Rules: sentences that hold in every synthetic row, exactly and free of charge, because a person declared them.

    discharged >= admitted                          order of two columns
    length_of_stay = discharged - admitted          a derived column; times are subtracted in days
    pregnant = yes => sex = F                       implication; both sides may be joined by `and`
    age >= 0 and age <= 120                         a condition alone
    note is null => ward != ICU                     `is null`, `is not null`

A comparison with a missing value holds, as in SQL's check constraints. A name with spaces or signs is written in
`backquotes`; text may be quoted with ' or ". Dates are ISO 8601; one with a zone is taken in UTC, as cells are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

_TOKEN = re.compile(
    r"\s*(?:(?P<name>`[^`]+`)|(?P<text>'[^']*'|\"[^\"]*\")|(?P<op>=>|>=|<=|!=|==|=|>|<)"
    r"|(?P<word>[^\s`'\"=<>!]+))"
)
_OPERATORS = ("=", "!=", "<", "<=", ">", ">=")
Operator = Literal["=", "!=", "<", "<=", ">", ">=", "is null", "is not null"]


@dataclass(frozen=True)
class Condition:
    """One comparison: `column operator other`, where `other` is a column, a literal text, or nothing."""

    column: str
    operator: Operator
    literal: str | None = None
    other: str | None = None


@dataclass(frozen=True)
class Rule:
    """A parsed rule.

    Attributes:
      text: the sentence as declared.
      shape: `check` (the conditions hold), `implies` (if `premise` then `conditions`), or `derived`.
      premise, conditions: comparisons, joined by `and`.
      derived: (result, minuend, subtrahend) of a derived column.
    """

    text: str
    shape: Literal["check", "implies", "derived"]
    conditions: tuple[Condition, ...] = ()
    premise: tuple[Condition, ...] = ()
    derived: tuple[str, str, str] | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns that the rule speaks of, each once."""
        names = list(self.derived or ())
        for condition in (*self.premise, *self.conditions):
            names += [condition.column] + ([condition.other] if condition.other else [])
        return tuple(dict.fromkeys(names))

    @property
    def order(self) -> tuple[str, str] | None:
        """(low, high) if the rule says only that one column is never below another, else None."""
        if self.shape == "check" and len(self.conditions) == 1:
            only = self.conditions[0]
            if only.other is not None and only.operator in (">=", "<="):
                pair = (only.other, only.column)
                return pair if only.operator == ">=" else (pair[1], pair[0])
        return None

    def holds(self, frame: pd.DataFrame) -> np.ndarray:
        """Return (n_rows,) booleans: whether the rule holds in each row of a clean frame.

        A derived rule always holds by construction; it is checked by whoever derives the column.
        """
        import numpy as np

        if self.shape == "derived":
            return np.ones(len(frame), dtype=bool)
        held = np.ones(len(frame), dtype=bool)
        for condition in self.conditions:
            held &= _holds(condition, frame, unknown=True)
        if self.shape == "implies":
            met = np.ones(len(frame), dtype=bool)
            for condition in self.premise:
                met &= _holds(condition, frame, unknown=False)
            held |= ~met
        return held


def parse_rule(text: str, names: Sequence[str] = ()) -> Rule:
    """Return the rule that a sentence declares.

    Args:
      text: the sentence.
      names: known column names; a bare word on the right that is one of them is a column, else a literal.
    Raises:
      ValueError: the sentence cannot be read; the message quotes it.
    """
    tokens = _tokens(text)
    if ("op", "=>") in tokens:
        at = tokens.index(("op", "=>"))
        premise, conditions = _conditions(tokens[:at], text, names), _conditions(tokens[at + 1 :], text, names)
        return Rule(text=text, shape="implies", premise=premise, conditions=conditions)
    if len(tokens) == 5 and tokens[1] == ("op", "=") and tokens[3] == ("word", "-"):
        result, minuend, subtrahend = (_name(tokens[i], text) for i in (0, 2, 4))
        if len({result, minuend, subtrahend}) != 3:
            raise ValueError(f"rule '{text}' must name three different columns")
        return Rule(text=text, shape="derived", derived=(result, minuend, subtrahend))
    return Rule(text=text, shape="check", conditions=_conditions(tokens, text, names))


def _tokens(text: str) -> list[tuple[str, str]]:
    found, at, end = [], 0, len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            raise ValueError(f"rule '{text}' cannot be read at position {at + 1}")
        value = match.group(match.lastgroup)
        if match.lastgroup == "op":
            value = "=" if value == "==" else value
        found.append((match.lastgroup, value))
        at = match.end()
    return found


def _name(token: tuple[str, str], text: str) -> str:
    kind, value = token
    if kind == "name":
        return value[1:-1]
    if kind == "word":
        return value
    raise ValueError(f"rule '{text}' needs a column name where it says {value}")


def _conditions(tokens: list[tuple[str, str]], text: str, names: Sequence[str]) -> tuple[Condition, ...]:
    parts: list[list[tuple[str, str]]] = [[]]
    for token in tokens:
        if token[0] == "word" and token[1].lower() == "and":
            parts.append([])
        else:
            parts[-1].append(token)
    return tuple(_condition(part, text, names) for part in parts)


def _condition(tokens: list[tuple[str, str]], text: str, names: Sequence[str]) -> Condition:
    words = [value.lower() for kind, value in tokens[1:] if kind == "word"]
    if len(words) == len(tokens) - 1 and words in (["is", "null"], ["is", "not", "null"]):
        missing: Operator = "is null" if len(words) == 2 else "is not null"
        return Condition(_name(tokens[0], text), missing)
    if len(tokens) != 3 or tokens[1][0] != "op" or tokens[1][1] not in _OPERATORS:
        raise ValueError(
            f"rule '{text}' cannot be read: write `column >= column`, `a = b - c`, or `condition => condition`"
        )
    column, operator = _name(tokens[0], text), tokens[1][1]
    kind, value = tokens[2]
    if kind == "name" or (kind == "word" and value in names):
        return Condition(column, operator, other=value.strip("`"))  # type: ignore[arg-type]
    return Condition(column, operator, literal=value[1:-1] if kind == "text" else value)  # type: ignore[arg-type]


def _holds(condition: Condition, frame: pd.DataFrame, *, unknown: bool) -> np.ndarray:
    """Return (n_rows,) booleans; a comparison with a missing value gives `unknown`."""
    import numpy as np
    import pandas as pd

    left = frame[condition.column]
    if condition.operator in ("is null", "is not null"):
        missing = left.isna().to_numpy(dtype=bool)
        return missing if condition.operator == "is null" else ~missing
    if condition.other is not None:
        left, other = _alike(left, frame[condition.other])
        known = (left.notna() & other.notna()).to_numpy(dtype=bool)
        b: Any = other[known]
    else:
        known = left.notna().to_numpy(dtype=bool)
        b = literal_for(left, condition.literal or "")
        if b is None:
            raise ValueError(f"the rule on '{condition.column}' compares it with a text that does not fit its kind")
    result = np.full(len(frame), unknown, dtype=bool)
    a: Any = left[known] if not pd.api.types.is_numeric_dtype(left) else left[known].astype(float)
    compare: dict[str, Callable[[], Any]] = {
        "=": lambda: a == b, "!=": lambda: a != b, "<": lambda: a < b,
        "<=": lambda: a <= b, ">": lambda: a > b, ">=": lambda: a >= b,
    }  # fmt: skip
    result[known] = np.asarray(compare[condition.operator](), dtype=bool)
    return result


def _alike(left: pd.Series, right: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Return two columns in one type; what cannot be read in the other's is missing.

    Where nobody declared kinds, noise may have made texts of one of two columns that a rule compares.
    """
    import pandas as pd

    if pd.api.types.is_datetime64_any_dtype(left) != pd.api.types.is_datetime64_any_dtype(right):
        left, right = (pd.to_datetime(column, errors="coerce", format="ISO8601") for column in (left, right))
    elif pd.api.types.is_numeric_dtype(left) != pd.api.types.is_numeric_dtype(right):
        left, right = (pd.to_numeric(column, errors="coerce") for column in (left, right))
    return left, right


def utc(moment: datetime) -> datetime:
    """Return a time as cells are read: one with a zone in UTC, without it."""
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def literal_for(column: pd.Series, text: str) -> object | None:
    """Return a literal in the type of a clean column; None if it does not fit."""
    import pandas as pd

    try:
        if pd.api.types.is_datetime64_any_dtype(column):
            return pd.Timestamp(utc(pd.Timestamp(text)))
        if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
            return float(text)
    except ValueError:
        return None
    return text

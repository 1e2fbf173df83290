"""Rules: sentences that hold in every synthetic row, exactly and free of charge, because a person declared them.

    discharged >= admitted                          order of two columns
    length_of_stay = discharged - admitted          a computed column; times are subtracted in days
    total = price * quantity                        any arithmetic, and parts of times: year(t), month(t), weekday(t), …
    pregnant = yes => sex = F                       implication; both sides may be joined by `and`
    diagnosis in (C61, N40) => sex = M              sets, `in` and `not in`
    diagnosis in chapter O => sex = F               a group of the column's hierarchy, on one of its levels
    channel = atm => amount % 10 = 0                arithmetic in a condition
    age >= 0 and age <= 120                         a condition alone
    note is null => ward != ICU                     `is null`, `is not null`

A comparison with a missing value holds, as in SQL's check constraints. `privsynth.schema.rule_parser` reads sentences.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from privsynth.hierarchies import Hierarchy
from privsynth.schema.calculations import Calculation, ColumnTerm, Operation, calculate, columns_of, compare

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

Operator = Literal["=", "!=", "<", "<=", ">", ">=", "is null", "is not null", "in", "not in"]
COMPARISONS = ("=", "!=", "<", "<=", ">", ">=")


@dataclass(frozen=True)
class Membership:
    """What a value is `in`: some values, or a group of the column's hierarchy.

    Attributes:
      values: those listed.
      level, group: of the hierarchy; else empty.
      hierarchy: of the column, once it is known.
    """

    values: tuple[str, ...] = ()
    level: str = ""
    group: str = ""
    hierarchy: Hierarchy | None = field(default=None, compare=False)

    def holds(self, text: str) -> bool:
        """Return whether a text is in the group.

        Raises:
          ValueError: the hierarchy is not known.
        """
        if self.hierarchy is None:
            raise ValueError(f"no hierarchy says what is in {self.level} {self.group}")
        path = self.hierarchy.path(text)
        return path is not None and path[self.hierarchy.levels.index(self.level)] == self.group


@dataclass(frozen=True)
class Condition:
    """One comparison: `column operator other`, where `other` is a column, a literal text, a set, or nothing.

    Where one side calculates, `left` and `right` hold both sides, and `column` is the first that they name.
    """

    column: str
    operator: Operator
    literal: str | None = None
    other: str | None = None
    within: Membership | None = None
    left: Calculation | None = None
    right: Calculation | None = None

    @property
    def calculates(self) -> bool:
        """Whether it compares results of calculations."""
        return self.left is not None

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns that it speaks of, each once."""
        sides = [side for side in (self.left, self.right) if side is not None]
        inside = [name for side in sides for name in columns_of(side)]
        return tuple(dict.fromkeys(inside or [self.column, *([self.other] if self.other else [])]))

    @property
    def literals(self) -> tuple[str, ...]:
        """The values with which it compares a column, as written."""
        listed = self.within.values if self.within is not None else ()
        return (*([] if self.literal is None else [self.literal]), *listed)


@dataclass(frozen=True)
class Rule:
    """A parsed rule.

    Attributes:
      text: the sentence as declared.
      shape: `check` (the conditions hold), `implies` (if `premise` then `conditions`), or `derived`.
      premise, conditions: comparisons, joined by `and`.
      derived: (result, minuend, subtrahend) of a column that is the difference of two others.
      computed: (result, calculation) of a column that is computed in any other way.
    """

    text: str
    shape: Literal["check", "implies", "derived"]
    conditions: tuple[Condition, ...] = ()
    premise: tuple[Condition, ...] = ()
    derived: tuple[str, str, str] | None = None
    computed: tuple[str, Calculation] | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns that the rule speaks of, each once."""
        names = list(self.derived or ())
        if self.computed is not None:
            names += [self.computed[0], *columns_of(self.computed[1])]
        for condition in (*self.premise, *self.conditions):
            names += condition.columns
        return tuple(dict.fromkeys(names))

    @property
    def computes(self) -> tuple[str, Calculation] | None:
        """(result, calculation) if the rule computes a column, as a difference or in any other way."""
        if self.derived is None:
            return self.computed
        result, minuend, subtrahend = self.derived
        return result, Operation("-", ColumnTerm(minuend), ColumnTerm(subtrahend))

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
            met = self.meets_premise(frame)
            held |= ~met
        return held

    def meets_premise(self, frame: pd.DataFrame) -> np.ndarray:
        """Return (n_rows,) booleans: whether the row meets what stands before `=>`, if anything does."""
        import numpy as np

        met = np.ones(len(frame), dtype=bool)
        for condition in self.premise:
            met &= _holds(condition, frame, unknown=False)
        return met


def _holds(condition: Condition, frame: pd.DataFrame, *, unknown: bool) -> np.ndarray:
    """Return (n_rows,) booleans; a comparison with a missing value gives `unknown`."""
    import numpy as np

    if condition.left is not None and condition.right is not None:
        left, right = (
            np.broadcast_to(calculate(side, lambda name: amounts_of(frame[name], name)), len(frame))
            for side in (condition.left, condition.right)
        )
        return np.where(np.isnan(left) | np.isnan(right), unknown, compare(left, condition.operator, right))
    column = frame[condition.column]
    if condition.operator in ("is null", "is not null"):
        missing = column.isna().to_numpy(dtype=bool)
        return missing if condition.operator == "is null" else ~missing
    if condition.within is not None:
        known = column.notna().to_numpy(dtype=bool)
        result = np.full(len(frame), unknown, dtype=bool)
        result[known] = _is_in(condition.within, column[known]) ^ (condition.operator == "not in")
        return result
    return _compares(condition, frame, unknown=unknown)


def _is_in(within: Membership, column: pd.Series) -> np.ndarray:
    """Return (n,) booleans of a column without nulls."""
    import numpy as np
    import pandas as pd

    if not within.level:
        if pd.api.types.is_numeric_dtype(column) or pd.api.types.is_datetime64_any_dtype(column):
            found = [literal_for(column, text) for text in within.values]
            return column.isin([value for value in found if value is not None]).to_numpy(dtype=bool)
        return column.isin(list(within.values)).to_numpy(dtype=bool)
    codes, texts = pd.factorize(column)
    truth = np.array([within.holds(str(text)) for text in texts] + [False], dtype=bool)
    return truth[codes]


def _compares(condition: Condition, frame: pd.DataFrame, *, unknown: bool) -> np.ndarray:
    """Return (n_rows,) booleans of a comparison with a value or another column."""
    import numpy as np
    import pandas as pd

    left = frame[condition.column]
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


def amounts_of(column: pd.Series, name: str) -> np.ndarray:
    """Return (n,) float64: numbers, or times in days since 1970; NaN for missing values.

    Raises:
      ValueError: it is a column of texts.
    """
    import numpy as np
    import pandas as pd

    if pd.api.types.is_datetime64_any_dtype(column):
        seconds = column.to_numpy(dtype="datetime64[s]")
        return np.where(np.isnat(seconds), np.nan, seconds.astype(np.int64) / 86_400)
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    if column.isna().all():
        return np.full(len(column), np.nan)
    raise ValueError(f"a rule calculates with '{name}', which is neither a number nor a time")


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

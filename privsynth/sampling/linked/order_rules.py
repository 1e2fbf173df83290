"""Rules that tell when a row may be, from the row above it and the row before: `admitted >= previous.discharged`.

The time of a row is drawn before the rest of it. What a rule says of it by arithmetic is a bound, row by row.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from privsynth.sampling.linked.drawn import is_of_other_row
from privsynth.schema.calculations import Calculation, ColumnTerm, Operation, calculate
from privsynth.schema.rules import Condition, Rule, amounts_of

SECOND = 1 / 86_400  # of a day: the finest that times are told apart
_TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "="}


class OrderRules:
    """The rules of a table that the order column alone can break, once the other rows are known.

    Args:
      rules: that can be told of the table's rows.
      order: its order column, or empty.
    """

    def __init__(self, rules: Sequence[Rule], order: str) -> None:
        self._order = order
        self.rules = [
            rule
            for rule in rules
            if order in rule.columns and all(name == order or is_of_other_row(name) for name in rule.columns)
        ]

    @property
    def columns(self) -> set[str]:
        """The columns that they speak of, the order column apart."""
        return {name for rule in self.rules for name in rule.columns} - {self._order}

    def bounds(self, frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """Return (n,) the least and the largest value that the rules allow, infinite where they set no bound.

        Times are in days since 1970. A bound that is itself excluded is the bound all the same. What is no comparison
        of the order column with known values is not told here.

        Args:
          frame: what is known, without the order column.
        """
        low, high = np.full(len(frame), -np.inf), np.full(len(frame), np.inf)
        for rule in self.rules:
            if not set(rule.columns) - {self._order} <= set(frame.columns):  # a first row has no row before
                continue
            if any(self._order in one.columns for one in rule.premise):
                continue
            made = rule.meets_premise(frame)
            for one in rule.conditions:
                found = _bound(one, self._order)
                if found is None:
                    continue
                operator, side, in_years = found
                values = np.broadcast_to(calculate(side, lambda name: amounts_of(frame[name], name)), len(frame))
                first, last = _days_of_years(operator, values) if in_years else (values, values)
                known = made & ~np.isnan(values)
                if operator in (">", ">=", "="):
                    low = np.where(known, np.fmax(low, first), low)
                if operator in ("<", "<=", "="):
                    high = np.where(known, np.fmin(high, last), high)
        return low, high


def _days_of_years(operator: str, years: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (n,) the first day that a bound of years allows, and the last second, in days since 1970."""
    first = years + 1 if operator == ">" else years
    after = years if operator == "<" else years + 1
    return _new_year(np.ceil(first)), _new_year(np.ceil(after) if operator == "<" else np.floor(after)) - SECOND


def _new_year(years: np.ndarray) -> np.ndarray:
    known = ~np.isnan(years)
    whole = np.clip(np.where(known, years, 1970), 1, 9999).astype(np.int64)
    days = (whole - 1970).astype("datetime64[Y]").astype("datetime64[D]").astype(np.float64)
    return np.where(known, days, np.nan)


def _bound(one: Condition, order: str) -> tuple[str, Calculation, bool] | None:
    """Return (operator, bound, whether it is in years) of a condition on the order column, its year or a distance."""
    if one.operator not in _TURNED:
        return None
    if one.other is not None:
        operator = one.operator if one.column == order else _TURNED[one.operator]
        return operator, ColumnTerm(one.other if one.column == order else one.column), False
    if one.left is None or one.right is None:
        return None
    for operator, side, other in ((one.operator, one.left, one.right), (_TURNED[one.operator], one.right, one.left)):
        if _names(other, order):
            continue
        if side == ColumnTerm(order):
            return operator, other, False
        if side == ColumnTerm(order, "year"):
            return operator, other, True
        if isinstance(side, Operation) and side.left == ColumnTerm(order) and not _names(side.right, order):
            if side.operator == "-":
                return operator, Operation("+", other, side.right), False
            if side.operator == "+":
                return operator, Operation("-", other, side.right), False
    return None


def _names(side: Calculation, order: str) -> bool:
    if isinstance(side, Operation):
        return _names(side.left, order) or _names(side.right, order)
    return isinstance(side, ColumnTerm) and side.name == order

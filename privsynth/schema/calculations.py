"""Arithmetic in rules: `price * quantity`, `amount % 10`, `month(time)`; read from text, and calculated in decimals.

Times count in days, so that the difference of two is a number of days and a time plus a number is a time. A value that
is missing makes the result missing, and so does a division by zero. Two results are equal if they differ by less than a
billionth of themselves: 0.3 is three times 0.1, and 0.3 % 0.1 is 0.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

# Relative; (own) far above what doubles lose in a sum or product, far below a cent of a million.
SAME = 1e-9
MOST_TERMS = 60  # of one calculation (own): more than a person writes, less than recursion would mind
PARTS = ("year", "quarter", "month", "day", "weekday", "hour", "minute", "second")
_DAY = 86_400  # seconds
_FINE = re.compile(r"\s*(?:(?P<name>`[^`]+`)|(?P<bracket>[()])|(?P<word>[^\s()`]+))")
_CALL = re.compile(rf"(?:{'|'.join(PARTS)})\(", re.IGNORECASE)
_SUM, _PRODUCT = ("+", "-"), ("*", "/", "%")


@dataclass(frozen=True)
class Amount:
    """A number, as it is written."""

    text: str


@dataclass(frozen=True)
class ColumnTerm:
    """A column; with `part`, a part of its time: a number such as the month."""

    name: str
    part: str | None = None


@dataclass(frozen=True)
class Operation:
    """Two calculations, joined by one of + - * / %."""

    operator: str
    left: Calculation
    right: Calculation


Calculation = Amount | ColumnTerm | Operation


def is_calculation(words: Sequence[str]) -> bool:
    """Return whether the words of one side of a comparison calculate something, rather than name a column or value."""
    if len(words) == 1:
        return _CALL.match(words[0]) is not None
    return any(word in (*_SUM, *_PRODUCT) or word.startswith("(") or _CALL.match(word) for word in words)


def read_calculation(text: str, names: Sequence[str] = ()) -> Calculation:
    """Return the calculation that a text writes; operators stand between spaces, a name may be in `backquotes`.

    Args:
      names: known column names; if there are none, every word that is no number is a column.
    Raises:
      ValueError: it cannot be read; the message is the end of a sentence.
    """
    tokens = []
    at, end = 0, len(text.rstrip())
    while at < end:
        match = _FINE.match(text, at)
        if match is None:
            raise ValueError("has a backquote without its other half")
        tokens.append((match.lastgroup or "", match.group(match.lastgroup or 0)))
        at = match.end()
    if len(tokens) > 2 * MOST_TERMS:
        raise ValueError(f"calculates with more than {MOST_TERMS} terms")
    reader = _Reader(tokens, names)
    found = reader.sum()
    if reader.at < len(tokens):
        raise ValueError(f"cannot be calculated at '{tokens[reader.at][1]}'; put spaces around + - * / %")
    return found


class _Reader:
    """Reads tokens from left to right; products bind closer than sums."""

    def __init__(self, tokens: Sequence[tuple[str, str]], names: Sequence[str]) -> None:
        self.tokens, self.names, self.at = tokens, names, 0

    def _is(self, values: Sequence[str]) -> bool:
        return self.at < len(self.tokens) and self.tokens[self.at][1] in values and self.tokens[self.at][0] != "name"

    def _next(self) -> tuple[str, str]:
        if self.at == len(self.tokens):
            raise ValueError("ends in the middle of a calculation")
        self.at += 1
        return self.tokens[self.at - 1]

    def sum(self) -> Calculation:
        found = self.product()
        while self._is(_SUM):
            found = Operation(self._next()[1], found, self.product())
        return found

    def product(self) -> Calculation:
        found = self.term()
        while self._is(_PRODUCT):
            found = Operation(self._next()[1], found, self.term())
        return found

    def term(self) -> Calculation:
        kind, value = self._next()
        if kind == "name":
            return ColumnTerm(value[1:-1])
        if value == "(":
            inside = self.sum()
            self._close()
            return inside
        if value.lower() in PARTS and self._is("("):
            self._next()
            named, name = self._next()
            if named == "bracket":
                raise ValueError(f"needs a column in {value}(…)")
            self._close()
            return ColumnTerm(self._column(name.strip("`")), value.lower())
        if _is_number(value):
            return Amount(value)
        return ColumnTerm(self._column(value))

    def _close(self) -> None:
        if not self._is(")"):
            raise ValueError("has a bracket that is not closed")
        self._next()

    def _column(self, name: str) -> str:
        if name in (*_SUM, *_PRODUCT, "(", ")") or (self.names and name not in self.names):
            raise ValueError(f"calculates with '{name}', which is no column and no number; put spaces around + - * / %")
        return name


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)", text, re.ASCII) is not None and len(text) <= 30


def columns_of(calculation: Calculation) -> Iterator[str]:
    """Yield the columns that it names, in order."""
    if isinstance(calculation, ColumnTerm):
        yield calculation.name
    elif isinstance(calculation, Operation):
        yield from columns_of(calculation.left)
        yield from columns_of(calculation.right)


def written(calculation: Calculation) -> str:
    """Return a text from which `read_calculation` makes the same."""
    if isinstance(calculation, Amount):
        return calculation.text
    if isinstance(calculation, ColumnTerm):
        name = f"`{calculation.name}`"
        return f"{calculation.part}({name})" if calculation.part else name
    return f"({written(calculation.left)} {calculation.operator} {written(calculation.right)})"


def family_of(calculation: Calculation, families: Mapping[str, str]) -> str:
    """Return "number" or "time": what it results in.

    Args:
      families: column -> "number", "time" or anything else.
    Raises:
      ValueError: it adds what cannot be added; the message is the end of a sentence.
    """
    if isinstance(calculation, Amount):
        return "number"
    if isinstance(calculation, ColumnTerm):
        family = families.get(calculation.name, "")
        if calculation.part is not None and family != "time":
            raise ValueError(f"takes the {calculation.part} of '{calculation.name}', which is no date or time")
        if family not in ("number", "time"):
            raise ValueError(f"calculates with '{calculation.name}', which is neither a number nor a time")
        return "number" if calculation.part else family
    left, right = (family_of(side, families) for side in (calculation.left, calculation.right))
    if left == right == "number":
        return "number"
    if calculation.operator == "-" and left == "time":
        return "number" if right == "time" else "time"
    if calculation.operator == "+" and {left, right} == {"number", "time"}:
        return "time"
    raise ValueError("must add, multiply or divide numbers; of times only differences and shifts by days make sense")


def calculate(calculation: Calculation, values: Callable[[str], np.ndarray]) -> np.ndarray:
    """Return (n,) float64 results, times in days; NaN where a value is missing.

    Args:
      values: column -> (n,) float64 values, times in days since 1970; NaN for missing ones.
    """
    import numpy as np

    if isinstance(calculation, Amount):
        return np.asarray(float(calculation.text))
    if isinstance(calculation, ColumnTerm):
        found = values(calculation.name)
        return found if calculation.part is None else _part(found, calculation.part)
    left, right = (calculate(side, values) for side in (calculation.left, calculation.right))
    with np.errstate(all="ignore"):  # what overflows is no number, and counts as missing
        result = _OPERATIONS[calculation.operator](left, right)
    return np.where(np.isfinite(result), result, np.nan)


def remainder(values: np.ndarray, divisor: np.ndarray) -> np.ndarray:
    """Return values modulo a divisor, in [0, |divisor|): 0 where the quotient is whole but for rounding."""
    import numpy as np

    quotient = values / divisor
    near = np.rint(quotient)
    whole = np.abs(quotient - near) <= SAME * np.maximum(1.0, np.abs(quotient))
    return np.where(whole, 0.0, values - divisor * np.floor(quotient))


def compare(left: np.ndarray, operator: str, right: np.ndarray) -> np.ndarray:
    """Return booleans: whether results compare so; NaN with nothing."""
    import numpy as np

    same = np.abs(left - right) <= SAME * np.maximum(1.0, np.maximum(np.abs(left), np.abs(right)))
    known = ~(np.isnan(left) | np.isnan(right))
    found = {"=": same, "!=": ~same, "<": ~same & (left < right), "<=": same | (left < right)}
    found |= {">": ~same & (left > right), ">=": same | (left > right)}
    return np.asarray(found[operator] & known, dtype=bool)


def _part(days: np.ndarray, part: str) -> np.ndarray:
    """Return a part of times in days: Monday is weekday 1, Sunday 7."""
    import numpy as np

    missing = np.isnan(days)
    seconds = np.rint(np.where(missing, 0.0, days) * _DAY).astype(np.int64)
    day, clock = np.divmod(seconds, _DAY)
    dates = day.astype("datetime64[D]")
    months = dates.astype("datetime64[M]").astype(np.int64)
    found = {
        "year": months // 12 + 1970,
        "quarter": months % 12 // 3 + 1,
        "month": months % 12 + 1,
        "day": (dates - dates.astype("datetime64[M]")).astype(np.int64) + 1,
        "weekday": (day + 3) % 7 + 1,  # the first of January 1970 was a Thursday
        "hour": clock // 3_600,
        "minute": clock // 60 % 60,
        "second": clock % 60,
    }
    return np.where(missing, np.nan, found[part].astype(np.float64))


_OPERATIONS: Mapping[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "%": remainder,
}

"""Checks of a model file before anything is computed with it: the file may come from anybody.

Each function returns the value, or raises `Malformed`, whose message names the part and never quotes it.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any, TypeVar

Settings = TypeVar("Settings")

MAX_TEXT = 1_000_000  # characters of one value (own): a longer cell is no category
MAX_NAME = 10_000  # characters of a column's name (own): headers of questionnaires hold whole questions
MAX_WIDTH = 65_536  # units of a layer (own): those that are trained here have some hundreds
MAX_ITEMS = 10_000_000  # of one list (own): 64 MiB of JSON hold at most three times as many


class Malformed(ValueError):
    """A part of a model file is not what `save` writes."""


def require(holds: bool, what: str) -> None:
    """Return if it holds.

    Raises:
      Malformed: if not.
    """
    if not holds:
        raise Malformed(what)


def only(data: Any, names: set[str], what: str, *, optional: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Return an object that has exactly these fields, except that the optional ones may be missing."""
    named = isinstance(data, dict) and names - optional <= data.keys() <= names
    require(named, f"{what} has other fields than it needs")
    found: dict[str, Any] = data
    return found


def text(value: Any, what: str, *, at_most: int = MAX_TEXT) -> str:
    """Return a text that UTF-8 can write."""
    require(isinstance(value, str) and len(value) <= at_most, f"{what} is no text, or too long")
    try:
        value.encode("utf-8")
    except UnicodeError:
        raise Malformed(f"{what} holds half a character") from None
    found: str = value
    return found


def flag(value: Any, what: str) -> bool:
    """Return true or false."""
    require(isinstance(value, bool), f"{what} is neither true nor false")
    return bool(value)


def whole(value: Any, low: int, high: int, what: str) -> int:
    """Return a whole number in a range, both ends included."""
    plain = isinstance(value, int) and not isinstance(value, bool)
    require(plain and low <= value <= high, f"{what} is no whole number in its range")
    return int(value)


def number(value: Any, low: float, high: float, what: str) -> float:
    """Return a finite number in a range, both ends included; a whole number stays one."""
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    require(plain and low <= value <= high, f"{what} is out of range")  # NaN lies in no range
    found: float = value
    return found


def items(value: Any, what: str, *, at_most: int = MAX_ITEMS) -> list[Any]:
    """Return a list."""
    require(isinstance(value, list) and len(value) <= at_most, f"{what} is no list, or too long")
    found: list[Any] = value
    return found


def checked_settings(cls: type[Settings], data: Any, *, at_most: float = 1e7) -> Settings:
    """Return a dataclass of numbers from the JSON of its fields, each of the type of its default, and not negative.

    Args:
      at_most: of each number: rows, steps and rates are far below ten millions.
    """
    defaults = {f.name: f.default for f in fields(cls)}  # type: ignore[arg-type]
    found = only(data, set(defaults), "the settings of the generator")
    for name, default in defaults.items():
        if isinstance(default, int):
            whole(found[name], 0, int(at_most), "a setting of the generator")
        else:
            number(found[name], 0.0, at_most, "a setting of the generator")
    return cls(**found)


def code_sizes(value: Any) -> tuple[int, ...]:
    """Return the number of codes of each attribute; codes are uint16."""
    return tuple(whole(size, 1, 1 << 16, "a number of codes") for size in items(value, "the numbers of codes"))


def attributes_of_table(value: Any, attributes: int) -> tuple[int, ...]:
    """Return the attributes of one marginal of a generator, each below `attributes`."""
    return tuple(whole(at, 0, attributes - 1, "an attribute of a table") for at in items(value, "a table"))

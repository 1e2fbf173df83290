"""Fields that the JSON of several codecs has, checked as they are read."""

from __future__ import annotations

from typing import Any

from privsynth.codecs.loaded import MAX_NAME, require, text, whole

MAX_FORMAT = 200  # characters of a date format or a prefix (own); those that are written here are below thirty
FINEST = 1e-300  # grid step: its inverse, the coarsest one, is still finite in double precision (own)


def column_name(value: Any) -> str:
    """Return the name of a column."""
    return text(value, "the name of a column", at_most=MAX_NAME)


def other_column(value: Any) -> str | None:
    """Return the name of another column, or None; "" is none either."""
    return None if value is None else column_name(value)


def declared_bounds(low: Any, high: Any, least: int, most: int) -> tuple[int | None, int | None]:
    """Return the declared bounds, in order."""
    found = [None if value is None else whole(value, least, most, "a bound of a column") for value in (low, high)]
    require(None in found or found[0] <= found[1], "the bounds of a column contradict each other")  # type: ignore[operator]
    return found[0], found[1]

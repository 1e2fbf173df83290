"""Checks at the door: one line each, by keyword, and NaN never passes.

A message names the type of what cannot be used and shows a number, nothing else: what was given may be a table.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Integral, Real
from os import PathLike

from privsynth.errors import ConfigError


def positive(**values: float) -> None:
    """Raise `ConfigError` unless each value is a finite number above zero."""
    _check(lambda value: math.isfinite(value) and value > 0, "be a finite number above 0", values)


def non_negative(**values: float) -> None:
    """Raise `ConfigError` unless each value is a finite number of at least zero."""
    _check(lambda value: math.isfinite(value) and value >= 0, "be a finite number of at least 0", values)


def in_range(low: float, high: float, **values: float) -> None:
    """Raise `ConfigError` unless low <= value <= high for each value."""
    _check(lambda value: low <= value <= high, f"lie between {low} and {high}", values)


def inside(low: float, high: float, **values: float) -> None:
    """Raise `ConfigError` unless low < value < high for each value."""
    _check(lambda value: low < value < high, f"lie between {low} and {high}, both excluded", values)


def texts(**values: object) -> None:
    """Raise `ConfigError` unless each value is a text, or None."""
    _of_type(str, "a text", values)


def paths(**values: object) -> None:
    """Raise `ConfigError` unless each value is a path (a text or a `Path`), or None."""
    _of_type((str, PathLike), "a path", values)


def flags(**values: object) -> None:
    """Raise `ConfigError` unless each value is True or False, or None."""
    _of_type(bool, "True or False", values)


def whole_numbers(**values: object) -> None:
    """Raise `ConfigError` unless each value is a whole number, or None."""
    for name, value in values.items():
        if value is not None and not isinstance(value, Integral):
            raise ConfigError(f"{name} must be a whole number, not {_shown(value)}")


def one_of(choices: tuple[str, ...], **values: object) -> None:
    """Raise `ConfigError` unless each value is one of the choices."""
    for name, value in values.items():
        if not (isinstance(value, str) and value in choices):
            what = f"'{value[:60]}'" if isinstance(value, str) else f"of {_shown(value)}"
            raise ConfigError(f"there is no {name} {what}; choose {', '.join(choices[:-1])} or {choices[-1]}")


def _check(holds: Callable[[float], bool], must: str, values: dict[str, float]) -> None:
    for name, value in values.items():
        if not (isinstance(value, Real) and holds(value)):
            raise ConfigError(f"{name} must {must}, not {_shown(value)}")


def _of_type(types: type | tuple[type, ...], what: str, values: dict[str, object]) -> None:
    for name, value in values.items():
        if value is not None and not isinstance(value, types):
            raise ConfigError(f"{name} must be {what}, not {_shown(value)}")


def _shown(value: object) -> str:
    return str(value) if isinstance(value, Real) else f"a {type(value).__name__}"

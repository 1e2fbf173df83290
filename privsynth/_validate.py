"""Checks at the door: one line each, by keyword, and NaN never passes."""

from __future__ import annotations

import math
from pathlib import PurePath

from privsynth.errors import ConfigError


def texts(**values: object) -> None:
    """Raise `ConfigError` unless each value is a text or None; a message would show whatever else was given."""
    for name, value in values.items():
        if value is not None and not isinstance(value, str):
            raise ConfigError(f"{name} must be a text, not a {type(value).__name__}")


def paths(**values: object) -> None:
    """Raise `ConfigError` unless each value is a text, a path or None."""
    for name, value in values.items():
        if value is not None and not isinstance(value, str | PurePath):
            raise ConfigError(f"{name} must be a path, not a {type(value).__name__}")


def positive(**values: float) -> None:
    """Raise `ConfigError` unless each value is a finite number above zero."""
    for name, value in values.items():
        if not (math.isfinite(value) and value > 0):
            raise ConfigError(f"{name} must be a finite number above 0, not {value}")


def non_negative(**values: float) -> None:
    """Raise `ConfigError` unless each value is a finite number of at least zero."""
    for name, value in values.items():
        if not (math.isfinite(value) and value >= 0):
            raise ConfigError(f"{name} must be a finite number of at least 0, not {value}")


def in_range(low: float, high: float, **values: float) -> None:
    """Raise `ConfigError` unless low <= value <= high for each value."""
    for name, value in values.items():
        if not low <= value <= high:
            raise ConfigError(f"{name} must lie between {low} and {high}, not {value}")


def inside(low: float, high: float, **values: float) -> None:
    """Raise `ConfigError` unless low < value < high for each value."""
    for name, value in values.items():
        if not low < value < high:
            raise ConfigError(f"{name} must lie between {low} and {high}, both excluded, not {value}")

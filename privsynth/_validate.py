"""Checks at the door: one line each, by keyword, and NaN never passes."""

from __future__ import annotations

import math

from privsynth.errors import ConfigError


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

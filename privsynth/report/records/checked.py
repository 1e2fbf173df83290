"""Checks that records share."""

from __future__ import annotations

import math
from typing import Any, get_args


def one_of(name: str, value: str, allowed: Any) -> None:
    """Raise ValueError unless `value` is one of the texts of a `Literal`."""
    if value not in get_args(allowed):
        raise ValueError(f"{name} must be one of {', '.join(get_args(allowed))}, not {value!r}")


def within(name: str, value: float, low: float, high: float) -> None:
    """Raise ValueError unless `value` is finite and lies between `low` and `high`."""
    if not (low <= value <= high and math.isfinite(value)):
        raise ValueError(f"{name} must be a finite number between {low} and {high}, not {value}")

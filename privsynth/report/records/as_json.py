"""Records as JSON-able data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from numbers import Integral, Real
from typing import Any

LARGEST_EXACT_INTEGER = 2**53 - 1  # JSON readers keep larger integers only by luck


def as_json(value: Any, place: str) -> Any:
    """Return `value` as dicts, lists, texts and finite numbers; refuse what JSON cannot hold."""
    if value is None or isinstance(value, str | bool):
        return value
    if hasattr(value, "__dataclass_fields__"):
        written = (f for f in fields(value) if getattr(value, f.name) or not f.metadata.get("omit_empty"))
        return {f.name: _field(value, f.name, place) for f in written}
    if isinstance(value, Mapping):
        return {str(key): as_json(item, f"{place}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(item, f"{place}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, Integral):
        if abs(int(value)) > LARGEST_EXACT_INTEGER:
            raise ValueError(f"{place} is an integer beyond 2^53; give it as text")
        return int(value)
    if isinstance(value, Real):
        if not math.isfinite(value):
            raise ValueError(f"{place} is not a finite number; leave it out or give it as text")
        return float(value)
    raise ValueError(f"{place} is a {type(value).__name__}, which JSON cannot hold")


def _field(record: Any, name: str, place: str) -> Any:
    value = getattr(record, name)
    if name == "sampling_seed" and value is not None:
        return str(value)
    return as_json(value, f"{place}.{name}")

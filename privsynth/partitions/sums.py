"""Exact sums of what was counted in partitions: the same in any order, and however rows are divided."""

from __future__ import annotations

from typing import TypeVar

import numpy as np

from privsynth.partitions.histogram import Histogram

S = TypeVar("S")


def added(one: S, other: S) -> S:
    """Return the sum of two results of one counting function.

    Integers and integer arrays of one shape are added; dicts key by key, where a key that one lacks counts as nothing;
    histograms value by value; tuples and lists of equal length place by place. So results add up to the same in
    whatever order. Floats do not, and are refused.

    Args:
      one, other: integers, integer arrays, dicts, tuples or lists of these, nested at will.
    Raises:
      TypeError: something is neither, or they are of two kinds.
      ValueError: arrays have two shapes, or lists two lengths.
    """
    return _added(one, other)  # type: ignore[no-any-return]


def _added(one, other):  # type: ignore[no-untyped-def]
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        if one.dtype.kind not in "iu" or other.dtype.kind not in "iu":
            raise TypeError(f"only integers add up exactly, not {one.dtype} and {other.dtype}")
        if one.shape != other.shape:
            raise ValueError(f"arrays of shapes {one.shape} and {other.shape} do not add up")
        return np.add(one, other, dtype=np.int64)
    if isinstance(one, dict) and isinstance(other, dict):
        sums = {key: _added(value, other[key]) if key in other else value for key, value in one.items()}
        return sums | {key: value for key, value in other.items() if key not in one}
    if isinstance(one, Histogram) and isinstance(other, Histogram):
        return one.plus(other)
    if isinstance(one, (tuple, list)) and type(one) is type(other):
        if len(one) != len(other):
            raise ValueError(f"lists of {len(one)} and {len(other)} results do not add up")
        return type(one)(_added(a, b) for a, b in zip(one, other, strict=True))
    if _is_integer(one) and _is_integer(other):
        return int(one) + int(other)
    raise TypeError(f"results of types {type(one).__name__} and {type(other).__name__} do not add up exactly")


def _is_integer(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)

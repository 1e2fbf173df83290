"""`TableAxis`: what the codes of one attribute of a noisy table stand for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np

from privsynth.codecs.bins import Bins
from privsynth.codecs.columns import CategoryCodec, ColumnCodec, NumberCodec, TimeCodec
from privsynth.codecs.columns.elapsed import DAY
from privsynth.codecs.columns.protocol import Attribute
from privsynth.codecs.columns.time import join_week
from privsynth.codecs.loaded import items, only, require, text
from privsynth.codecs.table import TableCodec
from privsynth.sampling.linked.model import Given

TableAxisKind = Literal["category", "number", "time", "code"]
MISSING = "missing"
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True)
class TableAxis:
    """One attribute: a column, or a part of one.

    Attributes:
      name: of the attribute, as questions name it.
      column: the column whose values it holds; "" where it holds only a part of them, or something else.
      kind: "category" for texts; "number" for bins of amounts; "time" for bins of dates and clocks; "code" else.
      labels: what each code stands for; the last is missing.
      low, high: the least and the largest amount of each bin of a number, infinite where a bin is open; else empty.
      value: the amount that stands for each bin: what the model draws from it, on average.
      never: codes that cannot occur, such as missing in a column that has no missing values.
    """

    name: str
    column: str
    kind: TableAxisKind
    labels: tuple[str, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    value: tuple[float, ...] = ()
    never: tuple[int, ...] = ()

    @property
    def size(self) -> int:
        """Number of codes."""
        return len(self.labels)

    def to_json(self) -> dict[str, Any]:
        """Return JSON-able data; an open end is null."""
        return {
            "name": self.name,
            "column": self.column,
            "kind": self.kind,
            "labels": list(self.labels),
            "low": [number if math.isfinite(number) else None for number in self.low],
            "high": [number if math.isfinite(number) else None for number in self.high],
            "value": list(self.value),
            "never": list(self.never),
        }

    @classmethod
    def from_json(cls, data: Any) -> TableAxis:
        """Return the axis that `to_json` wrote.

        Raises:
          Malformed: a field is missing or wrong.
        """
        found = only(data, {"name", "column", "kind", "labels", "low", "high", "value", "never"}, "an axis")
        require(found["kind"] in get_args(TableAxisKind), "an axis has an unknown kind")
        labels = tuple(text(label, "a label") for label in items(found["labels"], "the labels"))
        low, high, value = (_numbers(found[key], key) for key in ("low", "high", "value"))
        require(len(labels) > 0, "an axis has no labels")
        require(len(low) == len(high) == len(value) and len(value) in (0, len(labels) - 1), "an axis has odd bins")
        never = tuple(items(found["never"], "the codes that cannot occur"))
        require(all(type(code) is int and 0 <= code < len(labels) for code in never), "an axis has an odd code")
        name, column = (text(found[key], "the name of an axis") for key in ("name", "column"))
        return cls(name, column, found["kind"], labels, low, high, value, never)


def _numbers(values: Any, key: str) -> tuple[float, ...]:
    ends: dict[str, float] = {"low": -math.inf, "high": math.inf}
    found: list[float] = []
    for value in items(values, "the bins of an axis"):
        open_ = value is None and key in ends
        require(open_ or (isinstance(value, int | float) and math.isfinite(value)), "a bin has an odd end")
        found.append(ends[key] if open_ else float(value))
    return tuple(found)


def axes_of(codec: TableCodec) -> tuple[TableAxis, ...]:
    """Return the axis of each attribute of a table's columns, in order."""
    return tuple(axis for column in codec.codecs for axis in _of_column(column))


def axes_of_given(
    codec: TableCodec, name: str, given: Sequence[Given], above: Mapping[str, tuple[TableAxis, ...]]
) -> tuple[TableAxis, ...]:
    """Return the axes of a linked table's columns, then those of what is known of a row before it is drawn.

    Args:
      name: of the table.
      above: table -> its axes, of the tables above.
    """
    own = axes_of(codec)
    axes, found = {**above, name: own}, list(own)
    for one in given:
        told = axes[one.table][one.at] if one.source in ("above", "previous") else None
        if told is not None and told.size == one.attribute.size:
            never = told.never if one.source == "above" else ()
            found.append(replace(told, name=one.attribute.name, column="", never=never))
        else:
            found.append(codes_of(one.attribute))
    return tuple(found)


def codes_of(attribute: Attribute) -> TableAxis:
    """Return the axis of an attribute of which nothing but its number of codes is known."""
    labels = (*(f"code {code}" for code in range(attribute.size - 1)), MISSING)
    return TableAxis(attribute.name, "", "code", labels, never=_never(attribute))


def _of_column(codec: ColumnCodec) -> list[TableAxis]:
    attributes = codec.attributes()
    if not attributes:
        return []
    if isinstance(codec, CategoryCodec):
        labels = (*codec.texts, MISSING)
        return [TableAxis(attributes[0].name, codec.name, "category", labels, never=_never(attributes[0]))]
    rest = [codes_of(attribute) for attribute in attributes[1:]]
    if isinstance(codec, NumberCodec):
        return [_number(codec, attributes[0]), *rest]
    if isinstance(codec, TimeCodec):
        return _time(codec, attributes)
    return [codes_of(attribute) for attribute in attributes]


def _number(codec: NumberCodec, attribute: Attribute) -> TableAxis:
    low, high = _range(codec.bins)
    if codec.base is None:
        low[0] = -math.inf if codec.low is None else min(codec.low, high[0])
        high[-1] = math.inf if codec.high is None else max(codec.high, low[-1])
    else:
        low[0] = 0.0
        high[-1] = math.inf
    ends = tuple((low * codec.precision).tolist()), tuple((high * codec.precision).tolist())
    value = tuple((_drawn_mean(codec.bins) * codec.precision).tolist())
    column = codec.name if codec.base is None else ""
    labels = (*(_range_text(a, b) for a, b in zip(*ends, strict=True)), MISSING)
    return TableAxis(attribute.name, column, "number", labels, *ends, value, never=_never(attribute))


def _time(codec: TimeCodec, attributes: list[Attribute]) -> list[TableAxis]:
    first, *rest = attributes
    low, high = _range(codec.days)
    if codec.base:
        least, most = codec.amounts_above(low.astype(np.int64), high.astype(np.int64))
        least[0], most[-1] = 0.0, math.inf
        ends = tuple(least.tolist()), tuple(most.tolist())
        value = tuple(np.where(np.isfinite(most), (least + most) / 2, least).tolist())
        labels = (*(f"{_range_text(a, b)} days" for a, b in zip(*ends, strict=True)), MISSING)
        found = [TableAxis(first.name, "", "number", labels, *ends, value, never=_never(first))]
    else:
        days = [_days_text(a, b) for a, b in zip(low.astype(int).tolist(), high.astype(int).tolist(), strict=True)]
        found = [TableAxis(first.name, "", "time", (*days, MISSING), never=_never(first))]
        weekday, *rest = rest
        found.append(TableAxis(weekday.name, "", "category", (*_WEEKDAYS, MISSING), never=_never(weekday)))
    if codec.clock is not None:
        low, high = _range(codec.clock)
        seconds = [(int(a) * codec.precision, int(b) * codec.precision) for a, b in zip(low, high, strict=True)]
        texts = (*(f"{_clock(a)} to {_clock(b)}" for a, b in seconds), MISSING)
        found.append(TableAxis(rest[0].name, "", "time", texts, never=_never(rest[0])))
    return found


def _never(attribute: Attribute) -> tuple[int, ...]:
    return () if attribute.can_be_null else (attribute.size - 1,)


def _range(bins: Bins) -> tuple[np.ndarray, np.ndarray]:
    """Return (m,) float64, the least and the largest integer that each bin takes; of the outer ones, as drawn."""
    first, last = bins.ends
    low, high = bins.lows.astype(np.float64), np.append(bins.lows[1:] - 1, last[-1]).astype(np.float64)
    low[0] = min(low[0], float(first[0]))
    return low, np.maximum(high, low)


def _drawn_mean(bins: Bins) -> np.ndarray:
    """Return (m,) what the model draws from each bin, on average."""
    weight = np.maximum(bins.seg_weight, 1e-9)
    middle = (bins.seg_low.astype(np.float64) + bins.seg_high) / 2
    total = np.bincount(bins.owner, weights=weight, minlength=bins.size)
    found: np.ndarray = np.bincount(bins.owner, weights=weight * middle, minlength=bins.size) / total
    return found


def _range_text(low: float, high: float) -> str:
    if low == high:
        return f"{low:g}"
    if math.isinf(low):
        return f"up to {high:.6g}"
    return f"{low:.6g} and more" if math.isinf(high) else f"{low:.6g} to {high:.6g}"


def _days_text(first: int, last: int) -> str:
    """Return the dates from the Monday of one week to the Sunday of another."""
    days = (join_week(np.array([first]), np.array([0])), join_week(np.array([last]), np.array([6])))
    return " to ".join(str(np.datetime64(int(day[0]), "D")) for day in days)


def _clock(seconds: int) -> str:
    return f"{seconds // 3600 % (DAY // 3600):02d}:{seconds // 60 % 60:02d}"

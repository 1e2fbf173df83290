"""Codecs: one column to discrete attributes and back. Each is built from public facts and paid releases alone.

An `Attribute` is one discrete variable of the model. The last code of an attribute is NULL, whether or not the column
may be null: a cell that cannot be read has to go somewhere. `decode` never emits a null in a column declared without.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Protocol

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from privsynth.codecs.bins import MAX_CODES, MAX_STEP, Bins
from privsynth.codecs.loaded import MAX_NAME, Malformed, flag, items, number, only, require, text, whole

OTHER = "OTHER"
DAY = 86_400
# The calendar: years 1 to 9999, as cells are read.
FIRST_SECOND, LAST_SECOND = -62_135_596_800, 253_402_300_799
# What a model file may say: formats and prefixes are short; a grid as fine or as coarse as this has exact decimals.
MAX_FORMAT = 200
FINEST = 1e-300
# 1970-01-01 was a Thursday; weeks are counted from Monday 1970-01-05.
_MONDAY = 4


@dataclass(frozen=True)
class Attribute:
    """One discrete variable.

    Attributes:
      name: the column's name, with "·part" where a column has several.
      size: number of codes, NULL (the last) included.
      can_be_null: whether NULL may be sampled.
      ordered: whether neighbouring codes are alike (numbers).
    """

    name: str
    size: int
    can_be_null: bool
    ordered: bool


class ColumnCodec(Protocol):
    """One column to attributes and back."""

    type: ClassVar[str]

    @property
    def name(self) -> str:
        """Name of the column."""
        ...

    def attributes(self) -> list[Attribute]:
        """Return the attributes, in order."""
        ...

    def to_json(self) -> dict[str, Any]:
        """Return JSON-able data."""
        ...


@dataclass(frozen=True)
class CategoryCodec:
    """Texts of a closed list, or of an open one with OTHER; with `source`, another column of categories says which.

    Attributes:
      source: the column that says which value it is, by a declared code book.
      places: for each value of that column, the place in `values`; −1 where the code book says nothing.
    """

    type: ClassVar[str] = "category"
    name: str
    values: tuple[str, ...]
    other: bool
    nullable: bool
    source: str | None = None
    places: tuple[int, ...] = ()

    def attributes(self) -> list[Attribute]:
        """Return the one attribute: values, OTHER if open, NULL; none where another column says the value."""
        if self.source is not None:
            return []
        return [Attribute(self.name, len(self.texts) + 1, self.nullable, False)]

    def encode(self, codes: np.ndarray, values: tuple[str, ...]) -> np.ndarray:
        """Return (n,) int32 codes of a parsed column (indices into `values`, −1 for null)."""
        index = {value: i for i, value in enumerate(self.values)}
        null = len(self.values) + self.other
        outside = len(self.values) if self.other else null
        table = np.array([index.get(value, outside) for value in values] + [null], dtype=np.int32)
        return table[codes]

    @property
    def texts(self) -> tuple[str, ...]:
        """What may stand in a cell, in the order of the codes: the values, then OTHER if the list is open."""
        return (*self.values, OTHER) if self.other else self.values

    def draw(self, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return (n,) places in `texts` and (n,) booleans for null.

        A null code of a column without nulls is its first value.
        """
        places, null = _without_null(codes, len(self.texts))
        return places.astype(np.int32), null & self.nullable

    def look_up(self, places: np.ndarray, null: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return (n,) places in `values` and (n,) booleans for null, from those of the column that says the value."""
        found = np.asarray(self.places, dtype=np.int32)[places]
        unsaid = null | (found < 0)
        return np.where(unsaid, 0, found), unsaid

    def decode(self, codes: np.ndarray) -> pd.Series:
        """Return (n,) texts, None for null; a null code of a column without nulls is its first value."""
        places, null = self.draw(codes)
        return pd.Series(np.array([*self.texts, None], dtype=object)[np.where(null, -1, places)], dtype="object")

    def to_json(self) -> dict[str, Any]:
        """Return JSON-able data."""
        book = {} if self.source is None else {"source": self.source, "places": list(self.places)}
        return {"values": list(self.values), "other": self.other, "nullable": self.nullable, **book}

    @classmethod
    def from_json(cls, data: Any) -> CategoryCodec:
        """Return the codec that `to_json` wrote.

        Raises:
          Malformed: a field is missing or wrong, a value is listed twice, or there are more than there are codes.
        """
        names = {"name", "values", "other", "nullable", "source", "places"}
        found = only(data, names, "a column of categories", optional=frozenset({"source", "places"}))
        values = items(found["values"], "the values of a column", at_most=MAX_CODES - 2)
        values = [text(value, "a value of a column") for value in values]
        require(len(values) == len(set(values)), "a value of a column is listed twice")
        places = items(found.get("places", []), "the places of a code book", at_most=MAX_CODES)
        source = _other(found.get("source"))
        require(source is not None or not places, "a code book has no source")
        return cls(
            _name(found["name"]),
            tuple(values),
            flag(found["other"], "a field of a column"),
            flag(found["nullable"], "a field of a column"),
            source,
            tuple(whole(place, -1, len(values) - 1, "a place of a code book") for place in places),
        )


@dataclass(frozen=True)
class NumberCodec:
    """Numbers on a grid of `precision`; with `base`, the amount by which they exceed another column."""

    type: ClassVar[str] = "number"
    name: str
    bins: Bins
    precision: float
    nullable: bool
    integer: bool
    low: int | None = None
    high: int | None = None
    base: str | None = None

    def attributes(self) -> list[Attribute]:
        """Return the one attribute: cells, NULL."""
        suffix = f"·above {self.base}" if self.base else ""
        return [Attribute(self.name + suffix, self.bins.size + 1, self.nullable, True)]

    def encode(self, steps: np.ndarray, null: np.ndarray) -> np.ndarray:
        """Return (n,) int32 codes of (n,) grid steps."""
        return np.where(null, self.bins.size, self.bins.encode(steps)).astype(np.int32)

    def decode(self, codes: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return (n,) grid steps and (n,) booleans for null."""
        places, null = _without_null(codes, self.bins.size)
        return self.bins.decode(places, rng), null & self.nullable

    def to_json(self) -> dict[str, Any]:
        """Return JSON-able data."""
        return {
            "cells": self.bins.to_json(), "precision": self.precision, "nullable": self.nullable,
            "integer": self.integer, "low": self.low, "high": self.high, "base": self.base,
        }  # fmt: skip

    @classmethod
    def from_json(cls, data: Any) -> NumberCodec:
        """Return the codec that `to_json` wrote.

        Raises:
          Malformed: a field is missing or wrong.
        """
        names = {"name", "cells", "precision", "nullable", "integer", "low", "high", "base"}
        found = only(data, names, "a column of numbers")
        low, high = _bounds(found["low"], found["high"], -MAX_STEP, MAX_STEP)
        return cls(
            _name(found["name"]),
            Bins.from_json(found["cells"]),
            number(found["precision"], FINEST, 1 / FINEST, "the precision of a column"),
            flag(found["nullable"], "a field of a column"),
            flag(found["integer"], "a field of a column"),
            low,
            high,
            _other(found["base"]),
        )


@dataclass(frozen=True)
class TimeCodec:
    """Dates and times: week, weekday and time of day, so that each keeps its shape and their joint one.

    With `base`, the date is told by the number of days after the base column's date; `clock` is None for dates.
    """

    type: ClassVar[str] = "time"
    name: str
    days: Bins
    clock: Bins | None
    precision: int
    nullable: bool
    format: str | None = None
    low: int | None = None
    high: int | None = None
    base: str | None = None

    def attributes(self) -> list[Attribute]:
        """Return week and weekday, or days above the base; then the clock."""
        if self.base:
            found = [Attribute(f"{self.name}·days after {self.base}", self.days.size + 1, self.nullable, True)]
        else:
            found = [
                Attribute(f"{self.name}·week", self.days.size + 1, self.nullable, True),
                Attribute(f"{self.name}·weekday", 8, self.nullable, False),
            ]
        if self.clock is not None:
            found.append(Attribute(f"{self.name}·clock", self.clock.size + 1, self.nullable, True))
        return found

    def encode(self, seconds: np.ndarray, null: np.ndarray, base: np.ndarray | None) -> list[np.ndarray]:
        """Return codes a attribute, of (n,) seconds; `base` are the base column's seconds."""
        day = seconds // DAY
        if base is not None:
            codes = [self.days.encode(np.maximum(day - base // DAY, 0))]
        else:
            week, weekday = split_week(day)
            codes = [self.days.encode(week), weekday.astype(np.int32)]
        if self.clock is not None:
            codes.append(self.clock.encode(seconds % DAY // self.precision))
        nulls = [a.size - 1 for a in self.attributes()]
        return [np.where(null, n, c).astype(np.int32) for n, c in zip(nulls, codes, strict=True)]

    def decode(
        self, codes: list[np.ndarray], rng: np.random.Generator, base: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return (n,) seconds and (n,) booleans for null, inside the declared range and never below the base."""
        null = np.zeros(len(codes[0]), dtype=bool)
        for code, attribute in zip(codes, self.attributes(), strict=True):
            null |= code >= attribute.size - 1
        known = [np.where(null, 0, code) for code in codes]
        if base is not None:
            day = base // DAY + np.maximum(self.days.decode(known[0], rng), 0)
        else:
            day = join_week(self.days.decode(known[0], rng), known[1])
        seconds = np.clip(day, FIRST_SECOND // DAY, LAST_SECOND // DAY) * DAY
        if self.clock is not None:
            seconds = seconds + np.clip(self.clock.decode(known[-1], rng) * self.precision, 0, DAY - 1)
        low = FIRST_SECOND if self.low is None else self.low
        high = LAST_SECOND - LAST_SECOND % self.precision if self.high is None else self.high
        seconds = np.clip(seconds, low, high)
        if base is not None:
            seconds = np.maximum(seconds, base)
        if self.clock is None:
            seconds = -(-seconds // DAY) * DAY  # a date stays a date, also above a base with a clock
        return seconds, null & self.nullable

    def to_json(self) -> dict[str, Any]:
        """Return JSON-able data."""
        return {
            "days": self.days.to_json(), "clock": self.clock.to_json() if self.clock else None,
            "precision": self.precision, "nullable": self.nullable, "format": self.format,
            "low": self.low, "high": self.high, "base": self.base,
        }  # fmt: skip

    @classmethod
    def from_json(cls, data: Any) -> TimeCodec:
        """Return the codec that `to_json` wrote.

        Raises:
          Malformed: a field is missing or wrong, or no time can be written in the format.
        """
        names = {"name", "days", "clock", "precision", "nullable", "format", "low", "high", "base"}
        found = only(data, names, "a column of times")
        low, high = _bounds(found["low"], found["high"], FIRST_SECOND, LAST_SECOND)
        return cls(
            _name(found["name"]),
            Bins.from_json(found["days"]),
            None if found["clock"] is None else Bins.from_json(found["clock"]),
            whole(found["precision"], 1, DAY, "the precision of a column"),
            flag(found["nullable"], "a field of a column"),
            None if found["format"] is None else _time_format(found["format"]),
            low,
            high,
            _other(found["base"]),
        )


@dataclass(frozen=True)
class SurrogateCodec:
    """Fresh identifiers, one a row; nothing of the real ones is kept."""

    type: ClassVar[str] = "surrogate"
    name: str
    prefix: str = "S"

    def attributes(self) -> list[Attribute]:
        """Return none."""
        return []

    def fresh(self, first: int, count: int) -> pd.Series:
        """Return (count,) identifiers, numbered from `first`."""
        return pd.Series(self.fresh_arrow(first, count).to_pylist(), dtype="object")

    def fresh_arrow(self, first: int, count: int) -> pa.Array:
        """Return the same as Arrow strings, at the speed of arrays."""
        digits = pc.utf8_lpad(pa.array(np.arange(first, first + count)).cast(pa.string()), 8, "0")
        return pc.binary_join_element_wise(pa.scalar(self.prefix), digits, "")

    def to_json(self) -> dict[str, Any]:
        """Return JSON-able data."""
        return {"prefix": self.prefix}

    @classmethod
    def from_json(cls, data: Any) -> SurrogateCodec:
        """Return the codec that `to_json` wrote.

        Raises:
          Malformed: a field is missing or wrong.
        """
        found = only(data, {"name", "prefix"}, "a column of identifiers")
        return cls(_name(found["name"]), text(found["prefix"], "the prefix of a column", at_most=MAX_FORMAT))


@dataclass(frozen=True)
class DerivedCodec:
    """A column that a rule computes: minuend − subtrahend, times in days."""

    type: ClassVar[str] = "derived"
    name: str
    minuend: str
    subtrahend: str
    precision: float
    integer: bool

    def attributes(self) -> list[Attribute]:
        """Return none."""
        return []

    def to_json(self) -> dict[str, Any]:
        """Return JSON-able data."""
        return {
            "minuend": self.minuend, "subtrahend": self.subtrahend,
            "precision": self.precision, "integer": self.integer,
        }  # fmt: skip

    @classmethod
    def from_json(cls, data: Any) -> DerivedCodec:
        """Return the codec that `to_json` wrote.

        Raises:
          Malformed: a field is missing or wrong.
        """
        found = only(data, {"name", "minuend", "subtrahend", "precision", "integer"}, "a computed column")
        return cls(
            _name(found["name"]),
            _name(found["minuend"]),
            _name(found["subtrahend"]),
            number(found["precision"], FINEST, 1 / FINEST, "the precision of a column"),
            flag(found["integer"], "a field of a column"),
        )


def following_codec(
    name: str,
    values: tuple[str, ...],
    nullable: bool,
    source: str,
    said_by: Sequence[str],
    book: Mapping[str, Sequence[str]],
) -> CategoryCodec:
    """Return the codec of a column whose value another says.

    Args:
      said_by: the values of the other column.
      book: value -> the values of the other column that say it; see `schema.model.Follows`.
    """
    place = {said: values.index(value) for value, all_ in book.items() for said in all_}
    return CategoryCodec(name, values, False, nullable, source, tuple(place.get(value, -1) for value in said_by))


def _without_null(codes: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (n,) codes below `size`, 0 for null, and (n,) booleans for null. The codes are not copied without need."""
    null = codes >= size
    return (np.where(null, 0, codes) if null.any() else codes), null


def split_week(day: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (week, weekday) of days since 1970-01-01; weekday 0 is Monday."""
    return (day - _MONDAY) // 7, (day - _MONDAY) % 7


def join_week(week: np.ndarray, weekday: np.ndarray) -> np.ndarray:
    """Return days since 1970-01-01."""
    return week * 7 + weekday + _MONDAY


def codec_to_json(codec: ColumnCodec) -> dict[str, Any]:
    """Return a codec as JSON-able data, its type and name included."""
    return {"type": codec.type, "name": codec.name, **codec.to_json()}


def codec_from_json(data: dict[str, Any]) -> ColumnCodec:
    """Return the codec that `codec_to_json` wrote.

    Raises:
      Malformed: an unknown type, or a part that `codec_to_json` would not write. What codecs say of each other is
        judged by `TableCodec.from_json`.
    """
    require(isinstance(data, dict), "a column is no object")
    kinds = {kind.type: kind for kind in (CategoryCodec, NumberCodec, TimeCodec, SurrogateCodec, DerivedCodec)}
    kind = data.get("type")
    require(isinstance(kind, str) and kind in kinds, "a column is of an unknown type")
    codec: ColumnCodec = kinds[str(kind)].from_json({key: value for key, value in data.items() if key != "type"})
    return codec


def _name(value: Any) -> str:
    return text(value, "the name of a column", at_most=MAX_NAME)


def _other(value: Any) -> str | None:
    """Return the name of another column, or None; "" is none either."""
    return None if value is None else _name(value)


def _bounds(low: Any, high: Any, least: int, most: int) -> tuple[int | None, int | None]:
    """Return the declared bounds, in order."""
    found = [None if value is None else whole(value, least, most, "a bound of a column") for value in (low, high)]
    require(None in found or found[0] <= found[1], "the bounds of a column contradict each other")  # type: ignore[operator]
    return found[0], found[1]


def _time_format(value: Any) -> str:
    """Return a format that times can be written in."""
    written = text(value, "the format of a column", at_most=MAX_FORMAT)
    try:
        datetime(2000, 2, 29).strftime(written).encode("utf-8")
    except ValueError:
        raise Malformed("the format of a column writes no time") from None
    return written

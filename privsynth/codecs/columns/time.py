"""Columns of dates and times."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pyarrow as pa

from privsynth.codecs.bins import Bins
from privsynth.codecs.bounds import clip_steps
from privsynth.codecs.columns.elapsed import DAY, ElapsedScale
from privsynth.codecs.columns.protocol import Attribute, ColumnCodec, Drawn, Family, mask
from privsynth.codecs.columns.saved_fields import MAX_FORMAT, column_name, declared_bounds, other_column
from privsynth.codecs.decoded_rows import Decoded
from privsynth.codecs.loaded import Malformed, flag, only, text, whole
from privsynth.codecs.parse import Categories, Grid

# Seconds since 1970 of the first and the last moment of the years 1 to 9999, which Python's calendar holds.
FIRST_SECOND, LAST_SECOND = -62_135_596_800, 253_402_300_799
MAX_DAYS = (LAST_SECOND - FIRST_SECOND) / DAY  # from the first moment to the last
# Days after 1970-01-01, a Thursday, of the Monday from which weeks are counted.
_MONDAY = 4


@dataclass(frozen=True)
class TimeCodec:
    """Dates and times: week, weekday and time of day, so that each keeps its shape, and their joint distribution too.

    With `base`, the date is coded as the number of days after the base column's date, and a time on the same date as
    the time that passed (see `ElapsedScale`), whose clock follows. `clock` is None for dates. Decoded values are
    seconds since 1970-01-01.
    """

    type: ClassVar[str] = "time"
    family: ClassVar[Family] = "time"
    name: str
    days: Bins
    clock: Bins | None
    precision: int
    nullable: bool
    format: str | None = None
    low: int | None = None
    high: int | None = None
    base: str | None = None

    @property
    def arrow_type(self) -> pa.DataType:
        """date32 for dates, else timestamp[s]."""
        return pa.date32() if self.precision == DAY else pa.timestamp("s")

    @property
    def needs(self) -> tuple[str, ...]:
        """The base, if there is one."""
        return (self.base,) if self.base else ()

    @property
    def bins(self) -> Bins:
        """The bins of the first attribute: weeks, or how far above the base."""
        return self.days

    @property
    def scale(self) -> ElapsedScale:
        """What the bins of an amount above the base count."""
        return ElapsedScale(self.precision)

    @property
    def step(self) -> int:
        """The least difference of decoded values, in seconds."""
        return self.precision

    @property
    def strptime_format(self) -> str:
        """How values are written as text: the column's format, else ISO 8601 to the precision."""
        default = "%Y-%m-%d" if self.precision == DAY else "%Y-%m-%dT%H:%M" + (":%S" if self.precision < 60 else "")
        return self.format or default

    def attributes(self) -> list[Attribute]:
        """Return week and weekday, or the amount above the base; then the clock."""
        if self.base:
            found = [Attribute(f"{self.name}·after {self.base}", self.days.size + 1, self.nullable, True)]
        else:
            found = [
                Attribute(f"{self.name}·week", self.days.size + 1, self.nullable, True),
                Attribute(f"{self.name}·weekday", 8, self.nullable, False),
            ]
        if self.clock is not None:
            found.append(Attribute(f"{self.name}·clock", self.clock.size + 1, self.nullable, True, cyclic=True))
        return found

    def fits(self, source: ColumnCodec) -> bool:
        """Return whether the base is a column of times."""
        return isinstance(source, TimeCodec)

    def with_bins(self, bins: Bins) -> TimeCodec:
        """Return the codec with other bins of the first attribute."""
        return replace(self, days=bins)

    def bounded(self, seconds: np.ndarray) -> np.ndarray:
        """Return seconds inside the declared bounds."""
        return clip_steps(seconds, self.low, self.high)

    def known(self, column: Categories | Grid) -> Decoded:
        """Return parsed values as seconds inside the declared bounds."""
        assert isinstance(column, Grid)
        return Decoded(self.bounded(column.steps * self.precision), column.null)

    def encode(self, column: Categories | Grid, base: Decoded | None) -> list[np.ndarray]:
        """Return (n,) int32 codes for each attribute."""
        found = self.known(column)
        seconds, null = found.values, found.null
        if base is not None:
            codes, null = [self.days.encode(self.scale.place(seconds, base.values))], null | base.null
        else:
            week, weekday = split_week(seconds // DAY)
            codes = [self.days.encode(week), weekday.astype(np.int32)]
        if self.clock is not None:
            codes.append(self.clock.encode(seconds % DAY // self.precision))
        nulls = [a.size - 1 for a in self.attributes()]
        return [np.where(null, n, c).astype(np.int32) for n, c in zip(nulls, codes, strict=True)]

    def parsed(self, column: Decoded) -> Grid:
        """Return multiples of the precision."""
        return Grid(column.values // self.precision, column.null)

    def decode(self, codes: np.ndarray, drawn: Drawn, rng: np.random.Generator) -> Decoded:
        """Return (n,) seconds, inside the declared bounds and never below the base."""
        base = drawn.columns[self.base] if self.base else None
        null = np.zeros(len(codes[0]), dtype=bool)
        for code, attribute in zip(codes, self.attributes(), strict=True):
            null |= code >= attribute.size - 1
        seconds = self._seconds([np.where(null, 0, code) for code in codes], base, rng)
        null &= self.nullable
        if base is not None and self.nullable:
            null = null | base.null
        return Decoded(seconds, null)

    def _seconds(self, codes: list[np.ndarray], base: Decoded | None, rng: np.random.Generator) -> np.ndarray:
        low = FIRST_SECOND if self.low is None else self.low
        high = LAST_SECOND - LAST_SECOND % self.precision if self.high is None else self.high
        place = self.days.decode(codes[0], rng)
        if base is None:
            day = _inside_by_weeks(join_week(place, codes[1]), low // DAY, high // DAY)
        else:
            day = base.values // DAY + self.scale.days(place)
        seconds = np.clip(day, low // DAY, high // DAY) * DAY
        if self.clock is not None:
            seconds = seconds + np.clip(self.clock.decode(codes[-1], rng) * self.precision, 0, DAY - 1)
            if base is not None:
                seconds = np.where(self.scale.days(place) > 0, seconds, self._soon_after(base.values, place, rng))
        seconds = np.clip(seconds, low, high)
        if base is not None:
            seconds = self._not_before(base.values, seconds, high, rng)
        if self.clock is None:
            seconds = -(-seconds // DAY) * DAY  # a date stays a date, also above a base with a clock
        return seconds

    def _soon_after(self, base: np.ndarray, place: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return (n,) seconds at places within a day of the base; just before midnight that is the next date."""
        first, width = self.scale.passed(place)
        passed = first + np.floor(rng.random(len(place)) * width).astype(np.int64)
        return (base // self.precision + passed) * self.precision

    def _not_before(self, base: np.ndarray, seconds: np.ndarray, high: int, rng: np.random.Generator) -> np.ndarray:
        """Return (n,) seconds, those before the base moved to between it and the end of its date."""
        before = seconds < base
        left = np.maximum(np.minimum(base // DAY * DAY + DAY - 1, high) - base, 0) // self.precision
        later = base + np.floor(rng.random(len(base)) * (left + 1)).astype(np.int64) * self.precision
        return np.where(before, later, seconds)

    def amounts(self, values: np.ndarray) -> np.ndarray:
        """Return (n,) days since 1970-01-01."""
        return values / DAY

    def places_above(self, amounts: np.ndarray) -> np.ndarray:
        """Return (n,) int64, what the bins have for amounts above the base, in days."""
        return self.scale.place_of_days(np.clip(amounts, 0.0, MAX_DAYS))

    def amounts_above(self, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the least and the largest amount above the base, in days, in (n,) ranges of the bins."""
        least, most = self.scale.ends(low, high)
        return least / DAY, most / DAY

    def to_series(self, column: Decoded, *, categorical: bool = False) -> pd.Series:
        """Return datetime64[s], NaT for null."""
        seconds = column.values.astype(np.int64).astype("datetime64[s]")
        return pd.Series(np.where(column.null, np.datetime64("NaT", "s"), seconds))

    def to_arrow(self, column: Decoded) -> pa.Array:
        """Return date32 for dates, else timestamp[s]."""
        seconds = column.values.astype(np.int64, copy=False)  # packed rows are narrower
        if self.precision == DAY:
            return pa.array((seconds // DAY).astype(np.int32), pa.int32(), mask=mask(column)).cast(self.arrow_type)
        return pa.array(seconds.astype("datetime64[s]"), self.arrow_type, mask=mask(column))

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
        low, high = declared_bounds(found["low"], found["high"], FIRST_SECOND, LAST_SECOND)
        return cls(
            column_name(found["name"]),
            Bins.from_json(found["days"]),
            None if found["clock"] is None else Bins.from_json(found["clock"]),
            whole(found["precision"], 1, DAY, "the precision of a column"),
            flag(found["nullable"], "a field of a column"),
            None if found["format"] is None else _time_format(found["format"]),
            low,
            high,
            other_column(found["base"]),
        )


def split_week(day: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (week, weekday) of days since 1970-01-01; weekday 0 is Monday."""
    return (day - _MONDAY) // 7, (day - _MONDAY) % 7


def join_week(week: np.ndarray, weekday: np.ndarray) -> np.ndarray:
    """Return days since 1970-01-01."""
    return week * 7 + weekday + _MONDAY


def _inside_by_weeks(day: np.ndarray, low: int, high: int) -> np.ndarray:
    """Return (n,) days moved by whole weeks to between two bounds, as far as weeks reach.

    The first and the last week of a range need not hold all seven days.
    """
    day = day - 7 * -(-np.maximum(day - high, 0) // 7)
    return day + 7 * -(-np.maximum(low - day, 0) // 7)


def _time_format(value: Any) -> str:
    """Return a format that times can be written in."""
    written = text(value, "the format of a column", at_most=MAX_FORMAT)
    try:
        datetime(2000, 2, 29).strftime(written).encode("utf-8")
    except ValueError:
        raise Malformed("the format of a column writes no time") from None
    return written

"""From the Arrow types in which codecs decode to those that the source states, where the values can be held by them."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from zoneinfo import available_timezones

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from privsynth.codecs.columns import CategoryCodec, ColumnCodec, SurrogateCodec
from privsynth.codecs.parsed_table import TRUE_TEXTS
from privsynth.schema.source_format import SourceFormat

# Types that are kept, by the name that Arrow gives them; a decimal and a time zone are read besides.
_NAMED: dict[str, pa.DataType] = {
    str(kind): kind
    for kind in (
        *(pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()),
        *(pa.float32(), pa.float64(), pa.bool_(), pa.string(), pa.date32(), pa.date64()),
        *(of(unit) for of in (pa.timestamp, pa.duration) for unit in ("s", "ms", "us", "ns")),
        *(pa.time32("s"), pa.time32("ms"), pa.time64("us"), pa.time64("ns")),
    )
}
_DECIMAL = re.compile(r"decimal128\(([1-9]|[12][0-9]|3[0-8]), ([0-9]|[12][0-9]|3[0-8])\)")
_ZONED = re.compile(r"(timestamp\[(?:s|ms|us|ns))(?:, tz=.*)?\]")
_OFFSET = re.compile(r"[+-](?:0[0-9]|1[0-4]):[0-5][0-9]")
_UNITS_PER_S = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}  # Arrow's units of time
_MAX_INT64 = 2**63 - 1  # a time in nanoseconds ends in 2262


@lru_cache(maxsize=1_000)
def stated_type(name: str) -> pa.DataType | None:
    """Return the Arrow type of a name as `str` gives it; of times without their zone. None for what is not kept."""
    zoned = _ZONED.fullmatch(name)
    decimal = _DECIMAL.fullmatch(name)
    if decimal is not None and int(decimal[2]) <= int(decimal[1]):
        return pa.decimal128(int(decimal[1]), int(decimal[2]))
    return _NAMED.get(f"{zoned[1]}]" if zoned else name)


def container_types(plain: Mapping[str, pa.DataType], source_format: SourceFormat) -> dict[str, pa.DataType]:
    """Return column -> the type that the container states, where that is kept, else the one in which it is read.

    Integers that nothing states are taken for floats, as which they would be read if one cell were missing.
    """
    floats = {name: pa.float64() if pa.types.is_integer(kind) else kind for name, kind in plain.items()}
    return {name: _stated(name, source_format) or kind for name, kind in floats.items()}


def _stated(name: str, source_format: SourceFormat) -> pa.DataType | None:
    found = stated_type(source_format.types.get(name, ""))
    return pa.int64() if found is None and name in source_format.whole_numbers else found


def is_zone(name: str) -> bool:
    """Return whether a time zone is known here: a name of the IANA list, or an offset such as +02:00."""
    return _OFFSET.fullmatch(name) is not None or name in available_timezones()


def written_type(codec: ColumnCodec, source_format: SourceFormat) -> pa.DataType:
    """Return the type in which a column is written: the stated one where it holds the codec's values, else its own."""
    own = codec.arrow_type
    stated = _stated(codec.name, source_format)
    if isinstance(codec, CategoryCodec) and not codec.boolean:
        return stated if stated is not None and _say_all(codec.drawn_texts, stated) else own
    if isinstance(codec, SurrogateCodec) and stated is not None and pa.types.is_integer(stated) and codec.integer:
        return stated if 10 ** len(codec.pattern.alphabets) <= np.iinfo(stated.to_pandas_dtype()).max else own
    kind = stated if stated is not None and _holds(stated, own, getattr(codec, "precision", 1)) else own
    if kind == pa.timestamp("s"):
        kind = pa.timestamp("us")  # Parquet has no seconds
    zone = source_format.time_zones.get(codec.name)
    if pa.types.is_timestamp(kind) and zone is not None and is_zone(zone):
        return pa.timestamp(kind.unit, tz=zone)
    return kind


def _holds(kind: pa.DataType, own: pa.DataType, precision: float) -> bool:
    """Return whether values that a codec decodes as `own` can be written as `kind`."""
    of = pa.types
    number = of.is_floating(kind) or of.is_decimal(kind) or of.is_duration(kind)
    if of.is_integer(own):
        return number or of.is_integer(kind)
    if of.is_floating(own):
        return number or (of.is_integer(kind) and float(precision).is_integer())
    if of.is_date(own):
        return of.is_date(kind) or of.is_timestamp(kind)
    return of.is_timestamp(own) and of.is_timestamp(kind)


def _say_all(texts: Sequence[str], kind: pa.DataType) -> bool:
    """Return whether all categories can be read as values of a type that is no text."""
    if pa.types.is_string(kind):
        return False  # they are texts already
    try:
        values = _read(texts, kind)
    except (pa.ArrowException, ValueError, OverflowError):
        return False
    return len(set(values.to_pylist())) == len(texts)


def _read(texts: Sequence[str], kind: pa.DataType) -> pa.Array:
    if pa.types.is_time(kind):
        return pa.array([dt.time.fromisoformat(text) for text in texts], kind)
    if pa.types.is_boolean(kind):
        if not {text.lower() for text in texts} <= {"true", "false"}:
            raise ValueError("no boolean")
        return pa.array([text.lower() in TRUE_TEXTS for text in texts], kind)
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        raise ValueError("categories stay texts")
    return pa.array(texts, pa.string()).cast(kind)


def written_array(array: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return what a codec decoded in the type of `written_type`; a value beyond its ends moves to the nearest end."""
    own = array.type
    if own == kind:
        return array
    if pa.types.is_dictionary(own):
        return _read(array.dictionary.to_pylist(), kind).take(array.indices)
    if pa.types.is_timestamp(kind):
        return _timestamps(array, kind)
    if pa.types.is_integer(kind):
        whole = array if pa.types.is_integer(own) else pc.round(array).cast(pa.int64(), safe=False)
        return _clipped(whole, *_ends(kind)).cast(kind)
    if pa.types.is_decimal(kind):
        # Through a float, which has 15 digits; a grid step is never finer than that.
        beyond = 10.0 ** min(kind.precision - kind.scale, 15)
        most = min(beyond - 10.0**-kind.scale, float(np.nextafter(beyond, 0.0)))  # a fine step may be lost in a float
        return _clipped(array.cast(pa.float64(), safe=False), -most, most).cast(kind)
    if pa.types.is_duration(kind):
        units = _UNITS_PER_S[kind.unit]
        most = float(_MAX_INT64 // units - 1)
        seconds = _clipped(array.cast(pa.float64(), safe=False), -most, most)
        return pc.round(pc.multiply(seconds, float(units))).cast(pa.int64(), safe=False).cast(kind)
    return array.cast(kind, safe=False)


def _timestamps(array: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return dates or times, which are in UTC, as instants of a zone or as times without one."""
    seconds = array.cast(pa.timestamp("s")).cast(pa.int64())
    most = _MAX_INT64 // _UNITS_PER_S[kind.unit] - 1
    return _clipped(seconds, -most, most).cast(pa.timestamp("s")).cast(pa.timestamp(kind.unit)).cast(kind)


def _ends(kind: pa.DataType) -> tuple[int, int]:
    found = np.iinfo(kind.to_pandas_dtype())
    return max(int(found.min), -_MAX_INT64), min(int(found.max), _MAX_INT64)


def _clipped(array: pa.Array, low: float, high: float) -> pa.Array:
    return pc.min_element_wise(pc.max_element_wise(array, pa.scalar(low, array.type), skip_nulls=False),
                               pa.scalar(high, array.type), skip_nulls=False)  # fmt: skip

"""Texts to numbers and times, each on its own: what one text means never depends on other texts.

Readers of whole columns (`pandas.to_numeric`, `pandas.to_datetime`) choose a type or a resolution that fits all cells,
so that one person's cell can change or erase the value of another's. These readers are total and go text by text.
"""

from __future__ import annotations

import math
import re
from contextlib import suppress
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?$"
# With a decimal comma, points may only stand between groups of three.
_COMMA_NUMBER = r"^[+-]?(\d+|\d{1,3}(\.\d{3})+)?(,\d*)?([eE][+-]?\d{1,4})?$"
_ZONE = r"(?P<zone>[Zz]|[+-]\d{2}:?\d{2})"
_ISO = (
    r"^(?P<year>\d{4})-?(?P<month>\d{2})-?(?P<day>\d{2})"
    r"(?:[Tt ](?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,]\d+)?)? ?" + _ZONE + r"?)?$"
)
# The directives that are read by one regular expression; a format with another one is left to strptime.
_DIRECTIVES = {
    "Y": r"(?P<year>\d{4})", "y": r"(?P<short>\d{2})", "m": r"(?P<month>\d{1,2})", "d": r"(?P<day>\d{1,2})",
    "H": r"(?P<hour>\d{1,2})", "M": r"(?P<minute>\d{1,2})", "S": r"(?P<second>\d{1,2})",
    "f": r"\d{1,9}", "z": _ZONE, "%": "%",
}  # fmt: skip


def read_numbers(values: list[str], *, decimal: str = ".") -> np.ndarray:
    """Return (m,) float64, correctly rounded; NaN where a text is not a plain decimal number.

    A number beyond double precision is infinite. Points are dropped from numbers with a decimal comma.
    """
    texts = pa.array(values, pa.large_string())
    fits = _fits(texts, _COMMA_NUMBER if decimal == "," else _NUMBER)
    out = np.full(len(values), np.nan)
    if decimal != ",":
        plain = pc.utf8_ltrim(texts.filter(pa.array(fits)), characters="+")
        with suppress(pa.ArrowInvalid):  # correctly rounded too (fast_float); what it refuses is read below
            out[fits] = plain.cast(pa.float64()).to_numpy(zero_copy_only=False)
            return out
    for index in np.flatnonzero(fits).tolist():
        text = values[index].replace(".", "").replace(",", ".") if decimal == "," else values[index]
        try:
            out[index] = float(text)
        except ValueError:  # a sign or a comma alone
            continue
    return out


def read_seconds(values: list[str], *, format: str | None = None) -> np.ndarray:
    """Return (m,) float64 whole seconds since 1970 (zones become UTC); NaN where a text is not a time of the format.

    A leap second reads as the second before it. Fractions of seconds are dropped.

    Args:
      format: strptime format, None for ISO 8601.
    """
    pattern = _ISO if format is None else _pattern(format)
    if pattern is None:
        return np.array([_strptime(text, format or "") for text in values], dtype=np.float64)
    texts = pa.array(values, pa.large_string())
    fits = _fits(texts, pattern)
    out = np.full(len(values), np.nan)
    if fits.any():
        parts = pc.extract_regex(texts.filter(pa.array(fits)), pattern)
        out[fits] = _assemble(parts)
    return out


def _fits(texts: pa.Array, pattern: str) -> np.ndarray:
    return np.asarray(pc.match_substring_regex(texts, pattern).to_numpy(zero_copy_only=False), dtype=bool)


def _pattern(format: str) -> str | None:
    """Return a regular expression for a strptime format; None if it has a directive that is not simple."""
    parts: list[str] = ["^"]
    seen: set[str] = set()
    for directive, literal in re.findall(r"%(.)|([^%]+)", format, flags=re.DOTALL):
        if literal:
            parts.append(re.escape(literal))
        elif directive not in _DIRECTIVES or directive in seen - {"%"}:
            return None
        else:
            seen.add(directive)
            parts.append(_DIRECTIVES[directive])
    return "".join(parts) + "$" if {"m", "d"} <= seen and len(seen & {"Y", "y"}) == 1 else None


def _assemble(parts: pa.StructArray) -> np.ndarray:
    """Return (m,) float64 seconds from the groups year, month, day, …; NaN where they are no time."""
    names = {field.name for field in parts.type}

    def number(name: str) -> np.ndarray:
        if name not in names:
            return np.zeros(len(parts), dtype=np.int64)
        texts = parts.field(name)
        texts = pc.if_else(pc.equal(pc.binary_length(texts), 0), "0", texts)
        return np.asarray(pc.cast(texts, pa.int64()).to_numpy(zero_copy_only=False))

    short = number("short")
    year = number("year") if "year" in names else np.where(short < 69, 2000 + short, 1900 + short)
    month, day = number("month"), number("day")
    hour, minute, second = number("hour"), number("minute"), number("second")
    start = ((year - 1970) * 12 + np.clip(month, 1, 12) - 1).astype("datetime64[M]")
    first = start.astype("datetime64[D]").astype(np.int64)
    length = (start + 1).astype("datetime64[D]").astype(np.int64) - first
    valid = (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= length)
    valid &= (hour <= 23) & (minute <= 59) & (second <= 60)
    seconds = (first + day - 1) * 86_400 + hour * 3600 + minute * 60 + np.minimum(second, 59)
    if "zone" in names:
        seconds = seconds - np.array([_offset(zone) for zone in parts.field("zone").to_pylist()], dtype=np.int64)
    return np.where(valid, seconds.astype(np.float64), np.nan)


def _offset(zone: str) -> int:
    """Return the seconds that a zone is ahead of UTC."""
    if zone in ("", "Z", "z"):
        return 0
    size = int(zone[1:3]) * 3600 + int(zone[-2:]) * 60
    return -size if zone[0] == "-" else size


def _strptime(text: str, format: str) -> float:
    try:
        time = datetime.strptime(text, format)
        time = time.replace(tzinfo=UTC) if time.tzinfo is None else time
        return float(math.floor((time - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()))
    except (ValueError, OverflowError, re.error):  # the last of a format with a directive twice
        return math.nan

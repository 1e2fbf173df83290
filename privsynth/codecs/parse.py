"""Cells: what a cell looks like, and its value once the kind is known.

All functions are total: whatever a cell holds, the result is a value or a null, so that no cell can stop a run.
They go cell by cell: they use fixed defaults alone, and learn nothing from the column.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from privsynth.codecs.text_to_number import read_numbers, read_seconds

NULL_TOKENS = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "#N/A")
MAX_DECIMALS = (
    6  # after the point (own): micrograms in grams, micrometres in metres; what is finer is measurement error
)
GRID_LIMIT = 2**52  # grid steps: integers, and halves beside them, stay exact in double precision (IEEE 754)
MAX_DIGITS = 15  # of a number on the grid: double precision holds them (IEEE 754); longer ones are account numbers
# The relative rounding error of single precision, 2**-24 (IEEE 754). Below SINGLE_TELLS grid steps other numbers are
# hardly ever so near to a round one (own).
HALF_SINGLE, SINGLE_TELLS = 2.0**-24, 2.0**19

# What a cell votes for. One cell casts one vote.
NULL, TEXT, BOOLEAN, CODE = 0, 1, 2, 3  # CODE: letters and then digits, or digits that begin with a zero
NUMBER = 4  # NUMBER + j: a number with j decimals after a point, j = 0..6
COMMA = NUMBER + MAX_DECIMALS + 1  # COMMA + j: a number with j decimals after a comma, j = 1..6
DATE_ISO = COMMA + MAX_DECIMALS + 1  # + 0: date, + 1: to the minute, + 2: to the second
# The same three steps each. With points the day always comes first; with slashes it depends on the country.
DAY_FIRST, MONTH_FIRST, EITHER_FIRST, POINTED = DATE_ISO + 3, DATE_ISO + 6, DATE_ISO + 9, DATE_ISO + 12
N_VOTES = POINTED + 3  # sorts of votes: the last family has three, too

_INTEGER = rf"^[+-]?(0|[1-9]\d{{0,{MAX_DIGITS - 1}}})$"
_BOOLEAN = r"^(true|false)$"  # as sources write the booleans of objects; other words may be two of several categories
_CODE = r"^([A-Za-z]{1,4}[-. ]?\d[0-9A-Za-z.-]{0,15}|0\d{1,14})$"
_POINT = r"^[+-]?(\d{1,18}\.\d*|\.\d+)$"
_COMMA = r"^[+-]?(\d{1,15}|\d{1,3}(\.\d{3}){1,4}),\d+$"  # points between groups of three, as they are read
_SCIENTIFIC = r"^[+-]?\d+(\.\d*)?[eE][+-]?\d{1,3}$"
_TIME = r"(?:[T ]\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?"
_ISO = r"^\d{4}-\d{2}-\d{2}" + _TIME + "$"
_SLASHED = r"^(?P<a>\d{1,2})/(?P<b>\d{1,2})/(?P<year>\d{4})" + _TIME + "$"
_MIDNIGHT = r"[T ]00:00(?::00(?:\.0+)?)?Z?$"
_WHOLE_MINUTE = r":\d{2}:00(?:\.0+)?(?:Z|[+-]\d{2}:?\d{2})?$"
_POINTED = r"^\d{1,2}\.\d{1,2}\.\d{4}" + _TIME + "$"


@dataclass(frozen=True)
class Categories:
    """A parsed column of texts: (n,) signed integer codes into `values`, −1 for null; int8 where that is enough."""

    codes: np.ndarray
    values: tuple[str, ...]


@dataclass(frozen=True)
class Grid:
    """A parsed column of numbers or times.

    Attributes:
      packed: (n,) signed integers, multiples of the precision, of any width, since all columns are in memory together.
      null: (n,) booleans.
    """

    packed: np.ndarray
    null: np.ndarray

    @property
    def steps(self) -> np.ndarray:
        """(n,) int64 multiples of the precision, to calculate with."""
        return self.packed.astype(np.int64, copy=False)


def narrowest(values: np.ndarray) -> np.ndarray:
    """Return (n,) integers in the narrowest signed type that holds them and −1."""
    lowest, highest = (int(values.min()), int(values.max())) if len(values) else (0, 0)
    least, most = np.min_scalar_type(min(lowest, -1)), np.min_scalar_type(-max(highest, 1) - 1)
    return values.astype(np.promote_types(least, most), copy=False)


def is_text(column: pa.ChunkedArray | pa.Field) -> bool:
    """Return whether the source gave text."""
    return pa.types.is_string(column.type) or pa.types.is_large_string(column.type)


def votes(column: pa.ChunkedArray) -> np.ndarray:
    """Return (n,) uint8: what each cell looks like."""
    if is_text(column):
        codes, values = _dictionary(column)
        of_values = _text_votes(pa.array(values, pa.string()))
        return np.where(codes < 0, NULL, of_values[codes] if len(values) else NULL).astype(np.uint8)
    null = column.is_null().to_numpy()
    if pa.types.is_boolean(column.type):
        result = np.full(len(null), BOOLEAN, np.uint8)
    elif pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        seconds = _seconds(column)
        known = np.where(np.isnan(seconds), 0, seconds).astype(np.int64)
        result = DATE_ISO + np.where(known % 86_400 == 0, 0, np.where(known % 60 == 0, 1, 2)).astype(np.uint8)
    else:
        floats = _floats(column)
        decimals = _decimals(floats)
        with np.errstate(invalid="ignore", over="ignore"):
            fits = np.abs(floats) * 10.0**decimals < 10.0**MAX_DIGITS
        result = np.where(fits, NUMBER + decimals, TEXT)
    return np.where(null, NULL, result).astype(np.uint8)


def _dictionary(column: pa.ChunkedArray) -> tuple[np.ndarray, list[str]]:
    """Return (n,) signed codes (−1 for null tokens) and the distinct texts, trimmed of blanks at both ends."""
    trimmed = pc.utf8_trim_whitespace(column)
    encoded = pc.dictionary_encode(trimmed).combine_chunks()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.chunk(0) if encoded.num_chunks else pa.array([], pa.string()).dictionary_encode()
    texts = encoded.dictionary
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32, copy=False)
    blank = pc.is_in(texts, pa.array(NULL_TOKENS, texts.type)).to_numpy(zero_copy_only=False).astype(bool)
    if blank.any():
        keep = np.cumsum(~blank) - 1
        recode = np.append(np.where(blank, -1, keep), -1).astype(np.int32)
        codes = recode[codes]
        texts = texts.filter(pa.array(~blank))
    values = texts.to_numpy(zero_copy_only=False).tolist()  # some 20 times as fast as `to_pylist`
    # The narrowest type: the codes of all columns are in memory together.
    return codes.astype(np.min_scalar_type(-max(len(values), 1))), values


def _matches(values: pa.Array, pattern: str) -> np.ndarray:
    return np.asarray(pc.match_substring_regex(values, pattern).to_numpy(zero_copy_only=False), dtype=bool)


def _text_votes(values: pa.Array) -> np.ndarray:
    result = np.full(len(values), TEXT, np.uint8)
    if not len(values):
        return result
    result[_matches(values, _BOOLEAN)] = BOOLEAN
    result[_matches(values, _CODE)] = CODE
    result[_matches(values, _INTEGER)] = NUMBER
    point = _matches(values, _POINT)
    if point.any():
        texts = pc.utf8_rtrim(values.filter(pa.array(point)), characters="0")
        decimals = pc.subtract(pc.utf8_length(texts), pc.add(pc.find_substring(texts, "."), 1)).to_numpy()
        before = pc.utf8_length(pc.utf8_ltrim(pc.list_element(pc.split_pattern(texts, "."), 0), characters="+-"))
        long = decimals > MAX_DECIMALS
        decimals = np.minimum(decimals, MAX_DECIMALS)
        if long.any():
            decimals[long] = _decimals(read_numbers(texts.filter(pa.array(long)).to_pylist(), decimal="."))
        result[point] = np.where(before.to_numpy() + decimals <= MAX_DIGITS, NUMBER + decimals, TEXT)
    comma = _matches(values, _COMMA)
    if comma.any():
        texts = values.filter(pa.array(comma))
        decimals = pc.subtract(pc.utf8_length(texts), pc.add(pc.find_substring(texts, ","), 1)).to_numpy()
        result[comma] = COMMA + np.minimum(decimals, MAX_DECIMALS)
    result[_matches(values, _SCIENTIFIC)] = NUMBER + MAX_DECIMALS
    iso = _matches(values, _ISO)
    if iso.any():
        result[iso] = DATE_ISO + _iso_clock(values.filter(pa.array(iso)))
    slashed = _matches(values, _SLASHED)
    if slashed.any():
        result[slashed] = _slashed_votes(values.filter(pa.array(slashed)))
    pointed = _matches(values, _POINTED)
    if pointed.any():
        result[pointed] = POINTED + _clock(values.filter(pa.array(pointed)))
    return result


def _clock(values: pa.Array) -> np.ndarray:
    """Return 0 for a date, 1 for a time to the minute, 2 to the second."""
    colons = pc.count_substring(values, ":").to_numpy()
    zone = _matches(values, r"[+-]\d{2}:\d{2}$")
    return np.clip(colons - zone, 0, 2).astype(np.uint8)


def _iso_clock(values: pa.Array) -> np.ndarray:
    """Return the same for ISO texts, in which zeros are ignored: 10:30:00 is to the minute and 00:00:00 a date.

    A typed time votes alike. In other formats zeros count as written.
    """
    clock = np.minimum(_clock(values), np.where(_matches(values, _WHOLE_MINUTE), 1, 2))
    return np.where(_matches(values, _MIDNIGHT), 0, clock).astype(np.uint8)


def _slashed_votes(values: pa.Array) -> np.ndarray:
    parts = pc.extract_regex(values, _SLASHED)
    first = pc.cast(parts.field("a"), pa.int64()).to_numpy()
    second = pc.cast(parts.field("b"), pa.int64()).to_numpy()
    order = np.where(first > 12, DAY_FIRST, np.where(second > 12, MONTH_FIRST, EITHER_FIRST))
    return (order + _clock(values)).astype(np.uint8)


def _decimals(values: np.ndarray) -> np.ndarray:
    """Return (n,) uint8: the fewest decimals, 0..6, that write a float to within 1e-9 of itself.

    Where six are too few, the fewest that write it as precisely as single precision: 3.200000047683716 was 3.2.
    """
    result = np.full(len(values), MAX_DECIMALS, np.uint8)
    short = np.zeros(len(values), dtype=bool)
    with np.errstate(invalid="ignore", over="ignore"):
        for decimals in range(MAX_DECIMALS, -1, -1):
            size = np.abs(values * 10.0**decimals)
            off = np.abs(size - np.rint(size))
            exact = off <= 1e-9 * np.maximum(1.0, size)
            short |= exact
            single = ~short & (off <= HALF_SINGLE * size) & (size < SINGLE_TELLS)
            result[exact | single] = decimals
    return result


def as_categories(column: pa.ChunkedArray) -> Categories:
    """Return the column as texts; null tokens become null."""
    if pa.types.is_boolean(column.type):
        column = pc.if_else(column, "true", "false")
    elif not is_text(column):
        column = _typed_text(column)
    codes, values = _dictionary(column)
    return Categories(codes, tuple(values))


def known_cells(column: pa.ChunkedArray) -> np.ndarray:
    """Return (n,) booleans: the cell is neither null nor a null token nor NaN."""
    if is_text(column):
        return _dictionary(column)[0] >= 0
    known: np.ndarray = ~pc.is_null(column, nan_is_null=True).to_numpy()
    return known


def cell_words(column: pa.ChunkedArray) -> np.ndarray:
    """Return (n,) uint64, equal cells get equal words; cell by cell, whatever else is in the column.

    Cells are equal where `as_categories` says so: by it rows are one unit's, which must not lie in two parts.
    """
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        kind = pa.uint64() if pa.types.is_unsigned_integer(column.type) else pa.int64()
        typed = pc.cast(column, pa.float64() if pa.types.is_floating(column.type) else kind)
        null = pc.is_null(typed, nan_is_null=True)
        if pa.types.is_floating(typed.type):
            typed = pc.add(typed, 0.0)  # −0 is 0
        # The null's own word comes after, so that it differs from the word of zero.
        words = pd.util.hash_array(np.asarray(pc.if_else(null, pa.scalar(0, typed.type), typed).to_numpy()))
        return np.where(null.to_numpy(), np.uint64(0xA0761D6478BD642F), words)
    parsed = as_categories(column)
    of_values = pd.util.hash_array(np.array([*parsed.values, "\0null"], dtype=object), categorize=False)
    return np.asarray(of_values[parsed.codes], dtype=np.uint64)


def _typed_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return typed values as text: whole floats without '.0', as a person would write a code."""
    if pa.types.is_floating(column.type):
        floats = column.to_numpy()
        with np.errstate(invalid="ignore"):
            whole = np.isfinite(floats) & (np.abs(floats) < 2**53) & (floats == np.rint(floats))
        texts = np.where(whole, np.where(whole, floats, 0).astype(np.int64).astype(str), floats.astype(str))
        return pa.chunked_array([pa.array(texts.tolist(), pa.string(), mask=np.isnan(floats))])
    return pc.cast(column, pa.string())


def as_numbers(column: pa.ChunkedArray, *, precision: float, decimal: str = ".") -> Grid:
    """Return the column as multiples of `precision`; stray text, NaN and infinities become null."""
    if is_text(column):
        codes, values = _dictionary(column)
        floats = np.append(read_numbers(values, decimal=decimal), np.nan)[codes]
    elif pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        floats = _seconds(column)
    else:
        floats = _floats(column)
    with np.errstate(over="ignore"):  # values beyond the grid move to its end
        return _on_grid(floats / precision, np.isfinite(floats))


def as_times(column: pa.ChunkedArray, *, precision: float, format: str | None = None) -> Grid:
    """Return the column as multiples of `precision` seconds since 1970-01-01T00:00 (zones become UTC)."""
    if is_text(column):
        codes, values = _dictionary(column)
        floats = np.append(read_seconds(values, format=format), np.nan)[codes]
    elif pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        floats = _seconds(column)
    else:
        floats = np.full(len(column), np.nan)
    return _on_grid(np.floor(floats / precision), np.isfinite(floats))


def _floats(column: pa.ChunkedArray) -> np.ndarray:
    """Return (n,) float64 of a typed column, NaN for null. Integers beyond 2**53 are rounded, not refused."""
    return np.asarray(pc.cast(column, pa.float64(), safe=False).to_numpy(), dtype=np.float64)


def _seconds(column: pa.ChunkedArray) -> np.ndarray:
    micros = pc.cast(pc.cast(column, pa.timestamp("us"), safe=False), pa.int64())
    return micros.cast(pa.float64(), safe=False).to_numpy() / 1e6


def _on_grid(scaled: np.ndarray, known: np.ndarray) -> Grid:
    clipped = np.clip(np.where(known, scaled, 0.0), -GRID_LIMIT, GRID_LIMIT)
    return Grid(narrowest(np.rint(clipped).astype(np.int64)), ~known)

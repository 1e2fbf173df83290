"""From cells and Arrow columns of any kind to the six types that the rest of the package knows.

One rule for all adapters: a text is null when it is empty, longer than the limit, holds a NUL or is not
Unicode. Nothing here parses: "007" and "1,5" stay the text that they are.
"""

from __future__ import annotations

import datetime as dt
import decimal
import math
import numbers
import uuid
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from privsynth.schema.definition import Column
from privsynth.schema.source_format import SourceFormat
from privsynth.schema.stated_types import Family, StatedTypes
from privsynth.sources.protocol import SkippedCells, SourceOptions

TIMESTAMP = pa.timestamp("us")
MAX_DECIMALS = 6  # of a declared grid (own), as many as are told apart in cells; finer decimals are bought
# Arrow's units of time in a second, and Python's calendar, years 1 to 9999, in seconds since 1970.
_UNITS_PER_S = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_FIRST_S = int(dt.datetime(1, 1, 1, tzinfo=dt.UTC).timestamp())
_LAST_S = int(dt.datetime(9999, 12, 31, 23, 59, 59, tzinfo=dt.UTC).timestamp())


def text_schema(names: Sequence[str]) -> pa.Schema:
    """Return the schema of a source that has only texts."""
    return pa.schema([(name, pa.string()) for name in names])


def text_batch(
    columns: Sequence[Sequence[str | None]], schema: pa.Schema, skipped: SkippedCells, options: SourceOptions
) -> pa.RecordBatch:
    """Return a batch of text columns, each cleaned by `clean_text`."""
    arrays = [text_array(cells, skipped, options) for cells in columns]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def text_batches(
    rows: Iterator[Sequence[str | None]], schema: pa.Schema, skipped: SkippedCells, options: SourceOptions
) -> Iterator[pa.RecordBatch]:
    """Yield rows of texts, one for each column of the schema, as batches of text columns (see `text_batch`)."""
    while batch := list(islice(rows, options.rows_per_batch(len(schema)))):
        yield text_batch(list(zip(*batch, strict=True)), schema, skipped, options)


def text_array(cells: Sequence[str | None], skipped: SkippedCells, options: SourceOptions) -> pa.Array:
    """Return texts as Arrow; a text with a lone surrogate (bytes that did not decode) becomes null."""
    try:
        array = pa.array(cells, pa.large_string())
    except UnicodeEncodeError:
        kept = [cell if cell is None or _is_unicode(cell) else None for cell in cells]
        skipped.undecodable_cells += kept.count(None) - list(cells).count(None)
        array = pa.array(kept, pa.large_string())
    return clean_text(array, skipped, options)


def _is_unicode(cell: str) -> bool:
    try:
        cell.encode()
    except UnicodeEncodeError:
        return False
    return True


def clean_text(array: pa.Array, skipped: SkippedCells, options: SourceOptions) -> pa.Array:
    """Return a text array as `string` with bad texts as null: too long, with a NUL (both counted), or empty."""
    too_long = pc.greater(pc.utf8_length(array), options.max_cell_chars)
    array, n_long = _null_where(array, too_long)
    array, n_nul = _null_where(array, pc.match_substring(array, "\0"))
    array, _ = _null_where(array, pc.equal(pc.binary_length(array), 0))
    skipped.long_cells += n_long
    skipped.nul_cells += n_nul
    return array.cast(pa.string())


def _null_where(array: pa.Array, mask: pa.Array) -> tuple[pa.Array, int]:
    """Return the array with null where `mask` is True, and how many cells that changed."""
    n_hits = pc.sum(mask).as_py() or 0
    if n_hits:
        array = pc.if_else(pc.fill_null(mask, False), pa.scalar(None, array.type), array)
    return array, n_hits


def cell_text(value: Any, skipped: SkippedCells) -> str | None:
    """Return one Python object of a spreadsheet, a database or a data frame as text.

    Numbers are spelled as Python does, whole floats without `.0`; booleans are `true` and `false`; times are ISO 8601,
    in UTC where they carry a zone. Infinity, bytes, containers and anything else become None and are counted.
    """
    try:
        return _spelled(value, skipped)
    except (ValueError, OverflowError, TypeError):  # an integer of 5,000 digits, year 0 after the shift to UTC, …
        skipped.unreadable_cells += 1
        return None


def _spelled(value: Any, skipped: SkippedCells) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool) or type(value).__name__ in ("bool", "bool_"):
        return "true" if value else "false"
    if isinstance(value, numbers.Real):
        return _number_text(value, skipped)
    if isinstance(value, decimal.Decimal):
        skipped.out_of_range_cells += value.is_infinite()
        return format(value, "f") if value.is_finite() else None
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(value, dt.datetime):
        return (value.astimezone(dt.UTC).replace(tzinfo=None) if value.tzinfo else value).isoformat()
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, dt.timedelta | uuid.UUID):
        return str(value)
    if isinstance(value, bytes | bytearray | memoryview):
        skipped.binary_cells += 1
    elif isinstance(value, list | tuple | dict | set):
        skipped.nested_cells += 1
    else:
        skipped.unreadable_cells += 1
    return None


def _number_text(value: numbers.Real, skipped: SkippedCells) -> str | None:
    if isinstance(value, numbers.Integral):
        return str(int(value))
    number = float(value)
    if not math.isfinite(number):
        skipped.out_of_range_cells += math.isinf(number)
        return None
    return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)


def plain_type(kind: pa.DataType) -> pa.DataType:
    """Return which of the six types a column of the Arrow type `kind` gets.

    Columns of bytes, lists and structs become columns of null texts. Unsigned 64-bit integers become text, which holds
    them all. Durations become seconds.
    """
    kind = _value_type(kind)
    if pa.types.is_boolean(kind):
        return pa.bool_()
    if pa.types.is_integer(kind) and kind != pa.uint64():
        return pa.int64()
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind) or pa.types.is_duration(kind):
        return pa.float64()
    if pa.types.is_timestamp(kind):
        return TIMESTAMP
    if pa.types.is_date(kind):
        return pa.date32()
    return pa.string()


def format_of(fields: Iterable[pa.Field]) -> SourceFormat:
    """Return how columns are written, as their Arrow types state it."""
    types = {field.name: _value_type(field.type) for field in fields}
    return SourceFormat(
        whole_numbers=tuple(name for name, kind in types.items() if pa.types.is_integer(kind)),
        time_zones={name: kind.tz for name, kind in types.items() if pa.types.is_timestamp(kind) and kind.tz},
        types={name: str(kind) for name, kind in types.items() if not (_is_any_text(kind) or kind.num_fields)},
    )


def _is_any_text(kind: pa.DataType) -> bool:
    """Return whether a type is one of texts: which of them a file has may depend on how its rows were encoded."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def types_of(fields: Iterable[pa.Field]) -> StatedTypes:
    """Return what Arrow types state.

    A text can be anything, and an empty one is missing, whatever its field says of nulls. Categories of a dictionary
    are those that some rows had: nothing is taken from them.
    """
    columns, families = {}, {}
    for field in fields:
        column, family = _stated(_value_type(field.type))
        if family is not None:
            families[field.name] = family
        if not field.nullable and (column.kind is not None or family is not None):
            column = column.model_copy(update={"nullable": False})
        if column != Column():
            columns[field.name] = column
    return StatedTypes(columns=columns, families=families)


def _stated(kind: pa.DataType) -> tuple[Column, Family | None]:
    if pa.types.is_boolean(kind):
        return Column(kind="boolean"), None
    if pa.types.is_date(kind):
        return Column(kind="date"), None
    if pa.types.is_timestamp(kind):
        return (Column(kind="datetime"), None) if kind.tz else (Column(), "time")
    if pa.types.is_decimal(kind):
        return decimal_column(kind.scale)
    if pa.types.is_integer(kind):
        return Column(), "integer"
    return Column(), "number" if pa.types.is_floating(kind) or pa.types.is_duration(kind) else None


def decimal_column(scale: int) -> tuple[Column, Family | None]:
    """Return what a decimal type of so many decimals states; one without any may hold codes."""
    if scale <= 0:
        return Column(), "integer"
    return (
        (Column(kind="numeric", precision=float(f"1e-{scale}")), None)
        if scale <= MAX_DECIMALS
        else (Column(), "number")
    )


def _value_type(kind: pa.DataType) -> pa.DataType:
    """Return the type of the cells of a column that may be an extension, a dictionary or run-length encoded."""
    if isinstance(kind, pa.BaseExtensionType):
        return _value_type(kind.storage_type)
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return _value_type(kind.value_type)
    return kind


def plain_array(array: pa.Array, skipped: SkippedCells, options: SourceOptions) -> pa.Array:
    """Return an Arrow array as the type that `plain_type` names; a cell that does not fit becomes null."""
    kind = array.type
    if isinstance(kind, pa.BaseExtensionType):
        return plain_array(array.storage, skipped, options)
    if pa.types.is_dictionary(kind):
        return plain_array(_decoded(array, skipped, options), skipped, options)
    if pa.types.is_run_end_encoded(kind):
        return plain_array(pc.run_end_decode(array), skipped, options)
    target = plain_type(kind)
    if pa.types.is_string(target):
        return _plain_text(array, skipped, options)
    if pa.types.is_floating(target):
        return _plain_float(array)
    if pa.types.is_timestamp(target):
        array, n_out = _null_where(array, _outside_calendar(array, _UNITS_PER_S[kind.unit]))
        skipped.out_of_range_cells += n_out
        # Dropping the zone of an Arrow timestamp keeps the instant, in UTC.
        return array.cast(pa.timestamp("us", tz=kind.tz), safe=False).cast(TIMESTAMP)
    if pa.types.is_date(target):
        units_per_s = 1 / 86_400 if pa.types.is_date32(kind) else 1_000
        array, n_out = _null_where(array, _outside_calendar(array, units_per_s))
        skipped.out_of_range_cells += n_out
        return array.cast(pa.date32(), safe=False)
    return array.cast(target)


def _decoded(array: pa.DictionaryArray, skipped: SkippedCells, options: SourceOptions) -> pa.Array:
    """Return a dictionary array as the array of its cells.

    Texts go through bytes, because Arrow would raise on one that is not UTF-8. One that is too long for certain becomes
    null beforehand: a short file may say it in every row.
    """
    kind = array.type.value_type
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return pc.if_else(array.indices.is_valid(), pa.scalar(b""), pa.scalar(None, pa.binary()))  # only counted
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return array.dictionary_decode()
    is_large = pa.types.is_large_string(kind)
    values = array.dictionary.view(pa.large_binary() if is_large else pa.binary()).cast(pa.large_binary())
    # A character has at most four bytes in UTF-8.
    too_long = pc.fill_null(pc.greater(pc.binary_length(values), 4 * options.max_cell_chars), False)
    skipped.long_cells += pc.sum(too_long.take(array.indices)).as_py() or 0
    values = _null_where(values, too_long)[0]
    return values.take(array.indices).view(pa.large_string())


def most_bytes(array: pa.Array, options: SourceOptions) -> int:
    """Return how many bytes a cell of a dictionary array has at most, once it is decoded; 0 for other arrays."""
    if not pa.types.is_dictionary(array.type):
        return 0
    kind = array.type.value_type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return 8
    values = array.dictionary.view(pa.large_binary() if pa.types.is_large_string(kind) else pa.binary())
    return min(int(pc.max(pc.binary_length(values)).as_py() or 0), 4 * options.max_cell_chars)


def _outside_calendar(array: pa.Array, units_per_s: float) -> pa.Array:
    counts = array.view(pa.int32() if pa.types.is_date32(array.type) else pa.int64()).cast(pa.int64())
    # Nanoseconds never leave the calendar, and their bounds do not fit into 64 bits.
    low = max(math.floor(_FIRST_S * units_per_s), -(2**63))
    high = min(math.floor(_LAST_S * units_per_s), 2**63 - 1)
    return pc.or_(pc.less(counts, low), pc.greater(counts, high))


def _plain_float(array: pa.Array) -> pa.Array:
    kind = array.type
    if pa.types.is_duration(kind):
        return pc.divide(array.view(pa.int64()).cast(pa.float64(), safe=False), float(_UNITS_PER_S[kind.unit]))
    if not pa.types.is_float64(kind):
        # Through the decimal spelling: a 32-bit 0.1 must become 0.1 and not 0.10000000149.
        array = array.cast(pa.float32()) if pa.types.is_float16(kind) else array
        array = array.cast(pa.string()).cast(pa.float64())
    return _null_where(array, pc.is_nan(array))[0]


def _plain_text(array: pa.Array, skipped: SkippedCells, options: SourceOptions) -> pa.Array:
    kind = array.type
    n_cells = len(array) - array.null_count
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or kind == pa.string_view():
        return _checked_text(array.cast(pa.large_string()), skipped, options)
    if pa.types.is_time(kind) or kind == pa.uint64():
        return array.cast(pa.string())
    if pa.types.is_nested(kind):
        skipped.nested_cells += n_cells
    elif not pa.types.is_null(kind):
        skipped.binary_cells += n_cells
    return pa.nulls(len(array), pa.string())


def _checked_text(array: pa.Array, skipped: SkippedCells, options: SourceOptions) -> pa.Array:
    """Clean texts that somebody else encoded: nothing but a check keeps bytes that are not UTF-8 out of a file."""
    try:
        array.validate(full=True)
    except pa.ArrowInvalid:
        cells = array.view(pa.large_binary()).to_pylist()
        marked = [None if cell is None else cell.decode("utf-8", "surrogateescape") for cell in cells]
        return text_array(marked, skipped, options)
    return clean_text(array, skipped, options)

"""A keyed fingerprint of the rows of a table, so that the ledger knows a table under another name."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from privsynth.partitions.rows import PrivateRows
from privsynth.table import Table

_BATCH_ROWS = 200_000  # hashed at once (own): some 20 MB a column of texts that all differ
_MISSING = "\0missing"
_EXACT = 2.0**53  # below it every integer is a float of its own (IEEE 754)
_LONG = 400  # digits before or after the point: a longer number is a text
_NUMBER = r"^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,4})?$"  # ASCII digits
_SHORT_NUMBER = r"^[+-]?(\d{1,400}(\.\d{0,400})?|\.\d{1,400})([eE][+-]?\d{1,4})?$"  # slow to compile
_TIME = r"^\d{4}-\d{2}-\d{2}([Tt ]\d{2}:\d{2}(:\d{2}(\.\d{1,12})?)?([Zz]|[+-]\d{2}(:?\d{2})?)?)?$"
_USUAL_TIME = r"^\d{4}-\d{2}-\d{2}( \d{2}:\d{2}:\d{2})?$"  # in one spelling but for midnight
# What `pandas.read_csv` takes for a missing cell unless told otherwise (pandas 2.3, STR_NA_VALUES).
_NOTHING = ["", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A",
            "NA", "NULL", "NaN", "None", "n/a", "nan", "null"]  # fmt: skip


def content_fingerprint(table: Table, key: bytes) -> bytes:
    """Return a 32-byte fingerprint of the rows as a multiset, whatever their order and the order of the columns.

    Each cell is hashed with SipHash under a key of its own column; a row is the mixed sum of its cells; the table
    is the sum of its rows and of their squares, both modulo 2^64, under HMAC-SHA256. Cells count by what they say, see
    `canonical`, so that a CSV file, the Parquet file and the data frame made of it are the same.

    Guarantee: none; it is a function of the exact rows. It belongs in the ledger and with the officer, and tells
    nothing to somebody without the key. With the key, a guess of the whole table can be confirmed.

    Args:
      table: the rows; read in batches, so that memory does not grow with them.
      key: secret of the installation, at least 16 bytes.
    """
    found = content_fingerprints(PrivateRows.held(table.data), [key])[0]
    table.let_go()
    return found


def content_fingerprints(rows: PrivateRows, keys: Sequence[bytes]) -> list[bytes]:
    """Return `content_fingerprint` under each of the keys, for one reading of the rows.

    Who counts them learns keys that are made for the columns of this header, and no key itself.
    """
    if any(len(key) < 16 for key in keys):
        raise ValueError("a key must have at least 16 bytes")
    names = sorted(rows.schema.names)
    n_rows, sums = rows.add_up(partial(_sums, {name: [_subkey(key, name) for key in keys] for name in names}))
    return [_digest(n_rows, names, key, of.view(np.uint64).tolist()) for key, of in zip(keys, sums, strict=True)]


def _sums(subkeys: dict[str, list[str]], part: pa.Table) -> tuple[int, np.ndarray]:
    """Return the number of rows, and for each key the sums of the rows and of their squares modulo 2^64, as int64."""
    sums = np.zeros((len(next(iter(subkeys.values()), [])), 2), np.uint64)
    with np.errstate(over="ignore"):
        for batch in part.to_batches(max_chunksize=_BATCH_ROWS):
            rows = np.zeros((len(sums), batch.num_rows), np.uint64)
            for name, of_column in subkeys.items():
                _add_cell_hashes(rows, batch.column(name), of_column)
            rows = _mixed(rows)
            sums += np.stack([rows.sum(axis=1, dtype=np.uint64), (rows * rows).sum(axis=1, dtype=np.uint64)], axis=1)
    return part.num_rows, sums.view(np.int64)


def _digest(n_rows: int, names: Sequence[str], key: bytes, sums: Sequence[int]) -> bytes:
    digest = hmac.new(key, b"privsynth content fingerprint 2", hashlib.sha256)
    for number in (n_rows, *sums, len(names)):
        digest.update(number.to_bytes(8, "big"))
    for name in names:
        digest.update(len(name.encode()).to_bytes(8, "big") + name.encode())
    return digest.digest()


def _subkey(key: bytes, name: str) -> str:
    """Return the SipHash key of a column: 16 characters, as pandas wants them, so that a name is mixed in."""
    return hmac.new(key, b"column " + name.encode(), hashlib.sha256).hexdigest()[:16]


def _add_cell_hashes(rows: np.ndarray, cells: pa.Array, subkeys: Sequence[str]) -> None:
    """Add to (keys, n) uint64 the hashes of the cells in their canonical form; a null hashes as no text can."""
    from pandas.util import hash_array

    distinct = cells.dictionary_encode()
    # A missing cell is a text with a NUL, which ingestion lets into no cell.
    said = pc.fill_null(canonical(distinct.dictionary), _MISSING).to_numpy(zero_copy_only=False)
    texts = np.append(said.astype(object), _MISSING)
    indices = pc.fill_null(distinct.indices, len(texts) - 1).to_numpy(zero_copy_only=False)
    for row, subkey in zip(rows, subkeys, strict=True):
        row += hash_array(texts, hash_key=subkey, categorize=False)[indices]


def canonical(cells: pa.Array) -> pa.Array:
    """Return each cell as a text that is the same however the cell was stored; null where it says nothing.

    The same are: a number and its text in any spelling (7, "7.0", "07", "7e0"); a time, or a midnight and its date, and
    their texts in ISO 8601, with a zone in UTC; true and false and those words in any case; a missing cell and the
    texts that pandas reads as one (NA, NaN, null, ...). Not the same are: times in other formats, decimal commas,
    booleans written as yes or 1, and integers beyond 2^53 that were turned into floats.

    Args:
      cells: texts, booleans, numbers, dates or times without a zone.
    """
    kind = cells.type
    if pa.types.is_integer(kind):
        return cells.cast(pa.string())
    if pa.types.is_floating(kind):
        return _float_texts(cells)
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return _time_texts(_without_fractions(cells).cast(pa.string()))
    if pa.types.is_boolean(kind):
        return cells.cast(pa.string())
    return _texts(cells.cast(pa.string()))


def _float_texts(cells: pa.Array) -> pa.Array:
    """Return floats as Arrow spells them, whole ones that are exact as integers."""
    whole = pc.and_(pc.equal(pc.floor(cells), cells), pc.less(pc.abs(cells), _EXACT))
    exact = pc.if_else(pc.fill_null(whole, False), cells, pa.scalar(0.0)).cast(pa.int64()).cast(pa.string())
    texts = pc.if_else(pc.fill_null(whole, False), exact, cells.cast(pa.string()))
    return pc.if_else(pc.fill_null(pc.is_nan(cells), False), pa.scalar(None, pa.string()), texts)


def _without_fractions(cells: pa.Array) -> pa.Array:
    """Return times to the second if all are; dates and other times as they are."""
    try:
        return cells.cast(pa.timestamp("s")) if pa.types.is_timestamp(cells.type) and not cells.type.tz else cells
    except pa.ArrowInvalid:
        return cells


def _time_texts(cells: pa.Array) -> pa.Array:
    """Return texts of ISO 8601 in one spelling: no T, seconds always, no trailing zeros, midnight as the date alone."""
    if pc.all(pc.match_substring_regex(cells, _USUAL_TIME)).as_py():
        return pc.if_else(pc.ends_with(cells, " 00:00:00"), pc.utf8_slice_codeunits(cells, 0, 10), cells)
    texts = pc.replace_substring_regex(cells, r"[Tt]", " ", max_replacements=1)
    texts = pc.replace_substring_regex(texts, r"([Zz]|[+-]00:?00)$", "")
    texts = pc.replace_substring_regex(texts, r"^(.{10} \d\d:\d\d)$", r"\1:00")
    texts = pc.replace_substring_regex(texts, r"(\.\d{6})\d+$", r"\1")  # what a table keeps: microseconds
    texts = pc.replace_substring_regex(texts, r"(\.\d*?)0+$", r"\1")
    texts = pc.replace_substring_regex(texts, r"\.$", "")
    return pc.replace_substring_regex(texts, r" 00:00:00$", "")


def _texts(cells: pa.Array) -> pa.Array:
    """Return texts in canonical form. No text stops it: what looks like a number or time and is none stays a text."""
    trimmed = pc.utf8_trim_whitespace(cells)
    out = cells
    number = _are_numbers(trimmed)
    if pc.any(number).as_py():
        out = pc.if_else(number, _number_texts(pc.if_else(number, trimmed, pa.scalar("0"))), out)
        if pc.all(number, skip_nulls=False).as_py():
            return out
    time = pc.match_substring_regex(trimmed, _TIME)
    if pc.any(time).as_py():
        out = pc.if_else(time, _time_texts(_in_utc(trimmed)), out)
    lower = pc.utf8_lower(trimmed)
    out = pc.if_else(pc.is_in(lower, pa.array(["true", "false"])), lower, out)
    return pc.if_else(pc.is_in(trimmed, pa.array(_NOTHING)), pa.scalar(None, pa.string()), out)


def _are_numbers(trimmed: pa.Array) -> pa.Array:
    """Return whether each text is a number of at most `_LONG` digits on either side of the point."""
    number = pc.match_substring_regex(trimmed, _NUMBER)
    long = pc.and_(number, pc.greater(pc.binary_length(trimmed), _LONG))
    if not pc.any(long).as_py():
        return number
    return pc.and_(number, pc.match_substring_regex(trimmed, _SHORT_NUMBER))


def _number_texts(numbers: pa.Array) -> pa.Array:
    """Return texts of numbers in one spelling."""
    plain = numbers
    if pc.any(pc.starts_with(numbers, "+")).as_py():
        plain = pc.replace_substring_regex(numbers, r"^\+", "")
    floats = plain.cast(pa.float64())
    beyond = pc.greater_equal(pc.abs(floats), _EXACT)
    if not pc.any(beyond).as_py():
        return _float_texts(floats)
    integer = pc.match_substring_regex(plain, r"^-?\d+$")
    digits = pc.replace_substring_regex(plain, r"^(-?)0+(\d)", r"\1\2")
    large = pc.and_(integer, beyond)  # its digits say more than the float
    return pc.if_else(large, digits, _float_texts(floats))


def _in_utc(texts: pa.Array) -> pa.Array:
    """Return texts of times with those that have another zone than UTC moved there; what cannot be moved stays."""
    zoned = pc.match_substring_regex(texts, r" ?[+-](0[1-9]|1\d|00:?[1-9]|00:?0[1-9])[:\d]*$")
    moved = pc.and_(zoned, pc.greater(pc.utf8_length(texts), 10))
    if not pc.any(moved).as_py():
        return texts
    pairs = zip(texts.to_pylist(), moved.to_pylist(), strict=True)
    return pa.array([_moved(text) if move else text for text, move in pairs], pa.string())


def _moved(text: str) -> str:
    try:
        return datetime.fromisoformat(text).astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ")
    except (ValueError, OverflowError):
        return text


def _mixed(rows: np.ndarray) -> np.ndarray:
    """Return the SplitMix64 finaliser of each value: without it, swapping cells between rows could go unseen."""
    rows = (rows ^ (rows >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    rows = (rows ^ (rows >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    rows ^= rows >> np.uint64(31)
    return rows

"""Blocks of JSON Lines in which nothing odd occurs, read without a decoder: several times as fast, the same cells.

Plain is a block of objects with the same members in the same order, whose values are texts without escapes, numbers,
true, false and null. There each value stands between a colon and the next comma, and is kept as it is spelled. Any
other block is read by the rules of `privsynth.sources.text.jsonl`, line by line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_FEED, _RETURN, _BLANK, _QUOTE, _COMMA, _COLON, _ZERO, _NINE, _N, _OPEN, _CLOSE = b'\n\r ",:09n{}'
_SCALAR = r"^(-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?|true|false|null)$"  # RFC 8259, section 3
_TO_LOWER = 0x20  # turns a square bracket into a brace, and leaves braces


@dataclass(frozen=True, repr=False)
class FlatObjects:
    """Objects with the same members. Private.

    Attributes:
      n_rows: their number.
      cells: key -> (n_rows,) values as they are spelled, null where they are null; in the order of the members.
    """

    n_rows: int
    cells: Mapping[str, pa.LargeStringArray]


def flat_objects(block: bytes, max_line_bytes: int) -> FlatObjects | None:
    """Return the objects of a block of whole lines in UTF-8; None where it is not plain."""
    if not block.endswith(b"\n") or b"\\" in block or not _is_utf8(block):
        return None
    data = np.frombuffer(block, np.uint8)
    ends = np.flatnonzero(data == _FEED)
    begins = np.concatenate([[0], ends[:-1] + 1])
    if (ends + 1 - begins).max() > max_line_bytes:
        return None
    returns = data[ends - 1] == _RETURN
    if np.count_nonzero(data < _BLANK) != len(ends) + np.count_nonzero(returns):
        return None  # JSON has no control characters in texts, and other blanks than spaces are rare
    members = _members(data, begins, ends - returns - 1)
    if members is None:
        return None
    keys, begins, ends = members
    text = data[begins] == _QUOTE
    if np.count_nonzero(data == _QUOTE) != 2 * (text.size + np.count_nonzero(text)):
        return None  # two for each key and each text
    cells = [_cells(data, begins[:, at], ends[:, at], text[:, at]) for at in range(len(keys))]
    if any(array is None for array in cells):
        return None
    return FlatObjects(len(begins), dict(zip(keys, cells, strict=True)))


def _is_utf8(block: bytes) -> bool:
    try:
        block.decode()
    except UnicodeDecodeError:
        return False
    return True


def _members(
    data: np.ndarray, opens: np.ndarray, closes: np.ndarray
) -> tuple[list[str], np.ndarray, np.ndarray] | None:
    """Return the keys that all objects have, and (rows, keys) where their values begin and end; None if they differ.

    Args:
      opens, closes: (rows,) first and last byte of each line, where its braces should be.
    """
    outside = np.logical_xor.accumulate(data == _QUOTE)
    np.logical_not(outside, out=outside)  # of texts; their first quote counts as inside
    brackets = data | _TO_LOWER
    if not (
        np.array_equal(np.flatnonzero((brackets == _OPEN) & outside), opens)
        and np.array_equal(np.flatnonzero((brackets == _CLOSE) & outside), closes)
        and (data[opens] == _OPEN).all()
        and (data[closes] == _CLOSE).all()
    ):
        return None  # something is nested, or a line is no object
    colons = np.flatnonzero((data == _COLON) & outside)
    commas = np.flatnonzero((data == _COMMA) & outside)
    n_rows, n_keys = len(opens), len(colons) // len(opens)
    if n_keys == 0 or len(colons) != n_rows * n_keys or len(commas) != n_rows * (n_keys - 1):
        return None
    of_key, between = colons.reshape(n_rows, n_keys), commas.reshape(n_rows, n_keys - 1)
    before, after = np.column_stack([opens, between]), np.column_stack([between, closes])
    if not ((before < of_key) & (of_key < after)).all():
        return None
    keys = [_key(data, before[:, at] + 1, of_key[:, at]) for at in range(n_keys)]
    if None in keys or len(set(keys)) < n_keys:
        return None
    begins = of_key + 1 + (data[of_key + 1] == _BLANK)
    return ([key for key in keys if key is not None], begins, after) if (begins < after).all() else None


def _key(data: np.ndarray, begins: np.ndarray, ends: np.ndarray) -> str | None:
    """Return the key that stands in all of these places; None if there are several, or if it is none."""
    width = int(ends[0] - begins[0])
    if (ends - begins != width).any():
        return None
    first = data[begins[0] : ends[0]]
    if (data[begins[:, None] + np.arange(width)] != first).any():
        return None
    spelled = first.tobytes().decode().strip(" ")
    return spelled[1:-1] if len(spelled) > 1 and spelled[0] == spelled[-1] == '"' else None


def _cells(data: np.ndarray, begins: np.ndarray, ends: np.ndarray, text: np.ndarray) -> pa.LargeStringArray | None:
    """Return (n,) the texts and scalars that stand in these places; None if one of them is neither."""
    if (data[ends[text] - 1] != _QUOTE).any() or (ends - begins < 2)[text].any():
        return None
    null = data[begins] == _N
    begins, ends = begins + text, ends - text
    widths = ends - begins
    offsets = np.concatenate([[0], np.cumsum(widths)])
    held = data[np.repeat(begins - offsets[:-1], widths) + np.arange(offsets[-1])]
    buffers = [None, pa.py_buffer(offsets.astype(np.int64)), pa.py_buffer(held)]
    array = pa.Array.from_buffers(pa.large_string(), len(begins), buffers)
    if not text.all() and not _are_scalars(array if not text.any() else array.filter(pa.array(~text)), held, widths):
        return None
    return pc.if_else(pa.array(null), pa.scalar(None, array.type), array) if null.any() else array


def _are_scalars(array: pa.LargeStringArray, held: np.ndarray, widths: np.ndarray) -> bool:
    """Return whether all are numbers, true, false or null; whole numbers are known by their digits, which is faster."""
    if len(array) == len(widths) and ((held >= _ZERO) & (held <= _NINE)).all():
        first = held[np.cumsum(widths) - widths]
        return bool(((first != _ZERO) | (widths == 1)).all())
    return bool(pc.all(pc.match_substring_regex(array, _SCALAR)).as_py())

"""JSON Lines: one object a line. Values keep their spelling: 1.50 stays "1.50", true stays "true".

A declared column `card.holder.country` is the member of that name, or else what lies on that path; `items.0.price` is a
member of the first element of a list.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from privsynth.errors import SourceError
from privsynth.sources.arrow_types import clean_text, text_batch, text_schema
from privsynth.sources.header_checks import check_names, refuse_unreadable
from privsynth.sources.protocol import MAX_KEYS, Adapter, SkippedCells, SourceOptions
from privsynth.sources.text.plain_json import FlatObjects, flat_objects
from privsynth.sources.text.text_file import UNDECODABLE, LineCutter, TextBlocks, is_utf8, open_bytes

_MAX_KEY_CHARS = 200  # of a key that may name a column (own)
_MAX_KEYS_COUNTED = 100_000  # different keys that are counted (own): some ten MB; later ones are left out
_MAX_DIGITS = 9  # of the place in a list (own): a line has fewer elements
_DECODER = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=str)


class JsonTable:
    """JSON objects as rows, wherever their texts come from."""

    def __init__(self, label: str, names: list[str], options: SourceOptions, *, names_are_public: bool) -> None:
        self.label = label
        self.names = names
        self.names_are_public = names_are_public
        self._options = options
        check_names(names, label, options)
        self.arrow_schema = text_schema(names)

    def _pieces(self, skipped: SkippedCells) -> Iterator[str | FlatObjects]:
        """Yield the objects as texts, or many at once. A text that is too long is cut to one character too many."""
        raise NotImplementedError

    def batches(self, skipped: SkippedCells) -> Iterator[pa.RecordBatch]:
        """Yield the objects as text columns; a key that an object lacks is null."""
        n_rows = self._options.rows_per_batch(len(self.names))
        paths = [tuple(name.split(".")) if self.names_are_public else (name,) for name in self.names]
        known = {*self.names, *(path[0] for path in paths)}
        rows: list[list[str | None]] = []
        n_chars = 0
        for row in self._objects(skipped):
            if isinstance(row, FlatObjects):
                if rows:
                    yield self._batch(rows, skipped)
                    rows, n_chars = [], 0
                skipped.unknown_keys += len(row.cells.keys() - known) * row.n_rows
                yield from self._flat_batches(row, skipped)
                continue
            skipped.unknown_keys += len(row.keys() - known)
            found = (row[name] if name in row else _at(row, path) for name, path in zip(self.names, paths, strict=True))
            cells = [_text(value, skipped) for value in found]
            rows.append(cells)
            n_chars += sum(len(cell) for cell in cells if cell is not None)
            if len(rows) >= n_rows or n_chars >= 1 << 25:
                yield self._batch(rows, skipped)
                rows, n_chars = [], 0
        if rows:
            yield self._batch(rows, skipped)

    def _flat_batches(self, rows: FlatObjects, skipped: SkippedCells) -> Iterator[pa.RecordBatch]:
        missing = pa.nulls(rows.n_rows, pa.large_string())
        arrays = [clean_text(rows.cells.get(name, missing), skipped, self._options) for name in self.names]
        whole = pa.Table.from_arrays(arrays, schema=self.arrow_schema)
        yield from whole.to_batches(max_chunksize=self._options.rows_per_batch(len(self.names)))

    def _batch(self, rows: list[list[str | None]], skipped: SkippedCells) -> pa.RecordBatch:
        return text_batch(list(zip(*rows, strict=True)), self.arrow_schema, skipped, self._options)

    def _objects(self, skipped: SkippedCells) -> Iterator[dict[str, Any] | FlatObjects]:
        for piece in self._pieces(skipped):
            if isinstance(piece, FlatObjects):
                yield piece
                continue
            if len(piece) > self._options.max_record_chars:
                skipped.long_lines += 1
                continue
            text = piece.strip(" \t\r\n\ufeff")
            if not text:
                continue
            try:
                value = _DECODER.decode(text)
            except (ValueError, RecursionError):
                skipped.bad_json_lines += 1
                continue
            if isinstance(value, dict):
                yield value
            else:
                skipped.non_object_lines += 1


class JsonlSource(JsonTable):
    """A file of JSON objects, one a line.

    Without `columns` the names are gathered from the rows: the keys that the most lines have, at most 1,000, sorted.
    They are then private (`names_are_public` is False), for a key may be there because of one row: a later stage
    must buy them.
    """

    def __init__(self, path: Path, options: SourceOptions) -> None:
        # Where the names are declared, no row is a table without rows, as a header alone is.
        refuse_unreadable(path, may_be_empty=options.columns is not None)
        self._path, self._options = path, options
        names = list(options.columns) if options.columns is not None else self._gather_names(str(path))
        super().__init__(str(path), names, options, names_are_public=options.columns is not None)

    def __repr__(self) -> str:
        return f"JsonlSource({self.label})"  # no names and no number of them: they may be private

    def _gather_names(self, label: str) -> list[str]:
        counts: Counter[str] = Counter()
        for row in self._objects(SkippedCells()):
            keys, n_rows = (row.cells, row.n_rows) if isinstance(row, FlatObjects) else (row, 1)
            for key in keys:
                if key in counts or (len(counts) < _MAX_KEYS_COUNTED and _is_name(key)):
                    counts[key] += n_rows
        if not counts:
            raise SourceError(f"{label} has no JSON objects; it needs one object a line, each with its own braces")
        by_frequency = sorted(counts, key=lambda key: (-counts[key], key))
        return sorted(by_frequency[: min(MAX_KEYS, self._options.max_columns)])

    def _pieces(self, skipped: SkippedCells) -> Iterator[str | FlatObjects]:
        longest = self._options.max_record_chars
        with open_bytes(self._path, self._options) as (raw, encoding):
            blocks = TextBlocks(raw, encoding, LineCutter(longest))
            while block := blocks.next_block():
                whole = blocks.between_lines and is_utf8(encoding)
                flat = flat_objects(block, longest) if whole else None
                if flat is not None:
                    yield flat
                else:
                    yield from blocks.lines(block)
            yield from blocks.lines(b"")


def _is_name(key: str) -> bool:
    """Return whether a key may become a column: not blank, not huge, and Unicode without control characters."""
    return bool(
        key.strip()
        and len(key) <= _MAX_KEY_CHARS
        and UNDECODABLE not in key
        and not any(ord(sign) < 32 or 0xD800 <= ord(sign) < 0xE000 for sign in key)
    )


def _at(row: dict[str, Any], path: Sequence[str]) -> Any:
    """Return what lies on a path of names, and of numbers in lists; None where it leads nowhere."""
    value: Any = row
    for part in path:
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list) and part.isascii() and part.isdecimal() and len(part) < _MAX_DIGITS:
            value = value[int(part)] if int(part) < len(value) else None
        else:
            return None
    return value


def _text(value: Any, skipped: SkippedCells) -> str | None:
    if value is None or isinstance(value, str):  # numbers arrive as their spelling
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    skipped.nested_cells += 1
    return None


SOURCE = Adapter(
    what="a JSON Lines file",
    open=JsonlSource,
    suffixes=(".jsonl", ".jsonl.gz", ".ndjson"),
    options=("encoding",),
    has_header=False,
)

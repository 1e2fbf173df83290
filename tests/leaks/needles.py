"""Needles: texts that are in one cell of one person, and a search that finds them however they were written down."""

from __future__ import annotations

import base64
import gzip
import html
import io
import json
import re
import urllib.parse
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq


def spellings(needle: str) -> set[bytes]:
    """Return the byte strings that would betray a needle: plain, escaped, base64 at each alignment, other encodings."""
    raw = needle.encode()
    found = {
        raw,
        needle.upper().encode(),
        needle.lower().encode(),
        needle.encode("utf-16-le"),
        raw.hex().encode(),
        json.dumps(needle)[1:-1].encode(),
        repr(needle)[1:-1].encode(),
        html.escape(needle).encode(),
        needle.encode("ascii", "xmlcharrefreplace"),
        urllib.parse.quote(needle).encode(),
    }
    for shift in range(3):
        # Cut what depends on the neighbours: the first and the last characters.
        coded = base64.b64encode(b"\0" * shift + raw)
        found.add(coded[{0: 0, 1: 2, 2: 3}[shift] : len(coded) - 4])
    return {spelling for spelling in found if len(spelling) >= 4}


def text_pattern(needle: str) -> re.Pattern[bytes]:
    """Return what finds a text, wherever it stands."""
    return re.compile(b"|".join(map(re.escape, sorted(spellings(needle)))))


def number_pattern(needle: float) -> re.Pattern[bytes]:
    """Return what finds a number: written as a whole number of several precisions, or as the bytes of a float.

    Six digits somewhere inside a longer number betray nothing: a report of 10,000 noisy figures of 16 digits has any
    given six in one run of ten. A number that begins and ends with them does (by chance in one run of 10,000).
    """
    texts = {repr(needle), f"{needle:.17g}", f"{needle:.4f}", f"{needle:e}", f"{needle:,.4f}", f"{needle:g}"}
    raw = {np.float64(needle).tobytes(), np.float64(needle).byteswap().tobytes(), np.float32(needle).tobytes()}
    if needle == int(needle):
        texts.add(str(int(needle)))
        raw.add(int(needle).to_bytes(8, "little"))
    written = [re.escape(text.encode()) for text in sorted(texts) if len(re.sub(r"\D", "", text)) >= 6]
    whole = rb"(?<![0-9.])(?:" + b"|".join(written) + rb")(?![0-9])"
    return re.compile(b"|".join([whole, *map(re.escape, sorted(raw))]), re.DOTALL)


def layers(data: bytes, name: str) -> Iterator[tuple[str, bytes]]:
    """Yield the bytes of a file, and what they hold compressed or in columns."""
    yield name, data
    if data.startswith(b"\x1f\x8b"):
        yield from layers(gzip.decompress(data), f"{name} (gunzipped)")
    if data[:2] in (b"\x78\x01", b"\x78\x9c", b"\x78\xda"):
        yield f"{name} (inflated)", zlib.decompress(data)
    if data.startswith(b"PAR1"):
        file = pq.ParquetFile(io.BytesIO(data))
        yield f"{name} (metadata)", repr((file.metadata.to_dict(), file.schema_arrow.metadata)).encode()
        table = file.read()
        for column in table.column_names:
            text = "\n".join(map(str, table[column].to_pylist()))
            yield f"{name} (column {column})", text.encode()
    if data.startswith(b"{"):
        # DSSE envelopes and the like: base64 inside JSON.
        yield from ((f"{name} (base64)", decoded) for decoded in _base64_strings(data))


def _base64_strings(data: bytes) -> Iterator[bytes]:
    try:
        loaded = json.loads(data)
    except ValueError:
        return
    waiting = [loaded]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            waiting += item.values()
        elif isinstance(item, list):
            waiting += item
        elif isinstance(item, str) and len(item) >= 16:
            try:
                yield base64.b64decode(item, validate=True)
            except ValueError:
                continue


def files_of(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield every file below a folder, with its own name as something that may betray too."""
    for path in sorted(folder.rglob("*")):
        yield f"the name {path}", str(path.relative_to(folder)).encode()
        if path.is_file() and not path.is_symlink():
            yield str(path), path.read_bytes()


def assert_no_needle(needles: Iterable[str], numbers: Iterable[float], places: Iterable[tuple[str, bytes]]) -> None:
    """Fail if any place holds any needle; the message names the place and the needle."""
    wanted = {needle: text_pattern(needle) for needle in needles}
    wanted |= {repr(number): number_pattern(number) for number in numbers}
    found = [
        f"{needle!r} in {name}"
        for place, data in places
        for name, layer in layers(data, place)
        for needle, pattern in wanted.items()
        if pattern.search(layer)
    ]
    assert not found, found

"""A log as plain files that any web server can hand out: tiles of hashes, bundles of entries, one checkpoint.

    checkpoint                    signed; it alone says how long the log is, and is replaced in one step
    key                           the log's public key, for convenience: readers get it by another way
    tile/entries/<N>[.p/<W>]      256 entries, or the W that there are; each with its length (two bytes) before it
    tile/<L>/<N>[.p/<W>]          256 hashes of level L, or the W that there are

What no checkpoint speaks of was never there: a writer that dies leaves files that nobody reads, and the next one writes
over them. Source: C2SP tlog-tiles (https://c2sp.org/tlog-tiles).
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from privsynth.errors import LogDamaged
from privsynth.signing._files import atomic_write, read_limited
from privsynth.transparency.entry import MAX_ENTRY_BYTES
from privsynth.transparency.merkle import HASH_BYTES, levels

WIDTH = 256  # entries of a bundle, hashes of a tile
_LENGTH = 2  # bytes before an entry
_NAME = re.compile(r"tile/(entries|0|[1-9][0-9]?)/((?:x[0-9]{3}/){0,5}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?", re.ASCII)
MAX_BUNDLE_BYTES = WIDTH * (MAX_ENTRY_BYTES + _LENGTH)  # of a file with entries


def tile_path(number: int) -> str:
    """Return where the tile of a number is, three digits a folder: 1234067 is x001/x234/067."""
    text = f"{number % 1000:03d}"
    while number := number // 1000:
        text = f"x{number % 1000:03d}/{text}"
    return text


def partial_path(number: int, width: int) -> str:
    """Return where a tile is that has `width` of its 256 places filled."""
    return tile_path(number) if width == WIDTH else f"{tile_path(number)}.p/{width}"


def names_of(size: int) -> Iterator[str]:
    """Yield the files, below the public folder, that a checkpoint of this size speaks of."""
    kinds, whole = ["entries", "0"], size
    while whole:
        for number in range(-(-whole // WIDTH)):
            width = min(WIDTH, whole - number * WIDTH)
            yield from (f"tile/{kind}/{partial_path(number, width)}" for kind in kinds)
        whole //= WIDTH
        kinds = [str(int(kinds[-1]) + 1)]


def is_fixed(name: str, size: int) -> bool:
    """Say whether what a file of this name holds can never change in a log that has come to this size.

    So it is for whatever a checkpoint of that size, or of an earlier one, speaks of. Other names are none of a log, or
    of files that a writer who dies leaves behind.
    """
    found = _NAME.fullmatch(name)
    if found is None:
        return False
    number = int(found[2].replace("x", "").replace("/", ""))
    width = int(found[3] or WIDTH)
    there = size if found[1] == "entries" else size // WIDTH ** int(found[1])
    spelt = f"tile/{found[1]}/{partial_path(number, width)}"  # as the log spells it: no zeros in front, no full part
    return name == spelt and number * WIDTH + width <= there


def bundle_bytes(entries: Sequence[bytes]) -> bytes:
    """Return entries in a row, each after its length."""
    return b"".join(len(entry).to_bytes(_LENGTH, "big") + entry for entry in entries)


def entries_of(bundle: bytes) -> Iterator[bytes]:
    """Yield the entries of a bundle.

    Raises:
      LogDamaged: it ends in the middle of one.
    """
    at = 0
    while at < len(bundle):
        size = int.from_bytes(bundle[at : at + _LENGTH], "big")
        entry = bundle[at + _LENGTH : at + _LENGTH + size]
        if not size or len(entry) != size:
            raise LogDamaged("a file with entries of the log is cut off")
        yield entry
        at += _LENGTH + size


def read_entries(folder: Path, size: int) -> list[bytes]:
    """Return the first `size` entries, as the files have them.

    Raises:
      LogDamaged: a file is missing, is no file, or holds fewer entries.
    """
    found: list[bytes] = []
    for number in range(-(-size // WIDTH)):
        width = min(WIDTH, size - number * WIDTH)
        entries = list(entries_of(_read(folder / "tile" / "entries", number, width, MAX_BUNDLE_BYTES)))
        if len(entries) < width:
            raise LogDamaged("a file with entries of the log has lost some of them")
        found += entries[:width]
    return found


def check_tiles(folder: Path, leaves: Sequence[bytes]) -> None:
    """Return if the tiles of hashes are those of these leaves.

    Raises:
      LogDamaged: one is missing or differs.
    """
    for level, number, hashes in _tiles(leaves, 0):
        expected = b"".join(hashes)
        if not _read(folder / "tile" / str(level), number, len(hashes), WIDTH * HASH_BYTES).startswith(expected):
            raise LogDamaged("a tile of the log holds other hashes than its entries have")


def write_tiles(folder: Path, entries: Sequence[bytes], leaves: Sequence[bytes], old: int) -> None:
    """Write what a log of these entries has that one of the first `old` had not, on the disk when this returns.

    Raises:
      OSError: the disk is full or failing.
    """
    for number in range(old // WIDTH, -(-len(entries) // WIDTH)):
        part = entries[number * WIDTH : (number + 1) * WIDTH]
        write_durably(folder / "tile" / "entries" / partial_path(number, len(part)), bundle_bytes(part))
    for level, number, hashes in _tiles(leaves, old):
        write_durably(folder / "tile" / str(level) / partial_path(number, len(hashes)), b"".join(hashes))


def drop_partial(folder: Path, size: int) -> None:
    """Remove partial files of which the full one is there and a checkpoint speaks of it; failing that is no harm."""
    for number in range(size // WIDTH):
        for level in ("entries", "0"):
            shutil.rmtree(folder / "tile" / level / f"{tile_path(number)}.p", ignore_errors=True)


def write_durably(path: Path, data: bytes) -> None:
    """Write a file in one step; when this returns it outlives a power cut.

    Raises:
      OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for left_over in path.parent.glob(f".{path.name}.*.tmp"):  # of a writer that died; writers are one at a time
        left_over.unlink(missing_ok=True)
    atomic_write(path, data)
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _tiles(leaves: Sequence[bytes], old: int) -> Iterator[tuple[int, int, Sequence[bytes]]]:
    """Yield level, number and hashes of each tile that holds anything beyond the first `old` leaves."""
    tree = levels(leaves)
    level, whole, before = 0, len(leaves), old
    while whole:
        for number in range(before // WIDTH, -(-whole // WIDTH)):
            yield level, number, tree[8 * level][number * WIDTH : min(whole, (number + 1) * WIDTH)]
        level, whole, before = level + 1, whole // WIDTH, before // WIDTH


def _read(folder: Path, number: int, width: int, most: int) -> bytes:
    """Return a tile; of one that was partial, the full one will do."""
    for path in (partial_path(number, width), tile_path(number)):
        try:
            return read_limited(folder / path, most)
        except FileNotFoundError:
            continue
        except OSError as problem:
            raise LogDamaged(f"a file of the log cannot be read: {problem.strerror}") from None
    raise LogDamaged("a file of the log is missing")

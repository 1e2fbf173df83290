"""Limits in bytes on what a compressed file may unfold to, so that a small file cannot take all time or memory.

They read the container alone: the sizes that it declares, and how many bytes it unpacks to.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from privsynth.errors import SourceError

if TYPE_CHECKING:
    import pyarrow.parquet as pq

# Tables as text or XML shrink to a tenth or a fiftieth; DEFLATE reaches 1,032 (technical notes of zlib) on one sign.
MAX_RATIO = 200
# Below this, a ratio does no harm, and tables of a few values may have any.
FREE_BYTES = 128 << 20
# Parts of a workbook that are held in memory: texts, styles and lists of sheets. A million long texts fit.
MAX_HELD_BYTES = 256 << 20
MAX_PARTS = 10_000  # members of an archive (own): a workbook has some dozens
# A chunk of a Parquet column that unfolds to more than this must have a sound ratio.
MAX_CHUNK_BYTES = 256 << 20


def refuse_zip_bomb(archive: zipfile.ZipFile, path: Path) -> None:
    """Raise `SourceError` if the parts of a workbook declare sizes that a table does not have.

    `zipfile` reads no more of a part than it declares, so that what is declared is a bound.
    """
    parts = archive.infolist()
    held = sum(part.file_size for part in parts if not part.filename.lstrip("/").startswith("xl/worksheets/"))
    total = sum(part.file_size for part in parts)
    packed = min(sum(part.compress_size for part in parts), path.stat().st_size)  # parts may lie over each other
    if len(parts) > MAX_PARTS or held > MAX_HELD_BYTES or _is_bomb(total, packed):
        raise SourceError(f"{path} unfolds to far more bytes than a table does; save the table as CSV or Parquet")


def refuse_parquet_bomb(metadata: pq.FileMetaData, label: str) -> None:
    """Raise `SourceError` if a chunk of a column declares a size that a table does not have."""
    for group in range(metadata.num_row_groups):
        for column in range(metadata.num_columns):
            chunk = metadata.row_group(group).column(column)
            size = chunk.total_uncompressed_size
            if size > MAX_CHUNK_BYTES and size > MAX_RATIO * max(chunk.total_compressed_size, 1):
                raise SourceError(
                    f"{label} unfolds to far more bytes than a table does; write it again with dictionary encoding"
                )


def _is_bomb(size: int, packed: int) -> bool:
    return size > FREE_BYTES and size > MAX_RATIO * max(packed, 1)


class CountedBytes(io.RawIOBase):
    """The bytes of a decompressor; raises `SourceError` once they are far more than a table of that size holds."""

    def __init__(self, raw: IO[bytes], path: Path) -> None:
        self._raw = raw
        self._path = path
        self._packed = path.stat().st_size
        self._n = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill `buffer` and return how many bytes that were; 0 at the end."""
        view = memoryview(buffer)
        data = self._raw.read(len(view))
        view[: len(data)] = data
        self._n += len(data)
        if _is_bomb(self._n, self._packed):
            raise SourceError(f"{self._path} unfolds to far more bytes than a table does; unpack it first")
        return len(data)

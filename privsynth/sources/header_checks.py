"""Checks at the door: is there a file, is it a table, are its names usable? The only part of ingestion that refuses.

Messages give positions of columns, not their names: where a header was forgotten, the "names" are somebody's cells.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from privsynth.errors import SchemaError, SourceError
from privsynth.sources.protocol import SourceOptions

# What the first bytes of files that are often misnamed look like.
_MAGIC = {
    b"%PDF": "a PDF",
    b"PK\x03\x04": "a zip archive or an Excel workbook",
    b"PK\x05\x06": "an empty zip archive",
    b"\x1f\x8b": "compressed with gzip (its name should end in .gz)",
    b"BZh": "compressed with bzip2",
    b"\xfd7zXZ": "compressed with xz",
    b"\x28\xb5\x2f\xfd": "compressed with zstd",
    b"PAR1": "a Parquet file",
    b"ARROW1": "an Arrow file",
    b"SQLite format 3": "an SQLite database",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook (.xls) or an encrypted one",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"\x7fELF": "a program",
}


def refuse_unreadable(path: Path, label: str | None = None, *, may_be_empty: bool = False) -> None:
    """Raise `SourceError`, which calls it `label`, unless `path` is a file that can be opened, and not empty."""
    label = label or str(path)
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise SourceError(f"{label} is a folder; name one file in it")
        if not stat.S_ISREG(status.st_mode):
            raise SourceError(f"{label} is not a regular file; copy its content into one")
        with path.open("rb"):
            pass
    except FileNotFoundError:
        raise SourceError(f"{label} does not exist; check the spelling of the path") from None
    except PermissionError:
        raise SourceError(f"{label} may not be read by this user; change its permissions") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else "not a path"
        raise SourceError(f"{label} cannot be opened ({reason})".replace("\0", "?")) from None
    if status.st_size == 0 and not may_be_empty:
        raise SourceError(f"{label} is empty; it needs a header and rows")


def refuse_other_formats(head: bytes, label: str) -> None:
    """Raise `SourceError` when the first bytes of a text file are those of something else."""
    for magic, what in _MAGIC.items():
        if head.startswith(magic):
            raise SourceError(f"{label} is no text table but {what}; give it the suffix of what it is")


def check_names(names: Sequence[str], label: str, options: SourceOptions) -> None:
    """Raise `SchemaError` unless names are there, few enough, not blank and not repeated."""
    if not names:
        raise SchemaError(f"{label} has no columns; it needs a header")
    if len(names) > options.max_columns:
        raise SchemaError(
            f"{label} has {len(names):,} columns and the limit is {options.max_columns:,}; leave some out, or check "
            "that the delimiter is right"
        )
    first: dict[str, int] = {}
    for position, name in enumerate(names, start=1):
        if not name.strip():
            raise SchemaError(f"column {position} of {label} has a blank name; give it one")
        if name in first:
            raise SchemaError(f"columns {first[name]} and {position} of {label} have the same name; rename one of them")
        first[name] = position


def chosen_positions(names: Sequence[str], label: str, options: SourceOptions) -> list[int]:
    """Return where the columns to read stand among `names`.

    Raises:
      SchemaError: a column that was asked for is not there.
    """
    if options.columns is None:
        return list(range(len(names)))
    missing = [name for name in options.columns if name not in set(names)]
    if missing:
        raise SchemaError(f"{label} has no column named {', '.join(map(repr, missing))}; check the spelling")
    return [list(names).index(name) for name in options.columns]

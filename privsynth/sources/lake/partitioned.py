"""Parquet files that are one table (`parquet:PATH`): a folder, with partitions in names of folders, or a pattern.

Names of folders such as `year=2024` are columns, as Hive and Spark write them.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from privsynth.errors import SourceError
from privsynth.sources.header_checks import refuse_unreadable
from privsynth.sources.lake.parts import MAX_FILES, FilePart, PartedSource, masked
from privsynth.sources.protocol import Adapter, SourceOptions

_NULL = "__HIVE_DEFAULT_PARTITION__"
# What a folder holds besides Parquet files, where these alone are not the table.
_OTHERS = {
    "_delta_log": "is a Delta table, some files of which may be outdated; read it as delta:PATH",
    "_temporary": "is being written, or a job that wrote it failed; wait, or write it again",
    ".hoodie": "is a Hudi table, some files of which may be outdated; write it as plain Parquet",
}


def open_one(origin: str, options: SourceOptions) -> PartedSource:
    """Open the table in a folder, in the files that a pattern names, or in one file."""
    root, paths = _found(origin)
    parts = [
        FilePart(path, f"{masked(path)} (file {at})", _values(path, root)) for at, path in enumerate(paths, start=1)
    ]
    keys = list(parts[0].values)
    if other := next((part for part in parts if list(part.values) != keys), None):
        raise SourceError(f"{other.label} lies in other partitions than the files before it; keep one layout a table")
    return PartedSource(parts, f"parquet:{origin}", options)


def _found(origin: str) -> tuple[Path, list[Path]]:
    """Return the folder below which names of folders are partitions, and the files in the order of their names.

    Raises:
      SourceError: there are none, too many, or those of a table of another kind.
    """
    path = Path(origin)
    if path.is_dir():
        root, paths = path, sorted(_below(path))
    elif glob.has_magic(origin) and not path.exists():
        fixed = [part for part, _ in zip(path.parts, _plain(path), strict=False)]
        root = Path(*fixed) if fixed else Path()
        _refuse_others(root, os.listdir(root) if root.is_dir() else [])
        found = (Path(name) for name in glob.iglob(origin, recursive=True))
        paths = sorted(item for item in found if item.name[:1] not in "._" and item.is_file())
    else:
        refuse_unreadable(path)
        root, paths = path.parent, [path]
    if not paths:
        raise SourceError(f"{origin} has no .parquet files; check the path or the pattern")
    if len(paths) > MAX_FILES:
        raise SourceError(f"{origin} has more than {MAX_FILES:,} files; write the table in fewer")
    return root, paths


def _plain(path: Path) -> Iterator[str]:
    """Yield the parts of a pattern before the first that has a sign of a pattern."""
    for part in path.parts[:-1]:
        if glob.has_magic(part):
            return
        yield part


def _below(root: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(root):
        _refuse_others(Path(folder), [*folders, *files])
        folders[:] = [name for name in folders if name[:1] not in "._"]
        yield from (Path(folder) / name for name in files if name[:1] not in "._" and name.lower().endswith(".parquet"))


def _refuse_others(folder: Path, names: list[str]) -> None:
    for name, what in _OTHERS.items():
        if name in names:
            raise SourceError(f"{masked(folder)} {what}")


def _values(path: Path, root: Path) -> dict[str, str | None]:
    """Return key -> value of the folders between the root and a file."""
    pairs = [part.split("=", 1) for part in path.relative_to(root).parent.parts if "=" in part]
    return {unquote(key): None if value == _NULL else unquote(value) for key, value in pairs}


SOURCE = Adapter(what="a table of Parquet files", open=open_one, prefixes=("parquet",))

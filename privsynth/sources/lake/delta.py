"""Delta tables (`delta:PATH`, `delta:PATH?version=3`): the files of one version, as its log lists them.

The log says which files count, and what their columns are; the rows are read as those of any Parquet file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa

from privsynth.errors import ConfigError, SourceError
from privsynth.extras import needs
from privsynth.sources.lake.parts import MAX_FILES, FilePart, PartedSource, masked
from privsynth.sources.protocol import Adapter, SourceOptions

# Features of a protocol that change nothing of how rows are read. Deletion vectors and renamed columns would.
_HARMLESS = {"appendOnly", "invariants", "timestampNtz", "v2Checkpoint", "vacuumProtocolCheck"}
_OPTION = "?version="


def open_one(origin: str, options: SourceOptions) -> PartedSource:
    """Open the latest version of a table, or the one that is named; which it is stays so while it is read."""
    folder, asked, version = origin.partition(_OPTION)
    if asked and not (version.isascii() and version.isdecimal()):
        raise ConfigError(f"delta:{folder} needs the number of a version after {_OPTION}, such as {_OPTION}3")
    root = Path(folder)
    if "://" in folder or not root.is_dir():
        raise SourceError(f"{folder} is no folder on this machine; copy the Delta table here and give its folder")
    with needs("delta"):
        import deltalake
    try:
        table = deltalake.DeltaTable(str(root), version=int(version) if asked else None)
        label = f"delta:{folder}?version={table.version()}"
        _refuse_features(table, label)
        fields = list(pa.schema(table.schema().to_arrow()))
        files = pa.table(table.get_add_actions(flatten=True)).to_pydict()
        keys = table.metadata().partition_columns
    except (SourceError, MemoryError):
        raise
    except Exception:  # deltalake raises what its parts raise, and quotes the log
        asked_for = f"version {int(version)}" if asked else "version"
        raise SourceError(
            f"{folder} has no {asked_for} that could be read as a Delta table; check the path and its _delta_log"
        ) from None
    parts = [  # in the order in which they were written
        _part(root, path, {key: _text(files[f"partition.{key}"][at]) for key in keys}, label)
        for _, path, at in sorted(
            zip(files["modification_time"], files["path"], range(len(files["path"])), strict=True)
        )
    ]
    if len(parts) > MAX_FILES:
        raise SourceError(f"{label} has more than {MAX_FILES:,} files; compact it")
    return PartedSource(parts, label, options, fields)


def _refuse_features(table: Any, label: str) -> None:
    protocol = table.protocol()
    known = protocol.min_reader_version == 1 or (
        protocol.min_reader_version == 3 and set(protocol.reader_features or ()) <= _HARMLESS
    )
    if not known:
        raise SourceError(
            f"{label} has deletion vectors, renamed columns or another feature that is not read; write a plain copy"
        )


def _part(root: Path, path: str, values: dict[str, str | None], label: str) -> FilePart:
    """Return a file of the log, which must lie in the folder of the table."""
    place = root / unquote(path)
    if not place.resolve().is_relative_to(root.resolve()):
        raise SourceError(f"the log of {label} names files outside its folder, which are not read; copy the table")
    return FilePart(place, masked(place), values)


def _text(value: Any) -> str | None:
    return None if value is None else str(value).lower() if isinstance(value, bool) else str(value)


SOURCE = Adapter(what="a Delta table", open=open_one, prefixes=("delta",))

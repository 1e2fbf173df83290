"""From files, databases and data frames to a `Table`, reading no more than the header."""

from privsynth.sources.fingerprint import content_fingerprint
from privsynth.sources.linked import Link, LinkedSource
from privsynth.sources.registry import (
    SOURCES,
    Adapter,
    SkippedCells,
    Source,
    SourceOptions,
    open_source,
    open_tables,
    read_table,
    read_tables,
)

__all__ = [
    "SOURCES",
    "Adapter",
    "Link",
    "LinkedSource",
    "SkippedCells",
    "Source",
    "SourceOptions",
    "content_fingerprint",
    "open_source",
    "open_tables",
    "read_table",
    "read_tables",
]

"""From files, databases and data frames to a `Table`, reading no more than the header."""

from privsynth.sources.fingerprint import content_fingerprint
from privsynth.sources.registry import SOURCES, Adapter, SkippedCells, Source, SourceOptions, open_source, read_table

__all__ = [
    "SOURCES",
    "Adapter",
    "SkippedCells",
    "Source",
    "SourceOptions",
    "content_fingerprint",
    "open_source",
    "read_table",
]

"""A folder of delimited and Parquet files: each is a table, named by its file.

The folder states how its tables are linked if a description lies in it (see `privsynth.sources.descriptions`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from privsynth.errors import SourceError
from privsynth.sources import parquet
from privsynth.sources.descriptions.folder_links import folder_links
from privsynth.sources.linked import Link, chosen, one_table, reading_order
from privsynth.sources.protocol import Adapter, Source, SourceOptions
from privsynth.sources.text import csv

# Text files are left out: in a folder they are notes more often than tables.
_OPEN = {suffix: adapter for adapter in (csv.SOURCE, parquet.SOURCE) for suffix in adapter.suffixes if suffix != ".txt"}


class FolderSource:
    """The tables of a folder, in the order of their names."""

    def __init__(self, folder: Path, options: SourceOptions) -> None:
        self.label = str(folder)
        files = files_of(folder)
        names = chosen(files, self.label, options)
        stated, description = folder_links(folder, files)
        links = [link for link in stated if {link.child, link.parent} <= set(names)]
        each = replace(options, tables=None)
        self._sources = {name: open_file(files[name], each) for name in reading_order(names, links)}
        for link in links:
            _check(link, self._sources, f"{description} of {self.label}")
        self._links = tuple(links)

    def __repr__(self) -> str:
        return f"FolderSource({self.label}, {len(self._sources)} tables)"

    def tables(self) -> Mapping[str, Source]:
        """Return the tables by the names of their files, parents first."""
        return self._sources

    def links(self) -> tuple[Link, ...]:
        """Return the links that a description in the folder states; none without it."""
        return self._links


def files_of(folder: Path) -> dict[str, Path]:
    """Return table -> its file; other files, folders, and names that begin with a dot or underscore are passed over.

    Raises:
      SourceError: the folder may not be read, has no tables, or two files are one table.
    """
    found: dict[str, Path] = {}
    try:
        with os.scandir(folder) as entries:
            paths = sorted(Path(entry.path) for entry in entries if entry.name[:1] not in "._")
    except OSError as error:
        raise SourceError(f"{folder} cannot be read as a folder ({os.strerror(error.errno or 0)})") from None
    for path in paths:
        suffix = suffix_of(path)
        if not suffix or path.is_dir():
            continue
        name = path.name[: -len(suffix)]
        if name in found:
            raise SourceError(f"{found[name]} and {path} would be one table; leave one of them elsewhere")
        found[name] = path
    if not found:
        raise SourceError(f"{folder} is a folder without {', '.join(_OPEN)} files; {_instead(folder)}")
    return found


def _instead(folder: Path) -> str:
    """Return how a folder may be read that has no tables by their names, as far as names in it say so."""
    names = {path.name for path in folder.iterdir()}
    if "_delta_log" in names:
        return f"read the Delta table in it as delta:{folder}"
    if any("=" in name for name in names):
        return f"read its partitions as parquet:{folder}"
    suffixes = {path.suffix for path in map(Path, names)}
    found = next((prefix for suffix, prefix in _BY_PREFIX.items() if suffix in suffixes), None)
    return f"read it as {found}:{folder}" if found else "name a file of another kind itself"


# Suffix of files in a folder -> what stands before the path of the folder to read it.
_BY_PREFIX = {".hl7": "hl7", ".ndjson": "fhir", ".dcm": "dicom", ".xml": "iso20022", ".cef": "cef"}


def suffix_of(path: Path) -> str:
    """Return the suffix that makes a file a table of a folder; "" for any other file."""
    fitting = [suffix for suffix in _OPEN if path.name.lower().endswith(suffix)]
    return max(fitting, key=len, default="")


def open_file(path: Path, options: SourceOptions) -> Source:
    """Open one file of a folder; options that are for the other kind of files mean nothing to it."""
    adapter = _OPEN[suffix_of(path)]
    if not adapter.options:
        options = replace(options, delimiter=None, encoding=None)
    return adapter.open(path, options)


def _check(link: Link, sources: Mapping[str, Source], label: str) -> None:
    """Raise `SourceError` if a foreign key names a column that its table does not have."""
    for table, columns in ((link.child, link.columns), (link.parent, link.parent_columns)):
        if not set(columns) <= set(sources[table].names):
            raise SourceError(f"{label} links a column that the table {table} does not have; correct the foreign key")


def open_one(folder: Path, options: SourceOptions) -> Source:
    """Open the file of a folder that `table` names."""
    files = files_of(folder)
    return open_file(files[one_table(files, str(folder), options)], replace(options, table=None))


SOURCE = Adapter(
    what="a folder of files",
    open=open_one,
    open_tables=FolderSource,
    options=("table", "delimiter", "encoding"),
)

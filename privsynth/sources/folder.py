"""A folder of delimited and Parquet files: each is a table, named by its file.

The folder states how its tables are linked if it is a data package: the foreign keys in its `datapackage.json`
(Frictionless Table Schema, https://specs.frictionlessdata.io/table-schema/#foreign-keys).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from privsynth.errors import SourceError
from privsynth.sources import parquet
from privsynth.sources.header_checks import refuse_unreadable
from privsynth.sources.linked import Link, chosen, one_table, reading_order
from privsynth.sources.protocol import Adapter, Source, SourceOptions
from privsynth.sources.text import csv

PACKAGE = "datapackage.json"
MAX_PACKAGE_BYTES = 4 << 20  # of its description (own): some thousand columns
# Text files are left out: in a folder they are notes more often than tables.
_OPEN = {suffix: adapter for adapter in (csv.SOURCE, parquet.SOURCE) for suffix in adapter.suffixes if suffix != ".txt"}


class FolderSource:
    """The tables of a folder, in the order of their names."""

    def __init__(self, folder: Path, options: SourceOptions) -> None:
        self.label = str(folder)
        files = files_of(folder)
        names = chosen(files, self.label, options)
        links = [link for link in _package_links(folder, files) if {link.child, link.parent} <= set(names)]
        each = replace(options, tables=None)
        self._sources = {name: open_file(files[name], each) for name in reading_order(names, links)}
        for link in links:
            _check(link, self._sources, self.label)
        self._links = tuple(links)

    def __repr__(self) -> str:
        return f"FolderSource({self.label}, {len(self._sources)} tables)"

    def tables(self) -> Mapping[str, Source]:
        """Return the tables by the names of their files, parents first."""
        return self._sources

    def links(self) -> tuple[Link, ...]:
        """Return the foreign keys that `datapackage.json` states; none without it."""
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


def _package_links(folder: Path, files: Mapping[str, Path]) -> list[Link]:
    """Return the foreign keys of the data package, between tables by the names of their files."""
    path = folder / PACKAGE
    if not path.exists():
        return []
    refuse_unreadable(path)
    if path.stat().st_size > MAX_PACKAGE_BYTES:
        raise SourceError(f"{path} is too large for a description of tables; leave it out")
    try:
        resources = json.loads(path.read_bytes())["resources"]
        stated = [_Resource.of(resource) for resource in resources]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise SourceError(f"{path} is no data package; correct it, or leave it out") from None
    by_file = {path.name: name for name, path in files.items()}
    table = {item.name: by_file[item.path] for item in stated if item.path in by_file}
    return [
        Link(table[item.name], columns, table[parent], parent_columns)
        for item in stated
        for columns, parent, parent_columns in item.keys
        if item.name in table and parent in table
    ]


@dataclass(frozen=True)
class _Resource:
    """A table of a data package: its name there, its file, and its foreign keys (columns, table, columns there)."""

    name: str
    path: str
    keys: tuple[tuple[tuple[str, ...], str, tuple[str, ...]], ...]

    @staticmethod
    def of(resource: Any) -> _Resource:
        """Return what the description says of one table; raises what a mapping raises that is not as it should be."""
        path = resource["path"]
        path = path[0] if isinstance(path, list) else path
        schema = resource.get("schema")
        keys = schema.get("foreignKeys", []) if isinstance(schema, dict) else []
        name = str(resource["name"])
        return _Resource(
            name,
            str(path).removeprefix("./"),
            tuple(
                (
                    _columns(key["fields"]),
                    str(key["reference"].get("resource") or name),  # "" is the table itself
                    _columns(key["reference"]["fields"]),
                )
                for key in keys
            ),
        )


def _columns(fields: Any) -> tuple[str, ...]:
    return (fields,) if isinstance(fields, str) else tuple(str(field) for field in fields)


def _check(link: Link, sources: Mapping[str, Source], label: str) -> None:
    """Raise `SourceError` if a foreign key names a column that its table does not have."""
    for table, columns in ((link.child, link.columns), (link.parent, link.parent_columns)):
        if not set(columns) <= set(sources[table].names):
            raise SourceError(
                f"{PACKAGE} of {label} links a column that the table {table} does not have; correct the foreign key"
            )


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

"""From a path, a URL or a data frame to a `Source`, and from a `Source` to a `Table` in the private folder.

What has several tables is opened by `open_tables` and read by `read_tables`; `open_source` opens one of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa

from privsynth import extensions
from privsynth.errors import ConfigError, PrivsynthError, SourceError
from privsynth.extensions import Extension
from privsynth.sources import dataframe, dicom, excel, fhir, folder, hl7, iso8583, iso20022, kafka, omop, parquet, sql
from privsynth.sources.lake import delta, partitioned
from privsynth.sources.linked import LinkedSource, TablesByName, one_snapshot
from privsynth.sources.protocol import ANY_SCHEME, OPTIONS, Adapter, SkippedCells, Source, SourceOptions
from privsynth.sources.text import cef, csv, jsonl
from privsynth.sources.unread_formats import advice_for_file, advice_for_pattern, advice_for_scheme
from privsynth.table import Table
from privsynth.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "SOURCES",
    "Adapter",
    "SkippedCells",
    "Source",
    "SourceOptions",
    "holds_tables",
    "open_source",
    "open_tables",
    "read_table",
    "read_tables",
]

# All that privsynth itself can read, in the order in which messages name it. Other packages may bring more.
SOURCES: tuple[Adapter, ...] = (
    csv.SOURCE,
    jsonl.SOURCE,
    parquet.SOURCE,
    partitioned.SOURCE,
    delta.SOURCE,
    excel.SOURCE,
    sql.SOURCE,
    dataframe.SOURCE,
    folder.SOURCE,
    fhir.SOURCE,
    hl7.SOURCE,
    omop.SOURCE,
    dicom.SOURCE,
    iso20022.SOURCE,
    iso8583.SOURCE,
    cef.SOURCE,
    kafka.SOURCE,
)
_BY_KEY = {key: adapter for adapter in SOURCES for key in adapter.keys}
_NAMES = frozenset(key.removesuffix("://") for key in _BY_KEY)
_TYPES = {pa.string(), pa.int64(), pa.float64(), pa.bool_(), pa.timestamp("us"), pa.date32()}  # see `Source`


class _Found(NamedTuple):
    """The adapter for an origin.

    `what` and `key` say in messages what the origin is, `target` is what the adapter opens, and `extension` says which
    package the adapter is from; None if it is built in.
    """

    adapter: Adapter
    key: str
    target: Any
    extension: Extension | None = None

    @property
    def words(self) -> str:
        """What the origin is, for a message."""
        return f"{self.adapter.what} ({self.key})" if self.key else self.adapter.what


def open_source(origin: str | Path | pd.DataFrame, options: SourceOptions | None = None) -> Source:
    """Open a table by its path, its database URL, or as a pandas DataFrame, and check its header.

    Guarantee: none needed. Only the header is read, except for JSON Lines without `columns` (see `JsonlSource`).

    Args:
      origin: what to read; `SOURCES` lists the suffixes and schemes.
      options: how to read it.

    Raises:
      SourceError: there is no such table, or it cannot be read as one.
      SchemaError: its header has blank, repeated or too many names, or lacks a wanted one.
      ConfigError: an option is absurd, missing, or means nothing to this kind of source.
    """
    options = options or SourceOptions()
    found = _find(origin)
    if options.tables is not None:
        raise ConfigError("the option tables is for what reads several; name the one to read with table")
    _refuse_options(found, options, set(found.adapter.options))
    with _no_foreign_errors("the source"):
        source = found.adapter.open(found.target, options)
        if found.extension is not None and not {field.type for field in source.arrow_schema} <= _TYPES:
            raise SourceError(f"{found.extension.label} gives columns of a type that a source may not; ask its makers")
    return source


def open_tables(
    origin: str | Path | Mapping[str, str | Path | pd.DataFrame], options: SourceOptions | None = None
) -> LinkedSource:
    """Open all tables of a folder, a database or an export, or those that `options.tables` names.

    Guarantee: none needed. Only headers and catalogues are read.

    Args:
      origin: what to read: a path or a URL, or name -> path, URL or DataFrame of one table.
      options: how to read it; `query` and `columns` are for one table alone, and so is `table`, except as `schema.*`.

    Raises:
      SourceError: there is no such thing, it has no tables, or one of them cannot be read as a table.
      SchemaError: a header of a table has blank, repeated or too many names.
      ConfigError: the origin is one table, or an option is absurd or means nothing to it.
    """
    options = options or SourceOptions()
    if isinstance(origin, Mapping):
        wanted = options.tables or tuple(origin)
        if missing := [name for name in wanted if name not in origin]:
            raise ConfigError(f"no table named {', '.join(map(repr, missing))} is given; check the spelling")
        return TablesByName({name: open_source(origin[name], replace(options, tables=None)) for name in wanted})
    found = _find(origin)
    if found.adapter.open_tables is None:
        raise ConfigError(f"{found.words} is one table; for linked tables give a folder of files or a database")
    if options.columns is not None:
        raise ConfigError("the option columns is for one table; name columns in the schema, or leave it out")
    names_schema = found.adapter.has_schemas and (options.table or "").endswith(".*")
    _refuse_options(found, options, set(found.adapter.options) - {"query"} - (set() if names_schema else {"table"}))
    with _no_foreign_errors("the source"):
        return found.adapter.open_tables(found.target, options)


def _refuse_options(found: _Found, options: SourceOptions, known: set[str]) -> None:
    """Raise `ConfigError` if an option is given that means nothing to the adapter."""
    for name in OPTIONS:
        if getattr(options, name) is not None and name not in known:
            raise ConfigError(f"the option {name} means nothing to {found.words}; leave it out")


def holds_tables(origin: str | Path | pd.DataFrame) -> bool:
    """Return whether the source is of a kind that may hold several tables, without opening it."""
    return _find(origin).adapter.open_tables is not None


def has_header(origin: str | Path | pd.DataFrame) -> bool:
    """Return whether the names of columns come before the rows, without opening the source."""
    return _find(origin).adapter.has_header


def takes_encoding(origin: str | Path | pd.DataFrame) -> bool:
    """Return whether the source is a text file, whose encoding can be chosen."""
    return "encoding" in _find(origin).adapter.options


def extension_of(origin: str | Path | pd.DataFrame) -> Extension | None:
    """Return which package reads the source; None where privsynth does so itself."""
    return _find(origin).extension


def _find(origin: Any) -> _Found:
    """Return the adapter of an origin; of suffixes that fit the longest, and a built-in one before any other."""
    if not isinstance(origin, str | Path):
        if dataframe.is_frame(origin):
            return _Found(dataframe.SOURCE, "", origin)
        kind = type(origin).__name__
        raise SourceError(f"a {kind} cannot be read; give a path, a database URL or a pandas DataFrame")
    if isinstance(origin, str):
        prefix, colon, rest = origin.partition(":")
        if colon and not rest.startswith("//") and (adapter := _BY_KEY.get(f"{prefix.lower()}:")):
            return _Found(adapter, f"{prefix.lower()}:", rest)
        if "://" in origin:
            return _find_scheme(origin)
    path = Path(origin)
    name = path.name.lower()
    if path.is_dir():
        return _Found(folder.SOURCE, "folder", path)
    if advice := advice_for_pattern(path):
        raise SourceError(advice)
    if suffix := _longest(name, [suffix for adapter in SOURCES for suffix in adapter.suffixes]):
        return _Found(_BY_KEY[suffix], suffix, path)
    if (suffix := _longest(name, extensions.names("source", builtin=_NAMES))) and (
        found := _from_outside(suffix, path)
    ):
        return found
    if advice := advice_for_file(path):
        raise SourceError(advice)
    if not path.suffix and not path.exists():  # a folder, by its name
        raise SourceError(f"{path} does not exist; check the path")
    known = ", ".join(key for key in _BY_KEY if key != f"{ANY_SCHEME}://")
    raise SourceError(f"{path} has a suffix that is not known; known are {known} and pandas DataFrames")


def file_suffixes() -> list[str]:
    """Return the ends of names of files that can be read as a table, those of installed extensions included."""
    outside = (name for name in extensions.names("source", builtin=_NAMES) if name.startswith("."))
    return list(dict.fromkeys([*(suffix for adapter in SOURCES for suffix in adapter.suffixes), *outside]))


def _find_scheme(url: str) -> _Found:
    # A dialect may be followed by its driver: postgresql+psycopg://
    scheme = url.partition("://")[0].partition("+")[0].lower()
    if adapter := _BY_KEY.get(f"{scheme}://"):
        return _Found(adapter, f"{scheme}://", url)
    if found := _from_outside(scheme, url):
        return found
    if advice := advice_for_scheme(scheme):
        raise SourceError(advice)
    return _Found(_BY_KEY[f"{ANY_SCHEME}://"], f"{scheme}://", url)


def _longest(name: str, suffixes: list[str]) -> str:
    """Return the longest suffix that a name of a file has; "" if it has none of them."""
    fitting = (suffix for suffix in suffixes if suffix.startswith(".") and name.endswith(suffix))
    return max(fitting, key=len, default="")


def _from_outside(name: str, target: Any) -> _Found | None:
    """Return the adapter that another package brings under a suffix or a scheme; None if none does."""
    loaded = extensions.load("source", name, Adapter, builtin=_NAMES)
    if loaded is None:
        return None
    if name not in (*loaded.value.suffixes, *loaded.value.schemes):
        raise ConfigError(f"{loaded.extension.label} says itself that it is another one; ask its makers to correct it")
    return _Found(loaded.value, name if name.startswith(".") else f"{name}://", target, loaded.extension)


def read_table(source: Source, workspace: Workspace, *, may_be_empty: bool = False) -> tuple[Table, SkippedCells]:
    """Read all rows into the private folder.

    Guarantee: none; the table is the private input. The counts are for the officer only.

    Args:
      source: what to read.
      workspace: an open workspace; the table lies in a file of it.
      may_be_empty: take a table without rows like any other. A release must: whether it appears may not depend on
        rows, and "is there anybody at all?" would be answered exactly.

    Returns:
      The table, mapped from the file so that its size is not bounded by memory, and what could not be read.

    Raises:
      SourceError: there is no row at all, unless there may be none; or the container is damaged on the way.
      OutputError: the disk is full.
    """
    skipped = SkippedCells()
    data = workspace.spill(guarded_batches(source, skipped), source.arrow_schema)
    if data.num_rows == 0 and not may_be_empty:
        raise SourceError(f"{source.label} has a header but no rows; there is nothing to protect or to learn from")
    return Table(data, workspace.let_go), skipped


def read_tables(
    linked: LinkedSource, workspace: Workspace, *, may_be_empty: bool = False
) -> dict[str, tuple[Table, SkippedCells]]:
    """Read all tables, in reading order and in one state of the source, where it knows of such (see `read_table`).

    Guarantee: none; the tables are the private input. The counts are for the officer only.

    Returns:
      Name -> the table, and what of it could not be read.
    """
    with _no_foreign_errors(linked.label), one_snapshot(linked):
        return {
            name: read_table(source, workspace, may_be_empty=may_be_empty) for name, source in linked.tables().items()
        }


def guarded_batches(source: Source, skipped: SkippedCells) -> Iterator[pa.RecordBatch]:
    """Yield the batches of a source; what goes wrong on the way is one sentence, and quotes no cell.

    Raises:
      SourceError: the container is damaged on the way.
    """
    batches = iter(source.batches(skipped))
    while True:
        with _no_foreign_errors(source.label):
            batch = next(batches, None)
        if batch is None:
            return
        if not batch.schema.equals(source.arrow_schema):
            raise SourceError(f"{source.label} gives rows of other columns than it says; ask the makers of its reader")
        yield batch


@contextmanager
def _no_foreign_errors(label: str) -> Iterator[None]:
    """Turn what a library raises into a sentence of ours: parsers like to quote the cell that they stumbled over."""
    try:
        yield
    except (PrivsynthError, MemoryError):
        raise
    except Exception as error:
        raise SourceError(
            f"{label} cannot be read to its end ({type(error).__name__}); it may be damaged, write it again"
        ) from None

"""From a path, a URL or a data frame to a `Source`, and from a `Source` to a `Table` in the private folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa

from privsynth.errors import ConfigError, PrivsynthError, SourceError
from privsynth.sources.csv import open_csv
from privsynth.sources.dataframe import open_frame
from privsynth.sources.jsonl import open_jsonl
from privsynth.sources.parquet import open_parquet
from privsynth.sources.protocol import SkippedCells, Source, SourceOptions
from privsynth.sources.sql import open_sql, open_sqlite_file
from privsynth.sources.unread_formats import advice_for_file, advice_for_pattern, advice_for_scheme
from privsynth.table import Table
from privsynth.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SOURCES", "SkippedCells", "Source", "SourceOptions", "open_source", "read_table"]


class Adapter(NamedTuple):
    """How a kind of source is opened, and which options mean something to it (besides `columns` and the limits).

    `has_header` tells whether names stand in front of the rows, or only in them.
    """

    open: Callable[[Any, SourceOptions], Source]
    options: tuple[str, ...] = ()
    has_header: bool = True


def _open_excel(path: Path, options: SourceOptions) -> Source:
    from privsynth.sources.excel import open_excel  # openpyxl takes its time, and most tables are no workbooks

    return open_excel(path, options)


_CSV = Adapter(open_csv, ("delimiter", "encoding"))
_JSONL = Adapter(open_jsonl, ("encoding",), has_header=False)
_SQL = Adapter(open_sql, ("table", "query"))
_SQLITE_FILE = Adapter(open_sqlite_file, ("table", "query"))

# Suffix of a file, scheme of a URL, or type of an object -> adapter. This is all that privsynth can read.
SOURCES: dict[str, Adapter] = {
    ".csv": _CSV,
    ".csv.gz": _CSV,
    ".tsv": _CSV,
    ".tsv.gz": _CSV,
    ".txt": _CSV,
    ".jsonl": _JSONL,
    ".jsonl.gz": _JSONL,
    ".ndjson": _JSONL,
    ".parquet": Adapter(open_parquet),
    ".xlsx": Adapter(_open_excel, ("sheet",)),
    ".sqlite": _SQLITE_FILE,
    ".sqlite3": _SQLITE_FILE,
    ".db": _SQLITE_FILE,
    "sqlite://": _SQL,
    "postgresql://": _SQL,
    "mysql://": _SQL,
    "://": _SQL,  # any other database with an installed SQLAlchemy dialect
    "pandas.DataFrame": Adapter(open_frame),
}


def open_source(origin: str | Path | pd.DataFrame, options: SourceOptions | None = None) -> Source:
    """Open a table by its path, its database URL, or as a pandas DataFrame, and check its header.

    Guarantee: none needed. Only the header is looked at, except for JSON Lines without `columns` (see `JsonlSource`).

    Args:
      origin: what to read; `SOURCES` lists the suffixes and schemes.
      options: how to read it.

    Raises:
      SourceError: there is no such table, or it cannot be read as one.
      SchemaError: its header has blank, repeated or too many names, or lacks a wanted one.
      ConfigError: an option is absurd, missing, or means nothing to this kind of source.
    """
    options = options or SourceOptions()
    key, target = _adapter_key(origin)
    adapter = SOURCES[key]
    for name in ("delimiter", "encoding", "sheet", "table", "query"):
        if getattr(options, name) is not None and name not in adapter.options:
            what = f"a database ({key})" if key.endswith("://") else key
            raise ConfigError(f"the option {name} means nothing to {what}; leave it out")
    with _no_foreign_errors("the source"):
        return adapter.open(target, options)


def has_header(origin: str | Path | pd.DataFrame) -> bool:
    """Return whether the names of columns stand in front of the rows: without a look at the source."""
    return SOURCES[_adapter_key(origin)[0]].has_header


def takes_encoding(origin: str | Path | pd.DataFrame) -> bool:
    """Return whether the source is a text file, whose encoding can be chosen."""
    return "encoding" in SOURCES[_adapter_key(origin)[0]].options


def _adapter_key(origin: Any) -> tuple[str, Any]:
    """Return the key of the adapter in `SOURCES`, and what to hand to it."""
    if not isinstance(origin, str | Path):
        kind = type(origin)
        if any(base.__name__ == "DataFrame" and base.__module__.startswith("pandas.") for base in kind.__mro__):
            return "pandas.DataFrame", origin
        raise SourceError(f"a {kind.__name__} cannot be read; give a path, a database URL or a pandas DataFrame")
    if isinstance(origin, str) and "://" in origin:
        # A dialect may be followed by its driver: postgresql+psycopg://
        scheme = origin.partition("://")[0].partition("+")[0].lower() + "://"
        if advice := advice_for_scheme(scheme.removesuffix("://")):
            raise SourceError(advice)
        return scheme if scheme in SOURCES else "://", origin
    path = Path(origin)
    name = path.name.lower()
    if advice := advice_for_pattern(path):
        raise SourceError(advice)
    fitting = [suffix for suffix in SOURCES if suffix.startswith(".") and name.endswith(suffix)]
    if not fitting:
        if advice := advice_for_file(path):
            raise SourceError(advice)
        known = ", ".join(key for key in SOURCES if key[0] in "." or key.endswith("l://") or key == "sqlite://")
        raise SourceError(f"{path} has a suffix that is not known; known are {known} and pandas DataFrames")
    return max(fitting, key=len), path


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
    data = workspace.spill(_guarded_batches(source, skipped), source.arrow_schema)
    if data.num_rows == 0 and not may_be_empty:
        raise SourceError(f"{source.label} has a header but no rows; there is nothing to protect or to learn from")
    return Table(data, workspace.let_go), skipped


def _guarded_batches(source: Source, skipped: SkippedCells) -> Iterator[pa.RecordBatch]:
    batches = iter(source.batches(skipped))
    while True:
        with _no_foreign_errors(source.label):
            batch = next(batches, None)
        if batch is None:
            return
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

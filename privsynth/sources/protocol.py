"""What every adapter takes, offers, counts and says of itself: `SourceOptions`, `Source`, `SkippedCells`, `Adapter`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa

from privsynth._validate import positive
from privsynth.errors import ConfigError
from privsynth.schema.definition import MAX_COLUMNS
from privsynth.schema.source_format import SourceFormat
from privsynth.schema.stated_types import StatedTypes

if TYPE_CHECKING:
    from privsynth.sources.linked import LinkedSource

MAX_KEYS = 1_000  # columns that JSON lines may have (own)
ANY_SCHEME = ""  # of an adapter: it takes the URLs that no other adapter names


@dataclass(frozen=True, kw_only=True)
class SourceOptions:
    """How to read a source: public facts that the user typed.

    Attributes:
      delimiter: one character between the cells of a delimited file; None takes it from the header line.
      encoding: Python name of the encoding of a text file; None takes the byte order mark, else UTF-8.
      sheet: name of the sheet of a workbook; None where it has only one.
      table: which table of a source that has several: of a database `name` or `schema.name`, of a folder the name of
        the file without its suffix. To `open_tables` it can name the schema of a database, as `schema.*`.
      query: one SELECT statement, instead of `table`.
      addresses: of the host of a database, which were checked: they are connected to, one after the other, and its
        name is not looked up again. Its certificate is still that of the name.
      tables: which tables of such a source to read together, of a database also `schema.*`; None reads all. It means
        something to `open_tables` alone.
      views: folder of SQL-on-FHIR ViewDefinitions (.json), one a table; None takes those that ship.
      columns: the columns to read, in this order; None reads all. JSON Lines has no header, so that this is also how
        its names become public.
      max_columns: a wider header is refused.
      max_cell_chars: a longer text becomes null.
      max_record_lines, max_record_chars: the most that one record of a delimited file may span, quoted line breaks
        included; and the most characters of one physical line.
      batch_rows, batch_cells: the most rows and the most cells that a batch holds (memory).
    """

    delimiter: str | None = None
    encoding: str | None = None
    sheet: str | None = None
    table: str | None = None
    query: str | None = None
    addresses: tuple[str, ...] | None = None
    views: str | None = None
    tables: tuple[str, ...] | None = None
    columns: tuple[str, ...] | None = None
    max_columns: int = MAX_COLUMNS
    max_cell_chars: int = 10_000
    max_record_lines: int = 200
    max_record_chars: int = 1 << 20
    batch_rows: int = 50_000
    batch_cells: int = 500_000

    def __post_init__(self) -> None:
        if self.delimiter is not None and (len(self.delimiter) != 1 or self.delimiter in '"\r\n\0'):
            raise ConfigError("delimiter must be one character, and neither a quote nor a line break")
        if self.table is not None and self.query is not None:
            raise ConfigError("table and query cannot both be given; leave one out")
        for plural in ("columns", "tables", "addresses"):
            names = getattr(self, plural)
            if isinstance(names, str):
                raise ConfigError(f"{plural} must be a list of names, not one text")
            if names is not None:
                object.__setattr__(self, plural, tuple(names))
                if not names or len(set(names)) != len(names):
                    raise ConfigError(f"{plural} must name at least one, and none twice")
        for address in self.addresses or ():
            _refuse_name(address)
        for field in fields(self):
            if field.name.startswith(("max_", "batch_")):
                positive(**{field.name: getattr(self, field.name)})

    @classmethod
    def of(cls, options: SourceOptions | Mapping[str, Any] | None) -> SourceOptions:
        """Return the options themselves, those that a mapping names, or the usual ones.

        Raises:
          ConfigError: an option is absurd, or there is none of that name.
        """
        if isinstance(options, SourceOptions):
            return options
        known = [field.name for field in fields(cls)]
        if options is not None and not (isinstance(options, Mapping) and set(options) <= set(known)):
            raise ConfigError(f"source_options can be {', '.join(known)}; leave out what is none of them")
        return cls(**(options or {}))

    def rows_per_batch(self, n_columns: int) -> int:
        """Return how many rows of `n_columns` cells a batch may hold."""
        return max(1, min(self.batch_rows, self.batch_cells // max(1, n_columns)))


def _refuse_name(address: str) -> None:
    """Raise `ConfigError` for what would have to be looked up."""
    try:
        ip_address(address)
    except ValueError:
        raise ConfigError("addresses must be those of IPv4 or IPv6, such as 10.0.0.7, and no names") from None


@dataclass(repr=False)
class SkippedCells:
    """What could not be read, by kind of problem: cells that became null, rows that were padded, cut or left out.

    The counts are exact figures about private rows: they belong to the officer, and `repr` does not show them.

    Attributes:
      short_rows: rows with fewer cells than the header; the rest is null.
      long_rows: rows with more cells than the header; the rest is dropped.
      surplus_rows: rows beyond the most that a sheet of Excel has, or that one resource of FHIR gives; left out.
      unusable_records: records that a declared layout, such as a view of FHIR, can make nothing of; left out.
      long_lines: physical lines beyond the limit, cut (delimited files) or left out (JSON Lines, ISO 8583).
      runaway_quotes: records with an opening quote that does not close in time; the first line was read without quotes.
      undecodable_cells: cells with bytes that the encoding does not know; null.
      nul_cells: cells with a NUL character; null.
      long_cells: texts beyond the limit; null.
      bad_json_lines: lines that are not JSON; left out.
      non_object_lines: JSON lines that are no object; left out.
      unknown_keys: members of JSON objects under a name that is not among the columns; dropped.
      nested_cells: lists, objects, structs; null.
      binary_cells: bytes; null.
      error_cells: cells that hold an error value of a spreadsheet, like #N/A; null.
      out_of_range_cells: times outside the years 1 to 9999, and infinity; null.
      unreadable_cells: objects of a type that has no text; null.
      comma_cells: numbers with a comma in a column that is declared without `decimal: ","`; null. Counted in a run,
        since a source does not know what is declared.
    """

    short_rows: int = 0
    long_rows: int = 0
    surplus_rows: int = 0
    unusable_records: int = 0
    long_lines: int = 0
    runaway_quotes: int = 0
    undecodable_cells: int = 0
    nul_cells: int = 0
    long_cells: int = 0
    bad_json_lines: int = 0
    non_object_lines: int = 0
    unknown_keys: int = 0
    nested_cells: int = 0
    binary_cells: int = 0
    error_cells: int = 0
    out_of_range_cells: int = 0
    unreadable_cells: int = 0
    comma_cells: int = 0

    def as_dict(self) -> dict[str, int]:
        """Return the counts by name, zeros included. For the officer only."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @property
    def total(self) -> int:
        """Sum of all counts. For the officer only."""
        return sum(self.as_dict().values())

    def __repr__(self) -> str:
        return "SkippedCells(for the officer)"


class Source(Protocol):
    """A table somewhere, ready to be read batch by batch, as often as wanted.

    Attributes:
      label: what to call the source in a message; no password and no cell.
      names: column names, in order.
      names_are_public: True when the names stand in a header, a database catalogue or the options. False when they
        were gathered from the rows (JSON Lines without `columns`): a later stage must then buy them before it prints
        or releases any.
      arrow_schema: names and types of every batch; types are string, int64, float64, bool, timestamp[us], date32.

    A source whose header or types say how cells are written, or what they mean, also has `source_format`
    (`source_format_of`) and `stated_types` (`stated_types_of`).
    """

    label: str
    names: list[str]
    names_are_public: bool
    arrow_schema: pa.Schema

    def batches(self, skipped: SkippedCells) -> Iterator[pa.RecordBatch]:
        """Yield the rows and count in `skipped` what could not be read. A bad cell or row never raises."""
        ...


def source_format_of(source: Source) -> SourceFormat:
    """Return how the source's table is written, as its header and its types state it; the usual way if they do not."""
    found = getattr(source, "source_format", None)
    return found if isinstance(found, SourceFormat) else SourceFormat()


def stated_types_of(source: Source) -> StatedTypes:
    """Return what the source's types state of its columns; nothing, if it has none but texts."""
    found = getattr(source, "stated_types", None)
    return found if isinstance(found, StatedTypes) else StatedTypes()


# The options that only some kinds of sources know; all know `columns` and the limits. `tables` is for several at once.
_FOR_ALL = {"columns", "tables"}
OPTIONS = tuple(f.name for f in fields(SourceOptions) if f.default is None and f.name not in _FOR_ALL)


@dataclass(frozen=True, kw_only=True)
class Adapter:
    """What the registry knows of a kind of source. A new source makes one in its own file, named `SOURCE`.

    Attributes:
      what: what such a source is, for a message, with its article: "a Parquet file".
      open: from a path, a URL or an object, and the options, to a `Source`. It reads the header at most.
      suffixes: ends of names of files, in lower case, with the dot.
      schemes: what stands before :// in a URL, in lower case.
      options: those of `OPTIONS` that mean something to it.
      has_header: whether the names of columns stand in front of the rows, or only in them.
      open_tables: the same for all tables of it, to a `LinkedSource` (see `linked`); None where it is one table.
      has_schemas: whether `table` may name a schema of a database as `schema.*` for `open_tables`.
      prefixes: what stands before a path or a URL with a single colon, in lower case: "fhir" for fhir:export/.

    Raises:
      ConfigError: a suffix, a scheme or an option is none.
    """

    what: str
    open: Callable[[Any, SourceOptions], Source]
    suffixes: tuple[str, ...] = ()
    schemes: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    has_header: bool = True
    open_tables: Callable[[Any, SourceOptions], LinkedSource] | None = None
    has_schemas: bool = False
    prefixes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not all(suffix == suffix.lower() and suffix[:1] == "." and suffix[1:] for suffix in self.suffixes):
            raise ConfigError(f"a suffix of {self.what} must begin with a dot and be in lower case")
        if not all(scheme == scheme.lower() and ":" not in scheme for scheme in (*self.schemes, *self.prefixes)):
            raise ConfigError(f"a scheme of {self.what} must be in lower case, without ://")
        if not set(self.options) <= set(OPTIONS):
            raise ConfigError(f"the options of {self.what} must be among {', '.join(OPTIONS)}")

    @property
    def keys(self) -> tuple[str, ...]:
        """What it is found by: suffixes as they are, schemes with ://, prefixes with a colon."""
        return (
            *self.suffixes,
            *(f"{scheme}://" for scheme in self.schemes),
            *(f"{prefix}:" for prefix in self.prefixes),
        )

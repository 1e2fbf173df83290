"""Tables of the CDM, wherever they lie: names in lower case, the columns that `cdm` lists, and what it says of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from privsynth.errors import ConfigError, Option, SourceError
from privsynth.schema.source_format import SourceFormat
from privsynth.schema.stated_types import StatedTypes
from privsynth.sources import sql
from privsynth.sources.folder import files_of, open_file
from privsynth.sources.linked import Link, chosen, one_snapshot, one_table, reading_order
from privsynth.sources.omop.cdm import CDM
from privsynth.sources.protocol import SkippedCells, Source, SourceOptions, source_format_of
from privsynth.sources.sql.database import Database, database_of
from privsynth.sources.sql.linked_tables import tables_of

_WHOLE = ("key", "person", "concept", "year", "month", "day", "count")


class CdmTable:
    """A table of the CDM, read through another source.

    Raises:
      SourceError: a column that the CDM requires is not there.
    """

    names_are_public = True

    def __init__(self, name: str, inner: Source, options: SourceOptions) -> None:
        self.label = f"omop:{inner.label} ({name})"
        there = {physical.lower(): physical for physical in inner.names}
        known = {column.name: column for column in CDM[name] if column.name in there}
        if missing := [column.name for column in CDM[name] if column.required and column.name not in there]:
            raise SourceError(f"{self.label} has no column {missing[0]}, which OMOP's CDM requires of {name}")
        wanted = list(options.columns) if options.columns is not None else list(known)
        if unknown := [column for column in wanted if column not in known]:
            raise SourceError(f"{self.label} has no column {unknown[0]} that is read; see docs/sources.md")
        self.names = wanted
        self._inner = inner
        self._positions = [inner.names.index(there[column]) for column in wanted]
        self.arrow_schema = pa.schema(
            [(column, inner.arrow_schema.field(at).type) for column, at in zip(wanted, self._positions, strict=True)]
        )
        self.stated_types = StatedTypes(columns={column: known[column].stated() for column in wanted})
        format_ = source_format_of(inner)
        self.source_format = SourceFormat(
            delimiter=format_.delimiter,
            quote_all=format_.quote_all,
            whole_numbers=tuple(column for column in wanted if known[column].meaning in _WHOLE),
            types={column: format_.types[there[column]] for column in wanted if there[column] in format_.types},
        )

    def __repr__(self) -> str:
        return f"CdmTable({self.label}, {len(self.names)} columns)"

    def batches(self, skipped: SkippedCells) -> Iterator[pa.RecordBatch]:
        """Yield the rows of the columns that are read."""
        for batch in self._inner.batches(skipped):
            arrays = [batch.column(position) for position in self._positions]
            yield pa.RecordBatch.from_arrays(arrays, schema=self.arrow_schema)


class OmopSource:
    """The tables of the CDM in a folder or a database: those that are there, or those that `tables` names.

    `table` may name the schema of a database as `cdm.*`.
    """

    def __init__(self, origin: str, options: SourceOptions) -> None:
        place = _Place(origin, options)
        self.label = f"omop:{place.label}"
        self._place = place
        names = chosen([name for name in CDM if name in place.names], self.label, options)
        each = replace(options, table=None, tables=None)
        self._links = tuple(
            Link(name, ("person_id",), "person", ("person_id",))
            for name in names
            if name != "person" and "person" in names
        )
        with one_snapshot(self):
            self._sources = {name: CdmTable(name, place.open(name), each) for name in reading_order(names, self._links)}

    def __repr__(self) -> str:
        return f"OmopSource({self.label}, {len(self._sources)} tables)"

    def tables(self) -> Mapping[str, Source]:
        """Return the tables by their names in the CDM, persons first."""
        return self._sources

    def links(self) -> tuple[Link, ...]:
        """Return that every row belongs to a person, as the CDM says."""
        return self._links

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Let all tables be read in one state of a database."""
        if self._place.database is None:
            yield
            return
        with self._place.database.snapshot():
            yield


class _Place:
    """Where the tables lie: a folder of files, or a schema of a database.

    Attributes:
      names: name in lower case -> as it is there.
    """

    def __init__(self, origin: str, options: SourceOptions) -> None:
        self._options = replace(options, table=None, tables=None, columns=None)
        self.database: Database | None = None
        self._files: dict[str, Path] = {}
        path = Path(origin)
        if "://" not in origin and path.is_dir():
            self._schema = ""
            if options.table is not None and options.table.endswith(".*"):
                raise ConfigError("a folder has no schemas; leave out ", Option("table"))
            self._files = files_of(path)
            self.label = str(path)
            there = list(self._files)
        else:
            is_file = "://" not in origin
            if is_file and not path.name.lower().endswith(sql.SOURCE.suffixes):
                raise SourceError(f"{path} is no folder and no database; give the folder of the tables, or a URL")
            self.database = database_of(path if is_file else origin, options.addresses)
            self.label = self.database.label
            self._schema = (options.table or "").rpartition(".")[0]
            there = tables_of(self.database, self._schema)
        self.names: dict[str, str] = {}
        for name in there:
            if self.names.setdefault(name.lower(), name) != name and name.lower() in CDM:
                raise SourceError(f"{self.label} has two tables named {name.lower()} but for capitals; rename one")

    def open(self, name: str) -> Source:
        """Open a table by its name in the CDM."""
        physical = self.names[name]
        if self.database is None:
            return open_file(self._files[physical], self._options)
        table = f"{self._schema}.{physical}" if self._schema else physical
        return sql.SqlSource(self.database, replace(self._options, table=table))


def open_one(origin: str, options: SourceOptions) -> CdmTable:
    """Open the table of the CDM that `table` names, in a database also as `schema.name`."""
    schema, _, name = (options.table or "").rpartition(".")
    place = _Place(origin, replace(options, table=f"{schema}.*" if schema else None))
    there = [known for known in CDM if known in place.names]
    found = one_table(there, f"omop:{place.label}", replace(options, table=name or None))
    return CdmTable(found, place.open(found), options)

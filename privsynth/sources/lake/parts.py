"""One table in many Parquet files, each read like a file of its own, with the values of its partition beside its rows.

Values of partitions are cells: no message repeats them, so that paths are shown without them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from privsynth.errors import SchemaError
from privsynth.sources.arrow_types import format_of, plain_type, text_array, types_of
from privsynth.sources.header_checks import check_names, chosen_positions
from privsynth.sources.parquet import ParquetSource
from privsynth.sources.protocol import SkippedCells, SourceOptions

MAX_FILES = 100_000  # of a table (own): the header of each is read when it is opened


@dataclass(frozen=True)
class FilePart:
    """A file of a table: its path, how a message calls it, and column -> value of its partition; None is null."""

    path: Path
    label: str
    values: Mapping[str, str | None]


class PartedSource:
    """A table of several Parquet files.

    Args:
      parts: its files, in the order in which they are read.
      declared: names and types of its columns as a catalogue states them, those of partitions among them; a column
        that a file lacks is then missing there. Without it (None) all files must have the same columns, and the values
        of partitions are texts.

    Raises:
      SchemaError: a file has another column, or one of another type, than the rest.
    """

    names_are_public = True

    def __init__(
        self, parts: Sequence[FilePart], label: str, options: SourceOptions, declared: Sequence[pa.Field] | None = None
    ) -> None:
        self.label = label
        self._parts = parts
        self._options = options
        self._declared = declared is not None
        keys = list(parts[0].values) if parts else []
        fields = list(declared) if declared is not None else _common(parts, options)
        if declared is None:
            if repeated := sorted(set(keys) & {field.name for field in fields}):
                raise SchemaError(
                    f"{label} has the column {repeated[0]} in its files and in names of folders; leave one"
                )
            fields += [pa.field(key, pa.string()) for key in keys]
        header = [field.name for field in fields]
        check_names(header, label, options)
        chosen = [fields[position] for position in chosen_positions(header, label, options)]
        self.names = [field.name for field in chosen]
        self.arrow_schema = pa.schema([(field.name, plain_type(field.type)) for field in chosen])
        self.source_format, self.stated_types = format_of(chosen), types_of(chosen)
        self._fields = {field.name: field for field in fields if field.name not in keys}
        if declared is not None:
            for part in parts:
                _compare(self._fields, _fields_of(part, options), part, may_lack=True)

    def __repr__(self) -> str:
        return f"PartedSource({self.label}, {len(self.names)} columns)"

    def batches(self, skipped: SkippedCells) -> Iterator[pa.RecordBatch]:
        """Yield the rows of all files with plain types, the values of their partitions in each."""
        for part in self._parts:
            there = _fields_of(part, self._options)
            _compare(self._fields, there, part, may_lack=self._declared)
            wanted = tuple(name for name in self.names if name in there) or tuple(there)[:1]
            file = ParquetSource(part.path, replace(self._options, columns=wanted), part.label)
            for batch in file.batches(skipped):
                arrays = [self._column(name, part, batch, skipped) for name in self.names]
                yield pa.RecordBatch.from_arrays(arrays, schema=self.arrow_schema)

    def _column(self, name: str, part: FilePart, batch: pa.RecordBatch, skipped: SkippedCells) -> pa.Array:
        kind = self.arrow_schema.field(name).type
        if name in part.values:
            value = part.values[name]
            try:
                one = text_array([value], SkippedCells(), self._options).cast(kind)
            except pa.ArrowInvalid:
                one = pa.nulls(1, kind)
            if value and one.null_count:
                skipped.unreadable_cells += batch.num_rows
            return pa.repeat(one[0], batch.num_rows)
        if name not in batch.schema.names:
            return pa.nulls(batch.num_rows, kind)
        column = batch.column(name)
        return column if column.type == kind else column.cast(kind)  # of a file that has nulls alone


def masked(path: Path) -> str:
    """Return a path for a message, without the values of partitions: ward=…/part-0.parquet."""
    return str(Path(*[re.sub(r"^([^=]+)=.*", r"\1=…", part) for part in path.parts]))


def _fields_of(part: FilePart, options: SourceOptions) -> dict[str, pa.Field]:
    source = ParquetSource(part.path, replace(options, columns=None), part.label)
    return {field.name: field for field in source.fields}


def _common(parts: Sequence[FilePart], options: SourceOptions) -> list[pa.Field]:
    """Return the columns that all files have; one that is nullable in any is nullable, one of nulls has any type."""
    found: dict[str, pa.Field] = {}
    for part in parts:
        there = _fields_of(part, options)
        found = found or there
        _compare(found, there, part, may_lack=False)
        for name, field in there.items():
            before = found[name]
            kind = field.type if pa.types.is_null(before.type) else before.type
            found[name] = pa.field(name, kind, before.nullable or field.nullable)
    return list(found.values())


def _compare(
    expected: Mapping[str, pa.Field], there: Mapping[str, pa.Field], part: FilePart, *, may_lack: bool
) -> None:
    """Raise `SchemaError` where a file has drifted from the columns of the table."""
    write = "write all files of a table with the same columns"
    if more := next((name for name in there if name not in expected), None):
        raise SchemaError(f"{part.label} has a column {more!r} that others of its table do not have; {write}")
    if (less := next((name for name in expected if name not in there), None)) and not may_lack:
        raise SchemaError(f"{part.label} has no column {less!r}, which others of its table have; {write}")
    for name, field in there.items():
        one, other = _kind(expected[name].type), _kind(field.type)
        if one != other and not {pa.null()} & {one, other}:
            raise SchemaError(
                f"{part.label} has the column {name!r} as {other}, and others of its table have it as {one}; "
                "write all files of a table with the same types"
            )


def _kind(kind: pa.DataType) -> pa.DataType:
    """Return a type as which files count as alike: texts, however they are encoded, and times in any unit."""
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return _kind(kind.value_type)
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    return pa.timestamp("us", kind.tz) if pa.types.is_timestamp(kind) else kind

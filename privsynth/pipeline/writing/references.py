"""Reference tables as they are passed on: public, and in the types that their source states."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from privsynth.codecs.written.types import container_types
from privsynth.release.linked import parquet_label
from privsynth.release.parquet import write_parquet
from privsynth.sources.protocol import Source, source_format_of, stated_types_of
from privsynth.table import Table

# What a type states that has no width of its own (see `SourceFormat.types`).
_OF_KIND: dict[str, pa.DataType] = {
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "datetime": pa.timestamp("us"),
    "time": pa.timestamp("us"),
    "numeric": pa.float64(),
    "number": pa.float64(),
}


def write_references(
    tables: Mapping[str, Table], sources: Mapping[str, Source], folder: Path, *, suffix: str
) -> dict[str, pa.Schema]:
    """Write public tables, and return the header of each.

    Args:
      sources: where the tables were read, by name.
      suffix: "csv" or "parquet".
    """
    headers = {}
    for name, table in tables.items():
        path, data = folder / f"{name}.{suffix}", as_stated(table.data, sources[name])
        if suffix == "csv":  # as it was read: to pandas, whole numbers beside missing ones are floats
            table.data.to_pandas().to_csv(path, index=False, lineterminator="\n", encoding="utf-8")
        else:
            write_parquet([data], data.schema, path, parquet_label({"label": "REFERENCE"}))
        headers[name] = data.schema
    return headers


def as_stated(data: pa.Table, source: Source) -> pa.Table:
    """Return a public table in the types that its source states; databases are read as texts.

    A column in which a cell cannot be read so stays as it was read.
    """
    stated, form = stated_types_of(source), source_format_of(source)
    plain = {field.name: field.type for field in data.schema}
    for at, (name, kind) in enumerate(plain.items()):
        if not pa.types.is_string(kind):
            continue
        wanted = container_types({name: kind}, form)[name]
        if wanted == kind:
            told = stated.columns[name].kind if name in stated.columns else stated.families.get(name)
            wanted = _OF_KIND.get(told or "", kind)
        zone = form.time_zones.get(name)
        try:
            data = data.set_column(at, name, _read(data.column(at), wanted, zone))
        except pa.ArrowException:
            continue
    return data


def _read(texts: pa.ChunkedArray, kind: pa.DataType, zone: str | None) -> pa.ChunkedArray:
    """Return texts as values of a type; times are in UTC.

    Raises:
      ArrowException: a text is no such value.
    """
    if not pa.types.is_boolean(kind):
        found = texts.cast(kind)
        return found.cast(pa.timestamp("us", tz=zone)) if zone and pa.types.is_timestamp(kind) else found
    if not pc.all(pc.is_in(texts, pa.array(["true", "false", None]))).as_py():
        raise pa.ArrowInvalid("no boolean")
    return pc.equal(texts, "true")

"""Synthetic rows as Parquet: with a label, and without statistics of the values."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq


def write_parquet(tables: Iterable[pa.Table], schema: pa.Schema, path: Path, label: Mapping[str, str]) -> int:
    """Write tables of one schema into a file, each as a row group, and return how many rows they have.

    Args:
      label: the metadata of the file, by name.
    """
    more: dict[str, Any] = {"compression": "zstd", "write_statistics": False, "store_schema": False}
    count = 0
    with pq.ParquetWriter(path, schema, **more) as writer:
        for table in tables:
            writer.write_table(table)
            count += table.num_rows
        # Arrow's readers show the metadata of this schema, all others that of the file.
        shown = _read_as(schema).with_metadata(dict(label))
        stored = base64.b64encode(shown.serialize()).decode("ascii")
        writer.add_key_value_metadata({**label, "ARROW:schema": stored})
    return count


def _read_as(schema: pa.Schema) -> pa.Schema:
    """Return the schema with which Arrow reads the file: texts as texts, not as dictionaries that they come from."""
    dictionary = pa.types.is_dictionary
    return pa.schema([f.with_type(f.type.value_type) if dictionary(f.type) else f for f in schema])

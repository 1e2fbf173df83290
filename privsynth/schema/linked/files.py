"""Files of schemas of linked tables: YAML with the key `tables`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from privsynth.schema.files import read_schema_file, validated, with_books, with_whole_numbers
from privsynth.schema.linked.definition import LinkedSchema


def linked_schema(schema: object) -> LinkedSchema | None:
    """Return the schema of linked tables that was given as itself, as its keys, or as the path of its file.

    Returns:
      None for anything else: nothing at all, the schema of one table, or SDV's metadata.
    Raises:
      SchemaError: it is one, and not valid; or the file cannot be read.
    """
    if isinstance(schema, LinkedSchema):
        return schema
    if isinstance(schema, Mapping):
        return linked_schema_from(dict(schema), "the schema") if "tables" in schema else None
    if isinstance(schema, str | Path) and Path(schema).suffix != ".json":
        data = read_schema_file(Path(schema))
        if isinstance(data, dict) and "tables" in data and "METADATA_SPEC_VERSION" not in data:
            return linked_schema_from(data, str(schema), folder=Path(schema).parent)
    return None


def linked_schema_from(data: dict[str, Any], where: str, *, folder: Path = Path()) -> LinkedSchema:
    """Return a validated schema from parsed data.

    Args:
      folder: where the files of hierarchies are looked for.
    Raises:
      SchemaError: with the place and the reason.
    """
    tables = data.get("tables")
    if isinstance(tables, dict):
        read = {n: with_books(t, where, folder) if isinstance(t, dict) else t or {} for n, t in tables.items()}
        data = {**data, "tables": read}
    return validated(LinkedSchema, data, where)


def dump_linked_schema(schema: LinkedSchema, *, comment: str = "") -> str:
    """Return the YAML of a schema, in the order of its tables, with a comment in front."""
    data = with_whole_numbers(schema.model_dump(mode="json", exclude_defaults=True))
    head = "".join(f"# {line}\n" if line else "#\n" for line in comment.splitlines())
    return head + yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=110)

"""What is declared about a source, as YAML that a person wrote in a form."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from privsynth.errors import SchemaError
from privsynth.schema.definition import Schema
from privsynth.schema.files import schema_from
from privsynth.schema.linked import LinkedSchema
from privsynth.schema.linked.files import linked_schema_from
from privsynth.strict.yaml import loads

LONGEST = 2_000_000  # characters (own): a schema of 2,000 columns has a tenth of them


def declared_schema(text: str) -> Schema | LinkedSchema:
    """Return the schema that a text declares; an empty text declares nothing.

    Raises:
      SchemaError: it is none, is too long, or names a file, which would be one of the service's machine.
    """
    data = parsed_text(text)
    if data is None:
        return Schema()
    if any(True for _ in _files(data)):
        raise SchemaError("a schema in the service writes a hierarchy out, level by level; it cannot name a file")
    if isinstance(data, dict) and "tables" in data:
        return linked_schema_from(data, "the schema")
    return schema_from(data, "the schema")


def parsed_text(text: str) -> Any:
    """Return the data of a text, which may be none of a schema; None where it is empty.

    Raises:
      SchemaError: it is no YAML, or too long.
    """
    if len(text) > LONGEST:
        raise SchemaError("this schema is too long")
    return loads(text.encode(), what="the schema", error=SchemaError).value


def _files(data: Any) -> Iterator[str]:
    """Yield what hierarchies name as their files."""
    if isinstance(data, dict):
        book = data.get("hierarchy")
        if isinstance(book, dict) and "file" in book:
            yield str(book["file"])
        for value in data.values():
            yield from _files(value)
    elif isinstance(data, list):
        for value in data:
            yield from _files(value)

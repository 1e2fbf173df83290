"""Schemas of linked tables."""

from privsynth.schema.linked.definition import LinkedSchema, LinkedTable, Parent, names_other_rows
from privsynth.schema.linked.files import dump_linked_schema, linked_schema

__all__ = ["LinkedSchema", "LinkedTable", "Parent", "dump_linked_schema", "linked_schema", "names_other_rows"]

"""Schemas of linked tables."""

from privsynth.schema.linked.definition import LinkedSchema, LinkedTable, names_other_rows
from privsynth.schema.linked.files import dump_linked_schema, linked_schema
from privsynth.schema.linked.keys import Parent, Reference

__all__ = [
    "LinkedSchema",
    "LinkedTable",
    "Parent",
    "Reference",
    "dump_linked_schema",
    "linked_schema",
    "names_other_rows",
]

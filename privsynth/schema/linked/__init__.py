"""Schemas of linked tables."""

from privsynth.schema.linked.definition import LinkedSchema, LinkedTable, Parent, names_other_rows

__all__ = ["LinkedSchema", "LinkedTable", "Parent", "names_other_rows"]

"""A hierarchy as it stands in a schema or a model: the name of one that ships, or a code book written out."""

from __future__ import annotations

from typing import Any

from privsynth.hierarchies.hierarchy import Hierarchy
from privsynth.hierarchies.shipped import SHIPPED, shipped
from privsynth.hierarchies.written import nested_groups, read_book, written


def hierarchy_from(data: Any) -> Hierarchy:
    """Return the hierarchy that a name or a book declares.

    Raises:
      ValueError: it is neither; the message is a sentence.
    """
    return shipped(data) if isinstance(data, str) else written("the hierarchy", *read_book(data))


def hierarchy_data(hierarchy: Hierarchy) -> Any:
    """Return what `hierarchy_from` takes, JSON-able: the name of one that ships, or its levels and groups."""
    if SHIPPED.get(hierarchy.name) is hierarchy:
        return hierarchy.name
    paths = {code: hierarchy.place(code) or () for code in hierarchy.codes}
    return {"levels": list(hierarchy.levels), "groups": nested_groups(paths)}

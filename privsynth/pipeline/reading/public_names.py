"""A guard against a missing header: the first line then holds a person's cells, and the release would publish them.

A name that looks like a value is refused unless the user says that the header is public. A first line that could be
names (`anna,F,Berlin`) passes: SECURITY.md says so.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from privsynth.audit.disclosure.pii_patterns import SHAPES, matches
from privsynth.errors import Option, SchemaError

# What a cell looks like that holds a number, an amount, a share, a date or a time, in the usual spellings.
_NUMBER = re.compile(r"[-+]?[€$£]?\s*[-+]?[\d][\d.,' ]*(?:[eE][-+]?\d+)?\s*[%€$£]?")
_DATE = re.compile(r"\d{1,4}([-/.])(?:\d{1,2}|[A-Za-z]{3,9})\1\d{1,4}(?:[T ].*)?|\d{1,2}:\d\d(?::\d\d(?:\.\d+)?)?")
_SHOWN = 5  # positions in a message (own)


def looks_like_a_value(name: str) -> bool:
    """Return whether the name of a column has the form of a number, a date or an identifier of a person or thing."""
    text = name.strip()
    if _NUMBER.fullmatch(text) or _DATE.fullmatch(text):
        return True
    return any(matches(shape, text) for shape in SHAPES)


def refuse_values_for_names(names: Sequence[str], label: str) -> None:
    """Raise `SchemaError` if a name looks like a value; the message gives positions, for the names may be cells."""
    places = [str(place) for place, name in enumerate(names, start=1) if looks_like_a_value(name)]
    if places:
        shown = ", ".join(places[:_SHOWN]) + (f" and {len(places) - _SHOWN} more" if len(places) > _SHOWN else "")
        columns = "the name of column" if len(places) == 1 else "the names of columns"
        raise SchemaError(
            f"{columns} {shown} of {label} would be published and look like values, as where a table has no header: "
            "write a header, or say that the names are public with ",
            Option("header_is_public", python="header_is_public=True"),
        )

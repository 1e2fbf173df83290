"""What the unit of privacy is called, in the words of whoever declared the table."""

from __future__ import annotations

import re

from privsynth.report.records.promise import Guarantee

_ENDING = re.compile(r"[ _.-]+(ids?|no|nr|num|number|key|code|uuid|identifier|pseudonym)$", re.IGNORECASE)
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_PLAIN = re.compile(r"[^\W\d_][^\W\d_ ]{2,39}( [^\W\d_]{1,40}){0,3}")  # letters, in at most four words


def unit_noun(g: Guarantee) -> str:
    """Return what a unit is called: the declared noun, else what the column's name says, without "id" and the like."""
    if g.unit_noun:
        return g.unit_noun
    words = _CAMEL.sub(" ", g.unit)
    bare = _ENDING.sub("", words).replace("_", " ").strip().lower()
    return bare if _PLAIN.fullmatch(bare) else f"unit of {g.unit}"


def capital(words: str) -> str:
    """Return a sentence with a capital at its beginning."""
    return words[:1].upper() + words[1:]

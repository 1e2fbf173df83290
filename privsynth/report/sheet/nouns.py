"""What the unit of privacy is called, in the words of whoever declared the table."""

from __future__ import annotations

import re

from privsynth.report.records.promise import Guarantee

_ENDING = re.compile(r"[ _.-]+(ids?|no|nr|num|number|key|code|uuid|identifier|pseudonym)$", re.IGNORECASE)
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_PLAIN = re.compile(r"[^\W\d_][^\W\d_ ]{2,39}( [^\W\d_]{1,40}){0,3}")  # letters, in at most four words
_SPOKEN_AS_CONSONANT = ("uni", "use", "usa", "eu", "one", "once")


def unit_noun(g: Guarantee) -> str:
    """Return what a unit is called: the declared noun, else what the column's name says, without "id" and the like."""
    if g.unit_noun:
        return g.unit_noun
    words = _CAMEL.sub(" ", g.unit)
    bare = _ENDING.sub("", words).replace("_", " ").strip().lower()
    return bare if _PLAIN.fullmatch(bare) else f"unit of {g.unit}"


def rows_noun(g: Guarantee) -> str:
    """Return what its rows are called, in the plural."""
    return g.rows_noun or "rows"


def with_article(noun: str) -> str:
    """Return "a patient", "an account"."""
    an = noun[:1].lower() in set("aeiou") and not noun.lower().startswith(_SPOKEN_AS_CONSONANT)
    return f"{'an' if an else 'a'} {noun}"


def capital(words: str) -> str:
    """Return a sentence with a capital at its beginning."""
    return words[:1].upper() + words[1:]


def listed(names: list[str] | tuple[str, ...], *, most: int = 4) -> str:
    """Return names as a list in words, and how many more there are."""
    shown, more = list(names[:most]), len(names) - most
    if more > 0:
        return f"{', '.join(shown)} and {more} more"
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)

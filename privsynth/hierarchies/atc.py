"""ATC: the anatomical therapeutic chemical classification of medicines, whose levels are prefixes of the code.

`A10BA02` is in A, A10, A10B and A10BA. Only the structure; no name of a substance or group is here.
"""

from __future__ import annotations

import re

from privsynth.hierarchies.hierarchy import Hierarchy, Path

_CODE = re.compile(r"[ABCDGHJLMNPRSV](?:[0-9]{2}(?:[A-Z](?:[A-Z](?:[0-9]{2})?)?)?)?", re.ASCII)
_WIDTHS = (1, 3, 4, 5)  # characters of a code that name its group on each level, by the classification's definition


def _place(code: str) -> Path | None:
    text = code.strip().upper()
    if not _CODE.fullmatch(text):
        return None
    return tuple(text[:width] for width in _WIDTHS if width <= len(text))


ATC = Hierarchy(
    name="atc",
    levels=("anatomical", "therapeutic", "pharmacological", "chemical"),
    tree={letter: (letter,) for letter in "ABCDGHJLMNPRSV"},
    place=_place,
)

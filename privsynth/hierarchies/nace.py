"""NACE Rev. 2 (and ISIC Rev. 4, which has the same sections and divisions): section, division, group, by rule.

Only the structure, which is a fact: which divisions a section has. `62.01`, `6201` and `J62.01` are in section J,
division 62 and group 62.0; a section's letter is a code as well.
"""

from __future__ import annotations

import re
from functools import partial

from privsynth.hierarchies.hierarchy import Hierarchy, Path, listed

_CODE = re.compile(r"[A-U]?([0-9]{2})(?:\.?([0-9])(?:\.?[0-9]{1,2})?)?", re.ASCII)
# The first and last division of each section.
_SECTIONS = {
    "A": (1, 3), "B": (5, 9), "C": (10, 33), "D": (35, 35), "E": (36, 39), "F": (41, 43), "G": (45, 47), "H": (49, 53),
    "I": (55, 56), "J": (58, 63), "K": (64, 66), "L": (68, 68), "M": (69, 75), "N": (77, 82), "O": (84, 84),
    "P": (85, 85), "Q": (86, 88), "R": (90, 93), "S": (94, 96), "T": (97, 98), "U": (99, 99),
}  # fmt: skip
_SECTION_OF = {f"{n:02d}": letter for letter, (first, last) in _SECTIONS.items() for n in range(first, last + 1)}


def _place(code: str) -> Path | None:
    text = code.strip().upper()
    found = _CODE.fullmatch(text)
    if found is None or found[1] not in _SECTION_OF:
        return None
    division, section = found[1], _SECTION_OF[found[1]]
    if text[0].isalpha() and text[0] != section:
        return None
    return (section, division, f"{division}.{found[2]}") if found[2] else (section, division)


NACE = Hierarchy(
    name="nace",
    levels=("section", "division", "group"),
    tree={
        **{section: (section,) for section in _SECTIONS},
        **{division: (section, division) for division, section in _SECTION_OF.items()},
    },
    place=_place,
)
# Sections in the three sectors of the economy (Clark 1940): what is taken from nature, what is made, services.
_SECTOR_OF: dict[str, Path] = {
    letter: ("primary" if letter in "AB" else "secondary" if letter in "CDEF" else "services",) for letter in _SECTIONS
}
NACE_SECTIONS = Hierarchy(
    name="nace_sections",
    levels=("sector",),
    tree={sector: (sector,) for sector in ("primary", "secondary", "services")},
    place=partial(listed, _SECTOR_OF),
    codes=tuple(_SECTIONS),
)

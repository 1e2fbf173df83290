"""Merchant category codes (ISO 18245): groups by ranges of numbers, then the first two digits.

Only the ranges, which are facts; no description is here. `5411` is in 5300-5599 of the groups, and in 54.
"""

from __future__ import annotations

import re

from privsynth.hierarchies.hierarchy import Hierarchy, Path
from privsynth.hierarchies.ranges import Ranges

_CODE = re.compile(r"[0-9]{3,4}", re.ASCII)
# Agriculture, contracted services, airlines, car rental, hotels, transport, utilities and telecommunication, retail,
# clothing, other shops, financial institutions, hotels and personal services, business services, vehicles and repair,
# entertainment, professional services and membership, government.
_RANGES = Ranges(
    """0001-1499 1500-2999 3000-3299 3300-3499 3500-3999 4000-4799 4800-4999 5000-5599 5600-5699 5700-5999 6000-6999
    7000-7299 7300-7499 7500-7799 7800-7999 8000-8999 9000-9999"""
)


def _place(code: str) -> Path | None:
    text = code.strip()
    if not _CODE.fullmatch(text):
        return None
    number = text.zfill(4)
    group = _RANGES.of(number)
    return None if group is None else (group, number[:2])


MCC = Hierarchy(
    name="mcc",
    levels=("range", "digits"),
    tree={name: (name,) for name in _RANGES.names},
    place=_place,
)

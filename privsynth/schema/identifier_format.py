"""`IdentifierFormat`: what the identifiers of a column look like, such as "P{8 digits}".

Everything outside braces stands for itself; `{n digits}`, `{n letters}` (capitals), `{n hex}` (small) and `{uuid}`
stand for characters that differ from one identifier to the next. A brace that is meant is doubled: `{{`, `}}`.
"""

from __future__ import annotations

import math
import re
import string
from dataclasses import dataclass
from functools import lru_cache

MAX_CHARACTERS = 128  # of an identifier, and of its format (own): a SHA-512 in hex has as many
_DIGITS, _HEX = string.digits, "0123456789abcdef"
_ALPHABETS = {"digit": _DIGITS, "letter": string.ascii_uppercase, "hex": _HEX}
# RFC 9562: version 4 has a 4 in its third group, and one of 8, 9, a, b begins the fourth.
_UUID = (*[_HEX] * 8, "-", *[_HEX] * 4, "-", "4", *[_HEX] * 3, "-", "89ab", *[_HEX] * 3, "-", *[_HEX] * 12)
_PARTS = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[^{}]|.", re.DOTALL)
_COUNTED = re.compile(r"([1-9][0-9]{0,2}) +(?:(digit|letter)s?|(hex))")


@dataclass(frozen=True)
class IdentifierFormat:
    """The identifiers that a format can write.

    Attributes:
      text: the format as declared.
      alphabets: for each character of an identifier, the characters that may stand there; one for a fixed character.
    """

    text: str
    alphabets: tuple[str, ...]

    @property
    def room(self) -> int:
        """How many different identifiers there are."""
        return math.prod(len(alphabet) for alphabet in self.alphabets)

    @property
    def is_number(self) -> bool:
        """Whether every identifier consists of digits, at most eighteen, so that 64 bits hold it as a whole number."""
        return len(self.alphabets) <= 18 and all(set(alphabet) <= set(_DIGITS) for alphabet in self.alphabets)

    def without_leading_zero(self) -> IdentifierFormat:
        """Return the format of the same length whose identifiers, read as whole numbers, keep all their digits."""
        first = self.alphabets[0].lstrip("0") if len(self.alphabets) > 1 else self.alphabets[0]
        return IdentifierFormat(self.text, (first or self.alphabets[0], *self.alphabets[1:]))

    def overlaps(self, other: IdentifierFormat) -> bool:
        """Return whether some identifier fits both formats."""
        same = len(self.alphabets) == len(other.alphabets)
        return same and all(set(a) & set(b) for a, b in zip(self.alphabets, other.alphabets, strict=True))


@lru_cache(maxsize=1_000)
def identifier_format(text: str) -> IdentifierFormat:
    """Return the format that a text describes.

    Raises:
      ValueError: it cannot be read, or has nothing that differs from one identifier to the next.
    """
    if len(text) > MAX_CHARACTERS or not text.isprintable():
        raise ValueError(f"an identifier's format has at most {MAX_CHARACTERS} characters, all of them printable")
    alphabets: list[str] = []
    for part in _PARTS.finditer(text):
        alphabets += _alphabets(part[0], part[1])
    if len(alphabets) > MAX_CHARACTERS:
        raise ValueError(f"an identifier has at most {MAX_CHARACTERS} characters")
    found = IdentifierFormat(text, tuple(alphabets))
    if found.room == 1:
        raise ValueError(f"the format '{text}' writes one identifier only; it needs a part such as {{8 digits}}")
    return found


def _alphabets(part: str, inside: str | None) -> tuple[str, ...]:
    """Return the alphabets of the characters that one part of a format writes."""
    if part in ("{{", "}}"):
        return (part[0],)
    if inside is None:
        if part in ("{", "}"):
            raise ValueError("a brace in an identifier's format does not close; double one that is meant: {{")
        return (part,)
    if inside.strip() == "uuid":
        return _UUID
    counted = _COUNTED.fullmatch(inside.strip())
    if counted is None:
        raise ValueError(
            f"'{{{inside}}}' is no part of an identifier's format; write {{8 digits}}, {{3 letters}}, {{12 hex}} or "
            "{uuid}"
        )
    return (_ALPHABETS[counted[2] or counted[3]],) * int(counted[1])

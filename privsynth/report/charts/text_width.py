"""How wide a text is at most, and where it is broken into lines, without knowing the reader's fonts."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

LINE_HEIGHT = 1.2  # of the font size
# Advance in parts of the font size, of the widest of the usual sans-serif fonts (DejaVu Sans; Arial, Roboto and Segoe
# UI are narrower): what fits there fits everywhere.
_ADVANCES = {
    0.30: "'ijlIJ",
    0.36: " ,./:;\\|f-",
    0.42: "()[]t!r",
    0.56: '"*_`sz?cL',
    0.65: "Fkvxy6PTYaoeESbdghnpqu$0123456789{}",
    0.71: "KAVBRXZC",
    0.80: "UHNDG&OQ",
    0.87: "w#+<=>^~M×−",
    1.00: "%mW@…",
}
_OF_CHAR = {char: advance for advance, chars in _ADVANCES.items() for char in chars}
_BOLD = 1.15  # a text in bold is so much wider
_BREAKS = re.compile(r"(?<=[\s_/·×,;:=-])")


@cache
def _advance(char: str) -> float:
    known = _OF_CHAR.get(char)
    if known is not None:
        return known
    if unicodedata.category(char) == "Mn":
        return 0.0
    if unicodedata.east_asian_width(char) in "WF":
        return 1.05
    plain = unicodedata.normalize("NFD", char)[0]
    return _OF_CHAR.get(plain, 1.1 if char.isupper() else 0.95)


def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """Return the pixels that a text needs at a font size, a little too many."""
    return sum(map(_advance, text)) * size * (_BOLD if bold else 1.0)


def words(text: str) -> list[str]:
    """Return the parts between which a text may be broken."""
    return [part for part in _BREAKS.split(" ".join(text.split())) if part]


def wrapped(text: str, width: float, size: float, *, bold: bool = False) -> list[str]:
    """Return the lines of a text, each at most `width` pixels wide; nothing of it is lost but space at line ends.

    It is broken after spaces and signs that join words, and inside a word only where that is wider than a line.
    """
    lines, line = [], ""
    for piece in words(text):
        if not line or text_width((line + piece).rstrip(), size, bold=bold) <= width:
            line += piece
        else:
            lines.append(line)
            line = piece
        while text_width(line.rstrip(), size, bold=bold) > width and len(line) > 1:
            fits = _longest(line, width, size, bold=bold)
            lines.append(line[:fits])
            line = line[fits:]
    return [one.strip() for one in (*lines, line) if one.strip()] or [""]


def _longest(text: str, width: float, size: float, *, bold: bool) -> int:
    """Return how many characters fit into a line, at least one."""
    for end in range(len(text) - 1, 1, -1):
        if text_width(text[:end], size, bold=bold) <= width:
            return end
    return 1

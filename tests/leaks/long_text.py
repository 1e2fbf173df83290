"""A text of megabytes that tests compare; where two differ, the first difference is shown and not the whole."""

from __future__ import annotations

import hashlib

AROUND = 60  # characters of either text that are shown, to each side of the first difference


class LongText:
    """All that leaves a run, as one text.

    pytest explains two strings that differ by a full comparison of their lines, which takes minutes with lines of a
    megabyte; it leaves other objects alone.
    """

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LongText) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"<{len(self.text)} characters, SHA-256 {hashlib.sha256(self.text.encode()).hexdigest()[:12]}>"

    def first_difference(self, other: LongText) -> list[str]:
        """Return where two texts begin to differ, and what stands there in each."""
        pairs = enumerate(zip(self.text, other.text, strict=False))
        at = next((i for i, (a, b) in pairs if a != b), min(len(self.text), len(other.text)))
        shown = [repr(one.text[max(0, at - AROUND) : at + AROUND]) for one in (self, other)]
        return [f"{self!r} == {other!r}", f"the first difference is at character {at}:", *shown]

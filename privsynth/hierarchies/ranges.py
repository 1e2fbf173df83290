"""Groups that are ranges of codes in order: chapters and blocks of ICD, ranges of merchant categories.

A code belongs to the last range that starts at or before it, so that national extensions and gaps have a place.
"""

from __future__ import annotations

from bisect import bisect_right


class Ranges:
    """Names of ranges, in the order of their starts.

    Args:
      names: such as "A00-A09 A15-A19 C50", with spaces between; what stands before "-" is the start.
    """

    def __init__(self, names: str) -> None:
        self.names = tuple(names.split())
        self._starts = [name.split("-")[0] for name in self.names]
        assert self._starts == sorted(self._starts)

    def of(self, code: str) -> str | None:
        """Return the range that a code lies in; None below the first. Codes have the width of the starts."""
        at = bisect_right(self._starts, code)
        return self.names[at - 1] if at else None

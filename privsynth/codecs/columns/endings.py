"""The endings of numbers: prices in .99, cash in tens, salaries in thousands.

An ending is a remainder: 19.99 on a grid of cents leaves 99 of a hundred, 20.00 nothing of a thousand. Of the endings
of a column the first that fits counts, so that a multiple of a thousand is not one of a hundred too. Zero has none, and
a negative number has that of its amount.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from privsynth.codecs.loaded import items, require, whole

MOST_ENDINGS, MOST_MODULUS = 32, 10**9  # of a column (own): more than a price list or a pay scale has
NOWHERE = -(2**62)  # no grid step: those stay within ±2**53
STEPS_AWAY = 4  # how many values of the same remainder are tried on either side: nearer ones may have another ending


@dataclass(frozen=True)
class Endings:
    """Endings of a column of numbers, on its grid.

    Attributes:
      patterns: (modulus, remainder) of each; what fits none has the last code, `len(patterns)`.
    """

    patterns: tuple[tuple[int, int], ...]

    def of(self, steps: np.ndarray) -> np.ndarray:
        """Return (n,) int32 codes of the endings of (n,) grid steps."""
        amount = np.abs(steps)
        found = np.full(len(amount), len(self.patterns), dtype=np.int32)
        for code in reversed(range(len(self.patterns))):
            modulus, remainder = self.patterns[code]
            found[(amount % modulus == remainder) & (amount > 0)] = code
        return found

    def nearest(self, steps: np.ndarray, codes: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """Return (n,) grid steps with the endings wanted, the nearest between two bounds; else `NOWHERE`.

        Args:
          steps: (n,) from where.
          codes: (n,) of the endings.
          low, high: (n,) inclusive bounds.
        """
        patterns = np.array([*self.patterns, (1, 0)], dtype=np.int64)
        modulus, remainder = patterns[np.minimum(codes, len(self.patterns))].T
        amount, sign = np.abs(steps), np.where(steps < 0, -1, 1)
        starts = [(sign, amount - (amount - remainder) % modulus)]
        if ((low < 0) & (high > 0)).any():
            starts.append((-sign, remainder))  # across zero
        best, distance = np.full(len(steps), NOWHERE), np.full(len(steps), np.inf)
        for side, start in starts:
            for away in range(-STEPS_AWAY, STEPS_AWAY + 2):
                candidate = start + away * modulus
                value = side * candidate
                fits = (candidate >= 0) & (low <= value) & (value <= high) & (self.of(candidate) == codes)
                nearer = fits & (np.abs(value - steps) < distance)
                best[nearer] = value[nearer]
                distance[nearer] = np.abs(value - steps)[nearer]
        return best

    def to_json(self) -> list[list[int]]:
        """Return JSON-able data."""
        return [list(pattern) for pattern in self.patterns]

    @classmethod
    def from_json(cls, data: Any) -> Endings:
        """Return the endings that `to_json` wrote.

        Raises:
          Malformed: one is no remainder of a modulus, or there are too many.
        """
        found = []
        for pattern in items(data, "the endings of a column", at_most=MOST_ENDINGS):
            pair = items(pattern, "an ending of a column", at_most=2)
            require(len(pair) == 2, "an ending of a column is no modulus and remainder")
            modulus = whole(pair[0], 2, MOST_MODULUS, "an ending of a column")
            found.append((modulus, whole(pair[1], 0, modulus - 1, "an ending of a column")))
        require(len(found) > 0, "a column has no endings")
        return cls(tuple(found))


def declared_endings(texts: tuple[str, ...]) -> Endings:
    """Return the endings that a schema lists as they are written: "99" or ".99" of 19.99, "0.00" of 20.00.

    The longest comes first, so that each number has the ending that says most.
    """
    digits = [text.replace(".", "") for text in texts]
    return Endings(tuple((10 ** len(d), int(d)) for d in sorted(digits, key=len, reverse=True)))

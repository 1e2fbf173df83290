"""How far a time lies above another, as one integer: the time that passed within a day, then whole days.

A date that is coded as days and a clock says of two times on one day neither which is the later nor how far apart they
are. Here the amount of such a row is the time that passed between them, and its clock follows; later dates are counted
in days, and keep a clock of their own. Both parts are one ascending scale, which is cut into bins like any number.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

DAY = 86_400  # seconds
# Places of the scale from one power of two of grid steps to the next: none is wider than 1/32 of what passed, which is
# finer than noise lets bins be; the minutes of a day take 205 places (own).
PER_DOUBLING = 32
_BITS = PER_DOUBLING.bit_length() - 1  # below the highest bit of an integer that its place keeps


@dataclass(frozen=True)
class ElapsedScale:
    """Places of amounts above a time.

    Attributes:
      precision: grid step of the later time in seconds; DAY where it is a date, whose places are days.
    """

    precision: int

    @cached_property
    def within_day(self) -> int:
        """The number of places that stand for less than a day on the same date; a later date follows them."""
        return 1 if self.precision >= DAY else int(_fold(np.array([(DAY - 1) // self.precision]))[0]) + 1

    def place(self, seconds: np.ndarray, base: np.ndarray) -> np.ndarray:
        """Return (n,) places ≥ 0 of times above others, both in seconds; 0 where they are not later."""
        days = seconds // DAY - base // DAY
        passed = _fold(np.maximum(seconds // self.precision - base // self.precision, 0))
        same = np.minimum(passed, self.within_day - 1) if self.precision < DAY else np.zeros_like(passed)
        return np.where(days > 0, self.within_day - 1 + days, same)

    def place_of_days(self, days: np.ndarray) -> np.ndarray:
        """Return (n,) places of amounts that are known in days, with a fraction, but not from which time on."""
        passed = _fold(np.floor(np.maximum(days, 0) * DAY / self.precision).astype(np.int64))
        later = self.within_day - 1 + np.floor(np.maximum(days, 1)).astype(np.int64)
        return np.where(days >= 1, later, np.minimum(passed, self.within_day - 1))

    def span(self, days: int) -> int:
        """Return the place of the last date that is so many days later."""
        return self.within_day - 1 + days

    def days(self, places: np.ndarray) -> np.ndarray:
        """Return (n,) how many dates later, 0 on the same one."""
        return np.maximum(places - (self.within_day - 1), 0)

    def passed(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the first of the grid steps that passed, and their number, of (n,) places on the same date."""
        return _unfold(np.clip(places, 0, self.within_day - 1))

    def ends(self, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return (n,) the least and the most seconds that pass from a base to a time at places from low to high."""
        first, _ = self.passed(low)
        last, width = self.passed(high)
        least = np.where(self.days(low) > 0, (self.days(low) - 1) * DAY, (first - 1) * self.precision)
        most = np.where(self.days(high) > 0, (self.days(high) + 1) * DAY, (last + width + 1) * self.precision)
        return least, np.where(self.days(high) > 0, most, np.maximum(most, self.precision))


def _fold(steps: np.ndarray) -> np.ndarray:
    """Return (n,) places of integers ≥ 0: each itself below `PER_DOUBLING`, then so many a power of two."""
    _, bits = np.frexp(np.maximum(steps, 1).astype(np.float64))
    drop = np.maximum(bits - 1 - _BITS, 0).astype(np.int64)
    return drop * PER_DOUBLING + (steps >> drop)


def _unfold(places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the first integer and the number of integers of each place."""
    drop = np.maximum(places // PER_DOUBLING - 1, 0)
    return (places - drop * PER_DOUBLING) << drop, np.left_shift(np.int64(1), drop)

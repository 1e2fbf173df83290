"""`RowsLeftOut`: what follows for shares of rows where only some rows of a unit are used."""

from __future__ import annotations

import math
from dataclasses import dataclass

LEAST_SHOWN = 0.001  # of the rows (own): less is not worth a sentence


@dataclass(frozen=True, kw_only=True)
class RowsLeftOut:
    """Released shares: of the units with more rows than are used, and of all rows those that are not used.

    Attributes:
      units, rows: these shares.
      most_moved: how far a share of synthetic rows may be moved, at the very most, since these rows are left out, and
        units of some numbers of rows are not told apart. Noise comes on top.
      counted: of a unit with more rows, so many are counted.
    """

    units: float
    rows: float
    most_moved: float
    counted: int

    def sentences(self, unit: str, most_used: int) -> str:
        """Return what it means for a reader of shares; "" where nothing is left out."""
        if self.rows < LEAST_SHOWN:
            return ""
        most = f"{math.ceil(round(1000 * self.most_moved, 6)) / 10:.1f} percentage points"
        return (
            f"About {_percent(self.units)} of the units ({unit}) have more than {most_used:,} rows, so that about "
            f"{_percent(self.rows)} of the rows are not used (of a unit, {self.counted:,} are counted here at most). "
            "Those used were chosen at random, and in the synthetic table they stand for all rows of their unit. That "
            f"is right on average: a share of rows would be off by {most} at the very most for this, if the rows left "
            "out were wholly unlike those used. Figures that compare with real rows compare with the rows used."
        )


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %" if share < 0.1 else f"{100 * share:.0f} %"

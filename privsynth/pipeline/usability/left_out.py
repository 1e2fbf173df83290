"""What rows that are not used mean for shares of rows, from the released numbers of rows of units."""

from __future__ import annotations

import math

from privsynth.domain.unit_sizes import most_moved
from privsynth.findings.left_out import RowsLeftOut
from privsynth.sampling.unit_rows import ModelOfUnits


def rows_left_out(units: ModelOfUnits | None) -> RowsLeftOut | None:
    """Return what the released numbers of rows of units say of rows that are not used; post-processing.

    None where each row is a unit.
    """
    if units is None:
        return None
    per_unit = units.rows_per_unit
    shares = zip(per_unit.units, per_unit.classes, strict=True)
    more = math.fsum(share for share, (fewest, _) in shares if fewest > per_unit.most_used)
    return RowsLeftOut(
        units=min(max(more, 0.0), 1.0),
        rows=min(max(per_unit.left_out, 0.0), 1.0),
        most_moved=min(max(most_moved(per_unit), 0.0), 1.0),
        counted=per_unit.classes[-1][1],
    )

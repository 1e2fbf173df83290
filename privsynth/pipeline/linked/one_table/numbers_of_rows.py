"""How many rows persons have is released twice, with the persons and with their rows: both together, which is free.

The table of persons counts them by how many rows they have below, as a column of its own; the table below counts those
who have any by the same number, since rows are weighed by it. Each is noisy by itself. The model of persons is brought
to the mean of both, weighted by their noise, so that it draws numbers of rows about as well as twice the budget would.
Post-processing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from privsynth.codecs.columns import Drawn
from privsynth.codecs.encoded_table import RowsPerUnit
from privsynth.codecs.table import TableCodec
from privsynth.domain.unit_sizes import groups_that_stand_out
from privsynth.generators.registry import MovesShares

DRAWS = 1_000  # values of each code (own): to see in which class those of a bin lie; ± 2 %


@dataclass(frozen=True, kw_only=True)
class RowNumbers:
    """What was released of how many rows persons have, with these rows.

    Attributes:
      per_unit: of persons with any row.
      persons: in training, with or without rows.
      with_rows: in training, who have any.
      counted: with any row, among whom the classes of `per_unit` were counted.
      sigma: standard deviation of the noise in the number of each class.
      sigma_any: of the noise in the share of the persons who have any.
    """

    per_unit: RowsPerUnit
    persons: float
    with_rows: float
    counted: float
    sigma: float
    sigma_any: float

    def groups(self) -> list[tuple[int, int]]:
        """Return groups of classes that noise lets be told apart, each by its first and the one after its last."""
        return groups_that_stand_out(np.array(self.per_unit.units) * self.counted, self.sigma)

    def shares(self) -> tuple[np.ndarray, np.ndarray]:
        """Return (1 + groups,) shares of the persons: those without rows, then by groups; and their variances."""
        groups, units = self.groups(), np.array(self.per_unit.units)
        some = float(np.clip(self.with_rows / max(self.persons, 1.0), 0.0, 1.0))
        share = [units[start:end].sum() * some for start, end in groups]
        noise = (self.sigma / max(self.counted, 1.0) * some) ** 2
        variance = [(end - start) * noise for start, end in groups]
        return np.array([1.0 - some, *share]), np.array([self.sigma_any**2, *variance])


def with_both(
    fitted: MovesShares, codec: TableCodec, column: str, numbers: RowNumbers, rng: np.random.Generator
) -> MovesShares:
    """Return a model of persons that draws numbers of rows by both releases.

    Args:
      codec: of the persons' table.
      column: that of the numbers of rows.
      numbers: what the table below tells.
      rng: published randomness.
    """
    attributes = tuple(codec.attributes_of(column))
    own = [table for table in fitted.measured if table.attributes == attributes[:1]]
    if len(attributes) != 1 or not own:
        return fitted
    share = fitted.shares(attributes[0])
    inside = _groups_of_codes(codec, column, len(share), numbers, rng)
    sigma = np.broadcast_to(np.asarray(own[0].sigma, dtype=np.float64), share.shape) / max(numbers.persons, 1.0)
    of_groups, variance = share @ inside, (sigma**2) @ inside**2
    told, noise = numbers.shares()
    both = (of_groups * noise + told * variance) / np.maximum(noise + variance, 1e-300)
    moved = np.where(of_groups > 0, both / np.maximum(of_groups, 1e-12), 1.0)
    return fitted.with_shares(attributes[0], share * (inside @ moved))


def _groups_of_codes(
    codec: TableCodec, column: str, size: int, numbers: RowNumbers, rng: np.random.Generator
) -> np.ndarray:
    """Return (codes, 1 + groups) how the values of each code lie in groups; each row sums to one."""
    codes = np.repeat(np.arange(size), DRAWS)
    drawn = codec.by_name[column].decode(codes[None], Drawn({}, codec.by_name), rng)
    rows = np.where(drawn.null, 0, drawn.values).astype(np.int64)
    per_unit, groups = numbers.per_unit, numbers.groups()
    kind = np.clip(per_unit.class_of(np.maximum(rows, 1)), 0, len(per_unit.classes) - 1)
    ends = np.array([end for _, end in groups])
    group = np.where(rows > 0, 1 + np.searchsorted(ends, kind, side="right"), 0)
    found = np.zeros((size, 1 + len(groups)))
    np.add.at(found, (codes, group), 1.0 / DRAWS)
    return found

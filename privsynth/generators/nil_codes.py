"""NULL and OTHER where the paid counts show neither: a column that never has them gets none from noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from privsynth.codecs.columns import Attribute
from privsynth.codecs.encoded_table import Encoded

# Standard deviations up to which a count is nil (own). Noise alone exceeds them in one of 4,300 columns; what is lost
# are nulls, or rare texts, too few to be told from noise.
NIL_SIGMAS = 3.5


class OneWay(Protocol):
    """A noisy table of one attribute."""

    @property
    def counts(self) -> np.ndarray:
        """(size,) noisy counts."""
        ...

    @property
    def sigma(self) -> float | np.ndarray:
        """Standard deviation of each count."""
        ...


def without_nil(data: Encoded, one_way: Sequence[OneWay]) -> Encoded:
    """Return the rows with attributes that cannot be NULL, or OTHER, where noise explains its count; post-processing.

    The attributes of a column are null together, so their counts are judged together, by inverse variance.

    Args:
      one_way: the noisy table of each attribute.
    """
    null: dict[int, list[tuple[float, float]]] = {}
    for column, table in zip(data.columns, one_way, strict=True):
        null.setdefault(column, []).append(_count(table, -1))
    attributes = []
    for attribute, column, table in zip(data.attributes, data.columns, one_way, strict=True):
        can_be_null = attribute.can_be_null and not _is_nil(null[column])
        other = attribute.other and not _is_nil([_count(table, -2)])
        attributes.append(replace(attribute, can_be_null=can_be_null, other=other))
    return replace(data, attributes=tuple(attributes))


def never_drawn(attribute: Attribute) -> list[int]:
    """Return the codes of an attribute that must not be drawn; never all of them."""
    codes = [attribute.size - 1] if not attribute.can_be_null else []
    codes += [attribute.size - 2] if attribute.other is False else []
    return codes if len(codes) < attribute.size else []


def _count(table: OneWay, code: int) -> tuple[float, float]:
    """Return the noisy count of a code and its standard deviation."""
    counts = np.asarray(table.counts).ravel()
    if len(counts) < -code:
        return math.inf, 1.0
    return float(counts[code]), float(np.broadcast_to(np.asarray(table.sigma), counts.shape)[code])


def _is_nil(measured: Sequence[tuple[float, float]]) -> bool:
    """Return whether the mean of several measurements of one count is nil within its noise."""
    if any(not 0 < sigma < math.inf for _, sigma in measured):
        return all(count <= 0 for count, sigma in measured if sigma == 0) and any(sigma == 0 for _, sigma in measured)
    precision = math.fsum(sigma**-2 for _, sigma in measured)
    mean = math.fsum(count * sigma**-2 for count, sigma in measured) / precision
    return mean <= NIL_SIGMAS * precision**-0.5

"""Mechanisms for rows that are public already: they add nothing, and protect nobody.

A public table that a release starts from is read by the same functions as the private one. They take mechanisms, so
here are some that give the figures back as they are.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from privsynth.errors import BudgetExceeded
from privsynth.privacy.mechanisms import Noisy, StableKeys, TrainingNoise

LEAST_ROWS = 2  # of a text in a public table that becomes a category (own): one of a single row says nothing


class PublicRows:
    """Exact figures of public rows. Never to be given private ones.

    Guarantee: none.

    Args:
      no_keys: texts that are never categories.
    """

    def __init__(self, no_keys: Collection[str] = ()) -> None:
        self._no_keys = no_keys

    def gaussian(self, values: np.ndarray, *, l2_sensitivity: float, part: str, mu_squared: float, label: str) -> Noisy:
        """Return the values, and the standard deviation that noise at this price would have."""
        return Noisy(values, l2_sensitivity * mu_squared**-0.5)

    def stable_keys(
        self,
        counts: Sequence[Mapping[str, int]],
        *,
        max_rows_per_unit: int,
        part: str,
        mu_squared: float,
        delta: float,
        label: str,
        known: Sequence[str] = (),
        unit_weight: int | None = None,
    ) -> StableKeys:
        """Return every key that a few rows have, with its count."""
        kept = [
            {key: n for key, n in sorted(column.items()) if n >= LEAST_ROWS and key not in self._no_keys}
            for column in counts
        ]
        of_known = [{key: column.get(key, 0) for key in known} for column in counts]
        sigma = (unit_weight or max_rows_per_unit) * (len(counts) / mu_squared) ** 0.5
        return StableKeys(kept, sigma, LEAST_ROWS, of_known)

    def share_out(self, parts: Mapping[str, float]) -> None:
        """Do nothing: public rows cost nothing."""

    def training(self, *, clip: float, label: str, steps: int | None = None) -> TrainingNoise:
        """Refuse.

        Raises:
          BudgetExceeded: always; no network is trained on public rows.
        """
        raise BudgetExceeded("no network is trained on public rows")

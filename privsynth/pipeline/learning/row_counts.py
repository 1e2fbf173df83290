"""How many rows there are (or units, where they have several), from noisy counts of training and of the holdout."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class CountNoise:
    """The noise of the two counts; public.

    Attributes:
      sigma: standard deviation of each.
      holdout_fraction: f, the share of units that the holdout gets on average; 0 where there is none.
      rows_per_unit: the most rows of one unit.
    """

    sigma: float
    holdout_fraction: float
    rows_per_unit: int

    def total(self, train: float, holdout: float) -> float:
        """Return the number of all rows, without bias and with little noise; at least 1.

        The sum has the noise of both counts, and the holdout's is often larger than itself; training alone, over 1 − f,
        has the chance with which units were divided instead. What weighs both, by their variances, has the least
        variance of all unbiased linear estimates (Gauss and Markov). Nothing is cut at 0 before it is added: that would
        add rows that nobody has.
        """
        a, b = self._weights(max(train + holdout, 1.0))
        return max(a * train + b * holdout, 1.0)

    def total_sigma(self, n_rows: float) -> float:
        """Return the standard deviation of `total` for a table of about `n_rows` rows."""
        a, b = self._weights(n_rows)
        return float(np.sqrt((a * a + b * b) * self.sigma**2 + (a - b) ** 2 * self._chance(n_rows)))

    def _chance(self, n_rows: float) -> float:
        """Return at most how much the number of rows in the holdout varies from division to division."""
        return n_rows * self.rows_per_unit * self.holdout_fraction * (1.0 - self.holdout_fraction)

    def _weights(self, n_rows: float) -> tuple[float, float]:
        """Return the weights of both counts, of which a·(1 − f) + b·f is 1."""
        f = self.holdout_fraction
        if f == 0.0 or self.sigma == 0.0:
            return 1.0, float(f > 0.0)
        # a = 1 + f·d and b = 1 − (1 − f)·d; d minimises the variance.
        d = self.sigma**2 * (1.0 - 2.0 * f) / (self.sigma**2 * (f * f + (1.0 - f) ** 2) + self._chance(n_rows))
        return 1.0 + f * d, 1.0 - (1.0 - f) * d

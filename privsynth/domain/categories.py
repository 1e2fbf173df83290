"""The categories of open columns of texts, bought in two looks.

Most columns hold a yes and a no, or a few texts that everybody shares. A cheap look at all of them finds those; what it
leaves unexplained is in few columns, and a look at these alone has less noise: rarer categories come out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from privsynth.codecs.column_facts import Facts
from privsynth.codecs.parse import Categories
from privsynth.codecs.parsed_table import ParsedTable
from privsynth.domain.public_words import likely, words
from privsynth.privacy.mechanisms import Mechanisms
from privsynth.privacy.unit_weights import Look, count

# A column is looked at again where so many rows are unexplained, as a part of those that a category needs to come out,
# and more than one standard deviation.
UNEXPLAINED = 0.5


class OpenTexts:
    """What has been found of open columns of texts.

    Args:
      n_rows: the paid number of rows.
      facts: with the share of nulls, where it was bought.
    """

    def __init__(
        self, parsed: ParsedTable, facts: Mapping[str, Facts], mechanisms: Mechanisms, look: Look, n_rows: float
    ) -> None:
        self._parsed, self._facts, self._mechanisms, self._how, self._n_rows = parsed, facts, mechanisms, look, n_rows
        self._frequent: dict[str, dict[str, int]] = {}  # the last noisy counts of those above a threshold
        self._known: dict[str, tuple[np.ndarray, float]] = {}  # noisy counts of the public list, and their precision

    def look(self, names: Sequence[str], *, mu_squared: float, delta: float) -> None:
        """Buy the frequent texts of some columns, and the counts of the public list.

        Guarantee: part "domain" at `mu_squared`, and `delta` (see `stable_keys`); nothing where there are no columns.
        """
        if not names:
            return
        release = self._mechanisms.stable_keys(
            [self._counts(name) for name in names],
            max_rows_per_unit=self._how.k,
            part="domain",
            mu_squared=mu_squared,
            delta=delta,
            label="frequent categories",
            known=words(),
            unit_weight=self._how.of_unit,
        )
        precision = release.sigma**-2.0
        for name, counts, known in zip(names, release.counts, release.known, strict=True):
            self._frequent.setdefault(name, {}).update(counts)
            seen = np.array([known[word] for word in words()], dtype=np.float64)
            before, other = self._known.get(name, (seen, 0.0))
            together = precision + other
            self._known[name] = ((seen * precision + before * other) / together, together)

    def unexplained(self, names: Sequence[str], *, price: Callable[[int], float], delta: float) -> list[str]:
        """Return the columns in which a further look may find more; a pure function of what was bought.

        Args:
          price: of a look at so many columns, in μ².
          delta: of that look.
        """
        left, before = list(names), -1
        while left and len(left) != before:
            before = len(left)
            least = UNEXPLAINED * self._how.least(len(left), price(len(left)), delta)
            left = [name for name in left if self._missing(name, least)]
        return left

    def found(self) -> dict[str, tuple[str, ...]]:
        """Return the categories of each column, sorted."""
        return {name: tuple(sorted({*counts, *self._likely(name)})) for name, counts in self._frequent.items()}

    def _counts(self, name: str) -> dict[str, int]:
        """Return the exact counts of texts, or what they weigh. Private."""
        column, weight = self._parsed.columns[name], self._how.rows
        assert isinstance(column, Categories)
        there = column.codes >= 0
        counts = count(column.codes[there], len(column.values), None if weight is None else weight[there])
        return {value: int(n) for value, n in zip(column.values, counts.tolist(), strict=True) if n}

    def _likely(self, name: str) -> dict[str, float]:
        """Return the texts of the public list that a column seems to hold, and their noisy counts."""
        seen, precision = self._known[name]
        noisy = dict(zip(words(), seen.tolist(), strict=True))
        return {text: noisy[text] for text in likely(noisy, precision**-0.5)}

    def _missing(self, name: str, least: float) -> bool:
        """Return whether as many rows as that, and more than noise, are not in what was found of a column."""
        found = {**self._likely(name), **self._frequent[name]}
        known = self._n_rows * (1.0 - (self._facts[name].nulls or 0.0))
        sigma = self._known[name][1] ** -0.5 * self._how.in_rows
        return known - math.fsum(found.values()) * self._how.in_rows > max(least, sigma * math.sqrt(len(found)))

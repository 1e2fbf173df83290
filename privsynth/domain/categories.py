"""The categories of undeclared text columns, released in one round or two.

Most text columns hold yes and no, or a few texts that most rows share. A cheap first round over all columns finds
those. The rows that it leaves unexplained lie in few columns; a second round over these alone has less noise, so that
rarer categories pass the threshold.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import pyarrow as pa

from privsynth.codecs.column_facts import ColumnFacts
from privsynth.codecs.parse import Categories
from privsynth.codecs.parsed_table import ParsedTable
from privsynth.domain.public_words import likely, words
from privsynth.hierarchies import Hierarchy
from privsynth.partitions.marks import SIDE, STEPS, TRAINING, on_side, weights
from privsynth.partitions.rows import PrivateRows
from privsynth.privacy.mechanisms import Mechanisms
from privsynth.privacy.unit_weights import Weighting, count

# A column enters the second round if its unexplained rows exceed this share of the rows that a category needs to be
# released, and one standard deviation. Half leaves a margin for noise.
UNEXPLAINED = 0.5


class OpenCategories:
    """Categories found in undeclared text columns.

    Args:
      facts: with the share of nulls, where it was released.
      n_rows: the released number of rows.
    """

    def __init__(
        self,
        parsed: PrivateRows,
        facts: Mapping[str, ColumnFacts],
        mechanisms: Mechanisms,
        weighting: Weighting,
        n_rows: float,
    ) -> None:
        self._parsed, self._facts, self._mechanisms = parsed, facts, mechanisms
        self._weighting, self._n_rows = weighting, n_rows
        self._frequent: dict[str, dict[str, int]] = {}  # the latest noisy counts above a threshold
        self._needed: dict[str, float] = {}  # rows that a category needs to pass the latest threshold
        self._known: dict[str, tuple[np.ndarray, float]] = {}  # noisy counts of the public words, and their 1/σ²

    def release(self, names: Sequence[str], *, mu_squared: float, delta: float) -> None:
        """Release the frequent texts of some columns, and the counts of the public words.

        Guarantee: part "domain" at `mu_squared`, and `delta` (see `stable_keys`); nothing if there are no columns.
        """
        if not names:
            return
        release = self._mechanisms.stable_keys(
            self._parsed.add_up(partial(count_texts, names, self._weighting.weighed), [*names, SIDE, STEPS]),
            max_rows_per_unit=self._weighting.max_rows_per_unit,
            part="domain",
            mu_squared=mu_squared,
            delta=delta,
            label="frequent categories",
            known=words(),
            unit_weight=self._weighting.unit_weight,
        )
        precision = release.sigma**-2.0
        for name, counts, known in zip(names, release.counts, release.known, strict=True):
            self._frequent.setdefault(name, {}).update(counts)
            self._needed[name] = release.threshold * self._weighting.rows_per_step
            seen = np.array([known[word] for word in words()], dtype=np.float64)
            before, other = self._known.get(name, (seen, 0.0))
            together = precision + other
            self._known[name] = ((seen * precision + before * other) / together, together)

    def unexplained(self, names: Sequence[str], *, price: Callable[[int], float], delta: float) -> list[str]:
        """Return the columns in which a second round may find more; a pure function of what was released.

        Args:
          price: number of columns -> μ² of a round over them.
          delta: of that round.
        """
        columns, before = list(names), -1
        while columns and len(columns) != before:
            before = len(columns)
            needed = self._weighting.smallest_released(len(columns), price(len(columns)), delta)
            columns = [name for name in columns if self._unexplained_rows_exceed(name, UNEXPLAINED * needed)]
        return columns

    def found(self) -> dict[str, tuple[str, ...]]:
        """Return the categories of each column, sorted."""
        return {name: tuple(sorted({*counts, *self._likely(name)})) for name, counts in self._frequent.items()}

    def parents(self, name: str, hierarchy: Hierarchy) -> tuple[str, ...]:
        """Return the groups to which codes fall that were not released, from public names and released numbers.

        Every code lies in exactly one of them. They are those of the finest level whose groups would hold as many rows
        as a category needs to be released, if what is unexplained were spread evenly over them; else of the coarsest.

        Guarantee: the names are public, as they depend on no row, and the level is post-processing.
        """
        rows, _ = self._unexplained_rows(name)
        levels = [hierarchy.parents(level) for level in reversed(hierarchy.levels)]
        return next((groups for groups in levels if len(groups) * self._needed[name] <= rows), levels[-1])

    def _likely(self, name: str) -> dict[str, float]:
        """Return the public words that a column seems to hold, and their noisy counts."""
        seen, precision = self._known[name]
        noisy = dict(zip(words(), seen.tolist(), strict=True))
        return {text: noisy[text] for text in likely(noisy, precision**-0.5)}

    def _unexplained_rows_exceed(self, name: str, rows: float) -> bool:
        """Return whether more than `rows` rows, and more than noise explains, hold no category found so far."""
        unexplained, sigma = self._unexplained_rows(name)
        return unexplained > max(rows, sigma)

    def _unexplained_rows(self, name: str) -> tuple[float, float]:
        """Return how many rows hold no category found so far, and the standard deviation of that."""
        found = {**self._likely(name), **self._frequent[name]}
        known = self._n_rows * (1.0 - (self._facts[name].null_share or 0.0))
        sigma = self._known[name][1] ** -0.5 * self._weighting.rows_per_step
        return known - math.fsum(found.values()) * self._weighting.rows_per_step, sigma * math.sqrt(len(found))


def count_texts(names: Sequence[str], weighed: bool, part: pa.Table) -> list[dict[str, int]]:
    """Return for each column the exact counts of texts in training rows, in rows or in steps. Private."""
    part = on_side(part, TRAINING)
    columns, steps, found = ParsedTable.of_arrow(part).columns, weights(part, weighed), []
    for name in names:
        column = columns[name]
        assert isinstance(column, Categories)
        there = column.codes >= 0
        counts = count(column.codes[there], len(column.values), None if steps is None else steps[there])
        found.append({value: int(n) for value, n in zip(column.values, counts.tolist(), strict=True) if n})
    return found

"""Learning first rows and later rows apart: two fits, each with its share of the table's budget. Private."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from privsynth.codecs.encoded_table import CodedRows, Encoded, RowsPerUnit
from privsynth.generators.registry import Generator
from privsynth.privacy.budget import ROUNDING, SpendingPlan
from privsynth.privacy.mechanisms import Mechanisms
from privsynth.progress import Progress
from privsynth.sampling.linked.by_place import FirstRows, FittedByPlace

# Least and most of the generator's budget for first rows (own): what they begin with goes on, however few they are.
FIRST = (0.15, 0.6)
MOST_FIRST = 0.95  # of the rows (own): noise must not leave none for later ones


@dataclass(frozen=True, kw_only=True)
class Split:
    """What is known of first rows before they are learned; public.

    Attributes:
      rows: what their model has.
      n_first: about how many of the training rows are first ones.
      once: whether a person has one first row at most.
    """

    rows: FirstRows
    n_first: float
    once: bool


def fit_by_place(
    data: Encoded,
    split: Split,
    generator: Generator,
    mechanisms: Mechanisms,
    plan: SpendingPlan,
    *,
    rng: np.random.Generator,
    progress: Progress,
) -> FittedByPlace:
    """Return a model of first rows and one of later rows.

    Guarantee: as of `Generator.fit`, for both together. Whether a row is a first one is a function of its person's
      rows; each fit sees some of the rows of a person, and never more of them than are used.
    """
    first = data.gathered().codes[split.rows.place] == 0
    n_first = min(max(split.n_first, 1.0), MOST_FIRST * data.n_rows)
    per_unit, everything = data.rows_per_unit, range(len(data.attributes))
    of_first = replace(
        _part(data, first, split.rows.kept),
        n_rows=n_first,
        max_rows_per_unit=1 if split.once else data.max_rows_per_unit,
        rows_per_unit=_of_rows(per_unit, 1.0 / per_unit.rows) if split.once and per_unit is not None else per_unit,
    )
    of_later = replace(
        _part(data, ~first, everything),
        n_rows=max(data.n_rows - n_first, 1.0),
        rows_per_unit=_of_rows(per_unit, 1.0 - 1.0 / per_unit.rows)
        if split.once and per_unit is not None
        else per_unit,
    )
    share = share_of_first(n_first / max(data.n_rows, 1.0))
    one = generator.fit(of_first, mechanisms, _share(plan, share), rng=rng, progress=progress)
    two = generator.fit(of_later, mechanisms, _share(plan, (1.0 - share) * ROUNDING), rng=rng, progress=progress)
    return FittedByPlace(one, two, split.rows, n_first / max(data.n_rows, 1.0))


def share_of_first(rows: float) -> float:
    """Return the share of the budget for first rows by their share of the rows.

    Noise of either part falls as the root of its budget, and counts by its rows: so shares of the budget are best as
    those of the rows to the power of two thirds.
    """
    first, later = max(rows, 0.0) ** (2 / 3), max(1.0 - rows, 0.0) ** (2 / 3)
    return min(max(first / (first + later), FIRST[0]), FIRST[1])


def _share(plan: SpendingPlan, share: float) -> SpendingPlan:
    return replace(plan, parts={part: mu2 * share for part, mu2 in plan.parts.items()})


def _of_rows(per_unit: RowsPerUnit, share: np.ndarray) -> RowsPerUnit:
    """Return units by their number of rows, so that each class holds a share of its rows."""
    units = np.array(per_unit.units) * share
    if not units.sum() > 0:
        return per_unit
    return replace(per_unit, units=tuple((units / units.sum()).tolist()))


def _part(data: Encoded, rows: np.ndarray, kept: Sequence[int]) -> Encoded:
    """Return some rows, and some of their attributes. Private."""
    number = {old: new for new, old in enumerate(kept)}
    chosen = data.gathered().chosen(rows)
    return replace(
        data,
        rows=CodedRows(chosen.codes[list(kept)], chosen.units()[0]),
        attributes=tuple(data.attributes[a] for a in kept),
        columns=tuple(data.columns[a] for a in kept),
        targets=tuple(number[a] for a in data.targets if a in number),
        protected=tuple(number[a] for a in data.protected if a in number),
        books={number[a]: groups for a, groups in data.books.items() if a in number},
        given=frozenset(number[a] for a in data.given if a in number),
    )

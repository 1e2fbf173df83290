"""What a budget can resolve, column by column, in a table of so many rows; from public facts and released numbers.

`plan` asks for sizes that are guessed or declared, a run for the size that it has bought.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

import numpy as np

from privsynth.domain.budget_split import FIRST_ROUND, OpenColumns, split_budget
from privsynth.generators.registry import Generator, PublicFacts
from privsynth.privacy.budget import Budget, SpendingPlan
from privsynth.privacy.unit_weights import STEPS, Weighting
from privsynth.schema.definition import Schema

GUESSED_ROWS = (1_000, 10_000, 100_000)  # tables to plan for where no number is given (own)
MIN_BINS, MAX_BINS = 8, 32  # of a numeric dimension (own): fewer lose its shape, more have noisy pairs
ROWS_PER_BIN_SIGMA = 12.0  # rows of a bin, in standard deviations of a count's noise (own)
GUESSED_CATEGORIES = 10  # of a column of which nothing is declared (own)
USUAL_ROWS = 0.5  # of the most that a unit may have: a guess, named as such where the plan is printed

# Expected distance of a column up to which it counts as resolved, and above which it is lost in noise. Measured on 40
# packaged tables of 100 to 5,000 rows without a schema at ε = 1 and 3: of columns up to 0.15, one or two in a hundred
# were further than 0.25 from the real one, of those between one in four, of those above 0.35 three in four; on either
# half of the tables.
CLEAR, LOST = 0.15, 0.35
# Share of the rows that a category would need to be released, above which an open column is lost: on the same tables
# half to nine in ten were.
RAREST_LOST = 0.4
ENOUGH = 0.5  # of the columns must not be lost (own): else synthetic rows are mostly noise

Status = Literal["resolved", "coarse", "lost"]


@dataclass(frozen=True, kw_only=True)
class TableSize:
    """How large a table is, or is taken to be.

    Attributes:
      rows: a guess, a declared or a released number.
      rows_per_unit: how many rows a unit has on average, released; None where that is not known.
    """

    rows: float
    rows_per_unit: float | None = None

    def usual_rows(self, budget: Budget) -> float:
        """Return about how many rows a unit has."""
        if self.rows_per_unit is not None:
            return self.rows_per_unit
        return max(USUAL_ROWS * budget.max_rows_per_unit, 1.0)


@dataclass(frozen=True)
class ColumnPlan:
    """One column: where its domain comes from, its number of codes, and the expected error of its one-way table.

    Attributes:
      status: "resolved", "coarse" (its shape shows, its details do not), or "lost" in noise.
    """

    name: str
    known: str
    codes: int
    expected_tvd: float
    status: Status


@dataclass(frozen=True)
class Outlook:
    """Estimates for a table of `rows` rows.

    Where units may have several rows, they are assumed to have half of `max_rows_per_unit`, which share codes by chance
    alone; a run adapts to the rows that they have.

    Attributes:
      rows: a guess or a released number.
      rarest: a category with fewer rows than this is merged into OTHER, about (half come through), unless it is a
        common word such as yes, no or a country. Of numbers alone: the rarest value with a code of its own.
      bins: of a numeric column.
      columns: each modelled column.
      pair_tvd: expected error of a pair of columns in synthetic rows, on average; None where the generator measures no
        pairs.
    """

    rows: int
    rarest: int
    bins: int
    columns: tuple[ColumnPlan, ...]
    pair_tvd: float | None

    def names(self, status: Status) -> tuple[str, ...]:
        """Return the columns of one status."""
        return tuple(column.name for column in self.columns if column.status == status)

    @property
    def hopeless(self) -> bool:
        """Whether so many columns are lost that little can be learned."""
        return len(self.names("lost")) > (1 - ENOUGH) * len(self.columns)


def outlook(
    scale: TableSize,
    columns: list[str],
    schema: Schema,
    plan: SpendingPlan,
    generator: Generator,
    *,
    known: Collection[str] = (),
) -> Outlook:
    """Return what a plan can resolve of a table.

    Args:
      columns: those that the generator may have to model; what a rule computes is as good as what it is computed from,
        and not counted, as in the report.
      plan: with the shares that suit the number of rows (see `respread`).
      known: columns that a prior tells. What noise hides of these is as the prior has it, so that none is lost in noise
        as long as the prior suits, which the run finds out.
    """
    budget = plan.budget
    columns = [name for name in columns if name not in computed_columns(schema)]
    bins = number_of_bins(scale.rows, plan, rows_per_unit=scale.usual_rows(budget))
    codes = [_codes(schema, name, bins) for name in columns]
    facts = PublicFacts(
        n_rows=scale.rows,
        sizes=tuple(size for _, size in codes),
        max_rows_per_unit=budget.max_rows_per_unit,
        rows_per_unit=scale.usual_rows(budget),
    )
    errors = generator.expected_errors(facts, plan)
    lines = sum(_is_line(schema, name) for name in columns)
    texts = sum(of != "declared" for of, _ in codes) - lines
    rarest = _rarest(scale, OpenColumns(texts=texts, keyed=lines, dimensions=lines), plan)
    planned = []
    for name, (from_where, size), error in zip(columns, codes, errors.one_way, strict=True):
        needs_categories = from_where == "bought" and not _is_line(schema, name)
        status = status_of(error, rarest / scale.rows if needs_categories else 0.0)
        if name in known:
            from_where, status = "prior", "coarse" if status == "lost" else status
        planned.append(ColumnPlan(name, from_where, size, error, status))
    return Outlook(round(scale.rows), rarest, bins, tuple(planned), errors.pair)


def computed_columns(schema: Schema) -> frozenset[str]:
    """Return the columns that a rule computes from others."""
    return frozenset(rule.computes[0] for rule in schema.parsed_rules() if rule.computes is not None)


def status_of(error: float, rarest_share: float = 0.0) -> Status:
    """Return whether a column is resolved: by its expected error, and by the share that a category needs."""
    if error > LOST or rarest_share > RAREST_LOST:
        return "lost"
    return "resolved" if error <= CLEAR else "coarse"


def number_of_bins(n_rows: float, plan: SpendingPlan, *, rows_per_unit: float) -> int:
    """Return about how many bins a numeric dimension gets; from released and public numbers.

    Args:
      rows_per_unit: the mean where it is known, else the most.
    """
    noise = rows_per_unit / max(plan.parts["measurement"], 1e-12) ** 0.5
    return int(np.clip((n_rows / noise / ROWS_PER_BIN_SIGMA) ** 0.5, MIN_BINS, MAX_BINS))


def weighting(scale: TableSize, budget: Budget) -> Weighting:
    """Return how rows are counted where columns are learned (see `privsynth.pipeline.learning.learn.learn`)."""
    if budget.max_rows_per_unit == 1:
        return Weighting(1)
    return Weighting(budget.max_rows_per_unit, scale.usual_rows(budget) / STEPS)


def _rarest(scale: TableSize, counts: OpenColumns, plan: SpendingPlan) -> int:
    """Return the count from which about half of the categories, or of the frequent values, are released."""
    texts, lines = counts.texts, counts.keyed
    if not texts + lines or "domain" not in plan.parts or plan.discovery_delta <= 0:
        return 0
    counted, whole = weighting(scale, plan.budget), plan.parts["domain"]
    split = split_budget(counted, counts, mu_squared=whole, delta=plan.discovery_delta, n_rows=scale.rows)
    shares = split.shares(open_columns=texts, mu_squared=whole)
    keys, mu_squared, delta = lines, shares.frequent, split.frequent_delta
    if texts:
        keys, mu_squared, delta = texts, shares.categories, split.categories_delta
        if split.two_rounds:  # the second round, as if it were over all of them
            mu_squared, delta = (1 - FIRST_ROUND) * mu_squared, (1 - FIRST_ROUND) * delta
    return int(counted.smallest_released(keys, mu_squared, delta))


def _is_line(schema: Schema, name: str) -> bool:
    return schema.column(name).kind in ("numeric", "integer", "datetime", "date")


def _codes(schema: Schema, name: str, bins: int) -> tuple[str, int]:
    """Return where the domain comes from, declared or bought, and about how many codes it will have."""
    column = schema.column(name)
    if column.kind == "boolean":
        return "declared", 3
    if column.categories is not None:
        return "declared", len(column.categories) + 1
    if _is_line(schema, name):
        bounded = column.minimum is not None and column.maximum is not None
        return ("bounds declared, values bought" if bounded else "bought"), bins + 1
    return "bought", GUESSED_CATEGORIES

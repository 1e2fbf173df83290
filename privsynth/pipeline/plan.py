"""What a release would cost and reach, from public facts alone: the header, the schema, the budget and a guessed size.

Nothing is read beyond the header and nothing is spent.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from privsynth import _validate
from privsynth._validate import in_range
from privsynth.domain.budget_split import FIRST_ROUND, OpenColumns, split_budget
from privsynth.generators.registry import Generator, PublicFacts, choose, load_generator
from privsynth.notebook import card, promise_text
from privsynth.pipeline.config import SynthesizeConfig, check_schema_fits
from privsynth.pipeline.inputs import completed_schema, open_config_source, physical_types
from privsynth.pipeline.learn import count_noise, number_of_bins
from privsynth.pipeline.spending_plan import make_plan, modelled_columns, respread
from privsynth.privacy.accounting import epsilon_of
from privsynth.privacy.budget import Budget, SpendingPlan
from privsynth.privacy.unit_weights import STEPS, RowWeights, Weighting
from privsynth.schema.definition import Schema

GUESSED_ROWS = (1_000, 10_000, 100_000)  # tables to plan for where no number is given (own)
GUESSED_CATEGORIES = 10  # of a column of which nothing is declared (own)
USUAL_ROWS = 0.5  # of the most that a unit may have: a guess, named as such where the plan is printed


@dataclass(frozen=True)
class Part:
    """One part of the bill: its share of the total and the noise multiplier if it were spent on one release."""

    name: str
    share: float
    noise_multiplier: float


@dataclass(frozen=True)
class ColumnPlan:
    """One column: where its domain comes from, its number of codes, and the expected error of its one-way table."""

    name: str
    known: str
    codes: int
    expected_tvd: float


@dataclass(frozen=True)
class Outlook:
    """Estimates for a table of `rows` rows.

    Where units may have several rows, they are assumed to have half of `max_rows_per_unit`, which share codes by chance
    alone; a run adapts to the rows that they have.

    Attributes:
      rows: a guess, not a measurement.
      rarest: a category with fewer rows than this is merged into OTHER, about (half come through), unless it is a
        common word such as yes, no or a country. Of numbers alone: the rarest value with a code of its own.
      bins: of a numeric column.
      columns: each modelled column.
      pair_tvd: expected error of a pair's table if every pair were measured; strong pairs are measured more
        precisely. None where the generator measures no pairs.
    """

    rows: int
    rarest: int
    bins: int
    columns: tuple[ColumnPlan, ...]
    pair_tvd: float | None


def pair_error(outlook: Outlook) -> str:
    """Return the expected error of a pair's table, as it is printed."""
    return "not measured" if outlook.pair_tvd is None else f"{outlook.pair_tvd:.3f}"


@dataclass(frozen=True, repr=False)
class Plan:
    """What a release would cost and reach; `parts` are those of the last outlook.

    `rows_noise` is the standard deviation of the released number of rows, 0 where that is declared.
    """

    dataset: str
    epsilon: float
    delta: float
    unit: str
    max_rows_per_unit: int
    neighbours: str
    generator: str
    epsilon_of_events: float
    parts: tuple[Part, ...]
    outlooks: tuple[Outlook, ...]
    rows_noise: float = 0.0

    def __repr__(self) -> str:
        promise = f"epsilon={self.epsilon:g}, delta={self.delta:g}, unit={self.unit!r}"
        rows = tuple(outlook.rows for outlook in self.outlooks)
        return f"Plan(dataset={self.dataset!r}, {promise}, generator={self.generator!r}, rows={rows})"

    def _repr_html_(self) -> str:
        sizes = [
            (f"If it has {o.rows:,} rows", f"expected error of a pair's table {pair_error(o)}, {o.bins} bins a number")
            for o in self.outlooks
        ]
        return card(
            f"Plan of a release of {self.dataset}",
            [
                ("Promise", promise_text(self.epsilon, self.delta, self.unit, self.max_rows_per_unit)),
                ("Generator", self.generator),
                ("Shares", ", ".join(f"{part.name} {part.share:.0%}" for part in self.parts)),
                *sizes,
            ],
            note="Nothing was read beyond the header, and nothing was spent.",
        )

    def to_json(self) -> dict[str, Any]:
        """Return JSON-able data."""
        return asdict(self)


def plan(config: SynthesizeConfig, *, expect_rows: int | None = None) -> Plan:
    """Return the plan of a run.

    Guarantee: reads the header only and spends nothing.
    Raises:
      PrivsynthError: the same as `synthesize` for what can be told from public facts.
    """
    _validate.whole_numbers(expect_rows=expect_rows)
    in_range(1, 10**12, expect_rows=1 if expect_rows is None else expect_rows)
    schema = config.read_schema()
    budget = config.budget(schema)
    source = open_config_source(config, schema)
    schema, _ = completed_schema(schema, source)
    check_schema_fits(schema, source.names, budget.unit)
    name = choose(config.generator)
    generator = load_generator(name)
    types = physical_types(source)
    spending = make_plan(schema, types, budget, generator.training_spec())
    modelled = modelled_columns(types, schema, budget.unit)
    guesses = (expect_rows or schema.rows,) if expect_rows or schema.rows else GUESSED_ROWS
    # As in a run: the shares of the parts follow from the number of rows.
    plans = {
        int(rows): respread(spending, n_rows=rows, columns=len(modelled), rows_per_unit=_usual_rows(budget))
        for rows in guesses
        if rows
    }
    return Plan(
        dataset=config.dataset_name(schema),
        epsilon=budget.epsilon,
        delta=budget.delta,
        unit=budget.unit,
        max_rows_per_unit=budget.max_rows_per_unit,
        neighbours=budget.neighbours,
        generator=name,
        epsilon_of_events=epsilon_of(spending.events(), spending.gaussian_delta),
        parts=_parts(plans[max(plans)], generator.training_spec().share if spending.training else 0.0),  # type: ignore[union-attr]
        outlooks=tuple(_outlook(rows, modelled, schema, budget, of, generator) for rows, of in plans.items()),
        rows_noise=_rows_noise(max(plans), spending, config.holdout_fraction),
    )


def _rows_noise(n_rows: int, spending: SpendingPlan, holdout_fraction: float) -> float:
    """Return about the standard deviation of the released number of rows; 0 where it is declared."""
    if spending.budget.rows is not None:
        return 0.0
    usual = _usual_rows(spending.budget)
    return usual * count_noise(spending, holdout_fraction).total_sigma(n_rows / usual)


def _usual_rows(budget: Budget) -> float:
    """Return about how many rows a unit has."""
    return max(USUAL_ROWS * budget.max_rows_per_unit, 1.0)


def _weighting(budget: Budget) -> Weighting:
    """Return how rows are counted where columns are learned (see `privsynth.pipeline.learn.learn`)."""
    if budget.max_rows_per_unit == 1:
        return Weighting(1)
    return Weighting(budget.max_rows_per_unit, RowWeights(np.zeros(0, dtype=np.int64), _usual_rows(budget) / STEPS))


def _parts(spending: SpendingPlan, training_share: float) -> tuple[Part, ...]:
    total = sum(spending.parts.values()) / (1 - training_share)
    parts = [Part(name, mu2 / total, mu2**-0.5) for name, mu2 in spending.parts.items()]
    if spending.training is not None:
        parts.append(Part("training", training_share, spending.training.noise_multiplier))
    return tuple(parts)


def _outlook(
    rows: int, modelled: list[str], schema: Schema, budget: Budget, spending: SpendingPlan, generator: Generator
) -> Outlook:
    bins = number_of_bins(rows, spending, rows_per_unit=_usual_rows(budget))
    codes = [_codes(schema, n, bins) for n in modelled]
    facts = PublicFacts(
        n_rows=rows,
        sizes=tuple(size for _, size in codes),
        max_rows_per_unit=budget.max_rows_per_unit,
        rows_per_unit=_usual_rows(budget),
    )
    errors = generator.expected_errors(facts, spending)
    columns = tuple(
        ColumnPlan(name, known, size, error)
        for name, (known, size), error in zip(modelled, codes, errors.one_way, strict=True)
    )
    lines = sum(schema.column(n).kind in ("numeric", "integer", "datetime", "date") for n in modelled)
    texts = sum(known != "declared" for known, _ in codes) - lines
    rarest = _rarest(rows, texts, lines, budget, spending)
    return Outlook(rows, rarest, bins, columns, errors.pair)


def _rarest(rows: int, texts: int, lines: int, budget: Budget, spending: SpendingPlan) -> int:
    """Return the count from which about half of the categories, or of the frequent values, are released."""
    if not texts + lines or "domain" not in spending.parts or spending.discovery_delta <= 0:
        return 0
    weighting, whole = _weighting(budget), spending.parts["domain"]
    open_columns = OpenColumns(texts=texts, keyed=lines, dimensions=lines)
    split = split_budget(weighting, open_columns, mu_squared=whole, delta=spending.discovery_delta, n_rows=rows)
    shares = split.shares(open_columns=texts, mu_squared=whole)
    keys, mu_squared, delta = lines, shares.frequent, split.frequent_delta
    if texts:
        keys, mu_squared, delta = texts, shares.categories, split.categories_delta
        if split.two_rounds:  # the second round, as if it were over all of them
            mu_squared, delta = (1 - FIRST_ROUND) * mu_squared, (1 - FIRST_ROUND) * delta
    return int(weighting.smallest_released(keys, mu_squared, delta))


def _codes(schema: Schema, name: str, bins: int) -> tuple[str, int]:
    """Return where the domain comes from, declared or bought, and about how many codes it will have."""
    column = schema.column(name)
    if column.kind == "boolean":
        return "declared", 3
    if column.categories is not None:
        return "declared", len(column.categories) + 1
    if column.kind in ("numeric", "integer", "datetime", "date"):
        bounded = column.minimum is not None and column.maximum is not None
        return ("bounds declared, values bought" if bounded else "bought"), bins + 1
    return "bought", GUESSED_CATEGORIES

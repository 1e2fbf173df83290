"""What a release would cost and reach, from public facts alone: the header, the schema, the budget and a guessed size.

Nothing is read beyond the header and nothing is spent.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from privsynth.errors import LittleToLearn
from privsynth.generators.registry import choose, load_generator
from privsynth.notebook import card, promise_text
from privsynth.pipeline.config import SynthesizeConfig, check_schema_fits
from privsynth.pipeline.inputs import check_invented, completed_schema, open_config_source, physical_types
from privsynth.pipeline.learning.sizes import count_noise
from privsynth.pipeline.spending_plan import make_plan
from privsynth.pipeline.usability.advice import Prospect, refusal, sentence
from privsynth.pipeline.usability.outlook import GUESSED_ROWS, Outlook, TableSize
from privsynth.privacy.accounting import epsilon_of
from privsynth.privacy.budget import SpendingPlan


@dataclass(frozen=True)
class Part:
    """One part of the bill: its share of the total and the noise multiplier if it were spent on one release."""

    name: str
    share: float
    noise_multiplier: float


def pair_error(outlook: Outlook) -> str:
    """Return the expected error of a pair's table, as it is printed."""
    return "not measured" if outlook.pair_tvd is None else f"{outlook.pair_tvd:.3f}"


@dataclass(frozen=True, repr=False)
class Plan:
    """What a release would cost and reach.

    Attributes:
      parts: those of the last outlook.
      refused: the error with which `synthesize` would end at the number of rows that was guessed or declared; None if
        it would not, or if there is no such number.
      rows_noise: standard deviation of the released number of rows, 0 where that is declared.
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
    refused: LittleToLearn | None = None

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
                ("What can be learned", "; ".join(sentence(outlook) for outlook in self.outlooks)),
                ("Refused", "" if self.refused is None else str(self.refused)),
            ],
            note="Nothing was read beyond the header, and nothing was spent.",
        )

    def to_json(self) -> dict[str, Any]:
        """Return JSON-able data."""
        data = asdict(replace(self, refused=None))
        return {**data, "refused": None if self.refused is None else str(self.refused)}


def plan(config: SynthesizeConfig) -> Plan:
    """Return the plan of a run.

    Guarantee: reads the header only and spends nothing.
    Raises:
      PrivsynthError: the same as `synthesize` for what can be told from public facts; but for `LittleToLearn`, which
        the plan holds.
    """
    schema = config.read_schema()
    budget = config.budget(schema)
    source = open_config_source(config, schema)
    schema, _ = completed_schema(schema, source)
    check_schema_fits(schema, source.names, budget.unit)
    check_invented(schema, source, budget.unit, config.rows or schema.rows)
    generator = load_generator(choose(config.generator))
    types = physical_types(source)
    spec = generator.training_spec()
    spending = make_plan(schema, types, budget, spec, may_stop=not config.anyway)
    told = config.expect_rows or schema.rows
    cases = {
        int(rows): Prospect(
            schema=schema, types=types, budget=budget, generator=generator, scale=TableSize(rows=float(rows))
        )
        for rows in ((told,) if told else GUESSED_ROWS)
    }
    # As in a run: the shares of the parts follow from the number of rows.
    plans = {rows: case.respread(spending) for rows, case in cases.items()}
    outlooks = {rows: case.outlook(plans[rows]) for rows, case in cases.items()}
    return Plan(
        dataset=config.dataset_name(schema),
        epsilon=budget.epsilon,
        delta=budget.delta,
        unit=budget.unit,
        max_rows_per_unit=budget.max_rows_per_unit,
        neighbours=budget.neighbours,
        generator=generator.name,
        epsilon_of_events=epsilon_of(spending.events(), spending.gaussian_delta),
        parts=_parts(plans[max(plans)], spec.share if spec is not None and spending.training else 0.0),
        outlooks=tuple(outlooks.values()),
        refused=refusal(cases[told], outlooks[told])
        if told and outlooks[told].hopeless and not config.anyway
        else None,
        rows_noise=_rows_noise(cases[max(plans)], spending, config.holdout_fraction),
    )


def _rows_noise(case: Prospect, spending: SpendingPlan, holdout_fraction: float) -> float:
    """Return about the standard deviation of the released number of rows; 0 where nothing of it is bought."""
    if "rows" not in spending.parts:
        return 0.0
    usual = case.scale.usual_rows(case.budget)
    return usual * count_noise(spending, holdout_fraction).total_sigma(case.scale.rows / usual)


def _parts(spending: SpendingPlan, training_share: float) -> tuple[Part, ...]:
    total = sum(spending.parts.values()) / (1 - training_share)
    parts = [Part(name, mu2 / total, mu2**-0.5) for name, mu2 in spending.parts.items()]
    if spending.training is not None:
        parts.append(Part("training", training_share, spending.training.noise_multiplier))
    return tuple(parts)

"""What a release would cost and reach, from public facts alone: the header, the schema, the budget and a guessed size.

Nothing is read beyond the header and nothing is spent.
"""

from __future__ import annotations

from dataclasses import replace

from privsynth import _validate
from privsynth.errors import ConfigError, LedgerError
from privsynth.generators.registry import choose, load_generator
from privsynth.ledger.ledger import Ledger
from privsynth.partitions.executors.registry import DEFAULT
from privsynth.pipeline.config import SynthesizeConfig, check_schema_fits
from privsynth.pipeline.learning.sizes import count_noise
from privsynth.pipeline.linked.outlook import plan_linked
from privsynth.pipeline.prior.load import open_prior, refuse_for_linked
from privsynth.pipeline.reading.inputs import check_invented, completed_schema, open_config_source, physical_types
from privsynth.pipeline.spending_plan import make_plan
from privsynth.pipeline.usability.advice import Prospect, refusal
from privsynth.pipeline.usability.outlook import GUESSED_ROWS, TableSize
from privsynth.pipeline.usability.planned import Part, Plan
from privsynth.pipeline.usability.workload import Workload, workload
from privsynth.pipeline.writing.prior_record import planned_sentence
from privsynth.privacy.accounting import epsilon_of
from privsynth.privacy.budget import SpendingPlan
from privsynth.workspace import privsynth_home

MOST_MONEY = 1e6  # for an hour of one processor (own): more is a slip of the keyboard


def plan(config: SynthesizeConfig, *, executor: str = DEFAULT, rate: float | None = None) -> Plan:
    """Return the plan of a run.

    Args:
      executor: what would count the rows; after a colon how many workers.
      rate: money for an hour of one processor.

    Guarantee: reads the header only, and the prior if there is one; spends nothing.
    Raises:
      PrivsynthError: the same as `synthesize` for what can be told from public facts; but for `LittleToLearn`, which
        the plan holds.
    """
    _validate.texts(executor=executor)
    if rate is not None:
        _validate.in_range(0.0, MOST_MONEY, rate=rate)
    if (linked := config.linked_schema()) is not None:
        refuse_for_linked(config)
        return _beside_cap(plan_linked(config, linked))
    made = _plan_of_table(config)
    return _beside_cap(replace(made, workload=_workload(config, made, executor, rate)))


def _beside_cap(made: Plan) -> Plan:
    """Return the plan with what the ledger would say of it; nothing if there is none to read."""
    try:
        over = Ledger.chosen(privsynth_home()).over_cap(made.dataset, epsilon=made.epsilon, delta=made.delta)
    except (LedgerError, ConfigError):  # a run will say so; a plan needs no ledger
        over = None
    return replace(made, over_cap=over)


def _workload(config: SynthesizeConfig, made: Plan, executor: str, rate: float | None) -> Workload | None:
    """Return what the run takes to compute; None where the number of rows is neither declared nor expected."""
    found = workload(
        made.outlooks[-1].rows,
        len(made.outlooks[-1].columns),
        executor,
        draws_rows=made.unit == "row" and config.holdout_fraction > 0,
        rate=rate,
    )
    return found if config.expect_rows or config.read_schema().rows else None


def _plan_of_table(config: SynthesizeConfig) -> Plan:
    schema = config.read_schema()
    budget = config.budget(schema)
    source = open_config_source(config, schema)
    schema, _ = completed_schema(schema, source)
    check_schema_fits(schema, source.names, budget.unit)
    check_invented(schema, source, budget.unit, config.rows or schema.rows)
    generator = load_generator(choose(config.generator))
    known, _ = open_prior(config, schema, source, budget.unit, privsynth_home())
    types = physical_types(source)
    spec = generator.training_spec()
    spending = make_plan(schema, types, budget, spec, may_stop=not config.anyway)
    told = config.expect_rows or schema.rows
    cases = {
        int(rows): Prospect(
            schema=schema,
            types=types,
            budget=budget,
            generator=generator,
            scale=TableSize(rows=float(rows)),
            known=() if known is None else tuple(known.columns),
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
        prior=None if known is None else planned_sentence(known, len(cases[max(plans)].columns)),
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

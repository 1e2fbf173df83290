"""What a release of linked tables would cost and resolve, table by table, from public facts alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from privsynth.errors import LittleToLearn, Option
from privsynth.generators.registry import Generator, LearnsHistories, choose, load_generator
from privsynth.pipeline.config import SynthesizeConfig
from privsynth.pipeline.linked.inputs import OpenedTables, open_linked
from privsynth.pipeline.linked.plan import LinkedPlan, make_linked_plan
from privsynth.pipeline.linked.views import table_schema, view_types
from privsynth.pipeline.spending_plan import modelled_columns, respread
from privsynth.pipeline.usability.advice import LARGER_EPSILONS
from privsynth.pipeline.usability.outlook import ENOUGH, GUESSED_ROWS, Outlook, TableSize, outlook
from privsynth.pipeline.usability.planned import Part, Plan, TablePlan
from privsynth.privacy.accounting import epsilon_of
from privsynth.privacy.budget import Budget
from privsynth.schema.linked import LinkedSchema


def linked_budget(config: SynthesizeConfig, schema: LinkedSchema) -> Budget:
    """Return the promise for one person."""
    return Budget(epsilon=config.epsilon, delta=config.delta, unit=schema.person)


def generator_of_rows(config: SynthesizeConfig) -> Generator:
    """Return the generator of the tables below the root; that of persons is always `marginal`."""
    return load_generator(choose(config.generator))


def plan_of_tables(opened: OpenedTables, budget: Budget, generator: Generator, *, may_stop: bool = False) -> LinkedPlan:
    """Return how a budget is cut over tables that were opened; a function of their headers and the schema.

    Args:
      generator: of the tables below the root.
      may_stop: whether the run ends where the number of persons shows that little can be learned.
    Raises:
      SchemaError: a table has no column that could be learned, or a column has a name that is needed.
    """
    linked = opened.schema
    return make_linked_plan(
        linked,
        {name: table_schema(linked, name) for name in linked.modelled},
        {name: view_types(linked, name, opened.physical[name]) for name in linked.modelled},
        budget,
        generator.histories_spec() if isinstance(generator, LearnsHistories) else None,
        may_stop=may_stop,
    )


def plan_linked(config: SynthesizeConfig, schema: LinkedSchema) -> Plan:
    """Return the plan of a run on linked tables.

    Guarantee: reads headers only and spends nothing.
    Raises:
      PrivsynthError: the same as `synthesize`, for what public facts can tell.
    """
    opened = open_linked(config, schema)
    linked = opened.schema
    budget = linked_budget(config, linked)
    generator = generator_of_rows(config)
    plan = plan_of_tables(opened, budget, generator, may_stop=not config.anyway)
    told = config.expect_rows
    persons = (told,) if told else GUESSED_ROWS
    found = [outlooks_of(opened, plan, n) for n in persons]
    trained = 0.0 if plan.training is None else plan.training.share
    whole = math.fsum(plan.whole.parts.values()) / (1.0 - trained)
    tables, below = [], len(linked.modelled) - 1
    for name in linked.modelled:
        own = plan.of_table(name)
        tables.append(
            TablePlan(
                name=name,
                parent="" if (parent := linked.tables[name].parent) is None else parent.table,
                max_children=own.budget.max_rows_per_unit,
                share=math.fsum(own.parts.values()) / whole + (0.0 if own.training is None else trained / below),
                outlooks=tuple(outlooks[name] for outlooks in found),
            )
        )
    return Plan(
        dataset=config.dataset or linked.dataset or config.dataset_name(linked.of_table(linked.root)),
        epsilon=budget.epsilon,
        delta=budget.delta,
        unit=budget.unit,
        max_rows_per_unit=1,
        neighbours=neighbours(linked),
        generator=generator.name,
        epsilon_of_events=epsilon_of(plan.whole.events(), plan.whole.gaussian_delta),
        parts=_parts(plan, whole, trained),
        outlooks=(),
        tables=tuple(tables),
        persons=tuple(persons),
        refused=refusal_of_tables(opened, budget, generator, told)
        if told and hopeless(found[0]) and not config.anyway
        else None,
    )


def _parts(plan: LinkedPlan, whole: float, trained: float) -> tuple[Part, ...]:
    parts = [Part(part, mu2 / whole, mu2**-0.5) for part, mu2 in plan.whole.parts.items()]
    if plan.whole.training is not None:
        parts.append(Part("training", trained, plan.whole.training.noise_multiplier))
    return tuple(parts)


def neighbours(schema: LinkedSchema) -> str:
    """Return in words which tables are neighbours."""
    return f"add or remove one row of {schema.root} with all rows of the other tables that belong to it"


def outlooks_of(opened: OpenedTables, plan: LinkedPlan, persons: float) -> dict[str, Outlook]:
    """Return what can be resolved of each table, if there are so many persons."""
    return {name: _outlook(opened, plan, name, persons) for name in opened.schema.modelled}


def hopeless(outlooks: Mapping[str, Outlook]) -> bool:
    """Return whether little can be learned: of the persons, or of most columns of all tables together."""
    lost = sum(len(found.names("lost")) for found in outlooks.values())
    columns = sum(len(found.columns) for found in outlooks.values())
    return next(iter(outlooks.values())).hopeless or lost > (1 - ENOUGH) * columns


def sentence_of_tables(outlooks: Mapping[str, Outlook], persons: float, what: str = "persons") -> str:
    """Return in words what can be resolved, table by table."""
    parts = []
    for name, found in outlooks.items():
        lost = found.names("lost")
        noise = f", {len(lost)} lost in noise" if lost else ""
        parts.append(f"{name} {len(found.names('resolved'))} of {len(found.columns)}{noise}")
    counted = "one of the" if round(persons) == 1 else f"{round(persons):,}"
    return f"at {counted} {what}, columns that would be resolved: {'; '.join(parts)}"


def refusal_of_tables(
    opened: OpenedTables,
    budget: Budget,
    generator: Generator,
    persons: float,
    *,
    what: str = "persons",
    cost: str = "Nothing was spent.",
) -> LittleToLearn:
    """Return the error that ends a run on linked tables in which little can be learned.

    Args:
      generator: of the tables below the root.
      what: the words for the persons that are counted.
      cost: what the run has cost by then, as a sentence.
    """
    found = outlooks_of(opened, plan_of_tables(opened, budget, generator, may_stop=True), persons)
    tried = (e for e in LARGER_EPSILONS if e > budget.epsilon)
    plans = ((e, plan_of_tables(opened, replace(budget, epsilon=e), generator, may_stop=True)) for e in tried)
    enough = next((e for e, plan in plans if not hopeless(outlooks_of(opened, plan, persons))), None)
    helps = "many more persons, or fewer tables and columns, with all categories and bounds declared"
    return LittleToLearn(
        f"little can be learned: at epsilon {budget.epsilon:g}, {sentence_of_tables(found, persons, what)}. "
        "What would help: ",
        helps if enough is None else Option("epsilon", f"{enough:g}"),
        f". {cost} To go on all the same: ",
        Option("anyway", python="anyway=True"),
    )


def _outlook(opened: OpenedTables, plan: LinkedPlan, name: str, persons: float) -> Outlook:
    """Return what can be resolved of one table, whose columns share its parts as in a run."""
    own, schema = plan.of_table(name), table_schema(opened.schema, name)
    types = view_types(opened.schema, name, opened.physical[name])
    columns = modelled_columns(types, schema, own.budget.unit)
    usual = TableSize(rows=1.0).usual_rows(own.budget)
    scale = TableSize(rows=persons * usual, rows_per_unit=usual)
    spent = respread(own, n_rows=scale.rows, columns=len(columns), rows_per_unit=usual)
    return outlook(scale, columns, schema, spent, load_generator("marginal"))

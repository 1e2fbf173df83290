"""What a release of linked tables would cost and resolve, table by table, from public facts alone."""

from __future__ import annotations

import math
from dataclasses import replace

from privsynth.generators.registry import load_generator
from privsynth.pipeline.config import SynthesizeConfig
from privsynth.pipeline.linked.inputs import OpenedTables, open_linked
from privsynth.pipeline.linked.plan import LinkedPlan, make_linked_plan
from privsynth.pipeline.linked.views import table_schema, view_types
from privsynth.pipeline.spending_plan import modelled_columns, respread
from privsynth.pipeline.usability.outlook import GUESSED_ROWS, Outlook, TableSize, outlook
from privsynth.pipeline.usability.planned import Part, Plan, TablePlan
from privsynth.privacy.accounting import epsilon_of
from privsynth.privacy.budget import Budget
from privsynth.schema.linked import LinkedSchema


def linked_budget(config: SynthesizeConfig, schema: LinkedSchema) -> Budget:
    """Return the promise for one person."""
    return Budget(epsilon=config.epsilon, delta=config.delta, unit=schema.tables[schema.root].key or "row")


def plan_of_tables(opened: OpenedTables, budget: Budget) -> LinkedPlan:
    """Return how a budget is cut over tables that were opened; a function of their headers and the schema.

    Raises:
      SchemaError: a table has no column that could be learned, or a column has a name that is needed.
    """
    linked = opened.schema
    return make_linked_plan(
        linked,
        {name: table_schema(linked, name) for name in linked.modelled},
        {name: view_types(linked, name, opened.physical[name]) for name in linked.modelled},
        budget,
    )


def plan_linked(config: SynthesizeConfig, schema: LinkedSchema) -> Plan:
    """Return the plan of a run on linked tables.

    Guarantee: reads headers only and spends nothing.
    Raises:
      PrivsynthError: the same as `synthesize`, for what public facts can tell.
    """
    opened = open_linked(replace(config, expect_rows=None), schema)
    linked = opened.schema
    budget = linked_budget(config, linked)
    plan = plan_of_tables(opened, budget)
    persons = (config.expect_rows,) if config.expect_rows else GUESSED_ROWS
    whole = math.fsum(plan.whole.parts.values())
    tables = []
    for name in linked.modelled:
        own = plan.of_table(name)
        tables.append(
            TablePlan(
                name=name,
                parent="" if (parent := linked.tables[name].parent) is None else parent.table,
                max_children=own.budget.max_rows_per_unit,
                share=math.fsum(own.parts.values()) / whole,
                outlooks=tuple(_outlook(opened, plan, name, n) for n in persons),
            )
        )
    return Plan(
        dataset=config.dataset or linked.dataset or config.dataset_name(linked.of_table(linked.root)),
        epsilon=budget.epsilon,
        delta=budget.delta,
        unit=budget.unit,
        max_rows_per_unit=1,
        neighbours=neighbours(linked),
        generator="marginal",
        epsilon_of_events=epsilon_of(plan.whole.events(), plan.whole.gaussian_delta),
        parts=tuple(Part(part, mu2 / whole, mu2**-0.5) for part, mu2 in plan.whole.parts.items()),
        outlooks=(),
        tables=tuple(tables),
        persons=tuple(persons),
    )


def neighbours(schema: LinkedSchema) -> str:
    """Return in words which tables are neighbours."""
    return f"add or remove one row of {schema.root} with all rows of the other tables that belong to it"


def _outlook(opened: OpenedTables, plan: LinkedPlan, name: str, persons: int) -> Outlook:
    """Return what can be resolved of one table, whose columns share its parts as in a run."""
    own, schema = plan.of_table(name), table_schema(opened.schema, name)
    types = view_types(opened.schema, name, opened.physical[name])
    columns = modelled_columns(types, schema, own.budget.unit)
    usual = TableSize(rows=1.0).usual_rows(own.budget)
    scale = TableSize(rows=persons * usual, rows_per_unit=usual)
    spent = respread(own, n_rows=scale.rows, columns=len(columns), rows_per_unit=usual)
    return outlook(scale, columns, schema, spent, load_generator("marginal"))

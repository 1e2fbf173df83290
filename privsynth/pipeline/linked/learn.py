"""The private core for linked tables: from tables to a model of persons. No I/O; rows are read by mechanisms alone.

A person is one unit in each table: the rows that the person has there, weighed together, move every release by what one
unit may. Each table has its own parts of one plan, and Gaussian releases add up, so that one (ε, δ) holds for all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from privsynth.audit.rules import rule_findings
from privsynth.codecs.column_facts import ColumnFacts
from privsynth.domain.layout import Layout
from privsynth.domain.linking import LinkedRows, People, link_rows
from privsynth.findings.finding import Finding
from privsynth.pipeline.learning.learn import (
    FITTING_STREAM,
    figure_inputs,
)
from privsynth.pipeline.learning.noisy_tables import noisy_tables
from privsynth.pipeline.learning.paid_pictures import with_paid_tables
from privsynth.pipeline.linked.one_table.stage import LearnedTable, LinkedRequest, TableStage
from privsynth.pipeline.linked.plan import REPORT, MechanismsOfTable
from privsynth.pipeline.linked.views import order_values
from privsynth.pipeline.usability.outlook import TableSize
from privsynth.privacy.mechanisms import Mechanisms
from privsynth.progress import Progress, no_progress
from privsynth.public_figures.figures import paid_findings
from privsynth.public_figures.inputs import Alike
from privsynth.randomness import KeyedFunction, sampling_rng
from privsynth.release.noisy.tables import PublishedTables
from privsynth.sampling.linked.draw import draw_linked
from privsynth.sampling.linked.drawn import DrawnTable, rules_held
from privsynth.sampling.linked.kept_shares import with_kept_shares
from privsynth.sampling.linked.model import (
    LinkedModel,
)
from privsynth.schema.linked import LinkedSchema
from privsynth.table import Table


@dataclass(frozen=True, kw_only=True)
class PublicTables:
    """What may leave: functions of public facts, released figures and published randomness.

    Attributes:
      model: to draw persons from.
      drawn: the synthetic tables.
      facts, layouts: table -> what each of its columns is and became.
      scales: table -> the released size of its training rows.
      findings: the public findings; the group of each begins with its table.
      noisy: the noisy tables that were paid for; None if no generator tells any.
    """

    model: LinkedModel
    drawn: Mapping[str, DrawnTable]
    facts: Mapping[str, Mapping[str, ColumnFacts]]
    layouts: Mapping[str, Layout]
    scales: Mapping[str, TableSize]
    findings: tuple[Finding, ...]
    noisy: PublishedTables | None = None


def learn_linked(
    tables: Mapping[str, Table],
    request: LinkedRequest,
    mechanisms: Mechanisms,
    keyed: KeyedFunction,
    *,
    progress: Progress = no_progress,
) -> PublicTables:
    """Return what may leave: a model of persons with all their rows, synthetic persons, and the public figures.

    Guarantee: (ε, δ)-DP for adding or removing one person with all rows in all tables, with the plan's budget. Each
      table's releases see at most `max_children` rows of a person, and spend that table's parts.
    """
    schema = request.schema
    tables, rows, people = link_people(tables, request, keyed)
    learned: dict[str, LearnedTable] = {}
    parts = dict(request.plan.whole.parts)
    for i, name in enumerate(schema.modelled):
        progress(f"learning {name}", i / len(schema.modelled))
        partition = people.partition(rows[name], 1 if name == schema.root else schema.tables[name].max_children, keyed)
        plan = request.plan.of_table(name, parts)
        steps = 0 if plan.training is None else plan.training.steps
        stage = TableStage(name, request, MechanismsOfTable(mechanisms, parts, name, steps), plan)
        learned[name] = stage.learn(tables[name], rows, partition, learned, progress)
        if name != schema.root:
            learned[schema.root] = stage.with_row_numbers(learned[schema.root], learned[name])
        learned[name].mechanisms.pass_on(schema.modelled[i + 1 :])
    models = {name: one.model for name, one in learned.items()}
    n_persons = max(round(learned[schema.root].sizes.used), 1)
    rng = sampling_rng(request.seed, FITTING_STREAM - 2 * len(learned))
    model = with_kept_shares(LinkedModel(schema, models, n_persons, request.dataset), rng, progress=progress)
    drawn = draw_linked(model, request.n_persons or n_persons, seed=request.seed, progress=progress)
    findings: list[Finding] = []
    for i, (name, one) in enumerate(learned.items()):
        progress(f"measuring the public figures of {name}", i / len(learned))
        rng = sampling_rng(request.seed, FITTING_STREAM - len(learned) - i)
        bought = _figures(one, drawn[name], request, rng, parts[f"{name}/{REPORT}"])
        findings += [_of_table(finding, name) for finding in bought]
        findings += [_of_table(finding, name) for finding in rule_findings(rules_held(model, name, drawn))]
    return PublicTables(
        model=model,
        drawn=drawn,
        facts={name: one.columns.facts for name, one in learned.items()},
        layouts={name: one.columns.layout for name, one in learned.items()},
        scales={name: one.sizes.scale for name, one in learned.items()},
        findings=tuple(findings),
        noisy=noisy_tables(
            request.dataset,
            request.plan.whole.budget.unit,
            {name: one.counted for name, one in learned.items()},
        ),
    )


def persons_of_rows(tables: Mapping[str, Table], schema: LinkedSchema) -> dict[str, LinkedRows]:
    """Return how the rows of each table belong to persons. Private."""
    return link_rows(tables, schema, lambda name: order_values(tables[name], schema, name))


def link_people(
    tables: Mapping[str, Table], request: LinkedRequest, keyed: KeyedFunction
) -> tuple[dict[str, Table], dict[str, LinkedRows], People]:
    """Return the rows that belong to persons, how they belong together, and who is held out. Private.

    Guarantee: the same tables and the same keyed function give the same.
    """
    schema = request.schema
    rows = persons_of_rows(tables, schema)
    linked = {name: tables[name].take(one.row) for name, one in rows.items()}
    root = schema.tables[schema.root]
    return linked, rows, People.draw(linked[schema.root], root.key, request.holdout_fraction, keyed)


def _figures(
    one: LearnedTable, drawn: DrawnTable, request: LinkedRequest, rng: np.random.Generator, mu_squared: float
) -> list[Finding]:
    """Return the public figures of one table.

    Guarantee: its part "report".
    """
    schema, per_unit = request.schema.of_table(one.mechanisms.table), one.sizes.rows_per_unit
    inputs = figure_inputs(one.columns, drawn.codes, schema, holdout_fraction=request.holdout_fraction)
    if per_unit is not None:
        inputs = replace(inputs, alike=Alike(real=per_unit.rows_beside(used=True)))
    found = paid_findings(inputs, one.mechanisms, mu_squared=mu_squared, rng=rng)
    measured = getattr(one.model.fitted, "measured", ())
    return with_paid_tables(found, measured, drawn.codes, one.columns.codec)


def _of_table(finding: Finding, table: str) -> Finding:
    """Return a finding that says which table it is of."""
    return replace(finding, group=f"{table}: {finding.group}" if finding.group else table)

"""Fits one generator on the training persons, with timing; writes synthetic tables to a private folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from privsynth.benchmark.config import FLAT, BenchmarkConfig, Case
from privsynth.benchmark.fit import REFERENCE_STAGE, FitCost, Watch, fit_private
from privsynth.benchmark.linked.persons import RealPersons, write_frames
from privsynth.generators.registry import load_generator
from privsynth.generators.sdv import LinkedFrames, reference_tables
from privsynth.pipeline.learning.request import Request
from privsynth.pipeline.linked.learn import learn_linked
from privsynth.pipeline.linked.one_table.stage import LinkedRequest
from privsynth.pipeline.linked.outlook import plan_of_tables
from privsynth.pipeline.reading.inputs import physical_types
from privsynth.privacy.budget import Bill, Budget
from privsynth.privacy.mechanisms import GaussianMechanisms
from privsynth.progress import Progress
from privsynth.randomness import KeyedFunction
from privsynth.release.linked import write_linked
from privsynth.sampling.linked.draw import draw_linked
from privsynth.schema.definition import Column, Schema
from privsynth.schema.linked import LinkedSchema
from privsynth.sources.registry import SourceOptions, open_source, read_table
from privsynth.workspace import Workspace


def fit_persons(
    real: RealPersons, config: BenchmarkConfig, case: Case, folder: Path, workspace: Workspace, progress: Progress
) -> FitCost:
    """Fit the case's generator on the training persons and write synthetic tables of about as many to `folder`.

    Guarantee: as of `privsynth.benchmark.fit.fit`, for one person with all rows in all tables.
    """
    if case.epsilon is None:
        return _fit_reference(real, config, case, folder, progress)
    if case.generator.startswith(FLAT):
        return _fit_flat(real, config, case, folder, workspace, progress)
    schema, generator = real.schema, load_generator(case.generator)
    budget = Budget(epsilon=case.epsilon, delta=config.delta, unit=schema.person)
    request = LinkedRequest(
        schema=schema,
        plan=plan_of_tables(real.opened, budget, generator),
        generator=generator,
        of_persons=load_generator("marginal"),
        dataset="benchmark",
        holdout_fraction=0.0,
        seed=case.seed,
        typed=real.opened.typed,
        families=real.opened.families,
        formats=real.opened.formats,
    )
    watch, bill = Watch(), Bill(request.plan.whole)
    public = learn_linked(real.train, request, GaussianMechanisms(bill), KeyedFunction(), progress=progress)
    watch.lap()
    persons = public.drawn[schema.root].n_rows
    draw_linked(public.model, persons, seed=case.seed)
    watch.lap()
    folder.mkdir(parents=True, exist_ok=True)
    write_linked(public.model, public.drawn, folder, suffix="parquet", seed=case.seed, label={})
    return watch.cost(rows=persons, epsilon_spent=bill.epsilon_spent())


def _fit_reference(real: RealPersons, config: BenchmarkConfig, case: Case, folder: Path, progress: Progress) -> FitCost:
    frames, tables = real.frames()
    progress(REFERENCE_STAGE, 0.0)
    watch = Watch()
    made = reference_tables(
        case.generator, frames, tables.kinds, orders=tables.orders, seed=case.seed, epochs=config.reference_epochs
    )
    watch.lap()
    write_frames(made, real.schema, real.train, folder)
    return watch.cost(rows=len(made.frames[made.root]))


def _fit_flat(
    real: RealPersons, config: BenchmarkConfig, case: Case, folder: Path, workspace: Workspace, progress: Progress
) -> FitCost:
    """Fit a generator of one table on the rows below the persons, each with the columns of its person beside it.

    Guarantee: as of a release of one table whose unit is the person.
    """
    assert case.epsilon is not None
    frames, _ = real.frames()
    joined, schema = flatten(frames, real.schema)
    source = open_source(joined, SourceOptions())
    train, _ = read_table(source, workspace)
    most = schema.max_rows_per_unit or 1
    budget = Budget(epsilon=case.epsilon, delta=config.delta, unit=str(schema.unit), max_rows_per_unit=most)
    generator = load_generator(case.generator.removeprefix(FLAT))
    request = Request.on_all_rows(schema, physical_types(source), budget, generator, seed=case.seed)
    path = workspace.folder / "flat.parquet"
    cost = fit_private(train, replace(request, keep_units=True), path, progress)
    made = split_again(pd.read_parquet(path), frames, str(schema.unit))
    write_frames(made, real.schema, real.train, folder)
    return replace(cost, rows=len(made.frames[made.root]))


def flatten(real: LinkedFrames, schema: LinkedSchema) -> tuple[pd.DataFrame, Schema]:
    """Return the rows below the persons as one table, and its schema; a person without rows is one of missing values.

    Rules are lost, and so is the order.

    Args:
      real: with one table below that of the persons.
    """
    ((table, root),) = real.above.items()
    person, parent = f"{root}.{schema.person}", real.parent[table]
    alone = np.setdiff1d(np.arange(len(real.frames[root])), parent)
    of_row = np.concatenate([parent, alone])
    above = real.frames[root].add_prefix(f"{root}.").iloc[of_row].reset_index(drop=True)
    joined = pd.concat([real.frames[table].reindex(range(len(of_row))), above], axis=1).assign(**{person: of_row})
    columns = {person: Column(kind="id")}
    for name, column in schema.of_table(table).columns.items():
        if name in real.frames[table]:
            columns[name] = column.model_copy(update={"nullable": True, "follows": None})
    for name, column in schema.of_table(root).columns.items():
        if name in real.frames[root]:
            columns[f"{root}.{name}"] = column.model_copy(update={"constant_within_unit": True, "follows": None})
    return joined, Schema(columns=columns, unit=person, max_rows_per_unit=schema.tables[table].max_children)


def split_again(rows: pd.DataFrame, real: LinkedFrames, person: str) -> LinkedFrames:
    """Return persons and their rows from rows that `flatten` would make; rows of missing values alone are none."""
    ((table, root),) = real.above.items()
    own = list(real.frames[table].columns)
    of_row, _ = pd.factorize(rows[person])
    first = pd.Series(of_row).drop_duplicates().index
    above = rows.iloc[first][[f"{root}.{name}" for name in real.frames[root].columns]]
    above.columns = real.frames[root].columns
    there = rows[own].notna().any(axis=1).to_numpy()
    return LinkedFrames({root: above, table: rows.loc[there, own]}, {table: of_row[there]}, real.above)

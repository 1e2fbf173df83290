"""Evaluation of synthetic linked tables: figures by the definitions of the audit of linked tables.

    count    number of rows that each row above has
    column, within
             single columns, and pairs of columns, of a row
    parent   a column of a row and one of a row above it
    next     a column in one row and in the next of the same parent
    gap      the gap to the next row, alone and with each column
    place    a column and the row's place
    agg1, agg2
             single figures that sum up a person, and pairs of them
    keys     share of the written rows whose key is their own and leads to a row
    tstr:COLUMN, ap:COLUMN, r2:COLUMN, c2st
             as of one table (`privsynth.benchmark.judge`), where a row is a person with all rows summed up

The first nine are 1 − the mean total variation distance from the training persons, over all such sets of columns of a
table, and over the tables (`privsynth.audit.linked.views`). Real persons evaluated in the same way are the ceiling.
"""

from __future__ import annotations

from dataclasses import replace
from statistics import fmean

import numpy as np

from privsynth.audit.common.audit_tables import thin
from privsynth.audit.common.discretise import distances
from privsynth.audit.common.settings import AuditContext, AuditSettings
from privsynth.audit.linked.linked_tables import LinkedPersons, LinkedTables
from privsynth.audit.linked.person_rows import person_rows
from privsynth.audit.linked.views import CodedView, Views
from privsynth.benchmark.judge import told_apart, usefulness
from privsynth.progress import Progress, no_progress

# View of the audit -> figure, in the order in which they are shown.
FIGURES = {
    "children_distance": "count",
    "tvd_1way": "column",
    "tvd_2way": "within",
    "parent_distance": "parent",
    "transition_distance": "next",
    "gap_distance": "gap",
    "place_distance": "place",
    "aggregate_1way": "agg1",
    "aggregate_2way": "agg2",
}


def judge_persons(
    tables: LinkedTables, targets: tuple[str, ...], *, max_rows: int, progress: Progress = no_progress
) -> dict[str, float]:
    """Return the figures of the synthetic persons, cut to as many as there are training persons.

    Guarantee: none; every figure is exact, about real persons.
    Args:
      tables: with a holdout.
      targets: columns of the persons' table.
      max_rows: at most this many persons of a group train a model.
    """
    kept = thin(tables.synthetic.n, tables.train.n, np.random.default_rng(0))  # more persons must be no advantage
    tables = replace(tables, synthetic=tables.synthetic.take(kept, tables.above))
    progress("judging: histories", 0.0)
    found = alike(tables) | {"keys": sound_keys(tables.synthetic)}
    progress("judging: models", 0.0)
    return found | _by_models(tables, targets, max_rows=max_rows)


def ceiling_of_persons(
    tables: LinkedTables, targets: tuple[str, ...], *, max_rows: int, progress: Progress = no_progress
) -> dict[str, float]:
    """Return the figures of real persons; `tables.synthetic` is not used."""
    assert tables.holdout is not None
    progress("judging: real persons", 0.0)
    found = alike(replace(tables, synthetic=tables.holdout)) | {"keys": sound_keys(tables.train)}
    return found | _by_models(replace(tables, synthetic=tables.train), targets, max_rows=max_rows)


def alike(tables: LinkedTables) -> dict[str, float]:
    """Return the figures of distance, as far as the training persons have what they compare."""
    # The sets of columns are the same in every run.
    views = Views(tables, AuditContext(AuditSettings()), np.random.default_rng(0))
    every = [*(view for name in tables.train.rows for view in views.of_rows(name)), *views.of_histories(pairs=True)]
    found: dict[str, list[float]] = {name: [] for name in FIGURES.values()}
    for view in every:
        if view.marginals and len(view.persons["train"]):
            found[FIGURES[view.name]].append(1.0 - _distance(view))
    return {name: fmean(values) for name, values in found.items() if values}


def _distance(view: CodedView) -> float:
    """Return the mean distance of a view; 1 where there is no synthetic row."""
    train, synthetic = view.codes["train"], view.codes["synthetic"]
    return distances(train, synthetic, view.sizes, view.marginals).mean if view.speaks else 1.0


def sound_keys(people: LinkedPersons) -> float:
    """Return the share of the rows, as they are written, with no fault of a key."""
    rows = sum(faults.n_rows for faults in people.faults.values())
    broken = sum(
        (faults.orphans or 0) + (faults.repeated or 0) + sum(faults.dangling.values())
        for faults in people.faults.values()
    )
    return 1.0 - min(broken, rows) / max(rows, 1)


def _by_models(tables: LinkedTables, targets: tuple[str, ...], *, max_rows: int) -> dict[str, float]:
    persons = person_rows(tables, AuditContext(AuditSettings()))
    found: dict[str, float] = {}
    for target in targets:
        if target in persons.columns:
            found |= usefulness(persons, target, max_rows=max_rows)
    return found | told_apart(persons)

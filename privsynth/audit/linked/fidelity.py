"""Fidelity of linked tables: rows by themselves, and histories: what belongs together across rows and tables."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from privsynth.audit.common.settings import AuditContext
from privsynth.audit.fidelity.pictures import DrawnColumns, with_pictures
from privsynth.audit.linked.distances import Measured, findings, measure
from privsynth.audit.linked.entry import LinkedAudit
from privsynth.audit.linked.linked_tables import LinkedTables
from privsynth.audit.linked.views import MOST_CHILDREN, CodedView, Views, gaps_of
from privsynth.findings.finding import Finding
from privsynth.findings.insufficient import insufficient
from privsynth.schema.definition import TIME_KINDS

DAY = 86_400  # seconds
SHOWN = 8  # values of a column in a matrix of transitions, the most frequent: what can be read (own)


def rows_alike(tables: LinkedTables, *, rng: np.random.Generator, context: AuditContext) -> list[Finding]:
    """Return the distances of columns and pairs of columns within the rows of each table."""
    views, found = Views(tables, context, rng), []
    for table in tables.train.rows:
        own = [finding for view in views.of_rows(table) for finding in _of_view(view, rng)]
        real, synthetic = (part.rows[table].frame for part in (tables.train, tables.synthetic))
        found += with_pictures(own, DrawnColumns(real, synthetic, tables.kinds[table]), table=table)
    return found


def histories_alike(tables: LinkedTables, *, rng: np.random.Generator, context: AuditContext) -> list[Finding]:
    """Return the distances of numbers of rows, ties to rows above, places, transitions, gaps, and whole persons."""
    found = []
    for view in Views(tables, context, rng).of_histories(pairs=context.settings.level != "quick"):
        own = _of_view(view, rng)
        found += _with_gaps(own, tables, view.table) if view.name == "gap_distance" else own
    return found


def _of_view(view: CodedView, rng: np.random.Generator) -> list[Finding]:
    if not view.marginals:
        return []
    if not view.speaks:
        name = view.name if view.is_single else f"{view.name}_mean"
        why = f"there are no rows to compare {view.words} of."
        return [insufficient(view.family, name, why, group=view.table)]
    measured = measure(view, rng)
    return findings(measured, rng, detail=_picture(measured))


def _picture(measured: Measured) -> dict[str, Any]:
    """Return what a picture of the worst set shows."""
    view = measured.view
    if view.is_single:
        return _shares(view)
    if view.name == "transition_distance":
        return _matrices(view, view.marginals[int(measured.order[0])])
    return {}


def _with_gaps(findings: list[Finding], tables: LinkedTables, table: str) -> list[Finding]:
    """Return the findings on gaps, the mean with what a picture of the gaps by themselves shows."""
    order = tables.orders[table]
    times = tables.kinds[table].get(order, "") in TIME_KINDS
    parts = (gaps_of(part, table, order) / (DAY if times else 1.0) for part in (tables.train, tables.synthetic))
    real, synthetic = (pd.DataFrame({"gap": gaps}) for gaps in parts)
    if not len(real) or not len(synthetic):
        return findings
    drawn = DrawnColumns(real, synthetic, {"gap": "numeric"}).overlay("gap")
    detail = {"overlay": drawn, "measured_in": "days" if times else ""}
    return [replace(f, detail={**f.detail, **detail}) if f.name == "gap_distance_mean" else f for f in findings]


def _shares(view: CodedView) -> dict[str, Any]:
    """Return the shares of parents with 0, 1, 2, … rows, as far as any part has them."""
    counts = {name: np.bincount(codes[0], minlength=MOST_CHILDREN + 1) for name, codes in view.codes.items()}
    last = max(int(np.flatnonzero(count)[-1]) for count in counts.values())
    shares = {name: (count[: last + 1] / count.sum()).round(6).tolist() for name, count in counts.items()}
    return {"labels": view.values[0][: last + 1], "real": shares["train"], "synthetic": shares["synthetic"]}


def _matrices(view: CodedView, marginal: tuple[int, ...]) -> dict[str, Any]:
    """Return how often the most frequent values of a column are followed by each other, real and synthetic."""
    now, after = marginal
    count = np.bincount(view.codes["train"][now], minlength=view.sizes[now])
    shown = np.sort(np.argsort(-count, kind="stable")[: min(SHOWN, int((count > 0).sum()))])
    grids = {}
    for part in ("train", "synthetic"):
        pairs = view.codes[part][now].astype(np.int64) * view.sizes[after] + view.codes[part][after]
        table = np.bincount(pairs, minlength=view.sizes[now] * view.sizes[after])
        table = table.reshape(view.sizes[now], view.sizes[after])
        whole = np.maximum(table.sum(axis=1, keepdims=True), 1)
        grids[part] = (table / whole)[np.ix_(shown, shown)].round(4).tolist()
    return {
        "column": view.columns[now],
        "labels": [view.values[now][i] for i in shown],
        "real": grids["train"],
        "synthetic": grids["synthetic"],
    }


ROWS = LinkedAudit(
    name="rows",
    family="fidelity",
    run=rows_alike,
    titles={
        "tvd_1way_mean": "Mean distance, single columns",
        "tvd_2way_mean": "Mean distance, pairs of columns",
        "tvd_1way": "Distance of each column",
        "tvd_2way": "Distance of each pair of columns",
        "tvd_1way_worst": "Worst column",
        "tvd_2way_worst": "Worst pair of columns",
        "tvd_1way_excess": "Distance beyond chance, single columns",
        "tvd_2way_excess": "Distance beyond chance, pairs",
    },
)

HISTORIES = LinkedAudit(
    name="histories",
    family="histories",
    run=histories_alike,
    titles={
        "children_distance": "Number of rows for each row above",
        "children_distance_excess": "Number of rows for each row above, beyond chance",
        "parent_distance_mean": "Mean distance, a column and one of a row above",
        "parent_distance_worst": "Worst pair of a column and one of a row above",
        "parent_distance": "Distance of a column and one of a row above",
        "parent_distance_excess": "Distance beyond chance, a column and one of a row above",
        "place_distance_mean": "Mean distance, a column and the place in the history",
        "place_distance_worst": "Worst pair of a column and the place in the history",
        "place_distance": "Distance of a column and the place in the history",
        "place_distance_excess": "Distance beyond chance, a column and the place in the history",
        "transition_distance_mean": "Mean distance, a column in one row and in the next",
        "transition_distance_worst": "Worst column in one row and in the next",
        "transition_distance": "Distance of a column in one row and in the next",
        "transition_distance_excess": "Distance beyond chance, a column in one row and in the next",
        "gap_distance_mean": "Mean distance, gaps between rows",
        "gap_distance_worst": "Worst distance of gaps between rows",
        "gap_distance": "Distance of gaps between rows",
        "gap_distance_excess": "Distance beyond chance, gaps between rows",
        "aggregate_1way_mean": "Mean distance, figures that sum up a person",
        "aggregate_1way_worst": "Worst figure that sums up a person",
        "aggregate_1way": "Distance of a figure that sums up a person",
        "aggregate_1way_excess": "Distance beyond chance, figures that sum up a person",
        "aggregate_2way_mean": "Mean distance, pairs of figures that sum up a person",
        "aggregate_2way_worst": "Worst pair of figures that sum up a person",
        "aggregate_2way": "Distance of a pair of figures that sum up a person",
        "aggregate_2way_excess": "Distance beyond chance, pairs of figures that sum up a person",
    },
    left_out={"quick": "No pairs of the figures that sum up a person."},
)

"""`usability`: which columns and ties of a release are worth something, from paid figures and public facts alone."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from privsynth.codecs.columns import CategoryCodec, ColumnCodec
from privsynth.codecs.columns.category import OTHER
from privsynth.codecs.table import TableCodec
from privsynth.findings.finding import Finding
from privsynth.findings.usability import COLUMNS, MOST_PAIRS, HiddenTie, JoinedCodes, Usability
from privsynth.generators.registry import Generator, PublicFacts
from privsynth.pipeline.learning.request import Public, Request
from privsynth.pipeline.usability.hidden import hidden_column, hidden_pairs
from privsynth.pipeline.usability.outlook import Status, TableSize, status_of
from privsynth.pipeline.usability.resolution import unresolved
from privsynth.privacy.budget import Budget, SpendingPlan
from privsynth.public_figures.fidelity import kept
from privsynth.release.noisy.tables import PublishedTables
from privsynth.schema.definition import Schema

MOSTLY_OTHER = 0.5  # share of OTHER from which a column says less than it hides (own)
NEARLY_ALL = 0.95  # share of missing cells from which a column is empty (own); noise leaves a value here and there
OPEN_ENDS: Sequence[Status] = ("resolved", "coarse", "lost")


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A table that was learned: public facts, released figures and synthetic rows.

    Attributes:
      codec: of its columns.
      schema, budget, plan, generator: as it was learned with; the plan as the run has spent it.
      scale: released size of its training rows.
      findings: its public findings.
      cells: column -> its synthetic cells.
      added: columns that the model has beside those of the table, such as the time since the row before.
      noisy: the noisy tables of the release, and the name of this one in them; None if its generator tells none.
    """

    codec: TableCodec
    schema: Schema
    budget: Budget
    plan: SpendingPlan
    generator: Generator
    scale: TableSize
    findings: Sequence[Finding]
    cells: Callable[[str], pd.Series]
    added: Collection[str] = ()
    noisy: tuple[PublishedTables, str] | None = None


def usability(public: Public, request: Request, plan: SpendingPlan) -> Usability:
    """Return what is worth something of a release of one table (see `usability_of`).

    Args:
      plan: as the run has spent it.
    """
    return usability_of(
        Judged(
            codec=public.model.codec,
            schema=request.schema,
            budget=request.budget,
            plan=plan,
            generator=request.generator,
            scale=public.scale,
            findings=public.findings,
            cells=lambda name: public.rows.frame({name})[name],
            noisy=None if public.noisy is None else (public.noisy, ""),
        )
    )


def usability_of(table: Judged) -> Usability:
    """Return what is worth something of a table.

    A column of which hardly a synthetic row has a value is empty. Another one is judged by the worst of: whether any
    value stood out, how much became OTHER, the noise that its codes got (`Generator.expected_errors`, at the number of
    rows that was bought), and its distance, if the report has it.
    """
    errors = _expected(table)
    distances = _lowest_distances(table.findings)
    found: dict[str, str] = {}
    noise: dict[str, float] = {}
    for codec in table.codec.codecs:
        if not codec.attributes():
            continue  # an identifier, or what follows from other columns
        if codec.name not in table.added and _empty(table.cells(codec.name)):
            found[codec.name] = "empty"
            continue
        names = [attribute.name for attribute in codec.attributes()]
        each = [max(errors[name], distances.get(name, 0.0)) for name in names]
        judged, noise[codec.name] = [status_of(one) for one in each], max(each)
        if unresolved(codec, table.schema.column(codec.name)) or _mostly_other(codec, table):
            judged.append("lost")
        found[codec.name] = max(judged, key=OPEN_ENDS.index)
    judged_ties = [tie for tie in table.findings if tie.name == "tie_distance"]
    ties = {tie.group: kept(tie) for tie in judged_ties}
    pairs, hidden = _hidden_pairs(table)
    return Usability(
        hidden_columns=tuple(
            hidden_column(name, noise[name], table.scale.rows) for name, of in found.items() if of == "lost"
        ),
        hidden_pairs=tuple(hidden[:MOST_PAIRS]),
        pairs=pairs,
        pairs_hidden=len(hidden),
        **{status: tuple(name for name, of in found.items() if of == status) for status in COLUMNS},
        kept=tuple(name for name, is_kept in ties.items() if is_kept),
        missed=tuple(name for name, is_kept in ties.items() if is_kept is False),
        unclear=tuple(name for name, is_kept in ties.items() if is_kept is None),
        judged_in=tuple(
            JoinedCodes(tie=tie.group, **one) for tie in judged_ties for one in tie.detail.get("joined", ())
        ),
    )


def _hidden_pairs(table: Judged) -> tuple[int, list[HiddenTie]]:
    """Return how many pairs of columns there are, and those that noise hides; those of targets come first."""
    if table.noisy is None:
        return 0, []
    tables, name = table.noisy
    owners = {attribute.name: codec.name for codec in table.codec.codecs for attribute in codec.attributes()}
    first = {*table.schema.with_role("target"), *table.schema.with_role("protected")}
    return hidden_pairs(tables, name, owners, table.scale.rows, first)


def _expected(table: Judged) -> Mapping[str, float]:
    """Return attribute -> the distance that noise makes in its one-way table."""
    attributes = table.codec.attributes
    facts = PublicFacts(
        n_rows=table.scale.rows,
        sizes=tuple(attribute.size for attribute in attributes),
        max_rows_per_unit=table.budget.max_rows_per_unit,
        rows_per_unit=table.scale.usual_rows(table.budget),
    )
    errors = table.generator.expected_errors(facts, table.plan).one_way
    return {attribute.name: error for attribute, error in zip(attributes, errors, strict=True)}


def _lowest_distances(findings: Sequence[Finding]) -> dict[str, float]:
    """Return attribute -> the least distance that the report's figure allows."""
    return {f.group: f.low for f in findings if f.name == "tvd_1way" and f.low is not None}


def _mostly_other(codec: ColumnCodec, table: Judged) -> bool:
    """Return whether most synthetic rows have OTHER."""
    if not isinstance(codec, CategoryCodec) or not codec.other:
        return False
    cells = table.cells(codec.name)
    return len(cells) > 0 and float((cells == OTHER).mean()) > MOSTLY_OTHER


def _empty(cells: pd.Series) -> bool:
    """Return whether hardly a synthetic row has a value."""
    return len(cells) > 0 and float(cells.isna().mean()) >= NEARLY_ALL

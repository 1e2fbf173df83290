"""What the reports say of each column: a function of public facts and released figures."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import singledispatch

from privsynth.codecs.column_facts import ColumnFacts
from privsynth.codecs.columns import (
    CategoryCodec,
    ColumnCodec,
    ComputedCodec,
    DerivedCodec,
    NumberCodec,
    PersonalCodec,
    SurrogateCodec,
    TiedCodec,
    TimeCodec,
)
from privsynth.codecs.table import TableCodec
from privsynth.hierarchies import Hierarchy
from privsynth.pipeline.learning.request import Public
from privsynth.pipeline.usability.resolution import unresolved
from privsynth.report.records.tables import ColumnRecord, Provenance
from privsynth.schema.calculations import written
from privsynth.schema.definition import Column, Schema

FEW_VALUES = 30  # of a column that a data dictionary lists (own): two lines of a page
_LIKE_NUMBER = re.compile(r"0[0-9]+$")
SHARED = "a fresh surrogate for each synthetic unit, which its rows share"


def column_records(public: Public, schema: Schema) -> tuple[ColumnRecord, ...]:
    """Return what the public may know of each column of the source."""
    known = dict(public.layout.dropped)
    if public.model.units is not None and public.model.units.column is not None:
        known[public.model.units.column] = SHARED
    records = records_of_columns(public.model.codec, public.facts, schema, known)
    told = () if public.prior is None else public.prior.columns
    return tuple(_from_prior(record) if record.name in told else record for record in records)


def _from_prior(record: ColumnRecord) -> ColumnRecord:
    """Return a column whose categories or bins a prior tells."""
    domain = record.domain.replace(" with enough units", "").replace(", found with noise", "")
    return replace(record, domain=f"{domain}; as in the prior", provenance="prior")


def records_of_columns(
    codec: TableCodec, facts: Mapping[str, ColumnFacts], schema: Schema, treated: Mapping[str, str]
) -> tuple[ColumnRecord, ...]:
    """Return what the public may know of each column of a table.

    Args:
      treated: column -> what became of it, where its codec does not say.
    """
    infos = []
    for name, fact in facts.items():
        column, of_column = schema.column(name), codec.by_name.get(name)
        domain, provenance = _domain(of_column, column, fact)
        infos.append(
            ColumnRecord(
                name=name,
                kind=fact.kind,
                domain=domain,
                provenance=provenance,
                treatment=treated.get(name) or _treatment(of_column, column),
                roles=column.roles,
                nullable=column.nullable,
                note=column.description or "",
                unit=column.unit or "",
                hierarchy="" if column.hierarchy is None else _levels(column.hierarchy),
                values=_few_values(of_column),
                digits=isinstance(of_column, CategoryCodec) and any(_LIKE_NUMBER.match(v) for v in of_column.texts),
            )
        )
    return tuple(infos)


def _levels(hierarchy: Hierarchy) -> str:
    return f"{hierarchy.name}: {' > '.join(hierarchy.levels)}"


def _few_values(codec: ColumnCodec | None) -> tuple[str, ...]:
    """Return what a column of categories can hold, if a reader can take it in at a glance."""
    if not isinstance(codec, CategoryCodec):
        return ()
    texts = tuple(dict.fromkeys(codec.drawn_texts))
    return texts if len(texts) <= FEW_VALUES else ()


def _treatment(codec: ColumnCodec | None, column: Column) -> str:
    if codec is None:
        return "modelled"
    if unresolved(codec, column):
        missing = "its categories, or kind: id" if codec.family == "text" else "its minimum and maximum"
        reason = "at this budget no value stands out from the noise, so the synthetic values are arbitrary"
        return f"not resolved: {reason}; declare {missing}"
    return _treated(codec)


@singledispatch
def _treated(codec: ColumnCodec) -> str:
    """Return in words what became of a column."""
    return f"modelled as the amount above {codec.base}" if codec.base else "modelled"


@_treated.register
def _(codec: SurrogateCodec) -> str:
    return f"a fresh surrogate in every row, {codec.format.text}: rows of one unit are not linked"


@_treated.register
def _(codec: PersonalCodec) -> str:
    return "invented for every row; the cells are not read"


@_treated.register
def _(codec: CategoryCodec) -> str:
    return "modelled" if codec.source is None else f"follows from {codec.source}, by the declared code book"


@_treated.register
def _(codec: TiedCodec) -> str:
    return f"modelled by how far its rank lies from that of {codec.near}, which nearly determines it"


@_treated.register
def _(codec: DerivedCodec) -> str:
    return f"derived by rule: {codec.minuend} − {codec.subtrahend}"


@_treated.register
def _(codec: ComputedCodec) -> str:
    return f"computed by rule: {written(codec.calculation).replace('`', '')}"


def _domain(codec: ColumnCodec | None, column: Column, fact: ColumnFacts) -> tuple[str, Provenance]:
    return ("none", fact.provenance) if codec is None else _values(codec, column, fact)


@singledispatch
def _values(codec: ColumnCodec, column: Column, fact: ColumnFacts) -> tuple[str, Provenance]:
    """Return in words what a column can hold, and where that comes from."""
    return "none", fact.provenance


@_values.register
def _(codec: CategoryCodec, column: Column, fact: ColumnFacts) -> tuple[str, Provenance]:
    count = f"{len(codec.values)} {'category' if len(codec.values) == 1 else 'categories'}"
    if fact.kind == "boolean":
        return " or ".join(codec.values), fact.provenance
    if column.categories is not None:
        stated = fact.provenance == "fixed"
        return f"{count}, {'from the types of the source' if stated else 'declared'}", "fixed" if stated else "declared"
    if codec.closed:
        return f"{count} with enough units; no row was found to hold another", "bought"
    others = "OTHER" if codec.hierarchy is None else "their group"
    return f"{count} with enough units; all others become {others}", "bought"


@_values.register(ComputedCodec)
@_values.register(DerivedCodec)
def _(codec: ComputedCodec | DerivedCodec, column: Column, fact: ColumnFacts) -> tuple[str, Provenance]:
    return "computed", "declared"


@_values.register(NumberCodec)
@_values.register(TiedCodec)
@_values.register(TimeCodec)
def _(codec: NumberCodec | TiedCodec | TimeCodec, column: Column, fact: ColumnFacts) -> tuple[str, Provenance]:
    low, high = column.minimum, column.maximum
    bounds = f"{_bound(low)} to {_bound(high)}" if low is not None or high is not None else "no declared bounds"
    given: Provenance = "fixed" if fact.provenance == "fixed" else "declared"
    provenance: Provenance = given if low is not None and high is not None else "bought"
    bins = codec.bins.size
    return f"{bounds}; {bins} {'bin' if bins == 1 else 'bins'}, found with noise", provenance


def _bound(value: object) -> str:
    if value is None:
        return "open"
    return value.isoformat(sep=" ") if hasattr(value, "isoformat") else f"{value:g}"

"""Which columns of the private table the public one tells, and what of the budget is then left over."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import pyarrow as pa

from privsynth.codecs.column_facts import ColumnFacts, needs_votes
from privsynth.codecs.columns import ColumnCodec, NumberCodec, TimeCodec
from privsynth.codecs.parsed_table import parsed_rows
from privsynth.domain.budget_split import OpenColumns, split_budget
from privsynth.domain.layout import Layout
from privsynth.domain.public.known_columns import Bought, names_needing, unsuited
from privsynth.partitions.rows import PrivateRows
from privsynth.pipeline.learning.request import Request
from privsynth.pipeline.learning.sizes import Sizes, weighting_of
from privsynth.pipeline.prior.known import KnownTable, is_open
from privsynth.pipeline.usability.outlook import number_of_bins
from privsynth.privacy.budget import ROUNDING, SpendingPlan
from privsynth.privacy.mechanisms import Mechanisms
from privsynth.privacy.unit_weights import Weighting

# Of the domain's μ², for how well a public table suits the columns; the rest buys the columns that it does not suit.
CHECK_OF_DOMAIN = 0.2


def check_price(plan: SpendingPlan, known: KnownTable | None) -> float:
    """Return the μ² of part "domain" that the check of a public table costs."""
    return 0.0 if known is None or not known.columns else CHECK_OF_DOMAIN * plan.parts.get("domain", 0.0) * ROUNDING


def suited(rows: PrivateRows, sizes: Sizes, request: Request, mechanisms: Mechanisms) -> dict[str, ColumnCodec]:
    """Return the codecs of the columns that the public table tells at least as well as a purchase would.

    Guarantee: one Gaussian release of part "domain" (see `unsuited`).
    """
    known, price = request.known, check_price(request.plan, request.known)
    if known is None or price <= 0:
        return {}
    weighting = weighting_of(sizes, request.budget)
    parsed = parsed_rows(rows, request.schema, known.facts, list(known.columns))
    bought = _bought(sizes, request, known, weighting)
    gone = set(unsuited(known.columns, parsed, bought, weighting, mechanisms, mu_squared=price))
    gone = names_needing([column.codec for column in known.columns.values()], gone)
    return {name: column.codec for name, column in known.columns.items() if name not in gone}


def _bought(sizes: Sizes, request: Request, known: KnownTable, weighting: Weighting) -> Bought:
    """Return what a purchase of all known columns would show, from public facts and released numbers."""
    plan = request.plan
    texts = sum(known.facts[name].kind == "categorical" for name in known.columns)
    lines = len(known.columns) - texts
    mu_squared, category_rows = plan.parts["domain"], 0.0
    if texts and plan.discovery_delta > 0:
        counts = OpenColumns(texts=texts, keyed=lines, dimensions=lines)
        split = split_budget(weighting, counts, mu_squared=mu_squared, delta=plan.discovery_delta, n_rows=sizes.train)
        price = split.shares(open_columns=texts, mu_squared=mu_squared).categories
        category_rows = weighting.smallest_released(texts, price, split.categories_delta)
    bins = number_of_bins(sizes.train, plan, rows_per_unit=sizes.usual_rows)
    return Bought(category_rows=category_rows, bins=bins, n_rows=sizes.train)


def usable(known: Mapping[str, ColumnCodec], layout: Layout) -> dict[str, ColumnCodec]:
    """Return the codecs that fit what each column becomes: all that they are coded by is known, too."""
    modelled = set(layout.modelled) - layout.follows.keys()
    gone = {
        name
        for name, codec in known.items()
        if name not in modelled
        or (isinstance(codec, NumberCodec | TimeCodec) and codec.base != layout.bases.get(name))
        or not set(codec.needs) <= known.keys()
    }
    gone = names_needing(list(known.values()), gone)
    return {name: codec for name, codec in known.items() if name not in gone}


def without_need(
    request: Request,
    columns: pa.Schema,
    facts: Mapping[str, ColumnFacts],
    layout: Layout,
    known: Mapping[str, ColumnCodec],
) -> SpendingPlan:
    """Return the plan in which what public rows tell is not bought; the generator's parts get it, as they are shared.

    Of part "domain" there remains what the check cost, and for each open column that is not known its share.
    """
    plan, check = request.plan, check_price(request.plan, request.known)
    if request.known is None or check <= 0:
        return plan
    opened = [name for name in layout.modelled if is_open(request.schema.column(name), facts[name])]
    unknown = math.sqrt(sum(name not in known for name in opened) / max(len(opened), 1))
    parts = dict(plan.parts)
    parts["domain"] = check / ROUNDING + (plan.parts["domain"] - check / ROUNDING) * unknown
    schema, unit = request.schema, request.budget.unit
    voted = any(
        needs_votes(schema.column(field.name), field.type)
        for field in columns
        if field.name != unit and field.name not in known
    )
    if "votes" in parts and not voted:
        parts["votes"] = 0.0
    free = math.fsum(plan.parts.values()) - math.fsum(parts.values())
    takers = ("one_way", "selection", "measurement")
    whole = math.fsum(parts[name] for name in takers)
    return replace(plan, parts=parts | {name: parts[name] * (1 + free * ROUNDING / whole) for name in takers})

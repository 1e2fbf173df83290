"""What each column is: kinds, categories and bins by released figures, and the rows coded by them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from privsynth.codecs.column_facts import ColumnFacts
from privsynth.codecs.columns import ColumnCodec
from privsynth.codecs.encoded_table import Encoded
from privsynth.codecs.parsed_table import parsed_rows
from privsynth.codecs.table import TableCodec
from privsynth.codecs.written.types import container_types
from privsynth.domain.column_kinds import FactsRequest, learn_facts
from privsynth.domain.domain_request import DomainRequest
from privsynth.domain.layout import Layout, lay_out
from privsynth.domain.learn_codecs import learn_codecs
from privsynth.errors import SchemaError
from privsynth.partitions.marks import cell_fields
from privsynth.partitions.rows import PrivateRows
from privsynth.pipeline.learning.coded_parts import coded
from privsynth.pipeline.learning.from_prior import check_price, suited, usable, without_need
from privsynth.pipeline.learning.request import Request
from privsynth.pipeline.learning.sizes import Sizes, count_noise, weighting_of
from privsynth.pipeline.usability.outlook import number_of_bins
from privsynth.privacy.budget import SpendingPlan
from privsynth.privacy.mechanisms import Mechanisms
from privsynth.privacy.unit_weights import Weighting
from privsynth.progress import Progress


@dataclass(frozen=True, kw_only=True)
class LearnedColumns:
    """What was learned of the columns, and the coded rows of training and holdout.

    Attributes:
      plan: with what is left for the generator.
      from_prior: the columns whose categories or bins are those of the public table.
    """

    facts: dict[str, ColumnFacts]
    layout: Layout
    codec: TableCodec
    everyone: Encoded
    plan: SpendingPlan
    from_prior: tuple[str, ...] = ()


def learn_columns(
    rows: PrivateRows, sizes: Sizes, request: Request, mechanisms: Mechanisms, progress: Progress
) -> LearnedColumns:
    """Return the columns' facts and codecs, and the coded rows.

    Guarantee: parts "votes" (`learn_facts`) and "domain" (`unsuited`, `learn_codecs`).
    Args:
      rows: with marks (see `divide`).
    """
    schema, budget, columns = request.schema, request.budget, cell_fields(rows.schema)
    known = suited(rows, sizes, request, mechanisms)
    weighting = weighting_of(sizes, budget)
    facts = _facts(rows, weighting, request, mechanisms, known)
    layout = lay_out(columns.names, schema, facts, budget.unit)
    if not layout.names:
        raise SchemaError("every column is free text; declare at least one as something else")
    codecs = usable(known, layout)
    plan = without_need(request, columns, facts, layout, codecs)
    if plan != request.plan:
        mechanisms.share_out(plan.parts)
    parsed = parsed_rows(rows, schema, facts, [*layout.modelled, *layout.derived])
    domain = DomainRequest(
        schema=schema,
        layout=layout,
        facts=facts,
        types=container_types({column.name: column.type for column in columns}, request.source_format),
        n_rows=sizes.train,
        rows_sigma=sizes.usual_rows * count_noise(plan, request.holdout_fraction).sigma,
        mu_squared=plan.parts.get("domain", 0.0) - check_price(request.plan, request.known),
        delta=plan.discovery_delta,
        bins=number_of_bins(sizes.train, plan, rows_per_unit=sizes.usual_rows),
        plain=request.plain,
        known=codecs,
    )
    codec = TableCodec(tuple(learn_codecs(parsed, domain, weighting, mechanisms)))
    progress("encoding", 0.0)
    everyone = _encode(codec, parsed, sizes.used, request)
    return LearnedColumns(
        facts=facts, layout=layout, codec=codec, everyone=everyone, plan=plan, from_prior=tuple(codecs)
    )


def _facts(
    rows: PrivateRows,
    weighting: Weighting,
    request: Request,
    mechanisms: Mechanisms,
    known: Mapping[str, ColumnCodec],
) -> dict[str, ColumnFacts]:
    """Return the facts of every column; the unit column is an identifier, by declaration."""
    names = cell_fields(rows.schema).names
    asked = FactsRequest(
        schema=request.schema,
        names=[n for n in names if n != request.budget.unit and n not in known],
        mu_squared=request.plan.parts.get("votes", 0.0),
        typed=request.typed,
        families=request.families,
    )
    facts = learn_facts(rows, asked, weighting, mechanisms)
    if request.known is not None:
        facts |= {name: request.known.facts[name] for name in known}
    return {n: facts[n] if n in facts else ColumnFacts(kind="id") for n in names}


def _encode(codec: TableCodec, parsed: PrivateRows, n_rows: float, request: Request) -> Encoded:
    """Return coded rows, with the public facts that a generator needs."""
    schema = request.schema
    columns = [i for i, column in enumerate(codec.codecs) for _ in column.attributes()]
    position = {name: i for i, name in enumerate(codec.names)}
    source = {name: (book.column if (book := schema.column(name).follows) else name) for name in position}

    def attributes_of(role: str) -> tuple[int, ...]:
        wanted = {position[source[n]] for n in schema.with_role(role) if n in position}  # type: ignore[arg-type]
        return tuple(a for a, c in enumerate(columns) if c in wanted)

    return Encoded(
        rows=coded(parsed, codec),
        attributes=tuple(codec.attributes),
        max_rows_per_unit=request.budget.max_rows_per_unit,
        n_rows=n_rows,
        columns=tuple(columns),
        targets=attributes_of("target"),
        protected=attributes_of("protected"),
        books=codec.books(),
    )

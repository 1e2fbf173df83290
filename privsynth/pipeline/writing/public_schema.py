"""`public/schema.yaml`: what was declared or bought, written canonically; never the user's file."""

from __future__ import annotations

from collections.abc import Container, Mapping

from privsynth.codecs.column_facts import ColumnFacts
from privsynth.codecs.columns import CategoryCodec, PersonalCodec, SurrogateCodec, TimeCodec
from privsynth.codecs.table import TableCodec
from privsynth.codecs.written.rows import may_be_null
from privsynth.domain.layout import Layout
from privsynth.pipeline.learning.request import Public, Request
from privsynth.schema.catalogue import Catalogue
from privsynth.schema.definition import IDENTIFIER_KINDS, NUMERIC_KINDS, Column, Schema
from privsynth.schema.files import dump_schema

HEAD = """The public schema of a release of privsynth.
Every line was declared by a person, stated by the types of the source, or bought with the release's budget; see the
report's table of columns."""


def public_schema(public: Public, request: Request) -> str:
    """Return the YAML of the released table's schema."""
    declared = request.schema
    columns = public_columns(public.model.codec, public.facts, public.layout, declared)
    schema = Schema(
        dataset=request.dataset,
        unit=request.budget.unit,
        unit_noun=declared.unit_noun,
        rows_noun=declared.rows_noun,
        max_rows_per_unit=request.budget.max_rows_per_unit,
        rows=declared.rows,
        columns=columns,
        rules=tuple(rule.text for rule in public.model.parsed_rules()),
        catalogue=catalogue_of(declared.catalogue, columns),
    )
    return dump_schema(schema, comment=HEAD)


def catalogue_of(declared: Catalogue | None, columns: Container[str]) -> Catalogue | None:
    """Return the declared catalogue, for a schema that has only the columns of the release."""
    if declared is None or declared.period_of is None or declared.period_of in columns:
        return declared
    return declared.model_copy(update={"period_of": None})


def public_columns(
    codec: TableCodec, facts: Mapping[str, ColumnFacts], layout: Layout, declared: Schema
) -> dict[str, Column]:
    """Return what was declared or bought of each column of a released table."""
    codecs = codec.by_name
    columns = {}
    for name in layout.names:
        fact, column, of_column = facts[name], declared.column(name), codecs[name]
        found: dict[str, object] = {
            "kind": fact.kind,
            "nullable": column.nullable and may_be_null(of_column, codecs),
            "roles": column.roles,
            "minimum": column.minimum,
            "maximum": column.maximum,
            "follows": column.follows if name in layout.follows else None,
            "hierarchy": column.hierarchy if isinstance(of_column, CategoryCodec) else None,
            "description": column.description,
            "unit": column.unit,
            "constant_within_unit": column.constant_within_unit or None,
        }
        if fact.kind in ("numeric", "datetime"):
            found["precision"] = fact.precision
        if fact.decimal == "," and fact.kind in NUMERIC_KINDS:
            found["decimal"] = fact.decimal
        if isinstance(of_column, CategoryCodec) and fact.kind == "categorical":
            found["categories"] = tuple(dict.fromkeys(of_column.drawn_texts))
        if fact.kind == "boolean":
            found["true_values"], found["false_values"] = column.true_values, column.false_values
        if isinstance(of_column, TimeCodec):
            found["format"] = of_column.format
        if isinstance(of_column, SurrogateCodec) and fact.kind in IDENTIFIER_KINDS:
            found["format"] = of_column.format.text
        if isinstance(of_column, PersonalCodec):
            found["locale"] = of_column.locale
        columns[name] = Column.model_validate({k: v for k, v in found.items() if v is not None})
    return columns

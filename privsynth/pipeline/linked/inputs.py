"""The tables of a run, opened: headers and types, no row; and what is wrong with them beside the schema."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pyarrow as pa

from privsynth.errors import ConfigError, Option, SchemaError, meant
from privsynth.generators.registry import GENERATORS
from privsynth.pipeline.config import SynthesizeConfig, check_schema_fits
from privsynth.pipeline.reading.inputs import check_invented, completed_schema, physical_types
from privsynth.pipeline.reading.public_names import refuse_values_for_names
from privsynth.schema.definition import Column, Schema
from privsynth.schema.linked import LinkedSchema
from privsynth.schema.rule_checks import check_rules
from privsynth.schema.source_format import SourceFormat
from privsynth.schema.stated_types import Family
from privsynth.sources.linked import LinkedSource
from privsynth.sources.protocol import Source, SourceOptions, source_format_of, stated_types_of
from privsynth.sources.registry import open_tables

LINKED_GENERATORS = tuple(name for name, info in GENERATORS.items() if info.private and info.linked)
MOST_PERSONS = 1_000_000  # of a release (own): they are in memory at once, with all their rows and codes


@dataclass(frozen=True, kw_only=True)
class OpenedTables:
    """The tables of a run, and what is public about them.

    Attributes:
      source: to read them.
      schema: as declared, completed by what types state.
      physical: table -> column -> Arrow type, in the order of the header.
      typed, families, formats: see `LinkedRequest`.
    """

    source: LinkedSource
    schema: LinkedSchema
    physical: Mapping[str, Mapping[str, pa.DataType]]
    typed: Mapping[str, frozenset[str]]
    families: Mapping[str, Mapping[str, Family]]
    formats: Mapping[str, SourceFormat]


def open_linked(config: SynthesizeConfig, schema: LinkedSchema) -> OpenedTables:
    """Open the tables that a schema names.

    Raises:
      SourceError: a table is not there.
      SchemaError: the schema names a column that its table lacks, or waits for a person.
      ConfigError: an option is for one table alone.
    """
    refuse_options(config)
    if waiting := [name for name, table in schema.tables.items() if table.proposed]:
        raise SchemaError(
            f"the links of '{waiting[0]}' are proposals; correct them in the schema and remove 'proposed: true'"
        )
    options = replace(SourceOptions.of(config.source_options), tables=tuple(schema.tables))
    if isinstance(config.source, str | dict) or not hasattr(config.source, "columns"):
        source = open_tables(config.source, options)  # type: ignore[arg-type]
    else:
        raise ConfigError("a schema of linked tables needs several: give a folder, a database, or names and frames")
    declared, typed = dict(schema.tables), {}
    sources: Mapping[str, Source] = source.tables()
    for name, table in schema.tables.items():
        if not config.header_is_public:
            refuse_values_for_names(sources[name].names, sources[name].label)
        _check_links(schema, name, sources[name].names)
        if table.reference:
            continue
        whole = Schema(columns=table.columns)
        check_schema_fits(whole, sources[name].names, "row")
        check_rules(schema.rules_schema(name))
        check_invented(
            whole,
            sources[name],
            next(iter(schema.surrogates(name)), "row"),
            config.rows if name == schema.root else None,
        )
        found, typed[name] = completed_schema(whole, sources[name])
        declared[name] = table.model_copy(update={"columns": _without_keys(schema, name, found.columns)})
    return OpenedTables(
        source=source,
        schema=schema.model_copy(update={"tables": declared}),
        physical={name: physical_types(sources[name]) for name in schema.tables},
        typed=typed,
        families={name: stated_types_of(sources[name]).families for name in schema.modelled},
        formats={name: source_format_of(sources[name]) for name in schema.modelled},
    )


def _check_links(schema: LinkedSchema, name: str, header: list[str]) -> None:
    table = schema.tables[name]
    said = [("key", part) for part in table.key]
    said += [("parent's key", part) for part in (() if table.parent is None else table.parent.columns)]
    said += [("reference", column) for reference in table.refers_to for column in reference.columns]
    said += [] if table.order is None else [("order", table.order)]
    for what, column in said:
        if column not in header:
            near = meant(column, header)
            raise SchemaError(f"the table '{name}' has no column '{column}', which the schema calls its {what}{near}")


def _without_keys(schema: LinkedSchema, name: str, columns: Mapping[str, Column]) -> dict[str, Column]:
    """Return the columns; those that hold keys are identifiers, of which types say at most how they look."""
    links = set(schema.links(name))
    said = schema.tables[name].columns
    looks = {n: column.format if column.kind == "id" else None for n, column in columns.items()}
    return {
        n: said.get(n, Column(kind="id", format=looks[n])) if n in links else column for n, column in columns.items()
    }


def refuse_options(config: SynthesizeConfig) -> None:
    """Raise `ConfigError` if an option means nothing to linked tables, which would seem to have been heard."""
    given = {
        "unit": config.unit, "max_rows_per_unit": config.max_rows_per_unit, "keep_units": config.keep_units,
    }  # fmt: skip
    for option, value in given.items():
        if value is not None:
            raise ConfigError(
                "linked tables take no ", Option(option), ": the schema says who is protected and how the rows of a "
                "person are used; leave it out",
            )  # fmt: skip
    if config.rows is not None and config.rows > MOST_PERSONS:
        raise ConfigError(
            f"a release of linked tables holds at most {MOST_PERSONS:,} persons; draw more with privsynth sample, or "
            "choose a smaller ", Option("rows"),
        )  # fmt: skip
    if config.generator not in ("auto", *LINKED_GENERATORS):
        raise ConfigError(
            "linked tables are made by the generators 'marginal' and 'arn'; choose one of these instead of ",
            Option("generator", config.generator),
        )

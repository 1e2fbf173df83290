"""The source of a run, opened: header and types, no row."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from privsynth.errors import ConfigError, Option
from privsynth.pipeline.config import SynthesizeConfig
from privsynth.pipeline.public_names import refuse_values_for_names
from privsynth.schema.definition import Schema
from privsynth.sources.protocol import stated_types_of
from privsynth.sources.registry import Source, SourceOptions, has_header, open_source


def open_config_source(config: SynthesizeConfig, schema: Schema) -> Source:
    """Return the source of a run. Names of a table without a header come from the options or the schema."""
    options = SourceOptions.of(config.source_options)
    typed = options.columns is not None
    if not typed and not has_header(config.source):
        if not schema.columns:
            raise ConfigError(
                "this format has no header, and the names in its rows are private: name the columns with ",
                Option("columns", python="SourceOptions(columns=…)"),
                ", or in a schema",
            )
        options = replace(options, columns=tuple(schema.columns))
        typed = True
    source = open_source(config.source, options)
    if not (typed or config.header_is_public):
        refuse_values_for_names(source.names, source.label)
    return source


def completed_schema(schema: Schema, source: Source) -> tuple[Schema, frozenset[str]]:
    """Return the schema with what the source's types state, and the columns whose kind only these say."""
    return stated_types_of(source).complete(schema, source.names)


def physical_types(source: Source) -> dict[str, Any]:
    """Return column -> Arrow type as the container declares it."""
    return {field.name: field.type for field in source.arrow_schema}

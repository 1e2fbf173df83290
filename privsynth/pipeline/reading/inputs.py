"""The source of a run, opened: header and types, no row."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from privsynth.codecs.columns import PersonalCodec, invented_codec
from privsynth.codecs.written.types import container_types
from privsynth.errors import ConfigError, Option, SchemaError
from privsynth.pipeline.config import SynthesizeConfig
from privsynth.pipeline.reading.public_names import refuse_values_for_names
from privsynth.schema.definition import INVENTED_KINDS, Schema
from privsynth.sources.protocol import source_format_of, stated_types_of
from privsynth.sources.registry import Source, SourceOptions, has_header, open_source

# Rows for which there must be room where their number is not public (own): few tables of people have more, and one that
# has is cut to the room there is.
USUAL_ROOM = 1_000_000


def open_config_source(config: SynthesizeConfig, schema: Schema) -> Source:
    """Return the source of a run. Names of a table without a header come from the options or the schema."""
    options = SourceOptions.of(config.source_options)
    typed = options.columns is not None
    if not typed and not has_header(config.table):
        if not schema.columns:
            raise ConfigError(
                "this format has no header, and the names in its rows are private: name the columns with ",
                Option("columns", python="SourceOptions(columns=…)"),
                ", or in a schema",
            )
        options = replace(options, columns=tuple(schema.columns))
        typed = True
    source = open_source(config.table, options)
    if not (typed or config.header_is_public):
        refuse_values_for_names(source.names, source.label)
    return source


def completed_schema(schema: Schema, source: Source) -> tuple[Schema, frozenset[str]]:
    """Return the schema with what the source's types state, and the columns whose kind only these say."""
    return stated_types_of(source).complete(schema, source.names)


def check_invented(schema: Schema, source: Source, unit: str, rows: int | None) -> None:
    """Check that what a run has to invent can be invented, before it costs anything.

    Args:
      rows: how many synthetic rows are wanted; None if that is not public yet.
    Raises:
      SchemaError: the format of a column has room for fewer identifiers than there may be rows.
      MissingPackageError: a column of names or addresses needs a package that is not installed.
    """
    types = container_types(physical_types(source), source_format_of(source))
    asked = {name: schema.column(name) for name in source.names}
    codecs = [
        invented_codec(name, column, types[name])
        for name, column in asked.items()
        if column.kind in INVENTED_KINDS or name == unit
    ]
    needed = USUAL_ROOM if rows is None else rows
    for codec in codecs:
        if isinstance(codec, PersonalCodec):
            codec.invent(np.arange(1), 0)
            continue
        alike = sum(other.pattern == codec.pattern for other in codecs)
        if codec.pattern is not None and codec.pattern.room < needed * alike:
            many = "the number of rows is not public, and may be" if rows is None else "there are to be"
            raise SchemaError(
                f"the format of '{codec.name}' has room for {codec.pattern.room // alike:,} rows, and {many} "
                f"{needed:,}; make it longer, or ask for fewer rows with ",
                Option("rows", "N", python="rows=N"),
            )


def physical_types(source: Source) -> dict[str, Any]:
    """Return column -> Arrow type as the container declares it."""
    return {field.name: field.type for field in source.arrow_schema}

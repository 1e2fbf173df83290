"""A schema for a person to fill in: names and blanks; with `observe`, suggestions that are not yet declarations."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np

from privsynth.codecs.column_facts import ColumnFacts, Hints, declared_facts, exact_facts
from privsynth.codecs.parse import Categories
from privsynth.codecs.parsed_table import grid_values, parse_table
from privsynth.errors import ConfigError, Option
from privsynth.pipeline.linked.suggest import draft_linked_schema
from privsynth.pipeline.proposals import notes
from privsynth.pipeline.reading.inputs import completed_schema
from privsynth.pipeline.reading.public_names import refuse_values_for_names
from privsynth.schema.code_names import names_codes
from privsynth.schema.definition import Column, Schema
from privsynth.schema.files import dump_schema
from privsynth.schema.linked import LinkedSchema, dump_linked_schema
from privsynth.sources.linked import LinkedSource
from privsynth.sources.registry import SourceOptions, holds_tables, open_source, open_tables, read_table
from privsynth.table import Table
from privsynth.workspace import Workspace, privsynth_home

MOST_CATEGORIES = 50  # that are written out as a suggestion (own): a person can still check them
_BLANKS = """A schema for privsynth. Fill in what a code book, a form or a law says about each column;
what is left out is bought with the privacy budget. Nothing here was read off the data: what is filled in already is
what the types of the source state (a Parquet file, a database's catalogue, a data frame).

unit: whose privacy is protected, a column name or "row"; max_rows_per_unit: at most so many rows of it are used.
kind: numeric, integer, categorical, boolean, datetime, date, id or text (text is dropped).
minimum, maximum, categories, precision, nullable: false; roles: identifier, quasi_identifier, sensitive, protected,
target; hierarchy: how codes group; rules: for example "discharged >= admitted". Lines that propose a hierarchy, or a
kind for identifiers, know the name of the column alone."""
_PRESET = """A schema for linked tables. Change what does not fit: bounds, at most how many rows of a person are used
(max_children), rules. Nothing here was read off the data."""
_OBSERVED = """THESE SUGGESTIONS WERE READ OFF THE DATA AND ARE AS PRIVATE AS THE DATA.
What has no `observed: true` is stated by the types of the source. Compare everything else with a code book, correct
it, and remove `observed: true`: only then it is a declaration.
privsynth synthesize refuses a schema that still holds `observed: true`."""


def draft_schema(source: str, options: dict[str, Any], *, observe: bool, header_is_public: bool = False) -> str:
    """Return YAML: names and what types state, or, with `observe`, exact (private) suggestions marked `observed`.

    A source of several tables, of which none is named, becomes a schema of linked tables.

    Guarantee: without `observe`, a function of the header and of the source's types; with it none: the text is private.
    Raises:
      ConfigError: cells of several tables are to be observed.
    """
    asked = SourceOptions(**options)
    several = asked.table is None or asked.table.endswith(".*")  # all tables of a schema of a database
    if several and asked.query is None and holds_tables(source):
        linked = open_tables(source, asked)
        if len(linked.tables()) > 1:
            return _draft_of_tables(linked, _called(source), observe=observe, header_is_public=header_is_public)
    opened = open_source(source, asked)
    if not (observe or header_is_public or options.get("columns")):
        refuse_values_for_names(opened.names, opened.label)
    blanks, _ = completed_schema(Schema(columns={name: Column() for name in opened.names}), opened)
    if not observe:
        return dump_schema(blanks, comment=_BLANKS, notes=notes(blanks))
    with Workspace(privsynth_home()) as workspace:
        table, _ = read_table(opened, workspace)
        columns = {name: _suggest(table, name, blanks.column(name)) for name in table.names}
    return dump_schema(Schema(columns=columns), comment=_OBSERVED, notes=notes(blanks))


def draft_preset(source: str, preset: LinkedSchema, options: dict[str, Any]) -> str:
    """Return YAML: a schema of linked tables, with what the source's tables state where it is silent.

    Guarantee: a function of the preset, and of headers and types of the source.
    """
    opened = open_tables(source, SourceOptions(**options, tables=tuple(preset.tables)))
    tables = {}
    for name, table in preset.tables.items():
        found = opened.tables()[name]
        blanks = {column: Column() for column in found.names if column not in table.columns}
        whole, _ = completed_schema(Schema(columns={**table.columns, **blanks}), found)
        tables[name] = table.model_copy(update={"columns": whole.columns})
    return dump_linked_schema(preset.model_copy(update={"tables": tables}), comment=_PRESET)


def _draft_of_tables(linked: LinkedSource, dataset: str, *, observe: bool, header_is_public: bool) -> str:
    if observe:
        raise ConfigError(
            "the cells of several tables are not observed at once; name one with ", Option("table"),
            ", or leave the cells alone",
        )  # fmt: skip
    for source in linked.tables().values():
        if not header_is_public:
            refuse_values_for_names(source.names, source.label)
    return draft_linked_schema(linked, notes, dataset)


def _called(source: str) -> str:
    """Return what a source is called: the name of its folder, its file or its database; "" if it has none."""
    if "://" in source:
        return unquote(urlsplit(source).path.strip("/").rpartition("/")[2].partition(".")[0])
    prefix, colon, rest = source.partition(":")
    return Path(rest if colon and prefix.isalnum() else source).resolve().name.partition(".")[0]


def _suggest(table: Table, name: str, stated: Column) -> Column:
    if stated.kind in ("boolean", "id") or stated.categories is not None:
        return stated
    fact = exact_facts(table.column(name), Hints(codes=names_codes(name)))
    if stated.kind is not None:
        fact = replace(fact, kind=stated.kind, precision=stated.precision or fact.precision)
    elif str(table.column(name).type) == "bool":  # of a source that states nothing itself
        fact = declared_facts(Column(), table.column(name).type)
    if fact.kind == "categorical":
        return _suggest_texts(table, name, fact)
    found: dict[str, Any] = {"kind": fact.kind, "observed": True, "decimal": "," if fact.decimal == "," else None}
    found["nullable"] = False if not stated.nullable else None
    if fact.kind in ("numeric", "datetime"):
        found["precision"] = fact.precision
    parsed = parse_table(table, Schema(), {name: fact}, [name]).columns.get(name)
    if parsed is not None and not isinstance(parsed, Categories) and not parsed.null.all():
        known = parsed.steps[~parsed.null]
        low, high = int(known.min()), int(known.max())
        if fact.kind in ("numeric", "integer"):
            found["minimum"], found["maximum"] = grid_values(np.array([low, high]), fact.precision).tolist()
        else:
            step = int(fact.precision)
            found["minimum"], found["maximum"] = (str(np.datetime64(v * step, "s")) for v in (low, high))
        found["format"] = fact.format
    if stated.minimum is not None or stated.maximum is not None:
        found["minimum"], found["maximum"] = stated.minimum, stated.maximum
    return Column.model_validate({key: value for key, value in found.items() if value is not None})


def _suggest_texts(table: Table, name: str, fact: ColumnFacts) -> Column:
    parsed = parse_table(table, Schema(), {name: fact}, [name]).columns[name]
    assert isinstance(parsed, Categories)
    distinct = len(parsed.values)
    if distinct and distinct > 0.9 * max(int((parsed.codes >= 0).sum()), 1) and distinct > MOST_CATEGORIES:
        return Column(kind="id", observed=True)
    if 0 < distinct <= MOST_CATEGORIES:
        return Column(kind="categorical", categories=tuple(sorted(parsed.values)), observed=True)
    return Column(kind="categorical", observed=True)

"""`privsynth schema`: a schema to fill in, and a check of one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from privsynth.cli.terminal.options import (
    header_option,
    preset_option,
    source_options,
    take_preset,
    take_source_options,
)
from privsynth.cli.terminal.output import emit_json, say

if TYPE_CHECKING:
    from privsynth.schema.linked import LinkedSchema


@click.group("schema")
def command() -> None:
    """Write a schema to fill in, or check one.

    Example: privsynth schema init admissions.csv > schema.yaml
    """


@command.command("init")
@click.argument("source")
@source_options
@header_option
@preset_option
@click.option(
    "--observe", is_flag=True, help="Add suggestions read off the data; they are private until a person declares them."
)
def init(source: str, observe: bool, header_is_public: bool, **options: Any) -> None:
    """Write a schema with SOURCE's column names and blanks to fill in to stdout.

    Of a folder, a database or an export with several tables, of which --table names none, it is a schema of linked
    tables: the foreign keys of the catalogue, or, where there is none, links that names of columns suggest and a person
    has to confirm.

    With --observe each column gets a suggested kind, bounds or categories, marked `observed: true`. These are read off
    the data and are as private as the data: `synthesize` refuses them until a person has compared them with a code
    book and removed the mark. With --preset it is the schema of linked tables that ships under this name, completed by
    what the tables of SOURCE state.

    Example: privsynth schema init admissions.csv > schema.yaml
    """
    from privsynth.pipeline.suggest_schema import draft_preset, draft_schema

    taken = take_source_options(options)
    if (preset := take_preset(options)) is not None:
        click.echo(draft_preset(source, preset, taken), nl=False)
        return
    click.echo(draft_schema(source, taken, observe=observe, header_is_public=header_is_public), nl=False)


@command.command("check")
@click.argument("schema", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
def check(schema: Path, as_json: bool) -> None:
    """Say whether a schema file is valid, and what it declares.

    Example: privsynth schema check schema.yaml
    """
    from privsynth.schema.files import load_schema
    from privsynth.schema.linked import linked_schema
    from privsynth.schema.rule_checks import check_rules

    if (tables := linked_schema(schema)) is not None:
        for name in tables.modelled:
            check_rules(tables.rules_schema(name))
        _say_tables(schema, tables, as_json)
        return
    loaded = load_schema(schema)
    check_rules(loaded)
    blanks = [name for name, column in loaded.columns.items() if column.kind is None]
    observed = [name for name, column in loaded.columns.items() if column.observed]
    if as_json:
        emit_json({"columns": len(loaded.columns), "blank": blanks, "observed": observed, "rules": list(loaded.rules)})
        return
    say(f"{schema} is valid. Columns: {len(loaded.columns)}. Rules: {len(loaded.rules)}.")
    if blanks:
        say(f"No kind declared, so it will be bought: {', '.join(blanks)}")
    if observed:
        say(f"Observed and not yet declared: {', '.join(observed)}")


_PARTS = {
    "above": "the parent's",
    "number": "numbers the rows of one parent",
    "surrogate": "a surrogate",
    "column": "a column like others",
}


def _say_tables(path: Path, schema: LinkedSchema, as_json: bool) -> None:
    blanks = [
        f"{name}: {c}" for name in schema.modelled for c, d in schema.tables[name].columns.items() if d.kind is None
    ]
    proposed = [name for name, table in schema.tables.items() if table.proposed]
    rules = [f"{name}: {rule}" for name, table in schema.tables.items() for rule in table.rules]
    if as_json:
        emit_json({"tables": list(schema.tables), "blank": blanks, "proposed": proposed, "rules": rules})
        return
    say(f"{path} is valid. Persons: {schema.root}. Tables: {', '.join(schema.tables)}. Rules: {len(rules)}.")
    for name in schema.modelled:
        if len(parts := schema.parts(name)) > 1:
            told = ", ".join(f"{part} ({_PARTS[kind]})" for part, kind in parts.items())
            say(f"Key of {name}: {told}")
        for one in schema.tables[name].refers_to:
            whose = "of the same person" if one.whose == "own" else "of another person"
            say(f"Rows of {name} refer by {', '.join(one.columns)} to rows of {one.table} {whose}")
    if blanks:
        say(f"No kind declared, so it will be bought: {', '.join(blanks)}")
    if proposed:
        say(f"Links proposed and not yet confirmed: {', '.join(proposed)}")

"""`privsynth --server URL sources`: where the sensitive tables of a service are."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from privsynth.cli.remote.server import connected, json_option, print_facts, print_rows, text_of
from privsynth.cli.terminal.output import say
from privsynth.errors import ConfigError, InputError

if TYPE_CHECKING:
    from privsynth.remote.connection import Connection

_FACTS = ("id", "name", "dataset", "kind", "options", "registered_at", "retired_at", "text")


@click.group()
def command() -> None:
    """List, register, upload, declare and retire the sources of a service.

    Example: privsynth --server https://privsynth.example.org sources list
    """


@command.command("list")
@json_option
def list_() -> None:
    """List all sources, retired ones included.

    Example: privsynth --server https://privsynth.example.org sources list
    """
    names = ("no.", "name", "dataset", "kind", "registered", "retired")
    print_rows(
        connected().get("/sources"), names,
        lambda one: tuple(one[key] for key in ("id", "name", "dataset", "kind", "registered_at", "retired_at")),
    )  # fmt: skip


@command.command()
@click.argument("source")
@json_option
def show(source: str) -> None:
    """Show a SOURCE, by its name or number, and what is declared about it.

    Example: privsynth --server https://privsynth.example.org sources show admissions
    """
    print_facts(the_source(connected(), source), _FACTS)


@command.command()
@click.argument("name")
@click.argument("place")
@click.option("--dataset", required=True, metavar="NAME", help="Its name in the budget ledger.")
@click.option(
    "--database", is_flag=True, help="PLACE is the URL of a database, which is read from standard input if -."
)
@click.option("--table", metavar="NAME", help="Table of the database, or of a folder or an export.")
@click.option("--columns", metavar="A,B,C", help="Read only these columns, in this order.")
@json_option
def register(name: str, place: str, dataset: str, database: bool, table: str | None, columns: str | None) -> None:
    """Register a source under NAME; only the names of its columns are read.

    PLACE is a path below the service's folder for sources, or the URL of a database. A URL with a password does not
    belong on a command line: give - and pipe it in. The same again is the source that is there.

    Example: privsynth --server https://privsynth.example.org sources register admissions a.csv --dataset admissions
    """
    place = sys.stdin.readline().strip() if place == "-" else place
    options = {key: value for key, value in {"table": table, "columns": columns}.items() if value}
    kind = "database" if database else "file"
    sent = {"name": name, "dataset": dataset, "kind": kind, "place": place, "options": options}
    print_facts(connected().send("POST", "/sources", sent), _FACTS)


@command.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--name", required=True, help="What people call the source.")
@click.option("--dataset", required=True, metavar="NAME", help="Its name in the budget ledger.")
@click.option("--encoding", metavar="NAME", help="Encoding of a text file, unless it is UTF-8.")
@click.option("--delimiter", metavar="CHAR", help="Delimiter of a CSV file, or the word tab.")
@click.option("--sheet", metavar="NAME", help="Sheet of a workbook.")
@click.option("--columns", metavar="A,B,C", help="Read only these columns, in this order.")
@json_option
def upload(file: Path, name: str, dataset: str, **options: str | None) -> None:
    """Send a FILE to the service, where it becomes a source. The same again is the source that is there.

    Example: privsynth --server https://privsynth.example.org sources upload a.csv --name a --dataset admissions
    """
    query = {"name": name, "dataset": dataset, "file_name": file.name, **options}
    try:
        with file.open("rb") as content:
            found = connected().send("POST", "/sources/upload", params=query, content=content)
    except OSError as problem:
        raise InputError(f"{file} cannot be read: {problem.strerror}") from None
    print_facts(found, _FACTS)


@command.command()
@click.argument("source")
@click.argument("schema", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def declare(source: str, schema: Path) -> None:
    """Replace what is declared about a SOURCE by a SCHEMA, a file in YAML.

    Example: privsynth --server https://privsynth.example.org sources declare admissions schema.yaml
    """
    asked = connected()
    found = the_source(asked, source)
    asked.send("PUT", f"/sources/{found['id']}/schema", {"text": text_of(schema)})
    say(f"Declared what {schema} says about {found['name']}.")


@command.command()
@click.argument("source")
@json_option
def columns(source: str) -> None:
    """List what is declared about each column of a SOURCE, and what the name of a column alone suggests.

    Example: privsynth --server https://privsynth.example.org sources columns admissions
    """
    asked = connected()
    found = asked.get(f"/sources/{the_source(asked, source)['id']}/columns")
    print_rows(found["columns"], ("column", "declared", "suggested by its name"), _column_row)


@command.command("declare-columns")
@click.argument("source")
@click.argument("schema", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def declare_columns(source: str, schema: Path) -> None:
    """Replace what is declared about the columns of a SOURCE that SCHEMA, a file in YAML, names; the others stay.

    Example: privsynth --server https://privsynth.example.org sources declare-columns admissions ward.yaml
    """
    from privsynth.schema.files import read_schema_file

    data = read_schema_file(schema)
    tables = data.get("tables", {"": data}) if isinstance(data, dict) else None
    if not isinstance(tables, dict) or not all(isinstance(part, dict) for part in tables.values()):
        raise ConfigError(f"{schema} is no schema: it must hold 'columns', or 'tables' with columns in each")
    sent = {
        "columns": [
            {"table": table, "name": name, "declared": declared or {}}
            for table, part in tables.items()
            for name, declared in (part.get("columns") or {}).items()
        ],
        "about": {key: value for key, value in data.items() if key not in ("tables", "columns")},
    }  # fmt: skip
    asked = connected()
    found = the_source(asked, source)
    as_json = json.loads(json.dumps(sent, default=str))  # dates of YAML are texts of JSON
    asked.send("PUT", f"/sources/{found['id']}/columns", as_json)
    say(f"Declared what {schema} says about columns of {found['name']}.")


def _column_row(one: dict[str, Any]) -> tuple[Any, ...]:
    declared = ", ".join(f"{key} {value}" for key, value in one["declared"].items())
    proposal = one["proposal"]
    suggested = f"{proposal['key']} {proposal['value']}, if it holds {proposal['when']}" if proposal else ""
    return f"{one['table']}.{one['name']}" if one["table"] else one["name"], declared, suggested


@command.command()
@click.argument("source")
def retire(source: str) -> None:
    """End the use of a SOURCE; one that was uploaded is deleted.

    Example: privsynth --server https://privsynth.example.org sources retire admissions
    """
    asked = connected()
    found = asked.send("POST", f"/sources/{the_source(asked, source)['id']}/retire")
    say(f"Retired {found['name']}.")


def the_source(asked: Connection, name: str) -> dict[str, Any]:
    """Return the source in use of that name or number.

    Raises:
      ConfigError: there is none.
    """
    known: list[dict[str, Any]] = [one for one in asked.get("/sources") if one["retired_at"] is None]
    found = [one for one in known if name in (one["name"], str(one["id"]))]
    if not found:
        names = ", ".join(repr(one["name"]) for one in known) or "none yet"
        raise ConfigError(f"the service has no source {name!r} in use. It has: {names}")
    return found[0]

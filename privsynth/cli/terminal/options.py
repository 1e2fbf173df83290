"""Options that several commands share, and how they become the options of a source."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from privsynth.errors import ConfigError

if TYPE_CHECKING:
    from privsynth.schema.linked import LinkedSchema

_SOURCE = [
    click.option("--delimiter", metavar="CHAR", help="Delimiter of a CSV file (default: the one in the header line)."),
    click.option(
        "--encoding", metavar="NAME", help="Encoding of a text file (default: its byte order mark, else UTF-8)."
    ),
    click.option("--sheet", metavar="NAME", help="Sheet of an Excel workbook, if it has several."),
    click.option("--table", metavar="NAME", help="Table of a database, a folder or an export."),
    click.option("--query", metavar="SQL", help="SELECT statement to run on a database, instead of --table."),
    click.option("--views", metavar="FOLDER", help="ViewDefinitions of a FHIR export (default: those that ship)."),
    click.option("--columns", metavar="A,B,C", help="Read only these columns, in this order."),
]


def source_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say how a source is read."""
    for option in reversed(_SOURCE):
        command = option(command)
    return command


def take_source_options(options: dict[str, Any]) -> dict[str, Any]:
    """Remove the source's options from a command's and return those that were given."""
    taken = {
        name: options.pop(name) for name in ("delimiter", "encoding", "sheet", "table", "query", "views", "columns")
    }
    if taken["columns"] is not None:
        taken["columns"] = tuple(name.strip() for name in taken["columns"].split(","))
    if taken["delimiter"] in ("\\t", "tab"):
        taken["delimiter"] = "\t"
    return {name: value for name, value in taken.items() if value is not None}


def header_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the option that says that names which look like values are names."""
    return click.option(
        "--header-is-public",
        is_flag=True,
        help="Accept column names that look like values (numbers, dates, e-mail addresses).",
    )(command)


def preset_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the option that takes a schema of linked tables that ships."""
    return click.option(
        "--preset",
        metavar="NAME",
        help="Schema of linked tables that ships: person-visits, … for omop:SOURCE, hl7-visits, … for hl7:SOURCE.",
    )(command)


def take_preset(options: dict[str, Any]) -> LinkedSchema | None:
    """Remove the preset from a command's options and return its schema, if there is one.

    Raises:
      ConfigError: there is none of that name, or a schema is given as well.
    """
    name = options.pop("preset")
    if name is None:
        return None
    if options.get("schema") is not None:
        raise ConfigError("a preset is a schema; leave out --schema or --preset")
    from privsynth.sources.presets import preset

    return preset(name)


def declared_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the option that says where SDV metadata came from."""
    return click.option(
        "--sdv-is-declared",
        is_flag=True,
        help="The SDV metadata of --schema came from a code book: nothing in it was detected from the rows.",
    )(command)


class WholeNumber(click.ParamType):
    """A whole number, which may be written as 1e9 or 1_000_000."""

    name = "integer"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number."""
        try:
            number = float(value)
            return int(value) if isinstance(value, int) or str(value).lstrip("+-").isdecimal() else _whole(number)
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is not a whole number.", param, ctx)


def _whole(number: float) -> int:
    if number != int(number):
        raise ValueError
    return int(number)


def expect_rows_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the option that guesses the number of rows."""
    return click.option(
        "--expect-rows",
        type=WholeNumber(),
        metavar="N",
        help="Your guess of the number of rows: what can be learned from so many is said before anything is spent.",
    )(command)


def anyway_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the option that makes a release even if little can be learned."""
    return click.option(
        "--anyway", is_flag=True, help="Go on even if, at this budget, little can be learned from the table."
    )(command)


def prior_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the option that names what is public already."""
    return click.option(
        "--prior",
        metavar="RELEASE|TABLE",
        help="Start from what is PUBLIC already: the folder of an earlier release, or a public table with columns of "
        "the same names. Nothing protects it: whatever it holds may show in the release.",
    )(command)


def executor_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say what counts the rows of a large table, and where its parts lie."""
    command = click.option(
        "--scratch",
        type=click.Path(path_type=Path),
        help="Private folder for parts of a large table, which all workers reach (default: in PRIVSYNTH_HOME).",
    )(command)
    return click.option(
        "--executor",
        default="processes",
        show_default=True,
        metavar="NAME[:…]",
        help="What counts the rows of a table too large for one part: inline, processes:4, ray, or spark:MASTER. The "
        "release is the same.",
    )(command)


def language_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the option that names the language of page one."""
    return click.option(
        "--language",
        type=click.Choice(["en", "de"]),
        default="en",
        show_default=True,
        help="Language of page one of the reports and of their annex on laws; the rest is in English.",
    )(command)


def policy_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the option that names a policy."""
    return click.option(
        "--policy",
        metavar="NAME|FILE",
        help="Checks to judge by: internal, trusted-partner, public, or a YAML file of your own.",
    )(command)

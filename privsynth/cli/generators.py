"""`privsynth generators`: what there is to choose from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from privsynth.cli.terminal.output import emit_json, print_table
from privsynth.errors import ConfigError

if TYPE_CHECKING:
    from privsynth.generators.registry import GeneratorInfo


@click.command("generators")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
def command(as_json: bool) -> None:
    """List the generators and what each is for.

    Example: privsynth generators
    """
    from privsynth.generators.registry import AUTO, GENERATORS, names_outside

    outside = {name: _of_another_package(name) for name in names_outside()}
    known = {**GENERATORS, **{name: info for name, info in outside.items() if not isinstance(info, str)}}
    if as_json:
        emit_json({name: _record(info) for name, info in known.items()})
        return
    rows = [(name, "yes" if info.private else "no privacy", _summary(info)) for name, info in known.items()]
    rows += [(name, "unusable", why) for name, why in outside.items() if isinstance(why, str)]
    print_table(("name", "private", "what it is"), [*rows, ("auto", "yes", f"the default: {AUTO}, at any epsilon")])


def _of_another_package(name: str) -> GeneratorInfo | str:
    """Return what is known of it, or why it cannot be used."""
    from privsynth.generators.registry import generator_info

    try:
        return generator_info(name)
    except ConfigError as error:
        return str(error)


def _record(info: GeneratorInfo) -> dict[str, object]:
    of = info.extension
    of_package = {"package": of.distribution, "version": of.version} if of else {}
    return {"private": info.private, "summary": info.summary, **of_package}


def _summary(info: GeneratorInfo) -> str:
    of = info.extension
    if of is None:
        return info.summary
    return f"{info.summary} (package {of.distribution} {of.version}, not part of privsynth: its guarantee is its own)"

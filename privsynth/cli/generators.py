"""`privsynth generators`: what there is to choose from."""

from __future__ import annotations

import click

from privsynth.cli.terminal.output import emit_json, print_table


@click.command("generators")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
def command(as_json: bool) -> None:
    """List the generators and what each is for.

    Example: privsynth generators
    """
    from privsynth.generators.registry import AUTO_ARN_EPSILON, AUTO_ARN_ROWS, AUTO_ARN_ROWS_OF_UNIT, GENERATORS

    if as_json:
        emit_json({name: {"private": info.private, "summary": info.summary} for name, info in GENERATORS.items()})
        return
    rows = [(name, "yes" if info.private else "no privacy", info.summary) for name, info in GENERATORS.items()]
    auto = (
        f"arn from epsilon {AUTO_ARN_EPSILON:g} up unless fewer than {AUTO_ARN_ROWS:,} rows are declared "
        f"or a unit may have more than {AUTO_ARN_ROWS_OF_UNIT}, else marginal"
    )
    print_table(("name", "private", "what it is"), [*rows, ("auto", "yes", auto)])

"""`privsynth impute`: fill the gaps of a table from a released model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from privsynth.cli.terminal.options import source_options, take_source_options
from privsynth.cli.terminal.output import emit_json, progress, say


@click.command("impute")
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--input", "source", required=True, metavar="FILE", help="The table with gaps: a file or a database URL.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="New file, .csv or .parquet.")
@click.option("--seed", type=int, help="Seed of the values that are drawn (default: a fresh one, printed).")
@click.option(
    "--draws",
    type=int,
    default=1,
    show_default=True,
    help="How many times to fill the gaps, independently (multiple imputation); files get -1, -2 … before the suffix.",
)
@click.option("--mark", is_flag=True, help="Add a column that names, row by row, the columns that were filled.")
@source_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
def command(model: Path, source: str, out: Path, as_json: bool, **options: Any) -> None:
    """Fill the empty cells of your own table from a released MODEL folder, which is not changed and costs no budget.

    Known cells stay as they are, byte for byte, and so do columns that the model lacks. Filled-in values obey the
    rules of the release. The result holds your real rows: it is as sensitive as the input.

    Example: privsynth impute out/public/model --input incomplete.csv --out complete.csv --draws 5
    """
    from privsynth.release.impute import SENSITIVE, impute

    source_opts = take_source_options(options)
    with progress() as steps:
        made = impute(
            model, source, out, source_options=source_opts, progress=lambda s, share: steps(s, share, 1.0), **options
        )
    counts, files = made.counts, ", ".join(str(path) for path in made.files)
    if as_json:
        figures = {name: getattr(counts, name) for name in ("rows", "stray", "left", "broken", "unmet")}
        filled = dict(counts.filled)
        emit_json(
            {
                "files": [str(p) for p in made.files],
                "seed": made.seed,
                "filled": filled,
                **figures,
                "warning": SENSITIVE,
            }
        )
        return
    say(f"Filled {sum(counts.filled.values()):,} cells in {files} (seed {made.seed}).")
    for count, what in (
        (counts.stray, "of these cells held something that could not be read as a value of their column"),
        (counts.left, "cells stay empty: a rule allows nothing else, or their column cannot hold the value"),
        (counts.broken, "rows break a rule in their known cells, which were not touched"),
        (counts.unmet, "further rows could not be filled so that every rule holds"),
    ):
        if count:
            say(f"  {count:,} {what}")
    say(f"Note that the file {SENSITIVE}.")

"""`privsynth sample`: more rows from a released model."""

from __future__ import annotations

from pathlib import Path

import click

from privsynth.cli.output import emit_json, progress, say


@click.command("sample")
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--rows", type=int, help="How many rows (default: as many as the release has).")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="New folder for the rows.")
@click.option("--seed", type=int, help="Seed of the rows (default: a fresh one, printed).")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["parquet", "csv"]),
    default="parquet",
    show_default=True,
    help="Format of the rows.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
def command(model: Path, rows: int | None, out: Path, seed: int | None, format_: str, as_json: bool) -> None:
    """Draw rows from a released MODEL folder. Sampling costs no budget, however many rows are drawn.

    Example: privsynth sample out/public/model --rows 1000000 --out more/
    """
    from privsynth.pipeline.sample import sample

    with progress() as steps:
        made = sample(
            model, out, rows=rows, seed=seed, suffix=format_, progress=lambda stage, share: steps(stage, share, 1.0)
        )
    if as_json:
        emit_json({"rows": made.rows, "seed": made.seed, "files": [str(path) for path in made.files]})
    else:
        say(f"Wrote {made.rows:,} synthetic rows to {out} (seed {made.seed}).")

"""`privsynth sample`: more rows from a released model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from privsynth.cli.terminal.output import emit_json, progress, say


@click.command("sample")
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "--rows", type=int, help="How many rows, or persons of linked tables (default: as many as the release has)."
)
@click.option(
    "--out",
    metavar="FOLDER|URL",
    help="New folder for the rows, or its address in an object store: s3://bucket/folder; or give --to.",
)
@click.option(
    "--to",
    metavar="DATABASE",
    help="Database for the rows: postgresql://… (in a new schema), mysql://… or mariadb://… (a new database), or a new "
    ".sqlite file. Nothing is overwritten, and all of the rows appear there, or nothing.",
)
@click.option("--to-schema", metavar="NAME", help="Of PostgreSQL, the new schema (default: synthetic).")
@click.option("--seed", type=int, help="Seed of the rows (default: a fresh one, printed).")
@click.option(
    "--given",
    multiple=True,
    metavar="CONDITION",
    help="A condition that every row meets: 'fraud = 1', 'age >= 60 and sex = F', 'ward in (ICU, ER)', "
    "'admitted < 2024-03-01', 'crp is not null'. May be repeated; all conditions hold together. Of linked tables, a "
    "condition on persons ('sex = F'), or on some row that every person has ('stays: ward = surgery').",
)
@click.option(
    "--balance",
    metavar="COLUMN[=SHARES]",
    help="Alter base rates on purpose: 'fraud=0.3' (share of the true value), 'sex' (equal shares of all categories, "
    "without OTHER and missing values), 'ethnicity=A:0.5,B:0.3' (the other values share the rest). Counts are exact up "
    "to rounding.",
)
@click.option("--workers", type=int, help="Parallel workers (default: one per core). The output does not depend on it.")
@click.option(
    "--rows-per-file",
    type=int,
    metavar="N",
    help="Rows of each file, a multiple of 200,000 (default: 200000).",
)
@click.option(
    "--partition-by",
    metavar="COLUMN",
    help="A column of categories by whose values the rows are put into folders: ward=ICU/part-00000.parquet.",
)
@click.option(
    "--resume",
    is_flag=True,
    help="Go on with a run that was stopped: what it finished is kept, if its digests fit. Leaves what is finished if "
    "this run is stopped, too.",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["parquet", "csv", "ndjson", "ndjson.gz"]),
    help="Format of the files (default: parquet; with --layout fhir: ndjson).",
)
@click.option(
    "--layout",
    type=click.Choice(["fhir", "omop"]),
    help="fhir: a release of FHIR's tables as resources, a file a type. omop: a release of OMOP's tables with all "
    "columns of the Common Data Model 5.4.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
def command(
    model: Path,
    out: str | None,
    to: str | None,
    to_schema: str | None,
    given: tuple[str, ...],
    format_: str | None,
    layout: str | None,
    as_json: bool,
    **more: Any,
) -> None:
    """Draw rows from a released MODEL folder. Sampling costs no budget, however many rows are drawn.

    Every row obeys the rules of the release, also with --given and --balance, which use nothing but the model.

    Example: privsynth sample out/public/model --rows 1000000 --balance fraud=0.3 --given 'age >= 60' --out more/
    """
    from privsynth.release.database.write import Target
    from privsynth.release.parts.writing import Writing
    from privsynth.release.sample import sample, sample_as, sample_to, suffix_of
    from privsynth.release.tables import Wanted

    if (out is None) == (to is None):
        raise click.UsageError("give either --out, a new folder, or --to, a database")
    suffix = suffix_of(format_, layout)
    wanted = {name: more.pop(name) for name in ("rows", "seed", "balance")}
    asked, writing = Wanted(given=given, **wanted), Writing(suffix=suffix, **more)
    with progress() as steps:

        def step(stage: str, share: float) -> None:
            steps(stage, share, 1.0)

        if to is not None:
            writing.refuse_files("a database")
            made = sample_to(model, Target(to, to_schema), asked, layout, progress=step)
        elif layout is not None:
            writing.refuse_files(f"the layout {layout}")
            made = sample_as(model, out or "", asked, layout, suffix=suffix, progress=step)
        else:
            made = sample(model, out or "", asked, writing, progress=step)
    if as_json:
        found: dict[str, Any] = {"rows": made.rows, "seed": made.seed, "files": [str(path) for path in made.files]}
        if made.place:
            found["place"] = made.place
        if made.tables:
            found["tables"] = made.tables
        if made.altered:
            found |= {"given": list(made.given), "groups": made.groups, "base_rates": made.altered}
        emit_json(found)
        return
    say(f"Wrote {made.rows:,} synthetic rows to {made.place or out} (seed {made.seed}).")
    for table, count in made.tables.items():
        say(f"  {table}: {count:,} rows")
    for label, count in made.groups.items():
        say(f"  {label}: {count:,} rows")
    if made.altered:
        say(f"Note that {made.altered} (_label.json says so too).")

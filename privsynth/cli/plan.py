"""`privsynth plan`: the price list, before anything is spent."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from privsynth.cli.terminal.options import (
    WholeNumber,
    anyway_option,
    declared_option,
    header_option,
    preset_option,
    prior_option,
    source_options,
    take_preset,
    take_source_options,
)
from privsynth.cli.terminal.output import bar, emit_json, print_table, say, speaks_unicode

if TYPE_CHECKING:
    from privsynth.pipeline.usability.outlook import ColumnPlan, Outlook
    from privsynth.pipeline.usability.planned import Plan
    from privsynth.pipeline.usability.workload import Workload

_STATUS = {"resolved": "resolved", "coarse": "only coarsely", "lost": "lost in noise"}
GUESSED = (
    "A guess stands for a column of which nothing is declared. It looks better than a declared one with more "
    "categories, and may turn out worse; declared, a column costs less, and its error is known."
)
SHOWN_COLUMNS = 40  # in the table (own): a screen; --json has all


@click.command("plan")
@click.argument("source")
@click.option("--unit", metavar="COLUMN|row", help="Whose privacy is protected: a column, or the word 'row'.")
@click.option("--epsilon", type=float, required=True, help="Total privacy budget of the release.")
@click.option("--delta", type=float, default=1e-6, show_default=True, help="Total delta.")
@click.option("--schema", type=click.Path(path_type=Path), help="What is publicly known about the columns.")
@click.option("--max-rows-per-unit", type=int, metavar="K", help="At most K rows of a unit are used.")
@click.option("--dataset", metavar="NAME", help="Name in the budget ledger.")
@click.option("--generator", default="auto", show_default=True, metavar="NAME", help="auto, or one of the generators.")
@preset_option
@click.option(
    "--expect-rows",
    "--rows",
    "expect_rows",
    type=WholeNumber(),
    metavar="N",
    help="Your guess of the number of rows, for example 1e9: what can be learned from so many, and what that takes.",
)
@prior_option
@source_options
@header_option
@declared_option
@anyway_option
@click.option(
    "--executor",
    default="processes",
    show_default=True,
    metavar="NAME[:WORKERS]",
    help="What would count the rows: processor time, memory and bytes are said for it, for example spark:16.",
)
@click.option("--rate", type=float, metavar="MONEY", help="Money for an hour of one processor: the run is priced.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
def command(as_json: bool, executor: str, rate: float | None, **options: Any) -> None:
    """Show what a release of SOURCE would cost and how accurate it would be. Reads only the header; spends nothing.

    Of linked tables, SOURCE is a folder or a database whose tables the schema names, and --expect-rows guesses the
    number of persons.

    Exit code 8 means that at the number of rows that you expect, or that the schema declares, little can be learned.

    Example: privsynth plan admissions.csv --schema schema.yaml --unit patient_id --epsilon 1
    """
    from privsynth.pipeline.config import SynthesizeConfig
    from privsynth.pipeline.plan import plan

    taken = take_source_options(options)
    if (preset := take_preset(options)) is not None:
        options["schema"] = preset
    made = plan(SynthesizeConfig(out=Path("plan"), source_options=taken, **options), executor=executor, rate=rate)
    if as_json:
        emit_json(made.to_json())
    else:
        _say(made)
        if made.over_cap is not None:
            say(f"The ledger would refuse this run. {made.over_cap}")
    if made.refused is not None and as_json:  # the object says why
        click.get_current_context().exit(made.refused.exit_code)
    if made.refused is not None:
        raise made.refused


def _say(made: Plan) -> None:
    from privsynth.pipeline.usability.advice import sentence
    from privsynth.pipeline.usability.planned import pair_error

    say(f"{made.dataset}: ({made.epsilon:g}, {made.delta:g})-differential privacy, {made.neighbours}.")
    cost = f"All parts together would cost epsilon {made.epsilon_of_events:.4f}; nothing was spent."
    say(f"Generator {made.generator}. {cost}")
    if made.tables:
        _say_tables(made)
        return
    if made.max_rows_per_unit > 1:
        half = made.max_rows_per_unit / 2
        say(f"Errors are estimates for units of {half:g} rows; a run adds noise for the rows that units really have.")
        say(
            f"Rows of a unit beyond {made.max_rows_per_unit:,} are not used. A run buys how many units have more, and "
            "its reports say how far a share of rows may be off for that."
        )
    fancy = speaks_unicode()
    rows = [(p.name, f"{p.share:.1%}", bar(p.share, fancy=fancy), f"{p.noise_multiplier:.4g}") for p in made.parts]
    last = made.outlooks[-1]
    print_table(("part", "share", "", "noise multiplier"), rows, title=f"What each part costs, at {last.rows:,} rows")
    sizes = [
        (f"{o.rows:,}", f"{o.rarest:,}" if o.rarest else "none are merged", str(o.bins), pair_error(o))
        for o in made.outlooks
    ]
    print_table(
        ("rows of the table", "merged into OTHER below", "bins per number", "error of a pair (TVD)"),
        sizes,
        title="What the budget can resolve",
    )
    columns = [
        (c.name, c.known, _codes(c), f"{c.expected_tvd:.4f}", _STATUS[c.status]) for c in last.columns[:SHOWN_COLUMNS]
    ]
    print_table(
        ("column", "domain", "codes", "error (TVD)", "outlook"), columns, title=f"Each column, at {last.rows:,} rows"
    )
    if len(last.columns) > SHOWN_COLUMNS:
        say(f"… and {len(last.columns) - SHOWN_COLUMNS} more columns; --json has them all")
    if any(c.known == "bought" for c in last.columns):
        say(GUESSED)
    if made.rows_noise:
        say(f"The number of rows itself is released with noise of about {made.rows_noise:.0f} rows.")
    if made.prior is not None:
        say(made.prior)
    for outlook in made.outlooks:
        say(f"Expected: {sentence(outlook)}.")
    if made.workload is not None:
        _say_workload(made.workload)


def _say_workload(work: Workload) -> None:
    from privsynth.pipeline.usability.workload import duration, memory, size

    money = "" if work.money is None else f", {work.money:,.2f} at that rate"
    say(
        f"To compute, about {duration(work.cpu_s)} of processor time{money}; {duration(work.wall_s)} with "
        f"{work.workers:,} workers of '{work.executor}', each in {memory(work.worker_mib)}, beside one process in "
        f"{memory(work.driver_mib)}, and {size(work.scratch_bytes)} of private files."
    )
    if work.limit:
        say(f"At this size {work.limit}.")


def _say_tables(made: Plan) -> None:
    from privsynth.pipeline.usability.advice import sentence
    from privsynth.pipeline.usability.planned import pair_error

    fancy = speaks_unicode()
    rows = [
        (t.name, t.parent or "the persons", f"{t.max_children:,}", f"{t.share:.1%}", bar(t.share, fancy=fancy))
        for t in made.tables
    ]
    print_table(("table", "belongs to", "rows of a person, at most", "share", ""), rows, title="What each table costs")
    columns = [
        (f"{t.name}: {c.name}", c.known, _codes(c), f"{c.expected_tvd:.4f}", _STATUS[c.status])
        for t in made.tables
        for c in t.outlooks[-1].columns
    ]
    print_table(
        ("column", "domain", "codes", "error (TVD)", "outlook"),
        columns[:SHOWN_COLUMNS],
        title=f"Each column, at {made.persons[-1]:,} persons",
    )
    if len(columns) > SHOWN_COLUMNS:
        say(f"… and {len(columns) - SHOWN_COLUMNS} more columns; --json has them all")
    if any(c.known == "bought" for t in made.tables for c in t.outlooks[-1].columns):
        say(GUESSED)
    say("Of a table below the persons, each person is taken to have half of the rows that are used at most.")
    resolved = [(t.name, *(_resolved(outlook) for outlook in t.outlooks)) for t in made.tables]
    sizes = [f"at {persons:,} persons" for persons in made.persons]
    print_table(("table", *sizes), resolved, title="Columns that the budget can resolve")
    pairs = [(t.name, *(pair_error(outlook) for outlook in t.outlooks)) for t in made.tables]
    print_table(("table", *sizes), pairs, title="Error of a pair of columns (TVD)")
    for table in made.tables:
        say(f"Expected of {table.name}: {sentence(table.outlooks[-1])}.")


def _codes(column: ColumnPlan) -> str:
    """Return the number of codes of a column; where its domain is bought, nobody knows it yet."""
    return f"{column.codes:,}, a guess" if column.known == "bought" else f"{column.codes:,}"


def _resolved(outlook: Outlook) -> str:
    coarse, lost = len(outlook.names("coarse")), len(outlook.names("lost"))
    more = [f"{coarse} coarse"] if coarse else []
    more += [f"{lost} lost in noise"] if lost else []
    return ", ".join([f"{len(outlook.names('resolved'))} of {len(outlook.columns)}", *more])

"""`privsynth --server URL plan` and `synthesize`: what a release would cost, and asking for one."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable
from functools import reduce
from typing import Any

import click

from privsynth.cli.remote.runs import followed, print_run
from privsynth.cli.remote.server import connected, json_option
from privsynth.cli.remote.sources import the_source
from privsynth.cli.terminal.options import anyway_option, expect_rows_option, language_option
from privsynth.cli.terminal.output import emit_json, output_mode, print_table, say
from privsynth.errors import LittleToLearn

_ASKED: list[Callable[..., Any]] = [
    click.option("--epsilon", type=float, required=True, help="Total privacy budget of the release."),
    click.option("--delta", type=float, default=1e-6, show_default=True, help="Total delta."),
    click.option("--unit", metavar="COLUMN|row", help="Whose privacy is protected [default: what the schema says]."),
    click.option("--max-rows-per-unit", type=int, metavar="K", help="Use at most K rows of each unit."),
    click.option("--generator", default="auto", show_default=True, metavar="NAME", help="auto, or a generator's name."),
    expect_rows_option,
    anyway_option,
]


_MADE: list[Callable[..., Any]] = [
    click.option("--rows", type=int, metavar="N", help="Synthetic rows (default: the noisy number of rows)."),
    click.option(
        "--audit", type=click.Choice(["quick", "standard", "deep", "none"]), default="standard", show_default=True,
        help="How thorough the officer's audit is.",
    ),
    click.option(
        "--format", type=click.Choice(["parquet", "csv"]), default="parquet", show_default=True,
        help="Format of the synthetic table.",
    ),
    language_option,
    click.option("--from-last-release", is_flag=True, help="Start from the newest published release of the dataset."),
]  # fmt: skip


def asked_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say what a release costs and resolves."""
    return reduce(lambda made, option: option(made), reversed(_ASKED), command)


def made_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say how a release is made."""
    return reduce(lambda made, option: option(made), reversed(_MADE), command)


def told(options: dict[str, Any]) -> dict[str, Any]:
    """Return what was typed, as the API takes it: what was not typed is left out."""
    return {name: value for name, value in options.items() if value is not None}


@click.command()
@click.argument("source")
@asked_options
@json_option
def plan(source: str, **options: Any) -> None:
    """Show what releases of a SOURCE would cost and resolve, at this epsilon and around it. It spends nothing.

    Exit code 8 means that at the number of rows that you expect, or that the schema declares, little can be learned.

    Example: privsynth --server https://privsynth.example.org plan admissions --epsilon 1
    """
    asked = connected()
    sent = {"source": the_source(asked, source)["id"], "request": told(options)}
    found = asked.send("POST", "/plans", sent)
    refused = next(
        (one["plan"]["refused"] for one in found if one["epsilon"] == options["epsilon"] and one["plan"]), None
    )
    if output_mode().as_json:
        emit_json({"plans": found})
    else:
        print_table(("epsilon", "columns, at the largest number of rows", "remarks"), [_plan_row(one) for one in found])
        for sentence in dict.fromkeys(one["plan"]["over_cap"] for one in found if one["plan"]):
            if sentence:
                click.echo(sentence)
                break  # they differ in what is asked for alone
    if refused:
        if output_mode().as_json:  # the object says why
            click.get_current_context().exit(LittleToLearn.exit_code)
        raise LittleToLearn(refused)


def _plan_row(at: dict[str, Any]) -> tuple[str, ...]:
    made = at["plan"]
    if made is None:
        return f"{at['epsilon']:g}", "", at["why"]
    outlooks = [table["outlooks"][-1] for table in made["tables"]] or [made["outlooks"][-1]]
    counts = Counter(column["status"] for outlook in outlooks for column in outlook["columns"])
    columns = ", ".join(f"{counts[status]} {word}" for status, word in _WORDS.items() if counts[status])
    room = "over the cap" if made["over_cap"] else ("little can be learned" if made["refused"] else "")
    return f"{at['epsilon']:g}", columns, "; ".join([room] * bool(room) + at["policy"])


_WORDS = {"resolved": "resolved", "coarse": "coarse", "lost": "lost in noise"}


@click.command("synthesize")
@click.argument("source")
@click.option("--purpose", required=True, help="What it is for; those who decide read it.")
@asked_options
@made_options
@click.option(
    "--once",
    default="",
    metavar="KEY",
    help="A text of your own for this request, as of a scheduler's run: "
    "sent again, it is the same run, and nothing is spent twice.",
)
@click.option("--wait/--no-wait", default=True, show_default=True, help="Follow the run until it ends.")
@json_option
def command(source: str, purpose: str, once: str, wait: bool, **options: Any) -> None:
    """Ask for a release of a SOURCE, which a worker of the service makes, and follow it until it is made.

    SOURCE is the name or the number of a source of the service. Its budget is reserved when the worker begins. Ctrl-C
    ends the following, and not the run. Exit codes are those of `privsynth synthesize`, by the public figures alone: 3
    means that a check failed, and 8 that little can be learned. People decide afterwards whether the release may leave.

    Example: privsynth --server https://privsynth.example.org synthesize admissions --epsilon 1 --purpose "a course"
    """
    asked = connected()
    sent = {"source": the_source(asked, source)["id"], "request": told(options), "purpose": purpose}
    run = asked.send("POST", "/runs", sent, once=once or secrets.token_urlsafe(16))
    if wait:
        say(f"Asked for {run['id']}: {run['sentence']}", err=True)
        followed(asked, run["id"])
    else:
        print_run(run)

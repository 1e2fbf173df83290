"""`privsynth --server URL schedules`: releases that a service repeats, and the yearly budgets that bound them."""

from __future__ import annotations

import secrets
from typing import Any

import click

from privsynth.cli.remote.server import connected, json_option, once_option, print_facts, print_rows
from privsynth.cli.remote.sources import the_source
from privsynth.cli.remote.synthesize import asked_options, made_options, told
from privsynth.cli.terminal.output import emit_json, output_mode, say
from privsynth.errors import BudgetError

_FACTS = (
    "id", "source", "dataset", "owner", "purpose", "every", "first", "at", "zone", "state", "sentence", "next_at",
)  # fmt: skip
_WHEN = (
    click.option(
        "--every", required=True, type=click.Choice(["week", "month", "quarter", "year"]), help="How often."
    ),
    click.option("--first", required=True, metavar="DAY", help="The first day, as 2026-12-31."),
    click.option("--at", default="06:00", show_default=True, help="When on that day, by the institution's clocks."),
)  # fmt: skip


def _when_options(command: Any) -> Any:
    for option in reversed(_WHEN):
        command = option(command)
    return command


@click.group()
def command() -> None:
    """Plan, make, list, pause, resume and end schedules, and set the yearly budgets that bound them.

    Example: privsynth --server https://privsynth.example.org schedules list
    """


@command.command("list")
@json_option
def list_() -> None:
    """List the schedules that you may see.

    Example: privsynth --server https://privsynth.example.org schedules list
    """
    names = ("no.", "source", "owner", "every", "state", "next", "remarks")
    print_rows(
        connected().get("/schedules"), names,
        lambda one: (one["id"], one["source"], one["owner"], one["rhythm"]["every"], one["state"], one["next_at"],
                     one["sentence"]),
    )  # fmt: skip


@command.command()
@click.argument("number", type=int)
@json_option
def show(number: int) -> None:
    """Show the schedule of a NUMBER, and what became of its due times.

    Example: privsynth --server https://privsynth.example.org schedules show 7
    """
    found = connected().get(f"/schedules/{number}")
    _print(found)
    if not output_mode().as_json:
        for one in found["firings"]:
            say(f"{'due':<16} {one['due_at'][:16].replace('T', ' ')}: {one['run'] or one['sentence']}")


@command.command()
@click.argument("source")
@asked_options
@made_options
@_when_options
@json_option
def plan(source: str, **options: Any) -> None:
    """Show when a schedule of releases of a SOURCE would be due, and what a year of it costs. It spends nothing.

    Exit code 4 means that it would be refused: the sentence says by which budget.

    Example: privsynth --server https://privsynth.example.org schedules plan admissions --epsilon 0.3 --every month
    --first 2027-01-31
    """
    asked = connected()
    found = asked.send("POST", "/schedules/plan", _sent(the_source(asked, source), options))
    if output_mode().as_json:
        emit_json(found)
    else:
        for name in ("cost", "yearly"):
            say(f"{name:<16} {_amount(found[name])}")
        for name in ("budget", "planned", "left"):
            say(f"{name:<16} {_amount(found['year'][name])}")
        say(f"{'dates':<16} {', '.join(date[:16].replace('T', ' ') for date in found['dates'])}")
    if found["refused"]:
        if output_mode().as_json:  # the object says why
            click.get_current_context().exit(BudgetError.exit_code)
        raise BudgetError(found["refused"])


@command.command()
@click.argument("source")
@click.option("--purpose", required=True, help="What the releases are for; those who decide read it.")
@asked_options
@made_options
@_when_options
@once_option
@json_option
def make(source: str, purpose: str, once: str, **options: Any) -> None:
    """Make a schedule: each time that it is due, a release of a SOURCE is asked for in your name.

    Exit code 4 means that a year of it exceeds the yearly budget of the dataset, or that there is none.

    Example: privsynth --server https://privsynth.example.org schedules make admissions --epsilon 0.3 --every month
    --first 2027-01-31 --purpose "the registry"
    """
    asked = connected()
    sent = _sent(the_source(asked, source), options) | {"purpose": purpose}
    _print(asked.send("POST", "/schedules", sent, once=once or secrets.token_urlsafe(16)))


def _act(name: str, told: str) -> None:
    @command.command(name, help=told)
    @click.argument("number", type=int)
    @json_option
    def act(number: int) -> None:
        _print(connected().send("POST", f"/schedules/{number}/{name}"))


_URL = "privsynth --server https://privsynth.example.org schedules"
_act("pause", f"Pause the schedule of a NUMBER until its owner resumes it.\n\nExample: {_URL} pause 7")
_act("resume", f"Go on with a paused schedule of yours, from its next date on.\n\nExample: {_URL} resume 7")
_act("end", f"End the schedule of a NUMBER for good; its releases stay.\n\nExample: {_URL} end 7")


@command.command()
@json_option
def budgets() -> None:
    """List what the schedules of each dataset may spend in any twelve months, and plan to.

    Example: privsynth --server https://privsynth.example.org schedules budgets
    """
    names = ("budget", "planned", "left")
    print_rows(
        connected().get("/yearly-budgets"), ("dataset", "yearly budget", "planned", "left of the cap"),
        lambda one: (one["dataset"], *(_amount(one[name]) for name in names)),
    )  # fmt: skip


@command.command("set-budget")
@click.argument("dataset")
@click.option("--epsilon", type=float, required=True, help="In any twelve months.")
@click.option("--delta", type=float, required=True, help="In any twelve months.")
@json_option
def set_budget(dataset: str, epsilon: float, delta: float) -> None:
    """Set what the schedules of a DATASET may spend in any twelve months, as an approver.

    Example: privsynth --server https://privsynth.example.org schedules set-budget admissions --epsilon 3 --delta 5e-6
    """
    sent = {"dataset": dataset, "epsilon": epsilon, "delta": delta}
    found = connected().send("PUT", "/yearly-budgets", sent)
    if output_mode().as_json:
        emit_json(found)
        return
    for name in ("budget", "planned", "left"):
        say(f"{name:<16} {_amount(found[name])}")


def _sent(source: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    rhythm = {name: options.pop(name) for name in ("every", "first", "at")}
    return {"source": source["id"], "request": told(options), "rhythm": rhythm}


def _amount(amount: dict[str, float] | None) -> str:
    return "none set" if amount is None else f"ε {amount['epsilon']:g}  δ {amount['delta']:g}"


def _print(schedule: dict[str, Any]) -> None:
    print_facts(schedule if output_mode().as_json else {**schedule, **schedule["rhythm"]}, _FACTS)

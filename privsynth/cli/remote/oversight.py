"""`privsynth --server URL budget`, `record`, `overview` and `me`: what was spent, what was done, and who asks."""

from __future__ import annotations

import click

from privsynth.cli.remote.server import connected, json_option, print_facts, print_rows
from privsynth.cli.terminal.output import emit_json, output_mode, say
from privsynth.errors import VerificationError


@click.group()
def budget() -> None:
    """Show what each dataset of a service may spend and has spent.

    Example: privsynth --server https://privsynth.example.org budget show
    """


@budget.command()
@click.argument("dataset", required=False)
@json_option
def show(dataset: str | None) -> None:
    """Show the cap, and what is spent and left, for one DATASET or for all.

    Example: privsynth --server https://privsynth.example.org budget show admissions
    """
    found = [one for one in connected().get("/budgets") if dataset in (None, one["dataset"])]
    print_rows(
        found, ("dataset", "unit", "cap", "spent", "left", "releases"),
        lambda one: (one["dataset"], one["units"], *(
            f"ε {one[f'{what}_epsilon']:g}  δ {one[f'{what}_delta']:g}" for what in ("cap", "spent", "left")
        ), one["completed"]),
    )  # fmt: skip


@click.group()
def record() -> None:
    """Read the record of what everybody did, and check that none of it was changed.

    Example: privsynth --server https://privsynth.example.org record list --about run
    """


@record.command("list")
@click.option("--about", default="", metavar="TEXT", help="The beginning of what it was done to, as run or person.")
@click.option("--act", default="", metavar="ACT", help="Only acts of this kind, as publish.")
@click.option("--before", type=int, metavar="N", help="Only acts with a smaller number.")
@click.option("--most", type=int, default=100, show_default=True, metavar="N", help="At most so many.")
@json_option
def list_(about: str, act: str, before: int | None, most: int) -> None:
    """List what was done, newest first.

    Example: privsynth --server https://privsynth.example.org record list --act publish
    """
    found = connected().get("/acts", about=about, act=act, before=before, most=most)
    print_rows(
        found["acts"], ("no.", "time (UTC)", "who", "act", "about"),
        lambda one: (one["id"], one["at"], one["name"], one["act"], one["about"]),
    )  # fmt: skip
    if found["older"] is not None:
        say(f"There are older ones: --before {found['older']}", err=True)


@record.command()
@json_option
def check() -> None:
    """Have every digest of the record computed anew; exit code 5 means that it was changed.

    Note the number and the digest elsewhere: they show later whether the end was cut off.

    Example: privsynth --server https://privsynth.example.org record check
    """
    found = connected().get("/acts/check")
    print_facts(found, ("count", "head", "damaged"))
    if found["damaged"] is not None:
        click.get_current_context().exit(VerificationError.exit_code)


@click.command()
@json_option
def overview() -> None:
    """Show the runs that wait for you, and for what; and schedules, webhooks and keys that somebody has to look after.

    Example: privsynth --server https://privsynth.example.org overview
    """
    found = connected().get("/overview")
    if output_mode().as_json:
        emit_json(found)
        return
    print_rows(
        found["waiting"], ("run", "dataset", "asked by", "asked", "state", "you may"),
        lambda one: tuple(one[key] for key in ("run", "dataset", "submitter", "made_at", "state", "act")),
    )  # fmt: skip
    for key, what in (("paused", "The schedule"), ("disabled", "The webhook")):
        for one in found[key]:
            say(f"{what} {one['id']} ({one['name']}) is {key}: {one['sentence']}")
    for one in found["keys"]:
        say(f"The key of {one['holder']} {'ended' if one['ended'] else 'ends'} on {one['ends_at'][:10]}.")
    for name in found["invited"] or []:
        say(f"{name} was invited, and has not signed in yet.")


@click.command()
@json_option
def me() -> None:
    """Show whose token this is, and what it is for.

    Example: privsynth --server https://privsynth.example.org me
    """
    print_facts(connected().get("/me"), ("name", "display", "roles", "scopes"))

"""`privsynth --server URL runs`: the runs of a service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from privsynth.cli.remote.server import connected, json_option, print_facts, print_rows, run_argument
from privsynth.cli.terminal.output import output_mode, progress, say
from privsynth.errors import STOPPED, CheckFailed, ServiceUnavailable

if TYPE_CHECKING:
    from privsynth.remote.connection import Connection

_FACTS = (
    "id", "dataset", "source", "purpose", "asked_by", "asked_at", "state", "sentence", "stage", "started_at",
    "ended_at", "approvals_needed", "manifest",
)  # fmt: skip


@click.group()
def command() -> None:
    """List, show, follow and cancel runs of a service, and answer who asked for changes.

    Example: privsynth --server https://privsynth.example.org runs list
    """


@command.command("list")
@click.option("--state", metavar="STATE", help="Only runs in this state, as to_decide or published.")
@json_option
def list_(state: str | None) -> None:
    """List the newest runs that you may see.

    Example: privsynth --server https://privsynth.example.org runs list --state to_decide
    """
    print_rows(
        connected().get("/runs", state=state), ("run", "dataset", "epsilon", "asked by", "asked", "state"),
        lambda one: (one["id"], one["dataset"], f"{one['request']['epsilon']:g}", one["asked_by"], one["asked_at"],
                     one["state"]),
    )  # fmt: skip


@command.command()
@run_argument
@json_option
def show(run: str) -> None:
    """Show a RUN: what was asked for, where it is, and why.

    Example: privsynth --server https://privsynth.example.org runs show run-0123456789abcdef
    """
    print_run(connected().get(f"/runs/{run}"))


@command.command()
@run_argument
@json_option
def follow(run: str) -> None:
    """Follow a RUN until it ends; the exit code is its own, as of `synthesize`.

    Example: privsynth --server https://privsynth.example.org runs follow run-0123456789abcdef
    """
    followed(connected(), run)


@command.command()
@run_argument
@json_option
def cancel(run: str) -> None:
    """End a RUN of yours, or ask that it ends; what was drawn stays spent.

    Example: privsynth --server https://privsynth.example.org runs cancel run-0123456789abcdef
    """
    told = connected().send("POST", f"/runs/{run}/cancel")
    print_run(told)
    if told["ended_at"] is None:
        say("It is being cancelled, and ends in a moment. What is drawn by then stays spent.", err=True)


@command.command()
@run_argument
@click.option("--comment", required=True, help="What you answer, in one paragraph.")
@json_option
def answer(run: str, comment: str) -> None:
    """Answer who asked for changes of the release of a RUN of yours; people decide on it again.

    Example: privsynth --server https://privsynth.example.org runs answer run-0123456789abcdef --comment "all is needed"
    """
    print_run(connected().send("POST", f"/runs/{run}/answer", {"comment": comment}))


def print_run(run: dict[str, Any]) -> None:
    """Print a run."""
    print_facts(run, _FACTS)
    if not output_mode().as_json:
        for one in run.get("decisions", ()):
            say(f"{'decision':<16} {one['person']}, {one['at'][:10]}, {one['meaning']}: {one['comment']}".rstrip(": "))
        for one in run.get("answers", ()):
            say(f"{'answer':<16} {one['person']}, {one['at'][:10]}: {one['comment']}")


def followed(asked: Connection, run_id: str) -> None:
    """Follow a run, print what became of it, and end the command with its exit code."""
    from privsynth.remote.following import exit_code_of, follow

    context = click.get_current_context()
    try:
        with progress() as steps:
            run = follow(asked, run_id, lambda stage, share: steps(stage, share, 1.0))
    except KeyboardInterrupt:
        say(f"Stopped looking: {run_id} goes on. {_how(asked, run_id)}", err=True)
        context.exit(STOPPED)
    except ServiceUnavailable as problem:
        raise ServiceUnavailable(f"{problem}. {run_id} may go on all the same. {_how(asked, run_id)}") from None
    print_run(run)
    code = exit_code_of(run)
    if code == CheckFailed.exit_code:
        say("A check of the public figures failed, and the report says which. People decide all the same.", err=True)
    context.exit(code)


def _how(asked: Connection, run_id: str) -> str:
    here = f"privsynth --server {asked.server.base} runs"
    return f"To follow it again: {here} follow {run_id}; to end it: {here} cancel {run_id}"

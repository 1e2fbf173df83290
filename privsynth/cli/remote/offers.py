"""`privsynth --server URL offers` and `download`: what leaves a service."""

from __future__ import annotations

from pathlib import Path

import click

from privsynth.cli.remote.server import (
    connected,
    json_option,
    once_option,
    print_facts,
    print_rows,
    run_argument,
    text_of,
)
from privsynth.cli.terminal.output import say

_FACTS = ("id", "run", "recipient", "made_at", "ends_at", "accepted_at", "withdrawn_at")


@click.group()
def command() -> None:
    """List, make and withdraw offers of a published edition to named recipients.

    Example: privsynth --server https://privsynth.example.org offers list run-0123456789abcdef
    """


@command.command("list")
@run_argument
@json_option
def list_(run: str) -> None:
    """List to whom the release of a RUN was offered.

    Example: privsynth --server https://privsynth.example.org offers list run-0123456789abcdef
    """
    print_rows(
        connected().get(f"/runs/{run}/offers"), ("no.", "recipient", "made", "ends", "accepted", "withdrawn"),
        lambda one: tuple(one[name] for name in _FACTS if name != "run"),
    )  # fmt: skip


@command.command()
@run_argument
@click.option("--recipient", required=True, help="Whom it is for.")
@click.option(
    "--terms", required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File with the terms that they accept.",
)  # fmt: skip
@click.option("--days", type=int, default=14, show_default=True, help="For how long the link is good.")
@once_option
@json_option
def make(run: str, recipient: str, terms: Path, days: int, once: str) -> None:
    """Offer the published release of a RUN to a recipient; the link is printed once.

    Example: privsynth --server https://privsynth.example.org offers make run-0123 --recipient "A. Koch" --terms t.txt
    """
    sent = {"recipient": recipient, "terms": text_of(terms), "days": days}
    print_facts(connected().send("POST", f"/runs/{run}/offers", sent, once=once), (*_FACTS, "link"))


@command.command()
@click.argument("number", type=int)
@json_option
def withdraw(number: int) -> None:
    """End the offer of a NUMBER at once.

    Example: privsynth --server https://privsynth.example.org offers withdraw 7
    """
    print_facts(connected().send("POST", f"/offers/{number}/withdrawal"), _FACTS)


@click.command()
@run_argument
@click.option("--out", type=click.Path(path_type=Path), required=True, help="New folder for the edition.")
@click.option("--most-megabytes", type=int, default=10_000, show_default=True, help="What is larger is refused.")
def download(run: str, out: Path, most_megabytes: int) -> None:
    """Download the published edition of a RUN into a new folder; that you did is on record.

    Exit code 3 means that it is not published, and 9 that it was revoked. `privsynth verify` checks what came.

    Example: privsynth --server https://privsynth.example.org download run-0123456789abcdef --out release
    """
    asked = connected()
    from privsynth.remote.editions import download_edition

    download_edition(asked, run, out, most_megabytes)
    say(f"Downloaded {run} into {out}. Check it: privsynth verify {out}")

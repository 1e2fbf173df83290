"""`privsynth --server URL status`, `approve`, `publish` and `revoke`: what people decide on a release."""

from __future__ import annotations

from typing import Any

import click

from privsynth.cli.remote.server import connected, json_option, print_facts, run_argument
from privsynth.cli.terminal.output import output_mode, say
from privsynth.cli.terminal.passphrases import ask_passphrase
from privsynth.errors import CheckFailed

CHOICES = ("reviewed", "changes", "approved", "rejected")
_FACTS = ("run", "dataset", "state", "needed", "approvals", "policy", "problem", "uncounted", "manifest", "edition")


def _print(release: dict[str, Any]) -> None:
    print_facts(release, _FACTS)
    if not output_mode().as_json:
        for one in release["decisions"]:
            comment = f": {one['comment']}" if one["comment"] else ""
            say(f"{'decision':<16} {one['person']}, {one['at'][:10]}, {one['meaning']}{comment}")


@click.command()
@run_argument
@json_option
def status(run: str) -> None:
    """Have the release of a RUN verified, and show where it stands and who decided what.

    Exit code 3 means that it may not leave: it does not verify, or fewer people approved it than its policy asks for.

    Example: privsynth --server https://privsynth.example.org status run-0123456789abcdef
    """
    found = connected().get(f"/runs/{run}/decision")
    _print(found)
    if found["problem"] or found["state"] not in ("approved", "published"):
        click.get_current_context().exit(CheckFailed.exit_code)


@click.command()
@run_argument
@click.option("--meaning", required=True, type=click.Choice(CHOICES), help="What your signature says.")
@click.option("--comment", default="", help="Why, in one paragraph.")
@click.option("--against-policy", is_flag=True, help="Approve although the policy of the release refuses it.")
@json_option
def approve(run: str, meaning: str, comment: str, against_policy: bool) -> None:
    """Decide on the release of a RUN, with your own key on the service.

    The passphrase of your key is asked for, or taken from PRIVSYNTH_PASSPHRASE; the service uses it for this once.
    To ask for changes takes none, since nobody signs that. A release that you asked for is for others to decide.

    Example: privsynth --server https://privsynth.example.org approve run-0123456789abcdef --meaning approved
    """
    asked = connected()
    passphrase = "" if meaning == "changes" else ask_passphrase(prompt="Passphrase of your key")().decode("utf-8")
    sent = {"meaning": meaning, "comment": comment, "against_policy": against_policy, "passphrase": passphrase}
    _print(asked.send("POST", f"/runs/{run}/decision", sent))


@click.command()
@run_argument
@click.option("--with-comments", is_flag=True, help="Show what people wrote, too: every recipient will read it.")
@json_option
def publish(run: str, with_comments: bool) -> None:
    """Publish the approved edition of the release of a RUN, signed with the service's key.

    Example: privsynth --server https://privsynth.example.org publish run-0123456789abcdef
    """
    _print(connected().send("POST", f"/runs/{run}/publication", {"comments": with_comments}))


@click.command()
@run_argument
@click.option("--reason", required=True, help="Why, in one line; everybody may read it.")
@json_option
def revoke(run: str, reason: str) -> None:
    """Revoke the release of a RUN. This is not taken back.

    Example: privsynth --server https://privsynth.example.org revoke run-0123456789abcdef --reason "wrong ward"
    """
    _print(connected().send("POST", f"/runs/{run}/revocation", {"reason": reason}))

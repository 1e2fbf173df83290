"""`privsynth --server URL status`, `approve`, `decisions`, `report`, `publish` and `revoke`: deciding on a release."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from privsynth.cli.remote.server import (
    connected,
    json_option,
    new_file_argument,
    print_facts,
    run_argument,
    save,
    text_of,
)
from privsynth.cli.terminal.output import output_mode, say
from privsynth.cli.terminal.passphrases import ask_passphrase
from privsynth.errors import CheckFailed, OutputError

CHOICES = ("reviewed", "changes", "approved", "rejected")
SIGNED = ("reviewed", "approved", "rejected")
_comment = click.option("--comment", default="", help="Why, in one paragraph.")
_against = click.option("--against-policy", is_flag=True, help="Approve although the policy of the release refuses it.")
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
@_comment
@_against
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


@click.group()
def decisions() -> None:
    """Decide with a key that you have elsewhere: in a file on your machine, or in a device.

    Fetch what is to be signed, sign it with `privsynth keys sign`, and enter what that wrote.

    Example: privsynth --server https://privsynth.example.org decisions enter run-0123456789abcdef signed.dsse.json
    """


@decisions.command()
@run_argument
@new_file_argument
@click.option("--meaning", required=True, type=click.Choice(SIGNED), help="What your signature says.")
@_comment
@_against
def request(run: str, out: Path, meaning: str, comment: str, against_policy: bool) -> None:
    """Write what is to be signed, to decide on the release of a RUN, into the new file OUT.

    Example: privsynth --server https://privsynth.example.org decisions request run-0123456789abcdef decision.json
    --meaning approved
    """
    sent = {"meaning": meaning, "comment": comment, "against_policy": against_policy}
    found = connected().send("POST", f"/runs/{run}/decision-request", sent)
    try:
        with out.open("x", encoding="utf-8") as file:
            json.dump(found, file, indent=2)
    except OSError as problem:
        raise OutputError(f"{out} cannot be written: {problem.strerror}") from None
    say(f"Written into {out}. Sign it where your key is: privsynth keys sign {out} signed.dsse.json")


@decisions.command()
@run_argument
@click.argument("signed", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
def enter(run: str, signed: Path) -> None:
    """Enter the decision on the release of a RUN that is in the file SIGNED, which `privsynth keys sign` wrote.

    Example: privsynth --server https://privsynth.example.org decisions enter run-0123456789abcdef signed.dsse.json
    """
    _print(connected().send("POST", f"/runs/{run}/signed-decision", {"signed": text_of(signed)}))


@click.command()
@run_argument
@new_file_argument
@click.option("--officer", is_flag=True, help="The officer's, for who decides; that you read it is on record.")
def report(run: str, out: Path, officer: bool) -> None:
    """Write the public report of the release of a RUN into the new file OUT.

    Example: privsynth --server https://privsynth.example.org report run-0123456789abcdef report.html
    """
    save(f"/runs/{run}/reports/{'officer' if officer else 'public'}", out)


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

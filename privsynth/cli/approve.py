"""`privsynth approve` and `privsynth status`: what people decide on a release, and where it stands."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from privsynth.cli.keys import ask_passphrase
from privsynth.cli.terminal.keyrings import keyring_option, keyrings_of

if TYPE_CHECKING:
    from privsynth.approvals.decisions import Read, Standing

CHOICES = ("reviewed", "approved", "rejected")  # those of a statement, which is not loaded to print the help
UNDECIDED = 3  # exit code of a release that is not approved, as of a check that failed


@click.command()
@click.argument("run", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--as", "name", default="default", show_default=True, help="Name of your key.")
@click.option("--meaning", required=True, type=click.Choice(CHOICES), help="What your signature says.")
@click.option("--comment", default="", help="Why, in one paragraph; whoever reads the release's files sees it.")
@keyring_option
def approve(run: Path, name: str, meaning: str, comment: str, keyring_files: tuple[Path, ...]) -> None:
    """Sign a decision on a release: that you reviewed, approved or rejected it.

    RUN is the folder with the public part and the officer's. Both have to verify by your keyrings; the decision names
    them by their digests and is written beside them, into the folder approvals. The release itself stays as it is. Your
    key needs the role approver (for a review, reviewer is enough) in the keyrings of those who ask for the status. To
    think better of it, decide again: of each person the last decision counts.

    Example: privsynth approve out --as officer --meaning approved --comment "for the registry, until 2027"
    """
    from privsynth.approvals.decisions import record
    from privsynth.approvals.statement import MEANINGS, Approval
    from privsynth.signing.store import open_key
    from privsynth.signing.verification import verify_run
    from privsynth.workspace import privsynth_home

    home, now = privsynth_home(), datetime.now(UTC)
    release, officer = verify_run(run, keyrings_of(keyring_files), now)
    approval = Approval(meaning, comment, now, (release.manifest, officer.manifest))
    key, entry = open_key(home, name, ask_passphrase(), now=now, roles=MEANINGS[meaning])
    path = record(run, approval, key, entry.holder)
    click.echo(f"{entry.holder}: {meaning} the release of {release.dataset} that {release.holder} made.")
    click.echo(f"Written     {path}")
    if key.public.keyid == release.keyid:
        click.echo("You made this release: your decision is kept, and counts for nobody else's.")


@click.command()
@click.argument("run", type=click.Path(exists=True, file_okay=False, path_type=Path))
@keyring_option
@click.option("--policy", "policy_name", help="Policy that says how many people have to approve. [default: one]")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_context
def status(
    context: click.Context, run: Path, keyring_files: tuple[Path, ...], policy_name: str | None, as_json: bool
) -> None:
    """Show who made a release, who decided what on it, and whether it may leave.

    RUN is the folder with the public part and the officer's. The exit code is 0 if enough people approved it who did
    not make it and nobody rejects it, 3 if not, and 5 or 6 if the release itself does not verify.

    Example: privsynth status out --policy public
    """
    from privsynth.approvals.decisions import standing
    from privsynth.policy.files import load_policy

    needed = 1 if policy_name is None else load_policy(policy_name).policy.approvals
    found = standing(run, keyrings_of(keyring_files), datetime.now(UTC), needed=needed)
    if as_json:
        told = {"state": found.state, "needed": needed, "approved_by": found.approved_by}
        told |= {"rejected_by": found.rejected_by, "release": found.release.to_json()}
        click.echo(json.dumps({**told, "decisions": [one.to_json() for one in found.read]}, indent=2))
    else:
        click.echo(_text(found))
    if found.state != "approved":
        context.exit(UNDECIDED)


def _text(found: Standing) -> str:
    release, needed = found.release, found.needed
    lines = [
        f"Release     {release.dataset}, made by {release.holder}, {release.signed_at:%Y-%m-%d %H:%M:%S} UTC",
        *(f"{'Decision':<12}{_line(one)}" for one in found.read),
    ]
    if found.rejected_by:
        lines.append(f"Rejected    by {', '.join(found.rejected_by)}: it must not leave.")
    else:
        people = "1 person who did" if needed == 1 else f"{needed} people who did"
        word = "Approved" if found.state == "approved" else "Open"
        unclear = " A decision that does not count may be a rejection." if any(one.blocks for one in found.read) else ""
        lines.append(f"{word:<12}{len(found.approved_by)} of {people} not make it approved.{unclear}")
    return "\n".join(lines)


def _line(one: Read) -> str:
    if one.approval is None or one.entry is None:
        return f"{one.name} does not count: {one.problem}"
    comment = f": {one.approval.comment}" if one.approval.comment else ""
    return f"{one.approval.meaning} by {one.entry.holder}, {one.approval.signed_at:%Y-%m-%d %H:%M:%S} UTC{comment}"

"""`privsynth approve`: sign a decision on a release."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import click

from privsynth.cli.decisions.options import chosen_log, log_option, verdict_lines
from privsynth.cli.terminal.passphrases import ask_passphrase
from privsynth.cli.trust.keyrings import keyring_option, keyrings_of
from privsynth.cli.trust.times import require_askable, stamp_or_say, timestamp_option

CHOICES = ("reviewed", "approved", "rejected")  # those of a statement, which is not loaded to print the help


@click.command()
@click.argument("run", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--as", "name", default="default", show_default=True, help="Name of your key.")
@click.option("--meaning", required=True, type=click.Choice(CHOICES), help="What your signature says.")
@click.option("--comment", default="", help="Why, in one paragraph; whoever reads the release's files sees it.")
@click.option("--against-policy", is_flag=True, help="Approve although the policy of the release refuses it.")
@timestamp_option
@keyring_option
@log_option
def approve(
    run: Path,
    name: str,
    meaning: str,
    comment: str,
    against_policy: bool,
    authority: str | None,
    keyring_files: tuple[Path, ...],
    folder: Path | None,
) -> None:
    """Sign a decision on a release: that you reviewed, approved or rejected it.

    RUN is the folder with the public part and the officer's. Both have to verify by your keyrings; the decision names
    them by their digests and is written beside them, into the folder approvals. The release itself stays as it is. Your
    key needs the role approver (for a review, reviewer is enough) in the keyrings of those who ask for the status. To
    think better of it, decide again: of each person the last decision counts, and of an approval within five minutes of
    a rejection the rejection. If a check of the release's policy
    failed, to approve takes --against-policy and a comment that says why, and your statement names the policy and its
    verdict; without them nothing is decided and the exit code is 3. If you keep a log (privsynth log), the decision is
    entered there; if that cannot be written, nothing is decided and the exit code is 7.
    If a time authority is named and does not answer, the decision is made, and you are told that it carries no time.

    Example: privsynth approve out --as officer --meaning approved --comment "for the registry, until 2027"
    """
    from privsynth.approvals.deciding import SaidWords, decide, examine, prepare
    from privsynth.signing.store import open_key
    from privsynth.workspace import privsynth_home

    require_askable(authority)
    now = datetime.now(UTC)
    seen = examine(run, keyrings_of(keyring_files), now)
    for line in verdict_lines(seen.stands.verdicts):
        click.echo(line)
    opens = partial(open_key, privsynth_home(), name, ask_passphrase(), now=now)
    prepared = prepare(seen, SaidWords(meaning, comment, against_policy), opens, chosen_log(folder))
    done, release = decide(prepared), seen.stands.release
    all_the_same = ", against its policy" if prepared.against_policy else ""
    click.echo(
        f"{prepared.holder}: {meaning} the release of {release.dataset} that {release.holder} made{all_the_same}."
    )
    click.echo(f"Written     {done.path}")
    if prepared.log is not None and done.place is not None:
        click.echo(f"In the log  entry {done.place[0]} of {done.place[1]}, {prepared.log.key.name}")
    stamp_or_say(done.path, authority, signed_at=now, now=datetime.now(UTC))

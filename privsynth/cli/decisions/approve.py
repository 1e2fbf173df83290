"""`privsynth approve`: sign a decision on a release."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from privsynth.cli.decisions.options import chosen_log, log_option, verdict_lines
from privsynth.cli.terminal.passphrases import ask_passphrase
from privsynth.cli.trust.keyrings import keyring_option, keyrings_of
from privsynth.cli.trust.times import require_askable, stamp_or_say, timestamp_option
from privsynth.errors import CheckFailed, LogDamaged, LogUnavailable, OutputError, VerificationError

if TYPE_CHECKING:
    from privsynth.transparency.entry import LogEntry
    from privsynth.transparency.log import TransparencyLog

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
    from privsynth.approvals.decisions import decision_fact, record, standing_of
    from privsynth.approvals.statement import MEANINGS, Approval
    from privsynth.signing.store import open_key
    from privsynth.signing.verification import verify_run
    from privsynth.workspace import privsynth_home

    require_askable(authority)
    home, now = privsynth_home(), datetime.now(UTC)
    keyrings = keyrings_of(keyring_files)
    release, officer = verify_run(run, keyrings, now)
    stands = standing_of((release, officer), run, keyrings, now, needed=1)
    verdicts = stands.verdicts
    for line in verdict_lines(verdicts):
        click.echo(line)
    policy = None if verdicts is None else verdicts.policy
    against = policy is not None and policy.refuses and meaning == "approved"
    if against and not (against_policy and comment.strip()):
        raise CheckFailed(
            "the policy refuses this release. Nothing was decided: to approve it all the same, say so with "
            "--against-policy, and why with --comment"
        )
    log = chosen_log(folder)
    if log is not None:
        log.require_ready(now)
    approval = Approval(meaning, comment, now, (release.manifest, officer.manifest), policy)
    key, entry = open_key(home, name, ask_passphrase(), now=now, roles=MEANINGS[meaning])
    if before := stands.rejection_before(approval, entry.holder):
        raise CheckFailed(
            f"{entry.holder} rejected this release at {before.signed_at:%H:%M:%S} UTC, and clocks differ: an approval "
            "counts only more than five minutes after it. Nothing was decided; try again then"
        )
    path = record(run, approval, key, entry.holder)
    all_the_same = ", against its policy" if against else ""
    click.echo(f"{entry.holder}: {meaning} the release of {release.dataset} that {release.holder} made{all_the_same}.")
    click.echo(f"Written     {path}")
    if log is not None:
        index, size = _entered(log, decision_fact(approval, key.public), path, now)
        click.echo(f"In the log  entry {index} of {size}, {log.key.name}")
    stamp_or_say(path, authority, signed_at=now, now=datetime.now(UTC))
    if key.public.keyid == release.keyid:
        click.echo("You made this release: your decision is kept, and counts for nobody else's.")


def _is_in(log: TransparencyLog, fact: LogEntry) -> bool:
    """Say whether a fact was entered all the same: what failed may have come after it."""
    try:
        return log.read().index_of(fact) is not None
    except (VerificationError, LogUnavailable):
        return False


def _entered(log: TransparencyLog, fact: LogEntry, path: Path, now: datetime) -> tuple[int, int]:
    """Enter a decision, keep the proof beside it, and return its index and the length of the log.

    A decision that cannot be entered is taken back. A person who is interrupted between the two finds it beside the
    release and not in the log, where it does not count until `privsynth log append` enters it.
    """
    try:
        state = log.append([fact], now)
    except (LogDamaged, LogUnavailable) as problem:
        if _is_in(log, fact):
            raise type(problem)(*problem.parts, ". The decision itself is made, and in the log") from None
        path.unlink()
        raise type(problem)(*problem.parts, ". Nothing was decided") from None
    index = state.index_of(fact)
    assert index is not None
    proof = path.with_suffix("").with_suffix(".tlog-proof")
    try:
        with proof.open("x", encoding="utf-8") as file:  # a new file: never what a link planted there points to
            file.write(state.proof(index).to_text())
    except OSError as problem:
        raise OutputError(
            f"{proof} cannot be written: {problem.strerror}. The decision itself is made, and in the log as number "
            f"{index}; privsynth log prove writes its proof"
        ) from None
    return index, state.checkpoint.size

"""`privsynth status`: what people decided on a release, and where it stands."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from privsynth.cli.decisions.options import chosen_log, log_in, log_key_option, log_option, verdict_lines
from privsynth.cli.trust.keyrings import keyring_option, keyrings_of
from privsynth.errors import ConfigError

if TYPE_CHECKING:
    from privsynth.approvals.decisions import MissingDecision, Read, Standing
    from privsynth.approvals.situation import Situation
    from privsynth.transparency.entry import LogEntry

UNDECIDED = 3  # exit code of a release that is not approved, as of a check that failed
_WORDS = {"release": "made"}


@click.command()
@click.argument("run", type=click.Path(exists=True, file_okay=False, path_type=Path))
@keyring_option
@log_option
@log_key_option
@click.option(
    "--policy",
    "policy_name",
    help="Policy that says how many people have to approve; never fewer than the release's own policy says.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_context
def status(
    context: click.Context,
    run: Path,
    keyring_files: tuple[Path, ...],
    folder: Path | None,
    log_key: str | None,
    policy_name: str | None,
    as_json: bool,
) -> None:
    """Show who made a release, who decided what on it, and whether it may leave.

    RUN is the folder with the public part and the officer's. With a log, a decision counts only if it is entered there,
    and one that was taken away is named. The exit code is 0 if enough people approved it who did not make it, nobody
    rejects it, no decision is missing and the log has not revoked it; 3 if not; 5 or 6 if the release itself does not
    verify; 5 if the log was changed, rolled back or rewritten.

    Example: privsynth status out --policy public
    """
    from privsynth.approvals.situation import situation

    if log_key is not None and folder is None:
        raise ConfigError("--log-key needs the log: name its folder with --log")
    log = chosen_log(folder) if folder is None else log_in(folder, log_key)
    keyrings, needed = keyrings_of(keyring_files), needed_by(policy_name)
    stands = situation(run, keyrings, log, needed=needed, now=datetime.now(UTC))
    click.echo(json.dumps(_told(stands), indent=2) if as_json else text_of(stands))
    if not stands.may_leave:
        context.exit(UNDECIDED)


def needed_by(policy_name: str | None) -> int:
    """Return how many people have to approve by a policy; one without."""
    from privsynth.policy.files import load_policy

    return 1 if policy_name is None else load_policy(policy_name).policy.approvals


def text_of(stands: Situation) -> str:
    """Return what `privsynth status` prints."""
    return "\n".join([*_lines(stands.found), *_log_lines(stands)])


def _told(stands: Situation) -> dict[str, Any]:
    from privsynth.strict.time import to_text

    found, state, log = stands.found, stands.state, None
    if state is not None:
        entries = [
            {"index": index, "kind": entry.kind, "signed_at": to_text(entry.signed_at), "other": entry.other or None}
            for index, entry in state.about(found.release.manifest)
        ]
        missing = [one.to_json() for one in found.missing or ()]
        log = {"origin": state.checkpoint.origin, "size": state.checkpoint.size, "entries": entries, "missing": missing}
    return {
        "state": "revoked" if stands.revoked else found.state,
        "needed": found.needed,
        "approved_by": found.approved_by,
        "rejected_by": found.rejected_by,
        "release": found.release.to_json(),
        "policy": None if found.verdicts is None or found.verdicts.policy is None else found.verdicts.policy.to_json(),
        "decisions": [one.to_json() for one in found.read],
        "log": log,
    }


def _lines(found: Standing) -> Iterator[str]:
    release, needed = found.release, found.needed
    yield f"Release     {release.dataset}, made by {release.holder}, {release.signed_at:%Y-%m-%d %H:%M:%S} UTC"
    yield f"{'Draft':<12}SHA-256 {release.manifest}"
    yield from verdict_lines(found.verdicts)
    for one in found.read:
        yield f"{'Decision':<12}{_line(one)}{_of_maker(found, one)}"
    for gone in found.missing or ():
        yield f"{'Missing':<12}{_missing(gone)}"
    if found.rejected_by:
        yield f"Rejected    by {', '.join(found.rejected_by)}: it must not leave."
        return
    word = "Approved" if found.state == "approved" else "Open"
    unclear = " A decision that does not count may be a rejection." if any(one.blocks for one in found.read) else ""
    unclear += " Until the missing decision is back, it must not leave." if found.missing else ""
    many = len(found.approved_by)
    people = "1 person who did not make it has" if many == 1 else f"{many} people who did not make it have"
    yield f"{word:<12}{people} approved; it takes {needed}.{unclear}"


def _of_maker(found: Standing, one: Read) -> str:
    if one.approval is None or one.entry is None or one.approval.meaning == "rejected":
        return ""
    return " · does not count: made the release" if found.made_by(one.entry.holder, one.entry.keyid) else ""


def _other(entry: LogEntry, digest: str) -> str:
    return entry.other if entry.release == digest else entry.release


def _line(one: Read) -> str:
    if one.approval is None or one.entry is None:
        return f"{one.name} does not count: {one.problem}"
    place = "" if one.index is None else f" (log entry {one.index})"
    comment = f": {one.approval.comment}" if one.approval.comment else ""
    refused = one.approval.policy is not None and one.approval.policy.refuses
    against = ", against the policy," if refused and one.approval.meaning == "approved" else ""
    when = f"{one.approval.signed_at:%Y-%m-%d %H:%M:%S} UTC"
    return f"{one.approval.meaning}{against} by {one.entry.holder}, {when}{place}{comment}"


def _missing(one: MissingDecision) -> str:
    who = one.holder or f"key {one.entry.by[:8]}…"
    said = f"{one.entry.kind} by {who}, {one.entry.signed_at:%Y-%m-%d %H:%M:%S} UTC"
    return f"{said}: in the log (entry {one.index}), and not beside the release"


def _log_lines(stands: Situation) -> Iterator[str]:
    found, state = stands.found, stands.state
    if state is None:
        yield "Log         none: a decision that was taken away would not show"
        return
    digest, place = found.release.manifest, state.checkpoint
    many = "1 entry" if place.size == 1 else f"{place.size:,} entries"
    yield f"Log         {place.origin}, {many}; nothing in it was changed since you last saw it"
    entries = [
        (index, entry)
        for index, entry in state.about(digest)
        if entry.kind not in ("reviewed", "approved", "rejected", "verified")
    ]
    if checked := [entry.signed_at for _, entry in state.about(digest) if entry.kind == "verified"]:
        times = "once" if len(checked) == 1 else f"{len(checked):,} times"
        yield f"{'':<12}verified {times}, the last on {checked[-1]:%Y-%m-%d %H:%M:%S} UTC"
    for index, entry in entries:
        if entry.kind == "published":
            yield f"{'':<12}entry {index}: published, {entry.signed_at:%Y-%m-%d %H:%M:%S} UTC, as the edition"
            yield f"{'':<12}         {entry.release}"
            continue
        word = _WORDS.get(entry.kind, entry.kind)
        yield f"{'':<12}entry {index}: {word}, {entry.signed_at:%Y-%m-%d %H:%M:%S} UTC"
        if entry.kind == "superseded":
            yield f"{'':<12}         {'by' if entry.release == digest else 'in the place of'} {_other(entry, digest)}"
    if stands.revoked:
        yield "Revoked     it must not be used any more."
    if not any(entry.kind in _WORDS and entry.release == digest for _, entry in entries):
        yield f"{'':<12}this release is not in it: have its keeper enter it with 'privsynth log append'"

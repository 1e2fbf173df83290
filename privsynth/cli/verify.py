"""`privsynth verify`: check a release or a lone report, offline."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from privsynth.cli.trust.in_log import in_log_options, log_said
from privsynth.cli.trust.keyrings import keyring_option, keyrings_of, signed_keyrings
from privsynth.cli.trust.notices import is_statement, notice_said
from privsynth.cli.trust.times import roots_in, roots_option, time_said, times_of_decisions
from privsynth.errors import ConfigError, ReleaseRevoked, VerificationError

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

    from privsynth.approvals.revocations import ListAnswer
    from privsynth.signing.keyring import Keyring
    from privsynth.signing.verification import Promise, VerificationResult


@click.command()
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@keyring_option
@click.option("--kind", type=click.Choice(["public", "officer"]), help="Refuse a folder of another kind.")
@click.option("--dataset", help="Refuse a release of another dataset.")
@click.option("--revocations", "list_file", type=click.Path(path_type=Path), help="Signed list of revoked releases.")
@roots_option
@in_log_options
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def verify(
    path: Path,
    keyring_files: tuple[Path, ...],
    kind: str | None,
    dataset: str | None,
    list_file: Path | None,
    roots_file: Path | None,
    place: str | None,
    log_key: str | None,
    record: bool,
    as_json: bool,
) -> None:
    """Check who signed a release, and that not a byte of it was changed.

    PATH is a folder, or a report.html that came on its own: then the other files cannot be checked. Of a whole run,
    the public folder and the officer's are checked, and that they belong together. Works offline. PATH may also be a
    statement of a service (.dsse.json), such as a certificate of deletion: what it says is printed if it verifies.
    The exit code is 0 if it verifies, 5 if it does not, 6 if it is intact but no keyring has the signer's key.

    With --revocations FILE, the list that who made it publishes, the exit code is 9 if the release was revoked; a list
    that is too old is refused.

    An older release signed with the same key verifies too: say what you expect, and look at the time of signing.

    With --root, a keyring may come from anywhere, even with the release: the root vouches for it, it has an end, and an
    older one than was seen before is refused.

    With --timestamp-root, the release has to carry a time token of an authority whose certificate is in that file, and
    the time is printed; so is that of each decision, or that it has none. A token over other bytes is refused.

    With --log, a folder, the public part of one, or an https address of that part, the log has to hold that the release
    was made, by the key that signed it, and must not hold that it was revoked (exit code 9); a log that was changed or
    rolled back is refused. Of an address, what is fetched is checked in the same way, and nothing is sent.

    Example: privsynth verify out/public --keyring st-mary.json --kind public --dataset admissions
    """
    import json

    from privsynth.signing.verification import Expected, verify_folder, verify_report, verify_run
    from privsynth.strict.time import to_text

    if is_statement(path):
        others = (kind, dataset, list_file, roots_file, place, log_key, record or None)
        if any(option is not None for option in others):
            raise ConfigError("a statement of a service is checked by keyrings alone; leave out what is for releases")
        click.echo(notice_said(path, keyrings_of(keyring_files), as_json=as_json))
        return
    parts = [name for name in ("public", "officer") if (path / name / "manifest.json").exists()]
    roots, now = roots_in(roots_file), datetime.now(UTC)
    signed, keyrings, expected = signed_keyrings(keyring_files), keyrings_of(keyring_files), Expected(kind, dataset)
    if parts and not (path / "manifest.json").exists():
        if kind is not None or len(parts) < 2:
            raise ConfigError(f"{path} holds parts that are signed by themselves; verify {path / (kind or parts[0])}")
        public, officer = verify_run(path, keyrings, datetime.now(UTC), expected)
        told: dict[str, Any] = {"public": public.to_json(), "officer": officer.to_json()}
        release = public
        told["public"]["time"], time = time_said(path / "public", public, roots, now)
        text = f"{_text(path / 'public', public)}{time}\n{path / 'officer'} verifies, and is about this release."
        told["officer"]["time"], time = time_said(path / "officer", officer, roots, now)
        text += time
        if (path / "approvals").is_dir():
            text += f"\n{_decisions((public, officer), path, keyrings, roots)}"
    else:
        release = (verify_folder if path.is_dir() else verify_report)(path, keyrings, datetime.now(UTC), expected)
        time_told, time = time_said(path, release, roots, now)
        told, text = {**release.to_json(), "time": time_told}, f"{_text(path, release)}{time}"
    told["keyrings"] = [{"number": found.number, "expires": to_text(found.expires)} for found in signed]
    text += "".join(f"\nKeyring     number {found.number}, good until {found.expires:%Y-%m-%d}" for found in signed)
    answer = None if list_file is None else _asked(list_file, release, keyrings, now)
    told["revocations"] = None if answer is None else answer.to_json()
    text += f"\n{_revocation(answer, release.holder)}"
    told["log"], line = log_said(release, place, log_key, record=record, now=now)
    text += line
    click.echo(json.dumps({"verified": True, **told}, indent=2) if as_json else text)


def _asked(path: Path, release: VerificationResult, keyrings: list[Keyring], now: datetime) -> ListAnswer:
    """Return what the list in a file says; what it revokes is revoked, also if a newer list was seen before."""
    from privsynth.approvals.revocations import ask, trusted_list
    from privsynth.approvals.seen_lists import remember
    from privsynth.workspace import privsynth_home

    found, holder = trusted_list(path, keyrings, now)
    try:
        answer = ask(found, holder, release)
    except ReleaseRevoked:
        with suppress(VerificationError):
            remember(privsynth_home(), found, holder)
        raise
    remember(privsynth_home(), found, holder)
    return answer


def _revocation(answer: ListAnswer | None, signer: str) -> str:
    """Return a line on whether a release was revoked, as far as it was asked; one that was revoked gets none."""
    if answer is None:
        return "Revoked     not asked: give the list of revocations of who signed it, --revocations"
    if answer.superseded is not None:
        one = answer.superseded
        return f"Superseded  on {one.at:%Y-%m-%d}, by the release {one.successor[:16]}…: {one.reason}"
    asked, holder = answer.asked, answer.holder
    line = f"not in the list of {holder} of {asked.issued_at:%Y-%m-%d}, good until {asked.expires_at:%Y-%m-%d}"
    other = "" if holder == signer else f"; ask {signer}, who signed the release, for theirs too"
    return f"Revoked     no: {line}{other}"


def _decisions(
    verified: tuple[VerificationResult, VerificationResult],
    run: Path,
    keyrings: list[Keyring],
    roots: tuple[Certificate, ...],
) -> str:
    """Return a line of who approved or rejected a run, and their times; `privsynth status` says all of it."""
    from privsynth.approvals.decisions import FOLDER, standing_of

    found = standing_of(verified, run, keyrings, datetime.now(UTC), needed=1)
    said = [f"{label} by {', '.join(who)}" for label, who in (
        ("approved", found.approved_by), ("rejected", found.rejected_by),
    ) if who]  # fmt: skip
    times = times_of_decisions(run / FOLDER, found.read, roots, datetime.now(UTC))
    return f"Decisions   {'; '.join(said) or 'none that counts'} (see 'privsynth status'){times}"


def _text(path: Path, verified: VerificationResult) -> str:
    dataset = verified.dataset if verified.dataset.isprintable() else ascii(verified.dataset)
    lines = [
        f"{path} verifies.",
        f"Signed by   {verified.holder}",
        f"Fingerprint {verified.fingerprint}",
        f"Signed at   {verified.signed_at:%Y-%m-%d %H:%M:%S} UTC (the signer's word)",
        f"Key         valid until {verified.valid_until:%Y-%m-%d}",
        f"Release     {verified.kind}, of {dataset}",
        f"Files       {verified.files} checked",
    ]
    lines += [f"{label:<12}{text}" for label, text in verified.edition_lines()]
    if verified.promise:
        lines.append(f"Promise     {_promise(verified.promise)}")
    if verified.unchecked:
        lines.append(f"Only the report was checked; {verified.unchecked} other signed files were not there to check.")
    return "\n".join(lines)


def _promise(promise: Promise) -> str:
    unit = promise.unit if promise.unit.isprintable() else ascii(promise.unit)
    rows = "" if promise.max_rows_per_unit is None else f", at most {promise.max_rows_per_unit:,} rows each"
    return f"ε = {promise.epsilon}, δ = {promise.delta}; the unit is {unit}{rows} (the signer's word)"

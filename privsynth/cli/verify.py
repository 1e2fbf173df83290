"""`privsynth verify`: check a release or a lone report, offline."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from privsynth.cli.trust.keyrings import keyring_option, keyrings_of, signed_keyrings
from privsynth.cli.trust.times import roots_in, roots_option, time_said, times_of_decisions
from privsynth.errors import ConfigError, ReleaseRevoked

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

    from privsynth.signing.keyring import Keyring
    from privsynth.signing.verification import Promise, VerificationResult


@click.command()
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@keyring_option
@click.option("--kind", type=click.Choice(["public", "officer"]), help="Refuse a folder of another kind.")
@click.option("--dataset", help="Refuse a release of another dataset.")
@click.option("--revocations", "list_file", type=click.Path(path_type=Path), help="Signed list of revoked releases.")
@roots_option
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def verify(
    path: Path,
    keyring_files: tuple[Path, ...],
    kind: str | None,
    dataset: str | None,
    list_file: Path | None,
    roots_file: Path | None,
    as_json: bool,
) -> None:
    """Check who signed a release, and that not a byte of it was changed.

    PATH is a folder, or a report.html that came on its own: then the other files cannot be checked. Of a whole run,
    the public folder and the officer's are checked, and that they belong together. Works offline.
    The exit code is 0 if it verifies, 5 if it does not, 6 if it is intact but no keyring has the signer's key.

    With --revocations FILE, the list that who made it publishes, the exit code is 9 if the release was revoked; a list
    that is too old is refused.

    An older release signed with the same key verifies too: say what you expect, and look at the time of signing.

    With --root, a keyring may come from anywhere, even with the release: the root vouches for it, it has an end, and an
    older one than was seen before is refused.

    With --timestamp-root, the release has to carry a time token of an authority whose certificate is in that file, and
    the time is printed; so is that of each decision, or that it has none. A token over other bytes is refused.

    Example: privsynth verify out/public --keyring st-mary.json --kind public --dataset admissions
    """
    import json

    from privsynth.signing.verification import Expected, verify_folder, verify_report, verify_run
    from privsynth.strict.time import to_text

    parts = [name for name in ("public", "officer") if (path / name / "manifest.json").exists()]
    roots, now = roots_in(roots_file), datetime.now(UTC)
    signed, keyrings, expected = signed_keyrings(keyring_files), keyrings_of(keyring_files), Expected(kind, dataset)
    if parts and not (path / "manifest.json").exists():
        if kind is not None or len(parts) < 2:
            raise ConfigError(f"{path} holds parts that are signed by themselves; verify {path / (kind or parts[0])}")
        public, officer = verify_run(path, keyrings, datetime.now(UTC), expected)
        told: dict[str, Any] = {"public": public.to_json(), "officer": officer.to_json()}
        digests = [public.manifest]
        told["public"]["time"], time = time_said(path / "public", public, roots, now)
        text = f"{_text(path / 'public', public)}{time}\n{path / 'officer'} verifies, and is about this release."
        told["officer"]["time"], time = time_said(path / "officer", officer, roots, now)
        text += time
        if (path / "approvals").is_dir():
            text += f"\n{_decisions((public, officer), path, keyrings, roots)}"
    else:
        verified = (verify_folder if path.is_dir() else verify_report)(path, keyrings, datetime.now(UTC), expected)
        digests = [verified.release or verified.manifest, *([verified.draft] if verified.draft else [])]
        time_told, time = time_said(path, verified, roots, now)
        told, text = {**verified.to_json(), "time": time_told}, f"{_text(path, verified)}{time}"
    told["keyrings"] = [{"number": found.number, "expires": to_text(found.expires)} for found in signed]
    text += "".join(f"\nKeyring     number {found.number}, good until {found.expires:%Y-%m-%d}" for found in signed)
    if list_file is not None:
        said, line = _revocation(list_file, digests, keyrings)
        told, text = {**told, "revocations": said}, f"{text}\n{line}"
    click.echo(json.dumps({"verified": True, **told}, indent=2) if as_json else text)


def _revocation(list_file: Path, releases: list[str], keyrings: list[Keyring]) -> tuple[dict[str, Any], str]:
    """Return what a list says of a release that it does not revoke, for machines and in a line.

    Args:
      releases: digests of its public manifest, and of the draft's if it is an edition; either can be revoked.
    Raises:
      ReleaseRevoked: it was revoked.
    """
    from privsynth.approvals.revocations import trusted_list
    from privsynth.strict.time import to_text

    found, holder = trusted_list(list_file, keyrings, datetime.now(UTC))
    # A draft that its own edition takes the place of is not superseded for who holds the edition.
    said = [one for one in map(found.about, releases) if one is not None and one.successor not in releases]
    one = next((one for one in said if not one.successor), said[0] if said else None)
    if one is not None and not one.successor:
        raise ReleaseRevoked(
            f"{holder} revoked this release on {one.at:%Y-%m-%d}: {one.reason}. Do not use it any more"
        )
    told = {"issued_at": to_text(found.issued_at), "expires_at": to_text(found.expires_at), "holder": holder}
    if one is None:
        line = f"not in the list of {holder} of {found.issued_at:%Y-%m-%d}, good until {found.expires_at:%Y-%m-%d}"
        return {**told, "superseded_by": None, "reason": None}, f"Revoked     no: {line}"
    line = f"Superseded  on {one.at:%Y-%m-%d}, by the release {one.successor[:16]}…: {one.reason}"
    return {**told, "superseded_by": one.successor, "reason": one.reason}, line


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
    if verified.draft:
        lines.append(f"Edition     approved edition of draft SHA-256 {verified.draft}")
    if verified.promise:
        lines.append(f"Promise     {_promise(verified.promise)}")
    if verified.unchecked:
        lines.append(f"Only the report was checked; {verified.unchecked} other signed files were not there to check.")
    return "\n".join(lines)


def _promise(promise: Promise) -> str:
    unit = promise.unit if promise.unit.isprintable() else ascii(promise.unit)
    rows = "" if promise.max_rows_per_unit is None else f", at most {promise.max_rows_per_unit:,} rows each"
    return f"ε = {promise.epsilon}, δ = {promise.delta}; the unit is {unit}{rows} (the signer's word)"

"""`privsynth revoke`: say, signed and in a list that recipients ask for, that a release must not be used any more."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from privsynth.cli.decisions.options import chosen_log, log_option
from privsynth.cli.terminal.passphrases import ask_passphrase
from privsynth.cli.trust.keyrings import keyring_option, keyrings_of
from privsynth.errors import ConfigError


@click.command()
@click.argument("release", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--reason", help="Why, in one line; everybody may read it.")
@click.option(
    "--superseded-by", "successor", type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The release that takes its place: it is superseded, and not wrong.",
)  # fmt: skip
@click.option("--as", "name", default="default", show_default=True, help="Name of your key, of a maker or an approver.")
@click.option("--days", type=click.IntRange(1, 366), default=30, show_default=True, help="How long the list is good.")
@click.option("--list", "list_file", type=click.Path(dir_okay=False, path_type=Path), help="The list. [default: yours]")
@keyring_option
@log_option
def revoke(
    release: Path | None,
    reason: str | None,
    successor: Path | None,
    name: str,
    days: int,
    list_file: Path | None,
    keyring_files: tuple[Path, ...],
    folder: Path | None,
) -> None:
    """Revoke a release: add it to the signed list of those that must not be used any more.

    RELEASE is the folder of a run or a public folder, and has to verify by your keyrings. Publish the list
    (revocations.json in privsynth's folder): readers give it to privsynth verify --revocations, which then ends with 9
    for this release. After --days a list is not believed any more; without RELEASE it is signed anew for that long, and
    the first one may be empty. With a log the revocation is entered there too. A revocation is not taken back: make a
    new release.

    Example: privsynth revoke out --reason "ward 7 was coded wrongly" --as office
    """
    from privsynth.approvals.revocations import ROLES as MAY_REVOKE
    from privsynth.approvals.revocations import RevokedRelease
    from privsynth.approvals.revoking import LIST, Office
    from privsynth.approvals.revoking import revoke as add
    from privsynth.signing.store import open_key
    from privsynth.workspace import privsynth_home

    home, now = privsynth_home(), datetime.now(UTC).replace(microsecond=0)
    if release is None and (reason is not None or successor is not None):
        raise ConfigError("name the release that is to be revoked")
    if release is not None and reason is None:
        raise ConfigError("say why the release is revoked: --reason")
    path = list_file or home / LIST
    added: tuple[RevokedRelease, ...] = ()
    if release is not None and reason is not None:
        digests = [_verified(one, keyring_files, now) if one else "" for one in (release, successor)]
        added = (RevokedRelease(digests[0], reason, now, digests[1]),)
    log = chosen_log(folder)
    if log is not None:
        log.require_ready(now)
    opened = open_key(home, name, ask_passphrase(), now=now, roles=MAY_REVOKE)
    made = add(Office(home, path, keyrings_of(keyring_files), log), added, opened, days=days, now=now)
    for one in added:
        click.echo(f"{'Superseded' if one.successor else 'Revoked':<12}{one.release}")
    until = f"good until {made.expires_at:%Y-%m-%d}"
    click.echo(f"List        {path}, number {made.number}: {len(made.revoked)} in it, {until}")
    click.echo("Publish it where recipients find it, and sign it anew before that day: privsynth revoke")


def _verified(release: Path, keyring_files: tuple[Path, ...], now: datetime) -> str:
    from privsynth.signing.verification import Expected, verify_folder

    public = release / "public" if (release / "public" / "manifest.json").exists() else release
    return verify_folder(public, keyrings_of(keyring_files), now, Expected("public")).manifest

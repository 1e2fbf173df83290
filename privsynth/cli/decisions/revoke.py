"""`privsynth revoke`: say, signed and in a list that recipients ask for, that a release must not be used any more."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from privsynth.cli.decisions.options import chosen_log, log_option
from privsynth.cli.terminal.passphrases import ask_passphrase
from privsynth.cli.trust.keyrings import keyring_option, keyrings_of
from privsynth.errors import ConfigError

LIST = "revocations.json"


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
    for this release. After --days a list is not believed any more; without RELEASE it is signed anew for that long.
    With a log the revocation is entered there too. A revocation is not taken back: make a new release.

    Example: privsynth revoke out --reason "ward 7 was coded wrongly" --as office
    """
    from privsynth.approvals.revocations import ROLES as MAY_REVOKE
    from privsynth.approvals.revocations import RevocationList, RevokedRelease, own_list, save
    from privsynth.signing.store import open_key
    from privsynth.transparency.entry import LogEntry
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
    key, entry = open_key(home, name, ask_passphrase(), now=now, roles=MAY_REVOKE)
    with _alone(home):
        old = own_list(path, keyrings_of(keyring_files))
        known = () if old is None else old.revoked
        if not added and not known:
            raise ConfigError("nothing is revoked yet: name a release")
        if any(one.release == two.release for one in known for two in added):
            raise ConfigError("that release is in the list already")
        number = 1 if old is None else old.number + 1
        made = RevocationList(number, now, now + timedelta(days=days), (*known, *added))
        signed = made.signed(key, entry.holder)  # before the log has it: a device may fail
        if log is not None and added:
            kind = "superseded" if added[0].successor else "revoked"
            log.append([LogEntry(kind, added[0].release, key.public.keyid, now, added[0].successor)], now)
        save(path, signed)
    for one in added:
        click.echo(f"{'Superseded' if one.successor else 'Revoked':<12}{one.release}")
    click.echo(f"List        {path}, number {number}: {len(made.revoked)} in it, good until {made.expires_at:%Y-%m-%d}")
    click.echo("Publish it where recipients find it, and sign it anew before that day: privsynth revoke")


def _verified(release: Path, keyring_files: tuple[Path, ...], now: datetime) -> str:
    from privsynth.signing.verification import Expected, verify_folder

    public = release / "public" if (release / "public" / "manifest.json").exists() else release
    return verify_folder(public, keyrings_of(keyring_files), now, Expected("public")).manifest


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Hold others off who revoke at the same time: each list has all that the one before it had."""
    from privsynth.workspace import folder_error, open_locked

    try:
        lock = open_locked(home / "revocations.lock", wait=True)
    except OSError as error:
        raise folder_error(home, error) from None
    try:
        yield
    finally:
        os.close(lock)

"""`privsynth keys`: make, list, revoke and hand out signing keys."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from privsynth.cli.terminal.passphrases import NEW_PASSPHRASE_VARIABLE, ask_passphrase
from privsynth.cli.trust.devices import ask_for_new, chosen_device, device_options
from privsynth.cli.trust.requests import sign_request
from privsynth.cli.trust.roots import algorithm_option, root, write_page
from privsynth.signing.keyring import ROLES

if TYPE_CHECKING:
    from privsynth.signing.keyring import KeyEntry


def _home() -> Path:
    from privsynth.workspace import privsynth_home

    home: Path = privsynth_home()
    return home


@click.group()
def keys() -> None:
    """Make, list, revoke and export the keys that sign releases.

    Example: privsynth keys init --holder "Data office, St Mary"
    """


keys.add_command(root)
keys.add_command(sign_request)


@keys.command()
@click.option("--name", default="default", show_default=True, help="Name of the key file.")
@click.option("--holder", help="Person or office to be named as the signer. [default: the name]")
@click.option("--no-passphrase", is_flag=True, help="Leave the key unencrypted, for unattended machines.")
@click.option("--days", type=click.IntRange(1, 3650), default=730, show_default=True, help="How long it is valid.")
@click.option(
    "--role",
    "roles",
    multiple=True,
    default=("maker",),
    show_default=True,
    type=click.Choice(tuple(ROLES)),
    help="What the key may sign; may be given again.",
)  # fmt: skip
@algorithm_option
@device_options
def init(
    name: str,
    holder: str | None,
    no_passphrase: bool,
    days: int,
    roles: tuple[str, ...],
    algorithm: str,
    uri: str | None,
    public_file: Path | None,
) -> None:
    """Make a signing key and add it to the keyring; or register one that is in a device.

    Makers sign releases; reviewers and approvers sign decisions on them (`privsynth approve`); key admins revoke keys
    in a keyring that a root signed. The passphrase comes from PRIVSYNTH_PASSPHRASE, or you are asked for it twice; it
    needs at least 15 characters.

    With --device, the key stays in a hardware module, a smart card or a cloud: only its public half and the URI are
    kept, and it signs once to show that it works. The PIN comes from the same place as a passphrase, and is not kept.

    Example: privsynth keys init --name office --holder "Data office, St Mary"
    """
    from privsynth.signing.store import NewKey, create_key, key_path

    home = _home()
    device = chosen_device(uri, public_file, no_passphrase=no_passphrase)
    passphrase = ask_for_new(device, no_passphrase=no_passphrase)
    wanted = NewKey(holder or name, days, roles, algorithm, device)
    entry = create_key(home, name, wanted, passphrase=passphrase, now=datetime.now(UTC))
    click.echo(f"Key         {key_path(home, name) if uri is None else uri}")
    _tell(entry, name)


def _tell(entry: KeyEntry, name: str) -> None:
    click.echo(f"Fingerprint {entry.fingerprint}")
    click.echo(f"Holder      {entry.holder}")
    click.echo(f"May         {', '.join(ROLES[role] for role in entry.roles)}")
    click.echo(f"Valid until {entry.not_after:%Y-%m-%d}")
    click.echo(f"Recipients need the public key: privsynth keys export {name} > keyring.json")


@keys.command()
@click.argument("name")
@click.argument("successor")
@click.option("--no-passphrase", is_flag=True, help="Leave the new key unencrypted, for unattended machines.")
@click.option("--days", type=click.IntRange(1, 3650), default=730, show_default=True, help="How long it is valid.")
@device_options
def rotate(
    name: str, successor: str, no_passphrase: bool, days: int, uri: str | None, public_file: Path | None
) -> None:
    """Replace the key NAME by a new one, SUCCESSOR, with the same holder and roles.

    The new key is in a file and of the same algorithm, or in the device that --device names.

    The validity of the old key ends now: what it signed until now still verifies, and nothing later does. If it may
    have been stolen, revoke it: a thief can write any time of signing.

    Example: privsynth keys rotate office office-2027
    """
    from privsynth.signing.store import key_path, rotate_key

    home = _home()
    device = chosen_device(uri, public_file, no_passphrase=no_passphrase)
    passphrase = ask_for_new(device, no_passphrase=no_passphrase)
    old, new = rotate_key(home, name, successor, passphrase=passphrase, now=datetime.now(UTC), days=days, device=device)
    click.echo(f"Ended       {old.fingerprint}, valid until {old.not_after:%Y-%m-%d %H:%M:%S} UTC")
    click.echo(f"Key         {key_path(home, successor) if uri is None else uri}")
    _tell(new, successor)


@keys.command()
@click.argument("name", default="default")
@click.option("--no-passphrase", is_flag=True, help="Leave the key unencrypted, for unattended machines.")
def passphrase(name: str, no_passphrase: bool) -> None:
    """Change the passphrase of a key, and encrypt its file as this version does.

    The old one comes from PRIVSYNTH_PASSPHRASE, the new one from PRIVSYNTH_NEW_PASSPHRASE; else you are asked for them.
    The key stays the same: what it signed still verifies.

    Example: privsynth keys passphrase office
    """
    from privsynth.signing.store import change_passphrase, key_path

    home = _home()
    new = ask_passphrase(confirm=True, variable=NEW_PASSPHRASE_VARIABLE, prompt="New passphrase")
    change_passphrase(home, name, old=ask_passphrase(), new=None if no_passphrase else new)
    click.echo(f"Written again: {key_path(home, name)}. Older copies of the file still open with the old passphrase.")


@keys.command("list")
def list_() -> None:
    """List the keys of the keyring.

    Example: privsynth keys list
    """
    from privsynth.signing.store import devices, load_keyring, names

    home = _home()
    keyring, known, where, now = load_keyring(home), names(home), devices(home), datetime.now(UTC)
    if not keyring.keys:
        click.echo("There are no keys yet. Make one with: privsynth keys init")
    for entry in keyring.keys:
        state = entry.problem(now) or f"valid until {entry.not_after:%Y-%m-%d}"
        may = ", ".join(ROLES[role] for role in entry.roles)
        click.echo(f"{known.get(entry.keyid, '(no key file)')}: {entry.holder}\n  {entry.fingerprint}")
        click.echo(f"  {state}; may {may}; {entry.algorithm}")
        if entry.keyid in where:
            click.echo(f"  in a device: {where[entry.keyid]}")


@keys.command()
@click.argument("key", metavar="NAME|KEYID")
@click.option("--reason", required=True, help="Why, in one line; readers of the keyring see it.")
def revoke(key: str, reason: str) -> None:
    """Mark a key as revoked: nothing that it signed verifies any more, earlier releases included.

    Give recipients the keyring again afterwards. To retire a key that is not compromised, let it expire.

    Example: privsynth keys revoke office --reason "laptop stolen"
    """
    from privsynth.signing.store import keyring_path, revoke_key

    home = _home()
    entry = revoke_key(home, key, at=datetime.now(UTC), reason=reason)
    click.echo(f"Revoked {entry.fingerprint} of {entry.holder} in {keyring_path(home)}")
    click.echo(f"Recipients need to know: privsynth keys export {key} > keyring.json")


@keys.command()
@click.argument("key", metavar="NAME|KEYID")
def export(key: str) -> None:
    """Print a keyring with only this public key, to give to recipients.

    Send it by a different channel from the release, or read the fingerprint out over the telephone.

    Example: privsynth keys export office > keyring.json
    """
    from privsynth.signing.keyring import Keyring
    from privsynth.signing.store import find

    click.echo(Keyring(keys=(find(_home(), key),)).to_json().decode("ascii"), nl=False)


@keys.command()
@click.argument("key", metavar="NAME|KEYID")
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
def page(key: str, out: Path) -> None:
    """Write a page on which recipients verify releases without installing anything, with this public key built in.

    It opens in any browser of the last years, and makes no connection. Hand it out by a different channel from the
    releases, as the keyring: who can replace the page decides what it says.

    Example: privsynth keys page office verify.html
    """
    from privsynth.pages.verification import verify_page
    from privsynth.signing.keyring import Keyring
    from privsynth.signing.store import find

    write_page(out, verify_page(Keyring(keys=(find(_home(), key),))))

"""`privsynth keys root`: the root that signs keyrings."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import click

from privsynth.cli.terminal.files import new_file
from privsynth.cli.terminal.passphrases import NEW_PASSPHRASE_VARIABLE, ask_passphrase
from privsynth.cli.trust.devices import ask_for_new, chosen_device, device_options

algorithm_option = click.option(
    "--algorithm", default="ed25519", show_default=True, type=click.Choice(["ed25519", "ecdsa-p256"]),
    help="P-256 where a rule asks for it.",
)  # fmt: skip
unencrypted_option = click.option("--no-passphrase", is_flag=True, help="Leave the new key unencrypted.")
root_name_option = click.option("--as", "name", default="root", show_default=True, help="Name of the root.")


@click.group()
def root() -> None:
    """Make a root, and sign keyrings with it.

    Readers get the root's public key once, by another way than releases; with `privsynth verify --root` they then rely
    on every keyring that it signs, and notice an older one that comes again. Keep the root away from the machine that
    makes releases: `PRIVSYNTH_HOME` may be on a disk that is locked away.

    Example: privsynth keys root init
    """


@root.command("init")
@click.argument("name", default="root")
@unencrypted_option
@algorithm_option
@device_options
def init_root(name: str, no_passphrase: bool, algorithm: str, uri: str | None, public_file: Path | None) -> None:
    """Make a root, or register one that is in a device.

    Example: privsynth keys root init
    """
    from privsynth.signing.roots.store import create_root, root_path
    from privsynth.workspace import privsynth_home

    home = privsynth_home()
    device = chosen_device(uri, public_file, no_passphrase=no_passphrase)
    passphrase = ask_for_new(device, no_passphrase=no_passphrase)
    key = create_root(home, name, passphrase=passphrase, algorithm=algorithm, device=device)
    click.echo(f"Root        {root_path(home, name) if uri is None else uri}")
    click.echo(f"Fingerprint {key.fingerprint}")
    click.echo(f"Readers need {root_path(home, name).with_suffix('.pub')}, by another way than releases")


@root.command()
@click.argument(
    "keyrings",
    metavar="KEYRING...",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
@root_name_option
@click.option("--days", type=click.IntRange(1, 3650), default=365, show_default=True, help="How long it is good for.")
def sign(keyrings: tuple[Path, ...], out: Path, name: str, days: int) -> None:
    """Sign the keys in each KEYRING as one, the next keyring of the root, into a new file OUT for readers.

    Give what each person exported (`privsynth keys export`): whoever is left out is in the keyring no more. A key in
    several of them is taken once; where they contradict each other nothing is signed, and a revocation in any of them
    holds. What is signed is listed: compare the fingerprints with those that the holders read out.

    Each keyring has a higher number than the last one, and an end: after it, readers ask for a newer one. Fewer days
    bound how long somebody can keep a revocation back.

    Example: privsynth keys root sign office.json anna.json st-mary.keyring --days 90
    """
    from privsynth.signing.keyring import ROLES, Keyring
    from privsynth.signing.roots.joined import joined
    from privsynth.signing.roots.store import sign_keyring
    from privsynth.workspace import privsynth_home

    ring, now = joined([(str(path), Keyring.load(path)) for path in keyrings]), datetime.now(UTC)
    write = new_file(out)
    data = sign_keyring(privsynth_home(), name, ask_passphrase(), ring, now=now, days=days)
    write(data)
    for entry in ring.keys:
        may = entry.problem(now) or f"may {' and '.join(ROLES[role] for role in entry.roles)}"
        click.echo(f"Key         {entry.holder}: {entry.fingerprint}; {may}")
    click.echo(f"Written     {out}; keys: {len(ring.keys)}; days that it is good for: {days}")


@root.command("rotate")
@click.argument("name")
@click.argument("successor")
@unencrypted_option
@algorithm_option
@device_options
def rotate_root_(
    name: str, successor: str, no_passphrase: bool, algorithm: str, uri: str | None, public_file: Path | None
) -> None:
    """Replace the root NAME by a new one, SUCCESSOR.

    Both sign that one follows the other, and every keyring of the new root says so: who holds the old root's public key
    needs nothing else. The old root signs no more. The passphrase of the old root comes from PRIVSYNTH_PASSPHRASE, that
    of the new one from PRIVSYNTH_NEW_PASSPHRASE; else you are asked for them.

    Example: privsynth keys root rotate root root-2027
    """
    from privsynth.signing.roots.store import root_path, rotate_root
    from privsynth.workspace import privsynth_home

    home = privsynth_home()
    device = chosen_device(uri, public_file, no_passphrase=no_passphrase)
    new = ask_for_new(
        device, no_passphrase=no_passphrase, variable=NEW_PASSPHRASE_VARIABLE, prompt="Passphrase of the new root"
    )
    key = rotate_root(home, name, successor, passphrase=ask_passphrase(), new=new, algorithm=algorithm, device=device)
    click.echo(f"Root        {root_path(home, successor) if uri is None else uri}")
    click.echo(f"Fingerprint {key.fingerprint}")
    click.echo("Sign the keyring with it next: readers then learn of it, and take nothing more from the old root.")


@root.command("revoke")
@click.argument("signed", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--root", "root_file", required=True, type=click.Path(path_type=Path), help="The root's .pub file.")
@click.option("--key", "keyid", required=True, help="Key id of the key to be revoked.")
@click.option("--as", "name", default="default", show_default=True, help="Name of your key, which is a key admin's.")
@click.option("--reason", required=True, help="Why, in one line; readers of the keyring see it.")
def revoke_in_keyring(signed: Path, out: Path, root_file: Path, keyid: str, name: str, reason: str) -> None:
    """Revoke a key in the keyring SIGNED without the root, as a key admin, into a new file OUT for readers.

    A key admin takes trust away and can never add any: for that the root signs a keyring.

    Example: privsynth keys root revoke st-mary.keyring new.keyring --root root.pub --key 1f2e --reason "laptop stolen"
    """
    from privsynth.signing.keyring import KEY_ADMIN
    from privsynth.signing.roots.store import load_root, read_signed, revoke_in
    from privsynth.signing.store import open_key
    from privsynth.workspace import privsynth_home

    now, data, key_id = datetime.now(UTC), read_signed(signed), "".join(keyid.split()).lower()
    write = new_file(out)
    admin, _ = open_key(privsynth_home(), name, ask_passphrase(), now=now, roles=(KEY_ADMIN,))
    write(revoke_in(data, load_root(root_file), key_id, admin, now=now, reason=reason))
    click.echo(f"Written     {out}; give it to everybody who has {signed}")


@root.command("page")
@click.argument("root_file", metavar="ROOT", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
def page_of_root(root_file: Path, out: Path) -> None:
    """Write a page on which recipients verify releases, with the root in the file ROOT built in.

    It then takes keyrings that the root signed, from anywhere; it remembers nothing, and so cannot tell that one is not
    the newest. Hand it out by a different channel from the releases.

    Example: privsynth keys root page root.pub verify.html
    """
    from privsynth.pages.verification import verify_page
    from privsynth.signing.roots.store import load_root

    write_page(out, verify_page(root=load_root(root_file)))


def write_page(out: Path, text: str) -> None:
    """Write a page to a new file, and print its digest."""
    data = text.encode("utf-8")
    new_file(out)(data)
    click.echo(f"Written     {out}")
    click.echo(f"SHA-256     {hashlib.sha256(data).hexdigest()}")

"""The keys of one person on one machine: `keys/NAME.pem`, `keys/NAME.pub` and `keyring.json` in a folder.

The `.pub` file lets the name of an encrypted key be matched with its keyring entry without the passphrase. A key in a
device has `keys/NAME.device`, which says where it is, in place of the `.pem` file.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from privsynth.errors import KeyFileError, PrivsynthWarning
from privsynth.signing._algorithms import ED25519
from privsynth.signing._files import anyone_may_write, atomic_write
from privsynth.signing.devices import files
from privsynth.signing.devices.files import InDevice
from privsynth.signing.envelope import Signer
from privsynth.signing.keyring import DEFAULT_DAYS, MAKER, KeyEntry, Keyring
from privsynth.signing.keys import Passphrase, PublicKey, SigningKey

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


def keyring_path(home: Path) -> Path:
    """Return where the keyring of this folder is."""
    return home / "keyring.json"


def key_path(home: Path, name: str) -> Path:
    """Return where the private key of that name is.

    Raises:
      KeyFileError: if the name is not 1 to 64 letters, digits, hyphens and underscores.
    """
    if not _NAME.fullmatch(name):
        raise KeyFileError("the name of a key has 1 to 64 letters, digits, hyphens or underscores; choose another")
    return home / "keys" / f"{name}.pem"


def load_keyring(home: Path) -> Keyring:
    """Return the keyring of this folder; empty if there is none yet.

    Warns if everybody may replace what is in the folder. It does not stop: a folder that a container mounts is often
    of that kind, and no other user may be there.

    Raises:
      KeyFileError: if it cannot be read, or everybody may change it.
    """
    if home.exists() and anyone_may_write(home):
        warnings.warn(
            f"everybody on this machine may replace the keys and the ledger in {home}; run 'chmod go-w {home}'",
            PrivsynthWarning,
            stacklevel=2,
        )
    path = keyring_path(home)
    return Keyring.load(path) if path.exists() else Keyring()


@dataclass(frozen=True)
class NewKey:
    """What a new key is to be.

    Attributes:
      holder: who will be named as the signer.
      days: how long it is valid.
      roles: of `privsynth.signing.keyring.ROLES`, at least one.
      algorithm: "ed25519" or "ecdsa-p256"; a key in a device is of the one that it has.
      device: where it is already; None makes it, in a file.
    """

    holder: str
    days: int = DEFAULT_DAYS
    roles: Collection[str] = (MAKER,)
    algorithm: str = ED25519
    device: InDevice | None = None


def create_key(home: Path, name: str, wanted: NewKey, *, passphrase: Passphrase | None, now: datetime) -> KeyEntry:
    """Make a key, write it to a new file and enter it in the keyring; or register one that is in a device.

    Args:
      home: folder of the keys; made if need be, readable by its owner alone.
      name: of the key file.
      passphrase: asked once, after everything else was found in order; None leaves the key unencrypted. Of a device,
        its PIN.
      now: start of its validity, with a zone.
    Raises:
      KeyFileError: the name is taken, the keyring is damaged, the holder, days or roles make no sense, the folder
        cannot be written, or a device does not sign with the key that it has or is said to have.
    """
    path = key_path(home, name)
    if files.is_taken(path):
        raise KeyFileError(f"a key named {name} exists already and is never overwritten; choose another name")
    key = SigningKey.generate(wanted.algorithm) if wanted.device is None else files.open_new(wanted.device, passphrase)
    entry = KeyEntry.for_key(key.public, holder=wanted.holder, not_before=now, days=wanted.days, roles=wanted.roles)
    keyring = load_keyring(home).add(entry)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if isinstance(key, SigningKey):
            key.save(path, None if passphrase is None else passphrase())
        elif wanted.device is not None:
            files.keep(path, wanted.device)
        atomic_write(path.with_suffix(".pub"), f"{key.public.to_base64()}\n".encode("ascii"), mode=0o600)
    except OSError as problem:
        raise KeyFileError(f"no key can be written under {home}: {problem.strerror}") from None
    keyring.save(keyring_path(home))
    return entry


def rotate_key(
    home: Path,
    name: str,
    successor: str,
    *,
    passphrase: Passphrase | None,
    now: datetime,
    days: int = DEFAULT_DAYS,
    device: InDevice | None = None,
) -> tuple[KeyEntry, KeyEntry]:
    """Make a key with the holder, roles and algorithm of another, whose validity ends now.

    What the old key signed until now still verifies. Its file stays where it is.

    Args:
      successor: name of the new key file.
      device: where the new key is; None makes it, in a file.
    Returns:
      The entries of the old key and of the new one.
    Raises:
      KeyFileError: the old key is unknown or not valid now, or `create_key` refuses the new one.
    """
    old = find(home, name)
    load_keyring(home).retire(old.keyid, at=now)  # refuses before anything is written
    wanted = NewKey(old.holder, days, old.roles, old.algorithm, device)
    new = create_key(home, successor, wanted, passphrase=passphrase, now=now)
    keyring = load_keyring(home).retire(old.keyid, at=now)
    keyring.save(keyring_path(home))
    return keyring.get(old.keyid), new


def open_key(
    home: Path, name: str, passphrase: Passphrase | None, *, now: datetime, roles: Collection[str] = (MAKER,)
) -> tuple[Signer, KeyEntry]:
    """Return the key of that name and its keyring entry, ready to sign: one in a device has then signed once.

    Args:
      roles: the key needs one of them.
    Raises:
      KeyFileError: missing, wrong passphrase, not in the keyring, of another role, or not valid at `now`. The period
        and the role are judged before the passphrase is asked for where the public half is at hand.
    """
    path = key_path(home, name)
    keyring = load_keyring(home)
    public = path.with_suffix(".pub")
    if (path.exists() or files.is_in_device(path)) and public.exists():
        keyring.get(files.read_public(public).keyid).require_valid(now, roles)
    key = files.load_signer(path, passphrase)
    entry = keyring.get(key.public.keyid)
    entry.require_valid(now, roles)
    return key, entry


def change_passphrase(home: Path, name: str, *, old: Passphrase | None, new: Passphrase | None) -> None:
    """Write the key of that name again, under another passphrase and the encryption of this version.

    Args:
      old: asked only if the file is encrypted.
      new: asked once, after the file was opened; None leaves the key unencrypted.
    Raises:
      KeyFileError: missing, a wrong or weak passphrase, or the file cannot be written. The old file stays then. Or the
        key is in a device.
    """
    path = key_path(home, name)
    if files.is_in_device(path):
        raise KeyFileError(f"the key {name} is in a device, which has its own tools to change the PIN")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PrivsynthWarning)  # that the old file is weak is why this is done
        key = SigningKey.load(path, old)
    key.encrypt_again(path, None if new is None else new())


def names(home: Path) -> dict[str, str]:
    """Return key id -> name, for the keys of this folder.

    Raises:
      KeyFileError: if a `.pub` file is damaged.
    """
    return {public.keyid: name for name, public in _public_keys(home)}


def devices(home: Path) -> dict[str, str]:
    """Return key id -> URI, for the keys of this folder that are in a device.

    Raises:
      KeyFileError: if a file is damaged.
    """
    found = ((public.keyid, key_path(home, name)) for name, public in _public_keys(home))
    return {keyid: files.read_uri(path) for keyid, path in found if files.is_in_device(path)}


def find(home: Path, name_or_keyid: str) -> KeyEntry:
    """Return the keyring entry of a name, or of a key id with or without spaces.

    Raises:
      KeyFileError: if there is none.
    """
    keyring = load_keyring(home)
    for name, public in _public_keys(home):
        if name == name_or_keyid:
            return keyring.get(public.keyid)
    keyid = "".join(name_or_keyid.split()).lower()
    if not re.fullmatch(r"[0-9a-f]{64}", keyid):
        raise KeyFileError(f"there is no key named {name_or_keyid!r}; see 'privsynth keys list'")
    return keyring.get(keyid)


def revoke_key(home: Path, name_or_keyid: str, *, at: datetime, reason: str) -> KeyEntry:
    """Mark a key of the keyring as revoked and return its entry. The key file stays where it is.

    Raises:
      KeyFileError: if it is unknown or revoked already.
    """
    keyid = find(home, name_or_keyid).keyid
    keyring = load_keyring(home).revoke(keyid, at=at, reason=reason)
    keyring.save(keyring_path(home))
    return keyring.get(keyid)


def _public_keys(home: Path) -> Iterator[tuple[str, PublicKey]]:
    for path in sorted((home / "keys").glob("*.pub")):
        yield path.stem, files.read_public(path)

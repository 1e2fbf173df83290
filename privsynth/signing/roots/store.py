"""Roots on disk: `roots/NAME.pem`, `NAME.pub` to hand out, and `NAME.json` with what the root has signed so far.

A root in a device has `NAME.device` in place of the `.pem` file.

Keep the folder away from the machine that makes releases: `PRIVSYNTH_HOME` may be on a disk that is locked away.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from privsynth.errors import KeyFileError, VerificationError
from privsynth.signing._algorithms import ED25519
from privsynth.signing._files import atomic_write
from privsynth.signing.devices import files
from privsynth.signing.devices.files import InDevice
from privsynth.signing.envelope import Envelope, Signer
from privsynth.signing.keyring import KEY_ADMIN, Keyring
from privsynth.signing.keys import Passphrase, PublicKey, SigningKey
from privsynth.signing.roots.signed_keyring import opened, revocation, rotation, signed
from privsynth.signing.store import key_path
from privsynth.strict.json import dumps, loads

MAX_BYTES = 10_000_000  # of a root's history, and of its .pub file (own)
DEFAULT_DAYS = 365  # a signed keyring is good for (own): a year bounds how long a kept-back revocation works


@dataclass(frozen=True)
class _History:
    """What a root has done: the number of its last keyring, the changes that led to it, and who came after it."""

    number: int = 0
    rotations: tuple[str, ...] = ()
    replaced_by: str = ""


def root_path(home: Path, name: str) -> Path:
    """Return where the private key of a root is.

    Raises:
      KeyFileError: as `key_path`.
    """
    return home / "roots" / key_path(home, name).name


def load_root(path: Path) -> PublicKey:
    """Return the root in a .pub file, as a reader holds it.

    Raises:
      KeyFileError: missing, unreadable, or not a public key.
    """
    try:
        text = path.read_bytes()[:MAX_BYTES].decode("ascii").strip()
    except OSError as problem:
        raise KeyFileError(f"the root {path} cannot be read: {problem.strerror}") from None
    except UnicodeError:
        text = ""
    try:
        return PublicKey.from_base64(text)
    except KeyFileError:
        raise KeyFileError(f"{path} is not the .pub file of a root; ask who holds the root for it") from None


def read_signed(path: Path) -> bytes:
    """Return the bytes of a keyring that a root signed; what is in them is for `opened` to say.

    Raises:
      KeyFileError: missing or unreadable.
    """
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as problem:
        raise KeyFileError(f"the keyring {path} cannot be read: {problem.strerror}") from None


def create_root(
    home: Path, name: str, *, passphrase: Passphrase | None, algorithm: str = ED25519, device: InDevice | None = None
) -> PublicKey:
    """Make a root, or register one that is in a device.

    Args:
      passphrase: None leaves the root unencrypted; of a device, its PIN.
      algorithm: "ed25519" or "ecdsa-p256"; a key in a device is of the one that it has.
    Raises:
      KeyFileError: the name is taken, the folder cannot be written, or a device does not sign.
    """
    key = _new(home, name, passphrase, algorithm if device is None else device)
    _save_history(root_path(home, name), _History())
    return key.public


def sign_keyring(
    home: Path, name: str, passphrase: Passphrase | None, keyring: Keyring, *, now: datetime, days: int
) -> bytes:
    """Return the next keyring of a root, signed, as a file for readers.

    Raises:
      KeyFileError: there is no such root, it was replaced, or the keyring cannot be signed.
    """
    path = root_path(home, name)
    history = _current(path)
    key = files.load_signer(path, passphrase)
    number, issued_at = history.number + 1, now.replace(microsecond=0)
    envelope = signed(keyring, number, key, issued_at=issued_at, expires=issued_at + timedelta(days=days))
    _save_history(path, _History(number, history.rotations))
    return b"".join(line.encode("ascii") for line in history.rotations) + envelope.to_json()


def rotate_root(
    home: Path,
    name: str,
    successor: str,
    *,
    passphrase: Passphrase | None,
    new: Passphrase | None,
    algorithm: str = ED25519,
    device: InDevice | None = None,
) -> PublicKey:
    """Make the root that comes after another, and have both say so; the old one signs no more keyrings.

    Args:
      passphrase: of the old root.
      new: of its successor; None leaves that unencrypted.
      algorithm, device: of the successor, as for `create_root`.
    Raises:
      KeyFileError: there is no such root, it was replaced already, or the new name is taken.
    """
    path = root_path(home, name)
    history = _current(path)
    old = files.load_signer(path, passphrase)
    key = _new(home, successor, new, algorithm if device is None else device)
    line = rotation(old, key).to_json().decode("ascii")
    _save_history(root_path(home, successor), _History(history.number, (*history.rotations, line)))
    _save_history(path, _History(history.number, history.rotations, replaced_by=successor))
    return key.public


def revoke_in(data: bytes, root: PublicKey, keyid: str, admin: Signer, *, now: datetime, reason: str) -> bytes:
    """Return a signed keyring with one more key revoked, by a key admin, without the root.

    Raises:
      VerificationError: the keyring is not one to rely on.
      KeyFileError: the key is unknown or revoked already, or the admin's key is none of a key admin in that keyring.
    """
    issued_at = now.replace(microsecond=0)
    found = opened(data, root, now)
    found.keyring.get(admin.public.keyid).require_valid(issued_at, (KEY_ADMIN,))
    lines = data.splitlines(keepends=True)
    before = opened(b"".join(lines[:-1]), root, now).keyring if found.revision else found.keyring
    after = found.keyring.revoke(keyid, at=issued_at, reason=reason)
    entries = [
        entry for entry in after.keys if entry.status == "revoked" and before.get(entry.keyid).status == "active"
    ]
    kept = lines[:-1] if found.revision else lines
    return b"".join([*kept, revocation(found, entries, admin, issued_at=issued_at).to_json()])


def _new(home: Path, name: str, passphrase: Passphrase | None, wanted: str | InDevice) -> Signer:
    path = root_path(home, name)
    if files.is_taken(path):
        raise KeyFileError(f"a root named {name} exists already and is never overwritten; choose another name")
    key = files.open_new(wanted, passphrase) if isinstance(wanted, InDevice) else SigningKey.generate(wanted)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if isinstance(key, SigningKey):
            key.save(path, None if passphrase is None else passphrase())
        elif isinstance(wanted, InDevice):
            files.keep(path, wanted)
        atomic_write(path.with_suffix(".pub"), f"{key.public.to_base64()}\n".encode("ascii"))
    except OSError as problem:
        raise KeyFileError(f"no root can be written under {home}: {problem.strerror}") from None
    return key


def _current(path: Path) -> _History:
    """Return what a root has done, if it is in force."""
    if not path.exists() and not files.is_in_device(path):
        raise KeyFileError(f"there is no root at {path}; make one with 'privsynth keys root init'")
    history = _load_history(path)
    if history.replaced_by:
        raise KeyFileError(f"the root {path.stem} was replaced by {history.replaced_by}; sign with that")
    return history


def _load_history(path: Path) -> _History:
    damaged = f"{path.with_suffix('.json')} is missing or damaged; put back a copy, so that numbers never go back"
    try:
        data = path.with_suffix(".json").read_bytes()
    except OSError:
        raise KeyFileError(damaged) from None
    document: Any = loads(data, what=str(path), max_bytes=MAX_BYTES, error=KeyFileError)
    try:
        history = _History(document["number"], tuple(document["rotations"]), document["replaced_by"])
        for line in history.rotations:
            Envelope.from_json(line.encode("ascii"))
    except (KeyError, TypeError, AttributeError, UnicodeError, VerificationError):
        raise KeyFileError(damaged) from None
    return history


def _save_history(path: Path, history: _History) -> None:
    document = {
        "number": history.number,
        "rotations": list(history.rotations),
        "replaced_by": history.replaced_by,
    }
    try:
        atomic_write(path.with_suffix(".json"), dumps(document, indent=2) + b"\n", mode=0o600)
    except OSError as problem:
        raise KeyFileError(f"{path.with_suffix('.json')} cannot be written: {problem.strerror}") from None

"""A key in a device, on disk: `NAME.device` with its URI and `NAME.pub`, where other keys have `NAME.pem`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from privsynth.errors import KeyFileError
from privsynth.signing import _key_file
from privsynth.signing._files import anyone_may_write, atomic_write
from privsynth.signing.devices.device_key import DeviceKey, check_uri, public_in_device
from privsynth.signing.envelope import Signer
from privsynth.signing.keys import Passphrase, PublicKey, SigningKey

_ENDINGS = (".pem", ".pub", ".device")


@dataclass(frozen=True)
class InDevice:
    """A key that is in a device already, to be registered.

    Attributes:
      uri: where it is.
      public_file: its public key in PEM; None asks the device, if that speaks PKCS#11.
    """

    uri: str
    public_file: Path | None = None

    def __post_init__(self) -> None:
        check_uri(self.uri)


def is_taken(path: Path) -> bool:
    """Say whether a name has a key, in a file or in a device."""
    return any(path.with_suffix(ending).exists() for ending in _ENDINGS)


def is_in_device(path: Path) -> bool:
    """Say whether the key of that name is in a device."""
    return path.with_suffix(".device").exists()


def open_new(device: InDevice, pin: Passphrase | None) -> DeviceKey:
    """Return a key of a device after it has signed; it is not kept yet.

    Raises:
      KeyFileError: it cannot be reached, the PIN is wrong, or it signs with another key than the one given.
    """
    if device.public_file is None:
        public, pin = public_in_device(device.uri, pin)
    else:
        public = _public_in_pem(device.public_file)
    key = DeviceKey(device.uri, public, pin)
    key.try_out()
    return key


def keep(path: Path, device: InDevice) -> None:
    """Write the file that says where a key is.

    Raises:
      OSError: it cannot be written.
    """
    atomic_write(path.with_suffix(".device"), f"{device.uri}\n".encode("ascii"), mode=0o600)


def load_signer(path: Path, passphrase: Passphrase | None) -> Signer:
    """Return the key of a name: from its file, or in its device, which has then signed once to show that it can.

    Args:
      path: of the .pem file that the key has, or would have.
      passphrase: of the file, or PIN of the device; asked once.
    Raises:
      KeyFileError: as `SigningKey.load`; or the device is not there, its PIN is wrong, or it has another key.
    """
    if not is_in_device(path):
        return SigningKey.load(path, passphrase)
    if path.exists():
        raise KeyFileError(f"the key {path.stem} is in a file and in a device; move one of them away: {path}")
    key = DeviceKey(read_uri(path), read_public(path.with_suffix(".pub")), passphrase)
    key.try_out()
    return key


def read_uri(path: Path) -> str:
    """Return where the key of a name is.

    Raises:
      KeyFileError: the file cannot be read, is damaged, or may be changed by everybody: it names a driver to be run.
    """
    file = path.with_suffix(".device")
    data = _key_file.read(file)
    if anyone_may_write(file) or anyone_may_write(file.parent):
        raise KeyFileError(
            f"{file} can be changed by everybody on this machine; look through it, then run 'chmod go-w' on it and on "
            "its folder"
        )
    return check_uri(data.decode("ascii", "replace").removesuffix("\n"))


def read_public(path: Path) -> PublicKey:
    """Return the public key in a .pub file.

    Raises:
      KeyFileError: missing, unreadable or damaged.
    """
    try:
        return PublicKey.from_base64(path.read_text(encoding="ascii").strip())
    except (OSError, UnicodeError):
        raise KeyFileError(f"the public key {path} cannot be read; delete it if it is not a key") from None


def _public_in_pem(path: Path) -> PublicKey:
    try:
        handle = serialization.load_pem_public_key(_key_file.read(path))
        der = handle.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, UnsupportedAlgorithm):
        raise KeyFileError(f"{path} is not a public key in PEM form; export it from the device again") from None
    return PublicKey.from_spki(der)

"""Ed25519 keys: a private one in an encrypted PEM file, and the public one that others verify with."""

from __future__ import annotations

import base64
import hashlib
import os
import stat
import warnings
from collections.abc import Callable
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from privsynth.errors import KeyFileError, PrivsynthWarning, VerificationError

MAX_KEY_BYTES = 65_536
Passphrase = Callable[[], bytes]


class PublicKey:
    """The public half of a signing key; equal to another with the same bytes.

    Attributes:
      spki: SubjectPublicKeyInfo in DER, the form that the key id is the digest of.
    """

    __slots__ = ("_key", "spki")

    def __init__(self, key: Ed25519PublicKey) -> None:
        self._key = key
        self.spki: bytes = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)

    @classmethod
    def from_spki(cls, spki: bytes) -> PublicKey:
        """Parse SubjectPublicKeyInfo in DER.

        Raises:
          KeyFileError: if it is not an Ed25519 key in exactly this form.
        """
        try:
            key = serialization.load_der_public_key(spki)
        except (ValueError, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, Ed25519PublicKey) or cls(key).spki != spki:
            raise KeyFileError("a public key is not an Ed25519 key in SubjectPublicKeyInfo form; export it again")
        return cls(key)

    @classmethod
    def from_base64(cls, text: str) -> PublicKey:
        """Parse the base64 of `spki`, as `to_base64` writes it.

        Raises:
          KeyFileError: if it is anything else.
        """
        try:
            key = cls.from_spki(base64.b64decode(text, validate=True))
        except ValueError:
            raise KeyFileError("a public key is not standard base64; export it again") from None
        if key.to_base64() != text:
            raise KeyFileError("a public key is not standard base64; export it again")
        return key

    def to_base64(self) -> str:
        """Return `spki` in base64."""
        return base64.b64encode(self.spki).decode("ascii")

    @property
    def keyid(self) -> str:
        """SHA-256 of `spki`, 64 hex digits."""
        return hashlib.sha256(self.spki).hexdigest()

    @property
    def fingerprint(self) -> str:
        """The key id in groups of eight, for reading aloud."""
        return fingerprint(self.keyid)

    def fits(self, signature: bytes, data: bytes) -> bool:
        """Say whether the signature was made by this key over exactly these bytes."""
        try:
            self._key.verify(signature, data)
        except InvalidSignature:
            return False
        return True

    def verify(self, signature: bytes, data: bytes) -> None:
        """Return if the signature was made by this key over exactly these bytes.

        Raises:
          VerificationError: if not.
        """
        if not self.fits(signature, data):
            raise VerificationError(f"the signature was not made by key {self.fingerprint} over these bytes")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PublicKey) and other.spki == self.spki

    def __hash__(self) -> int:
        return hash(self.spki)

    def __repr__(self) -> str:
        return f"PublicKey({self.fingerprint})"


class SigningKey:
    """A private Ed25519 key. Its text form shows the public fingerprint only; it is never pickled."""

    __slots__ = ("_key", "public")

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = PublicKey(key.public_key())

    @classmethod
    def generate(cls) -> SigningKey:
        """Return a fresh key from the randomness of the operating system."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def load(cls, path: Path, passphrase: Passphrase | None) -> SigningKey:
        """Read a key file.

        Args:
          path: a PKCS#8 PEM file.
          passphrase: asked once, and only if the file is encrypted; None where nobody can be asked.
        Raises:
          KeyFileError: missing, unreadable, not a key, not Ed25519, or the passphrase is missing or wrong.
        """
        data = _read(path)
        key = _parse(path, data, None)
        if key is None:
            if passphrase is None:
                raise KeyFileError(f"the key {path} is encrypted; set PRIVSYNTH_PASSPHRASE or run in a terminal")
            key = _parse(path, data, passphrase())
        else:
            _warn_if_exposed(path)
        if not isinstance(key, Ed25519PrivateKey):
            raise KeyFileError(f"{path} is not an Ed25519 key; make one with 'privsynth keys init'")
        return cls(key)

    def save(self, path: Path, passphrase: bytes | None) -> None:
        """Write the key to a new file of mode 0600, as PKCS#8 PEM.

        Args:
          path: must not exist: a key is never overwritten.
          passphrase: at least one byte; None writes the key unencrypted, for those who asked for that.
        Raises:
          KeyFileError: the file exists or cannot be written, or the passphrase is empty.
        """
        if passphrase is not None and not passphrase:
            raise KeyFileError("the passphrase is empty; give one, or ask for no passphrase")
        data = self._key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption() if passphrase is None else serialization.BestAvailableEncryption(passphrase),
        )
        _write_new(path, data)

    def sign(self, data: bytes) -> bytes:
        """Return the 64 bytes of the signature over `data`."""
        return self._key.sign(data)

    def __repr__(self) -> str:
        return f"SigningKey({self.public.fingerprint})"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a SigningKey is never pickled")


def fingerprint(keyid: str) -> str:
    """Return a key id in groups of eight hex digits."""
    return " ".join(keyid[start : start + 8] for start in range(0, len(keyid), 8))


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_KEY_BYTES + 1)
    except FileNotFoundError:
        raise KeyFileError(f"there is no key at {path}; make one with 'privsynth keys init'") from None
    except OSError as problem:
        raise KeyFileError(f"the key {path} cannot be read: {problem.strerror}") from None
    if len(data) > MAX_KEY_BYTES:
        raise KeyFileError(f"{path} is too big to be a key file; name the .pem file that 'keys init' wrote")
    return data


def _parse(path: Path, data: bytes, passphrase: bytes | None) -> object | None:
    """Return the private key in PEM bytes, or None if it is encrypted and no passphrase was given."""
    try:
        return serialization.load_pem_private_key(data, password=passphrase)
    except (TypeError, ValueError, UnsupportedAlgorithm) as problem:
        if passphrase is not None:
            raise KeyFileError(f"wrong passphrase for the key {path}; try again") from None
        if isinstance(problem, TypeError):  # how `cryptography` says that the file is encrypted
            return None
        raise KeyFileError(f"{path} is not a private key in PEM form; name the file 'keys init' wrote") from None


def _write_new(path: Path, data: bytes) -> None:
    """Create the file for its owner alone from the first moment, or raise."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise KeyFileError(f"{path} exists already and a key is never overwritten; choose another name") from None
    except OSError as problem:
        raise KeyFileError(f"the key {path} cannot be written: {problem.strerror}") from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as problem:
        path.unlink(missing_ok=True)
        raise KeyFileError(f"the key {path} cannot be written: {problem.strerror}") from None


def _warn_if_exposed(path: Path) -> None:
    if os.name == "posix" and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        warnings.warn(
            f"the key {path} has no passphrase and others on this machine may read it; run 'chmod 600' on it",
            PrivsynthWarning,
            stacklevel=3,
        )

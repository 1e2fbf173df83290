"""Signing keys: a private one in an encrypted file, and the public one that others verify with."""

from __future__ import annotations

import base64
import hashlib
import os
import stat
import warnings
from collections.abc import Callable
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from privsynth.errors import KeyFileError, Option, PrivsynthWarning, VerificationError
from privsynth.signing import _algorithms, _key_file
from privsynth.signing._algorithms import ED25519, PrivateHandle, PublicHandle
from privsynth.signing._files import atomic_write

Passphrase = Callable[[], bytes]
PASSPHRASE_VARIABLE = "PRIVSYNTH_PASSPHRASE"


class PublicKey:
    """The public half of a signing key; equal to another with the same bytes.

    Attributes:
      algorithm: "ed25519" or "ecdsa-p256", as its bytes say.
      spki: SubjectPublicKeyInfo in DER, the form that the key id is the digest of.
    Raises:
      KeyFileError: of another algorithm or curve, a point of small order, or in another than its one form.
    """

    __slots__ = ("_key", "algorithm", "spki")

    def __init__(self, key: PublicHandle) -> None:
        algorithm = _algorithms.algorithm_of(key)
        if algorithm is None:
            raise KeyFileError(
                "a public key is neither Ed25519 nor ECDSA on P-256; make one with 'privsynth keys init'"
            )
        if _algorithms.is_weak(key):
            raise KeyFileError("a public key is one for which anybody can make signatures; refuse whoever sent it")
        self._key, self.algorithm = key, algorithm
        self.spki: bytes = _algorithms.spki_of(key)

    @classmethod
    def from_spki(cls, spki: bytes) -> PublicKey:
        """Parse SubjectPublicKeyInfo in DER.

        Raises:
          KeyFileError: if it is not a key of the two algorithms in exactly this form, or anybody can sign for it.
        """
        key = _algorithms.parsed(spki)
        if key is None:
            raise KeyFileError(
                "a public key is neither Ed25519 nor ECDSA on P-256 in SubjectPublicKeyInfo form; export it again"
            )
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
        return _algorithms.fits(self._key, signature, data)

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
    """A private key. Its text form shows the public fingerprint only; it is never pickled."""

    __slots__ = ("_key", "public")

    def __init__(self, key: PrivateHandle) -> None:
        self._key = key
        self.public = PublicKey(key.public_key())

    @classmethod
    def generate(cls, algorithm: str = ED25519) -> SigningKey:
        """Return a fresh key, "ed25519" or "ecdsa-p256", from the randomness of the operating system."""
        return cls(_algorithms.generate(algorithm))

    @classmethod
    def load(cls, path: Path, passphrase: Passphrase | None) -> SigningKey:
        """Read a key file.

        Args:
          path: a file that `save` wrote, or a PKCS#8 PEM file.
          passphrase: asked once, and only if the file is encrypted; None where nobody can be asked.
        Raises:
          KeyFileError: missing, unreadable, not a key, of another algorithm, or the passphrase is missing or wrong.
        """
        data = _key_file.read(path)
        key = None if _key_file.is_encrypted(data) else _parse(path, data, None)
        if key is not None:
            _warn_if_exposed(path)
        elif passphrase is None:
            raise KeyFileError(
                f"the key {path} is encrypted; set {PASSPHRASE_VARIABLE}, or give its passphrase with ",
                Option("passphrase"),
            )
        elif _key_file.is_encrypted(data):
            key = _key_file.from_pem(path, data, passphrase())
        else:
            key = _parse(path, data, passphrase())
            _warn_of_old_encryption(path)
        if not isinstance(key, Ed25519PrivateKey | EllipticCurvePrivateKey) or _algorithms.algorithm_of(key) is None:
            raise KeyFileError(f"{path} is neither an Ed25519 nor a P-256 key; make one with 'privsynth keys init'")
        return cls(key)

    def save(self, path: Path, passphrase: bytes | None) -> None:
        """Write the key to a new file of mode 0600; the form is that of `privsynth.signing._key_file`.

        Args:
          path: must not exist: a key is never overwritten.
          passphrase: at least 15 characters; None writes the key unencrypted, for those who asked for that.
        Raises:
          KeyFileError: the file exists or cannot be written, or the passphrase is empty or too short.
        """
        _key_file.write_new(path, _key_file.to_pem(self._key, passphrase))

    def encrypt_again(self, path: Path, passphrase: bytes | None) -> None:
        """Replace the file of this key, in one step, by one under another passphrase.

        Raises:
          KeyFileError: the file cannot be written, or the passphrase is empty or too short. The old one stays then.
        """
        data = _key_file.to_pem(self._key, passphrase)
        try:
            atomic_write(path, data, mode=0o600)
        except OSError as problem:
            raise KeyFileError(f"the key {path} cannot be written: {problem.strerror}") from None

    def sign(self, data: bytes) -> bytes:
        """Return the signature over `data`: 64 bytes of Ed25519, DER of ECDSA."""
        return _algorithms.sign(self._key, data)

    def __repr__(self) -> str:
        return f"SigningKey({self.public.fingerprint})"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a SigningKey is never pickled")


def fingerprint(keyid: str) -> str:
    """Return a key id in groups of eight hex digits."""
    return " ".join(keyid[start : start + 8] for start in range(0, len(keyid), 8))


def _parse(path: Path, data: bytes, passphrase: bytes | None) -> object | None:
    """Return the private key in PEM bytes, or None if it is encrypted and no passphrase was given."""
    try:
        return serialization.load_pem_private_key(data, password=passphrase)
    except (TypeError, ValueError, UnsupportedAlgorithm) as problem:
        if passphrase is not None:
            raise KeyFileError(f"wrong passphrase for the key {path.stem}; try again") from None
        if isinstance(problem, TypeError):  # how `cryptography` says that the file is encrypted
            return None
        raise KeyFileError(f"{path} is not a private key in PEM form; name the file 'keys init' wrote") from None


def _warn_if_exposed(path: Path) -> None:
    if os.name == "posix" and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        warnings.warn(
            f"the key {path} has no passphrase and others on this machine may read it; run 'chmod 600' on it",
            PrivsynthWarning,
            stacklevel=3,
        )


def _warn_of_old_encryption(path: Path) -> None:
    warnings.warn(
        f"the key {path} was encrypted by an earlier version, weakly; run 'privsynth keys passphrase {path.stem}'",
        PrivsynthWarning,
        stacklevel=3,
    )

"""Ed25519 keys: a private one in an encrypted file, and the public one that others verify with."""

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

from privsynth.errors import KeyFileError, Option, PrivsynthWarning, VerificationError
from privsynth.signing import _key_file
from privsynth.signing._files import atomic_write

Passphrase = Callable[[], bytes]
PASSPHRASE_VARIABLE = "PRIVSYNTH_PASSPHRASE"

# RFC 8032, section 5.1: the field of edwards25519, and the curve's d = -121665 / 121666 in it.
_FIELD = 2**255 - 19
# y of the eight points whose order divides 8. Order 1: (0, 1); 2: (0, -1); 4: y = 0; 8: d·y⁴ + 2y² - 1 = 0, which
# follows from y = 0 for twice the point. A signature by such a "key" fits nearly any message.
_Y_OF_ORDER_8 = int.from_bytes(
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little"
)
_SMALL_ORDER = {0, 1, _FIELD - 1, _Y_OF_ORDER_8, _FIELD - _Y_OF_ORDER_8}  # the values of y above


class PublicKey:
    """The public half of a signing key; equal to another with the same bytes.

    Attributes:
      spki: SubjectPublicKeyInfo in DER, the form that the key id is the digest of.
    Raises:
      KeyFileError: a point of small order, or written in another than its one form.
    """

    __slots__ = ("_key", "spki")

    def __init__(self, key: Ed25519PublicKey) -> None:
        if _is_weak(key.public_bytes_raw()):
            raise KeyFileError("a public key is one for which anybody can make signatures; refuse whoever sent it")
        self._key = key
        self.spki: bytes = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)

    @classmethod
    def from_spki(cls, spki: bytes) -> PublicKey:
        """Parse SubjectPublicKeyInfo in DER.

        Raises:
          KeyFileError: if it is not an Ed25519 key in exactly this form, or one for which anybody can sign.
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
          path: a file that `save` wrote, or a PKCS#8 PEM file.
          passphrase: asked once, and only if the file is encrypted; None where nobody can be asked.
        Raises:
          KeyFileError: missing, unreadable, not a key, not Ed25519, or the passphrase is missing or wrong.
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
        if not isinstance(key, Ed25519PrivateKey):
            raise KeyFileError(f"{path} is not an Ed25519 key; make one with 'privsynth keys init'")
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
        """Return the 64 bytes of the signature over `data`."""
        return self._key.sign(data)

    def __repr__(self) -> str:
        return f"SigningKey({self.public.fingerprint})"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a SigningKey is never pickled")


def _is_weak(raw: bytes) -> bool:
    """Say whether the 32 bytes of a public key are a point of small order, or no canonical form of a point."""
    y = int.from_bytes(raw, "little") & ((1 << 255) - 1)  # the highest bit is the sign of x
    return y >= _FIELD or y in _SMALL_ORDER


def fingerprint(keyid: str) -> str:
    """Return a key id in groups of eight hex digits."""
    return " ".join(keyid[start : start + 8] for start in range(0, len(keyid), 8))


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

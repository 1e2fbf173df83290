"""Secrets: random texts of which only a digest is kept, and texts that are sealed before they are stored."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
from collections.abc import Callable
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from privsynth.errors import ConfigError

_NONCE = 12  # bytes, of AES-GCM (NIST SP 800-38D, section 8.2.2: a random nonce of 96 bits)
_KEY = 32  # bytes: AES-256


def new_secret() -> str:
    """Return 256 random bits as a text that fits a URL."""
    return secrets.token_urlsafe(32)


def digest_of(secret: str) -> str:
    """Return the SHA-256 of a secret, in hex: it has 256 random bits, so that no slow hash is needed."""
    return hashlib.sha256(secret.encode()).hexdigest()


class Vault:
    """Seals texts with the service's secret, which is a file outside the database.

    Guarantee: AES-256-GCM under a random nonce; `about` is authenticated with the text, so that a sealed text cannot be
      moved to another row.
    """

    def __init__(self, key: bytes) -> None:
        self._key, self._cipher = key, AESGCM(key)

    @classmethod
    def at(cls, file: Path) -> Vault:
        """Read the secret of a file (0600), which is made if it is not there.

        Raises:
          ConfigError: the file cannot be read or made, or holds something else.
        """
        try:
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            pass
        except OSError as problem:
            raise ConfigError(f"the service's secret {file} cannot be made: {problem.strerror}") from None
        else:
            with os.fdopen(descriptor, "wb") as new:
                new.write(base64.b64encode(secrets.token_bytes(_KEY)))
        try:
            key = base64.b64decode(file.read_bytes(), validate=True)
        except (OSError, ValueError):
            key = b""
        if len(key) != _KEY:
            raise ConfigError(f"{file} does not hold the service's secret: restore it from your backup")
        return cls(key)

    def seal(self, text: str, about: str) -> bytes:
        """Return a text that only this service can read, and only where it is about the same thing."""
        nonce = secrets.token_bytes(_NONCE)
        return nonce + self._cipher.encrypt(nonce, text.encode(), about.encode())

    def link_secret(self, about: str, once: str) -> str:
        """Return a secret for a link: a new one, or with `once` the same each time, though it is stored nowhere.

        Guarantee: who does not know the service's secret cannot tell it from a new one (HKDF, RFC 5869).

        Args:
          about: what the link is to, and who makes it.
          once: a text by which a program says that it sends the same request again; "" for none.
        """
        if not once:
            return new_secret()
        info = json.dumps(["link", about, once]).encode()
        drawn = HKDF(algorithm=SHA256(), length=_KEY, salt=None, info=info).derive(self._key)
        return base64.urlsafe_b64encode(drawn).rstrip(b"=").decode("ascii")

    def open(self, sealed: bytes, about: str) -> str:
        """Return the text.

        Raises:
          ConfigError: it was sealed by another secret, or is about something else.
        """
        try:
            return self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], about.encode()).decode()
        except (InvalidTag, ValueError):
            raise ConfigError("what the database holds was sealed with another secret than this service's") from None


def passphrase_of(file: str) -> Callable[[], bytes]:
    """Return a function that reads the passphrase of the service's key from its file."""

    def read() -> bytes:
        if not file:
            raise ConfigError("the service's signing key has a passphrase: name its file in key_passphrase_file")
        try:
            return Path(file).read_bytes().rstrip(b"\r\n")
        except OSError as problem:
            raise ConfigError(f"the file of key_passphrase_file cannot be read: {problem.strerror}") from None

    return read

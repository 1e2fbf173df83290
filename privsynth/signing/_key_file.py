"""Files of private keys: written for their owner alone, encrypted with scrypt and ChaCha20-Poly1305.

An encrypted file is PEM text under a label of its own around four parts, one after the other:

    log2 of scrypt's N   1 byte    r = 8, p = 1
    salt                 16 bytes
    nonce                12 bytes
    ciphertext           the rest  PKCS#8 in DER, then the tag; the label and all before it are authenticated

The encryption that `cryptography` offers for PKCS#8 stretches a passphrase by 2,048 rounds of PBKDF2 only, and the
bcrypt of OpenSSH's form needs little memory and comes without authentication. A key without a passphrase is plain
PKCS#8 PEM. Files of earlier versions (encrypted PKCS#8) are still opened.
"""

from __future__ import annotations

import base64
import os
import re
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from privsynth.errors import KeyFileError
from privsynth.signing._algorithms import PrivateHandle

MAX_KEY_BYTES = 65_536  # an encrypted key takes 300 bytes
# NIST SP 800-63B-4, section 3.1.1.2: a password that protects alone has at least 15 characters.
MIN_PASSPHRASE_CHARACTERS = 15
# OWASP Password Storage Cheat Sheet: scrypt with N = 2^17, r = 8, p = 1, which is 128 MiB and about half a second.
LOG2_N, BLOCK_SIZE, PARALLEL = 17, 8, 1
MAX_LOG2_N = 20  # 1 GiB: a file that asks for more is not one that this program wrote
SALT_BYTES, NONCE_BYTES, TAG_BYTES = 16, 12, 16  # RFC 7914 asks for a random salt; RFC 8439 sets the other two

_LABEL = b"PRIVSYNTH ENCRYPTED PRIVATE KEY V1"
_BEGIN, _END = b"-----BEGIN " + _LABEL + b"-----\n", b"-----END " + _LABEL + b"-----\n"


def refuse_weak(passphrase: bytes) -> None:
    """Return if a new passphrase is long enough.

    Raises:
      KeyFileError: if it is empty or has fewer than 15 characters.
    """
    if not passphrase:
        raise KeyFileError("the passphrase is empty; give one, or ask for no passphrase")
    if len(passphrase.decode("utf-8", "replace")) < MIN_PASSPHRASE_CHARACTERS:
        raise KeyFileError(
            f"the passphrase is too short: it needs at least {MIN_PASSPHRASE_CHARACTERS} characters, since whoever "
            "copies the file can guess for years; take four or more words that were drawn at random"
        )


def to_pem(key: PrivateHandle, passphrase: bytes | None) -> bytes:
    """Return the file of a key; None leaves it unencrypted.

    Raises:
      KeyFileError: the passphrase is empty or too short.
    """
    form = serialization.PrivateFormat.PKCS8
    if passphrase is None:
        return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    refuse_weak(passphrase)
    head = bytes([LOG2_N]) + secrets.token_bytes(SALT_BYTES)
    nonce = secrets.token_bytes(NONCE_BYTES)
    plain = key.private_bytes(serialization.Encoding.DER, form, serialization.NoEncryption())
    cipher = ChaCha20Poly1305(_stretch(passphrase, head))
    body = base64.encodebytes(head + nonce + cipher.encrypt(nonce, plain, _LABEL + head + nonce))
    return _BEGIN + body + _END


def is_encrypted(data: bytes) -> bool:
    """Say whether a key file is encrypted by this version."""
    return data.startswith(_BEGIN)


def from_pem(path: Path, data: bytes, passphrase: bytes) -> object:
    """Return the private key in an encrypted file.

    Raises:
      KeyFileError: the file is damaged, or the passphrase is wrong; no cipher can tell which.
    """
    text = re.fullmatch(re.escape(_BEGIN) + rb"([A-Za-z0-9+/=\n]+)" + re.escape(_END), data)
    try:
        parts = base64.b64decode(b"" if text is None else text[1].replace(b"\n", b""), validate=True)
    except ValueError:
        parts = b""
    head, nonce = parts[: 1 + SALT_BYTES], parts[1 + SALT_BYTES : 1 + SALT_BYTES + NONCE_BYTES]
    sealed = parts[len(head) + len(nonce) :]
    if len(sealed) <= TAG_BYTES or not LOG2_N <= head[0] <= MAX_LOG2_N:
        raise KeyFileError(f"the key {path} is damaged; put back a copy, or make one with 'privsynth keys init'")
    try:
        plain = ChaCha20Poly1305(_stretch(passphrase, head)).decrypt(nonce, sealed, _LABEL + head + nonce)
        return serialization.load_der_private_key(plain, password=None)
    except (InvalidTag, ValueError, UnsupportedAlgorithm):
        raise KeyFileError(f"wrong passphrase for the key {path.stem}, or the file is damaged; try again") from None
    except MemoryError:
        raise KeyFileError(f"the key {path} needs {1 << (head[0] - 10)} MiB of memory to be opened") from None


def _stretch(passphrase: bytes, head: bytes) -> bytes:
    """Return the 32 bytes that a passphrase stands for, under the cost and the salt at the head of the file."""
    return Scrypt(salt=head[1:], length=32, n=1 << head[0], r=BLOCK_SIZE, p=PARALLEL).derive(passphrase)


def read(path: Path) -> bytes:
    """Return the bytes of a key file.

    Raises:
      KeyFileError: missing, unreadable or too big.
    """
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


def write_new(path: Path, data: bytes) -> None:
    """Create the file for its owner alone from the first moment, or raise.

    Raises:
      KeyFileError: it exists, or cannot be written.
    """
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

"""`DeviceKey`: a signer whose private key stays in a device, behind the signers of securesystemslib."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any
from urllib.parse import quote, quote_plus

from cryptography.hazmat.primitives import serialization

from privsynth.errors import KeyFileError, Option, PrivsynthError
from privsynth.extras import needs
from privsynth.signing import _algorithms
from privsynth.signing.keys import PASSPHRASE_VARIABLE, Passphrase, PublicKey

EXTRA = "hardware"
MAX_URI_CHARACTERS = 1_000  # (own) the longest in use, of Azure and PKCS#11, take some 200
# What a device signs to show that it works. Nothing that privsynth verifies begins with it, and nobody can choose the
# random number behind it.
TRIAL = b"privsynth tries out a key in a device\n"
_PKCS11 = "pkcs11"
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:")
_SECRET = re.compile(r"\bpin-(value|source)\b|\b(pin|password|secret|token)=", re.IGNORECASE)
# A cloud's key is named by its path alone: in front of an @, or behind a question mark, there are only credentials.
_HIDDEN = re.compile(rf"(?!{_PKCS11}:|hsm:)[^?]*[@?]")
_MOST_OF_A_REASON = 200  # characters of what a driver says (own): a line or two of a terminal


def check_uri(uri: str) -> str:
    """Return a URI that may be kept and shown.

    Raises:
      KeyFileError: it is none, holds a secret, or names a key in an unencrypted file.
    """
    if not _SCHEME.match(uri) or not uri.isascii() or not uri.isprintable() or len(uri) > MAX_URI_CHARACTERS:
        raise KeyFileError(
            "the device is named by a URI, such as 'pkcs11:token=Office;id=%01?module-path=/usr/lib/opensc-pkcs11.so'"
        )
    # `token=` is how PKCS#11 names a device; everywhere else it is a secret.
    if _SECRET.search(uri.replace("token=", "") if uri.startswith(f"{_PKCS11}:") else uri) or _HIDDEN.match(uri):
        raise KeyFileError("the URI of a device holds no PIN and no password: they would be kept; you are asked for it")
    if uri.startswith(("file:", "file2:")):
        raise KeyFileError("a key in an unencrypted file is in no device; make a key file with 'privsynth keys init'")
    return uri


class DeviceKey:
    """A private key in a device. Its text form shows the public fingerprint only; it is never pickled.

    The PIN is asked for once, and only if the device wants one. It stays in memory as long as this object, since a run
    signs at its end and nobody may be there then; it is in no file, message or command line.
    """

    __slots__ = ("_pin", "_signer", "_uri", "public")

    def __init__(self, uri: str, public: PublicKey, pin: Passphrase | None) -> None:
        self._uri, self.public = check_uri(uri), public
        self._pin = _Pin(pin)
        with needs(EXTRA):
            library: Any = import_module("securesystemslib.signer")
        handle = serialization.load_der_public_key(public.spki)
        with _told(self._pin):
            key = library.SSlibKey.from_crypto(handle, keyid=public.keyid)
            _require_scheme(library, uri)
            self._signer = library.Signer.from_priv_key_uri(uri, key, self._pin.asked)

    def sign(self, data: bytes) -> bytes:
        """Return the signature over `data`, in the one form of `privsynth.signing._algorithms`.

        Raises:
          KeyFileError: there is no such device, the PIN is wrong, or what comes back is not by the registered key.
        """
        with _told(self._pin):
            signature = bytes.fromhex(self._signer.sign(data).signature)
            if self.public.algorithm == _algorithms.P256:
                signature = _algorithms.lower(signature)
        if not self.public.fits(signature, data):
            raise KeyFileError(
                f"the device signs with another key than the registered one, {self.public.fingerprint}; nothing was "
                "signed. Register the right key, or ask who may have replaced it"
            )
        return signature

    def try_out(self) -> None:
        """Return if the device signs now, with the key that is registered.

        Raises:
          KeyFileError: it does not.
        """
        self.sign(TRIAL + secrets.token_bytes(32))

    def __repr__(self) -> str:
        return f"DeviceKey({self.public.fingerprint})"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a DeviceKey is never pickled")


def public_in_device(uri: str, pin: Passphrase | None) -> tuple[PublicKey, Passphrase]:
    """Return the public key that a device says it has, and a PIN that is asked for once and then known.

    Raises:
      KeyFileError: the device cannot be reached, or no PKCS#11 is spoken there.
    """
    check_uri(uri)
    if not uri.startswith(f"{_PKCS11}:"):
        raise KeyFileError(
            "only a PKCS#11 device is asked for its public key; for others export it there, and give it with ",
            Option("public_key"),
        )
    with needs(EXTRA):
        from privsynth.signing.devices.pkcs11 import read_public
    kept = _Pin(pin)
    with _told(kept):
        spki = read_public(uri, kept.asked)
    return PublicKey.from_spki(spki), kept.bytes


def _require_scheme(library: Any, uri: str) -> None:
    """Return if somebody signs for the scheme of a URI; ours is entered in the table of securesystemslib."""
    with needs(EXTRA):
        from privsynth.signing.devices.pkcs11 import Pkcs11Signer
    table = library.SIGNER_FOR_URI_SCHEME
    table[_PKCS11] = Pkcs11Signer
    scheme = uri.partition(":")[0]
    if scheme not in table:
        raise KeyFileError(f"no signer is known for '{scheme}:'; there are {', '.join(f'{one}:' for one in table)}")


class _Pin:
    """A PIN that is asked for once."""

    __slots__ = ("_ask", "_known")

    def __init__(self, ask: Passphrase | None) -> None:
        self._ask, self._known = ask, b""

    def bytes(self) -> bytes:
        if self._ask is None:
            raise KeyFileError(
                f"the device asks for its PIN; set {PASSPHRASE_VARIABLE}, or give it with ", Option("passphrase")
            )
        self._known = self._known or self._ask()
        return self._known

    def asked(self, _name: str) -> str:
        """Answer securesystemslib, which names the secret that it wants."""
        try:
            return self.bytes().decode("utf-8")
        except UnicodeDecodeError:
            raise KeyFileError("the PIN is not text; type it again") from None

    def redacted(self, text: str) -> str:
        """Return a text in which the PIN does not occur, nor as Python, JSON and addresses write it."""
        known = self._known.decode("utf-8", "replace")
        if not known:
            return text
        quoted = (repr(known), ascii(known), json.dumps(known), json.dumps(known, ensure_ascii=False))
        forms = {known, *(form[1:-1] for form in quoted), quote(known, safe=""), quote_plus(known)}
        for form in sorted(forms, key=len, reverse=True):  # a short one may be a part of a long one
            text = text.replace(form, "(PIN)")
        return text


@contextmanager
def _told(pin: _Pin) -> Iterator[None]:
    """Turn whatever a driver or a cloud's library raises into a sentence, without the chain of errors behind it."""
    try:
        yield
    except PrivsynthError:
        raise
    except Exception as problem:
        text = pin.redacted(str(problem)).strip().partition("\n")[0][:_MOST_OF_A_REASON]
        reason = "".join(letter if letter.isprintable() else "?" for letter in text)
        name = type(problem).__name__
        raise KeyFileError(f"the device cannot sign: {name}{f' ({reason})' if reason else ''}") from None

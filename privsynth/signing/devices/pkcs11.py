"""Keys in a PKCS#11 token, ECDSA on P-256 and Ed25519, as a signer of securesystemslib.

Its own signer for tokens (`hsm:`) knows no Ed25519, takes the driver from a variable of the environment, and finds a
key by a number only. This one reads URIs of RFC 7512. A session is opened for each signature: a token that was taken
out and put back in the meantime works.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import pkcs11
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass, TokenFlag
from securesystemslib.signer import ED25519, Key, SecretsHandler, Signature, Signer

from privsynth.errors import KeyFileError
from privsynth.signing._files import anyone_may_write

_P256_PARAMETERS = bytes.fromhex("06082a8648ce3d030107")  # OID of prime256v1 in DER, RFC 5480, section 2.1.1.1
_POINT_BYTES = {KeyType.EC: 65, KeyType.EC_EDWARDS: 32}  # of P-256, uncompressed; of Ed25519 (Ed448 has 57)
_WRONG_PIN = (pkcs11.PinIncorrect, pkcs11.PinInvalid, pkcs11.PinLenRange)
_GONE = (pkcs11.TokenNotPresent, pkcs11.DeviceRemoved, pkcs11.NoSuchToken, pkcs11.SlotIDInvalid)


@dataclass(frozen=True)
class TokenUri:
    """A `pkcs11:` URI (RFC 7512): which driver, which token, which key.

    Attributes:
      module: path of the driver.
      token: label of the token; "" takes the only one.
      serial: of the token; b"" takes any.
      id, object: of the key; at least one of them.
    """

    module: Path
    token: str
    serial: bytes
    id: bytes
    object: str

    @classmethod
    def parse(cls, uri: str) -> TokenUri:
        """Return the parts of a URI.

        Raises:
          KeyFileError: it is not of this form, or has a part that is not known: to pass it over could mean another key.
        """
        path, _, query = uri.removeprefix("pkcs11:").partition("?")
        parts = _parts(path, ";", {"token", "serial", "id", "object", "type"})
        module = Path(_text(_parts(query, "&", {"module-path"}).get("module-path", b"")))
        if not module.is_absolute():
            raise KeyFileError(
                "the URI does not name the device's driver; end it with '?module-path=/usr/lib/…/opensc-pkcs11.so'"
            )
        if not parts.get("id") and not parts.get("object"):
            raise KeyFileError("the URI does not say which key: add 'id=%01' or 'object=LABEL'")
        if parts.get("type", b"private") != b"private":
            raise KeyFileError("the URI names no private key; leave 'type' out")
        token, label = _text(parts.get("token", b"")), _text(parts.get("object", b""))
        return cls(module, token, parts.get("serial", b""), parts.get("id", b""), label)

    @contextmanager
    def session(self, pin: Callable[[str], str]) -> Iterator[Any]:
        """Yield a session of the token, logged in. The PIN is tried once: three wrong ones lock many a card.

        Raises:
          KeyFileError: no driver, no token or more than one, or a wrong PIN.
        """
        token = self._found()
        try:
            with token.open(user_pin=pin("PIN")) as session:
                yield session
        except _WRONG_PIN:
            raise KeyFileError(
                f"wrong PIN for {self.where}; it was tried once. Too many wrong ones lock the device"
            ) from None
        except pkcs11.PinLocked:
            raise KeyFileError(f"the PIN of {self.where} is locked; who administers the device can unlock it") from None
        except _GONE:
            raise KeyFileError(f"{self.where} was taken out; put it back, and try again") from None

    @property
    def where(self) -> str:
        """The token, in words."""
        return f"the token '{self.token}'" if self.token else "the token"

    def key(self, session: Any, kind: ObjectClass) -> Any:
        """Return the key, of the one class or the other, in a session.

        Raises:
          KeyFileError: there is none, several, or one of another kind.
        """
        wanted: dict[Attribute, Any] = {Attribute.CLASS: kind}
        wanted |= {Attribute.ID: self.id} if self.id else {}
        wanted |= {Attribute.LABEL: self.object} if self.object else {}
        found = list(session.get_objects(wanted))
        if not found:
            what = "private key" if kind == ObjectClass.PRIVATE_KEY else "public key"
            raise KeyFileError(f"{self.where} has no {what} of that id or label; look with 'pkcs11-tool -O'")
        if len(found) > 1:
            raise KeyFileError(f"{self.where} has {len(found)} keys that fit; name one by both id and object")
        if found[0].key_type not in _POINT_BYTES:
            raise KeyFileError(f"the key in {self.where} is neither Ed25519 nor ECDSA on P-256")
        return found[0]

    def _found(self) -> Any:
        if not self.module.is_file():
            raise KeyFileError(f"there is no driver at {self.module}; install the device's PKCS#11 library")
        if anyone_may_write(self.module) or anyone_may_write(self.module.parent):
            raise KeyFileError(f"the driver {self.module} can be replaced by everybody on this machine")
        try:
            library = pkcs11.lib(str(self.module))
            library.reinitialize()  # drivers list the tokens of the moment at which they were started
            flags = TokenFlag.TOKEN_INITIALIZED
            tokens = list(library.get_tokens(token_label=self.token or None, token_flags=flags))
        except (pkcs11.PKCS11Error, RuntimeError) as problem:
            raise KeyFileError(f"the driver {self.module} does not work: {type(problem).__name__}") from None
        tokens = [token for token in tokens if not self.serial or bytes(token.serial).strip() == self.serial.strip()]
        if not tokens:
            raise KeyFileError(f"{self.where} is not there; plug it in, and try again")
        if len(tokens) > 1:
            raise KeyFileError(f"{len(tokens)} tokens fit; name one by 'token=LABEL' and 'serial=NUMBER'")
        return tokens[0]


def read_public(uri: str, pin: Callable[[str], str]) -> bytes:
    """Return the public half of a key in a token, as SubjectPublicKeyInfo in DER.

    Raises:
      KeyFileError: it cannot be read, or is of another kind.
    """
    place = TokenUri.parse(uri)
    with place.session(pin) as session:
        key = place.key(session, ObjectClass.PUBLIC_KEY)
        kind, point, parameters = key.key_type, bytes(key[Attribute.EC_POINT]), bytes(key[Attribute.EC_PARAMS])
    size = _POINT_BYTES[kind]
    if point[:2] == bytes([4, size]):  # an OCTET STRING around it; some drivers leave it out
        point = point[2:]
    handle: ec.EllipticCurvePublicKey | Ed25519PublicKey
    try:
        if len(point) != size or (kind == KeyType.EC and parameters != _P256_PARAMETERS):
            raise ValueError("another curve")
        if kind == KeyType.EC:
            handle = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
        else:
            handle = Ed25519PublicKey.from_public_bytes(point)
    except ValueError:
        raise KeyFileError(f"the key in {place.where} is neither Ed25519 nor ECDSA on P-256") from None
    return handle.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


class Pkcs11Signer(Signer):
    """Signs with the key that a `pkcs11:` URI names."""

    def __init__(self, place: TokenUri, public_key: Key, pin: SecretsHandler) -> None:
        self._place, self._public_key, self._pin = place, public_key, pin

    @property
    def public_key(self) -> Key:
        """The public half, as securesystemslib has it."""
        return self._public_key

    @classmethod
    def from_priv_key_uri(
        cls, priv_key_uri: str, public_key: Key, secrets_handler: SecretsHandler | None = None
    ) -> Pkcs11Signer:
        """Return the signer of a URI; nothing is opened yet."""
        if secrets_handler is None:
            raise KeyFileError("a token asks for its PIN, and nobody is there to be asked")
        return cls(TokenUri.parse(priv_key_uri), public_key, secrets_handler)

    def sign(self, payload: bytes) -> Signature:
        """Return the signature over `payload`: 64 bytes of Ed25519, DER of ECDSA."""
        with self._place.session(self._pin) as session:
            key = self._place.key(session, ObjectClass.PRIVATE_KEY)
            is_edwards = key.key_type == KeyType.EC_EDWARDS
            if is_edwards != (self._public_key.scheme == ED25519):
                raise KeyFileError(f"the key in {self._place.where} is of another kind than the registered one")
            # Such a key (PIV's for signatures) wants the PIN for each signature, besides that of the session.
            again = self._pin("PIN") if _flag(key, Attribute.ALWAYS_AUTHENTICATE) else None
            if is_edwards:
                made = key.sign(payload, mechanism=Mechanism.EDDSA, pin=again)
            else:
                both = key.sign(hashlib.sha256(payload).digest(), mechanism=Mechanism.ECDSA, pin=again)
                half = len(both) // 2
                made = encode_dss_signature(int.from_bytes(both[:half], "big"), int.from_bytes(both[half:], "big"))
        return Signature(self._public_key.keyid, made.hex())


def _flag(key: Any, attribute: Attribute) -> bool:
    try:
        return bool(key[attribute])
    except pkcs11.PKCS11Error:  # what a driver does not know is not set
        return False


def _parts(text: str, separator: str, known: set[str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for part in filter(None, text.split(separator)):
        name, equals, value = part.partition("=")
        if name not in known or name in found or not equals:
            raise KeyFileError(f"the URI of the token has a part that is not understood: '{name}'")
        found[name] = unquote_to_bytes(value)
    return found


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise KeyFileError("the URI of the token has a part that is not text") from None

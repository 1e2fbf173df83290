"""DSSE v1 envelopes: exact bytes, their type, and signatures over both.

The payload is signed as bytes and never re-serialised, so nobody has to agree on a canonical form.
Source: https://github.com/secure-systems-lab/dsse, protocol.md and envelope.md, version 1.0.2.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from privsynth.errors import VerificationError
from privsynth.signing.keys import PublicKey
from privsynth.strict.json import dumps, loads

MAX_ENVELOPE_BYTES = 10_000_000  # of an attestation (own): ours take some kilobytes
MAX_SIGNATURES = 16  # of an envelope (own): each costs a verifier time, and one is written


class Signer(Protocol):
    """Who can sign: a key in memory, or later one in a hardware module."""

    @property
    def public(self) -> PublicKey:
        """The public half."""
        ...

    def sign(self, data: bytes) -> bytes:
        """Return the signature over exactly these bytes."""
        ...


@dataclass(frozen=True)
class Signature:
    """One signature.

    Attributes:
      keyid: a hint which key made it; never believed.
      sig: the raw signature.
    """

    keyid: str
    sig: bytes


@dataclass(frozen=True)
class Envelope:
    """A payload, its type and its signatures.

    Attributes:
      payload: the signed bytes.
      payload_type: what they are, for example "application/vnd.in-toto+json"; signed as well.
      signatures: empty when nobody signed.
    """

    payload: bytes
    payload_type: str
    signatures: tuple[Signature, ...] = ()

    def pae(self) -> bytes:
        """Return the bytes that are signed: type and payload, each with its length."""
        return pae(self.payload_type, self.payload)

    def to_json(self) -> bytes:
        """Return the envelope as one line of ASCII JSON without any `<`, so that HTML can hold it."""
        document = {
            "payload": base64.b64encode(self.payload).decode("ascii"),
            "payloadType": self.payload_type,
            "signatures": [
                {"keyid": item.keyid, "sig": base64.b64encode(item.sig).decode("ascii")} for item in self.signatures
            ],
        }
        return dumps(document).replace(b"<", b"\\u003c") + b"\n"

    @classmethod
    def from_json(cls, data: bytes) -> Envelope:
        """Parse an envelope; nothing is verified yet.

        Raises:
          VerificationError: over 10 MB, not JSON, a repeated, missing or unknown field, base64 in any
            spelling but the standard one, more than 16 signatures, or any other bytes than `to_json` writes: one
            envelope has one form, so that nobody can make another file that says the same.
        """
        document = loads(data, what="the envelope", max_bytes=MAX_ENVELOPE_BYTES, error=VerificationError)
        fields = _fields(document, {"payload", "payloadType", "signatures"}, "the envelope")
        items = fields["signatures"]
        if not isinstance(items, list) or len(items) > MAX_SIGNATURES:
            raise VerificationError(f"the envelope must have a list of at most {MAX_SIGNATURES} signatures")
        parsed = [_fields(item, {"keyid", "sig"}, "a signature in the envelope") for item in items]
        envelope = cls(
            payload=_from_base64(fields["payload"]),
            payload_type=_text(fields["payloadType"]),
            signatures=tuple(Signature(_text(item["keyid"]), _from_base64(item["sig"])) for item in parsed),
        )
        if envelope.to_json() != data:
            raise VerificationError("the envelope is not written as privsynth writes one; it was changed on the way")
        return envelope


def pae(payload_type: str, payload: bytes) -> bytes:
    """Return the pre-authentication encoding of DSSE v1; lengths count bytes, not characters."""
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def sign(payload: bytes, payload_type: str, signer: Signer) -> Envelope:
    """Return an envelope with one signature over the payload and its type."""
    signature = Signature(signer.public.keyid, signer.sign(pae(payload_type, payload)))
    return Envelope(payload, payload_type, (signature,))


def verify(envelope: Envelope, trusted: Iterable[PublicKey]) -> tuple[PublicKey, ...]:
    """Return those trusted keys that signed the envelope, each once, in the order of `trusted`.

    The key ids in the envelope are ignored: anyone may write any. Use `payload` and `payload_type` of the
    same object afterwards, never a second parse.

    Raises:
      VerificationError: if not one trusted key signed it.
    """
    message = envelope.pae()
    verified = tuple(
        key for key in dict.fromkeys(trusted) if any(key.fits(item.sig, message) for item in envelope.signatures)
    )
    if not verified:
        raise VerificationError(
            "no trusted key made a signature that fits the envelope; ask the sender for a fresh copy, or "
            "for the keyring with the key of the signer"
        )
    return verified


def _fields(value: Any, names: set[str], what: str) -> dict[str, Any]:
    if not isinstance(value, dict) or set(value) != names:
        raise VerificationError(f"{what} must have exactly the fields {', '.join(sorted(names))}")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > 200:
        raise VerificationError("a type or key id in the envelope is not a short text")
    return value


def _from_base64(value: Any) -> bytes:
    """Decode standard base64 in its one spelling: a changed character that decodes alike is refused too."""
    try:
        data = base64.b64decode(value.encode("ascii"), validate=True)
        if base64.b64encode(data) != value.encode("ascii"):
            raise ValueError("not the standard spelling")
    except (AttributeError, ValueError, binascii.Error):
        raise VerificationError("the payload or a signature in the envelope is not standard base64") from None
    return data

"""Keyrings that a root signed: a file of envelopes, one a line. No I/O.

    rotation    any number   a root says which key comes after it; signed by both
    keyring     exactly one  number, time, end and the keys; signed by the last root
    revocation  at most one  keys that are trusted no more; signed by a key admin of the keyring, while the root is away

Each has a payload type of its own, so that none passes for another, or for a release.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from privsynth.errors import KeyFileError, VerificationError
from privsynth.signing.checks.trust import CLOCK_SKEW
from privsynth.signing.envelope import Envelope, Signature, Signer, sign
from privsynth.signing.keyring import KEY_ADMIN, MAX_KEYRING_BYTES, KeyEntry, Keyring
from privsynth.signing.keys import PublicKey
from privsynth.strict.json import dumps, loads
from privsynth.strict.time import from_text, to_text

ROTATION_TYPE = "application/vnd.privsynth.root+json"
KEYRING_TYPE = "application/vnd.privsynth.keyring+json"
REVOCATION_TYPE = "application/vnd.privsynth.revocation+json"
SIGNED = b'{"payload":'  # how each envelope begins: names are sorted, and there is no blank
MAX_ROTATIONS = 64  # of a root (own): one a year for a working life
MAX_NUMBER = 2**53 - 1  # what every reader of JSON holds exactly (RFC 8259, section 6)


@dataclass(frozen=True)
class SignedKeyring:
    """A keyring that the reader's root vouches for.

    Attributes:
      keyring: with the revocations of a key admin applied.
      number: of the keyring; a newer one has a higher number.
      revision: of the revocation that came with it; 0 without one.
      expires: after this time it is to be replaced.
      roots: ids of the roots that followed each other, as the file tells; the last one signed.
      digest: SHA-256 of what the root signed.
      revoked: ids of the keys that the revocation names.
    """

    keyring: Keyring
    number: int
    revision: int
    expires: datetime
    roots: tuple[str, ...]
    digest: str
    revoked: tuple[str, ...] = ()


def rotation(old: Signer, new: Signer) -> Envelope:
    """Return the statement that one root comes after another, signed by both."""
    payload = dumps({"version": 1, "previous": old.public.to_base64(), "next": new.public.to_base64()})
    first, second = (sign(payload, ROTATION_TYPE, signer) for signer in (old, new))
    return replace(first, signatures=first.signatures + second.signatures)


def signed(keyring: Keyring, number: int, root: Signer, *, issued_at: datetime, expires: datetime) -> Envelope:
    """Return a keyring under the signature of a root.

    Raises:
      KeyFileError: the root is in the keyring itself, or the end comes before the beginning.
    """
    if any(entry.keyid == root.public.keyid for entry in keyring.keys):
        raise KeyFileError(
            "the root is in the keyring itself; a root signs keyrings and nothing else: make it a new key"
        )
    if not issued_at < expires:
        raise KeyFileError("the keyring would end before it begins; give more days")
    document = {
        "version": 1,
        "number": number,
        "issued_at": to_text(issued_at),
        "expires": to_text(expires),
        "keyring": keyring.model_dump(mode="python"),
    }
    return sign(dumps(document), KEYRING_TYPE, root)


def revocation(of: SignedKeyring, entries: Sequence[KeyEntry], admin: Signer, *, issued_at: datetime) -> Envelope:
    """Return the statement of a key admin that these keys of a keyring, all revoked, are trusted no more."""
    document = {
        "version": 1,
        "number": of.number,
        "revision": of.revision + 1,
        "issued_at": to_text(issued_at),
        "revoked": [
            {"keyid": entry.keyid, "revoked_at": to_text(entry.revoked_at or issued_at), "reason": entry.reason}
            for entry in entries
        ],
    }
    return sign(dumps(document), REVOCATION_TYPE, admin)


def opened(data: bytes, root: PublicKey, now: datetime, *, what: str = "the keyring") -> SignedKeyring:
    """Return the keyring in a file, if the reader's root, or one that it names as its successor, signed it.

    Args:
      root: the reader's; it may have been replaced since.
      now: the reader's clock.
      what: the file, in messages.
    Raises:
      VerificationError: anything is not as it has to be, or the keyring has expired.
    """
    try:
        rotations, envelope, revoked = _parts(data)
        roots = _followed(rotations, root)
        found = _opened_keyring(envelope, roots, now)
        return found if revoked is None else _revoked(found, revoked, now)
    except (VerificationError, KeyFileError) as problem:
        raise VerificationError(
            f"{what} is no keyring to rely on: {problem}. Ask those who hold the root for their latest keyring"
        ) from None


def _parts(data: bytes) -> tuple[list[Envelope], Envelope, Envelope | None]:
    """Return the envelopes of a file: rotations, the keyring, and the revocation if there is one."""
    if len(data) > MAX_KEYRING_BYTES:
        raise VerificationError("it has more than 10 MB")
    if not data.endswith(b"\n"):
        raise VerificationError("it is cut short")
    if not data.startswith(SIGNED):
        raise VerificationError("no root signed it")
    envelopes = [Envelope.from_json(line + b"\n") for line in data[:-1].split(b"\n")]
    rotations = [one for one in envelopes if one.payload_type == ROTATION_TYPE]
    rest = envelopes[len(rotations) :]
    types = [one.payload_type for one in rest]
    if types not in ([KEYRING_TYPE], [KEYRING_TYPE, REVOCATION_TYPE]) or len(rotations) > MAX_ROTATIONS:
        raise VerificationError("it does not hold one keyring, after the changes of its root")
    return rotations, rest[0], rest[1] if len(rest) > 1 else None


def _followed(rotations: Sequence[Envelope], root: PublicKey) -> list[PublicKey]:
    """Return the roots that followed each other, the reader's among them; the last one signs."""
    chain: list[PublicKey] = []
    for envelope in rotations:
        document = _fields(envelope, {"version", "previous", "next"})
        previous, after = (_key(document[name]) for name in ("previous", "next"))
        if after in chain or after == previous or (chain and chain[-1] != previous):
            raise VerificationError("the changes of its root do not follow each other")
        if len(envelope.signatures) != 2 or not all(
            _fits(envelope, signature, key)
            for signature, key in zip(envelope.signatures, (previous, after), strict=True)
        ):
            raise VerificationError("a change of its root is not signed by the old root and the new one")
        chain = [*chain, after] if chain else [previous, after]
    chain = chain or [root]
    if root not in chain:
        raise VerificationError(f"it does not come from your root, key {root.fingerprint}")
    return chain


def _opened_keyring(envelope: Envelope, roots: Sequence[PublicKey], now: datetime) -> SignedKeyring:
    if len(envelope.signatures) != 1 or not _fits(envelope, envelope.signatures[0], roots[-1]):
        raise VerificationError(f"its signature is not that of the root, key {roots[-1].fingerprint}")
    document = _fields(envelope, {"version", "number", "issued_at", "expires", "keyring"})
    issued_at, expires = _time(document["issued_at"]), _time(document["expires"])
    if not issued_at < expires:
        raise VerificationError("it ends before it begins")
    if issued_at > now + CLOCK_SKEW:
        raise VerificationError(f"it is of {to_text(issued_at)}, which is later than this computer's clock")
    if now > expires:
        raise VerificationError(f"it expired on {to_text(expires)}")
    return SignedKeyring(
        keyring=Keyring.of_document(document["keyring"], what="what the root signed"),
        number=_count(document["number"]),
        revision=0,
        expires=expires,
        roots=tuple(key.keyid for key in roots),
        digest=hashlib.sha256(envelope.payload).hexdigest(),
    )


def _revoked(found: SignedKeyring, envelope: Envelope, now: datetime) -> SignedKeyring:
    """Return the keyring without the keys that a key admin revokes. An admin takes trust away, and never adds any."""
    document = _fields(envelope, {"version", "number", "revision", "issued_at", "revoked"})
    issued_at, keyring = _time(document["issued_at"]), found.keyring
    admins = [entry for entry in keyring.keys if not entry.problem(issued_at, (KEY_ADMIN,))]
    signatures = envelope.signatures
    if len(signatures) != 1 or not any(_fits(envelope, signatures[0], entry.public) for entry in admins):
        raise VerificationError("its revocation is not signed by a key admin of the keyring, valid at that time")
    if issued_at > now + CLOCK_SKEW or _count(document["number"]) != found.number:
        raise VerificationError("its revocation is of a later time, or of another keyring")
    if not isinstance(document["revoked"], list) or not document["revoked"]:
        raise VerificationError("its revocation names no key")
    for item in document["revoked"]:
        if not isinstance(item, dict) or item.keys() != {"keyid", "revoked_at", "reason"}:
            raise VerificationError("its revocation has an entry with other fields than keyid, revoked_at and reason")
        if not isinstance(item["keyid"], str) or not isinstance(item["reason"], str):
            raise VerificationError("its revocation has an entry with a field of the wrong type")
        keyring = keyring.revoke(item["keyid"], at=_time(item["revoked_at"]), reason=item["reason"])
    revoked = tuple(item["keyid"] for item in document["revoked"])
    return replace(found, keyring=keyring, revision=_count(document["revision"]), revoked=revoked)


def _fits(envelope: Envelope, signature: Signature, key: PublicKey) -> bool:
    return signature.keyid == key.keyid and key.fits(signature.sig, envelope.pae())


def _fields(envelope: Envelope, names: set[str]) -> dict[str, Any]:
    document = loads(envelope.payload, what="a part of it", max_bytes=MAX_KEYRING_BYTES, error=VerificationError)
    if not isinstance(document, dict) or document.keys() != names or document["version"] != 1:
        raise VerificationError("a part of it has other fields than version 1 has")
    if type(document["version"]) is not int:
        raise VerificationError("a part of it has other fields than version 1 has")
    return document


def _key(value: Any) -> PublicKey:
    if not isinstance(value, str):
        raise VerificationError("a root in it is no key")
    return PublicKey.from_base64(value)


def _time(value: Any) -> datetime:
    try:
        return from_text(value)
    except (TypeError, ValueError):
        raise VerificationError("a time in it is not written like 2026-11-22T09:30:00Z") from None


def _count(value: Any) -> int:
    if type(value) is not int or not 1 <= value <= MAX_NUMBER:
        raise VerificationError("a number in it is not a whole one from 1 on")
    return value

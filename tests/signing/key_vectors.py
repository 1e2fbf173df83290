"""Vectors of keys: periods, roles, and ECDSA on P-256 beside Ed25519."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from signed import NOW
from signing.making import (
    OFFICE,
    REFUSED,
    RING,
    STRANGER,
    UNKNOWN,
    VERIFIED,
    Files,
    Vector,
    edited,
    envelope_of,
    released,
    resigned,
    with_envelope,
    with_signature,
)

from privsynth.signing._algorithms import P256_ORDER
from privsynth.signing.envelope import Signature
from privsynth.signing.keyring import KeyEntry, Keyring
from privsynth.signing.keys import SigningKey
from privsynth.strict.json import dumps

CURVE = SigningKey(ec.derive_private_key(20261122, ec.SECP256R1()))
BOTH = Keyring(keys=(*RING.keys, KeyEntry.for_key(CURVE.public, holder="Hardware office", not_before=NOW)))
DAY = 86_400  # seconds


def key_vectors(good: Files) -> Iterator[Vector]:
    """Yield all of them."""
    yield from _periods(good)
    yield from _roles(good)
    yield from _keyrings(good)
    with_curve = released(CURVE)
    yield from _ecdsa(with_curve)
    yield from _ecdsa_forms(with_curve)
    yield from _confusions(good, with_curve)


def _periods(good: Files) -> Iterator[Vector]:
    nobody = Keyring().to_json()
    other = Keyring(keys=(KeyEntry.for_key(STRANGER.public, holder="Other", not_before=NOW),)).to_json()
    yield Vector("no key in the keyring", good, UNKNOWN, OFFICE.public.fingerprint, nobody)
    yield Vector("only another key in the keyring", good, UNKNOWN, "anyone can write", other)
    yield Vector("signed by a stranger who says to be the office", released(STRANGER), UNKNOWN, "Data office", b"")
    revoked = RING.revoke(OFFICE.public.keyid, at=NOW + timedelta(5), reason="laptop stolen").to_json()
    yield Vector("a revoked key", good, REFUSED, "was revoked on 2026-11-27", revoked)
    yield Vector("an expired key", released(days=731), REFUSED, "expired on", b"", at=800 * DAY)
    yield Vector("the last day of a key", released(days=730), VERIFIED, "7 checked", b"", at=800 * DAY)
    yield Vector("a key that was not valid yet", released(days=-1), REFUSED, "is not valid before", b"")
    yield Vector("signed in the future", released(days=1), REFUSED, "later than this computer's clock", b"")
    yield Vector("signed five minutes ahead", good, VERIFIED, "7 checked", b"", at=-300)
    yield Vector("signed six minutes ahead", good, REFUSED, "later than this computer's clock", b"", at=-360)
    retired = RING.retire(OFFICE.public.keyid, at=NOW + timedelta(3)).to_json()
    yield Vector("before its key was replaced", good, VERIFIED, "7 checked", retired, at=9 * DAY)
    yield Vector("after its key was replaced", released(days=4), REFUSED, "expired on", retired, at=9 * DAY)


def _ring(**changes: Any) -> bytes:
    """Return the office's keyring with other fields in its entry, whether it holds or not."""
    document = json.loads(RING.to_json())
    document["keys"][0].update(changes)
    return dumps(document)


def _roles(good: Files) -> Iterator[Vector]:
    yield Vector("a maker who may also approve", good, VERIFIED, "7 checked", _ring(roles=["maker", "approver"]))
    sentence = "may review and approve, and not make releases"
    yield Vector("signed by who may not make releases", good, REFUSED, sentence, _ring(roles=["reviewer", "approver"]))
    yield Vector("signed by a key admin", good, REFUSED, "may revoke keys, and not", _ring(roles=["key-admin"]))
    for name, roles in {
        "no role": [], "a role twice": ["maker", "maker"], "roles in another order": ["approver", "maker"],
        "a role that there is not": ["maker", "root"], "a role that is no list": "maker",
    }.items():  # fmt: skip
        yield Vector(f"a keyring entry with {name}", good, REFUSED, "is not a keyring", _ring(roles=roles))
    document = json.loads(RING.to_json())
    del document["keys"][0]["roles"]
    yield Vector("a keyring entry without roles", good, REFUSED, "is not a keyring", dumps(document))


def _keyrings(good: Files) -> Iterator[Vector]:
    first = json.loads(RING.to_json())
    first["version"], first["keys"][0]["role"] = 1, "report-signer"
    del first["keys"][0]["roles"]
    yield Vector("a keyring of version 1", good, VERIFIED, "7 checked", dumps(first))
    raised = {**first, "keys": [{**first["keys"][0], "roles": ["maker", "approver"]}]}
    yield Vector("a keyring of version 1 with roles", good, REFUSED, "is not a keyring", dumps(raised))
    yield Vector("a keyring without a version", good, REFUSED, "is not a keyring", dumps({"keys": first["keys"]}))
    yield Vector(
        "a keyring whose version is true", good, REFUSED, "is not a keyring", dumps({**first, "version": True})
    )
    twice = RING.to_json().replace(b'"status"', b'"status": "revoked", "status"')
    for number in (b"2.0", b"2e0"):
        odd = RING.to_json().replace(b'"version": 2', b'"version": ' + number, 1)
        yield Vector(f"a keyring of version {number.decode()}", good, REFUSED, "not written as a whole one", odd)
    yield Vector("a name twice in the keyring", good, REFUSED, "not valid JSON", twice)
    listed = json.loads(RING.to_json())
    listed["keys"] *= 2
    yield Vector("a key twice in the keyring", good, REFUSED, "is not a keyring", dumps(listed))
    yield Vector("an entry whose key id is another's", good, REFUSED, "is not a keyring",
                 _ring(keyid=STRANGER.public.keyid))  # fmt: skip
    yield Vector("an entry of another algorithm than its key", good, REFUSED, "is not a keyring",
                 _ring(algorithm="ecdsa-p256"))  # fmt: skip
    curve = json.loads(BOTH.to_json())
    del curve["keys"][1]["algorithm"]
    yield Vector("a P-256 key that passes for Ed25519", good, REFUSED, "is not a keyring", dumps(curve))


def _ecdsa(good: Files) -> Iterator[Vector]:
    ring = BOTH.to_json()
    yield Vector("P-256, as it was signed", good, VERIFIED, "Hardware office", ring)
    yield Vector("P-256, an edited row", edited(good, "data.csv", b"1,2", b"1,3"), REFUSED, "changed: data.csv", ring)
    yield Vector("P-256, of a stranger", good, UNKNOWN, CURVE.public.fingerprint, b"")
    revoked = BOTH.revoke(CURVE.public.keyid, at=NOW, reason="token lost").to_json()
    yield Vector("P-256, a revoked key", good, REFUSED, "token lost", revoked)
    signature = envelope_of(good).signatures[0]
    forged = replace(envelope_of(good), payload=envelope_of(good).payload.replace(b"admissions", b"admissionz"))
    yield Vector("P-256, an edited statement", with_envelope(good, forged.to_json()), REFUSED, "does not fit", ring)
    r, s = decode_dss_signature(signature.sig)
    for name, pair in {
        "r = 0": (0, s), "s = 0": (r, 0), "r = s = 0": (0, 0), "r = n": (P256_ORDER, s), "s = n": (r, P256_ORDER),
        "r + n for r": (r + P256_ORDER, s), "the higher s": (r, P256_ORDER - s), "r and s exchanged": (s, r),
    }.items():  # fmt: skip
        changed = replace(signature, sig=encode_dss_signature(*pair))
        yield Vector(f"P-256, {name}", with_signature(good, changed), REFUSED, "does not fit", ring)


def _ecdsa_forms(good: Files) -> Iterator[Vector]:
    """Yield other spellings of the same r and s, each of which some library takes."""
    signature = envelope_of(good).signatures[0]
    r, s = (value.to_bytes(32, "big") for value in decode_dss_signature(signature.sig))
    whole = signature.sig

    def pair(first: bytes, second: bytes, tail: bytes = b"") -> bytes:
        body = b"".join(b"\x02" + bytes([len(one)]) + one for one in (first, second)) + tail
        return b"\x30" + bytes([len(body)]) + body

    positive = [(b"\0" if one[0] > 127 else b"") + one for one in (r, s)]
    assert pair(*positive) == whole
    for name, sig in {
        "64 bytes of r and s": r + s,
        "a zero before r": pair(b"\0" + positive[0], positive[1]),
        "negative numbers": pair(b"\x80" + r[1:], b"\x80" + s[1:]),
        "a length in two bytes": b"\x30\x81" + whole[1:],
        "a length that ends nowhere": b"\x30\x80" + whole[2:] + b"\0\0",
        "a byte after it": whole + b"\0",
        "a byte inside it": pair(*positive, tail=b"\0"),
        "a third number": pair(*positive, tail=b"\x02\x01\x01"),
        "a set for a sequence": b"\x31" + whole[1:],
        "cut short": whole[:-1],
        "empty": b"",
    }.items():
        changed = with_signature(good, replace(signature, sig=sig))
        yield Vector(f"P-256, a signature with {name}", changed, REFUSED, "does not fit", BOTH.to_json())


def _confusions(good: Files, curve: Files) -> Iterator[Vector]:
    ring = BOTH.to_json()
    envelope = envelope_of(good)
    other = Signature(CURVE.public.keyid, CURVE.sign(envelope.pae()))
    yield Vector("two signers of two algorithms", with_signature(good, envelope.signatures[0], other), REFUSED,
                 "several signatures", ring)  # fmt: skip
    yield Vector("names an Ed25519 key, signed by P-256", with_signature(good, other), REFUSED, "another key", ring)
    lying = replace(other, keyid=OFFICE.public.keyid)
    yield Vector(
        "signed by P-256 under the Ed25519 key's id", with_signature(good, lying), REFUSED, "another key", ring
    )
    own = Signature(CURVE.public.keyid, OFFICE.sign(envelope_of(curve).pae()))
    yield Vector("names a P-256 key, signed by Ed25519", with_signature(curve, own), REFUSED, "another key", ring)
    for name, spki in _strange_keys().items():
        text = base64.b64encode(spki).decode("ascii")

        def change(document: dict[str, Any], text: str = text) -> None:
            document["predicate"]["signer"]["public_key"] = text

        yield Vector(f"names {name}", resigned(curve, change, CURVE), REFUSED, "lacks a part", ring)


def _strange_keys() -> dict[str, bytes]:
    """Return keys that no verifier may take, in DER."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo

    def spki(key: Any) -> bytes:
        return key.public_bytes(serialization.Encoding.DER, form)

    right = CURVE.public.spki
    off = bytearray(right)
    off[-1] ^= 1
    point = serialization.load_der_public_key(right)
    assert isinstance(point, ec.EllipticCurvePublicKey)
    short = point.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint)
    algorithm = right[2:23]
    compressed = algorithm + b"\x03" + bytes([len(short) + 1, 0]) + short
    return {
        "a key on P-384": spki(ec.derive_private_key(7, ec.SECP384R1()).public_key()),
        "a key on secp256k1": spki(ec.derive_private_key(7, ec.SECP256K1()).public_key()),
        "a point that is not on P-256": bytes(off),
        "the point 0, 0": right[:27] + bytes(64),
        "a compressed point": b"\x30" + bytes([len(compressed)]) + compressed,
        "a P-256 key with a byte after it": right + b"\0",
        "a P-256 point under the mark of Ed25519": OFFICE.public.spki[:12] + right[27:59],
    }

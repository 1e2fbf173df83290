"""Vectors of keyrings that a root signed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from signed import NOW
from signing.making import OFFICE, REFUSED, RING, STRANGER, UNKNOWN, VERIFIED, Files, Vector, released

from privsynth.signing.envelope import Envelope, sign
from privsynth.signing.keyring import KeyEntry, Keyring
from privsynth.signing.keys import SigningKey
from privsynth.signing.roots.signed_keyring import (
    KEYRING_TYPE,
    REVOCATION_TYPE,
    ROTATION_TYPE,
    SignedKeyring,
    revocation,
    rotation,
    signed,
)
from privsynth.signing.statement import PAYLOAD_TYPE
from privsynth.strict.json import dumps

ROOT, NEXT, LAST = (
    SigningKey(key) for key in (
        Ed25519PrivateKey.from_private_bytes(bytes([7] * 32)), ec.derive_private_key(2027, ec.SECP256R1()),
        Ed25519PrivateKey.from_private_bytes(bytes([9] * 32)),
    )
)  # fmt: skip
ADMIN = SigningKey(Ed25519PrivateKey.from_private_bytes(bytes([8] * 32)))
ADMIN_ENTRY = KeyEntry.for_key(ADMIN.public, holder="Key office", not_before=NOW, roles=["key-admin"])
PEOPLE = Keyring(keys=(*RING.keys, ADMIN_ENTRY))
DAY = 86_400  # seconds
Change = Callable[[dict[str, Any]], Any]


def keyring(number: int = 1, root: SigningKey = ROOT, *, ring: Keyring = PEOPLE, at: datetime = NOW) -> Envelope:
    """Return a keyring that a root signed for 90 days."""
    return signed(ring, number, root, issued_at=at, expires=at + timedelta(90))


def joined(*envelopes: Envelope) -> bytes:
    """Return the file of these envelopes."""
    return b"".join(envelope.to_json() for envelope in envelopes)


def resigned(envelope: Envelope, change: Change, *keys: SigningKey) -> Envelope:
    """Return an envelope whose payload was changed and signed again."""
    document = json.loads(envelope.payload)
    change(document)
    signatures = [sign(dumps(document), envelope.payload_type, key).signatures[0] for key in keys]
    return Envelope(dumps(document), envelope.payload_type, tuple(signatures))


def withdrawn(*keyids: str, admin: SigningKey = ADMIN, number: int = 1, at: datetime = NOW) -> Envelope:
    """Return the revocation of keys by a key admin."""
    of = SignedKeyring(PEOPLE, number, 0, NOW, (), "")
    ring = PEOPLE
    for keyid in keyids:
        ring = ring.revoke(keyid, at=at, reason="laptop stolen")
    return revocation(of, [entry for entry in ring.keys if entry.status == "revoked"], admin, issued_at=at)


def root_vectors(good: Files) -> Iterator[Vector]:
    """Yield all of them."""
    for one in (*_keyrings(good), *_rotations(good), *_revocations(good)):
        yield one if one.root else replace(one, root=ROOT.public)


def _keyrings(good: Files) -> Iterator[Vector]:
    right = keyring()
    yield Vector("a keyring that the root signed", good, VERIFIED, "7 checked", joined(right))
    yield Vector("a root, and a signer of no keyring", released(STRANGER), UNKNOWN, "anyone", joined(right))
    yield Vector("a root, and a keyring that nobody signed", good, REFUSED, "no keyring to rely on", PEOPLE.to_json())
    yield Vector(
        "a keyring that another root signed", good, REFUSED, "not that of the root", joined(keyring(root=LAST))
    )
    yield Vector("a keyring that a maker in it signed", good, REFUSED, "not that of the root",
                 joined(resigned(right, lambda d: None, OFFICE)))  # fmt: skip
    yield Vector("the last second of a signed keyring", good, VERIFIED, "7 checked", joined(right), at=90 * DAY)
    yield Vector("an expired keyring", good, REFUSED, "it expired on 2027-02-20", joined(right), at=90 * DAY + 1)
    later = keyring(at=NOW + timedelta(1))
    yield Vector("a keyring of tomorrow", good, REFUSED, "later than this computer's clock", joined(later))
    changes: dict[str, Change] = {
        "number 0": lambda d: d.update(number=0), "a number that is true": lambda d: d.update(number=True),
        "a number of 2^53": lambda d: d.update(number=2**53), "no end": lambda d: d.pop("expires"),
        "its end first": lambda d: d.update(expires=d["issued_at"]), "a field too many": lambda d: d.update(more=1),
        "version 2": lambda d: d.update(version=2), "no keys": lambda d: d["keyring"].pop("keys"),
        "a role that there is not": lambda d: d["keyring"]["keys"][0].update(roles=["root"]),
    }  # fmt: skip
    for name, change in changes.items():
        bad = joined(resigned(right, change, ROOT))
        yield Vector(f"a signed keyring with {name}", good, REFUSED, "no keyring to rely on", bad)
    for name, data in {
        "an edited holder": right.to_json().replace(b"A", b"B", 1), "two keyrings": joined(right, right),
        "no line feed": right.to_json()[:-1], "an empty line": right.to_json() + b"\n", "nothing in it": b"",
        "two signatures": joined(replace(right, signatures=right.signatures * 2)),
        "no signature": joined(replace(right, signatures=())),
        "the type of a release": joined(sign(right.payload, PAYLOAD_TYPE, ROOT)),
        "the type of a revocation": joined(sign(right.payload, REVOCATION_TYPE, ROOT)),
        "another key id": joined(replace(right, signatures=(replace(right.signatures[0], keyid="0" * 64),))),
    }.items():  # fmt: skip
        yield Vector(f"a signed keyring with {name}", good, REFUSED, "no keyring to rely on", data)
    twice = sign(right.payload.replace(b'"number":', b'"number":9,"number":'), KEYRING_TYPE, ROOT)
    yield Vector("a signed keyring with a name twice", good, REFUSED, "no keyring to rely on", joined(twice))
    both = joined(sign(envelope_payload(good), KEYRING_TYPE, ROOT))
    yield Vector("a release that passes for a keyring", good, REFUSED, "no keyring to rely on", both)


def envelope_payload(files: Files) -> bytes:
    """Return the statement of a release."""
    return Envelope.from_json(files["attestation.dsse.json"]).payload


def _rotations(good: Files) -> Iterator[Vector]:
    first, second = rotation(ROOT, NEXT), rotation(NEXT, LAST)
    newer = joined(first, keyring(2, NEXT))
    newest = joined(first, second, keyring(3, LAST))
    yield Vector("a root that was replaced", good, VERIFIED, "7 checked", newer)
    yield Vector("a root that was replaced twice", good, VERIFIED, "7 checked", newest)
    yield Vector("from the root in the middle", good, VERIFIED, "7 checked", newest, root=NEXT.public)
    yield Vector("from the newest root", good, VERIFIED, "7 checked", newest, root=LAST.public)
    yield Vector("from a root that is not among them", good, REFUSED, "from your root", newer, root=LAST.public)
    old = joined(first, keyring(2, ROOT))
    yield Vector("a keyring by a root that was replaced", good, REFUSED, "not that of the root", old)
    sides = {
        "the old root alone": first.signatures[:1], "the new root alone": first.signatures[1:],
        "the old root twice": first.signatures[:1] * 2, "the new root first": first.signatures[::-1],
    }  # fmt: skip
    for name, signatures in sides.items():
        half = joined(replace(first, signatures=signatures), keyring(2, NEXT))
        yield Vector(f"a change of root signed by {name}", good, REFUSED, "old root and the new one", half)
    forged = joined(resigned(first, lambda d: None, STRANGER, NEXT), keyring(2, NEXT))
    yield Vector("a change of root by a stranger", good, REFUSED, "old root and the new one", forged)
    gap = joined(second, first, keyring(3, LAST))
    yield Vector("changes of root in another order", good, REFUSED, "do not follow each other", gap)
    circle = joined(first, rotation(NEXT, ROOT), keyring(3, ROOT))
    yield Vector("changes of root in a circle", good, REFUSED, "do not follow each other", circle)
    itself = joined(rotation(ROOT, ROOT), keyring(2, ROOT))
    yield Vector("a root that follows itself", good, REFUSED, "do not follow each other", itself)
    typed = joined(sign(first.payload, ROTATION_TYPE, ROOT), keyring(2, NEXT))
    yield Vector("a change of root with one signature", good, REFUSED, "old root and the new one", typed)
    after = joined(keyring(2, NEXT), first)
    yield Vector("a change of root after the keyring", good, REFUSED, "does not hold one keyring", after)


def _revocations(good: Files) -> Iterator[Vector]:
    right, office = keyring(), OFFICE.public.keyid
    yield Vector("revoked by a key admin", good, REFUSED, "laptop stolen", joined(right, withdrawn(office)))
    own = joined(right, withdrawn(ADMIN.public.keyid))
    yield Vector("a key admin who revokes the own key", good, VERIFIED, "7 checked", own)
    sentence = "not signed by a key admin"
    yield Vector("revoked by a maker", good, REFUSED, sentence, joined(right, withdrawn(office, admin=OFFICE)))
    yield Vector("revoked by a stranger", good, REFUSED, sentence, joined(right, withdrawn(office, admin=STRANGER)))
    yield Vector("revoked by the root as if it were a key admin", good, REFUSED, sentence,
                 joined(right, withdrawn(office, admin=ROOT)))  # fmt: skip
    gone = keyring(ring=PEOPLE.revoke(ADMIN.public.keyid, at=NOW, reason="left"))
    yield Vector("revoked by a key admin who is revoked", good, REFUSED, sentence, joined(gone, withdrawn(office)))
    early = withdrawn(office, at=NOW - timedelta(1))
    yield Vector("revoked by a key admin who was none yet", good, REFUSED, sentence, joined(right, early))
    ahead = withdrawn(office, at=NOW + timedelta(1))
    yield Vector("a revocation of tomorrow", good, REFUSED, "of a later time", joined(right, ahead))
    other = withdrawn(office, number=2)
    yield Vector("a revocation of another keyring", good, REFUSED, "of another keyring", joined(right, other))
    changes: dict[str, Change] = {
        "no key": lambda d: d.update(revoked=[]), "a key twice": lambda d: d["revoked"].append(d["revoked"][0]),
        "an unknown key": lambda d: d["revoked"][0].update(keyid="0" * 64), "no revision": lambda d: d.pop("revision"),
        "a status": lambda d: d["revoked"][0].update(status="active"),
        "more roles": lambda d: d["revoked"][0].update(roles=["maker", "approver"]),
        "a keyring": lambda d: d.update(keyring={"version": 2, "keys": []}),
        "a reason of two lines": lambda d: d["revoked"][0].update(reason="a\nb"),
    }  # fmt: skip
    for name, change in changes.items():
        bad = joined(right, resigned(withdrawn(office), change, ADMIN))
        yield Vector(f"a revocation with {name}", good, REFUSED, "no keyring to rely on", bad)
    two = joined(right, withdrawn(office), withdrawn(office))
    yield Vector("two revocations", good, REFUSED, "does not hold one keyring", two)
    admins = joined(resigned(right, lambda d: None, ADMIN))
    yield Vector("a keyring that a key admin signed", good, REFUSED, "not that of the root", admins)

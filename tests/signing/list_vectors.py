"""Vectors of lists of revocations, and of approved editions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from signed import NOW
from signing.making import (
    GUARANTEE,
    OFFICE,
    REFUSED,
    REVOKED,
    RING,
    STRANGER,
    UNKNOWN,
    VERIFIED,
    Files,
    Vector,
    edited,
    released,
)

from privsynth.approvals.revocations import RevocationList, RevokedRelease
from privsynth.signing.envelope import Envelope, sign
from privsynth.signing.keyring import KeyEntry, Keyring
from privsynth.signing.keys import SigningKey
from privsynth.signing.statement import PAYLOAD_TYPE
from privsynth.strict.json import dumps

DAY, START = 86_400, "2026-11-22T09:30:00Z"  # seconds; `NOW`
DRAFT, OTHER, NEWER = "d" * 64, "e" * 64, "f" * 64
ANNA = SigningKey(ec.derive_private_key(2028, ec.SECP256R1()))


def entry(key: SigningKey, holder: str, *roles: str, at: datetime = NOW) -> KeyEntry:
    """Return the entry of a key in the reader's keyring."""
    return KeyEntry.for_key(key.public, holder=holder, not_before=at, roles=list(roles))


def listed(
    *entries: RevokedRelease, key: SigningKey = OFFICE, number: int = 3, at: datetime = NOW, days: int = 30
) -> bytes:
    """Return a signed list."""
    return RevocationList(number, at, at + timedelta(days), entries).signed(key, "Data office").to_json()


def relisted(change: Callable[[dict[str, Any]], Any], *entries: RevokedRelease) -> bytes:
    """Return a list that its own signer made wrongly."""
    document = json.loads(Envelope.from_json(listed(*entries)).payload)
    change(document)
    return sign(dumps(document), PAYLOAD_TYPE, OFFICE).to_json()


def list_vectors(good: Files) -> Iterator[Vector]:
    """Yield all of them."""
    manifest = hashlib.sha256(good["manifest.json"]).hexdigest()
    yield from _lists(good, RevokedRelease(manifest, "ward 7 was coded wrongly", NOW))
    yield from _wrong_lists(good, RevokedRelease(manifest, "ward 7 was coded wrongly", NOW))
    yield from _editions()


def _lists(good: Files, gone: RevokedRelease) -> Iterator[Vector]:
    other = RevokedRelease(OTHER, "another release", NOW)
    stale = replace(gone, successor=NEWER, reason="one more year")
    deciding = Keyring(keys=(*RING.keys, entry(ANNA, "Anna Berg", "approver")))

    def asked(name: str, data: bytes, verdict: str, says: str, **more: Any) -> Vector:
        return Vector(name, more.pop("files", good), verdict, says, more.pop("keyring", b""), revocations=data, **more)

    yield asked("a list without the release", listed(other), VERIFIED, "no: not in the list of Data office")
    yield asked("a list of nothing", listed(), VERIFIED, "no: not in the list of Data office")
    yield asked(
        "a release that was revoked", listed(other, gone), REVOKED, "revoked this release on 2026-11-22: ward 7"
    )
    yield asked("a release that was superseded", listed(stale), VERIFIED, "one more year", superseded_by=NEWER)
    alone = {"report.html": good["report.html"]}
    yield asked("the report alone of a revoked release", listed(gone), REVOKED, "ward 7", files=alone, alone=True)
    officer = released(kind="officer", release=gone.release, **{"more.csv": b"1\n"})  # a manifest of its own
    yield asked("the officer's folder of a revoked release", listed(gone), REVOKED, "ward 7", files=officer)
    changed = edited(good, "data.csv", b"1,2", b"1,3")
    yield asked("a revoked release with an edited row", listed(gone), REFUSED, "changed: data.csv", files=changed)
    stranger = released(STRANGER)
    yield asked("a list, and a release of a stranger", listed(other), UNKNOWN, "which anyone can write", files=stranger)
    yield asked(
        "a list by an approver", listed(gone, key=ANNA), REVOKED, "Anna Berg revoked", keyring=deciding.to_json()
    )
    by_anna = listed(other, key=ANNA)
    yield asked(
        "another's list", by_anna, VERIFIED, "ask Data office, who signed the release", keyring=deciding.to_json()
    )
    yield asked("a list on its last day", listed(gone), REVOKED, "ward 7", at=30 * DAY)
    yield asked("a list four minutes ahead", listed(gone, at=NOW + timedelta(minutes=4)), REVOKED, "ward 7")
    yield asked("a list that expired", listed(other), REFUSED, "was good until 2026-12-22", at=31 * DAY)
    ahead = listed(other, at=NOW + timedelta(hours=1))
    yield asked("a list dated ahead", ahead, REFUSED, "later than this computer's clock")
    before = listed(gone, at=NOW - timedelta(days=1))
    yield asked("a list from before its key was valid", before, REFUSED, "is not valid before")
    for role in ("reviewer", "key-admin"):
        ring = Keyring(keys=(*RING.keys, entry(ANNA, "Anna Berg", role)))
        yield asked(f"a list by a {role}", listed(gone, key=ANNA), REFUSED, "does not count", keyring=ring.to_json())
    yield asked("a list by an unknown key", listed(other, key=STRANGER), UNKNOWN, "which no keyring has")
    lost = deciding.revoke(ANNA.public.keyid, at=NOW, reason="lost")
    yield asked("a list by a revoked key", by_anna, REFUSED, "was revoked on", keyring=lost.to_json())


def _wrong_lists(good: Files, gone: RevokedRelease) -> Iterator[Vector]:
    right = listed(gone)
    envelope = Envelope.from_json(right)
    (mine,) = envelope.signatures
    shorter = RevocationList(3, NOW, NOW + timedelta(30), ()).signed(OFFICE, "Data office").payload
    nobody = "that is no list of revocations"
    for name, data, says in (
        ("a list from which the release was taken", replace(envelope, payload=shorter).to_json(), "does not fit"),
        ("an unsigned list", replace(envelope, signatures=()).to_json(), "no statement with one signature"),
        ("a list that was signed twice", replace(envelope, signatures=(mine, mine)).to_json(), "with one signature"),
        ("a list spelt anew", right.replace(b'":"', b'": "', 1), "not written as privsynth writes one"),
        ("a release's envelope for a list", good["attestation.dsse.json"], nobody),
        ("a list of number 0", relisted(lambda d: d["predicate"].update(number=0), gone), nobody),
        ("a list of number true", relisted(lambda d: d["predicate"].update(number=True), gone), nobody),
        ("a list of number 2^53", relisted(lambda d: d["predicate"].update(number=2**53), gone), nobody),
        ("a list without a number", relisted(lambda d: d["predicate"].pop("number"), gone), nobody),
        ("a list with a field too many", relisted(lambda d: d["predicate"].update(more=""), gone), nobody),
        ("a list of another type", relisted(lambda d: d.update(predicateType="x"), gone), nobody),
        ("a list that ends before it begins", relisted(lambda d: d["predicate"].update(expires_at=START)), nobody),
        ("a list with an entry and no subject", relisted(lambda d: d.update(subject=[]), gone), nobody),
        ("a list with a subject of another name", _subject_with(gone, name=OTHER), nobody),
        ("a list with a subject of another digest", _subject_with(gone, digest={"sha256": OTHER}), nobody),
        ("a list with a release twice", _twice(gone), nobody),
        ("a list with a successor that is null", _entry_with(gone, successor=None), nobody),
        ("a list with a reason of two lines", _entry_with(gone, reason="ward\n7"), nobody),
        ("a list with a digest in capitals", _entry_with(gone, release=gone.release.upper()), nobody),
    ):  # fmt: skip
        yield Vector(name, good, REFUSED, says, b"", revocations=data)


def _entry_with(gone: RevokedRelease, **changes: Any) -> bytes:
    return relisted(lambda document: document["predicate"]["revoked"][0].update(changes), gone)


def _subject_with(gone: RevokedRelease, **changes: Any) -> bytes:
    return relisted(lambda document: document["subject"][0].update(changes), gone)


def _twice(gone: RevokedRelease) -> bytes:
    def change(document: dict[str, Any]) -> None:
        document["subject"] *= 2
        document["predicate"]["revoked"] *= 2

    return relisted(change, gone)


ANNA_APPROVED = {"meaning": "approved", "name": "Anna Berg, compliance", "at": "2026-11-22T08:00:00Z", "comment": ""}
BERT_REVIEWED = {"meaning": "reviewed", "name": "Bert Ott", "at": "2026-11-22T07:00:00Z", "comment": "read all of it"}
PUBLISHED = {"draft": DRAFT, "published_by": "Data office, key 0123 4567", "published_at": "2026-11-22T09:00:00Z"}


def edition(draft: str | None = DRAFT, **told: Any) -> Files:
    """Return an approved edition, whose report.json says these things of it."""
    said = {"edition": PUBLISHED, "sign_offs": [BERT_REVIEWED, ANNA_APPROVED], **told}
    report = {**json.loads(GUARANTEE), **{name: value for name, value in said.items() if value is not None}}
    return released(draft=draft, **{"report.json": dumps(report)})


def _editions() -> Iterator[Vector]:
    good = edition()
    yield Vector("an approved edition", good, VERIFIED, "by Anna Berg, compliance, 2026-11-22 08:00:00 UTC", b"")
    yield Vector("an approved edition, its draft", good, VERIFIED, f"draft SHA-256 {DRAFT}", b"")
    yield Vector(
        "an approved edition, its review", good, VERIFIED, "by Bert Ott, 2026-11-22 07:00:00 UTC: read all", b""
    )
    alone = {"report.html": good["report.html"]}
    yield Vector("the report alone of an edition", alone, VERIFIED, "who decided stands in the report", b"", alone=True)
    yield Vector("an edition that nobody reviewed", edition(sign_offs=[ANNA_APPROVED]), VERIFIED, "nobody", b"")
    swapped = edited(good, "report.json", b"Anna Berg, compliance", b"Bert Ott, privacy")
    yield Vector("an edition with a swapped approval", swapped, REFUSED, "changed: report.json", b"")
    table = edited(good, "data.csv", b"1,2", b"1,3")
    yield Vector("an edition with an edited table", table, REFUSED, "changed: data.csv", b"")
    differ, lacks = "do not name the same draft", "lacks a part of who decided"
    for name, files, says in (
        ("of another draft than its report says", edition(OTHER), differ),
        ("whose report names no draft", edition(edition=None), differ),
        ("whose report names no draft, nor decisions", edition(edition=None, sign_offs=None), differ),
        ("whose statement names no draft", edition(None), differ),
        ("whose statement names no draft, and decisions", edition(None, edition=None), differ),
        ("without a list of decisions", edition(sign_offs=None), lacks),
        ("with another meaning", edition(sign_offs=[{**ANNA_APPROVED, "meaning": "signed"}]), lacks),
        ("with a decision of nobody", edition(sign_offs=[{**ANNA_APPROVED, "name": ""}]), lacks),
        ("with a decision at no time", edition(sign_offs=[{**ANNA_APPROVED, "at": "2026-11-22"}]), lacks),
        ("with a decision that is a text", edition(sign_offs=["approved"]), lacks),
        ("that nobody published", edition(edition={**PUBLISHED, "published_by": None}), lacks),
    ):
        yield Vector(f"an edition {name}", files, REFUSED, says, b"")
    revoked = listed(RevokedRelease(DRAFT, "ward 7 was coded wrongly", NOW))
    yield Vector("an edition whose draft was revoked", good, REVOKED, "ward 7", b"", revocations=revoked)
    manifest = hashlib.sha256(good["manifest.json"]).hexdigest()
    onward = listed(RevokedRelease(DRAFT, "here it is approved", NOW, manifest))
    yield Vector("an edition that supersedes its draft", good, VERIFIED, "no: not in the list", b"", revocations=onward)
    both = listed(RevokedRelease(manifest, "one more year", NOW, NEWER), RevokedRelease(DRAFT, "ward 7", NOW))
    yield Vector("an edition superseded, its draft revoked", good, REVOKED, "ward 7", b"", revocations=both)

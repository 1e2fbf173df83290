"""How the vectors are made: a small release, and what a forger would do to it. The keys are known to everybody."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from signed import FILES, NOW

from privsynth.signing.envelope import Envelope, Signature, sign
from privsynth.signing.keyring import KeyEntry, Keyring
from privsynth.signing.keys import PublicKey, SigningKey
from privsynth.signing.release import EMPTY_ELEMENT, sign_folder
from privsynth.signing.statement import PAYLOAD_TYPE
from privsynth.strict.json import dumps

Files = dict[str, bytes]
START, END = (part.encode("ascii") for part in EMPTY_ELEMENT.replace("></", ">|</").split("|"))
GUARANTEE = b'{"guarantee": {"delta": 1e-06, "epsilon": 3.0, "max_rows_per_unit": 2, "unit": "patient_id"}}\n'
ORDER = 2**252 + 27742317777372353535851937790883648493  # of Ed25519's base point
VERIFIED, REFUSED, UNKNOWN, REVOKED = "verified", "refused", "unknown signer", "revoked"


@dataclass(frozen=True)
class Vector:
    """One release.

    Attributes:
      name: what was done to it.
      files: path -> bytes; one file report.html alone if `alone`.
      verdict: verified (exit 0 of the command line), refused (5), unknown signer (6) or revoked (9).
      says: a part of what a verifier says, in privsynth's own words.
      keyring: of the reader.
      at: seconds that the reader's clock is after the time of signing.
      root: of the reader, who then takes only keyrings that it signed.
      revocations: the list that the reader has; None while they have none.
      superseded_by: manifest of the release that takes the place of this one, as the list says; "" for none.
    """

    name: str
    files: Files
    verdict: str
    says: str
    keyring: bytes
    at: int = 0
    alone: bool = False
    root: PublicKey | None = None
    revocations: bytes | None = None
    superseded_by: str = ""


def _key(first: int) -> SigningKey:
    return SigningKey(Ed25519PrivateKey.from_private_bytes(bytes(range(first, first + 32))))


OFFICE, STRANGER = _key(0), _key(1)
ENTRY = KeyEntry.for_key(OFFICE.public, holder="Data office", not_before=NOW)
RING = Keyring(keys=(ENTRY,))


def released(
    signer: SigningKey | None = OFFICE,
    *,
    days: int = 0,
    kind: str = "public",
    draft: str | None = None,
    release: str | None = None,
    **more: bytes,
) -> Files:
    """Return the files of a small signed release."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for name, data in {**FILES, "report.json": GUARANTEE, **more}.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        predicate = {"kind": kind, "dataset": "admissions", "created": "2026-11-22T09:30:00Z"}
        predicate |= {name: told for name, told in (("draft", draft), ("release", release)) if told is not None}
        sign_folder(folder, predicate=predicate, signer=signer, holder="Data office", signed_at=NOW + timedelta(days))
        return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def envelope_of(files: Files) -> Envelope:
    """Return the envelope of a release."""
    return Envelope.from_json(files["attestation.dsse.json"])


def with_envelope(files: Files, text: bytes) -> Files:
    """Return a release with another envelope in both places, as a forger would have it."""
    before, _, rest = files["report.html"].partition(START)
    page = before + START + text + END + rest.partition(END)[2]
    return {**files, "report.html": page, "attestation.dsse.json": text}


def resigned(files: Files, change: Callable[[dict[str, Any]], None], key: SigningKey = OFFICE) -> Files:
    """Return a release whose statement was changed and signed again by the office itself."""
    document = json.loads(envelope_of(files).payload)
    change(document)
    return with_envelope(files, sign(dumps(document), PAYLOAD_TYPE, key).to_json())


def resigned_bytes(files: Files, old: bytes, new: bytes) -> Files:
    """Return a release whose statement was changed byte by byte and signed again by the office itself."""
    payload = envelope_of(files).payload
    assert payload.count(old) == 1
    return with_envelope(files, sign(payload.replace(old, new), PAYLOAD_TYPE, OFFICE).to_json())


def with_manifest(files: Files, manifest: bytes) -> Files:
    """Return a release with another manifest, signed again by the office itself."""
    import hashlib

    def change(document: dict[str, Any]) -> None:
        for subject in document["subject"]:
            if subject["name"] == "manifest.json":
                subject["digest"]["sha256"] = hashlib.sha256(manifest).hexdigest()

    return resigned({**files, "manifest.json": manifest}, change)


def with_signature(files: Files, *signatures: Signature) -> Files:
    """Return a release with these signatures over the same statement."""
    return with_envelope(files, replace(envelope_of(files), signatures=signatures).to_json())


def edited(files: Files, name: str, old: bytes, new: bytes) -> Files:
    """Return a release in which somebody changed a file."""
    assert old in files[name], name
    return {**files, name: files[name].replace(old, new, 1)}


def without(files: Files, *names: str) -> Files:
    """Return a release that lacks files."""
    return {name: data for name, data in files.items() if name not in names}

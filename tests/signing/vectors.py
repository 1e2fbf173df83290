"""Releases that verify, and releases that must not, with the verdict of each: the same for every verifier.

    PYTHONPATH=.:tests python -m signing.vectors > docs/verify-vectors.json

writes them for those who make a verifier from docs/verify-format.md. The keys are known to everybody.
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

from signed import NOW
from signing.key_vectors import key_vectors
from signing.list_vectors import list_vectors
from signing.making import (
    END,
    OFFICE,
    ORDER,
    REFUSED,
    RING,
    START,
    STRANGER,
    VERIFIED,
    Files,
    Vector,
    edited,
    envelope_of,
    released,
    resigned,
    resigned_bytes,
    with_envelope,
    with_manifest,
    with_signature,
    without,
)
from signing.root_vectors import root_vectors

from privsynth.signing.envelope import Signature, sign
from privsynth.signing.release import EMPTY_ELEMENT
from privsynth.signing.statement import Subject
from privsynth.strict.json import dumps


def vectors() -> Iterator[Vector]:
    """Yield all of them."""
    good = released()
    yield from (vector if vector.root or vector.keyring else replace(vector, keyring=RING.to_json()) for vector in [
        *_intact(good), *_changed(good), *_signatures(good), *_statements(good), *_pages(good), *_paths(good),
        *key_vectors(good), *root_vectors(good), *list_vectors(good),
    ])  # fmt: skip


def _intact(good: Files) -> Iterator[Vector]:
    yield Vector("as it was signed", good, VERIFIED, "7 checked", b"")
    yield Vector("the officer's folder, as it was signed", released(kind="officer"), VERIFIED, "officer, of", b"")
    yield Vector("its promise", good, VERIFIED, "the unit is patient_id, at most 2 rows each", b"")
    yield Vector("the report alone", {"report.html": good["report.html"]}, VERIFIED, "Only the report", b"", alone=True)
    with_odd_name = released(**{"data/Größe 1.csv": b"1\n"})
    yield Vector("a name with letters beyond ASCII", with_odd_name, VERIFIED, "8 checked", b"")


def _changed(good: Files) -> Iterator[Vector]:
    changes = {
        "an edited text": ("report.html", b"A r", b"My r"),
        "an edited digit": ("report.json", b"3.0", b"1.0"),
        "an edited row": ("data.csv", b"1,2", b"1,3"),
        "an edited model": ("model/weights.bin", bytes([5]), bytes([6])),
        "an edited manifest": ("manifest.json", b'"size": 8', b'"size": 9'),
    }
    for name, (file, old, new) in changes.items():
        yield Vector(name, edited(good, file, old, new), REFUSED, f"changed: {file}", b"")
    alone = {"report.html": edited(good, "report.html", b"end", b"END")["report.html"]}
    yield Vector("an edited text of a report alone", alone, REFUSED, "changed: report.html", b"", alone=True)
    for missing in ("data.csv", "manifest.json", "report.html", "attestation.dsse.json"):
        yield Vector(f"without {missing}", without(good, missing), REFUSED, f"missing: {missing}", b"")
    token = bytes.fromhex("3082010430")  # a SEQUENCE of 260 bytes; what is in it nobody looks at
    token += bytes(264 - len(token))
    yield Vector("a time token that is not asked for", {**good, "attestation.tsr": token}, VERIFIED, "7 checked", b"")
    for what, data in {
        "a byte more": token + b"x",
        "no sequence": b"1" + token[1:],
        "too long": b"\x30\x83\x01\x86\xa0" + bytes(100_000),
        "nothing": b"",
    }.items():
        files = {**good, "attestation.tsr": data}
        yield Vector(f"what is no time token: {what}", files, REFUSED, "added: attestation.tsr", b"")
    yield Vector("an added file", {**good, "model/extra.bin": b"x"}, REFUSED, "added: model/extra.bin", b"")
    left = {**good, ".DS_Store": b"x", "model/Thumbs.db": b"x"}
    yield Vector("files that systems leave behind", left, REFUSED, "Everything that was signed is unchanged", b"")
    other = released(**{"data.csv": b"a,b\n9,9\n"})
    swapped = {**good, "report.html": other["report.html"]}
    yield Vector("the report of another release", swapped, REFUSED, "differs from attestation.dsse.json", b"")
    both = {**swapped, "attestation.dsse.json": other["attestation.dsse.json"]}
    yield Vector("report and envelope of another release", both, REFUSED, "changed: data.csv", b"")


def _signatures(good: Files) -> Iterator[Vector]:
    envelope = envelope_of(good)
    mine = envelope.signatures[0]
    theirs = Signature(STRANGER.public.keyid, STRANGER.sign(envelope.pae()))
    yield Vector("a stripped signature", with_signature(good), REFUSED, "UNSIGNED", b"")
    yield Vector("never signed", released(None), REFUSED, "UNSIGNED", b"")
    yield Vector("two signers", with_signature(good, mine, theirs), REFUSED, "several signatures", b"")
    yield Vector("signed by another than it names", with_signature(good, theirs), REFUSED, "does not fit", b"")
    lying = replace(mine, keyid=STRANGER.public.keyid)
    yield Vector("another's key id", with_signature(good, lying), REFUSED, "another key", b"")
    flipped = replace(mine, sig=bytes([mine.sig[0] ^ 1, *mine.sig[1:]]))
    yield Vector("a flipped bit of the signature", with_signature(good, flipped), REFUSED, "does not fit", b"")
    larger = int.from_bytes(mine.sig[32:], "little") + ORDER
    malleable = replace(mine, sig=mine.sig[:32] + larger.to_bytes(32, "little"))
    yield Vector("a signature with S + L for S", with_signature(good, malleable), REFUSED, "does not fit", b"")
    short = replace(mine, sig=mine.sig[:63])
    yield Vector("a signature of 63 bytes", with_signature(good, short), REFUSED, "does not fit", b"")
    everything = replace(mine, sig=bytes(64))
    yield Vector("a signature of zeros", with_signature(good, everything), REFUSED, "does not fit", b"")

    def weak(document: dict[str, Any]) -> None:
        spki = OFFICE.public.spki[:12] + bytes([1]) + bytes(31)
        document["predicate"]["signer"]["public_key"] = base64.b64encode(spki).decode("ascii")

    yield Vector("names a key of small order", resigned(good, weak), REFUSED, "lacks a part", b"")


def _statements(good: Files) -> Iterator[Vector]:
    envelope = envelope_of(good)
    wrong_type = sign(envelope.payload, "application/json", OFFICE).to_json()
    yield Vector("another payload type", with_envelope(good, wrong_type), REFUSED, "something else than", b"")
    changes: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
        "another predicate type": (lambda d: d.update(predicateType="https://slsa.dev/provenance/v1"), "not about"),
        "another kind": (lambda d: d["predicate"].update(kind="draft"), "lacks a part"),
        "no time": (lambda d: d["predicate"].pop("signed_at"), "lacks a part"),
        "a time with an offset": (
            lambda d: d["predicate"].update(signed_at="2026-11-22T09:30:00+00:00"), "lacks a part"
        ),
        "30 February": (lambda d: d["predicate"].update(signed_at="2026-02-30T09:30:00Z"), "lacks a part"),
        "a field too many": (lambda d: d.update(more=1), "exactly the fields"),
        "no subjects": (lambda d: d.update(subject=[]), "must have subjects"),
        "a subject twice": (lambda d: d["subject"].append(d["subject"][0]), "must have subjects"),
        "a digest in capitals": (
            lambda d: d["subject"][0]["digest"].update(sha256=d["subject"][0]["digest"]["sha256"].upper()),
            "64 lower-case hex digits",
        ),
        "a release that is no digest": (lambda d: d["predicate"].update(release="F" * 64), "lacks a part"),
        "a draft that is no digest": (lambda d: d["predicate"].update(draft="F" * 64), "lacks a part"),
        "about another list of files": (lambda d: d["subject"].pop(0), "added: data.csv"),
    }  # fmt: skip
    for name, (change, says) in changes.items():
        yield Vector(f"a statement with {name}", resigned(good, change), REFUSED, says, b"")
    twice = resigned_bytes(good, b'"kind":"public"', b'"kind":"officer","kind":"public"')
    yield Vector("a name twice in the statement", twice, REFUSED, "not valid JSON", b"")
    infinite = resigned_bytes(good, b'"kind":"public"', b'"kind":"public","n":1e999')
    yield Vector("an infinite number in the statement", infinite, REFUSED, "not valid JSON", b"")
    text = good["attestation.dsse.json"]
    spaced = with_envelope(good, text.replace(b'":"', b'": "', 1))
    yield Vector("an envelope spelt anew", spaced, REFUSED, "not written as privsynth writes one", b"")
    no_end = with_envelope(good, text.rstrip(b"\n"))
    yield Vector("an envelope without its line feed", no_end, REFUSED, "not written as privsynth writes one", b"")
    bom = with_envelope(good, b"\xef\xbb\xbf" + text)
    yield Vector("an envelope behind a byte order mark", bom, REFUSED, "not valid JSON", b"")
    manifest = good["manifest.json"]
    doubled = manifest.replace(b'"version": 1', b'"version": 2, "version": 1')
    yield Vector("a name twice in the manifest", with_manifest(good, doubled), REFUSED, "not valid JSON", b"")
    fewer = json.loads(manifest)
    fewer["files"].pop()
    listed = with_manifest(good, dumps(fewer, indent=2) + b"\n")
    yield Vector("a manifest that lists fewer files", listed, REFUSED, "lists other files than the statement", b"")
    sizes = with_manifest(good, manifest.replace(b'"size": 8', b'"size": 9', 1))
    yield Vector("a manifest with a wrong size", sizes, REFUSED, "a wrong size", b"")
    for said, text in (
        (b'"size": 8.0', "not written as a whole one"),
        (b'"version": true', "not a manifest of version 1"),
    ):
        name = said.partition(b":")[0]
        odd = with_manifest(good, manifest.replace(name + (b": 8" if b"size" in name else b": 1"), said, 1))
        yield Vector(f"a manifest with {said.decode()}", odd, REFUSED, text, b"")


def _pages(good: Files) -> Iterator[Vector]:
    page = good["report.html"]
    two = {**good, "report.html": page.replace(b"end", START + END)}
    yield Vector("two attestation elements", two, REFUSED, "exactly one attestation element", b"")
    hidden = {**good, "report.html": page.replace(b"end", b'<i ID="PRIVSYNTH-attestation">')}
    yield Vector("a second element of that id, in capitals", hidden, REFUSED, "exactly one attestation element", b"")
    empty = {**good, "report.html": page.partition(START)[0] + EMPTY_ELEMENT.encode() + page.partition(END)[2]}
    yield Vector("an empty attestation element", empty, REFUSED, "carries no envelope", b"")
    open_ = {**good, "report.html": page.partition(START)[0] + START + b'{"a": "<'}
    yield Vector("an attestation element that never ends", open_, REFUSED, "damaged", b"")


def _paths(good: Files) -> Iterator[Vector]:
    def about(name: str) -> Callable[[dict[str, Any]], None]:
        return lambda document: document["subject"].append(
            {"name": name, "digest": {"sha256": Subject("x", "0" * 64).sha256}}
        )

    tricks = {
        "../secret": "leaves the folder", "model/../../secret": "leaves the folder", "/etc/passwd": "is absolute",
        "C:/secret": "is absolute", "model\\model.json": "not every system allows", "a//b": "has an empty part",
        "./data.csv": "has an empty part", "data.csv.": "ends with a dot", "DATA.CSV": "the same file on some systems",
        "data\u202ecsv": "not every system allows", "a\nb": "not every system allows", "x" * 1_025: "empty or too long",
        "report.json\u00a0": "not every system allows",
    }  # fmt: skip
    for name, says in tricks.items():
        shown = "a path of 1,025 letters" if len(name) > 100 else f"the path {name!a}"
        yield Vector(shown, resigned(good, about(name)), REFUSED, says, b"")
    yield Vector("the path 'attestation.dsse.json'", resigned(good, about("attestation.dsse.json")), REFUSED,
                 "must be about", b"")  # fmt: skip


def document() -> bytes:
    """Return all vectors as one JSON file."""
    found = [
        {
            "name": vector.name,
            "verdict": vector.verdict,
            "alone": vector.alone,
            "clock": (NOW + timedelta(seconds=vector.at)).isoformat().replace("+00:00", "Z"),
            "root": None if vector.root is None else vector.root.to_base64(),
            "revocations": None if vector.revocations is None else base64.b64encode(vector.revocations).decode("ascii"),
            "superseded_by": vector.superseded_by or None,
            "keyring": base64.b64encode(vector.keyring).decode("ascii"),
            "files": {name: base64.b64encode(data).decode("ascii") for name, data in vector.files.items()},
        }
        for vector in vectors()
    ]
    return dumps({"version": 2, "vectors": found}, indent=1) + b"\n"


if __name__ == "__main__":
    sys.stdout.buffer.write(document())

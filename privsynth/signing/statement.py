"""in-toto Statements v1: which files, by digest, and what is said of them, the predicate of a release.

Source: https://github.com/in-toto/attestation, spec/v1/statement.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from privsynth.errors import ConfigError, KeyFileError, VerificationError
from privsynth.signing.envelope import Envelope, Signer, sign
from privsynth.signing.keys import PublicKey
from privsynth.strict.json import dumps, loads
from privsynth.strict.time import from_text, to_text

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://privsynth.org/attestation/release/v1"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
MAX_STATEMENT_BYTES = 10_000_000  # as much as the envelope around it may have

Parsed = TypeVar("Parsed")
KINDS = ("public", "officer")
_ADDED = ("signed_at", "signer")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Subject:
    """One file that the statement speaks of.

    Attributes:
      name: path inside the release, with forward slashes.
      sha256: 64 lower-case hex digits.
    """

    name: str
    sha256: str

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise VerificationError("a subject of the statement has no name")
        if not isinstance(self.sha256, str) or not _SHA256.fullmatch(self.sha256):
            raise VerificationError("a subject of the statement has no SHA-256 of 64 lower-case hex digits")


@dataclass(frozen=True)
class Statement:
    """Subjects and a predicate.

    Attributes:
      subjects: at least one, names unique.
      predicate: a small JSON object.
    """

    subjects: tuple[Subject, ...]
    predicate: Mapping[str, Any]

    def __post_init__(self) -> None:
        names = [subject.name for subject in self.subjects]
        if not names or len(names) != len(set(names)):
            raise VerificationError("the statement must have subjects, each name once")

    def to_bytes(self) -> bytes:
        """Return the statement as ASCII JSON with sorted names; equal statements give equal bytes.

        Raises:
          TypeError, ValueError: if the predicate has no JSON form.
        """
        document = {
            "_type": STATEMENT_TYPE,
            "subject": [{"name": item.name, "digest": {"sha256": item.sha256}} for item in self.subjects],
            "predicateType": PREDICATE_TYPE,
            "predicate": dict(self.predicate),
        }
        return dumps(document)

    @classmethod
    def from_bytes(cls, payload: bytes, *, payload_type: str) -> Statement:
        """Parse a payload of exactly this type.

        Args:
          payload: the bytes, from the same envelope object that was verified.
          payload_type: of that envelope.
        Raises:
          VerificationError: if the payload is of another type, is not strict JSON, is not a Statement v1
            about a release v1, or has any field too many or too few.
        """
        if payload_type != PAYLOAD_TYPE:
            raise VerificationError("the envelope holds something else than an in-toto statement")
        document = loads(payload, what="the statement", max_bytes=MAX_STATEMENT_BYTES, error=VerificationError)
        if not isinstance(document, dict) or set(document) != {
            "_type",
            "subject",
            "predicateType",
            "predicate",
        }:
            raise VerificationError("the statement must have exactly the fields of an in-toto Statement v1")
        if document["_type"] != STATEMENT_TYPE or document["predicateType"] != PREDICATE_TYPE:
            raise VerificationError("the statement is not about a privsynth release of version 1")
        if not isinstance(document["predicate"], dict) or not isinstance(document["subject"], list):
            raise VerificationError("the statement must have a list of subjects and a predicate object")
        return cls(tuple(_subject(item) for item in document["subject"]), document["predicate"])


def _subject(item: Any) -> Subject:
    if not isinstance(item, dict) or set(item) != {"name", "digest"}:
        raise VerificationError("a subject of the statement must have a name and a digest, nothing else")
    digest = item["digest"]
    if not isinstance(digest, dict) or set(digest) != {"sha256"}:
        raise VerificationError("a subject of the statement must have a SHA-256 digest, and no other")
    return Subject(item["name"], digest["sha256"])


@dataclass(frozen=True)
class StatementWords:
    """What is said of a statement that does not open.

    Attributes:
      what: it is, where it is no JSON or too long; at most `max_bytes`.
      no_statement, lacks, changed: a sentence each: where it has another type or not one signature, where a part is
        missing or wrong, and where the signature does not fit.
    """

    what: str
    max_bytes: int
    no_statement: str
    lacks: str
    changed: str


def sign_statement(
    subjects: Sequence[tuple[str, str]], predicate_type: str, predicate: Mapping[str, Any], signer: Signer, holder: str
) -> Envelope:
    """Return a statement as an envelope with one signature, whose key stands in the predicate as its signer.

    Args:
      subjects: name and SHA-256 of each.
    """
    key = signer.public
    document = {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": name, "digest": {"sha256": digest}} for name, digest in subjects],
        "predicateType": predicate_type,
        "predicate": {
            **predicate,
            "signer": {"holder": holder, "keyid": key.keyid, "public_key": key.to_base64()},
        },
    }
    return sign(dumps(document), PAYLOAD_TYPE, signer)


def open_statement(
    data: bytes, words: StatementWords, parsed: Callable[[Mapping[str, Any]], Parsed]
) -> tuple[Parsed, PublicKey]:
    """Return what the envelope of `sign_statement` says, and the key that signed it; whose it is, a keyring says.

    Args:
      parsed: reads the document, whose fields are those of a statement and whose key has its own id; it checks
        everything else, and raises what Python or this tree has for it.
    Raises:
      VerificationError: it is no such statement, was changed, or the key that it names did not sign it.
    """
    envelope = Envelope.from_json(data)
    if envelope.payload_type != PAYLOAD_TYPE or len(envelope.signatures) != 1:
        raise VerificationError(words.no_statement)
    document = loads(envelope.payload, what=words.what, max_bytes=words.max_bytes, error=VerificationError)
    try:
        if set(document) != {"_type", "subject", "predicateType", "predicate"} or document["_type"] != STATEMENT_TYPE:
            raise ValueError("fields")
        told = document["predicate"]["signer"]
        key = PublicKey.from_base64(told["public_key"])
        if told["keyid"] != key.keyid:
            raise ValueError("key id")
        found = parsed(document)
    except (AttributeError, KeyError, TypeError, ValueError, KeyFileError, ConfigError, VerificationError):
        raise VerificationError(words.lacks) from None
    (signature,) = envelope.signatures
    if signature.keyid != key.keyid or not key.fits(signature.sig, envelope.pae()):
        raise VerificationError(words.changed)
    return found, key


@dataclass(frozen=True)
class Claims:
    """The predicate of a release, parsed: what the signer says of it, beside the digests.

    Attributes:
      kind: "public" or "officer".
      dataset: name of the dataset.
      signed_at: when the signer says that it was signed.
      key: the key that the statement says will sign it: a hint for the message, never a reason to trust.
      holder: the name that the statement gives itself; None where unsigned.
      release: of an officer's folder: SHA-256 of the manifest of the public folder that it is about; None in folders of
        earlier versions, and in public ones.
      draft: of an approved edition: SHA-256 of the manifest of the draft's public folder; None in a draft.
    """

    kind: str
    dataset: str
    signed_at: datetime
    key: PublicKey | None
    holder: str | None
    release: str | None = None
    draft: str | None = None


def build_predicate(
    predicate: Mapping[str, Any], *, key: PublicKey | None, holder: str, signed_at: datetime
) -> dict[str, Any]:
    """Return the predicate with the time and the hint of the signer added.

    Raises:
      ConfigError: if `kind` or `dataset` is missing or wrong, or a name is taken that is added here.
    """
    if predicate.get("kind") not in KINDS:
        raise ConfigError("the predicate of a release must have a kind: public or officer")
    if not isinstance(predicate.get("dataset"), str) or not predicate["dataset"]:
        raise ConfigError("the predicate of a release must name its dataset")
    if any(name in predicate for name in _ADDED):
        raise ConfigError("signed_at and signer are written into the predicate when it is signed; leave them out")
    signer = None
    if key is not None:
        signer = {"holder": holder, "keyid": key.keyid, "public_key": key.to_base64()}
    return {**predicate, "signed_at": to_text(signed_at), "signer": signer}


def parse_predicate(predicate: Mapping[str, Any]) -> Claims:
    """Read what `build_predicate` wrote.

    Raises:
      VerificationError: if a part is missing or of the wrong type.
    """
    try:
        kind, dataset, signer = predicate["kind"], predicate["dataset"], predicate["signer"]
        signed_at = from_text(predicate["signed_at"])
        key = None if signer is None else PublicKey.from_base64(signer["public_key"])
        holder = None if signer is None else signer["holder"]
        texts = [dataset] if holder is None else [dataset, holder]
        if kind not in KINDS or not all(isinstance(text, str) for text in texts):
            raise ValueError("wrong type")
        release, draft = predicate.get("release"), predicate.get("draft")
        if not all(digest is None or _SHA256.fullmatch(digest) for digest in (release, draft)):
            raise ValueError("no digest")
        if key is not None and signer["keyid"] != key.keyid:
            raise ValueError("the key id is not that of the key")
    except (KeyError, TypeError, ValueError, KeyFileError):
        raise VerificationError("the statement lacks a part that every release has, or has it wrong") from None
    return Claims(kind, dataset, signed_at, key, holder, release, draft)

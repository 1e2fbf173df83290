"""Signed statements of an office about what it did: that files were deleted, what it answered to a request.

A notice is an in-toto Statement v1 in a DSSE envelope, as a decision is: subjects by digest, and words and facts that a
person reads. It is verified offline, by a keyring.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from privsynth.errors import ConfigError, UnknownSigner, VerificationError
from privsynth.signing._files import read_limited
from privsynth.signing.checks.trust import judge
from privsynth.signing.envelope import Envelope, Signer
from privsynth.signing.keyring import MAKER, KeyEntry, Keyring, entries_by_key
from privsynth.signing.keys import PublicKey
from privsynth.signing.statement import StatementWords, Subject, open_statement, sign_statement
from privsynth.strict.time import from_text, to_text

# Kind -> predicate type, and what it is in words.
KINDS = {
    "deletion": ("https://privsynth.org/attestation/deletion/v1", "certificate of deletion"),
    "erasure": ("https://privsynth.org/attestation/erasure-answer/v1", "answer to a request for erasure"),
}
ROLES = (MAKER,)  # whose keys sign notices: the office's own
MAX_BYTES = 10_000_000  # (own) a deletion of some ten thousand files
_WORDS = StatementWords(
    what="the statement", max_bytes=MAX_BYTES, no_statement="it is no statement with one signature",
    lacks="it is neither a certificate of deletion nor an answer to a request for erasure, or it lacks a part that "
    "every one has",
    changed="its signature does not fit: it was changed, or another key signed it",
)  # fmt: skip
_BY_TYPE = {predicate: kind for kind, (predicate, _) in KINDS.items()}


@dataclass(frozen=True)
class Notice:
    """What an office says that it did.

    Attributes:
      kind: "deletion" or "erasure".
      subjects: files or things that it is about, by digest; at least one.
      said: facts by name, as JSON: texts, numbers, lists and objects of them.
      issued_at: when, as the office says.
    """

    kind: str
    subjects: tuple[Subject, ...]
    said: Mapping[str, Any]
    issued_at: datetime

    def __post_init__(self) -> None:
        if self.kind not in KINDS or not self.subjects:
            raise ConfigError(f"a notice is one of {', '.join(KINDS)}, and about something")

    @property
    def title(self) -> str:
        """What it is, in words."""
        return KINDS[self.kind][1]

    def signed(self, signer: Signer, holder: str) -> Envelope:
        """Return the notice as an envelope with one signature."""
        subjects = [(one.name, one.sha256) for one in self.subjects]
        predicate = {"said": dict(self.said), "issued_at": to_text(self.issued_at)}
        return sign_statement(subjects, KINDS[self.kind][0], predicate, signer, holder)

    @classmethod
    def opened(cls, data: bytes) -> tuple[Notice, PublicKey]:
        """Return the notice in the bytes of an envelope, and the key that signed it; whose key it is, a keyring says.

        Raises:
          VerificationError: it is no notice, was changed, or the key that it names did not sign it.
        """
        return open_statement(data, _WORDS, _parsed)


def trusted_notice(path: Path, keyrings: Sequence[Keyring], now: datetime) -> tuple[Notice, KeyEntry]:
    """Return the notice in a file, and who signed it, if their key vouches for it now.

    Raises:
      ConfigError: there is no such file.
      VerificationError: it is no notice, was changed, is dated ahead, or its key may not sign one.
      UnknownSigner: no keyring has its key.
    """
    found, key = _read(path)
    entry, problem = judge(entries_by_key(keyrings).get(key, []), ROLES, found.issued_at, now)
    if problem:
        raise VerificationError(f"{path} does not count: {problem}")
    if entry is None:
        raise UnknownSigner(f"{path} is intact, and signed by key {key.fingerprint}, which no keyring has")
    return found, entry


def own_notice(path: Path, keyrings: Sequence[Keyring]) -> Notice:
    """Return a notice that the office itself signed earlier; its key may have ended or been revoked since.

    Raises:
      ConfigError, VerificationError, UnknownSigner: as `trusted_notice`.
    """
    found, key = _read(path)
    if not any(role in entry.roles for entry in entries_by_key(keyrings).get(key, []) for role in ROLES):
        raise UnknownSigner(f"{path} is signed by key {key.fingerprint}, which is not the office's own")
    return found


def _read(path: Path) -> tuple[Notice, PublicKey]:
    try:
        return Notice.opened(read_limited(path, MAX_BYTES))
    except OSError as problem:
        raise ConfigError(f"{path} cannot be read: {problem.strerror}") from None
    except VerificationError as problem:
        raise VerificationError(f"{path} does not verify: {problem}") from None


def _parsed(document: Mapping[str, Any]) -> Notice:
    told = document["predicate"]
    if set(told) != {"said", "issued_at", "signer"} or not isinstance(told["said"], dict):
        raise ValueError("predicate")
    if set(told["signer"]) != {"holder", "keyid", "public_key"}:
        raise ValueError("signer")
    subjects = []
    for item in document["subject"]:
        if set(item) != {"name", "digest"} or set(item["digest"]) != {"sha256"}:
            raise ValueError("subject")
        subjects.append(Subject(item["name"], item["digest"]["sha256"]))
    kind = _BY_TYPE[document["predicateType"]]
    return Notice(kind, tuple(subjects), told["said"], from_text(told["issued_at"]))

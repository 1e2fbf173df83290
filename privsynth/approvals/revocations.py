"""The published list of releases that must not be used any more: signed, dated, and good for some weeks only.

A release cannot be called back. Who uses it asks for the list now and then; one that is too old is refused, so that
nobody can hide a revocation for longer than that by handing out an older list.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from privsynth.errors import ConfigError, ReleaseRevoked, UnknownSigner, VerificationError
from privsynth.signing._files import atomic_write, read_limited
from privsynth.signing.checks.result import VerificationResult
from privsynth.signing.checks.trust import CLOCK_SKEW, judge
from privsynth.signing.envelope import Envelope, Signer
from privsynth.signing.keyring import APPROVER, MAKER, Keyring, entries_by_key
from privsynth.signing.keys import PublicKey
from privsynth.signing.statement import StatementWords, open_statement, sign_statement
from privsynth.strict.time import from_text, to_text

REVOCATIONS_TYPE = "https://privsynth.org/attestation/revocations/v1"
ROLES = (MAKER, APPROVER)  # whose keys may say that a release must not be used any more
MAX_BYTES = 10_000_000  # (own) some ten thousand revocations
MAX_REASON = 500  # characters (own): a sentence or two, which strangers read
MAX_NUMBER = 2**53 - 1  # what every reader of JSON tells from its neighbours
_WORDS = StatementWords(
    what="the list of revocations", max_bytes=MAX_BYTES,
    no_statement="the list of revocations is no statement with one signature",
    lacks="that is no list of revocations, or it lacks a part that every list has",
    changed="the signature of the list of revocations does not fit: it was changed",
)  # fmt: skip
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class RevokedRelease:
    """A release that must not be used any more.

    Attributes:
      release: SHA-256 of its public manifest.
      reason: one line of printable text.
      at: when it was revoked.
      successor: SHA-256 of the public manifest of the release that takes its place, or "".
    """

    release: str
    reason: str
    at: datetime
    successor: str = ""

    def __post_init__(self) -> None:
        if not self.reason.strip() or not self.reason.isprintable() or len(self.reason) > MAX_REASON:
            raise ConfigError(
                f"a reason is one line of at most {MAX_REASON} printable characters; everybody may read it"
            )


@dataclass(frozen=True)
class RevocationList:
    """All revocations of one office, at one time.

    Attributes:
      number: grows from list to list; a later one has all that an earlier one had.
      issued_at, expires_at: from when until when it may be relied on.
      revoked: in the order in which they were revoked.
    """

    number: int
    issued_at: datetime
    expires_at: datetime
    revoked: tuple[RevokedRelease, ...]

    def about(self, release: str) -> RevokedRelease | None:
        """Return what it says of a public manifest."""
        return next((one for one in self.revoked if one.release == release), None)

    def signed(self, signer: Signer, holder: str) -> Envelope:
        """Return the list as an envelope with one signature."""
        entries = [
            {"release": one.release, "reason": one.reason, "at": to_text(one.at), "successor": one.successor}
            for one in self.revoked
        ]
        predicate = {
            "number": self.number,
            "issued_at": to_text(self.issued_at),
            "expires_at": to_text(self.expires_at),
            "revoked": entries,
        }
        subjects = [(one.release, one.release) for one in self.revoked]
        return sign_statement(subjects, REVOCATIONS_TYPE, predicate, signer, holder)

    @classmethod
    def opened(cls, data: bytes) -> tuple[RevocationList, PublicKey]:
        """Return the list in the bytes of an envelope, and the key that signed it; whose key it is, a keyring says.

        Raises:
          VerificationError: it is no list, was changed, or the key that it names did not sign it.
        """
        return open_statement(data, _WORDS, _parsed)


def trusted_list(path: Path, keyrings: Sequence[Keyring], now: datetime) -> tuple[RevocationList, str]:
    """Return the list in a file and who signed it, if it may be relied on now.

    Raises:
      ConfigError: there is no such file.
      VerificationError: it was changed, is too old or is dated ahead, or its key may not revoke.
      UnknownSigner: no keyring has its key.
    """
    found, key = _opened(path)
    entry, problem = judge(entries_by_key(keyrings).get(key, []), ROLES, found.issued_at, now)
    if problem:
        raise VerificationError(f"the list of revocations does not count: {problem}")
    if entry is None:
        raise UnknownSigner(f"the list of revocations is signed by key {key.fingerprint}, which no keyring has")
    if now > found.expires_at + CLOCK_SKEW:
        raise VerificationError(
            f"the list of revocations was good until {found.expires_at:%Y-%m-%d}; ask {entry.holder} for the latest one"
        )
    return found, entry.holder


@dataclass(frozen=True)
class ListAnswer:
    """What a list that may be relied on says of a release that it does not revoke.

    Attributes:
      asked: the list.
      holder: who signed it.
      superseded: the entry, if another release takes the place of this one; None if the list has nothing on it.
    """

    asked: RevocationList
    holder: str
    superseded: RevokedRelease | None

    def to_json(self) -> dict[str, Any]:
        """Return JSON-able data, every field present."""
        one = self.superseded
        return {
            "number": self.asked.number,
            "issued_at": to_text(self.asked.issued_at),
            "expires_at": to_text(self.asked.expires_at),
            "holder": self.holder,
            "superseded_by": None if one is None else one.successor,
            "reason": None if one is None else one.reason,
        }


def ask(found: RevocationList, holder: str, verified: VerificationResult) -> ListAnswer:
    """Return what a list says of a release that was verified, or of the draft of an edition.

    Args:
      found, holder: as `trusted_list` returns them.
    Raises:
      ReleaseRevoked: it was revoked.
    """
    releases = [verified.release or verified.manifest, *([verified.draft] if verified.draft else [])]
    # A draft that its own edition takes the place of is not superseded for who holds the edition.
    said = [one for one in map(found.about, releases) if one is not None and one.successor not in releases]
    one = next((one for one in said if not one.successor), said[0] if said else None)
    if one is not None and not one.successor:
        raise ReleaseRevoked(
            f"{holder} revoked this release on {one.at:%Y-%m-%d}: {one.reason.rstrip('.')}. Do not use it any more"
        )
    return ListAnswer(found, holder, one)


def own_list(path: Path, keyrings: Sequence[Keyring]) -> RevocationList | None:
    """Return the list that is to be added to; None if there is none yet.

    It may have expired, and so may its key, or it was revoked since. But somebody of the keyrings signed it: what a
    stranger puts in its place, with entries of their own or without some, is not signed anew.

    Raises:
      VerificationError: it was changed, or its key never had the right to revoke.
      UnknownSigner: no keyring has its key.
    """
    if not path.exists():
        return None
    found, key = _opened(path)
    entries = entries_by_key(keyrings).get(key, [])
    if not entries:
        raise UnknownSigner(f"{path} is signed by key {key.fingerprint}, which no keyring has; nothing is added to it")
    if not any(role in entry.roles for entry in entries for role in ROLES):
        raise VerificationError(f"{path} is signed by key {key.fingerprint}, which may not revoke; nothing is added")
    return found


def save(path: Path, envelope: Envelope) -> None:
    """Write the list in one step.

    Raises:
      ConfigError: it cannot be written.
    """
    try:
        atomic_write(path, envelope.to_json(), mode=0o644)
    except OSError as problem:
        raise ConfigError(f"{path} cannot be written: {problem.strerror}") from None


def _opened(path: Path) -> tuple[RevocationList, PublicKey]:
    try:
        return RevocationList.opened(read_limited(path, MAX_BYTES))
    except OSError as problem:
        raise ConfigError(f"the list of revocations {path} cannot be read: {problem.strerror}") from None
    except VerificationError as problem:
        raise VerificationError(
            f"{path} is no list of revocations to rely on: {problem}. Fetch it again from where its signer publishes it"
        ) from None


def _parsed(document: Mapping[str, Any]) -> RevocationList:
    told = document["predicate"]
    if document["predicateType"] != REVOCATIONS_TYPE:
        raise ValueError("type")
    if set(told) != {"number", "issued_at", "expires_at", "revoked", "signer"}:
        raise ValueError("predicate")
    if set(told["signer"]) != {"holder", "keyid", "public_key"}:
        raise ValueError("signer")
    if type(told["number"]) is not int or not 1 <= told["number"] <= MAX_NUMBER or type(told["revoked"]) is not list:
        raise ValueError("number or entries")
    revoked = tuple(_entry(item) for item in told["revoked"])
    names = [one.release for one in revoked]
    subjects = [{"name": name, "digest": {"sha256": name}} for name in names]
    if document["subject"] != subjects or len(set(names)) != len(names):
        raise ValueError("subject")
    issued_at, expires_at = from_text(told["issued_at"]), from_text(told["expires_at"])
    if not issued_at < expires_at:
        raise ValueError("period")
    return RevocationList(told["number"], issued_at, expires_at, revoked)


def _entry(item: Mapping[str, Any]) -> RevokedRelease:
    if set(item) != {"release", "reason", "at", "successor"} or not _SHA256.fullmatch(item["release"]):
        raise ValueError("entry")
    if item["successor"] != "" and not _SHA256.fullmatch(item["successor"]):
        raise ValueError("successor")
    return RevokedRelease(item["release"], item["reason"], from_text(item["at"]), item["successor"])

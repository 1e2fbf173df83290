"""One entry of the log: what happened to which release. Public facts and digests of public files only.

An entry names a release by the digest of its public manifest, and a person by the digest of the public key. No comment,
no name of a dataset and no digest of an officer's file is in it: the log may be shown to anybody.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime

from privsynth.errors import VerificationError
from privsynth.strict.json import dumps, loads
from privsynth.strict.time import from_text, to_text

KINDS = ("release", "published", "reviewed", "approved", "rejected", "revoked", "superseded", "verified")
DECISIONS = ("reviewed", "approved", "rejected")
MAX_ENTRY_BYTES = 4_096  # (own) ours take some 500; the format of bundles ends at 65,535
START = "0" * 64  # stands for the entry before the first
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class LogEntry:
    """What happened.

    Attributes:
      kind: one of `KINDS`.
      release: SHA-256 of the manifest of the public folder.
      by: SHA-256 of the public key that signed, "" where nobody did: an UNSIGNED release, a verification.
      signed_at: when, as the signer says.
      other: SHA-256 of another public manifest: of the release that takes the place of a superseded one, or of the
        draft of a published edition; else "".
      logged_at: when, by the clock of whoever appended.
      previous: hash of the entry before it: entries form a chain as well as a tree.
    """

    kind: str
    release: str
    by: str
    signed_at: datetime
    other: str = ""
    logged_at: datetime | None = None
    previous: str = START

    @property
    def fact(self) -> tuple[str, str, str, datetime, str]:
        """What happened, apart from its place in the log; the same fact is entered once."""
        return self.kind, self.release, self.by, self.signed_at.replace(microsecond=0), self.other

    def placed(self, logged_at: datetime, previous: str) -> LogEntry:
        """Return the entry as it stands in a log."""
        return replace(self, logged_at=logged_at, previous=previous)

    def to_bytes(self) -> bytes:
        """Return the leaf of the tree."""
        if self.logged_at is None:
            raise ValueError("the entry has no place yet")
        document = {
            "version": 1,
            "kind": self.kind,
            "release": self.release,
            "by": self.by,
            "signed_at": to_text(self.signed_at),
            "other": self.other,
            "logged_at": to_text(self.logged_at),
            "previous": self.previous,
        }
        return dumps(document)

    @classmethod
    def from_bytes(cls, data: bytes) -> LogEntry:
        """Return what `to_bytes` wrote.

        Raises:
          VerificationError: it is anything else, down to a space.
        """
        document = loads(data, what="an entry of the log", max_bytes=MAX_ENTRY_BYTES, error=VerificationError)
        try:
            entry = cls(
                document["kind"],
                document["release"],
                document["by"],
                from_text(document["signed_at"]),
                document["other"],
                from_text(document["logged_at"]),
                document["previous"],
            )
            digests = [entry.release, entry.previous, *(text for text in (entry.by, entry.other) if text)]
            fits = entry.kind in KINDS and all(_SHA256.fullmatch(text) for text in digests)
        except (KeyError, TypeError, ValueError):
            fits = False
        if not fits or entry.to_bytes() != data:
            raise VerificationError("an entry of the log is not as privsynth writes one; a newer version may have")
        return entry

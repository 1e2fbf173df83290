"""From signed files to the facts that a log has of them."""

from __future__ import annotations

from pathlib import Path

from privsynth.errors import OutputError
from privsynth.signing._files import digest_file, read_limited
from privsynth.signing.envelope import MAX_ENVELOPE_BYTES, Envelope
from privsynth.signing.release import ATTESTATION, MANIFEST
from privsynth.signing.statement import Statement, parse_predicate
from privsynth.transparency.entry import LogEntry


def release_fact(public: Path) -> LogEntry:
    """Return the fact that the release, or the edition, in this public folder was made, as it says; unverified.

    Raises:
      OutputError: the folder cannot be read.
      VerificationError: its envelope holds no statement of a release.
    """
    try:
        envelope = Envelope.from_json(read_limited(public / ATTESTATION, MAX_ENVELOPE_BYTES))
        manifest = digest_file(public / MANIFEST).sha256
    except OSError as problem:
        raise OutputError(f"{public} cannot be read: {problem.strerror}") from None
    statement = Statement.from_bytes(envelope.payload, payload_type=envelope.payload_type)
    claims = parse_predicate(statement.predicate)
    kind, by = "release" if claims.draft is None else "published", "" if claims.key is None else claims.key.keyid
    return LogEntry(kind, manifest, by, claims.signed_at, claims.draft or "")

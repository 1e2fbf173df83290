"""Open the envelope of a release: parsed once, its signature checked, and its key looked up in the keyrings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from privsynth.errors import VerificationError
from privsynth.signing.envelope import Envelope, verify
from privsynth.signing.keyring import KeyEntry
from privsynth.signing.keys import PublicKey
from privsynth.signing.statement import Claims, Statement, parse_predicate
from privsynth.signing.times.token import digest_of


@dataclass(frozen=True)
class Opened:
    """An envelope whose signature fits, or that has none.

    Attributes:
      statement, claims: parsed from the bytes that were verified.
      key: who signed; None where unsigned.
      entries: of that key in the keyrings; empty if no keyring knows it.
      digest: SHA-256 of the envelope, hex.
    """

    statement: Statement
    claims: Claims
    key: PublicKey | None
    entries: tuple[KeyEntry, ...]
    digest: str


def open_first(envelopes: Sequence[bytes], trusted: Mapping[PublicKey, list[KeyEntry]]) -> Opened:
    """Open the first envelope that holds; where they differ the release fails anyway, with more to say."""
    failures = []
    for data in envelopes:
        try:
            return _open(data, trusted)
        except VerificationError as problem:
            failures.append(problem)
    raise failures[0] if failures else VerificationError("it carries no envelope, so nobody signed it")


def _open(data: bytes, trusted: Mapping[PublicKey, list[KeyEntry]]) -> Opened:
    """Parse an envelope once and check its signature: by a trusted key, else by the key it names."""
    envelope = Envelope.from_json(data)
    if len(envelope.signatures) > 1:
        raise VerificationError("the envelope has several signatures; a release has one")
    try:
        key = verify(envelope, trusted)[0]
    except VerificationError:
        key = None
    statement = Statement.from_bytes(envelope.payload, payload_type=envelope.payload_type)
    claims = parse_predicate(statement.predicate)
    if not envelope.signatures:
        return Opened(statement, claims, None, (), digest_of(data))
    if key is None:
        key = _named(envelope, claims)
    if claims.key != key or envelope.signatures[0].keyid != key.keyid:
        raise VerificationError("the statement names another key than the one that signed it")
    return Opened(statement, claims, key, tuple(trusted.get(key, ())), digest_of(data))


def _named(envelope: Envelope, claims: Claims) -> PublicKey:
    """Return the key that the statement names, if the signature fits it: intact, not trusted."""
    try:
        return verify(envelope, [] if claims.key is None else [claims.key])[0]
    except VerificationError:
        raise VerificationError(
            "the signature does not fit: the statement was changed, or another key signed it"
        ) from None

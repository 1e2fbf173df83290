"""Tokens on disk: `attestation.tsr` in a release, and `NAME.tsr` beside a decision `NAME.dsse.json`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from privsynth.errors import OutputError, VerificationError
from privsynth.signing._files import atomic_write, read_limited
from privsynth.signing.envelope import MAX_ENVELOPE_BYTES
from privsynth.signing.times.authority import ask
from privsynth.signing.times.token import MAX_TOKEN_BYTES, TrustedTime, checked_time

if TYPE_CHECKING:
    from cryptography.x509 import Certificate


def token_path(envelope: Path) -> Path:
    """Return where the token of an envelope is: `X.dsse.json` has `X.tsr`."""
    return envelope.with_suffix("").with_suffix(".tsr")


def stamp(envelope: Path, url: str, roots: Sequence[Certificate], *, signed_at: datetime, now: datetime) -> Path:
    """Ask an authority for a token over an envelope, keep it beside that, and return its place.

    Raises:
      OutputError: there is no token, and the old one stays if there was one: as `ask`, or it cannot be written.
    """
    path = token_path(envelope)
    try:
        data = read_limited(envelope, MAX_ENVELOPE_BYTES)
        atomic_write(path, ask(url, data, roots, signed_at=signed_at, now=now))
    except OSError as problem:
        raise OutputError(f"{path} cannot be written: {problem.strerror}") from None
    return path


def time_of(
    envelope: Path, digest: str, roots: Sequence[Certificate], *, signed_at: datetime, now: datetime
) -> TrustedTime:
    """Return the time that an authority vouches for, of an envelope that was verified.

    Args:
      digest: SHA-256 of the envelope as it was verified.
    Raises:
      VerificationError: there is no token, or one that does not hold.
    """
    path = token_path(envelope)
    try:
        token = read_limited(path, MAX_TOKEN_BYTES)
    except FileNotFoundError:
        raise VerificationError(f"there is no time token at {path}, and one was asked for") from None
    except OSError as problem:
        raise VerificationError(f"the time token {path} cannot be read: {problem.strerror}") from None
    try:
        return checked_time(token, digest, roots, signed_at=signed_at, now=now)
    except VerificationError as problem:
        raise VerificationError(f"{path} does not hold: {problem}") from None

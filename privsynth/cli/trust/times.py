"""Options for times that an authority vouches for, and what is said of them."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from privsynth.errors import OutputError, VerificationError

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

    from privsynth.approvals.decisions import Read
    from privsynth.signing.verification import VerificationResult

roots_option = click.option(
    "--timestamp-root", "roots_file", type=click.Path(path_type=Path),
    help="Certificates (PEM) of the time authorities that you trust. Needs the extra timestamp.",
)  # fmt: skip
timestamp_option = click.option(
    "--timestamp", "authority", metavar="URL",
    help="Ask this authority (RFC 3161) for a time token. It is sent a digest. Needs the extra timestamp.",
)  # fmt: skip


def roots_in(path: Path | None) -> tuple[Certificate, ...]:
    """Return the certificates in a file; none if none was named."""
    from privsynth.signing.times.token import load_roots

    return () if path is None else load_roots(path)


def require_askable(authority: str | None) -> None:
    """Return if an authority could be asked, before anything is signed.

    Raises:
      ConfigError: the address is none.
      MissingPackageError: the extra is not installed.
    """
    from privsynth.extras import needs
    from privsynth.signing.times.authority import check_address
    from privsynth.signing.times.token import EXTRA

    if authority is not None:
        check_address(authority)
        with needs(EXTRA):
            import rfc3161_client  # noqa: F401


def stamp_or_say(envelope: Path, authority: str | None, *, signed_at: datetime, now: datetime) -> None:
    """Keep a time token beside an envelope; where there is none to be had, say so: what was signed stays signed."""
    from privsynth.signing.times.files import stamp

    if authority is None:
        return
    try:
        click.echo(f"Time token  {stamp(envelope, authority, (), signed_at=signed_at, now=now).name}, by {authority}")
    except OutputError as problem:
        click.echo(f"It carries no time: {problem}. Ask again later: privsynth timestamp", err=True)


def time_said(
    what: Path, verified: VerificationResult, roots: tuple[Certificate, ...], now: datetime
) -> tuple[dict[str, Any] | None, str]:
    """Return what an authority says of a release that verifies, for machines and in a line.

    Raises:
      VerificationError: the reader asked for a time, and there is none that holds.
    """
    from privsynth.signing.release import ATTESTATION
    from privsynth.signing.times.files import time_of

    if not roots:
        there = "\nTime        a time token is there, and was not checked: give --timestamp-root"
        return None, there if verified.has_token else ""
    if what.is_file():
        raise VerificationError("a report alone has no time token beside it; verify the folder that it came in")
    found = time_of(what / ATTESTATION, verified.envelope, roots, signed_at=verified.signed_at, now=now)
    return found.to_json(), f"\nTime        {found.sentence(verified.valid_until)}"


def times_of_decisions(folder: Path, read: tuple[Read, ...], roots: tuple[Certificate, ...], now: datetime) -> str:
    """Return a line for each decision that counts: when it was signed, or that it has no time token.

    Raises:
      VerificationError: one does not hold.
    """
    from privsynth.signing.times.files import time_of, token_path

    lines = []
    for one in read:
        path = folder / one.name
        if roots and one.approval is not None and one.entry is not None:
            said = "without a time token"
            if token_path(path).exists():
                found = time_of(path, one.digest, roots, signed_at=one.approval.signed_at, now=now)
                said = found.sentence(one.entry.not_after)
            lines.append(f"\nTime        {one.approval.meaning} by {one.entry.holder}, {said}")
    return "".join(lines)

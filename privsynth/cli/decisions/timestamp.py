"""`privsynth timestamp`: have an authority say when a signature existed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import click

from privsynth.cli.trust.times import require_askable, roots_in, roots_option
from privsynth.errors import ConfigError


@click.command()
@click.argument("signed", type=click.Path(exists=True, path_type=Path))
@click.option("--authority", required=True, metavar="URL", help="Address of the authority (RFC 3161).")
@roots_option
def timestamp(signed: Path, authority: str, roots_file: Path | None) -> None:
    """Ask an authority for a time token over each signature that has none, and keep it beside that.

    SIGNED is the folder of a run, a public or officer's folder, or the file of a decision. The signatures stay as they
    are. The authority is sent a digest and a random number; it learns that somebody at this address signed something.
    With --timestamp-root the token is checked before it is kept. If the authority does not answer, nothing changes: try
    again. Do not run it by a script right after a release: the time would tell how long the run took.

    Example: privsynth timestamp out --authority https://freetsa.org/tsr --timestamp-root freetsa.pem
    """
    from privsynth.signing.times.files import stamp, token_path

    require_askable(authority)
    roots, now, asked = roots_in(roots_file), datetime.now(UTC), 0
    for envelope, signed_at in list(_envelopes(signed)):
        if token_path(envelope).exists():
            continue
        click.echo(f"Time token  {stamp(envelope, authority, roots, signed_at=signed_at, now=now)}")
        asked += 1
    if not asked:
        click.echo("Every signature has a time token already; delete one to ask for it again.")


def _envelopes(signed: Path) -> Iterator[tuple[Path, datetime]]:
    """Yield each envelope that is meant, and when its signer says it was signed.

    Raises:
      ConfigError: there is none.
      VerificationError: one is damaged, or nobody signed it.
    """
    from privsynth.approvals.decisions import FOLDER
    from privsynth.signing.release import ATTESTATION

    if signed.is_file():
        yield _opened(signed)
        return
    places = [signed / ATTESTATION, *(signed / part / ATTESTATION for part in ("public", "officer"))]
    found = [*filter(Path.is_file, places), *sorted((signed / FOLDER).glob("*.dsse.json"))]
    if not found:
        raise ConfigError(f"{signed} holds nothing that was signed: name a release, or the file of a decision")
    yield from map(_opened, found)


def _opened(path: Path) -> tuple[Path, datetime]:
    from privsynth.errors import OutputError, VerificationError
    from privsynth.signing._files import read_limited
    from privsynth.signing.envelope import MAX_ENVELOPE_BYTES, Envelope
    from privsynth.strict.json import loads
    from privsynth.strict.time import from_text

    try:
        envelope = Envelope.from_json(read_limited(path, MAX_ENVELOPE_BYTES))
    except OSError as problem:
        raise OutputError(f"{path} cannot be read: {problem.strerror}") from None
    document = loads(envelope.payload, what=str(path), max_bytes=MAX_ENVELOPE_BYTES, error=VerificationError)
    try:
        signed_at = from_text(document["predicate"]["signed_at"])  # type: ignore[index]
    except (KeyError, TypeError, ValueError):
        raise VerificationError(f"{path} does not say when it was signed") from None
    if not envelope.signatures:
        raise VerificationError(f"{path} is UNSIGNED: there is no signature to have a time")
    return path, signed_at

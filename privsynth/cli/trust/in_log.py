"""What a log says of a release that verifies: that it was entered, and what became of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from privsynth.cli.decisions.options import log_in, log_key_option
from privsynth.cli.trust.fetched_log import fetched_log, is_address
from privsynth.errors import ConfigError, ReleaseRevoked, VerificationError

if TYPE_CHECKING:
    from privsynth.signing.verification import VerificationResult
    from privsynth.transparency.log import TransparencyLog
    from privsynth.transparency.state import LogState

_Command = TypeVar("_Command", bound=Callable[..., Any])


def in_log_options(command: _Command) -> _Command:
    """Add `--log`, `--log-key` and `--record` to the command that verifies."""
    for option in (
        click.option("--record", is_flag=True, help="Enter in the log that it was verified. The log has to be yours."),
        log_key_option,
        click.option("--log", "place", metavar="PLACE", help="Folder or address of the log that has to have it."),
    ):
        command = option(command)
    return command


def log_said(
    release: VerificationResult, place: str | None, key_text: str | None, *, record: bool, now: datetime
) -> tuple[dict[str, Any] | None, str]:
    """Return what a log says of a verified release, for machines and in lines; nothing if no log was named.

    Args:
      place: the log's folder, or its address.
      record: enter in it that the release was verified.
    Raises:
      VerificationError: the log does not have it, or was changed.
      ReleaseRevoked: the log says so.
      LogUnavailable: it cannot be read, or not be written.
    """
    if place is None:
        if record or key_text is not None:
            raise ConfigError("--record and --log-key need the log: name its folder with --log")
        return None, ""
    if not is_address(place):
        return _said_by(log_in(Path(place), key_text), release, record=record, now=now)
    if record:
        raise ConfigError("--record needs a log that is yours: name its folder with --log, and not an address")
    with fetched_log(place) as folder:
        return _said_by(log_in(folder, key_text), release, record=False, now=now)


def _said_by(
    log: TransparencyLog, release: VerificationResult, *, record: bool, now: datetime
) -> tuple[dict[str, Any], str]:
    from privsynth.transparency.entry import LogEntry

    state, manifest = log.verify(), release.release or release.manifest
    at = _entered_at(release, manifest, state)
    said = [entry for _, entry in state.about(manifest) if entry.release == manifest]
    if release.draft is not None:
        said += [entry for _, entry in state.about(release.draft) if entry.release == release.draft]
    for entry in said:
        if entry.kind == "revoked":
            raise ReleaseRevoked(
                f"the log {log.key.name} has this release as revoked on {entry.signed_at:%Y-%m-%d}. Do not use it any "
                "more"
            )
    later = [entry for entry in said if entry.kind == "superseded" and entry.other != manifest]
    if record:
        state = log.append([LogEntry("verified", manifest, "", now)], now)
    told = {
        "origin": log.key.name,
        "size": state.checkpoint.size,
        "index": at,
        "superseded_by": later[-1].other if later else None,
        "recorded": record,
    }
    lines = f"\nLog         {log.key.name}, entry {at} of {state.checkpoint.size}"
    lines += "; this verification was entered" if record else ""
    if later:
        lines += (
            f"\nSuperseded  on {later[-1].signed_at:%Y-%m-%d}, by the release {later[-1].other[:16]}…, as the log says"
        )
    return told, lines


def _entered_at(release: VerificationResult, manifest: str, state: LogState) -> int:
    """Return the index of the entry that the release was made, by the key that signed it."""
    for index, entry in state.about(manifest):
        if entry.kind in ("release", "published") and (entry.release, entry.by) == (manifest, release.keyid):
            return index
    raise VerificationError(
        f"the release verifies, but the log {state.checkpoint.origin} does not have it by this key: ask who keeps the "
        "log, or for a newer copy of it"
    )

"""Times in signed documents: UTC, whole seconds, one spelling."""

from __future__ import annotations

from datetime import UTC, datetime

_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


def to_text(moment: datetime) -> str:
    """Return a time with a zone as text in UTC, cut to whole seconds, for example 2026-11-22T09:30:00Z.

    Raises:
      ValueError: if the time has no zone: it would mean another moment elsewhere.
    """
    if moment.tzinfo is None:
        raise ValueError("a time in a signed document needs a zone; use datetime.now(UTC)")
    return moment.astimezone(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")


def from_text(text: str) -> datetime:
    """Return the time that `to_text` wrote.

    Raises:
      ValueError: for every other spelling.
    """
    moment = datetime.strptime(text, _FORMAT).replace(tzinfo=UTC)
    if to_text(moment) != text:
        raise ValueError("a time must be written like 2026-11-22T09:30:00Z")
    return moment

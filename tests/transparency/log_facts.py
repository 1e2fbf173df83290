"""Facts to enter."""

from datetime import UTC, datetime, timedelta

from privsynth.transparency.entry import LogEntry

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)


def fact(number=0, kind="release", other=""):
    """Return what happened to the release of this number."""
    return LogEntry(kind, f"{number:064x}", "b" * 64, NOW + timedelta(seconds=number), other)
